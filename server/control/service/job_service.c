// BackupService: jobs, and watching them.
#include "control/service/internal.h"

// Events read at a time: what a watcher holds in memory, however slow it is.
enum { EVENTS_AT_ONCE = 256 };

static mos_status answer_job(struct mos_services *services, struct mos_call *call, const char *id, Mosaajii__Backup__V1__Job *response) {
    struct mos_job job;
    mos_status status = mos_read_job(services, call, id, &job);
    if (status != MOS_OK) {
        return status;
    }
    return mos_make_job(mos_call_arena(call), &job, response) ? MOS_OK : mos_fail_memory(call);
}

BACKUP_HANDLER(get_job, GetJobRequest, Job) {
    return answer_job(mos_call_user(call), call, request->job_id, response);
}

BACKUP_HANDLER(list_jobs, ListJobsRequest, ListJobsResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    mos_status status = mos_check_enum("kind", (int)request->kind, MOS_JOB_KEY_REWRAP, true,
                                       "BACKUP, VERIFY, RESTORE, DELETE, PRUNE, CHECK, OFFSITE_UPLOAD, OFFSITE_FETCH, OFFSITE_VERIFY or "
                                       "KEY_REWRAP",
                                       error);
    if (status == MOS_OK) {
        status = mos_check_enum("status", (int)request->status, MOS_JOB_CANCELLED, true,
                                "PENDING, RUNNING, SUCCEEDED, SUCCEEDED_WITH_WARNINGS, FAILED or CANCELLED", error);
    }
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    if (status == MOS_OK) {
        status = mos_catalog_read_begin(services->catalog, &session, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    const struct mos_job_filter filter = {(enum mos_job_kind)request->kind, (enum mos_job_status)request->status, request->backup_id};
    const struct mos_page page = {request->page_size, request->page_token};
    struct mos_job *jobs;
    size_t count = 0;
    const char *next;
    status = mos_catalog_list_jobs(session, &filter, &page, arena, &jobs, &count, &next, error);
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__Job *messages = mos_arena_array(arena, Mosaajii__Backup__V1__Job, count);
    response->jobs = mos_arena_array(arena, Mosaajii__Backup__V1__Job *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->jobs || !mos_make_job(arena, &jobs[i], &messages[i])) {
            return mos_fail_memory(call);
        }
        response->jobs[i] = &messages[i];
    }
    response->n_jobs = count;
    response->next_page_token = (char *)next;
    return MOS_OK;
}

BACKUP_HANDLER(cancel_job, CancelJobRequest, Job) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_job job;
    mos_status status = mos_check_id("jobId", request->job_id, error);
    if (status == MOS_OK) {
        // Copies move without an engine, so the queue does not know their jobs.
        status = mos_offsite_cancel(services->offsite, request->job_id, error);
        status = status == MOS_NOT_FOUND ? mos_queue_cancel(services->queue, request->job_id, error) : status;
    }
    if (status == MOS_OK) {
        mos_call_wakes_catalog(call, services->catalog);
        status = mos_queue_wait(services->queue, request->job_id, mos_call_is_over, call, mos_call_arena(call), &job, error);
        mos_call_wakes_nobody(call);
    }
    if (status == MOS_CANCELLED) {
        return mos_call_fail_cancelled(call);
    }
    return status == MOS_OK ? answer_job(services, call, request->job_id, response) : status;
}

// ---- Watching ----

static mos_status send_events(struct mos_call *call, bool of_job, mos_arena *arena, const struct mos_event *events, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Mosaajii__Backup__V1__JobEvent message;
        if (!mos_make_event(arena, &events[i], &message)) {
            return mos_fail_memory(call);
        }
        mos_status status = of_job ? mosaajii_backup_v1_backup_service_watch_job_send(call, &message)
                                   : mosaajii_backup_v1_backup_service_watch_backup_send(call, &message);
        if (status != MOS_OK) {
            return status;
        }
    }
    return MOS_OK;
}

// One round: what is recorded after *after, and whether more may come. All from one view of the catalog, so that the end of the last job
// is never seen without its events.
static mos_status read_round(struct mos_services *services, const char *job_id, const char *backup_id, int64_t after, mos_arena *arena,
                             struct mos_event **out, size_t *out_count, bool *out_active, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin_in_crowd(services->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_list_events(session, job_id, backup_id, after, EVENTS_AT_ONCE, arena, out, out_count, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    if (job_id) {
        struct mos_job job;
        status = mos_catalog_get_job(session, job_id, arena, &job, error);
        *out_active = status == MOS_OK && (job.status == MOS_JOB_PENDING || job.status == MOS_JOB_RUNNING);
    } else {
        struct mos_job *jobs;
        size_t running = 0;
        status = mos_catalog_active_jobs(session, backup_id, arena, &jobs, &running, error);
        *out_active = running > 0;
    }
    return status;
}

static mos_status watch(struct mos_call *call, const char *job_id, const char *backup_id, int64_t after) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    if (after < 0) {
        return mos_fail_field(error, "afterSequence", "afterSequence is %lld; allowed is 0 or the sequence of an event", (long long)after);
    }
    for (;;) {
        if (mos_call_cancelled(call)) {
            return mos_call_fail_cancelled(call);
        }
        mos_arena *arena = mos_arena_create(0);
        int64_t seen = mos_catalog_last_event(services->catalog);
        struct mos_event *events;
        size_t count = 0;
        bool active = false;
        mos_status status = read_round(services, job_id, backup_id, after, arena, &events, &count, &active, error);
        if (status == MOS_OK) {
            status = send_events(call, job_id != NULL, arena, events, count);
        }
        after = status == MOS_OK && count > 0 ? events[count - 1].sequence : after;
        // Whoever follows may do so for hours.
        mos_arena_destroy(arena);
        if (status != MOS_OK) {
            return status;
        }
        if (count == EVENTS_AT_ONCE) {
            continue;
        }
        if (!active) {
            return MOS_OK;
        }
        mos_broadcast_follow(services->broadcast, call, job_id, backup_id, seen, &after);
    }
}

mos_status mos_backup_service_watch_backup(struct mos_call *call, const Mosaajii__Backup__V1__WatchBackupRequest *request) {
    struct mos_backup backup;
    mos_status status = mos_read_backup(mos_call_user(call), call, request->backup_id, &backup);
    return status == MOS_OK ? watch(call, NULL, request->backup_id, request->after_sequence) : status;
}

mos_status mos_backup_service_watch_job(struct mos_call *call, const Mosaajii__Backup__V1__WatchJobRequest *request) {
    struct mos_job job;
    mos_status status = mos_read_job(mos_call_user(call), call, request->job_id, &job);
    return status == MOS_OK ? watch(call, request->job_id, NULL, request->after_sequence) : status;
}
