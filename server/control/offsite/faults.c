// A store that fails as it is told, for tests.
#include "common/buffer.h"
#include "control/offsite/wrapper.h"

struct faulty {
    struct mos_store_wrapper wrapper;
    struct mos_store_fault fault;
};

struct passing {
    const struct faulty *faulty;
    const struct mos_store_any *any;
    int64_t moved_bytes;
};

static mos_status pass(void *argument, const void *data, size_t size_bytes, struct mos_error *error) {
    struct passing *passing = argument;
    const struct mos_store_fault *fault = &passing->faulty->fault;
    mos_status status = fault->decide(fault->argument, MOS_STORE_GET, passing->any->name, false, passing->moved_bytes, error);
    if (status == MOS_OK) {
        status = passing->any->sink(passing->any->sink_argument, data, size_bytes, error);
        passing->moved_bytes += (int64_t)size_bytes;
    }
    return status;
}

static mos_status around(mos_store *store, const struct mos_store_any *any, const struct mos_store_call *call, struct mos_error *error) {
    const struct faulty *faulty = (struct faulty *)store;
    const struct mos_store_fault *fault = &faulty->fault;
    struct passing passing = {.faulty = faulty, .any = any};
    struct mos_store_any inner = *any;
    mos_status status = fault->decide(fault->argument, any->operation, any->name, false, 0, error);
    if (status != MOS_OK) {
        return status;
    }
    if (any->operation == MOS_STORE_GET) {
        inner.sink = pass;
        inner.sink_argument = &passing;
    }
    status = mos_store_forward(store, &inner, call, error);
    return status == MOS_OK ? fault->decide(fault->argument, any->operation, any->name, true, passing.moved_bytes, error) : status;
}

mos_store *mos_store_with_faults(mos_store *inner, const struct mos_store_fault *fault) {
    struct faulty *faulty = mos_calloc(1, sizeof(*faulty));
    faulty->fault = *fault;
    return mos_store_wrap(&faulty->wrapper, inner, around, NULL);
}
