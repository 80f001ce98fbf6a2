// An earlier backup of the same sources, walked through in step with a new one: what has not changed since need not be read, and what was
// added, changed and removed is counted. Memory does not grow with the number of files. One thread.
//
//     for each entry of the scan: mos_parent_find(parent, entry, &unchanged, error), and mos_parent_left_out if it cannot be taken after
//     all mos_parent_end_files(parent); for each database, with its extents: mos_parent_database(parent, entry); mos_parent_changes(parent,
//     &changes);
#ifndef MOS_ENGINE_PIPELINE_PARENT_H
#define MOS_ENGINE_PIPELINE_PARENT_H

#include "engine/repo/reader.h"
#include "engine/repo/writer.h"

typedef struct mos_parent mos_parent;

struct mos_parent_options {
    const char *backup_id;
    // Nothing is taken over, changes are counted all the same.
    bool read_all;
    // How long before the earlier backup a file must have been left alone. Its times alone do not tell more: they advance in steps, a
    // network's may be old, and a mapped page that is written to again before it has gone to disk leaves them as they are.
    int64_t settle_ns;
};

// `writer` is the new backup's, begun already: while it lives nothing is removed from the repository. Fails as mos_reader_open.
mos_status mos_parent_open(mos_repository *repository, mos_writer *writer, const struct mos_parent_options *options, mos_parent **out,
                           struct mos_error *error);
void mos_parent_close(mos_parent *parent);
// Borrowed.
const Mosaajii__Engine__V1__BackupInfo *mos_parent_info(const mos_parent *parent);

// `entry` is what a scan knows of the next path from its stat. *out_unchanged: it is what it was, all its content is still in the
// repository, and all that was missing (attributes, link target, ranges, extents) is filled in, borrowed until the next call; names of
// owners are left alone. Fails only when the writer has failed.
mos_status mos_parent_find(mos_parent *parent, struct mos_entry *entry, bool *out_unchanged, struct mos_error *error);
// The entry found last does not come into the backup.
void mos_parent_left_out(mos_parent *parent);
// No file comes any more: those that are left of the earlier backup were removed.
void mos_parent_end_files(mos_parent *parent);
// A database as it goes into the tree, in path order.
void mos_parent_database(mos_parent *parent, const struct mos_entry *entry);

struct mos_parent_changes {
    // Everything but directories. What stood in a part of the tree that is lost is in none of them.
    int64_t added;
    int64_t changed;
    int64_t removed;
    // A part of the earlier backup's tree is lost: what it held was read.
    bool lost;
};
// At the end; databases that did not come were removed.
void mos_parent_changes(mos_parent *parent, struct mos_parent_changes *out);

#endif
