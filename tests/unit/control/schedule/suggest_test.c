#include <string.h>

#include "control/schedule/suggest.h"
#include "unit/test.h"

// Tuesday, 2026-11-24 12:00 UTC.
static const int64_t now = 1795521600;

// A machine that is busy but for four hours a night, in UTC.
static void fill_load(struct mos_load *load, int quiet_hour, int64_t samples) {
    for (int hour = 0; hour < MOS_HOURS_A_WEEK; hour++) {
        load->samples[hour] = samples;
        load->mean_milli[hour] = hour % 24 >= quiet_hour && hour % 24 < quiet_hour + 4 ? 100 : 1500;
    }
    // Sunday is the quietest.
    load->mean_milli[quiet_hour + 1] = 10;
}

static struct mos_schedule daily(const char *cron) {
    return (struct mos_schedule){.id = "s",
                                 .name = "daily",
                                 .cron = cron,
                                 .time_zone = "",
                                 .backup_type = MOS_BACKUP_DATABASE,
                                 .backup_name = "",
                                 .timing_note = ""};
}

MOS_TEST(the_rhythm_keeps_the_objective) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const struct {
        int64_t objective, duration;
        const char *cron;
        bool met;
    } cases[] = {{15, 0, "*/15 * * * *", true},   {15, 61, "*/12 * * * *", true},   {60, 0, "0 * * * *", true},
                 {60, 600, "*/30 * * * *", true}, {1440, 60, "0 */12 * * *", true}, {1500, 60, "0 4 * * *", true},
                 {2, 30, "* * * * *", true},      {5, 600, "* * * * *", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *cron = "";
        CU_ASSERT_EQUAL(mos_suggest_rhythm(cases[i].objective, cases[i].duration, arena, &cron), cases[i].met);
        CU_ASSERT_STRING_EQUAL(cron, cases[i].cron);
    }
}

MOS_TEST(a_policy_is_proposed_for_what_is_configured) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_ZONE mos_zone *zone = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_zone_open(&zone, "Asia/Karachi", &error), &error);
    struct mos_suggest_input input = {.databases = true, .objective_minutes = 15, .time_zone = "Asia/Karachi", .zone = zone, .now = now};
    struct mos_suggestion out[MOS_SUGGESTIONS_MOST];
    size_t count = 0;
    mos_suggest_policy(&input, NULL, 0, arena, out, &count);
    CU_ASSERT_EQUAL_FATAL(count, 3);
    CU_ASSERT_EQUAL(out[0].schedule.backup_type, MOS_BACKUP_DATABASE);
    CU_ASSERT_STRING_EQUAL(out[0].schedule.cron, "0 2 * * *");
    CU_ASSERT_STRING_EQUAL(out[1].schedule.cron, "30 3 * * 0");
    CU_ASSERT_STRING_EQUAL(out[2].schedule.cron, "*/15 * * * *");
    double unsure = out[0].confidence;
    // With a load that is known, in the hour of the zone's clock.
    fill_load(&input.load, 20, 16);
    mos_suggest_policy(&input, NULL, 0, arena, out, &count);
    CU_ASSERT_STRING_EQUAL(out[0].schedule.cron, "0 2 * * *");
    CU_ASSERT_STRING_EQUAL(out[1].schedule.cron, "30 2 * * 1");
    CU_ASSERT(out[0].confidence > 0.8 && unsure < 0.3 && out[0].confidence <= 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(out[1].reason, "Monday 02:00"));
    // What a schedule takes already is not proposed; nothing is where nothing is configured.
    const struct mos_schedule known = {.backup_type = MOS_BACKUP_FULL};
    mos_suggest_policy(&input, &known, 1, arena, out, &count);
    CU_ASSERT_EQUAL(count, 2);
    input.databases = false;
    mos_suggest_policy(&input, NULL, 0, arena, out, &count);
    CU_ASSERT_EQUAL(count, 0);
}

MOS_TEST(a_time_is_moved_to_the_quiet_hours_and_never_beyond_the_objective) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_ZONE mos_zone *zone = NULL;
    struct mos_error error = {0};
    struct mos_suggestion out;
    bool apply = true;
    MOS_ASSERT_OK(mos_zone_open(&zone, "", &error), &error);
    struct mos_suggest_input input = {.objective_minutes = 15, .time_zone = "", .zone = zone, .now = now, .last_backup = now - 10 * 3600};
    struct mos_schedule schedule = daily("17 2 * * *");
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && !apply);
    CU_ASSERT_STRING_EQUAL(out.schedule.cron, "17 2 * * *");
    fill_load(&input.load, 20, 16);
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && apply);
    CU_ASSERT_EQUAL(strncmp(out.schedule.cron, "17 2", 4), 0);
    CU_ASSERT_EQUAL(out.schedule.cron[4], '1');
    // Too little is known.
    fill_load(&input.load, 20, 2);
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && !apply);
    // The run before was ten hours ago, the next would be in nine: with an objective of a day that is fine; of eighteen hours it would not
    // be, but then other schedules keep it.
    fill_load(&input.load, 20, 16);
    input.objective_minutes = 1440;
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && apply);
    input.last_backup = now - 20 * 3600;
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && !apply);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.reason, "1440 is the most"));
    // The smallest that applies counts, whichever it is; where none does, twice the distance between runs.
    input.objective_minutes = 15;
    input.monitor_minutes = 1500;
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && !apply);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.reason, "1500 is the most"));
    input.monitor_minutes = 60;
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && apply);
    input.last_backup = now - 47 * 3600;
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && !apply);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.reason, "2880 is the most"));
    // Where it is as good as anywhere it stays.
    schedule = daily("17 21 * * *");
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && !apply);
    // A rhythm is not a time.
    schedule = daily("*/15 * * * *");
    CU_ASSERT_FALSE(mos_suggest_timing(&input, &schedule, arena, &out, &apply));
}

// Each move alone may be within the objective, and all of them together never end.
MOS_TEST(a_schedule_is_not_moved_again_before_it_has_taken_a_backup) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_ZONE mos_zone *zone = NULL;
    struct mos_error error = {0};
    struct mos_suggestion out;
    bool apply = true;
    MOS_ASSERT_OK(mos_zone_open(&zone, "", &error), &error);
    struct mos_suggest_input input = {.objective_minutes = 1500, .time_zone = "", .zone = zone, .now = now};
    struct mos_schedule schedule = daily("17 2 * * *");
    fill_load(&input.load, 20, 16);
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && !apply);
    input.last_backup = now - 10 * 3600;
    schedule.updated_at_unix_ns = (now - 3600) * INT64_C(1000000000);
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && !apply);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.reason, "until it has taken a backup"));
    input.last_backup = now - 1800;
    CU_ASSERT(mos_suggest_timing(&input, &schedule, arena, &out, &apply) && apply);
}

MOS_TEST(quantiles_are_those_of_the_sorted_values) {
    int64_t values[] = {9, 1, 5, 3, 7};
    CU_ASSERT_EQUAL(mos_quantile(values, 5, 50), 5);
    CU_ASSERT_EQUAL(mos_quantile(values, 5, 95), 7);
    CU_ASSERT_EQUAL(mos_quantile(values, 5, 100), 9);
    CU_ASSERT_EQUAL(mos_quantile(values, 0, 50), 0);
}
