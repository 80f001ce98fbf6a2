#include "control/job/queue.h"

#include <pthread.h>

#include "common/clock.h"
#include "control/catalog/retention.h"
#include "unit/control/job/fixture.h"

static const char *backup_job(struct jobs_fixture *fixture, const char *id) {
    return fixture_job_of(fixture, id, MOS_JOB_BACKUP).id;
}

MOS_TEST(a_running_job_is_cancelled) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "ready");
    fixture_script(&fixture, "backup", "gate ready\nlinger\n");
    fixture_order(&fixture, false, id);
    close(fixture_meet(&fixture, "ready"));
    const char *job_id = backup_job(&fixture, id);
    MOS_ASSERT_OK(mos_queue_cancel(fixture.queue, job_id, &fixture.error), &fixture.error);
    struct mos_job job = fixture_wait(&fixture, job_id);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_CANCELLED);
    CU_ASSERT_STRING_EQUAL(job.message, "Cancelled on request");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_CANCELLED);
    CU_ASSERT_EQUAL(mos_queue_cancel(fixture.queue, job_id, &fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "CANCELLED"));
    fixture_end(&fixture);
}

MOS_TEST(an_engine_that_does_not_listen_is_cancelled_all_the_same) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "ready");
    // In the middle of a frame, so that the worker waits for the rest of it.
    fixture_script(&fixture, "backup", "deaf\nbytes 0a000000ff\ngate ready\nlinger\n");
    fixture_order(&fixture, false, id);
    close(fixture_meet(&fixture, "ready"));
    MOS_ASSERT_OK(mos_queue_cancel_backup(fixture.queue, id, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, backup_job(&fixture, id)).status, MOS_JOB_CANCELLED);
    CU_ASSERT_EQUAL(mos_queue_cancel_backup(fixture.queue, id, &fixture.error), MOS_FAILED_PRECONDITION);
    fixture_end(&fixture);
}

MOS_TEST(an_engine_that_floods_is_cancelled) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "ready");
    fixture_script(&fixture, "backup", "gate ready\nflood\n");
    fixture_order(&fixture, false, id);
    int gate = fixture_meet(&fixture, "ready");
    int64_t seen = mos_catalog_last_event(fixture.catalog);
    close(gate);
    mos_catalog_wait_events(fixture.catalog, seen, fixture_never, NULL);
    MOS_ASSERT_OK(mos_queue_cancel_backup(fixture.queue, id, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, backup_job(&fixture, id)).status, MOS_JOB_CANCELLED);
    fixture_end(&fixture);
}

// A request that is more than the socket holds, to an engine that never reads.
MOS_TEST(an_engine_that_does_not_take_its_request_is_cancelled) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    fixture_make_gate(&fixture, "ready");
    const char *path = fixture_path(&fixture, "engine.sh");
    fixture_script(&fixture, "engine.sh",
                   mos_arena_printf(fixture.arena, "#!/bin/sh\ntrap '' TERM\ncat < %s\nexec cat < %s\n", fixture_path(&fixture, "ready"),
                                    fixture_path(&fixture, "ready")));
    CU_ASSERT_EQUAL_FATAL(chmod(path, 0700), 0);
    mos_queue_destroy(fixture.queue);
    fixture.engine.path = path;
    fixture.queue = mos_queue_create(fixture.catalog, &fixture.engine, 1);
    MOS_ASSERT_OK(mos_queue_start(fixture.queue, &fixture.error), &fixture.error);
    enum { COUNT = 1000, BYTES = 4000 };
    MOS_CLEANUP_FREE char *long_path = mos_calloc(1, BYTES + 1);
    memset(long_path, 'x', BYTES);
    char *include[COUNT];
    size_t include_bytes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        include[i] = long_path;
        include_bytes[i] = BYTES;
    }
    static const char id[] = "22222222-2222-4222-8222-222222222222";
    fixture_leave_backup(&fixture, id, MOS_BACKUP_COMPLETED, true);
    const struct mos_restore_order order = {.backup_id = id,
                                            .created_by = "tester",
                                            .target = "/restore/here",
                                            .include = include,
                                            .include_bytes = include_bytes,
                                            .include_count = COUNT};
    char job_id[MOS_ID_TEXT_BYTES];
    MOS_ASSERT_OK(mos_queue_restore(fixture.queue, &order, job_id, &fixture.error), &fixture.error);
    close(fixture_meet(&fixture, "ready"));
    MOS_ASSERT_OK(mos_queue_cancel(fixture.queue, job_id, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, job_id).status, MOS_JOB_CANCELLED);
    fixture_end(&fixture);
}

MOS_TEST(a_waiting_job_is_cancelled_without_ever_running) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char first[MOS_ID_TEXT_BYTES], second[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "ready");
    fixture_script(&fixture, "backup", "gate ready\ncommitted\n");
    fixture_order(&fixture, false, first);
    fixture_order(&fixture, false, second);
    int gate = fixture_meet(&fixture, "ready");
    MOS_ASSERT_OK(mos_queue_cancel(fixture.queue, backup_job(&fixture, second), &fixture.error), &fixture.error);
    struct mos_job job = fixture_wait(&fixture, backup_job(&fixture, second));
    CU_ASSERT_EQUAL(job.status, MOS_JOB_CANCELLED);
    CU_ASSERT_EQUAL(job.started_at_unix_ns, 0);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, second).status, MOS_BACKUP_CANCELLED);
    close(gate);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, backup_job(&fixture, first)).status, MOS_JOB_SUCCEEDED);
    CU_ASSERT_EQUAL(fixture_calls(&fixture, "backup"), 1);
    fixture_end(&fixture);
}

MOS_TEST(jobs_that_are_not_there_cannot_be_cancelled) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    CU_ASSERT_EQUAL(mos_queue_cancel(fixture.queue, "33333333-3333-4333-8333-333333333333", &fixture.error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "33333333-3333-4333-8333-333333333333"));
    CU_ASSERT_EQUAL(mos_queue_cancel_backup(fixture.queue, "", &fixture.error), MOS_FAILED_PRECONDITION);
    fixture_end(&fixture);
}

MOS_TEST(as_many_jobs_run_at_a_time_as_were_asked_for) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 2);
    char first[MOS_ID_TEXT_BYTES], second[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "one");
    fixture_make_gate(&fixture, "two");
    fixture_script(&fixture, "backup", "gate one\ncommitted\n");
    fixture_order(&fixture, false, first);
    int one = fixture_meet(&fixture, "one");
    fixture_script(&fixture, "backup", "gate two\ncommitted\n");
    fixture_order(&fixture, false, second);
    int two = fixture_meet(&fixture, "two");
    close(two);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, backup_job(&fixture, second)).status, MOS_JOB_SUCCEEDED);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, first).status, MOS_BACKUP_IN_PROGRESS);
    close(one);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, backup_job(&fixture, first)).status, MOS_JOB_SUCCEEDED);
    fixture_end(&fixture);
}

MOS_TEST(keys_are_rewrapped_by_one_job_at_a_time) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 2);
    char first[MOS_ID_TEXT_BYTES], second[MOS_ID_TEXT_BYTES], backup[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "ready");
    fixture_script(&fixture, "rewrap", "gate ready\nresult OK 0 \n");
    MOS_ASSERT_OK(mos_queue_rewrap(fixture.queue, "tester", first, &fixture.error), &fixture.error);
    int gate = fixture_meet(&fixture, "ready");
    MOS_ASSERT_OK(mos_queue_rewrap(fixture.queue, "tester", second, &fixture.error), &fixture.error);
    // What comes later goes past it.
    CU_ASSERT_EQUAL(fixture_run_backup(&fixture, "committed\n", backup).status, MOS_JOB_SUCCEEDED);
    CU_ASSERT_EQUAL(fixture_calls(&fixture, "rewrap"), 1);
    close(gate);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, first).status, MOS_JOB_SUCCEEDED);
    close(fixture_meet(&fixture, "ready"));
    CU_ASSERT_EQUAL(fixture_wait(&fixture, second).status, MOS_JOB_SUCCEEDED);
    CU_ASSERT_EQUAL(fixture_calls(&fixture, "rewrap"), 2);
    // One that waits behind another is settled with it when the queue stops.
    MOS_ASSERT_OK(mos_queue_rewrap(fixture.queue, "tester", first, &fixture.error), &fixture.error);
    gate = fixture_meet(&fixture, "ready");
    MOS_ASSERT_OK(mos_queue_rewrap(fixture.queue, "tester", second, &fixture.error), &fixture.error);
    mos_queue_stop(fixture.queue);
    close(gate);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, second).status, MOS_JOB_FAILED);
    fixture_end(&fixture);
}

MOS_TEST(the_verification_of_a_backup_goes_before_what_waits) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char first[MOS_ID_TEXT_BYTES], second[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "ready");
    fixture_make_gate(&fixture, "verifying");
    fixture_script(&fixture, "backup", "gate ready\ncommitted\n");
    fixture_script(&fixture, "verify", "gate verifying\nverification 1 1 1 \n");
    fixture_order(&fixture, true, first);
    fixture_order(&fixture, false, second);
    close(fixture_meet(&fixture, "ready"));
    int gate = fixture_meet(&fixture, "verifying");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, first).status, MOS_BACKUP_VERIFYING);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, second).status, MOS_BACKUP_PENDING);
    close(gate);
    close(fixture_meet(&fixture, "ready"));
    CU_ASSERT_EQUAL(fixture_wait(&fixture, backup_job(&fixture, second)).status, MOS_JOB_SUCCEEDED);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, first).status, MOS_BACKUP_VERIFIED);
    fixture_end(&fixture);
}

MOS_TEST(a_queue_that_stops_settles_all) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char first[MOS_ID_TEXT_BYTES], second[MOS_ID_TEXT_BYTES], third[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "ready");
    fixture_script(&fixture, "backup", "deaf\ngate ready\nlinger\n");
    fixture_order(&fixture, false, first);
    fixture_order(&fixture, false, second);
    close(fixture_meet(&fixture, "ready"));
    mos_queue_stop(fixture.queue);
    struct mos_job job = fixture_job_of(&fixture, first, MOS_JOB_BACKUP);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_FAILED);
    CU_ASSERT_STRING_EQUAL(job.message, "The server was stopped while the backup was being taken");
    job = fixture_job_of(&fixture, second, MOS_JOB_BACKUP);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_FAILED);
    CU_ASSERT_STRING_EQUAL(job.message, "The server was stopped before the job began");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, first).status, MOS_BACKUP_FAILED);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, second).status, MOS_BACKUP_FAILED);
    const struct mos_backup_order order = {.name = "late", .type = MOS_BACKUP_FILES};
    CU_ASSERT_EQUAL(mos_queue_backup(fixture.queue, &order, third, &fixture.error), MOS_UNAVAILABLE);
    fixture_end(&fixture);
}

MOS_TEST(more_than_can_wait_is_refused) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1); // no worker takes any
    char id[MOS_ID_TEXT_BYTES];
    for (int i = 0; i < 1000; i++) {
        fixture_order(&fixture, false, id);
    }
    const struct mos_backup_order order = {.name = "one more", .type = MOS_BACKUP_FILES};
    CU_ASSERT_EQUAL(mos_queue_backup(fixture.queue, &order, id, &fixture.error), MOS_RESOURCE_EXHAUSTED);
    CU_ASSERT_PTR_NULL(fixture_backup(&fixture, id).id);
    // Those that were taken are settled by a worker that comes and stops at once.
    MOS_ASSERT_OK(mos_queue_start(fixture.queue, &fixture.error), &fixture.error);
    mos_queue_stop(fixture.queue);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_job *jobs;
    size_t count = 1;
    MOS_ASSERT_OK(mos_catalog_read_begin(fixture.catalog, &session, &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_catalog_active_jobs(session, NULL, fixture.arena, &jobs, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    mos_catalog_read_end(session);
    session = NULL;
    fixture_end(&fixture);
}

MOS_TEST(jobs_that_would_disturb_one_another_are_refused) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 2);
    static const char missing[] = "44444444-4444-4444-8444-444444444444";
    char id[MOS_ID_TEXT_BYTES], job_id[MOS_ID_TEXT_BYTES], other[MOS_ID_TEXT_BYTES];
    CU_ASSERT_EQUAL(mos_queue_verify(fixture.queue, missing, "tester", job_id, &fixture.error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_queue_delete(fixture.queue, missing, "tester", job_id, &fixture.error), MOS_NOT_FOUND);
    fixture_make_gate(&fixture, "ready");
    fixture_script(&fixture, "backup", "gate ready\ncommitted\n");
    fixture_order(&fixture, false, id);
    int gate = fixture_meet(&fixture, "ready");
    CU_ASSERT_EQUAL(mos_queue_verify(fixture.queue, id, "tester", other, &fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "IN_PROGRESS"));
    CU_ASSERT_EQUAL(mos_queue_delete(fixture.queue, id, "tester", other, &fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "BACKUP"));
    close(gate);
    fixture_wait(&fixture, backup_job(&fixture, id));
    fixture_make_gate(&fixture, "deleting");
    fixture_script(&fixture, "delete", "gate deleting\nresult IO 0 a disk failed\n");
    MOS_ASSERT_OK(mos_queue_delete(fixture.queue, id, "tester", job_id, &fixture.error), &fixture.error);
    gate = fixture_meet(&fixture, "deleting");
    CU_ASSERT_EQUAL(mos_queue_verify(fixture.queue, id, "tester", other, &fixture.error), MOS_FAILED_PRECONDITION);
    const struct mos_restore_order order = {.backup_id = id, .created_by = "tester", .target = "/restore/here"};
    CU_ASSERT_EQUAL(mos_queue_restore(fixture.queue, &order, other, &fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(mos_queue_delete(fixture.queue, id, "tester", other, &fixture.error), MOS_FAILED_PRECONDITION);
    close(gate);
    fixture_wait(&fixture, job_id);
    fixture_script(&fixture, "verify", "verification 1 1 1 \n");
    MOS_ASSERT_OK(mos_queue_verify(fixture.queue, id, "tester", other, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, other).status, MOS_JOB_SUCCEEDED);
    fixture_end(&fixture);
}

// ---- Waiting ----

static bool is_over(const void *argument) {
    return __atomic_load_n((const bool *)argument, __ATOMIC_ACQUIRE);
}

struct waiter {
    struct jobs_fixture *fixture;
    const char *job_id;
    bool over;
    mos_status status;
};

static void *wait_for_it(void *argument) {
    struct waiter *waiter = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job job;
    waiter->status = mos_queue_wait(waiter->fixture->queue, waiter->job_id, is_over, &waiter->over, arena, &job, NULL);
    return NULL;
}

MOS_TEST(waiting_ends_with_the_job_or_with_the_call) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "ready");
    fixture_script(&fixture, "backup", "gate ready\ncommitted\n");
    fixture_order(&fixture, false, id);
    int gate = fixture_meet(&fixture, "ready");
    struct waiter patient = {.fixture = &fixture, .job_id = backup_job(&fixture, id)}, impatient = patient;
    pthread_t first, second;
    pthread_create(&first, NULL, wait_for_it, &patient);
    pthread_create(&second, NULL, wait_for_it, &impatient);
    __atomic_store_n(&impatient.over, true, __ATOMIC_RELEASE);
    mos_catalog_wake_watchers(fixture.catalog);
    pthread_join(second, NULL);
    CU_ASSERT_EQUAL(impatient.status, MOS_CANCELLED);
    close(gate);
    pthread_join(first, NULL);
    CU_ASSERT_EQUAL(patient.status, MOS_OK);
    struct mos_job job;
    CU_ASSERT_EQUAL(mos_queue_wait(fixture.queue, "no-such-job", fixture_never, NULL, fixture.arena, &job, &fixture.error), MOS_NOT_FOUND);
    fixture_end(&fixture);
}

// ---- Many at once ----

static void *order_and_cancel(void *argument) {
    struct jobs_fixture *fixture = argument;
    static char *const paths[] = {(char *)"/srv"};
    const struct mos_backup_order order = {.name = "x", .type = MOS_BACKUP_FILES, .paths = paths, .path_count = 1, .created_by = "t"};
    for (int i = 0; i < 12; i++) {
        char id[MOS_ID_TEXT_BYTES];
        if (mos_queue_backup(fixture->queue, &order, id, NULL) == MOS_OK && i % 2 == 0) {
            mos_queue_cancel_backup(fixture->queue, id, NULL);
        }
    }
    return NULL;
}

MOS_TEST(whatever_happens_at_once_all_is_settled) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 3);
    fixture_script(&fixture, "backup", "progress writing 1 1 1\nwarning /a b\ncommitted\n");
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, order_and_cancel, &fixture);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    mos_queue_stop(fixture.queue);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_backup *backups;
    struct mos_job *jobs;
    size_t count = 0, active = 1;
    const char *next;
    const struct mos_backup_filter filter = {0};
    const struct mos_page page = {.size = 1000};
    MOS_ASSERT_OK(mos_catalog_read_begin(fixture.catalog, &session, &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_catalog_list_backups(session, &filter, &page, fixture.arena, &backups, &count, &next, &fixture.error),
                  &fixture.error);
    MOS_ASSERT_OK(mos_catalog_active_jobs(session, NULL, fixture.arena, &jobs, &active, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 48);
    CU_ASSERT_EQUAL(active, 0);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT(backups[i].status == MOS_BACKUP_COMPLETED || backups[i].status == MOS_BACKUP_CANCELLED ||
                  backups[i].status == MOS_BACKUP_FAILED);
    }
    mos_catalog_read_end(session);
    session = NULL;
    fixture_end(&fixture);
}

struct preparations {
    int count;
    mos_status answer;
    char backup_id[MOS_ID_TEXT_BYTES];
};

static mos_status prepare(void *context, const char *backup_id, const char *job_id, bool (*over)(void *argument), void *argument,
                          struct mos_error *error) {
    struct preparations *preparations = context;
    CU_ASSERT(mos_id_valid(job_id));
    CU_ASSERT(!over(argument));
    preparations->count++;
    snprintf(preparations->backup_id, sizeof(preparations->backup_id), "%s", backup_id);
    return preparations->answer ? mos_fail(error, preparations->answer, "the data is far away") : MOS_OK;
}

// What is about to be read is prepared first, and what cannot be is not read.
MOS_TEST(a_job_that_reads_is_prepared) {
    struct jobs_fixture fixture;
    struct preparations preparations = {0};
    char id[MOS_ID_TEXT_BYTES], job_id[MOS_ID_TEXT_BYTES];
    fixture_create(&fixture, 1);
    mos_queue_set_prepare(fixture.queue, prepare, &preparations);
    MOS_ASSERT_OK(mos_queue_start(fixture.queue, &fixture.error), &fixture.error);
    fixture_run_backup(&fixture, "committed\n", id);
    CU_ASSERT_EQUAL(preparations.count, 0);
    fixture_script(&fixture, "verify", "verification 1 1 1 \n");
    MOS_ASSERT_OK(mos_queue_verify(fixture.queue, id, "tester", job_id, &fixture.error), &fixture.error);
    fixture_wait(&fixture, job_id);
    CU_ASSERT_EQUAL(preparations.count, 1);
    CU_ASSERT_STRING_EQUAL(preparations.backup_id, id);
    int calls = fixture_calls(&fixture, "verify");
    CU_ASSERT_EQUAL(calls, 1);
    preparations.answer = MOS_UNAVAILABLE;
    MOS_ASSERT_OK(mos_queue_verify(fixture.queue, id, "tester", job_id, &fixture.error), &fixture.error);
    struct mos_job job = fixture_wait(&fixture, job_id);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_FAILED);
    CU_ASSERT_STRING_EQUAL(job.message, "The data is far away");
    CU_ASSERT_EQUAL(fixture_calls(&fixture, "verify"), calls);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_VERIFIED);
    fixture_end(&fixture);
}

// ---- Locks ----

static mos_status put_known(mos_catalog_session *session, void *known_ns, struct mos_error *error) {
    return mos_catalog_put_known_time(session, *(const int64_t *)known_ns, error);
}

MOS_TEST(a_lock_does_not_end_by_a_clock_that_jumps_ahead) {
    static const char locked[] = "dddddddd-dddd-4ddd-8ddd-dddddddddddd";
    const int64_t day_ns = 86400 * MOS_NS_PER_SECOND;
    struct jobs_fixture fixture;
    char job_id[MOS_ID_TEXT_BYTES];
    fixture_create(&fixture, 1);
    int64_t now_ns = mos_now_unix_ns(), later_ns = now_ns + 3650 * day_ns;
    struct mos_backup backup = {.id = locked,
                                .name = "locked",
                                .type = MOS_BACKUP_FILES,
                                .status = MOS_BACKUP_COMPLETED,
                                .created_at_unix_ns = now_ns,
                                .encrypted_checksum = "bb",
                                .locked_until_unix_ns = now_ns + 30 * day_ns};
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, fixture_put_backup, &backup, &fixture.error), &fixture.error);
    mos_clock_fake(later_ns);
    // Of a server that has never believed a clock yet, and of one whose clock jumps.
    CU_ASSERT_EQUAL(mos_queue_delete(fixture.queue, locked, "tester", job_id, &fixture.error), MOS_FAILED_PRECONDITION);
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put_known, &now_ns, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(mos_queue_delete(fixture.queue, locked, "tester", job_id, &fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "not believed"));
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put_known, &later_ns, &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_queue_delete(fixture.queue, locked, "tester", job_id, &fixture.error), &fixture.error);
    mos_clock_fake(0);
    fixture_end(&fixture);
}
