#include "control/catalog/offsite.h"

#include "unit/control/catalog/fixture.h"

#define PLACE "s3://bucket/prefix"
#define OTHER "file:///mnt/other"

static mos_status put_copy_now(mos_catalog_session *session, void *copy, struct mos_error *error) {
    return mos_catalog_put_copy(session, copy, error);
}

static const char *put_copy(struct catalog_fixture *fixture, struct mos_copy copy) {
    char *id = mos_arena_alloc(fixture->arena, MOS_ID_TEXT_BYTES);
    mos_id_new(id);
    copy.id = copy.id ? copy.id : id;
    copy.created_by = copy.policy = copy.message = "";
    copy.checksum = copy.checksum ? copy.checksum : "";
    copy.place = copy.place ? copy.place : PLACE;
    copy.provider = 2;
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, put_copy_now, &copy, &fixture->error), &fixture->error);
    return copy.id;
}

static void put_committed(struct catalog_fixture *fixture, const char *id, int64_t time_ns, bool local_only) {
    fixture_put_backup(fixture, (struct mos_backup){.id = id,
                                                    .name = "n",
                                                    .type = MOS_BACKUP_FILES,
                                                    .status = MOS_BACKUP_COMPLETED,
                                                    .created_at_unix_ns = time_ns,
                                                    .completed_at_unix_ns = time_ns,
                                                    .encrypted_checksum = "aa",
                                                    .local_only = local_only});
}

static const char a[] = "11111111-1111-4111-8111-111111111111", b[] = "22222222-2222-4222-8222-222222222222",
                  c[] = "33333333-3333-4333-8333-333333333333";

MOS_TEST(a_copy_is_kept_in_all_its_parts_and_its_objects_apart) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const char *id = put_copy(&fixture, (struct mos_copy){.backup_id = a,
                                                          .status = MOS_COPY_UPLOADING,
                                                          .created_at_unix_ns = 5,
                                                          .size_bytes = INT64_C(1) << 50,
                                                          .checksum = "cc",
                                                          .retention_days = 7,
                                                          .expires_at_unix_ns = 8,
                                                          .locked_until_unix_ns = 9,
                                                          .objects_total = 10,
                                                          .objects_done = 3,
                                                          .attempts = 2,
                                                          .next_attempt_unix_ns = 11,
                                                          .replicate = true,
                                                          .refused = true});
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_copy out;
    struct mos_blob blob;
    MOS_ASSERT_OK(mos_catalog_get_copy(session, id, fixture.arena, &out, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(out.backup_id, a);
    CU_ASSERT_STRING_EQUAL(out.place, PLACE);
    CU_ASSERT_EQUAL(out.provider, 2);
    CU_ASSERT_EQUAL(out.status, MOS_COPY_UPLOADING);
    CU_ASSERT_EQUAL(out.size_bytes, INT64_C(1) << 50);
    CU_ASSERT(out.replicate && out.refused);
    CU_ASSERT_EQUAL(out.next_attempt_unix_ns, 11);
    MOS_ASSERT_OK(mos_catalog_get_copy_objects(session, id, fixture.arena, &blob, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(blob.size_bytes, 0);
    CU_ASSERT_EQUAL(mos_catalog_get_copy(session, a, fixture.arena, &out, &fixture.error), MOS_NOT_FOUND);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(the_copy_that_is_due_is_found) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    put_copy(&fixture, (struct mos_copy){.backup_id = a, .status = MOS_COPY_COMPLETED});
    put_copy(&fixture, (struct mos_copy){.backup_id = a, .status = MOS_COPY_PENDING, .place = OTHER});
    const char *later = put_copy(&fixture, (struct mos_copy){.backup_id = b, .status = MOS_COPY_RETRYING, .next_attempt_unix_ns = 100});
    struct mos_copy out;
    bool found;
    int64_t next;
    mos_catalog_session *session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_due_copy(session, PLACE, 99, fixture.arena, &out, &found, &next, &fixture.error), &fixture.error);
    CU_ASSERT(!found);
    CU_ASSERT_EQUAL(next, 100);
    MOS_ASSERT_OK(mos_catalog_due_copy(session, PLACE, 100, fixture.arena, &out, &found, &next, &fixture.error), &fixture.error);
    CU_ASSERT(found);
    CU_ASSERT_STRING_EQUAL(out.id, later);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(what_should_be_there_and_is_not_is_found) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    put_committed(&fixture, a, 10, false);
    put_committed(&fixture, b, 20, true);
    put_committed(&fixture, c, 30, false);
    struct mos_backup *backups;
    size_t count;
    int64_t oldest;
    mos_catalog_session *session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_backups_without_copy(session, PLACE, "", 10, fixture.arena, &backups, &count, &fixture.error),
                  &fixture.error);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_STRING_EQUAL(backups[0].id, a);
    CU_ASSERT_STRING_EQUAL(backups[1].id, c);
    MOS_ASSERT_OK(mos_catalog_oldest_missing(session, PLACE, "", &oldest, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(oldest, 10);
    mos_catalog_read_end(session);
    // Deleted there it stays deleted; one that waits is still missing; one that is not to be replicated is not wanted elsewhere.
    put_copy(&fixture, (struct mos_copy){.backup_id = a, .status = MOS_COPY_DELETED});
    put_copy(&fixture, (struct mos_copy){.backup_id = c, .status = MOS_COPY_PENDING});
    session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_backups_without_copy(session, PLACE, "", 10, fixture.arena, &backups, &count, &fixture.error),
                  &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    MOS_ASSERT_OK(mos_catalog_oldest_missing(session, PLACE, "", &oldest, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(oldest, 30);
    MOS_ASSERT_OK(mos_catalog_backups_without_copy(session, OTHER, PLACE, 10, fixture.arena, &backups, &count, &fixture.error),
                  &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    // Nor is it missed there.
    MOS_ASSERT_OK(mos_catalog_oldest_missing(session, OTHER, PLACE, &oldest, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(oldest, 0);
    MOS_ASSERT_OK(mos_catalog_oldest_missing(session, OTHER, "", &oldest, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(oldest, 10);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

static mos_status put_key_now(mos_catalog_session *session, void *name, struct mos_error *error) {
    const struct mos_place_object object = {.name = name, .size_bytes = 102};
    return mos_catalog_put_place_object(session, PLACE, &object, error);
}

MOS_TEST(a_copy_without_its_backup_needs_its_key) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    int64_t count;
    put_committed(&fixture, a, 1, false);
    put_copy(&fixture, (struct mos_copy){.backup_id = a, .status = MOS_COPY_COMPLETED});
    const char *copy_id = put_copy(&fixture, (struct mos_copy){.backup_id = b, .status = MOS_COPY_COMPLETED});
    const char *const names[] = {"keys/11111111-1111-4111-8111-111111111111/1", "keys/22222222-2222-4222-8222-222222222222/12"};
    for (int i = 0; i < 2; i++) {
        MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put_key_now, (void *)names[i], &fixture.error), &fixture.error);
    }
    static const int64_t expected[] = {0, 0, 0};
    static const uint32_t versions[] = {1, 2, 3};
    mos_catalog_session *session = fixture_read(&fixture);
    for (int i = 0; i < 3; i++) {
        MOS_ASSERT_OK(mos_catalog_count_lone_copies(session, versions[i], &count, &fixture.error), &fixture.error);
        CU_ASSERT_EQUAL(count, expected[i]);
    }
    MOS_ASSERT_OK(mos_catalog_count_lone_copies(session, 12, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 1);
    mos_catalog_read_end(session);
    // One that is being sent again will be whole again, and needs it then.
    put_copy(&fixture, (struct mos_copy){.id = copy_id, .backup_id = b, .status = MOS_COPY_RETRYING});
    session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_count_lone_copies(session, 12, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 1);
    mos_catalog_read_end(session);
    put_copy(&fixture, (struct mos_copy){.id = copy_id, .backup_id = b, .status = MOS_COPY_DELETED});
    session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_count_lone_copies(session, 12, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(pages_are_bound_to_their_filters) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    for (int i = 0; i < 5; i++) {
        put_copy(&fixture, (struct mos_copy){.backup_id = i % 2 ? a : b, .status = MOS_COPY_COMPLETED, .created_at_unix_ns = i + 1});
    }
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_copy *copies;
    size_t count;
    const char *next;
    struct mos_copy_filter filter = {.backup_id = b};
    MOS_ASSERT_OK(
        mos_catalog_list_copies(session, &filter, &(struct mos_page){.size = 2}, fixture.arena, &copies, &count, &next, &fixture.error),
        &fixture.error);
    CU_ASSERT_EQUAL(count, 2);
    CU_ASSERT_EQUAL(copies[0].created_at_unix_ns, 5);
    struct mos_page page = {.size = 2, .token = next};
    MOS_ASSERT_OK(mos_catalog_list_copies(session, &filter, &page, fixture.arena, &copies, &count, &next, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_STRING_EQUAL(next, "");
    filter.backup_id = a;
    CU_ASSERT_EQUAL(mos_catalog_list_copies(session, &filter, &page, fixture.arena, &copies, &count, &next, &fixture.error),
                    MOS_INVALID_ARGUMENT);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(a_copy_of_the_catalog_is_a_catalog) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    put_committed(&fixture, a, 10, false);
    const char *path = mos_arena_printf(fixture.arena, "%s.copy", fixture.path);
    MOS_ASSERT_OK(mos_catalog_copy_to(fixture.catalog, path, &fixture.error), &fixture.error);
    CU_ASSERT_NOT_EQUAL(mos_catalog_copy_to(fixture.catalog, path, &fixture.error), MOS_OK);
    mos_catalog *copy = NULL;
    MOS_ASSERT_OK(mos_catalog_open(&copy, path, &fixture.error), &fixture.error);
    mos_catalog_session *session = NULL;
    struct mos_backup backup;
    MOS_ASSERT_OK(mos_catalog_read_begin(copy, &session, &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_catalog_get_backup(session, a, fixture.arena, &backup, &fixture.error), &fixture.error);
    mos_catalog_read_end(session);
    mos_catalog_close(copy);
    fixture_close(&fixture);
}
