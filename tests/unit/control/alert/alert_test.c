#include "control/alert/alert.h"

#include "unit/control/alert/fixture.h"

MOS_TEST(one_cause_has_one_open_alert) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_clock_fake(BEGIN_NS);
    struct mos_alert_cause cause = cause_of("storage", MOS_SEVERITY_WARNING, "nearly full");
    const struct mos_alert_detail details[] = {{"freeBytes", "17"}, {"path", "/\"quoted\"\n"}};
    cause.details = details;
    cause.detail_count = 2;
    mos_alert_raise(fixture.catalog, &cause);
    mos_clock_fake(BEGIN_NS + MINUTE_NS);
    cause.message = "still nearly full";
    mos_alert_raise(fixture.catalog, &cause);
    struct mos_alert_cause other = cause_of("storage2", MOS_SEVERITY_WARNING, "another");
    mos_alert_raise(fixture.catalog, &other);
    struct mos_alert *alerts;
    CU_ASSERT_EQUAL_FATAL(list_alerts(&fixture, &alerts), 2);
    const struct mos_alert *alert = &alerts[1];
    CU_ASSERT_STRING_EQUAL(alert->cause, "storage");
    CU_ASSERT_EQUAL(alert->count, 2);
    CU_ASSERT_EQUAL(alert->created_at_unix_ns, BEGIN_NS);
    CU_ASSERT_EQUAL(alert->last_seen_at_unix_ns, BEGIN_NS + MINUTE_NS);
    CU_ASSERT_STRING_EQUAL(alert->message, "still nearly full");
    CU_ASSERT_EQUAL_FATAL(alert->detail_count, 2);
    CU_ASSERT_STRING_EQUAL(alert->details[1].value, "/\"quoted\"\n");
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(what_is_resolved_is_raised_anew) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_alert_cause cause = cause_of("storage", MOS_SEVERITY_ERROR, "full");
    mos_alert_resolve(fixture.catalog, "storage");
    mos_alert_raise(fixture.catalog, &cause);
    mos_alert_resolve(fixture.catalog, "storage");
    mos_alert_resolve(fixture.catalog, "storage");
    mos_alert_raise(fixture.catalog, &cause);
    struct mos_alert *alerts;
    CU_ASSERT_EQUAL_FATAL(list_alerts(&fixture, &alerts), 2);
    CU_ASSERT_EQUAL(alerts[0].resolved_at_unix_ns, 0);
    CU_ASSERT(alerts[1].resolved_at_unix_ns > 0);
    CU_ASSERT_EQUAL(alerts[0].count, 1);
    struct mos_alert_event *events;
    CU_ASSERT_EQUAL_FATAL(list_events(&fixture, 0, &events), 3);
    CU_ASSERT(events[0].kind == MOS_ALERT_RAISED && events[1].kind == MOS_ALERT_RESOLVED && events[2].kind == MOS_ALERT_RAISED);
    CU_ASSERT(events[0].sequence < events[1].sequence && events[1].sequence < events[2].sequence);
    CU_ASSERT_EQUAL(mos_catalog_last_event(fixture.catalog), events[2].sequence);
    fixture_close(&fixture);
}

MOS_TEST(of_repetitions_the_newest_event_stays) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_alert_cause cause = cause_of("storage", MOS_SEVERITY_ERROR, "full");
    for (int i = 0; i < 10; i++) {
        mos_alert_raise(fixture.catalog, &cause);
    }
    struct mos_alert_event *events;
    CU_ASSERT_EQUAL_FATAL(list_events(&fixture, 0, &events), 2);
    CU_ASSERT(events[0].kind == MOS_ALERT_RAISED && events[1].kind == MOS_ALERT_REPEATED);
    CU_ASSERT_EQUAL(events[1].sequence, mos_catalog_last_event(fixture.catalog));
    fixture_close(&fixture);
}

MOS_TEST(what_becomes_graver_is_no_longer_acknowledged) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_alert_cause cause = cause_of("storage", MOS_SEVERITY_WARNING, "nearly full");
    mos_alert_raise(fixture.catalog, &cause);
    struct mos_alert *alerts;
    CU_ASSERT_EQUAL_FATAL(list_alerts(&fixture, &alerts), 1);
    struct acknowledging change = {alerts[0].id};
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, acknowledge_now, &change, &fixture.error), &fixture.error);
    mos_alert_raise(fixture.catalog, &cause);
    CU_ASSERT_EQUAL_FATAL(list_alerts(&fixture, &alerts), 1);
    CU_ASSERT(alerts[0].acknowledged_at_unix_ns > 0);
    CU_ASSERT_STRING_EQUAL(alerts[0].acknowledged_by, "somebody");
    CU_ASSERT_STRING_EQUAL(alerts[0].note, "seen");
    cause.severity = MOS_SEVERITY_CRITICAL;
    mos_alert_raise(fixture.catalog, &cause);
    CU_ASSERT_EQUAL_FATAL(list_alerts(&fixture, &alerts), 1);
    CU_ASSERT_EQUAL(alerts[0].acknowledged_at_unix_ns, 0);
    CU_ASSERT_STRING_EQUAL(alerts[0].note, "");
    // And does not become less grave by itself.
    cause.severity = MOS_SEVERITY_INFO;
    mos_alert_raise(fixture.catalog, &cause);
    CU_ASSERT_EQUAL_FATAL(list_alerts(&fixture, &alerts), 1);
    CU_ASSERT_EQUAL(alerts[0].severity, MOS_SEVERITY_CRITICAL);
    change.id = "nothing";
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, acknowledge_now, &change, &fixture.error), MOS_NOT_FOUND);
    fixture_close(&fixture);
}
