#include "engine/pipeline/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/buffer.h"

struct worker {
    struct mos_pool *pool;
    unsigned number;
    pthread_t thread;
};

struct mos_pool {
    mos_writer *writer;
    size_t chunk_limit_bytes;
    struct worker *workers;
    unsigned worker_count;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_cond_t progress;
    // Waiting for a worker.
    struct mos_piece *first;
    struct mos_piece **last;
    // Buffers that may still be handed out, those made already and those not.
    uint8_t **idle;
    unsigned idle_count;
    unsigned unmade_count;
    bool stop;
    struct mos_error error;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    mos_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->first && !pool->stop) {
            pthread_cond_wait(&pool->work, &pool->mutex);
        }
        if (pool->stop || pool->error.status) {
            break;
        }
        struct mos_piece *piece = pool->first;
        pool->first = piece->next;
        if (!pool->first) {
            pool->last = &pool->first;
        }
        pthread_mutex_unlock(&pool->mutex);
        struct mos_error error = {0};
        struct mos_chunk_id id;
        bool was_new;
        mos_status status = mos_writer_put(pool->writer, worker->number, piece->data, piece->size_bytes, &id, &was_new, &error);
        pthread_mutex_lock(&pool->mutex);
        if (status && !pool->error.status) {
            pool->error = error;
            pool->error.status = status;
        }
        piece->id = id;
        piece->done = status == MOS_OK;
        pool->idle[pool->idle_count++] = piece->data;
        piece->data = NULL;
        pthread_cond_broadcast(&pool->progress);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

mos_pool *mos_pool_create(mos_writer *writer, unsigned threads, size_t chunk_limit_bytes) {
    mos_pool *pool = mos_calloc(1, sizeof(*pool));
    pool->writer = writer;
    pool->chunk_limit_bytes = chunk_limit_bytes;
    pool->worker_count = threads;
    pool->unmade_count = threads + 2;
    pool->idle = mos_calloc(threads + 2, sizeof(*pool->idle));
    pool->last = &pool->first;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->progress, NULL);
    pool->workers = mos_calloc(threads, sizeof(*pool->workers));
    for (unsigned i = 0; i < threads; i++) {
        pool->workers[i] = (struct worker){.pool = pool, .number = i};
        if (pthread_create(&pool->workers[i].thread, NULL, work, &pool->workers[i]) != 0) {
            // A system without room for another thread: those that there are do the work, and one there must be.
            pool->worker_count = i;
            if (i == 0) {
                mos_fail(&pool->error, MOS_RESOURCE_EXHAUSTED, "no worker thread can be started");
            }
            break;
        }
    }
    return pool;
}

void mos_pool_free(mos_pool *pool) {
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->worker_count; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    for (unsigned i = 0; i < pool->idle_count; i++) {
        free(pool->idle[i]);
    }
    free(pool->idle);
    free(pool->workers);
    pthread_cond_destroy(&pool->progress);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

// With the mutex.
static mos_status failed(const mos_pool *pool, struct mos_error *error) {
    if (pool->error.status && error) {
        *error = pool->error;
    }
    return pool->error.status;
}

mos_status mos_pool_acquire(mos_pool *pool, struct mos_piece **out, struct mos_error *error) {
    pthread_mutex_lock(&pool->mutex);
    while (!pool->error.status && pool->idle_count == 0 && pool->unmade_count == 0) {
        pthread_cond_wait(&pool->progress, &pool->mutex);
    }
    mos_status status = failed(pool, error);
    uint8_t *data = NULL;
    if (status == MOS_OK && pool->idle_count) {
        data = pool->idle[--pool->idle_count];
    } else if (status == MOS_OK) {
        pool->unmade_count--;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (status) {
        return status;
    }
    struct mos_piece *piece = mos_calloc(1, sizeof(*piece));
    piece->data = data ? data : mos_malloc(pool->chunk_limit_bytes);
    piece->references = 1;
    *out = piece;
    return MOS_OK;
}

void mos_pool_submit(mos_pool *pool, struct mos_piece *piece) {
    pthread_mutex_lock(&pool->mutex);
    piece->next = NULL;
    *pool->last = piece;
    pool->last = &piece->next;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
}

bool mos_pool_done(mos_pool *pool, const struct mos_piece *piece) {
    pthread_mutex_lock(&pool->mutex);
    bool done = piece->done;
    pthread_mutex_unlock(&pool->mutex);
    return done;
}

mos_status mos_pool_wait(mos_pool *pool, const struct mos_piece *piece, struct mos_error *error) {
    pthread_mutex_lock(&pool->mutex);
    while (!piece->done && !pool->error.status) {
        pthread_cond_wait(&pool->progress, &pool->mutex);
    }
    mos_status status = piece->done ? MOS_OK : failed(pool, error);
    pthread_mutex_unlock(&pool->mutex);
    return status;
}

void mos_piece_release(struct mos_piece *piece) {
    if (piece && --piece->references == 0) {
        free(piece->data);
        free(piece);
    }
}
