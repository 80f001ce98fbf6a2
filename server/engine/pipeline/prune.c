// Removing what no backup needs, as an operation.
#include "engine/repo/prune.h"

#include "engine/pipeline/operation.h"

static void progress(void *context, const char *phase, int64_t bytes_done, int64_t bytes_total) {
    mos_job *job = context;
    mos_job_phase(job, phase);
    mos_job_totals(job, 0, bytes_total);
    mos_job_advance(job, 0, bytes_done, NULL, 0);
}

mos_status mos_operation_prune(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__PruneRequest *request,
                               mos_arena *arena, Mosaajii__Engine__V1__Result *out, struct mos_error *error) {
    if (request->grace_seconds < 0) {
        return mos_fail_field(error, "grace_seconds", "the grace time is %lld seconds; allowed is 0 or more",
                              (long long)request->grace_seconds);
    }
    const struct mos_prune_options options = {
        .grace_seconds = request->grace_seconds,
        .dry_run = request->dry_run,
        .cancelled = mos_job_cancelled,
        .progress = progress,
        .context = job,
    };
    struct mos_pruning pruning;
    mos_status status = mos_repository_prune(repository, &options, &pruning, error);
    if (status == MOS_OK) {
        Mosaajii__Engine__V1__PruneResult *result =
            MOS_NEW(arena, Mosaajii__Engine__V1__PruneResult, mosaajii__engine__v1__prune_result__init);
        result->packs_removed = pruning.packs_removed;
        result->packs_rewritten = pruning.packs_rewritten;
        result->bytes_freed = pruning.bytes_freed;
        result->bytes_pending = pruning.bytes_pending;
        result->dry_run = request->dry_run;
        out->result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_PRUNE;
        out->prune = result;
        if (*pruning.notice) {
            mos_job_warn(job, "", 0, pruning.notice);
        }
    }
    return status;
}
