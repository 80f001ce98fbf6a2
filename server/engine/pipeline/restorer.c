#include "engine/pipeline/restorer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "engine/pipeline/content.h"

// So much that was written begins its way to the disk while more is restored, so that little is left to wait for at the end.
enum { FLUSH_BYTES = 128 << 20 };
// A task is what a worker takes at once.
enum { TASK_BYTES = 4 << 20, TASK_PIECES = 512, TASK_EXTENTS = 1024, TASKS_A_THREAD = 4 };

// A file on its way. Whoever gives up the last reference ends it.
struct file {
    // Without its extents.
    struct mos_entry *entry;
    mos_target_file *handle;
    atomic_uint references;
    atomic_bool failed;
};

// Some of a file's content: the extents from `first` to `first + count - 1` of the task's.
struct piece {
    struct file *file;
    uint64_t content_offset_bytes;
    size_t first;
    size_t count;
    // The file is in this piece alone, so its worker makes it and ends it too.
    bool whole;
};

struct task {
    struct task *next;
    uint64_t bytes;
    struct mos_extent *extents;
    size_t extent_count;
    size_t extent_capacity;
    size_t piece_count;
    struct piece pieces[TASK_PIECES];
};

struct worker {
    mos_restorer *restorer;
    mos_target *target;
    struct mos_content_cache cache;
    pthread_t thread;
};

struct mos_restorer {
    struct mos_restorer_options options;
    struct worker *workers;
    unsigned worker_count;
    pthread_t flusher;
    bool flushing;
    // Being filled.
    struct task *filling;
    atomic_llong restored;
    atomic_llong skipped;
    atomic_llong failed;
    atomic_llong bytes;
    pthread_mutex_t database_mutex;
    // Guards what follows.
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_cond_t progress;
    pthread_cond_t flush;
    struct task *first;
    struct task **last;
    size_t waiting;
    size_t running;
    bool stop;
    struct mos_error error;
};

// ---- One file ----

static void fail_all(mos_restorer *restorer, const struct mos_error *error) {
    pthread_mutex_lock(&restorer->mutex);
    if (!restorer->error.status) {
        restorer->error = *error;
    }
    pthread_cond_broadcast(&restorer->progress);
    pthread_mutex_unlock(&restorer->mutex);
}

static void fail_file(mos_restorer *restorer, struct file *file, const struct mos_error *error) {
    if (!atomic_exchange(&file->failed, true)) {
        mos_job_warn(restorer->options.job, file->entry->path, file->entry->path_bytes, error->message);
    }
}

static void count_outcome(mos_restorer *restorer, enum mos_outcome outcome) {
    atomic_fetch_add(outcome == MOS_OUTCOME_WRITTEN ? &restorer->restored
                     : outcome == MOS_OUTCOME_KEPT  ? &restorer->skipped
                                                    : &restorer->failed,
                     1);
}

// Makes it in the target. false: it is not to be written, or cannot be, and counted so.
static bool make_file(mos_restorer *restorer, mos_target *target, struct file *file, bool at_once) {
    enum mos_outcome outcome = MOS_OUTCOME_FAILED;
    struct mos_error error = {0};
    mos_status status = at_once ? mos_target_file_create_at_once(target, file->entry, &file->handle, &outcome, &error)
                                : mos_target_file_create(target, file->entry, &file->handle, &outcome, &error);
    if (status) {
        fail_all(restorer, &error);
        outcome = MOS_OUTCOME_FAILED;
    }
    if (!file->handle) {
        count_outcome(restorer, outcome);
        mos_job_advance(restorer->options.job, 1, (int64_t)file->entry->size_bytes, NULL, 0);
    }
    return file->handle != NULL;
}

static void end_file(mos_restorer *restorer, mos_target *target, struct file *file) {
    enum mos_outcome outcome = MOS_OUTCOME_FAILED;
    if (file->handle && atomic_load(&file->failed)) {
        mos_target_file_abandon(file->handle);
    } else if (file->handle) {
        if (file->entry->type == MOS_ENTRY_DATABASE && restorer->options.database) {
            pthread_mutex_lock(&restorer->database_mutex);
            restorer->options.database(restorer->options.context, file->entry, file->handle);
            pthread_mutex_unlock(&restorer->database_mutex);
        }
        struct mos_error error = {0};
        if (mos_target_file_commit(target, file->handle, file->entry, &outcome, &error) != MOS_OK) {
            fail_all(restorer, &error);
        }
    }
    if (file->handle) {
        count_outcome(restorer, outcome);
        mos_job_advance(restorer->options.job, 1, (int64_t)(file->entry->size_bytes - mos_content_bytes(file->entry)), NULL, 0);
    }
    free(file->entry);
    free(file);
}

static void release(mos_restorer *restorer, mos_target *target, struct file *file) {
    if (atomic_fetch_sub(&file->references, 1) == 1) {
        end_file(restorer, target, file);
    }
}

// ---- Workers ----

static mos_status write_piece(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    return mos_target_file_write(((struct file *)context)->handle, data, size_bytes, offset_bytes, error);
}

static void do_piece(struct worker *worker, const struct task *task, const struct piece *piece) {
    mos_restorer *restorer = worker->restorer;
    struct file *file = piece->file;
    struct mos_error error = {0};
    if (mos_job_cancelled(restorer->options.job)) {
        atomic_store(&file->failed, true);
    } else if ((!piece->whole || make_file(restorer, worker->target, file, true)) && !atomic_load(&file->failed)) {
        int64_t bytes = 0;
        for (size_t i = 0; i < piece->count; i++) {
            bytes += task->extents[piece->first + i].length_bytes;
        }
        mos_status status = mos_content_extents(restorer->options.reader, &worker->cache, file->entry, piece->content_offset_bytes,
                                                task->extents + piece->first, piece->count, write_piece, file, &error);
        if (status == MOS_NO_SPACE) {
            mos_fail_context(&error, "the target is full");
            atomic_store(&file->failed, true);
            fail_all(restorer, &error);
        } else if (status) {
            fail_file(restorer, file, &error);
        } else {
            atomic_fetch_add(&restorer->bytes, bytes);
        }
        mos_job_advance(restorer->options.job, 0, bytes, file->entry->path, file->entry->path_bytes);
    }
    release(restorer, worker->target, file);
}

static void free_task(struct task *task) {
    free(task->extents);
    free(task);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    mos_restorer *restorer = worker->restorer;
    pthread_mutex_lock(&restorer->mutex);
    for (;;) {
        while (!restorer->first && !restorer->stop) {
            pthread_cond_wait(&restorer->work, &restorer->mutex);
        }
        struct task *task = restorer->first;
        if (!task) {
            break;
        }
        restorer->first = task->next;
        if (!restorer->first) {
            restorer->last = &restorer->first;
        }
        restorer->waiting--;
        restorer->running++;
        bool give_up = restorer->error.status != MOS_OK;
        pthread_mutex_unlock(&restorer->mutex);
        for (size_t i = 0; i < task->piece_count; i++) {
            if (give_up) {
                atomic_store(&task->pieces[i].file->failed, true);
                release(restorer, worker->target, task->pieces[i].file);
            } else {
                do_piece(worker, task, &task->pieces[i]);
            }
        }
        free_task(task);
        pthread_mutex_lock(&restorer->mutex);
        restorer->running--;
        pthread_cond_broadcast(&restorer->progress);
        pthread_cond_signal(&restorer->flush);
    }
    pthread_mutex_unlock(&restorer->mutex);
    return NULL;
}

// Beside the workers. Whether all is on disk at the end, somebody else makes sure of.
static void *flush(void *argument) {
    mos_restorer *restorer = argument;
    long long flushed = 0;
    pthread_mutex_lock(&restorer->mutex);
    for (;;) {
        while (!restorer->stop && atomic_load(&restorer->bytes) - flushed < FLUSH_BYTES) {
            pthread_cond_wait(&restorer->flush, &restorer->mutex);
        }
        if (restorer->stop) {
            break;
        }
        flushed = atomic_load(&restorer->bytes);
        pthread_mutex_unlock(&restorer->mutex);
        mos_target_sync(restorer->options.target, NULL);
        pthread_mutex_lock(&restorer->mutex);
    }
    pthread_mutex_unlock(&restorer->mutex);
    return NULL;
}

mos_restorer *mos_restorer_create(const struct mos_restorer_options *options) {
    mos_restorer *restorer = mos_calloc(1, sizeof(*restorer));
    restorer->options = *options;
    restorer->last = &restorer->first;
    pthread_mutex_init(&restorer->mutex, NULL);
    pthread_mutex_init(&restorer->database_mutex, NULL);
    pthread_cond_init(&restorer->work, NULL);
    pthread_cond_init(&restorer->progress, NULL);
    pthread_cond_init(&restorer->flush, NULL);
    unsigned threads = mos_job_threads(options->job);
    restorer->workers = mos_calloc(threads, sizeof(*restorer->workers));
    for (; restorer->worker_count < threads; restorer->worker_count++) {
        struct worker *worker = &restorer->workers[restorer->worker_count];
        *worker = (struct worker){.restorer = restorer, .target = mos_target_clone(options->target)};
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            mos_target_close(worker->target);
            break;
        }
    }
    restorer->flushing = pthread_create(&restorer->flusher, NULL, flush, restorer) == 0;
    if (restorer->worker_count == 0) {
        mos_fail(&restorer->error, MOS_RESOURCE_EXHAUSTED, "no worker thread can be started");
    }
    return restorer;
}

void mos_restorer_free(mos_restorer *restorer) {
    if (!restorer) {
        return;
    }
    // Files that are not whole are abandoned by whoever holds them last.
    if (restorer->filling) {
        for (size_t i = 0; i < restorer->filling->piece_count; i++) {
            atomic_store(&restorer->filling->pieces[i].file->failed, true);
            release(restorer, restorer->options.target, restorer->filling->pieces[i].file);
        }
        free_task(restorer->filling);
    }
    pthread_mutex_lock(&restorer->mutex);
    restorer->stop = true;
    if (restorer->first && !restorer->error.status) {
        mos_fail(&restorer->error, MOS_CANCELLED, "cancelled");
    }
    pthread_cond_broadcast(&restorer->work);
    pthread_cond_broadcast(&restorer->flush);
    pthread_mutex_unlock(&restorer->mutex);
    if (restorer->flushing) {
        pthread_join(restorer->flusher, NULL);
    }
    for (unsigned i = 0; i < restorer->worker_count; i++) {
        pthread_join(restorer->workers[i].thread, NULL);
        mos_content_cache_free(&restorer->workers[i].cache);
        mos_target_close(restorer->workers[i].target);
    }
    free(restorer->workers);
    pthread_cond_destroy(&restorer->progress);
    pthread_cond_destroy(&restorer->flush);
    pthread_cond_destroy(&restorer->work);
    pthread_mutex_destroy(&restorer->database_mutex);
    pthread_mutex_destroy(&restorer->mutex);
    free(restorer);
}

// ---- Handing in ----

// With the mutex.
static mos_status failed(const mos_restorer *restorer, struct mos_error *error) {
    if (restorer->error.status && error) {
        *error = restorer->error;
    }
    return restorer->error.status;
}

// Gives the task that is being filled to the workers.
static mos_status submit(mos_restorer *restorer, struct mos_error *error) {
    mos_status status = mos_job_check(restorer->options.job, error);
    if (status || !restorer->filling) {
        return status;
    }
    pthread_mutex_lock(&restorer->mutex);
    while (!restorer->error.status && restorer->waiting >= (size_t)TASKS_A_THREAD * restorer->worker_count) {
        pthread_cond_wait(&restorer->progress, &restorer->mutex);
    }
    status = failed(restorer, error);
    if (status == MOS_OK) {
        *restorer->last = restorer->filling;
        restorer->last = &restorer->filling->next;
        restorer->filling = NULL;
        restorer->waiting++;
        pthread_cond_signal(&restorer->work);
    }
    pthread_mutex_unlock(&restorer->mutex);
    return status;
}

static mos_status begin_piece(mos_restorer *restorer, struct file *file, uint64_t content_offset_bytes, struct piece **out,
                              struct mos_error *error) {
    struct task *task = restorer->filling;
    if (task && (task->bytes >= TASK_BYTES || task->piece_count == TASK_PIECES || task->extent_count >= TASK_EXTENTS)) {
        mos_status status = submit(restorer, error);
        if (status) {
            return status;
        }
        task = NULL;
    }
    if (!task) {
        task = restorer->filling = mos_calloc(1, sizeof(*task));
    }
    *out = &task->pieces[task->piece_count++];
    **out = (struct piece){.file = file, .content_offset_bytes = content_offset_bytes, .first = task->extent_count};
    atomic_fetch_add(&file->references, 1);
    return MOS_OK;
}

static void add_extent(struct task *task, struct piece *piece, const struct mos_extent *extent) {
    if (task->extent_count == task->extent_capacity) {
        task->extent_capacity = task->extent_capacity ? task->extent_capacity * 2 : TASK_PIECES;
        task->extents = mos_realloc(task->extents, task->extent_capacity * sizeof(*task->extents));
    }
    task->extents[task->extent_count++] = *extent;
    task->bytes += extent->length_bytes;
    piece->count++;
}

static struct file *copy_file(const struct mos_entry *entry) {
    struct mos_entry bare = *entry;
    bare.extents = NULL;
    bare.extent_count = 0;
    bare.lists = NULL;
    bare.list_count = 0;
    struct file *file = mos_calloc(1, sizeof(*file));
    file->entry = mos_entry_copy(&bare, NULL);
    atomic_store(&file->references, 1);
    return file;
}

static bool is_small(const struct mos_entry *entry) {
    return mos_entry_parts(entry) <= 1 && entry->list_count == 0 && entry->extent_count < TASK_EXTENTS &&
           mos_content_bytes(entry) < TASK_BYTES;
}

static mos_status add_small(mos_restorer *restorer, const struct mos_entry *entry, struct file *file, struct mos_error *error) {
    struct piece *piece;
    mos_status status = begin_piece(restorer, file, 0, &piece, error);
    if (status == MOS_OK) {
        // The worker's reference is the only one: it ends the file before it begins the next.
        atomic_store(&file->references, 1);
        piece->whole = true;
        for (size_t i = 0; i < entry->extent_count; i++) {
            add_extent(restorer->filling, piece, &entry->extents[i]);
        }
    }
    return status;
}

static mos_status add_large(mos_restorer *restorer, mos_tree_reader *tree, const struct mos_entry *entry, struct file *file,
                            struct mos_error *error) {
    uint64_t offset = 0;
    for (size_t part = 0; part < mos_entry_parts(entry); part++) {
        const struct mos_extent *extents;
        size_t count;
        struct mos_error cause = {0};
        if (mos_tree_extents(tree, entry, part, &extents, &count, &cause) != MOS_OK) {
            fail_file(restorer, file, &cause);
            return MOS_OK;
        }
        struct piece *piece = NULL;
        for (size_t i = 0; i < count; i++) {
            if (!piece || restorer->filling->bytes >= TASK_BYTES || restorer->filling->extent_count >= TASK_EXTENTS) {
                mos_status status = begin_piece(restorer, file, offset, &piece, error);
                if (status) {
                    return status;
                }
            }
            add_extent(restorer->filling, piece, &extents[i]);
            offset += extents[i].length_bytes;
        }
    }
    return MOS_OK;
}

mos_status mos_restorer_add(mos_restorer *restorer, mos_tree_reader *tree, const struct mos_entry *entry, struct mos_error *error) {
    struct file *file = copy_file(entry);
    mos_status status = MOS_OK;
    if (is_small(entry)) {
        status = add_small(restorer, entry, file, error);
        if (status == MOS_OK) {
            return MOS_OK;
        }
        atomic_store(&file->failed, true);
    } else if (make_file(restorer, restorer->options.target, file, false)) {
        status = add_large(restorer, tree, entry, file, error);
        if (status) {
            atomic_store(&file->failed, true);
        }
    }
    release(restorer, restorer->options.target, file);
    return status;
}

mos_status mos_restorer_finish(mos_restorer *restorer, struct mos_error *error) {
    mos_status status = submit(restorer, error);
    if (status) {
        return status;
    }
    pthread_mutex_lock(&restorer->mutex);
    while (restorer->waiting || restorer->running) {
        pthread_cond_wait(&restorer->progress, &restorer->mutex);
    }
    status = failed(restorer, error);
    pthread_mutex_unlock(&restorer->mutex);
    return status ? status : mos_job_check(restorer->options.job, error);
}

void mos_restorer_totals(const mos_restorer *restorer, struct mos_restorer_totals *out) {
    *out = (struct mos_restorer_totals){
        .restored = atomic_load(&restorer->restored),
        .skipped = atomic_load(&restorer->skipped),
        .failed = atomic_load(&restorer->failed),
        .bytes_written = atomic_load(&restorer->bytes),
    };
}
