#include "control/catalog/confirmations.h"

#include "control/catalog/sql.h"

#define COLUMNS "id, action, resource, requested_by, requested_at_ns, expires_at_ns, confirmed_by, used_at_ns"

mos_status mos_catalog_put_confirmation(mos_catalog_session *session, const struct mos_confirmation *confirmation,
                                        struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "INSERT OR REPLACE INTO confirmations(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, confirmation->id);
    mos_sql_bind_text(&sql, confirmation->action);
    mos_sql_bind_text(&sql, confirmation->resource);
    mos_sql_bind_text(&sql, confirmation->requested_by);
    mos_sql_bind_number(&sql, confirmation->requested_at_unix_ns);
    mos_sql_bind_number(&sql, confirmation->expires_at_unix_ns);
    mos_sql_bind_text(&sql, confirmation->confirmed_by);
    mos_sql_bind_number(&sql, confirmation->used_at_unix_ns);
    return mos_sql_finish(&sql, error);
}

static void take_row(struct mos_sql *sql, mos_arena *arena, struct mos_confirmation *out) {
    *out = (struct mos_confirmation){.id = mos_sql_take_text(sql, arena)};
    out->action = mos_sql_take_text(sql, arena);
    out->resource = mos_sql_take_text(sql, arena);
    out->requested_by = mos_sql_take_text(sql, arena);
    out->requested_at_unix_ns = mos_sql_take_number(sql);
    out->expires_at_unix_ns = mos_sql_take_number(sql);
    out->confirmed_by = mos_sql_take_text(sql, arena);
    out->used_at_unix_ns = mos_sql_take_number(sql);
}

static mos_status too_large(struct mos_error *error) {
    return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory");
}

static mos_status take_one(struct mos_sql *sql, mos_arena *arena, struct mos_confirmation *out, bool *out_found, struct mos_error *error) {
    mos_status status = mos_sql_step(sql, out_found, error);
    if (status == MOS_OK && *out_found) {
        take_row(sql, arena, out);
        status = sql->failed ? too_large(error) : MOS_OK;
    }
    return status;
}

mos_status mos_catalog_get_confirmation(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_confirmation *out,
                                        struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool found = false;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM confirmations WHERE id = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, id);
        status = take_one(&sql, arena, out, &found, error);
    }
    return status != MOS_OK || found ? status : mos_fail(error, MOS_NOT_FOUND, "no confirmation has the id \"%.64s\"", id);
}

mos_status mos_catalog_find_confirmation(mos_catalog_session *session, const char *action, const char *resource, const char *requested_by,
                                         int64_t now_unix_ns, mos_arena *arena, struct mos_confirmation *out, bool *out_found,
                                         struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT " COLUMNS " FROM confirmations WHERE action = ? AND resource = ? AND requested_by = ? "
                                      "AND expires_at_ns > ? AND used_at_ns = 0 ORDER BY requested_at_ns DESC, id DESC LIMIT 1",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, action);
    mos_sql_bind_text(&sql, resource);
    mos_sql_bind_text(&sql, requested_by);
    mos_sql_bind_number(&sql, now_unix_ns);
    return take_one(&sql, arena, out, out_found, error);
}

mos_status mos_catalog_forget_confirmations(mos_catalog_session *session, int64_t before_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "DELETE FROM confirmations WHERE expires_at_ns < ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, before_unix_ns);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_list_confirmations(mos_catalog_session *session, int limit, mos_arena *arena, struct mos_confirmation **out,
                                          size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM confirmations ORDER BY requested_at_ns DESC, id DESC LIMIT ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, limit);
    struct mos_confirmation *confirmations = mos_arena_array(arena, struct mos_confirmation, (size_t)limit);
    size_t count = 0;
    bool row = true;
    status = confirmations ? MOS_OK : too_large(error);
    while (status == MOS_OK && row && count < (size_t)limit) {
        status = mos_sql_step(&sql, &row, error);
        if (status == MOS_OK && row) {
            take_row(&sql, arena, &confirmations[count++]);
        }
    }
    *out = confirmations;
    *out_count = count;
    return status == MOS_OK && sql.failed ? too_large(error) : status;
}
