#include "engine/repo/chunk_map.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

static size_t slot_of(const struct mos_chunk_map *map, const struct mos_chunk_id *id) {
    uint64_t hash;
    // Not the first bytes: those choose the writer's shard.
    memcpy(&hash, id->bytes + 8, sizeof(hash));
    size_t slot = (size_t)hash & (map->capacity - 1);
    while (map->slots[slot].pack != MOS_NO_PACK && memcmp(map->slots[slot].id.bytes, id->bytes, MOS_CHUNK_ID_BYTES) != 0) {
        slot = (slot + 1) & (map->capacity - 1);
    }
    return slot;
}

static void clear_slots(struct mos_chunk_map *map) {
    for (size_t i = 0; i < map->capacity; i++) {
        map->slots[i].pack = MOS_NO_PACK;
    }
    map->count = 0;
}

static void grow(struct mos_chunk_map *map) {
    struct mos_chunk_map next = {.capacity = map->capacity ? 2 * map->capacity : 64};
    next.slots = mos_calloc(next.capacity, sizeof(*next.slots));
    clear_slots(&next);
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].pack != MOS_NO_PACK) {
            next.slots[slot_of(&next, &map->slots[i].id)] = map->slots[i];
        }
    }
    next.count = map->count;
    free(map->slots);
    *map = next;
}

struct mos_chunk_place *mos_chunk_map_find(const struct mos_chunk_map *map, const struct mos_chunk_id *id) {
    if (map->count == 0) {
        return NULL;
    }
    struct mos_chunk_place *slot = &map->slots[slot_of(map, id)];
    return slot->pack == MOS_NO_PACK ? NULL : slot;
}

struct mos_chunk_place *mos_chunk_map_insert(struct mos_chunk_map *map, const struct mos_chunk_id *id, uint32_t pack, uint32_t value) {
    if (map->count + map->count / 2 >= map->capacity) {
        grow(map);
    }
    struct mos_chunk_place *slot = &map->slots[slot_of(map, id)];
    *slot = (struct mos_chunk_place){.id = *id, .pack = pack, .value = value};
    map->count++;
    return slot;
}

void mos_chunk_map_clear(struct mos_chunk_map *map) {
    clear_slots(map);
}

void mos_chunk_map_free(struct mos_chunk_map *map) {
    free(map->slots);
    *map = (struct mos_chunk_map){0};
}
