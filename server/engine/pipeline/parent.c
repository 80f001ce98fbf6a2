#include "engine/pipeline/parent.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "engine/pipeline/content.h"

// The lowest byte that a database's name can begin with; all paths of files come before.
static const char first_database[] = "\1";

// A tree that is walked through beside something else in path order.
struct walk {
    mos_tree_reader *tree;
    // The first entry that was not passed; NULL at the end.
    const struct mos_entry *at;
    bool begun;
    // The other side has come to the present entry, so the next step passes it.
    bool met;
    // Between the entry before and the present one a part of the tree is lost.
    bool gap;
};

enum finding { FOUND_NOTHING, FOUND_ADDED, FOUND_CHANGED, FOUND_SAME };

struct mos_parent {
    mos_reader *reader;
    mos_writer *writer;
    bool read_all;
    int64_t settled_before_ns;
    int64_t over_at_ns;
    struct walk files;
    struct walk databases;
    struct mos_parent_changes changes;
    // Of the entry found last.
    enum finding finding;
    // The chunk that was last seen to be there: neighbours share chunks.
    struct mos_chunk_id reused;
    bool has_reused;
    // A long list of extents, put together.
    struct mos_extent *extents;
    size_t extent_capacity;
};

mos_status mos_parent_open(mos_repository *repository, mos_writer *writer, const struct mos_parent_options *options, mos_parent **out,
                           struct mos_error *error) {
    mos_parent *parent = mos_calloc(1, sizeof(*parent));
    parent->writer = writer;
    parent->read_all = options->read_all;
    mos_status status = mos_reader_open(repository, options->backup_id, &parent->reader, error);
    status = status ? status : mos_tree_open(parent->reader, NULL, 0, &parent->files.tree, error);
    status = status ? status : mos_tree_open(parent->reader, first_database, sizeof(first_database) - 1, &parent->databases.tree, error);
    if (status) {
        mos_parent_close(parent);
        return status;
    }
    const Mosaajii__Engine__V1__BackupInfo *info = mos_reader_info(parent->reader);
    // Without a word about its beginning nothing of it can be trusted.
    parent->settled_before_ns = info->scanned_at_unix_ns ? info->scanned_at_unix_ns - options->settle_ns : INT64_MIN;
    parent->over_at_ns = info->completed_at_unix_ns + options->settle_ns;
    *out = parent;
    return MOS_OK;
}

void mos_parent_close(mos_parent *parent) {
    if (parent) {
        mos_tree_close(parent->files.tree);
        mos_tree_close(parent->databases.tree);
        mos_reader_close(parent->reader);
        free(parent->extents);
        free(parent);
    }
}

const Mosaajii__Engine__V1__BackupInfo *mos_parent_info(const mos_parent *parent) {
    return mos_reader_info(parent->reader);
}

// ---- Walking ----

static void step(mos_parent *parent, struct walk *walk) {
    walk->begun = true;
    walk->met = false;
    walk->gap = false;
    while (mos_tree_next(walk->tree, &walk->at, NULL) != MOS_OK) {
        walk->gap = parent->changes.lost = true;
    }
}

static int compare(const struct mos_entry *a, const struct mos_entry *b) {
    if (a->path_bytes == b->path_bytes && memcmp(a->path, b->path, a->path_bytes) == 0) {
        return 0;
    }
    return mos_path_compare(a->path, a->path_bytes, b->path, b->path_bytes);
}

// Goes on to the entry, or to the end where there is none; what is passed was removed. NULL where the entry is new.
static const struct mos_entry *walk_to(mos_parent *parent, struct walk *walk, const struct mos_entry *entry) {
    if (!walk->begun || walk->met) {
        step(parent, walk);
    }
    int order = -1;
    while (walk->at && (!entry || (order = compare(walk->at, entry)) < 0)) {
        parent->changes.removed += walk->at->type != MOS_ENTRY_DIRECTORY;
        step(parent, walk);
    }
    walk->met = walk->at && order == 0;
    return walk->met ? walk->at : NULL;
}

static void count(mos_parent *parent, const struct mos_entry *entry, enum finding finding) {
    parent->finding = entry->type == MOS_ENTRY_DIRECTORY ? FOUND_NOTHING : finding;
    parent->changes.added += parent->finding == FOUND_ADDED;
    parent->changes.changed += parent->finding == FOUND_CHANGED;
}

// ---- Files ----

static bool same(const struct mos_entry *was, const struct mos_entry *is) {
    return was->type == is->type && was->size_bytes == is->size_bytes && was->modified_unix_ns == is->modified_unix_ns &&
           was->changed_unix_ns == is->changed_unix_ns && was->inode == is->inode && was->device == is->device && was->mode == is->mode &&
           was->uid == is->uid && was->gid == is->gid && was->device_major == is->device_major && was->device_minor == is->device_minor &&
           (is->type != MOS_ENTRY_HARDLINK ||
            (was->link_target_bytes == is->link_target_bytes && memcmp(was->link_target, is->link_target, is->link_target_bytes) == 0));
}

// Whether the times would be others if something had changed after it was looked at. A time of modification may also have been set by hand,
// to one that had not come yet.
static bool settled(const mos_parent *parent, const struct mos_entry *entry) {
    return entry->changed_unix_ns < parent->settled_before_ns &&
           (entry->modified_unix_ns < parent->settled_before_ns || entry->modified_unix_ns > parent->over_at_ns);
}

static mos_status reuse(mos_parent *parent, const struct mos_extent *extents, size_t extent_count, bool *out_found,
                        struct mos_error *error) {
    mos_status status = MOS_OK;
    *out_found = true;
    for (size_t i = 0; i < extent_count && status == MOS_OK && *out_found; i++) {
        const struct mos_chunk_id *id = &extents[i].chunk;
        if (parent->has_reused && memcmp(parent->reused.bytes, id->bytes, MOS_CHUNK_ID_BYTES) == 0) {
            continue;
        }
        status = mos_writer_reuse(parent->writer, id, out_found, error);
        parent->has_reused = status == MOS_OK && *out_found;
        parent->reused = *id;
    }
    return status;
}

// All extents of an entry whose list is long.
static bool gather(mos_parent *parent, const struct mos_entry *was, size_t *out_count) {
    *out_count = 0;
    for (size_t part = 0; part < mos_entry_parts(was); part++) {
        const struct mos_extent *extents;
        size_t extent_count;
        if (mos_tree_extents(parent->files.tree, was, part, &extents, &extent_count, NULL) != MOS_OK) {
            return false;
        }
        if (*out_count + extent_count > parent->extent_capacity) {
            parent->extent_capacity = 2 * (*out_count + extent_count);
            parent->extents = mos_realloc(parent->extents, parent->extent_capacity * sizeof(*parent->extents));
        }
        memcpy(parent->extents + *out_count, extents, extent_count * sizeof(*extents));
        *out_count += extent_count;
    }
    return true;
}

static mos_status take_over(mos_parent *parent, const struct mos_entry *was, struct mos_entry *entry, bool *out_taken,
                            struct mos_error *error) {
    const struct mos_extent *extents = was->extents;
    size_t extent_count = was->extent_count;
    *out_taken = was->list_count == 0 || gather(parent, was, &extent_count);
    if (was->list_count) {
        extents = parent->extents;
    }
    mos_status status = *out_taken ? reuse(parent, extents, extent_count, out_taken, error) : MOS_OK;
    if (status == MOS_OK && *out_taken) {
        entry->link_target = was->link_target;
        entry->link_target_bytes = was->link_target_bytes;
        entry->xattrs = was->xattrs;
        entry->xattr_count = was->xattr_count;
        entry->sparse = was->sparse;
        entry->ranges = was->ranges;
        entry->range_count = was->range_count;
        entry->extents = extents;
        entry->extent_count = extent_count;
    }
    return status;
}

mos_status mos_parent_find(mos_parent *parent, struct mos_entry *entry, bool *out_unchanged, struct mos_error *error) {
    const struct mos_entry *was = walk_to(parent, &parent->files, entry);
    *out_unchanged = false;
    if (!was) {
        count(parent, entry, parent->files.gap ? FOUND_NOTHING : FOUND_ADDED);
        return MOS_OK;
    }
    bool unchanged = same(was, entry);
    count(parent, entry, unchanged ? FOUND_SAME : FOUND_CHANGED);
    if (!unchanged || parent->read_all || !settled(parent, entry)) {
        return MOS_OK;
    }
    return take_over(parent, was, entry, out_unchanged, error);
}

void mos_parent_left_out(mos_parent *parent) {
    parent->changes.added -= parent->finding == FOUND_ADDED;
    parent->changes.changed -= parent->finding == FOUND_CHANGED;
    parent->changes.removed += parent->finding == FOUND_CHANGED || parent->finding == FOUND_SAME;
    parent->finding = FOUND_NOTHING;
}

void mos_parent_end_files(mos_parent *parent) {
    static const struct mos_entry behind = {.path = first_database, .path_bytes = sizeof(first_database) - 1};
    walk_to(parent, &parent->files, &behind);
}

// ---- Databases ----

static bool same_content(mos_parent *parent, const struct mos_entry *was, const struct mos_entry *is) {
    size_t done = 0;
    for (size_t part = 0; part < mos_entry_parts(was); part++) {
        const struct mos_extent *extents;
        size_t extent_count;
        if (mos_tree_extents(parent->databases.tree, was, part, &extents, &extent_count, NULL) != MOS_OK ||
            extent_count > is->extent_count - done || memcmp(extents, is->extents + done, extent_count * sizeof(*extents)) != 0) {
            return false;
        }
        done += extent_count;
    }
    return was->size_bytes == is->size_bytes && done == is->extent_count;
}

void mos_parent_database(mos_parent *parent, const struct mos_entry *entry) {
    const struct mos_entry *was = walk_to(parent, &parent->databases, entry);
    count(parent, entry,
          was                     ? same_content(parent, was, entry) ? FOUND_SAME : FOUND_CHANGED
          : parent->databases.gap ? FOUND_NOTHING
                                  : FOUND_ADDED);
}

void mos_parent_changes(mos_parent *parent, struct mos_parent_changes *out) {
    walk_to(parent, &parent->databases, NULL);
    *out = parent->changes;
}
