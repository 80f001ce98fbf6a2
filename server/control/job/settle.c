// After a server that is gone: every job it left unfinished is given its end, by what the repository says was committed.
#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "common/log.h"
#include "control/job/queue_internal.h"
#include "control/job/record.h"

static mos_status read_unfinished(mos_queue *queue, mos_arena *arena, struct mos_job **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(queue->catalog, &session, error);
    return status == MOS_OK ? mos_catalog_active_jobs(session, NULL, arena, out, out_count, error) : status;
}

static const char *reason_of(const struct mos_job *job) {
    if (job->status == MOS_JOB_PENDING) {
        return "The server stopped before the job began";
    }
    switch (job->kind) {
    case MOS_JOB_BACKUP:
        return "The server stopped while the backup was being taken; what was written is used by the next";
    case MOS_JOB_VERIFY:
        return "The server stopped while the backup was being verified";
    case MOS_JOB_RESTORE:
        return "The server stopped while the backup was being restored; the target holds a part of it";
    case MOS_JOB_DELETE:
        return "The server stopped while the backup was being deleted; delete it again";
    case MOS_JOB_KEY_REWRAP:
        return "The server stopped while keys were being rewrapped; the next one goes on";
    case MOS_JOB_PRUNE:
        return "The server stopped while the repository was being pruned; the next prune goes on";
    case MOS_JOB_CHECK:
        return "The server stopped while the repository was being checked";
    case MOS_JOB_OFFSITE_UPLOAD:
        return "The server stopped while the copy was sent; another job goes on with it";
    case MOS_JOB_OFFSITE_FETCH:
        return "The server stopped while the backup was brought back; fetch it again, what came is kept";
    default:
        return "The server stopped while the job ran";
    }
}

// What became of these the repository alone knows.
static bool asks_repository(const struct mos_job *job) {
    return job->status == MOS_JOB_RUNNING && (job->kind == MOS_JOB_BACKUP || job->kind == MOS_JOB_DELETE);
}

static mos_status settle_job(mos_queue *queue, const struct mos_job *job, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    bool followed;
    struct mos_outcome outcome = {.job_id = job->id,
                                  .status = MOS_JOB_FAILED,
                                  .message = reason_of(job),
                                  .repository = queue->engine.repository,
                                  .verification_id = "",
                                  .out_followed = &followed};
    const Mosaajii__Engine__V1__BackupRecord *record = NULL;
    bool asks = asks_repository(job);
    mos_status status = asks ? mos_queue_find_committed(queue, job->backup_id, arena, &record, error) : MOS_OK;
    if (status != MOS_OK) {
        return mos_fail_context(error, "asking the repository what became of the %s job %s", mos_job_kind_word(job->kind), job->id);
    }
    if (job->kind == MOS_JOB_BACKUP && record && !record->error[0]) {
        outcome.committed = record;
        outcome.status = record->info->warnings > 0 ? MOS_JOB_SUCCEEDED_WITH_WARNINGS : MOS_JOB_SUCCEEDED;
        outcome.message = "The server stopped just after the backup was committed";
    } else if (asks && job->kind == MOS_JOB_DELETE && !record) {
        outcome.deleted = true;
        outcome.status = MOS_JOB_SUCCEEDED;
        outcome.message = "The server stopped just after the backup was deleted";
    }
    status = mos_record_finished(queue->catalog, &outcome, error);
    if (status == MOS_OK) {
        mos_log_info("settled a job of the server before", MOS_TEXT("job", job->id), MOS_TEXT("kind", mos_job_kind_word(job->kind)),
                     MOS_TEXT("backup", job->backup_id), MOS_TEXT("status", mos_job_status_word(outcome.status)),
                     MOS_TEXT("message", outcome.message));
    }
    return status;
}

mos_status mos_queue_settle(mos_queue *queue, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job *jobs;
    size_t count = 0;
    mos_status status = read_unfinished(queue, arena, &jobs, &count, error);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = settle_job(queue, &jobs[i], error);
    }
    return status == MOS_OK ? mos_record_orphans(queue->catalog, error) : status;
}

mos_status mos_queue_settle_later(mos_queue *queue, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job *jobs;
    size_t count = 0;
    mos_status status = read_unfinished(queue, arena, &jobs, &count, error);
    queue->unsettled = mos_calloc(count, sizeof(*queue->unsettled));
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        if (asks_repository(&jobs[i])) {
            snprintf(queue->unsettled[queue->unsettled_count++], MOS_ID_TEXT_BYTES, "%s", jobs[i].id);
        } else {
            status = settle_job(queue, &jobs[i], error);
        }
    }
    // Backups that are at work without a job: those whose job is left have one.
    return status == MOS_OK ? mos_record_orphans(queue->catalog, error) : status;
}

static mos_status settle_one(mos_queue *queue, const char *job_id, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_catalog_session *session = NULL;
    struct mos_job job;
    mos_status status = mos_catalog_read_begin(queue->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_get_job(session, job_id, arena, &job, error);
        mos_catalog_read_end(session);
    }
    return status == MOS_OK ? settle_job(queue, &job, error) : status == MOS_NOT_FOUND ? MOS_OK : status;
}

mos_status mos_queue_settle_rest(mos_queue *queue, struct mos_error *error) {
    mos_status status = MOS_OK;
    pthread_mutex_lock(&queue->settling);
    while (queue->unsettled_count > 0 && status == MOS_OK) {
        status = settle_one(queue, queue->unsettled[queue->unsettled_count - 1], error);
        queue->unsettled_count -= status == MOS_OK;
    }
    pthread_mutex_unlock(&queue->settling);
    return status;
}
