#include "control/catalog/retention.h"
#include "control/catalog/schedules.h"
#include "unit/control/catalog/fixture.h"

static const char *const tags[] = {"a", "b c"};
static const struct mos_blackout blackouts[] = {{"0 9 * * *", 30}, {"0 12 * * MON-FRI", 90}};

static struct mos_schedule schedule(const char *id, const char *name) {
    return (struct mos_schedule){.id = id,
                                 .name = name,
                                 .cron = "@daily",
                                 .time_zone = "Asia/Karachi",
                                 .backup_type = MOS_BACKUP_DATABASE,
                                 .backup_name = "",
                                 .encryption = MOS_CHOICE_OPEN,
                                 .integrity_check = MOS_CHOICE_NO,
                                 .tags = tags,
                                 .tag_count = 2,
                                 .blackouts = blackouts,
                                 .blackout_count = 2,
                                 .overlap = MOS_OVERLAP_QUEUE,
                                 .catch_up = true,
                                 .timing_note = "",
                                 .has_keep = true,
                                 .keep = {.weekly = 4},
                                 .created_at_unix_ns = 5,
                                 .updated_at_unix_ns = 6,
                                 .accounted_until_unix_ns = 7};
}

static mos_status put(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_put_schedule(session, argument, error);
}
static mos_status put_run(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_put_run(session, argument, error);
}

MOS_TEST(a_schedule_comes_back_as_it_was_put) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_schedule given = schedule("s1", "nightly"), got;
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put, &given, &fixture.error), &fixture.error);
    mos_catalog_session *session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_get_schedule(session, "s1", fixture.arena, &got, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(got.time_zone, "Asia/Karachi");
    CU_ASSERT(got.encryption == MOS_CHOICE_OPEN && got.integrity_check == MOS_CHOICE_NO && got.overlap == MOS_OVERLAP_QUEUE &&
              got.catch_up);
    CU_ASSERT_EQUAL_FATAL(got.tag_count, 2);
    CU_ASSERT_STRING_EQUAL(got.tags[1], "b c");
    CU_ASSERT_EQUAL_FATAL(got.blackout_count, 2);
    CU_ASSERT_STRING_EQUAL(got.blackouts[1].cron, "0 12 * * MON-FRI");
    CU_ASSERT(got.blackouts[1].minutes == 90 && got.keep.weekly == 4 && got.accounted_until_unix_ns == 7);
    CU_ASSERT_EQUAL(mos_catalog_get_schedule(session, "s2", fixture.arena, &got, &fixture.error), MOS_NOT_FOUND);
    mos_catalog_read_end(session);
    // No two share a name.
    struct mos_schedule other = schedule("s2", "nightly");
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, put, &other, &fixture.error), MOS_ALREADY_EXISTS);
    fixture_close(&fixture);
}

MOS_TEST(a_run_that_started_is_never_replaced) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_run run = {.schedule_id = "s1",
                          .due_at_unix_ns = 60,
                          .through_unix_ns = 60,
                          .count = 1,
                          .state = MOS_RUN_MISSED,
                          .backup_id = "",
                          .reason = ""};
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put_run, &run, &fixture.error), &fixture.error);
    run.state = MOS_RUN_STARTED;
    run.backup_id = "b1";
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put_run, &run, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, put_run, &run, &fixture.error), MOS_ALREADY_EXISTS);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_run *runs;
    size_t count = 0;
    MOS_ASSERT_OK(mos_catalog_list_runs(session, "s1", 0, 10, fixture.arena, &runs, &count, &fixture.error), &fixture.error);
    CU_ASSERT(count == 1 && runs[0].state == MOS_RUN_STARTED);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

struct expiry {
    const char *id;
    bool done;
};
static mos_status expire(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct expiry *expiry = argument;
    return mos_catalog_expire_backup(session, expiry->id, 1000, &expiry->done, error);
}
static mos_status quarantine(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_quarantine_backup(session, argument, "it is not like the others", error);
}

MOS_TEST(only_what_rests_and_nothing_holds_is_marked_as_expired) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fixture_put_backup(&fixture, (struct mos_backup){.id = "plain", .status = MOS_BACKUP_VERIFIED});
    fixture_put_backup(&fixture, (struct mos_backup){.id = "held", .status = MOS_BACKUP_VERIFIED, .legal_hold = true});
    fixture_put_backup(&fixture, (struct mos_backup){.id = "locked", .status = MOS_BACKUP_VERIFIED, .locked_until_unix_ns = 1001});
    fixture_put_backup(&fixture, (struct mos_backup){.id = "working", .status = MOS_BACKUP_VERIFYING});
    fixture_put_backup(&fixture, (struct mos_backup){.id = "used", .status = MOS_BACKUP_VERIFIED});
    fixture_put_job(&fixture, (struct mos_job){.id = "j", .kind = MOS_JOB_RESTORE, .status = MOS_JOB_RUNNING, .backup_id = "used"});
    fixture_put_backup(&fixture, (struct mos_backup){.id = "odd", .status = MOS_BACKUP_VERIFIED});
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, quarantine, "odd", &fixture.error), &fixture.error);
    static const char *const ids[] = {"plain", "held", "locked", "working", "used", "odd", "none"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct expiry expiry = {.id = ids[i]};
        MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, expire, &expiry, &fixture.error), &fixture.error);
        CU_ASSERT_EQUAL(expiry.done, i == 0);
    }
    fixture_close(&fixture);
}
