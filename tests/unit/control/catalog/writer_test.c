#include <pthread.h>

#include "control/catalog/catalog_internal.h"
#include "unit/control/catalog/fixture.h"

static mos_status put_fact(mos_catalog_session *session, void *name, struct mos_error *error) {
    return mos_catalog_put_fact(session, name, "yes", error);
}

static const char *fact(struct catalog_fixture *fixture, const char *name) {
    mos_catalog_session *session = fixture_read(fixture);
    const char *value = NULL;
    MOS_ASSERT_OK(mos_catalog_get_fact(session, name, fixture->arena, &value, &fixture->error), &fixture->error);
    mos_catalog_read_end(session);
    return value;
}

// Holds the writer until it is let go, so that what is given meanwhile shares its next batch.
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool entered;
    bool open;
};

static mos_status wait_at_gate(mos_catalog_session *session, void *argument, struct mos_error *error) {
    (void)session;
    (void)error;
    struct gate *gate = *(struct gate **)argument;
    pthread_mutex_lock(&gate->mutex);
    gate->entered = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open) {
        pthread_cond_wait(&gate->changed, &gate->mutex);
    }
    pthread_mutex_unlock(&gate->mutex);
    return MOS_OK;
}

static void hold(struct catalog_fixture *fixture, struct gate *gate) {
    *gate = (struct gate){.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    mos_catalog_write_later(fixture->catalog, wait_at_gate, &gate, sizeof(gate));
    pthread_mutex_lock(&gate->mutex);
    while (!gate->entered) {
        pthread_cond_wait(&gate->changed, &gate->mutex);
    }
    pthread_mutex_unlock(&gate->mutex);
}

static void let_go(struct gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

struct writing {
    struct catalog_fixture *fixture;
    char name[32];
    mos_catalog_change change;
    mos_status status;
    struct mos_error error;
};

static void *write_it(void *argument) {
    struct writing *writing = argument;
    writing->status = mos_catalog_write(writing->fixture->catalog, writing->change, writing->name, &writing->error);
    return NULL;
}

// Waits until so many changes stand in the writer's list.
static void until_queued(struct catalog_fixture *fixture, size_t wanted) {
    for (size_t count = 0; count < wanted;) {
        count = 0;
        pthread_mutex_lock(&fixture->catalog->mutex);
        for (struct mos_catalog_task *task = fixture->catalog->first; task; task = task->next) {
            count++;
        }
        pthread_mutex_unlock(&fixture->catalog->mutex);
        sched_yield();
    }
}

static mos_status put_and_fail(mos_catalog_session *session, void *name, struct mos_error *error) {
    mos_status status = put_fact(session, name, error);
    return status == MOS_OK ? mos_fail(error, MOS_ABORTED, "%s changed its mind", (char *)name) : status;
}

MOS_TEST(a_change_that_fails_takes_back_only_itself) {
    struct catalog_fixture fixture;
    struct gate gate;
    struct writing writings[9];
    pthread_t threads[9];
    fixture_open(&fixture);
    hold(&fixture, &gate);
    for (int i = 0; i < 9; i++) {
        writings[i] = (struct writing){.fixture = &fixture, .change = i % 3 == 1 ? put_and_fail : put_fact};
        snprintf(writings[i].name, sizeof(writings[i].name), "fact %d", i);
        pthread_create(&threads[i], NULL, write_it, &writings[i]);
    }
    until_queued(&fixture, 9);
    let_go(&gate);
    for (int i = 0; i < 9; i++) {
        pthread_join(threads[i], NULL);
        bool fails = i % 3 == 1;
        CU_ASSERT_EQUAL(writings[i].status, fails ? MOS_ABORTED : MOS_OK);
        CU_ASSERT_STRING_EQUAL(fact(&fixture, writings[i].name), fails ? "" : "yes");
        if (fails) {
            CU_ASSERT_PTR_NOT_NULL(strstr(writings[i].error.message, writings[i].name));
        }
    }
    fixture_close(&fixture);
}

// What a full disk does: SQLite takes back the whole transaction, and with it the changes before.
static mos_status end_transaction(mos_catalog_session *session, void *name, struct mos_error *error) {
    mos_status status = put_fact(session, name, error);
    mos_sql_run(session->db, "ROLLBACK", NULL);
    return status == MOS_OK ? mos_fail(error, MOS_NO_SPACE, "the disk is full") : status;
}

MOS_TEST(a_transaction_that_is_lost_is_lost_for_all) {
    struct catalog_fixture fixture;
    struct gate gate;
    struct writing writings[5];
    pthread_t threads[5];
    fixture_open(&fixture);
    hold(&fixture, &gate);
    for (int i = 0; i < 5; i++) {
        writings[i] = (struct writing){.fixture = &fixture, .change = i == 2 ? end_transaction : put_fact};
        snprintf(writings[i].name, sizeof(writings[i].name), "fact %d", i);
        pthread_create(&threads[i], NULL, write_it, &writings[i]);
        until_queued(&fixture, (size_t)i + 1);
    }
    let_go(&gate);
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(writings[i].status, MOS_NO_SPACE);
        CU_ASSERT_STRING_EQUAL(fact(&fixture, writings[i].name), "");
    }
    // And the next is as good as ever.
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put_fact, (void *)"after", &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(fact(&fixture, "after"), "yes");
    fixture_close(&fixture);
}

MOS_TEST(more_than_one_batch_is_written) {
    struct catalog_fixture fixture;
    struct gate gate;
    fixture_open(&fixture);
    hold(&fixture, &gate);
    char name[32];
    for (int i = 0; i < 600; i++) {
        memset(name, 0, sizeof(name));
        snprintf(name, sizeof(name), "fact %d", i);
        mos_catalog_write_later(fixture.catalog, put_fact, name, sizeof(name));
    }
    let_go(&gate);
    // In order: when this is done, so is all that was given before.
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, put_fact, (void *)"last", &fixture.error), &fixture.error);
    for (int i = 0; i < 600; i += 37) {
        snprintf(name, sizeof(name), "fact %d", i);
        CU_ASSERT_STRING_EQUAL(fact(&fixture, name), "yes");
    }
    fixture_close(&fixture);
}

MOS_TEST(what_nobody_waits_for_is_finished_before_the_end) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    for (int i = 0; i < 50; i++) {
        mos_catalog_write_later(fixture.catalog, i == 20 ? put_and_fail : put_fact, "later", sizeof("later"));
    }
    mos_catalog_close(fixture.catalog);
    MOS_ASSERT_OK(mos_catalog_open(&fixture.catalog, fixture.path, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(fact(&fixture, "later"), "yes");
    fixture_close(&fixture);
}

static mos_status read_own(mos_catalog_session *session, void *argument, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *value = "";
    mos_status status = mos_catalog_put_fact(session, "own", "seen", error);
    if (status == MOS_OK) {
        status = mos_catalog_get_fact(session, "own", arena, &value, error);
    }
    *(bool *)argument = status == MOS_OK && strcmp(value, "seen") == 0;
    return status;
}

MOS_TEST(a_change_sees_what_it_did) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    bool seen = false;
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, read_own, &seen, &fixture.error), &fixture.error);
    CU_ASSERT(seen);
    fixture_close(&fixture);
}
