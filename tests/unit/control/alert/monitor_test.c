#include "control/alert/monitor.h"

#include <sys/statvfs.h>

#include "control/catalog/health.h"
#include "control/catalog/sql.h"
#include "unit/control/alert/fixture.h"

#define DAY_NS (24 * HOUR_NS)

static const struct mos_notify_options nobody = {.least = MOS_SEVERITY_WARNING, .reminder_ns = HOUR_NS, .escalation_ns = HOUR_NS};

static struct mos_monitor_options options(void) {
    return (struct mos_monitor_options){.repository = mos_test_directory(),
                                        .notify = &nobody,
                                        .interval_ns = MINUTE_NS,
                                        .verify_older_ns = DAY_NS,
                                        .free_percent = 0,
                                        .full_days = 14,
                                        .heartbeat_url = ""};
}

static const struct mos_alert *open_alert(struct catalog_fixture *fixture, const char *cause) {
    mos_catalog_session *session = fixture_read(fixture);
    struct mos_alert *alert = mos_arena_alloc(fixture->arena, sizeof(*alert));
    bool found = false;
    MOS_ASSERT_OK(mos_catalog_find_alert(session, cause, fixture->arena, alert, &found, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return found ? alert : NULL;
}

static mos_status add_sample(mos_catalog_session *session, void *sample, struct mos_error *error) {
    return mos_catalog_add_storage_sample(session, sample, 0, error);
}

// Samples of `hours` hours before now, growing by so much each.
static void grow(struct catalog_fixture *fixture, int hours, int64_t bytes_an_hour) {
    for (int i = 0; i < hours; i++) {
        struct mos_storage_sample sample = {BEGIN_NS - (hours - i) * HOUR_NS, INT64_C(1000000000) + i * bytes_an_hour, 0};
        MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, add_sample, &sample, &fixture->error), &fixture->error);
    }
}

// One look at storage that has grown so; answers when it is full.
static int64_t foretell(int hours, int64_t bytes_an_hour, int64_t full_days, bool expect_alert) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_monitor_options given = options();
    given.full_days = full_days;
    mos_clock_fake(BEGIN_NS);
    grow(&fixture, hours, bytes_an_hour);
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    int64_t full_at = mos_monitor_full_at(monitor);
    const struct mos_alert *alert = open_alert(&fixture, "storage");
    CU_ASSERT_EQUAL(alert != NULL, expect_alert);
    if (alert) {
        CU_ASSERT(alert->type == MOS_ALERT_STORAGE_FULL && alert->severity == MOS_SEVERITY_WARNING);
    }
    mos_monitor_destroy(monitor);
    mos_clock_fake(0);
    fixture_close(&fixture);
    remove(fixture.path);
    return full_at;
}

MOS_TEST(storage_that_fills_is_told_before_it_is_full) {
    struct statvfs space;
    CU_ASSERT_EQUAL_FATAL(statvfs(mos_test_directory(), &space), 0);
    // Ten days are left, which is far enough away for somebody who asks for two.
    int64_t an_hour = (int64_t)(space.f_bavail * space.f_frsize) / 240;
    int64_t left = foretell(48, an_hour, 14, true) - BEGIN_NS;
    CU_ASSERT(left > 9 * DAY_NS && left < 11 * DAY_NS);
    CU_ASSERT(foretell(48, an_hour, 2, false) > 0);
}

MOS_TEST(nothing_is_foretold_from_a_few_hours_or_without_growth) {
    CU_ASSERT_EQUAL(foretell(20, INT64_C(1) << 40, 14, false), 0);
    CU_ASSERT_EQUAL(foretell(200, -1000, 14, false), 0);
    CU_ASSERT_EQUAL(foretell(200, 0, 14, false), 0);
}

MOS_TEST(a_repository_that_is_gone_is_told) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_monitor_options given = options();
    given.repository = "/nowhere/at/all";
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    const struct mos_alert *alert = open_alert(&fixture, "repository");
    CU_ASSERT_PTR_NOT_NULL_FATAL(alert);
    CU_ASSERT_EQUAL(alert->severity, MOS_SEVERITY_CRITICAL);
    mos_monitor_destroy(monitor);
    fixture_close(&fixture);
}

MOS_TEST(a_recovery_point_is_late_by_its_objective) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const struct mos_monitor_source source = {.type = MOS_BACKUP_FILES, .name = "/srv"};
    struct mos_monitor_options given = options();
    given.sources = &source;
    given.source_count = 1;
    given.rpo_minutes = 60;
    mos_clock_fake(BEGIN_NS);
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NULL(open_alert(&fixture, "rpo:FILES"));
    // Never backed up: late an hour after the first look.
    mos_clock_fake(BEGIN_NS + 61 * MINUTE_NS);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NOT_NULL(open_alert(&fixture, "rpo:FILES"));
    struct mos_backup backup = {.id = fixture_id(&fixture, 1),
                                .type = MOS_BACKUP_FULL,
                                .status = MOS_BACKUP_VERIFIED,
                                .encrypted_checksum = "x",
                                .encrypted_location = given.repository,
                                .retention_days = 30,
                                .created_at_unix_ns = BEGIN_NS + 61 * MINUTE_NS};
    fixture_put_backup(&fixture, backup);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NULL(open_alert(&fixture, "rpo:FILES"));
    mos_clock_fake(BEGIN_NS + 61 * MINUTE_NS + 3 * HOUR_NS);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    const struct mos_alert *alert = open_alert(&fixture, "rpo:FILES");
    CU_ASSERT_PTR_NOT_NULL_FATAL(alert);
    CU_ASSERT_EQUAL(alert->severity, MOS_SEVERITY_CRITICAL);
    CU_ASSERT_STRING_EQUAL(alert->backup_id, backup.id);
    mos_monitor_destroy(monitor);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

static bool has_judged_all(struct catalog_fixture *fixture) {
    mos_catalog_session *session = fixture_read(fixture);
    bool all = false;
    MOS_ASSERT_OK(mos_monitor_has_judged_all(session, &all, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return all;
}

MOS_TEST(ends_are_followed_once_over_a_restart) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_monitor_options given = options();
    struct mos_backup backup = {.id = fixture_id(&fixture, 1), .name = "nightly", .type = MOS_BACKUP_FILES, .status = MOS_BACKUP_FAILED};
    fixture_put_backup(&fixture, backup);
    struct mos_event event = {.time_unix_ns = BEGIN_NS,
                              .kind = MOS_EVENT_FINISHED,
                              .job_id = fixture_id(&fixture, 2),
                              .job_kind = MOS_JOB_BACKUP,
                              .job_status = MOS_JOB_FAILED,
                              .backup_id = backup.id,
                              .backup_status = MOS_BACKUP_FAILED,
                              .message = "the disk is gone"};
    CU_ASSERT(has_judged_all(&fixture));
    fixture_add_event(&fixture, event);
    CU_ASSERT_FALSE(has_judged_all(&fixture));
    for (int i = 0; i < 2; i++) {
        mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
        MOS_ASSERT_OK(mos_monitor_follow(monitor, &fixture.error), &fixture.error);
        mos_monitor_destroy(monitor);
    }
    CU_ASSERT(has_judged_all(&fixture));
    const struct mos_alert *alert = open_alert(&fixture, "backup:FILES");
    CU_ASSERT_PTR_NOT_NULL_FATAL(alert);
    CU_ASSERT_EQUAL(alert->count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(alert->message, "the disk is gone"));
    // Called off is no failure, and no success either.
    event.job_status = MOS_JOB_CANCELLED;
    fixture_add_event(&fixture, event);
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_follow(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(open_alert(&fixture, "backup:FILES")->count, 1);
    event.job_status = MOS_JOB_SUCCEEDED;
    fixture_add_event(&fixture, event);
    MOS_ASSERT_OK(mos_monitor_follow(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NULL(open_alert(&fixture, "backup:FILES"));
    mos_monitor_destroy(monitor);
    fixture_close(&fixture);
}

static bool is_over(const void *argument) {
    return mos_now_monotonic_ns() > *(const int64_t *)argument;
}

MOS_TEST(what_cannot_be_followed_keeps_nothing_else_from_being_told) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_monitor_options given = options();
    given.repository = "/nowhere/at/all";
    const struct mos_event event = {.job_id = fixture_id(&fixture, 1),
                                    .job_kind = MOS_JOB_CHECK,
                                    .job_status = MOS_JOB_SUCCEEDED,
                                    .kind = MOS_EVENT_FINISHED,
                                    .backup_id = "",
                                    .message = ""};
    fixture_add_event(&fixture, event);
    run_sql(&fixture,
            "CREATE TRIGGER stuck BEFORE INSERT ON facts WHEN new.name = 'monitor.followed' BEGIN SELECT RAISE(ABORT, 'no'); END");
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    int64_t bound_ns = mos_now_monotonic_ns() + 10 * MOS_NS_PER_SECOND;
    MOS_ASSERT_OK(mos_monitor_start(monitor, &fixture.error), &fixture.error);
    int64_t seen = 0;
    while (!open_alert(&fixture, "repository") && !is_over(&bound_ns)) {
        mos_catalog_wait_events_for(fixture.catalog, seen, MOS_NS_PER_SECOND, is_over, &bound_ns);
        seen = mos_catalog_last_event(fixture.catalog);
    }
    CU_ASSERT_PTR_NOT_NULL(open_alert(&fixture, "repository"));
    mos_monitor_stop(monitor);
    mos_monitor_destroy(monitor);
    fixture_close(&fixture);
}

MOS_TEST(what_is_kept_too_long_is_told_but_not_what_is_kept_on_purpose) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const struct mos_monitor_options given = options();
    mos_clock_fake(BEGIN_NS);
    struct mos_backup backup = {
        .type = MOS_BACKUP_FILES, .encrypted_checksum = "x", .encrypted_location = given.repository, .retention_days = 10};
    // All past their days; what retention has not let go is held by something: it may be the last of another source. From old to new: let
    // go and still there, held by whatever it is, let go but being deleted.
    for (int i = 0; i < 3; i++) {
        backup.id = fixture_id(&fixture, i);
        backup.status = i == 1 ? MOS_BACKUP_VERIFIED : MOS_BACKUP_EXPIRED;
        backup.created_at_unix_ns = BEGIN_NS - 30 * DAY_NS + i * MINUTE_NS;
        fixture_put_backup(&fixture, backup);
    }
    fixture_put_job(&fixture, (struct mos_job){.id = fixture_id(&fixture, 9),
                                               .kind = MOS_JOB_DELETE,
                                               .status = MOS_JOB_PENDING,
                                               .backup_id = fixture_id(&fixture, 2)});
    // Let go, but in grace; and the newest.
    backup.id = fixture_id(&fixture, 3);
    backup.created_at_unix_ns = BEGIN_NS - 11 * DAY_NS;
    fixture_put_backup(&fixture, backup);
    backup.id = fixture_id(&fixture, 4);
    backup.status = MOS_BACKUP_VERIFIED;
    backup.created_at_unix_ns = BEGIN_NS - DAY_NS;
    fixture_put_backup(&fixture, backup);
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    const struct mos_alert *alert = open_alert(&fixture, "retention:late");
    CU_ASSERT_PTR_NOT_NULL_FATAL(alert);
    CU_ASSERT_EQUAL(alert->type, MOS_ALERT_RETENTION_VIOLATION);
    CU_ASSERT_STRING_EQUAL(alert->details[0].value, fixture_id(&fixture, 0));
    mos_monitor_destroy(monitor);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(what_is_gone_is_told_but_not_what_is_being_deleted) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const struct mos_monitor_options given = options();
    for (int i = 0; i < 2; i++) {
        fixture_put_backup(&fixture, (struct mos_backup){.id = fixture_id(&fixture, i),
                                                         .type = MOS_BACKUP_FILES,
                                                         .status = MOS_BACKUP_VERIFIED,
                                                         .encrypted_checksum = "x",
                                                         .encrypted_location = "/nowhere/at/all",
                                                         .retention_days = 10,
                                                         .created_at_unix_ns = mos_now_unix_ns() + i});
    }
    // Its manifest goes before its row does.
    fixture_put_job(&fixture, (struct mos_job){.id = fixture_id(&fixture, 9),
                                               .kind = MOS_JOB_DELETE,
                                               .status = MOS_JOB_RUNNING,
                                               .backup_id = fixture_id(&fixture, 0)});
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    const struct mos_alert *alert = open_alert(&fixture, "retention:gone");
    CU_ASSERT_PTR_NOT_NULL_FATAL(alert);
    CU_ASSERT_STRING_EQUAL(alert->details[0].value, fixture_id(&fixture, 1));
    mos_monitor_destroy(monitor);
    fixture_close(&fixture);
}

MOS_TEST(samples_of_a_clock_that_was_ahead_do_not_stop_the_forecast) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const struct mos_monitor_options given = options();
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    mos_clock_fake(BEGIN_NS + 1000 * HOUR_NS);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    mos_clock_fake(BEGIN_NS);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_storage_sample *samples;
    size_t count = 0;
    MOS_ASSERT_OK(mos_catalog_storage_samples(session, 0, 10, fixture.arena, &samples, &count, &fixture.error), &fixture.error);
    mos_catalog_read_end(session);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_EQUAL(samples[0].time_unix_ns, BEGIN_NS);
    mos_monitor_destroy(monitor);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

static int64_t count_rows(struct catalog_fixture *fixture, const char *table) {
    struct mos_sql sql;
    int64_t count = -1;
    mos_catalog_session *session = fixture_read(fixture);
    const char *text = mos_arena_printf(fixture->arena, "SELECT count(*) FROM %s", table);
    MOS_ASSERT_OK(mos_sql_begin(&sql, session, text, &fixture->error), &fixture->error);
    MOS_ASSERT_OK(mos_sql_number(&sql, &count, &fixture->error), &fixture->error);
    mos_sql_end(&sql);
    mos_catalog_read_end(session);
    return count;
}

MOS_TEST(a_clock_that_jumps_ahead_makes_nothing_forgotten) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const struct mos_monitor_options given = options();
    mos_clock_fake(BEGIN_NS);
    believe(&fixture, BEGIN_NS);
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    for (int hour = 0; hour < 5; hour++) {
        mos_clock_fake(BEGIN_NS + hour * HOUR_NS);
        MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    }
    const struct mos_alert_cause cause = cause_of("it", MOS_SEVERITY_ERROR, "something");
    mos_alert_raise(fixture.catalog, &cause);
    mos_monitor_destroy(monitor);
    CU_ASSERT_EQUAL(count_rows(&fixture, "storage_samples"), 5);
    int64_t events = count_rows(&fixture, "alert_events");
    CU_ASSERT(events > 0);
    mos_clock_fake(BEGIN_NS + 87600 * HOUR_NS);
    monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count_rows(&fixture, "storage_samples"), 5);
    CU_ASSERT(count_rows(&fixture, "alert_events") >= events);
    mos_monitor_destroy(monitor);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(what_is_no_longer_configured_is_no_longer_missed) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    char *paths[] = {"/nowhere/at/all", "/nowhere/else"};
    struct mos_monitor_source source = {.type = MOS_BACKUP_FILES, .name = "/nowhere", .paths = paths, .path_count = 2};
    struct mos_monitor_options given = options();
    given.sources = &source;
    given.source_count = 1;
    given.rpo_minutes = 60;
    mos_clock_fake(BEGIN_NS);
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    mos_clock_fake(BEGIN_NS + 2 * HOUR_NS);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NOT_NULL(open_alert(&fixture, "rpo:FILES"));
    CU_ASSERT_PTR_NOT_NULL(open_alert(&fixture, "source:/nowhere/at/all"));
    mos_monitor_destroy(monitor);
    source.path_count = 1;
    monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NOT_NULL(open_alert(&fixture, "rpo:FILES"));
    CU_ASSERT_PTR_NOT_NULL(open_alert(&fixture, "source:/nowhere/at/all"));
    CU_ASSERT_PTR_NULL(open_alert(&fixture, "source:/nowhere/else"));
    mos_monitor_destroy(monitor);
    given.source_count = 0;
    monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NULL(open_alert(&fixture, "rpo:FILES"));
    CU_ASSERT_PTR_NULL(open_alert(&fixture, "source:/nowhere/at/all"));
    mos_monitor_destroy(monitor);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

static const char *longest_unverified(struct catalog_fixture *fixture, int64_t before) {
    mos_catalog_session *session = fixture_read(fixture);
    const char *id = "";
    MOS_ASSERT_OK(mos_catalog_longest_unverified(session, before, fixture->arena, &id, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return id;
}

MOS_TEST(a_backup_that_cannot_be_verified_keeps_no_other_from_it) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    for (int i = 0; i < 2; i++) {
        fixture_put_backup(&fixture, (struct mos_backup){.id = fixture_id(&fixture, i),
                                                         .type = MOS_BACKUP_FILES,
                                                         .status = MOS_BACKUP_VERIFIED,
                                                         .encrypted_checksum = "x",
                                                         .verified_at_unix_ns = BEGIN_NS + i,
                                                         .created_at_unix_ns = BEGIN_NS});
    }
    CU_ASSERT_STRING_EQUAL(longest_unverified(&fixture, BEGIN_NS + DAY_NS), fixture_id(&fixture, 0));
    fixture_put_job(&fixture, (struct mos_job){.id = fixture_id(&fixture, 9),
                                               .kind = MOS_JOB_VERIFY,
                                               .status = MOS_JOB_FAILED,
                                               .backup_id = fixture_id(&fixture, 0),
                                               .created_at_unix_ns = BEGIN_NS + 2 * DAY_NS});
    CU_ASSERT_STRING_EQUAL(longest_unverified(&fixture, BEGIN_NS + DAY_NS), fixture_id(&fixture, 1));
    // Its turn comes again.
    CU_ASSERT_STRING_EQUAL(longest_unverified(&fixture, BEGIN_NS + 3 * DAY_NS), fixture_id(&fixture, 0));
    fixture_close(&fixture);
}
