#include "control/catalog/retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "control/catalog/sql.h"

#define AT_REST "status IN ('COMPLETED', 'VERIFIED', 'FAILED', 'CANCELLED', 'EXPIRED')"
#define ACTIVE "SELECT backup_id FROM jobs WHERE status IN ('PENDING', 'RUNNING')"

// ---- Backups ----

static void take_row(struct mos_sql *sql, mos_arena *arena, struct mos_retained *out) {
    *out = (struct mos_retained){.id = mos_sql_take_text(sql, arena)};
    out->type = (enum mos_backup_type)mos_backup_type_from_word(mos_sql_take_text(sql, arena));
    out->status = (enum mos_backup_status)mos_backup_status_from_word(mos_sql_take_text(sql, arena));
    out->created_at_unix_ns = mos_sql_take_number(sql);
    out->completed_at_unix_ns = mos_sql_take_number(sql);
    out->retention_days = (int32_t)mos_sql_take_number(sql);
    out->locked_until_unix_ns = mos_sql_take_number(sql);
    out->legal_hold = mos_sql_take_number(sql) != 0;
    out->quarantined = mos_sql_take_number(sql) != 0;
    out->committed = mos_sql_take_number(sql) != 0;
    out->damaged = mos_sql_take_number(sql) != 0;
    out->verified_at_unix_ns = mos_sql_take_number(sql);
    out->tags = mos_sql_take_text(sql, arena);
    out->schedule_id = mos_sql_take_text(sql, arena);
    out->busy = mos_sql_take_number(sql) != 0;
    out->going = mos_sql_take_number(sql) != 0;
    out->facts = mos_sql_take_blob(sql, arena);
}

mos_status mos_catalog_visit_retained(mos_catalog_session *session,
                                      mos_status (*visit)(const struct mos_retained *backup, void *argument, struct mos_error *error),
                                      void *argument, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session,
                      "SELECT id, type, status, created_at_ns, completed_at_ns, retention_days, locked_until_ns, legal_hold, quarantined, "
                      "encrypted_checksum <> '', damaged, verified_at_ns, "
                      "coalesce((SELECT group_concat(tag, ',') FROM backup_tags WHERE backup_id = backups.id), ''), "
                      "coalesce((SELECT schedule_id FROM schedule_runs WHERE backup_id = backups.id AND backup_id <> '' LIMIT 1), ''), "
                      "id IN (" ACTIVE "), id IN (" ACTIVE " AND kind = 'DELETE'), facts FROM backups ORDER BY created_at_ns DESC, id DESC",
                      error);
    bool row = true;
    while (status == MOS_OK && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_retained backup;
        take_row(&sql, arena, &backup);
        status =
            sql.failed ? mos_fail(error, MOS_RESOURCE_EXHAUSTED, "a backup's row takes too much memory") : visit(&backup, argument, error);
    }
    return status;
}

static mos_status change_status(mos_catalog_session *session, const char *text, const char *id, int64_t now_unix_ns, bool *out_done,
                                struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, text, error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, id);
        if (now_unix_ns) {
            mos_sql_bind_number(&sql, now_unix_ns);
        }
        status = mos_sql_finish(&sql, error);
    }
    *out_done = status == MOS_OK && sqlite3_changes(session->db) > 0;
    return status;
}

mos_status mos_catalog_expire_backup(mos_catalog_session *session, const char *id, int64_t now_unix_ns, bool *out_done,
                                     struct mos_error *error) {
    return change_status(session,
                         "UPDATE backups SET status = 'EXPIRED' WHERE id = ? AND legal_hold = 0 AND quarantined = 0 AND "
                         "locked_until_ns <= ? AND " AT_REST " AND id NOT IN (" ACTIVE ")",
                         id, now_unix_ns, out_done, error);
}

mos_status mos_catalog_unexpire_backup(mos_catalog_session *session, const char *id, struct mos_error *error) {
    bool ignored;
    return change_status(session,
                         "UPDATE backups SET status = CASE WHEN encrypted_checksum = '' OR damaged <> 0 THEN 'FAILED' "
                         "WHEN verified_at_ns <> 0 THEN 'VERIFIED' ELSE 'COMPLETED' END WHERE id = ? AND status = 'EXPIRED'",
                         id, 0, &ignored, error);
}

mos_status mos_catalog_quarantine_backup(mos_catalog_session *session, const char *id, const char *reason, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "UPDATE backups SET quarantined = ?, quarantine_reason = ? WHERE id = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, reason != NULL);
    mos_sql_bind_text(&sql, reason ? reason : "");
    mos_sql_bind_text(&sql, id);
    return mos_sql_finish(&sql, error);
}

// ---- The clock ----

static const char known_time[] = "schedule.trusted_time";

mos_status mos_catalog_get_known_time(mos_catalog_session *session, int64_t *out_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *text = "";
    mos_status status = mos_catalog_get_fact(session, known_time, arena, &text, error);
    int64_t known = status == MOS_OK ? strtoll(text, NULL, 10) : 0;
    *out_unix_ns = known > 0 ? known : 0;
    return status;
}

mos_status mos_catalog_put_known_time(mos_catalog_session *session, int64_t unix_ns, struct mos_error *error) {
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)unix_ns);
    return mos_catalog_put_fact(session, known_time, text, error);
}

mos_status mos_catalog_trusted_now(mos_catalog_session *session, int64_t *out_unix_ns, struct mos_error *error) {
    int64_t known = 0, now = mos_now_unix_ns();
    mos_status status = mos_catalog_get_known_time(session, &known, error);
    *out_unix_ns = known > 0 && now - known <= MOS_TRUST_AWAY_NS ? now : known;
    return status;
}

bool mos_catalog_clock_is_ahead(mos_catalog *catalog) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    int64_t known = 0;
    return mos_catalog_read_begin(catalog, &session, NULL) == MOS_OK && mos_catalog_get_known_time(session, &known, NULL) == MOS_OK &&
           known > 0 && mos_now_unix_ns() - known > MOS_TRUST_AWAY_NS;
}

static const char retention_hold[] = "retention.held";

mos_status mos_catalog_get_retention_hold(mos_catalog_session *session, mos_arena *arena, const char **out_why, struct mos_error *error) {
    return mos_catalog_get_fact(session, retention_hold, arena, out_why, error);
}

mos_status mos_catalog_put_retention_hold(mos_catalog_session *session, const char *why, struct mos_error *error) {
    return mos_catalog_put_fact(session, retention_hold, why, error);
}

mos_status mos_catalog_newest_time(mos_catalog_session *session, int64_t *out_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT max(coalesce((SELECT max(created_at_ns) FROM backups), 0), "
                                      "coalesce((SELECT max(created_at_ns) FROM jobs), 0), "
                                      "coalesce((SELECT time_ns FROM events ORDER BY sequence DESC LIMIT 1), 0))",
                                      error);
    return status == MOS_OK ? mos_sql_number(&sql, out_unix_ns, error) : status;
}

// ---- Load ----

mos_status mos_catalog_get_load(mos_catalog_session *session, struct mos_load *out, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row;
    *out = (struct mos_load){0};
    mos_status status =
        mos_sql_begin(&sql, session, "SELECT hour, samples, mean_milli FROM schedule_load WHERE hour BETWEEN 0 AND 167", error);
    while (status == MOS_OK && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        int64_t hour = mos_sql_take_number(&sql);
        out->samples[hour] = mos_sql_take_number(&sql);
        out->mean_milli[hour] = mos_sql_take_number(&sql);
    }
    return status;
}

mos_status mos_catalog_add_load(mos_catalog_session *session, int hour, int64_t milli, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session,
                      "INSERT INTO schedule_load(hour, samples, mean_milli) VALUES(?1, 1, ?2) ON CONFLICT(hour) DO UPDATE SET "
                      "mean_milli = mean_milli + (?2 - mean_milli) / (min(samples, 15) + 1), samples = min(samples, 15) + 1",
                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, hour);
    mos_sql_bind_number(&sql, milli);
    return mos_sql_finish(&sql, error);
}

// ---- Past jobs ----

mos_status mos_catalog_visit_past_jobs(mos_catalog_session *session, int64_t after_unix_ns, int limit,
                                       void (*visit)(const struct mos_past_job *job, void *argument), void *argument,
                                       struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row = true;
    mos_status status =
        mos_sql_begin(&sql, session,
                      "SELECT type, started_at_ns, jobs.completed_at_ns - started_at_ns, size, facts FROM jobs JOIN backups ON "
                      "backups.id = jobs.backup_id WHERE kind = 'BACKUP' AND jobs.status IN ('SUCCEEDED', "
                      "'SUCCEEDED_WITH_WARNINGS') AND jobs.created_at_ns > ? ORDER BY jobs.created_at_ns DESC LIMIT ?",
                      error);
    if (status == MOS_OK) {
        mos_sql_bind_number(&sql, after_unix_ns);
        mos_sql_bind_number(&sql, limit);
    }
    while (status == MOS_OK && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_past_job job = {.type = (enum mos_backup_type)mos_backup_type_from_word(mos_sql_take_text(&sql, arena))};
        job.started_at_unix_ns = mos_sql_take_number(&sql);
        job.duration_ns = mos_sql_take_number(&sql);
        job.size_bytes = mos_sql_take_number(&sql);
        job.facts = mos_sql_take_blob(&sql, arena);
        visit(&job, argument);
    }
    return status;
}
