#include "common/pace.h"

#include "common/clock.h"
#include "unit/test.h"

#define SECOND MOS_NS_PER_SECOND

MOS_TEST(what_is_moved_is_waited_for) {
    int64_t free_at = 0;
    // A second's worth, and at once half a second's worth more.
    CU_ASSERT_EQUAL(mos_pace_wait_ns(&free_at, 1000, 1000, 10 * SECOND), SECOND);
    CU_ASSERT_EQUAL(mos_pace_wait_ns(&free_at, 1000, 500, 10 * SECOND), SECOND + SECOND / 2);
    // Half of it has passed.
    CU_ASSERT_EQUAL(mos_pace_wait_ns(&free_at, 1000, 0, 11 * SECOND), SECOND / 2);
}

MOS_TEST(idle_time_is_not_saved_up) {
    int64_t free_at = 0;
    CU_ASSERT_EQUAL(mos_pace_wait_ns(&free_at, 1000, 1000, SECOND), SECOND);
    CU_ASSERT_EQUAL(mos_pace_wait_ns(&free_at, 1000, 1000, 100 * SECOND), SECOND);
}

MOS_TEST(large_numbers_fit) {
    int64_t free_at = 0;
    int64_t rate = INT64_C(100000) * 1000000;
    CU_ASSERT_EQUAL(mos_pace_wait_ns(&free_at, rate, rate * 3600 + rate / 4, 0), 3600 * SECOND + SECOND / 4);
    free_at = 0;
    CU_ASSERT_EQUAL(mos_pace_wait_ns(&free_at, 1000000, 4194304, 0), INT64_C(4194304000));
}
