#include "control/alert/notify.h"

#include "unit/control/alert/fixture.h"

static char *emails[] = {"one@shop.example", "two@shop.example"};
static char *bosses[] = {"boss@shop.example"};

static struct mos_notify_options options(void) {
    return (struct mos_notify_options){.emails = emails,
                                       .email_count = 2,
                                       .escalation_emails = bosses,
                                       .escalation_email_count = 1,
                                       .webhook = true,
                                       .least = MOS_SEVERITY_WARNING,
                                       .reminder_ns = 4 * HOUR_NS,
                                       .escalation_ns = HOUR_NS};
}

static void step(struct catalog_fixture *fixture, int64_t now) {
    const struct mos_notify_options told = options();
    mos_clock_fake(now);
    MOS_ASSERT_OK(mos_notify_step(fixture->catalog, &told, &fixture->error), &fixture->error);
}

static const char *raise_one(struct catalog_fixture *fixture, enum mos_alert_severity severity) {
    struct mos_alert_cause cause = cause_of("storage", severity, "full: Größe");
    mos_clock_fake(BEGIN_NS);
    mos_alert_raise(fixture->catalog, &cause);
    struct mos_alert *alerts;
    CU_ASSERT_EQUAL_FATAL(list_alerts(fixture, &alerts), 1);
    return alerts[0].id;
}

MOS_TEST(everybody_is_told_once) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const char *id = raise_one(&fixture, MOS_SEVERITY_WARNING);
    step(&fixture, BEGIN_NS);
    step(&fixture, BEGIN_NS + MINUTE_NS);
    raise_one(&fixture, MOS_SEVERITY_WARNING);
    step(&fixture, BEGIN_NS + 2 * MINUTE_NS);
    struct mos_delivery_row *rows;
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, id, &rows), 3);
    CU_ASSERT_STRING_EQUAL(rows[0].receiver, "mail:one@shop.example");
    CU_ASSERT_STRING_EQUAL(rows[1].receiver, "mail:two@shop.example");
    CU_ASSERT_STRING_EQUAL(rows[0].subject, "[Mosaajii Backup] WARNING: full: Größe");
    CU_ASSERT_PTR_NOT_NULL(strstr(rows[0].body, id));
    CU_ASSERT_STRING_EQUAL(rows[2].receiver, "webhook");
    CU_ASSERT_PTR_NOT_NULL(strstr(rows[2].body, "\"event\":\"RAISED\""));
    mos_alert_resolve(fixture.catalog, "storage");
    step(&fixture, BEGIN_NS + 3 * MINUTE_NS);
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, id, &rows), 6);
    CU_ASSERT_PTR_NOT_NULL(strstr(rows[3].subject, "RESOLVED"));
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(nobody_is_told_of_less_than_was_asked_for) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const char *id = raise_one(&fixture, MOS_SEVERITY_INFO);
    struct mos_delivery_row *rows;
    step(&fixture, BEGIN_NS + 100 * HOUR_NS);
    CU_ASSERT_EQUAL(list_deliveries(&fixture, id, &rows), 0);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(what_nobody_acknowledges_is_told_again_and_to_others) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const char *id = raise_one(&fixture, MOS_SEVERITY_ERROR);
    struct mos_delivery_row *rows;
    step(&fixture, BEGIN_NS);
    step(&fixture, BEGIN_NS + HOUR_NS - 1);
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, id, &rows), 3);
    step(&fixture, BEGIN_NS + HOUR_NS);
    step(&fixture, BEGIN_NS + HOUR_NS + MINUTE_NS);
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, id, &rows), 4);
    CU_ASSERT_STRING_EQUAL(rows[3].receiver, "mail:boss@shop.example");
    CU_ASSERT_PTR_NOT_NULL(strstr(rows[3].subject, "ESCALATED"));
    step(&fixture, BEGIN_NS + 4 * HOUR_NS);
    // Everybody, those it was escalated to as well.
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, id, &rows), 8);
    struct acknowledging change = {id};
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, acknowledge_now, &change, &fixture.error), &fixture.error);
    step(&fixture, BEGIN_NS + 50 * HOUR_NS);
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, id, &rows), 8);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(a_clock_that_was_ahead_puts_no_reminder_off) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const char *id = raise_one(&fixture, MOS_SEVERITY_ERROR);
    struct mos_delivery_row *rows;
    step(&fixture, BEGIN_NS);
    // A year ahead for once: everybody is reminded, and others are told.
    step(&fixture, BEGIN_NS + 8760 * HOUR_NS);
    size_t before = list_deliveries(&fixture, id, &rows);
    step(&fixture, BEGIN_NS + 4 * HOUR_NS);
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, id, &rows), before + 4);
    step(&fixture, BEGIN_NS + 8 * HOUR_NS - 1);
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, id, &rows), before + 4);
    step(&fixture, BEGIN_NS + 8 * HOUR_NS);
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, id, &rows), before + 8);
    mos_clock_fake(0);
    fixture_close(&fixture);
}

MOS_TEST(addresses_are_checked) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error;
    char **out;
    size_t count;
    MOS_ASSERT_OK(mos_notify_addresses("ALERT_EMAILS", " a@b.example ,,c@d.example,", arena, &out, &count, &error), &error);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_STRING_EQUAL(out[0], "a@b.example");
    CU_ASSERT_STRING_EQUAL(out[1], "c@d.example");
    static const char *const wrong[] = {"a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "a@b;c@d"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(mos_notify_addresses("ALERT_EMAILS", wrong[i], arena, &out, &count, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "ALERT_EMAILS");
    }
}
