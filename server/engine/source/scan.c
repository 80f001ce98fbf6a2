#include "engine/source/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/buffer.h"
#include "engine/source/ahead.h"
#include "engine/source/file_system.h"
#include "engine/source/links.h"
#include "engine/source/metadata.h"
#include "engine/source/prefetch.h"
#include "engine/source/roots.h"

// Directories that stay open above the present one; those further up are opened again on the way back.
enum { OPEN_LEVELS = 128 };
// So many files one after the other are worth looking ahead.
enum { AHEAD_LEAST = 48 };
// So many are on their way from the disk at once.
enum { FETCHED_AHEAD = 64 };

struct identity {
    dev_t device;
    ino_t inode;
};

struct level {
    // -1: closed, to save descriptors.
    int descriptor;
    struct identity identity;
    // Of the directory's path, without a slash at its end.
    size_t path_bytes;
    // Before each name a byte with its type as readdir has it.
    char *names;
    uint32_t *order;
    size_t count;
    size_t next;
    // Up to here it is decided what is looked at ahead.
    size_t ahead_decided;
    // Up to here files were asked for ahead.
    size_t fetched;
    // Above the roots from low to high - 1, whose next steps are its names; otherwise the names are all that the directory holds.
    bool above_roots;
    size_t low;
    size_t high;
};

struct mos_scan {
    struct mos_scan_options options;
    struct mos_roots roots;
    struct identity *omitted;
    size_t omitted_count;
    struct level *levels;
    size_t depth;
    size_t capacity;
    struct mos_buffer path;
    struct mos_links *links;
    struct mos_owners *owners;
    struct mos_xattrs *xattrs;
    mos_ahead *ahead;
    // Names that are still to come from it, before the level changes.
    size_t ahead_left;
    char *link_target;
    bool started;
    // The present entry, and whether it is a directory to be entered.
    struct mos_entry entry;
    struct stat status;
    bool enter;
    bool enter_above_roots;
    size_t enter_low;
    size_t enter_high;
};

__attribute__((format(printf, 2, 3))) static void warn(mos_scan *scan, const char *format, ...) {
    if (!scan->options.warn) {
        return;
    }
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    const char *path = mos_buffer_text(&scan->path);
    scan->options.warn(scan->options.context, *path ? path : "/", *path ? scan->path.size_bytes : 1, message);
}

mos_status mos_scan_open(const struct mos_scan_options *options, mos_scan **out, struct mos_error *error) {
    mos_scan *scan = mos_calloc(1, sizeof(*scan));
    scan->options = *options;
    mos_status status = mos_roots_resolve(options, &scan->roots, error);
    if (status) {
        free(scan);
        return status;
    }
    scan->omitted = mos_calloc(options->omit_count, sizeof(*scan->omitted));
    for (size_t i = 0; i < options->omit_count; i++) {
        struct stat found;
        if (options->omit[i] && stat(options->omit[i], &found) == 0) {
            scan->omitted[scan->omitted_count++] = (struct identity){found.st_dev, found.st_ino};
        }
    }
    scan->links = mos_links_create();
    scan->owners = mos_owners_load();
    scan->xattrs = mos_xattrs_create();
    scan->ahead = options->look_ahead ? mos_ahead_create() : NULL;
    *out = scan;
    return MOS_OK;
}

static void pop(mos_scan *scan) {
    struct level *level = &scan->levels[--scan->depth];
    if (level->descriptor >= 0) {
        close(level->descriptor);
    }
    free(level->names);
    free(level->order);
}

void mos_scan_close(mos_scan *scan) {
    if (!scan) {
        return;
    }
    mos_ahead_free(scan->ahead);
    while (scan->depth) {
        pop(scan);
    }
    free(scan->levels);
    free(scan->omitted);
    free(scan->link_target);
    mos_roots_free(&scan->roots);
    mos_links_free(scan->links);
    mos_owners_free(scan->owners);
    mos_xattrs_free(scan->xattrs);
    mos_buffer_free(&scan->path);
    free(scan);
}

static void set_path(mos_scan *scan, const struct level *level, const char *name) {
    scan->path.size_bytes = level->path_bytes;
    mos_buffer_append_byte(&scan->path, '/');
    mos_buffer_append_text(&scan->path, name);
}

static int by_name(const void *a, const void *b, void *names) {
    return strcmp((const char *)names + *(const uint32_t *)a, (const char *)names + *(const uint32_t *)b);
}

static void add_name(struct level *level, struct mos_buffer *names, size_t *capacity, const char *name, size_t name_bytes, uint8_t type) {
    if (level->count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        level->order = mos_realloc(level->order, *capacity * sizeof(*level->order));
    }
    mos_buffer_append_byte(names, type);
    level->order[level->count++] = (uint32_t)names->size_bytes;
    mos_buffer_append(names, name, name_bytes);
    mos_buffer_append_byte(names, 0);
}

// All names of the directory, sorted. What could be listed before a failure is kept.
static void list(mos_scan *scan, struct level *level) {
    struct mos_buffer names = MOS_BUFFER_INIT(UINT32_MAX / 2);
    size_t capacity = 0;
    if (level->above_roots) {
        for (size_t low = level->low, end; low < level->high; low = end) {
            size_t name_bytes;
            const char *name = mos_roots_step(&scan->roots, level->path_bytes, low, level->high, &name_bytes, &end);
            add_name(level, &names, &capacity, name, name_bytes, DT_DIR);
        }
        level->names = (char *)names.data;
        return;
    }
    int duplicate = fcntl(level->descriptor, F_DUPFD_CLOEXEC, 0);
    DIR *directory = duplicate >= 0 ? fdopendir(duplicate) : NULL;
    if (!directory) {
        warn(scan, "the directory cannot be listed: %s", strerror(errno));
        if (duplicate >= 0) {
            close(duplicate);
        }
        return;
    }
    for (struct dirent *found; errno = 0, (found = readdir(directory));) {
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0) {
            add_name(level, &names, &capacity, found->d_name, strlen(found->d_name), found->d_type);
        }
    }
    if (errno) {
        warn(scan, "the directory cannot be listed to its end: %s", strerror(errno));
    }
    closedir(directory);
    level->names = (char *)names.data;
    if (level->count) {
        qsort_r(level->order, level->count, sizeof(*level->order), by_name, level->names);
    }
}

static int open_directory(int parent, const char *name, bool path_only) {
    int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (path_only) {
        return openat(parent, name, flags | O_PATH);
    }
    int descriptor = openat(parent, name, flags | O_RDONLY | O_NONBLOCK | O_NOATIME);
    return descriptor < 0 && errno == EPERM ? openat(parent, name, flags | O_RDONLY | O_NONBLOCK) : descriptor;
}

static void stop_ahead(mos_scan *scan) {
    if (scan->ahead_left) {
        scan->ahead_left = 0;
        mos_ahead_end(scan->ahead);
    }
}

// Begins to look ahead at the files that come one after the other from the present name on. What may be a directory ends them: there the
// scan goes elsewhere.
static void look_ahead(mos_scan *scan, struct level *level) {
    size_t first = level->next - 1, end = first;
    while (end < level->count) {
        uint8_t type = (uint8_t)level->names[level->order[end] - 1];
        if (type == DT_DIR || type == DT_UNKNOWN) {
            break;
        }
        end++;
    }
    level->ahead_decided = end + 1;
    if (end - first >= AHEAD_LEAST) {
        mos_ahead_begin(scan->ahead, level->descriptor, level->names, level->order + first, end - first);
        scan->ahead_left = end - first;
    }
}

// The stat of the present name.
static int look(mos_scan *scan, struct level *level, const char *name) {
    if (scan->ahead && level->next > level->ahead_decided) {
        look_ahead(scan, level);
    }
    if (scan->ahead_left == 0) {
        return fstatat(level->descriptor, name, &scan->status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
    }
    int result = mos_ahead_next(scan->ahead, &scan->status), reason = errno;
    if (scan->ahead_left == 1) {
        stop_ahead(scan);
    } else {
        scan->ahead_left--;
    }
    errno = reason;
    return result;
}

static bool is_cache(int descriptor) {
    static const char signature[] = "Signature: 8a477f597d28d172789f06886806bc55";
    char head[sizeof(signature) - 1];
    MOS_CLEANUP_FD int tag = openat(descriptor, "CACHEDIR.TAG", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return tag >= 0 && pread(tag, head, sizeof(head), 0) == (ssize_t)sizeof(head) && memcmp(head, signature, sizeof(head)) == 0;
}

// What lies in the directory was asked to be left out. Roots themselves, and what leads to them, are always entered.
static bool left_out(const mos_scan *scan, const struct level *parent, int descriptor, const struct stat *found) {
    return parent && !parent->above_roots &&
           ((scan->options.one_file_system && found->st_dev != parent->identity.device) ||
            (scan->options.skip_caches && is_cache(descriptor)));
}

// Enters the directory that is the present entry.
static void enter(mos_scan *scan) {
    // Where a file has become a directory meanwhile.
    stop_ahead(scan);
    struct level *parent = scan->depth ? &scan->levels[scan->depth - 1] : NULL;
    const char *slash = parent ? strrchr(mos_buffer_text(&scan->path), '/') : NULL;
    int descriptor = open_directory(parent ? parent->descriptor : AT_FDCWD, parent ? slash + 1 : "/", scan->enter_above_roots);
    struct stat found;
    if (descriptor < 0 || fstat(descriptor, &found) != 0) {
        warn(scan, "the directory cannot be opened, what it holds is not in the backup: %s", strerror(errno));
        if (descriptor >= 0) {
            close(descriptor);
        }
        return;
    }
    if (found.st_dev != scan->status.st_dev || found.st_ino != scan->status.st_ino) {
        warn(scan, "the directory was replaced while it was read, what it holds is not in the backup");
        close(descriptor);
        return;
    }
    if ((!parent || parent->identity.device != found.st_dev) && mos_file_system_is_kernels(descriptor)) {
        warn(scan, "a file system of the kernel begins here, it is not in the backup");
        close(descriptor);
        return;
    }
    if (left_out(scan, parent, descriptor, &found)) {
        close(descriptor);
        return;
    }
    if (!scan->levels || scan->depth == scan->capacity) {
        scan->capacity = scan->capacity ? scan->capacity * 2 : 32;
        scan->levels = mos_realloc(scan->levels, scan->capacity * sizeof(*scan->levels));
    }
    if (scan->depth >= OPEN_LEVELS) {
        struct level *far = &scan->levels[scan->depth - OPEN_LEVELS];
        close(far->descriptor);
        far->descriptor = -1;
    }
    struct level *level = &scan->levels[scan->depth++];
    *level = (struct level){
        .descriptor = descriptor,
        .identity = {found.st_dev, found.st_ino},
        .path_bytes = parent ? scan->path.size_bytes : 0,
        .above_roots = scan->enter_above_roots,
        .low = scan->enter_low,
        .high = scan->enter_high,
    };
    list(scan, level);
}

static bool is(const struct identity *identity, int descriptor) {
    struct stat found;
    return descriptor >= 0 && fstat(descriptor, &found) == 0 && found.st_dev == identity->device && found.st_ino == identity->inode;
}

// Opens the present level again, whose descriptor was given up on the way down: from its child, or all the way from the top.
static bool reopen(mos_scan *scan, int child) {
    struct level *level = &scan->levels[scan->depth - 1];
    int descriptor = openat(child, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (!is(&level->identity, descriptor)) {
        if (descriptor >= 0) {
            close(descriptor);
        }
        descriptor = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        MOS_CLEANUP_FREE char *path = mos_calloc(1, level->path_bytes + 1);
        memcpy(path, scan->path.data, level->path_bytes);
        char *rest = path;
        for (char *name = strsep(&rest, "/"); name && descriptor >= 0; name = strsep(&rest, "/")) {
            if (*name) {
                int next = open_directory(descriptor, name, true);
                close(descriptor);
                descriptor = next;
            }
        }
    }
    if (!is(&level->identity, descriptor)) {
        if (descriptor >= 0) {
            close(descriptor);
        }
        return false;
    }
    level->descriptor = descriptor;
    return true;
}

static void leave(mos_scan *scan) {
    int child = scan->levels[scan->depth - 1].descriptor;
    scan->levels[scan->depth - 1].descriptor = -1;
    pop(scan);
    if (scan->depth && scan->levels[scan->depth - 1].descriptor < 0) {
        struct level *level = &scan->levels[scan->depth - 1];
        if (!(child >= 0 && reopen(scan, child)) && level->next < level->count) {
            scan->path.size_bytes = level->path_bytes;
            warn(scan, "the directory was moved while it was read, %zu of its entries are not in the backup", level->count - level->next);
            level->next = level->count;
        }
    }
    if (child >= 0) {
        close(child);
    }
}

static bool omitted(const mos_scan *scan, const struct stat *status) {
    for (size_t i = 0; i < scan->omitted_count; i++) {
        if (scan->omitted[i].device == status->st_dev && scan->omitted[i].inode == status->st_ino) {
            return true;
        }
    }
    return false;
}

static void fill(mos_scan *scan) {
    const struct stat *status = &scan->status;
    bool top = scan->path.size_bytes == 0;
    bool device = S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode);
    scan->entry = (struct mos_entry){
        .path = top ? "/" : mos_buffer_text(&scan->path),
        .path_bytes = top ? 1 : scan->path.size_bytes,
        .type = mos_metadata_type(status->st_mode),
        .mode = status->st_mode & 07777,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .user = "",
        .group = "",
        .modified_unix_ns = mos_metadata_time(&status->st_mtim),
        .changed_unix_ns = mos_metadata_time(&status->st_ctim),
        .inode = status->st_ino,
        .device = status->st_dev,
        .size_bytes = S_ISREG(status->st_mode) ? (uint64_t)status->st_size : 0,
        .device_major = device ? major(status->st_rdev) : 0,
        .device_minor = device ? minor(status->st_rdev) : 0,
    };
}

// What the present entry, which passed all filters, is.
static void present(mos_scan *scan) {
    const struct stat *status = &scan->status;
    fill(scan);
    scan->enter = S_ISDIR(status->st_mode);
    if (!S_ISDIR(status->st_mode) && status->st_nlink > 1) {
        size_t first_bytes;
        const char *first = mos_links_find(scan->links, status->st_dev, status->st_ino, &first_bytes);
        if (first) {
            free(scan->link_target);
            scan->link_target = mos_strdup(first);
            scan->entry.type = MOS_ENTRY_HARDLINK;
            scan->entry.link_target = scan->link_target;
            scan->entry.link_target_bytes = first_bytes;
            scan->entry.size_bytes = 0;
            scan->entry.device_major = scan->entry.device_minor = 0;
        }
    }
}

// The next name of the present level. false: there is nothing to yield for it.
static bool look_at_next(mos_scan *scan) {
    struct level *level = &scan->levels[scan->depth - 1];
    const char *name = level->names + level->order[level->next++];
    set_path(scan, level, name);
    scan->enter_above_roots = false;
    if (level->above_roots) {
        size_t name_bytes;
        mos_roots_step(&scan->roots, level->path_bytes, level->low, level->high, &name_bytes, &scan->enter_high);
        scan->enter_low = level->low;
        level->low = scan->enter_high;
        scan->enter_above_roots = strlen(scan->roots.paths[scan->enter_low]) > scan->path.size_bytes;
    }
    if (scan->path.size_bytes > MOS_TREE_PATH_LIMIT_BYTES) {
        warn(scan, "the path is longer than %u bytes, it is not in the backup", MOS_TREE_PATH_LIMIT_BYTES);
        stop_ahead(scan);
        return false;
    }
    if (look(scan, level, name) != 0) {
        warn(scan, errno == ENOENT ? "vanished while the backup was taken" : "cannot be read: %s", strerror(errno));
        return false;
    }
    if (!level->above_roots && mos_exclude_matches(scan->options.exclude, mos_buffer_text(&scan->path), S_ISDIR(scan->status.st_mode))) {
        return false;
    }
    if (S_ISDIR(scan->status.st_mode) && omitted(scan, &scan->status)) {
        if (level->above_roots) {
            warn(scan, "is the repository or the scratch space, it is not in the backup");
        }
        return false;
    }
    present(scan);
    return true;
}

mos_status mos_scan_next(mos_scan *scan, struct mos_entry **out, struct mos_error *error) {
    *out = NULL;
    if (!scan->started) {
        scan->started = true;
        if (lstat("/", &scan->status) != 0) {
            return mos_fail_errno(error, errno, "the top directory cannot be read");
        }
        scan->enter_low = 0;
        scan->enter_high = scan->roots.count;
        scan->enter_above_roots = strcmp(scan->roots.paths[0], "/") != 0;
        present(scan);
        *out = &scan->entry;
        return MOS_OK;
    }
    if (scan->enter) {
        scan->enter = false;
        enter(scan);
    }
    while (scan->depth) {
        struct level *level = &scan->levels[scan->depth - 1];
        if (!level->names || level->next == level->count) {
            leave(scan);
        } else if (look_at_next(scan)) {
            *out = &scan->entry;
            return MOS_OK;
        }
    }
    return MOS_OK;
}

static bool read_link(mos_scan *scan, int parent, const char *name) {
    for (size_t room = 256;; room *= 2) {
        free(scan->link_target);
        scan->link_target = mos_malloc(room);
        ssize_t size_bytes = readlinkat(parent, name, scan->link_target, room);
        if (size_bytes < 0) {
            return false;
        }
        if ((size_t)size_bytes < room) {
            scan->link_target[size_bytes] = 0;
            scan->entry.link_target = scan->link_target;
            scan->entry.link_target_bytes = (size_t)size_bytes;
            return true;
        }
    }
}

// -1 with a warning where it cannot be opened or is no regular file any more.
static int open_file(mos_scan *scan, int parent, const char *name, struct stat *out_status) {
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int descriptor = openat(parent, name, flags | O_NOATIME);
    if (descriptor < 0 && errno == EPERM) {
        descriptor = openat(parent, name, flags);
    }
    if (descriptor < 0 || fstat(descriptor, out_status) != 0) {
        if (errno == ENOENT) {
            warn(scan, "vanished while the backup was taken");
        } else {
            warn(scan, errno == ELOOP ? "was replaced while the backup was taken" : "cannot be read, it is not in the backup: %s",
                 strerror(errno));
        }
    } else if (!S_ISREG(out_status->st_mode)) {
        warn(scan, "was replaced by something that is no regular file while the backup was taken");
    } else {
        return descriptor;
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
    return -1;
}

void mos_scan_name_owner(mos_scan *scan) {
    scan->entry.user = mos_owners_user(scan->owners, scan->entry.uid);
    scan->entry.group = mos_owners_group(scan->owners, scan->entry.gid);
}

bool mos_scan_load(mos_scan *scan, int *out_descriptor, struct stat *out_status) {
    struct mos_entry *entry = &scan->entry;
    *out_descriptor = -1;
    *out_status = scan->status;
    const struct level *level = scan->depth ? &scan->levels[scan->depth - 1] : NULL;
    int parent = level ? level->descriptor : AT_FDCWD;
    const char *name = level ? strrchr(entry->path, '/') + 1 : "/";
    int descriptor = -1;
    if (entry->type == MOS_ENTRY_FILE) {
        descriptor = open_file(scan, parent, name, out_status);
        if (descriptor < 0) {
            return false;
        }
        scan->status = *out_status;
        fill(scan);
    } else if (entry->type == MOS_ENTRY_SYMLINK && !read_link(scan, parent, name)) {
        warn(scan, errno == ENOENT ? "vanished while the backup was taken" : "the link cannot be read: %s", strerror(errno));
        return false;
    }
    mos_scan_name_owner(scan);
    if (entry->type != MOS_ENTRY_HARDLINK) {
        // Through /proc a name of any depth is reached from its open parent, and its last component is not followed.
        char path[320] = "/";
        if (level) {
            snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", parent, name);
        }
        bool too_large;
        bool whole = mos_xattrs_read(scan->xattrs, descriptor, path, &entry->xattrs, &entry->xattr_count, &too_large);
        if (!whole) {
            warn(scan, "not all of its extended attributes can be read: %s", strerror(errno));
        }
        if (too_large) {
            warn(scan, "has more extended attributes than the format holds, some are not in the backup");
        }
        if (!whole || too_large) {
            // The next backup must not take it for what it was, but look again, and warn again.
            entry->changed_unix_ns = 0;
        }
    }
    *out_descriptor = descriptor;
    return true;
}

void mos_scan_fetch_ahead(mos_scan *scan) {
    struct level *level = scan->depth ? &scan->levels[scan->depth - 1] : NULL;
    if (!level || level->above_roots) {
        return;
    }
    size_t end = level->count - level->next < FETCHED_AHEAD ? level->count : level->next + FETCHED_AHEAD;
    for (level->fetched = level->fetched > level->next ? level->fetched : level->next; level->fetched < end; level->fetched++) {
        const char *name = level->names + level->order[level->fetched];
        if (name[-1] == DT_REG) {
            mos_prefetch_file(level->descriptor, name);
        }
    }
}

void mos_scan_keep(mos_scan *scan) {
    const struct stat *status = &scan->status;
    if (S_ISDIR(status->st_mode) || status->st_nlink < 2) {
        return;
    }
    if (scan->entry.type == MOS_ENTRY_HARDLINK) {
        mos_links_seen(scan->links, status->st_dev, status->st_ino);
    } else {
        mos_links_add(scan->links, status->st_dev, status->st_ino, status->st_nlink - 1, scan->entry.path, scan->entry.path_bytes);
    }
}
