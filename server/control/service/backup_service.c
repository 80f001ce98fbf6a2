// BackupService: backups themselves.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "control/alert/monitor.h"
#include "control/catalog/retention.h"
#include "control/service/internal.h"

#define TYPE_WORDS "FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION"
#define STATUS_WORDS "PENDING, IN_PROGRESS, COMPLETED, FAILED, VERIFYING, VERIFIED, EXPIRED or CANCELLED"

// In characters.
enum { QUARANTINE_REASON_MOST = 400 };

static mos_status answer_backup(struct mos_services *services, struct mos_call *call, const char *id,
                                Mosaajii__Backup__V1__Backup *response) {
    struct mos_backup backup;
    mos_status status = mos_read_backup(services, call, id, &backup);
    if (status != MOS_OK) {
        return status;
    }
    return mos_make_backup(mos_call_arena(call), &backup, response) ? MOS_OK : mos_fail_memory(call);
}

// ---- Create ----

mos_status mos_check_create(const mos_settings *settings, const Mosaajii__Backup__V1__CreateBackupRequest *request,
                            struct mos_error *error) {
    mos_status status = mos_check_enum("type", (int)request->type, MOS_BACKUP_CONFIGURATION, false, TYPE_WORDS, error);
    if (status == MOS_OK) {
        status = mos_check_text("name", request->name, MOS_NAME_MOST, error);
    }
    if (status == MOS_OK && request->_retention_days_case) {
        status = mos_check_number("retentionDays", request->retention_days, 1, MOS_RETENTION_MOST, error);
    }
    if (status == MOS_OK) {
        status = mos_check_tags("tags", request->tags, request->n_tags, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    if (request->_encryption_enabled_case && !request->encryption_enabled &&
        mos_setting_flag(settings, MOS_SETTING_BACKUP_ENCRYPTION_ENABLED)) {
        return mos_fail_field(
            error, "encryptionEnabled",
            "encryptionEnabled is false; this version always encrypts, and BACKUP_ENCRYPTION_ENABLED is true: allowed is true");
    }
    if (request->_offsite_enabled_case && request->offsite_enabled && !mos_setting_is_set(settings, MOS_SETTING_OFFSITE_PROVIDER)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "offsiteEnabled is true, but OFFSITE_PROVIDER is not set");
    }
    return MOS_OK;
}

static const char *default_name(mos_arena *arena, int type) {
    char text[32];
    time_t seconds = (time_t)(mos_now_unix_ns() / MOS_NS_PER_SECOND);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
    return mos_arena_printf(arena, "%s %s UTC", mos_backup_type_word(type), text);
}

mos_status mos_backup_order_of(const mos_settings *settings, const Mosaajii__Backup__V1__CreateBackupRequest *request,
                               const char *created_by, mos_arena *arena, struct mos_backup_order *out, struct mos_error *error) {
    struct mos_sources sources;
    mos_status status = mos_check_create(settings, request, error);
    if (status == MOS_OK) {
        status = mos_sources_of(settings, (enum mos_backup_type)request->type, arena, &sources, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    *out = (struct mos_backup_order){
        .name = request->name[0] ? request->name : default_name(arena, (int)request->type),
        .type = (enum mos_backup_type)request->type,
        .retention_days = request->_retention_days_case ? request->retention_days
                                                        : (int32_t)mos_setting_number(settings, MOS_SETTING_BACKUP_RETENTION_DAYS),
        .encryption_asked = !request->_encryption_enabled_case || request->encryption_enabled,
        .compressed = request->_compression_enabled_case ? request->compression_enabled
                                                         : mos_setting_flag(settings, MOS_SETTING_BACKUP_COMPRESSION_ENABLED),
        .integrity_check = !request->_integrity_check_enabled_case || request->integrity_check_enabled,
        .read_all = request->read_all,
        .local_only =
            request->_offsite_enabled_case ? !request->offsite_enabled : !mos_setting_is_set(settings, MOS_SETTING_OFFSITE_PROVIDER),
        .settle_seconds = mos_setting_number(settings, MOS_SETTING_BACKUP_SETTLE_SECONDS),
        .skip_caches = mos_setting_flag(settings, MOS_SETTING_BACKUP_EXCLUDE_CACHES),
        .one_file_system = mos_setting_flag(settings, MOS_SETTING_BACKUP_ONE_FILE_SYSTEM),
        .tags = request->tags,
        .tag_count = request->n_tags,
        .created_by = created_by,
        .paths = sources.paths,
        .path_count = sources.path_count,
        .databases = sources.databases,
        .database_count = sources.database_count,
        .excludes = sources.excludes,
        .exclude_count = sources.exclude_count,
        .sentinel = sources.sentinel,
    };
    return MOS_OK;
}

BACKUP_HANDLER(create_backup, CreateBackupRequest, Backup) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_backup_order order;
    char id[MOS_ID_TEXT_BYTES];
    mos_status status = mos_backup_order_of(services->settings, request, mos_call_caller_name(call), mos_call_arena(call), &order, error);
    if (status == MOS_OK) {
        status = mos_queue_backup(services->queue, &order, id, error);
    }
    if (status == MOS_OK) {
        status = answer_backup(services, call, id, response);
    }
    if (status == MOS_OK) {
        // The job may have begun meanwhile; the answer is the record in its first state.
        response->status = MOSAAJII__BACKUP__V1__BACKUP__STATUS__PENDING;
    }
    return status;
}

// ---- List and get ----

BACKUP_HANDLER(list_backups, ListBackupsRequest, ListBackupsResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_backup_filter filter = {.type = (enum mos_backup_type)request->type,
                                       .status = (enum mos_backup_status)request->status,
                                       .tags = request->tags,
                                       .tag_count = request->n_tags};
    mos_status status = mos_check_enum("type", (int)request->type, MOS_BACKUP_CONFIGURATION, true, TYPE_WORDS, error);
    if (status == MOS_OK) {
        status = mos_check_enum("status", (int)request->status, MOS_BACKUP_CANCELLED, true, STATUS_WORDS, error);
    }
    if (status == MOS_OK) {
        status = mos_check_tags("tags", request->tags, request->n_tags, error);
    }
    if (status == MOS_OK) {
        status = mos_check_time("createdAfter", request->created_after, &filter.created_after_unix_ns, error);
    }
    if (status == MOS_OK) {
        status = mos_check_time("createdBefore", request->created_before, &filter.created_before_unix_ns, error);
    }
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    if (status == MOS_OK) {
        status = mos_catalog_read_begin(services->catalog, &session, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    const struct mos_page page = {request->page_size, request->page_token};
    struct mos_backup *backups;
    size_t count = 0;
    const char *next;
    status = mos_catalog_list_backups(session, &filter, &page, arena, &backups, &count, &next, error);
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__Backup *messages = mos_arena_array(arena, Mosaajii__Backup__V1__Backup, count);
    response->backups = mos_arena_array(arena, Mosaajii__Backup__V1__Backup *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->backups || !mos_make_backup(arena, &backups[i], &messages[i])) {
            return mos_fail_memory(call);
        }
        response->backups[i] = &messages[i];
    }
    response->n_backups = count;
    response->next_page_token = (char *)next;
    return MOS_OK;
}

BACKUP_HANDLER(get_backup, GetBackupRequest, Backup) {
    return answer_backup(mos_call_user(call), call, request->backup_id, response);
}

// ---- Update ----

struct update {
    const Mosaajii__Backup__V1__UpdateBackupRequest *request;
    int64_t locked_until_unix_ns;
    bool by_admin;
};

// What keeps a backup does not come to one that is on its way out.
static mos_status check_stays(mos_catalog_session *session, const struct mos_backup *backup, mos_arena *arena, struct mos_error *error) {
    struct mos_job *jobs;
    size_t count = 0;
    mos_status status = mos_catalog_active_jobs(session, backup->id, arena, &jobs, &count, error);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        if (jobs[i].kind == MOS_JOB_DELETE) {
            status = mos_fail(error, MOS_FAILED_PRECONDITION, "the backup is being deleted by the job %s", jobs[i].id);
        }
    }
    return status;
}

// A lock goes forward only, a hold is put on by anybody who may change the backup and taken off by an administrator.
static mos_status change_lock(mos_catalog_session *session, const struct update *change, struct mos_backup *backup, mos_arena *arena,
                              struct mos_error *error) {
    const Mosaajii__Backup__V1__UpdateBackupRequest *request = change->request;
    if (!request->locked_until && !request->_legal_hold_case) {
        return MOS_OK;
    }
    if (request->locked_until && !change->by_admin) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "only an administrator may lock a backup");
    }
    if (backup->legal_hold && request->_legal_hold_case && !request->legal_hold && !change->by_admin) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "only an administrator may take off a legal hold");
    }
    if (request->locked_until && change->locked_until_unix_ns < backup->locked_until_unix_ns) {
        char until[MOS_TIME_TEXT_BYTES];
        mos_time_format(backup->locked_until_unix_ns, until);
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup is locked until %s; a lock is never moved back", until);
    }
    mos_status status = check_stays(session, backup, arena, error);
    backup->locked_until_unix_ns = request->locked_until ? change->locked_until_unix_ns : backup->locked_until_unix_ns;
    backup->legal_hold = request->_legal_hold_case ? request->legal_hold : backup->legal_hold;
    return status;
}

// As with a hold: anybody who may change the backup puts it in, an administrator takes it out.
static mos_status change_quarantine(mos_catalog_session *session, const struct update *change, const struct mos_backup *backup,
                                    mos_arena *arena, struct mos_error *error) {
    const Mosaajii__Backup__V1__UpdateBackupRequest *request = change->request;
    if (!request->_quarantined_case) {
        return MOS_OK;
    }
    if (backup->quarantined && !request->quarantined && !change->by_admin) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "only an administrator may lift a quarantine");
    }
    mos_status status = check_stays(session, backup, arena, error);
    if (status != MOS_OK) {
        return status;
    }
    return request->quarantined ? mos_catalog_quarantine_backup(session, backup->id, request->quarantine_reason, error)
                                : mos_monitor_lift_quarantine(session, backup->id, error);
}

static mos_status update(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct update *change = argument;
    const Mosaajii__Backup__V1__UpdateBackupRequest *request = change->request;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup;
    mos_status status = mos_catalog_get_backup(session, request->backup_id, arena, &backup, error);
    if (status != MOS_OK) {
        return status;
    }
    if (request->_name_case) {
        backup.name = request->name;
    }
    if (request->_retention_days_case) {
        backup.retention_days = request->retention_days;
    }
    if (request->replace_tags) {
        backup.tags = (const char *const *)request->tags;
        backup.tag_count = request->n_tags;
    }
    status = change_lock(session, change, &backup, arena, error);
    if (status == MOS_OK) {
        status = change_quarantine(session, change, &backup, arena, error);
    }
    status = status == MOS_OK ? mos_catalog_put_backup(session, &backup, error) : status;
    return status == MOS_OK ? mos_catalog_note_change(session, error) : status;
}

static mos_status check_quarantine(const Mosaajii__Backup__V1__UpdateBackupRequest *request, struct mos_error *error) {
    bool puts_in = request->_quarantined_case && request->quarantined;
    if (puts_in && !*request->quarantine_reason) {
        return mos_fail_field(error, "quarantineReason", "quarantineReason must not be empty where quarantined is true");
    }
    if (!puts_in && *request->quarantine_reason) {
        return mos_fail_field(error, "quarantineReason", "quarantineReason is allowed only where quarantined is true");
    }
    return mos_check_text("quarantineReason", request->quarantine_reason, QUARANTINE_REASON_MOST, error);
}

static mos_status check_update(const Mosaajii__Backup__V1__UpdateBackupRequest *request, struct mos_error *error) {
    mos_status status = mos_check_id("backupId", request->backup_id, error);
    if (status == MOS_OK && request->_name_case) {
        status = *request->name ? mos_check_text("name", request->name, MOS_NAME_MOST, error)
                                : mos_fail_field(error, "name", "name must not be empty");
    }
    if (status == MOS_OK && request->_retention_days_case) {
        status = mos_check_number("retentionDays", request->retention_days, 1, MOS_RETENTION_MOST, error);
    }
    if (status == MOS_OK) {
        status = mos_check_tags("tags", request->tags, request->n_tags, error);
    }
    if (status == MOS_OK && request->n_tags > 0 && !request->replace_tags) {
        status = mos_fail_field(error, "replaceTags", "replaceTags must be true where tags are given");
    }
    return status == MOS_OK ? check_quarantine(request, error) : status;
}

// To keep a backup for fewer days is to delete it, only later: it takes the same right, and the same second person.
static mos_status check_shortening(struct mos_services *services, struct mos_call *call,
                                   const Mosaajii__Backup__V1__UpdateBackupRequest *request) {
    struct mos_backup backup;
    if (!request->_retention_days_case) {
        return MOS_OK;
    }
    mos_status status = mos_read_backup(services, call, request->backup_id, &backup);
    if (status != MOS_OK || request->retention_days >= backup.retention_days) {
        return status;
    }
    if (!mos_access_may(call, "/mosaajii.backup.v1.BackupService/DeleteBackup")) {
        return mos_fail(mos_call_error(call), MOS_PERMISSION_DENIED,
                        "only who may delete a backup may keep it for fewer days than the %d that it is kept for", backup.retention_days);
    }
    return mos_access_need_second(services->access, call,
                                  mos_arena_printf(mos_call_arena(call), "%s, kept for %d days instead of %d", request->backup_id,
                                                   request->retention_days, backup.retention_days));
}

BACKUP_HANDLER(update_backup, UpdateBackupRequest, Backup) {
    struct mos_services *services = mos_call_user(call);
    const struct mos_identity *identity = mos_call_caller(call);
    struct update change = {.request = request, .by_admin = identity && identity->role == MOS_ROLE_ADMIN};
    mos_status status = check_update(request, mos_call_error(call));
    if (status == MOS_OK) {
        status = mos_check_time("lockedUntil", request->locked_until, &change.locked_until_unix_ns, mos_call_error(call));
    }
    if (status == MOS_OK) {
        status = check_shortening(services, call, request);
    }
    if (status == MOS_OK) {
        status = mos_catalog_write(services->catalog, update, &change, mos_call_error(call));
    }
    return status == MOS_OK ? answer_backup(services, call, request->backup_id, response) : status;
}

// ---- Verify ----

static bool make_verification(mos_arena *arena, const struct mos_job *job, const Mosaajii__Engine__V1__Verification *from,
                              Mosaajii__Backup__V1__Verification *out) {
    out->backup_id = (char *)job->backup_id;
    out->checksum_valid = from->checksum_valid;
    out->encryption_valid = from->encryption_valid;
    out->size_valid = from->size_valid;
    out->valid = from->checksum_valid && from->encryption_valid && from->size_valid;
    out->errors = from->errors;
    out->n_errors = from->n_errors;
    out->damaged_files = from->damaged_files;
    out->objects_checked = from->objects_checked;
    out->bytes_checked = from->bytes_checked;
    out->damaged_paths = mos_arena_array(arena, char *, from->n_damaged_paths);
    for (size_t i = 0; i < from->n_damaged_paths; i++) {
        if (!out->damaged_paths ||
            !(out->damaged_paths[i] = mos_path_escape(arena, from->damaged_paths[i].data, from->damaged_paths[i].len))) {
            return false;
        }
    }
    out->n_damaged_paths = from->n_damaged_paths;
    return mos_make_time(arena, job->completed_at_unix_ns, &out->verified_at);
}

// A job that ended without what was asked for, as the error of the call that waited for it.
static mos_status fail_job(struct mos_call *call, const struct mos_job *job, const Mosaajii__Engine__V1__Result *result) {
    struct mos_error *error = mos_call_error(call);
    if (job->status == MOS_JOB_CANCELLED) {
        return mos_fail(error, MOS_ABORTED, "the job %s was cancelled", job->id);
    }
    mos_status status = result ? mos_status_from_name(result->status) : MOS_INTERNAL;
    // Nothing is wrong with what was asked for: it can be asked again when the server is back.
    bool stopped = (!result || status == MOS_CANCELLED) && mos_queue_is_stopping(((struct mos_services *)mos_call_user(call))->queue);
    return mos_fail(error, stopped ? MOS_UNAVAILABLE : status == MOS_OK ? MOS_INTERNAL : status, "%s", job->message);
}

// Waits for the job. A call that ends before takes a verification with it, and lets a deletion go on.
static mos_status wait_for(struct mos_services *services, struct mos_call *call, const char *job_id, bool cancel, struct mos_job *out) {
    struct mos_error *error = mos_call_error(call);
    mos_call_wakes_catalog(call, services->catalog);
    mos_status status = mos_queue_wait(services->queue, job_id, mos_call_is_over, call, mos_call_arena(call), out, error);
    mos_call_wakes_nobody(call);
    if (status == MOS_CANCELLED) {
        if (cancel) {
            struct mos_error ignored;
            mos_queue_cancel(services->queue, job_id, &ignored);
        }
        return mos_call_fail_cancelled(call);
    }
    return status;
}

BACKUP_HANDLER(verify_backup, VerifyBackupRequest, Verification) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_job job;
    mos_status status = mos_check_id("backupId", request->backup_id, error);
    if (status == MOS_OK) {
        status = mos_queue_verify(services->queue, request->backup_id, mos_call_caller_name(call), job_id, error);
    }
    if (status == MOS_OK) {
        status = wait_for(services, call, job_id, true, &job);
    }
    if (status != MOS_OK) {
        return status;
    }
    const Mosaajii__Engine__V1__Result *result = mos_job_result(mos_call_arena(call), &job);
    if (!result || result->result_case != MOSAAJII__ENGINE__V1__RESULT__RESULT_VERIFICATION) {
        return fail_job(call, &job, result);
    }
    const Mosaajii__Engine__V1__Verification *found = result->verification;
    struct mos_error cause;
    if (found->error_count > 0 && mos_offsite_hurt(services->offsite, found->errors, found->n_errors, mos_call_arena(call),
                                                   &response->hurt_backups, &response->n_hurt_backups, &cause) != MOS_OK) {
        mos_log_warning("which backups damage has hurt cannot be told", MOS_TEXT("reason", cause.message));
    }
    return make_verification(mos_call_arena(call), &job, found, response) ? MOS_OK : mos_fail_memory(call);
}

// ---- Delete ----

// What lies at other places is not deleted with it, and opens there as before.
static mos_status tell_copies(struct mos_services *services, struct mos_call *call, const char *backup_id,
                              Mosaajii__Backup__V1__DeleteBackupResponse *response) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    const char *places = "";
    mos_status status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
    if (status == MOS_OK) {
        status = mos_catalog_places_of(session, backup_id, mos_call_arena(call), &places, mos_call_error(call));
    }
    if (status == MOS_OK && *places) {
        response->message =
            mos_arena_printf(mos_call_arena(call), "%s; a copy that can still be opened is left at %s", response->message, places);
    }
    return status != MOS_OK || response->message ? status : mos_fail_memory(call);
}

BACKUP_HANDLER(delete_backup, DeleteBackupRequest, DeleteBackupResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_backup backup;
    struct mos_job job;
    mos_status status = mos_read_backup(services, call, request->backup_id, &backup);
    if (status == MOS_OK) {
        status = mos_access_need_second(services->access, call, request->backup_id);
    }
    if (status == MOS_OK) {
        status = mos_queue_delete(services->queue, request->backup_id, mos_call_caller_name(call), job_id, mos_call_error(call));
    }
    if (status == MOS_OK) {
        status = wait_for(services, call, job_id, false, &job);
    }
    if (status != MOS_OK) {
        return status;
    }
    const Mosaajii__Engine__V1__Result *result = mos_job_result(arena, &job);
    if (job.status != MOS_JOB_SUCCEEDED) {
        return fail_job(call, &job, result);
    }
    if (result && result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_DELETION) {
        const Mosaajii__Engine__V1__Deletion *deletion = result->deletion;
        char freed[MOS_SIZE_TEXT_BYTES], pending[MOS_SIZE_TEXT_BYTES];
        mos_size_format(deletion->bytes_freed, freed);
        mos_size_format(deletion->bytes_pending, pending);
        response->bytes_freed = deletion->bytes_freed;
        response->bytes_pending = deletion->bytes_pending;
        response->packs_removed = deletion->packs_removed;
        response->n_packs_removed = deletion->n_packs_removed;
        response->packs_kept = deletion->packs_kept;
        response->n_packs_kept = deletion->n_packs_kept;
        response->packs_removed_count = deletion->packs_removed_count;
        response->packs_kept_count = deletion->packs_kept_count;
        response->message = deletion->bytes_pending > 0
                                ? mos_arena_printf(arena, "Backup %s was deleted: %s freed, %s will be when running jobs have ended",
                                                   backup.id, freed, pending)
                                : mos_arena_printf(arena, "Backup %s was deleted: %s freed", backup.id, freed);
    } else {
        response->message = mos_arena_printf(arena, "Backup %s was deleted: the repository held nothing of it", backup.id);
    }
    return response->message ? tell_copies(services, call, backup.id, response) : mos_fail_memory(call);
}

// ---- Cancel ----

BACKUP_HANDLER(cancel_backup, CancelBackupRequest, Backup) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_backup backup;
    mos_status status = mos_read_backup(services, call, request->backup_id, &backup);
    struct mos_job *jobs;
    size_t count = 0;
    if (status == MOS_OK) {
        MOS_CLEANUP_READ mos_catalog_session *session = NULL;
        status = mos_catalog_read_begin(services->catalog, &session, error);
        if (status == MOS_OK) {
            status = mos_catalog_active_jobs(session, request->backup_id, arena, &jobs, &count, error);
        }
    }
    if (status == MOS_OK) {
        status = mos_queue_cancel_backup(services->queue, request->backup_id, error);
    }
    // Their processes are gone; what is left is to write it down.
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        struct mos_job job;
        status = wait_for(services, call, jobs[i].id, false, &job);
    }
    return status == MOS_OK ? answer_backup(services, call, request->backup_id, response) : status;
}
