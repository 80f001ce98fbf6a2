#include "engine/chunk/chunker.h"

#include <stdlib.h>
#include <string.h>

#include "unit/test.h"

static const struct mos_chunk_limits small = {.min_bytes = 2048, .average_bytes = 8192, .max_bytes = 32768};

static uint64_t next_random(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void fill(uint8_t *data, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)next_random(&seed);
    }
}

static void make_gear(uint64_t *gear, uint64_t seed) {
    for (size_t i = 0; i < MOS_GEAR_ENTRIES; i++) {
        gear[i] = next_random(&seed);
    }
}

// The places of all cuts, handing over at most `step` bytes at a time.
static size_t cut_all(const struct mos_chunk_limits *limits, const uint64_t *gear, const uint8_t *data, size_t size, size_t step,
                      size_t *cuts, size_t capacity) {
    struct mos_chunker chunker;
    size_t count = 0;
    size_t at = 0;
    mos_chunker_init(&chunker, limits, gear);
    while (at < size) {
        bool cut = false;
        size_t give = size - at < step ? size - at : step;
        size_t taken = mos_chunker_feed(&chunker, data + at, give, &cut);
        CU_ASSERT_FATAL(taken > 0 && taken <= give && (cut || taken == give));
        at += taken;
        if (cut) {
            CU_ASSERT_FATAL(count < capacity);
            cuts[count++] = at;
        }
    }
    return count;
}

#define SIZE (4u << 20)
#define MAX_CUTS 4096

MOS_TEST(cuts_do_not_depend_on_how_the_bytes_come) {
    static uint64_t gear[MOS_GEAR_ENTRIES];
    static size_t cuts[2][MAX_CUTS];
    uint8_t *data = malloc(SIZE);
    static const size_t steps[] = {1, 7, 63, 64, 65, 1000, 4096, 100000};
    make_gear(gear, 1);
    fill(data, SIZE, 2);
    size_t count = cut_all(&small, gear, data, SIZE, SIZE, cuts[0], MAX_CUTS);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        CU_ASSERT_EQUAL(cut_all(&small, gear, data, SIZE, steps[i], cuts[1], MAX_CUTS), count);
        CU_ASSERT_EQUAL(memcmp(cuts[0], cuts[1], count * sizeof(cuts[0][0])), 0);
    }
    free(data);
}

MOS_TEST(chunks_keep_their_limits_and_average) {
    static uint64_t gear[MOS_GEAR_ENTRIES];
    static size_t cuts[MAX_CUTS];
    uint8_t *data = malloc(SIZE);
    make_gear(gear, 3);
    fill(data, SIZE, 4);
    size_t count = cut_all(&small, gear, data, SIZE, SIZE, cuts, MAX_CUTS);
    for (size_t i = 0; i < count; i++) {
        size_t length = cuts[i] - (i ? cuts[i - 1] : 0);
        CU_ASSERT(length >= small.min_bytes && length <= small.max_bytes);
    }
    CU_ASSERT(SIZE / count > small.average_bytes / 2 && SIZE / count < 2 * small.average_bytes);
    // Bytes that never say cut end at the maximum.
    memset(data, 0, SIZE);
    count = cut_all(&small, gear, data, SIZE, SIZE, cuts, MAX_CUTS);
    CU_ASSERT_EQUAL(count, SIZE / small.max_bytes);
    free(data);
}

MOS_TEST(an_insertion_moves_the_cuts_near_it_only) {
    static uint64_t gear[MOS_GEAR_ENTRIES];
    static size_t before[MAX_CUTS];
    static size_t after[MAX_CUTS];
    uint8_t *data = malloc(SIZE);
    uint8_t *changed = malloc(SIZE + 100);
    make_gear(gear, 5);
    fill(data, SIZE, 6);
    memcpy(changed, data, SIZE / 2);
    fill(changed + SIZE / 2, 100, 7);
    memcpy(changed + SIZE / 2 + 100, data + SIZE / 2, SIZE / 2);
    size_t before_count = cut_all(&small, gear, data, SIZE, SIZE, before, MAX_CUTS);
    size_t after_count = cut_all(&small, gear, changed, SIZE + 100, SIZE + 100, after, MAX_CUTS);
    size_t same = 0;
    for (size_t i = 0, j = 0; i < before_count && j < after_count;) {
        size_t place = after[j] <= SIZE / 2 ? after[j] : after[j] - 100;
        same += before[i] == place;
        i += before[i] <= place;
        j += place <= before[i ? i - 1 : 0];
    }
    CU_ASSERT(same + 12 > before_count);
    free(data);
    free(changed);
}

MOS_TEST(another_table_cuts_elsewhere) {
    static uint64_t gear[2][MOS_GEAR_ENTRIES];
    static size_t cuts[2][MAX_CUTS];
    uint8_t *data = malloc(SIZE);
    make_gear(gear[0], 8);
    make_gear(gear[1], 9);
    fill(data, SIZE, 10);
    size_t first = cut_all(&small, gear[0], data, SIZE, SIZE, cuts[0], MAX_CUTS);
    size_t second = cut_all(&small, gear[1], data, SIZE, SIZE, cuts[1], MAX_CUTS);
    size_t same = 0;
    for (size_t i = 0; i < first; i++) {
        for (size_t j = 0; j < second; j++) {
            same += cuts[0][i] == cuts[1][j];
        }
    }
    CU_ASSERT(same < 10);
    free(data);
}

MOS_TEST(impossible_limits_are_refused) {
    struct mos_chunk_limits usual = {MOS_CHUNK_MIN_BYTES, MOS_CHUNK_AVERAGE_BYTES, MOS_CHUNK_MAX_BYTES};
    CU_ASSERT_TRUE(mos_chunk_limits_valid(&usual));
    CU_ASSERT_TRUE(mos_chunk_limits_valid(&small));
    static const struct mos_chunk_limits wrong[] = {
        {0, 8192, 32768}, {63, 8192, 32768}, {2048, 8000, 32768}, {8192, 8192, 32768}, {2048, 8192, 8192}, {2048, 8192, (16u << 20) + 1},
        {64, 2048, 4096},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_FALSE(mos_chunk_limits_valid(&wrong[i]));
    }
}
