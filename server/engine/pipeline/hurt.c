#include "engine/pipeline/hurt.h"

#include <string.h>

static bool content_lost(const struct mos_hurt *hurt, mos_tree_reader *tree, const struct mos_entry *entry) {
    for (size_t part = 0; part < mos_entry_parts(entry); part++) {
        const struct mos_extent *extents;
        size_t count;
        if (mos_tree_extents(tree, entry, part, &extents, &count, NULL) != MOS_OK) {
            return true;
        }
        for (size_t i = 0; i < count; i++) {
            if (hurt->lost(hurt->context, &extents[i])) {
                return true;
            }
        }
    }
    return false;
}

// A lookup in the tree takes no memory, however many names there are, and is made only where something is lost.
static bool first_name_lost(const struct mos_hurt *hurt, const struct mos_entry *entry) {
    mos_tree_reader *tree = NULL;
    const struct mos_entry *first = NULL;
    bool lost = mos_tree_open(hurt->reader, entry->link_target, entry->link_target_bytes, &tree, NULL) != MOS_OK ||
                mos_tree_next(tree, &first, NULL) != MOS_OK || !first || strcmp(first->path, entry->link_target) != 0 ||
                content_lost(hurt, tree, first);
    mos_tree_close(tree);
    return lost;
}

bool mos_hurt_entry(struct mos_hurt *hurt, mos_tree_reader *tree, const struct mos_entry *entry) {
    // What a further name belongs to stands earlier in the tree, so its loss is known by now.
    bool lost = entry->type == MOS_ENTRY_HARDLINK ? hurt->any && first_name_lost(hurt, entry) : content_lost(hurt, tree, entry);
    hurt->any = hurt->any || lost;
    return lost;
}
