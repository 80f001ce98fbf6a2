#include "engine/repo/bytes.h"

#include <string.h>

#include "unit/test.h"

MOS_TEST(fixed_numbers_are_little_endian) {
    uint8_t bytes[8];
    mos_put_u16(bytes, 0x1234);
    CU_ASSERT_EQUAL(memcmp(bytes, "\x34\x12", 2), 0);
    CU_ASSERT_EQUAL(mos_get_u16(bytes), 0x1234);
    mos_put_u32(bytes, UINT32_C(0xfedcba98));
    CU_ASSERT_EQUAL(memcmp(bytes, "\x98\xba\xdc\xfe", 4), 0);
    CU_ASSERT_EQUAL(mos_get_u32(bytes), UINT32_C(0xfedcba98));
    mos_put_u64(bytes, UINT64_C(0xfedcba9876543210));
    CU_ASSERT_EQUAL(memcmp(bytes, "\x10\x32\x54\x76\x98\xba\xdc\xfe", 8), 0);
    CU_ASSERT_EQUAL(mos_get_u64(bytes), UINT64_C(0xfedcba9876543210));
}

MOS_TEST(varints_come_back_in_their_shortest_form) {
    static const struct {
        uint64_t value;
        size_t size_bytes;
    } cases[] = {{0, 1}, {127, 1}, {128, 2}, {16383, 2}, {16384, 3}, {UINT32_MAX, 5}, {(uint64_t)INT64_MAX, 9}, {UINT64_MAX, 10}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
        mos_append_varint(&bytes, cases[i].value);
        CU_ASSERT_EQUAL(bytes.size_bytes, cases[i].size_bytes);
        struct mos_cursor cursor = {.next = bytes.data, .left_bytes = bytes.size_bytes};
        CU_ASSERT_EQUAL(mos_cursor_varint(&cursor), cases[i].value);
        CU_ASSERT(!cursor.failed && cursor.left_bytes == 0);
        for (size_t cut = 0; cut < bytes.size_bytes; cut++) {
            cursor = (struct mos_cursor){.next = bytes.data, .left_bytes = cut};
            CU_ASSERT_EQUAL(mos_cursor_varint(&cursor), 0);
            CU_ASSERT_TRUE(cursor.failed);
        }
    }
    static const struct {
        const char *bytes;
        size_t size_bytes;
    } wrong[] = {{"\x80\0", 2},
                 {"\xff\x80\0", 3},
                 {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", 10},
                 {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\0", 11},
                 {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct mos_cursor cursor = {.next = (const uint8_t *)wrong[i].bytes, .left_bytes = wrong[i].size_bytes};
        CU_ASSERT_EQUAL(mos_cursor_varint(&cursor), 0);
        CU_ASSERT_TRUE(cursor.failed);
    }
}

MOS_TEST(signed_numbers_come_back) {
    static const int64_t values[] = {0, -1, 1, -64, 64, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
        mos_append_svarint(&bytes, values[i]);
        struct mos_cursor cursor = {.next = bytes.data, .left_bytes = bytes.size_bytes};
        CU_ASSERT_EQUAL(mos_cursor_svarint(&cursor), values[i]);
        CU_ASSERT(!cursor.failed && cursor.left_bytes == 0);
        CU_ASSERT(values[i] < -64 || values[i] > 63 || bytes.size_bytes == 1);
    }
}

MOS_TEST(strings_stay_within_limit_and_end) {
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    size_t size = 0;
    mos_append_string(&bytes, "a\0b", 3);
    mos_append_string(&bytes, "", 0);
    struct mos_cursor cursor = {.next = bytes.data, .left_bytes = bytes.size_bytes};
    const uint8_t *text = mos_cursor_string(&cursor, 3, &size);
    CU_ASSERT(text && size == 3 && memcmp(text, "a\0b", 3) == 0);
    CU_ASSERT_PTR_NOT_NULL(mos_cursor_string(&cursor, 0, &size));
    CU_ASSERT(size == 0 && !cursor.failed && cursor.left_bytes == 0);
    cursor = (struct mos_cursor){.next = bytes.data, .left_bytes = bytes.size_bytes};
    CU_ASSERT_PTR_NULL(mos_cursor_string(&cursor, 2, &size));
    CU_ASSERT(cursor.failed && size == 0);
    cursor = (struct mos_cursor){.next = bytes.data, .left_bytes = 3};
    CU_ASSERT_PTR_NULL(mos_cursor_string(&cursor, 100, &size));
    CU_ASSERT(cursor.failed && size == 0);
}

MOS_TEST(once_failed_a_cursor_yields_nothing_more) {
    static const uint8_t bytes[] = {5, 6, 7};
    struct mos_cursor cursor = {.next = bytes, .left_bytes = 3};
    CU_ASSERT_EQUAL(mos_cursor_varint_max(&cursor, 5), 5);
    CU_ASSERT_EQUAL(mos_cursor_varint_max(&cursor, 5), 0);
    CU_ASSERT_TRUE(cursor.failed);
    CU_ASSERT_EQUAL(mos_cursor_byte(&cursor), 0);
    CU_ASSERT_EQUAL(mos_cursor_varint(&cursor), 0);
    CU_ASSERT_EQUAL(mos_cursor_svarint(&cursor), 0);
    CU_ASSERT_PTR_NULL(mos_cursor_bytes(&cursor, 0));
    cursor = (struct mos_cursor){.next = bytes, .left_bytes = 3};
    CU_ASSERT_PTR_NULL(mos_cursor_bytes(&cursor, SIZE_MAX));
    CU_ASSERT_TRUE(cursor.failed);
}
