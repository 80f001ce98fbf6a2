// Looks after everything: follows what ends, and looks at storage, recovery points, sources, schedules and old backups on a cycle, so that
// nothing fails silently and nothing silently fails to happen. What it finds, it raises as alerts, and resolves when it is gone.
#ifndef MOS_CONTROL_ALERT_MONITOR_H
#define MOS_CONTROL_ALERT_MONITOR_H

#include "control/alert/notify.h"
#include "control/job/queue.h"

// A kind of source that is configured.
struct mos_monitor_source {
    enum mos_backup_type type;
    // For people, without any password.
    const char *name;
    // Files and directories that must be there; none for a database on a server.
    char *const *paths;
    size_t path_count;
};

// All borrowed, and must outlive it.
struct mos_monitor_options {
    const char *repository;
    const struct mos_notify_options *notify;
    const struct mos_monitor_source *sources;
    size_t source_count;
    int64_t interval_ns;
    bool verify_all;
    int64_t verify_older_ns;
    int64_t verify_a_day;
    int64_t free_percent;
    int64_t full_days;
    // 0: twice the usual distance between the runs of the schedules that protect a source; none without.
    int64_t rpo_minutes;
    // "": no heartbeat.
    const char *heartbeat_url;
    int64_t heartbeat_ns;
    const struct mos_delivery_options *delivery;
};

typedef struct mos_monitor mos_monitor;

// Starts nothing. Never NULL; the caller's, to be destroyed. `queue` NULL: nothing is verified.
mos_monitor *mos_monitor_create(mos_catalog *catalog, mos_queue *queue, const struct mos_monitor_options *options);
mos_status mos_monitor_start(mos_monitor *monitor, struct mos_error *error);
// Before the queue is stopped. NULL is fine, as for destroy.
void mos_monitor_stop(mos_monitor *monitor);
void mos_monitor_destroy(mos_monitor *monitor);

// What the thread does, by the clock; for tests with a clock of their own. Follow: what ended since the last time, kept in the catalog.
mos_status mos_monitor_follow(mos_monitor *monitor, struct mos_error *error);
mos_status mos_monitor_cycle(mos_monitor *monitor, struct mos_error *error);

// Bytes of the files of the repository: counted again after something happened, but never for more than a small part of the time.
int64_t mos_monitor_repository_bytes(mos_monitor *monitor);
// When storage is full at the growth of the last two weeks; 0: cannot be told, or not within ten years.
int64_t mos_monitor_full_at(const mos_monitor *monitor);
// In minutes, of a source; 0: it has none. From an open session.
int64_t mos_monitor_objective(const mos_monitor *monitor, mos_catalog_session *session, enum mos_backup_type type);
// The newest good backup that holds all of a source, a whole one or one of its own type: 0 and "" where there is none.
mos_status mos_monitor_newest_good(mos_catalog_session *session, enum mos_backup_type type, mos_arena *arena, int64_t *out_unix_ns,
                                   const char **out_id, struct mos_error *error);

// Whether all backups that have ended were judged by what the monitor follows: false for a moment after each end, and after a start.
mos_status mos_monitor_has_judged_all(mos_catalog_session *session, bool *out, struct mos_error *error);

// As part of a change: somebody has looked. Takes a backup out of quarantine and resolves the alert that told of it.
mos_status mos_monitor_lift_quarantine(mos_catalog_session *session, const char *backup_id, struct mos_error *error);

#endif
