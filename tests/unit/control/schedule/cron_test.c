#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "control/schedule/cron.h"
#include "unit/test.h"

static mos_zone *open_zone(const char *name) {
    mos_zone *zone = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_zone_open(&zone, name, &error), &error);
    return zone;
}

static struct mos_cron cron_of(const char *text) {
    struct mos_cron cron;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_cron_parse(&cron, "cron", text, &error), &error);
    return cron;
}

static int64_t seconds_of(const char *text) {
    int64_t unix_ns = 0;
    CU_ASSERT_FATAL(mos_time_parse(text, &unix_ns));
    return unix_ns / MOS_NS_PER_SECOND;
}

// The next moments after `from` are these, in this order; NULL ends them.
static void next_are(const char *cron_text, const char *zone_name, const char *from, const char *const *expected) {
    MOS_CLEANUP_ZONE mos_zone *zone = open_zone(zone_name);
    struct mos_cron cron = cron_of(cron_text);
    int64_t moment = seconds_of(from);
    for (; *expected; expected++) {
        CU_ASSERT_FATAL(mos_cron_next(&cron, zone, moment, &moment));
        char text[MOS_TIME_TEXT_BYTES];
        mos_time_format(moment * MOS_NS_PER_SECOND, text);
        if (moment != seconds_of(*expected)) {
            mos_test_complain(cron_text, text);
        }
        CU_ASSERT_EQUAL(moment, seconds_of(*expected));
    }
}
#define NEXT_ARE(cron, zone, from, ...) next_are(cron, zone, from, (const char *const[]){__VA_ARGS__, NULL})

MOS_TEST(expressions_mean_what_they_say) {
    NEXT_ARE("30 2 * * *", "", "2026-01-01T02:30:00Z", "2026-01-02T02:30:00Z", "2026-01-03T02:30:00Z");
    NEXT_ARE("*/20 9-10 * * MON-FRI", "", "2026-01-02T10:30:00Z", "2026-01-02T10:40:00Z", "2026-01-05T09:00:00Z");
    NEXT_ARE("0 0 29 2 *", "", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z");
    NEXT_ARE("0 0 13 * FRI", "", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z",
             "2026-02-27T00:00:00Z", "2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z");
    NEXT_ARE("5 4 * jan,Mar 7", "", "2026-01-20T00:00:00Z", "2026-01-25T04:05:00Z", "2026-03-01T04:05:00Z");
    NEXT_ARE("@hourly", "", "2026-01-01T00:00:01Z", "2026-01-01T01:00:00Z");
    NEXT_ARE("@daily", "Asia/Karachi", "2026-01-01T00:00:00Z", "2026-01-01T19:00:00Z");
    NEXT_ARE("@weekly", "", "2026-11-24T00:00:00Z", "2026-11-29T00:00:00Z");
    NEXT_ARE("@monthly", "", "2026-11-24T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
}

MOS_TEST(a_time_that_the_clock_skips_counts_at_the_change) {
    NEXT_ARE("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z");
    // Two that are skipped together are one run.
    NEXT_ARE("10,40 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:10:00Z");
    NEXT_ARE("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z");
}

MOS_TEST(a_time_that_the_clock_shows_twice_counts_once) {
    NEXT_ARE("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
    // Also when somebody looks between the two.
    NEXT_ARE("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", "2026-10-26T01:30:00Z");
}

MOS_TEST(a_rhythm_goes_on_through_both) {
    NEXT_ARE("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:10:00Z", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z",
             "2026-03-29T01:30:00Z");
    NEXT_ARE("15 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z", "2026-10-25T02:15:00Z");
    // Half an hour is skipped there: the beat that falls into it still comes.
    NEXT_ARE("0 * * * *", "Australia/Lord_Howe", "2026-10-03T14:10:00Z", "2026-10-03T14:30:00Z", "2026-10-03T15:30:00Z",
             "2026-10-03T16:00:00Z");
}

// Against a clock that is watched for a year, minute by minute.
static void watch_a_year(const char *cron_text, const char *zone_name, const char *from) {
    enum { MINUTES = 366 * 1440, WALLS = MINUTES + 2 * 2880 };
    MOS_CLEANUP_ZONE mos_zone *zone = open_zone(zone_name);
    struct mos_cron cron = cron_of(cron_text);
    bool rhythm = cron.hours == 0xffffff;
    int64_t start = seconds_of(from), next, wrong = 0;
    int64_t before = start + mos_zone_offset(zone, start - 60) - 60;
    bool *shown = calloc(WALLS, sizeof(*shown));
    CU_ASSERT_FATAL(mos_cron_next(&cron, zone, start - 1, &next));
    for (int64_t now = start; now < start + (int64_t)MINUTES * 60; now += 60) {
        int64_t wall = now + mos_zone_offset(zone, now);
        bool due = false;
        // All that the clock shows now, and what it skipped just before.
        for (int64_t w = wall > before + 60 ? before + 60 : wall; w <= wall; w += 60) {
            int64_t days = w / 86400, year;
            int month, day, minute = (int)(w % 86400 / 60);
            mos_date_of(days, &year, &month, &day);
            bool by_day = cron.days >> day & 1, by_weekday = cron.weekdays >> mos_weekday_of(days) & 1;
            bool *seen = &shown[(w - start) / 60 + 2880];
            due = due || ((rhythm ? w == wall : !*seen) && (cron.minutes >> (minute % 60) & 1) && (cron.hours >> (minute / 60) & 1) &&
                          (cron.months >> month & 1) &&
                          (cron.any_day       ? by_weekday
                           : cron.any_weekday ? by_day
                                              : by_day || by_weekday));
            *seen = true;
        }
        before = wall;
        if (due != (now == next)) {
            wrong++;
        }
        if (now == next && !mos_cron_next(&cron, zone, now, &next)) {
            break;
        }
    }
    free(shown);
    CU_ASSERT_EQUAL(wrong, 0);
}

MOS_TEST(every_minute_of_a_year_fits_a_clock_that_was_watched) {
    static const char *const crons[] = {"30 2 * * *", "0 0 * * *", "*/7 * * * *", "15,45 1-3 * * SUN", "0 */6 1,15 * *", "59 23 * * *"};
    static const char *const zones[] = {"Europe/Berlin",     "America/New_York", "America/Asuncion",
                                        "Africa/Casablanca", "Asia/Karachi",     "UTC"};
    for (size_t i = 0; i < sizeof(crons) / sizeof(crons[0]); i++) {
        for (size_t j = 0; j < sizeof(zones) / sizeof(zones[0]); j++) {
            watch_a_year(crons[i], zones[j], "2023-01-01T00:00:00Z");
        }
    }
}

MOS_TEST(what_is_no_expression_is_refused) {
    static const char *const texts[] = {
        "",          "* * * *",     "* * * * * *",  "60 * * * *",   "* 24 * * *",          "* * 0 * *", "* * 32 * *", "* * * 13 *",
        "* * * * 8", "5-1 * * * *", "*/0 * * * *",  "1,,2 * * * *", "1/5 * * * *",         "a * * * *", "-1 * * * *", "@never",
        "@Daily",    "0 0 30 2 *",  "0 0 31 4,6 *", "* * * FOO *",  "99999999999 * * * *", "1, * * * *"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct mos_cron cron;
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(mos_cron_parse(&cron, "schedule.cron", texts[i], &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "schedule.cron");
        CU_ASSERT(strlen(error.message) > 20);
    }
}
