// What the committed backups need: every chunk, and every pack that one of them names or that such a pack was moved to. Not thread safe.
#ifndef MOS_ENGINE_REPO_LIVE_H
#define MOS_ENGINE_REPO_LIVE_H

#include "engine/repo/chunk_map.h"
#include "engine/repo/files.h"
#include "engine/repo/moved.h"

struct mos_live {
    mos_repository *repository;
    bool (*cancelled)(void *context);
    void *context;
    struct mos_pack_list packs;
    // One for each pack: a backup whose tree is damaged needs it, so that nobody knows which of its chunks are needed.
    bool *whole;
    size_t whole_capacity;
    // Each with its home.
    struct mos_chunk_map chunks;
    // Backups looked at so far.
    struct mos_names seen;
    // Backups of which nothing is known, and why not, of the first of them.
    int64_t unreadable;
    struct mos_error unreadable_error;
};

// `cancelled` may be NULL.
void mos_live_begin(struct mos_live *live, mos_repository *repository, bool (*cancelled)(void *context), void *context);
// Adds what is needed by all backups that were not looked at before. A backup that vanishes meanwhile is left out. Damage is no failure of
// the call: `unreadable` and `whole` say what is not known.
mos_status mos_live_update(struct mos_live *live, struct mos_error *error);
bool mos_live_has(const struct mos_live *live, const struct mos_chunk_id *id);
// A chunk may lie in several packs, and one is enough: the first to claim it is its home. true: now, or already, it is this frame of this
// pack (by its position in `packs`). false: it is not needed, or has its home elsewhere.
bool mos_live_claim(struct mos_live *live, const struct mos_chunk_id *id, uint32_t pack, uint32_t frame);
// MOS_NO_PACK where nobody claimed it.
uint32_t mos_live_home(const struct mos_live *live, const struct mos_chunk_id *id, uint32_t *out_frame);
void mos_live_free(struct mos_live *live);

#endif
