// What is common to all stores: names and options are checked here, once, and get is finished here.
#include "control/offsite/object_store.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/offsite/hash.h"
#include "control/offsite/http.h"
#include "control/offsite/store_internal.h"

static const char *const provider_names[MOS_STORE_PROVIDERS] = {"LOCAL_REMOTE", "S3", "AZURE_BLOB", "GOOGLE_CLOUD", "SFTP", "MEMORY"};

static const struct mos_store_call no_call;

const char *mos_store_provider_name(enum mos_store_provider provider) {
    return provider_names[provider];
}

bool mos_store_provider_from_name(const char *name, enum mos_store_provider *out) {
    for (int i = 0; i < MOS_STORE_PROVIDERS; i++) {
        if (strcmp(provider_names[i], name) == 0) {
            *out = (enum mos_store_provider)i;
            return true;
        }
    }
    return false;
}

// `whole` is false for a prefix, which may end in the middle of a part, and may be empty.
static bool name_valid(const char *name, bool whole) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);
    if (length > MOS_STORE_NAME_LIMIT || (whole && length == 0)) {
        return false;
    }
    for (const char *part = name; *part;) {
        size_t size = strspn(part, allowed);
        bool last = part[size] == 0;
        if ((!last && part[size] != '/') || size == 0) {
            return false;
        }
        if ((whole || !last) && ((size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))) {
            return false;
        }
        if (last) {
            return true;
        }
        part += size + 1;
        if (whole && !*part) {
            return false;
        }
    }
    return true;
}

bool mos_store_name_valid(const char *name) {
    return name_valid(name, true);
}

static mos_status check_name(const char *name, struct mos_error *error) {
    return name_valid(name, true)
               ? MOS_OK
               : mos_fail(
                     error, MOS_INVALID_ARGUMENT,
                     "\"%.100s\" is no name of an object; allowed are up to %d of a-z, A-Z, 0-9, '.', '_', '-' in parts separated by '/'",
                     name, MOS_STORE_NAME_LIMIT);
}

mos_status mos_store_open(mos_store **out, const struct mos_store_options *options, struct mos_error *error) {
    struct mos_store_options all = *options;
    const char **texts[] = {&all.bucket,
                            &all.region,
                            &all.endpoint,
                            &all.prefix,
                            &all.ca_file,
                            &all.access_key_id,
                            &all.secret_access_key,
                            &all.session_token,
                            &all.storage_class,
                            &all.archive_class,
                            &all.account,
                            &all.account_key,
                            &all.sas_token,
                            &all.credentials_file,
                            &all.user,
                            &all.private_key_file,
                            &all.password,
                            &all.known_hosts_file,
                            &all.memory_name};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i] = *texts[i] ? *texts[i] : "";
    }
    // A prefix may be given with the slash that ends it.
    char prefix[MOS_STORE_NAME_LIMIT + 2] = "";
    size_t length = strlen(all.prefix);
    if (length < sizeof(prefix)) {
        memcpy(prefix, all.prefix, length + 1);
        if (length > 0 && prefix[length - 1] == '/') {
            prefix[length - 1] = 0;
        }
        all.prefix = prefix;
    }
    if (*all.prefix && (!name_valid(all.prefix, true) || strlen(all.prefix) > MOS_STORE_NAME_LIMIT / 2)) {
        return mos_fail_field(
            error, "OFFSITE_PREFIX",
            "OFFSITE_PREFIX is \"%.100s\"; allowed are up to %d of a-z, A-Z, 0-9, '.', '_', '-' in parts separated by '/'", options->prefix,
            MOS_STORE_NAME_LIMIT / 2);
    }
    all.timeout_ms = all.timeout_ms > 0 ? all.timeout_ms : 30000;
    all.part_bytes = all.part_bytes > 0 ? all.part_bytes : INT64_C(8) << 20;
    all.parallel_parts = all.parallel_parts > 0 ? all.parallel_parts : 4;
    if (all.provider != MOS_STORE_MEMORY && !*all.bucket) {
        return mos_fail_field(error, "OFFSITE_BUCKET", "OFFSITE_BUCKET is not set, and %s needs it", mos_store_provider_name(all.provider));
    }
    switch (all.provider) {
    case MOS_STORE_LOCAL_REMOTE:
        return mos_store_open_local(out, &all, error);
    case MOS_STORE_S3:
        return mos_store_open_s3(out, &all, error);
    case MOS_STORE_AZURE_BLOB:
        return mos_store_open_azure(out, &all, error);
    case MOS_STORE_GOOGLE_CLOUD:
        return mos_store_open_gcs(out, &all, error);
    case MOS_STORE_MEMORY:
        return mos_store_open_memory(out, &all, error);
    case MOS_STORE_SFTP:
        return mos_store_open_sftp(out, &all, error);
    default:
        return mos_fail(error, MOS_INVALID_ARGUMENT, "no such provider");
    }
}

void mos_store_close(mos_store *store) {
    if (store) {
        store->driver->close(store);
    }
}

enum mos_store_provider mos_store_provider_of(const mos_store *store) {
    return store->provider;
}

const char *mos_store_location(const mos_store *store) {
    return store->location;
}

const struct mos_store_capabilities *mos_store_capabilities_of(const mos_store *store) {
    return &store->capabilities;
}

void mos_store_wipe(char *secret) {
    if (secret) {
        sodium_memzero(secret, strlen(secret));
        free(secret);
    }
}

void mos_store_location_text(mos_store *store, const char *scheme, const struct mos_store_options *options) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    const struct {
        const char *name;
        const char *value;
    } queries[] = {{"region", options->provider == MOS_STORE_S3 ? options->region : ""},
                   {"account", options->provider == MOS_STORE_AZURE_BLOB ? options->account : ""},
                   {"endpoint", options->endpoint}};
    mos_buffer_printf(&text, "%s://%s%s%s", scheme, options->bucket, *options->prefix ? "/" : "", options->prefix);
    char before = '?';
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        if (*queries[i].value) {
            mos_buffer_printf(&text, "%c%s=", before, queries[i].name);
            mos_store_url_encode(&text, queries[i].value, true);
            before = '&';
        }
    }
    snprintf(store->location, sizeof(store->location), "%s", mos_buffer_text(&text));
}

mos_status mos_store_fail_cancelled(struct mos_error *error) {
    return mos_fail(error, MOS_CANCELLED, "the transfer was called off");
}

mos_status mos_store_source_read(const struct mos_store_source *source, int64_t offset_bytes, void *out, size_t size_bytes,
                                 struct mos_error *error) {
    if (source->data) {
        memcpy(out, (const uint8_t *)source->data + offset_bytes, size_bytes);
        return MOS_OK;
    }
    for (size_t done = 0; done < size_bytes;) {
        ssize_t count =
            pread(source->descriptor, (uint8_t *)out + done, size_bytes - done, source->offset_bytes + offset_bytes + (int64_t)done);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return mos_fail_errno(error, errno, "what is to be sent cannot be read");
        }
        if (count == 0) {
            return mos_fail(error, MOS_CORRUPT, "what is to be sent is shorter than it should be");
        }
        done += (size_t)count;
    }
    return MOS_OK;
}

mos_status mos_store_same(const struct mos_store_object *there, const struct mos_store_source *source, struct mos_store_put_result *out,
                          struct mos_error *error) {
    if (there->size_bytes != source->size_bytes) {
        return mos_fail(error, MOS_ALREADY_EXISTS, "%s is there already, with %lld bytes in place of %lld", there->name,
                        (long long)there->size_bytes, (long long)source->size_bytes);
    }
    if (there->checksum != MOS_STORE_CHECKSUM_NONE && memcmp(there->sha256, source->sha256, MOS_STORE_HASH_BYTES) != 0) {
        return mos_fail(error, MOS_ALREADY_EXISTS, "%s is there already, with another SHA-256", there->name);
    }
    out->existed = true;
    out->checksum = there->checksum;
    return MOS_OK;
}

mos_status mos_store_confirm_class(const mos_store *store, const struct mos_store_object *moved, const char *wanted,
                                   struct mos_error *error) {
    return strcasecmp(moved->storage_class, wanted) == 0
               ? MOS_OK
               : mos_fail(error, MOS_FAILED_PRECONDITION, "%s lies in the class %s: %s has not moved it to %s", moved->name,
                          *moved->storage_class ? moved->storage_class : "that it has", store->location, wanted);
}

// Not every server that is told to lock an object does so, or says that it does not.
static mos_status confirm_lock(mos_store *store, const char *name, int64_t until_unix_ns, const struct mos_store_call *call,
                               struct mos_error *error) {
    struct mos_store_object object;
    mos_status status = mos_store_head(store, name, &object, call, error);
    if (status == MOS_OK && object.retained_until_unix_ns < until_unix_ns - MOS_NS_PER_SECOND) {
        // Nobody must take it for locked.
        mos_store_delete(store, name, call, NULL);
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s does not lock objects", store->location);
    }
    return status;
}

mos_status mos_store_put(mos_store *store, const char *name, const struct mos_store_source *source,
                         const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                         struct mos_error *error) {
    static const struct mos_store_put_options no_options;
    struct mos_store_put_result unasked;
    mos_status status = check_name(name, error);
    if (status != MOS_OK) {
        return status;
    }
    if (source->size_bytes < 0 || source->size_bytes > store->capabilities.largest_object_bytes) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "an object of %lld bytes is beyond what %s takes", (long long)source->size_bytes,
                        store->location);
    }
    options = options ? options : &no_options;
    if (options->retain_until_unix_ns > 0 && !store->capabilities.retention) {
        return mos_fail(error, MOS_UNIMPLEMENTED, "%s cannot lock objects", store->location);
    }
    out = out ? out : &unasked;
    *out = (struct mos_store_put_result){0};
    status = store->driver->put(store, name, source, options, out, call ? call : &no_call, error);
    return status == MOS_OK && !out->existed && options->retain_until_unix_ns > 0
               ? confirm_lock(store, name, options->retain_until_unix_ns, call, error)
               : status;
}

struct counted {
    mos_store_sink sink;
    void *argument;
    int64_t size_bytes;
};

static mos_status count(void *argument, const void *data, size_t size_bytes, struct mos_error *error) {
    struct counted *counted = argument;
    counted->size_bytes += (int64_t)size_bytes;
    return counted->sink(counted->argument, data, size_bytes, error);
}

mos_status mos_store_get(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                         void *sink_argument, const struct mos_store_call *call, struct mos_error *error) {
    struct counted counted = {.sink = sink, .argument = sink_argument};
    struct mos_store_object object;
    mos_status status = check_name(name, error);
    if (status == MOS_OK && (offset_bytes < 0 || size_bytes < -1 || size_bytes > INT64_MAX - offset_bytes)) {
        status = mos_fail(error, MOS_INVALID_ARGUMENT, "%lld bytes from %lld are no range", (long long)size_bytes, (long long)offset_bytes);
    }
    if (status != MOS_OK) {
        return status;
    }
    // No server has a word for an empty range.
    if (size_bytes == 0) {
        status = mos_store_head(store, name, &object, call, error);
        return status == MOS_OK && offset_bytes > object.size_bytes
                   ? mos_fail(error, MOS_OUT_OF_RANGE, "%s has only %lld bytes", name, (long long)object.size_bytes)
                   : status;
    }
    status = store->driver->get(store, name, offset_bytes, size_bytes, count, &counted, call ? call : &no_call, error);
    if (status == MOS_OK && (size_bytes > 0 ? counted.size_bytes != size_bytes : offset_bytes > 0 && counted.size_bytes == 0)) {
        return mos_fail(error, MOS_OUT_OF_RANGE, "%s has only %lld bytes", name, (long long)(offset_bytes + counted.size_bytes));
    }
    return status;
}

struct file_sink {
    int descriptor;
    int64_t offset_bytes;
    mos_store_hash *hash;
};

static mos_status to_file(void *argument, const void *data, size_t size_bytes, struct mos_error *error) {
    struct file_sink *sink = argument;
    if (sink->hash) {
        mos_store_hash_update(sink->hash, data, size_bytes);
    }
    for (size_t done = 0; done < size_bytes;) {
        ssize_t count_bytes = pwrite(sink->descriptor, (const uint8_t *)data + done, size_bytes - done, sink->offset_bytes);
        if (count_bytes < 0 && errno == EINTR) {
            continue;
        }
        if (count_bytes < 0) {
            return mos_fail_errno(error, errno, "what was fetched cannot be written");
        }
        done += (size_t)count_bytes;
        sink->offset_bytes += count_bytes;
    }
    return MOS_OK;
}

mos_status mos_store_get_file(mos_store *store, const char *name, int descriptor, const uint8_t *sha256, const struct mos_store_call *call,
                              struct mos_error *error) {
    MOS_CLEANUP_HASH mos_store_hash *hash = sha256 ? mos_store_hash_new(MOS_STORE_SHA256) : NULL;
    struct file_sink sink = {.descriptor = descriptor, .hash = hash};
    mos_status status = mos_store_get(store, name, 0, -1, to_file, &sink, call, error);
    if (status == MOS_OK && sha256) {
        uint8_t found[MOS_STORE_HASH_BYTES];
        mos_store_hash_take(hash, found);
        if (memcmp(found, sha256, sizeof(found)) != 0) {
            return mos_fail(error, MOS_CORRUPT, "%s came from %s with another SHA-256 than it should have", name, store->location);
        }
    }
    return status;
}

static mos_status to_buffer(void *argument, const void *data, size_t size_bytes, struct mos_error *error) {
    return mos_buffer_append(argument, data, size_bytes)
               ? MOS_OK
               : mos_fail(error, MOS_RESOURCE_EXHAUSTED, "an object is larger than is allowed here");
}

mos_status mos_store_get_buffer(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, struct mos_buffer *out,
                                const struct mos_store_call *call, struct mos_error *error) {
    return mos_store_get(store, name, offset_bytes, size_bytes, to_buffer, out, call, error);
}

mos_status mos_store_head(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                          struct mos_error *error) {
    mos_status status = check_name(name, error);
    *out = (struct mos_store_object){0};
    if (status == MOS_OK) {
        strcpy(out->name, name);
        status = store->driver->head(store, name, out, call ? call : &no_call, error);
    }
    return status;
}

mos_status mos_store_list(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                          const struct mos_store_call *call, struct mos_error *error) {
    *out = (struct mos_store_page){0};
    if (!name_valid(prefix, false)) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "\"%.100s\" is no beginning of a name of an object", prefix);
    }
    if (limit < 1 || limit > 1000) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "a page of %d objects; allowed is 1 to 1000", limit);
    }
    return store->driver->list(store, prefix, after, limit, arena, out, call ? call : &no_call, error);
}

mos_status mos_store_delete(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    mos_status status = check_name(name, error);
    return status == MOS_OK ? store->driver->remove(store, name, call ? call : &no_call, error) : status;
}

mos_status mos_store_retain(mos_store *store, const char *name, int64_t until_unix_ns, const struct mos_store_call *call,
                            struct mos_error *error) {
    mos_status status = check_name(name, error);
    if (status == MOS_OK && !store->capabilities.retention) {
        status = mos_fail(error, MOS_UNIMPLEMENTED, "%s cannot lock objects", store->location);
    }
    return status == MOS_OK ? store->driver->retain(store, name, until_unix_ns, call ? call : &no_call, error) : status;
}

mos_status mos_store_archive(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    mos_status status = check_name(name, error);
    if (status == MOS_OK && !store->capabilities.archive) {
        status = mos_fail(error, MOS_UNIMPLEMENTED, "%s has no archive", store->location);
    }
    return status == MOS_OK ? store->driver->archive(store, name, call ? call : &no_call, error) : status;
}

mos_status mos_store_thaw(mos_store *store, const char *name, int days, const struct mos_store_call *call, struct mos_error *error) {
    mos_status status = check_name(name, error);
    if (status == MOS_OK && !store->capabilities.archive) {
        status = mos_fail(error, MOS_UNIMPLEMENTED, "%s has no archive", store->location);
    }
    if (status == MOS_OK && (days < 1 || days > 365)) {
        status = mos_fail(error, MOS_INVALID_ARGUMENT, "%d days out of the archive; allowed is 1 to 365", days);
    }
    return status == MOS_OK ? store->driver->thaw(store, name, days, call ? call : &no_call, error) : status;
}

mos_status mos_store_probe(mos_store *store, const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_store_page page;
    return mos_store_list(store, "", NULL, 1, arena, &page, call, error);
}

mos_status mos_store_sweep(mos_store *store, int64_t age_seconds, int *out_removed, const struct mos_store_call *call,
                           struct mos_error *error) {
    int unasked;
    out_removed = out_removed ? out_removed : &unasked;
    *out_removed = 0;
    return store->driver->sweep ? store->driver->sweep(store, age_seconds, out_removed, call ? call : &no_call, error) : MOS_OK;
}
