// What the end of a job means.
#include <string.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/alert/anomaly.h"
#include "control/alert/monitor_internal.h"
#include "control/catalog/retention.h"
#include "control/job/facts.h"

enum { MOST_LOOKED_AT = 300 };

static bool succeeded(const struct mos_event *event) {
    return event->job_status == MOS_JOB_SUCCEEDED || event->job_status == MOS_JOB_SUCCEEDED_WITH_WARNINGS;
}

// MOS_NO_SPACE is told apart from other reasons: it has a cure of its own.
static mos_status reason_of(mos_catalog_session *session, const struct mos_event *event, mos_arena *arena) {
    struct mos_job job;
    if (mos_catalog_get_job(session, event->job_id, arena, &job, NULL) != MOS_OK || job.result.size_bytes == 0) {
        return MOS_INTERNAL;
    }
    const Mosaajii__Engine__V1__Result *result =
        mosaajii__engine__v1__result__unpack(mos_arena_allocator(arena), job.result.size_bytes, job.result.data);
    return result ? mos_status_from_name(result->status) : MOS_INTERNAL;
}

// Deleted meanwhile: *out_found is false.
static mos_status find(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_backup *out, bool *out_found,
                       struct mos_error *error) {
    mos_status status = mos_catalog_get_backup(session, id, arena, out, error);
    *out_found = status == MOS_OK;
    return status == MOS_NOT_FOUND ? MOS_OK : status;
}

// ---- Backups ----

static mos_status judge_failed_backup(mos_catalog_session *session, const struct mos_event *event, const struct mos_backup *backup,
                                      const char *cause, mos_arena *arena, struct mos_error *error) {
    const struct mos_alert_detail details[] = {{"name", backup->name}, {"reason", event->message}, {"jobId", event->job_id}};
    const char *type = mos_backup_type_word(backup->type);
    const struct mos_alert_cause failed = {
        .type = MOS_ALERT_BACKUP_FAILED,
        .severity = MOS_SEVERITY_ERROR,
        .cause = cause,
        .backup_id = event->backup_id,
        .message = mos_arena_printf(arena, "the %s backup \"%s\" failed: %s", type, backup->name, event->message),
        .details = details,
        .detail_count = 3};
    mos_status status = mos_alert_raise_in(session, &failed, error);
    if (status != MOS_OK || reason_of(session, event, arena) != MOS_NO_SPACE) {
        return status;
    }
    const struct mos_alert_cause full = {.type = MOS_ALERT_STORAGE_FULL,
                                         .severity = MOS_SEVERITY_CRITICAL,
                                         .cause = "storage:backup",
                                         .backup_id = event->backup_id,
                                         .message = "a backup failed because no space is left for the repository",
                                         .details = details,
                                         .detail_count = 3};
    return mos_alert_raise_in(session, &full, error);
}

static mos_status judge_backup(mos_monitor *monitor, mos_catalog_session *session, const struct mos_event *event, mos_arena *arena,
                               bool *out_verify, struct mos_error *error) {
    struct mos_backup backup;
    bool found = false;
    mos_status status = find(session, event->backup_id, arena, &backup, &found, error);
    if (status != MOS_OK || !found) {
        return status;
    }
    const char *type = mos_backup_type_word(backup.type);
    const char *cause = mos_arena_printf(arena, "backup:%s", type);
    if (event->job_status == MOS_JOB_FAILED) {
        return judge_failed_backup(session, event, &backup, cause, arena, error);
    }
    if (!succeeded(event)) {
        return MOS_OK;
    }
    const struct mos_alert_detail details[] = {{"name", backup.name},
                                               {"sizeBytes", mos_arena_printf(arena, "%lld", (long long)backup.size_bytes)},
                                               {"warnings", mos_arena_printf(arena, "%lld", (long long)backup.warnings)}};
    const struct mos_alert_cause completed = {.type = MOS_ALERT_BACKUP_COMPLETED,
                                              .severity = MOS_SEVERITY_INFO,
                                              .cause = mos_arena_printf(arena, "completed:%s", backup.id),
                                              .backup_id = backup.id,
                                              .message = mos_arena_printf(arena, "the %s backup \"%s\" is complete%s", type, backup.name,
                                                                          backup.warnings > 0 ? ", with warnings" : ""),
                                              .details = details,
                                              .detail_count = 3};
    *out_verify = monitor->options.verify_all && !backup.integrity_check;
    status = mos_alert_tell_in(session, &completed, error);
    if (status == MOS_OK) {
        status = mos_alert_resolve_in(session, cause, error);
    }
    if (status == MOS_OK) {
        status = mos_alert_resolve_in(session, "storage:backup", error);
    }
    return status == MOS_OK ? mos_monitor_judge_shape(session, &backup, error) : status;
}

// ---- Verifications ----

static mos_status judge_verification(mos_catalog_session *session, const struct mos_event *event, mos_arena *arena,
                                     struct mos_error *error) {
    const char *cause = mos_arena_printf(arena, "verification:%s", event->backup_id);
    if (succeeded(event)) {
        return mos_alert_resolve_in(session, cause, error);
    }
    struct mos_backup backup;
    bool found = false;
    mos_status status = event->job_status == MOS_JOB_FAILED ? find(session, event->backup_id, arena, &backup, &found, error) : MOS_OK;
    if (status != MOS_OK || !found) {
        return status;
    }
    const struct mos_alert_detail details[] = {{"name", backup.name}, {"reason", event->message}, {"jobId", event->job_id}};
    const struct mos_alert_cause failed = {.type = MOS_ALERT_VERIFICATION_FAILED,
                                           .severity = backup.damaged ? MOS_SEVERITY_CRITICAL : MOS_SEVERITY_ERROR,
                                           .cause = cause,
                                           .backup_id = event->backup_id,
                                           .message = mos_arena_printf(arena,
                                                                       backup.damaged
                                                                           ? "the backup \"%s\" is damaged and cannot be restored whole: %s"
                                                                           : "the backup \"%s\" could not be verified: %s",
                                                                       backup.name, event->message),
                                           .details = details,
                                           .detail_count = 3};
    return mos_alert_raise_in(session, &failed, error);
}

// What concerned one backup is over when that is deleted.
static mos_status judge_deletion(mos_catalog_session *session, const struct mos_event *event, mos_arena *arena, struct mos_error *error) {
    static const char *const kinds[] = {"verification", "anomaly"};
    mos_status status = MOS_OK;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && status == MOS_OK && succeeded(event); i++) {
        status = mos_alert_resolve_in(session, mos_arena_printf(arena, "%s:%s", kinds[i], event->backup_id), error);
    }
    return status;
}

static mos_status judge_other(mos_catalog_session *session, const struct mos_event *event, enum mos_alert_type type, const char *cause,
                              const char *what, mos_arena *arena, struct mos_error *error) {
    if (succeeded(event)) {
        return mos_alert_resolve_in(session, cause, error);
    }
    if (event->job_status != MOS_JOB_FAILED) {
        return MOS_OK;
    }
    const struct mos_alert_detail details[] = {{"reason", event->message}, {"jobId", event->job_id}};
    const struct mos_alert_cause failed = {.type = type,
                                           .severity = MOS_SEVERITY_CRITICAL,
                                           .cause = cause,
                                           .message = mos_arena_printf(arena, "%s: %s", what, event->message),
                                           .details = details,
                                           .detail_count = 2};
    return mos_alert_raise_in(session, &failed, error);
}

mos_status mos_monitor_judge_end(mos_monitor *monitor, mos_catalog_session *session, const struct mos_event *event, bool *out_verify,
                                 struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    switch (event->job_kind) {
    case MOS_JOB_BACKUP:
        return judge_backup(monitor, session, event, arena, out_verify, error);
    case MOS_JOB_VERIFY:
        return judge_verification(session, event, arena, error);
    case MOS_JOB_DELETE:
        return judge_deletion(session, event, arena, error);
    case MOS_JOB_CHECK:
        return judge_other(session, event, MOS_ALERT_VERIFICATION_FAILED, "check", "the check of the repository found faults", arena,
                           error);
    case MOS_JOB_KEY_REWRAP:
        return judge_other(session, event, MOS_ALERT_ENCRYPTION_FAILED, "rewrap", "keys could not be rewrapped", arena, error);
    default:
        return MOS_OK;
    }
}

// ---- Against its own history ----

struct history {
    const struct mos_backup *backup;
    const Mosaajii__Engine__V1__BackupInfo *info;
    struct mos_backup_shape shapes[MOS_ANOMALY_MOST_HISTORY];
    size_t count;
    // Looked at, of this source or another of the same type.
    int looked;
};

static const Mosaajii__Engine__V1__BackupInfo *info_of(const struct mos_backup *backup, mos_arena *arena) {
    const Mosaajii__Engine__V1__BackupInfo *info = mos_backup_info(&backup->facts, arena);
    return info && info->statistics ? info : NULL;
}

static bool same_source(const Mosaajii__Engine__V1__BackupInfo *left, const Mosaajii__Engine__V1__BackupInfo *right) {
    bool same = left->n_source_paths == right->n_source_paths && left->n_databases == right->n_databases;
    for (size_t i = 0; i < left->n_source_paths && same; i++) {
        same = left->source_paths[i].len == right->source_paths[i].len &&
               memcmp(left->source_paths[i].data, right->source_paths[i].data, left->source_paths[i].len) == 0;
    }
    for (size_t i = 0; i < left->n_databases && same; i++) {
        same = strcmp(left->databases[i]->origin, right->databases[i]->origin) == 0;
    }
    return same;
}

static struct mos_backup_shape shape_of(const Mosaajii__Engine__V1__BackupInfo *info) {
    const Mosaajii__Engine__V1__Statistics *statistics = info->statistics;
    return (struct mos_backup_shape){.size_bytes = statistics->size,
                                     .files = statistics->files + statistics->others,
                                     .added = statistics->files_added,
                                     .changed = statistics->files_changed,
                                     .removed = statistics->files_removed,
                                     .new_bytes = statistics->bytes_new,
                                     .written_bytes = statistics->bytes_written,
                                     .compressed = info->compressed};
}

// The first backup of a source is all new: it says nothing of how much changes.
static bool take_earlier(const struct mos_backup *earlier, void *argument) {
    struct history *history = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__BackupInfo *info =
        earlier->created_at_unix_ns < history->backup->created_at_unix_ns ? info_of(earlier, arena) : NULL;
    if (info && *info->base_id && same_source(info, history->info)) {
        history->shapes[history->count++] = shape_of(info);
    }
    return history->count < MOS_ANOMALY_MOST_HISTORY && ++history->looked < MOST_LOOKED_AT;
}

static const char *anomaly_cause(mos_arena *arena, const char *backup_id) {
    return mos_arena_printf(arena, "anomaly:%s", backup_id);
}

mos_status mos_monitor_lift_quarantine(mos_catalog_session *session, const char *backup_id, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_status status = mos_catalog_quarantine_backup(session, backup_id, NULL, error);
    return status == MOS_OK ? mos_alert_resolve_in(session, anomaly_cause(arena, backup_id), error) : status;
}

mos_status mos_monitor_judge_shape(mos_catalog_session *session, const struct mos_backup *backup, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct history history = {.backup = backup, .info = info_of(backup, arena)};
    if (!history.info) {
        return MOS_OK;
    }
    mos_status status = mos_catalog_good_backups(session, backup->type, take_earlier, &history, error);
    struct mos_backup_shape shape = shape_of(history.info);
    char reason[400];
    bool grave = false;
    if (status != MOS_OK || !mos_anomaly_find(&shape, history.shapes, history.count, reason, sizeof(reason), &grave)) {
        return status;
    }
    const struct mos_alert_detail details[] = {{"name", backup->name}, {"reason", reason}};
    const struct mos_alert_cause found = {
        .type = MOS_ALERT_ANOMALY,
        .severity = grave ? MOS_SEVERITY_CRITICAL : MOS_SEVERITY_WARNING,
        .cause = anomaly_cause(arena, backup->id),
        .backup_id = backup->id,
        .message = mos_arena_printf(
            arena, "the %s backup \"%s\" is unlike those before it: %s; earlier backups are kept until somebody has looked",
            mos_backup_type_word(backup->type), backup->name, reason),
        .details = details,
        .detail_count = 2};
    status = mos_alert_raise_in(session, &found, error);
    return status == MOS_OK ? mos_catalog_quarantine_backup(session, backup->id, reason, error) : status;
}
