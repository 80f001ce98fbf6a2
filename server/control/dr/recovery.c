// Deciding what comes next, for all runs: one thread, woken by what has happened and by the time.
#include "control/dr/recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "control/catalog/jobs.h"
#include "control/dr/internal.h"

// Threads that wait for engines and programs need little; the usual stack is for them all.
enum { TICK_MS = 500, PLANS_EVERY_SECONDS = 20, USUAL_TIMEOUT_SECONDS = 300 };

// ---- Attempts ----

void attempt_destroy(struct attempt *attempt) {
    if (!attempt->joined) {
        pthread_join(attempt->thread, NULL);
    }
    close(attempt->stop_fd);
    mos_buffer_free(&attempt->output);
    mos_arena_destroy(attempt->arena);
    free(attempt);
}

static void attempt_stop(struct attempt *attempt) {
    atomic_store(&attempt->stop, true);
    eventfd_write(attempt->stop_fd, 1);
}

static int64_t timeout_ns(const mos_plan_step *step, enum mos_command_kind kind) {
    // Work on backups takes as long as it takes.
    bool endless = kind == MOS_COMMAND_RESTORE_BACKUP || kind == MOS_COMMAND_VERIFY_BACKUP || kind == MOS_COMMAND_WAIT;
    int64_t seconds = step->timeout_seconds ? step->timeout_seconds : endless ? 0 : USUAL_TIMEOUT_SECONDS;
    return seconds * MOS_NS_PER_SECOND;
}

// `index`: of a step, or the number of steps for what comes before and after them. What it is to do stands in the catalog already.
static mos_status attempt_begin(mos_recovery *recovery, struct run *run, size_t index, struct mos_error *error) {
    struct attempt *attempt = mos_calloc(1, sizeof(*attempt));
    attempt->recovery = recovery;
    attempt->run = run;
    attempt->index = (int)index;
    attempt->arena = mos_arena_create(0);
    attempt->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    attempt->place = run_place(run, attempt->arena);
    attempt->cleaning = run->state->preflight_done || *run->state->failure || run->state->cancel_asked;
    mos_status status = attempt->stop_fd >= 0 ? MOS_OK : mos_fail(error, MOS_RESOURCE_EXHAUSTED, "there is no descriptor left for a step");
    if (status == MOS_OK && index < run->state->n_steps) {
        attempt->step = run->state->plan->steps[index];
        attempt->criteria_only = run->state->steps[index]->acted;
        status = mos_command_parse("command", attempt->step->automated ? attempt->step->command : "verify_database", attempt->arena,
                                   &attempt->command, error);
        int64_t limit_ns = timeout_ns(attempt->step, attempt->command.kind);
        attempt->deadline_ns = limit_ns ? mos_now_monotonic_ns() + limit_ns : 0;
    }
    if (status == MOS_OK) {
        int code = pthread_create(&attempt->thread, NULL, attempt_main, attempt);
        status = code ? mos_fail_errno(error, code, "starting a thread for a step") : MOS_OK;
    }
    if (status != MOS_OK) {
        if (attempt->stop_fd >= 0) {
            close(attempt->stop_fd);
        }
        mos_arena_destroy(attempt->arena);
        free(attempt);
        return status;
    }
    run->attempts[index] = attempt;
    return MOS_OK;
}

// ---- Steps that wait ----

static void wait_on(mos_recovery *recovery, struct run *run, size_t index, int64_t now_ns) {
    const mos_plan_step *plan = run->state->plan->steps[index];
    step_state *state = run->state->steps[index];
    int64_t limit_ns = (int64_t)plan->timeout_seconds * MOS_NS_PER_SECOND;
    int64_t waited_ns = now_ns - state->waiting_since_unix_ns;
    if (limit_ns > 0 && waited_ns >= limit_ns && !state->asked) {
        state->waiting_since_unix_ns = 0;
        state->waited_ns += waited_ns;
        state->acted = false;
        step_failed(recovery, run, index, run_text(run, "nobody answered within %d seconds", plan->timeout_seconds), true);
        return;
    }
    run_remind(recovery, run, index, now_ns);
}

static bool is_open(const step_run *step) {
    return step->status == STEP_IS(PENDING) || step->status == STEP_IS(RUNNING) || step->status == STEP_IS(WAITING);
}

// All that the step waits for is done, or need not be.
static bool is_ready(const struct run *run, size_t index, int64_t now_ns) {
    const run_state *state = run->state;
    const step_run *step = state->execution->steps[index];
    if (step->status != STEP_IS(PENDING) || now_ns < state->steps[index]->not_before_unix_ns) {
        return false;
    }
    for (size_t i = 0; i < state->n_steps; i++) {
        const step_run *other = state->execution->steps[i];
        bool settled = other->status == STEP_IS(SUCCEEDED) || other->status == STEP_IS(SKIPPED) ||
                       (other->status == STEP_IS(FAILED) && state->steps[i]->excused);
        if (i != index && mos_plan_waits(state->plan, index, i) && !settled) {
            return false;
        }
    }
    return true;
}

static bool belongs(const struct run *run, const mos_plan_step *step, const char **out_why) {
    bool test = run_is_test(run);
    bool named = false;
    for (size_t i = 0; i < step->n_run_kinds; i++) {
        named = named || (step->run_kinds[i] == MOSAAJII__BACKUP__V1__PLAN_STEP__RUN_KIND__TEST) == test;
    }
    *out_why = step->n_run_kinds && !named ? "it does not belong to this kind of run" : "";
    if (!test || named || **out_why) {
        return !**out_why;
    }
    // What nobody marked as fit for tests is kept from production, and from waking people.
    if (!step->automated) {
        *out_why = "it is a person's, and its runKinds do not name TEST";
    } else if (strncmp(step->command, "hook:", 5) == 0 || strcmp(step->command, "restart_services") == 0) {
        *out_why =
            run->state->test->environment == PLACE_IS(PRODUCTION) ? "" : "it would reach production, and its runKinds do not name TEST";
    }
    return !**out_why;
}

static void begin_step(mos_recovery *recovery, struct run *run, size_t index) {
    const mos_plan_step *plan = run->state->plan->steps[index];
    step_run *step = run->state->execution->steps[index];
    const char *why;
    if (!belongs(run, plan, &why)) {
        step->message = (char *)run_text(run, "Left out: %s", why);
        step_end(run, index, STEP_IS(SKIPPED));
        return;
    }
    step->started_at = step->started_at ? step->started_at : mos_plan_timestamp(run->arena, mos_now_unix_ns());
    step->attempt++;
    step->percent = 0;
    if (!plan->automated) {
        run->state->steps[index]->asked = false;
        const char *who = *plan->assignee ? plan->assignee : "somebody";
        step_wait_for_person(recovery, run, index,
                             run_text(run, "%s is to do it%s%s", who, *plan->description ? ": " : "", plan->description));
        return;
    }
    step->status = STEP_IS(RUNNING);
    step->message = (char *)"";
    run->state->execution->current_step = step->step_id;
    run_event_step(run, index);
    run_log(run, LOG_IS(INFO), step->step_id, plan->command, "Attempt %d begins", step->attempt);
}

static void begin_ready(mos_recovery *recovery, struct run *run, int64_t now_ns) {
    const run_state *state = run->state;
    int most = state->plan->max_parallel_steps ? state->plan->max_parallel_steps : MOS_PLAN_PARALLEL;
    int busy = 0;
    for (size_t i = 0; i < state->n_steps; i++) {
        busy += state->execution->steps[i]->status == STEP_IS(RUNNING);
    }
    // What is left out, or waits for a person, may let others begin: round and round until nothing changes.
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < state->n_steps && !*state->failure; i++) {
            if (busy < most && is_ready(run, i, now_ns)) {
                begin_step(recovery, run, i);
                busy += state->execution->steps[i]->status == STEP_IS(RUNNING);
                changed = true;
            }
        }
    }
}

// ---- The end ----

static void cancel_open(struct run *run) {
    for (size_t i = 0; i < run->state->n_steps; i++) {
        const step_run *step = run->state->execution->steps[i];
        if (step->status == STEP_IS(PENDING) || step->status == STEP_IS(WAITING)) {
            step_end(run, i, STEP_IS(CANCELLED));
        }
    }
}

// The control of a test has ended as well, or there is none to come.
static bool control_settled(mos_recovery *recovery, struct run *run) {
    run_state *state = run->state;
    if (!state->negative_control || *state->failure || state->cancel_asked) {
        return true;
    }
    if (!*state->control_id) {
        struct mos_error error;
        if (run_begin_control(recovery, run, &error) != MOS_OK) {
            state->failure = (char *)run_text(run, "The negative control could not be begun: %s", error.message);
            return true;
        }
        return false;
    }
    return recovery_find(recovery, state->control_id) == NULL;
}

static void judge_control(mos_recovery *recovery, struct run *run) {
    run_state *state = run->state;
    if (!*state->control_id || *state->failure) {
        return;
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_error error;
    execution *control = NULL;
    mos_status status = mos_catalog_read_begin(recovery->options.catalog, &session, &error);
    status = status ? status : mos_recovery_read(session, state->control_id, arena, &control, NULL, &error);
    bool failed = status == MOS_OK && control->status == RUN_IS(FAILED) && control->n_failed_steps > 0;
    run_log(run, failed ? LOG_IS(INFO) : LOG_IS(ERROR), "", failed ? control->message : "", "%s",
            failed ? "The negative control failed on the damaged copy, as it must"
                   : "The negative control did not fail on the damaged copy");
    if (!failed) {
        state->failure = (char *)run_text(run, "The test itself is broken: it does not notice a copy that was damaged on purpose");
    }
}

static bool wants_clean_up(const struct run *run) {
    return *run->state->sandbox && !run->state->sandbox_removed;
}

static void finish(mos_recovery *recovery, struct run *run) {
    run_state *state = run->state;
    execution *record = state->execution;
    int64_t now_ns = mos_now_unix_ns();
    judge_control(recovery, run);
    record->completed_at = mos_plan_timestamp(run->arena, now_ns);
    record->current_step = (char *)"";
    run_count_time(run, now_ns);
    int status = state->cancel_asked ? RUN_IS(CANCELLED) : *state->failure ? RUN_IS(FAILED) : RUN_IS(COMPLETED);
    record->status = (Mosaajii__Backup__V1__Execution__Status)status;
    if (!state->cancel_asked) {
        bool excepted = record->n_failed_steps > 0 || record->n_skipped_steps > 0;
        record->message = *state->failure ? state->failure : (char *)(excepted ? "Completed with exceptions" : "Completed");
    }
    run_measure(recovery, run);
    run_log(run, status == RUN_IS(COMPLETED) ? LOG_IS(INFO) : LOG_IS(ERROR), "", "", "%s", record->message);
    run_event_status(run);
    run_tell(run, status == RUN_IS(COMPLETED) ? "completed" : status == RUN_IS(CANCELLED) ? "cancelled" : "failed", record->message);
    run_write_report(recovery, run);
    run->ended = true;
    mos_log_info("recovery run ended", MOS_TEXT("run", run->id), MOS_TEXT("plan", record->plan_id), MOS_TEXT("message", record->message));
}

static bool all_settled(const struct run *run) {
    for (size_t i = 0; i < run->state->n_steps; i++) {
        if (is_open(run->state->execution->steps[i]) || run->attempts[i]) {
            return false;
        }
    }
    return run->attempts[run->state->n_steps] == NULL;
}

// ---- Deciding ----

static void decide(mos_recovery *recovery, struct run *run) {
    run_state *state = run->state;
    int64_t now_ns = mos_now_unix_ns();
    run_count_time(run, now_ns);
    run_collect(recovery, run);
    if (recovery->stopping || run->ended) {
        return;
    }
    if (state->preflight_done && !*state->failure && !state->cancel_asked) {
        for (size_t i = 0; i < state->n_steps; i++) {
            if (state->execution->steps[i]->status == STEP_IS(WAITING)) {
                wait_on(recovery, run, i, now_ns);
            }
        }
        if (state->execution->status == RUN_IS(IN_PROGRESS)) {
            begin_ready(recovery, run, now_ns);
        }
    }
    if (*state->failure || state->cancel_asked) {
        cancel_open(run);
    }
    bool over = all_settled(run) && (state->preflight_done || *state->failure || state->cancel_asked);
    if (over && control_settled(recovery, run) && !wants_clean_up(run)) {
        finish(recovery, run);
    }
}

// Begins what the catalog now says is being done.
static void act(mos_recovery *recovery, struct run *run) {
    run_state *state = run->state;
    struct mos_error error;
    for (size_t i = 0; i < state->n_steps; i++) {
        if (state->execution->steps[i]->status == STEP_IS(RUNNING) && !run->attempts[i] &&
            attempt_begin(recovery, run, i, &error) != MOS_OK) {
            step_failed(recovery, run, i, error.message, true);
        }
    }
    size_t last = state->n_steps;
    bool before = !state->preflight_done && !state->cancel_asked && !*state->failure;
    bool after = all_settled(run) && wants_clean_up(run) && (state->preflight_done || *state->failure || state->cancel_asked);
    if (!run->attempts[last] && (before || after) && attempt_begin(recovery, run, last, &error) != MOS_OK) {
        mos_log_error("a recovery run cannot go on", MOS_TEXT("run", run->id), MOS_TEXT("reason", error.message));
    }
    if (state->cancel_asked) {
        // The cleaning up goes on.
        for (size_t i = 0; i < state->n_steps + !state->preflight_done; i++) {
            if (run->attempts[i]) {
                attempt_stop(run->attempts[i]);
            }
        }
    }
}

static void advance(mos_recovery *recovery, struct run *run) {
    struct mos_error error;
    decide(recovery, run);
    bool written = run->pending == NULL || run_save(recovery, run, &error) == MOS_OK;
    if (written && !recovery->stopping && !run->ended) {
        act(recovery, run);
    }
}

struct run *recovery_find(mos_recovery *recovery, const char *id) {
    for (struct run *run = recovery->runs; run; run = run->next) {
        if (strcmp(run->id, id) == 0) {
            return run;
        }
    }
    return NULL;
}

void recovery_add(mos_recovery *recovery, struct run *run) {
    run->next = recovery->runs;
    recovery->runs = run;
    pthread_cond_signal(&recovery->work);
}

static void drop_ended(mos_recovery *recovery) {
    for (struct run **link = &recovery->runs; *link;) {
        struct run *run = *link;
        if (run->ended && !run->pending) {
            *link = run->next;
            run_destroy(run);
        } else {
            link = &run->next;
        }
    }
}

// Those who watch runs in which nothing happens are woken too: they tell their callers that the run is alive.
static void beat(mos_recovery *recovery, int64_t now_ns) {
    if (recovery->runs != NULL && now_ns >= recovery->beat_at_ns) {
        recovery->beat_at_ns = now_ns + MOS_NS_PER_SECOND;
        mos_catalog_wake_watchers(recovery->options.catalog);
    }
}

static void *recovery_main(void *argument) {
    mos_recovery *recovery = argument;
    pthread_mutex_lock(&recovery->mutex);
    while (!recovery->stopping) {
        for (struct run *run = recovery->runs; run; run = run->next) {
            advance(recovery, run);
        }
        drop_ended(recovery);
        int64_t now_ns = mos_now_monotonic_ns();
        if (now_ns >= recovery->looked_at_plans_ns) {
            recovery->looked_at_plans_ns = now_ns + PLANS_EVERY_SECONDS * MOS_NS_PER_SECOND;
            recovery_look_at_plans(recovery);
        }
        beat(recovery, now_ns);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * MOS_NS_PER_MS;
        until.tv_sec += until.tv_nsec / MOS_NS_PER_SECOND;
        until.tv_nsec %= MOS_NS_PER_SECOND;
        pthread_cond_timedwait(&recovery->work, &recovery->mutex, &until);
    }
    pthread_mutex_unlock(&recovery->mutex);
    return NULL;
}

// ---- Making and taking apart ----

mos_recovery *mos_recovery_create(const struct mos_recovery_options *options) {
    mos_recovery *recovery = mos_calloc(1, sizeof(*recovery));
    recovery->options = *options;
    recovery->home = mos_setting_text(options->settings, MOS_SETTING_MOSAAJII_HOME);
    pthread_mutex_init(&recovery->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&recovery->work, &attributes);
    pthread_condattr_destroy(&attributes);
    return recovery;
}

mos_status mos_recovery_start(mos_recovery *recovery, struct mos_error *error) {
    mos_status status = recovery_load(recovery, error);
    if (status != MOS_OK) {
        return status;
    }
    int code = pthread_create(&recovery->thread, NULL, recovery_main, recovery);
    recovery->runs_thread = code == 0;
    return code ? mos_fail_errno(error, code, "starting the thread of recovery runs") : MOS_OK;
}

void mos_recovery_stop(mos_recovery *recovery) {
    pthread_mutex_lock(&recovery->mutex);
    recovery->stopping = true;
    for (struct run *run = recovery->runs; run; run = run->next) {
        for (size_t i = 0; i < run->attempt_count; i++) {
            if (run->attempts[i]) {
                attempt_stop(run->attempts[i]);
            }
        }
    }
    pthread_cond_broadcast(&recovery->work);
    pthread_mutex_unlock(&recovery->mutex);
    mos_catalog_wake_watchers(recovery->options.catalog);
    if (recovery->runs_thread) {
        pthread_join(recovery->thread, NULL);
        recovery->runs_thread = false;
    }
    while (recovery->runs) {
        struct run *run = recovery->runs;
        for (size_t i = 0; i < run->attempt_count; i++) {
            if (run->attempts[i]) {
                // The thread may still write what it has begun; it ends soon.
                pthread_join(run->attempts[i]->thread, NULL);
                run->attempts[i]->joined = true;
            }
        }
        struct mos_error error;
        // Calls may still come, and must not find what is being taken apart.
        pthread_mutex_lock(&recovery->mutex);
        run_collect(recovery, run);
        if (run->pending) {
            run_save(recovery, run, &error);
        }
        recovery->runs = run->next;
        pthread_mutex_unlock(&recovery->mutex);
        for (size_t i = 0; i < run->attempt_count; i++) {
            if (run->attempts[i]) {
                attempt_destroy(run->attempts[i]);
            }
        }
        run_destroy(run);
    }
}

void mos_recovery_destroy(mos_recovery *recovery) {
    if (!recovery) {
        return;
    }
    pthread_mutex_destroy(&recovery->mutex);
    pthread_cond_destroy(&recovery->work);
    free(recovery);
}

struct mos_plan_defaults mos_recovery_defaults(const mos_recovery *recovery) {
    return (struct mos_plan_defaults){
        .rto_minutes = (int32_t)mos_setting_number(recovery->options.settings, MOS_SETTING_DR_RTO_MINUTES),
        .rpo_minutes = (int32_t)mos_setting_number(recovery->options.settings, MOS_SETTING_DR_RPO_MINUTES),
    };
}

const char *recovery_restart_hook(const mos_recovery *recovery) {
    return mos_setting_text(recovery->options.settings, MOS_SETTING_DR_RESTART_HOOK);
}

struct mos_plan_sources mos_recovery_sources(const mos_recovery *recovery) {
    const mos_settings *settings = recovery->options.settings;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *path;
    return (struct mos_plan_sources){
        .files = mos_setting_is_set(settings, MOS_SETTING_BACKUP_FILES_PATHS),
        .configuration = mos_setting_is_set(settings, MOS_SETTING_BACKUP_CONFIG_PATHS),
        .databases = mos_setting_is_set(settings, MOS_SETTING_DATABASE_URL),
        .restart_hook = hook_check(recovery, recovery_restart_hook(recovery), arena, &path, NULL) == MOS_OK,
    };
}
