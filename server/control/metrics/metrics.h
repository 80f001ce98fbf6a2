// Metrics as Prometheus reads them, on a loopback port.
#ifndef MOS_CONTROL_METRICS_METRICS_H
#define MOS_CONTROL_METRICS_METRICS_H

#include "common/buffer.h"
#include "control/alert/watch.h"
#include "control/rpc/rpc.h"

typedef struct mos_metrics mos_metrics;

// Never NULL; the caller's. `catalog` and `watch` must outlive it.
mos_metrics *mos_metrics_create(mos_catalog *catalog, const mos_watch *watch, const char *repository);
void mos_metrics_destroy(mos_metrics *metrics);

// Counts calls and how long they take. The user is the mos_metrics. Add it first, so that it sees refusals too.
extern const struct mos_rpc_interceptor mos_metrics_interceptor;

// What other modules have to tell, appended in the exposition format, at each scrape. Before start; at most eight.
typedef void (*mos_metrics_collector)(struct mos_buffer *out, void *context);
void mos_metrics_collect(mos_metrics *metrics, mos_metrics_collector collector, void *context);
// All metrics as text.
mos_status mos_metrics_write(mos_metrics *metrics, struct mos_buffer *out, struct mos_error *error);

// Serves GET /metrics on `listen`, host:port with a numeric loopback address; port 0 takes a free one. MOS_UNAVAILABLE where it cannot be
// bound.
mos_status mos_metrics_start(mos_metrics *metrics, const char *listen, struct mos_error *error);
int mos_metrics_port(const mos_metrics *metrics);
void mos_metrics_stop(mos_metrics *metrics);

#endif
