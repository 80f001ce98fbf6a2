#include "control/schedule/account.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/alert/alert.h"
#include "control/catalog/audit.h"
#include "control/schedule/change.h"
#include "control/schedule/timing.h"

enum {
    // In one go; the rest is for the next.
    MOST_RUNS = 200000,
    // A clock that was set back by less is a clock that was corrected.
    SET_BACK_SECONDS = 60,
};

#define PAUSED_REASON "The schedule was paused"
#define MISSED_REASON "The server was not running, or its clock stood elsewhere"

// Runs in a row.
struct span {
    int64_t first, last, count;
};

struct account {
    mos_catalog *catalog;
    const struct mos_schedule_acts *acts;
    const struct mos_schedule *schedule;
    mos_timing *timing;
    mos_arena *arena;
    // In seconds.
    int64_t now;
    struct span late, prompt;
    // The last moment that was looked at.
    int64_t seen;
    // The run that waits for the one before, and the backup that is at work; NULL and "" for none.
    const struct mos_run *waiting;
    const char *at_work;
    // Those that did not start and lie in the future, after the clock was set back.
    struct mos_run *ahead;
    size_t ahead_count;
};

// What is committed together.
struct commit {
    const struct mos_schedule *schedule;
    int64_t until_unix_ns;
    struct mos_run rows[3];
    size_t row_count;
    // The row that gets the id of the new backup; NULL for none.
    struct mos_run *started;
    char backup_id[MOS_ID_TEXT_BYTES];
};

// ---- Rows ----

static struct mos_run row_of(const struct account *account, const struct span *span, enum mos_run_state state, const char *reason) {
    return (struct mos_run){.schedule_id = account->schedule->id,
                            .due_at_unix_ns = span->first * MOS_NS_PER_SECOND,
                            .through_unix_ns = span->last * MOS_NS_PER_SECOND,
                            .count = span->count,
                            .state = state,
                            .recorded_at_unix_ns = account->now * MOS_NS_PER_SECOND,
                            .backup_id = "",
                            .reason = reason};
}

// What shares the fate of the row before becomes a part of it.
static mos_status put_row(mos_catalog_session *session, const struct mos_run *row, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_run *newest;
    size_t count = 0;
    struct mos_run joined = *row;
    mos_status status = MOS_OK;
    if (row->state == MOS_RUN_MISSED || row->state == MOS_RUN_SKIPPED) {
        status = mos_catalog_list_runs(session, row->schedule_id, 0, 1, arena, &newest, &count, error);
        if (status == MOS_OK && count > 0 && newest->state == row->state && newest->through_unix_ns < row->due_at_unix_ns &&
            strcmp(newest->reason, row->reason) == 0) {
            joined.due_at_unix_ns = newest->due_at_unix_ns;
            joined.count += newest->count;
        }
    }
    return status == MOS_OK ? mos_catalog_put_run(session, &joined, error) : status;
}

// A run that did not come about is told of; that one did come about ends it.
static mos_status tell(mos_catalog_session *session, const struct mos_schedule *schedule, const struct mos_run *run,
                       struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char last[MOS_TIME_TEXT_BYTES];
    mos_time_format(run->through_unix_ns, last);
    struct mos_alert_cause cause = {.type = MOS_ALERT_BACKUP_MISSED,
                                    .severity = MOS_SEVERITY_ERROR,
                                    .cause = mos_schedule_alert_cause(schedule->id, arena),
                                    .message = ""};
    if (run->state == MOS_RUN_MISSED) {
        cause.message = mos_arena_printf(arena, "%lld %s of the schedule %s missed, the last at %s", (long long)run->count,
                                         run->count == 1 ? "run was" : "runs were", schedule->name, last);
    } else if (run->state == MOS_RUN_FAILED) {
        cause.message = mos_arena_printf(arena, "The run of the schedule %s at %s did not start: %s", schedule->name, last, run->reason);
    } else {
        return run->state == MOS_RUN_STARTED ? mos_alert_resolve_in(session, cause.cause, error) : MOS_OK;
    }
    return mos_alert_raise_in(session, &cause, error);
}

static mos_status record_start(mos_catalog_session *session, const struct commit *commit, struct mos_error *error) {
    const struct mos_audit_detail details[] = {{"backupId", commit->backup_id}, {"schedule", commit->schedule->name}};
    const struct mos_audit_entry entry = {.actor = "system",
                                          .action = "Schedule.Run",
                                          .resource = commit->schedule->id,
                                          .result = mos_status_name(MOS_OK),
                                          .details = details,
                                          .detail_count = sizeof(details) / sizeof(details[0])};
    return mos_catalog_add_audit(session, &entry, error);
}

static mos_status commit(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct commit *commit = argument;
    mos_status status = mos_catalog_account_schedule(session, commit->schedule, commit->until_unix_ns, error);
    for (size_t i = 0; i < commit->row_count && status == MOS_OK; i++) {
        status = put_row(session, &commit->rows[i], error);
        if (status == MOS_OK) {
            status = tell(session, commit->schedule, &commit->rows[i], error);
        }
    }
    return status == MOS_OK && commit->started ? record_start(session, commit, error) : status;
}

// ---- Looking ----

// What a blackout begins over before it could start is not late until some time after that.
static bool is_late(const struct account *account, int64_t start) {
    int64_t latest = start + MOS_SCHEDULE_GRACE_SECONDS, free_from = mos_timing_free_from(account->timing, latest);
    return account->now > (free_from > latest ? free_from + MOS_SCHEDULE_GRACE_SECONDS : latest);
}

static mos_status gather(struct account *account, mos_catalog_session *session, struct mos_error *error) {
    const struct mos_schedule *schedule = account->schedule;
    int64_t due, start, not_before = INT64_MIN;
    mos_status status = MOS_OK;
    for (int i = 0; i < MOST_RUNS && mos_timing_next(account->timing, account->seen, &due, &start) && due <= account->now; i++) {
        bool started = false;
        // Each starts after the one before.
        start = start > not_before ? start : not_before;
        if (start > account->now && !schedule->paused) {
            break;
        }
        not_before = start;
        account->seen = due;
        status = mos_catalog_run_started(session, schedule->id, due * MOS_NS_PER_SECOND, &started, error);
        if (status != MOS_OK) {
            return status;
        }
        if (started) {
            continue;
        }
        struct span *span = is_late(account, start) ? &account->late : &account->prompt;
        span->first = span->count == 0 ? due : span->first;
        span->last = due;
        span->count++;
    }
    return status;
}

static mos_status look(struct account *account, struct mos_error *error) {
    const struct mos_schedule *schedule = account->schedule;
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(account->catalog, &session, error);
    account->seen = schedule->accounted_until_unix_ns / MOS_NS_PER_SECOND;
    if (status == MOS_OK && account->seen > account->now + SET_BACK_SECONDS) {
        return mos_catalog_runs_behind(session, schedule->id, account->now * MOS_NS_PER_SECOND, account->arena, &account->ahead,
                                       &account->ahead_count, error);
    }
    if (status == MOS_OK) {
        status = gather(account, session, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_waiting_run(session, schedule->id, account->arena, &account->waiting, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_run_at_work(session, schedule->id, account->arena, &account->at_work, error);
    }
    return status;
}

// ---- The clock was set back ----

struct rewind {
    struct account *account;
};

// What is said of a time that is to come again is taken back; what was started stays, so that it is not started again.
static mos_status rewind_rows(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct account *account = ((struct rewind *)argument)->account;
    mos_status status = mos_catalog_account_schedule(session, account->schedule, account->now * MOS_NS_PER_SECOND, error);
    for (size_t i = 0; i < account->ahead_count && status == MOS_OK; i++) {
        struct mos_run row = account->ahead[i];
        int64_t due = row.due_at_unix_ns / MOS_NS_PER_SECOND, start;
        status = mos_catalog_remove_run(session, row.schedule_id, row.due_at_unix_ns, error);
        if (due > account->now) {
            continue;
        }
        for (row.count = 0; due <= account->now && row.count < MOST_RUNS; row.count++) {
            row.through_unix_ns = due * MOS_NS_PER_SECOND;
            if (!mos_timing_next(account->timing, due, &due, &start)) {
                break;
            }
        }
        status = status == MOS_OK ? mos_catalog_put_run(session, &row, error) : status;
    }
    return status;
}

static mos_status rewind_clock(struct account *account, struct mos_error *error) {
    struct rewind change = {account};
    mos_log_warning("the clock was set back: runs of the time that comes again are due again, unless they were started",
                    MOS_TEXT("schedule", account->schedule->name));
    return mos_catalog_write(account->catalog, rewind_rows, &change, error);
}

// ---- Deciding ----

static void drop_last(struct span *span, const mos_timing *timing) {
    // The one before the last is what comes last among those that are due before it.
    int64_t due = span->first, start, last = span->first;
    while (due < span->last) {
        last = due;
        if (!mos_timing_next(timing, due, &due, &start)) {
            break;
        }
    }
    span->last = last;
    span->count--;
}

static void add_row(struct commit *out, struct mos_run row) {
    out->rows[out->row_count++] = row;
}

static const char *moment_text(mos_arena *arena, int64_t seconds) {
    char text[MOS_TIME_TEXT_BYTES];
    mos_time_format(seconds * MOS_NS_PER_SECOND, text);
    return mos_arena_strdup(arena, text);
}

// The one run that is made of all that are due; false where none is.
static bool choose(struct account *account, struct commit *out, struct mos_run *chosen) {
    struct span *late = &account->late, *prompt = &account->prompt;
    const struct span one = {prompt->count ? prompt->last : late->last, prompt->count ? prompt->last : late->last, 1};
    bool catches_up = prompt->count == 0 && account->schedule->catch_up && late->count > 0;
    int64_t missed = late->count - catches_up;
    if (catches_up) {
        drop_last(late, account->timing);
    }
    if (late->count > 0) {
        add_row(out, row_of(account, late, MOS_RUN_MISSED, MISSED_REASON));
    }
    if (prompt->count > 1) {
        drop_last(prompt, account->timing);
        add_row(out, row_of(account, prompt, MOS_RUN_SKIPPED,
                            mos_arena_printf(account->arena, "Made one with the run that was due at %s",
                                             moment_text(account->arena, one.last))));
    }
    *chosen = row_of(account, &one, MOS_RUN_STARTED,
                     !catches_up   ? ""
                     : missed == 0 ? "Late: the server was not there in time"
                                   : mos_arena_printf(account->arena, "Late: makes up for %lld missed before it", (long long)missed));
    return prompt->count > 0 || catches_up;
}

static mos_status write_rows(struct account *account, struct commit *change, struct mos_error *error) {
    return mos_catalog_write(account->catalog, commit, change, error);
}

// Starts the run; where that is refused, its row says so.
static mos_status start(struct account *account, struct commit *change, struct mos_run *run, struct mos_error *error) {
    struct mos_error refusal = {0};
    run->state = MOS_RUN_STARTED;
    run->backup_id = change->backup_id;
    change->rows[change->row_count] = *run;
    change->started = &change->rows[change->row_count++];
    mos_status status = account->acts->start(account->acts->context, account->schedule, commit, change, change->backup_id, &refusal);
    if (status == MOS_OK) {
        mos_log_info("scheduled backup", MOS_TEXT("schedule", account->schedule->name), MOS_TEXT("backup", change->backup_id));
        return MOS_OK;
    }
    if (status == MOS_UNAVAILABLE || status == MOS_ABORTED) {
        if (error) {
            *error = refusal;
        }
        return status;
    }
    change->started->state = MOS_RUN_FAILED;
    change->started->backup_id = "";
    change->started->reason = mos_arena_printf(account->arena, "The backup was refused: %s", refusal.message);
    change->started = NULL;
    return write_rows(account, change, error);
}

// What is due now, and what becomes of it.
static mos_status settle_due(struct account *account, struct mos_error *error) {
    const struct mos_schedule *schedule = account->schedule;
    struct commit change = {.schedule = schedule, .until_unix_ns = account->seen * MOS_NS_PER_SECOND};
    struct mos_run run;
    mos_status status;
    if (schedule->paused) {
        struct span all = account->late;
        all.first = all.count > 0 ? all.first : account->prompt.first;
        all.last = account->prompt.count > 0 ? account->prompt.last : all.last;
        all.count += account->prompt.count;
        if (all.count > 0) {
            add_row(&change, row_of(account, &all, MOS_RUN_SKIPPED, PAUSED_REASON));
        }
        return write_rows(account, &change, error);
    }
    bool any = choose(account, &change, &run);
    if (any && *account->at_work && schedule->overlap == MOS_OVERLAP_QUEUE && !account->waiting) {
        run.state = MOS_RUN_WAITING;
        run.reason = mos_arena_printf(account->arena, "Waits for the end of the run before, the backup %s", account->at_work);
        add_row(&change, run);
        status = write_rows(account, &change, error);
    } else if (any && (*account->at_work || account->waiting)) {
        run.state = MOS_RUN_SKIPPED;
        run.reason = account->waiting
                         ? "Another run waits already for the one before"
                         : mos_arena_printf(account->arena, "The run before, the backup %s, was still at work", account->at_work);
        add_row(&change, run);
        status = write_rows(account, &change, error);
    } else {
        return any ? start(account, &change, &run, error) : write_rows(account, &change, error);
    }
    return status;
}

// The run before has ended: the one that waits for it starts.
static mos_status start_waiting(struct account *account, struct mos_error *error) {
    struct commit change = {.schedule = account->schedule, .until_unix_ns = account->schedule->accounted_until_unix_ns};
    struct mos_run run = *account->waiting;
    run.reason = "Waited for the end of the run before";
    run.recorded_at_unix_ns = account->now * MOS_NS_PER_SECOND;
    return start(account, &change, &run, error);
}

static mos_status settle(struct account *account, int64_t *out_wake, struct mos_error *error) {
    const struct mos_schedule *schedule = account->schedule;
    int64_t due, next_start, free_from = schedule->paused ? account->now : mos_timing_free_from(account->timing, account->now);
    mos_status status = MOS_OK;
    bool acted = false;
    if (free_from == account->now && account->waiting && !*account->at_work && !schedule->paused) {
        status = start_waiting(account, error);
        acted = true;
    } else if (free_from == account->now && account->seen > schedule->accounted_until_unix_ns / MOS_NS_PER_SECOND) {
        status = settle_due(account, error);
        acted = true;
    }
    *out_wake = acted || (account->waiting && free_from == account->now)                     ? account->now + 1
                : free_from > account->now && (account->late.count || account->prompt.count) ? free_from
                : mos_timing_next(account->timing, account->seen, &due, &next_start)         ? next_start
                                                                                             : INT64_MAX;
    return status;
}

mos_status mos_account(mos_catalog *catalog, const struct mos_schedule_acts *acts, const struct mos_schedule *schedule, int64_t now_unix_ns,
                       int64_t *out_wake, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_TIMING mos_timing *timing = NULL;
    struct account account = {
        .catalog = catalog, .acts = acts, .schedule = schedule, .arena = arena, .at_work = "", .now = now_unix_ns / MOS_NS_PER_SECOND};
    *out_wake = INT64_MAX;
    mos_status status = mos_timing_open(&timing, schedule, error);
    account.timing = timing;
    if (status == MOS_OK) {
        status = look(&account, error);
    }
    if (status == MOS_OK && account.seen > account.now + SET_BACK_SECONDS) {
        *out_wake = account.now;
        return rewind_clock(&account, error);
    }
    return status == MOS_OK ? settle(&account, out_wake, error) : status;
}
