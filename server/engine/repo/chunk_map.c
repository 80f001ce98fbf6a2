#include "engine/repo/chunk_map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

// The ids are random where our writer made them. A hostile repository may choose them: unknown factors keep it from making them collide.
static uint64_t factors[4];

static void choose_factors(void) {
    mos_random(factors, sizeof(factors));
}

static uint64_t mix(uint64_t a, uint64_t b) {
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static size_t slot_of(const struct mos_chunk_map *map, const struct mos_chunk_id *id) {
    uint64_t words[4];
    memcpy(words, id->bytes, sizeof(words));
    size_t slot = (size_t)(mix(words[0] ^ factors[0], words[1] ^ factors[1]) ^ mix(words[2] ^ factors[2], words[3] ^ factors[3])) &
                  (map->capacity - 1);
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
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose_factors);
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
