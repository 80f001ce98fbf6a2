// All that watches over the server and tells people, put together from the settings: monitor, alerts, deliveries, heartbeat.
#ifndef MOS_CONTROL_ALERT_WATCH_H
#define MOS_CONTROL_ALERT_WATCH_H

#include "common/settings.h"
#include "control/alert/monitor.h"
#include "control/job/readiness.h"

typedef struct mos_watch mos_watch;

// MOS_INVALID_ARGUMENT naming the setting.
mos_status mos_watch_check(const mos_settings *settings, struct mos_error *error);
// Starts nothing. Catalog, settings and the context of `retention` must outlive it. On MOS_OK *out is the caller's, to be destroyed.
mos_status mos_watch_create(mos_watch **out, mos_catalog *catalog, const mos_settings *settings,
                            const struct mos_monitor_retention *retention, struct mos_error *error);
mos_status mos_watch_start(mos_watch *watch, mos_queue *queue, struct mos_error *error);
// Before the queue is stopped. NULL is fine, as for destroy.
void mos_watch_stop(mos_watch *watch);
void mos_watch_destroy(mos_watch *watch);

mos_delivery *mos_watch_delivery(const mos_watch *watch);
const struct mos_notify_options *mos_watch_notify(const mos_watch *watch);
// NULL before start.
mos_monitor *mos_watch_monitor(const mos_watch *watch);
// Kinds of sources that are configured. Borrowed.
const struct mos_monitor_source *mos_watch_sources(const mos_watch *watch, size_t *out_count);

// A key was wrapped or unwrapped, or why it was not: ENCRYPTION_FAILED, until it works again. Any thread, but not from within a change.
void mos_watch_encryption(mos_watch *watch, const char *reference, const struct mos_error *error);
// KEY_ROTATION_REQUIRED and ENCRYPTION_FAILED by the daily look at the keys. Borrowed.
const struct mos_readiness_listener *mos_watch_readiness(mos_watch *watch);

#endif
