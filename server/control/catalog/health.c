#include "control/catalog/health.h"

#include "control/catalog/sql.h"

static mos_status too_large(struct mos_error *error) {
    return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory");
}

mos_status mos_catalog_add_storage_sample(mos_catalog_session *session, const struct mos_storage_sample *sample, int64_t keep_after_unix_ns,
                                          struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql removal;
    mos_status status = mos_sql_begin(&removal, session, "DELETE FROM storage_samples WHERE time_ns < ? OR time_ns > ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_number(&removal, keep_after_unix_ns);
        mos_sql_bind_number(&removal, sample->time_unix_ns);
        status = mos_sql_finish(&removal, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_SQL struct mos_sql sql;
    status = mos_sql_begin(&sql, session, "INSERT OR REPLACE INTO storage_samples(time_ns, used_bytes, free_bytes) VALUES(?, ?, ?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, sample->time_unix_ns);
    mos_sql_bind_number(&sql, sample->used_bytes);
    mos_sql_bind_number(&sql, sample->free_bytes);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_storage_samples(mos_catalog_session *session, int64_t after_unix_ns, int limit, mos_arena *arena,
                                       struct mos_storage_sample **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session, "SELECT time_ns, used_bytes, free_bytes FROM storage_samples WHERE time_ns > ? ORDER BY time_ns LIMIT ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, after_unix_ns);
    mos_sql_bind_number(&sql, limit);
    struct mos_storage_sample *samples = mos_arena_array(arena, struct mos_storage_sample, (size_t)limit);
    size_t count = 0;
    bool row;
    while (samples && count < (size_t)limit && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        struct mos_storage_sample *sample = &samples[count++];
        sample->time_unix_ns = mos_sql_take_number(&sql);
        sample->used_bytes = mos_sql_take_number(&sql);
        sample->free_bytes = mos_sql_take_number(&sql);
    }
    *out = samples;
    *out_count = count;
    return samples ? status : too_large(error);
}

mos_status mos_catalog_longest_unverified(mos_catalog_session *session, int64_t before_unix_ns, mos_arena *arena, const char **out_id,
                                          struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session,
                      "SELECT id FROM backups WHERE encrypted_checksum <> '' AND damaged = 0 AND absent = 0 AND verified_at_ns < ?1 "
                      "AND created_at_ns < ?1 AND status IN ('COMPLETED', 'VERIFIED') AND id NOT IN (SELECT backup_id FROM jobs "
                      "WHERE kind = 'VERIFY' AND created_at_ns >= ?1 AND status = 'FAILED') "
                      "ORDER BY verified_at_ns LIMIT 1",
                      error);
    if (status != MOS_OK) {
        return status;
    }
    bool row = false;
    mos_sql_bind_number(&sql, before_unix_ns);
    status = mos_sql_step(&sql, &row, error);
    *out_id = row ? mos_sql_take_text(&sql, arena) : "";
    return status;
}

mos_status mos_catalog_kept_backups(mos_catalog_session *session, int64_t after_created_at_unix_ns, const char *after_id, int limit,
                                    mos_arena *arena, struct mos_kept **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session,
        "SELECT id, status, created_at_ns, encrypted_location, retention_days FROM backups WHERE (created_at_ns, id) > (?, ?) "
        "AND encrypted_checksum <> '' ORDER BY created_at_ns, id LIMIT ?",
        error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, after_created_at_unix_ns);
    mos_sql_bind_text(&sql, after_id);
    mos_sql_bind_number(&sql, limit);
    struct mos_kept *backups = mos_arena_array(arena, struct mos_kept, (size_t)limit);
    size_t count = 0;
    bool row;
    while (backups && count < (size_t)limit && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        struct mos_kept *kept = &backups[count++];
        kept->id = mos_sql_take_text(&sql, arena);
        kept->status = mos_backup_status_from_word(mos_sql_take_text(&sql, arena));
        kept->created_at_unix_ns = mos_sql_take_number(&sql);
        kept->encrypted_location = mos_sql_take_text(&sql, arena);
        kept->retention_days = (int32_t)mos_sql_take_number(&sql);
    }
    *out = backups;
    *out_count = count;
    return backups && !sql.failed ? status : too_large(error);
}
