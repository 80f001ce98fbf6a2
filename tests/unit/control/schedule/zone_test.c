#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "control/schedule/zone.h"
#include "unit/test.h"

static mos_zone *open_zone(const char *name) {
    mos_zone *zone = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_zone_open(&zone, name, &error), &error);
    return zone;
}

static int64_t seconds_of(const char *text) {
    int64_t unix_ns = 0;
    CU_ASSERT_FATAL(mos_time_parse(text, &unix_ns));
    return unix_ns / MOS_NS_PER_SECOND;
}

// The hour, in minutes, by which the zone is east of UTC.
static int minutes_at(const mos_zone *zone, const char *text) {
    return mos_zone_offset(zone, seconds_of(text)) / 60;
}

MOS_TEST(offsets_are_those_of_the_database) {
    MOS_CLEANUP_ZONE mos_zone *karachi = open_zone("Asia/Karachi");
    CU_ASSERT_EQUAL(minutes_at(karachi, "2026-07-01T00:00:00Z"), 300);
    // Pakistan had a summer time in 2008.
    CU_ASSERT_EQUAL(minutes_at(karachi, "2008-07-01T00:00:00Z"), 360);
    MOS_CLEANUP_ZONE mos_zone *berlin = open_zone("Europe/Berlin");
    CU_ASSERT_EQUAL(minutes_at(berlin, "2026-03-29T00:59:59Z"), 60);
    CU_ASSERT_EQUAL(minutes_at(berlin, "2026-03-29T01:00:00Z"), 120);
    CU_ASSERT_EQUAL(minutes_at(berlin, "2026-10-25T00:59:59Z"), 120);
    CU_ASSERT_EQUAL(minutes_at(berlin, "2026-10-25T01:00:00Z"), 60);
    // Far behind the last change that the file names one by one.
    CU_ASSERT_EQUAL(minutes_at(berlin, "2150-07-01T00:00:00Z"), 120);
    CU_ASSERT_EQUAL(minutes_at(berlin, "2150-12-01T00:00:00Z"), 60);
    MOS_CLEANUP_ZONE mos_zone *sydney = open_zone("Australia/Sydney");
    CU_ASSERT_EQUAL(minutes_at(sydney, "2090-01-01T00:00:00Z"), 660);
    CU_ASSERT_EQUAL(minutes_at(sydney, "2090-07-01T00:00:00Z"), 600);
    // Ireland's winter time is the one that is called daylight saving, an hour less.
    MOS_CLEANUP_ZONE mos_zone *dublin = open_zone("Europe/Dublin");
    CU_ASSERT_EQUAL(minutes_at(dublin, "2090-01-01T00:00:00Z"), 0);
    CU_ASSERT_EQUAL(minutes_at(dublin, "2090-07-01T00:00:00Z"), 60);
    MOS_CLEANUP_ZONE mos_zone *utc = open_zone("");
    CU_ASSERT_EQUAL(minutes_at(utc, "2026-07-01T00:00:00Z"), 0);
}

MOS_TEST(a_wall_time_has_one_moment_or_two_or_none) {
    MOS_CLEANUP_ZONE mos_zone *zone = open_zone("America/New_York");
    int64_t moments[2], after_gap = 0;
    CU_ASSERT_EQUAL(mos_zone_moments(zone, seconds_of("2026-07-04T12:00:00Z"), moments, &after_gap), 1);
    CU_ASSERT_EQUAL(moments[0], seconds_of("2026-07-04T16:00:00Z"));
    CU_ASSERT_EQUAL(mos_zone_moments(zone, seconds_of("2026-11-01T01:30:00Z"), moments, &after_gap), 2);
    CU_ASSERT_EQUAL(moments[0], seconds_of("2026-11-01T05:30:00Z"));
    CU_ASSERT_EQUAL(moments[1], seconds_of("2026-11-01T06:30:00Z"));
    CU_ASSERT_EQUAL(mos_zone_moments(zone, seconds_of("2026-03-08T02:30:00Z"), moments, &after_gap), 0);
    CU_ASSERT_EQUAL(after_gap, seconds_of("2026-03-08T07:00:00Z"));
    // Samoa left out a whole day.
    MOS_CLEANUP_ZONE mos_zone *apia = open_zone("Pacific/Apia");
    CU_ASSERT_EQUAL(mos_zone_moments(apia, seconds_of("2011-12-30T12:00:00Z"), moments, &after_gap), 0);
    CU_ASSERT_EQUAL(after_gap, seconds_of("2011-12-30T10:00:00Z"));
}

MOS_TEST(names_that_are_none_are_refused) {
    static const char *const names[] = {"Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/",        "Europe",
                                        "tzdata.zi",    "right/UTC",        "Asia//Karachi",  "Asia/Karachi\n", "zone.tab"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        mos_zone *zone = NULL;
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(mos_zone_open(&zone, names[i], &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "timeZone");
        CU_ASSERT_PTR_NULL(zone);
    }
}

MOS_TEST(a_damaged_file_is_refused) {
    // An empty first block, and a second with one type and the footer.
    uint8_t good[44 + 44 + 6 + 4 + 7] = "TZif2";
    memcpy(good + 44, "TZif2", 5);
    good[44 + 39] = 1;
    good[44 + 43] = 4;
    memcpy(good + 88, "\0\0\x46\x50\0\0PKT\0\nPKT-5\n", 17);
    mos_zone *zone = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_zone_parse(&zone, good, sizeof(good), &error), &error);
    CU_ASSERT_EQUAL(mos_zone_offset(zone, 0), 18000);
    mos_zone_close(zone);
    for (size_t size = 0; size < sizeof(good); size++) {
        CU_ASSERT_EQUAL(mos_zone_parse(&zone, good, size, &error), MOS_CORRUPT);
    }
    uint8_t changed[sizeof(good)];
    memcpy(changed, good, sizeof(good));
    // A leap second.
    changed[44 + 31] = 1;
    CU_ASSERT_EQUAL(mos_zone_parse(&zone, changed, sizeof(good), &error), MOS_CORRUPT);
}

MOS_TEST(days_and_dates_fit_one_another) {
    int64_t year;
    int month, day;
    for (int64_t days = -150000; days < 150000; days += 13) {
        mos_date_of(days, &year, &month, &day);
        CU_ASSERT_EQUAL(mos_days_of(year, month, day), days);
    }
    CU_ASSERT_EQUAL(mos_days_of(2000, 2, 29), 11016);
    CU_ASSERT_EQUAL(mos_weekday_of(mos_days_of(2026, 11, 24)), 2);
}
