#include "control/rpc/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit/test.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int running, done;
static bool let_go;

static void wait_for_go(struct mos_pool_work *work) {
    (void)work;
    pthread_mutex_lock(&lock);
    running++;
    pthread_cond_broadcast(&changed);
    while (!let_go) {
        pthread_cond_wait(&changed, &lock);
    }
    done++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void count_done(struct mos_pool_work *work) {
    (void)work;
    pthread_mutex_lock(&lock);
    done++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_until(const int *counter, int least) {
    pthread_mutex_lock(&lock);
    while (*counter < least) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static void reset(void) {
    running = done = 0;
    let_go = false;
}

static void open_all(void) {
    pthread_mutex_lock(&lock);
    let_go = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

MOS_TEST(each_blocked_piece_has_a_thread) {
    reset();
    mos_pool *pool = mos_pool_create(64, 0);
    struct mos_pool_work work[64];
    for (int i = 0; i < 64; i++) {
        work[i] = (struct mos_pool_work){.run = wait_for_go};
        CU_ASSERT(mos_pool_submit(pool, &work[i]));
    }
    wait_until(&running, 64);
    struct mos_pool_work more = {.run = count_done};
    CU_ASSERT(!mos_pool_submit(pool, &more));
    open_all();
    mos_pool_destroy(pool);
    CU_ASSERT_EQUAL(done, 64);
}

MOS_TEST(work_goes_on_beside_blocked_work) {
    reset();
    mos_pool *pool = mos_pool_create(4, 0);
    struct mos_pool_work blocked = {.run = wait_for_go};
    CU_ASSERT(mos_pool_submit(pool, &blocked));
    wait_until(&running, 1);
    for (int i = 1; i <= 1000; i++) {
        struct mos_pool_work work = {.run = count_done};
        // The threads of the pieces before may not be free again yet, but soon are.
        while (!mos_pool_submit(pool, &work)) {
            sched_yield();
        }
        wait_until(&done, i);
    }
    open_all();
    mos_pool_destroy(pool);
    CU_ASSERT_EQUAL(done, 1001);
}

static int nice_seen;

static void see_nice(struct mos_pool_work *work) {
    (void)work;
    nice_seen = getpriority(PRIO_PROCESS, (id_t)gettid());
}

MOS_TEST(threads_are_as_nice_as_was_asked_and_no_others) {
    reset();
    int before = getpriority(PRIO_PROCESS, 0);
    mos_pool *pool = mos_pool_create(1, 3);
    struct mos_pool_work work = {.run = see_nice};
    CU_ASSERT(mos_pool_submit(pool, &work));
    mos_pool_destroy(pool);
    CU_ASSERT_EQUAL(nice_seen, before + 3 < 19 ? before + 3 : 19);
    CU_ASSERT_EQUAL(getpriority(PRIO_PROCESS, (id_t)gettid()), before);
}

MOS_TEST(destroy_waits_for_all_work) {
    reset();
    mos_pool *pool = mos_pool_create(100, 0);
    static struct mos_pool_work work[100];
    for (int i = 0; i < 100; i++) {
        work[i] = (struct mos_pool_work){.run = count_done};
        CU_ASSERT(mos_pool_submit(pool, &work[i]));
    }
    mos_pool_destroy(pool);
    CU_ASSERT_EQUAL(done, 100);
}
