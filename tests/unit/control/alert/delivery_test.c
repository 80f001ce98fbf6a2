#include "control/alert/delivery.h"

#include "unit/control/alert/fixture.h"

static struct mos_delivery_options options(void) {
    // Port 1 of this machine: nobody listens there.
    return (struct mos_delivery_options){.smtp_host = "",
                                         .smtp_port = 25,
                                         .smtp_user = "",
                                         .smtp_password = "",
                                         .smtp_tls = "STARTTLS",
                                         .from = "",
                                         .webhook_url = "http://127.0.0.1:1/",
                                         .webhook_secret = "secret",
                                         .ca_file = "",
                                         .timeout_ms = 5000,
                                         .retry_seconds = 30,
                                         .give_up_seconds = 7200};
}

static mos_status add_now(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_delivery_add_in(session, argument, error);
}

static int64_t run(struct catalog_fixture *fixture, mos_delivery *delivery, int64_t now) {
    int64_t tried = 0;
    mos_clock_fake(now);
    MOS_ASSERT_OK(mos_delivery_run_due(delivery, &tried, &fixture->error), &fixture->error);
    return tried;
}

MOS_TEST(a_receiver_that_is_away_is_tried_later_and_later_and_then_given_up) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_clock_fake(BEGIN_NS);
    const struct mos_delivery_options given = options();
    mos_delivery *delivery = mos_delivery_create(fixture.catalog, &given);
    struct mos_outgoing message = {.receiver = "webhook", .subject = "TEST", .body = "{}", .reference = "it"};
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, add_now, &message, &fixture.error), &fixture.error);
    // Twice as long each time, but never more than fifteen minutes apart.
    static const int64_t tries[] = {0, 30, 90, 210, 450, 930, 1830, 2730, 3630, 4530, 5430, 6330, 7230};
    enum { TRIES = sizeof(tries) / sizeof(tries[0]) };
    for (int i = 0; i < TRIES; i++) {
        CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS + tries[i] * MOS_NS_PER_SECOND - 1), 0);
        CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS + tries[i] * MOS_NS_PER_SECOND), 1);
    }
    struct mos_delivery_row *rows;
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, "it", &rows), 1);
    CU_ASSERT_EQUAL(rows[0].given_up_at_unix_ns, BEGIN_NS + 7230 * MOS_NS_PER_SECOND);
    CU_ASSERT_EQUAL(rows[0].tries, TRIES);
    CU_ASSERT(*rows[0].message != 0);
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS + 9 * HOUR_NS), 0);
    mos_clock_fake(0);
    mos_delivery_destroy(delivery);
    fixture_close(&fixture);
}

MOS_TEST(a_clock_that_was_ahead_puts_no_message_off) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const struct mos_delivery_options given = options();
    mos_delivery *delivery = mos_delivery_create(fixture.catalog, &given);
    struct mos_outgoing message = {.receiver = "webhook", .subject = "TEST", .body = "{}", .reference = "it"};
    mos_clock_fake(BEGIN_NS + 10000 * HOUR_NS);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, add_now, &message, &fixture.error), &fixture.error);
    // Set right: from now on as if it had always been.
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS), 1);
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS + 29 * MOS_NS_PER_SECOND), 0);
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS + 30 * MOS_NS_PER_SECOND), 1);
    mos_clock_fake(0);
    mos_delivery_destroy(delivery);
    fixture_close(&fixture);
}

MOS_TEST(a_clock_that_jumps_ahead_gives_no_message_up) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const struct mos_delivery_options given = options();
    mos_delivery *delivery = mos_delivery_create(fixture.catalog, &given);
    struct mos_outgoing message = {.receiver = "webhook", .subject = "TEST", .body = "{}", .reference = "it"};
    mos_clock_fake(BEGIN_NS);
    believe(&fixture, BEGIN_NS);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, add_now, &message, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS), 1);
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS + 87600 * HOUR_NS), 1);
    struct mos_delivery_row *rows;
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, "it", &rows), 1);
    CU_ASSERT_EQUAL(rows[0].given_up_at_unix_ns, 0);
    // Set right, it goes on.
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS + MINUTE_NS), 1);
    mos_clock_fake(0);
    mos_delivery_destroy(delivery);
    fixture_close(&fixture);
}

MOS_TEST(what_was_sent_is_not_sent_again_because_it_could_not_be_recorded) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_clock_fake(BEGIN_NS);
    const struct mos_delivery_options given = options();
    mos_delivery *delivery = mos_delivery_create(fixture.catalog, &given);
    struct mos_outgoing message = {.receiver = "webhook", .subject = "TEST", .body = "{}", .reference = "it"};
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, add_now, &message, &fixture.error), &fixture.error);
    // As on a full disk.
    run_sql(&fixture, "CREATE TRIGGER full BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'full'); END");
    int64_t tried = 0;
    CU_ASSERT_NOT_EQUAL(mos_delivery_run_due(delivery, &tried, &fixture.error), MOS_OK);
    CU_ASSERT_EQUAL(tried, 1);
    CU_ASSERT_NOT_EQUAL(mos_delivery_run_due(delivery, &tried, &fixture.error), MOS_OK);
    CU_ASSERT_EQUAL(tried, 0);
    run_sql(&fixture, "DROP TRIGGER full");
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS + 1), 0);
    struct mos_delivery_row *rows;
    CU_ASSERT_EQUAL_FATAL(list_deliveries(&fixture, "it", &rows), 1);
    CU_ASSERT_EQUAL(rows[0].tries, 1);
    CU_ASSERT_EQUAL(rows[0].next_try_at_unix_ns, BEGIN_NS + 30 * MOS_NS_PER_SECOND);
    CU_ASSERT(*rows[0].message != 0);
    mos_clock_fake(0);
    mos_delivery_destroy(delivery);
    fixture_close(&fixture);
}

static int64_t number_of(struct catalog_fixture *fixture, const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *statement;
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(fixture->path, &db), SQLITE_OK);
    CU_ASSERT_EQUAL_FATAL(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL_FATAL(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return number;
}

MOS_TEST(a_mail_server_that_is_away_does_not_hold_up_the_webhook) {
    enum { MAILS = 40, FEW = 8 };
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_clock_fake(BEGIN_NS);
    struct mos_delivery_options given = options();
    given.smtp_host = "127.0.0.1";
    given.smtp_port = 1;
    given.smtp_tls = "NONE";
    given.from = "a@b.example";
    mos_delivery *delivery = mos_delivery_create(fixture.catalog, &given);
    struct mos_outgoing mail = {.receiver = "mail:c@d.example", .subject = "TEST", .body = "text", .reference = "it"};
    for (int i = 0; i < MAILS; i++) {
        MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, add_now, &mail, &fixture.error), &fixture.error);
    }
    mos_clock_fake(BEGIN_NS + MINUTE_NS);
    struct mos_outgoing message = {.receiver = "webhook", .subject = "TEST", .body = "{}", .reference = "it"};
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, add_now, &message, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS + MINUTE_NS), MAILS + 1);
    // A row that is recorded again goes behind all others.
    CU_ASSERT(number_of(&fixture,
                        "SELECT count(*) FROM deliveries WHERE rowid < (SELECT rowid FROM deliveries WHERE receiver = 'webhook')") <= FEW);
    mos_clock_fake(0);
    mos_delivery_destroy(delivery);
    fixture_close(&fixture);
}

// Of what a scrape of the metrics asks again and again: no row with its body is read for it.
MOS_TEST(messages_that_were_given_up_are_counted_by_an_index) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_clock_fake(BEGIN_NS);
    struct mos_delivery_options given = options();
    given.give_up_seconds = 0;
    mos_delivery *delivery = mos_delivery_create(fixture.catalog, &given);
    struct mos_outgoing message = {.receiver = "webhook", .subject = "TEST", .body = "{}", .reference = "it"};
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, add_now, &message, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(run(&fixture, delivery, BEGIN_NS), 1);
    mos_catalog_session *session = fixture_read(&fixture);
    int64_t waiting = -1, given_up = -1;
    MOS_ASSERT_OK(mos_catalog_count_deliveries(session, &waiting, &given_up, &fixture.error), &fixture.error);
    mos_catalog_read_end(session);
    CU_ASSERT(waiting == 0 && given_up == 1);
    CU_ASSERT_EQUAL(number_of(&fixture, "SELECT count(*) FROM deliveries INDEXED BY deliveries_given_up WHERE given_up_at_ns <> 0"), 1);
    mos_clock_fake(0);
    mos_delivery_destroy(delivery);
    fixture_close(&fixture);
}

MOS_TEST(receivers_and_settings_are_checked) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    static const char *const wrong[] = {"", "mail:", "mail:nobody", "webhook:x", "fax:1", "mail:a@b,c@d"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct mos_outgoing message = {.receiver = wrong[i], .subject = "", .body = "", .reference = ""};
        CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, add_now, &message, &fixture.error), MOS_INVALID_ARGUMENT);
    }
    struct mos_delivery_options given = options();
    MOS_ASSERT_OK(mos_delivery_check(&given, &fixture.error), &fixture.error);
    given.webhook_secret = "";
    CU_ASSERT_EQUAL(mos_delivery_check(&given, &fixture.error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(fixture.error.field, "ALERT_WEBHOOK_SECRET");
    given = options();
    given.webhook_url = "file:///etc/passwd";
    CU_ASSERT_EQUAL(mos_delivery_check(&given, &fixture.error), MOS_INVALID_ARGUMENT);
    given = options();
    given.smtp_host = "mail.example";
    CU_ASSERT_EQUAL(mos_delivery_check(&given, &fixture.error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(fixture.error.field, "FROM_EMAIL");
    given.from = "a@b.example";
    MOS_ASSERT_OK(mos_delivery_check(&given, &fixture.error), &fixture.error);
    given.smtp_tls = "NONE";
    CU_ASSERT_EQUAL(mos_delivery_check(&given, &fixture.error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(fixture.error.field, "SMTP_TLS");
    given.smtp_host = "127.0.0.1";
    MOS_ASSERT_OK(mos_delivery_check(&given, &fixture.error), &fixture.error);
    given.smtp_host = "127.0.0.1.example";
    CU_ASSERT_EQUAL(mos_delivery_check(&given, &fixture.error), MOS_INVALID_ARGUMENT);
    fixture_close(&fixture);
}
