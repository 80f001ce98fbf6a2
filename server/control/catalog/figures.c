#include "control/catalog/figures.h"

#include <sys/stat.h>

#include "common/buffer.h"
#include "control/catalog/catalog_internal.h"

enum { MOST_ROWS = 64 };

static mos_status too_large(struct mos_error *error) {
    return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the figures take too much memory");
}

mos_status mos_catalog_job_figures(mos_catalog_session *session, mos_arena *arena, struct mos_job_figure **out, size_t *out_count,
                                   struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT kind, status, count(*), sum(CASE WHEN started_at_ns > 0 AND completed_at_ns > started_at_ns "
                                      "THEN completed_at_ns - started_at_ns ELSE 0 END) FROM jobs GROUP BY kind, status LIMIT 64",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    *out = mos_arena_array(arena, struct mos_job_figure, MOST_ROWS);
    *out_count = 0;
    bool row = true;
    while (*out && row && *out_count < MOST_ROWS && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        struct mos_job_figure *figure = &(*out)[(*out_count)++];
        figure->kind = mos_job_kind_from_word(mos_sql_take_text(&sql, arena));
        figure->status = mos_job_status_from_word(mos_sql_take_text(&sql, arena));
        figure->count = mos_sql_take_number(&sql);
        figure->duration_ns = mos_sql_take_number(&sql);
    }
    return *out && !sql.failed ? status : too_large(error);
}

mos_status mos_catalog_backup_figures(mos_catalog_session *session, mos_arena *arena, struct mos_backup_figure **out, size_t *out_count,
                                      struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session, "SELECT type, status, count(*), sum(size), sum(encrypted_size) FROM backups GROUP BY type, status LIMIT 64", error);
    if (status != MOS_OK) {
        return status;
    }
    *out = mos_arena_array(arena, struct mos_backup_figure, MOST_ROWS);
    *out_count = 0;
    bool row = true;
    while (*out && row && *out_count < MOST_ROWS && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        struct mos_backup_figure *figure = &(*out)[(*out_count)++];
        figure->type = mos_backup_type_from_word(mos_sql_take_text(&sql, arena));
        figure->status = mos_backup_status_from_word(mos_sql_take_text(&sql, arena));
        figure->count = mos_sql_take_number(&sql);
        figure->size_bytes = mos_sql_take_number(&sql);
        figure->encrypted_size_bytes = mos_sql_take_number(&sql);
    }
    return *out && !sql.failed ? status : too_large(error);
}

mos_status mos_catalog_alert_figures(mos_catalog_session *session, int64_t out_counts[MOS_SEVERITY_CRITICAL + 1], struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session, "SELECT severity, count(*) FROM alerts WHERE resolved_at_ns = 0 GROUP BY severity", error);
    for (int i = 0; i <= MOS_SEVERITY_CRITICAL; i++) {
        out_counts[i] = 0;
    }
    bool row = true;
    while (status == MOS_OK && row && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        int severity = mos_alert_severity_from_word(mos_sql_take_text(&sql, arena));
        out_counts[severity] = mos_sql_take_number(&sql);
    }
    return status;
}

static mos_status number_of(mos_catalog_session *session, const char *text, int64_t *out, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, text, error);
    return status == MOS_OK ? mos_sql_number(&sql, out, error) : status;
}

mos_status mos_catalog_measure(mos_catalog_session *session, struct mos_catalog_size *out, struct mos_error *error) {
    int64_t page = 0, pages = 0, unused = 0;
    mos_status status = number_of(session, "PRAGMA page_size", &page, error);
    if (status == MOS_OK) {
        status = number_of(session, "PRAGMA page_count", &pages, error);
    }
    if (status == MOS_OK) {
        status = number_of(session, "PRAGMA freelist_count", &unused, error);
    }
    MOS_CLEANUP_BUFFER struct mos_buffer path = MOS_BUFFER_INIT(0);
    struct stat found;
    mos_buffer_printf(&path, "%s-wal", session->catalog->path);
    *out = (struct mos_catalog_size){.bytes = page * pages,
                                     .free_bytes = page * unused,
                                     .log_bytes = stat(mos_buffer_text(&path), &found) == 0 ? (int64_t)found.st_size : 0};
    return status;
}

mos_status mos_catalog_glance_at_backups(mos_catalog_session *session, int64_t from_unix_ns, int64_t to_unix_ns, enum mos_backup_type type,
                                         void (*visit)(const struct mos_backup_glance *backup, void *argument), void *argument,
                                         struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT type, status, created_at_ns, size, encrypted_checksum <> '' AND damaged = 0, facts "
                                      "FROM backups WHERE created_at_ns >= ? AND created_at_ns < ? AND (? = '' OR type = ?) "
                                      "ORDER BY created_at_ns, id",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    const char *word = type ? mos_backup_type_word(type) : "";
    mos_sql_bind_number(&sql, from_unix_ns);
    mos_sql_bind_number(&sql, to_unix_ns);
    mos_sql_bind_text(&sql, word);
    mos_sql_bind_text(&sql, word);
    bool row = true;
    while (row && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_backup_glance backup;
        backup.type = mos_backup_type_from_word(mos_sql_take_text(&sql, arena));
        backup.status = mos_backup_status_from_word(mos_sql_take_text(&sql, arena));
        backup.created_at_unix_ns = mos_sql_take_number(&sql);
        backup.size_bytes = mos_sql_take_number(&sql);
        backup.good = mos_sql_take_number(&sql) != 0;
        backup.facts = mos_sql_take_blob(&sql, arena);
        visit(&backup, argument);
    }
    return status;
}
