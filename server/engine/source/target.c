#include "engine/source/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/id.h"
#include "engine/source/target_internal.h"

enum { OPEN_STEPS = 64 };

void mos_target_warn(mos_target *target, const struct mos_entry *entry, const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (target->options.warn) {
        target->options.warn(target->options.context, entry->path, entry->path_bytes, message);
    }
}

mos_status mos_target_give_up(mos_target *target, const struct mos_entry *entry, int reason, const char *what, enum mos_outcome *out,
                              struct mos_error *error) {
    *out = MOS_OUTCOME_FAILED;
    if (reason == ENOSPC || reason == EDQUOT) {
        return mos_fail_errno(error, reason, "the target %s is full", target->options.path);
    }
    mos_target_warn(target, entry, "%s: %s", what, reason == ENOTDIR ? "something that is no directory is in the way" : strerror(reason));
    return MOS_OK;
}

// One component down. Neither links nor anything else than a directory are entered.
static int step_down(int parent, const char *name, bool create) {
    int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int descriptor = openat(parent, name, flags);
    if (descriptor < 0 && errno == ENOENT && create && (mkdirat(parent, name, 0700) == 0 || errno == EEXIST)) {
        descriptor = openat(parent, name, flags);
    }
    return descriptor;
}

// The directory `path` (which ends behind its last component, no slash) below an open one; names are single components by construction.
static int walk_down(int from, const char *path, bool create) {
    int descriptor = fcntl(from, F_DUPFD_CLOEXEC, 0);
    char *copy = mos_strdup(path), *rest = copy;
    for (char *name = strsep(&rest, "/"); name && descriptor >= 0; name = strsep(&rest, "/")) {
        if (*name) {
            int next = step_down(descriptor, name, create);
            int reason = errno;
            close(descriptor);
            descriptor = next;
            errno = reason;
        }
    }
    free(copy);
    return descriptor;
}

static mos_status open_root(const struct mos_target_options *options, int *out, struct mos_error *error) {
    const char *path = options->path;
    if (path[0] != '/' || !mos_path_valid(path, strlen(path))) {
        return mos_fail_field(error, "target", "the target must be an absolute path without empty, \".\" and \"..\" components");
    }
    if (options->root) {
        size_t root_bytes = strlen(options->root);
        while (root_bytes > 0 && options->root[root_bytes - 1] == '/') {
            root_bytes--;
        }
        if (strncmp(path, options->root, root_bytes) != 0 || (path[root_bytes] != '/' && path[root_bytes] != 0)) {
            return mos_fail_field(error, "target", "the target must lie below %s", options->root);
        }
        MOS_CLEANUP_FD int root = open(options->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) {
            return mos_fail_errno(error, errno, "the restore root %s cannot be opened", options->root);
        }
        *out = walk_down(root, path + root_bytes, true);
    } else {
        MOS_CLEANUP_FREE char *parents = mos_strdup(path);
        for (char *slash = parents + 1; *slash; slash++) {
            if (*slash == '/') {
                *slash = 0;
                if (mkdir(parents, 0700) != 0 && errno != EEXIST) {
                    return mos_fail_errno(error, errno, "the target %s cannot be made", path);
                }
                *slash = '/';
            }
        }
        *out = step_down(AT_FDCWD, path, true);
    }
    if (*out < 0 && (errno == ENOTDIR || errno == ELOOP)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the target %s is a link or no directory", path);
    }
    return *out < 0 ? mos_fail_errno(error, errno, "the target %s cannot be made", path) : MOS_OK;
}

mos_status mos_target_open(const struct mos_target_options *options, mos_target **out, struct mos_error *error) {
    int root = -1;
    mos_status status = open_root(options, &root, error);
    if (status) {
        return status;
    }
    mos_target *target = mos_calloc(1, sizeof(*target));
    target->options = *options;
    target->options.path = mos_strdup(options->path);
    target->options.root = NULL;
    target->shared = mos_calloc(1, sizeof(*target->shared));
    target->privileged = geteuid() == 0;
    target->root = root;
    target->xattrs = mos_xattrs_create();
    *out = target;
    return MOS_OK;
}

mos_target *mos_target_clone(const mos_target *target) {
    mos_target *clone = mos_calloc(1, sizeof(*clone));
    *clone = (mos_target){
        .options = target->options,
        .shared = target->shared,
        .is_clone = true,
        .privileged = target->privileged,
        .root = target->root,
        .xattrs = mos_xattrs_create(),
    };
    return clone;
}

static void step_up(mos_target *target) {
    struct step *step = &target->steps[--target->depth];
    if (step->descriptor >= 0) {
        close(step->descriptor);
    }
}

void mos_target_close(mos_target *target) {
    if (!target) {
        return;
    }
    while (target->depth) {
        step_up(target);
    }
    if (!target->is_clone) {
        close(target->root);
        free((char *)target->options.path);
        free(target->shared);
    }
    mos_xattrs_free(target->xattrs);
    free(target->directory);
    free(target->steps);
    free(target);
}

static void push(mos_target *target, int descriptor, size_t end) {
    if (target->depth == target->capacity) {
        target->capacity = target->capacity ? target->capacity * 2 : 32;
        target->steps = mos_realloc(target->steps, target->capacity * sizeof(*target->steps));
    }
    if (target->depth >= OPEN_STEPS) {
        struct step *far = &target->steps[target->depth - OPEN_STEPS];
        if (far->descriptor >= 0) {
            close(far->descriptor);
            far->descriptor = -1;
        }
    }
    target->steps[target->depth++] = (struct step){.descriptor = descriptor, .end = end};
}

// The open directory that holds the path (borrowed until the next call), and the path's last component. -1: errno says why.
int mos_target_parent(mos_target *target, const char *path, bool create, const char **out_name) {
    // Paths come from a repository: what is not a plain way down is never followed.
    if (!mos_path_valid(path, strlen(path)) || strcmp(path, "/") == 0) {
        errno = EINVAL;
        return -1;
    }
    const char *slash = strrchr(path, '/');
    *out_name = slash ? slash + 1 : path;
    size_t size_bytes = slash ? (size_t)(slash - path) : 0;
    // A database's name has no slash: it stands at the top.
    while (target->depth) {
        size_t end = target->steps[target->depth - 1].end;
        if (end <= size_bytes && memcmp(path, target->directory, end) == 0 && (path[end] == '/')) {
            break;
        }
        step_up(target);
    }
    if (target->depth && target->steps[target->depth - 1].descriptor < 0) {
        while (target->depth) {
            step_up(target);
        }
    }
    if (size_bytes + 1 > target->directory_capacity) {
        target->directory_capacity = 2 * size_bytes + 64;
        target->directory = mos_realloc(target->directory, target->directory_capacity);
    }
    size_t at = target->depth ? target->steps[target->depth - 1].end : 0;
    memcpy(target->directory + at, path + at, size_bytes - at);
    while (at < size_bytes) {
        char name[MOS_TREE_NAME_LIMIT_BYTES + 1] = "";
        size_t name_bytes = strcspn(path + at + 1, "/");
        memcpy(name, path + at + 1, name_bytes);
        int parent = target->depth ? target->steps[target->depth - 1].descriptor : target->root;
        int descriptor = step_down(parent, name, create);
        if (descriptor < 0) {
            return -1;
        }
        at += 1 + name_bytes;
        push(target, descriptor, at);
    }
    return target->depth ? target->steps[target->depth - 1].descriptor : target->root;
}

struct mos_newborn *mos_target_newborn(mos_target *target) {
    return target->depth ? &target->steps[target->depth - 1].newborn : &target->top;
}

bool mos_target_stat(mos_target *target, const char *path, struct stat *out) {
    const char *name;
    if (strcmp(path, "/") == 0) {
        return fstat(target->root, out) == 0;
    }
    int parent = mos_target_parent(target, path, false, &name);
    return parent >= 0 && fstatat(parent, name, out, AT_SYMLINK_NOFOLLOW) == 0;
}

mos_status mos_target_directory(mos_target *target, const struct mos_entry *entry, enum mos_outcome *out, struct mos_error *error) {
    const char *name;
    *out = MOS_OUTCOME_KEPT;
    if (strcmp(entry->path, "/") == 0) {
        return MOS_OK;
    }
    int parent = mos_target_parent(target, entry->path, true, &name);
    struct stat found;
    if (parent < 0) {
        return mos_target_give_up(target, entry, errno, "cannot be made", out, error);
    }
    int failed = mkdirat(parent, name, 0700);
    if (failed && errno == EEXIST && fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(found.st_mode)) {
            return MOS_OK;
        }
        if (target->options.existing != MOS_EXISTING_REPLACE || unlinkat(parent, name, 0) != 0) {
            return mos_target_give_up(target, entry, ENOTDIR, "cannot be made", out, error);
        }
        failed = mkdirat(parent, name, 0700);
    }
    if (failed) {
        return mos_target_give_up(target, entry, errno, "cannot be made", out, error);
    }
    *out = MOS_OUTCOME_WRITTEN;
    return MOS_OK;
}

void mos_target_finish_directory(mos_target *target, const struct mos_entry *entry) {
    const char *name;
    // The target itself is the caller's, also where it stands for the top of the backup.
    if (strcmp(entry->path, "/") == 0) {
        return;
    }
    int parent = mos_target_parent(target, entry->path, false, &name);
    MOS_CLEANUP_FD int descriptor = parent >= 0 ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (descriptor < 0) {
        mos_target_warn(target, entry, "its owner, mode and time cannot be set: %s", strerror(errno));
        return;
    }
    mos_target_set_metadata(target, entry, descriptor, -1, NULL, NULL);
}

bool mos_target_is_there(mos_target *target, const struct mos_entry *entry) {
    const char *name;
    struct stat found;
    if (strcmp(entry->path, "/") == 0) {
        return true;
    }
    int parent = mos_target_parent(target, entry->path, false, &name);
    return parent >= 0 && (fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) == 0 ||
                           (entry->type == MOS_ENTRY_DATABASE && mos_target_has_journal(parent, name)));
}

void mos_target_temporary_name(char name[MOS_TARGET_TEMPORARY_NAME_BYTES]) {
    uint8_t random[8];
    mos_random(random, sizeof(random));
    strcpy(name, ".mosaajii-");
    mos_hex_encode(random, sizeof(random), name + strlen(name));
}

// Something stands where the entry belongs: whether it stays. Directories go only when they are empty.
static bool in_the_way(mos_target *target, int parent, const char *name, int *out_reason) {
    struct stat found;
    *out_reason = 0;
    if (fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
        return false;
    }
    if (target->options.existing != MOS_EXISTING_REPLACE) {
        return true;
    }
    if (S_ISDIR(found.st_mode) && unlinkat(parent, name, AT_REMOVEDIR) != 0) {
        *out_reason = errno == ENOTEMPTY || errno == EEXIST ? EISDIR : errno;
    }
    return *out_reason != 0;
}

int mos_target_prepare(mos_target *target, const struct mos_entry *entry, const char **out_name, enum mos_outcome *out,
                       mos_status *out_status, struct mos_error *error) {
    *out_status = MOS_OK;
    int parent = mos_target_parent(target, entry->path, true, out_name);
    if (parent < 0) {
        *out_status = mos_target_give_up(target, entry, errno, "cannot be written", out, error);
        return -1;
    }
    int reason;
    if (in_the_way(target, parent, *out_name, &reason)) {
        *out = MOS_OUTCOME_KEPT;
        if (reason) {
            *out_status = mos_target_give_up(target, entry, reason, "what is there cannot be replaced", out, error);
        }
        return -1;
    }
    return parent;
}

mos_status mos_target_put_in_place(mos_target *target, const struct mos_entry *entry, int parent, const char *temporary, const char *name,
                                   enum mos_outcome *out, struct mos_error *error) {
    unsigned flags = target->options.existing == MOS_EXISTING_REPLACE ? 0 : RENAME_NOREPLACE;
    int failed = renameat2(parent, temporary, parent, name, flags);
    if (failed && flags && (errno == EINVAL || errno == ENOSYS)) {
        // A file system that does not know the flag.
        failed = linkat(parent, temporary, parent, name, 0);
        if (!failed) {
            unlinkat(parent, temporary, 0);
        }
    }
    int reason = errno;
    if (failed) {
        unlinkat(parent, temporary, 0);
        if (reason == EEXIST) {
            *out = MOS_OUTCOME_KEPT;
            return MOS_OK;
        }
        return mos_target_give_up(target, entry, reason, "cannot be put in its place", out, error);
    }
    *out = MOS_OUTCOME_WRITTEN;
    return MOS_OK;
}

static int make_special(const struct mos_entry *entry, int parent, const char *name) {
    static const mode_t types[] = {
        [MOS_ENTRY_CHARACTER_DEVICE] = S_IFCHR,
        [MOS_ENTRY_BLOCK_DEVICE] = S_IFBLK,
        [MOS_ENTRY_FIFO] = S_IFIFO,
        [MOS_ENTRY_SOCKET] = S_IFSOCK,
    };
    if (entry->type == MOS_ENTRY_SYMLINK) {
        return symlinkat(entry->link_target, parent, name);
    }
    return mknodat(parent, name, types[entry->type] | 0600, makedev(entry->device_major, entry->device_minor));
}

mos_status mos_target_special(mos_target *target, const struct mos_entry *entry, enum mos_outcome *out, struct mos_error *error) {
    const char *name;
    mos_status status;
    // A link that is there holds what it should: it needs no other name before that. Where one is taken, there is more to decide.
    int parent = entry->type == MOS_ENTRY_SYMLINK ? mos_target_parent(target, entry->path, true, &name) : -1;
    if (parent >= 0 && make_special(entry, parent, name) == 0) {
        mos_target_set_metadata(target, entry, -1, parent, name, mos_target_newborn(target));
        *out = MOS_OUTCOME_WRITTEN;
        return MOS_OK;
    }
    parent = mos_target_prepare(target, entry, &name, out, &status, error);
    if (parent < 0) {
        return status;
    }
    char temporary[MOS_TARGET_TEMPORARY_NAME_BYTES];
    mos_target_temporary_name(temporary);
    if (make_special(entry, parent, temporary) != 0) {
        return mos_target_give_up(target, entry, errno, "cannot be made", out, error);
    }
    mos_target_set_metadata(target, entry, -1, parent, temporary, mos_target_newborn(target));
    return mos_target_put_in_place(target, entry, parent, temporary, name, out, error);
}

mos_status mos_target_link(mos_target *target, const struct mos_entry *entry, enum mos_outcome *out, struct mos_error *error) {
    const char *name, *first_name;
    mos_status status;
    int parent = mos_target_parent(target, entry->link_target, false, &first_name);
    MOS_CLEANUP_FD int first_parent = parent >= 0 ? fcntl(parent, F_DUPFD_CLOEXEC, 0) : -1;
    if (first_parent < 0) {
        return mos_target_give_up(target, entry, errno, "the file it is a further name of is not there", out, error);
    }
    parent = mos_target_parent(target, entry->path, true, &name);
    if (parent >= 0 && linkat(first_parent, first_name, parent, name, 0) == 0) {
        *out = MOS_OUTCOME_WRITTEN;
        return MOS_OK;
    }
    parent = mos_target_prepare(target, entry, &name, out, &status, error);
    if (parent < 0) {
        return status;
    }
    char temporary[MOS_TARGET_TEMPORARY_NAME_BYTES];
    mos_target_temporary_name(temporary);
    if (linkat(first_parent, first_name, parent, temporary, 0) != 0) {
        return mos_target_give_up(target, entry, errno, "the link cannot be made", out, error);
    }
    status = mos_target_put_in_place(target, entry, parent, temporary, name, out, error);
    // Where both names are the same file already, the rename does nothing and leaves the temporary name.
    unlinkat(parent, temporary, 0);
    return status;
}

bool mos_target_lost_privileged(const mos_target *target) {
    return atomic_load(&target->shared->lost_privileged);
}

mos_status mos_target_sync(mos_target *target, struct mos_error *error) {
    MOS_CLEANUP_FD int descriptor = openat(target->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0 || syncfs(descriptor) != 0) {
        return mos_fail_errno(error, errno, "what was restored cannot be flushed to disk");
    }
    return MOS_OK;
}
