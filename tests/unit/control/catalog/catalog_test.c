#include "control/catalog/catalog.h"

#include <pthread.h>

#include "control/catalog/catalog_internal.h"
#include "unit/control/catalog/fixture.h"

static mos_status put_fact(mos_catalog_session *session, void *value, struct mos_error *error) {
    return mos_catalog_put_fact(session, "name", value, error);
}

static void put(struct catalog_fixture *fixture, const char *value) {
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, put_fact, (void *)value, &fixture->error), &fixture->error);
}

MOS_TEST(facts_are_kept) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    const char *value = NULL;
    mos_catalog_session *session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_get_fact(session, "name", fixture.arena, &value, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(value, "");
    mos_catalog_read_end(session);
    put(&fixture, "one");
    put(&fixture, "two");
    session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_get_fact(session, "name", fixture.arena, &value, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(value, "two");
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

static mos_status note(mos_catalog_session *session, void *fails, struct mos_error *error) {
    mos_status status = mos_catalog_note_change(session, error);
    return status == MOS_OK && fails ? mos_fail(error, MOS_FAILED_PRECONDITION, "no") : status;
}

static int64_t count_changes(struct catalog_fixture *fixture) {
    int64_t count = -1;
    mos_catalog_session *session = fixture_read(fixture);
    MOS_ASSERT_OK(mos_catalog_count_changes(session, &count, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return count;
}

MOS_TEST(changes_are_counted_and_wake_those_who_wait) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    int64_t before = mos_catalog_last_event(fixture.catalog);
    CU_ASSERT_EQUAL(count_changes(&fixture), 0);
    for (int i = 0; i < 11; i++) {
        MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, note, NULL, &fixture.error), &fixture.error);
    }
    CU_ASSERT_EQUAL(count_changes(&fixture), 11);
    CU_ASSERT_TRUE(mos_catalog_last_event(fixture.catalog) > before);
    // One that was taken back is none.
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, note, &fixture, &fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(count_changes(&fixture), 11);
    fixture_close(&fixture);
}

MOS_TEST(a_reader_sees_one_moment) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    put(&fixture, "before");
    const char *value = NULL;
    mos_catalog_session *session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_get_fact(session, "name", fixture.arena, &value, &fixture.error), &fixture.error);
    // The writer does not wait for the reader, nor does the reader see it.
    put(&fixture, "after");
    MOS_ASSERT_OK(mos_catalog_get_fact(session, "name", fixture.arena, &value, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(value, "before");
    mos_catalog_read_end(session);
    session = fixture_read(&fixture);
    MOS_ASSERT_OK(mos_catalog_get_fact(session, "name", fixture.arena, &value, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(value, "after");
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(a_reader_cannot_write) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    mos_catalog_session *session = fixture_read(&fixture);
    CU_ASSERT_EQUAL(mos_catalog_put_fact(session, "name", "no", &fixture.error), MOS_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "the catalog could not"));
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

static void *read_once(void *argument) {
    struct catalog_fixture *fixture = argument;
    for (int i = 0; i < 50; i++) {
        mos_catalog_session *session = NULL;
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        const char *value;
        if (mos_catalog_read_begin(fixture->catalog, &session, NULL) != MOS_OK ||
            mos_catalog_get_fact(session, "name", arena, &value, NULL) != MOS_OK || strncmp(value, "value", 5) != 0) {
            mos_catalog_read_end(session);
            return (void *)"failed";
        }
        mos_catalog_read_end(session);
    }
    return NULL;
}

MOS_TEST(more_readers_than_connections_take_turns) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    put(&fixture, "value");
    mos_catalog_session *held[MOS_CATALOG_READERS];
    for (int i = 0; i < MOS_CATALOG_READERS; i++) {
        held[i] = fixture_read(&fixture);
    }
    pthread_t threads[20];
    for (int i = 0; i < 20; i++) {
        pthread_create(&threads[i], NULL, read_once, &fixture);
    }
    put(&fixture, "value 2");
    for (int i = 0; i < MOS_CATALOG_READERS; i++) {
        mos_catalog_read_end(held[i]);
    }
    for (int i = 0; i < 20; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        CU_ASSERT_PTR_NULL(result);
    }
    CU_ASSERT(fixture.catalog->readers <= MOS_CATALOG_READERS);
    fixture_close(&fixture);
}

// A reader that cannot be had gives its turn back.
MOS_TEST(a_connection_that_fails_is_no_turn_lost) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    char *path = fixture.catalog->path;
    fixture.catalog->path = (char *)"/no/such/folder/catalog.db";
    for (int i = 0; i < MOS_CATALOG_READERS + 1; i++) {
        mos_catalog_session *session = NULL;
        CU_ASSERT_EQUAL(mos_catalog_read_begin(fixture.catalog, &session, &fixture.error), MOS_IO);
        CU_ASSERT_PTR_NULL(session);
    }
    fixture.catalog->path = path;
    mos_catalog_read_end(fixture_read(&fixture));
    fixture_close(&fixture);
}

MOS_TEST(closing_nothing_is_fine) {
    mos_catalog_close(NULL);
    mos_catalog_read_end(NULL);
}

// Its texts are in the catalog alone, and the log of writes is folded in.
MOS_TEST(a_catalog_that_is_closed_is_one_file) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    put(&fixture, "value");
    char wal[4200];
    snprintf(wal, sizeof(wal), "%s-wal", fixture.path);
    struct stat status;
    CU_ASSERT_EQUAL_FATAL(stat(wal, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
    fixture_close(&fixture);
    CU_ASSERT_NOT_EQUAL(stat(wal, &status), 0);
}
