// Private to the monitor: its parts.
#ifndef MOS_CONTROL_ALERT_MONITOR_INTERNAL_H
#define MOS_CONTROL_ALERT_MONITOR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "control/alert/monitor.h"

struct mos_monitor {
    mos_catalog *catalog;
    mos_queue *queue;
    struct mos_monitor_options options;
    pthread_t thread, heart;
    bool runs, heart_runs;
    atomic_bool stopping;

    // Of the thread that follows.
    bool cursor_known;
    int64_t cursor;
    int64_t cycle_at_ns, tidy_at_ns;
    int64_t next_verification_unix_ns;
    // Where the walk over all backups has come to, and what it has found so far.
    int64_t walk_created_at_unix_ns;
    char walk_id[MOS_ID_TEXT_BYTES];
    int64_t walk_gone;
    struct mos_buffer walk_gone_ids;
    // When the looks that found overdue backups, one after the other, began; 0: the last found none.
    int64_t overdue_since_unix_ns;

    // Monotonic, of the last round that came to its end: what the heartbeat vouches for.
    atomic_int_least64_t alive_at_ns;
    atomic_int_least64_t full_at_unix_ns;

    // Of those who ask for the size of the repository.
    pthread_mutex_t size_mutex;
    int64_t size_bytes;
    int64_t size_event;
    int64_t size_again_at_ns;
};

// What one look found: applied to the catalog in one change.
struct mos_finding {
    struct mos_alert_cause cause;
    // The cause is gone; nothing of the rest is given.
    bool gone;
    struct mos_finding *next;
};
struct mos_findings {
    mos_arena *arena;
    struct mos_finding *first;
    struct mos_finding **last;
};
void mos_findings_begin(struct mos_findings *findings, mos_arena *arena);
// The texts are taken as they are: they live in the arena, or are constant.
void mos_findings_raise(struct mos_findings *findings, const struct mos_alert_cause *cause);
void mos_findings_gone(struct mos_findings *findings, const char *cause);

// The looks of a cycle: each adds to the findings.
mos_status mos_monitor_look_at_storage(mos_monitor *monitor, struct mos_findings *findings, struct mos_error *error);
mos_status mos_monitor_look_at_sources(mos_monitor *monitor, struct mos_findings *findings, struct mos_error *error);
mos_status mos_monitor_walk_backups(mos_monitor *monitor, struct mos_findings *findings, struct mos_error *error);
mos_status mos_monitor_look_at_retention(mos_monitor *monitor, struct mos_findings *findings, struct mos_error *error);
mos_status mos_monitor_verify_old(mos_monitor *monitor, struct mos_error *error);

// What the end of a job means, within the change that takes note of it. *out_verify: the backup is to be verified.
mos_status mos_monitor_judge_end(mos_monitor *monitor, mos_catalog_session *session, const struct mos_event *event, bool *out_verify,
                                 struct mos_error *error);
// Compares a backup with those before it; raises and quarantines.
mos_status mos_monitor_judge_shape(mos_catalog_session *session, const struct mos_backup *backup, struct mos_error *error);

mos_status mos_heart_start(mos_monitor *monitor, struct mos_error *error);
void mos_heart_stop(mos_monitor *monitor);

#endif
