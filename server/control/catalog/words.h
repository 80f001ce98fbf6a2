// What backups, jobs and events can be. The numbers are those of the public API, the words those of its JSON, and what the catalog keeps.
#ifndef MOS_CONTROL_CATALOG_WORDS_H
#define MOS_CONTROL_CATALOG_WORDS_H

#include <stdbool.h>

enum mos_backup_type {
    MOS_BACKUP_FULL = 1,
    MOS_BACKUP_INCREMENTAL,
    MOS_BACKUP_DIFFERENTIAL,
    MOS_BACKUP_DATABASE,
    MOS_BACKUP_FILES,
    MOS_BACKUP_CONFIGURATION,
};

// All that is backed up, whatever it is compared with.
bool mos_backup_type_of_all(enum mos_backup_type type);

enum mos_backup_status {
    MOS_BACKUP_PENDING = 1,
    MOS_BACKUP_IN_PROGRESS,
    MOS_BACKUP_COMPLETED,
    MOS_BACKUP_FAILED,
    MOS_BACKUP_VERIFYING,
    MOS_BACKUP_VERIFIED,
    MOS_BACKUP_EXPIRED,
    MOS_BACKUP_CANCELLED,
};

enum mos_job_kind {
    MOS_JOB_BACKUP = 1,
    MOS_JOB_VERIFY,
    MOS_JOB_RESTORE,
    MOS_JOB_DELETE,
    MOS_JOB_PRUNE,
    MOS_JOB_CHECK,
    MOS_JOB_OFFSITE_UPLOAD,
    MOS_JOB_OFFSITE_FETCH,
    MOS_JOB_OFFSITE_VERIFY,
    MOS_JOB_KEY_REWRAP,
};

enum mos_job_status {
    MOS_JOB_PENDING = 1,
    MOS_JOB_RUNNING,
    MOS_JOB_SUCCEEDED,
    MOS_JOB_SUCCEEDED_WITH_WARNINGS,
    MOS_JOB_FAILED,
    MOS_JOB_CANCELLED,
};

enum mos_event_kind {
    MOS_EVENT_QUEUED = 1,
    MOS_EVENT_STARTED,
    MOS_EVENT_PROGRESS,
    MOS_EVENT_WARNING,
    MOS_EVENT_FINISHED,
};

enum mos_alert_type {
    MOS_ALERT_BACKUP_FAILED = 1,
    MOS_ALERT_BACKUP_COMPLETED,
    MOS_ALERT_VERIFICATION_FAILED,
    MOS_ALERT_ENCRYPTION_FAILED,
    MOS_ALERT_STORAGE_FULL,
    MOS_ALERT_RETENTION_EXPIRED,
    MOS_ALERT_KEY_ROTATION_REQUIRED,
    MOS_ALERT_BACKUP_MISSED,
    MOS_ALERT_RPO_EXCEEDED,
    MOS_ALERT_OFFSITE_FAILED,
    MOS_ALERT_REPLICATION_LAG,
    MOS_ALERT_ANOMALY,
    MOS_ALERT_RETENTION_VIOLATION,
    MOS_ALERT_RECOVERY_FAILED,
    MOS_ALERT_RECOVERY_TEST_OVERDUE,
    MOS_ALERT_CLOCK_SKEW,
};

enum mos_alert_severity {
    MOS_SEVERITY_INFO = 1,
    MOS_SEVERITY_WARNING,
    MOS_SEVERITY_ERROR,
    MOS_SEVERITY_CRITICAL,
};

enum mos_alert_event_kind {
    MOS_ALERT_RAISED = 1,
    MOS_ALERT_REPEATED,
    MOS_ALERT_ACKNOWLEDGED,
    MOS_ALERT_RESOLVED,
};

enum mos_role {
    MOS_ROLE_NONE,
    MOS_ROLE_VIEWER,
    MOS_ROLE_OPERATOR,
    MOS_ROLE_ADMIN,
};

// "" for a number that has no word; 0 for a word that has no number.
const char *mos_backup_type_word(int type);
const char *mos_backup_status_word(int status);
const char *mos_job_kind_word(int kind);
const char *mos_job_status_word(int status);
const char *mos_event_kind_word(int kind);
const char *mos_role_word(int role);
int mos_backup_type_from_word(const char *word);
int mos_backup_status_from_word(const char *word);
int mos_job_kind_from_word(const char *word);
int mos_job_status_from_word(const char *word);
int mos_event_kind_from_word(const char *word);
int mos_role_from_word(const char *word);
const char *mos_alert_type_word(int type);
const char *mos_alert_severity_word(int severity);
const char *mos_alert_event_kind_word(int kind);
int mos_alert_type_from_word(const char *word);
int mos_alert_severity_from_word(const char *word);
int mos_alert_event_kind_from_word(const char *word);

#endif
