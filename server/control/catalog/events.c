#include "control/catalog/jobs.h"
#include "control/catalog/progress.h"

#define COLUMNS "time_ns, kind, job_id, job_kind, job_status, backup_id, backup_status, " MOS_PROGRESS_COLUMNS ", message"

void mos_progress_bind(struct mos_sql *sql, const struct mos_progress *progress) {
    mos_sql_bind_text(sql, progress->phase);
    mos_sql_bind_number(sql, progress->files_done);
    mos_sql_bind_number(sql, progress->files_total);
    mos_sql_bind_number(sql, progress->bytes_done);
    mos_sql_bind_number(sql, progress->bytes_total);
    mos_sql_bind_number(sql, progress->bytes_per_second);
    mos_sql_bind_number(sql, progress->seconds_left);
    mos_sql_bind_text(sql, progress->current);
}

void mos_progress_take(struct mos_sql *sql, mos_arena *arena, struct mos_progress *out) {
    out->phase = mos_sql_take_text(sql, arena);
    out->files_done = mos_sql_take_number(sql);
    out->files_total = mos_sql_take_number(sql);
    out->bytes_done = mos_sql_take_number(sql);
    out->bytes_total = mos_sql_take_number(sql);
    out->bytes_per_second = mos_sql_take_number(sql);
    out->seconds_left = mos_sql_take_number(sql);
    out->current = mos_sql_take_text(sql, arena);
}

mos_status mos_catalog_add_event(mos_catalog_session *session, struct mos_event *event, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "INSERT INTO events(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, event->time_unix_ns);
    mos_sql_bind_text(&sql, mos_event_kind_word(event->kind));
    mos_sql_bind_text(&sql, event->job_id);
    mos_sql_bind_text(&sql, mos_job_kind_word(event->job_kind));
    mos_sql_bind_text(&sql, mos_job_status_word(event->job_status));
    mos_sql_bind_text(&sql, event->backup_id);
    mos_sql_bind_text(&sql, mos_backup_status_word(event->backup_status));
    mos_progress_bind(&sql, &event->progress);
    mos_sql_bind_text(&sql, event->message);
    status = mos_sql_finish(&sql, error);
    if (status == MOS_OK) {
        event->sequence = sqlite3_last_insert_rowid(session->db);
        session->last_event = event->sequence;
    }
    return status;
}

mos_status mos_catalog_take_sequence(mos_catalog_session *session, int64_t *out, struct mos_error *error) {
    // SQLite keeps the last number of an AUTOINCREMENT table in a row that is there from the first one on.
    MOS_CLEANUP_SQL struct mos_sql insert;
    mos_status status = mos_sql_begin(&insert, session,
                                      "INSERT INTO sqlite_sequence(name, seq) SELECT 'events', 0 "
                                      "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events')",
                                      error);
    if (status == MOS_OK) {
        status = mos_sql_finish(&insert, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_SQL struct mos_sql sql;
    status = mos_sql_begin(&sql, session, "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'events' RETURNING seq", error);
    bool row = false;
    if (status == MOS_OK) {
        status = mos_sql_step(&sql, &row, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    *out = mos_sql_take_number(&sql);
    session->last_event = *out;
    return MOS_OK;
}

mos_status mos_catalog_list_events(mos_catalog_session *session, const char *job_id, const char *backup_id, int64_t after_sequence,
                                   int limit, mos_arena *arena, struct mos_event **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session,
        job_id      ? "SELECT sequence, " COLUMNS " FROM events WHERE job_id = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        : backup_id ? "SELECT sequence, " COLUMNS " FROM events WHERE backup_id = ? AND sequence > ? ORDER BY sequence LIMIT ?"
                    : "SELECT sequence, " COLUMNS " FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?",
        error);
    if (status != MOS_OK) {
        return status;
    }
    if (job_id || backup_id) {
        mos_sql_bind_text(&sql, job_id ? job_id : backup_id);
    }
    mos_sql_bind_number(&sql, after_sequence);
    mos_sql_bind_number(&sql, limit);
    struct mos_event *events = mos_arena_array(arena, struct mos_event, (size_t)limit);
    size_t count = 0;
    bool row;
    while (events && count < (size_t)limit && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        struct mos_event *event = &events[count++];
        event->sequence = mos_sql_take_number(&sql);
        event->time_unix_ns = mos_sql_take_number(&sql);
        event->kind = mos_event_kind_from_word(mos_sql_take_text(&sql, arena));
        event->job_id = mos_sql_take_text(&sql, arena);
        event->job_kind = mos_job_kind_from_word(mos_sql_take_text(&sql, arena));
        event->job_status = mos_job_status_from_word(mos_sql_take_text(&sql, arena));
        event->backup_id = mos_sql_take_text(&sql, arena);
        event->backup_status = mos_backup_status_from_word(mos_sql_take_text(&sql, arena));
        mos_progress_take(&sql, arena, &event->progress);
        event->message = mos_sql_take_text(&sql, arena);
    }
    if (!events || sql.failed) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the events take too much memory");
    }
    *out = events;
    *out_count = count;
    return status;
}

mos_status mos_catalog_has_end_after(mos_catalog_session *session, int64_t after_sequence, bool *out, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT 1 FROM events WHERE sequence > ? AND kind = ? LIMIT 1", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, after_sequence);
    mos_sql_bind_text(&sql, mos_event_kind_word(MOS_EVENT_FINISHED));
    return mos_sql_step(&sql, out, error);
}

mos_status mos_catalog_thin_events(mos_catalog_session *session, const char *job_id, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "DELETE FROM events WHERE job_id = ?1 AND kind = 'PROGRESS' AND sequence < "
                                      "(SELECT max(sequence) FROM events WHERE job_id = ?1 AND kind = 'PROGRESS')",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, job_id);
    return mos_sql_finish(&sql, error);
}
