// The one thread that writes. Changes that are waiting when it comes round share a transaction, each within a savepoint of its own, so
// that one flush to disk serves many callers and a change that fails takes back only itself.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/log.h"
#include "control/catalog/catalog_internal.h"

enum { BATCH = 256 };

static void run_one(mos_catalog_session *session, struct mos_catalog_task *task) {
    int64_t last_event = session->last_event;
    int64_t audit_sequence = session->audit_sequence;
    uint8_t audit_hash[sizeof(session->audit_hash)];
    memcpy(audit_hash, session->audit_hash, sizeof(audit_hash));
    task->status = mos_sql_run(session->db, "SAVEPOINT change", task->error);
    if (task->status != MOS_OK) {
        return;
    }
    task->status = task->change(session, task->argument, task->error);
    if (task->status != MOS_OK) {
        session->last_event = last_event;
        session->audit_sequence = audit_sequence;
        memcpy(session->audit_hash, audit_hash, sizeof(audit_hash));
        mos_sql_run(session->db, "ROLLBACK TO change", NULL);
    }
    mos_status released = mos_sql_run(session->db, "RELEASE change", NULL);
    if (released != MOS_OK && task->status == MOS_OK) {
        session->last_event = last_event;
        task->status = mos_sql_fail(session->db, task->error, "be written to");
    }
}

static void run_batch(mos_catalog *catalog, struct mos_catalog_task *batch) {
    mos_catalog_session *session = &catalog->writer;
    session->last_event = 0;
    struct mos_error error;
    mos_status status = mos_sql_run(session->db, "BEGIN IMMEDIATE", &error);
    for (struct mos_catalog_task *task = batch; task && status == MOS_OK; task = task->next) {
        run_one(session, task);
        // A full disk and the like may have ended the whole transaction, and with it what came before.
        if (sqlite3_get_autocommit(session->db)) {
            status = mos_fail(&error, task->status == MOS_OK ? MOS_INTERNAL : task->status, "the catalog could not be written to");
        }
    }
    if (status == MOS_OK) {
        status = mos_sql_run(session->db, "COMMIT", &error);
        if (status != MOS_OK) {
            mos_sql_run(session->db, "ROLLBACK", NULL);
        }
    }
    if (status == MOS_OK) {
        mos_catalog_publish_events(catalog, session->last_event);
        return;
    }
    session->audit_sequence = -1;
    mos_log_error("the catalog could not be written to", MOS_TEXT("reason", error.message));
    for (struct mos_catalog_task *task = batch; task; task = task->next) {
        task->status = status;
        if (task->error) {
            *task->error = error;
        }
    }
}

static void *writer_main(void *argument) {
    mos_catalog *catalog = argument;
    pthread_mutex_lock(&catalog->mutex);
    for (;;) {
        while (!catalog->first && !catalog->closing) {
            pthread_cond_wait(&catalog->work, &catalog->mutex);
        }
        if (!catalog->first) {
            break;
        }
        struct mos_catalog_task *batch = catalog->first;
        struct mos_catalog_task *end = batch;
        for (int i = 1; i < BATCH && end->next; i++) {
            end = end->next;
        }
        catalog->first = end->next;
        if (!catalog->first) {
            catalog->last = &catalog->first;
        }
        end->next = NULL;
        pthread_mutex_unlock(&catalog->mutex);
        run_batch(catalog, batch);
        pthread_mutex_lock(&catalog->mutex);
        while (batch) {
            // A task that is waited for is gone as soon as its owner sees it done.
            struct mos_catalog_task *next = batch->next;
            if (batch->detached) {
                if (batch->status != MOS_OK) {
                    mos_log_warning("a change of the catalog was lost", MOS_TEXT("status", mos_status_name(batch->status)));
                }
                free(batch);
            } else {
                batch->done = true;
            }
            batch = next;
        }
        pthread_cond_broadcast(&catalog->done);
    }
    pthread_mutex_unlock(&catalog->mutex);
    return NULL;
}

static void enqueue(mos_catalog *catalog, struct mos_catalog_task *task) {
    *catalog->last = task;
    catalog->last = &task->next;
    pthread_cond_signal(&catalog->work);
}

mos_status mos_catalog_write(mos_catalog *catalog, mos_catalog_change change, void *argument, struct mos_error *error) {
    struct mos_catalog_task task = {.change = change, .argument = argument, .error = error};
    pthread_mutex_lock(&catalog->mutex);
    enqueue(catalog, &task);
    while (!task.done) {
        pthread_cond_wait(&catalog->done, &catalog->mutex);
    }
    pthread_mutex_unlock(&catalog->mutex);
    return task.status;
}

void mos_catalog_write_later(mos_catalog *catalog, mos_catalog_change change, const void *argument, size_t size_bytes) {
    struct mos_catalog_task *task = mos_calloc(1, sizeof(*task) + size_bytes);
    task->change = change;
    task->argument = task + 1;
    task->detached = true;
    memcpy(task->argument, argument, size_bytes);
    pthread_mutex_lock(&catalog->mutex);
    enqueue(catalog, task);
    pthread_mutex_unlock(&catalog->mutex);
}

mos_status mos_catalog_writer_start(mos_catalog *catalog, struct mos_error *error) {
    catalog->last = &catalog->first;
    int code = pthread_create(&catalog->writer_thread, NULL, writer_main, catalog);
    if (code != 0) {
        return mos_fail_errno(error, code, "starting the catalog's writer");
    }
    catalog->writer_runs = true;
    return MOS_OK;
}

void mos_catalog_writer_stop(mos_catalog *catalog) {
    if (!catalog->writer_runs) {
        return;
    }
    pthread_mutex_lock(&catalog->mutex);
    catalog->closing = true;
    pthread_cond_signal(&catalog->work);
    pthread_mutex_unlock(&catalog->mutex);
    pthread_join(catalog->writer_thread, NULL);
    catalog->writer_runs = false;
}
