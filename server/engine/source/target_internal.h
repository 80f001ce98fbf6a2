// Private to target.c and target_metadata.c.
#ifndef MOS_ENGINE_SOURCE_TARGET_INTERNAL_H
#define MOS_ENGINE_SOURCE_TARGET_INTERNAL_H

#include <stdatomic.h>

#include "engine/source/metadata.h"
#include "engine/source/target.h"

struct mos_target_shared {
    atomic_bool lost_privileged;
    // The file system does not know files without a name.
    atomic_bool needs_names;
};

struct step {
    // -1: closed, to save descriptors.
    int descriptor;
    // Behind the component's name in `directory`.
    size_t end;
};

struct mos_target {
    struct mos_target_options options;
    struct mos_target_shared *shared;
    bool is_clone;
    bool privileged;
    int root;
    // The directory that is open at present, as a path below the root, and the way to it.
    char *directory;
    size_t directory_capacity;
    struct step *steps;
    size_t depth;
    size_t capacity;
    struct mos_xattrs *xattrs;
};

__attribute__((format(printf, 3, 4))) void mos_target_warn(mos_target *target, const struct mos_entry *entry, const char *format, ...);

// The open directory that the path's last component, *out_name, stands in; borrowed until the next call. -1 with errno.
int mos_target_parent(mos_target *target, const char *path, bool create, const char **out_name);

// Owner, attributes, mode and time, in the order in which none undoes another. `descriptor`: the open file or directory, or -1 for what
// cannot be opened; then `name` in `parent`. `fresh`: nothing but what its parent handed down can be on it.
void mos_target_set_metadata(mos_target *target, const struct mos_entry *entry, int descriptor, int parent, const char *name, bool fresh);

#endif
