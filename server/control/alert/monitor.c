#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/alert/monitor_internal.h"
#include "control/catalog/deliveries.h"
#include "control/catalog/retention.h"

#define DAY_NS (86400 * MOS_NS_PER_SECOND)

enum { EVENTS_AT_ONCE = 256, KEEP_DAYS = 60, FAILED_WAIT_SECONDS = 5 };

static const char cursor_name[] = "monitor.followed";

mos_monitor *mos_monitor_create(mos_catalog *catalog, mos_queue *queue, const struct mos_monitor_options *options) {
    mos_monitor *monitor = mos_calloc(1, sizeof(*monitor));
    monitor->catalog = catalog;
    monitor->queue = queue;
    monitor->options = *options;
    monitor->size_event = -1;
    atomic_init(&monitor->stopping, false);
    atomic_init(&monitor->alive_at_ns, 0);
    atomic_init(&monitor->full_at_unix_ns, 0);
    pthread_mutex_init(&monitor->size_mutex, NULL);
    return monitor;
}

void mos_monitor_destroy(mos_monitor *monitor) {
    if (!monitor) {
        return;
    }
    mos_buffer_free(&monitor->walk_gone_ids);
    mos_buffer_free(&monitor->walk_late_ids);
    pthread_mutex_destroy(&monitor->size_mutex);
    free(monitor);
}

// ---- Findings ----

void mos_findings_begin(struct mos_findings *findings, mos_arena *arena) {
    *findings = (struct mos_findings){.arena = arena};
    findings->last = &findings->first;
}

static struct mos_finding *add(struct mos_findings *findings) {
    struct mos_finding *finding = mos_arena_alloc(findings->arena, sizeof(*finding));
    *findings->last = finding;
    findings->last = &finding->next;
    return finding;
}

void mos_findings_raise(struct mos_findings *findings, const struct mos_alert_cause *cause) {
    add(findings)->cause = *cause;
}

void mos_findings_gone(struct mos_findings *findings, const char *cause) {
    struct mos_finding *finding = add(findings);
    finding->cause.cause = cause;
    finding->gone = true;
}

static mos_status apply(mos_catalog_session *session, void *argument, struct mos_error *error) {
    mos_status status = MOS_OK;
    for (const struct mos_finding *finding = argument; finding && status == MOS_OK; finding = finding->next) {
        status = finding->gone ? mos_alert_resolve_in(session, finding->cause.cause, error)
                               : mos_alert_raise_in(session, &finding->cause, error);
    }
    return status;
}

// ---- Following ----

struct ended {
    mos_monitor *monitor;
    const struct mos_event *events;
    size_t count;
    // Of those that are to be verified.
    bool *verify;
};

static bool is_end(const struct mos_event *event) {
    return event->kind == MOS_EVENT_FINISHED;
}

static mos_status take_ends(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct ended *ended = argument;
    mos_status status = MOS_OK;
    for (size_t i = 0; i < ended->count && status == MOS_OK; i++) {
        ended->verify[i] = false;
        if (is_end(&ended->events[i])) {
            status = mos_monitor_judge_end(ended->monitor, session, &ended->events[i], &ended->verify[i], error);
        }
    }
    if (status != MOS_OK) {
        return status;
    }
    char cursor[24];
    snprintf(cursor, sizeof(cursor), "%lld", (long long)ended->events[ended->count - 1].sequence);
    return mos_catalog_put_fact(session, cursor_name, cursor, error);
}

static mos_status read_cursor(mos_catalog_session *session, mos_arena *arena, int64_t *out, struct mos_error *error) {
    const char *text;
    mos_status status = mos_catalog_get_fact(session, cursor_name, arena, &text, error);
    if (status == MOS_OK) {
        *out = strtoll(text, NULL, 10);
    }
    return status;
}

mos_status mos_monitor_has_judged_all(mos_catalog_session *session, bool *out, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    int64_t cursor;
    bool ended = false;
    mos_status status = read_cursor(session, arena, &cursor, error);
    if (status == MOS_OK) {
        status = mos_catalog_has_end_after(session, cursor, &ended, error);
    }
    *out = !ended;
    return status;
}

static mos_status read_events(mos_monitor *monitor, mos_arena *arena, struct mos_event **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(monitor->catalog, &session, error);
    if (status == MOS_OK && !monitor->cursor_known) {
        status = read_cursor(session, arena, &monitor->cursor, error);
        monitor->cursor_known = status == MOS_OK;
    }
    return status == MOS_OK ? mos_catalog_list_events(session, NULL, NULL, monitor->cursor, EVENTS_AT_ONCE, arena, out, out_count, error)
                            : status;
}

static void verify(mos_monitor *monitor, const char *backup_id) {
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_error error;
    if (monitor->queue && mos_queue_verify(monitor->queue, backup_id, "system", job_id, &error) != MOS_OK) {
        mos_log_warning("a backup could not be verified", MOS_TEXT("backup", backup_id), MOS_TEXT("reason", error.message));
    }
}

static mos_status follow_some(mos_monitor *monitor, bool *out_more, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_event *events;
    size_t count = 0, ends = 0;
    *out_more = false;
    mos_status status = read_events(monitor, arena, &events, &count, error);
    if (status != MOS_OK || count == 0) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        ends += is_end(&events[i]);
    }
    struct ended ended = {monitor, events, count, mos_arena_array(arena, bool, count)};
    // Progress alone is not worth a change: at the next start it is read once more.
    status = ends > 0 ? mos_catalog_write(monitor->catalog, take_ends, &ended, error) : MOS_OK;
    if (status != MOS_OK) {
        return status;
    }
    for (size_t i = 0; i < count && ends > 0; i++) {
        if (ended.verify[i]) {
            verify(monitor, events[i].backup_id);
        }
    }
    monitor->cursor = events[count - 1].sequence;
    *out_more = count == EVENTS_AT_ONCE;
    return MOS_OK;
}

mos_status mos_monitor_follow(mos_monitor *monitor, struct mos_error *error) {
    bool more = true;
    mos_status status = MOS_OK;
    while (status == MOS_OK && more && !atomic_load(&monitor->stopping)) {
        status = follow_some(monitor, &more, error);
    }
    return status;
}

// ---- The cycle ----

// What is over is forgotten after a while; alerts themselves stay, as history does.
static mos_status forget(mos_catalog_session *session, void *argument, struct mos_error *error) {
    int64_t before = *(const int64_t *)argument;
    mos_status status = mos_catalog_remove_deliveries(session, before, error);
    return status == MOS_OK ? mos_catalog_remove_alert_events(session, before, error) : status;
}

static mos_status tidy(mos_monitor *monitor, struct mos_error *error) {
    int64_t now_ns = mos_now_monotonic_ns();
    if ((monitor->tidy_at_ns && now_ns < monitor->tidy_at_ns) || mos_catalog_clock_is_ahead(monitor->catalog)) {
        return MOS_OK;
    }
    monitor->tidy_at_ns = now_ns + DAY_NS;
    int64_t before = mos_now_unix_ns() - KEEP_DAYS * DAY_NS;
    return mos_catalog_write(monitor->catalog, forget, &before, error);
}

mos_status mos_monitor_cycle(mos_monitor *monitor, struct mos_error *error) {
    static mos_status (*const looks[])(mos_monitor *, struct mos_findings *, struct mos_error *) = {
        mos_monitor_look_at_storage, mos_monitor_look_at_sources, mos_monitor_walk_backups};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_findings findings;
    mos_findings_begin(&findings, arena);
    mos_status status = MOS_OK;
    // One look that fails does not keep the others from looking.
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        struct mos_error local;
        mos_status looked = looks[i](monitor, &findings, &local);
        if (looked != MOS_OK && status == MOS_OK) {
            status = looked;
            if (error) {
                *error = local;
            }
        }
    }
    struct mos_error local;
    mos_status applied = findings.first ? mos_catalog_write(monitor->catalog, apply, findings.first, &local) : MOS_OK;
    if (applied == MOS_OK) {
        applied = mos_monitor_verify_old(monitor, &local);
    }
    if (applied == MOS_OK) {
        applied = tidy(monitor, &local);
    }
    if (applied != MOS_OK && status == MOS_OK && error) {
        *error = local;
    }
    return status != MOS_OK ? status : applied;
}

// ---- The thread ----

static bool is_stopping(const void *argument) {
    return atomic_load(&((const mos_monitor *)argument)->stopping);
}

// What could be found out is told even where something else could not.
static mos_status round_of(mos_monitor *monitor, struct mos_error *error) {
    struct mos_error local;
    mos_status status = mos_monitor_follow(monitor, error);
    int64_t now_ns = mos_now_monotonic_ns();
    if (now_ns >= monitor->cycle_at_ns) {
        mos_status looked = mos_monitor_cycle(monitor, &local);
        monitor->cycle_at_ns = now_ns + monitor->options.interval_ns;
        if (looked != MOS_OK && status == MOS_OK) {
            *error = local;
            status = looked;
        }
    }
    mos_status told = mos_notify_step(monitor->catalog, monitor->options.notify, &local);
    if (told != MOS_OK && status == MOS_OK) {
        *error = local;
        return told;
    }
    return status;
}

static void *thread_main(void *argument) {
    mos_monitor *monitor = argument;
    while (!atomic_load(&monitor->stopping)) {
        struct mos_error error;
        int64_t seen = mos_catalog_last_event(monitor->catalog), least_ns = MOS_NS_PER_SECOND / 10;
        if (round_of(monitor, &error) == MOS_OK) {
            atomic_store(&monitor->alive_at_ns, mos_now_monotonic_ns());
        } else {
            mos_log_error("the monitor could not look at everything", MOS_TEXT("reason", error.message));
            // Not at once again.
            least_ns = FAILED_WAIT_SECONDS * MOS_NS_PER_SECOND;
            seen = mos_catalog_last_event(monitor->catalog);
        }
        int64_t wait_ns = monitor->cycle_at_ns - mos_now_monotonic_ns();
        wait_ns = wait_ns < least_ns ? least_ns : wait_ns;
        mos_catalog_wait_events_for(monitor->catalog, seen, wait_ns, is_stopping, monitor);
    }
    return NULL;
}

mos_status mos_monitor_start(mos_monitor *monitor, struct mos_error *error) {
    int code = pthread_create(&monitor->thread, NULL, thread_main, monitor);
    if (code != 0) {
        return mos_fail_errno(error, code, "starting the monitor's thread");
    }
    monitor->runs = true;
    return mos_heart_start(monitor, error);
}

void mos_monitor_stop(mos_monitor *monitor) {
    if (!monitor) {
        return;
    }
    atomic_store(&monitor->stopping, true);
    mos_catalog_wake_watchers(monitor->catalog);
    if (monitor->runs) {
        pthread_join(monitor->thread, NULL);
        monitor->runs = false;
    }
    mos_heart_stop(monitor);
}
