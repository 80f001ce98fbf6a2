#include "control/schedule/trust.h"
#include "unit/test.h"

#define SECOND INT64_C(1000000000)
#define DAY (86400 * SECOND)

static const int64_t start = 20000 * DAY;

MOS_TEST(a_clock_that_goes_on_is_believed) {
    int64_t known = start;
    CU_ASSERT_EQUAL(mos_trust_look(&known, start + 15 * SECOND, 15 * SECOND, start), MOS_CLOCK_GOOD);
    CU_ASSERT_EQUAL(known, start + 15 * SECOND);
    // Also after a week without the server.
    CU_ASSERT_EQUAL(mos_trust_look(&known, known + 7 * DAY, 0, start), MOS_CLOCK_GOOD);
}

MOS_TEST(a_clock_that_jumps_years_ahead_is_not_and_is_again_when_set_right) {
    int64_t known = start;
    CU_ASSERT_EQUAL(mos_trust_look(&known, start + 3650 * DAY, 15 * SECOND, start), MOS_CLOCK_AHEAD);
    CU_ASSERT(known < start + DAY);
    CU_ASSERT_EQUAL(mos_trust_look(&known, start + 60 * SECOND, 15 * SECOND, start), MOS_CLOCK_GOOD);
    // A jump does not count as time that passed, whatever the other clock says.
    CU_ASSERT_EQUAL(mos_trust_look(&known, start + 3650 * DAY, 3650 * DAY, start), MOS_CLOCK_AHEAD);
}

MOS_TEST(a_server_that_was_away_for_long_is_believed_after_a_while) {
    int64_t known = start, now = start + 37 * DAY;
    int looks = 0;
    while (mos_trust_look(&known, now, 15 * SECOND, start) != MOS_CLOCK_GOOD && looks < 100000) {
        now += 15 * SECOND;
        looks++;
    }
    // Thirty days more than it may be away are thirty hours, or a little more, of going on steadily.
    CU_ASSERT(looks > 29 * 240 && looks < 33 * 240);
}

MOS_TEST(a_clock_behind_what_was_recorded_is_not_believed) {
    int64_t known = start;
    CU_ASSERT_EQUAL(mos_trust_look(&known, start - 2 * DAY, 0, start), MOS_CLOCK_BEHIND);
    CU_ASSERT_EQUAL(mos_trust_look(&known, start - 30 * DAY, 0, start), MOS_CLOCK_BEHIND);
    CU_ASSERT_EQUAL(mos_trust_look(&known, start - 30 * DAY, 0, start), MOS_CLOCK_BEHIND);
    CU_ASSERT_EQUAL(mos_trust_look(&known, start - 1800 * SECOND, 0, start), MOS_CLOCK_GOOD);
}

MOS_TEST(what_was_recorded_by_a_clock_that_was_not_believed_says_nothing) {
    int64_t known = start;
    CU_ASSERT_EQUAL(mos_trust_look(&known, start + 3650 * DAY, 15 * SECOND, start + 3650 * DAY), MOS_CLOCK_AHEAD);
    CU_ASSERT_EQUAL(mos_trust_look(&known, start + DAY, 15 * SECOND, start + 3650 * DAY), MOS_CLOCK_GOOD);
}
