#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/source/target_internal.h"

static bool needs_root(const char *name) {
    return strncmp(name, "security.", 9) == 0 || strncmp(name, "trusted.", 8) == 0;
}

static void set_owner(mos_target *target, const struct mos_entry *entry, int descriptor, int parent, const char *name) {
    int failed =
        descriptor >= 0 ? fchown(descriptor, entry->uid, entry->gid) : fchownat(parent, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW);
    if (failed && errno == EPERM && !target->privileged) {
        // An ordinary user may at least give a file to one of his groups.
        failed = descriptor >= 0 ? fchown(descriptor, (uid_t)-1, entry->gid)
                                 : fchownat(parent, name, (uid_t)-1, entry->gid, AT_SYMLINK_NOFOLLOW);
        atomic_store(&target->shared->lost_privileged, true);
        failed = failed && errno != EPERM;
    }
    if (failed) {
        mos_target_warn(target, entry, "its owner cannot be set: %s", strerror(errno));
    }
}

static bool recorded(const struct mos_entry *entry, const char *name) {
    for (size_t i = 0; i < entry->xattr_count; i++) {
        if (strcmp(entry->xattrs[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

// Attributes that are there and were not recorded: old ones of a directory that was there, and ACLs handed down by the parent.
static void remove_others(mos_target *target, const struct mos_entry *entry, int descriptor, const char *path) {
    const struct mos_xattr *found;
    size_t count;
    bool too_large;
    mos_xattrs_read(target->xattrs, descriptor, path, &found, &count, &too_large);
    for (size_t i = 0; i < count; i++) {
        // Labels are the system's own business.
        if (!recorded(entry, found[i].name) && !needs_root(found[i].name)) {
            int failed = descriptor >= 0 ? fremovexattr(descriptor, found[i].name) : lremovexattr(path, found[i].name);
            if (failed && errno != ENODATA) {
                mos_target_warn(target, entry, "its attribute %s cannot be removed: %s", found[i].name, strerror(errno));
            }
        }
    }
}

static void set_attributes(mos_target *target, const struct mos_entry *entry, int descriptor, const char *path) {
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const struct mos_xattr *xattr = &entry->xattrs[i];
        int failed = descriptor >= 0 ? fsetxattr(descriptor, xattr->name, xattr->value, xattr->value_bytes, 0)
                                     : lsetxattr(path, xattr->name, xattr->value, xattr->value_bytes, 0);
        if (failed && needs_root(xattr->name) && !target->privileged) {
            atomic_store(&target->shared->lost_privileged, true);
        } else if (failed) {
            mos_target_warn(target, entry, "its attribute %s cannot be set: %s", xattr->name, strerror(errno));
        }
    }
}

static void ask(struct mos_newborn *newborn, int parent) {
    struct stat directory;
    newborn->asked = true;
    newborn->lasts = parent >= 0 && fstat(parent, &directory) == 0 && directory.st_uid == geteuid();
}

// ACLs handed down by the parent.
static void remove_inherited(const struct mos_entry *entry, int descriptor, const char *path, struct mos_newborn *newborn) {
    static const char name[] = "system.posix_acl_access";
    if (entry->type == MOS_ENTRY_SYMLINK || recorded(entry, name)) {
        return;
    }
    if (newborn->lasts && !newborn->acl_known) {
        newborn->has_acl = (descriptor >= 0 ? fgetxattr(descriptor, name, NULL, 0) : lgetxattr(path, name, NULL, 0)) >= 0;
        newborn->acl_known = true;
    }
    if (!newborn->acl_known || newborn->has_acl) {
        int failed = descriptor >= 0 ? fremovexattr(descriptor, name) : lremovexattr(path, name);
        // Nothing to remove is the rule.
        (void)failed;
    }
}

void mos_target_set_metadata(mos_target *target, const struct mos_entry *entry, int descriptor, int parent, const char *name,
                             struct mos_newborn *newborn) {
    char path[320] = "";
    if (descriptor < 0) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", parent, name);
    }
    if (newborn && !newborn->asked) {
        ask(newborn, parent);
    }
    // A new file often has its owner already: looking costs less than setting, and remembering less than looking.
    struct stat is = {.st_uid = (uid_t)-1};
    bool looked = newborn && !newborn->owner_known &&
                  (descriptor >= 0 ? fstat(descriptor, &is) : fstatat(parent, name, &is, AT_SYMLINK_NOFOLLOW)) == 0;
    if (looked) {
        newborn->uid = is.st_uid;
        newborn->gid = is.st_gid;
        newborn->owner_known = newborn->lasts;
    }
    bool known = looked || (newborn && newborn->owner_known);
    // The owner first: setting it takes setuid bits and capabilities away.
    if (!known || newborn->uid != entry->uid || newborn->gid != entry->gid) {
        set_owner(target, entry, descriptor, parent, name);
        looked = false;
    }
    if (newborn) {
        remove_inherited(entry, descriptor, path, newborn);
    } else {
        remove_others(target, entry, descriptor, path);
    }
    set_attributes(target, entry, descriptor, path);
    if (entry->type != MOS_ENTRY_SYMLINK && (!looked || entry->xattr_count || (is.st_mode & 07777) != entry->mode)) {
        int failed = descriptor >= 0 ? fchmod(descriptor, entry->mode) : fchmodat(parent, name, entry->mode, AT_SYMLINK_NOFOLLOW);
        if (failed) {
            mos_target_warn(target, entry, "its mode cannot be set: %s", strerror(errno));
        }
    }
    int64_t seconds = entry->modified_unix_ns / 1000000000, rest = entry->modified_unix_ns % 1000000000;
    if (rest < 0) {
        seconds--;
        rest += 1000000000;
    }
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = rest}};
    if (descriptor >= 0 ? futimens(descriptor, times) : utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW)) {
        mos_target_warn(target, entry, "its time cannot be set: %s", strerror(errno));
    }
}
