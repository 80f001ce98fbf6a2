// Which entries of a backup any damage hurts, as a check of its packs found it.
#ifndef MOS_ENGINE_PIPELINE_HURT_H
#define MOS_ENGINE_PIPELINE_HURT_H

#include "engine/repo/reader.h"

struct mos_hurt {
    // Borrowed, as is the context.
    mos_reader *reader;
    bool (*lost)(const void *context, const struct mos_extent *extent);
    const void *context;
    // Something of the backup is lost: only then a file's further names are looked up.
    bool any;
};

// Something of its content is lost; of a further name: of the file's, or the file's own entry. Call it for all entries in order.
bool mos_hurt_entry(struct mos_hurt *hurt, mos_tree_reader *tree, const struct mos_entry *entry);

#endif
