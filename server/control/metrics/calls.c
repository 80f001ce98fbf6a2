// Calls, counted by method and status, and how long they take.
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "control/metrics/metrics_internal.h"

static const int64_t bounds_ns[MOS_METRICS_BUCKETS] = {1 * MOS_NS_PER_MS,   5 * MOS_NS_PER_MS,    10 * MOS_NS_PER_MS,
                                                       25 * MOS_NS_PER_MS,  50 * MOS_NS_PER_MS,   100 * MOS_NS_PER_MS,
                                                       500 * MOS_NS_PER_MS, 2500 * MOS_NS_PER_MS, 10000 * MOS_NS_PER_MS};

// Paths of methods that exist are the same texts for ever; what a caller made up is not kept.
static struct mos_method_count *find(mos_metrics *metrics, const char *path) {
    for (size_t i = 0; i < MOS_METRICS_METHODS - 1; i++) {
        struct mos_method_count *method = &metrics->methods[i];
        if (!method->path) {
            method->path = mos_strdup(path);
            return method;
        }
        if (strcmp(method->path, path) == 0) {
            return method;
        }
    }
    return &metrics->methods[MOS_METRICS_METHODS - 1];
}

static void count(struct mos_call *call, mos_status status, const struct mos_rpc_summary *summary, void *user) {
    mos_metrics *metrics = user;
    size_t bucket = 0;
    while (bucket < MOS_METRICS_BUCKETS && summary->duration_ns > bounds_ns[bucket]) {
        bucket++;
    }
    pthread_mutex_lock(&metrics->mutex);
    struct mos_method_count *method = find(metrics, mos_call_method(call) ? mos_call_path(call) : "unknown");
    method->by_status[status < MOS_STATUS_COUNT ? status : MOS_UNKNOWN]++;
    method->by_duration[bucket]++;
    method->duration_ns += (uint64_t)summary->duration_ns;
    method->count++;
    pthread_mutex_unlock(&metrics->mutex);
}

const struct mos_rpc_interceptor mos_metrics_interceptor = {.end = count};

static void write_codes(mos_metrics *metrics, struct mos_buffer *out) {
    mos_buffer_append_text(out, "# HELP mosaajii_rpc_calls_total Calls that have ended.\n# TYPE mosaajii_rpc_calls_total counter\n");
    for (size_t i = 0; i < MOS_METRICS_METHODS; i++) {
        const struct mos_method_count *method = &metrics->methods[i];
        for (size_t code = 0; code < MOS_STATUS_COUNT && method->count > 0; code++) {
            if (method->by_status[code] > 0) {
                mos_buffer_printf(out, "mosaajii_rpc_calls_total{method=\"%s\",code=\"%s\"} %" PRIu64 "\n",
                                  method->path ? method->path : "other", mos_status_name((mos_status)code), method->by_status[code]);
            }
        }
    }
}

void mos_metrics_write_calls(mos_metrics *metrics, struct mos_buffer *out) {
    pthread_mutex_lock(&metrics->mutex);
    write_codes(metrics, out);
    mos_buffer_append_text(out, "# HELP mosaajii_rpc_duration_seconds How long calls took; streams as long as somebody watched.\n"
                                "# TYPE mosaajii_rpc_duration_seconds histogram\n");
    for (size_t i = 0; i < MOS_METRICS_METHODS; i++) {
        const struct mos_method_count *method = &metrics->methods[i];
        const char *path = method->path ? method->path : "other";
        uint64_t below = 0;
        for (size_t bucket = 0; bucket < MOS_METRICS_BUCKETS && method->count > 0; bucket++) {
            below += method->by_duration[bucket];
            mos_buffer_printf(out, "mosaajii_rpc_duration_seconds_bucket{method=\"%s\",le=\"%g\"} %" PRIu64 "\n", path,
                              (double)bounds_ns[bucket] / (double)MOS_NS_PER_SECOND, below);
        }
        if (method->count > 0) {
            mos_buffer_printf(out,
                              "mosaajii_rpc_duration_seconds_bucket{method=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
                              "mosaajii_rpc_duration_seconds_sum{method=\"%s\"} %.9g\n"
                              "mosaajii_rpc_duration_seconds_count{method=\"%s\"} %" PRIu64 "\n",
                              path, method->count, path, (double)method->duration_ns / (double)MOS_NS_PER_SECOND, path, method->count);
        }
    }
    pthread_mutex_unlock(&metrics->mutex);
}
