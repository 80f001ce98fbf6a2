// The local index: which chunks the repository has, and in which packs. Never needed for reading a backup; rebuilt when it is lost.
#ifndef MOS_ENGINE_REPO_INDEX_H
#define MOS_ENGINE_REPO_INDEX_H

#include "engine/repo/pack.h"

// A view of the index as it was when opened. Immutable; may be read by several threads.
typedef struct mos_index mos_index;

// Merges the entries of packs finished since, drops packs that are gone, set aside or have another size, and opens the result.
// *out_missing: there was no (valid) main index, so mos_repository_rebuild_index may find more. Blocks on disk and on lock/index. Needs the
// repository's keys.
mos_status mos_index_open(const mos_repository *repository, mos_index **out, bool *out_missing, struct mos_error *error);
void mos_index_close(mos_index *index);

struct mos_index_hit {
    // 0 to mos_index_pack_count - 1.
    uint32_t pack;
    uint32_t sealed_bytes;
};
bool mos_index_find(const mos_index *index, const struct mos_chunk_id *id, struct mos_index_hit *out);
size_t mos_index_pack_count(const mos_index *index);
size_t mos_index_chunk_count(const mos_index *index);
// With its key. MOS_CORRUPT when the key does not open.
mos_status mos_index_pack(const mos_index *index, uint32_t number, struct mos_pack *out, struct mos_error *error);
bool mos_index_has_pack(const mos_index *index, const uint8_t id[MOS_PACK_ID_BYTES]);

// A finished pack's entry. Thread safe.
mos_status mos_index_add(const mos_repository *repository, const struct mos_pack *pack, const struct mos_frame *frames,
                         struct mos_error *error);
// Writes the index without these packs (count times MOS_PACK_ID_BYTES).
mos_status mos_index_remove(const mos_repository *repository, const uint8_t *pack_ids, size_t count, struct mos_error *error);

// The content of an entry, for the index and the fuzzer. *out_frames is the caller's (free).
bool mos_index_entry_decode(const uint8_t *plain, size_t size_bytes, struct mos_pack *out_pack, struct mos_frame **out_frames);

#endif
