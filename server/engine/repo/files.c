#include "engine/repo/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/pace.h"

// What O_DIRECT wants of addresses, offsets and sizes on every usual disk, and how much of a large file is written at once.
enum { ALIGNMENT = 4096, BLOCK_BYTES = 2 << 20 };

static void (*on_step)(void);

void mos_files_on_step(void (*step)(void)) {
    on_step = step;
}

static void step(void) {
    if (on_step) {
        on_step();
    }
}

static int step_below(int folder, const char *component, int flags, mode_t mode) {
    if (strcmp(component, "..") == 0) {
        errno = EXDEV;
        return -1;
    }
    return openat(folder, component, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

// For kernels before 5.6 and containers that filter openat2: one component after the other, none of them a link or "..".
static int open_by_steps(int root, const char *name, int flags, mode_t mode) {
    MOS_CLEANUP_FD int folder = -1;
    const char *next = name;
    for (const char *slash = strchr(next, '/'); slash; slash = strchr(next, '/')) {
        char component[256] = "";
        if ((size_t)(slash - next) >= sizeof(component)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(component, next, (size_t)(slash - next));
        int below = step_below(folder < 0 ? root : folder, component, O_PATH | O_DIRECTORY, 0);
        if (below < 0) {
            return -1;
        }
        mos_close_cleanup(&folder);
        folder = below;
        next = slash + 1;
    }
    return step_below(folder < 0 ? root : folder, next, flags, mode);
}

// No component of the name may be a link: who can write into the repository must not choose what else is read or written.
static int open_below(int root, const char *name, int flags, mode_t mode) {
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long descriptor;
    do {
        descriptor = syscall(SYS_openat2, root, name, &how, sizeof(how));
    } while (descriptor < 0 && (errno == EINTR || errno == EAGAIN));
    if (descriptor < 0 && (errno == ENOSYS || errno == EPERM)) {
        descriptor = open_by_steps(root, name, flags, mode);
    }
    return (int)descriptor;
}

// The folder that holds `name`, and the name within it.
static int open_parent(int root, const char *name, const char **out_base) {
    const char *slash = strrchr(name, '/');
    *out_base = slash ? slash + 1 : name;
    char folder[256] = ".";
    if (slash) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - name), name);
    }
    return open_below(root, folder, O_RDONLY | O_DIRECTORY, 0);
}

mos_status mos_file_open(int root, const char *name, int *out_descriptor, int64_t *out_size_bytes, struct mos_error *error) {
    // Non-blocking, so that a pipe put in an object's place cannot hold us.
    MOS_CLEANUP_FD int descriptor = open_below(root, name, O_RDONLY | O_NONBLOCK, 0);
    if (descriptor < 0) {
        if (errno == ELOOP || errno == ENXIO) {
            return mos_fail(error, MOS_CORRUPT, "%s is not a regular file", name);
        }
        return mos_fail_errno(error, errno, "%s cannot be opened", name);
    }
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        return mos_fail_errno(error, errno, "%s cannot be examined", name);
    }
    if (!S_ISREG(status.st_mode)) {
        return mos_fail(error, MOS_CORRUPT, "%s is not a regular file", name);
    }
    *out_size_bytes = status.st_size;
    *out_descriptor = descriptor;
    descriptor = -1;
    return MOS_OK;
}

mos_status mos_file_size(int root, const char *name, int64_t *out_size_bytes, struct mos_error *error) {
    const char *base;
    MOS_CLEANUP_FD int folder = open_parent(root, name, &base);
    struct stat status;
    if (folder < 0 || fstatat(folder, base, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return mos_fail_errno(error, errno, "%s cannot be examined", name);
    }
    if (!S_ISREG(status.st_mode)) {
        return mos_fail(error, MOS_CORRUPT, "%s is not a regular file", name);
    }
    *out_size_bytes = status.st_size;
    return MOS_OK;
}

mos_status mos_file_time(int root, const char *name, int64_t *out_unix_ns, struct mos_error *error) {
    const char *base;
    MOS_CLEANUP_FD int folder = open_parent(root, name, &base);
    struct stat status;
    if (folder < 0 || fstatat(folder, base, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return mos_fail_errno(error, errno, "%s cannot be examined", name);
    }
    *out_unix_ns = (int64_t)status.st_mtim.tv_sec * MOS_NS_PER_SECOND + status.st_mtim.tv_nsec;
    return MOS_OK;
}

mos_status mos_file_read_at(int descriptor, const char *name, void *out, size_t size_bytes, int64_t offset_bytes, struct mos_error *error) {
    uint8_t *next = out;
    while (size_bytes > 0) {
        ssize_t got = pread(descriptor, next, size_bytes, offset_bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return mos_fail_errno(error, errno, "%s cannot be read", name);
        }
        if (got == 0) {
            return mos_fail(error, MOS_CORRUPT, "%s is cut short", name);
        }
        mos_pace_disk(got);
        next += got;
        offset_bytes += got;
        size_bytes -= (size_t)got;
    }
    return MOS_OK;
}

mos_status mos_file_read(int root, const char *name, size_t limit_bytes, struct mos_buffer *out, struct mos_error *error) {
    MOS_CLEANUP_FD int descriptor = -1;
    int64_t size = 0;
    mos_status status = mos_file_open(root, name, &descriptor, &size, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_buffer_clear(out);
    if ((uint64_t)size > limit_bytes) {
        return mos_fail(error, MOS_CORRUPT, "%s is larger than the format allows", name);
    }
    mos_buffer_reserve(out, (size_t)size + 1);
    status = mos_file_read_at(descriptor, name, out->data, (size_t)size, 0, error);
    if (status == MOS_OK) {
        out->size_bytes = (size_t)size;
    }
    return status;
}

static mos_status begin(int root, struct mos_new_file *file, int flags, struct mos_error *error) {
    uint8_t random[16];
    char text[2 * sizeof(random) + 1];
    mos_random(random, sizeof(random));
    mos_hex_encode(random, sizeof(random), text);
    *file = (struct mos_new_file){.root = root};
    snprintf(file->tmp_name, sizeof(file->tmp_name), "tmp/%s", text);
    step();
    file->descriptor = open_below(root, file->tmp_name, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
    return file->descriptor < 0 ? mos_fail_errno(error, errno, "%s cannot be made", file->tmp_name) : MOS_OK;
}

mos_status mos_new_file_begin(int root, struct mos_new_file *file, struct mos_error *error) {
    return begin(root, file, 0, error);
}

mos_status mos_new_file_begin_large(int root, struct mos_new_file *file, struct mos_error *error) {
    mos_status status = begin(root, file, 0, error);
    if (status == MOS_OK) {
        // Where it cannot be switched on, as on a file system in memory, blocks go through the page cache.
        int flags = fcntl(file->descriptor, F_GETFL);
        file->direct = flags >= 0 && fcntl(file->descriptor, F_SETFL, flags | O_DIRECT) == 0;
        file->block = aligned_alloc(ALIGNMENT, BLOCK_BYTES);
        if (!file->block) {
            mos_new_file_abandon(file);
            return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "there is no memory to write %s", file->tmp_name);
        }
    }
    return status;
}

static void through_the_cache(struct mos_new_file *file) {
    fcntl(file->descriptor, F_SETFL, fcntl(file->descriptor, F_GETFL) & ~O_DIRECT);
    file->direct = false;
}

static mos_status write_all(struct mos_new_file *file, const uint8_t *next, size_t size_bytes, struct mos_error *error) {
    while (size_bytes > 0) {
        if (file->direct && size_bytes % ALIGNMENT) {
            // The end of the file, or the rest of a block that was written in part.
            through_the_cache(file);
        }
        ssize_t written = write(file->descriptor, next, size_bytes);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0 && errno == EINVAL && file->direct) {
            // A file system that wants larger blocks, or says only now that it cannot.
            through_the_cache(file);
            continue;
        }
        if (written < 0) {
            return mos_fail_errno(error, errno, "%s cannot be written", file->tmp_name);
        }
        mos_pace_disk(written);
        next += written;
        size_bytes -= (size_t)written;
    }
    return MOS_OK;
}

mos_status mos_new_file_write(struct mos_new_file *file, const void *data, size_t size_bytes, struct mos_error *error) {
    const uint8_t *next = data;
    step();
    if (!file->block) {
        return write_all(file, next, size_bytes, error);
    }
    while (size_bytes > 0) {
        size_t room = BLOCK_BYTES - file->block_bytes;
        size_t taken = size_bytes < room ? size_bytes : room;
        memcpy(file->block + file->block_bytes, next, taken);
        file->block_bytes += taken;
        next += taken;
        size_bytes -= taken;
        if (file->block_bytes == BLOCK_BYTES) {
            mos_status status = write_all(file, file->block, BLOCK_BYTES, error);
            if (status != MOS_OK) {
                return status;
            }
            file->block_bytes = 0;
        }
    }
    return MOS_OK;
}

static mos_status rename_into_place(struct mos_new_file *file, const char *name, struct mos_error *error) {
    mos_status rest = write_all(file, file->block, file->block_bytes, error);
    if (rest != MOS_OK) {
        return rest;
    }
    step();
    if (fsync(file->descriptor) != 0) {
        return mos_fail_errno(error, errno, "%s cannot be flushed", file->tmp_name);
    }
    const char *base;
    MOS_CLEANUP_FD int folder = open_parent(file->root, name, &base);
    if (folder < 0 && errno == ENOENT) {
        char path[256];
        snprintf(path, sizeof(path), "%.*s", (int)(base - 1 - name), name);
        mos_status status = mos_folder_make(file->root, path, error);
        if (status != MOS_OK) {
            return status;
        }
        folder = open_parent(file->root, name, &base);
    }
    if (folder < 0) {
        return mos_fail_errno(error, errno, "the folder of %s cannot be opened", name);
    }
    step();
    if (renameat(file->root, file->tmp_name, folder, base) != 0) {
        return mos_fail_errno(error, errno, "%s cannot be put in its place", name);
    }
    step();
    if (fsync(folder) != 0) {
        return mos_fail_errno(error, errno, "the folder of %s cannot be flushed", name);
    }
    return MOS_OK;
}

mos_status mos_new_file_commit(struct mos_new_file *file, const char *name, struct mos_error *error) {
    mos_status status = rename_into_place(file, name, error);
    if (status != MOS_OK) {
        mos_new_file_abandon(file);
        return status;
    }
    close(file->descriptor);
    file->descriptor = -1;
    free(file->block);
    file->block = NULL;
    return MOS_OK;
}

void mos_new_file_abandon(struct mos_new_file *file) {
    free(file->block);
    file->block = NULL;
    if (file->descriptor >= 0) {
        close(file->descriptor);
        file->descriptor = -1;
        unlinkat(file->root, file->tmp_name, 0);
    }
}

mos_status mos_file_write(int root, const char *name, const void *data, size_t size_bytes, struct mos_error *error) {
    struct mos_new_file file;
    mos_status status = mos_new_file_begin(root, &file, error);
    if (status != MOS_OK) {
        return status;
    }
    status = mos_new_file_write(&file, data, size_bytes, error);
    if (status != MOS_OK) {
        mos_new_file_abandon(&file);
        return status;
    }
    return mos_new_file_commit(&file, name, error);
}

mos_status mos_file_mark(int root, const char *name, struct mos_error *error) {
    step();
    MOS_CLEANUP_FD int descriptor = open_below(root, name, O_WRONLY | O_CREAT | O_NONBLOCK, 0600);
    if (descriptor < 0 && errno == ENOENT) {
        char folder[256];
        snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(name, '/') - name), name);
        mos_status status = mos_folder_make(root, folder, error);
        if (status != MOS_OK) {
            return status;
        }
        descriptor = open_below(root, name, O_WRONLY | O_CREAT | O_NONBLOCK, 0600);
    }
    return descriptor < 0 ? mos_fail_errno(error, errno, "%s cannot be made", name) : MOS_OK;
}

static mos_status remove_entry(int root, const char *name, int flags, struct mos_error *error) {
    const char *base;
    MOS_CLEANUP_FD int folder = open_parent(root, name, &base);
    step();
    if ((folder < 0 || unlinkat(folder, base, flags) != 0) && errno != ENOENT) {
        return mos_fail_errno(error, errno, "%s cannot be removed", name);
    }
    return MOS_OK;
}

mos_status mos_file_remove(int root, const char *name, struct mos_error *error) {
    return remove_entry(root, name, 0, error);
}

mos_status mos_folder_remove(int root, const char *name, struct mos_error *error) {
    return remove_entry(root, name, AT_REMOVEDIR, error);
}

mos_status mos_folder_make(int root, const char *name, struct mos_error *error) {
    const char *base;
    MOS_CLEANUP_FD int parent = open_parent(root, name, &base);
    if (parent < 0) {
        return mos_fail_errno(error, errno, "the folder of %s cannot be opened", name);
    }
    step();
    if (mkdirat(parent, base, 0700) != 0 && errno != EEXIST) {
        return mos_fail_errno(error, errno, "the folder %s cannot be made", name);
    }
    if (fsync(parent) != 0) {
        return mos_fail_errno(error, errno, "the folder of %s cannot be flushed", name);
    }
    return MOS_OK;
}

mos_status mos_folder_sync(int root, const char *name, struct mos_error *error) {
    MOS_CLEANUP_FD int folder = open_below(root, name, O_RDONLY | O_DIRECTORY, 0);
    step();
    if (folder < 0 || fsync(folder) != 0) {
        return mos_fail_errno(error, errno, "the folder %s cannot be flushed", name);
    }
    return MOS_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

mos_status mos_folder_list(int root, const char *name, struct mos_names *out, struct mos_error *error) {
    *out = (struct mos_names){0};
    int descriptor = open_below(root, name, O_RDONLY | O_DIRECTORY, 0);
    if (descriptor < 0 && errno == ENOENT) {
        return MOS_OK;
    }
    DIR *folder = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (!folder) {
        int errnum = errno;
        mos_close_cleanup(&descriptor);
        return mos_fail_errno(error, errnum, "the folder %s cannot be read", name);
    }
    size_t capacity = 0;
    errno = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            if (out->count == capacity) {
                capacity = capacity ? 2 * capacity : 64;
                out->names = mos_realloc(out->names, capacity * sizeof(*out->names));
            }
            out->names[out->count++] = mos_strdup(entry->d_name);
        }
        errno = 0;
    }
    int errnum = errno;
    closedir(folder);
    if (errnum != 0) {
        mos_names_free(out);
        return mos_fail_errno(error, errnum, "the folder %s cannot be read", name);
    }
    if (out->count > 0) {
        qsort(out->names, out->count, sizeof(*out->names), compare_names);
    }
    return MOS_OK;
}

void mos_names_free(struct mos_names *names) {
    for (size_t i = 0; i < names->count; i++) {
        free(names->names[i]);
    }
    free(names->names);
    *names = (struct mos_names){0};
}

mos_status mos_lock_take(int root, const char *name, bool exclusive, bool wait, int *out_descriptor, struct mos_error *error) {
    char path[64];
    snprintf(path, sizeof(path), "lock/%s", name);
    MOS_CLEANUP_FD int descriptor = open_below(root, path, O_RDWR | O_CREAT, 0600);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "%s cannot be opened", path);
    }
    int result;
    do {
        result = flock(descriptor, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB));
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        return errno == EWOULDBLOCK ? mos_fail(error, MOS_UNAVAILABLE, "%s is held by another process", path)
                                    : mos_fail_errno(error, errno, "%s cannot be locked", path);
    }
    *out_descriptor = descriptor;
    descriptor = -1;
    return MOS_OK;
}
