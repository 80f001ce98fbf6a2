#include "control/offsite/wrapper.h"

#include <stdlib.h>

const char *mos_store_operation_name(enum mos_store_operation operation) {
    static const char *const names[MOS_STORE_OPERATIONS] = {"put", "get", "head", "list", "delete", "retain", "archive", "thaw"};
    return names[operation];
}

static mos_status around(mos_store *store, const struct mos_store_any *any, const struct mos_store_call *call, struct mos_error *error) {
    return ((struct mos_store_wrapper *)store)->around(store, any, call, error);
}

static mos_status put(mos_store *store, const char *name, const struct mos_store_source *source,
                      const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                      struct mos_error *error) {
    const struct mos_store_any any = {.operation = MOS_STORE_PUT, .name = name, .source = source, .options = options, .result = out};
    return around(store, &any, call, error);
}

static mos_status get(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                      void *sink_argument, const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_any any = {.operation = MOS_STORE_GET,
                                      .name = name,
                                      .offset_bytes = offset_bytes,
                                      .size_bytes = size_bytes,
                                      .sink = sink,
                                      .sink_argument = sink_argument};
    return around(store, &any, call, error);
}

static mos_status head(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                       struct mos_error *error) {
    const struct mos_store_any any = {.operation = MOS_STORE_HEAD, .name = name, .object = out};
    return around(store, &any, call, error);
}

static mos_status list(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                       const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_any any = {
        .operation = MOS_STORE_LIST, .name = prefix, .after = after, .limit = limit, .arena = arena, .page = out};
    return around(store, &any, call, error);
}

static mos_status delete_object(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_any any = {.operation = MOS_STORE_DELETE, .name = name};
    return around(store, &any, call, error);
}

static mos_status retain(mos_store *store, const char *name, int64_t until_unix_ns, const struct mos_store_call *call,
                         struct mos_error *error) {
    const struct mos_store_any any = {.operation = MOS_STORE_RETAIN, .name = name, .until_unix_ns = until_unix_ns};
    return around(store, &any, call, error);
}

static mos_status archive(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_any any = {.operation = MOS_STORE_ARCHIVE, .name = name};
    return around(store, &any, call, error);
}

static mos_status thaw(mos_store *store, const char *name, int days, const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_any any = {.operation = MOS_STORE_THAW, .name = name, .days = days};
    return around(store, &any, call, error);
}

static mos_status sweep(mos_store *store, int64_t age_seconds, int *out_removed, const struct mos_store_call *call,
                        struct mos_error *error) {
    return mos_store_sweep(((struct mos_store_wrapper *)store)->inner, age_seconds, out_removed, call, error);
}

static void close_store(mos_store *store) {
    struct mos_store_wrapper *wrapper = (struct mos_store_wrapper *)store;
    mos_store_close(wrapper->inner);
    if (wrapper->release) {
        wrapper->release(store);
    }
    free(wrapper);
}

static const struct mos_store_driver driver = {.close = close_store,
                                               .put = put,
                                               .get = get,
                                               .head = head,
                                               .list = list,
                                               .remove = delete_object,
                                               .retain = retain,
                                               .archive = archive,
                                               .thaw = thaw,
                                               .sweep = sweep};

mos_store *mos_store_wrap(struct mos_store_wrapper *wrapper, mos_store *inner, mos_store_around function,
                          void (*release)(mos_store *wrapper)) {
    wrapper->base = *inner;
    wrapper->base.driver = &driver;
    wrapper->inner = inner;
    wrapper->around = function;
    wrapper->release = release;
    return &wrapper->base;
}

mos_status mos_store_forward(mos_store *store, const struct mos_store_any *any, const struct mos_store_call *call,
                             struct mos_error *error) {
    mos_store *inner = ((struct mos_store_wrapper *)store)->inner;
    switch (any->operation) {
    case MOS_STORE_PUT:
        return inner->driver->put(inner, any->name, any->source, any->options, any->result, call, error);
    case MOS_STORE_GET:
        return inner->driver->get(inner, any->name, any->offset_bytes, any->size_bytes, any->sink, any->sink_argument, call, error);
    case MOS_STORE_HEAD:
        return inner->driver->head(inner, any->name, any->object, call, error);
    case MOS_STORE_LIST:
        return inner->driver->list(inner, any->name, any->after, any->limit, any->arena, any->page, call, error);
    case MOS_STORE_DELETE:
        return inner->driver->remove(inner, any->name, call, error);
    case MOS_STORE_RETAIN:
        return inner->driver->retain(inner, any->name, any->until_unix_ns, call, error);
    case MOS_STORE_ARCHIVE:
        return inner->driver->archive(inner, any->name, call, error);
    default:
        return inner->driver->thaw(inner, any->name, any->days, call, error);
    }
}
