// Private to metrics: its parts.
#ifndef MOS_CONTROL_METRICS_METRICS_INTERNAL_H
#define MOS_CONTROL_METRICS_METRICS_INTERNAL_H

#include <pthread.h>

#include "control/metrics/metrics.h"

// Methods beside those are counted as one.
enum { MOS_METRICS_METHODS = 192, MOS_METRICS_BUCKETS = 9, MOS_METRICS_COLLECTORS = 8 };

struct mos_method_count {
    // NULL: free.
    const char *path;
    uint64_t by_status[MOS_STATUS_COUNT];
    uint64_t by_duration[MOS_METRICS_BUCKETS + 1];
    uint64_t duration_ns;
    uint64_t count;
};

struct mos_metrics {
    mos_catalog *catalog;
    const mos_watch *watch;
    const char *repository;
    int64_t started_at_unix_ns;
    pthread_mutex_t mutex;
    struct mos_method_count methods[MOS_METRICS_METHODS];
    struct {
        mos_metrics_collector collector;
        void *context;
    } collectors[MOS_METRICS_COLLECTORS];
    size_t collector_count;
    struct MHD_Daemon *daemon;
    int port;
};

void mos_metrics_write_calls(mos_metrics *metrics, struct mos_buffer *out);

#endif
