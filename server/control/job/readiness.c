#include "control/job/readiness.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/catalog/audit.h"

enum { INTERVAL_SECONDS = 86400, AWAY_INTERVAL_SECONDS = 30, FAILURES_TOLD = 20 };

typedef Mosaajii__Engine__V1__KeyReport key_report;

struct mos_readiness {
    mos_queue *queue;
    mos_catalog *catalog;
    int64_t rotation_days;
    struct mos_readiness_listener listener;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stop;
    bool stopping;
    // Of the last look; the thread's own.
    bool away;
};

static mos_status add(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_add_audit(session, argument, error);
}

static void note(struct mos_readiness *readiness, const char *action, const char *resource, mos_status result, const char *message) {
    const struct mos_audit_detail detail = {"message", message};
    struct mos_audit_entry entry = {.actor = "system",
                                    .action = action,
                                    .resource = resource,
                                    .result = mos_status_name(result),
                                    .details = &detail,
                                    .detail_count = 1};
    struct mos_error error;
    if (mos_catalog_write(readiness->catalog, add, &entry, &error) != MOS_OK) {
        mos_log_error("an audit entry was lost", MOS_TEXT("action", action), MOS_TEXT("reason", error.message));
    }
}

static void tell_age(struct mos_readiness *readiness, const key_report *report) {
    for (size_t i = 0; i < report->n_keys; i++) {
        const Mosaajii__Engine__V1__KeyInfo *key = report->keys[i];
        int64_t days = (mos_now_unix_ns() - key->created_at_unix_ns) / (86400 * MOS_NS_PER_SECOND);
        if (key->active && days >= readiness->rotation_days) {
            char message[128];
            snprintf(message, sizeof(message), "the key %s is %lld days old; rotate it", key->id, (long long)days);
            mos_log_warning("KEY_ROTATION_REQUIRED", MOS_TEXT("key", key->id), MOS_NUMBER("days", days));
            note(readiness, "Alert.KEY_ROTATION_REQUIRED", key->id, MOS_FAILED_PRECONDITION, message);
        }
    }
}

static void tell_failures(struct mos_readiness *readiness, const key_report *report) {
    char message[64];
    for (size_t i = 0; i < report->n_failures && i < FAILURES_TOLD; i++) {
        mos_log_error("ENCRYPTION_FAILED", MOS_TEXT("reason", report->failures[i]));
        note(readiness, "Alert.ENCRYPTION_FAILED", "", MOS_DATA_LOSS, report->failures[i]);
    }
    snprintf(message, sizeof(message), "%lld keys checked, %zu do not open", (long long)report->checked, report->n_failures);
    note(readiness, "Keys.Check", "", report->n_failures ? MOS_DATA_LOSS : MOS_OK, message);
}

static mos_status check(struct mos_readiness *readiness, mos_arena *arena, const key_report **out, struct mos_error *error) {
    Mosaajii__Engine__V1__ListKeysRequest operation = MOSAAJII__ENGINE__V1__LIST_KEYS_REQUEST__INIT;
    Mosaajii__Engine__V1__Request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    operation.check = true;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_LIST_KEYS;
    request.list_keys = &operation;
    return mos_queue_keys(readiness->queue, &request, arena, out, error);
}

// A rotation whose rewrapping did not come to its end, or backups that began before it.
static void take_up(struct mos_readiness *readiness, const key_report *report) {
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_error error = {0};
    int64_t behind = 0;
    for (size_t i = 0; i < report->n_keys; i++) {
        behind += report->keys[i]->active ? 0 : report->keys[i]->needed_by;
    }
    mos_catalog_session *session = NULL;
    if (behind == 0 && mos_catalog_read_begin(readiness->catalog, &session, &error) == MOS_OK) {
        for (size_t i = 0; i < report->n_keys; i++) {
            if (report->keys[i]->active) {
                mos_catalog_count_backups_not_of_key(session, report->keys[i]->id, &behind, &error);
            }
        }
        mos_catalog_read_end(session);
    }
    if (behind > 0 && mos_queue_rewrap(readiness->queue, "system", job_id, &error) == MOS_OK) {
        mos_log_info("rewrapping of keys goes on", MOS_TEXT("job", job_id), MOS_NUMBER("backups", behind));
    }
}

static void tell_listener(struct mos_readiness *readiness, const key_report *report) {
    struct mos_readiness_report told = {
        .active_key = "", .failures = (int64_t)report->n_failures, .first_failure = report->n_failures > 0 ? report->failures[0] : ""};
    for (size_t i = 0; i < report->n_keys; i++) {
        if (report->keys[i]->active) {
            told.active_key = report->keys[i]->id;
            told.age_days = (mos_now_unix_ns() - report->keys[i]->created_at_unix_ns) / (86400 * MOS_NS_PER_SECOND);
            told.too_old = told.age_days >= readiness->rotation_days;
        }
    }
    readiness->listener.told(readiness->listener.context, &told);
}

// What does not answer now may do so soon.
static bool is_away(mos_status status) {
    return status == MOS_UNAVAILABLE || status == MOS_RESOURCE_EXHAUSTED;
}

// false: nothing could be told, and the next look is soon.
static bool look(struct mos_readiness *readiness) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const key_report *report;
    struct mos_error error = {0};
    if (check(readiness, arena, &report, &error) != MOS_OK) {
        char message[sizeof(error.message) + 64];
        snprintf(message, sizeof(message), "it cannot be told whether the keys open: %s", error.message);
        mos_log_error("the keys could not be checked", MOS_TEXT("reason", message));
        // Once, not with each look while it lasts.
        if (!readiness->away) {
            note(readiness, "Keys.Check", "", error.status, message);
        }
        readiness->away = is_away(error.status);
        return !readiness->away;
    }
    readiness->away = false;
    if (mos_queue_settle_rest(readiness->queue, &error) != MOS_OK) {
        mos_log_warning("what a server before left unfinished is not settled", MOS_TEXT("reason", error.message));
    }
    tell_failures(readiness, report);
    tell_age(readiness, report);
    take_up(readiness, report);
    tell_listener(readiness, report);
    return true;
}

static void *thread_main(void *argument) {
    struct mos_readiness *readiness = argument;
    pthread_mutex_lock(&readiness->mutex);
    while (!readiness->stopping) {
        pthread_mutex_unlock(&readiness->mutex);
        bool told = look(readiness);
        pthread_mutex_lock(&readiness->mutex);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += told ? INTERVAL_SECONDS : AWAY_INTERVAL_SECONDS;
        while (!readiness->stopping && pthread_cond_timedwait(&readiness->stop, &readiness->mutex, &until) != ETIMEDOUT) {
        }
    }
    pthread_mutex_unlock(&readiness->mutex);
    return NULL;
}

mos_status mos_readiness_start(mos_readiness **out, mos_queue *queue, mos_catalog *catalog, int64_t rotation_days,
                               const struct mos_readiness_listener *listener, struct mos_error *error) {
    mos_readiness *readiness = mos_calloc(1, sizeof(*readiness));
    readiness->queue = queue;
    readiness->catalog = catalog;
    readiness->rotation_days = rotation_days;
    readiness->listener = *listener;
    pthread_mutex_init(&readiness->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&readiness->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int code = pthread_create(&readiness->thread, NULL, thread_main, readiness);
    if (code != 0) {
        pthread_mutex_destroy(&readiness->mutex);
        pthread_cond_destroy(&readiness->stop);
        free(readiness);
        return mos_fail_errno(error, code, "starting a thread for the keys");
    }
    *out = readiness;
    return MOS_OK;
}

void mos_readiness_stop(mos_readiness *readiness) {
    if (!readiness) {
        return;
    }
    pthread_mutex_lock(&readiness->mutex);
    readiness->stopping = true;
    pthread_cond_signal(&readiness->stop);
    pthread_mutex_unlock(&readiness->mutex);
    pthread_join(readiness->thread, NULL);
    pthread_mutex_destroy(&readiness->mutex);
    pthread_cond_destroy(&readiness->stop);
    free(readiness);
}
