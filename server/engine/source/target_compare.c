// What is there already against what the backup holds.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "engine/source/target_internal.h"

static bool link_holds(int parent, const char *name, const struct mos_entry *entry) {
    MOS_CLEANUP_FREE char *held = mos_malloc(entry->link_target_bytes + 1);
    ssize_t size_bytes = readlinkat(parent, name, held, entry->link_target_bytes + 1);
    return size_bytes == (ssize_t)entry->link_target_bytes && memcmp(held, entry->link_target, entry->link_target_bytes) == 0;
}

static bool is_first_name(mos_target *target, const struct mos_entry *entry, const struct stat *found) {
    struct stat first;
    return mos_target_stat(target, entry->link_target, &first) && first.st_dev == found->st_dev && first.st_ino == found->st_ino;
}

static bool fits(mos_target *target, int parent, const char *name, const struct mos_entry *entry, const struct stat *found) {
    switch (entry->type) {
    case MOS_ENTRY_FILE:
    case MOS_ENTRY_DATABASE:
        return S_ISREG(found->st_mode) && (uint64_t)found->st_size == entry->size_bytes;
    case MOS_ENTRY_DIRECTORY:
        return S_ISDIR(found->st_mode);
    case MOS_ENTRY_SYMLINK:
        return S_ISLNK(found->st_mode) && link_holds(parent, name, entry);
    case MOS_ENTRY_HARDLINK:
        return is_first_name(target, entry, found);
    case MOS_ENTRY_CHARACTER_DEVICE:
    case MOS_ENTRY_BLOCK_DEVICE:
        return (entry->type == MOS_ENTRY_CHARACTER_DEVICE ? S_ISCHR(found->st_mode) : S_ISBLK(found->st_mode)) &&
               found->st_rdev == makedev(entry->device_major, entry->device_minor);
    case MOS_ENTRY_FIFO:
        return S_ISFIFO(found->st_mode);
    default:
        return S_ISSOCK(found->st_mode);
    }
}

bool mos_target_matches(mos_target *target, const struct mos_entry *entry) {
    const char *name;
    struct stat found;
    int parent = strcmp(entry->path, "/") == 0 ? -1 : mos_target_parent(target, entry->path, false, &name);
    if (parent < 0 || fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) != 0 || !fits(target, parent, name, entry, &found)) {
        return false;
    }
    // A further name has no time and mode of its own.
    return entry->type == MOS_ENTRY_HARDLINK ||
           ((int64_t)found.st_mtim.tv_sec * MOS_NS_PER_SECOND + found.st_mtim.tv_nsec == entry->modified_unix_ns &&
            (S_ISLNK(found.st_mode) || (found.st_mode & 07777) == entry->mode));
}

int mos_target_open_existing(mos_target *target, const struct mos_entry *entry) {
    const char *name;
    struct stat found;
    int parent = mos_target_parent(target, entry->path, false, &name);
    int descriptor = parent < 0 ? -1 : openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (descriptor >= 0 && (fstat(descriptor, &found) != 0 || !S_ISREG(found.st_mode))) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}
