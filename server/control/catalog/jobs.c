#include "control/catalog/jobs.h"

#include <string.h>

#include "common/buffer.h"
#include "control/catalog/progress.h"

#define COLUMNS                                                                                                                            \
    "id, kind, status, backup_id, created_at_ns, started_at_ns, completed_at_ns, created_by, " MOS_PROGRESS_COLUMNS                        \
    ", warnings, message, result"
#define ACTIVE "status IN ('PENDING', 'RUNNING')"

mos_status mos_catalog_put_job(mos_catalog_session *session, const struct mos_job *job, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session, "INSERT OR REPLACE INTO jobs(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, job->id);
    mos_sql_bind_text(&sql, mos_job_kind_word(job->kind));
    mos_sql_bind_text(&sql, mos_job_status_word(job->status));
    mos_sql_bind_text(&sql, job->backup_id);
    mos_sql_bind_number(&sql, job->created_at_unix_ns);
    mos_sql_bind_number(&sql, job->started_at_unix_ns);
    mos_sql_bind_number(&sql, job->completed_at_unix_ns);
    mos_sql_bind_text(&sql, job->created_by);
    mos_progress_bind(&sql, &job->progress);
    mos_sql_bind_number(&sql, job->warnings);
    mos_sql_bind_text(&sql, job->message);
    mos_sql_bind_blob(&sql, job->result.data, job->result.size_bytes);
    return mos_sql_finish(&sql, error);
}

static mos_status take_row(struct mos_sql *sql, mos_arena *arena, struct mos_job *out, struct mos_error *error) {
    *out = (struct mos_job){.id = mos_sql_take_text(sql, arena)};
    out->kind = mos_job_kind_from_word(mos_sql_take_text(sql, arena));
    out->status = mos_job_status_from_word(mos_sql_take_text(sql, arena));
    out->backup_id = mos_sql_take_text(sql, arena);
    out->created_at_unix_ns = mos_sql_take_number(sql);
    out->started_at_unix_ns = mos_sql_take_number(sql);
    out->completed_at_unix_ns = mos_sql_take_number(sql);
    out->created_by = mos_sql_take_text(sql, arena);
    mos_progress_take(sql, arena, &out->progress);
    out->warnings = mos_sql_take_number(sql);
    out->message = mos_sql_take_text(sql, arena);
    out->result = mos_sql_take_blob(sql, arena);
    return sql->failed ? mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages") : MOS_OK;
}

mos_status mos_catalog_get_job(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_job *out,
                               struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM jobs WHERE id = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, id);
    bool row;
    status = mos_sql_step(&sql, &row, error);
    if (status != MOS_OK) {
        return status;
    }
    return row ? take_row(&sql, arena, out, error) : mos_fail(error, MOS_NOT_FOUND, "no job has the id \"%.64s\"", id);
}

mos_status mos_catalog_list_jobs(mos_catalog_session *session, const struct mos_job_filter *filter, const struct mos_page *page,
                                 mos_arena *arena, struct mos_job **out, size_t *out_count, const char **out_next_token,
                                 struct mos_error *error) {
    static const char list[] = "jobs";
    bool of_backup = filter->backup_id && *filter->backup_id;
    MOS_CLEANUP_BUFFER struct mos_buffer filters = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&filters, "%d %d %s", filter->kind, filter->status, of_backup ? filter->backup_id : "");
    struct mos_place place;
    int size;
    mos_status status = mos_page_size(page, &size, error);
    if (status == MOS_OK) {
        status = mos_place_decode(list, filters.data, filters.size_bytes, page->token, &place, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&query,
                      "SELECT " COLUMNS " FROM jobs WHERE (created_at_ns, id) < (?, ?)%s%s%s ORDER BY created_at_ns DESC, id DESC LIMIT ?",
                      filter->kind ? " AND kind = ?" : "", filter->status ? " AND status = ?" : "", of_backup ? " AND backup_id = ?" : "");
    MOS_CLEANUP_SQL struct mos_sql sql;
    status = mos_sql_begin(&sql, session, mos_buffer_text(&query), error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, place.created_at_unix_ns);
    mos_sql_bind_text(&sql, place.id);
    if (filter->kind) {
        mos_sql_bind_text(&sql, mos_job_kind_word(filter->kind));
    }
    if (filter->status) {
        mos_sql_bind_text(&sql, mos_job_status_word(filter->status));
    }
    if (of_backup) {
        mos_sql_bind_text(&sql, filter->backup_id);
    }
    mos_sql_bind_number(&sql, size + 1);
    struct mos_job *jobs = mos_arena_array(arena, struct mos_job, (size_t)size);
    if (!jobs) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages");
    }
    size_t count = 0;
    bool row;
    *out_next_token = "";
    while ((status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        if (count == (size_t)size) {
            *out_next_token =
                mos_place_encode(list, filters.data, filters.size_bytes, jobs[count - 1].created_at_unix_ns, jobs[count - 1].id, arena);
            break;
        }
        status = take_row(&sql, arena, &jobs[count++], error);
        if (status != MOS_OK) {
            return status;
        }
    }
    *out = jobs;
    *out_count = count;
    return status;
}

mos_status mos_catalog_active_jobs(mos_catalog_session *session, const char *backup_id, mos_arena *arena, struct mos_job **out,
                                   size_t *out_count, struct mos_error *error) {
    // The number of active jobs is what the server itself has queued: small enough to be counted first.
    static const char *const counting[] = {"SELECT count(*) FROM jobs WHERE " ACTIVE,
                                           "SELECT count(*) FROM jobs WHERE backup_id = ? AND " ACTIVE};
    static const char *const listing[] = {"SELECT " COLUMNS " FROM jobs WHERE " ACTIVE " ORDER BY created_at_ns, id",
                                          "SELECT " COLUMNS " FROM jobs WHERE backup_id = ? AND " ACTIVE " ORDER BY created_at_ns, id"};
    MOS_CLEANUP_SQL struct mos_sql counted;
    mos_status status = mos_sql_begin(&counted, session, counting[backup_id != NULL], error);
    if (status != MOS_OK) {
        return status;
    }
    if (backup_id) {
        mos_sql_bind_text(&counted, backup_id);
    }
    int64_t expected = 0;
    status = mos_sql_number(&counted, &expected, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_job *jobs = mos_arena_array(arena, struct mos_job, (size_t)expected);
    if (!jobs) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the active jobs take too much memory");
    }
    MOS_CLEANUP_SQL struct mos_sql sql;
    status = mos_sql_begin(&sql, session, listing[backup_id != NULL], error);
    if (status != MOS_OK) {
        return status;
    }
    if (backup_id) {
        mos_sql_bind_text(&sql, backup_id);
    }
    size_t count = 0;
    bool row = true;
    while (status == MOS_OK && count < (size_t)expected && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        status = take_row(&sql, arena, &jobs[count++], error);
    }
    *out = jobs;
    *out_count = count;
    return status;
}
