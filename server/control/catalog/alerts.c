#include "control/catalog/alerts.h"

#include <string.h>

#include "common/buffer.h"
#include "common/json.h"
#include "control/catalog/jobs.h"
#include "control/catalog/sql.h"

#define COLUMNS                                                                                                                            \
    "id, cause, type, severity, backup_id, message, details, created_at_ns, last_seen_at_ns, count, acknowledged_at_ns, acknowledged_by, " \
    "note, resolved_at_ns, reminded_at_ns, reminders, escalated_at_ns"

static mos_status too_large(struct mos_error *error) {
    return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages");
}

mos_status mos_catalog_put_alert(mos_catalog_session *session, const struct mos_alert *alert, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer details = MOS_BUFFER_INIT(0);
    mos_buffer_append_byte(&details, '{');
    for (size_t i = 0; i < alert->detail_count; i++) {
        mos_buffer_append_text(&details, i > 0 ? "," : "");
        mos_json_append_text(&details, alert->details[i].name);
        mos_buffer_append_byte(&details, ':');
        mos_json_append_text(&details, alert->details[i].value);
    }
    mos_buffer_append_byte(&details, '}');
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session,
                      "INSERT INTO alerts(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET "
                      "cause = excluded.cause, type = excluded.type, severity = excluded.severity, backup_id = excluded.backup_id, "
                      "message = excluded.message, details = excluded.details, created_at_ns = excluded.created_at_ns, "
                      "last_seen_at_ns = excluded.last_seen_at_ns, count = excluded.count, acknowledged_at_ns = "
                      "excluded.acknowledged_at_ns, acknowledged_by = excluded.acknowledged_by, note = excluded.note, "
                      "resolved_at_ns = excluded.resolved_at_ns, reminded_at_ns = excluded.reminded_at_ns, reminders = excluded.reminders, "
                      "escalated_at_ns = excluded.escalated_at_ns",
                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, alert->id);
    mos_sql_bind_text(&sql, alert->cause);
    mos_sql_bind_text(&sql, mos_alert_type_word(alert->type));
    mos_sql_bind_text(&sql, mos_alert_severity_word(alert->severity));
    mos_sql_bind_text(&sql, alert->backup_id);
    mos_sql_bind_text(&sql, alert->message);
    mos_sql_bind_text(&sql, mos_buffer_text(&details));
    mos_sql_bind_number(&sql, alert->created_at_unix_ns);
    mos_sql_bind_number(&sql, alert->last_seen_at_unix_ns);
    mos_sql_bind_number(&sql, alert->count);
    mos_sql_bind_number(&sql, alert->acknowledged_at_unix_ns);
    mos_sql_bind_text(&sql, alert->acknowledged_by);
    mos_sql_bind_text(&sql, alert->note);
    mos_sql_bind_number(&sql, alert->resolved_at_unix_ns);
    mos_sql_bind_number(&sql, alert->reminded_at_unix_ns);
    mos_sql_bind_number(&sql, alert->reminders);
    mos_sql_bind_number(&sql, alert->escalated_at_unix_ns);
    return mos_sql_finish(&sql, error);
}

static bool take_details(const char *text, mos_arena *arena, struct mos_alert *out) {
    const struct mos_json *json = mos_json_parse(arena, text, strlen(text));
    size_t count = 0;
    for (const struct mos_json *member = json && json->kind == MOS_JSON_OBJECT ? json->first : NULL; member; member = member->next) {
        count += member->kind == MOS_JSON_STRING;
    }
    struct mos_alert_detail *details = mos_arena_array(arena, struct mos_alert_detail, count);
    if (count > 0 && !details) {
        return false;
    }
    for (const struct mos_json *member = count > 0 ? json->first : NULL; member; member = member->next) {
        if (member->kind == MOS_JSON_STRING) {
            details[out->detail_count++] = (struct mos_alert_detail){member->name, member->string};
        }
    }
    out->details = details;
    return true;
}

static mos_status take_row(struct mos_sql *sql, mos_arena *arena, struct mos_alert *out, struct mos_error *error) {
    *out = (struct mos_alert){.id = mos_sql_take_text(sql, arena)};
    out->cause = mos_sql_take_text(sql, arena);
    out->type = mos_alert_type_from_word(mos_sql_take_text(sql, arena));
    out->severity = mos_alert_severity_from_word(mos_sql_take_text(sql, arena));
    out->backup_id = mos_sql_take_text(sql, arena);
    out->message = mos_sql_take_text(sql, arena);
    bool good = take_details(mos_sql_take_text(sql, arena), arena, out);
    out->created_at_unix_ns = mos_sql_take_number(sql);
    out->last_seen_at_unix_ns = mos_sql_take_number(sql);
    out->count = mos_sql_take_number(sql);
    out->acknowledged_at_unix_ns = mos_sql_take_number(sql);
    out->acknowledged_by = mos_sql_take_text(sql, arena);
    out->note = mos_sql_take_text(sql, arena);
    out->resolved_at_unix_ns = mos_sql_take_number(sql);
    out->reminded_at_unix_ns = mos_sql_take_number(sql);
    out->reminders = mos_sql_take_number(sql);
    out->escalated_at_unix_ns = mos_sql_take_number(sql);
    return good && !sql->failed ? MOS_OK : too_large(error);
}

static mos_status take_one(struct mos_sql *sql, mos_arena *arena, struct mos_alert *out, bool *out_found, struct mos_error *error) {
    mos_status status = mos_sql_step(sql, out_found, error);
    return status == MOS_OK && *out_found ? take_row(sql, arena, out, error) : status;
}

static mos_status take_some(struct mos_sql *sql, int limit, mos_arena *arena, struct mos_alert **out, size_t *out_count,
                            struct mos_error *error) {
    struct mos_alert *alerts = mos_arena_array(arena, struct mos_alert, (size_t)limit);
    size_t count = 0;
    bool row = true;
    mos_status status = alerts ? MOS_OK : too_large(error);
    while (status == MOS_OK && row && count < (size_t)limit) {
        status = take_one(sql, arena, &alerts[count], &row, error);
        count += status == MOS_OK && row;
    }
    *out = alerts;
    *out_count = count;
    return status;
}

mos_status mos_catalog_get_alert(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_alert *out,
                                 struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool found = false;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM alerts WHERE id = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, id);
        status = take_one(&sql, arena, out, &found, error);
    }
    return status != MOS_OK || found ? status : mos_fail(error, MOS_NOT_FOUND, "no alert has the id \"%.64s\"", id);
}

mos_status mos_catalog_find_alert(mos_catalog_session *session, const char *cause, mos_arena *arena, struct mos_alert *out, bool *out_found,
                                  struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM alerts WHERE cause = ? AND resolved_at_ns = 0", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, cause);
    return take_one(&sql, arena, out, out_found, error);
}

// ---- Lists ----

mos_status mos_catalog_list_alerts(mos_catalog_session *session, const struct mos_alert_filter *filter, const struct mos_page *page,
                                   mos_arena *arena, struct mos_alert **out, size_t *out_count, const char **out_next_token,
                                   struct mos_error *error) {
    static const char list[] = "alerts";
    bool of_backup = filter->backup_id && *filter->backup_id;
    MOS_CLEANUP_BUFFER struct mos_buffer filters = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&filters, "%d %d %d %s", filter->severity, filter->type, filter->acknowledged, of_backup ? filter->backup_id : "");
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
    mos_buffer_printf(
        &query, "SELECT " COLUMNS " FROM alerts WHERE (created_at_ns, id) < (?, ?)%s%s%s%s ORDER BY created_at_ns DESC, id DESC LIMIT ?",
        filter->severity ? " AND severity = ?" : "", filter->type ? " AND type = ?" : "",
        filter->acknowledged >= 0 ? " AND (acknowledged_at_ns <> 0) = ?" : "", of_backup ? " AND backup_id = ?" : "");
    MOS_CLEANUP_SQL struct mos_sql sql;
    status = mos_sql_begin(&sql, session, mos_buffer_text(&query), error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, place.created_at_unix_ns);
    mos_sql_bind_text(&sql, place.id);
    if (filter->severity) {
        mos_sql_bind_text(&sql, mos_alert_severity_word(filter->severity));
    }
    if (filter->type) {
        mos_sql_bind_text(&sql, mos_alert_type_word(filter->type));
    }
    if (filter->acknowledged >= 0) {
        mos_sql_bind_number(&sql, filter->acknowledged);
    }
    if (of_backup) {
        mos_sql_bind_text(&sql, filter->backup_id);
    }
    // One more than asked for tells whether there is another page.
    mos_sql_bind_number(&sql, size + 1);
    struct mos_alert *alerts;
    size_t count = 0;
    status = take_some(&sql, size + 1, arena, &alerts, &count, error);
    if (status != MOS_OK) {
        return status;
    }
    *out_next_token = "";
    if (count > (size_t)size) {
        count = (size_t)size;
        const struct mos_alert *last = &alerts[count - 1];
        *out_next_token = mos_place_encode(list, filters.data, filters.size_bytes, last->created_at_unix_ns, last->id, arena);
    }
    *out = alerts;
    *out_count = count;
    return *out_next_token ? MOS_OK : too_large(error);
}

mos_status mos_catalog_open_alerts(mos_catalog_session *session, const char *cause_prefix, int limit, mos_arena *arena,
                                   struct mos_alert **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT " COLUMNS " FROM alerts WHERE resolved_at_ns = 0 AND cause >= ?1 AND "
                                      "substr(cause, 1, length(?1)) = ?1 ORDER BY cause LIMIT ?2",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, cause_prefix);
    mos_sql_bind_number(&sql, limit);
    return take_some(&sql, limit, arena, out, out_count, error);
}

mos_status mos_catalog_count_open_alerts(mos_catalog_session *session, int64_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT count(*) FROM alerts WHERE resolved_at_ns = 0", error);
    return status == MOS_OK ? mos_sql_number(&sql, out_count, error) : status;
}

mos_status mos_catalog_alerts_to_remind(mos_catalog_session *session, const struct mos_reminder_filter *filter, int limit, mos_arena *arena,
                                        struct mos_alert **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session,
        "SELECT " COLUMNS " FROM alerts WHERE resolved_at_ns = 0 AND acknowledged_at_ns = 0 "
        "AND (CASE severity WHEN 'INFO' THEN 1 WHEN 'WARNING' THEN 2 WHEN 'ERROR' THEN 3 ELSE 4 END) >= ? "
        "AND (reminded_at_ns < ? OR reminded_at_ns > ? OR (escalated_at_ns = 0 AND created_at_ns < ?)) ORDER BY reminded_at_ns LIMIT ?",
        error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, filter->least);
    mos_sql_bind_number(&sql, filter->told_before_unix_ns);
    mos_sql_bind_number(&sql, filter->told_after_unix_ns);
    mos_sql_bind_number(&sql, filter->escalate_before_unix_ns);
    mos_sql_bind_number(&sql, limit);
    return take_some(&sql, limit, arena, out, out_count, error);
}

// ---- Events ----

mos_status mos_catalog_add_alert_event(mos_catalog_session *session, struct mos_alert_event *event, struct mos_error *error) {
    mos_status status = mos_catalog_take_sequence(session, &event->sequence, error);
    if (status == MOS_OK && event->kind == MOS_ALERT_REPEATED) {
        MOS_CLEANUP_SQL struct mos_sql removal;
        status = mos_sql_begin(&removal, session, "DELETE FROM alert_events WHERE alert_id = ? AND kind = 'REPEATED'", error);
        if (status == MOS_OK) {
            mos_sql_bind_text(&removal, event->alert_id);
            status = mos_sql_finish(&removal, error);
        }
    }
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_SQL struct mos_sql sql;
    status = mos_sql_begin(&sql, session, "INSERT INTO alert_events(sequence, time_ns, kind, severity, alert_id) VALUES(?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, event->sequence);
    mos_sql_bind_number(&sql, event->time_unix_ns);
    mos_sql_bind_text(&sql, mos_alert_event_kind_word(event->kind));
    mos_sql_bind_text(&sql, mos_alert_severity_word(event->severity));
    mos_sql_bind_text(&sql, event->alert_id);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_list_alert_events(mos_catalog_session *session, int64_t after_sequence, int limit, mos_arena *arena,
                                         struct mos_alert_event **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT sequence, time_ns, kind, severity, alert_id FROM alert_events WHERE sequence > ? "
                                      "ORDER BY sequence LIMIT ?",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, after_sequence);
    mos_sql_bind_number(&sql, limit);
    struct mos_alert_event *events = mos_arena_array(arena, struct mos_alert_event, (size_t)limit);
    size_t count = 0;
    bool row;
    while (events && count < (size_t)limit && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        struct mos_alert_event *event = &events[count++];
        event->sequence = mos_sql_take_number(&sql);
        event->time_unix_ns = mos_sql_take_number(&sql);
        event->kind = mos_alert_event_kind_from_word(mos_sql_take_text(&sql, arena));
        event->severity = mos_alert_severity_from_word(mos_sql_take_text(&sql, arena));
        event->alert_id = mos_sql_take_text(&sql, arena);
    }
    if (!events || sql.failed) {
        return too_large(error);
    }
    *out = events;
    *out_count = count;
    return status;
}

mos_status mos_catalog_remove_alert_events(mos_catalog_session *session, int64_t before_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    // Rows are in order of their times but for a clock that was set back: the first that is young enough ends it.
    mos_status status = mos_sql_begin(&sql, session,
                                      "DELETE FROM alert_events WHERE sequence < coalesce((SELECT min(sequence) FROM alert_events "
                                      "WHERE time_ns >= ?), 9223372036854775807)",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, before_unix_ns);
    return mos_sql_finish(&sql, error);
}
