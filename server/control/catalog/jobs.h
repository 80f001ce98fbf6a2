// Jobs and their events in the catalog.
#ifndef MOS_CONTROL_CATALOG_JOBS_H
#define MOS_CONTROL_CATALOG_JOBS_H

#include <stddef.h>

#include "control/catalog/catalog.h"
#include "control/catalog/words.h"

struct mos_progress {
    const char *phase;
    int64_t files_done;
    // Totals are 0 while they are not known.
    int64_t files_total;
    int64_t bytes_done;
    int64_t bytes_total;
    int64_t bytes_per_second;
    // -1 while it cannot be told.
    int64_t seconds_left;
    // The path being worked on, escaped.
    const char *current;
};

struct mos_job {
    const char *id;
    enum mos_job_kind kind;
    enum mos_job_status status;
    const char *backup_id;
    int64_t created_at_unix_ns;
    int64_t started_at_unix_ns;
    int64_t completed_at_unix_ns;
    const char *created_by;
    // A phase of "" where there was none yet.
    struct mos_progress progress;
    int64_t warnings;
    const char *message;
    // What the engine answered.
    struct mos_blob result;
};

// Inserts the job or replaces all of it.
mos_status mos_catalog_put_job(mos_catalog_session *session, const struct mos_job *job, struct mos_error *error);
// MOS_NOT_FOUND, with a message that names the id.
mos_status mos_catalog_get_job(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_job *out,
                               struct mos_error *error);

struct mos_job_filter {
    // 0 and "" or NULL: any.
    enum mos_job_kind kind;
    enum mos_job_status status;
    const char *backup_id;
};
mos_status mos_catalog_list_jobs(mos_catalog_session *session, const struct mos_job_filter *filter, const struct mos_page *page,
                                 mos_arena *arena, struct mos_job **out, size_t *out_count, const char **out_next_token,
                                 struct mos_error *error);
// All jobs that are pending or running, oldest first; of one backup, or of all where `backup_id` is NULL.
mos_status mos_catalog_active_jobs(mos_catalog_session *session, const char *backup_id, mos_arena *arena, struct mos_job **out,
                                   size_t *out_count, struct mos_error *error);

struct mos_event {
    // Given by mos_catalog_add_event: grows with every event, never used twice.
    int64_t sequence;
    int64_t time_unix_ns;
    enum mos_event_kind kind;
    const char *job_id;
    enum mos_job_kind job_kind;
    enum mos_job_status job_status;
    const char *backup_id;
    enum mos_backup_status backup_status;
    // A phase of "" where the event has none.
    struct mos_progress progress;
    const char *message;
};

mos_status mos_catalog_add_event(mos_catalog_session *session, struct mos_event *event, struct mos_error *error);
// A number for what is watched besides jobs (alerts, recovery runs) and has a table of its own: of the same row of numbers as events, so
// that the same wait follows both. Only from a change.
mos_status mos_catalog_take_sequence(mos_catalog_session *session, int64_t *out, struct mos_error *error);
// Events after `after_sequence` in order, `limit` at most: those of a job; where job_id is NULL, of a backup; where both are, of all.
mos_status mos_catalog_list_events(mos_catalog_session *session, const char *job_id, const char *backup_id, int64_t after_sequence,
                                   int limit, mos_arena *arena, struct mos_event **out, size_t *out_count, struct mos_error *error);
// Whether any job has ended after that event.
mos_status mos_catalog_has_end_after(mos_catalog_session *session, int64_t after_sequence, bool *out, struct mos_error *error);
// Of a job that has ended: removes all its progress events but the last.
mos_status mos_catalog_thin_events(mos_catalog_session *session, const char *job_id, struct mos_error *error);

// The number of the newest committed event; 0 where there is none. To follow events without a gap: ask this, list, then wait for more
// than this.
int64_t mos_catalog_last_event(mos_catalog *catalog);
// Blocks until an event with a number above `sequence` is committed, or over(argument) is true. `over` is called with a lock held: it must
// be quick and call nothing of the catalog. Whoever makes it true calls mos_catalog_wake_watchers afterwards.
void mos_catalog_wait_events(mos_catalog *catalog, int64_t sequence, bool (*over)(const void *argument), const void *argument);
// As above, but no longer than this.
void mos_catalog_wait_events_for(mos_catalog *catalog, int64_t sequence, int64_t most_ns, bool (*over)(const void *argument),
                                 const void *argument);
void mos_catalog_wake_watchers(mos_catalog *catalog);

#endif
