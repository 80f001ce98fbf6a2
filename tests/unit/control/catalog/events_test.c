#include <pthread.h>
#include <sched.h>

#include "unit/control/catalog/fixture.h"

static int64_t add(struct catalog_fixture *fixture, enum mos_event_kind kind, const char *job_id, const char *backup_id,
                   const char *message) {
    return fixture_add_event(
        fixture, (struct mos_event){.kind = kind, .job_id = job_id, .backup_id = backup_id, .message = message, .time_unix_ns = 7});
}

static size_t list(struct catalog_fixture *fixture, const char *job_id, const char *backup_id, int64_t after, int limit,
                   struct mos_event **out) {
    size_t count = 0;
    mos_catalog_session *session = fixture_read(fixture);
    MOS_ASSERT_OK(mos_catalog_list_events(session, job_id, backup_id, after, limit, fixture->arena, out, &count, &fixture->error),
                  &fixture->error);
    mos_catalog_read_end(session);
    return count;
}

MOS_TEST(events_are_taken_up_from_any_number) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    int64_t sequences[20];
    for (int i = 0; i < 20; i++) {
        sequences[i] = add(&fixture, MOS_EVENT_WARNING, i % 2 ? "odd" : "even", "b", i % 2 ? "o" : "e");
        CU_ASSERT(i == 0 || sequences[i] > sequences[i - 1]);
        CU_ASSERT_EQUAL(mos_catalog_last_event(fixture.catalog), sequences[i]);
    }
    struct mos_event *events;
    for (int i = 0; i < 20; i++) {
        size_t count = list(&fixture, NULL, "b", sequences[i], 100, &events);
        CU_ASSERT_EQUAL_FATAL(count, (size_t)(19 - i));
        CU_ASSERT(count == 0 || events[0].sequence == sequences[i + 1]);
    }
    CU_ASSERT_EQUAL(list(&fixture, "odd", NULL, 0, 100, &events), 10);
    CU_ASSERT_STRING_EQUAL(events[0].message, "o");
    CU_ASSERT_EQUAL(events[0].kind, MOS_EVENT_WARNING);
    CU_ASSERT_EQUAL(events[0].time_unix_ns, 7);
    CU_ASSERT_EQUAL(list(&fixture, "odd", NULL, 0, 3, &events), 3);
    CU_ASSERT_EQUAL(list(&fixture, "odd", NULL, events[2].sequence, 100, &events), 7);
    CU_ASSERT_EQUAL(list(&fixture, "odd", NULL, INT64_MAX, 100, &events), 0);
    CU_ASSERT_EQUAL(list(&fixture, "none", NULL, 0, 100, &events), 0);
    CU_ASSERT_EQUAL(list(&fixture, NULL, "none", 0, 100, &events), 0);
    fixture_close(&fixture);
}

static mos_status thin(mos_catalog_session *session, void *job_id, struct mos_error *error) {
    return mos_catalog_thin_events(session, job_id, error);
}

MOS_TEST(thinning_keeps_all_but_old_progress) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    add(&fixture, MOS_EVENT_QUEUED, "j", "b", "");
    add(&fixture, MOS_EVENT_PROGRESS, "j", "b", "1");
    add(&fixture, MOS_EVENT_WARNING, "j", "b", "w");
    add(&fixture, MOS_EVENT_PROGRESS, "other", "b", "");
    add(&fixture, MOS_EVENT_PROGRESS, "other", "b", "");
    add(&fixture, MOS_EVENT_PROGRESS, "j", "b", "2");
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, thin, (void *)"j", &fixture.error), &fixture.error);
    struct mos_event *events;
    CU_ASSERT_EQUAL_FATAL(list(&fixture, "j", NULL, 0, 100, &events), 3);
    CU_ASSERT_STRING_EQUAL(events[1].message, "w");
    CU_ASSERT_STRING_EQUAL(events[2].message, "2");
    CU_ASSERT_EQUAL(list(&fixture, "other", NULL, 0, 100, &events), 2);
    fixture_close(&fixture);
}

static mos_status forget_all(mos_catalog_session *session, void *unused, struct mos_error *error);

// A watcher that names a number must never be given another event under it.
MOS_TEST(numbers_are_never_used_twice) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    add(&fixture, MOS_EVENT_PROGRESS, "j", "b", "");
    int64_t last = add(&fixture, MOS_EVENT_PROGRESS, "j", "b", "");
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, forget_all, NULL, &fixture.error), &fixture.error);
    mos_catalog_close(fixture.catalog);
    MOS_ASSERT_OK(mos_catalog_open(&fixture.catalog, fixture.path, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(mos_catalog_last_event(fixture.catalog), last);
    CU_ASSERT(add(&fixture, MOS_EVENT_PROGRESS, "j", "b", "") > last);
    fixture_close(&fixture);
}

// ---- Watchers ----

struct watcher {
    mos_catalog *catalog;
    int64_t after;
    bool over;
    int64_t seen;
    bool ready;
};

static bool is_over(const void *argument) {
    struct watcher *watcher = (struct watcher *)argument;
    // Called with the lock held that the wait gives up: whoever sees this true and then adds an event finds the watcher waiting.
    __atomic_store_n(&watcher->ready, true, __ATOMIC_RELEASE);
    return __atomic_load_n(&watcher->over, __ATOMIC_ACQUIRE);
}

static void *watch(void *argument) {
    struct watcher *watcher = argument;
    mos_catalog_wait_events(watcher->catalog, watcher->after, is_over, watcher);
    watcher->seen = mos_catalog_last_event(watcher->catalog);
    return NULL;
}

static void until_ready(const struct watcher *watcher) {
    while (!__atomic_load_n(&watcher->ready, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
}

MOS_TEST(watchers_are_woken_by_an_event) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct watcher watchers[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        watchers[i] = (struct watcher){.catalog = fixture.catalog};
        pthread_create(&threads[i], NULL, watch, &watchers[i]);
    }
    for (int i = 0; i < 8; i++) {
        until_ready(&watchers[i]);
    }
    int64_t sequence = add(&fixture, MOS_EVENT_QUEUED, "j", "b", "");
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(watchers[i].seen, sequence);
    }
    // What is there already is not waited for.
    struct watcher late = {.catalog = fixture.catalog, .after = sequence - 1};
    watch(&late);
    CU_ASSERT_EQUAL(late.seen, sequence);
    fixture_close(&fixture);
}

MOS_TEST(a_watcher_whose_call_is_over_is_woken) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct watcher watcher = {.catalog = fixture.catalog, .after = 0};
    pthread_t thread;
    pthread_create(&thread, NULL, watch, &watcher);
    until_ready(&watcher);
    __atomic_store_n(&watcher.over, true, __ATOMIC_RELEASE);
    mos_catalog_wake_watchers(fixture.catalog);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(watcher.seen, 0);
    fixture_close(&fixture);
}

static mos_status take(mos_catalog_session *session, void *out, struct mos_error *error) {
    return mos_catalog_take_sequence(session, out, error);
}

MOS_TEST(what_has_a_table_of_its_own_is_numbered_with_the_events) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    int64_t first = 0;
    int64_t third = 0;
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, take, &first, &fixture.error), &fixture.error);
    CU_ASSERT(first > 0);
    CU_ASSERT_EQUAL(mos_catalog_last_event(fixture.catalog), first);
    int64_t second = add(&fixture, MOS_EVENT_QUEUED, "j", "b", "");
    CU_ASSERT_EQUAL(second, first + 1);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, take, &third, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(third, second + 1);
    int64_t fourth = add(&fixture, MOS_EVENT_QUEUED, "other", "c", "");
    CU_ASSERT_EQUAL(fourth, third + 1);
    struct mos_event *events;
    CU_ASSERT_EQUAL_FATAL(list(&fixture, NULL, NULL, 0, 10, &events), 2);
    CU_ASSERT_EQUAL(events[1].sequence, fourth);
    CU_ASSERT_EQUAL(list(&fixture, NULL, NULL, second, 10, &events), 1);
    fixture_close(&fixture);
}

static mos_status add_and_fail(mos_catalog_session *session, void *event, struct mos_error *error) {
    mos_status status = mos_catalog_add_event(session, event, error);
    return status == MOS_OK ? mos_fail(error, MOS_ABORTED, "changed my mind") : status;
}

MOS_TEST(an_event_that_was_taken_back_was_never_there) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    int64_t last = add(&fixture, MOS_EVENT_QUEUED, "j", "b", "");
    struct mos_event event = {.kind = MOS_EVENT_STARTED, .job_id = "j", .backup_id = "b"};
    CU_ASSERT_EQUAL(mos_catalog_write(fixture.catalog, add_and_fail, &event, &fixture.error), MOS_ABORTED);
    CU_ASSERT_EQUAL(mos_catalog_last_event(fixture.catalog), last);
    struct mos_event *events;
    CU_ASSERT_EQUAL(list(&fixture, "j", NULL, 0, 10, &events), 1);
    fixture_close(&fixture);
}

#include "control/catalog/sql.h"

static mos_status forget_all(mos_catalog_session *session, void *unused, struct mos_error *error) {
    (void)unused;
    return mos_sql_run(session->db, "DELETE FROM events", error);
}
