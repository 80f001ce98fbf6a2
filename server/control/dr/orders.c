// What people say to a run, and what they read of it.
#include <string.h>

#include "common/clock.h"
#include "control/catalog/recovery.h"
#include "control/dr/internal.h"

enum { LONGEST_NOTE = 2000, MOST_LOGS = 5000 };

// ---- Orders to a whole run ----

static mos_status order_run(struct run *run, enum mos_run_order order, const char *note, const char *caller, struct mos_error *error) {
    int status = (int)run->state->execution->status;
    const char *words[] = {"paused", "resumed", "cancelled"};
    if (run->state->cancel_asked) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the run is being cancelled");
    }
    if (order == MOS_RUN_PAUSE && status != RUN_IS(IN_PROGRESS) && status != RUN_IS(PENDING)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the run is not at work: it is paused already");
    }
    if (order == MOS_RUN_PAUSE && status == RUN_IS(PENDING)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the run is still in its preflight; try again when it is IN_PROGRESS");
    }
    if (order == MOS_RUN_RESUME && status != RUN_IS(PAUSED)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the run is not paused");
    }
    run_log(run, LOG_IS(WARNING), "", note, "The run was %s by %s%s%s", words[order], caller, *note ? ": " : "", note);
    if (order == MOS_RUN_CANCEL) {
        run->state->cancel_asked = true;
        run->state->execution->message = (char *)run_text(run, "Cancelled by %s%s%s", caller, *note ? ": " : "", note);
        run_event_status(run);
    } else {
        run_set_status(run, order == MOS_RUN_PAUSE ? RUN_IS(PAUSED) : RUN_IS(IN_PROGRESS), NULL);
    }
    return MOS_OK;
}

// ---- Orders to a step ----

static mos_status fail_state(const struct run *run, size_t index, const char *needed, struct mos_error *error) {
    const step_run *step = run->state->execution->steps[index];
    const ProtobufCEnumValue *word =
        protobuf_c_enum_descriptor_get_value(&mosaajii__backup__v1__step_run__status__descriptor, (int)step->status);
    return mos_fail(error, MOS_FAILED_PRECONDITION, "the step \"%s\" is %s%s: %s", step->step_id, word ? word->name : "in no known state",
                    run->state->steps[index]->asked && step->status == STEP_IS(WAITING) ? " after a failure" : "", needed);
}

static void decided(struct run *run, size_t index, const char *caller, const char *note, const char *what) {
    step_run *step = run->state->execution->steps[index];
    step->decided_by = (char *)run_text(run, "%s", caller);
    step->note = (char *)run_text(run, "%s", note);
    run_log(run, LOG_IS(INFO), step->step_id, note, "%s by %s%s%s", what, caller, *note ? ": " : "", note);
}

// Whoever says that a step is done says so of what no machine has checked.
static void confirm_criteria(struct run *run, size_t index, const char *caller) {
    const mos_plan_step *plan = run->state->plan->steps[index];
    step_state *state = run->state->steps[index];
    if (state->n_criteria != plan->n_validation_criteria) {
        state->criteria = mos_arena_array(run->arena, criterion_result *, plan->n_validation_criteria + 1);
        state->n_criteria = plan->n_validation_criteria;
        for (size_t i = 0; i < state->n_criteria; i++) {
            state->criteria[i] = mos_arena_alloc(run->arena, sizeof(*state->criteria[i]));
            mosaajii__recovery__v1__criterion_result__init(state->criteria[i]);
            state->criteria[i]->text = plan->validation_criteria[i];
        }
    }
    for (size_t i = 0; i < state->n_criteria; i++) {
        if (!state->criteria[i]->checked) {
            state->criteria[i]->passed = true;
            state->criteria[i]->confirmed_by = (char *)run_text(run, "%s", caller);
        }
    }
}

static bool has_machine_criteria(const struct run *run, size_t index) {
    const mos_plan_step *plan = run->state->plan->steps[index];
    for (size_t i = 0; i < plan->n_validation_criteria; i++) {
        struct mos_criterion criterion;
        if (mos_criterion_parse("criterion", plan->validation_criteria[i], run->arena, &criterion, NULL) == MOS_OK &&
            criterion.kind != MOS_CRITERION_SENTENCE) {
            return true;
        }
    }
    return false;
}

static void approve(struct run *run, size_t index, const char *caller, const char *note) {
    step_state *state = run->state->steps[index];
    step_run *step = run->state->execution->steps[index];
    decided(run, index, caller, note, "Approved");
    if (!state->acted && has_machine_criteria(run, index)) {
        // What the person has done is looked at.
        state->waited_ns += mos_now_unix_ns() - state->waiting_since_unix_ns;
        state->waiting_since_unix_ns = 0;
        state->acted = true;
        step->status = STEP_IS(RUNNING);
        step->message = (char *)"";
        run_event_step(run, index);
        return;
    }
    confirm_criteria(run, index, caller);
    step_succeeded(run, index);
}

static mos_status order_step(mos_recovery *recovery, struct run *run, enum mos_run_order order, size_t index, const char *note,
                             const char *caller, struct mos_error *error) {
    step_run *step = run->state->execution->steps[index];
    step_state *state = run->state->steps[index];
    bool waits = step->status == STEP_IS(WAITING);
    switch (order) {
    case MOS_STEP_APPROVE:
        if (!waits || state->asked) {
            return fail_state(run, index, waits ? "retry or skip it" : "only one that waits for a person can be approved", error);
        }
        approve(run, index, caller, note);
        return MOS_OK;
    case MOS_STEP_DECLINE:
        if (!waits) {
            return fail_state(run, index, "only one that waits for a person can be declined", error);
        }
        decided(run, index, caller, note, "Declined");
        state->acted = false;
        if (state->asked) {
            step_end(run, index, STEP_IS(FAILED));
            run->state->failure = (char *)run_text(run, "%s declined to go on after the step \"%s\" had failed", caller, step->step_name);
        } else {
            step_failed(recovery, run, index, run_text(run, "declined by %s%s%s", caller, *note ? ": " : "", note), false);
        }
        return MOS_OK;
    case MOS_STEP_RETRY:
        if (!(waits && state->asked) && !(step->status == STEP_IS(FAILED) && state->excused)) {
            return fail_state(run, index, "only one that has failed can be retried", error);
        }
        decided(run, index, caller, note, "Another attempt was asked for");
        state->asked = state->acted = state->excused = false;
        state->not_before_unix_ns = 0;
        if (state->waiting_since_unix_ns) {
            state->waited_ns += mos_now_unix_ns() - state->waiting_since_unix_ns;
            state->waiting_since_unix_ns = 0;
        }
        step->status = STEP_IS(PENDING);
        step->completed_at = NULL;
        run_event_step(run, index);
        return MOS_OK;
    default:
        if (!waits && step->status != STEP_IS(PENDING)) {
            return fail_state(run, index, "only one that has not begun, or waits for a person, can be skipped", error);
        }
        decided(run, index, caller, note, "Skipped");
        step->message = (char *)run_text(run, "Skipped by %s: %s", caller, note);
        step_end(run, index, STEP_IS(SKIPPED));
        return MOS_OK;
    }
}

// Why there is nothing in memory to be told.
static mos_status fail_unknown(mos_recovery *recovery, const char *run_id, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    execution *record;
    mos_status status = mos_catalog_read_begin(recovery->options.catalog, &session, error);
    status = status ? status : mos_recovery_read(session, run_id, arena, &record, NULL, error);
    if (status != MOS_OK) {
        return status;
    }
    const ProtobufCEnumValue *word =
        protobuf_c_enum_descriptor_get_value(&mosaajii__backup__v1__execution__status__descriptor, (int)record->status);
    return mos_fail(error, MOS_FAILED_PRECONDITION, "the run has ended: its status is %s", word ? word->name : "not known");
}

mos_status mos_recovery_order(mos_recovery *recovery, enum mos_run_order order, const char *run_id, const char *step_id, const char *note,
                              const char *caller, struct mos_error *error) {
    if (strlen(note) > LONGEST_NOTE) {
        return mos_fail_field(error, "note", "note has %zu bytes; allowed are %d", strlen(note), LONGEST_NOTE);
    }
    if (order == MOS_STEP_SKIP && !*note) {
        return mos_fail_field(error, "note", "note must say why the step is skipped");
    }
    pthread_mutex_lock(&recovery->mutex);
    if (recovery->stopping) {
        pthread_mutex_unlock(&recovery->mutex);
        return mos_fail(error, MOS_UNAVAILABLE, "the server is stopping");
    }
    struct run *run = recovery_find(recovery, run_id);
    if (!run || run->ended) {
        pthread_mutex_unlock(&recovery->mutex);
        return fail_unknown(recovery, run_id, error);
    }
    int index = order >= MOS_STEP_APPROVE ? mos_plan_find(run->state->plan, step_id) : 0;
    mos_status status = index < 0                   ? mos_fail(error, MOS_NOT_FOUND, "the run has no step with the id \"%.100s\"", step_id)
                        : order >= MOS_STEP_APPROVE ? order_step(recovery, run, order, (size_t)index, note, caller, error)
                                                    : order_run(run, order, note, caller, error);
    if (status == MOS_OK) {
        status = run_save(recovery, run, error);
        pthread_cond_signal(&recovery->work);
    }
    pthread_mutex_unlock(&recovery->mutex);
    return status;
}

// ---- Reading ----

mos_status mos_recovery_unpack(const struct mos_recovery_run *row, mos_arena *arena, execution **out,
                               Mosaajii__Backup__V1__TestResult **test, struct mos_error *error) {
    run_state *state = mosaajii__recovery__v1__run__unpack(mos_arena_allocator(arena), row->content.size_bytes, row->content.data);
    if (!state || !state->execution) {
        return mos_fail(error, MOS_DATA_LOSS, "the recovery run %s cannot be read from the catalog", row->id);
    }
    *out = state->execution;
    if (test) {
        *test = state->test;
    }
    return MOS_OK;
}

mos_status mos_recovery_read(mos_catalog_session *session, const char *run_id, mos_arena *arena, execution **out,
                             Mosaajii__Backup__V1__TestResult **test, struct mos_error *error) {
    struct mos_recovery_run row;
    struct mos_journal_entry *entries = NULL;
    size_t count = 0;
    mos_status status = mos_catalog_get_recovery_run(session, run_id, arena, &row, error);
    status = status ? status : mos_recovery_unpack(&row, arena, out, test, error);
    status = status ? status : mos_catalog_next_journal(session, run_id, EVENT_IS(LOG), 0, MOST_LOGS, arena, &entries, &count, error);
    if (status != MOS_OK) {
        return status;
    }
    (*out)->logs = mos_arena_array(arena, Mosaajii__Backup__V1__ExecutionLog *, count);
    for (size_t i = 0; i < count; i++) {
        execution_event *event = mosaajii__backup__v1__execution_event__unpack(mos_arena_allocator(arena), entries[i].content.size_bytes,
                                                                               entries[i].content.data);
        if (event && event->log) {
            (*out)->logs[(*out)->n_logs++] = event->log;
        }
    }
    return MOS_OK;
}

mos_status mos_recovery_report(mos_catalog_session *session, const char *run_id, bool html, mos_arena *arena,
                               Mosaajii__Backup__V1__Report *out, struct mos_error *error) {
    struct mos_recovery_run row;
    mos_status status = mos_catalog_get_recovery_run(session, run_id, arena, &row, error);
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Recovery__V1__Reports *reports =
        row.report.size_bytes ? mosaajii__recovery__v1__reports__unpack(mos_arena_allocator(arena), row.report.size_bytes, row.report.data)
                              : NULL;
    if (!reports) {
        return row.active ? mos_fail(error, MOS_FAILED_PRECONDITION, "the run has not ended; its report is written at its end")
                          : mos_fail(error, MOS_DATA_LOSS, "the report of the run %s cannot be read from the catalog", run_id);
    }
    out->execution_id = mos_arena_strdup(arena, run_id);
    out->content_type = (char *)(html ? "text/html; charset=utf-8" : "application/json");
    out->content = html ? reports->html : reports->json;
    out->signature = html ? reports->html_signature : reports->json_signature;
    out->public_key = reports->public_key;
    return MOS_OK;
}
