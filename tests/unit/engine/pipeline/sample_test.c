#include "engine/pipeline/sample.h"

#include <math.h>
#include <string.h>

#include "unit/test.h"

MOS_TEST(choosing_stops_when_there_is_enough) {
    enum { COUNT = 100 };
    int64_t sizes[COUNT];
    bool chosen[COUNT];
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = 10;
    }
    size_t times[COUNT] = {0};
    for (int round = 0; round < 2000; round++) {
        CU_ASSERT_EQUAL(mos_sample_choose(sizes, COUNT, 95, chosen), 10);
        size_t count = 0;
        for (int i = 0; i < COUNT; i++) {
            count += chosen[i];
            times[i] += chosen[i];
        }
        CU_ASSERT_EQUAL(count, 10);
    }
    // Each as often as any other: 200 expected, 13 is one standard deviation.
    for (int i = 0; i < COUNT; i++) {
        CU_ASSERT(times[i] > 110 && times[i] < 290);
    }
    CU_ASSERT_EQUAL(mos_sample_choose(sizes, COUNT, 0, chosen), 0);
    CU_ASSERT_EQUAL(mos_sample_choose(sizes, COUNT, INT64_MAX, chosen), COUNT);
    CU_ASSERT_EQUAL(mos_sample_choose(sizes, 0, 100, chosen), 0);
}

MOS_TEST(chances) {
    // One of ten, and one is bad.
    CU_ASSERT(fabs(mos_sample_unseen(10, 1, 1) - 0.9) < 1e-12);
    // 8/10 * 7/9.
    CU_ASSERT(fabs(mos_sample_unseen(10, 2, 2) - 56.0 / 90) < 1e-12);
    CU_ASSERT(mos_sample_unseen(10, 0, 5) == 1);
    CU_ASSERT(mos_sample_unseen(10, 10, 1) == 0);
    CU_ASSERT(mos_sample_unseen(10, 3, 9) == 0);
    // The bound is the largest number that might well have gone unseen.
    for (size_t chosen = 1; chosen < 100; chosen += 7) {
        size_t bound = mos_sample_bound(100, chosen, 0.95);
        CU_ASSERT(mos_sample_unseen(100, chosen, bound) > 0.05);
        CU_ASSERT(mos_sample_unseen(100, chosen, bound + 1) <= 0.05);
    }
    CU_ASSERT_EQUAL(mos_sample_bound(100, 100, 0.95), 0);
}

MOS_TEST(the_guarantee_says_what_was_read) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    CU_ASSERT_PTR_NOT_NULL(strstr(mos_sample_guarantee(arena, 7, 7, 70, 70), "All of the data was read"));
    CU_ASSERT_PTR_NOT_NULL(strstr(mos_sample_guarantee(arena, 7, 0, 70, 0), "None of the data was read"));
    // 1 % of 200 packs are two; 180/200 * 179/199.
    const char *text = mos_sample_guarantee(arena, 200, 20, 1000, 100);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "20 of 200 packs (10.0 % of the data)"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "1 % of the packs (2) damaged, it would have gone unseen with a chance of 81 %"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "at most 26 packs are damaged"));
}
