#include "control/catalog/backups.h"

#include "control/catalog/health.h"

#include "unit/control/catalog/fixture.h"

static struct mos_backup read_backup(struct catalog_fixture *fixture, const char *id) {
    struct mos_backup backup = {0};
    mos_catalog_session *session = fixture_read(fixture);
    MOS_ASSERT_OK(mos_catalog_get_backup(session, id, fixture->arena, &backup, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return backup;
}

MOS_TEST(a_backup_is_kept_in_all_its_parts) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    static const char *const tags[] = {"nightly", "größe", "a"};
    static const uint8_t facts[] = {0, 1, 2, 0xff};
    const struct mos_backup in = {.id = "11111111-1111-4111-8111-111111111111",
                                  .name = "it's \"named\"",
                                  .type = MOS_BACKUP_DATABASE,
                                  .status = MOS_BACKUP_VERIFYING,
                                  .created_at_unix_ns = 1,
                                  .completed_at_unix_ns = INT64_MAX,
                                  .size_bytes = INT64_C(1) << 50,
                                  .encrypted_size_bytes = 2,
                                  .key_id = "local/3",
                                  .checksum = "aa",
                                  .encrypted_checksum = "bb",
                                  .location = "/repo",
                                  .encrypted_location = "/repo/backups/x",
                                  .retention_days = 36500,
                                  .tags = tags,
                                  .tag_count = 3,
                                  .warnings = 7,
                                  .message = "m",
                                  .encryption_asked = true,
                                  .compressed = true,
                                  .integrity_check = true,
                                  .parent_id = "p",
                                  .verified_at_unix_ns = 9,
                                  .damaged = true,
                                  .created_by = "me",
                                  .facts = {facts, sizeof(facts)}};
    fixture_put_backup(&fixture, in);
    struct mos_backup out = read_backup(&fixture, in.id);
    CU_ASSERT_STRING_EQUAL(out.name, in.name);
    CU_ASSERT_EQUAL(out.type, in.type);
    CU_ASSERT_EQUAL(out.status, in.status);
    CU_ASSERT_EQUAL(out.created_at_unix_ns, 1);
    CU_ASSERT_EQUAL(out.completed_at_unix_ns, INT64_MAX);
    CU_ASSERT_EQUAL(out.size_bytes, INT64_C(1) << 50);
    CU_ASSERT_EQUAL(out.encrypted_size_bytes, 2);
    CU_ASSERT_STRING_EQUAL(out.key_id, "local/3");
    CU_ASSERT_STRING_EQUAL(out.checksum, "aa");
    CU_ASSERT_STRING_EQUAL(out.encrypted_checksum, "bb");
    CU_ASSERT_STRING_EQUAL(out.location, "/repo");
    CU_ASSERT_STRING_EQUAL(out.encrypted_location, "/repo/backups/x");
    CU_ASSERT_EQUAL(out.retention_days, 36500);
    CU_ASSERT_EQUAL(out.warnings, 7);
    CU_ASSERT_STRING_EQUAL(out.message, "m");
    CU_ASSERT(out.encryption_asked && out.compressed && out.integrity_check && out.damaged);
    CU_ASSERT_STRING_EQUAL(out.parent_id, "p");
    CU_ASSERT_EQUAL(out.verified_at_unix_ns, 9);
    CU_ASSERT_STRING_EQUAL(out.created_by, "me");
    CU_ASSERT_EQUAL_FATAL(out.tag_count, 3);
    CU_ASSERT_STRING_EQUAL(out.tags[1], "größe");
    CU_ASSERT_EQUAL(out.facts.size_bytes, sizeof(facts));
    CU_ASSERT_EQUAL(memcmp(out.facts.data, facts, sizeof(facts)), 0);
    // Put again: all of it is replaced, and texts that are not given are empty, never NULL.
    static const char *const other[] = {"b", "b"};
    fixture_put_backup(&fixture, (struct mos_backup){.id = in.id, .tags = other, .tag_count = 2});
    out = read_backup(&fixture, in.id);
    CU_ASSERT_EQUAL(out.tag_count, 1);
    CU_ASSERT_STRING_EQUAL(out.name, "");
    CU_ASSERT_STRING_EQUAL(out.message, "");
    CU_ASSERT_EQUAL(out.facts.size_bytes, 0);
    CU_ASSERT_FALSE(out.damaged);
    fixture_close(&fixture);
}

static mos_status remove_backup(mos_catalog_session *session, void *id, struct mos_error *error) {
    return mos_catalog_remove_backup(session, id, error);
}

MOS_TEST(a_backup_that_is_removed_takes_its_tags_along) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    static const char *const tags[] = {"a"};
    fixture_put_backup(&fixture, (struct mos_backup){.id = "x", .tags = tags, .tag_count = 1});
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, remove_backup, (void *)"x", &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, remove_backup, (void *)"never", &fixture.error), &fixture.error);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_backup backup;
    CU_ASSERT_EQUAL(mos_catalog_get_backup(session, "x", fixture.arena, &backup, &fixture.error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "\"x\""));
    mos_catalog_read_end(session);
    fixture_put_backup(&fixture, (struct mos_backup){.id = "x"});
    CU_ASSERT_EQUAL(read_backup(&fixture, "x").tag_count, 0);
    fixture_close(&fixture);
}

// ---- Lists ----

static mos_status list(struct catalog_fixture *fixture, const struct mos_backup_filter *filter, struct mos_page page,
                       struct mos_backup **out, size_t *out_count, const char **out_next) {
    mos_catalog_session *session = fixture_read(fixture);
    mos_status status = mos_catalog_list_backups(session, filter, &page, fixture->arena, out, out_count, out_next, &fixture->error);
    mos_catalog_read_end(session);
    return status;
}

// The ids' numbers of all pages, newest first.
static size_t walk(struct catalog_fixture *fixture, const struct mos_backup_filter *filter, int size, int *out) {
    size_t total = 0;
    const char *next = "";
    do {
        struct mos_backup *backups;
        size_t count = 0;
        MOS_ASSERT_OK(list(fixture, filter, (struct mos_page){size, next}, &backups, &count, &next), &fixture->error);
        for (size_t i = 0; i < count; i++) {
            out[total++] = (int)strtol(backups[i].id, NULL, 16);
        }
        CU_ASSERT(*next == 0 || count == (size_t)size);
    } while (*next);
    return total;
}

// Types and statuses in turn, a tag for the multiples of three, and three of a kind at each moment.
static void fill(struct catalog_fixture *fixture, int count) {
    static const char *const tags[] = {"third", "all"};
    for (int i = 0; i < count; i++) {
        fixture_put_backup(fixture, (struct mos_backup){.id = fixture_id(fixture, i),
                                                        .type = i % 2 ? MOS_BACKUP_FILES : MOS_BACKUP_DATABASE,
                                                        .status = i % 5 ? MOS_BACKUP_COMPLETED : MOS_BACKUP_FAILED,
                                                        .created_at_unix_ns = 1000 + i / 3,
                                                        .tags = i % 3 ? tags + 1 : tags,
                                                        .tag_count = i % 3 ? 1 : 2});
    }
}

MOS_TEST(pages_hold_each_backup_once_newest_first) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fill(&fixture, 30);
    const struct mos_backup_filter all = {0};
    int found[100];
    for (int size = 1; size <= 31; size++) {
        CU_ASSERT_EQUAL_FATAL(walk(&fixture, &all, size, found), 30);
        for (int i = 0; i < 30; i++) {
            CU_ASSERT_EQUAL(found[i], 29 - i);
        }
    }
    fixture_close(&fixture);
}

MOS_TEST(filters_and_pages_go_together) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fill(&fixture, 60);
    static char *const third[] = {(char *)"third"}, *const either[] = {(char *)"nobody has it", (char *)"all"},
                       *const none[] = {(char *)"' OR 1 --"};
    const struct mos_backup_filter filters[] = {
        {.type = MOS_BACKUP_FILES},
        {.status = MOS_BACKUP_FAILED},
        {.tags = third, .tag_count = 1},
        {.tags = either, .tag_count = 2},
        {.tags = none, .tag_count = 1},
        {.created_after_unix_ns = 1005},
        {.created_before_unix_ns = 1005},
        {.type = MOS_BACKUP_DATABASE,
         .status = MOS_BACKUP_COMPLETED,
         .tags = third,
         .tag_count = 1,
         .created_after_unix_ns = 1002,
         .created_before_unix_ns = 1015},
    };
    for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
        const struct mos_backup_filter *filter = &filters[f];
        int expected[60], found[60];
        size_t count = 0;
        for (int i = 59; i >= 0; i--) {
            int64_t at = 1000 + i / 3;
            bool tagged = filter->tags == third ? i % 3 == 0 : filter->tags != none;
            if ((!filter->type || filter->type == (i % 2 ? MOS_BACKUP_FILES : MOS_BACKUP_DATABASE)) &&
                (!filter->status || filter->status == (i % 5 ? MOS_BACKUP_COMPLETED : MOS_BACKUP_FAILED)) &&
                (!filter->created_after_unix_ns || at > filter->created_after_unix_ns) &&
                (!filter->created_before_unix_ns || at < filter->created_before_unix_ns) && tagged) {
                expected[count++] = i;
            }
        }
        CU_ASSERT_EQUAL(walk(&fixture, filter, 4, found), count);
        CU_ASSERT_EQUAL(memcmp(found, expected, count * sizeof(int)), 0);
    }
    fixture_close(&fixture);
}

MOS_TEST(what_comes_between_two_pages_does_not_shift_them) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fill(&fixture, 9);
    const struct mos_backup_filter all = {0};
    struct mos_backup *backups;
    size_t count = 0;
    const char *next;
    MOS_ASSERT_OK(list(&fixture, &all, (struct mos_page){.size = 4}, &backups, &count, &next), &fixture.error);
    CU_ASSERT_STRING_EQUAL(backups[3].id, fixture_id(&fixture, 5));
    // One newer than all, one that goes away from the page that was seen, and the last that was seen itself.
    fixture_put_backup(&fixture, (struct mos_backup){.id = fixture_id(&fixture, 100), .created_at_unix_ns = 5000});
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, remove_backup, (void *)fixture_id(&fixture, 7), &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, remove_backup, (void *)fixture_id(&fixture, 5), &fixture.error), &fixture.error);
    MOS_ASSERT_OK(list(&fixture, &all, (struct mos_page){.size = 4, .token = next}, &backups, &count, &next), &fixture.error);
    CU_ASSERT_EQUAL_FATAL(count, 4);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_STRING_EQUAL(backups[i].id, fixture_id(&fixture, 4 - i));
    }
    fixture_close(&fixture);
}

MOS_TEST(a_token_of_other_filters_is_refused) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fill(&fixture, 9);
    struct mos_backup *backups;
    size_t count = 0;
    const char *next, *ignored;
    const struct mos_backup_filter all = {0}, files = {.type = MOS_BACKUP_FILES};
    MOS_ASSERT_OK(list(&fixture, &all, (struct mos_page){.size = 4}, &backups, &count, &next), &fixture.error);
    CU_ASSERT_EQUAL(list(&fixture, &files, (struct mos_page){.size = 4, .token = next}, &backups, &count, &ignored), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(fixture.error.field, "pageToken");
    // A number and a tag that read alike when they stand side by side.
    static char *const five_x[] = {(char *)"5x"}, *const x[] = {(char *)"x"};
    static const char *const both[] = {"5x", "x"};
    for (int i = 0; i < 3; i++) {
        fixture_put_backup(
            &fixture, (struct mos_backup){.id = fixture_id(&fixture, 50 + i), .created_at_unix_ns = i + 1, .tags = both, .tag_count = 2});
    }
    const struct mos_backup_filter one = {.tags = five_x, .tag_count = 1, .created_before_unix_ns = 9},
                                   other = {.tags = x, .tag_count = 1, .created_before_unix_ns = 95};
    MOS_ASSERT_OK(list(&fixture, &one, (struct mos_page){.size = 1}, &backups, &count, &next), &fixture.error);
    CU_ASSERT(*next);
    CU_ASSERT_EQUAL(list(&fixture, &other, (struct mos_page){.size = 1, .token = next}, &backups, &count, &ignored), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(list(&fixture, &all, (struct mos_page){.size = -1}, &backups, &count, &ignored), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(fixture.error.field, "pageSize");
    fixture_close(&fixture);
}

MOS_TEST(a_list_that_is_too_large_says_so) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fill(&fixture, 9);
    const struct mos_backup_filter all = {0};
    const struct mos_page page = {.size = 9};
    for (size_t limit = 100; limit < 6000; limit += 700) {
        MOS_CLEANUP_ARENA mos_arena *small = mos_arena_create(limit);
        mos_catalog_session *session = fixture_read(&fixture);
        struct mos_backup *backups;
        size_t count = 0;
        const char *next;
        mos_status status = mos_catalog_list_backups(session, &all, &page, small, &backups, &count, &next, &fixture.error);
        CU_ASSERT(status == MOS_OK || status == MOS_RESOURCE_EXHAUSTED);
        CU_ASSERT(limit > 800 || status == MOS_RESOURCE_EXHAUSTED);
        mos_catalog_read_end(session);
    }
    fixture_close(&fixture);
}

// ---- Questions about all ----

static bool note_time(const struct mos_backup *backup, void *seen) {
    char text[24];
    snprintf(text, sizeof(text), "%lld ", (long long)backup->created_at_unix_ns);
    strcat(seen, text);
    return true;
}

static bool note_one_time(const struct mos_backup *backup, void *seen) {
    note_time(backup, seen);
    return false;
}

MOS_TEST(the_newest_good_backup_is_a_good_one) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    static const struct {
        enum mos_backup_status status;
        bool committed;
        bool damaged;
    } kinds[] = {{MOS_BACKUP_COMPLETED, true, false}, {MOS_BACKUP_VERIFIED, true, false},     {MOS_BACKUP_VERIFYING, true, false},
                 {MOS_BACKUP_VERIFYING, true, true},  {MOS_BACKUP_IN_PROGRESS, false, false}, {MOS_BACKUP_FAILED, true, true},
                 {MOS_BACKUP_EXPIRED, true, false},   {MOS_BACKUP_CANCELLED, false, false}};
    struct mos_backup newest;
    bool found = true;
    mos_catalog_session *session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_newest_backup(session, MOS_BACKUP_FILES, fixture.arena, &newest, &found, &fixture.error), &fixture.error);
    CU_ASSERT_FALSE(found);
    mos_catalog_read_end(session);
    for (int i = 0; i < 8; i++) {
        fixture_put_backup(&fixture, (struct mos_backup){.id = fixture_id(&fixture, i),
                                                         .type = MOS_BACKUP_FILES,
                                                         .status = kinds[i].status,
                                                         .encrypted_checksum = kinds[i].committed ? "cc" : "",
                                                         .key_id = kinds[i].committed ? "local/1" : "",
                                                         .damaged = kinds[i].damaged,
                                                         .created_at_unix_ns = 100 + i});
    }
    session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_newest_backup(session, MOS_BACKUP_FILES, fixture.arena, &newest, &found, &fixture.error), &fixture.error);
    CU_ASSERT_FATAL(found);
    CU_ASSERT_STRING_EQUAL(newest.id, fixture_id(&fixture, 2));
    MOS_ASSERT_OK(mos_catalog_newest_backup(session, MOS_BACKUP_DATABASE, fixture.arena, &newest, &found, &fixture.error), &fixture.error);
    CU_ASSERT_FALSE(found);
    // All of the good ones, and no more than are asked for.
    char seen[64] = "";
    MOS_ASSERT_OK(mos_catalog_good_backups(session, 0, note_time, seen, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(seen, "102 101 100 ");
    seen[0] = 0;
    MOS_ASSERT_OK(mos_catalog_good_backups(session, MOS_BACKUP_FILES, note_one_time, seen, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(seen, "102 ");
    seen[0] = 0;
    MOS_ASSERT_OK(mos_catalog_good_backups(session, MOS_BACKUP_FULL, note_time, seen, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(seen, "");
    int64_t count = 0;
    MOS_ASSERT_OK(mos_catalog_count_backups(session, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 8);
    MOS_ASSERT_OK(mos_catalog_count_backups_of_key(session, "local/1", &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 6);
    MOS_ASSERT_OK(mos_catalog_count_backups_of_key(session, "local/2", &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

static mos_status set_absent(mos_catalog_session *session, void *id, struct mos_error *error) {
    return mos_catalog_set_backup_absent(session, id, true, error);
}

MOS_TEST(what_lies_elsewhere_is_known_and_not_verified_by_itself) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    for (int i = 0; i < 3; i++) {
        fixture_put_backup(&fixture, (struct mos_backup){.id = fixture_id(&fixture, i),
                                                         .type = MOS_BACKUP_FILES,
                                                         .status = MOS_BACKUP_COMPLETED,
                                                         .encrypted_checksum = "aa",
                                                         .created_at_unix_ns = 100 + i,
                                                         .verified_at_unix_ns = 200 + i});
    }
    char **ids;
    size_t count = 9;
    const char *longest;
    mos_catalog_session *session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_absent_backups(session, fixture.arena, &ids, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    MOS_ASSERT_OK(mos_catalog_longest_unverified(session, 1000, fixture.arena, &longest, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(longest, fixture_id(&fixture, 0));
    mos_catalog_read_end(session);
    for (int i = 0; i < 2; i++) {
        MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, set_absent, (void *)fixture_id(&fixture, i), &fixture.error), &fixture.error);
    }
    session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_absent_backups(session, fixture.arena, &ids, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_TRUE(strcmp(ids[0], ids[1]) != 0 && strcmp(ids[0], fixture_id(&fixture, 2)) != 0);
    MOS_ASSERT_OK(mos_catalog_longest_unverified(session, 1000, fixture.arena, &longest, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(longest, fixture_id(&fixture, 2));
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}
