#include "control/job/record.h"

#include <stdio.h>
#include <string.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "control/catalog/audit.h"
#include "control/catalog/offsite.h"
#include "control/catalog/retention.h"
#include "control/job/facts.h"

typedef Mosaajii__Engine__V1__BackupRecord backup_record;

static bool is_active(const struct mos_job *job) {
    return job->status == MOS_JOB_PENDING || job->status == MOS_JOB_RUNNING;
}

static bool is_committed(const struct mos_backup *backup) {
    return backup->encrypted_checksum[0] != 0;
}

// What the status of a committed backup is while no job is at work on it.
static enum mos_backup_status resting_status(const struct mos_backup *backup) {
    return backup->damaged ? MOS_BACKUP_FAILED : backup->verified_at_unix_ns ? MOS_BACKUP_VERIFIED : MOS_BACKUP_COMPLETED;
}

// *out_found is false, and *out empty, where the backup has been deleted.
static mos_status find_backup(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_backup *out, bool *out_found,
                              struct mos_error *error) {
    struct mos_error missing;
    mos_status status = mos_catalog_get_backup(session, id, arena, out, &missing);
    *out_found = status == MOS_OK;
    if (status == MOS_NOT_FOUND) {
        memset(out, 0, sizeof(*out));
        return MOS_OK;
    }
    if (status != MOS_OK && error) {
        *error = missing;
    }
    return status;
}

static mos_status add_event(mos_catalog_session *session, enum mos_event_kind kind, const struct mos_job *job,
                            enum mos_backup_status backup_status, const struct mos_progress *progress, const char *message,
                            struct mos_error *error) {
    struct mos_event event = {.time_unix_ns = mos_now_unix_ns(),
                              .kind = kind,
                              .job_id = job->id,
                              .job_kind = job->kind,
                              .job_status = job->status,
                              .backup_id = job->backup_id,
                              .backup_status = backup_status,
                              .message = message};
    if (progress) {
        event.progress = *progress;
    }
    return mos_catalog_add_event(session, &event, error);
}

// ---- Queued ----

static mos_status check_backup(mos_catalog_session *session, const struct mos_job *job, mos_arena *arena, struct mos_backup *out,
                               struct mos_error *error) {
    mos_status status = mos_catalog_get_backup(session, job->backup_id, arena, out, error);
    struct mos_job *active;
    size_t count = 0;
    int64_t now_unix_ns = 0;
    if (status == MOS_OK) {
        status = mos_catalog_active_jobs(session, job->backup_id, arena, &active, &count, error);
    }
    // A lock does not end because somebody set the clock.
    if (status == MOS_OK && job->kind == MOS_JOB_DELETE && out->locked_until_unix_ns) {
        status = mos_catalog_trusted_now(session, &now_unix_ns, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        if (job->kind == MOS_JOB_DELETE) {
            return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup is being used by the %s job %s; cancel it or wait for its end",
                            mos_job_kind_word(active[i].kind), active[i].id);
        }
        if (active[i].kind == MOS_JOB_DELETE) {
            return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup is being deleted by the job %s", active[i].id);
        }
    }
    if (job->kind == MOS_JOB_DELETE && out->legal_hold) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup is under a legal hold: nobody may delete it until that is taken off");
    }
    if (job->kind == MOS_JOB_DELETE && out->locked_until_unix_ns > now_unix_ns) {
        char until[MOS_TIME_TEXT_BYTES];
        mos_time_format(out->locked_until_unix_ns, until);
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup is locked until %s: nobody may delete it before%s", until,
                        out->locked_until_unix_ns > mos_now_unix_ns() ? "" : ", and the clock, which is ahead, is not believed");
    }
    if (job->kind != MOS_JOB_DELETE && !is_committed(out)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup is not complete: its status is %s",
                        mos_backup_status_word(out->status));
    }
    return MOS_OK;
}

// Work on the whole repository.
static mos_status check_only_one(mos_catalog_session *session, const struct mos_job *job, mos_arena *arena, struct mos_error *error) {
    struct mos_job *active;
    size_t count = 0;
    mos_status status = mos_catalog_active_jobs(session, NULL, arena, &active, &count, error);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        if (active[i].kind == job->kind) {
            status = mos_fail(error, MOS_FAILED_PRECONDITION, "the %s job %s is %s already; wait for its end, or cancel it",
                              mos_job_kind_word(job->kind), active[i].id, active[i].status == MOS_JOB_RUNNING ? "running" : "waiting");
        }
    }
    return status;
}

struct queued {
    const struct mos_job *job;
    const struct mos_backup *backup;
    mos_catalog_change also;
    void *also_argument;
};

static mos_status queued(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct queued *change = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup;
    mos_status status;
    if (change->backup) {
        backup = *change->backup;
        status = mos_catalog_put_backup(session, &backup, error);
    } else if (*change->job->backup_id) {
        status = check_backup(session, change->job, arena, &backup, error);
    } else {
        memset(&backup, 0, sizeof(backup));
        // A second rewrapping is for a version that came while the first one ran.
        status = change->job->kind == MOS_JOB_KEY_REWRAP ? MOS_OK : check_only_one(session, change->job, arena, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_put_job(session, change->job, error);
    }
    if (status == MOS_OK) {
        status = add_event(session, MOS_EVENT_QUEUED, change->job, backup.status, NULL, "", error);
    }
    return status == MOS_OK && change->also ? change->also(session, change->also_argument, error) : status;
}

mos_status mos_record_queued(mos_catalog *catalog, const struct mos_job *job, const struct mos_backup *backup, struct mos_error *error) {
    return mos_record_queued_with(catalog, job, backup, NULL, NULL, error);
}

mos_status mos_record_queued_with(mos_catalog *catalog, const struct mos_job *job, const struct mos_backup *backup, mos_catalog_change also,
                                  void *also_argument, struct mos_error *error) {
    struct queued change = {job, backup, also, also_argument};
    return mos_catalog_write(catalog, queued, &change, error);
}

// ---- Started ----

static mos_status started(mos_catalog_session *session, void *argument, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job job;
    struct mos_backup backup;
    bool found = false;
    mos_status status = mos_catalog_get_job(session, argument, arena, &job, error);
    if (status == MOS_OK) {
        status = find_backup(session, job.backup_id, arena, &backup, &found, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    job.status = MOS_JOB_RUNNING;
    job.started_at_unix_ns = mos_now_unix_ns();
    status = mos_catalog_put_job(session, &job, error);
    if (status == MOS_OK && found && (job.kind == MOS_JOB_BACKUP || job.kind == MOS_JOB_VERIFY)) {
        backup.status = job.kind == MOS_JOB_BACKUP ? MOS_BACKUP_IN_PROGRESS : MOS_BACKUP_VERIFYING;
        status = mos_catalog_put_backup(session, &backup, error);
    }
    return status == MOS_OK ? add_event(session, MOS_EVENT_STARTED, &job, backup.status, NULL, "", error) : status;
}

mos_status mos_record_started(mos_catalog *catalog, const char *job_id, struct mos_error *error) {
    return mos_catalog_write(catalog, started, (void *)job_id, error);
}

// ---- Progress ----

struct progressed {
    const char *job_id;
    const struct mos_progress *progress;
    const char *const *warnings;
    size_t warning_count;
};

static mos_status progressed(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct progressed *change = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job job;
    struct mos_backup backup;
    bool found = false;
    mos_status status = mos_catalog_get_job(session, change->job_id, arena, &job, error);
    if (status == MOS_OK) {
        status = find_backup(session, job.backup_id, arena, &backup, &found, error);
    }
    for (size_t i = 0; i < change->warning_count && status == MOS_OK; i++) {
        status = add_event(session, MOS_EVENT_WARNING, &job, backup.status, NULL, change->warnings[i], error);
    }
    if (status == MOS_OK && change->progress) {
        status = add_event(session, MOS_EVENT_PROGRESS, &job, backup.status, change->progress, "", error);
        job.progress = *change->progress;
    }
    job.warnings += (int64_t)change->warning_count;
    return status == MOS_OK ? mos_catalog_put_job(session, &job, error) : status;
}

mos_status mos_record_progress(mos_catalog *catalog, const char *job_id, const struct mos_progress *progress, const char *const *warnings,
                               size_t warning_count, struct mos_error *error) {
    struct progressed change = {job_id, progress, warnings, warning_count};
    return mos_catalog_write(catalog, progressed, &change, error);
}

// ---- Finished ----

static const char prune_due_fact[] = "prune due";

static char *join(mos_arena *arena, char *const *texts, size_t count) {
    MOS_CLEANUP_BUFFER struct mos_buffer joined = MOS_BUFFER_INIT(0);
    for (size_t i = 0; i < count; i++) {
        mos_buffer_printf(&joined, "%s%s", i > 0 ? "," : "", texts[i]);
    }
    return mos_arena_strdup(arena, mos_buffer_text(&joined));
}

static struct mos_blob pack(const ProtobufCMessage *message, mos_arena *arena) {
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *data = mos_arena_alloc(arena, size_bytes);
    protobuf_c_message_pack(message, data);
    return (struct mos_blob){data, size_bytes};
}

// What the repository says of a backup that was committed.
static void take_facts(struct mos_backup *backup, const backup_record *record, const char *repository, mos_arena *arena) {
    const Mosaajii__Engine__V1__BackupInfo *info = record->info;
    backup->completed_at_unix_ns = info->completed_at_unix_ns ? info->completed_at_unix_ns : mos_now_unix_ns();
    if (info->statistics) {
        backup->size_bytes = info->statistics->size;
        backup->encrypted_size_bytes = info->statistics->encrypted_size;
    }
    backup->warnings = info->warnings;
    backup->parent_id = info->parent_id;
    backup->key_id = record->key_id;
    backup->checksum = record->checksum;
    backup->encrypted_checksum = record->encrypted_checksum;
    backup->location = repository;
    backup->encrypted_location =
        record->manifest[0] == '/' ? record->manifest : mos_arena_printf(arena, "%s/%s", repository, record->manifest);
    backup->facts = pack(&record->base, arena);
    backup->status = MOS_BACKUP_COMPLETED;
    backup->message = info->note;
}

// What was said of a committed backup before anything else was.
static const char *note_of(const struct mos_backup *backup, mos_arena *arena) {
    const Mosaajii__Engine__V1__BackupInfo *info = mos_backup_info(&backup->facts, arena);
    return info ? info->note : "";
}

static mos_status follow_up(mos_catalog_session *session, const struct mos_outcome *outcome, const struct mos_job *job,
                            struct mos_error *error) {
    struct mos_job verification = {.id = outcome->verification_id,
                                   .kind = MOS_JOB_VERIFY,
                                   .status = MOS_JOB_PENDING,
                                   .backup_id = job->backup_id,
                                   .created_at_unix_ns = mos_now_unix_ns(),
                                   .created_by = job->created_by};
    mos_status status = mos_catalog_put_job(session, &verification, error);
    if (status == MOS_OK) {
        status = add_event(session, MOS_EVENT_QUEUED, &verification, MOS_BACKUP_COMPLETED, NULL, "", error);
    }
    *outcome->out_followed = status == MOS_OK;
    return status;
}

static void settle_backup(const struct mos_outcome *outcome, struct mos_backup *backup, mos_arena *arena) {
    if (outcome->committed) {
        take_facts(backup, outcome->committed, outcome->repository, arena);
        return;
    }
    backup->status = outcome->status == MOS_JOB_CANCELLED ? MOS_BACKUP_CANCELLED : MOS_BACKUP_FAILED;
    backup->completed_at_unix_ns = mos_now_unix_ns();
    backup->message = outcome->message;
}

// A verification that could not be done leaves the backup what it was.
static mos_status settle_verified(mos_catalog_session *session, const struct mos_outcome *outcome, const struct mos_job *job,
                                  struct mos_backup *backup, mos_arena *arena, struct mos_error *error) {
    const Mosaajii__Engine__V1__Verification *found = NULL;
    if (outcome->result && outcome->result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_VERIFICATION) {
        found = outcome->result->verification;
    }
    if (found) {
        backup->damaged = !(found->checksum_valid && found->encryption_valid && found->size_valid);
        backup->verified_at_unix_ns = mos_now_unix_ns();
        backup->message = backup->damaged ? outcome->message : note_of(backup, arena);
    } else if (!backup->damaged) {
        backup->message = mos_arena_printf(arena, "The last verification was not finished: %s", outcome->message);
    }
    struct mos_job *active;
    size_t count = 0;
    mos_status status = mos_catalog_active_jobs(session, backup->id, arena, &active, &count, error);
    backup->status = resting_status(backup);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        if (active[i].kind == MOS_JOB_VERIFY && active[i].status == MOS_JOB_RUNNING && strcmp(active[i].id, job->id) != 0) {
            backup->status = MOS_BACKUP_VERIFYING;
        }
    }
    return status;
}

static const char *number(mos_arena *arena, int64_t value) {
    return mos_arena_printf(arena, "%lld", (long long)value);
}

// What came of the job, in the audit trail: who asked for it, and of a deletion which packs are gone for good and which live on.
static mos_status audit_end(mos_catalog_session *session, const struct mos_outcome *outcome, const struct mos_job *job, mos_arena *arena,
                            struct mos_error *error) {
    struct mos_audit_detail details[9];
    size_t count = 0;
    details[count++] = (struct mos_audit_detail){"jobId", job->id};
    details[count++] = (struct mos_audit_detail){"status", mos_job_status_word(job->status)};
    if (*job->message) {
        details[count++] = (struct mos_audit_detail){"message", job->message};
    }
    const Mosaajii__Engine__V1__Result *result = outcome->result;
    if (result && result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_DELETION) {
        const Mosaajii__Engine__V1__Deletion *deletion = result->deletion;
        details[count++] = (struct mos_audit_detail){"packsRemoved", join(arena, deletion->packs_removed, deletion->n_packs_removed)};
        details[count++] = (struct mos_audit_detail){"packsKept", join(arena, deletion->packs_kept, deletion->n_packs_kept)};
        details[count++] = (struct mos_audit_detail){"packsRemovedCount", number(arena, deletion->packs_removed_count)};
        details[count++] = (struct mos_audit_detail){"packsKeptCount", number(arena, deletion->packs_kept_count)};
        details[count++] = (struct mos_audit_detail){"bytesFreed", number(arena, deletion->bytes_freed)};
        // There it can be opened as before.
        const char *places = "";
        mos_status status = mos_catalog_places_of(session, job->backup_id, arena, &places, error);
        if (status != MOS_OK) {
            return status;
        }
        if (*places) {
            details[count++] = (struct mos_audit_detail){"copiesLeftAt", places};
        }
    }
    bool done = job->status == MOS_JOB_SUCCEEDED || job->status == MOS_JOB_SUCCEEDED_WITH_WARNINGS;
    mos_status status = job->status == MOS_JOB_CANCELLED ? MOS_CANCELLED : result ? mos_status_from_name(result->status) : MOS_INTERNAL;
    const struct mos_audit_entry entry = {.actor = *job->created_by ? job->created_by : "system",
                                          .action = mos_arena_printf(arena, "Job.%s", mos_job_kind_word(job->kind)),
                                          .resource = *job->backup_id ? job->backup_id : job->id,
                                          .result = mos_status_name(done               ? MOS_OK
                                                                    : status == MOS_OK ? MOS_DATA_LOSS
                                                                                       : status),
                                          .details = details,
                                          .detail_count = count};
    return mos_catalog_add_audit(session, &entry, error);
}

// Outlives the server: what a deletion left behind is still there after a restart.
static mos_status note_prune_due(mos_catalog_session *session, const struct mos_job *job, const Mosaajii__Engine__V1__Result *result,
                                 struct mos_error *error) {
    if (result && result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_DELETION && result->deletion->bytes_pending > 0) {
        return mos_catalog_put_fact(session, prune_due_fact, "yes", error);
    }
    bool pruned = job->status == MOS_JOB_SUCCEEDED || job->status == MOS_JOB_SUCCEEDED_WITH_WARNINGS;
    return pruned && result && result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_PRUNE && !result->prune->dry_run
               ? mos_catalog_put_fact(session, prune_due_fact, "", error)
               : MOS_OK;
}

mos_status mos_record_prune_due(mos_catalog *catalog, bool *out, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    const char *fact = "";
    mos_status status = mos_catalog_read_begin(catalog, &session, error);
    status = status == MOS_OK ? mos_catalog_get_fact(session, prune_due_fact, arena, &fact, error) : status;
    *out = status == MOS_OK && *fact;
    return status;
}

static mos_status finished(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct mos_outcome *outcome = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job job;
    struct mos_backup backup;
    bool found = false;
    *outcome->out_followed = false;
    mos_status status = mos_catalog_get_job(session, outcome->job_id, arena, &job, error);
    if (status != MOS_OK || !is_active(&job)) {
        return status;
    }
    status = find_backup(session, job.backup_id, arena, &backup, &found, error);
    if (status != MOS_OK) {
        return status;
    }
    job.status = outcome->status;
    job.message = outcome->message;
    job.completed_at_unix_ns = mos_now_unix_ns();
    if (outcome->result) {
        job.result = pack(&outcome->result->base, arena);
        job.warnings = outcome->result->warnings > job.warnings ? outcome->result->warnings : job.warnings;
    }
    if (found && job.kind == MOS_JOB_BACKUP) {
        settle_backup(outcome, &backup, arena);
    } else if (found && job.kind == MOS_JOB_VERIFY) {
        status = settle_verified(session, outcome, &job, &backup, arena, error);
    }
    if (status == MOS_OK && found && outcome->deleted) {
        status = mos_catalog_remove_backup(session, backup.id, error);
        memset(&backup, 0, sizeof(backup));
    } else if (status == MOS_OK && found) {
        status = mos_catalog_put_backup(session, &backup, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_put_job(session, &job, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_thin_events(session, job.id, error);
    }
    if (status == MOS_OK) {
        status = add_event(session, MOS_EVENT_FINISHED, &job, backup.status, NULL, job.message, error);
    }
    status = status == MOS_OK ? note_prune_due(session, &job, outcome->result, error) : status;
    if (status == MOS_OK && outcome->committed && outcome->verification_id[0] && backup.integrity_check) {
        status = follow_up(session, outcome, &job, error);
    }
    return status == MOS_OK ? audit_end(session, outcome, &job, arena, error) : status;
}

mos_status mos_record_finished(mos_catalog *catalog, const struct mos_outcome *outcome, struct mos_error *error) {
    mos_status status = mos_catalog_write(catalog, finished, (void *)outcome, error);
    // What was done and then could not be committed was not done.
    *outcome->out_followed = status == MOS_OK && *outcome->out_followed;
    return status;
}

// ---- Found ----

struct found {
    const backup_record *record;
    const char *repository;
    bool added;
};

static mos_status found(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct found *change = argument;
    const Mosaajii__Engine__V1__BackupInfo *info = change->record->info;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup;
    bool known = false;
    mos_status status = find_backup(session, info->id, arena, &backup, &known, error);
    change->added = false;
    if (status != MOS_OK || (known && is_committed(&backup))) {
        return status;
    }
    if (!known) {
        backup = (struct mos_backup){.id = info->id,
                                     .name = info->name,
                                     .type = mos_backup_type_from_word(info->type),
                                     .created_at_unix_ns = info->created_at_unix_ns,
                                     .retention_days = info->retention_days,
                                     .tags = (const char *const *)info->tags,
                                     .tag_count = info->n_tags,
                                     .encryption_asked = true,
                                     .compressed = info->compressed,
                                     .created_by = info->created_by};
    }
    take_facts(&backup, change->record, change->repository, arena);
    change->added = true;
    return mos_catalog_put_backup(session, &backup, error);
}

mos_status mos_record_found(mos_catalog *catalog, const backup_record *record, const char *repository, bool *out_added,
                            struct mos_error *error) {
    struct found change = {.record = record, .repository = repository};
    mos_status status = mos_catalog_write(catalog, found, &change, error);
    *out_added = status == MOS_OK && change.added;
    return status;
}

// ---- Rewrapped ----

static mos_status rewrapped(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const Mosaajii__Engine__V1__Rewrapped *change = argument;
    mos_status status = MOS_OK;
    for (size_t i = 0; i < change->n_backup_ids && status == MOS_OK; i++) {
        status = mos_catalog_set_backup_key(session, change->backup_ids[i], change->key_id, error);
    }
    return status;
}

mos_status mos_record_rewrapped(mos_catalog *catalog, const Mosaajii__Engine__V1__Rewrapped *change, struct mos_error *error) {
    return mos_catalog_write(catalog, rewrapped, (void *)change, error);
}

// ---- Orphans ----

static mos_status settle_orphan(mos_catalog_session *session, struct mos_backup *backup, mos_arena *arena, struct mos_error *error) {
    struct mos_job *active;
    size_t count = 0;
    mos_status status = mos_catalog_active_jobs(session, backup->id, arena, &active, &count, error);
    if (status != MOS_OK || count > 0) {
        return status;
    }
    backup->status = is_committed(backup) ? resting_status(backup) : MOS_BACKUP_FAILED;
    if (!is_committed(backup)) {
        backup->message = "The server stopped before the backup was complete";
        backup->completed_at_unix_ns = mos_now_unix_ns();
    }
    return mos_catalog_put_backup(session, backup, error);
}

static mos_status orphans(mos_catalog_session *session, void *argument, struct mos_error *error) {
    (void)argument;
    static const enum mos_backup_status at_work[] = {MOS_BACKUP_PENDING, MOS_BACKUP_IN_PROGRESS, MOS_BACKUP_VERIFYING};
    mos_status status = MOS_OK;
    for (size_t s = 0; s < sizeof(at_work) / sizeof(at_work[0]) && status == MOS_OK; s++) {
        const struct mos_backup_filter filter = {.status = at_work[s]};
        char next[128] = "";
        do {
            MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
            struct mos_backup *backups;
            size_t count = 0;
            const struct mos_page page = {.token = next};
            const char *following = "";
            status = mos_catalog_list_backups(session, &filter, &page, arena, &backups, &count, &following, error);
            for (size_t i = 0; i < count && status == MOS_OK; i++) {
                status = settle_orphan(session, &backups[i], arena, error);
            }
            snprintf(next, sizeof(next), "%s", following);
        } while (*next && status == MOS_OK);
    }
    return status;
}

mos_status mos_record_orphans(mos_catalog *catalog, struct mos_error *error) {
    return mos_catalog_write(catalog, orphans, NULL, error);
}
