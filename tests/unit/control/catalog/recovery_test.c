#include "control/catalog/recovery.h"

#include <string.h>

#include "unit/control/catalog/fixture.h"

static mos_status put_plan(mos_catalog_session *session, void *plan, struct mos_error *error) {
    return mos_catalog_put_plan(session, plan, error);
}

static mos_status put_run(mos_catalog_session *session, void *run, struct mos_error *error) {
    return mos_catalog_put_recovery_run(session, run, error);
}

static mos_status add_journal(mos_catalog_session *session, void *entry, struct mos_error *error) {
    return mos_catalog_add_journal(session, entry, error);
}

static mos_status remove_plan(mos_catalog_session *session, void *id, struct mos_error *error) {
    return mos_catalog_remove_plan(session, id, error);
}

static void put(struct catalog_fixture *fixture, mos_catalog_change change, void *argument) {
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, change, argument, &fixture->error), &fixture->error);
}

static struct mos_blob blob(const char *text) {
    return (struct mos_blob){(const uint8_t *)text, strlen(text)};
}

MOS_TEST(plans_are_listed_newest_first_by_pages_and_filters) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    static const char *const ids[] = {"01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002",
                                      "01890000-0000-7000-8000-000000000003"};
    for (int i = 0; i < 3; i++) {
        struct mos_recovery_plan plan = {
            .id = ids[i], .priority = 1 + i % 2, .status = 1, .created_at_unix_ns = 100 + i, .content = blob(ids[i])};
        put(&fixture, put_plan, &plan);
    }
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_recovery_plan *plans;
    size_t count;
    const char *next;
    struct mos_page page = {.size = 2};
    MOS_ASSERT_OK(mos_catalog_list_plans(session, 0, 0, &page, fixture.arena, &plans, &count, &next, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_STRING_EQUAL(plans[0].id, ids[2]);
    page.token = next;
    MOS_ASSERT_OK(mos_catalog_list_plans(session, 0, 0, &page, fixture.arena, &plans, &count, &next, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_STRING_EQUAL(plans[0].id, ids[0]);
    CU_ASSERT_STRING_EQUAL(next, "");
    // A token of another list is no token of this one.
    CU_ASSERT_EQUAL(mos_catalog_list_plans(session, 1, 0, &page, fixture.arena, &plans, &count, &next, NULL), MOS_INVALID_ARGUMENT);
    page.token = "";
    MOS_ASSERT_OK(mos_catalog_list_plans(session, 2, 0, &page, fixture.arena, &plans, &count, &next, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_STRING_EQUAL(plans[0].id, ids[1]);
    mos_catalog_read_end(session);
    put(&fixture, remove_plan, (void *)ids[1]);
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, remove_plan, (void *)ids[1], NULL), MOS_NOT_FOUND);
    fixture_close(&fixture);
}

MOS_TEST(a_run_keeps_its_report_and_leaves_the_active_ones_when_it_ends) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_recovery_run run = {.id = "r", .plan_id = "p", .status = 2, .active = true, .created_at_unix_ns = 5, .content = blob("one")};
    struct mos_recovery_run hidden = {
        .id = "h", .plan_id = "p", .test = true, .hidden = true, .status = 2, .active = true, .content = blob("x")};
    put(&fixture, put_run, &run);
    put(&fixture, put_run, &hidden);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_recovery_run *runs, found;
    size_t count;
    MOS_ASSERT_OK(mos_catalog_active_recovery_runs(session, fixture.arena, &runs, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 2);
    mos_catalog_read_end(session);
    run.active = false;
    run.content = blob("two");
    run.report = blob("report");
    put(&fixture, put_run, &run);
    run.report = (struct mos_blob){0};
    put(&fixture, put_run, &run);
    session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_get_recovery_run(session, "r", fixture.arena, &found, &fixture.error), &fixture.error);
    CU_ASSERT(found.report.size_bytes == 6 && memcmp(found.report.data, "report", 6) == 0 && memcmp(found.content.data, "two", 3) == 0);
    MOS_ASSERT_OK(mos_catalog_active_recovery_runs(session, fixture.arena, &runs, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_STRING_EQUAL(runs[0].id, "h");
    const struct mos_page page = {0};
    const char *next;
    const struct mos_recovery_filter tests = {.plan_id = "p", .tests = true}, real = {.plan_id = "p"}, other = {.plan_id = "q"};
    MOS_ASSERT_OK(mos_catalog_list_recovery_runs(session, &tests, &page, fixture.arena, &runs, &count, &next, &fixture.error),
                  &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    MOS_ASSERT_OK(mos_catalog_list_recovery_runs(session, &real, &page, fixture.arena, &runs, &count, &next, &fixture.error),
                  &fixture.error);
    CU_ASSERT_EQUAL(count, 1);
    MOS_ASSERT_OK(mos_catalog_list_recovery_runs(session, &other, &page, fixture.arena, &runs, &count, &next, &fixture.error),
                  &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

static mos_status thin_journal(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_thin_journal(session, argument, 3, error);
}

MOS_TEST(the_way_of_a_run_that_has_ended_is_forgotten_but_for_its_last) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    static const int kinds[] = {1, 3, 3, 2, 3, 4, 1};
    struct mos_journal_entry mine[7], other = {.run_id = "s", .time_unix_ns = 1, .kind = 3, .content = blob("c")};
    put(&fixture, add_journal, &other);
    for (int i = 0; i < 7; i++) {
        mine[i] = (struct mos_journal_entry){.run_id = "r", .time_unix_ns = i, .kind = kinds[i], .content = blob("e")};
        put(&fixture, add_journal, &mine[i]);
    }
    put(&fixture, thin_journal, (void *)"r");
    put(&fixture, thin_journal, (void *)"r");
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_journal_entry *entries;
    size_t count;
    MOS_ASSERT_OK(mos_catalog_next_journal(session, "r", 0, 0, 10, fixture.arena, &entries, &count, &fixture.error), &fixture.error);
    static const int left[] = {0, 3, 4, 5, 6};
    CU_ASSERT_EQUAL_FATAL(count, 5);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(entries[i].sequence, mine[left[i]].sequence);
    }
    MOS_ASSERT_OK(mos_catalog_next_journal(session, "s", 0, 0, 10, fixture.arena, &entries, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 1);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(the_journal_is_numbered_with_the_events_and_wakes_those_who_wait) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    int64_t event =
        fixture_add_event(&fixture, (struct mos_event){.kind = MOS_EVENT_QUEUED, .job_id = "j", .backup_id = "", .message = ""});
    struct mos_journal_entry first = {.run_id = "r", .time_unix_ns = 1, .kind = 1, .content = blob("a")};
    struct mos_journal_entry second = {.run_id = "r", .time_unix_ns = 2, .kind = 4, .content = blob("b")};
    struct mos_journal_entry other = {.run_id = "s", .time_unix_ns = 3, .kind = 1, .content = blob("c")};
    put(&fixture, add_journal, &first);
    put(&fixture, add_journal, &other);
    put(&fixture, add_journal, &second);
    CU_ASSERT(event < first.sequence && first.sequence < other.sequence && other.sequence < second.sequence);
    CU_ASSERT_EQUAL(mos_catalog_last_event(fixture.catalog), second.sequence);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_journal_entry *entries;
    size_t count;
    MOS_ASSERT_OK(mos_catalog_next_journal(session, "r", 0, 0, 10, fixture.arena, &entries, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT(entries[0].sequence == first.sequence && entries[1].sequence == second.sequence && entries[1].content.data[0] == 'b');
    MOS_ASSERT_OK(mos_catalog_next_journal(session, "r", 0, first.sequence, 10, fixture.arena, &entries, &count, &fixture.error),
                  &fixture.error);
    CU_ASSERT_EQUAL(count, 1);
    MOS_ASSERT_OK(mos_catalog_next_journal(session, "r", 4, 0, 10, fixture.arena, &entries, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 1);
    MOS_ASSERT_OK(mos_catalog_next_journal(session, "r", 0, 0, 1, fixture.arena, &entries, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 1);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}
