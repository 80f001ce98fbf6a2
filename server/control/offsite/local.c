// A folder of this machine's, as a mounted share or disk: an object is a file. A file is written under incoming~, which is no name of an
// object, flushed, and then given its name, which fails where the name is taken.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "control/offsite/hash.h"
#include "control/offsite/store_internal.h"

#define INCOMING "incoming~"

enum { PIECE_BYTES = 1024 * 1024 };

struct local {
    mos_store base;
    char *root;
    // "" or ends with '/'.
    char prefix[MOS_STORE_NAME_LIMIT + 2];
};

// A share that is not mounted must not look like an empty store, so the root is never made.
static mos_status open_root(const struct local *local, int *out, struct mos_error *error) {
    *out = open(local->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*out >= 0) {
        return MOS_OK;
    }
    return errno == ENOENT || errno == ENOTDIR ? mos_fail(error, MOS_FAILED_PRECONDITION, "the folder %s does not exist", local->root)
                                               : mos_fail_errno(error, errno, "the folder %s cannot be opened", local->root);
}

// The folder that the last part of `path` lies in; *out_last is that part. No symbolic link on the way is followed. With `make`, folders
// that are missing are made.
static mos_status open_parent(const struct local *local, const char *path, bool make, int *out, const char **out_last,
                              struct mos_error *error) {
    int folder;
    mos_status status = open_root(local, &folder, error);
    if (status != MOS_OK) {
        return status;
    }
    const char *part = path;
    for (const char *slash = strchr(part, '/'); slash; slash = strchr(part, '/')) {
        char name[MOS_STORE_NAME_LIMIT + 1];
        snprintf(name, sizeof(name), "%.*s", (int)(slash - part), part);
        int next = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && errno == ENOENT && make) {
            if (mkdirat(folder, name, 0700) == 0) {
                fsync(folder);
            }
            next = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        int reason = errno;
        close(folder);
        if (next < 0 && reason == ENOTDIR && !make) {
            reason = ENOENT;
        }
        if (next < 0 && (reason == ENOTDIR || reason == ELOOP)) {
            return mos_fail(error, MOS_FAILED_PRECONDITION, "%s/%.*s is no folder", local->root, (int)(slash - path), path);
        }
        if (next < 0) {
            return mos_fail_errno(error, reason, "%s/%.*s", local->root, (int)(slash - path), path);
        }
        folder = next;
        part = slash + 1;
    }
    *out = folder;
    *out_last = part;
    return MOS_OK;
}

static void path_of(const struct local *local, const char *name, char path[2 * MOS_STORE_NAME_LIMIT + 2]) {
    snprintf(path, 2 * MOS_STORE_NAME_LIMIT + 2, "%s%s", local->prefix, name);
}

static mos_status open_object(const struct local *local, const char *name, int *out, struct stat *out_stat, struct mos_error *error) {
    char path[2 * MOS_STORE_NAME_LIMIT + 2];
    MOS_CLEANUP_FD int folder = -1;
    const char *last;
    path_of(local, name, path);
    mos_status status = open_parent(local, path, false, &folder, &last, error);
    if (status != MOS_OK && status != MOS_NOT_FOUND) {
        return status;
    }
    // O_NONBLOCK, so that a pipe of that name does not hang.
    *out = status == MOS_OK ? openat(folder, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (status == MOS_NOT_FOUND || (*out < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))) {
        return mos_fail(error, MOS_NOT_FOUND, "there is no object %s in %s", name, local->base.location);
    }
    if (*out < 0 || fstat(*out, out_stat) != 0) {
        int reason = errno;
        mos_close_cleanup(out);
        *out = -1;
        return mos_fail_errno(error, reason, "%s in %s", name, local->base.location);
    }
    if (!S_ISREG(out_stat->st_mode)) {
        close(*out);
        *out = -1;
        return mos_fail(error, MOS_NOT_FOUND, "there is no object %s in %s", name, local->base.location);
    }
    return MOS_OK;
}

// Hands out the bytes of a file in pieces.
static mos_status read_file(int descriptor, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink, void *argument,
                            const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_FREE uint8_t *piece = mos_malloc(PIECE_BYTES);
    for (int64_t left = size_bytes; left != 0;) {
        if (mos_store_over(call)) {
            return mos_store_fail_cancelled(error);
        }
        ssize_t count = pread(descriptor, piece, left > 0 && left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, offset_bytes);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return mos_fail_errno(error, errno, "an object cannot be read");
        }
        if (count == 0) {
            return MOS_OK;
        }
        mos_status status = sink(argument, piece, (size_t)count, error);
        if (status != MOS_OK) {
            return status;
        }
        mos_store_moved(call, count);
        offset_bytes += count;
        left -= left > 0 ? count : 0;
    }
    return MOS_OK;
}

static mos_status to_hash(void *argument, const void *data, size_t size_bytes, struct mos_error *error) {
    (void)error;
    mos_store_hash_update(argument, data, size_bytes);
    return MOS_OK;
}

// MOS_NOT_FOUND where nothing is there under the name; else what put answers.
static mos_status compare(struct local *local, const char *name, const struct mos_store_source *source, struct mos_store_put_result *out,
                          const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_call silent = {.over = call->over, .argument = call->argument};
    MOS_CLEANUP_HASH mos_store_hash *hash = mos_store_hash_new(MOS_STORE_SHA256);
    MOS_CLEANUP_FD int descriptor = -1;
    struct mos_store_object there = {.checksum = MOS_STORE_CHECKSUM_NONE};
    struct stat found;
    mos_status status = open_object(local, name, &descriptor, &found, error);
    if (status != MOS_OK) {
        return status;
    }
    snprintf(there.name, sizeof(there.name), "%s", name);
    there.size_bytes = found.st_size;
    if (found.st_size == source->size_bytes) {
        status = read_file(descriptor, 0, -1, to_hash, hash, &silent, error);
        mos_store_hash_take(hash, there.sha256);
        there.checksum = MOS_STORE_CHECKSUM_SERVER;
    }
    return status == MOS_OK ? mos_store_same(&there, source, out, error) : status;
}

static mos_status write_all(int descriptor, const uint8_t *data, size_t size_bytes, struct mos_error *error) {
    while (size_bytes > 0) {
        ssize_t count = write(descriptor, data, size_bytes);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return mos_fail_errno(error, errno, "an object cannot be written");
        }
        data += count;
        size_bytes -= (size_t)count;
    }
    return MOS_OK;
}

static mos_status copy(int descriptor, const char *name, const struct mos_store_source *source, const struct mos_store_call *call,
                       struct mos_error *error) {
    MOS_CLEANUP_HASH mos_store_hash *hash = mos_store_hash_new(MOS_STORE_SHA256);
    MOS_CLEANUP_FREE uint8_t *piece = mos_malloc(PIECE_BYTES);
    uint8_t sha256[MOS_STORE_HASH_BYTES];
    for (int64_t done = 0; done < source->size_bytes;) {
        size_t size = source->size_bytes - done < PIECE_BYTES ? (size_t)(source->size_bytes - done) : PIECE_BYTES;
        mos_status status =
            mos_store_over(call) ? mos_store_fail_cancelled(error) : mos_store_source_read(source, done, piece, size, error);
        if (status == MOS_OK) {
            mos_store_hash_update(hash, piece, size);
            status = write_all(descriptor, piece, size, error);
        }
        if (status != MOS_OK) {
            return status;
        }
        done += (int64_t)size;
        mos_store_moved(call, (int64_t)size);
    }
    mos_store_hash_take(hash, sha256);
    if (memcmp(sha256, source->sha256, sizeof(sha256)) != 0) {
        return mos_fail(error, MOS_CORRUPT, "%s does not have the SHA-256 that it should have", name);
    }
    if (mos_store_over(call)) {
        return mos_store_fail_cancelled(error);
    }
    return fsync(descriptor) == 0 ? MOS_OK : mos_fail_errno(error, errno, "an object cannot be flushed");
}

// Gives a file its name where that is free; EEXIST otherwise. File systems know one way or the other.
static int publish(int incoming, const char *id, int folder, const char *last) {
    if (renameat2(incoming, id, folder, last, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return -1;
    }
    return linkat(incoming, id, folder, last, 0) == 0 ? unlinkat(incoming, id, 0) : -1;
}

static mos_status put(mos_store *store, const char *name, const struct mos_store_source *source,
                      const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                      struct mos_error *error) {
    struct local *local = (struct local *)store;
    char path[2 * MOS_STORE_NAME_LIMIT + 2], id[MOS_ID_TEXT_BYTES];
    MOS_CLEANUP_FD int incoming = -1, folder = -1, descriptor = -1;
    const char *last;
    (void)options;
    mos_status status = compare(local, name, source, out, call, NULL);
    if (status != MOS_NOT_FOUND) {
        return status == MOS_OK ? status : compare(local, name, source, out, call, error);
    }
    mos_id_new(id);
    snprintf(path, sizeof(path), "%s%s/%s", local->prefix, INCOMING, id);
    status = open_parent(local, path, true, &incoming, &last, error);
    if (status == MOS_OK) {
        descriptor = openat(incoming, id, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        status = descriptor >= 0 ? copy(descriptor, name, source, call, error)
                                 : mos_fail_errno(error, errno, "nothing can be written in %s", local->base.location);
    }
    path_of(local, name, path);
    status = status == MOS_OK ? open_parent(local, path, true, &folder, &last, error) : status;
    if (status == MOS_OK && publish(incoming, id, folder, last) != 0) {
        status = errno == EEXIST ? compare(local, name, source, out, call, error)
                                 : mos_fail_errno(error, errno, "%s cannot be given its name in %s", name, local->base.location);
        unlinkat(incoming, id, 0);
        return status;
    }
    if (status != MOS_OK) {
        if (descriptor >= 0) {
            unlinkat(incoming, id, 0);
        }
        return status;
    }
    out->checksum = MOS_STORE_CHECKSUM_WRITER;
    return fsync(folder) == 0 ? MOS_OK : mos_fail_errno(error, errno, "the folder of %s cannot be flushed", name);
}

static mos_status get(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                      void *sink_argument, const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_FD int descriptor = -1;
    struct stat found;
    mos_status status = open_object((struct local *)store, name, &descriptor, &found, error);
    if (status != MOS_OK) {
        return status;
    }
    if (offset_bytes > 0 && offset_bytes >= found.st_size) {
        return mos_fail(error, MOS_OUT_OF_RANGE, "%s has only %lld bytes", name, (long long)found.st_size);
    }
    return read_file(descriptor, offset_bytes, size_bytes, sink, sink_argument, call, error);
}

static int64_t modified_of(const struct stat *found) {
    return (int64_t)found->st_mtim.tv_sec * MOS_NS_PER_SECOND + found->st_mtim.tv_nsec;
}

static mos_status head(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                       struct mos_error *error) {
    MOS_CLEANUP_FD int descriptor = -1;
    struct stat found;
    (void)call;
    mos_status status = open_object((struct local *)store, name, &descriptor, &found, error);
    if (status == MOS_OK) {
        out->size_bytes = found.st_size;
        out->modified_unix_ns = modified_of(&found);
    }
    return status;
}

static mos_status read_folder(void *argument, const char *path, mos_arena *arena, struct mos_store_entry **out, size_t *out_count,
                              struct mos_error *error) {
    struct local *local = argument;
    char full[2 * MOS_STORE_NAME_LIMIT + 2];
    const char *last;
    int descriptor;
    size_t capacity = 64;
    *out_count = 0;
    *out = mos_arena_array(arena, struct mos_store_entry, capacity);
    path_of(local, path, full);
    mos_status status = open_parent(local, full, false, &descriptor, &last, error);
    if (status != MOS_OK) {
        return status == MOS_NOT_FOUND ? MOS_OK : status;
    }
    DIR *folder = fdopendir(descriptor);
    errno = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        struct stat found;
        if (fstatat(dirfd(folder), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode))) {
            if (*out_count == capacity) {
                struct mos_store_entry *more = mos_arena_array(arena, struct mos_store_entry, 2 * capacity);
                memcpy(more, *out, capacity * sizeof(*more));
                *out = more;
                capacity *= 2;
            }
            (*out)[(*out_count)++] = (struct mos_store_entry){.name = mos_arena_strdup(arena, entry->d_name),
                                                              .folder = S_ISDIR(found.st_mode),
                                                              .size_bytes = found.st_size,
                                                              .modified_unix_ns = modified_of(&found)};
        }
        errno = 0;
    }
    int reason = errno;
    closedir(folder);
    return reason == 0 ? MOS_OK : mos_fail_errno(error, reason, "%s%s cannot be listed", local->base.location, path);
}

static mos_status list(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                       const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_tree tree = {.read = read_folder, .argument = store};
    return mos_store_tree_list(&tree, prefix, after, limit, arena, out, call, error);
}

static mos_status delete_object(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct local *local = (struct local *)store;
    char path[2 * MOS_STORE_NAME_LIMIT + 2];
    MOS_CLEANUP_FD int folder = -1;
    const char *last;
    (void)call;
    path_of(local, name, path);
    mos_status status = open_parent(local, path, false, &folder, &last, error);
    if (status != MOS_OK) {
        return status == MOS_NOT_FOUND ? MOS_OK : status;
    }
    if (unlinkat(folder, last, 0) != 0 && errno != ENOENT && errno != EISDIR) {
        return mos_fail_errno(error, errno, "%s cannot be deleted from %s", name, local->base.location);
    }
    return fsync(folder) == 0 ? MOS_OK : mos_fail_errno(error, errno, "the folder of %s cannot be flushed", name);
}

static mos_status sweep(mos_store *store, int64_t age_seconds, int *out_removed, const struct mos_store_call *call,
                        struct mos_error *error) {
    struct local *local = (struct local *)store;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char path[MOS_STORE_NAME_LIMIT + 32];
    MOS_CLEANUP_FD int incoming = -1;
    struct mos_store_entry *entries;
    const char *last;
    size_t count;
    mos_status status = read_folder(local, INCOMING "/", arena, &entries, &count, error);
    if (status != MOS_OK || count == 0) {
        return status;
    }
    snprintf(path, sizeof(path), "%s" INCOMING "/x", local->prefix);
    status = open_parent(local, path, false, &incoming, &last, error);
    for (size_t i = 0; status == MOS_OK && i < count; i++) {
        if (mos_store_over(call)) {
            return mos_store_fail_cancelled(error);
        }
        if (!entries[i].folder && mos_now_unix_ns() - entries[i].modified_unix_ns >= age_seconds * MOS_NS_PER_SECOND &&
            unlinkat(incoming, entries[i].name, 0) == 0) {
            (*out_removed)++;
        }
    }
    return status;
}

static void close_store(mos_store *store) {
    struct local *local = (struct local *)store;
    free(local->root);
    free(local);
}

static const struct mos_store_driver driver = {
    .close = close_store, .put = put, .get = get, .head = head, .list = list, .remove = delete_object, .sweep = sweep};

mos_status mos_store_open_local(mos_store **out, const struct mos_store_options *options, struct mos_error *error) {
    if (options->bucket[0] != '/') {
        return mos_fail_field(error, "OFFSITE_BUCKET", "OFFSITE_BUCKET is \"%.200s\"; LOCAL_REMOTE needs an absolute path",
                              options->bucket);
    }
    struct local *local = mos_calloc(1, sizeof(*local));
    local->base = (mos_store){.driver = &driver,
                              .provider = MOS_STORE_LOCAL_REMOTE,
                              .capabilities = {.exclusive_put = true, .largest_object_bytes = INT64_MAX / 2}};
    local->root = mos_strdup(options->bucket);
    snprintf(local->prefix, sizeof(local->prefix), "%s%s", options->prefix, *options->prefix ? "/" : "");
    snprintf(local->base.location, sizeof(local->base.location), "file://%s/%s", options->bucket, options->prefix);
    *out = &local->base;
    return MOS_OK;
}
