#include "control/rpc/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"

enum { STACK_BYTES = 512 << 10, IDLE_SECONDS = 10 };

struct mos_pool {
    pthread_mutex_t lock;
    // Work or the end for idle threads; the last thread's leaving for destroy.
    pthread_cond_t work_ready;
    pthread_cond_t empty;
    pthread_attr_t attributes;
    struct mos_pool_work *first;
    struct mos_pool_work **last;
    size_t queued;
    size_t idle;
    size_t threads;
    size_t max_threads;
    int nice;
    bool ending;
};

mos_pool *mos_pool_create(size_t max_threads, int nice) {
    mos_pool *pool = mos_calloc(1, sizeof(*pool));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->work_ready, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&pool->empty, NULL);
    pthread_attr_init(&pool->attributes);
    pthread_attr_setstacksize(&pool->attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&pool->attributes, PTHREAD_CREATE_DETACHED);
    pool->last = &pool->first;
    pool->max_threads = max_threads;
    pool->nice = nice;
    return pool;
}

// Waits for work with the lock held; NULL when the thread should leave.
static struct mos_pool_work *next_work(mos_pool *pool) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    pool->idle++;
    int waited = 0;
    while (!pool->first && !pool->ending && waited != ETIMEDOUT) {
        waited = pthread_cond_timedwait(&pool->work_ready, &pool->lock, &until);
    }
    pool->idle--;
    struct mos_pool_work *work = pool->first;
    if (work) {
        pool->first = work->next;
        pool->last = pool->first ? pool->last : &pool->first;
        pool->queued--;
    }
    return work;
}

static void *run_thread(void *argument) {
    mos_pool *pool = argument;
    // Of this thread alone: to Linux each has a priority of its own. Where it may not be changed, all are served alike.
    if (pool->nice != 0) {
        setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, (id_t)gettid()) + pool->nice);
    }
    pthread_mutex_lock(&pool->lock);
    struct mos_pool_work *work;
    while ((work = next_work(pool)) != NULL) {
        pthread_mutex_unlock(&pool->lock);
        work->run(work);
        pthread_mutex_lock(&pool->lock);
    }
    pool->threads--;
    if (pool->threads == 0) {
        pthread_cond_signal(&pool->empty);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

bool mos_pool_submit(mos_pool *pool, struct mos_pool_work *work) {
    pthread_mutex_lock(&pool->lock);
    // Each queued piece must have an idle thread of its own: behind a handler that blocks it would wait for ever.
    bool taken = pool->queued < pool->idle;
    if (!taken && pool->threads < pool->max_threads) {
        pthread_t thread;
        if (pthread_create(&thread, &pool->attributes, run_thread, pool) == 0) {
            pool->threads++;
            // It counts itself idle only once it runs; until then a later submit makes one thread more than needed, never one too few.
            taken = true;
        }
    }
    if (taken) {
        work->next = NULL;
        *pool->last = work;
        pool->last = &work->next;
        pool->queued++;
        pthread_cond_signal(&pool->work_ready);
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

void mos_pool_destroy(mos_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work_ready);
    while (pool->threads > 0) {
        pthread_cond_wait(&pool->empty, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work_ready);
    pthread_cond_destroy(&pool->empty);
    pthread_attr_destroy(&pool->attributes);
    free(pool);
}
