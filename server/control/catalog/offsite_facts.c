// Copies at other places: who did what to them, how long they are kept, and which objects lie there.
#include <string.h>

#include "control/catalog/offsite.h"
#include "control/catalog/sql.h"

static mos_status too_large(struct mos_error *error) {
    return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory");
}

// ---- Access ----

mos_status mos_catalog_add_access(mos_catalog_session *session, const struct mos_copy_access *access, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "INSERT INTO offsite_access VALUES(?,?,?,?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, access->id);
    mos_sql_bind_text(&sql, access->copy_id);
    mos_sql_bind_text(&sql, access->actor);
    mos_sql_bind_text(&sql, mos_copy_action_word(access->action));
    mos_sql_bind_number(&sql, access->time_unix_ns);
    mos_sql_bind_text(&sql, access->ip_address);
    mos_sql_bind_number(&sql, access->success);
    mos_sql_bind_text(&sql, access->details);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_list_access(mos_catalog_session *session, const char *copy_id, int limit, mos_arena *arena,
                                   struct mos_copy_access **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT * FROM (SELECT id, copy_id, actor, action, time_ns, ip_address, success, details FROM "
                                      "offsite_access WHERE copy_id = ? ORDER BY time_ns DESC, id DESC LIMIT ?) ORDER BY time_ns, id",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, copy_id);
    mos_sql_bind_number(&sql, limit);
    struct mos_copy_access *entries = mos_arena_array(arena, struct mos_copy_access, (size_t)limit);
    size_t count = 0;
    bool row = false;
    while (entries && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        struct mos_copy_access *entry = &entries[count++];
        entry->id = mos_sql_take_text(&sql, arena);
        entry->copy_id = mos_sql_take_text(&sql, arena);
        entry->actor = mos_sql_take_text(&sql, arena);
        entry->action = (enum mos_copy_action)mos_copy_action_from_word(mos_sql_take_text(&sql, arena));
        entry->time_unix_ns = mos_sql_take_number(&sql);
        entry->ip_address = mos_sql_take_text(&sql, arena);
        entry->success = mos_sql_take_number(&sql) != 0;
        entry->details = mos_sql_take_text(&sql, arena);
    }
    *out = entries;
    *out_count = count;
    return !entries || sql.failed ? too_large(error) : status;
}

// ---- Policies ----

mos_status mos_catalog_list_policies(mos_catalog_session *session, mos_arena *arena, struct mos_offsite_policy **out, size_t *out_count,
                                     struct mos_error *error) {
    enum { MOST = 16 };
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session, "SELECT name, retention_days, archive_after_days FROM offsite_policies ORDER BY retention_days, name", error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_offsite_policy *policies = mos_arena_array(arena, struct mos_offsite_policy, MOST);
    size_t count = 0;
    bool row = false;
    while (policies && count < MOST && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        policies[count].name = mos_sql_take_text(&sql, arena);
        policies[count].retention_days = (int32_t)mos_sql_take_number(&sql);
        policies[count++].archive_after_days = (int32_t)mos_sql_take_number(&sql);
    }
    *out = policies;
    *out_count = count;
    return !policies || sql.failed ? too_large(error) : status;
}

mos_status mos_catalog_update_policy(mos_catalog_session *session, const struct mos_offsite_policy *policy, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session, "UPDATE offsite_policies SET retention_days = ?, archive_after_days = ? WHERE name = ? RETURNING 1", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, policy->retention_days);
    mos_sql_bind_number(&sql, policy->archive_after_days);
    mos_sql_bind_text(&sql, policy->name);
    bool row = false;
    status = mos_sql_step(&sql, &row, error);
    if (status == MOS_OK && !row) {
        status = mos_fail(error, MOS_NOT_FOUND, "no offsite policy has the name \"%.64s\"", policy->name);
    }
    return status == MOS_OK ? mos_catalog_note_change(session, error) : status;
}

// ---- Objects ----

mos_status mos_catalog_put_place_object(mos_catalog_session *session, const char *place, const struct mos_place_object *object,
                                        struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "INSERT OR REPLACE INTO offsite_objects VALUES(?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, place);
    mos_sql_bind_text(&sql, object->name);
    mos_sql_bind_number(&sql, object->size_bytes);
    mos_sql_bind_blob(&sql, object->sha256, sizeof(object->sha256));
    mos_sql_bind_number(&sql, object->locked_until_unix_ns);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_remove_place_object(mos_catalog_session *session, const char *place, const char *name, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "DELETE FROM offsite_objects WHERE place = ? AND name = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, place);
    mos_sql_bind_text(&sql, name);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_get_place_object(mos_catalog_session *session, const char *place, const char *name, mos_arena *arena,
                                        struct mos_place_object *out, bool *out_found, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    *out_found = false;
    mos_status status =
        mos_sql_begin(&sql, session, "SELECT name, size, sha256, locked_until_ns FROM offsite_objects WHERE place = ? AND name = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, place);
        mos_sql_bind_text(&sql, name);
        status = mos_sql_step(&sql, out_found, error);
    }
    if (status != MOS_OK || !*out_found) {
        return status;
    }
    out->name = mos_sql_take_text(&sql, arena);
    out->size_bytes = mos_sql_take_number(&sql);
    struct mos_blob digest = mos_sql_take_blob(&sql, arena);
    out->locked_until_unix_ns = mos_sql_take_number(&sql);
    if (sql.failed || digest.size_bytes != sizeof(out->sha256)) {
        return mos_fail(error, MOS_CORRUPT, "the catalog's row of the object %s is damaged", name);
    }
    memcpy(out->sha256, digest.data, sizeof(out->sha256));
    return MOS_OK;
}

mos_status mos_catalog_count_place_objects(mos_catalog_session *session, const char *place, int64_t *out_count, int64_t *out_bytes,
                                           struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row = false;
    mos_status status = mos_sql_begin(&sql, session, "SELECT count(*), coalesce(sum(size), 0) FROM offsite_objects WHERE place = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, place);
        status = mos_sql_step(&sql, &row, error);
    }
    if (status == MOS_OK && row) {
        *out_count = mos_sql_take_number(&sql);
        *out_bytes = mos_sql_take_number(&sql);
    }
    return status;
}
