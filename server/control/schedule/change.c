#include "control/schedule/change.h"

#include <string.h>

#include "common/clock.h"
#include "control/alert/alert.h"
#include "control/schedule/timing.h"

// A time that was changed all along is accounted for before; what is left are runs of hours.
enum { MOST_RUNS = 20000 };

const char *mos_schedule_alert_cause(const char *id, mos_arena *arena) {
    return mos_arena_printf(arena, "missed:%s", id);
}

static bool same_times(const struct mos_schedule *left, const struct mos_schedule *right) {
    bool same = strcmp(left->cron, right->cron) == 0 && strcmp(left->time_zone, right->time_zone) == 0 &&
                left->jitter_seconds == right->jitter_seconds && left->blackout_count == right->blackout_count;
    for (size_t i = 0; same && i < left->blackout_count; i++) {
        same = left->blackouts[i].minutes == right->blackouts[i].minutes && strcmp(left->blackouts[i].cron, right->blackouts[i].cron) == 0;
    }
    return same;
}

// What was due under the old times and can no longer start.
static mos_status skip_due(mos_catalog_session *session, const struct mos_schedule *before, int64_t now_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_TIMING mos_timing *timing = NULL;
    int64_t due = before->accounted_until_unix_ns / MOS_NS_PER_SECOND, start;
    struct mos_run run = {.schedule_id = before->id,
                          .state = MOS_RUN_SKIPPED,
                          .recorded_at_unix_ns = now_unix_ns,
                          .backup_id = "",
                          .reason = "The times of the schedule were changed before it could start"};
    mos_status status = mos_timing_open(&timing, before, error);
    for (int i = 0;
         i < MOST_RUNS && status == MOS_OK && mos_timing_next(timing, due, &due, &start) && due * MOS_NS_PER_SECOND <= now_unix_ns; i++) {
        bool started = false;
        status = mos_catalog_run_started(session, before->id, due * MOS_NS_PER_SECOND, &started, error);
        if (status == MOS_OK && !started) {
            run.due_at_unix_ns = run.count++ == 0 ? due * MOS_NS_PER_SECOND : run.due_at_unix_ns;
            run.through_unix_ns = due * MOS_NS_PER_SECOND;
        }
    }
    return status == MOS_OK && run.count > 0 ? mos_catalog_put_run(session, &run, error) : status;
}

mos_status mos_schedule_change_in(mos_catalog_session *session, const struct mos_schedule *before, struct mos_schedule *after,
                                  int64_t now_unix_ns, struct mos_error *error) {
    bool same = same_times(before, after);
    mos_status status = same ? MOS_OK : skip_due(session, before, now_unix_ns, error);
    after->accounted_until_unix_ns = same ? before->accounted_until_unix_ns : now_unix_ns;
    return status == MOS_OK ? mos_catalog_put_schedule(session, after, error) : status;
}

mos_status mos_schedule_remove_in(mos_catalog_session *session, const char *id, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_status status = mos_catalog_remove_schedule(session, id, error);
    return status == MOS_OK ? mos_alert_resolve_in(session, mos_schedule_alert_cause(id, arena), error) : status;
}
