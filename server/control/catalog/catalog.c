// Opening and closing, readers, and those who wait for events.
#include "control/catalog/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/catalog/catalog_internal.h"
#include "control/catalog/jobs.h"

enum { BUSY_TIMEOUT_MS = 10000 };

static mos_status connect_to(mos_catalog *catalog, mos_catalog_session *session, bool writer, struct mos_error *error) {
    session->catalog = catalog;
    session->writer = writer;
    session->audit_sequence = -1;
    // No mutex inside SQLite: a session belongs to one thread at a time.
    int code = sqlite3_open_v2(catalog->path, &session->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        return session->db ? mos_sql_fail(session->db, error, "be opened") : mos_fail(error, MOS_INTERNAL, "SQLite gives no connection");
    }
    sqlite3_busy_timeout(session->db, BUSY_TIMEOUT_MS);
    mos_status status =
        mos_sql_run(session->db, "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON", error);
    if (status == MOS_OK) {
        status = mos_sql_run(session->db, writer ? "PRAGMA synchronous = FULL" : "PRAGMA query_only = ON", error);
    }
    return status;
}

static void disconnect(mos_catalog_session *session) {
    for (size_t i = 0; i < session->cached; i++) {
        sqlite3_finalize(session->cache[i]);
    }
    session->cached = 0;
    sqlite3_close(session->db);
    session->db = NULL;
}

static mos_status read_last_event(mos_catalog *catalog, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    // Not the newest row's number: rows are thinned, numbers are never used again.
    mos_status status = mos_sql_begin(&sql, &catalog->writer, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", error);
    return status == MOS_OK ? mos_sql_number(&sql, &catalog->last_event, error) : status;
}

mos_status mos_catalog_open(mos_catalog **out, const char *path, struct mos_error *error) {
    // Made by hand, so that nobody else may read it for a moment even; SQLite gives its other files the same mode.
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "opening the catalog %s", path);
    }
    close(descriptor);
    mos_catalog *catalog = mos_calloc(1, sizeof(*catalog));
    catalog->path = mos_strdup(path);
    pthread_mutex_init(&catalog->mutex, NULL);
    pthread_cond_init(&catalog->work, NULL);
    pthread_cond_init(&catalog->done, NULL);
    pthread_mutex_init(&catalog->readers_mutex, NULL);
    pthread_cond_init(&catalog->reader_free, NULL);
    pthread_cond_init(&catalog->crowd_turn, NULL);
    pthread_mutex_init(&catalog->events_mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&catalog->event_added, &monotonic);
    pthread_condattr_destroy(&monotonic);
    struct mos_error local;
    error = error ? error : &local;
    mos_status status = connect_to(catalog, &catalog->writer, true, error);
    if (status == MOS_OK) {
        status = mos_schema_check(catalog->writer.db, path, error);
    }
    if (status == MOS_OK) {
        // Stays in the file, so only where it is ours.
        status = mos_sql_run(catalog->writer.db, "PRAGMA journal_mode = WAL", error);
    }
    if (status == MOS_OK) {
        status = mos_schema_migrate(catalog->writer.db, error);
    }
    if (status == MOS_OK) {
        status = read_last_event(catalog, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_writer_start(catalog, error);
    }
    if (status != MOS_OK) {
        if (status == MOS_CORRUPT && !strstr(error->message, path)) {
            mos_fail(error, MOS_CORRUPT,
                     "the catalog %s is damaged or no catalog; move it away and start with --rebuild-catalog to read the backups back from "
                     "the repository",
                     path);
        }
        mos_catalog_close(catalog);
        return status;
    }
    *out = catalog;
    return MOS_OK;
}

void mos_catalog_close(mos_catalog *catalog) {
    if (!catalog) {
        return;
    }
    mos_catalog_writer_stop(catalog);
    while (catalog->free_readers) {
        mos_catalog_session *next = catalog->free_readers->next;
        disconnect(catalog->free_readers);
        free(catalog->free_readers);
        catalog->free_readers = next;
    }
    // Last, so that it folds the write-ahead log back into the file.
    disconnect(&catalog->writer);
    pthread_mutex_destroy(&catalog->mutex);
    pthread_cond_destroy(&catalog->work);
    pthread_cond_destroy(&catalog->done);
    pthread_mutex_destroy(&catalog->readers_mutex);
    pthread_cond_destroy(&catalog->reader_free);
    pthread_cond_destroy(&catalog->crowd_turn);
    pthread_mutex_destroy(&catalog->events_mutex);
    pthread_cond_destroy(&catalog->event_added);
    free(catalog->path);
    free(catalog);
}

// ---- Readers ----

static void give_back(mos_catalog *catalog, mos_catalog_session *session, bool crowd) {
    pthread_mutex_lock(&catalog->readers_mutex);
    if (crowd) {
        catalog->crowd_readers--;
        pthread_cond_signal(&catalog->crowd_turn);
    }
    if (session) {
        session->next = catalog->free_readers;
        catalog->free_readers = session;
    } else {
        catalog->readers--;
    }
    pthread_cond_signal(&catalog->reader_free);
    pthread_mutex_unlock(&catalog->readers_mutex);
}

static mos_status begin(mos_catalog *catalog, bool crowd, mos_catalog_session **out, struct mos_error *error) {
    pthread_mutex_lock(&catalog->readers_mutex);
    while (crowd && catalog->crowd_readers == MOS_CATALOG_CROWD_READERS) {
        pthread_cond_wait(&catalog->crowd_turn, &catalog->readers_mutex);
    }
    catalog->crowd_readers += crowd;
    while (!catalog->free_readers && catalog->readers == MOS_CATALOG_READERS) {
        pthread_cond_wait(&catalog->reader_free, &catalog->readers_mutex);
    }
    mos_catalog_session *session = catalog->free_readers;
    if (session) {
        catalog->free_readers = session->next;
    } else {
        catalog->readers++;
    }
    pthread_mutex_unlock(&catalog->readers_mutex);
    mos_status status = MOS_OK;
    if (!session) {
        session = mos_calloc(1, sizeof(*session));
        status = connect_to(catalog, session, false, error);
    }
    if (status == MOS_OK) {
        status = mos_sql_run(session->db, "BEGIN", error);
    }
    if (status != MOS_OK) {
        disconnect(session);
        free(session);
        give_back(catalog, NULL, crowd);
        return status;
    }
    session->crowd = crowd;
    *out = session;
    return MOS_OK;
}

mos_status mos_catalog_read_begin(mos_catalog *catalog, mos_catalog_session **out, struct mos_error *error) {
    return begin(catalog, false, out, error);
}

mos_status mos_catalog_read_begin_in_crowd(mos_catalog *catalog, mos_catalog_session **out, struct mos_error *error) {
    return begin(catalog, true, out, error);
}

void mos_catalog_read_end(mos_catalog_session *session) {
    if (!session) {
        return;
    }
    mos_catalog *catalog = session->catalog;
    bool crowd = session->crowd;
    if (mos_sql_run(session->db, "COMMIT", NULL) != MOS_OK) {
        disconnect(session);
        free(session);
        session = NULL;
    }
    give_back(catalog, session, crowd);
}

// ---- Facts ----

mos_status mos_catalog_get_fact(mos_catalog_session *session, const char *name, mos_arena *arena, const char **out,
                                struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT value FROM facts WHERE name = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, name);
    bool row;
    status = mos_sql_step(&sql, &row, error);
    if (status == MOS_OK) {
        *out = row ? mos_sql_take_text(&sql, arena) : "";
    }
    return status;
}

mos_status mos_catalog_put_fact(mos_catalog_session *session, const char *name, const char *value, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "INSERT OR REPLACE INTO facts(name, value) VALUES(?, ?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, name);
    mos_sql_bind_text(&sql, value);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_note_change(mos_catalog_session *session, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    int64_t sequence;
    mos_status status = mos_sql_begin(&sql, session,
                                      "INSERT INTO facts(name, value) VALUES('catalog.changes', '1') "
                                      "ON CONFLICT(name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)",
                                      error);
    if (status == MOS_OK) {
        status = mos_sql_finish(&sql, error);
    }
    return status == MOS_OK ? mos_catalog_take_sequence(session, &sequence, error) : status;
}

mos_status mos_catalog_count_changes(mos_catalog_session *session, int64_t *out, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session, "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM facts WHERE name = 'catalog.changes'", error);
    return status == MOS_OK ? mos_sql_number(&sql, out, error) : status;
}

// ---- Those who wait for events ----

void mos_catalog_publish_events(mos_catalog *catalog, int64_t sequence) {
    pthread_mutex_lock(&catalog->events_mutex);
    if (sequence > catalog->last_event) {
        catalog->last_event = sequence;
        pthread_cond_broadcast(&catalog->event_added);
    }
    pthread_mutex_unlock(&catalog->events_mutex);
}

int64_t mos_catalog_last_event(mos_catalog *catalog) {
    pthread_mutex_lock(&catalog->events_mutex);
    int64_t last = catalog->last_event;
    pthread_mutex_unlock(&catalog->events_mutex);
    return last;
}

void mos_catalog_wait_events(mos_catalog *catalog, int64_t sequence, bool (*over)(const void *argument), const void *argument) {
    pthread_mutex_lock(&catalog->events_mutex);
    while (catalog->last_event <= sequence && !over(argument)) {
        pthread_cond_wait(&catalog->event_added, &catalog->events_mutex);
    }
    pthread_mutex_unlock(&catalog->events_mutex);
}

void mos_catalog_wait_events_for(mos_catalog *catalog, int64_t sequence, int64_t most_ns, bool (*over)(const void *argument),
                                 const void *argument) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t end_ns = until.tv_nsec + most_ns;
    until.tv_sec += end_ns / MOS_NS_PER_SECOND;
    until.tv_nsec = end_ns % MOS_NS_PER_SECOND;
    pthread_mutex_lock(&catalog->events_mutex);
    while (catalog->last_event <= sequence && !over(argument) &&
           pthread_cond_timedwait(&catalog->event_added, &catalog->events_mutex, &until) != ETIMEDOUT) {
    }
    pthread_mutex_unlock(&catalog->events_mutex);
}

void mos_catalog_wake_watchers(mos_catalog *catalog) {
    pthread_mutex_lock(&catalog->events_mutex);
    pthread_cond_broadcast(&catalog->event_added);
    pthread_mutex_unlock(&catalog->events_mutex);
}
