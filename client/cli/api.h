// Short names of the API's messages, for the command line alone.
#ifndef MOS_CLIENT_CLI_API_H
#define MOS_CLIENT_CLI_API_H

#include "mosaajii/backup/v1/admin.pb-c.h"
#include "mosaajii/backup/v1/backup.pb-c.h"

typedef Mosaajii__Backup__V1__Backup api_backup;
typedef Mosaajii__Backup__V1__BackupStatistics api_statistics;
typedef Mosaajii__Backup__V1__DatabaseSource api_database;
typedef Mosaajii__Backup__V1__FileEntry api_file;
typedef Mosaajii__Backup__V1__FileChange api_change;
typedef Mosaajii__Backup__V1__Verification api_verification;
typedef Mosaajii__Backup__V1__Job api_job;
typedef Mosaajii__Backup__V1__JobEvent api_event;
typedef Mosaajii__Backup__V1__Progress api_progress;
typedef Mosaajii__Backup__V1__Token api_token;
typedef Mosaajii__Backup__V1__KeyVersion api_key;
typedef Mosaajii__Backup__V1__ServerStatus api_server_status;
typedef Mosaajii__Backup__V1__SourceStatus api_source_status;

#define API(name) Mosaajii__Backup__V1__##name
// An enum's value: API_WORD(JOB__STATUS__FAILED).
#define API_WORD(name) MOSAAJII__BACKUP__V1__##name
#define API_INIT(name) MOSAAJII__BACKUP__V1__##name##__INIT
#define api_backup_service(method) mosaajii_backup_v1_backup_service_client_##method
#define api_admin_service(method) mosaajii_backup_v1_admin_service_client_##method

#define API_TYPES (&mosaajii__backup__v1__backup__type__descriptor)
#define API_BACKUP_STATUSES (&mosaajii__backup__v1__backup__status__descriptor)
#define API_CHANGE_KINDS (&mosaajii__backup__v1__file_change__kind__descriptor)
#define API_JOB_KINDS (&mosaajii__backup__v1__job__kind__descriptor)
#define API_JOB_STATUSES (&mosaajii__backup__v1__job__status__descriptor)
#define API_ROLES (&mosaajii__backup__v1__token__role__descriptor)
#define API_OVERLAPS (&mosaajii__backup__v1__schedule__overlap__descriptor)
#define API_RUN_STATES (&mosaajii__backup__v1__schedule_run__state__descriptor)
#define API_ENGINES (&mosaajii__backup__v1__database_source__engine__descriptor)
#define API_KEY_STATES (&mosaajii__backup__v1__key_version__state__descriptor)
#define API_CONFIRMATION_STATUSES (&mosaajii__backup__v1__confirmation__status__descriptor)
#define API_HEALTHS (&mosaajii__backup__v1__source_status__health__descriptor)

#endif
