// Objects between the repository's folder and the places.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/offsite/hash.h"
#include "control/offsite/offsite_internal.h"

enum { BLOCK_BYTES = 1 << 20, PATH_LIMIT = 4096 + MOS_STORE_NAME_LIMIT };

bool mos_offsite_over(void *offsite) {
    return atomic_load(&((mos_offsite *)offsite)->stopping);
}

mos_status mos_offsite_lock(mos_offsite *offsite, const char *name, int *out_descriptor, struct mos_error *error) {
    char path[PATH_LIMIT];
    snprintf(path, sizeof(path), "%s/lock", offsite->options.repository);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/lock/%s", offsite->options.repository, name);
    *out_descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int code = *out_descriptor < 0 ? -1 : 0;
    while (code == 0 && flock(*out_descriptor, LOCK_SH) != 0) {
        code = errno == EINTR ? 0 : -1;
    }
    return code == 0 ? MOS_OK : mos_fail_errno(error, errno, "the repository's lock/%s cannot be had", name);
}

// ---- Here ----

static mos_status open_local(mos_offsite *offsite, const char *name, int *out_descriptor, int64_t *out_size_bytes,
                             struct mos_error *error) {
    char path[PATH_LIMIT];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", offsite->options.repository, name);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "opening the object %s", name);
    }
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(descriptor);
        return mos_fail(error, MOS_CORRUPT, "the object %s is no file", name);
    }
    *out_descriptor = descriptor;
    *out_size_bytes = status.st_size;
    return MOS_OK;
}

mos_status mos_offsite_hash_local(mos_offsite *offsite, const char *name, int64_t *out_size_bytes, uint8_t out_sha256[32],
                                  struct mos_error *error) {
    int descriptor;
    mos_status status = open_local(offsite, name, &descriptor, out_size_bytes, error);
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_FREE uint8_t *block = mos_malloc(BLOCK_BYTES);
    MOS_CLEANUP_HASH mos_store_hash *hash = mos_store_hash_new(MOS_STORE_SHA256);
    ssize_t got;
    while ((got = read(descriptor, block, BLOCK_BYTES)) > 0 || (got < 0 && errno == EINTR)) {
        mos_store_hash_update(hash, block, got > 0 ? (size_t)got : 0);
    }
    if (got < 0) {
        status = mos_fail_errno(error, errno, "reading the object %s", name);
    }
    mos_store_hash_take(hash, out_sha256);
    close(descriptor);
    return status;
}

bool mos_offsite_has_local(mos_offsite *offsite, const mos_stored_object *object) {
    char path[PATH_LIMIT];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", offsite->options.repository, object->name);
    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == object->size;
}

// ---- From a place to here ----

static mos_status make_folders(char *path, size_t from, struct mos_error *error) {
    for (char *slash = strchr(path + from, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            mos_status status = mos_fail_errno(error, errno, "making the folder %s", path);
            *slash = '/';
            return status;
        }
        *slash = '/';
    }
    return MOS_OK;
}

static mos_status sync_folder(char *path, struct mos_error *error) {
    char *slash = strrchr(path, '/');
    *slash = 0;
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = descriptor >= 0 && fsync(descriptor) == 0;
    int reason = errno;
    if (descriptor >= 0) {
        close(descriptor);
    }
    mos_status status = synced ? MOS_OK : mos_fail_errno(error, reason, "flushing the folder %s", path);
    *slash = '/';
    return status;
}

mos_status mos_offsite_bring_from(mos_store *store, const char *repository, const char *name, const uint8_t *sha256,
                                  const struct mos_store_call *call, struct mos_error *error) {
    char path[PATH_LIMIT], tmp[PATH_LIMIT], id[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    snprintf(path, sizeof(path), "%s/%s", repository, name);
    snprintf(tmp, sizeof(tmp), "%s/tmp/offsite-%s", repository, id);
    mos_status status = make_folders(path, strlen(repository), error);
    if (status == MOS_OK) {
        status = make_folders(tmp, strlen(repository), error);
    }
    if (status != MOS_OK) {
        return status;
    }
    int descriptor = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "making the file %s", tmp);
    }
    status = mos_store_get_file(store, name, descriptor, sha256, call, error);
    if (status == MOS_OK && fsync(descriptor) != 0) {
        status = mos_fail_errno(error, errno, "flushing %s", name);
    }
    close(descriptor);
    if (status == MOS_OK && rename(tmp, path) != 0) {
        status = mos_fail_errno(error, errno, "giving %s its name", name);
    }
    if (status != MOS_OK) {
        unlink(tmp);
        return status;
    }
    return sync_folder(path, error);
}

mos_status mos_offsite_bring_object(mos_offsite *offsite, struct mos_offsite_place *first, struct mos_offsite_place *except,
                                    const mos_stored_object *object, const struct mos_store_call *call, struct mos_error *error) {
    mos_status status = mos_fail(error, MOS_DATA_LOSS, "no other place has the object %s", object->name);
    for (size_t i = 0; i <= offsite->place_count; i++) {
        struct mos_offsite_place *place = i == 0 ? first : &offsite->places[i - 1];
        if (!place || place == except || (i > 0 && place == first)) {
            continue;
        }
        struct mos_error cause = {0};
        mos_status tried =
            mos_offsite_bring_from(place->store, offsite->options.repository, object->name, object->sha256.data, call, &cause);
        if (tried == MOS_OK || tried == MOS_CANCELLED) {
            return tried == MOS_OK ? MOS_OK : mos_fail(error, tried, "%s", cause.message);
        }
        if (tried == MOS_NOT_FOUND) {
            // Nothing is lost where only the disk is away.
            mos_status disk = mos_offsite_check_disk(place, call, &cause);
            tried = disk == MOS_OK ? tried : disk;
        }
        mos_log_warning("an object could not be brought from a place", MOS_TEXT("object", object->name), MOS_TEXT("location", place->name),
                        MOS_TEXT("reason", cause.message));
        // One that may work later says more than one that never will.
        if (status == MOS_DATA_LOSS || mos_status_retryable(tried)) {
            status = mos_fail(error, tried == MOS_NOT_FOUND ? MOS_DATA_LOSS : tried, "%s", cause.message);
        }
    }
    return status;
}

// ---- From here to a place ----

static mos_status hash_part(void *hash, const void *data, size_t size_bytes, struct mos_error *error) {
    (void)error;
    mos_store_hash_update(hash, data, size_bytes);
    return MOS_OK;
}

// Reads it back, where nothing else tells what lies there.
static mos_status read_back(struct mos_offsite_place *place, const mos_stored_object *object, const struct mos_store_call *call,
                            struct mos_error *error) {
    uint8_t digest[MOS_STORE_HASH_BYTES];
    MOS_CLEANUP_HASH mos_store_hash *hash = mos_store_hash_new(MOS_STORE_SHA256);
    const struct mos_store_call quiet = {.over = call->over, .argument = call->argument};
    mos_status status = mos_store_get(place->store, object->name, 0, -1, hash_part, hash, &quiet, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_store_hash_take(hash, digest);
    return memcmp(digest, object->sha256.data, sizeof(digest)) == 0
               ? MOS_OK
               : mos_fail(error, MOS_ALREADY_EXISTS, "the object %s at %s holds other bytes", object->name, place->url);
}

static mos_status put(struct mos_offsite_place *place, const mos_stored_object *object, int64_t lock_until_ns,
                      const struct mos_store_call *call, struct mos_error *error) {
    struct mos_store_source source = {0};
    struct mos_store_put_result result = {0};
    const struct mos_store_put_options options = {.retain_until_unix_ns = lock_until_ns};
    mos_status status = open_local(place->offsite, object->name, &source.descriptor, &source.size_bytes, error);
    if (status != MOS_OK) {
        return status;
    }
    if (source.size_bytes != object->size) {
        status = mos_fail(error, MOS_CORRUPT, "the object %s has %lld bytes in place of %lld", object->name, (long long)source.size_bytes,
                          (long long)object->size);
    } else {
        memcpy(source.sha256, object->sha256.data, sizeof(source.sha256));
        status = mos_store_put(place->store, object->name, &source, &options, &result, call, error);
    }
    close(source.descriptor);
    if (status == MOS_OK && result.checksum == MOS_STORE_CHECKSUM_NONE) {
        status = read_back(place, object, call, error);
    }
    if (status == MOS_OK && result.existed && lock_until_ns) {
        status = mos_store_retain(place->store, object->name, lock_until_ns, call, error);
    }
    return status;
}

// What is wrong with our own: MOS_OK where it is whole.
static mos_status check_local(mos_offsite *offsite, const mos_stored_object *object) {
    uint8_t digest[32];
    int64_t size_bytes;
    mos_status status = mos_offsite_hash_local(offsite, object->name, &size_bytes, digest, NULL);
    return status == MOS_OK && memcmp(digest, object->sha256.data, sizeof(digest)) != 0 ? MOS_CORRUPT : status;
}

mos_status mos_offsite_send_object(struct mos_offsite_place *place, const mos_stored_object *object, int64_t lock_until_ns,
                                   const struct mos_store_call *call, struct mos_error *error) {
    mos_status status = put(place, object, lock_until_ns, call, error);
    if (status == MOS_ALREADY_EXISTS) {
        // Cut off while it was written, or damaged there: ours is the one that its hash tells, if it is whole.
        struct mos_error cause = {0};
        if (check_local(place->offsite, object) == MOS_OK && mos_store_delete(place->store, object->name, call, &cause) == MOS_OK) {
            mos_log_warning("a damaged object offsite is replaced", MOS_TEXT("object", object->name), MOS_TEXT("location", place->name));
            return put(place, object, lock_until_ns, call, error);
        }
        return status;
    }
    if (status == MOS_CORRUPT || status == MOS_NOT_FOUND) {
        mos_status local = check_local(place->offsite, object);
        if (local == MOS_CORRUPT || local == MOS_NOT_FOUND) {
            struct mos_error cause = {0};
            status = mos_offsite_bring_object(place->offsite, NULL, place, object, call, &cause);
            if (status != MOS_OK) {
                return mos_fail(error, status, "the object %s is %s here, and %s", object->name,
                                local == MOS_CORRUPT ? "damaged" : "missing", cause.message);
            }
            mos_log_info("an object was brought back from another place", MOS_TEXT("object", object->name));
        }
        return put(place, object, lock_until_ns, call, error);
    }
    return status;
}
