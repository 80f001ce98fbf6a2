// Private to target*.c.
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

enum { MOS_TARGET_TEMPORARY_NAME_BYTES = 40 };

// What new files get in a directory before anybody sets it. The first one there is looked at, and those that follow are like it.
struct mos_newborn {
    // Only who owns the directory can change what it hands down: in others' directories every file is looked at.
    bool asked;
    bool lasts;
    bool owner_known;
    bool acl_known;
    bool has_acl;
    uid_t uid;
    gid_t gid;
};

struct step {
    // -1: closed, to save descriptors.
    int descriptor;
    // Behind the component's name in `directory`.
    size_t end;
    struct mos_newborn newborn;
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
    // Of the root itself.
    struct mos_newborn top;
};

__attribute__((format(printf, 3, 4))) void mos_target_warn(mos_target *target, const struct mos_entry *entry, const char *format, ...);

// The open directory that the path's last component, *out_name, stands in; borrowed until the next call. -1 with errno.
int mos_target_parent(mos_target *target, const char *path, bool create, const char **out_name);

// Of the directory that mos_target_parent gave last. Borrowed until its next call.
struct mos_newborn *mos_target_newborn(mos_target *target);

// Counts the path as failed, unless the disk is full: then nothing more makes sense.
mos_status mos_target_give_up(mos_target *target, const struct mos_entry *entry, int reason, const char *what, enum mos_outcome *out,
                              struct mos_error *error);
// The parent, when the entry may be written; -1 with the outcome otherwise.
int mos_target_prepare(mos_target *target, const struct mos_entry *entry, const char **out_name, enum mos_outcome *out,
                       mos_status *out_status, struct mos_error *error);
void mos_target_temporary_name(char name[MOS_TARGET_TEMPORARY_NAME_BYTES]);
// The finished object gets its name. Without REPLACE, what has come there meanwhile stays.
mos_status mos_target_put_in_place(mos_target *target, const struct mos_entry *entry, int parent, const char *temporary, const char *name,
                                   enum mos_outcome *out, struct mos_error *error);
// An earlier database's journal lies where the database belongs.
bool mos_target_has_journal(int parent, const char *name);

// Owner, attributes, mode and time, in the order in which none undoes another; only with the time it looks finished. `descriptor`: the
// open file or directory, or -1 for what cannot be opened; then `name` in `parent`. `newborn`: it is new, so that nothing but what its
// parent handed down can be on it; what is learned of that is kept there. NULL: it was there before.
void mos_target_set_metadata(mos_target *target, const struct mos_entry *entry, int descriptor, int parent, const char *name,
                             struct mos_newborn *newborn);

#endif
