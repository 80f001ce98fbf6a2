#include "control/alert/monitor.h"

#include <sys/statvfs.h>

#include "control/catalog/health.h"
#include "control/catalog/retention.h"
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
    fixture_add_event(&fixture, event);
    for (int i = 0; i < 2; i++) {
        mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
        MOS_ASSERT_OK(mos_monitor_follow(monitor, &fixture.error), &fixture.error);
        mos_monitor_destroy(monitor);
    }
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

struct retention {
    const char *ids[3];
    size_t count;
    int64_t asked_unix_ns;
    mos_status answer;
};

static mos_status overdue(void *context, int64_t unix_ns, mos_arena *arena, const char ***out_ids, size_t *out_count,
                          struct mos_error *error) {
    struct retention *retention = context;
    (void)arena;
    retention->asked_unix_ns = unix_ns;
    *out_ids = retention->ids;
    *out_count = retention->count;
    return retention->answer ? mos_fail(error, retention->answer, "the rules cannot be read") : MOS_OK;
}

MOS_TEST(what_is_kept_too_long_is_told_when_it_stays) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct retention retention = {.ids = {"one", "two", "three"}, .count = 2};
    struct mos_monitor_options given = options();
    given.retention = (struct mos_monitor_retention){overdue, &retention};
    mos_clock_fake(BEGIN_NS);
    mos_monitor *monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    // Retention may just have let it go: it is told no sooner than a deletion takes.
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(retention.asked_unix_ns, BEGIN_NS - 2 * DAY_NS);
    mos_clock_fake(BEGIN_NS + 179 * MINUTE_NS);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NULL(open_alert(&fixture, "retention:late"));
    // And it was: nothing of that counts when there is something again.
    retention.count = 0;
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    retention.count = 2;
    mos_clock_fake(BEGIN_NS + 181 * MINUTE_NS);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NULL(open_alert(&fixture, "retention:late"));
    mos_clock_fake(BEGIN_NS + 361 * MINUTE_NS);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    const struct mos_alert *alert = open_alert(&fixture, "retention:late");
    CU_ASSERT_PTR_NOT_NULL_FATAL(alert);
    CU_ASSERT(alert->type == MOS_ALERT_RETENTION_VIOLATION && alert->severity == MOS_SEVERITY_WARNING);
    CU_ASSERT_STRING_EQUAL(alert->message, "2 backups are still there after the end of retention");
    CU_ASSERT_STRING_EQUAL(alert->details[0].value, "one,two");
    // What cannot be found out resolves nothing.
    retention.answer = MOS_FAILED_PRECONDITION;
    CU_ASSERT_EQUAL(mos_monitor_cycle(monitor, &fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(open_alert(&fixture, "retention:late"));
    mos_monitor_destroy(monitor);
    // Over a restart it stays open, until nothing is late.
    retention.answer = MOS_OK;
    monitor = mos_monitor_create(fixture.catalog, NULL, &given);
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NOT_NULL(open_alert(&fixture, "retention:late"));
    retention.count = 0;
    MOS_ASSERT_OK(mos_monitor_cycle(monitor, &fixture.error), &fixture.error);
    CU_ASSERT_PTR_NULL(open_alert(&fixture, "retention:late"));
    mos_monitor_destroy(monitor);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

struct odd {
    const char *id;
    bool lifted;
};

static mos_status mark_odd(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct odd *odd = argument;
    if (odd->lifted) {
        return mos_monitor_lift_quarantine(session, odd->id, error);
    }
    mos_status status = mos_catalog_quarantine_backup(session, odd->id, "files were missing", error);
    char cause[64];
    snprintf(cause, sizeof(cause), "anomaly:%s", odd->id);
    const struct mos_alert_cause found = {
        .type = MOS_ALERT_ANOMALY, .severity = MOS_SEVERITY_CRITICAL, .cause = cause, .backup_id = odd->id, .message = "it is odd"};
    return status == MOS_OK ? mos_alert_raise_in(session, &found, error) : status;
}

static struct mos_backup stored(struct catalog_fixture *fixture, const char *id) {
    struct mos_backup backup;
    mos_catalog_session *session = fixture_read(fixture);
    MOS_ASSERT_OK(mos_catalog_get_backup(session, id, fixture->arena, &backup, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return backup;
}

MOS_TEST(a_quarantine_is_lifted_with_the_alert_that_told_of_it) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct odd odd = {.id = fixture_id(&fixture, 1)}, other = {.id = fixture_id(&fixture, 2)};
    struct mos_backup backup = {.type = MOS_BACKUP_FILES, .status = MOS_BACKUP_VERIFIED};
    for (int i = 1; i <= 2; i++) {
        backup.id = fixture_id(&fixture, i);
        fixture_put_backup(&fixture, backup);
    }
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, mark_odd, &odd, &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, mark_odd, &other, &fixture.error), &fixture.error);
    // Nobody who changes something else of the backup lifts it.
    fixture_put_backup(&fixture, (struct mos_backup){.id = odd.id, .name = "new", .type = MOS_BACKUP_FILES, .status = MOS_BACKUP_VERIFIED});
    backup = stored(&fixture, odd.id);
    CU_ASSERT(backup.quarantined);
    CU_ASSERT_STRING_EQUAL(backup.quarantine_reason, "files were missing");
    odd.lifted = true;
    for (int i = 0; i < 2; i++) {
        MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, mark_odd, &odd, &fixture.error), &fixture.error);
        backup = stored(&fixture, odd.id);
        CU_ASSERT(!backup.quarantined);
        CU_ASSERT_STRING_EQUAL(backup.quarantine_reason, "");
        CU_ASSERT_PTR_NULL(open_alert(&fixture, mos_arena_printf(fixture.arena, "anomaly:%s", odd.id)));
    }
    CU_ASSERT(stored(&fixture, other.id).quarantined);
    CU_ASSERT_PTR_NOT_NULL(open_alert(&fixture, mos_arena_printf(fixture.arena, "anomaly:%s", other.id)));
    fixture_close(&fixture);
}
