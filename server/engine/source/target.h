// Writes entries of a backup beneath one directory. Every step down goes through an open directory, one component at a time, and never
// through a link: whatever lies in the target, or is put there meanwhile, nothing is written outside of it.
//
// Files are written without a name, under one of their own, or so that nobody may read them, until they are whole. Call
// mos_target_directory for directories on the way down and mos_target_finish_directory on the way back up, when nothing in them changes any
// more.
//
// What goes wrong with one path is told to `warn` and shows in the outcome; a call fails only when nothing more can be written
// (MOS_NO_SPACE). Not thread safe per object; clones of one target may be used by several threads at once.
#ifndef MOS_ENGINE_SOURCE_TARGET_H
#define MOS_ENGINE_SOURCE_TARGET_H

#include <sys/stat.h>

#include "common/status.h"
#include "engine/repo/tree.h"

enum mos_existing {
    // What is there stays.
    MOS_EXISTING_KEEP,
    MOS_EXISTING_REPLACE,
};

enum mos_outcome {
    MOS_OUTCOME_WRITTEN,
    // Something was there and stays.
    MOS_OUTCOME_KEPT,
    // A warning says why.
    MOS_OUTCOME_FAILED,
};

struct mos_target_options {
    // Absolute; made where it does not exist, with all above it, mode 0700. MOS_FAILED_PRECONDITION when it is a link or no directory.
    const char *path;
    // NULL, or a directory that exists and is above `path`: no link is followed on the way from it to `path` either.
    const char *root;
    enum mos_existing existing;
    // One sentence without the path. Called from the thread that uses the target.
    void (*warn)(void *context, const char *path, size_t path_bytes, const char *message);
    void *context;
};

typedef struct mos_target mos_target;

mos_status mos_target_open(const struct mos_target_options *options, mos_target **out, struct mos_error *error);
// For another thread. The caller's; close it before the original.
mos_target *mos_target_clone(const mos_target *target);
void mos_target_close(mos_target *target);

// What is there under the path of an entry, links not followed. false: nothing.
bool mos_target_stat(mos_target *target, const char *path, struct stat *out);

// Whether something is there that a restore of the entry would replace: with a database, the journal of an earlier one too.
bool mos_target_is_there(mos_target *target, const struct mos_entry *entry);

// What is there is what the entry says: of the same kind, with its size, time and mode; of a link also what it holds, of a device its
// numbers, of a further name the first one. Content is not looked at.
bool mos_target_matches(mos_target *target, const struct mos_entry *entry);
// The regular file that is there, for reading; the caller's. -1: there is none, or it cannot be read.
int mos_target_open_existing(mos_target *target, const struct mos_entry *entry);

// Makes the directory (mode 0700 for now) or finds it there (MOS_OUTCOME_KEPT).
mos_status mos_target_directory(mos_target *target, const struct mos_entry *entry, enum mos_outcome *out, struct mos_error *error);
// Gives it owner, attributes, mode and time.
void mos_target_finish_directory(mos_target *target, const struct mos_entry *entry);
// Symlinks, devices, pipes and sockets.
mos_status mos_target_special(mos_target *target, const struct mos_entry *entry, enum mos_outcome *out, struct mos_error *error);
// A further name of the file at entry->link_target in the target.
mos_status mos_target_link(mos_target *target, const struct mos_entry *entry, enum mos_outcome *out, struct mos_error *error);

// A file (FILE or DATABASE) that is being written. It belongs to the caller until it is committed or abandoned; several threads may write
// to it at once, and any thread may end it.
typedef struct mos_target_file mos_target_file;
// *out_file is NULL unless the outcome is MOS_OUTCOME_WRITTEN. The size of a sparse file is set, so that what is not written is a hole.
mos_status mos_target_file_create(mos_target *target, const struct mos_entry *entry, mos_target_file **out_file, enum mos_outcome *out,
                                  struct mos_error *error);
// The same for a file that this thread alone writes and ends, and does so before it uses the target for anything else: it costs half as
// many system calls. It has its name from the beginning, unless there is something to replace, but until it is whole nobody may read it
// (mode 0), and its time is another one than the entry's. Who finds such a file, and is to keep it, warns.
mos_status mos_target_file_create_at_once(mos_target *target, const struct mos_entry *entry, mos_target_file **out_file,
                                          enum mos_outcome *out, struct mos_error *error);
// MOS_IO for a failure that concerns this file alone: abandon it, warn, go on.
mos_status mos_target_file_write(mos_target_file *file, const void *data, size_t size_bytes, uint64_t offset_bytes,
                                 struct mos_error *error);
// Metadata and rename. `entry` as at creation.
mos_status mos_target_file_commit(mos_target *target, mos_target_file *file, const struct mos_entry *entry, enum mos_outcome *out,
                                  struct mos_error *error);
// NULL is allowed.
void mos_target_file_abandon(mos_target_file *file);
// For reading what was written before it is committed: a path through /proc, valid until the file is ended.
void mos_target_file_proc_path(const mos_target_file *file, char out[64]);

// Something was left as it is because only root may set it (owners, security attributes). Shared by clones.
bool mos_target_lost_privileged(const mos_target *target);
// All that was written is on disk. Blocks.
mos_status mos_target_sync(mos_target *target, struct mos_error *error);

#endif
