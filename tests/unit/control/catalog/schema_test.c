#include <sqlite3.h>

#include "unit/control/catalog/fixture.h"

static void run(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
    char *reason = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &reason) != SQLITE_OK) {
        mos_test_complain(sql, reason);
        CU_FAIL_FATAL("sqlite3_exec");
    }
    sqlite3_close(db);
}

static void new_path(char path[4096]) {
    snprintf(path, 4096, "%s/catalog.db", mos_test_directory());
}

static char *content(mos_arena *arena, const char *path, size_t *out_bytes) {
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    CU_ASSERT_FATAL(descriptor >= 0 && fstat(descriptor, &status) == 0);
    char *data = mos_arena_alloc(arena, (size_t)status.st_size);
    CU_ASSERT_EQUAL_FATAL(read(descriptor, data, (size_t)status.st_size), status.st_size);
    close(descriptor);
    *out_bytes = (size_t)status.st_size;
    return data;
}

// Refused, with a sentence that names the file, which is not touched.
static void refused(const char *path, mos_status expected, const char *reason) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    size_t before_bytes, after_bytes;
    const char *before = content(arena, path, &before_bytes);
    mos_catalog *catalog = NULL;
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_catalog_open(&catalog, path, &error), expected);
    CU_ASSERT_PTR_NULL(catalog);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, path));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, reason));
    const char *after = content(arena, path, &after_bytes);
    CU_ASSERT_EQUAL(after_bytes, before_bytes);
    CU_ASSERT(after_bytes == before_bytes && memcmp(before, after, before_bytes) == 0);
    // And there is an answer for a caller that wants no sentence.
    CU_ASSERT_EQUAL(mos_catalog_open(&catalog, path, NULL), expected);
}

MOS_TEST(an_empty_file_becomes_a_catalog) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct stat status;
    CU_ASSERT_EQUAL(stat(fixture.path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
    fixture_put_backup(&fixture, (struct mos_backup){.id = "b", .name = "kept"});
    mos_catalog_close(fixture.catalog);
    // And is one when it is opened again.
    MOS_ASSERT_OK(mos_catalog_open(&fixture.catalog, fixture.path, &fixture.error), &fixture.error);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_backup backup;
    MOS_ASSERT_OK(mos_catalog_get_backup(session, "b", fixture.arena, &backup, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(backup.name, "kept");
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(an_interrupted_migration_is_done_again) {
    char path[4096];
    new_path(path);
    // What a crash before the first commit leaves: a file without a page.
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(descriptor);
    mos_catalog *catalog = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_catalog_open(&catalog, path, &error), &error);
    mos_catalog_close(catalog);
}

MOS_TEST(a_database_of_another_program_is_refused) {
    char path[4096];
    new_path(path);
    run(path, "CREATE TABLE orders(id INTEGER); INSERT INTO orders VALUES(1)");
    refused(path, MOS_CORRUPT, "another program");
    new_path(path);
    run(path, "CREATE TABLE orders(id INTEGER); PRAGMA application_id = 42; PRAGMA user_version = 1");
    refused(path, MOS_CORRUPT, "another program");
}

MOS_TEST(a_catalog_of_a_newer_version_is_refused) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fixture_close(&fixture);
    run(fixture.path, "PRAGMA user_version = 999");
    refused(fixture.path, MOS_FAILED_PRECONDITION, "999");
}

MOS_TEST(a_version_that_never_was_is_refused) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fixture_close(&fixture);
    run(fixture.path, "PRAGMA user_version = -1");
    refused(fixture.path, MOS_CORRUPT, "damaged");
    run(fixture.path, "PRAGMA user_version = -2147483648");
    refused(fixture.path, MOS_CORRUPT, "damaged");
}

MOS_TEST(a_damaged_file_is_refused_with_the_way_out) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    for (int i = 0; i < 50; i++) {
        fixture_put_backup(&fixture, (struct mos_backup){.id = fixture_id(&fixture, i), .name = "some name", .created_at_unix_ns = i});
    }
    fixture_close(&fixture);
    // Not its first page, but all after it.
    int descriptor = open(fixture.path, O_WRONLY | O_CLOEXEC);
    struct stat status;
    CU_ASSERT_EQUAL_FATAL(fstat(descriptor, &status), 0);
    char garbage[4096];
    memset(garbage, 0x5a, sizeof(garbage));
    for (off_t at = 4096; at < status.st_size; at += 4096) {
        CU_ASSERT_EQUAL(pwrite(descriptor, garbage, sizeof(garbage), at), (ssize_t)sizeof(garbage));
    }
    close(descriptor);
    refused(fixture.path, MOS_CORRUPT, "--rebuild-catalog");
}

MOS_TEST(what_is_no_database_is_refused) {
    char path[4096];
    new_path(path);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char garbage[8192];
    memset(garbage, 'x', sizeof(garbage));
    CU_ASSERT_EQUAL(write(descriptor, garbage, sizeof(garbage)), (ssize_t)sizeof(garbage));
    close(descriptor);
    refused(path, MOS_CORRUPT, "--rebuild-catalog");
}

MOS_TEST(a_file_that_cannot_be_made_is_named) {
    mos_catalog *catalog = NULL;
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_catalog_open(&catalog, "/no/such/folder/catalog.db", &error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "/no/such/folder/catalog.db"));
    // Nor is a link followed that somebody put there.
    char path[4096];
    new_path(path);
    char elsewhere[4096];
    new_path(elsewhere);
    CU_ASSERT_EQUAL(symlink(elsewhere, path), 0);
    CU_ASSERT_NOT_EQUAL(mos_catalog_open(&catalog, path, &error), MOS_OK);
    CU_ASSERT_NOT_EQUAL(access(elsewhere, F_OK), 0);
}
