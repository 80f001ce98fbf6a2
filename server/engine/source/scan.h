// Walks over the given roots in path order (engine/repo/tree.h) and yields one entry a path. Memory: the names of the directories on the
// way to the present one, and the files with several names of which not all have been seen.
//
// Roots are canonicalised; doubled and nested ones are merged, and their parents are yielded as directories too, so that a restore can give
// them their metadata back. Below a root no link is followed. The file systems of the kernel (proc, sysfs and the like) are not entered,
// with a warning. Not thread safe per object.
#ifndef MOS_ENGINE_SOURCE_SCAN_H
#define MOS_ENGINE_SOURCE_SCAN_H

#include <sys/stat.h>
#include <sys/types.h>

#include <protobuf-c/protobuf-c.h>

#include "common/status.h"
#include "engine/repo/tree.h"
#include "engine/source/exclude.h"

typedef struct mos_scan mos_scan;

struct mos_scan_options {
    // Absolute paths, any bytes.
    const ProtobufCBinaryData *roots;
    size_t root_count;
    // Borrowed as long as the scan lives; patterns apply below the roots, never to a root itself. NULL: nothing is excluded.
    const mos_exclude *exclude;
    // Directories that are left out wherever they are met: the repository, the scratch space. Borrowed; missing ones are ignored.
    const char *const *omit;
    size_t omit_count;
    // Nothing of what lies in directories that say by their CACHEDIR.TAG that they are caches (bford.info/cachedir); they stay, empty.
    bool skip_caches;
    // Nothing of what lies in directories below a root that belong to another file system than the directory around them.
    bool one_file_system;
    // Look at files ahead on a thread of its own: where most of them will not be read.
    bool look_ahead;
    // A path that could not be read as it should, and why: one sentence without the path. NULL: nobody listens.
    void (*warn)(void *context, const char *path, size_t path_bytes, const char *message);
    void *context;
};

// MOS_NOT_FOUND when none of the roots is there; a single one that is missing is a warning. MOS_INVALID_ARGUMENT for a path that is not
// absolute. *out is the caller's.
mos_status mos_scan_open(const struct mos_scan_options *options, mos_scan **out, struct mos_error *error);
void mos_scan_close(mos_scan *scan);

// The next path with what one stat tells: path, type, mode, owner, times, size, device numbers; a further name of a file is a HARDLINK with
// its link_target. *out is borrowed until the next call; NULL at the end. Fails only when nothing more can be done.
mos_status mos_scan_next(mos_scan *scan, struct mos_entry **out, struct mos_error *error);
// Fills in the rest of the present entry: owner names, extended attributes, link target. For a FILE also opens it for reading:
// *out_descriptor is the caller's, and *out_status what fstat says of it, with which the entry's fields agree. -1 for all others. false: it
// vanished, became something else or cannot be read; a warning was given, and the entry is to be left out.
bool mos_scan_load(mos_scan *scan, int *out_descriptor, struct stat *out_status);
// Instead of mos_scan_load, where the rest is known from elsewhere: the names of the owner alone.
void mos_scan_name_owner(mos_scan *scan);
// Has the next files of the present directory read into memory, without waiting for them: where they are cold and all will be read.
void mos_scan_fetch_ahead(mos_scan *scan);
// The present entry goes into the backup: later names of the same file will refer to it.
void mos_scan_keep(mos_scan *scan);

#endif
