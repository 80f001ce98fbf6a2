// A catalog, and the words that tests of alerts say often.
#ifndef MOS_TESTS_UNIT_CONTROL_ALERT_FIXTURE_H
#define MOS_TESTS_UNIT_CONTROL_ALERT_FIXTURE_H

#include <sqlite3.h>

#include "common/clock.h"
#include "control/alert/alert.h"
#include "control/catalog/alerts.h"
#include "control/catalog/deliveries.h"
#include "control/catalog/retention.h"
#include "unit/control/catalog/fixture.h"

#define MINUTE_NS (60 * MOS_NS_PER_SECOND)
#define HOUR_NS (60 * MINUTE_NS)
#define BEGIN_NS (INT64_C(1800000000) * MOS_NS_PER_SECOND)

static inline struct mos_alert_cause cause_of(const char *cause, enum mos_alert_severity severity, const char *message) {
    return (struct mos_alert_cause){.type = MOS_ALERT_STORAGE_FULL, .severity = severity, .cause = cause, .message = message};
}

static inline size_t list_alerts(struct catalog_fixture *fixture, struct mos_alert **out) {
    mos_catalog_session *session = fixture_read(fixture);
    const struct mos_alert_filter filter = {.acknowledged = -1};
    const struct mos_page page = {.size = 1000};
    size_t count = 0;
    const char *next;
    MOS_ASSERT_OK(mos_catalog_list_alerts(session, &filter, &page, fixture->arena, out, &count, &next, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return count;
}

static inline size_t list_events(struct catalog_fixture *fixture, int64_t after, struct mos_alert_event **out) {
    mos_catalog_session *session = fixture_read(fixture);
    size_t count = 0;
    MOS_ASSERT_OK(mos_catalog_list_alert_events(session, after, 100, fixture->arena, out, &count, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return count;
}

// What was put into the outbox about an alert, oldest first.
static inline size_t list_deliveries(struct catalog_fixture *fixture, const char *reference, struct mos_delivery_row **out) {
    mos_catalog_session *session = fixture_read(fixture);
    size_t count = 0;
    MOS_ASSERT_OK(mos_catalog_deliveries_of(session, reference, 100, fixture->arena, out, &count, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return count;
}

// Behind the catalog's back, as what a disk does to it.
static inline void run_sql(struct catalog_fixture *fixture, const char *sql) {
    sqlite3 *db;
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(fixture->path, &db), SQLITE_OK);
    CU_ASSERT_EQUAL_FATAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static inline mos_status put_known_now(mos_catalog_session *session, void *known_ns, struct mos_error *error) {
    return mos_catalog_put_known_time(session, *(const int64_t *)known_ns, error);
}
// The clock was believed at this time.
static inline void believe(struct catalog_fixture *fixture, int64_t known_ns) {
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, put_known_now, &known_ns, &fixture->error), &fixture->error);
}

struct acknowledging {
    const char *id;
};
static inline mos_status acknowledge_now(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_alert_acknowledge_in(session, ((struct acknowledging *)argument)->id, "somebody", "seen", error);
}

#endif
