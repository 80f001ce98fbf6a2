// What has come of attempts that have ended.
#include <stdio.h>
#include <string.h>

#include "control/dr/internal.h"

static void take_criteria(struct run *run, struct attempt *attempt) {
    const mos_plan_step *plan = attempt->step;
    step_state *state = run->state->steps[attempt->index];
    state->n_criteria = plan->n_validation_criteria;
    state->criteria = mos_arena_array(run->arena, criterion_result *, plan->n_validation_criteria + 1);
    for (size_t i = 0; i < plan->n_validation_criteria; i++) {
        criterion_result *result = mos_arena_alloc(run->arena, sizeof(*result));
        mosaajii__recovery__v1__criterion_result__init(result);
        result->text = plan->validation_criteria[i];
        if (attempt->criteria) {
            result->checked = attempt->criteria[i].checked;
            result->passed = attempt->criteria[i].passed;
            result->message = mos_arena_strdup(run->arena, attempt->criteria[i].message ? attempt->criteria[i].message : "");
        }
        state->criteria[i] = result;
    }
}

static void take_step(mos_recovery *recovery, struct run *run, struct attempt *attempt) {
    size_t index = (size_t)attempt->index;
    step_run *step = run->state->execution->steps[index];
    step_state *state = run->state->steps[index];
    state->worked_ns += attempt->worked_ns;
    state->strayed = state->strayed || attempt->strayed;
    state->data_loss = attempt->data_loss;
    take_criteria(run, attempt);
    if (attempt->output.size_bytes > 0) {
        step->output = (char *)run_clean_text(run, attempt->output.data, attempt->output.size_bytes);
    }
    if (attempt->status != MOS_OK) {
        const char *message = run_clean_text(run, attempt->error.message, strlen(attempt->error.message));
        state->acted = false;
        bool cancelled = run->state->cancel_asked || *run->state->failure;
        if (cancelled && attempt->status == MOS_CANCELLED) {
            step_end(run, index, STEP_IS(CANCELLED));
            return;
        }
        if (attempt->strayed && !*run->state->failure) {
            run->state->failure = (char *)run_text(run, "The step \"%s\" tried to reach production: %s", attempt->step->name, message);
        }
        step_failed(recovery, run, index, message, !attempt->strayed);
        return;
    }
    const char *sentences = "";
    for (size_t i = 0; i < state->n_criteria; i++) {
        if (!state->criteria[i]->checked) {
            sentences = run_text(run, "%s%s%s", sentences, *sentences ? "; " : "", state->criteria[i]->text);
        }
    }
    if (*sentences && *attempt->step->assignee && !run_is_test(run)) {
        // Somebody is named for it: what the machine cannot check, that person confirms.
        state->acted = true;
        step_wait_for_person(recovery, run, index, run_text(run, "%s is to confirm: %s", attempt->step->assignee, sentences));
        return;
    }
    if (*sentences) {
        run_log(run, LOG_IS(WARNING), step->step_id, "", "Not checked by the machine, and nobody is named to confirm it: %s", sentences);
    }
    step_succeeded(run, index);
}

static void take_preflight(struct run *run, struct attempt *attempt) {
    run_state *state = run->state;
    state->findings = mos_arena_array(run->arena, Mosaajii__Recovery__V1__Finding *, attempt->finding_count + 1);
    const char *fatal = "";
    for (size_t i = 0; i < attempt->finding_count; i++) {
        Mosaajii__Recovery__V1__Finding *finding = mos_arena_alloc(run->arena, sizeof(*finding));
        mosaajii__recovery__v1__finding__init(finding);
        finding->fatal = attempt->findings[i].weight == FINDING_FATAL;
        finding->note = attempt->findings[i].weight == FINDING_NOTE;
        finding->text = mos_arena_strdup(run->arena, attempt->findings[i].text);
        state->findings[state->n_findings++] = finding;
        run_log(run,
                finding->fatal  ? LOG_IS(ERROR)
                : finding->note ? LOG_IS(INFO)
                                : LOG_IS(WARNING),
                "", "", "Preflight: %s", finding->text);
        fatal = finding->fatal && !*fatal ? finding->text : fatal;
    }
    if (attempt->status != MOS_OK && !*fatal) {
        fatal = run_text(run, "%s", attempt->error.message);
    }
    state->preflight_done = true;
    bool emergency = state->execution->kind == MOSAAJII__BACKUP__V1__EXECUTE_PLAN_REQUEST__KIND__EMERGENCY && !state->test;
    if (*fatal && !emergency) {
        state->failure = (char *)run_text(run, "The preflight failed, and nothing was done: %s", fatal);
        return;
    }
    run_log(run, LOG_IS(INFO), "", "", "%s",
            *fatal ? "The preflight failed; this is an emergency, and the run goes on" : "The preflight is passed");
    run_set_status(run, RUN_IS(IN_PROGRESS), NULL);
}

static void take_clean_up(struct run *run, struct attempt *attempt) {
    run->state->sandbox_removed = true;
    const char *left = attempt->left_behind ? attempt->left_behind : attempt->status != MOS_OK ? attempt->error.message : "";
    run->state->left_behind = mos_arena_strdup(run->arena, left);
    run_log(run, *left ? LOG_IS(WARNING) : LOG_IS(INFO), "", "", "%s%s",
            *left ? "The sandbox could not be removed: " : "The sandbox is removed", left);
}

void run_collect(mos_recovery *recovery, struct run *run) {
    for (size_t i = 0; i < run->attempt_count; i++) {
        struct attempt *attempt = run->attempts[i];
        // One that the end of the server broke off is left as it stands in the catalog, for the next server.
        if (!attempt || !attempt->done) {
            continue;
        }
        if (recovery->stopping && attempt->status != MOS_OK) {
            continue;
        }
        run->attempts[i] = NULL;
        if (attempt->step) {
            take_step(recovery, run, attempt);
        } else if (!attempt->cleaning) {
            take_preflight(run, attempt);
        } else {
            take_clean_up(run, attempt);
        }
        attempt_destroy(attempt);
    }
}
