#include "control/catalog/schedules.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "control/catalog/sql.h"

#define COLUMNS                                                                                                                            \
    "id, name, cron, time_zone, backup_type, backup_name, retention_days, encryption, compression, integrity_check, offsite, read_all, "   \
    "tags, jitter_seconds, blackouts, overlap, catch_up, paused, learn_timing, timing_note, has_keep, keep_last, keep_hourly, "            \
    "keep_daily, keep_weekly, keep_monthly, keep_yearly, created_at_ns, updated_at_ns, accounted_until_ns"
#define RUN_COLUMNS "schedule_id, due_at_ns, through_ns, count, state, recorded_at_ns, backup_id, reason"

static const char *const overlap_words[] = {"", "SKIP", "QUEUE"};
static const char *const state_words[] = {"", "STARTED", "WAITING", "SKIPPED", "MISSED", "FAILED"};

static int from_word(const char *const *words, size_t count, const char *word) {
    for (size_t i = 1; i < count; i++) {
        if (strcmp(words[i], word) == 0) {
            return (int)i;
        }
    }
    return 0;
}
#define FROM_WORD(words, word) from_word(words, sizeof(words) / sizeof((words)[0]), word)

const char *mos_run_state_word(int state) {
    return state > 0 && state < (int)(sizeof(state_words) / sizeof(state_words[0])) ? state_words[state] : "";
}

static mos_status too_large(struct mos_error *error) {
    return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages");
}

// ---- Lists within a column: a part a line ----

static void write_tags(const struct mos_schedule *schedule, struct mos_buffer *out) {
    for (size_t i = 0; i < schedule->tag_count; i++) {
        mos_buffer_printf(out, "%s\n", schedule->tags[i]);
    }
}

static void write_blackouts(const struct mos_schedule *schedule, struct mos_buffer *out) {
    for (size_t i = 0; i < schedule->blackout_count; i++) {
        mos_buffer_printf(out, "%d %s\n", schedule->blackouts[i].minutes, schedule->blackouts[i].cron);
    }
}

static size_t count_lines(const char *text) {
    size_t count = 0;
    for (; *text; text++) {
        count += *text == '\n';
    }
    return count;
}

// Cuts the text into its lines; false past the arena's ceiling.
static bool take_lines(mos_arena *arena, const char *text, const char ***out, size_t *out_count) {
    size_t count = count_lines(text);
    const char **lines = mos_arena_array(arena, const char *, count);
    char *rest = mos_arena_strdup(arena, text);
    if ((count > 0 && !lines) || !rest) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        lines[i] = strsep(&rest, "\n");
    }
    *out = lines;
    *out_count = count;
    return true;
}

static bool take_blackouts(mos_arena *arena, const char *text, struct mos_schedule *out) {
    const char **lines;
    if (!take_lines(arena, text, &lines, &out->blackout_count)) {
        return false;
    }
    struct mos_blackout *blackouts = mos_arena_array(arena, struct mos_blackout, out->blackout_count);
    for (size_t i = 0; i < out->blackout_count && blackouts; i++) {
        char *end;
        blackouts[i].minutes = (int32_t)strtol(lines[i], &end, 10);
        blackouts[i].cron = *end == ' ' ? end + 1 : end;
    }
    out->blackouts = blackouts;
    return blackouts || out->blackout_count == 0;
}

// ---- Schedules ----

static mos_status check_name(mos_catalog_session *session, const struct mos_schedule *schedule, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    int64_t others = 0;
    mos_status status = mos_sql_begin(&sql, session, "SELECT count(*) FROM schedules WHERE name = ? AND id <> ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, schedule->name);
        mos_sql_bind_text(&sql, schedule->id);
        status = mos_sql_number(&sql, &others, error);
    }
    return status == MOS_OK && others > 0 ? mos_fail(error, MOS_ALREADY_EXISTS, "another schedule is called \"%.64s\"", schedule->name)
                                          : status;
}

mos_status mos_catalog_put_schedule(mos_catalog_session *session, const struct mos_schedule *schedule, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer tags = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_BUFFER struct mos_buffer blackouts = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_SQL struct mos_sql sql = {0};
    mos_status status = check_name(session, schedule, error);
    if (status == MOS_OK) {
        status = mos_sql_begin(
            &sql, session,
            "INSERT OR REPLACE INTO schedules(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", error);
    }
    if (status != MOS_OK) {
        return status;
    }
    write_tags(schedule, &tags);
    write_blackouts(schedule, &blackouts);
    mos_sql_bind_text(&sql, schedule->id);
    mos_sql_bind_text(&sql, schedule->name);
    mos_sql_bind_text(&sql, schedule->cron);
    mos_sql_bind_text(&sql, schedule->time_zone);
    mos_sql_bind_text(&sql, mos_backup_type_word(schedule->backup_type));
    mos_sql_bind_text(&sql, schedule->backup_name);
    mos_sql_bind_number(&sql, schedule->retention_days);
    mos_sql_bind_number(&sql, schedule->encryption);
    mos_sql_bind_number(&sql, schedule->compression);
    mos_sql_bind_number(&sql, schedule->integrity_check);
    mos_sql_bind_number(&sql, schedule->offsite);
    mos_sql_bind_number(&sql, schedule->read_all);
    mos_sql_bind_text(&sql, mos_buffer_text(&tags));
    mos_sql_bind_number(&sql, schedule->jitter_seconds);
    mos_sql_bind_text(&sql, mos_buffer_text(&blackouts));
    mos_sql_bind_text(&sql, overlap_words[schedule->overlap]);
    mos_sql_bind_number(&sql, schedule->catch_up);
    mos_sql_bind_number(&sql, schedule->paused);
    mos_sql_bind_number(&sql, schedule->learn_timing);
    mos_sql_bind_text(&sql, schedule->timing_note);
    mos_sql_bind_number(&sql, schedule->has_keep);
    mos_sql_bind_number(&sql, schedule->keep.last);
    mos_sql_bind_number(&sql, schedule->keep.hourly);
    mos_sql_bind_number(&sql, schedule->keep.daily);
    mos_sql_bind_number(&sql, schedule->keep.weekly);
    mos_sql_bind_number(&sql, schedule->keep.monthly);
    mos_sql_bind_number(&sql, schedule->keep.yearly);
    mos_sql_bind_number(&sql, schedule->created_at_unix_ns);
    mos_sql_bind_number(&sql, schedule->updated_at_unix_ns);
    mos_sql_bind_number(&sql, schedule->accounted_until_unix_ns);
    status = mos_sql_finish(&sql, error);
    return status == MOS_OK ? mos_catalog_note_change(session, error) : status;
}

static mos_status take_row(struct mos_sql *sql, mos_arena *arena, struct mos_schedule *out, struct mos_error *error) {
    *out = (struct mos_schedule){.id = mos_sql_take_text(sql, arena)};
    out->name = mos_sql_take_text(sql, arena);
    out->cron = mos_sql_take_text(sql, arena);
    out->time_zone = mos_sql_take_text(sql, arena);
    out->backup_type = (enum mos_backup_type)mos_backup_type_from_word(mos_sql_take_text(sql, arena));
    out->backup_name = mos_sql_take_text(sql, arena);
    out->retention_days = (int32_t)mos_sql_take_number(sql);
    out->encryption = (enum mos_choice)mos_sql_take_number(sql);
    out->compression = (enum mos_choice)mos_sql_take_number(sql);
    out->integrity_check = (enum mos_choice)mos_sql_take_number(sql);
    out->offsite = (enum mos_choice)mos_sql_take_number(sql);
    out->read_all = mos_sql_take_number(sql) != 0;
    const char *tags = mos_sql_take_text(sql, arena);
    out->jitter_seconds = (int32_t)mos_sql_take_number(sql);
    const char *blackouts = mos_sql_take_text(sql, arena);
    out->overlap = (enum mos_overlap)FROM_WORD(overlap_words, mos_sql_take_text(sql, arena));
    out->catch_up = mos_sql_take_number(sql) != 0;
    out->paused = mos_sql_take_number(sql) != 0;
    out->learn_timing = mos_sql_take_number(sql) != 0;
    out->timing_note = mos_sql_take_text(sql, arena);
    out->has_keep = mos_sql_take_number(sql) != 0;
    out->keep.last = (int32_t)mos_sql_take_number(sql);
    out->keep.hourly = (int32_t)mos_sql_take_number(sql);
    out->keep.daily = (int32_t)mos_sql_take_number(sql);
    out->keep.weekly = (int32_t)mos_sql_take_number(sql);
    out->keep.monthly = (int32_t)mos_sql_take_number(sql);
    out->keep.yearly = (int32_t)mos_sql_take_number(sql);
    out->created_at_unix_ns = mos_sql_take_number(sql);
    out->updated_at_unix_ns = mos_sql_take_number(sql);
    out->accounted_until_unix_ns = mos_sql_take_number(sql);
    const char **lines;
    if (sql->failed || !take_lines(arena, tags, &lines, &out->tag_count) || !take_blackouts(arena, blackouts, out)) {
        return too_large(error);
    }
    out->tags = lines;
    return MOS_OK;
}

mos_status mos_catalog_get_schedule(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_schedule *out,
                                    struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row = false;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM schedules WHERE id = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, id);
        status = mos_sql_step(&sql, &row, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    return row ? take_row(&sql, arena, out, error) : mos_fail(error, MOS_NOT_FOUND, "no schedule has the id \"%.64s\"", id);
}

mos_status mos_catalog_remove_schedule(mos_catalog_session *session, const char *id, struct mos_error *error) {
    static const char *const texts[] = {"DELETE FROM schedules WHERE id = ?",
                                        "DELETE FROM schedule_runs WHERE schedule_id = ? AND state = 'WAITING'"};
    mos_status status = MOS_OK;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && status == MOS_OK; i++) {
        MOS_CLEANUP_SQL struct mos_sql sql;
        status = mos_sql_begin(&sql, session, texts[i], error);
        if (status == MOS_OK) {
            mos_sql_bind_text(&sql, id);
            status = mos_sql_finish(&sql, error);
        }
    }
    return status == MOS_OK ? mos_catalog_note_change(session, error) : status;
}

mos_status mos_catalog_list_schedules(mos_catalog_session *session, const struct mos_page *page, mos_arena *arena,
                                      struct mos_schedule **out, size_t *out_count, const char **out_next_token, struct mos_error *error) {
    static const char list[] = "schedules";
    struct mos_place place;
    int size;
    mos_status status = mos_page_size(page, &size, error);
    if (status == MOS_OK) {
        status = mos_place_decode(list, NULL, 0, page->token, &place, error);
    }
    MOS_CLEANUP_SQL struct mos_sql sql = {0};
    if (status == MOS_OK) {
        status = mos_sql_begin(
            &sql, session,
            "SELECT " COLUMNS " FROM schedules WHERE (created_at_ns, id) < (?, ?) ORDER BY created_at_ns DESC, id DESC LIMIT ?", error);
    }
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, place.created_at_unix_ns);
    mos_sql_bind_text(&sql, place.id);
    mos_sql_bind_number(&sql, size + 1);
    struct mos_schedule *schedules = mos_arena_array(arena, struct mos_schedule, (size_t)size);
    if (!schedules) {
        return too_large(error);
    }
    size_t count = 0;
    bool row;
    *out_next_token = "";
    while ((status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        if (count == (size_t)size) {
            *out_next_token = mos_place_encode(list, NULL, 0, schedules[count - 1].created_at_unix_ns, schedules[count - 1].id, arena);
            break;
        }
        status = take_row(&sql, arena, &schedules[count++], error);
        if (status != MOS_OK) {
            return status;
        }
    }
    *out = schedules;
    *out_count = count;
    return status;
}

mos_status mos_catalog_all_schedules(mos_catalog_session *session, mos_arena *arena, struct mos_schedule **out, size_t *out_count,
                                     struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql count_sql;
    int64_t most = 0;
    mos_status status = mos_sql_begin(&count_sql, session, "SELECT count(*) FROM schedules", error);
    if (status == MOS_OK) {
        status = mos_sql_number(&count_sql, &most, error);
    }
    MOS_CLEANUP_SQL struct mos_sql sql = {0};
    if (status == MOS_OK) {
        status = mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM schedules ORDER BY created_at_ns, id", error);
    }
    struct mos_schedule *schedules = mos_arena_array(arena, struct mos_schedule, (size_t)most);
    size_t count = 0;
    bool row = true;
    while (status == MOS_OK && count < (size_t)most && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        status = take_row(&sql, arena, &schedules[count++], error);
    }
    *out = schedules;
    *out_count = count;
    return status;
}

mos_status mos_catalog_account_schedule(mos_catalog_session *session, const struct mos_schedule *schedule, int64_t until_unix_ns,
                                        struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session, "UPDATE schedules SET accounted_until_ns = ? WHERE id = ? AND accounted_until_ns = ? AND updated_at_ns = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_number(&sql, until_unix_ns);
        mos_sql_bind_text(&sql, schedule->id);
        mos_sql_bind_number(&sql, schedule->accounted_until_unix_ns);
        mos_sql_bind_number(&sql, schedule->updated_at_unix_ns);
        status = mos_sql_finish(&sql, error);
    }
    return status == MOS_OK && sqlite3_changes(session->db) == 0 ? mos_fail(error, MOS_ABORTED, "the schedule was changed meanwhile")
                                                                 : status;
}

// ---- Runs ----

mos_status mos_catalog_last_backup_of(mos_catalog_session *session, const char *schedule_id, int64_t *out_unix_ns,
                                      struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT coalesce(max(created_at_ns), 0) FROM schedule_runs JOIN backups ON backups.id = backup_id "
                                      "WHERE schedule_id = ? AND backup_id <> '' AND encrypted_checksum <> '' AND damaged = 0",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, schedule_id);
    return mos_sql_number(&sql, out_unix_ns, error);
}

mos_status mos_catalog_run_started(mos_catalog_session *session, const char *schedule_id, int64_t due_at_unix_ns, bool *out,
                                   struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    int64_t count = 0;
    mos_status status = mos_sql_begin(
        &sql, session, "SELECT count(*) FROM schedule_runs WHERE schedule_id = ? AND due_at_ns = ? AND state = 'STARTED'", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, schedule_id);
        mos_sql_bind_number(&sql, due_at_unix_ns);
        status = mos_sql_number(&sql, &count, error);
    }
    *out = count > 0;
    return status;
}

mos_status mos_catalog_put_run(mos_catalog_session *session, const struct mos_run *run, struct mos_error *error) {
    bool before = false;
    mos_status status = mos_catalog_run_started(session, run->schedule_id, run->due_at_unix_ns, &before, error);
    if (status == MOS_OK && before) {
        return mos_fail(error, MOS_ALREADY_EXISTS, "the run was started before");
    }
    MOS_CLEANUP_SQL struct mos_sql sql = {0};
    if (status == MOS_OK) {
        status = mos_sql_begin(&sql, session, "INSERT OR REPLACE INTO schedule_runs(" RUN_COLUMNS ") VALUES(?,?,?,?,?,?,?,?)", error);
    }
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, run->schedule_id);
    mos_sql_bind_number(&sql, run->due_at_unix_ns);
    mos_sql_bind_number(&sql, run->through_unix_ns);
    mos_sql_bind_number(&sql, run->count);
    mos_sql_bind_text(&sql, mos_run_state_word(run->state));
    mos_sql_bind_number(&sql, run->recorded_at_unix_ns);
    mos_sql_bind_text(&sql, run->backup_id);
    mos_sql_bind_text(&sql, run->reason);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_remove_run(mos_catalog_session *session, const char *schedule_id, int64_t due_at_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "DELETE FROM schedule_runs WHERE schedule_id = ? AND due_at_ns = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, schedule_id);
    mos_sql_bind_number(&sql, due_at_unix_ns);
    return mos_sql_finish(&sql, error);
}

// All rows of a statement that gives RUN_COLUMNS.
static mos_status take_runs(struct mos_sql *sql, mos_arena *arena, struct mos_run **out, size_t *out_count, struct mos_error *error) {
    struct mos_run *runs = NULL;
    size_t count = 0, capacity = 0;
    bool row;
    mos_status status;
    while ((status = mos_sql_step(sql, &row, error)) == MOS_OK && row) {
        if (!runs || count == capacity) {
            size_t larger = capacity ? 2 * capacity : 16;
            struct mos_run *grown = mos_arena_array(arena, struct mos_run, larger);
            if (!grown) {
                return too_large(error);
            }
            if (runs) {
                memcpy(grown, runs, count * sizeof(*runs));
            }
            runs = grown;
            capacity = larger;
        }
        struct mos_run *run = &runs[count++];
        run->schedule_id = mos_sql_take_text(sql, arena);
        run->due_at_unix_ns = mos_sql_take_number(sql);
        run->through_unix_ns = mos_sql_take_number(sql);
        run->count = mos_sql_take_number(sql);
        run->state = (enum mos_run_state)FROM_WORD(state_words, mos_sql_take_text(sql, arena));
        run->recorded_at_unix_ns = mos_sql_take_number(sql);
        run->backup_id = mos_sql_take_text(sql, arena);
        run->reason = mos_sql_take_text(sql, arena);
    }
    *out = runs;
    *out_count = count;
    return status == MOS_OK && sql->failed ? too_large(error) : status;
}

mos_status mos_catalog_list_runs(mos_catalog_session *session, const char *schedule_id, enum mos_run_state state, int limit,
                                 mos_arena *arena, struct mos_run **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session,
        "SELECT " RUN_COLUMNS " FROM schedule_runs WHERE schedule_id = ? AND (? = '' OR state = ?) ORDER BY due_at_ns DESC LIMIT ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, schedule_id);
    mos_sql_bind_text(&sql, mos_run_state_word(state));
    mos_sql_bind_text(&sql, mos_run_state_word(state));
    mos_sql_bind_number(&sql, limit);
    return take_runs(&sql, arena, out, out_count, error);
}

mos_status mos_catalog_waiting_run(mos_catalog_session *session, const char *schedule_id, mos_arena *arena, const struct mos_run **out,
                                   struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    struct mos_run *runs;
    size_t count = 0;
    mos_status status = mos_sql_begin(
        &sql, session,
        "SELECT " RUN_COLUMNS " FROM schedule_runs INDEXED BY schedule_runs_waiting WHERE schedule_id = ? AND state = 'WAITING'", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, schedule_id);
        status = take_runs(&sql, arena, &runs, &count, error);
    }
    *out = count > 0 ? runs : NULL;
    return status;
}

mos_status mos_catalog_runs_behind(mos_catalog_session *session, const char *schedule_id, int64_t after_unix_ns, mos_arena *arena,
                                   struct mos_run **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session,
        "SELECT " RUN_COLUMNS " FROM schedule_runs WHERE schedule_id = ? AND through_ns > ? AND state <> 'STARTED' ORDER BY due_at_ns",
        error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, schedule_id);
    mos_sql_bind_number(&sql, after_unix_ns);
    return take_runs(&sql, arena, out, out_count, error);
}

mos_status mos_catalog_run_at_work(mos_catalog_session *session, const char *schedule_id, mos_arena *arena, const char **out_backup_id,
                                   struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row = false;
    mos_status status =
        mos_sql_begin(&sql, session,
                      "SELECT jobs.backup_id FROM jobs CROSS JOIN schedule_runs ON schedule_runs.backup_id = jobs.backup_id "
                      "WHERE jobs.status IN ('PENDING', 'RUNNING') AND jobs.kind = 'BACKUP' AND jobs.backup_id <> '' AND "
                      "schedule_runs.backup_id <> '' AND schedule_id = ? LIMIT 1",
                      error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, schedule_id);
        status = mos_sql_step(&sql, &row, error);
    }
    *out_backup_id = status == MOS_OK && row ? mos_sql_take_text(&sql, arena) : "";
    return status;
}

mos_status mos_catalog_thin_runs(mos_catalog_session *session, int64_t before_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "DELETE FROM schedule_runs WHERE through_ns < ? AND state <> 'WAITING' AND NOT EXISTS "
                                      "(SELECT 1 FROM backups WHERE backups.id = schedule_runs.backup_id)",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, before_unix_ns);
    return mos_sql_finish(&sql, error);
}
