#include "engine/source/metadata.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "common/buffer.h"
#include "common/text.h"

enum { LINE_LIMIT_BYTES = 1 << 20, OWNERS_LIMIT = 1 << 20 };

struct owner {
    uint32_t id;
    uint32_t position;
    char *name;
};

struct names {
    struct owner *owners;
    size_t count;
};

struct mos_owners {
    struct names users;
    struct names groups;
};

static void add(struct names *names, uint32_t id, const char *name) {
    // The format's limit, and names travel as text.
    size_t size_bytes = strlen(name);
    if (size_bytes == 0 || size_bytes > MOS_TREE_OWNER_LIMIT_BYTES || !mos_utf8_valid(name, size_bytes) || names->count >= OWNERS_LIMIT) {
        return;
    }
    if ((names->count & (names->count - 1)) == 0) {
        names->owners = mos_realloc(names->owners, (names->count ? names->count * 2 : 1) * sizeof(*names->owners));
    }
    names->owners[names->count] = (struct owner){.id = id, .position = (uint32_t)names->count, .name = mos_strdup(name)};
    names->count++;
}

static int compare(const void *a, const void *b) {
    const struct owner *left = a, *right = b;
    if (left->id != right->id) {
        return left->id < right->id ? -1 : 1;
    }
    return left->position < right->position ? -1 : left->position > right->position;
}

// The first line of the file wins where a number has several names, as it does for the system.
static const char *find(const struct names *names, uint32_t id) {
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (names->owners[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < names->count && names->owners[low].id == id ? names->owners[low].name : "";
}

mos_owners *mos_owners_load(void) {
    mos_owners *owners = mos_calloc(1, sizeof(*owners));
    MOS_CLEANUP_FREE char *line = mos_malloc(LINE_LIMIT_BYTES);
    FILE *file = fopen("/etc/passwd", "re");
    struct passwd user, *found_user;
    while (file && fgetpwent_r(file, &user, line, LINE_LIMIT_BYTES, &found_user) == 0) {
        add(&owners->users, user.pw_uid, user.pw_name);
    }
    if (file) {
        fclose(file);
    }
    file = fopen("/etc/group", "re");
    struct group group, *found_group;
    while (file && fgetgrent_r(file, &group, line, LINE_LIMIT_BYTES, &found_group) == 0) {
        add(&owners->groups, group.gr_gid, group.gr_name);
    }
    if (file) {
        fclose(file);
    }
    if (owners->users.count) {
        qsort(owners->users.owners, owners->users.count, sizeof(struct owner), compare);
    }
    if (owners->groups.count) {
        qsort(owners->groups.owners, owners->groups.count, sizeof(struct owner), compare);
    }
    return owners;
}

static void free_names(struct names *names) {
    for (size_t i = 0; i < names->count; i++) {
        free(names->owners[i].name);
    }
    free(names->owners);
}

void mos_owners_free(mos_owners *owners) {
    if (owners) {
        free_names(&owners->users);
        free_names(&owners->groups);
        free(owners);
    }
}

const char *mos_owners_user(const mos_owners *owners, uint32_t uid) {
    return find(&owners->users, uid);
}

const char *mos_owners_group(const mos_owners *owners, uint32_t gid) {
    return find(&owners->groups, gid);
}

struct mos_xattrs {
    char *names;
    uint8_t *value;
    struct mos_buffer values;
    struct mos_xattr *found;
    size_t *offsets;
    size_t capacity;
};

mos_xattrs *mos_xattrs_create(void) {
    mos_xattrs *xattrs = mos_calloc(1, sizeof(*xattrs));
    xattrs->names = mos_malloc(XATTR_LIST_MAX + 1);
    xattrs->value = mos_malloc(XATTR_SIZE_MAX);
    xattrs->values = MOS_BUFFER_INIT(MOS_TREE_XATTRS_LIMIT_BYTES);
    return xattrs;
}

void mos_xattrs_free(mos_xattrs *xattrs) {
    if (xattrs) {
        free(xattrs->names);
        free(xattrs->value);
        free(xattrs->found);
        free(xattrs->offsets);
        mos_buffer_free(&xattrs->values);
        free(xattrs);
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct mos_xattr *)a)->name, ((const struct mos_xattr *)b)->name);
}

bool mos_xattrs_read(mos_xattrs *xattrs, int descriptor, const char *path, const struct mos_xattr **out, size_t *out_count,
                     bool *out_too_large) {
    *out = NULL;
    *out_count = 0;
    *out_too_large = false;
    ssize_t size_bytes =
        descriptor >= 0 ? flistxattr(descriptor, xattrs->names, XATTR_LIST_MAX) : llistxattr(path, xattrs->names, XATTR_LIST_MAX);
    if (size_bytes <= 0) {
        return size_bytes == 0 || errno == ENOTSUP;
    }
    mos_buffer_clear(&xattrs->values);
    xattrs->names[size_bytes] = 0;
    size_t count = 0, total_bytes = 0;
    int failure = 0;
    for (char *name = xattrs->names; name < xattrs->names + size_bytes; name += strlen(name) + 1) {
        ssize_t value_bytes = descriptor >= 0 ? fgetxattr(descriptor, name, xattrs->value, XATTR_SIZE_MAX)
                                              : lgetxattr(path, name, xattrs->value, XATTR_SIZE_MAX);
        if (value_bytes < 0) {
            // Removed since the list was made: it is simply not there.
            failure = errno == ENODATA || errno == ENOTSUP ? failure : errno;
            continue;
        }
        // What the format's own limit counts: names with their zeros, and values.
        total_bytes += strlen(name) + 1 + (size_t)value_bytes;
        if ((size_t)value_bytes > MOS_TREE_XATTR_VALUE_LIMIT_BYTES || total_bytes > MOS_TREE_XATTRS_LIMIT_BYTES / 2) {
            *out_too_large = true;
            total_bytes -= strlen(name) + 1 + (size_t)value_bytes;
            continue;
        }
        if (count == xattrs->capacity) {
            xattrs->capacity = xattrs->capacity ? xattrs->capacity * 2 : 8;
            xattrs->found = mos_realloc(xattrs->found, xattrs->capacity * sizeof(*xattrs->found));
            xattrs->offsets = mos_realloc(xattrs->offsets, xattrs->capacity * sizeof(*xattrs->offsets));
        }
        xattrs->found[count] = (struct mos_xattr){.name = name, .value_bytes = (size_t)value_bytes};
        xattrs->offsets[count++] = xattrs->values.size_bytes;
        mos_buffer_append(&xattrs->values, xattrs->value, (size_t)value_bytes);
    }
    for (size_t i = 0; i < count; i++) {
        xattrs->found[i].value = xattrs->values.data ? xattrs->values.data + xattrs->offsets[i] : (const uint8_t *)"";
    }
    if (count) {
        qsort(xattrs->found, count, sizeof(*xattrs->found), by_name);
    }
    *out = xattrs->found;
    *out_count = count;
    errno = failure;
    return failure == 0;
}

int64_t mos_metadata_time(const struct timespec *time) {
    int64_t ns;
    if (__builtin_mul_overflow((int64_t)time->tv_sec, INT64_C(1000000000), &ns) || __builtin_add_overflow(ns, time->tv_nsec, &ns)) {
        return time->tv_sec < 0 ? INT64_MIN : INT64_MAX;
    }
    return ns;
}

enum mos_entry_type mos_metadata_type(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return MOS_ENTRY_DIRECTORY;
    case S_IFLNK:
        return MOS_ENTRY_SYMLINK;
    case S_IFCHR:
        return MOS_ENTRY_CHARACTER_DEVICE;
    case S_IFBLK:
        return MOS_ENTRY_BLOCK_DEVICE;
    case S_IFIFO:
        return MOS_ENTRY_FIFO;
    case S_IFSOCK:
        return MOS_ENTRY_SOCKET;
    default:
        return MOS_ENTRY_FILE;
    }
}
