// Regular files: how they come into being, and when they get their name.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/pace.h"
#include "engine/source/target_internal.h"

struct mos_target_file {
    int descriptor;
    // Written at once by the thread that made it: under its own name already, and `parent` is borrowed.
    bool at_once;
    // The directory it will stand in, and its names there. The first one is empty while the file has no name at all: nothing is left of it
    // when this process ends, and one step fewer gives it its own.
    int parent;
    char temporary[MOS_TARGET_TEMPORARY_NAME_BYTES];
    char *name;
};

// Of SQLite, which plays them into whatever database has their name; the shared memory is nothing without them.
static const char *const journal_endings[] = {"-journal", "-wal", "-shm"};

bool mos_target_has_journal(int parent, const char *name) {
    bool found = false;
    for (size_t i = 0; i < 2 && !found; i++) {
        char *journal;
        if (asprintf(&journal, "%s%s", name, journal_endings[i]) >= 0) {
            found = faccessat(parent, journal, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
            free(journal);
        }
    }
    return found;
}

// Without a name where the file system knows that, and nothing is to be replaced: that only a rename does. Databases are opened before they
// are committed, and SQLite wants a path that leads to a name.
static int open_new(mos_target *target, const struct mos_entry *entry, mos_target_file *file) {
    if (target->options.existing == MOS_EXISTING_KEEP && entry->type != MOS_ENTRY_DATABASE && !atomic_load(&target->shared->needs_names)) {
        // Nobody else can open it before it has its owner. Special bits come with that. An ordinary user may set attributes only where he
        // may write.
        mode_t mode = entry->xattr_count ? 0600 : entry->mode & 0777;
        int descriptor = openat(file->parent, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, mode);
        if (descriptor >= 0 || errno == ENOSPC || errno == EDQUOT) {
            return descriptor;
        }
        atomic_store(&target->shared->needs_names, true);
    }
    mos_target_temporary_name(file->temporary);
    return openat(file->parent, file->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

// A file without a name gets the one it should have. What has come there meanwhile stays.
static mos_status give_name(mos_target *target, const struct mos_entry *entry, const mos_target_file *file, enum mos_outcome *out,
                            struct mos_error *error) {
    int failed = target->privileged ? linkat(file->descriptor, "", file->parent, file->name, AT_EMPTY_PATH) : -1;
    if (failed && (!target->privileged || errno == ENOENT || errno == EPERM)) {
        // Who lacks a capability reaches it through /proc.
        char path[64];
        mos_target_file_proc_path(file, path);
        failed = linkat(AT_FDCWD, path, file->parent, file->name, AT_SYMLINK_FOLLOW);
    }
    if (failed && errno != EEXIST) {
        return mos_target_give_up(target, entry, errno, "cannot be put in its place", out, error);
    }
    *out = failed ? MOS_OUTCOME_KEPT : MOS_OUTCOME_WRITTEN;
    return MOS_OK;
}

mos_status mos_target_file_create(mos_target *target, const struct mos_entry *entry, mos_target_file **out_file, enum mos_outcome *out,
                                  struct mos_error *error) {
    const char *name;
    mos_status status;
    *out_file = NULL;
    int parent = mos_target_prepare(target, entry, &name, out, &status, error);
    if (parent < 0) {
        return status;
    }
    if (entry->type == MOS_ENTRY_DATABASE && target->options.existing != MOS_EXISTING_REPLACE && mos_target_has_journal(parent, name)) {
        *out = MOS_OUTCOME_FAILED;
        mos_target_warn(target, entry,
                        "the journal of an earlier database lies beside it and would be played into it; remove it, or replace");
        return MOS_OK;
    }
    mos_target_file *file = mos_calloc(1, sizeof(*file));
    file->name = mos_strdup(name);
    file->parent = fcntl(parent, F_DUPFD_CLOEXEC, 0);
    file->descriptor = file->parent < 0 ? -1 : open_new(target, entry, file);
    // What is not written of a sparse file is a hole; the size of others comes with their content.
    if (file->descriptor < 0 || (entry->sparse && ftruncate(file->descriptor, (off_t)entry->size_bytes) != 0)) {
        int reason = errno;
        mos_target_file_abandon(file);
        return mos_target_give_up(target, entry, reason, "cannot be written", out, error);
    }
    *out_file = file;
    *out = MOS_OUTCOME_WRITTEN;
    return MOS_OK;
}

// A file that nobody may read stands where the entry belongs: one that a restore was killed over, or somebody's own.
static bool looks_unfinished(int parent, const char *name, const struct mos_entry *entry) {
    struct stat found;
    return entry->mode != 0 && fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(found.st_mode) &&
           (found.st_mode & 07777) == 0;
}

mos_status mos_target_file_create_at_once(mos_target *target, const struct mos_entry *entry, mos_target_file **out_file,
                                          enum mos_outcome *out, struct mos_error *error) {
    const char *name;
    *out_file = NULL;
    // Attributes can be set only where the owner may write, unless he is root.
    if (entry->type == MOS_ENTRY_DATABASE || (entry->xattr_count && !target->privileged)) {
        return mos_target_file_create(target, entry, out_file, out, error);
    }
    int parent = mos_target_parent(target, entry->path, true, &name);
    int descriptor = parent < 0 ? -1 : openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
    if (descriptor < 0 && errno == EEXIST && target->options.existing == MOS_EXISTING_REPLACE) {
        return mos_target_file_create(target, entry, out_file, out, error);
    }
    if (descriptor < 0 && errno == EEXIST) {
        bool unfinished = looks_unfinished(parent, name, entry);
        *out = unfinished ? MOS_OUTCOME_FAILED : MOS_OUTCOME_KEPT;
        if (unfinished) {
            mos_target_warn(target, entry,
                            "what is there may be read by nobody, as a file that a restore was broken off over; resume it, or replace");
        }
        return MOS_OK;
    }
    if (descriptor < 0) {
        return mos_target_give_up(target, entry, errno, "cannot be written", out, error);
    }
    mos_target_file *file = mos_calloc(1, sizeof(*file));
    *file = (mos_target_file){.descriptor = descriptor, .at_once = true, .parent = parent, .name = mos_strdup(name)};
    if (entry->sparse && ftruncate(descriptor, (off_t)entry->size_bytes) != 0) {
        int reason = errno;
        mos_target_file_abandon(file);
        return mos_target_give_up(target, entry, reason, "cannot be written", out, error);
    }
    *out_file = file;
    *out = MOS_OUTCOME_WRITTEN;
    return MOS_OK;
}

mos_status mos_target_file_write(mos_target_file *file, const void *data, size_t size_bytes, uint64_t offset_bytes,
                                 struct mos_error *error) {
    for (size_t done = 0; done < size_bytes;) {
        ssize_t put = pwrite(file->descriptor, (const char *)data + done, size_bytes - done, (off_t)(offset_bytes + done));
        if (put < 0 && errno != EINTR) {
            return mos_fail_errno(error, errno, "cannot be written");
        }
        if (put > 0) {
            mos_pace_disk(put);
            done += (size_t)put;
        }
    }
    return MOS_OK;
}

static void release(mos_target_file *file) {
    if (file->descriptor >= 0) {
        close(file->descriptor);
    }
    if (file->parent >= 0 && !file->at_once) {
        close(file->parent);
    }
    free(file->name);
    free(file);
}

// A journal that an earlier database left under the same name would be played into the new one.
static void remove_journals(mos_target_file *file) {
    for (size_t i = 0; i < sizeof(journal_endings) / sizeof(journal_endings[0]); i++) {
        char *name;
        if (asprintf(&name, "%s%s", file->name, journal_endings[i]) >= 0) {
            unlinkat(file->parent, name, 0);
            free(name);
        }
    }
}

mos_status mos_target_file_commit(mos_target *target, mos_target_file *file, const struct mos_entry *entry, enum mos_outcome *out,
                                  struct mos_error *error) {
    // Kept by nobody, so there is no need to ask how long it would last.
    struct mos_newborn unknown = {.asked = true};
    mos_target_set_metadata(target, entry, file->descriptor, file->parent, NULL, file->at_once ? mos_target_newborn(target) : &unknown);
    if (entry->type == MOS_ENTRY_DATABASE && target->options.existing == MOS_EXISTING_REPLACE) {
        remove_journals(file);
    }
    *out = MOS_OUTCOME_WRITTEN;
    mos_status status = file->at_once      ? MOS_OK
                        : *file->temporary ? mos_target_put_in_place(target, entry, file->parent, file->temporary, file->name, out, error)
                                           : give_name(target, entry, file, out, error);
    release(file);
    return status;
}

void mos_target_file_abandon(mos_target_file *file) {
    if (!file) {
        return;
    }
    if (file->descriptor >= 0 && *file->temporary) {
        unlinkat(file->parent, file->temporary, 0);
    }
    struct stat is, found;
    // Somebody may have put his own there meanwhile.
    if (file->at_once && fstat(file->descriptor, &is) == 0 && fstatat(file->parent, file->name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
        is.st_dev == found.st_dev && is.st_ino == found.st_ino) {
        unlinkat(file->parent, file->name, 0);
    }
    release(file);
}

void mos_target_file_proc_path(const mos_target_file *file, char out[64]) {
    snprintf(out, 64, "/proc/self/fd/%d", file->descriptor);
}
