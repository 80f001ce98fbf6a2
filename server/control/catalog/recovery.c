#include "control/catalog/recovery.h"

#include "common/buffer.h"
#include "control/catalog/jobs.h"
#include "control/catalog/sql.h"

#define PLAN_COLUMNS "id, priority, status, created_at_ns, content"
#define TESTING                                                                                                                            \
    "EXISTS(SELECT 1 FROM recovery_runs WHERE recovery_runs.plan_id = recovery_plans.id AND recovery_runs.test = 1 "                       \
    "AND recovery_runs.active = 1)"
#define RUN_COLUMNS "id, plan_id, test, hidden, status, active, created_at_ns, content, report"

static mos_status too_large(struct mos_error *error) {
    return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages");
}

// ---- Plans ----

mos_status mos_catalog_put_plan(mos_catalog_session *session, const struct mos_recovery_plan *plan, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "INSERT OR REPLACE INTO recovery_plans(" PLAN_COLUMNS ") VALUES(?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, plan->id);
    mos_sql_bind_number(&sql, plan->priority);
    mos_sql_bind_number(&sql, plan->status);
    mos_sql_bind_number(&sql, plan->created_at_unix_ns);
    mos_sql_bind_blob(&sql, plan->content.data, plan->content.size_bytes);
    return mos_sql_finish(&sql, error);
}

static mos_status take_plan(struct mos_sql *sql, mos_arena *arena, struct mos_recovery_plan *out, struct mos_error *error) {
    *out = (struct mos_recovery_plan){.id = mos_sql_take_text(sql, arena)};
    out->priority = (int)mos_sql_take_number(sql);
    out->status = (int)mos_sql_take_number(sql);
    out->created_at_unix_ns = mos_sql_take_number(sql);
    out->content = mos_sql_take_blob(sql, arena);
    out->testing = mos_sql_take_number(sql) != 0;
    return sql->failed ? too_large(error) : MOS_OK;
}

mos_status mos_catalog_get_plan(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_recovery_plan *out,
                                struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row = false;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " PLAN_COLUMNS ", " TESTING " FROM recovery_plans WHERE id = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, id);
        status = mos_sql_step(&sql, &row, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    return row ? take_plan(&sql, arena, out, error) : mos_fail(error, MOS_NOT_FOUND, "no recovery plan has the id \"%.64s\"", id);
}

mos_status mos_catalog_remove_plan(mos_catalog_session *session, const char *id, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "DELETE FROM recovery_plans WHERE id = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, id);
        status = mos_sql_finish(&sql, error);
    }
    if (status == MOS_OK && sqlite3_changes(session->db) == 0) {
        status = mos_fail(error, MOS_NOT_FOUND, "no recovery plan has the id \"%.64s\"", id);
    }
    return status;
}

// The place and the size of a page, from its token.
static mos_status open_page(const char *list, const struct mos_buffer *filters, const struct mos_page *page, struct mos_place *out_place,
                            int *out_size, struct mos_error *error) {
    mos_status status = mos_page_size(page, out_size, error);
    return status == MOS_OK ? mos_place_decode(list, filters->data, filters->size_bytes, page->token, out_place, error) : status;
}

mos_status mos_catalog_list_plans(mos_catalog_session *session, int priority, int wanted, const struct mos_page *page, mos_arena *arena,
                                  struct mos_recovery_plan **out, size_t *out_count, const char **out_next_token, struct mos_error *error) {
    static const char list[] = "recovery plans";
    MOS_CLEANUP_BUFFER struct mos_buffer filters = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&filters, "%d %d", priority, wanted);
    struct mos_place place;
    int size;
    MOS_CLEANUP_SQL struct mos_sql sql = {0};
    mos_status status = open_page(list, &filters, page, &place, &size, error);
    if (status == MOS_OK) {
        status = mos_sql_begin(&sql, session,
                               "SELECT " PLAN_COLUMNS ", " TESTING
                               " FROM recovery_plans WHERE (created_at_ns, id) < (?1, ?2) AND ?3 IN (0, priority) "
                               "AND ?4 IN (0, CASE WHEN " TESTING " THEN ?6 ELSE status END) ORDER BY created_at_ns DESC, id DESC LIMIT ?5",
                               error);
    }
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, place.created_at_unix_ns);
    mos_sql_bind_text(&sql, place.id);
    mos_sql_bind_number(&sql, priority);
    mos_sql_bind_number(&sql, wanted);
    mos_sql_bind_number(&sql, size + 1);
    mos_sql_bind_number(&sql, MOS_PLAN_STATUS_TESTING);
    struct mos_recovery_plan *plans = mos_arena_array(arena, struct mos_recovery_plan, (size_t)size);
    size_t count = 0;
    bool row = false;
    *out_next_token = "";
    status = plans ? mos_sql_step(&sql, &row, error) : too_large(error);
    for (; status == MOS_OK && row; status = status == MOS_OK ? mos_sql_step(&sql, &row, error) : status) {
        if (count == (size_t)size) {
            const struct mos_recovery_plan *last = &plans[count - 1];
            *out_next_token = mos_place_encode(list, filters.data, filters.size_bytes, last->created_at_unix_ns, last->id, arena);
            break;
        }
        status = take_plan(&sql, arena, &plans[count++], error);
    }
    *out = plans;
    *out_count = count;
    return status;
}

// ---- Runs ----

mos_status mos_catalog_put_recovery_run(mos_catalog_session *session, const struct mos_recovery_run *run, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "INSERT INTO recovery_runs(" RUN_COLUMNS
                                      ") VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET status = excluded.status, "
                                      "active = excluded.active, content = excluded.content, "
                                      "report = CASE WHEN length(excluded.report) > 0 THEN excluded.report ELSE report END",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, run->id);
    mos_sql_bind_text(&sql, run->plan_id);
    mos_sql_bind_number(&sql, run->test);
    mos_sql_bind_number(&sql, run->hidden);
    mos_sql_bind_number(&sql, run->status);
    mos_sql_bind_number(&sql, run->active);
    mos_sql_bind_number(&sql, run->created_at_unix_ns);
    mos_sql_bind_blob(&sql, run->content.data, run->content.size_bytes);
    mos_sql_bind_blob(&sql, run->report.data, run->report.size_bytes);
    return mos_sql_finish(&sql, error);
}

static mos_status take_run(struct mos_sql *sql, mos_arena *arena, struct mos_recovery_run *out, struct mos_error *error) {
    *out = (struct mos_recovery_run){.id = mos_sql_take_text(sql, arena)};
    out->plan_id = mos_sql_take_text(sql, arena);
    out->test = mos_sql_take_number(sql) != 0;
    out->hidden = mos_sql_take_number(sql) != 0;
    out->status = (int)mos_sql_take_number(sql);
    out->active = mos_sql_take_number(sql) != 0;
    out->created_at_unix_ns = mos_sql_take_number(sql);
    out->content = mos_sql_take_blob(sql, arena);
    out->report = mos_sql_take_blob(sql, arena);
    return sql->failed ? too_large(error) : MOS_OK;
}

mos_status mos_catalog_get_recovery_run(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_recovery_run *out,
                                        struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row = false;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " RUN_COLUMNS " FROM recovery_runs WHERE id = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, id);
        status = mos_sql_step(&sql, &row, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    return row ? take_run(&sql, arena, out, error) : mos_fail(error, MOS_NOT_FOUND, "no recovery run has the id \"%.64s\"", id);
}

mos_status mos_catalog_list_recovery_runs(mos_catalog_session *session, const struct mos_recovery_filter *filter,
                                          const struct mos_page *page, mos_arena *arena, struct mos_recovery_run **out, size_t *out_count,
                                          const char **out_next_token, struct mos_error *error) {
    static const char list[] = "recovery runs";
    const char *plan_id = filter->plan_id ? filter->plan_id : "";
    MOS_CLEANUP_BUFFER struct mos_buffer filters = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&filters, "%d %d %s", filter->tests, filter->status, plan_id);
    struct mos_place place;
    int size;
    MOS_CLEANUP_SQL struct mos_sql sql = {0};
    mos_status status = open_page(list, &filters, page, &place, &size, error);
    if (status == MOS_OK) {
        status =
            mos_sql_begin(&sql, session,
                          "SELECT " RUN_COLUMNS " FROM recovery_runs WHERE (created_at_ns, id) < (?1, ?2) AND test = ?3 AND hidden = 0 "
                          "AND ?4 IN (0, status) AND ?5 IN ('', plan_id) ORDER BY created_at_ns DESC, id DESC LIMIT ?6",
                          error);
    }
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, place.created_at_unix_ns);
    mos_sql_bind_text(&sql, place.id);
    mos_sql_bind_number(&sql, filter->tests);
    mos_sql_bind_number(&sql, filter->status);
    mos_sql_bind_text(&sql, plan_id);
    mos_sql_bind_number(&sql, size + 1);
    struct mos_recovery_run *runs = mos_arena_array(arena, struct mos_recovery_run, (size_t)size);
    size_t count = 0;
    bool row = false;
    *out_next_token = "";
    status = runs ? mos_sql_step(&sql, &row, error) : too_large(error);
    for (; status == MOS_OK && row; status = status == MOS_OK ? mos_sql_step(&sql, &row, error) : status) {
        if (count == (size_t)size) {
            const struct mos_recovery_run *last = &runs[count - 1];
            *out_next_token = mos_place_encode(list, filters.data, filters.size_bytes, last->created_at_unix_ns, last->id, arena);
            break;
        }
        status = take_run(&sql, arena, &runs[count++], error);
    }
    *out = runs;
    *out_count = count;
    return status;
}

mos_status mos_catalog_active_recovery_runs(mos_catalog_session *session, mos_arena *arena, struct mos_recovery_run **out,
                                            size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql counted;
    int64_t expected = 0;
    mos_status status = mos_sql_begin(&counted, session, "SELECT count(*) FROM recovery_runs WHERE active = 1", error);
    if (status == MOS_OK) {
        status = mos_sql_number(&counted, &expected, error);
    }
    MOS_CLEANUP_SQL struct mos_sql sql = {0};
    if (status == MOS_OK) {
        status =
            mos_sql_begin(&sql, session, "SELECT " RUN_COLUMNS " FROM recovery_runs WHERE active = 1 ORDER BY created_at_ns, id", error);
    }
    if (status != MOS_OK) {
        return status;
    }
    struct mos_recovery_run *runs = mos_arena_array(arena, struct mos_recovery_run, (size_t)expected + 1);
    size_t count = 0;
    bool row = true;
    status = runs ? MOS_OK : too_large(error);
    while (status == MOS_OK && count < (size_t)expected && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        status = take_run(&sql, arena, &runs[count++], error);
    }
    *out = runs;
    *out_count = count;
    return status;
}

// ---- The journal ----

mos_status mos_catalog_add_journal(mos_catalog_session *session, struct mos_journal_entry *entry, struct mos_error *error) {
    mos_status status = mos_catalog_take_sequence(session, &entry->sequence, error);
    MOS_CLEANUP_SQL struct mos_sql sql = {0};
    if (status == MOS_OK) {
        status =
            mos_sql_begin(&sql, session, "INSERT INTO recovery_journal(sequence, run_id, time_ns, kind, content) VALUES(?,?,?,?,?)", error);
    }
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, entry->sequence);
    mos_sql_bind_text(&sql, entry->run_id);
    mos_sql_bind_number(&sql, entry->time_unix_ns);
    mos_sql_bind_number(&sql, entry->kind);
    mos_sql_bind_blob(&sql, entry->content.data, entry->content.size_bytes);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_next_journal(mos_catalog_session *session, const char *run_id, int kind, int64_t after_sequence, int limit,
                                    mos_arena *arena, struct mos_journal_entry **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT sequence, run_id, time_ns, kind, content FROM recovery_journal "
                                      "WHERE run_id = ?1 AND sequence > ?2 AND ?3 IN (0, kind) ORDER BY sequence LIMIT ?4",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, run_id);
    mos_sql_bind_number(&sql, after_sequence);
    mos_sql_bind_number(&sql, kind);
    mos_sql_bind_number(&sql, limit);
    struct mos_journal_entry *entries = mos_arena_array(arena, struct mos_journal_entry, (size_t)limit);
    size_t count = 0;
    bool row = true;
    status = entries ? MOS_OK : too_large(error);
    while (status == MOS_OK && count < (size_t)limit && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        struct mos_journal_entry *entry = &entries[count++];
        entry->sequence = mos_sql_take_number(&sql);
        entry->run_id = mos_sql_take_text(&sql, arena);
        entry->time_unix_ns = mos_sql_take_number(&sql);
        entry->kind = (int)mos_sql_take_number(&sql);
        entry->content = mos_sql_take_blob(&sql, arena);
    }
    *out = entries;
    *out_count = count;
    return status == MOS_OK && sql.failed ? too_large(error) : status;
}

mos_status mos_catalog_thin_journal(mos_catalog_session *session, const char *run_id, int kind, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "DELETE FROM recovery_journal WHERE run_id = ?1 AND kind = ?2 AND sequence < "
                                      "(SELECT max(sequence) FROM recovery_journal WHERE run_id = ?1 AND kind = ?2)",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, run_id);
    mos_sql_bind_number(&sql, kind);
    return mos_sql_finish(&sql, error);
}
