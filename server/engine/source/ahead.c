#include "engine/source/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/buffer.h"

// Names that are looked at together by one of the two, how many such blocks the thread may be ahead, and how long the caller watches for a
// block that is on its way before it sleeps.
enum { BLOCK = 16, WINDOW = 16, SPINS = 500 };

struct block {
    // The number of the block that stands here whole, plus one.
    atomic_size_t ready;
    int errors[BLOCK];
    struct stat found[BLOCK];
};

struct mos_ahead {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t to_thread;
    pthread_cond_t to_caller;
    // Blocks are numbered over all directories, so that none is taken for a later one. Below `claimed` each is somebody's, below `used` the
    // caller is done with it; those from `limit` on are not wanted.
    atomic_size_t claimed;
    atomic_size_t used;
    atomic_size_t limit;
    // Set by the one that is about to sleep, before it looks once more whether it must.
    atomic_bool thread_sleeps;
    atomic_bool caller_sleeps;
    // With the mutex.
    bool working;
    bool over;
    // Of the present directory; changed only while the thread does not work.
    int directory;
    const char *names;
    const uint32_t *order;
    size_t count;
    size_t first;
    // The caller's: the next name, and the block that it is in; NULL: one that the caller looks at itself.
    size_t next;
    const struct block *block;
    struct block blocks[WINDOW];
};

static int look(const struct mos_ahead *ahead, int directory, size_t at, struct stat *out) {
    return fstatat(directory, ahead->names + ahead->order[at], out, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 ? 0 : errno;
}

static bool has_room(mos_ahead *ahead, size_t number) {
    return number < atomic_load(&ahead->used) + WINDOW || number >= atomic_load(&ahead->limit);
}

static void wait_for_room(mos_ahead *ahead, size_t number) {
    pthread_mutex_lock(&ahead->mutex);
    atomic_store(&ahead->thread_sleeps, true);
    while (!has_room(ahead, number)) {
        pthread_cond_wait(&ahead->to_thread, &ahead->mutex);
    }
    atomic_store(&ahead->thread_sleeps, false);
    pthread_mutex_unlock(&ahead->mutex);
}

static void look_at_block(mos_ahead *ahead, int directory, size_t number) {
    struct block *block = &ahead->blocks[number % WINDOW];
    size_t from = (number - ahead->first) * BLOCK;
    for (size_t i = 0; i < BLOCK && from + i < ahead->count; i++) {
        block->errors[i] = look(ahead, directory, from + i, &block->found[i]);
    }
    atomic_store(&block->ready, number + 1);
    if (atomic_load(&ahead->caller_sleeps)) {
        pthread_mutex_lock(&ahead->mutex);
        pthread_cond_signal(&ahead->to_caller);
        pthread_mutex_unlock(&ahead->mutex);
    }
}

static void work(mos_ahead *ahead) {
    // A descriptor of its own: two threads that use one all the time get into each other's way in the kernel.
    int own = openat(ahead->directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (;;) {
        size_t number = atomic_load(&ahead->claimed);
        if (number >= atomic_load(&ahead->limit)) {
            break;
        }
        if (!has_room(ahead, number)) {
            wait_for_room(ahead, number);
        } else if (atomic_compare_exchange_strong(&ahead->claimed, &number, number + 1)) {
            look_at_block(ahead, own >= 0 ? own : ahead->directory, number);
        }
    }
    if (own >= 0) {
        close(own);
    }
}

static void *run(void *argument) {
    mos_ahead *ahead = argument;
    pthread_mutex_lock(&ahead->mutex);
    for (;;) {
        while (!ahead->working && !ahead->over) {
            pthread_cond_wait(&ahead->to_thread, &ahead->mutex);
        }
        if (ahead->over) {
            break;
        }
        pthread_mutex_unlock(&ahead->mutex);
        work(ahead);
        pthread_mutex_lock(&ahead->mutex);
        ahead->working = false;
        pthread_cond_signal(&ahead->to_caller);
    }
    pthread_mutex_unlock(&ahead->mutex);
    return NULL;
}

mos_ahead *mos_ahead_create(void) {
    mos_ahead *ahead = mos_calloc(1, sizeof(*ahead));
    pthread_mutex_init(&ahead->mutex, NULL);
    pthread_cond_init(&ahead->to_thread, NULL);
    pthread_cond_init(&ahead->to_caller, NULL);
    if (pthread_create(&ahead->thread, NULL, run, ahead) != 0) {
        free(ahead);
        return NULL;
    }
    return ahead;
}

void mos_ahead_free(mos_ahead *ahead) {
    if (!ahead) {
        return;
    }
    mos_ahead_end(ahead);
    pthread_mutex_lock(&ahead->mutex);
    ahead->over = true;
    pthread_cond_signal(&ahead->to_thread);
    pthread_mutex_unlock(&ahead->mutex);
    pthread_join(ahead->thread, NULL);
    pthread_mutex_destroy(&ahead->mutex);
    pthread_cond_destroy(&ahead->to_thread);
    pthread_cond_destroy(&ahead->to_caller);
    free(ahead);
}

void mos_ahead_begin(mos_ahead *ahead, int directory, const char *names, const uint32_t *order, size_t count) {
    mos_ahead_end(ahead);
    ahead->directory = directory;
    ahead->names = names;
    ahead->order = order;
    ahead->count = count;
    ahead->next = 0;
    ahead->first = atomic_load(&ahead->claimed);
    atomic_store(&ahead->used, ahead->first);
    atomic_store(&ahead->limit, ahead->first + (count + BLOCK - 1) / BLOCK);
    pthread_mutex_lock(&ahead->mutex);
    ahead->working = true;
    pthread_cond_signal(&ahead->to_thread);
    pthread_mutex_unlock(&ahead->mutex);
}

static void wait_for(mos_ahead *ahead, const struct block *block, size_t number) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&block->ready) == number + 1) {
            return;
        }
    }
    pthread_mutex_lock(&ahead->mutex);
    atomic_store(&ahead->caller_sleeps, true);
    while (atomic_load(&block->ready) != number + 1) {
        pthread_cond_wait(&ahead->to_caller, &ahead->mutex);
    }
    atomic_store(&ahead->caller_sleeps, false);
    pthread_mutex_unlock(&ahead->mutex);
}

// Finds out whose the next block is: the thread's, or, where it is not that far, the caller's own.
static void enter_block(mos_ahead *ahead) {
    size_t number = ahead->first + ahead->next / BLOCK, unclaimed = number;
    atomic_store(&ahead->used, number);
    // Not for every place that becomes free.
    if (number % (WINDOW / 4) == 0 && atomic_load(&ahead->thread_sleeps)) {
        pthread_mutex_lock(&ahead->mutex);
        pthread_cond_signal(&ahead->to_thread);
        pthread_mutex_unlock(&ahead->mutex);
    }
    ahead->block = NULL;
    if (!atomic_compare_exchange_strong(&ahead->claimed, &unclaimed, number + 1)) {
        ahead->block = &ahead->blocks[number % WINDOW];
        wait_for(ahead, ahead->block, number);
    }
}

int mos_ahead_next(mos_ahead *ahead, struct stat *out) {
    if (ahead->next % BLOCK == 0) {
        enter_block(ahead);
    }
    size_t at = ahead->next++;
    int error;
    if (ahead->block) {
        error = ahead->block->errors[at % BLOCK];
        *out = ahead->block->found[at % BLOCK];
    } else {
        error = look(ahead, ahead->directory, at, out);
    }
    errno = error;
    return error ? -1 : 0;
}

void mos_ahead_end(mos_ahead *ahead) {
    pthread_mutex_lock(&ahead->mutex);
    atomic_store(&ahead->limit, 0);
    pthread_cond_signal(&ahead->to_thread);
    while (ahead->working) {
        pthread_cond_wait(&ahead->to_caller, &ahead->mutex);
    }
    pthread_mutex_unlock(&ahead->mutex);
}
