#include "control/service/broadcast.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/log.h"
#include "control/rpc/pool.h"
#include "control/service/internal.h"

enum { EVENTS_AT_ONCE = 256 };

struct follower {
    struct follower *previous, *next;
    struct mos_call *call;
    const char *job_id;
    const char *backup_id;
    // What its call has been sent.
    int64_t after;
    bool follows;
    sem_t wake;
};

struct mos_broadcast {
    mos_catalog *catalog;
    mos_pool *pool;
    struct mos_pool_work work;
    atomic_bool stopping;

    pthread_mutex_t lock; // of all below
    pthread_cond_t wanted;
    struct follower *followers;
    // All up to here has been posted to those who followed. Never above the catalog's last event.
    int64_t position;
};

// ---- Followers: with the lock held ----

static void add(mos_broadcast *broadcast, struct follower *follower) {
    follower->next = broadcast->followers;
    if (follower->next) {
        follower->next->previous = follower;
    }
    broadcast->followers = follower;
    follower->follows = true;
}

static void take_out(mos_broadcast *broadcast, struct follower *follower) {
    *(follower->previous ? &follower->previous->next : &broadcast->followers) = follower->next;
    if (follower->next) {
        follower->next->previous = follower->previous;
    }
    follower->follows = false;
}

// From here on the handler sees to its call again.
static void let_go(mos_broadcast *broadcast, struct follower *follower) {
    take_out(broadcast, follower);
    sem_post(&follower->wake);
}

// ---- The thread ----

static bool is_stopping(const void *broadcast) {
    return atomic_load(&((const mos_broadcast *)broadcast)->stopping);
}

static mos_packed *pack(mos_arena *arena, const struct mos_event *event) {
    Mosaajii__Backup__V1__JobEvent message;
    mos_packed *packed = NULL;
    // Where it cannot be, whoever watches meets the same, and says so.
    return mos_make_event(arena, event, &message) && mos_packed_create(&packed, &message.base, NULL) == MOS_OK ? packed : NULL;
}

static bool concerns(const struct follower *follower, const struct mos_event *event) {
    return follower->job_id ? strcmp(follower->job_id, event->job_id) == 0 : strcmp(follower->backup_id, event->backup_id) == 0;
}

static void hand_out(mos_broadcast *broadcast, mos_arena *arena, const struct mos_event *event) {
    bool ends = event->job_status != MOS_JOB_PENDING && event->job_status != MOS_JOB_RUNNING;
    mos_packed *packed = NULL;
    pthread_mutex_lock(&broadcast->lock);
    broadcast->position = event->sequence > broadcast->position ? event->sequence : broadcast->position;
    for (struct follower *next, *follower = broadcast->followers; follower; follower = next) {
        next = follower->next;
        if (!concerns(follower, event)) {
            continue;
        }
        bool posted = true;
        if (event->sequence > follower->after) {
            packed = packed ? packed : pack(arena, event);
            posted = packed && mos_call_post(follower->call, packed);
            follower->after = posted ? event->sequence : follower->after;
        }
        if (!posted || ends) {
            let_go(broadcast, follower);
        }
    }
    pthread_mutex_unlock(&broadcast->lock);
    mos_packed_destroy(packed);
}

static mos_status read_events(mos_broadcast *broadcast, int64_t after, mos_arena *arena, struct mos_event **out, size_t *out_count,
                              struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(broadcast->catalog, &session, error);
    return status == MOS_OK ? mos_catalog_list_events(session, NULL, NULL, after, EVENTS_AT_ONCE, arena, out, out_count, error) : status;
}

// What has come after `position`, to all who follow.
static void hand_out_new(mos_broadcast *broadcast, int64_t position) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    int64_t seen = mos_catalog_last_event(broadcast->catalog);
    struct mos_event *events = NULL;
    size_t count = 0;
    struct mos_error error;
    mos_status status = read_events(broadcast, position, arena, &events, &count, &error);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        hand_out(broadcast, arena, &events[i]);
    }
    pthread_mutex_lock(&broadcast->lock);
    if (status != MOS_OK) {
        mos_log_warning("new events cannot be read for those who watch", MOS_TEXT("reason", error.message));
        while (broadcast->followers) {
            let_go(broadcast, broadcast->followers);
        }
    } else if (count < EVENTS_AT_ONCE && seen > broadcast->position) {
        // Some numbers are no job's.
        broadcast->position = seen;
    }
    pthread_mutex_unlock(&broadcast->lock);
}

static void run(struct mos_pool_work *work) {
    mos_broadcast *broadcast = (mos_broadcast *)((char *)work - offsetof(mos_broadcast, work));
    for (;;) {
        pthread_mutex_lock(&broadcast->lock);
        while (!broadcast->followers && !is_stopping(broadcast)) {
            pthread_cond_wait(&broadcast->wanted, &broadcast->lock);
        }
        int64_t position = broadcast->position;
        pthread_mutex_unlock(&broadcast->lock);
        if (is_stopping(broadcast)) {
            return;
        }
        mos_catalog_wait_events(broadcast->catalog, position, is_stopping, broadcast);
        hand_out_new(broadcast, position);
    }
}

mos_status mos_broadcast_start(mos_broadcast **out, mos_catalog *catalog, struct mos_error *error) {
    mos_broadcast *broadcast = mos_calloc(1, sizeof(*broadcast));
    broadcast->catalog = catalog;
    broadcast->work.run = run;
    pthread_mutex_init(&broadcast->lock, NULL);
    pthread_cond_init(&broadcast->wanted, NULL);
    broadcast->pool = mos_pool_create(1, MOS_STREAM_NICE);
    if (!mos_pool_submit(broadcast->pool, &broadcast->work)) {
        mos_broadcast_stop(broadcast);
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the thread for those who watch cannot be started");
    }
    *out = broadcast;
    return MOS_OK;
}

void mos_broadcast_stop(mos_broadcast *broadcast) {
    if (!broadcast) {
        return;
    }
    pthread_mutex_lock(&broadcast->lock);
    atomic_store(&broadcast->stopping, true);
    pthread_cond_signal(&broadcast->wanted);
    pthread_mutex_unlock(&broadcast->lock);
    mos_catalog_wake_watchers(broadcast->catalog);
    mos_pool_destroy(broadcast->pool);
    pthread_mutex_destroy(&broadcast->lock);
    pthread_cond_destroy(&broadcast->wanted);
    free(broadcast);
}

// ---- Following ----

static void wake(void *semaphore) {
    sem_post(semaphore);
}

void mos_broadcast_follow(mos_broadcast *broadcast, struct mos_call *call, const char *job_id, const char *backup_id, int64_t seen,
                          int64_t *after) {
    struct follower follower = {.call = call, .job_id = job_id, .backup_id = backup_id, .after = *after > seen ? *after : seen};
    sem_init(&follower.wake, 0, 0);
    pthread_mutex_lock(&broadcast->lock);
    // What came after it looked may have been handed out already.
    bool in_time = seen >= broadcast->position;
    if (in_time && !broadcast->followers) {
        broadcast->position = seen;
        pthread_cond_signal(&broadcast->wanted);
    }
    if (in_time) {
        add(broadcast, &follower);
    }
    pthread_mutex_unlock(&broadcast->lock);
    if (in_time) {
        mos_call_on_cancel(call, wake, &follower.wake);
        while (sem_wait(&follower.wake) != 0) {
            // A signal: not what is waited for.
        }
        mos_call_on_cancel(call, NULL, NULL);
    }
    pthread_mutex_lock(&broadcast->lock);
    if (follower.follows) {
        take_out(broadcast, &follower);
    }
    pthread_mutex_unlock(&broadcast->lock);
    *after = follower.after;
    sem_destroy(&follower.wake);
}
