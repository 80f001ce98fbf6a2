// Entries, workers, waiting and cancelling.
#include "control/job/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/job/queue_internal.h"
#include "control/job/record.h"

enum { GRACE_MS = 500, RESTORE_GRACE_MS = 15000 };

// ---- Entries ----

struct mos_entry *mos_entry_create(const struct mos_job *job, const Mosaajii__Engine__V1__Request *request) {
    struct mos_entry *entry = mos_calloc(1, sizeof(*entry));
    snprintf(entry->job_id, sizeof(entry->job_id), "%s", job->id);
    snprintf(entry->backup_id, sizeof(entry->backup_id), "%s", job->backup_id);
    entry->kind = job->kind;
    entry->request_bytes = protobuf_c_message_get_packed_size(&request->base);
    entry->request = mos_malloc(entry->request_bytes);
    protobuf_c_message_pack(&request->base, entry->request);
    entry->references = 1;
    pthread_mutex_init(&entry->process_mutex, NULL);
    return entry;
}

static void give_up(mos_queue *queue, struct mos_entry *entry, int references) {
    pthread_mutex_lock(&queue->mutex);
    entry->references -= references;
    bool last = entry->references == 0;
    pthread_mutex_unlock(&queue->mutex);
    if (last) {
        explicit_bzero(entry->request, entry->request_bytes);
        free(entry->request);
        pthread_mutex_destroy(&entry->process_mutex);
        free(entry);
    }
}

void mos_entry_release(mos_queue *queue, struct mos_entry *entry) {
    give_up(queue, entry, 1);
}

mos_status mos_queue_announce(mos_queue *queue, struct mos_entry *entry, struct mos_error *error) {
    mos_status status = MOS_OK;
    pthread_mutex_lock(&queue->mutex);
    if (queue->stopping) {
        status = mos_fail(error, MOS_UNAVAILABLE, "the server is stopping");
    } else if (queue->waiting_count >= MOS_QUEUE_MOST_WAITING) {
        status =
            mos_fail(error, MOS_RESOURCE_EXHAUSTED, "%d jobs are waiting already; try again when some have ended", MOS_QUEUE_MOST_WAITING);
    } else {
        struct mos_entry **end = &queue->entries;
        while (*end) {
            end = &(*end)->next;
        }
        *end = entry;
        entry->references++;
    }
    pthread_mutex_unlock(&queue->mutex);
    return status;
}

static void unlink_entry(mos_queue *queue, struct mos_entry *entry) {
    for (struct mos_entry **link = &queue->entries; *link; link = &(*link)->next) {
        if (*link == entry) {
            *link = entry->next;
            entry->next = NULL;
            return;
        }
    }
}

void mos_queue_release(mos_queue *queue, struct mos_entry *entry, bool first) {
    pthread_mutex_lock(&queue->mutex);
    if (first) {
        unlink_entry(queue, entry);
        entry->next = queue->entries;
        queue->entries = entry;
    }
    entry->waiting = true;
    queue->waiting_count++;
    pthread_cond_broadcast(&queue->work);
    pthread_mutex_unlock(&queue->mutex);
}

void mos_queue_forget(mos_queue *queue, struct mos_entry *entry) {
    pthread_mutex_lock(&queue->mutex);
    unlink_entry(queue, entry);
    // Workers of a queue that stops wait for the last to go.
    pthread_cond_broadcast(&queue->work);
    pthread_mutex_unlock(&queue->mutex);
    give_up(queue, entry, 2);
}

// ---- Workers ----

// Keys are rewrapped by one job at a time: another would hold up a worker until it ends. With the mutex held.
static bool is_held_back(const mos_queue *queue, const struct mos_entry *entry) {
    for (const struct mos_entry *other = queue->entries; other && entry->kind == MOS_JOB_KEY_REWRAP; other = other->next) {
        if (other->taken && other->kind == MOS_JOB_KEY_REWRAP) {
            return true;
        }
    }
    return false;
}

// The first that waits and may run. With the mutex held.
static struct mos_entry *take_waiting(mos_queue *queue) {
    for (struct mos_entry *entry = queue->entries; entry; entry = entry->next) {
        if (entry->waiting && !is_held_back(queue, entry)) {
            entry->waiting = false;
            entry->taken = true;
            queue->waiting_count--;
            entry->references++;
            return entry;
        }
    }
    return NULL;
}

static void *worker_main(void *argument) {
    mos_queue *queue = argument;
    pthread_mutex_lock(&queue->mutex);
    for (;;) {
        struct mos_entry *entry = take_waiting(queue);
        if (!entry) {
            // Entries that are announced are still to come, even to a queue that stops.
            if (queue->stopping && !queue->entries) {
                break;
            }
            pthread_cond_wait(&queue->work, &queue->mutex);
            continue;
        }
        bool drop = queue->stopping || entry->cancelled;
        entry->stopped = entry->stopped || queue->stopping;
        pthread_mutex_unlock(&queue->mutex);
        if (drop) {
            mos_job_drop(queue, entry);
        } else {
            mos_job_run(queue, entry);
        }
        mos_queue_forget(queue, entry);
        pthread_mutex_lock(&queue->mutex);
    }
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

mos_queue *mos_queue_create(mos_catalog *catalog, const struct mos_engine *engine, int max_jobs) {
    mos_queue *queue = mos_calloc(1, sizeof(*queue));
    queue->catalog = catalog;
    queue->engine = *engine;
    queue->max_jobs = max_jobs < 1 ? 1 : max_jobs > MOS_QUEUE_MOST_JOBS ? MOS_QUEUE_MOST_JOBS : max_jobs;
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->work, NULL);
    pthread_cond_init(&queue->inquiry_free, NULL);
    pthread_cond_init(&queue->keys_free, NULL);
    pthread_mutex_init(&queue->settling, NULL);
    return queue;
}

void mos_queue_set_prepare(mos_queue *queue, mos_queue_prepare prepare, void *context) {
    queue->prepare = prepare;
    queue->prepare_context = context;
}

mos_status mos_queue_start(mos_queue *queue, struct mos_error *error) {
    while (queue->worker_count < queue->max_jobs) {
        int code = pthread_create(&queue->workers[queue->worker_count], NULL, worker_main, queue);
        if (code != 0) {
            return mos_fail_errno(error, code, "starting a thread for jobs");
        }
        queue->worker_count++;
    }
    bool due;
    mos_status status = mos_record_prune_due(queue->catalog, &due, error);
    if (due) {
        pthread_mutex_lock(&queue->mutex);
        queue->prune_due = true;
        pthread_mutex_unlock(&queue->mutex);
        mos_job_prune_when_quiet(queue, NULL);
    }
    return status;
}

// ---- Stopping ----

bool mos_queue_is_stopping(mos_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    bool stopping = queue->stopping;
    pthread_mutex_unlock(&queue->mutex);
    return stopping;
}

// What the engine of a job that is told to stop gets before it is killed: one that restores into a server has to tidy up there.
static int grace_ms(const struct mos_entry *entry) {
    return entry->kind == MOS_JOB_RESTORE ? RESTORE_GRACE_MS : GRACE_MS;
}

// With a reference held, and no lock.
static void tell_to_stop(struct mos_entry *entry) {
    pthread_mutex_lock(&entry->process_mutex);
    if (entry->process) {
        mos_process_stop(entry->process);
    }
    pthread_mutex_unlock(&entry->process_mutex);
}

// The process is gone afterwards, or killed.
static void stop_process(struct mos_entry *entry) {
    tell_to_stop(entry);
    pthread_mutex_lock(&entry->process_mutex);
    if (entry->process) {
        mos_process_kill(entry->process, grace_ms(entry));
    }
    pthread_mutex_unlock(&entry->process_mutex);
}

void mos_queue_stop(mos_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    queue->stopping = true;
    pthread_cond_broadcast(&queue->work);
    size_t count = 0;
    for (struct mos_entry *entry = queue->entries; entry; entry = entry->next) {
        count++;
    }
    MOS_CLEANUP_FREE struct mos_entry **entries = mos_calloc(count, sizeof(struct mos_entry *));
    count = 0;
    for (struct mos_entry *entry = queue->entries; entry; entry = entry->next) {
        entry->stopped = true;
        entry->references++;
        entries[count++] = entry;
    }
    pthread_mutex_unlock(&queue->mutex);
    // A process that starts from here on is stopped by its worker, which sees the flag. All are told first, so that their times pass at
    // once.
    for (size_t i = 0; i < count; i++) {
        tell_to_stop(entries[i]);
    }
    for (size_t i = 0; i < count; i++) {
        stop_process(entries[i]);
        mos_entry_release(queue, entries[i]);
    }
    for (int i = 0; i < queue->worker_count; i++) {
        pthread_join(queue->workers[i], NULL);
    }
    queue->worker_count = 0;
}

void mos_queue_destroy(mos_queue *queue) {
    if (!queue) {
        return;
    }
    // Of a queue that never ran: their rows are there for the next.
    while (queue->entries) {
        struct mos_entry *entry = queue->entries;
        pthread_mutex_lock(&queue->mutex);
        unlink_entry(queue, entry);
        pthread_mutex_unlock(&queue->mutex);
        give_up(queue, entry, 1);
    }
    pthread_mutex_destroy(&queue->mutex);
    pthread_cond_destroy(&queue->work);
    pthread_cond_destroy(&queue->inquiry_free);
    pthread_cond_destroy(&queue->keys_free);
    pthread_mutex_destroy(&queue->settling);
    free(queue->unsettled);
    free(queue);
}

// ---- Cancelling and waiting ----

static mos_status fail_not_active(mos_queue *queue, const char *job_id, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job job;
    mos_status status = mos_catalog_read_begin(queue->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_get_job(session, job_id, arena, &job, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    return job.status == MOS_JOB_RUNNING
               ? mos_fail(error, MOS_FAILED_PRECONDITION, "the job is just ending")
               : mos_fail(error, MOS_FAILED_PRECONDITION, "the job has ended already: its status is %s", mos_job_status_word(job.status));
}

// The first entry of the job, or of the backup, that neither has ended nor was cancelled before, with a reference, now cancelled. One that
// still waits is taken out of the workers' reach.
static struct mos_entry *cancel_one(mos_queue *queue, const char *job_id, const char *backup_id, bool *out_waited) {
    pthread_mutex_lock(&queue->mutex);
    struct mos_entry *entry = queue->entries;
    while (entry && (entry->cancelled || entry->ended || (job_id && strcmp(entry->job_id, job_id) != 0) ||
                     (backup_id && strcmp(entry->backup_id, backup_id) != 0))) {
        entry = entry->next;
    }
    if (entry) {
        entry->cancelled = true;
        entry->references++;
        *out_waited = entry->waiting;
        if (entry->waiting) {
            entry->waiting = false;
            queue->waiting_count--;
        }
    }
    pthread_mutex_unlock(&queue->mutex);
    return entry;
}

static bool cancel_next(mos_queue *queue, const char *job_id, const char *backup_id) {
    bool waited = false;
    struct mos_entry *entry = cancel_one(queue, job_id, backup_id, &waited);
    if (!entry) {
        return false;
    }
    if (waited) {
        mos_job_drop(queue, entry);
        mos_queue_forget(queue, entry);
    } else {
        stop_process(entry);
        mos_entry_release(queue, entry);
    }
    return true;
}

mos_status mos_queue_cancel(mos_queue *queue, const char *job_id, struct mos_error *error) {
    return cancel_next(queue, job_id, NULL) ? MOS_OK : fail_not_active(queue, job_id, error);
}

mos_status mos_queue_cancel_backup(mos_queue *queue, const char *backup_id, struct mos_error *error) {
    bool any = false;
    while (cancel_next(queue, NULL, backup_id)) {
        any = true;
    }
    return any ? MOS_OK : mos_fail(error, MOS_FAILED_PRECONDITION, "no job of the backup is running or waiting");
}

mos_status mos_queue_wait(mos_queue *queue, const char *job_id, bool (*over)(const void *argument), const void *argument, mos_arena *arena,
                          struct mos_job *out, struct mos_error *error) {
    for (;;) {
        int64_t seen = mos_catalog_last_event(queue->catalog);
        mos_catalog_session *session;
        mos_status status = mos_catalog_read_begin(queue->catalog, &session, error);
        if (status != MOS_OK) {
            return status;
        }
        MOS_CLEANUP_ARENA mos_arena *scratch = mos_arena_create(0);
        status = mos_catalog_get_job(session, job_id, scratch, out, error);
        bool ended = status == MOS_OK && out->status != MOS_JOB_PENDING && out->status != MOS_JOB_RUNNING;
        if (ended) {
            status = mos_catalog_get_job(session, job_id, arena, out, error);
        }
        mos_catalog_read_end(session);
        if (status != MOS_OK || ended) {
            return status;
        }
        if (over(argument)) {
            return mos_fail(error, MOS_CANCELLED, "the call ended before the job");
        }
        mos_catalog_wait_events(queue->catalog, seen, over, argument);
    }
}
