// A store in memory, for tests: it can do all that a store can, locks and archive included.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/offsite/hash.h"
#include "control/offsite/store_internal.h"

enum { PIECE_BYTES = 64 * 1024 };

// Bytes live as long as somebody reads them.
struct content {
    int readers;
    uint8_t *data;
};

struct held {
    // With the prefix.
    char name[2 * MOS_STORE_NAME_LIMIT];
    struct mos_store_object object;
    struct content *content;
};

struct space {
    char *name;
    int stores;
    struct held *objects; // ascending by name
    size_t count;
    struct space *next;
};

struct memory {
    mos_store base;
    struct space *space;
    char prefix[MOS_STORE_NAME_LIMIT + 2];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct space *spaces;

static void unlock_cleanup(pthread_mutex_t **locked) {
    pthread_mutex_unlock(*locked);
}
#define LOCKED                                                                                                                             \
    __attribute__((cleanup(unlock_cleanup))) pthread_mutex_t *locked = &mutex;                                                             \
    pthread_mutex_lock(locked)

static void release(struct content *content) {
    if (--content->readers == 0) {
        free(content->data);
        free(content);
    }
}

// Where the object is, or where it would be.
static size_t place_of(const struct space *space, const char *name, bool *out_found) {
    size_t low = 0, high = space->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(space->objects[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *out_found = low < space->count && strcmp(space->objects[low].name, name) == 0;
    return low;
}

static mos_status find(struct memory *memory, const char *name, struct held **out, struct mos_error *error) {
    char full[2 * MOS_STORE_NAME_LIMIT + 2];
    bool found;
    snprintf(full, sizeof(full), "%s%s", memory->prefix, name);
    size_t place = place_of(memory->space, full, &found);
    if (!found) {
        return mos_fail(error, MOS_NOT_FOUND, "there is no object %s in %s", name, memory->base.location);
    }
    *out = &memory->space->objects[place];
    return MOS_OK;
}

static mos_status put(mos_store *store, const char *name, const struct mos_store_source *source,
                      const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                      struct mos_error *error) {
    struct memory *memory = (struct memory *)store;
    uint8_t sha256[MOS_STORE_HASH_BYTES];
    MOS_CLEANUP_FREE uint8_t *data = mos_malloc((size_t)source->size_bytes + 1);
    for (int64_t done = 0; done < source->size_bytes;) {
        size_t size = source->size_bytes - done < PIECE_BYTES ? (size_t)(source->size_bytes - done) : PIECE_BYTES;
        if (mos_store_over(call)) {
            return mos_store_fail_cancelled(error);
        }
        mos_status status = mos_store_source_read(source, done, data + done, size, error);
        if (status != MOS_OK) {
            return status;
        }
        done += (int64_t)size;
        mos_store_moved(call, (int64_t)size);
    }
    if (mos_store_over(call)) {
        return mos_store_fail_cancelled(error);
    }
    mos_store_sha256(data, (size_t)source->size_bytes, sha256);
    if (memcmp(sha256, source->sha256, sizeof(sha256)) != 0) {
        return mos_fail(error, MOS_CORRUPT, "%s does not have the SHA-256 that it should have", name);
    }
    LOCKED;
    struct held *there;
    if (find(memory, name, &there, NULL) == MOS_OK) {
        return mos_store_same(&there->object, source, out, error);
    }
    bool found;
    struct space *space = memory->space;
    struct held held = {.object = {.size_bytes = source->size_bytes,
                                   .modified_unix_ns = mos_now_unix_ns(),
                                   .checksum = MOS_STORE_CHECKSUM_SERVER,
                                   .retained_until_unix_ns = options->retain_until_unix_ns,
                                   .storage_class = "STANDARD"},
                        .content = mos_calloc(1, sizeof(*held.content))};
    snprintf(held.name, sizeof(held.name), "%s%s", memory->prefix, name);
    strcpy(held.object.name, name);
    memcpy(held.object.sha256, sha256, sizeof(sha256));
    *held.content = (struct content){.readers = 1, .data = data};
    data = NULL;
    size_t place = place_of(space, held.name, &found);
    space->objects = mos_realloc(space->objects, (space->count + 1) * sizeof(held));
    memmove(space->objects + place + 1, space->objects + place, (space->count - place) * sizeof(held));
    space->objects[place] = held;
    space->count++;
    out->checksum = MOS_STORE_CHECKSUM_SERVER;
    return MOS_OK;
}

static mos_status get(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                      void *sink_argument, const struct mos_store_call *call, struct mos_error *error) {
    struct memory *memory = (struct memory *)store;
    struct content *content;
    int64_t end;
    {
        LOCKED;
        struct held *held;
        mos_status status = find(memory, name, &held, error);
        if (status != MOS_OK) {
            return status;
        }
        if (held->object.state != MOS_STORE_READY) {
            return mos_fail(error, MOS_FAILED_PRECONDITION, "%s is archived and must be thawed before it can be read", name);
        }
        if (offset_bytes > 0 && offset_bytes >= held->object.size_bytes) {
            return mos_fail(error, MOS_OUT_OF_RANGE, "%s has only %lld bytes", name, (long long)held->object.size_bytes);
        }
        end = size_bytes < 0 || size_bytes > held->object.size_bytes - offset_bytes ? held->object.size_bytes : offset_bytes + size_bytes;
        content = held->content;
        content->readers++;
    }
    mos_status status = MOS_OK;
    for (int64_t at = offset_bytes; at < end && status == MOS_OK;) {
        size_t size = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
        status = mos_store_over(call) ? mos_store_fail_cancelled(error) : sink(sink_argument, content->data + at, size, error);
        at += (int64_t)size;
        mos_store_moved(call, (int64_t)size);
    }
    LOCKED;
    release(content);
    return status;
}

static mos_status head(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                       struct mos_error *error) {
    struct memory *memory = (struct memory *)store;
    struct held *held;
    (void)call;
    LOCKED;
    mos_status status = find(memory, name, &held, error);
    if (status == MOS_OK) {
        *out = held->object;
    }
    return status;
}

static mos_status list(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                       const struct mos_store_call *call, struct mos_error *error) {
    struct memory *memory = (struct memory *)store;
    char full[2 * MOS_STORE_NAME_LIMIT + 2];
    bool found;
    (void)call;
    (void)error;
    LOCKED;
    snprintf(full, sizeof(full), "%s%s", memory->prefix, after ? after : prefix);
    size_t place = place_of(memory->space, full, &found) + (after && found ? 1 : 0);
    snprintf(full, sizeof(full), "%s%s", memory->prefix, prefix);
    out->objects = mos_arena_array(arena, struct mos_store_object, (size_t)limit);
    for (; place < memory->space->count; place++) {
        const struct held *held = &memory->space->objects[place];
        if (strncmp(held->name, full, strlen(full)) != 0) {
            break;
        }
        if (out->count == (size_t)limit) {
            out->next = out->objects[out->count - 1].name;
            break;
        }
        out->objects[out->count++] = held->object;
    }
    return MOS_OK;
}

static mos_status delete_object(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct memory *memory = (struct memory *)store;
    struct held *held;
    (void)call;
    LOCKED;
    if (find(memory, name, &held, NULL) != MOS_OK) {
        return MOS_OK;
    }
    if (held->object.retained_until_unix_ns > mos_now_unix_ns()) {
        char until[MOS_TIME_TEXT_BYTES];
        mos_time_format(held->object.retained_until_unix_ns, until);
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s is locked until %s", name, until);
    }
    release(held->content);
    size_t place = (size_t)(held - memory->space->objects);
    memmove(held, held + 1, (memory->space->count - place - 1) * sizeof(*held));
    memory->space->count--;
    return MOS_OK;
}

static mos_status retain(mos_store *store, const char *name, int64_t until_unix_ns, const struct mos_store_call *call,
                         struct mos_error *error) {
    struct held *held;
    (void)call;
    LOCKED;
    mos_status status = find((struct memory *)store, name, &held, error);
    if (status == MOS_OK && held->object.retained_until_unix_ns < until_unix_ns) {
        held->object.retained_until_unix_ns = until_unix_ns;
    }
    return status;
}

static mos_status archive(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct held *held;
    (void)call;
    LOCKED;
    mos_status status = find((struct memory *)store, name, &held, error);
    if (status == MOS_OK) {
        held->object.state = MOS_STORE_ARCHIVED;
        strcpy(held->object.storage_class, "ARCHIVE");
    }
    return status;
}

// It is ready at once.
static mos_status thaw(mos_store *store, const char *name, int days, const struct mos_store_call *call, struct mos_error *error) {
    struct held *held;
    (void)call;
    (void)days;
    LOCKED;
    mos_status status = find((struct memory *)store, name, &held, error);
    if (status == MOS_OK) {
        held->object.state = MOS_STORE_READY;
    }
    return status;
}

static void close_store(mos_store *store) {
    struct memory *memory = (struct memory *)store;
    struct space *space = memory->space;
    LOCKED;
    if (--space->stores == 0) {
        struct space **link = &spaces;
        while (*link != space) {
            link = &(*link)->next;
        }
        *link = space->next;
        for (size_t i = 0; i < space->count; i++) {
            release(space->objects[i].content);
        }
        free(space->objects);
        free(space->name);
        free(space);
    }
    free(memory);
}

static const struct mos_store_driver driver = {.close = close_store,
                                               .put = put,
                                               .get = get,
                                               .head = head,
                                               .list = list,
                                               .remove = delete_object,
                                               .retain = retain,
                                               .archive = archive,
                                               .thaw = thaw};

mos_status mos_store_open_memory(mos_store **out, const struct mos_store_options *options, struct mos_error *error) {
    (void)error;
    struct memory *memory = mos_calloc(1, sizeof(*memory));
    memory->base = (mos_store){
        .driver = &driver,
        .provider = MOS_STORE_MEMORY,
        .capabilities = {
            .server_checksum = true, .retention = true, .archive = true, .exclusive_put = true, .largest_object_bytes = INT64_C(1) << 32}};
    snprintf(memory->prefix, sizeof(memory->prefix), "%s%s", options->prefix, *options->prefix ? "/" : "");
    snprintf(memory->base.location, sizeof(memory->base.location), "memory:%s/%s", options->memory_name, options->prefix);
    LOCKED;
    struct space *space = spaces;
    while (space && (!*options->memory_name || strcmp(space->name, options->memory_name) != 0)) {
        space = space->next;
    }
    if (!space) {
        space = mos_calloc(1, sizeof(*space));
        space->name = mos_strdup(options->memory_name);
        space->next = spaces;
        spaces = space;
    }
    space->stores++;
    memory->space = space;
    *out = &memory->base;
    return MOS_OK;
}
