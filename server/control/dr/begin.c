// How runs begin: asked for, by schedule, for another test, and after a server that is gone.
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "control/catalog/jobs.h"
#include "control/dr/child.h"
#include "control/dr/internal.h"

enum { LONGEST_REASON = 2000, OVERDUE_EVERY_SECONDS = 3600 };

typedef Mosaajii__Backup__V1__TestResult test_result;

// ---- What a run touches ----

// A bit beyond those of the types.
#define SERVICES (1U << 30)

static unsigned targets_of_command(const char *command) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_command parsed;
    if (mos_command_parse("command", command, arena, &parsed, NULL) != MOS_OK) {
        return 0;
    }
    if (parsed.kind == MOS_COMMAND_HOOK || parsed.kind == MOS_COMMAND_RESTART_SERVICES) {
        return SERVICES;
    }
    if (parsed.kind != MOS_COMMAND_RESTORE_BACKUP) {
        return 0;
    }
    // A full backup holds what those of every type hold.
    return mos_backup_type_of_all(parsed.type) ? ~0U : 1U << parsed.type;
}

// As bits: a type of backup each, and the services.
static unsigned targets_of(const mos_plan *plan) {
    unsigned targets = 0;
    for (size_t i = 0; i < plan->n_steps; i++) {
        targets |= plan->steps[i]->automated ? targets_of_command(plan->steps[i]->command) : 0;
    }
    return targets;
}

// With the mutex held.
static mos_status check_targets(mos_recovery *recovery, const mos_plan *plan, bool test, struct mos_error *error) {
    for (const struct run *other = recovery->runs; other; other = other->next) {
        if (other->ended || run_is_test(other) != test) {
            continue;
        }
        bool same_plan = strcmp(other->state->plan->id, plan->id) == 0;
        if (test ? same_plan && !*other->state->control_of : same_plan || (targets_of(other->state->plan) & targets_of(plan))) {
            return mos_fail(error, MOS_FAILED_PRECONDITION, "the run %s of the plan \"%s\" %s; wait for its end, or cancel it", other->id,
                            other->state->plan->name, test ? "is testing it already" : "touches the same target");
        }
    }
    return MOS_OK;
}

// ---- Making ----

static run_state *make_state(mos_arena *arena, mos_plan *plan, const char *id, const char *caller, int64_t now_ns) {
    run_state *state = mos_arena_alloc(arena, sizeof(*state));
    mosaajii__recovery__v1__run__init(state);
    execution *record = mos_arena_alloc(arena, sizeof(*record));
    mosaajii__backup__v1__execution__init(record);
    state->execution = record;
    state->plan = plan;
    record->id = mos_arena_strdup(arena, id);
    record->plan_id = plan->id;
    record->plan_version = plan->version;
    record->triggered_by = mos_arena_strdup(arena, caller);
    record->triggered_at = mos_plan_timestamp(arena, now_ns);
    record->started_at = record->triggered_at;
    record->status = RUN_IS(PENDING);
    record->metrics = mos_arena_alloc(arena, sizeof(*record->metrics));
    mosaajii__backup__v1__execution_metrics__init(record->metrics);
    record->metrics->total_steps = (int32_t)plan->n_steps;
    record->steps = mos_arena_array(arena, step_run *, plan->n_steps);
    state->steps = mos_arena_array(arena, step_state *, plan->n_steps);
    for (size_t i = 0; i < plan->n_steps; i++) {
        step_run *step = mos_arena_alloc(arena, sizeof(*step));
        mosaajii__backup__v1__step_run__init(step);
        step->step_id = plan->steps[i]->id;
        step->step_name = plan->steps[i]->name;
        step->status = STEP_IS(PENDING);
        record->steps[i] = step;
        state->steps[i] = mos_arena_alloc(arena, sizeof(*state->steps[i]));
        mosaajii__recovery__v1__step_state__init(state->steps[i]);
    }
    record->n_steps = state->n_steps = plan->n_steps;
    state->counted_at_unix_ns = now_ns;
    return state;
}

static void make_test(mos_recovery *recovery, run_state *state, mos_arena *arena, int environment) {
    test_result *test = mos_arena_alloc(arena, sizeof(*test));
    mosaajii__backup__v1__test_result__init(test);
    test->id = state->execution->id;
    test->execution_id = state->execution->id;
    test->plan_id = state->execution->plan_id;
    test->tested_by = state->execution->triggered_by;
    test->tested_at = state->execution->triggered_at;
    test->environment = (Mosaajii__Backup__V1__TestResult__Environment)environment;
    test->overall_status = TEST_IS(RUNNING);
    state->test = test;
    if (environment != PLACE_IS(PRODUCTION)) {
        state->sandbox = mos_arena_printf(arena, "%s/sandbox/%s", recovery->home, state->execution->id);
    }
}

static mos_status read_plan(mos_recovery *recovery, const char *id, mos_arena *arena, mos_plan **out, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(recovery->options.catalog, &session, error);
    return status == MOS_OK ? mos_plan_read(session, id, arena, out, error) : status;
}

// Writes the run and gives it to the deciding thread. Takes the arena, also where it fails. With the mutex held.
static mos_status launch(mos_recovery *recovery, run_state *state, mos_arena *arena, char out_id[MOS_ID_TEXT_BYTES],
                         struct mos_error *error) {
    struct run *run = run_create(recovery, state, arena);
    const execution *record = state->execution;
    run_event_status(run);
    run_log(run, LOG_IS(INFO), "", "", "%s of the plan \"%s\", version %d, asked for by %s%s%s", state->test ? "Test" : "Execution",
            state->plan->name, state->plan->version, record->triggered_by, *record->reason ? ": " : "", record->reason);
    run_tell(run, "started", run_text(run, "The plan \"%s\" is being executed", state->plan->name));
    mos_status status = recovery->stopping ? mos_fail(error, MOS_UNAVAILABLE, "the server is stopping") : run_save(recovery, run, error);
    if (status != MOS_OK) {
        run_destroy(run);
        return status;
    }
    snprintf(out_id, MOS_ID_TEXT_BYTES, "%s", run->id);
    recovery_add(recovery, run);
    return MOS_OK;
}

static mos_status check_active(const mos_plan *plan, struct mos_error *error) {
    return plan->status == MOSAAJII__BACKUP__V1__PLAN__STATUS__INACTIVE
               ? mos_fail(error, MOS_FAILED_PRECONDITION, "the plan \"%s\" is INACTIVE; set its status to ACTIVE first", plan->name)
               : MOS_OK;
}

mos_status mos_recovery_execute(mos_recovery *recovery, const Mosaajii__Backup__V1__ExecutePlanRequest *request, const char *caller,
                                char out_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    int64_t now_ns = mos_now_unix_ns(), incident_ns = mos_plan_time(request->incident_at);
    if (strlen(request->reason) > LONGEST_REASON) {
        return mos_fail_field(error, "reason", "reason has %zu bytes; allowed are %d", strlen(request->reason), LONGEST_REASON);
    }
    if (request->kind < 0 || request->kind > MOSAAJII__BACKUP__V1__EXECUTE_PLAN_REQUEST__KIND__EMERGENCY) {
        return mos_fail_field(error, "kind", "kind is %d; allowed is PLANNED or EMERGENCY", (int)request->kind);
    }
    if (incident_ns > now_ns) {
        return mos_fail_field(error, "incidentAt", "incidentAt must not lie in the future");
    }
    mos_arena *arena = mos_arena_create(0);
    mos_plan *plan = NULL;
    mos_status status = read_plan(recovery, request->plan_id, arena, &plan, error);
    status = status ? status : check_active(plan, error);
    if (status != MOS_OK) {
        mos_arena_destroy(arena);
        return status;
    }
    char id[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    run_state *state = make_state(arena, plan, id, caller, now_ns);
    state->execution->reason = mos_arena_strdup(arena, request->reason);
    state->execution->kind = request->kind;
    state->incident_at_unix_ns = incident_ns;
    state->recover_to_unix_ns = mos_plan_time(request->recover_to);
    if (incident_ns > 0) {
        // Nobody was at work yet.
        state->waiting_ns = now_ns - incident_ns;
    }
    pthread_mutex_lock(&recovery->mutex);
    status = check_targets(recovery, plan, false, error);
    if (status == MOS_OK) {
        status = launch(recovery, state, arena, out_id, error);
    } else {
        mos_arena_destroy(arena);
    }
    pthread_mutex_unlock(&recovery->mutex);
    return status;
}

mos_status mos_recovery_test(mos_recovery *recovery, const Mosaajii__Backup__V1__TestPlanRequest *request, const char *caller,
                             char out_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    int environment = request->environment ? (int)request->environment : PLACE_IS(ISOLATED);
    if (environment < 0 || environment > PLACE_IS(ISOLATED)) {
        return mos_fail_field(error, "environment", "environment is %d; allowed is PRODUCTION, STAGING, DEVELOPMENT or ISOLATED",
                              environment);
    }
    if (request->negative_control && environment == PLACE_IS(PRODUCTION)) {
        return mos_fail_field(error, "negativeControl", "negativeControl needs a copy, which a rehearsal in PRODUCTION does not make");
    }
    mos_arena *arena = mos_arena_create(0);
    mos_plan *plan = NULL;
    mos_status status = read_plan(recovery, request->plan_id, arena, &plan, error);
    if (status != MOS_OK) {
        mos_arena_destroy(arena);
        return status;
    }
    char id[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    run_state *state = make_state(arena, plan, id, caller, mos_now_unix_ns());
    state->negative_control = request->negative_control;
    make_test(recovery, state, arena, environment);
    pthread_mutex_lock(&recovery->mutex);
    status = check_targets(recovery, plan, true, error);
    if (status == MOS_OK) {
        status = launch(recovery, state, arena, out_id, error);
    } else {
        mos_arena_destroy(arena);
    }
    pthread_mutex_unlock(&recovery->mutex);
    return status;
}

mos_status run_begin_control(mos_recovery *recovery, struct run *test, struct mos_error *error) {
    mos_arena *arena = mos_arena_create(0);
    mos_plan *plan = NULL;
    // The version that the test runs, not what may have become of it.
    MOS_CLEANUP_BUFFER struct mos_buffer packed = MOS_BUFFER_INIT(0);
    size_t size = protobuf_c_message_get_packed_size(&test->state->plan->base);
    mos_buffer_reserve(&packed, size);
    protobuf_c_message_pack(&test->state->plan->base, packed.data);
    plan = mosaajii__backup__v1__plan__unpack(mos_arena_allocator(arena), size, packed.data);
    char id[MOS_ID_TEXT_BYTES], launched[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    run_state *state = make_state(arena, plan, id, test->state->execution->triggered_by, mos_now_unix_ns());
    make_test(recovery, state, arena, (int)test->state->test->environment);
    state->control_of = mos_arena_strdup(arena, test->id);
    mos_status status = launch(recovery, state, arena, launched, error);
    if (status == MOS_OK) {
        test->state->control_id = mos_arena_strdup(test->arena, launched);
        run_log(test, LOG_IS(INFO), "", launched, "The negative control begins: the same steps on a copy that is damaged on purpose");
    }
    return status;
}

// ---- After a server that is gone ----

// What the catalog says of the job that the step had queued; the queue has settled it.
static bool job_succeeded(mos_recovery *recovery, const char *job_id) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_job job;
    return *job_id && mos_catalog_read_begin(recovery->options.catalog, &session, NULL) == MOS_OK &&
           mos_catalog_get_job(session, job_id, arena, &job, NULL) == MOS_OK && job.status == MOS_JOB_SUCCEEDED;
}

static void resume_step(mos_recovery *recovery, struct run *run, size_t index) {
    const mos_plan_step *plan = run->state->plan->steps[index];
    step_run *step = run->state->execution->steps[index];
    step_state *state = run->state->steps[index];
    struct mos_command command;
    bool known = mos_command_parse("command", plan->command, run->arena, &command, NULL) == MOS_OK;
    const char *variable = mos_arena_printf(run->arena, "MOSAAJII_ATTEMPT=%s/%s/%d", run->id, plan->id, step->attempt);
    mos_child_kill_left(variable);
    bool restores = known && command.kind == MOS_COMMAND_RESTORE_BACKUP;
    bool looks = known && plan->automated && !mos_command_changes(command.kind);
    if (state->acted || (restores && !run_is_test(run) && job_succeeded(recovery, state->job_id))) {
        state->acted = true;
        run_log(run, LOG_IS(WARNING), plan->id, "", "The server stopped when the step was done; its criteria are checked now");
        return;
    }
    if (plan->repeatable || looks || (restores && state->bringing) || (restores && run_is_test(run))) {
        run_log(run, LOG_IS(WARNING), plan->id, "", "The server stopped while the step was at work; it is begun again");
        step->status = STEP_IS(PENDING);
        state->not_before_unix_ns = 0;
        run_event_step(run, index);
        return;
    }
    step_failed(recovery, run, index,
                "the server stopped while the step was at work: whether it took effect is not known, and the plan does not say that it may "
                "be repeated",
                false);
}

static mos_status resume_run(mos_recovery *recovery, const struct mos_recovery_run *row, struct mos_error *error) {
    mos_arena *arena = mos_arena_create(0);
    run_state *state = mosaajii__recovery__v1__run__unpack(mos_arena_allocator(arena), row->content.size_bytes, row->content.data);
    if (!state || !state->execution || !state->plan || state->n_steps != state->plan->n_steps ||
        state->n_steps != state->execution->n_steps) {
        mos_arena_destroy(arena);
        return mos_fail(error, MOS_DATA_LOSS, "the recovery run %s cannot be read from the catalog", row->id);
    }
    struct run *run = run_create(recovery, state, arena);
    int64_t now_ns = mos_now_unix_ns();
    // While no server was there, nobody worked.
    state->waiting_ns += now_ns > state->counted_at_unix_ns ? now_ns - state->counted_at_unix_ns : 0;
    state->counted_at_unix_ns = now_ns;
    run_log(run, LOG_IS(WARNING), "", "", "The server was started again, and goes on with the run");
    for (size_t i = 0; i < state->n_steps; i++) {
        if (state->execution->steps[i]->status == STEP_IS(RUNNING)) {
            resume_step(recovery, run, i);
        }
    }
    mos_status status = run_save(recovery, run, error);
    if (status != MOS_OK) {
        run_destroy(run);
        return status;
    }
    mos_log_info("recovery run goes on", MOS_TEXT("run", run->id), MOS_TEXT("plan", state->plan->id));
    recovery_add(recovery, run);
    return MOS_OK;
}

mos_status recovery_load(mos_recovery *recovery, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_recovery_run *rows = NULL;
    size_t count = 0;
    mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(recovery->options.catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_active_recovery_runs(session, arena, &rows, &count, error);
        mos_catalog_read_end(session);
    }
    pthread_mutex_lock(&recovery->mutex);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = resume_run(recovery, &rows[i], error);
        if (status == MOS_DATA_LOSS) {
            // The others are not to wait for it.
            mos_log_error("a recovery run cannot go on", MOS_TEXT("run", rows[i].id), MOS_TEXT("reason", error->message));
            status = MOS_OK;
        }
    }
    pthread_mutex_unlock(&recovery->mutex);
    return status;
}

static mos_status give_up(mos_catalog_session *session, void *argument, struct mos_error *error) {
    mos_arena *arena = argument;
    struct mos_recovery_run *rows = NULL;
    size_t count = 0;
    mos_status status = mos_catalog_active_recovery_runs(session, arena, &rows, &count, error);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        struct mos_recovery_run row = rows[i];
        run_state *state = mosaajii__recovery__v1__run__unpack(mos_arena_allocator(arena), row.content.size_bytes, row.content.data);
        if (!state || *state->failure || state->cancel_asked) {
            continue;
        }
        state->failure = (char *)"The server that ran it is lost, and with it what its steps had done";
        size_t size = mosaajii__recovery__v1__run__get_packed_size(state);
        uint8_t *data = mos_arena_alloc(arena, size);
        mosaajii__recovery__v1__run__pack(state, data);
        row.content = (struct mos_blob){data, size};
        status = mos_catalog_put_recovery_run(session, &row, error);
    }
    return status;
}

mos_status mos_recovery_give_up(mos_catalog *catalog, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    return mos_catalog_write(catalog, give_up, arena, error);
}

// ---- By schedule ----

static bool is_tested_now(const mos_recovery *recovery, const char *plan_id) {
    for (const struct run *run = recovery->runs; run; run = run->next) {
        if (run_is_test(run) && strcmp(run->state->plan->id, plan_id) == 0) {
            return true;
        }
    }
    return false;
}

// A plan that nobody has proved for a quarter of a year is a hope.
static void look_whether_overdue(mos_recovery *recovery, const mos_plan *plan, int64_t now_ns) {
    const int64_t day_ns = 86400 * MOS_NS_PER_SECOND;
    int64_t days = (now_ns - mos_plan_time(plan->last_tested_at ? plan->last_tested_at : plan->created_at)) / day_ns;
    if (days >= mos_setting_number(recovery->options.settings, MOS_SETTING_DR_TEST_OVERDUE_DAYS)) {
        recovery_raise_overdue(recovery, plan, days);
    }
}

static void look_at_plan(mos_recovery *recovery, const struct mos_recovery_plan *row, int64_t now_ns, bool overdue) {
    mos_arena *arena = mos_arena_create(0);
    mos_plan *plan;
    struct mos_error error;
    char id[MOS_ID_TEXT_BYTES];
    bool readable = mos_plan_unpack(row, arena, &plan, &error) == MOS_OK;
    bool active = readable && plan->status != MOSAAJII__BACKUP__V1__PLAN__STATUS__INACTIVE;
    if (active && overdue) {
        look_whether_overdue(recovery, plan, now_ns);
    }
    if (!active || !*plan->test_schedule || !plan->next_test_date || mos_plan_time(plan->next_test_date) > now_ns ||
        is_tested_now(recovery, plan->id)) {
        mos_arena_destroy(arena);
        return;
    }
    mos_id_new(id);
    run_state *state = make_state(arena, plan, id, "schedule", now_ns);
    make_test(recovery, state, arena, PLACE_IS(ISOLATED));
    if (launch(recovery, state, arena, id, &error) != MOS_OK) {
        mos_log_error("a scheduled recovery test could not be begun", MOS_TEXT("plan", row->id), MOS_TEXT("reason", error.message));
    }
}

void recovery_look_at_plans(mos_recovery *recovery) {
    const char *token = "";
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    int64_t now_ns = mos_now_unix_ns(), clock_ns = mos_now_monotonic_ns();
    bool overdue = clock_ns >= recovery->overdue_told_ns;
    if (overdue) {
        recovery->overdue_told_ns = clock_ns + OVERDUE_EVERY_SECONDS * MOS_NS_PER_SECOND;
    }
    do {
        struct mos_recovery_plan *plans;
        size_t count = 0;
        const struct mos_page page = {500, token};
        struct mos_error error;
        mos_catalog_session *session = NULL;
        mos_status status = mos_catalog_read_begin(recovery->options.catalog, &session, &error);
        if (status == MOS_OK) {
            status = mos_catalog_list_plans(session, 0, 0, &page, arena, &plans, &count, &token, &error);
            mos_catalog_read_end(session);
        }
        if (status != MOS_OK) {
            mos_log_warning("recovery plans cannot be read", MOS_TEXT("reason", error.message));
            return;
        }
        for (size_t i = 0; i < count; i++) {
            look_at_plan(recovery, &plans[i], now_ns, overdue);
        }
    } while (*token);
}
