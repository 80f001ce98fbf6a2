// What a driver of an object store, or a wrapper around one, must offer. See object_store.h for what each call promises; names, ranges and
// limits are checked before a driver is called, `call` is never NULL, and neither are put's `options` and `out`.
#ifndef MOS_CONTROL_OFFSITE_STORE_INTERNAL_H
#define MOS_CONTROL_OFFSITE_STORE_INTERNAL_H

#include "control/offsite/object_store.h"

struct mos_store_driver {
    void (*close)(mos_store *store);
    mos_status (*put)(mos_store *store, const char *name, const struct mos_store_source *source,
                      const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                      struct mos_error *error);
    mos_status (*get)(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                      void *sink_argument, const struct mos_store_call *call, struct mos_error *error);
    mos_status (*head)(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                       struct mos_error *error);
    mos_status (*list)(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                       const struct mos_store_call *call, struct mos_error *error);
    mos_status (*remove)(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error);
    // NULL where capabilities.retention is false.
    mos_status (*retain)(mos_store *store, const char *name, int64_t until_unix_ns, const struct mos_store_call *call,
                         struct mos_error *error);
    // NULL where capabilities.archive is false.
    mos_status (*archive)(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error);
    mos_status (*thaw)(mos_store *store, const char *name, int days, const struct mos_store_call *call, struct mos_error *error);
    // NULL where nothing is ever left behind.
    mos_status (*sweep)(mos_store *store, int64_t age_seconds, int *out_removed, const struct mos_store_call *call,
                        struct mos_error *error);
};

// First member of every driver's own struct, which close frees.
struct mos_store {
    const struct mos_store_driver *driver;
    enum mos_store_provider provider;
    struct mos_store_capabilities capabilities;
    char location[1024];
};

// One a provider; `options` are checked as far as they are common to all: text is never NULL, numbers have their defaults.
mos_status mos_store_open_memory(mos_store **out, const struct mos_store_options *options, struct mos_error *error);
mos_status mos_store_open_s3(mos_store **out, const struct mos_store_options *options, struct mos_error *error);
mos_status mos_store_open_azure(mos_store **out, const struct mos_store_options *options, struct mos_error *error);
mos_status mos_store_open_gcs(mos_store **out, const struct mos_store_options *options, struct mos_error *error);
mos_status mos_store_open_sftp(mos_store **out, const struct mos_store_options *options, struct mos_error *error);
mos_status mos_store_open_local(mos_store **out, const struct mos_store_options *options, struct mos_error *error);

static inline bool mos_store_over(const struct mos_store_call *call) {
    return call->over && call->over(call->argument);
}

static inline void mos_store_moved(const struct mos_store_call *call, int64_t bytes) {
    if (call->moved) {
        call->moved(call->argument, bytes);
    }
}

// Text that is secret: zeroed and freed; NULL is allowed.
void mos_store_wipe(char *secret);
// The location of a store in a bucket, as mos_store_options_from_location reads it.
void mos_store_location_text(mos_store *store, const char *scheme, const struct mos_store_options *options);
mos_status mos_store_fail_cancelled(struct mos_error *error);
// Exactly `size_bytes` of a source from `offset_bytes` of it on; MOS_CORRUPT where it is shorter.
mos_status mos_store_source_read(const struct mos_store_source *source, int64_t offset_bytes, void *out, size_t size_bytes,
                                 struct mos_error *error);
// Not every server that is told to move an object to another class does so, or says that it does not: of an object that was looked at after
// the move, MOS_FAILED_PRECONDITION where it is in another class.
mos_status mos_store_confirm_class(const mos_store *store, const struct mos_store_object *moved, const char *wanted,
                                   struct mos_error *error);
// Whether what is there is what put was to write: MOS_OK fills the result, MOS_ALREADY_EXISTS otherwise.
mos_status mos_store_same(const struct mos_store_object *there, const struct mos_store_source *source, struct mos_store_put_result *out,
                          struct mos_error *error);

// Folders, for stores whose objects are files.
struct mos_store_entry {
    const char *name;
    bool folder;
    int64_t size_bytes;
    int64_t modified_unix_ns;
};

struct mos_store_tree {
    // What lies in the folder `path` ("" for the store's own); a folder that is not there is empty. Lives in the arena.
    mos_status (*read)(void *argument, const char *path, mos_arena *arena, struct mos_store_entry **out, size_t *out_count,
                       struct mos_error *error);
    void *argument;
};

// mos_store_list over them. Files whose path is no name of an object are left out.
mos_status mos_store_tree_list(const struct mos_store_tree *tree, const char *prefix, const char *after, int limit, mos_arena *arena,
                               struct mos_store_page *out, const struct mos_store_call *call, struct mos_error *error);

#endif
