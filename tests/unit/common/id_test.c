#include "common/id.h"

#include <string.h>

#include "common/clock.h"
#include "unit/test.h"

MOS_TEST(later_ids_sort_after_earlier_ones) {
    char before[MOS_ID_TEXT_BYTES], now[MOS_ID_TEXT_BYTES];
    mos_clock_fake(INT64_C(1767182400) * MOS_NS_PER_SECOND); // all in one millisecond
    mos_id_new(before);
    for (int i = 0; i < 10000; i++) {
        mos_id_new(now);
        CU_ASSERT(strcmp(before, now) < 0);
        CU_ASSERT(mos_id_valid(now));
        memcpy(before, now, sizeof(now));
    }
    mos_clock_fake(INT64_C(1767182300) * MOS_NS_PER_SECOND); // the clock goes back
    mos_id_new(now);
    CU_ASSERT(strcmp(before, now) < 0);
    mos_clock_fake(0);
    CU_ASSERT_EQUAL(now[14], '7');
    CU_ASSERT(strchr("89ab", now[19]) != NULL);
}

MOS_TEST(ids_are_parsed_strictly) {
    uint8_t bytes[16];
    char text[MOS_ID_TEXT_BYTES];
    CU_ASSERT(mos_id_parse("019af2c0-1b2c-7d3e-8f40-5a6b7c8d9e0f", bytes));
    mos_id_format(bytes, text);
    CU_ASSERT_STRING_EQUAL(text, "019af2c0-1b2c-7d3e-8f40-5a6b7c8d9e0f");
    CU_ASSERT_FALSE(mos_id_valid("019af2c0-1b2c-7d3e-8f40-5a6b7c8d9e0F"));
    CU_ASSERT_FALSE(mos_id_valid("019af2c01b2c7d3e8f405a6b7c8d9e0f"));
    CU_ASSERT_FALSE(mos_id_valid("019af2c0-1b2c-7d3e-8f40-5a6b7c8d9e0f0"));
    CU_ASSERT_FALSE(mos_id_valid("../../etc/passwd"));
    CU_ASSERT_FALSE(mos_id_valid(""));
}

MOS_TEST(hexadecimal_goes_both_ways) {
    uint8_t bytes[3];
    char text[7];
    CU_ASSERT(mos_hex_decode("00ff1a", bytes, 3));
    mos_hex_encode(bytes, 3, text);
    CU_ASSERT_STRING_EQUAL(text, "00ff1a");
    CU_ASSERT_FALSE(mos_hex_decode("00ff1", bytes, 3));
    CU_ASSERT_FALSE(mos_hex_decode("00ff1a0", bytes, 3));
    CU_ASSERT_FALSE(mos_hex_decode("00fF1a", bytes, 3));
}
