#include "engine/repo/chunk_map.h"

#include <string.h>

#include "unit/test.h"

// Ids whose hash is the number in the low bits, so that many of them want the same slot.
static struct mos_chunk_id id_of(uint32_t number) {
    struct mos_chunk_id id = {{0}};
    memcpy(id.bytes, &number, sizeof(number));
    id.bytes[8] = (uint8_t)(number % 3);
    return id;
}

MOS_TEST(what_was_put_in_is_found_while_it_grows) {
    struct mos_chunk_map map = {0};
    enum { COUNT = 5000 };
    struct mos_chunk_id none = id_of(COUNT);
    CU_ASSERT_PTR_NULL(mos_chunk_map_find(&map, &none));
    for (uint32_t i = 0; i < COUNT; i++) {
        struct mos_chunk_id id = id_of(i);
        const struct mos_chunk_place *place = mos_chunk_map_insert(&map, &id, i / 2, i);
        CU_ASSERT(place->pack == i / 2 && place->value == i);
    }
    CU_ASSERT_EQUAL(map.count, COUNT);
    size_t found = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        struct mos_chunk_id id = id_of(i);
        const struct mos_chunk_place *place = mos_chunk_map_find(&map, &id);
        found += place && place->pack == i / 2 && place->value == i && memcmp(&place->id, &id, sizeof(id)) == 0;
    }
    CU_ASSERT_EQUAL(found, COUNT);
    CU_ASSERT_PTR_NULL(mos_chunk_map_find(&map, &none));
    mos_chunk_map_free(&map);
    CU_ASSERT_PTR_NULL(mos_chunk_map_find(&map, &none));
}

MOS_TEST(a_place_can_be_changed_where_it_is) {
    struct mos_chunk_map map = {0};
    struct mos_chunk_id id = id_of(1);
    mos_chunk_map_insert(&map, &id, 0, 7);
    mos_chunk_map_find(&map, &id)->value = 8;
    CU_ASSERT_EQUAL(mos_chunk_map_find(&map, &id)->value, 8);
    mos_chunk_map_free(&map);
}

MOS_TEST(a_cleared_map_is_empty_and_usable) {
    struct mos_chunk_map map = {0};
    for (uint32_t i = 0; i < 100; i++) {
        struct mos_chunk_id id = id_of(i);
        mos_chunk_map_insert(&map, &id, 0, i);
    }
    mos_chunk_map_clear(&map);
    for (uint32_t i = 0; i < 100; i++) {
        struct mos_chunk_id id = id_of(i);
        CU_ASSERT_PTR_NULL(mos_chunk_map_find(&map, &id));
    }
    CU_ASSERT_EQUAL(map.count, 0);
    struct mos_chunk_id id = id_of(5);
    mos_chunk_map_insert(&map, &id, 9, 1);
    CU_ASSERT_EQUAL(mos_chunk_map_find(&map, &id)->pack, 9);
    // What was there before stays gone.
    id = id_of(8);
    CU_ASSERT_PTR_NULL(mos_chunk_map_find(&map, &id));
    mos_chunk_map_free(&map);
}
