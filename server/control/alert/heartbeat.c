// The call to an outside watcher by which it knows that this server lives. Only while the monitor comes round: a server that merely answers
// is not one that looks after backups.
#include "common/clock.h"
#include "common/log.h"
#include "control/alert/delivery_internal.h"
#include "control/alert/monitor_internal.h"

// Rounds of the monitor that may be missed before the heart stops too.
enum { ROUNDS = 3 };

static bool is_stopping(const void *argument) {
    return atomic_load(&((const mos_monitor *)argument)->stopping);
}

static bool is_alive(mos_monitor *monitor, int64_t now_ns) {
    int64_t alive_at_ns = atomic_load(&monitor->alive_at_ns);
    return alive_at_ns > 0 && now_ns - alive_at_ns <= ROUNDS * monitor->options.interval_ns + 60 * MOS_NS_PER_SECOND;
}

static void beat(mos_monitor *monitor, bool *failing) {
    const char *const headers[] = {NULL};
    struct mos_error error;
    bool failed =
        mos_http_send(monitor->options.delivery, monitor->options.heartbeat_url, headers, NULL, &monitor->stopping, &error) != MOS_OK;
    // Once each time it changes: the watcher itself tells people.
    if (failed && !*failing) {
        mos_log_warning("the heartbeat does not reach its watcher", MOS_TEXT("reason", error.message));
    } else if (!failed && *failing) {
        mos_log_info("the heartbeat reaches its watcher again");
    }
    *failing = failed;
}

static void *heart_main(void *argument) {
    mos_monitor *monitor = argument;
    bool failing = false;
    int64_t next_ns = 0;
    while (!atomic_load(&monitor->stopping)) {
        int64_t now_ns = mos_now_monotonic_ns();
        if (now_ns >= next_ns && is_alive(monitor, now_ns)) {
            beat(monitor, &failing);
            next_ns = now_ns + monitor->options.heartbeat_ns;
        }
        // Waiting for no event: only to be woken at the end.
        int64_t wait_ns = next_ns > now_ns ? next_ns - now_ns : MOS_NS_PER_SECOND / 10;
        mos_catalog_wait_events_for(monitor->catalog, INT64_MAX, wait_ns, is_stopping, monitor);
    }
    return NULL;
}

mos_status mos_heart_start(mos_monitor *monitor, struct mos_error *error) {
    if (!*monitor->options.heartbeat_url) {
        return MOS_OK;
    }
    int code = pthread_create(&monitor->heart, NULL, heart_main, monitor);
    if (code != 0) {
        return mos_fail_errno(error, code, "starting the heartbeat's thread");
    }
    monitor->heart_runs = true;
    return MOS_OK;
}

void mos_heart_stop(mos_monitor *monitor) {
    if (monitor->heart_runs) {
        pthread_join(monitor->heart, NULL);
        monitor->heart_runs = false;
    }
}
