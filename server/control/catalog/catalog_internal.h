// Private to the catalog: its parts.
#ifndef MOS_CONTROL_CATALOG_CATALOG_INTERNAL_H
#define MOS_CONTROL_CATALOG_CATALOG_INTERNAL_H

#include <pthread.h>

#include "control/catalog/sql.h"

enum { MOS_CATALOG_READERS = 8, MOS_CATALOG_CROWD_READERS = 2 };

// A change that waits for the writer.
struct mos_catalog_task {
    mos_catalog_change change;
    void *argument;
    struct mos_error *error;
    mos_status status;
    bool done;
    // Nobody waits: the task and its argument are freed by the writer.
    bool detached;
    struct mos_catalog_task *next;
};

struct mos_catalog {
    char *path;

    // Of the writer.
    pthread_t writer_thread;
    bool writer_runs;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_cond_t done;
    struct mos_catalog_task *first;
    struct mos_catalog_task **last;
    bool closing;
    mos_catalog_session writer;

    // Of readers.
    pthread_mutex_t readers_mutex;
    pthread_cond_t reader_free;
    pthread_cond_t crowd_turn;
    mos_catalog_session *free_readers;
    int readers;
    int crowd_readers;

    // Of watchers.
    pthread_mutex_t events_mutex;
    pthread_cond_t event_added;
    int64_t last_event;
};

mos_status mos_catalog_writer_start(mos_catalog *catalog, struct mos_error *error);
// Finishes what waits.
void mos_catalog_writer_stop(mos_catalog *catalog);
// After a commit: `sequence` is the newest event's.
void mos_catalog_publish_events(mos_catalog *catalog, int64_t sequence);

#endif
