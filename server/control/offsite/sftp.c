// A folder behind SFTP: an object is a file. A file is written under incoming~, which is no name of an object, flushed where the server
// can, and then given its name, which fails where the name is taken (as SSH_FXP_RENAME of version 3 does).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "control/offsite/hash.h"
#include "control/offsite/ssh.h"

#define INCOMING "incoming~"

enum {
    // libssh2 asks for as much as four times this ahead.
    PIECE_BYTES = 4 * 1024 * 1024,
    // On its way at once; OpenSSH takes no more than these before it has written them.
    WINDOW_BYTES = 2 * 1024 * 1024,
    // Read and hashed at once.
    STEP_BYTES = 256 * 1024,
    PATH_BYTES = 4096 + 2 * MOS_STORE_NAME_LIMIT,
    WHAT_BYTES = MOS_STORE_NAME_LIMIT + 64,
};

struct sftp {
    mos_store base;
    mos_ssh_pool *pool;
    char *root;
    // "" or ends with '/'.
    char prefix[MOS_STORE_NAME_LIMIT + 2];
};

struct session {
    struct sftp *store;
    struct mos_ssh *ssh;
    const struct mos_store_call *call;
};

static void path_of(const struct sftp *sftp, const char *name, char path[PATH_BYTES]) {
    snprintf(path, PATH_BYTES, "%s/%s%s", sftp->root, sftp->prefix, name);
}

static mos_status look_at(const struct session *session, const char *path, LIBSSH2_SFTP_ATTRIBUTES *out, struct mos_error *error) {
    mos_status status;
    int code;
    MOS_SSH_AWAIT(session->ssh, session->call, error, status, code,
                  libssh2_sftp_stat_ex(session->ssh->sftp, path, (unsigned)strlen(path), LIBSSH2_SFTP_LSTAT, out));
    return status != MOS_OK || code == 0 ? status : mos_ssh_fail(session->ssh, code, "an object cannot be looked at", error);
}

// A folder that is not there must not look like an empty store, so the root is never made.
static mos_status check_root(const struct session *session, struct mos_error *error) {
    LIBSSH2_SFTP_ATTRIBUTES found;
    mos_status status = look_at(session, session->store->root, &found, error);
    return status == MOS_NOT_FOUND ? mos_fail(error, MOS_FAILED_PRECONDITION, "the folder %s does not exist on %s", session->store->root,
                                              session->store->base.location)
                                   : status;
}

// All folders of a path below the root; those that are there are left.
static mos_status make_folders(const struct session *session, const char *path, struct mos_error *error) {
    size_t root = strlen(session->store->root);
    mos_status status = check_root(session, error);
    for (const char *slash = strchr(path + root + 1, '/'); slash && status == MOS_OK; slash = strchr(slash + 1, '/')) {
        LIBSSH2_SFTP_ATTRIBUTES found;
        char folder[PATH_BYTES];
        int code;
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
        MOS_SSH_AWAIT(session->ssh, session->call, error, status, code,
                      libssh2_sftp_mkdir_ex(session->ssh->sftp, folder, (unsigned)strlen(folder), 0700));
        // Servers of version 3 have no word for what is there already.
        if (status == MOS_OK && code != 0) {
            struct mos_error why = {0};
            mos_status refused = mos_ssh_fail(session->ssh, code, "a folder cannot be made", &why);
            status = look_at(session, folder, &found, NULL);
            if (status != MOS_OK) {
                status = refused;
                if (error) {
                    *error = why;
                }
            }
        }
    }
    return status;
}

static mos_status open_file(const struct session *session, const char *path, unsigned long flags, LIBSSH2_SFTP_HANDLE **out,
                            struct mos_error *error) {
    mos_status status;
    MOS_SSH_AWAIT_POINTER(session->ssh, session->call, error, status, *out,
                          libssh2_sftp_open_ex(session->ssh->sftp, path, (unsigned)strlen(path), flags, 0600, LIBSSH2_SFTP_OPENFILE));
    return status != MOS_OK || *out
               ? status
               : mos_ssh_fail(session->ssh, libssh2_session_last_errno(session->ssh->session), "a file cannot be opened", error);
}

static mos_status close_file(const struct session *session, LIBSSH2_SFTP_HANDLE *file, struct mos_error *error) {
    mos_status status;
    int code;
    if (session->ssh->broken) {
        // Frees what was on its way; the other side sees the end of the stream.
        shutdown(session->ssh->socket, SHUT_RDWR);
        libssh2_session_set_blocking(session->ssh->session, 1);
        libssh2_session_set_timeout(session->ssh->session, 1000);
        libssh2_sftp_close_handle(file);
        return MOS_OK;
    }
    MOS_SSH_AWAIT(session->ssh, session->call, error, status, code, libssh2_sftp_close_handle(file));
    return status != MOS_OK || code == 0 ? status : mos_ssh_fail(session->ssh, code, "a file cannot be closed", error);
}

static void unlink_file(const struct session *session, const char *path) {
    mos_status status;
    int code;
    if (!session->ssh->broken) {
        static const struct mos_store_call always;
        MOS_SSH_AWAIT(session->ssh, &always, NULL, status, code, libssh2_sftp_unlink_ex(session->ssh->sftp, path, (unsigned)strlen(path)));
        (void)code;
        (void)status;
    }
}

// Version 3 says only "failure" where a disk is full; whether it is can be asked.
static mos_status fail_write(const struct session *session, int code, const char *path, struct mos_error *error) {
    struct mos_error why = {0};
    mos_status status = mos_ssh_fail(session->ssh, code, "an object cannot be written", &why);
    LIBSSH2_SFTP_STATVFS disk;
    if (status == MOS_UNAVAILABLE && !session->ssh->broken) {
        mos_status asked;
        MOS_SSH_AWAIT(session->ssh, session->call, NULL, asked, code, libssh2_sftp_statvfs(session->ssh->sftp, path, strlen(path), &disk));
        if (asked == MOS_OK && code == 0 && disk.f_bavail == 0) {
            return mos_fail(error, MOS_NO_SPACE, "the disk of %s is full", session->store->base.location);
        }
    }
    if (error) {
        *error = why;
    }
    return status;
}

// What is on its way to the server. libssh2 wants all of it that is not acknowledged given again with each call, and sends what stands
// behind it: so the buffer is filled while the server writes, and there is always something for the server to do.
struct window {
    char *data;
    // From `begin` to `end` nothing is acknowledged yet.
    size_t begin;
    size_t end;
    int64_t read_bytes;
};

// One step more of the source, where there is room for it.
static mos_status fill(struct window *window, const struct mos_store_source *source, mos_store_hash *hash, struct mos_error *error) {
    int64_t left = source->size_bytes - window->read_bytes;
    size_t size = left < STEP_BYTES ? (size_t)left : STEP_BYTES;
    if (left == 0 || window->end - window->begin + size > WINDOW_BYTES) {
        return MOS_OK;
    }
    if (window->end + size > PIECE_BYTES) {
        memmove(window->data, window->data + window->begin, window->end - window->begin);
        window->end -= window->begin;
        window->begin = 0;
    }
    mos_status status = mos_store_source_read(source, window->read_bytes, window->data + window->end, size, error);
    if (status == MOS_OK) {
        mos_store_hash_update(hash, window->data + window->end, size);
        window->end += size;
        window->read_bytes += (int64_t)size;
    }
    return status;
}

static mos_status send_all(const struct session *session, LIBSSH2_SFTP_HANDLE *file, const char *path,
                           const struct mos_store_source *source, mos_store_hash *hash, struct mos_error *error) {
    MOS_CLEANUP_FREE char *data = mos_malloc(PIECE_BYTES);
    struct window window = {.data = data};
    mos_status status = MOS_OK;
    for (bool begun = false; !begun || window.begin < window.end; begun = true) {
        // What cannot be read ends the file here, but what is on its way is waited for: the connection stays good.
        status = status == MOS_OK ? fill(&window, source, hash, error) : status;
        if (window.begin == window.end) {
            break;
        }
        mos_status sent;
        ssize_t count;
        MOS_SSH_AWAIT(session->ssh, session->call, error, sent, count,
                      libssh2_sftp_write(file, window.data + window.begin, window.end - window.begin));
        if (sent != MOS_OK) {
            return sent;
        }
        // 0: sent as far as the server lets us, and nothing acknowledged.
        if (count < 0) {
            return fail_write(session, (int)count, path, error);
        }
        window.begin += (size_t)count;
        mos_store_moved(session->call, count);
        if (mos_store_over(session->call)) {
            // More is on its way, which this connection would have to wait for.
            session->ssh->broken = window.begin < window.end;
            return mos_store_fail_cancelled(error);
        }
    }
    return status;
}

static mos_status write_all(const struct session *session, LIBSSH2_SFTP_HANDLE *file, const char *path, const char *name,
                            const struct mos_store_source *source, struct mos_error *error) {
    MOS_CLEANUP_HASH mos_store_hash *hash = mos_store_hash_new(MOS_STORE_SHA256);
    uint8_t sha256[MOS_STORE_HASH_BYTES];
    LIBSSH2_SFTP_ATTRIBUTES written = {0};
    int code = 0;
    mos_status status = send_all(session, file, path, source, hash, error);
    mos_store_hash_take(hash, sha256);
    if (status == MOS_OK && memcmp(sha256, source->sha256, sizeof(sha256)) != 0) {
        return mos_fail(error, MOS_CORRUPT, "%s does not have the SHA-256 that it should have", name);
    }
    if (status == MOS_OK) {
        MOS_SSH_AWAIT(session->ssh, session->call, error, status, code, libssh2_sftp_fsync(file));
        if (status == MOS_OK && code != 0) {
            status = mos_ssh_fail(session->ssh, code, "an object cannot be flushed", error);
            status = status == MOS_UNIMPLEMENTED ? MOS_OK : status;
        }
    }
    if (status == MOS_OK) {
        MOS_SSH_AWAIT(session->ssh, session->call, error, status, code, libssh2_sftp_fstat_ex(file, &written, 0));
        if (status == MOS_OK && code == 0 && (int64_t)written.filesize != source->size_bytes) {
            status = mos_fail(error, MOS_UNAVAILABLE, "%s was written with %llu bytes in place of %lld", name,
                              (unsigned long long)written.filesize, (long long)source->size_bytes);
        }
    }
    return status;
}

static mos_status look(const struct session *session, const char *name, struct mos_store_object *out, struct mos_error *error) {
    LIBSSH2_SFTP_ATTRIBUTES found = {0};
    char path[PATH_BYTES];
    path_of(session->store, name, path);
    mos_status status = look_at(session, path, &found, error);
    // Where one part of the path is a file, some say "failure".
    if (status == MOS_NOT_FOUND || (status == MOS_OK && !LIBSSH2_SFTP_S_ISREG(found.permissions))) {
        status = check_root(session, error);
        return status == MOS_OK ? mos_fail(error, MOS_NOT_FOUND, "there is no object %s in %s", name, session->store->base.location)
                                : status;
    }
    if (status == MOS_OK) {
        snprintf(out->name, sizeof(out->name), "%s", name);
        out->size_bytes = (int64_t)found.filesize;
        out->modified_unix_ns = (int64_t)found.mtime * MOS_NS_PER_SECOND;
    }
    return status;
}

static mos_status begin(struct sftp *sftp, struct session *out, const struct mos_store_call *call, struct mos_error *error) {
    *out = (struct session){.store = sftp, .call = call};
    return mos_ssh_take(sftp->pool, &out->ssh, call, error);
}

static void end(struct session *session) {
    if (session->ssh) {
        mos_ssh_give(session->ssh);
    }
}
#define SESSION __attribute__((cleanup(end))) struct session

static mos_status rename_file(const struct session *session, const char *from, const char *to, struct mos_error *error) {
    mos_status status;
    int code;
    MOS_SSH_AWAIT(session->ssh, session->call, error, status, code,
                  libssh2_sftp_rename_ex(session->ssh->sftp, from, (unsigned)strlen(from), to, (unsigned)strlen(to), 0));
    return status != MOS_OK || code == 0 ? status : mos_ssh_fail(session->ssh, code, "an object cannot be given its name", error);
}

static mos_status put(mos_store *store, const char *name, const struct mos_store_source *source,
                      const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                      struct mos_error *error) {
    const unsigned long flags = LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_EXCL;
    struct sftp *sftp = (struct sftp *)store;
    char id[MOS_ID_TEXT_BYTES], incoming[MOS_STORE_NAME_LIMIT], from[PATH_BYTES], to[PATH_BYTES];
    struct mos_store_object there = {0};
    LIBSSH2_SFTP_HANDLE *file = NULL;
    SESSION session = {0};
    (void)options;
    mos_status status = begin(sftp, &session, call, error);
    status = status == MOS_OK ? look(&session, name, &there, error) : status;
    if (status != MOS_NOT_FOUND) {
        return status == MOS_OK ? mos_store_same(&there, source, out, error) : status;
    }
    mos_id_new(id);
    snprintf(incoming, sizeof(incoming), INCOMING "/%s", id);
    path_of(sftp, incoming, from);
    path_of(sftp, name, to);
    status = open_file(&session, from, flags, &file, error);
    if (status == MOS_NOT_FOUND) {
        status = make_folders(&session, from, error);
        status = status == MOS_OK ? open_file(&session, from, flags, &file, error) : status;
    }
    if (status != MOS_OK) {
        return status;
    }
    status = write_all(&session, file, from, name, source, error);
    mos_status closed = close_file(&session, file, status == MOS_OK ? error : NULL);
    status = status == MOS_OK ? closed : status;
    if (status == MOS_OK) {
        struct mos_error why = {0};
        status = rename_file(&session, from, to, &why);
        if (status == MOS_NOT_FOUND) {
            status = make_folders(&session, to, &why);
            status = status == MOS_OK ? rename_file(&session, from, to, &why) : status;
        }
        // Another may have been there first, for which version 3 has no word.
        if (status != MOS_OK && !session.ssh->broken && look(&session, name, &there, NULL) == MOS_OK) {
            unlink_file(&session, from);
            return mos_store_same(&there, source, out, error);
        }
        if (status != MOS_OK && error) {
            *error = why;
        }
    }
    if (status != MOS_OK) {
        unlink_file(&session, from);
        return status;
    }
    out->checksum = MOS_STORE_CHECKSUM_WRITER;
    return MOS_OK;
}

static mos_status get(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                      void *sink_argument, const struct mos_store_call *call, struct mos_error *error) {
    struct sftp *sftp = (struct sftp *)store;
    MOS_CLEANUP_FREE char *piece = mos_malloc(PIECE_BYTES);
    char path[PATH_BYTES];
    struct mos_store_object there = {0};
    LIBSSH2_SFTP_HANDLE *file = NULL;
    SESSION session = {0};
    mos_status status = begin(sftp, &session, call, error);
    status = status == MOS_OK ? look(&session, name, &there, error) : status;
    if (status == MOS_OK && offset_bytes > 0 && offset_bytes >= there.size_bytes) {
        return mos_fail(error, MOS_OUT_OF_RANGE, "%s has only %lld bytes", name, (long long)there.size_bytes);
    }
    path_of(sftp, name, path);
    status = status == MOS_OK ? open_file(&session, path, LIBSSH2_FXF_READ, &file, error) : status;
    if (status != MOS_OK) {
        return status;
    }
    libssh2_sftp_seek64(file, (libssh2_uint64_t)offset_bytes);
    int64_t left = size_bytes < 0 || size_bytes > there.size_bytes - offset_bytes ? there.size_bytes - offset_bytes : size_bytes;
    while (left > 0 && status == MOS_OK) {
        ssize_t count;
        MOS_SSH_AWAIT(session.ssh, call, error, status, count,
                      libssh2_sftp_read(file, piece, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES));
        if (status == MOS_OK && count < 0) {
            status = mos_ssh_fail(session.ssh, (int)count, "an object cannot be read", error);
        } else if (status == MOS_OK && count == 0) {
            status = mos_fail(error, MOS_UNAVAILABLE, "%s became shorter while it was read", name);
        }
        if (status == MOS_OK) {
            status = mos_store_over(call) ? mos_store_fail_cancelled(error) : sink(sink_argument, piece, (size_t)count, error);
            mos_store_moved(call, count);
            left -= count;
        }
        // What was asked for ahead would have to be waited for.
        session.ssh->broken = session.ssh->broken || status != MOS_OK;
    }
    mos_status closed = close_file(&session, file, NULL);
    (void)closed;
    return status;
}

static mos_status head(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                       struct mos_error *error) {
    SESSION session = {0};
    mos_status status = begin((struct sftp *)store, &session, call, error);
    return status == MOS_OK ? look(&session, name, out, error) : status;
}

static mos_status read_entries(const struct session *session, LIBSSH2_SFTP_HANDLE *folder, mos_arena *arena, struct mos_store_entry **out,
                               size_t *out_count, struct mos_error *error) {
    size_t capacity = 0;
    for (;;) {
        LIBSSH2_SFTP_ATTRIBUTES found = {0};
        char name[4096];
        mos_status status;
        int length;
        MOS_SSH_AWAIT(session->ssh, session->call, error, status, length,
                      libssh2_sftp_readdir_ex(folder, name, sizeof(name) - 1, NULL, 0, &found));
        if (status != MOS_OK || length == 0) {
            return status;
        }
        // A name that is too long is none of ours.
        if (length == LIBSSH2_ERROR_BUFFER_TOO_SMALL) {
            continue;
        }
        if (length < 0) {
            return mos_ssh_fail(session->ssh, length, "a folder cannot be listed", error);
        }
        name[length] = 0;
        bool known = (found.flags & LIBSSH2_SFTP_ATTR_PERMISSIONS) && (found.flags & LIBSSH2_SFTP_ATTR_SIZE);
        if (!known || (!LIBSSH2_SFTP_S_ISREG(found.permissions) && !LIBSSH2_SFTP_S_ISDIR(found.permissions)) ||
            strlen(name) != (size_t)length || strchr(name, '/')) {
            continue;
        }
        if (*out_count == capacity) {
            struct mos_store_entry *more = mos_arena_array(arena, struct mos_store_entry, capacity * 2 + 64);
            if (*out_count > 0) {
                memcpy(more, *out, *out_count * sizeof(*more));
            }
            *out = more;
            capacity = capacity * 2 + 64;
        }
        (*out)[(*out_count)++] = (struct mos_store_entry){.name = mos_arena_strdup(arena, name),
                                                          .folder = LIBSSH2_SFTP_S_ISDIR(found.permissions),
                                                          .size_bytes = (int64_t)found.filesize,
                                                          .modified_unix_ns = (int64_t)found.mtime * MOS_NS_PER_SECOND};
    }
}

static mos_status read_folder(void *argument, const char *path, mos_arena *arena, struct mos_store_entry **out, size_t *out_count,
                              struct mos_error *error) {
    const struct session *session = argument;
    char whole[PATH_BYTES];
    LIBSSH2_SFTP_HANDLE *folder = NULL;
    mos_status status;
    *out = NULL;
    *out_count = 0;
    path_of(session->store, path, whole);
    // Without the slash at its end.
    whole[strlen(whole) - 1] = 0;
    if (!*whole) {
        strcpy(whole, "/");
    }
    MOS_SSH_AWAIT_POINTER(session->ssh, session->call, error, status, folder,
                          libssh2_sftp_open_ex(session->ssh->sftp, whole, (unsigned)strlen(whole), 0, 0, LIBSSH2_SFTP_OPENDIR));
    if (status == MOS_OK && !folder) {
        status = mos_ssh_fail(session->ssh, libssh2_session_last_errno(session->ssh->session), "a folder cannot be listed", error);
        return status == MOS_NOT_FOUND ? check_root(session, error) : status;
    }
    if (status != MOS_OK) {
        return status;
    }
    status = read_entries(session, folder, arena, out, out_count, error);
    close_file(session, folder, NULL);
    return status;
}

static mos_status list(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                       const struct mos_store_call *call, struct mos_error *error) {
    SESSION session = {0};
    const struct mos_store_tree tree = {.read = read_folder, .argument = &session};
    mos_status status = begin((struct sftp *)store, &session, call, error);
    return status == MOS_OK ? mos_store_tree_list(&tree, prefix, after, limit, arena, out, call, error) : status;
}

static mos_status delete_object(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct sftp *sftp = (struct sftp *)store;
    char path[PATH_BYTES], what[WHAT_BYTES];
    SESSION session = {0};
    int code;
    mos_status status = begin(sftp, &session, call, error);
    if (status != MOS_OK) {
        return status;
    }
    path_of(sftp, name, path);
    MOS_SSH_AWAIT(session.ssh, call, error, status, code, libssh2_sftp_unlink_ex(session.ssh->sftp, path, (unsigned)strlen(path)));
    if (status != MOS_OK || code == 0) {
        return status;
    }
    snprintf(what, sizeof(what), "%s cannot be deleted", name);
    status = mos_ssh_fail(session.ssh, code, what, error);
    return status == MOS_NOT_FOUND ? check_root(&session, error) : status;
}

static mos_status sweep(mos_store *store, int64_t age_seconds, int *out_removed, const struct mos_store_call *call,
                        struct mos_error *error) {
    struct sftp *sftp = (struct sftp *)store;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_store_entry *entries = NULL;
    size_t count = 0;
    SESSION session = {0};
    mos_status status = begin(sftp, &session, call, error);
    status = status == MOS_OK ? read_folder(&session, INCOMING "/", arena, &entries, &count, error) : status;
    for (size_t i = 0; status == MOS_OK && i < count; i++) {
        char path[PATH_BYTES], name[MOS_STORE_NAME_LIMIT];
        if (entries[i].folder || !mos_id_valid(entries[i].name) ||
            mos_now_unix_ns() - entries[i].modified_unix_ns < age_seconds * MOS_NS_PER_SECOND) {
            continue;
        }
        snprintf(name, sizeof(name), INCOMING "/%s", entries[i].name);
        path_of(sftp, name, path);
        unlink_file(&session, path);
        (*out_removed)++;
    }
    return status;
}

static void close_store(mos_store *store) {
    struct sftp *sftp = (struct sftp *)store;
    mos_ssh_pool_destroy(sftp->pool);
    free(sftp->root);
    free(sftp);
}

static const struct mos_store_driver driver = {
    .close = close_store, .put = put, .get = get, .head = head, .list = list, .remove = delete_object, .sweep = sweep};

mos_status mos_store_open_sftp(mos_store **out, const struct mos_store_options *options, struct mos_error *error) {
    size_t length = strlen(options->bucket);
    mos_ssh_pool *pool = NULL;
    if (options->bucket[0] != '/' || length > 2048) {
        return mos_fail_field(error, "OFFSITE_BUCKET", "OFFSITE_BUCKET is \"%.200s\"; SFTP needs an absolute path", options->bucket);
    }
    mos_status status = mos_ssh_pool_create(&pool, options, error);
    if (status != MOS_OK) {
        return status;
    }
    struct sftp *sftp = mos_calloc(1, sizeof(*sftp));
    sftp->base = (mos_store){
        .driver = &driver, .provider = MOS_STORE_SFTP, .capabilities = {.exclusive_put = true, .largest_object_bytes = INT64_MAX / 2}};
    sftp->pool = pool;
    sftp->root = mos_strdup(options->bucket);
    while (length > 1 && sftp->root[length - 1] == '/') {
        sftp->root[--length] = 0;
    }
    snprintf(sftp->prefix, sizeof(sftp->prefix), "%s%s", options->prefix, *options->prefix ? "/" : "");
    snprintf(sftp->base.location, sizeof(sftp->base.location), "sftp://%.60s@%.255s%.400s/%.256s", options->user, options->endpoint,
             sftp->root, options->prefix);
    *out = &sftp->base;
    return MOS_OK;
}
