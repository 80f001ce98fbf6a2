#include "control/catalog/words.h"

#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const types[] = {"", "FULL", "INCREMENTAL", "DIFFERENTIAL", "DATABASE", "FILES", "CONFIGURATION"};
static const char *const statuses[] = {"",          "PENDING",  "IN_PROGRESS", "COMPLETED", "FAILED",
                                       "VERIFYING", "VERIFIED", "EXPIRED",     "CANCELLED"};
static const char *const job_kinds[] = {"",      "BACKUP",         "VERIFY",        "RESTORE",        "DELETE",    "PRUNE",
                                        "CHECK", "OFFSITE_UPLOAD", "OFFSITE_FETCH", "OFFSITE_VERIFY", "KEY_REWRAP"};
static const char *const job_statuses[] = {"", "PENDING", "RUNNING", "SUCCEEDED", "SUCCEEDED_WITH_WARNINGS", "FAILED", "CANCELLED"};
static const char *const event_kinds[] = {"", "QUEUED", "STARTED", "PROGRESS", "WARNING", "FINISHED"};
static const char *const alert_types[] = {"",
                                          "BACKUP_FAILED",
                                          "BACKUP_COMPLETED",
                                          "VERIFICATION_FAILED",
                                          "ENCRYPTION_FAILED",
                                          "STORAGE_FULL",
                                          "RETENTION_EXPIRED",
                                          "KEY_ROTATION_REQUIRED",
                                          "BACKUP_MISSED",
                                          "RPO_EXCEEDED",
                                          "OFFSITE_FAILED",
                                          "REPLICATION_LAG",
                                          "ANOMALY",
                                          "RETENTION_VIOLATION",
                                          "RECOVERY_FAILED",
                                          "RECOVERY_TEST_OVERDUE",
                                          "CLOCK_SKEW"};
static const char *const severities[] = {"", "INFO", "WARNING", "ERROR", "CRITICAL"};
static const char *const alert_event_kinds[] = {"", "RAISED", "REPEATED", "ACKNOWLEDGED", "RESOLVED"};
static const char *const roles[] = {"", "VIEWER", "OPERATOR", "ADMIN"};

bool mos_backup_type_of_all(enum mos_backup_type type) {
    return type == MOS_BACKUP_FULL || type == MOS_BACKUP_INCREMENTAL || type == MOS_BACKUP_DIFFERENTIAL;
}

static const char *word_of(const char *const *words, size_t count, int number) {
    return number >= 0 && (size_t)number < count ? words[number] : "";
}

static int number_of(const char *const *words, size_t count, const char *word) {
    for (size_t i = 1; i < count; i++) {
        if (strcmp(words[i], word) == 0) {
            return (int)i;
        }
    }
    return 0;
}

#define WORDS(name, words)                                                                                                                 \
    const char *mos_##name##_word(int number) {                                                                                            \
        return word_of(words, COUNT(words), number);                                                                                       \
    }                                                                                                                                      \
    int mos_##name##_from_word(const char *word) {                                                                                         \
        return number_of(words, COUNT(words), word);                                                                                       \
    }

WORDS(backup_type, types)
WORDS(backup_status, statuses)
WORDS(job_kind, job_kinds)
WORDS(job_status, job_statuses)
WORDS(event_kind, event_kinds)
WORDS(role, roles)
WORDS(alert_type, alert_types)
WORDS(alert_severity, severities)
WORDS(alert_event_kind, alert_event_kinds)
