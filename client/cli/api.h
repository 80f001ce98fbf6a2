// Short names of the API's messages, for the command line alone.
#ifndef MOS_CLIENT_CLI_API_H
#define MOS_CLIENT_CLI_API_H

#include "mosaajii/backup/v1/admin.pb-c.h"
#include "mosaajii/backup/v1/backup.pb-c.h"
#include "mosaajii/backup/v1/recovery.pb-c.h"

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
typedef Mosaajii__Backup__V1__Plan api_plan;
typedef Mosaajii__Backup__V1__Execution api_execution;
typedef Mosaajii__Backup__V1__ExecutionEvent api_execution_event;
typedef Mosaajii__Backup__V1__StepRun api_step_run;
typedef Mosaajii__Backup__V1__TestResult api_test;

#define API(name) Mosaajii__Backup__V1__##name
// An enum's value: API_WORD(JOB__STATUS__FAILED).
#define API_WORD(name) MOSAAJII__BACKUP__V1__##name
#define API_INIT(name) MOSAAJII__BACKUP__V1__##name##__INIT
#define api_backup_service(method) mosaajii_backup_v1_backup_service_client_##method
#define api_admin_service(method) mosaajii_backup_v1_admin_service_client_##method

#define api_recovery_service(method) mosaajii_backup_v1_disaster_recovery_service_client_##method

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
#define API_PLAN_PRIORITIES (&mosaajii__backup__v1__plan__priority__descriptor)
#define API_PLAN_STATUSES (&mosaajii__backup__v1__plan__status__descriptor)
#define API_RUN_STATUSES (&mosaajii__backup__v1__execution__status__descriptor)
#define API_STEP_STATUSES (&mosaajii__backup__v1__step_run__status__descriptor)
#define API_LOG_LEVELS (&mosaajii__backup__v1__execution_log__level__descriptor)
#define API_TEST_STATUSES (&mosaajii__backup__v1__test_result__status__descriptor)
#define API_ENVIRONMENTS (&mosaajii__backup__v1__test_result__environment__descriptor)
#define API_HEALTHS (&mosaajii__backup__v1__source_status__health__descriptor)

#endif
