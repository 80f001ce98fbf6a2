#include "control/catalog/sql.h"

#include "control/catalog/catalog_internal.h"
#include "unit/control/catalog/fixture.h"

static mos_status number(mos_catalog_session *session, const char *text, int64_t *out, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, text, error);
    return status == MOS_OK ? mos_sql_number(&sql, out, error) : status;
}

MOS_TEST(numbers_come_from_rows) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_catalog_session *session = fixture_read(&fixture);
    int64_t value = -1;
    MOS_ASSERT_OK(number(session, "SELECT -9223372036854775808", &value, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(value, INT64_MIN);
    MOS_ASSERT_OK(number(session, "SELECT 1 WHERE 0", &value, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(value, 0);
    CU_ASSERT_EQUAL(number(session, "SELECT nonsense FROM nowhere", &value, &fixture.error), MOS_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "nowhere"));
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(one_text_may_be_used_within_itself) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_catalog_session *session = fixture_read(&fixture);
    static const char text[] = "SELECT value FROM (SELECT 1 AS value UNION ALL SELECT 2) ORDER BY value";
    {
        MOS_CLEANUP_SQL struct mos_sql outer;
        MOS_ASSERT_OK(mos_sql_begin(&outer, session, text, &fixture.error), &fixture.error);
        bool row;
        MOS_ASSERT_OK(mos_sql_step(&outer, &row, &fixture.error), &fixture.error);
        int64_t inner = 0;
        MOS_ASSERT_OK(number(session, text, &inner, &fixture.error), &fixture.error);
        CU_ASSERT_EQUAL(inner, 1);
        MOS_ASSERT_OK(mos_sql_step(&outer, &row, &fixture.error), &fixture.error);
        CU_ASSERT_EQUAL(mos_sql_take_number(&outer), 2);
    }
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(more_texts_than_are_kept_work_too) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_catalog_session *session = fixture_read(&fixture);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2 * MOS_SQL_CACHED; i++) {
            int64_t value = 0;
            MOS_ASSERT_OK(number(session, mos_arena_printf(fixture.arena, "SELECT %d", i), &value, &fixture.error), &fixture.error);
            CU_ASSERT_EQUAL(value, i);
        }
    }
    CU_ASSERT_EQUAL(session->cached, MOS_SQL_CACHED);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(texts_and_blobs_come_back_as_they_went) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_catalog_session *session = fixture_read(&fixture);
    MOS_CLEANUP_SQL struct mos_sql sql;
    MOS_ASSERT_OK(mos_sql_begin(&sql, session, "SELECT ?, ?, ?, ?, NULL, NULL", &fixture.error), &fixture.error);
    mos_sql_bind_text(&sql, NULL);
    mos_sql_bind_text(&sql, "it's");
    mos_sql_bind_blob(&sql, "\0\1", 2);
    mos_sql_bind_blob(&sql, NULL, 0);
    bool row = false;
    MOS_ASSERT_OK(mos_sql_step(&sql, &row, &fixture.error), &fixture.error);
    CU_ASSERT_FATAL(row);
    CU_ASSERT_STRING_EQUAL(mos_sql_take_text(&sql, fixture.arena), "");
    CU_ASSERT_STRING_EQUAL(mos_sql_take_text(&sql, fixture.arena), "it's");
    struct mos_blob blob = mos_sql_take_blob(&sql, fixture.arena);
    CU_ASSERT_EQUAL_FATAL(blob.size_bytes, 2);
    CU_ASSERT_EQUAL(memcmp(blob.data, "\0\1", 2), 0);
    CU_ASSERT_EQUAL(mos_sql_take_blob(&sql, fixture.arena).size_bytes, 0);
    CU_ASSERT_STRING_EQUAL(mos_sql_take_text(&sql, fixture.arena), "");
    CU_ASSERT_EQUAL(mos_sql_take_blob(&sql, fixture.arena).size_bytes, 0);
    CU_ASSERT_FALSE(sql.failed);
    mos_sql_end(&sql);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(what_does_not_fit_is_told) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_catalog_session *session = fixture_read(&fixture);
    MOS_CLEANUP_ARENA mos_arena *small = mos_arena_create(16);
    MOS_CLEANUP_SQL struct mos_sql sql;
    MOS_ASSERT_OK(mos_sql_begin(&sql, session, "SELECT hex(zeroblob(50)), zeroblob(50)", &fixture.error), &fixture.error);
    bool row = false;
    MOS_ASSERT_OK(mos_sql_step(&sql, &row, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(mos_sql_take_text(&sql, small), "");
    CU_ASSERT(sql.failed);
    CU_ASSERT_EQUAL(mos_sql_take_blob(&sql, small).size_bytes, 0);
    CU_ASSERT_EQUAL(mos_sql_step(&sql, &row, &fixture.error), MOS_RESOURCE_EXHAUSTED);
    CU_ASSERT_FALSE(row);
    mos_sql_end(&sql);
    // Nor is a parameter bound that the statement does not have.
    MOS_ASSERT_OK(mos_sql_begin(&sql, session, "SELECT 1", &fixture.error), &fixture.error);
    mos_sql_bind_number(&sql, 1);
    CU_ASSERT_EQUAL(mos_sql_step(&sql, &row, &fixture.error), MOS_RESOURCE_EXHAUSTED);
    mos_sql_end(&sql);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

// ---- What SQLite refuses ----

static mos_status insert_twice(mos_catalog_session *session, void *unused, struct mos_error *error) {
    (void)unused;
    mos_status status = mos_sql_run(session->db, "INSERT INTO facts VALUES('a', 'b')", error);
    return status == MOS_OK ? mos_sql_run(session->db, "INSERT INTO facts VALUES('a', 'c')", error) : status;
}

static mos_status run_text(mos_catalog_session *session, void *text, struct mos_error *error) {
    return mos_sql_run(session->db, text, error);
}

// A file that may not grow any more is a disk that is full.
static mos_status limit_pages(mos_catalog_session *session, void *unused, struct mos_error *error) {
    (void)unused;
    return mos_sql_run(session->db, "PRAGMA max_page_count = 1", error);
}
static mos_status unlimit_pages(mos_catalog_session *session, void *unused, struct mos_error *error) {
    (void)unused;
    return mos_sql_run(session->db, "PRAGMA max_page_count = 1000000", error);
}
static mos_status put_large(mos_catalog_session *session, void *value, struct mos_error *error) {
    return mos_catalog_put_fact(session, "large", value, error);
}

MOS_TEST(a_full_disk_is_told_and_outlived) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    MOS_CLEANUP_FREE char *value = mos_calloc(1, 1000001);
    memset(value, 'x', 1000000);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, limit_pages, NULL, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, put_large, value, &fixture.error), MOS_NO_SPACE);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, unlimit_pages, NULL, &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put_large, value, &fixture.error), &fixture.error);
    mos_catalog_session *session = fixture_read(&fixture);
    const char *read = NULL;
    MOS_ASSERT_OK(mos_catalog_get_fact(session, "large", fixture.arena, &read, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(strlen(read), 1000000);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

// A writer that may only read, as on a file system that the kernel has set read only.
MOS_TEST(a_catalog_that_may_only_be_read_is_told) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, run_text, (void *)"PRAGMA query_only = ON", &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, put_large, (void *)"x", &fixture.error), MOS_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "the catalog could not"));
    fixture_close(&fixture);
}

MOS_TEST(each_refusal_has_its_status) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, insert_twice, NULL, &fixture.error), MOS_ALREADY_EXISTS);
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, run_text, (void *)"nonsense", &fixture.error), MOS_INTERNAL);
    fixture_close(&fixture);
}
