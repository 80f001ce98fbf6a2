// Runs of recovery plans: executions and tests, from their start to their report. Thread safe.
//
// One thread decides for all runs, each attempt of a step works on a thread of its own. Whatever is decided stands in the catalog, with an
// entry in the journal, before it is acted on: after a server that was killed the next one goes on from there. A step that was at work then
// is begun again where that does no harm (it only looks, or the plan says that it is repeatable), and has failed otherwise.
#ifndef MOS_CONTROL_DR_RECOVERY_H
#define MOS_CONTROL_DR_RECOVERY_H

#include <mosaajii/backup/v1/recovery.pb-c.h>

#include "common/settings.h"
#include "control/catalog/catalog.h"
#include "control/dr/plan.h"
#include "control/job/queue.h"
#include "control/offsite/offsite.h"

typedef struct mos_recovery mos_recovery;

struct mos_recovery_options {
    const mos_settings *settings;
    mos_catalog *catalog;
    mos_queue *queue;
    // Signs the report of a run. Called on any thread.
    bool (*sign)(void *context, const uint8_t *data, size_t size_bytes, uint8_t out_signature[64], uint8_t out_public_key[32]);
    void *sign_context;
    // Where backups are brought back from.
    mos_offsite *offsite;
};

// Starts nothing. What the options point to must outlive it. Never NULL.
mos_recovery *mos_recovery_create(const struct mos_recovery_options *options);
// Takes up what a server before left unfinished, and begins. After the queue has settled its jobs and started.
mos_status mos_recovery_start(mos_recovery *recovery, struct mos_error *error);
// Breaks off what is at work and leaves it for the next server. Blocks until the threads are gone. Before the queue stops.
void mos_recovery_stop(mos_recovery *recovery);
// After stop. NULL is fine.
void mos_recovery_destroy(mos_recovery *recovery);

// Of a catalog that came back from a copy: runs that its server had not ended are not gone on with, for what their steps did was done to a
// machine that is lost. The next server ends them as failed, with a report. Before any server starts on it.
mos_status mos_recovery_give_up(mos_catalog *catalog, struct mos_error *error);

struct mos_plan_defaults mos_recovery_defaults(const mos_recovery *recovery);
struct mos_plan_sources mos_recovery_sources(const mos_recovery *recovery);

// Each answers as soon as the run stands in the catalog, with its id. MOS_NOT_FOUND; MOS_FAILED_PRECONDITION where the plan is inactive, or
// another run touches the same target.
mos_status mos_recovery_execute(mos_recovery *recovery, const Mosaajii__Backup__V1__ExecutePlanRequest *request, const char *caller,
                                char out_id[MOS_ID_TEXT_BYTES], struct mos_error *error);
mos_status mos_recovery_test(mos_recovery *recovery, const Mosaajii__Backup__V1__TestPlanRequest *request, const char *caller,
                             char out_id[MOS_ID_TEXT_BYTES], struct mos_error *error);

enum mos_run_order {
    MOS_RUN_PAUSE,
    MOS_RUN_RESUME,
    MOS_RUN_CANCEL,
    // Of a step.
    MOS_STEP_APPROVE,
    MOS_STEP_DECLINE,
    MOS_STEP_RETRY,
    MOS_STEP_SKIP,
};
// MOS_NOT_FOUND; MOS_FAILED_PRECONDITION where the run or the step is in no state for it; MOS_INVALID_ARGUMENT where a reason is missing.
mos_status mos_recovery_order(mos_recovery *recovery, enum mos_run_order order, const char *run_id, const char *step_id, const char *note,
                              const char *caller, struct mos_error *error);

// The record, with its logs. `test` NULL: not wanted; *test is NULL for what is no test.
mos_status mos_recovery_read(mos_catalog_session *session, const char *run_id, mos_arena *arena, Mosaajii__Backup__V1__Execution **out,
                             Mosaajii__Backup__V1__TestResult **test, struct mos_error *error);
mos_status mos_recovery_unpack(const struct mos_recovery_run *row, mos_arena *arena, Mosaajii__Backup__V1__Execution **out,
                               Mosaajii__Backup__V1__TestResult **test, struct mos_error *error);
// Of a run that has ended; MOS_FAILED_PRECONDITION before.
mos_status mos_recovery_report(mos_catalog_session *session, const char *run_id, bool html, mos_arena *arena,
                               Mosaajii__Backup__V1__Report *out, struct mos_error *error);

// How often watchers are woken though nothing happened, so that they may send a sign of life.
enum { MOS_RECOVERY_HEARTBEAT_SECONDS = 5 };

#endif
