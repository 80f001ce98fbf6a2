#include "control/schedule/scheduler.h"

#include "common/clock.h"
#include "control/alert/alert.h"
#include "control/catalog/audit.h"
#include "control/schedule/change.h"
#include "control/schedule/sweep.h"
#include "unit/control/catalog/fixture.h"

#define HOUR_NS (3600 * MOS_NS_PER_SECOND)
// 2027-01-15 00:00 UTC.
#define MIDNIGHT_NS (INT64_C(1799971200) * MOS_NS_PER_SECOND)

static const char id[] = "01000000-0000-7000-8000-000000000001";
// Every night from two to six nothing runs.
static const struct mos_blackout blackouts[] = {{"0 2 * * *", 240}};

// Due at three; started at six.
static struct mos_schedule nightly(void) {
    return (struct mos_schedule){.id = id,
                                 .name = "nightly",
                                 .cron = "0 3 * * *",
                                 .time_zone = "",
                                 .backup_type = MOS_BACKUP_FILES,
                                 .backup_name = "",
                                 .blackouts = blackouts,
                                 .blackout_count = 1,
                                 .overlap = MOS_OVERLAP_SKIP,
                                 .timing_note = "",
                                 .created_at_unix_ns = MIDNIGHT_NS,
                                 .updated_at_unix_ns = MIDNIGHT_NS,
                                 .accounted_until_unix_ns = MIDNIGHT_NS};
}

static mos_status put(mos_catalog_session *session, void *schedule, struct mos_error *error) {
    return mos_catalog_put_schedule(session, schedule, error);
}

static mos_status change(mos_catalog_session *session, void *after, struct mos_error *error) {
    const struct mos_schedule before = nightly();
    return mos_schedule_change_in(session, &before, after, mos_now_unix_ns(), error);
}

static mos_status remove_it(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_schedule_remove_in(session, argument, error);
}

static mos_status start(void *context, const struct mos_schedule *schedule, mos_catalog_change also, void *also_argument,
                        char out_backup_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    struct catalog_fixture *fixture = context;
    (void)schedule;
    mos_id_new(out_backup_id);
    return mos_catalog_write(fixture->catalog, also, also_argument, error);
}

// What the monitor says, and what retention has done.
static bool judged = true;
static int removals;

static mos_status remove_backup(void *context, const char *backup_id, struct mos_error *error) {
    (void)context, (void)backup_id, (void)error;
    removals++;
    return MOS_OK;
}

static mos_status all_judged(void *context, bool *out, struct mos_error *error) {
    (void)context, (void)error;
    *out = judged;
    return MOS_OK;
}

static mos_status prune(void *context, struct mos_error *error) {
    (void)context, (void)error;
    return MOS_OK;
}

static mos_scheduler *make_ruled_scheduler(struct catalog_fixture *fixture, const char *tag_rules) {
    const struct mos_scheduler_options options = {.catalog = fixture->catalog,
                                                  .acts = {fixture, start, remove_backup, prune, all_judged},
                                                  .tag_rules = tag_rules,
                                                  .repository = "/nowhere"};
    return mos_scheduler_create(&options);
}

static mos_scheduler *make_scheduler(struct catalog_fixture *fixture) {
    return make_ruled_scheduler(fixture, "");
}

static void round_at(mos_scheduler *scheduler, int64_t now_unix_ns) {
    mos_clock_fake(now_unix_ns);
    mos_scheduler_round(scheduler);
}

// What became of the run that was due at three when the schedule was changed at four; looked at by seven.
static struct mos_run change_at_four(struct mos_schedule after) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_schedule before = nightly();
    mos_clock_fake(MIDNIGHT_NS);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put, &before, &fixture.error), &fixture.error);
    mos_scheduler *scheduler = make_scheduler(&fixture);
    round_at(scheduler, MIDNIGHT_NS + 4 * HOUR_NS);
    after.updated_at_unix_ns = mos_now_unix_ns();
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, change, &after, &fixture.error), &fixture.error);
    round_at(scheduler, MIDNIGHT_NS + 4 * HOUR_NS + 1);
    round_at(scheduler, MIDNIGHT_NS + 6 * HOUR_NS);
    round_at(scheduler, MIDNIGHT_NS + 7 * HOUR_NS);
    mos_scheduler_destroy(scheduler);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_run *runs;
    size_t count = 0;
    MOS_ASSERT_OK(mos_catalog_list_runs(session, id, 0, 10, fixture.arena, &runs, &count, &fixture.error), &fixture.error);
    mos_catalog_read_end(session);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    struct mos_run run = runs[0];
    mos_clock_fake(0);
    fixture_close(&fixture);
    remove(fixture.path);
    CU_ASSERT_EQUAL(run.due_at_unix_ns, MIDNIGHT_NS + 3 * HOUR_NS);
    return run;
}

MOS_TEST(a_run_that_a_blackout_puts_off_is_not_lost_by_a_change) {
    struct mos_schedule after = nightly();
    after.retention_days = 10;
    CU_ASSERT_EQUAL(change_at_four(after).state, MOS_RUN_STARTED);
    after.paused = true;
    CU_ASSERT_EQUAL(change_at_four(after).state, MOS_RUN_SKIPPED);
    after = nightly();
    after.cron = "0 1 * * *";
    CU_ASSERT_EQUAL(change_at_four(after).state, MOS_RUN_SKIPPED);
}

static int64_t count_open(struct catalog_fixture *fixture) {
    mos_catalog_session *session = fixture_read(fixture);
    int64_t count = -1;
    MOS_ASSERT_OK(mos_catalog_count_open_alerts(session, &count, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return count;
}

MOS_TEST(an_alert_about_missed_runs_ends_with_its_schedule) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_schedule schedule = nightly();
    mos_clock_fake(MIDNIGHT_NS);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put, &schedule, &fixture.error), &fixture.error);
    mos_scheduler *scheduler = make_scheduler(&fixture);
    round_at(scheduler, MIDNIGHT_NS + 40 * HOUR_NS);
    CU_ASSERT_EQUAL(count_open(&fixture), 1);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, remove_it, (void *)(uintptr_t)id, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count_open(&fixture), 0);
    mos_scheduler_destroy(scheduler);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(a_doubt_about_the_clock_ends_over_a_restart) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_clock_fake(MIDNIGHT_NS);
    mos_scheduler *scheduler = make_scheduler(&fixture);
    mos_scheduler_round(scheduler);
    round_at(scheduler, MIDNIGHT_NS + 20000 * HOUR_NS);
    CU_ASSERT_EQUAL(count_open(&fixture), 1);
    mos_scheduler_destroy(scheduler);
    scheduler = make_scheduler(&fixture);
    round_at(scheduler, MIDNIGHT_NS + HOUR_NS);
    CU_ASSERT_EQUAL(count_open(&fixture), 0);
    mos_scheduler_destroy(scheduler);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(retention_that_cannot_be_carried_out_is_told) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_clock_fake(MIDNIGHT_NS);
    mos_scheduler *scheduler = make_ruled_scheduler(&fixture, "no rules");
    mos_scheduler_round(scheduler);
    CU_ASSERT_EQUAL(count_open(&fixture), 1);
    mos_scheduler_destroy(scheduler);
    scheduler = make_scheduler(&fixture);
    mos_scheduler_round(scheduler);
    CU_ASSERT_EQUAL(count_open(&fixture), 0);
    mos_scheduler_destroy(scheduler);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

static void put_three(struct catalog_fixture *fixture) {
    for (int day = 0; day < 3; day++) {
        fixture_put_backup(fixture, (struct mos_backup){.id = fixture_id(fixture, day + 1),
                                                        .name = "nightly",
                                                        .type = MOS_BACKUP_FILES,
                                                        .status = MOS_BACKUP_FAILED,
                                                        .created_at_unix_ns = MIDNIGHT_NS + day * 24 * HOUR_NS,
                                                        .completed_at_unix_ns = MIDNIGHT_NS + day * 24 * HOUR_NS + 1,
                                                        .retention_days = 1});
    }
}

MOS_TEST(nothing_goes_while_retention_is_held_back) {
    struct catalog_fixture fixture;
    bool was = true;
    fixture_open(&fixture);
    put_three(&fixture);
    MOS_ASSERT_OK(mos_retention_hold_back(fixture.catalog, "the catalog was rebuilt", &was, &fixture.error), &fixture.error);
    CU_ASSERT(!was);
    mos_scheduler *scheduler = make_scheduler(&fixture);
    removals = 0;
    round_at(scheduler, MIDNIGHT_NS + 72 * HOUR_NS);
    round_at(scheduler, MIDNIGHT_NS + 74 * HOUR_NS);
    CU_ASSERT_EQUAL(removals, 0);
    CU_ASSERT_EQUAL(count_open(&fixture), 1);
    MOS_ASSERT_OK(mos_retention_hold_back(fixture.catalog, "once more", &was, &fixture.error), &fixture.error);
    CU_ASSERT(was);
    MOS_ASSERT_OK(mos_retention_release(fixture.catalog, &was, &fixture.error), &fixture.error);
    CU_ASSERT(was);
    CU_ASSERT_EQUAL(count_open(&fixture), 0);
    round_at(scheduler, MIDNIGHT_NS + 76 * HOUR_NS);
    CU_ASSERT_EQUAL(removals, 3);
    MOS_ASSERT_OK(mos_retention_release(fixture.catalog, &was, &fixture.error), &fixture.error);
    CU_ASSERT(!was);
    mos_scheduler_destroy(scheduler);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(nothing_goes_before_the_newest_is_judged) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    put_three(&fixture);
    mos_scheduler *scheduler = make_scheduler(&fixture);
    judged = false;
    removals = 0;
    round_at(scheduler, MIDNIGHT_NS + 72 * HOUR_NS);
    CU_ASSERT_EQUAL(removals, 0);
    judged = true;
    // It looks again soon, not in an hour.
    round_at(scheduler, MIDNIGHT_NS + 72 * HOUR_NS + 90 * MOS_NS_PER_SECOND);
    CU_ASSERT_EQUAL(removals, 3);
    mos_scheduler_destroy(scheduler);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

// Weeks of load: busy at three, when the schedule runs, and quiet in the early afternoon.
static mos_status add_weeks(mos_catalog_session *session, void *argument, struct mos_error *error) {
    mos_status status = MOS_OK;
    (void)argument;
    for (int i = 0; i < 16 * 168 && status == MOS_OK; i++) {
        int hour = i % 168, of_day = hour % 24;
        status = mos_catalog_add_load(session, hour, of_day == 3 ? 4000 : of_day == 13 ? 10 : 1000, error);
    }
    return status;
}

static mos_status put_run(mos_catalog_session *session, void *run, struct mos_error *error) {
    return mos_catalog_put_run(session, run, error);
}

// A good backup of the schedule, or one that came to nothing.
static void put_run_of(struct catalog_fixture *fixture, int number, int64_t at_ns, bool good) {
    const char *backup_id = fixture_id(fixture, number);
    struct mos_run run = {.schedule_id = id,
                          .due_at_unix_ns = at_ns,
                          .through_unix_ns = at_ns,
                          .count = 1,
                          .state = MOS_RUN_STARTED,
                          .recorded_at_unix_ns = at_ns,
                          .backup_id = backup_id,
                          .reason = ""};
    fixture_put_backup(fixture, (struct mos_backup){.id = backup_id,
                                                    .name = "nightly",
                                                    .type = MOS_BACKUP_FILES,
                                                    .status = good ? MOS_BACKUP_COMPLETED : MOS_BACKUP_FAILED,
                                                    .encrypted_checksum = good ? "aa" : "",
                                                    .created_at_unix_ns = at_ns,
                                                    .completed_at_unix_ns = at_ns + 1});
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, put_run, &run, &fixture->error), &fixture->error);
}

static void learn_of(bool learns, bool ran, const char *expected_cron, size_t expected_entries) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_schedule schedule = nightly();
    schedule.learn_timing = learns;
    schedule.updated_at_unix_ns = MIDNIGHT_NS - 24 * HOUR_NS;
    put_run_of(&fixture, 1, MIDNIGHT_NS - 21 * HOUR_NS, ran);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put, &schedule, &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, add_weeks, NULL, &fixture.error), &fixture.error);
    mos_scheduler *scheduler = make_scheduler(&fixture);
    round_at(scheduler, MIDNIGHT_NS + HOUR_NS);
    mos_scheduler_destroy(scheduler);
    mos_clock_fake(0);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_schedule found;
    MOS_ASSERT_OK(mos_catalog_get_schedule(session, id, fixture.arena, &found, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(found.cron, expected_cron);
    const struct mos_audit_filter retimed = {.action = "Schedule.Retime"};
    const struct mos_page page = {.size = 10};
    struct mos_audit_entry *rows;
    size_t count = 0;
    const char *next;
    MOS_ASSERT_OK(mos_catalog_list_audit(session, &retimed, &page, fixture.arena, &rows, &count, &next, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, expected_entries);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(a_schedule_that_asked_for_it_moves_to_the_quiet_hour) {
    learn_of(true, true, "0 13 * * *", 1);
    learn_of(false, true, "0 3 * * *", 0);
}

MOS_TEST(a_schedule_whose_run_came_to_nothing_is_not_moved) {
    learn_of(true, false, "0 3 * * *", 0);
}
