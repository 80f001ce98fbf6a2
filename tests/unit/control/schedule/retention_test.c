#include "common/clock.h"
#include "control/schedule/retention.h"
#include "unit/test.h"

#define DAY (INT64_C(86400) * MOS_NS_PER_SECOND)

static int64_t ns_of(const char *text) {
    int64_t unix_ns = 0;
    CU_ASSERT_FATAL(mos_time_parse(text, &unix_ns));
    return unix_ns;
}

// A good, verified backup of source 1 whose days were over at once.
static struct mos_retention_item item_at(const char *time) {
    return (struct mos_retention_item){.id = "x",
                                       .label = "FILES",
                                       .created_at_unix_ns = ns_of(time),
                                       .expires_at_unix_ns = ns_of(time) + 1,
                                       .good = true,
                                       .verified = true,
                                       .source = 1,
                                       .rule = 0};
}

static void judge(const struct mos_retention_item *items, size_t count, struct mos_keep keep, const char *zone_name, const char *now,
                  enum mos_verdict *out) {
    MOS_CLEANUP_ZONE mos_zone *zone = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_zone_open(&zone, zone_name, &error), &error);
    const struct mos_keep_rule rule = {keep, zone};
    const struct mos_retention retention = {.items = items, .count = count, .rules = &rule, .rule_count = 1, .first_tag_rule = 1};
    mos_retention_judge(&retention, ns_of(now), out);
}

MOS_TEST(days_and_rules_keep_what_they_say) {
    const struct mos_retention_item items[] = {
        item_at("2026-03-10T22:00:00Z"), item_at("2026-03-10T10:00:00Z"), item_at("2026-03-09T21:30:00Z"), item_at("2026-03-09T09:00:00Z"),
        item_at("2026-03-02T09:00:00Z"), item_at("2026-02-27T09:00:00Z"), item_at("2025-12-31T09:00:00Z"),
    };
    enum { COUNT = sizeof(items) / sizeof(items[0]) };
    enum mos_verdict out[COUNT];
    judge(items, COUNT, (struct mos_keep){0}, "", "2026-04-01T00:00:00Z", out);
    CU_ASSERT(out[0] == MOS_STAYS_LAST_GOOD && out[1] == MOS_GOES && out[6] == MOS_GOES);
    judge(items, COUNT, (struct mos_keep){.daily = 2}, "", "2026-04-01T00:00:00Z", out);
    CU_ASSERT(out[0] == MOS_STAYS_BY_RULE && out[1] == MOS_GOES && out[2] == MOS_STAYS_BY_RULE && out[3] == MOS_GOES);
    // In Karachi it is the next day from 19:00 UTC on.
    judge(items, COUNT, (struct mos_keep){.daily = 3}, "Asia/Karachi", "2026-04-01T00:00:00Z", out);
    CU_ASSERT(out[0] == MOS_STAYS_BY_RULE && out[1] == MOS_STAYS_BY_RULE && out[2] == MOS_GOES && out[3] == MOS_STAYS_BY_RULE);
    judge(items, COUNT, (struct mos_keep){.last = 3, .monthly = 2, .yearly = 2}, "", "2026-04-01T00:00:00Z", out);
    CU_ASSERT(out[2] == MOS_STAYS_BY_RULE && out[3] == MOS_GOES && out[4] == MOS_GOES && out[5] == MOS_STAYS_BY_RULE &&
              out[6] == MOS_STAYS_BY_RULE);
    judge(items, COUNT, (struct mos_keep){.weekly = 2}, "", "2026-04-01T00:00:00Z", out);
    CU_ASSERT(out[0] == MOS_STAYS_BY_RULE && out[3] == MOS_GOES && out[4] == MOS_STAYS_BY_RULE && out[5] == MOS_GOES);
    // No rule shortens the days.
    judge(items, COUNT, (struct mos_keep){.last = 1}, "", "2026-03-10T22:00:00Z", out);
    CU_ASSERT(out[0] == MOS_STAYS_IN_DAYS);
}

MOS_TEST(what_is_protected_stays_whatever_the_rules_say) {
    struct mos_retention_item items[] = {item_at("2026-03-12T00:00:00Z"), item_at("2026-03-11T00:00:00Z"), item_at("2026-03-10T00:00:00Z"),
                                         item_at("2026-03-09T00:00:00Z"), item_at("2026-03-08T00:00:00Z"), item_at("2026-03-07T00:00:00Z"),
                                         item_at("2026-03-06T00:00:00Z")};
    enum { COUNT = sizeof(items) / sizeof(items[0]) };
    enum mos_verdict out[COUNT];
    items[0].good = items[0].verified = false;
    items[1].verified = false;
    items[3].held = true;
    items[4].locked_until_unix_ns = ns_of("2027-01-01T00:00:00Z");
    items[5].busy = true;
    judge(items, COUNT, (struct mos_keep){0}, "", "2026-04-01T00:00:00Z", out);
    CU_ASSERT_EQUAL(out[0], MOS_GOES);
    CU_ASSERT_EQUAL(out[1], MOS_GOES);
    CU_ASSERT_EQUAL(out[2], MOS_STAYS_LAST_GOOD);
    CU_ASSERT_EQUAL(out[3], MOS_STAYS_HELD);
    CU_ASSERT_EQUAL(out[4], MOS_STAYS_LOCKED);
    CU_ASSERT_EQUAL(out[5], MOS_STAYS_IN_USE);
    CU_ASSERT_EQUAL(out[6], MOS_GOES);
    judge(items, COUNT, (struct mos_keep){0}, "", "2027-01-01T00:00:00Z", out);
    CU_ASSERT_EQUAL(out[4], MOS_GOES);
    // One that is being deleted protects nobody and takes nobody's place.
    items[2].busy = items[2].going = true;
    judge(items, COUNT, (struct mos_keep){.last = 1}, "", "2027-01-01T00:00:00Z", out);
    CU_ASSERT_EQUAL(out[1], MOS_STAYS_BY_RULE);
    CU_ASSERT_EQUAL(out[4], MOS_GOES);
    // Another source has a last good one of its own.
    items[6].source = 2;
    judge(items, COUNT, (struct mos_keep){0}, "", "2027-01-01T00:00:00Z", out);
    CU_ASSERT_EQUAL(out[6], MOS_STAYS_LAST_GOOD);
}

MOS_TEST(a_quarantine_holds_what_came_before_it) {
    struct mos_retention_item items[] = {item_at("2026-03-12T00:00:00Z"), item_at("2026-03-11T00:00:00Z"), item_at("2026-03-10T00:00:00Z"),
                                         item_at("2026-03-09T00:00:00Z")};
    enum mos_verdict out[4];
    items[2].quarantined = true;
    judge(items, 4, (struct mos_keep){0}, "", "2026-04-01T00:00:00Z", out);
    CU_ASSERT_EQUAL(out[0], MOS_STAYS_LAST_GOOD);
    CU_ASSERT_EQUAL(out[1], MOS_GOES);
    CU_ASSERT_EQUAL(out[2], MOS_STAYS_QUARANTINED);
    CU_ASSERT_EQUAL(out[3], MOS_STAYS_QUARANTINED);
}

MOS_TEST(what_lies_in_the_future_takes_no_place) {
    struct mos_retention_item items[] = {item_at("2030-01-01T00:00:00Z"), item_at("2026-03-11T00:00:00Z"), item_at("2026-03-10T00:00:00Z")};
    enum mos_verdict out[3];
    items[0].expires_at_unix_ns = 1;
    judge(items, 3, (struct mos_keep){.last = 1}, "", "2026-04-01T00:00:00Z", out);
    CU_ASSERT_EQUAL(out[0], MOS_STAYS_IN_FUTURE);
    CU_ASSERT_EQUAL(out[1], MOS_STAYS_BY_RULE);
    CU_ASSERT_EQUAL(out[2], MOS_GOES);
}
