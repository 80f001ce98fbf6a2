#include "engine/chunk/compress.h"

#include <stdlib.h>
#include <string.h>

#include "common/id.h"
#include "unit/test.h"

#define SIZE (1u << 20)

static void fill_text(uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t) "the quick brown fox "[(i * i / 7) % 20];
    }
}

MOS_TEST(text_gets_smaller_and_comes_back) {
    uint8_t *data = malloc(SIZE);
    uint8_t *back = malloc(SIZE);
    mos_decompressor *decompressor = mos_decompressor_create();
    for (int level = 1; level < 4; level++) {
        static const size_t sizes[] = {64, 1000, 16384, 200000, SIZE};
        mos_compressor *compressor = mos_compressor_create(level);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            const uint8_t *packed = NULL;
            size_t packed_bytes = 0;
            fill_text(data, sizes[i]);
            if (mos_compress(compressor, data, sizes[i], &packed, &packed_bytes)) {
                CU_ASSERT(packed_bytes < sizes[i]);
                CU_ASSERT_TRUE(mos_decompress(decompressor, packed, packed_bytes, back, sizes[i]));
                CU_ASSERT_EQUAL(memcmp(data, back, sizes[i]), 0);
            } else {
                CU_ASSERT_EQUAL(sizes[i], 64);
            }
        }
        mos_compressor_destroy(compressor);
    }
    mos_decompressor_destroy(decompressor);
    free(data);
    free(back);
}

MOS_TEST(what_does_not_pay_stays_as_it_is) {
    uint8_t *data = malloc(SIZE);
    const uint8_t *packed;
    size_t packed_bytes;
    mos_compressor *compressor = mos_compressor_create(1);
    mos_random(data, SIZE);
    CU_ASSERT_FALSE(mos_compress(compressor, data, SIZE, &packed, &packed_bytes));
    CU_ASSERT_FALSE(mos_compress(compressor, data, 1000, &packed, &packed_bytes));
    CU_ASSERT_FALSE(mos_compress(compressor, data, 1, &packed, &packed_bytes));
    mos_compressor_destroy(compressor);
    compressor = mos_compressor_create(0);
    memset(data, 0, SIZE);
    CU_ASSERT_FALSE(mos_compress(compressor, data, SIZE, &packed, &packed_bytes));
    mos_compressor_destroy(compressor);
    free(data);
}

MOS_TEST(anything_but_one_whole_frame_is_refused) {
    static uint8_t data[4096];
    static uint8_t back[8192];
    static uint8_t twice[8192];
    const uint8_t *packed = NULL;
    size_t size = 0;
    mos_compressor *compressor = mos_compressor_create(1);
    mos_decompressor *decompressor = mos_decompressor_create();
    fill_text(data, sizeof(data));
    CU_ASSERT_TRUE_FATAL(mos_compress(compressor, data, sizeof(data), &packed, &size));
    CU_ASSERT_FALSE(mos_decompress(decompressor, packed, size - 1, back, sizeof(data)));
    CU_ASSERT_FALSE(mos_decompress(decompressor, packed, size, back, sizeof(data) - 1));
    CU_ASSERT_FALSE(mos_decompress(decompressor, packed, size, back, sizeof(data) + 1));
    CU_ASSERT_FALSE(mos_decompress(decompressor, packed, 0, back, sizeof(data)));
    memcpy(twice, packed, size);
    memcpy(twice + size, packed, size);
    CU_ASSERT_FALSE(mos_decompress(decompressor, twice, 2 * size, back, 2 * sizeof(data)));
    mos_compressor_destroy(compressor);
    mos_decompressor_destroy(decompressor);
}
