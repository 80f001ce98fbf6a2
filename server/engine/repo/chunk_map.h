// From chunk ids to where the chunk lies. Open addressing; ids are keyed hashes, so their own bits are the hash. Not thread safe.
#ifndef MOS_ENGINE_REPO_CHUNK_MAP_H
#define MOS_ENGINE_REPO_CHUNK_MAP_H

#include "engine/repo/repository.h"

// Never a pack's number.
#define MOS_NO_PACK UINT32_MAX

struct mos_chunk_place {
    struct mos_chunk_id id;
    uint32_t pack;
    // What the owner of the map puts here: number of the frame, or sealed size.
    uint32_t value;
};

struct mos_chunk_map {
    // A slot is free when its pack is MOS_NO_PACK.
    struct mos_chunk_place *slots;
    size_t capacity;
    size_t count;
};

// Zero initialised is an empty map. Borrowed until the next insertion; NULL when the map does not hold the id.
struct mos_chunk_place *mos_chunk_map_find(const struct mos_chunk_map *map, const struct mos_chunk_id *id);
// The id is not in the map yet; `pack` is not MOS_NO_PACK. Borrowed until the next insertion.
struct mos_chunk_place *mos_chunk_map_insert(struct mos_chunk_map *map, const struct mos_chunk_id *id, uint32_t pack, uint32_t value);
// Empties it and keeps the memory.
void mos_chunk_map_clear(struct mos_chunk_map *map);
void mos_chunk_map_free(struct mos_chunk_map *map);

#endif
