// Moved objects: where the chunks of a pack lie that was rewritten. The manifests that name the pack stay as they are.
#ifndef MOS_ENGINE_REPO_MOVED_H
#define MOS_ENGINE_REPO_MOVED_H

#include "engine/repo/chunk_map.h"
#include "engine/repo/pack.h"

#define MOS_MOVED_MAX_PACKS 65536u

// moved/ab01…
void mos_moved_name(const uint8_t id[MOS_PACK_ID_BYTES], char out_name[MOS_OBJECT_NAME_BYTES]);

// The packs that hold what is needed of `pack`. The object is written whole and flushed.
mos_status mos_moved_write(int root, const struct mos_pack *pack, const struct mos_pack *targets, size_t count, struct mos_error *error);
// *out is the caller's: mos_packs_free. MOS_NOT_FOUND where the pack was not moved, MOS_CORRUPT for an object that does not open.
mos_status mos_moved_read(int root, const struct mos_pack *pack, struct mos_pack **out, size_t *out_count, struct mos_error *error);
// The sealed list alone, opened: for mos_moved_read and the fuzzer.
bool mos_moved_decode(const uint8_t *plain, size_t size_bytes, struct mos_pack **out, size_t *out_count);
// A list of packs, keys and all, in memory for secrets.
void mos_packs_free(struct mos_pack *packs, size_t count);

// Packs, each once, with their keys. Not thread safe. Zero initialised is an empty list.
struct mos_pack_list {
    struct mos_pack *packs;
    size_t count;
    size_t capacity;
    struct mos_chunk_map *positions;
};
// The position of the pack, which is added where the list does not have it yet.
size_t mos_pack_list_add(struct mos_pack_list *list, const struct mos_pack *pack, bool *out_added);
// MOS_NO_PACK where the list does not have it.
uint32_t mos_pack_list_find(const struct mos_pack_list *list, const uint8_t id[MOS_PACK_ID_BYTES]);
void mos_pack_list_free(struct mos_pack_list *list);

// Adds the packs in which what a manifest looks for in `pack` can be found. `all` false: the pack itself where it is there, or else those
// it was moved to; for reading. `all` true: the pack and those it was moved to, those too where it is still there; for deciding what is
// needed. A pack that is gone and does not lead to others is added itself. *out_first (may be NULL): position of the first, MOS_NO_PACK
// where the pack was moved and nothing of it was needed. MOS_CORRUPT when there are more packs than the format allows.
mos_status mos_pack_list_follow(struct mos_pack_list *list, int root, const struct mos_pack *pack, bool all, uint32_t *out_first,
                                struct mos_error *error);

#endif
