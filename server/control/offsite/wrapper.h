// What all wrappers have in common.
#ifndef MOS_CONTROL_OFFSITE_WRAPPER_H
#define MOS_CONTROL_OFFSITE_WRAPPER_H

#include "control/offsite/store_internal.h"
#include "control/offsite/wrappers.h"

// One call of any kind, so that a wrapper is written once for all of them.
struct mos_store_any {
    enum mos_store_operation operation;
    const char *name;
    const struct mos_store_source *source;
    const struct mos_store_put_options *options;
    struct mos_store_put_result *result;
    int64_t offset_bytes;
    int64_t size_bytes;
    mos_store_sink sink;
    void *sink_argument;
    struct mos_store_object *object;
    const char *after;
    int limit;
    mos_arena *arena;
    struct mos_store_page *page;
    int64_t until_unix_ns;
    int days;
};

typedef mos_status (*mos_store_around)(mos_store *wrapper, const struct mos_store_any *any, const struct mos_store_call *call,
                                       struct mos_error *error);

struct mos_store_wrapper {
    mos_store base;
    mos_store *inner;
    mos_store_around around;
    // Called by close, before the wrapper itself is freed; may be NULL.
    void (*release)(mos_store *wrapper);
};

// Fills the wrapper, which is the first member of what the caller made with calloc.
mos_store *mos_store_wrap(struct mos_store_wrapper *wrapper, mos_store *inner, mos_store_around around,
                          void (*release)(mos_store *wrapper));
// The call on the store inside.
mos_status mos_store_forward(mos_store *wrapper, const struct mos_store_any *any, const struct mos_store_call *call,
                             struct mos_error *error);

#endif
