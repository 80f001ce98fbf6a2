#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "unit/test.h"

MOS_TEST(arena_memory_is_zeroed_and_aligned) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    for (size_t size = 0; size < 10000; size = size * 2 + 1) {
        unsigned char *memory = mos_arena_alloc(arena, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
        CU_ASSERT_EQUAL((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < size; i++) {
            CU_ASSERT_EQUAL(memory[i], 0);
        }
        memset(memory, 0xff, size);
    }
    CU_ASSERT_STRING_EQUAL(mos_arena_printf(arena, "%d %s", 7, "sevens"), "7 sevens");
    CU_ASSERT_STRING_EQUAL(mos_arena_strdup(arena, "text"), "text");
}

MOS_TEST(arena_has_a_ceiling) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1000);
    CU_ASSERT_PTR_NOT_NULL(mos_arena_alloc(arena, 900));
    CU_ASSERT_PTR_NULL(mos_arena_alloc(arena, 900));
    CU_ASSERT_PTR_NULL(mos_arena_alloc(arena, SIZE_MAX));
    CU_ASSERT_PTR_NULL(mos_arena_calloc(arena, SIZE_MAX / 2, 3));
    CU_ASSERT_PTR_NOT_NULL(mos_arena_alloc(arena, 16));
    CU_ASSERT(mos_arena_used_bytes(arena) <= 1000);
}

MOS_TEST(buffer_grows_to_its_ceiling_and_no_further) {
    MOS_CLEANUP_BUFFER struct mos_buffer buffer = MOS_BUFFER_INIT(10);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&buffer), "");
    CU_ASSERT(mos_buffer_append_text(&buffer, "01234567"));
    CU_ASSERT_FALSE(mos_buffer_append_text(&buffer, "890"));
    CU_ASSERT(mos_buffer_printf(&buffer, "%d", 89));
    CU_ASSERT_FALSE(mos_buffer_append_byte(&buffer, 'x'));
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&buffer), "0123456789");
    mos_buffer_clear(&buffer);
    CU_ASSERT(mos_buffer_append(&buffer, "a\0b", 3));
    CU_ASSERT_EQUAL(buffer.size_bytes, 3);
    CU_ASSERT_FALSE(mos_buffer_reserve(&buffer, SIZE_MAX));
}
