#include "control/catalog/deliveries.h"

#include "control/catalog/sql.h"

#define COLUMNS "id, receiver, subject, body, reference, created_at_ns, next_try_at_ns, tries, delivered_at_ns, given_up_at_ns, message"
#define WAITING "delivered_at_ns = 0 AND given_up_at_ns = 0"

mos_status mos_catalog_put_delivery(mos_catalog_session *session, const struct mos_delivery_row *row, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "INSERT OR REPLACE INTO deliveries(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, row->id);
    mos_sql_bind_text(&sql, row->receiver);
    mos_sql_bind_text(&sql, row->subject);
    mos_sql_bind_text(&sql, row->body);
    mos_sql_bind_text(&sql, row->reference);
    mos_sql_bind_number(&sql, row->created_at_unix_ns);
    mos_sql_bind_number(&sql, row->next_try_at_unix_ns);
    mos_sql_bind_number(&sql, row->tries);
    mos_sql_bind_number(&sql, row->delivered_at_unix_ns);
    mos_sql_bind_number(&sql, row->given_up_at_unix_ns);
    mos_sql_bind_text(&sql, row->message);
    return mos_sql_finish(&sql, error);
}

static mos_status take_rows(struct mos_sql *sql, int limit, mos_arena *arena, struct mos_delivery_row **out, size_t *out_count,
                            struct mos_error *error) {
    struct mos_delivery_row *rows = mos_arena_array(arena, struct mos_delivery_row, (size_t)limit);
    size_t count = 0;
    bool row = true;
    mos_status status = MOS_OK;
    while (rows && row && count < (size_t)limit && (status = mos_sql_step(sql, &row, error)) == MOS_OK && row) {
        struct mos_delivery_row *next = &rows[count++];
        next->id = mos_sql_take_text(sql, arena);
        next->receiver = mos_sql_take_text(sql, arena);
        next->subject = mos_sql_take_text(sql, arena);
        next->body = mos_sql_take_text(sql, arena);
        next->reference = mos_sql_take_text(sql, arena);
        next->created_at_unix_ns = mos_sql_take_number(sql);
        next->next_try_at_unix_ns = mos_sql_take_number(sql);
        next->tries = mos_sql_take_number(sql);
        next->delivered_at_unix_ns = mos_sql_take_number(sql);
        next->given_up_at_unix_ns = mos_sql_take_number(sql);
        next->message = mos_sql_take_text(sql, arena);
    }
    if (!rows || sql->failed) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the messages take too much memory");
    }
    *out = rows;
    *out_count = count;
    return status;
}

mos_status mos_catalog_due_deliveries(mos_catalog_session *session, const struct mos_due_filter *filter, int limit, mos_arena *arena,
                                      struct mos_delivery_row **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT " COLUMNS " FROM deliveries WHERE " WAITING
                                      " AND (next_try_at_ns <= ? OR next_try_at_ns > ?) AND (receiver <> 'webhook') = ? "
                                      "ORDER BY next_try_at_ns, id LIMIT ?",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, filter->now_unix_ns);
    mos_sql_bind_number(&sql, filter->farthest_unix_ns);
    mos_sql_bind_number(&sql, filter->mail);
    mos_sql_bind_number(&sql, limit);
    return take_rows(&sql, limit, arena, out, out_count, error);
}

mos_status mos_catalog_next_delivery(mos_catalog_session *session, int64_t *out_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT min(next_try_at_ns) FROM deliveries WHERE " WAITING, error);
    return status == MOS_OK ? mos_sql_number(&sql, out_unix_ns, error) : status;
}

mos_status mos_catalog_deliveries_of(mos_catalog_session *session, const char *reference, int limit, mos_arena *arena,
                                     struct mos_delivery_row **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM deliveries WHERE reference = ? ORDER BY created_at_ns, id LIMIT ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, reference);
    mos_sql_bind_number(&sql, limit);
    return take_rows(&sql, limit, arena, out, out_count, error);
}

mos_status mos_catalog_count_deliveries(mos_catalog_session *session, int64_t *out_waiting, int64_t *out_given_up,
                                        struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql waiting;
    mos_status status = mos_sql_begin(&waiting, session, "SELECT count(*) FROM deliveries WHERE " WAITING, error);
    if (status == MOS_OK) {
        status = mos_sql_number(&waiting, out_waiting, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_SQL struct mos_sql given_up;
    status = mos_sql_begin(&given_up, session, "SELECT count(*) FROM deliveries WHERE given_up_at_ns <> 0", error);
    return status == MOS_OK ? mos_sql_number(&given_up, out_given_up, error) : status;
}

mos_status mos_catalog_remove_deliveries(mos_catalog_session *session, int64_t ended_before_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session, "DELETE FROM deliveries WHERE max(delivered_at_ns, given_up_at_ns) BETWEEN 1 AND ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, ended_before_unix_ns - 1);
    return mos_sql_finish(&sql, error);
}
