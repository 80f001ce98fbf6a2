#include "common/clock.h"

#include <string.h>

#include "unit/test.h"

static int64_t parsed(const char *text) {
    int64_t unix_ns = -1;
    return mos_time_parse(text, &unix_ns) ? unix_ns : -1;
}

MOS_TEST(times_are_written_and_read) {
    char text[MOS_TIME_TEXT_BYTES];
    mos_time_format(0, text);
    CU_ASSERT_STRING_EQUAL(text, "");
    mos_time_format(INT64_C(1767182400) * MOS_NS_PER_SECOND + 5 * MOS_NS_PER_MS, text);
    CU_ASSERT_STRING_EQUAL(text, "2025-12-31T12:00:00.005Z");
    CU_ASSERT_EQUAL(parsed(text), INT64_C(1767182400) * MOS_NS_PER_SECOND + 5 * MOS_NS_PER_MS);
    mos_time_format(-1, text);
    CU_ASSERT_STRING_EQUAL(text, "1969-12-31T23:59:59.999Z");
    CU_ASSERT_EQUAL(parsed("2025-12-31T17:00:00+05:00"), INT64_C(1767182400) * MOS_NS_PER_SECOND);
    CU_ASSERT_EQUAL(parsed("2025-12-31t08:30:00-03:30"), INT64_C(1767182400) * MOS_NS_PER_SECOND);
    CU_ASSERT_EQUAL(parsed("2024-02-29T00:00:00.123456789Z"), INT64_C(1709164800) * MOS_NS_PER_SECOND + 123456789);
}

MOS_TEST(what_is_no_time_is_refused) {
    static const char *const wrong[] = {"",
                                        "2025",
                                        "2025-12-31",
                                        "2025-12-31T12:00:00",
                                        "2025-02-29T12:00:00Z",
                                        "2025-13-01T12:00:00Z",
                                        "2025-12-31T24:00:00Z",
                                        "2025-12-31T12:60:00Z",
                                        "2025-12-31T12:00:00.Z",
                                        "2025-12-31T12:00:00Z ",
                                        "2025-12-31T12:00:00+5:00",
                                        "-025-12-31T12:00:00Z",
                                        "1066-10-14T12:00:00Z",
                                        "9999-12-31T12:00:00Z"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t unix_ns;
        CU_ASSERT_FALSE(mos_time_parse(wrong[i], &unix_ns));
    }
}

MOS_TEST(a_fake_clock_rules_both) {
    mos_clock_fake(42);
    CU_ASSERT_EQUAL(mos_now_unix_ns(), 42);
    CU_ASSERT_EQUAL(mos_now_monotonic_ns(), 42);
    mos_clock_fake(0);
    CU_ASSERT(mos_now_unix_ns() > INT64_C(1700000000) * MOS_NS_PER_SECOND);
}
