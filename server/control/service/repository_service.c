// BackupService: work on the whole repository.
#include "control/service/internal.h"

static mos_status answer(struct mos_services *services, struct mos_call *call, const char *job_id, Mosaajii__Backup__V1__Job *response) {
    struct mos_job job;
    mos_status status = mos_read_job(services, call, job_id, &job);
    if (status != MOS_OK) {
        return status;
    }
    return mos_make_job(mos_call_arena(call), &job, response) ? MOS_OK : mos_fail_memory(call);
}

BACKUP_HANDLER(prune_repository, PruneRepositoryRequest, Job) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    char job_id[MOS_ID_TEXT_BYTES];
    enum { YEAR_MINUTES = 366 * 24 * 60 };
    int64_t grace_seconds = MOS_PRUNE_GRACE_DEFAULT_SECONDS;
    mos_status status = MOS_OK;
    if (request->_grace_minutes_case) {
        status = mos_check_number("graceMinutes", request->grace_minutes, 0, YEAR_MINUTES, error);
        grace_seconds = (int64_t)request->grace_minutes * 60;
    }
    if (status == MOS_OK) {
        status = mos_queue_prune(services->queue, grace_seconds, request->dry_run, mos_call_caller_name(call), job_id, error);
    }
    return status == MOS_OK ? answer(services, call, job_id, response) : status;
}

BACKUP_HANDLER(check_repository, CheckRepositoryRequest, Job) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    char job_id[MOS_ID_TEXT_BYTES];
    mos_status status = mos_check_number("samplePercent", request->sample_percent, 0, 100, error);
    if (status == MOS_OK) {
        status = mos_check_number("sampleBytes", request->sample_bytes, 0, INT64_MAX, error);
    }
    if (status == MOS_OK && request->sample_percent && request->sample_bytes) {
        status = mos_fail_field(error, "sampleBytes", "samplePercent and sampleBytes are both given; allowed is one of them");
    }
    if (status == MOS_OK) {
        status = mos_queue_check(services->queue, request->sample_percent, request->sample_bytes, request->repair,
                                 mos_call_caller_name(call), job_id, error);
    }
    return status == MOS_OK ? answer(services, call, job_id, response) : status;
}
