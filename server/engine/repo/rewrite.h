// Copies the needed chunks of packs into new packs. Part of a prune.
#ifndef MOS_ENGINE_REPO_REWRITE_H
#define MOS_ENGINE_REPO_REWRITE_H

#include "engine/repo/live.h"

// A pack to be rewritten, and what lies in it.
struct mos_rewrite_source {
    const struct mos_pack *pack;
    const struct mos_frame *frames;
    // Its position in the list of needed packs.
    uint32_t position;
    // Set by mos_rewrite: needed chunks are in new packs, the moved object is written. false: the pack is damaged and stays.
    bool moved;
    // Of mos_rewrite alone.
    struct mos_pack_list leads;
};

// What is needed is copied, but chunks that have their home in another pack, where they can be read: the moved object leads there.
//
// Writes the new packs, then the moved objects, then sets the old packs aside, then puts the new ones into the index.
// With lock/running held.
mos_status mos_rewrite(mos_repository *repository, const struct mos_live *live, struct mos_rewrite_source *sources, size_t count,
                       struct mos_error *error);

#endif
