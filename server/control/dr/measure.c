// What a run took and what it lost, against what the plan promises and what earlier runs took.
#include <math.h>
#include <string.h>

#include "common/clock.h"
#include "control/dr/internal.h"

enum { EARLIER_RUNS = 20, LEAST_FOR_TREND = 3, FORECAST_DAYS = 365 };

typedef Mosaajii__Backup__V1__TestResult test_result;
typedef Mosaajii__Backup__V1__StepResult step_result;

static double minutes(int64_t ns) {
    return (double)ns / (double)MOS_NS_PER_SECOND / 60;
}

// ---- Metrics ----

static void measure(struct run *run) {
    run_state *state = run->state;
    execution *record = state->execution;
    Mosaajii__Backup__V1__ExecutionMetrics *metrics = record->metrics;
    int64_t started_ns = mos_plan_time(record->started_at), ended_ns = mos_plan_time(record->completed_at);
    int64_t incident_ns = state->incident_at_unix_ns ? state->incident_at_unix_ns : started_ns;
    int64_t oldest_ns = 0;
    metrics->data_loss = 0;
    for (size_t i = 0; i < state->n_steps; i++) {
        const step_state *step = state->steps[i];
        bool restored = record->steps[i]->status == STEP_IS(SUCCEEDED) && step->backup_created_at_unix_ns;
        if (restored && (!oldest_ns || step->backup_created_at_unix_ns < oldest_ns)) {
            oldest_ns = step->backup_created_at_unix_ns;
        }
        metrics->data_loss += restored ? step->data_loss : 0;
    }
    metrics->total_steps = (int32_t)state->n_steps;
    metrics->completed_steps = (int32_t)record->n_completed_steps;
    metrics->failed_steps = (int32_t)record->n_failed_steps;
    metrics->skipped_steps = (int32_t)record->n_skipped_steps;
    size_t counted = state->n_steps - record->n_skipped_steps;
    metrics->success_rate = counted ? 100.0 * (double)record->n_completed_steps / (double)counted : 0;
    // Until the last step held; of a run that did not recover anything, until it was given up.
    int64_t recovered_ns = record->status == RUN_IS(COMPLETED) && state->recovered_at_unix_ns ? state->recovered_at_unix_ns : ended_ns;
    metrics->actual_rto = recovered_ns > incident_ns ? minutes(recovered_ns - incident_ns) : 0;
    metrics->actual_rpo = oldest_ns && incident_ns > oldest_ns ? minutes(incident_ns - oldest_ns) : 0;
    metrics->machine_minutes = minutes(state->machine_ns);
    metrics->waiting_minutes = minutes(state->waiting_ns);
    record->duration = ended_ns > started_ns ? minutes(ended_ns - started_ns) : 0;
}

// ---- Earlier runs ----

struct earlier {
    double days_ago[EARLIER_RUNS + 1];
    double rto[EARLIER_RUNS + 1];
    size_t count;
};

static void read_earlier(mos_recovery *recovery, const struct run *run, struct earlier *out) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    const struct mos_recovery_filter filter = {run->state->plan->id, run_is_test(run), RUN_IS(COMPLETED)};
    const struct mos_page page = {EARLIER_RUNS, ""};
    struct mos_recovery_run *rows;
    size_t count = 0;
    const char *next;
    int64_t now_ns = mos_now_unix_ns();
    if (mos_catalog_read_begin(recovery->options.catalog, &session, NULL) != MOS_OK ||
        mos_catalog_list_recovery_runs(session, &filter, &page, arena, &rows, &count, &next, NULL) != MOS_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        execution *record;
        if (strcmp(rows[i].id, run->id) != 0 && mos_recovery_unpack(&rows[i], arena, &record, NULL, NULL) == MOS_OK && record->metrics) {
            out->days_ago[out->count] = (double)(now_ns - rows[i].created_at_unix_ns) / 86400e9;
            out->rto[out->count++] = record->metrics->actual_rto;
        }
    }
}

// Days until a straight line through the runs meets the objective; negative where it never does.
static double days_until(const struct earlier *runs, double objective) {
    double n = (double)runs->count, x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < runs->count; i++) {
        double day = -runs->days_ago[i];
        x += day;
        y += runs->rto[i];
        xx += day * day;
        xy += day * runs->rto[i];
    }
    double below = n * xx - x * x;
    if (runs->count < LEAST_FOR_TREND || fabs(below) < 1e-9) {
        return -1;
    }
    double slope = (n * xy - x * y) / below;
    double now = (y - slope * x) / n;
    return slope > 0 && now < objective ? (objective - now) / slope : -1;
}

// ---- Advice ----

static void advise(struct run *run, const char *text) {
    test_result *test = run->state->test;
    char **grown = mos_arena_array(run->arena, char *, test->n_recommendations + 1);
    if (test->n_recommendations > 0) {
        memcpy(grown, test->recommendations, test->n_recommendations * sizeof(*grown));
    }
    grown[test->n_recommendations++] = (char *)text;
    test->recommendations = grown;
}

static void compare(mos_recovery *recovery, struct run *run) {
    const mos_plan *plan = run->state->plan;
    const Mosaajii__Backup__V1__ExecutionMetrics *metrics = run->state->execution->metrics;
    struct earlier runs = {0};
    read_earlier(recovery, run, &runs);
    if (runs.count > 0) {
        double sum = 0;
        for (size_t i = 0; i < runs.count; i++) {
            sum += runs.rto[i];
        }
        run_log(run, LOG_IS(INFO), "", "", "It took %.1f minutes; the %zu runs before took %.1f on average", metrics->actual_rto,
                runs.count, sum / (double)runs.count);
    }
    if (metrics->actual_rto > plan->recovery_time_objective) {
        run_log(run, LOG_IS(ERROR), "", "", "It took %.1f minutes; the objective is %d", metrics->actual_rto,
                plan->recovery_time_objective);
    }
    if (metrics->actual_rpo > plan->recovery_point_objective) {
        run_log(run, LOG_IS(ERROR), "", "", "The restored point is %.1f minutes old; the objective is %d", metrics->actual_rpo,
                plan->recovery_point_objective);
    }
    runs.days_ago[runs.count] = 0;
    runs.rto[runs.count++] = metrics->actual_rto;
    double days = days_until(&runs, plan->recovery_time_objective);
    if (days >= 0 && days <= FORECAST_DAYS) {
        // Weeks, where days would say more than anybody knows.
        bool weeks = days >= 14;
        const char *text = run_text(run, "At this pace the plan will miss its %d minutes in about %.0f %s", plan->recovery_time_objective,
                                    weeks ? round(days / 7) : ceil(days), weeks ? "weeks" : "days");
        run_log(run, LOG_IS(WARNING), "", "", "%s", text);
        if (run_is_test(run)) {
            advise(run, text);
        }
    }
}

// ---- Tests ----

static int test_status_of(const step_run *step) {
    return step->status == STEP_IS(SUCCEEDED) ? TEST_IS(PASSED) : step->status == STEP_IS(FAILED) ? TEST_IS(FAILED) : TEST_IS(SKIPPED);
}

static bool unconfirmed(const criterion_result *criterion) {
    return !criterion->checked && !*criterion->confirmed_by;
}

static step_result *make_result(struct run *run, size_t index) {
    const step_run *step = run->state->execution->steps[index];
    const step_state *state = run->state->steps[index];
    step_result *result = mos_arena_alloc(run->arena, sizeof(*result));
    mosaajii__backup__v1__step_result__init(result);
    result->step_id = step->step_id;
    result->step_name = step->step_name;
    result->status = (Mosaajii__Backup__V1__TestResult__Status)test_status_of(step);
    result->duration = minutes(state->worked_ns);
    result->issues = mos_arena_array(run->arena, char *, state->n_criteria + 1);
    if (step->status == STEP_IS(FAILED)) {
        result->issues[result->n_issues++] = step->message;
    }
    const char *notes = step->status == STEP_IS(FAILED) ? "" : step->message;
    for (size_t i = 0; i < state->n_criteria; i++) {
        const criterion_result *criterion = state->criteria[i];
        if (criterion->checked && !criterion->passed) {
            result->issues[result->n_issues++] = (char *)run_text(run, "%s: %s", criterion->text, criterion->message);
        } else if (unconfirmed(criterion) && step->status == STEP_IS(SUCCEEDED)) {
            notes = run_text(run, "%s%sNot checked: %s", notes, *notes ? "; " : "", criterion->text);
        }
    }
    // The failure names the first of them already.
    if (result->n_issues > 1) {
        memmove(result->issues, result->issues + 1, --result->n_issues * sizeof(*result->issues));
    }
    result->notes = (char *)notes;
    return result;
}

// What looks at what was restored, in a way that damage cannot pass.
static size_t checks_of(const struct run *run) {
    size_t checks = 0;
    for (size_t i = 0; i < run->state->n_steps; i++) {
        const char *command = run->state->plan->steps[i]->command;
        bool done = run->state->execution->steps[i]->status == STEP_IS(SUCCEEDED);
        checks += done && (strcmp(command, "verify_database") == 0 || strncmp(command, "sql_check:", 10) == 0);
        for (size_t k = 0; done && k < run->state->steps[i]->n_criteria; k++) {
            checks += run->state->steps[i]->criteria[k]->checked;
        }
    }
    return checks;
}

static void judge(struct run *run) {
    run_state *state = run->state;
    test_result *test = state->test;
    const execution *record = state->execution;
    test->results = mos_arena_array(run->arena, step_result *, state->n_steps);
    bool open = false;
    for (size_t i = 0; i < state->n_steps; i++) {
        test->results[i] = make_result(run, i);
        for (size_t k = 0; k < state->steps[i]->n_criteria; k++) {
            open = open || unconfirmed(state->steps[i]->criteria[k]);
        }
    }
    test->n_results = state->n_steps;
    bool failed = record->status == RUN_IS(FAILED) || record->n_failed_steps > 0;
    size_t checks = checks_of(run);
    int status = failed                                ? TEST_IS(FAILED)
                 : record->status == RUN_IS(CANCELLED) ? TEST_IS(SKIPPED)
                 : checks == 0                         ? TEST_IS(RAN)
                 : record->n_skipped_steps > 0         ? TEST_IS(PARTIAL)
                                                       : TEST_IS(PASSED);
    test->overall_status = (Mosaajii__Backup__V1__TestResult__Status)status;
    test->message = record->message;
    if (status == TEST_IS(RAN)) {
        test->message = (char *)"It ran to its end, but nothing was checked by the machine";
        advise(run, "Give the steps criteria that the machine can check, as \"rows(sales) >= 1\": without one no test can pass");
    }
    if (record->n_skipped_steps > 0) {
        advise(run, run_text(run, "%zu of %zu steps were left out; mark those that are fit for a test with the run kind TEST",
                             record->n_skipped_steps, state->n_steps));
    }
    if (open && status != TEST_IS(RAN)) {
        advise(run, "Some criteria are sentences that no machine can check");
    }
    if (failed) {
        advise(run, run_text(run, "Mend what failed, and test again: %s", record->message));
    }
    for (size_t i = 0; i < state->n_findings; i++) {
        if (!state->findings[i]->note) {
            advise(run, state->findings[i]->text);
        }
    }
    if (*state->left_behind) {
        advise(run, run_text(run, "Remove what the test left behind: %s", state->left_behind));
    }
}

void run_measure(mos_recovery *recovery, struct run *run) {
    measure(run);
    if (run_is_test(run)) {
        judge(run);
        run->state->plan->last_tested_at = run->state->execution->completed_at;
        run->state->test->next_test_date =
            mos_plan_timestamp(run->arena, mos_plan_next_test(run->state->plan, mos_plan_time(run->state->execution->completed_at)));
    }
    if (run->state->execution->status == RUN_IS(COMPLETED)) {
        compare(recovery, run);
    }
}
