// Tries again what may succeed later.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "control/offsite/wrapper.h"

struct retry {
    struct mos_store_wrapper wrapper;
    struct mos_store_retry options;
};

// What a get has delivered, so that it goes on behind it. Also whether it was the taker of the bytes that failed: no other try helps him.
struct delivery {
    const struct mos_store_any *any;
    int64_t delivered_bytes;
    bool refused;
};

static mos_status deliver(void *argument, const void *data, size_t size_bytes, struct mos_error *error) {
    struct delivery *delivery = argument;
    mos_status status = delivery->any->sink(delivery->any->sink_argument, data, size_bytes, error);
    delivery->delivered_bytes += (int64_t)size_bytes;
    delivery->refused = status != MOS_OK;
    return status;
}

static bool really_pause(void *argument, int pause_ms, const struct mos_store_call *call) {
    const int step_ms = 50;
    (void)argument;
    for (int64_t end = mos_now_monotonic_ns() + pause_ms * MOS_NS_PER_MS; mos_now_monotonic_ns() < end;) {
        if (mos_store_over(call)) {
            return true;
        }
        int64_t left_ms = (end - mos_now_monotonic_ns()) / MOS_NS_PER_MS + 1;
        const struct timespec step = {.tv_nsec = (left_ms < step_ms ? left_ms : step_ms) * MOS_NS_PER_MS};
        nanosleep(&step, NULL);
    }
    return mos_store_over(call);
}

static bool worth_another(mos_status status, int tries) {
    return status == MOS_UNAVAILABLE || status == MOS_DEADLINE_EXCEEDED || status == MOS_RESOURCE_EXHAUSTED || status == MOS_ABORTED ||
           (status == MOS_CORRUPT && tries == 1);
}

static int pause_of(const struct mos_store_retry *options, int tries, mos_status status) {
    int64_t pause = options->first_pause_ms;
    for (int i = 1; i < tries && pause < options->most_pause_ms; i++) {
        pause *= 2;
    }
    pause *= status == MOS_RESOURCE_EXHAUSTED ? 4 : 1;
    pause = pause < options->most_pause_ms ? pause : options->most_pause_ms;
    // Many who failed together do not come back together.
    uint32_t chance;
    mos_random(&chance, sizeof(chance));
    return (int)(pause / 2 + (pause - pause / 2) * (int64_t)chance / UINT32_MAX);
}

static mos_status around(mos_store *store, const struct mos_store_any *any, const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_retry *options = &((struct retry *)store)->options;
    struct delivery delivery = {.any = any};
    struct mos_store_any again = *any;
    for (int tries = 1;; tries++) {
        struct mos_error why = {0};
        if (any->operation == MOS_STORE_GET) {
            again.sink = deliver;
            again.sink_argument = &delivery;
            again.offset_bytes = any->offset_bytes + delivery.delivered_bytes;
            again.size_bytes = any->size_bytes < 0 ? -1 : any->size_bytes - delivery.delivered_bytes;
        }
        mos_status status = mos_store_forward(store, &again, call, &why);
        // The connection was cut right behind the last byte.
        if (tries > 1 && any->operation == MOS_STORE_GET && delivery.delivered_bytes > 0 && status == MOS_OUT_OF_RANGE &&
            any->size_bytes < 0) {
            status = MOS_OK;
        }
        if (status == MOS_OK) {
            return MOS_OK;
        }
        bool whole = any->operation == MOS_STORE_GET && any->size_bytes >= 0 && delivery.delivered_bytes == any->size_bytes;
        if (whole && !delivery.refused) {
            return MOS_OK;
        }
        if (!worth_another(status, tries) || tries >= options->tries || delivery.refused) {
            if (error) {
                *error = why;
            }
            return status;
        }
        int pause_ms = pause_of(options, tries, status);
        if (options->retrying) {
            options->retrying(options->argument, tries, pause_ms, &why);
        }
        if (options->pause(options->argument, pause_ms, call)) {
            return mos_store_fail_cancelled(error);
        }
    }
}

mos_store *mos_store_with_retry(mos_store *inner, const struct mos_store_retry *options) {
    struct retry *retry = mos_calloc(1, sizeof(*retry));
    if (options) {
        retry->options = *options;
    }
    retry->options.tries = retry->options.tries > 0 ? retry->options.tries : 6;
    retry->options.first_pause_ms = retry->options.first_pause_ms > 0 ? retry->options.first_pause_ms : 500;
    retry->options.most_pause_ms = retry->options.most_pause_ms > 0 ? retry->options.most_pause_ms : 30000;
    retry->options.pause = retry->options.pause ? retry->options.pause : really_pause;
    return mos_store_wrap(&retry->wrapper, inner, around, NULL);
}
