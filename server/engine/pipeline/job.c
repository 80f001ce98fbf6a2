#include "engine/pipeline/job.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/text.h"

enum { REPORT_EVERY_MS = 250, MAX_THREADS = 64, DEFAULT_MAX_THREADS = 8 };

struct mos_job {
    void (*send)(void *context, const Mosaajii__Engine__V1__Event *event);
    void *context;
    unsigned threads;
    const struct mos_key_service *key_service;
    atomic_bool cancelled;
    atomic_llong warnings;
    atomic_llong files_done;
    atomic_llong files_total;
    atomic_llong bytes_done;
    atomic_llong bytes_total;
    atomic_llong reported_ns;
    // Guards what follows, and the calls of send.
    pthread_mutex_t mutex;
    const char *phase;
    struct mos_buffer current;
};

mos_job *mos_job_create(void (*send)(void *context, const Mosaajii__Engine__V1__Event *event), void *context, unsigned threads) {
    mos_job *job = mos_calloc(1, sizeof(*job));
    job->send = send;
    job->context = context;
    job->threads = threads;
    if (threads == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        job->threads = processors < 1 ? 1 : processors > DEFAULT_MAX_THREADS ? DEFAULT_MAX_THREADS : (unsigned)processors;
    } else if (threads > MAX_THREADS) {
        job->threads = MAX_THREADS;
    }
    pthread_mutex_init(&job->mutex, NULL);
    job->phase = "";
    return job;
}

void mos_job_free(mos_job *job) {
    if (job) {
        pthread_mutex_destroy(&job->mutex);
        mos_buffer_free(&job->current);
        free(job);
    }
}

void mos_job_set_key_service(mos_job *job, const struct mos_key_service *service) {
    job->key_service = service;
}

const struct mos_key_service *mos_job_key_service(const mos_job *job) {
    return job->key_service;
}

unsigned mos_job_threads(const mos_job *job) {
    return job->threads;
}

void mos_job_cancel(mos_job *job) {
    atomic_store(&job->cancelled, true);
}

bool mos_job_cancelled(void *job) {
    return atomic_load(&((mos_job *)job)->cancelled);
}

mos_status mos_job_check(mos_job *job, struct mos_error *error) {
    return mos_job_cancelled(job) ? mos_fail(error, MOS_CANCELLED, "cancelled") : MOS_OK;
}

char *mos_job_text(mos_arena *arena, const char *text) {
    size_t size_bytes = strlen(text);
    return mos_utf8_valid(text, size_bytes) ? (char *)text : mos_path_escape(arena, text, size_bytes);
}

void mos_job_send(mos_job *job, const Mosaajii__Engine__V1__Event *event) {
    pthread_mutex_lock(&job->mutex);
    job->send(job->context, event);
    pthread_mutex_unlock(&job->mutex);
}

void mos_job_warn(void *context, const char *path, size_t path_bytes, const char *message) {
    mos_job *job = context;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Warning warning = MOSAAJII__ENGINE__V1__WARNING__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    warning.path = (ProtobufCBinaryData){.data = (uint8_t *)path, .len = path_bytes};
    warning.message = mos_job_text(arena, message);
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_WARNING;
    event.warning = &warning;
    atomic_fetch_add(&job->warnings, 1);
    mos_job_send(job, &event);
}

int64_t mos_job_warnings(const mos_job *job) {
    return atomic_load(&job->warnings);
}

// With the mutex.
static void report(mos_job *job) {
    Mosaajii__Engine__V1__Progress progress = MOSAAJII__ENGINE__V1__PROGRESS__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    progress.phase = (char *)job->phase;
    progress.files_done = atomic_load(&job->files_done);
    progress.files_total = atomic_load(&job->files_total);
    progress.bytes_done = atomic_load(&job->bytes_done);
    progress.bytes_total = atomic_load(&job->bytes_total);
    progress.current = (ProtobufCBinaryData){.data = job->current.data, .len = job->current.size_bytes};
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_PROGRESS;
    event.progress = &progress;
    job->send(job->context, &event);
    atomic_store(&job->reported_ns, mos_now_monotonic_ns());
}

void mos_job_report(mos_job *job) {
    pthread_mutex_lock(&job->mutex);
    report(job);
    pthread_mutex_unlock(&job->mutex);
}

void mos_job_phase(mos_job *job, const char *name) {
    pthread_mutex_lock(&job->mutex);
    job->phase = name;
    mos_buffer_clear(&job->current);
    atomic_store(&job->files_done, 0);
    atomic_store(&job->files_total, 0);
    atomic_store(&job->bytes_done, 0);
    atomic_store(&job->bytes_total, 0);
    report(job);
    pthread_mutex_unlock(&job->mutex);
}

void mos_job_totals(mos_job *job, int64_t files, int64_t bytes) {
    atomic_store(&job->files_total, files);
    atomic_store(&job->bytes_total, bytes);
}

void mos_job_advance(mos_job *job, int64_t files, int64_t bytes, const char *path, size_t path_bytes) {
    atomic_fetch_add(&job->files_done, files);
    atomic_fetch_add(&job->bytes_done, bytes);
    if (mos_now_monotonic_ns() - atomic_load(&job->reported_ns) < REPORT_EVERY_MS * MOS_NS_PER_MS) {
        return;
    }
    // Whoever holds it is sending something: the next call reports.
    if (pthread_mutex_trylock(&job->mutex) == 0) {
        if (path) {
            mos_buffer_clear(&job->current);
            mos_buffer_append(&job->current, path, path_bytes);
        }
        report(job);
        pthread_mutex_unlock(&job->mutex);
    }
}
