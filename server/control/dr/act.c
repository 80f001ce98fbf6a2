// One attempt on its own thread: what every command does, and the criteria afterwards.
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "control/catalog/backups.h"
#include "control/dr/internal.h"

// ---- For all ----

bool attempt_is_over(const void *argument) {
    const struct attempt *attempt = argument;
    return atomic_load(&attempt->stop) || (attempt->deadline_ns && mos_now_monotonic_ns() >= attempt->deadline_ns);
}

mos_status attempt_check(struct attempt *attempt, struct mos_error *error) {
    if (atomic_load(&attempt->stop)) {
        return mos_fail(error, MOS_CANCELLED, "it was stopped");
    }
    if (attempt_is_over(attempt)) {
        return mos_fail(error, MOS_DEADLINE_EXCEEDED, "it did not end within its time");
    }
    return MOS_OK;
}

int attempt_left_ms(const struct attempt *attempt, int most) {
    if (!attempt->deadline_ns) {
        return most;
    }
    int64_t left_ms = (attempt->deadline_ns - mos_now_monotonic_ns()) / MOS_NS_PER_MS;
    return left_ms < 1 ? 1 : left_ms < most ? (int)left_ms : most;
}

void attempt_print(struct attempt *attempt, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (attempt->output.size_bytes < MOS_OUTPUT_MOST) {
        mos_buffer_vprintf(&attempt->output, format, arguments);
    }
    va_end(arguments);
}

static mos_status save_run(struct attempt *attempt, struct mos_error *error) {
    return run_save(attempt->recovery, attempt->run, error);
}

mos_status attempt_note_job(struct attempt *attempt, const char *job_id, const struct mos_backup *backup, struct mos_error *error) {
    pthread_mutex_lock(&attempt->recovery->mutex);
    step_state *state = attempt->run->state->steps[attempt->index];
    state->job_id = mos_arena_strdup(attempt->run->arena, job_id);
    state->backup_id = mos_arena_strdup(attempt->run->arena, backup->id);
    state->backup_type = (char *)mos_backup_type_word((int)backup->type);
    state->backup_created_at_unix_ns = backup->created_at_unix_ns;
    mos_status status = save_run(attempt, error);
    pthread_mutex_unlock(&attempt->recovery->mutex);
    return status;
}

mos_status attempt_note_database(struct attempt *attempt, const char *name, const char *url, const char *role, struct mos_error *error) {
    pthread_mutex_lock(&attempt->recovery->mutex);
    struct run *run = attempt->run;
    size_t count = run->state->n_databases;
    Mosaajii__Recovery__V1__SandboxDatabase **grown = mos_arena_array(run->arena, Mosaajii__Recovery__V1__SandboxDatabase *, count + 1);
    if (count > 0) {
        memcpy(grown, run->state->databases, count * sizeof(*grown));
    }
    grown[count] = mos_arena_alloc(run->arena, sizeof(*grown[count]));
    mosaajii__recovery__v1__sandbox_database__init(grown[count]);
    grown[count]->name = mos_arena_strdup(run->arena, name);
    grown[count]->url = mos_arena_strdup(run->arena, url);
    grown[count]->role = mos_arena_strdup(run->arena, role);
    run->state->databases = grown;
    run->state->n_databases = count + 1;
    mos_status status = save_run(attempt, error);
    pthread_mutex_unlock(&attempt->recovery->mutex);
    return status;
}

void attempt_note_percent(struct attempt *attempt, int percent) {
    pthread_mutex_lock(&attempt->recovery->mutex);
    step_run *step = attempt->run->state->execution->steps[attempt->index];
    if (attempt->way_to > 0) {
        percent = attempt->way_from + percent * (attempt->way_to - attempt->way_from) / 100;
    }
    if (percent > step->percent && percent <= 100) {
        step->percent = percent;
        run_event_progress(attempt->run, (size_t)attempt->index);
        // What cannot be written now is written with what comes next.
        save_run(attempt, NULL);
    }
    pthread_mutex_unlock(&attempt->recovery->mutex);
}

mos_status attempt_note_bringing(struct attempt *attempt, bool bringing, struct mos_error *error) {
    pthread_mutex_lock(&attempt->recovery->mutex);
    attempt->run->state->steps[attempt->index]->bringing = bringing;
    mos_status status = save_run(attempt, error);
    pthread_mutex_unlock(&attempt->recovery->mutex);
    return status;
}

void attempt_log(struct attempt *attempt, int level, const char *format, ...) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    va_list arguments;
    va_start(arguments, format);
    mos_buffer_vprintf(&text, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&attempt->recovery->mutex);
    run_log(attempt->run, level, attempt->step ? attempt->step->id : "", "", "%s", mos_buffer_text(&text));
    // What cannot be written now is written with what comes next.
    save_run(attempt, NULL);
    pthread_mutex_unlock(&attempt->recovery->mutex);
}

// ---- Commands without a file of their own ----

static mos_status act_wait(struct attempt *attempt, struct mos_error *error) {
    int64_t end_ns = mos_now_monotonic_ns() + attempt->command.wait_ns;
    for (;;) {
        mos_status status = attempt_check(attempt, error);
        int64_t left_ms = (end_ns - mos_now_monotonic_ns()) / MOS_NS_PER_MS;
        if (status != MOS_OK || left_ms <= 0) {
            return status;
        }
        struct pollfd polled = {.fd = attempt->stop_fd, .events = POLLIN};
        poll(&polled, 1, attempt_left_ms(attempt, left_ms < 60000 ? (int)left_ms : 60000));
    }
}

// A rehearsal looks whether it could be run.
static mos_status hook(struct attempt *attempt, const char *name, struct mos_error *error) {
    const char *path;
    if (!attempt->place.rehearsal) {
        return act_hook(attempt, name, error);
    }
    mos_status status = hook_check(attempt->recovery, name, attempt->arena, &path, error);
    if (status == MOS_OK) {
        attempt_print(attempt, "Rehearsal: %s is there and was not run\n", path);
    }
    return status;
}

static mos_status http_check(struct attempt *attempt, struct mos_error *error) {
    int64_t code = 0;
    mos_status status = act_http(attempt, attempt->command.text, &code, error);
    if (status != MOS_OK) {
        return status;
    }
    attempt_print(attempt, "%s answered %lld\n", attempt->command.text, (long long)code);
    return code >= 200 && code < 300
               ? MOS_OK
               : mos_fail(error, MOS_FAILED_PRECONDITION, "%s answered %lld, not 2xx", attempt->command.text, (long long)code);
}

static mos_status perform(struct attempt *attempt, struct mos_error *error) {
    switch (attempt->command.kind) {
    case MOS_COMMAND_RESTORE_BACKUP:
        return act_restore(attempt, error);
    case MOS_COMMAND_VERIFY_BACKUP:
        return act_verify_backup(attempt, error);
    case MOS_COMMAND_VERIFY_DATABASE:
        return act_verify_database(attempt, error);
    case MOS_COMMAND_RESTART_SERVICES:
        return hook(attempt, recovery_restart_hook(attempt->recovery), error);
    case MOS_COMMAND_HOOK:
        return hook(attempt, attempt->command.text, error);
    case MOS_COMMAND_HTTP_CHECK:
        return http_check(attempt, error);
    case MOS_COMMAND_TCP_CHECK:
        return act_tcp(attempt, error);
    case MOS_COMMAND_SQL_CHECK:
        return act_sql(attempt, error);
    default:
        return act_wait(attempt, error);
    }
}

// ---- The thread ----

static mos_status work(struct attempt *attempt, struct mos_error *error) {
    if (!attempt->step) {
        return attempt->cleaning ? act_clean_up(attempt, error) : act_preflight(attempt, error);
    }
    int64_t begun_ns = mos_now_monotonic_ns();
    mos_status status = attempt->criteria_only ? MOS_OK : perform(attempt, error);
    attempt->worked_ns = mos_now_monotonic_ns() - begun_ns;
    if (status == MOS_OK) {
        status = check_criteria(attempt, error);
    }
    attempt->worked_ns = mos_now_monotonic_ns() - begun_ns;
    return status;
}

void *attempt_main(void *argument) {
    struct attempt *attempt = argument;
    mos_status status = work(attempt, &attempt->error);
    pthread_mutex_lock(&attempt->recovery->mutex);
    attempt->status = status;
    attempt->done = true;
    pthread_cond_signal(&attempt->recovery->work);
    pthread_mutex_unlock(&attempt->recovery->mutex);
    return NULL;
}
