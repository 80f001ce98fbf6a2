#include "control/service/broadcast.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/catalog/recovery.h"
#include "control/rpc/pool.h"
#include "control/service/internal.h"

enum { EVENTS_AT_ONCE = 256 };

struct follower {
    struct follower *previous, *next;
    struct mos_call *call;
    const char *job_id;
    const char *backup_id;
    const char *run_id;
    // Nothing up to here is to be sent to its call any more.
    int64_t after;
    // What was posted last; 0: nothing.
    int64_t posted;
    struct mos_broadcast_run run;
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

// An event of a job, or an entry of a run's journal; the other is NULL.
struct news {
    int64_t sequence;
    const struct mos_event *event;
    const struct mos_journal_entry *entry;
    // Made for the first whom it concerns.
    bool made;
    mos_packed *packed;
    // Whoever follows looks at the catalog then.
    bool ends;
    struct mos_broadcast_run run;
};

static bool make_entry(mos_arena *arena, struct news *news) {
    Mosaajii__Backup__V1__ExecutionEvent *message = mosaajii__backup__v1__execution_event__unpack(
        mos_arena_allocator(arena), news->entry->content.size_bytes, news->entry->content.data);
    if (!message) {
        return false;
    }
    message->sequence = news->sequence;
    int status = (int)message->status;
    news->ends =
        message->kind == MOSAAJII__BACKUP__V1__EXECUTION_EVENT__KIND__STATUS &&
        (status == MOSAAJII__BACKUP__V1__EXECUTION__STATUS__COMPLETED || status == MOSAAJII__BACKUP__V1__EXECUTION__STATUS__FAILED ||
         status == MOSAAJII__BACKUP__V1__EXECUTION__STATUS__CANCELLED);
    news->run = (struct mos_broadcast_run){status, message->percent, message->seconds_left, mos_now_monotonic_ns()};
    return mos_packed_create(&news->packed, &message->base, NULL) == MOS_OK;
}

static bool make_event(mos_arena *arena, struct news *news) {
    Mosaajii__Backup__V1__JobEvent message;
    news->ends = news->event->job_status != MOS_JOB_PENDING && news->event->job_status != MOS_JOB_RUNNING;
    return mos_make_event(arena, news->event, &message) && mos_packed_create(&news->packed, &message.base, NULL) == MOS_OK;
}

// Where it cannot be made, whoever watches meets the same, and says so.
static bool make(mos_arena *arena, struct news *news) {
    if (!news->made) {
        news->made = true;
        if (!(news->entry ? make_entry(arena, news) : make_event(arena, news))) {
            news->packed = NULL;
        }
    }
    return news->packed != NULL;
}

static bool concerns(const struct follower *follower, const struct news *news) {
    if (follower->run_id) {
        return news->entry && strcmp(follower->run_id, news->entry->run_id) == 0;
    }
    return news->event && (follower->job_id ? strcmp(follower->job_id, news->event->job_id) == 0
                                            : strcmp(follower->backup_id, news->event->backup_id) == 0);
}

static void hand_out(mos_broadcast *broadcast, mos_arena *arena, struct news *news) {
    pthread_mutex_lock(&broadcast->lock);
    broadcast->position = news->sequence > broadcast->position ? news->sequence : broadcast->position;
    for (struct follower *next, *follower = broadcast->followers; follower; follower = next) {
        next = follower->next;
        if (!concerns(follower, news)) {
            continue;
        }
        bool posted = make(arena, news);
        if (posted && news->sequence > follower->after) {
            posted = mos_call_post(follower->call, news->packed);
            follower->after = posted ? news->sequence : follower->after;
            follower->posted = posted ? news->sequence : follower->posted;
            follower->run = posted ? news->run : follower->run;
        }
        if (!posted || news->ends) {
            let_go(broadcast, follower);
        }
    }
    pthread_mutex_unlock(&broadcast->lock);
    mos_packed_destroy(news->packed);
}

// All that is new, of one moment.
struct batch {
    struct mos_event *events;
    size_t event_count;
    struct mos_journal_entry *entries;
    size_t entry_count;
};

static mos_status read_news(mos_broadcast *broadcast, int64_t after, mos_arena *arena, struct batch *out, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(broadcast->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_list_events(session, NULL, NULL, after, EVENTS_AT_ONCE, arena, &out->events, &out->event_count, error);
    }
    return status == MOS_OK
               ? mos_catalog_next_journal(session, NULL, 0, after, EVENTS_AT_ONCE, arena, &out->entries, &out->entry_count, error)
               : status;
}

// Both in the order of their numbers. true: that is all of them, and not as far as one of the two was read.
static bool hand_out_batch(mos_broadcast *broadcast, mos_arena *arena, const struct batch *batch) {
    for (size_t i = 0, k = 0;;) {
        bool more_events = i < batch->event_count, more_entries = k < batch->entry_count;
        if ((!more_events && batch->event_count == EVENTS_AT_ONCE) || (!more_entries && batch->entry_count == EVENTS_AT_ONCE)) {
            return false;
        }
        if (!more_events && !more_entries) {
            return true;
        }
        struct news news = {0};
        if (more_events && (!more_entries || batch->events[i].sequence < batch->entries[k].sequence)) {
            news.event = &batch->events[i++];
            news.sequence = news.event->sequence;
        } else {
            news.entry = &batch->entries[k++];
            news.sequence = news.entry->sequence;
        }
        hand_out(broadcast, arena, &news);
    }
}

// What has come after `position`, to all who follow.
static void hand_out_new(mos_broadcast *broadcast, int64_t position) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    int64_t seen = mos_catalog_last_event(broadcast->catalog);
    struct batch batch = {0};
    struct mos_error error;
    mos_status status = read_news(broadcast, position, arena, &batch, &error);
    bool all = status == MOS_OK && hand_out_batch(broadcast, arena, &batch);
    pthread_mutex_lock(&broadcast->lock);
    if (status != MOS_OK) {
        mos_log_warning("new events cannot be read for those who watch", MOS_TEXT("reason", error.message));
        while (broadcast->followers) {
            let_go(broadcast, broadcast->followers);
        }
    } else if (all && seen > broadcast->position) {
        // Some numbers are neither a job's nor a run's.
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

static void wait(sem_t *semaphore, int64_t until_monotonic_ns) {
    const struct timespec until = {.tv_sec = until_monotonic_ns / MOS_NS_PER_SECOND, .tv_nsec = until_monotonic_ns % MOS_NS_PER_SECOND};
    while ((until_monotonic_ns ? sem_clockwait(semaphore, CLOCK_MONOTONIC, &until) : sem_wait(semaphore)) != 0 && errno == EINTR) {
        // A signal: not what is waited for.
    }
}

// 0: until it is let go.
static void follow(mos_broadcast *broadcast, struct follower *follower, int64_t seen, int64_t until_monotonic_ns) {
    sem_init(&follower->wake, 0, 0);
    pthread_mutex_lock(&broadcast->lock);
    // What came after it looked may have been handed out already.
    bool in_time = seen >= broadcast->position;
    if (in_time && !broadcast->followers) {
        broadcast->position = seen;
        pthread_cond_signal(&broadcast->wanted);
    }
    if (in_time) {
        add(broadcast, follower);
    }
    pthread_mutex_unlock(&broadcast->lock);
    if (in_time) {
        mos_call_on_cancel(follower->call, wake, &follower->wake);
        wait(&follower->wake, until_monotonic_ns);
        mos_call_on_cancel(follower->call, NULL, NULL);
    }
    pthread_mutex_lock(&broadcast->lock);
    if (follower->follows) {
        take_out(broadcast, follower);
    }
    pthread_mutex_unlock(&broadcast->lock);
    sem_destroy(&follower->wake);
}

void mos_broadcast_follow(mos_broadcast *broadcast, struct mos_call *call, const char *job_id, const char *backup_id, int64_t seen,
                          int64_t *after) {
    struct follower follower = {.call = call, .job_id = job_id, .backup_id = backup_id, .after = *after > seen ? *after : seen};
    follow(broadcast, &follower, seen, 0);
    *after = follower.after;
}

void mos_broadcast_follow_run(mos_broadcast *broadcast, struct mos_call *call, const char *run_id, int64_t seen, int64_t until_monotonic_ns,
                              int64_t *after, struct mos_broadcast_run *last) {
    struct follower follower = {.call = call, .run_id = run_id, .after = *after > seen ? *after : seen};
    follow(broadcast, &follower, seen, until_monotonic_ns);
    if (follower.posted) {
        *after = follower.posted;
        *last = follower.run;
    }
}
