// Counts what a store is asked, and how it answers.
#include <pthread.h>
#include <stdatomic.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/offsite/wrapper.h"

struct measured {
    struct mos_store_wrapper wrapper;
    pthread_mutex_t mutex;
    struct mos_store_metrics metrics;
};

struct measuring {
    const struct mos_store_call *call;
    atomic_llong moved_bytes;
};

static bool measure_over(void *argument) {
    return mos_store_over(((struct measuring *)argument)->call);
}

static void measure_moved(void *argument, int64_t bytes) {
    struct measuring *measuring = argument;
    atomic_fetch_add(&measuring->moved_bytes, bytes);
    mos_store_moved(measuring->call, bytes);
}

static bool is_failure(mos_status status) {
    return status != MOS_OK && status != MOS_CANCELLED && status != MOS_NOT_FOUND && status != MOS_OUT_OF_RANGE;
}

static mos_status around(mos_store *store, const struct mos_store_any *any, const struct mos_store_call *call, struct mos_error *error) {
    struct measured *measured = (struct measured *)store;
    struct measuring measuring = {.call = call};
    const struct mos_store_call inner = {.over = measure_over, .moved = measure_moved, .argument = &measuring};
    int64_t begun = mos_now_monotonic_ns();
    mos_status status = mos_store_forward(store, any, &inner, error);
    int64_t took_ms = (mos_now_monotonic_ns() - begun) / MOS_NS_PER_MS;
    pthread_mutex_lock(&measured->mutex);
    struct mos_store_operation_metrics *operation = &measured->metrics.operations[any->operation];
    operation->calls++;
    if (is_failure(status)) {
        operation->failures++;
        measured->metrics.failures_by_status[status]++;
        measured->metrics.last_failure_unix_ns = mos_now_unix_ns();
    } else if (status != MOS_CANCELLED) {
        operation->total_ms += took_ms;
        operation->slowest_ms = took_ms > operation->slowest_ms ? took_ms : operation->slowest_ms;
        measured->metrics.last_success_unix_ns = mos_now_unix_ns();
    }
    *(any->operation == MOS_STORE_PUT ? &measured->metrics.bytes_sent : &measured->metrics.bytes_received) += measuring.moved_bytes;
    pthread_mutex_unlock(&measured->mutex);
    return status;
}

static void release(mos_store *store) {
    pthread_mutex_destroy(&((struct measured *)store)->mutex);
}

mos_store *mos_store_with_metrics(mos_store *inner) {
    struct measured *measured = mos_calloc(1, sizeof(*measured));
    pthread_mutex_init(&measured->mutex, NULL);
    return mos_store_wrap(&measured->wrapper, inner, around, release);
}

void mos_store_metrics_read(mos_store *store, struct mos_store_metrics *out) {
    struct measured *measured = (struct measured *)store;
    pthread_mutex_lock(&measured->mutex);
    *out = measured->metrics;
    pthread_mutex_unlock(&measured->mutex);
}
