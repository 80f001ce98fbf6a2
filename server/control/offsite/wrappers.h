// What goes around any store: trying again, a limit of bandwidth, counting, and faults for tests. Each takes the store that it is around,
// which is closed with it, and is a store itself. Around each other, from the inside: faults, limit, metrics, retry.
#ifndef MOS_CONTROL_OFFSITE_WRAPPERS_H
#define MOS_CONTROL_OFFSITE_WRAPPERS_H

#include "control/offsite/object_store.h"

struct mos_store_retry {
    // Tries of one call in all; default 6.
    int tries;
    // Pause before the second try, doubled from there on to the most, each cut by chance to between half and all of it; default 500 and
    // 30000. Where the server asks to be called more slowly, the pause is four times as long.
    int first_pause_ms;
    int most_pause_ms;
    // Waits; ends early, with true, once `call` is over. Default: a real pause. For tests.
    bool (*pause)(void *argument, int pause_ms, const struct mos_store_call *call);
    // Told before each pause, from the thread that called: how RETRYING becomes visible.
    void (*retrying)(void *argument, int failed_tries, int pause_ms, const struct mos_error *why);
    void *argument;
};

// Repeats what failed with UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED or ABORTED, and once what failed with CORRUPT. A get goes on
// behind what has been delivered. `options` may be NULL.
mos_store *mos_store_with_retry(mos_store *inner, const struct mos_store_retry *options);

struct mos_store_limit;
// Bytes a second by time of day: "10M", or "08:00-18:00=2M,20M", or "22:00-06:00=0" (0: no limit). The first that fits holds; a rate
// without times fits always; where none fits there is no limit. K, M and G are 1024, 1024² and 1024³. Local time. "" is no limit at all.
// MOS_INVALID_ARGUMENT names `setting`. *out is the caller's, may serve several stores, and must live longer than they.
mos_status mos_store_limit_create(struct mos_store_limit **out, const char *setting, const char *text, struct mos_error *error);
void mos_store_limit_free(struct mos_store_limit *limit);
// What holds at that minute of the day, in bytes a second; 0: none.
int64_t mos_store_limit_at(const struct mos_store_limit *limit, int minute);
// All stores with the same limit share it.
mos_store *mos_store_with_limit(mos_store *inner, struct mos_store_limit *limit);

enum mos_store_operation {
    MOS_STORE_PUT,
    MOS_STORE_GET,
    MOS_STORE_HEAD,
    MOS_STORE_LIST,
    MOS_STORE_DELETE,
    MOS_STORE_RETAIN,
    MOS_STORE_ARCHIVE,
    MOS_STORE_THAW,
    MOS_STORE_OPERATIONS,
};
// "put" and the like.
const char *mos_store_operation_name(enum mos_store_operation operation);

struct mos_store_metrics {
    struct mos_store_operation_metrics {
        int64_t calls;
        int64_t failures;
        // Of calls that ended well.
        int64_t total_ms;
        int64_t slowest_ms;
    } operations[MOS_STORE_OPERATIONS];
    int64_t failures_by_status[MOS_STATUS_COUNT];
    int64_t bytes_sent;
    int64_t bytes_received;
    int64_t last_success_unix_ns;
    int64_t last_failure_unix_ns;
};
mos_store *mos_store_with_metrics(mos_store *inner);
// Of a store from mos_store_with_metrics. Missing objects and ranges, and calls that were called off, are no failures.
void mos_store_metrics_read(mos_store *store, struct mos_store_metrics *out);

// Asked before each call, and after it with `done` (the call has worked, but its answer is lost): anything but MOS_OK is what the call
// answers. For get, also before each piece, with `moved_bytes` so far.
struct mos_store_fault {
    mos_status (*decide)(void *argument, enum mos_store_operation operation, const char *name, bool done, int64_t moved_bytes,
                         struct mos_error *error);
    void *argument;
};
mos_store *mos_store_with_faults(mos_store *inner, const struct mos_store_fault *fault);

#endif
