#include "control/catalog/offsite.h"

#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "control/catalog/catalog_internal.h"
#include "control/catalog/sql.h"

#define COLUMNS                                                                                                                            \
    "id, backup_id, place, provider, status, created_at_ns, created_by, uploaded_at_ns, size, checksum, retention_days, policy, "          \
    "expires_at_ns, locked_until_ns, message, objects_total, objects_done, attempts, next_attempt_ns, replicate, refused, source"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const statuses[] = {"", "PENDING", "UPLOADING", "COMPLETED", "FAILED", "ARCHIVED", "DELETED", "RETRYING"};
static const char *const actions[] = {"", "UPLOAD", "DOWNLOAD", "DELETE", "VERIFY", "REPLICATE"};
static const char *const providers[] = {"", "LOCAL_REMOTE", "S3", "AZURE_BLOB", "GOOGLE_CLOUD", "SFTP"};

#define WORDS(name, words)                                                                                                                 \
    const char *mos_##name##_word(int number) {                                                                                            \
        return number >= 0 && (size_t)number < COUNT(words) ? words[number] : "";                                                          \
    }                                                                                                                                      \
    int mos_##name##_from_word(const char *word) {                                                                                         \
        for (size_t i = 1; i < COUNT(words); i++) {                                                                                        \
            if (strcmp(words[i], word) == 0) {                                                                                             \
                return (int)i;                                                                                                             \
            }                                                                                                                              \
        }                                                                                                                                  \
        return 0;                                                                                                                          \
    }

WORDS(copy_status, statuses)
WORDS(copy_action, actions)
WORDS(provider, providers)

static mos_status too_large(struct mos_error *error) {
    return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages");
}

// ---- Copies ----

mos_status mos_catalog_put_copy(mos_catalog_session *session, const struct mos_copy *copy, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session,
        "INSERT INTO offsite_copies(" COLUMNS
        ", objects) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,x'') ON CONFLICT(id) DO UPDATE SET "
        "status = excluded.status, uploaded_at_ns = excluded.uploaded_at_ns, size = excluded.size, checksum = excluded.checksum, "
        "retention_days = excluded.retention_days, policy = excluded.policy, expires_at_ns = excluded.expires_at_ns, "
        "locked_until_ns = excluded.locked_until_ns, message = excluded.message, objects_total = excluded.objects_total, "
        "objects_done = excluded.objects_done, attempts = excluded.attempts, next_attempt_ns = excluded.next_attempt_ns, "
        "replicate = excluded.replicate, refused = excluded.refused, source = excluded.source",
        error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, copy->id);
    mos_sql_bind_text(&sql, copy->backup_id);
    mos_sql_bind_text(&sql, copy->place);
    mos_sql_bind_text(&sql, mos_provider_word(copy->provider));
    mos_sql_bind_text(&sql, mos_copy_status_word(copy->status));
    mos_sql_bind_number(&sql, copy->created_at_unix_ns);
    mos_sql_bind_text(&sql, copy->created_by);
    mos_sql_bind_number(&sql, copy->uploaded_at_unix_ns);
    mos_sql_bind_number(&sql, copy->size_bytes);
    mos_sql_bind_text(&sql, copy->checksum);
    mos_sql_bind_number(&sql, copy->retention_days);
    mos_sql_bind_text(&sql, copy->policy);
    mos_sql_bind_number(&sql, copy->expires_at_unix_ns);
    mos_sql_bind_number(&sql, copy->locked_until_unix_ns);
    mos_sql_bind_text(&sql, copy->message);
    mos_sql_bind_number(&sql, copy->objects_total);
    mos_sql_bind_number(&sql, copy->objects_done);
    mos_sql_bind_number(&sql, copy->attempts);
    mos_sql_bind_number(&sql, copy->next_attempt_unix_ns);
    mos_sql_bind_number(&sql, copy->replicate);
    mos_sql_bind_number(&sql, copy->refused);
    mos_sql_bind_number(&sql, (int64_t)copy->source);
    return mos_sql_finish(&sql, error);
}

static mos_status take_row(struct mos_sql *sql, mos_arena *arena, struct mos_copy *out, struct mos_error *error) {
    *out = (struct mos_copy){.id = mos_sql_take_text(sql, arena)};
    out->backup_id = mos_sql_take_text(sql, arena);
    out->place = mos_sql_take_text(sql, arena);
    out->provider = mos_provider_from_word(mos_sql_take_text(sql, arena));
    out->status = (enum mos_copy_status)mos_copy_status_from_word(mos_sql_take_text(sql, arena));
    out->created_at_unix_ns = mos_sql_take_number(sql);
    out->created_by = mos_sql_take_text(sql, arena);
    out->uploaded_at_unix_ns = mos_sql_take_number(sql);
    out->size_bytes = mos_sql_take_number(sql);
    out->checksum = mos_sql_take_text(sql, arena);
    out->retention_days = (int32_t)mos_sql_take_number(sql);
    out->policy = mos_sql_take_text(sql, arena);
    out->expires_at_unix_ns = mos_sql_take_number(sql);
    out->locked_until_unix_ns = mos_sql_take_number(sql);
    out->message = mos_sql_take_text(sql, arena);
    out->objects_total = mos_sql_take_number(sql);
    out->objects_done = mos_sql_take_number(sql);
    out->attempts = mos_sql_take_number(sql);
    out->next_attempt_unix_ns = mos_sql_take_number(sql);
    out->replicate = mos_sql_take_number(sql) != 0;
    out->refused = mos_sql_take_number(sql) != 0;
    out->source = (uint64_t)mos_sql_take_number(sql);
    return sql->failed ? too_large(error) : MOS_OK;
}

mos_status mos_catalog_get_copy(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_copy *out,
                                struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row = false;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM offsite_copies WHERE id = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, id);
        status = mos_sql_step(&sql, &row, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    return row ? take_row(&sql, arena, out, error) : mos_fail(error, MOS_NOT_FOUND, "no offsite backup has the id \"%.64s\"", id);
}

mos_status mos_catalog_find_copy(mos_catalog_session *session, const char *backup_id, const char *place, mos_arena *arena,
                                 struct mos_copy *out, bool *out_found, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    *out_found = false;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT " COLUMNS " FROM offsite_copies WHERE backup_id = ? AND place = ? "
                                      "ORDER BY created_at_ns DESC, id DESC LIMIT 1",
                                      error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, backup_id);
        mos_sql_bind_text(&sql, place);
        status = mos_sql_step(&sql, out_found, error);
    }
    return status == MOS_OK && *out_found ? take_row(&sql, arena, out, error) : status;
}

mos_status mos_catalog_put_copy_objects(mos_catalog_session *session, const char *id, struct mos_blob objects, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "UPDATE offsite_copies SET objects = ? WHERE id = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_blob(&sql, objects.data, objects.size_bytes);
    mos_sql_bind_text(&sql, id);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_get_copy_objects(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_blob *out,
                                        struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row = false;
    *out = (struct mos_blob){0};
    mos_status status = mos_sql_begin(&sql, session, "SELECT objects FROM offsite_copies WHERE id = ?", error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, id);
        status = mos_sql_step(&sql, &row, error);
    }
    if (status == MOS_OK && row) {
        *out = mos_sql_take_blob(&sql, arena);
    }
    return status == MOS_OK && sql.failed ? too_large(error) : status;
}

static void write_query(const struct mos_copy_filter *filter, struct mos_buffer *out) {
    mos_buffer_append_text(out, "SELECT " COLUMNS " FROM offsite_copies WHERE (created_at_ns, id) < (?, ?)");
    mos_buffer_append_text(out, filter->provider ? " AND provider = ?" : "");
    mos_buffer_append_text(out, filter->status ? " AND status = ?" : "");
    mos_buffer_append_text(out, filter->backup_id && *filter->backup_id ? " AND backup_id = ?" : "");
    mos_buffer_append_text(out, filter->uploaded_after_unix_ns ? " AND uploaded_at_ns > ?" : "");
    mos_buffer_append_text(out, " ORDER BY created_at_ns DESC, id DESC LIMIT ?");
}

static void bind_filter(struct mos_sql *sql, const struct mos_copy_filter *filter) {
    if (filter->provider) {
        mos_sql_bind_text(sql, mos_provider_word(filter->provider));
    }
    if (filter->status) {
        mos_sql_bind_text(sql, mos_copy_status_word(filter->status));
    }
    if (filter->backup_id && *filter->backup_id) {
        mos_sql_bind_text(sql, filter->backup_id);
    }
    if (filter->uploaded_after_unix_ns) {
        mos_sql_bind_number(sql, filter->uploaded_after_unix_ns);
    }
}

mos_status mos_catalog_list_copies(mos_catalog_session *session, const struct mos_copy_filter *filter, const struct mos_page *page,
                                   mos_arena *arena, struct mos_copy **out, size_t *out_count, const char **out_next_token,
                                   struct mos_error *error) {
    static const char list[] = "offsite";
    MOS_CLEANUP_BUFFER struct mos_buffer filters = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0);
    struct mos_place place;
    int size;
    mos_buffer_printf(&filters, "%d %d %lld %s", filter->provider, filter->status, (long long)filter->uploaded_after_unix_ns,
                      filter->backup_id ? filter->backup_id : "");
    mos_status status = mos_page_size(page, &size, error);
    if (status == MOS_OK) {
        status = mos_place_decode(list, filters.data, filters.size_bytes, page->token, &place, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    write_query(filter, &query);
    MOS_CLEANUP_SQL struct mos_sql sql;
    status = mos_sql_begin(&sql, session, mos_buffer_text(&query), error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, place.created_at_unix_ns);
    mos_sql_bind_text(&sql, place.id);
    bind_filter(&sql, filter);
    // One more than asked for tells whether there is another page.
    mos_sql_bind_number(&sql, size + 1);
    struct mos_copy *copies = mos_arena_array(arena, struct mos_copy, (size_t)size);
    size_t count = 0;
    bool row = false;
    *out_next_token = "";
    while (copies && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        if (count == (size_t)size) {
            *out_next_token =
                mos_place_encode(list, filters.data, filters.size_bytes, copies[count - 1].created_at_unix_ns, copies[count - 1].id, arena);
            break;
        }
        status = take_row(&sql, arena, &copies[count++], error);
        if (status != MOS_OK) {
            return status;
        }
    }
    *out = copies;
    *out_count = count;
    return copies ? status : too_large(error);
}

mos_status mos_catalog_places_of(mos_catalog_session *session, const char *backup_id, mos_arena *arena, const char **out,
                                 struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT coalesce(group_concat(place, ', '), '') FROM (SELECT DISTINCT place FROM offsite_copies "
                                      "WHERE backup_id = ? AND status IN ('COMPLETED', 'ARCHIVED') ORDER BY place)",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, backup_id);
    status = mos_sql_step(&sql, &row, error);
    if (status == MOS_OK) {
        *out = mos_sql_take_text(&sql, arena);
    }
    return status;
}

mos_status mos_catalog_each_copy(mos_catalog_session *session, const char *place,
                                 bool (*visit)(const struct mos_copy *copy, void *argument), void *argument, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT " COLUMNS " FROM offsite_copies WHERE (? = '' OR place = ?) AND status <> 'DELETED' "
                                      "ORDER BY created_at_ns, id",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, place);
    mos_sql_bind_text(&sql, place);
    bool row = false, more = true;
    while (more && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_copy copy;
        status = take_row(&sql, arena, &copy, error);
        if (status != MOS_OK) {
            break;
        }
        more = visit(&copy, argument);
    }
    return status;
}

mos_status mos_catalog_due_copy(mos_catalog_session *session, const char *place, int64_t now_unix_ns, mos_arena *arena,
                                struct mos_copy *out, bool *out_found, int64_t *out_next_unix_ns, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    bool row = false;
    *out_found = false;
    *out_next_unix_ns = 0;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT " COLUMNS " FROM offsite_copies WHERE place = ? AND status IN ('PENDING', 'UPLOADING', "
                                      "'RETRYING') ORDER BY next_attempt_ns, created_at_ns, id LIMIT 1",
                                      error);
    if (status == MOS_OK) {
        mos_sql_bind_text(&sql, place);
        status = mos_sql_step(&sql, &row, error);
    }
    if (status != MOS_OK || !row) {
        return status;
    }
    status = take_row(&sql, arena, out, error);
    *out_found = status == MOS_OK && out->next_attempt_unix_ns <= now_unix_ns;
    *out_next_unix_ns = status == MOS_OK ? out->next_attempt_unix_ns : 0;
    return status;
}

// ---- What is missing ----

// Whole, and free to leave. A backup whose data is not here came from a place and needs no new copy.
#define MAY_LEAVE "b.encrypted_checksum <> '' AND b.local_only = 0 AND b.absent = 0"

// And not kept from the place by an order for another.
#define NOT_KEPT_BACK "AND NOT EXISTS (SELECT 1 FROM offsite_copies u WHERE u.backup_id = b.id AND u.place = ? AND u.replicate = 0)"

mos_status mos_catalog_oldest_missing(mos_catalog_session *session, const char *place, const char *unless, int64_t *out_unix_ns,
                                      struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT coalesce(min(b.completed_at_ns), 0) FROM backups b WHERE " MAY_LEAVE
                                      " AND NOT EXISTS (SELECT 1 FROM offsite_copies c WHERE c.backup_id = b.id AND c.place = ? "
                                      "AND c.status IN ('COMPLETED', 'ARCHIVED', 'DELETED')) " NOT_KEPT_BACK,
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, place);
    mos_sql_bind_text(&sql, unless);
    return mos_sql_number(&sql, out_unix_ns, error);
}

mos_status mos_catalog_backups_without_copy(mos_catalog_session *session, const char *place, const char *unless, int limit,
                                            mos_arena *arena, struct mos_backup **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session,
                      "SELECT b.id FROM backups b WHERE " MAY_LEAVE
                      " AND NOT EXISTS (SELECT 1 FROM offsite_copies c WHERE c.backup_id = b.id AND c.place = ?) " NOT_KEPT_BACK
                      " ORDER BY b.created_at_ns, b.id LIMIT ?",
                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, place);
    mos_sql_bind_text(&sql, unless);
    mos_sql_bind_number(&sql, limit);
    struct mos_backup *backups = mos_arena_array(arena, struct mos_backup, (size_t)limit);
    size_t count = 0;
    bool row = false;
    while (backups && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        status = mos_catalog_get_backup(session, mos_sql_take_text(&sql, arena), arena, &backups[count++], error);
        if (status != MOS_OK) {
            return status;
        }
    }
    *out = backups;
    *out_count = count;
    return backups ? status : too_large(error);
}

mos_status mos_catalog_give_up_copies(mos_catalog_session *session, const char *place, const char *other, const char *message,
                                      struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "UPDATE offsite_copies SET status = 'FAILED', message = ? WHERE status IN ('PENDING', 'UPLOADING', "
                                      "'RETRYING') AND place NOT IN (?, ?)",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, message);
    mos_sql_bind_text(&sql, place);
    mos_sql_bind_text(&sql, other);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_count_lone_copies(mos_catalog_session *session, uint32_t key_version, int64_t *out_count, struct mos_error *error) {
    char pattern[64];
    snprintf(pattern, sizeof(pattern), "/%u", key_version);
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session,
                      "SELECT count(*) FROM offsite_copies c WHERE c.status NOT IN ('FAILED', 'DELETED') AND "
                      "NOT EXISTS (SELECT 1 FROM backups b WHERE b.id = c.backup_id) AND "
                      "EXISTS (SELECT 1 FROM offsite_objects o WHERE o.place = c.place AND o.name = 'keys/' || c.backup_id || ?)",
                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, pattern);
    return mos_sql_number(&sql, out_count, error);
}

// ---- The whole catalog ----

mos_status mos_catalog_copy_to(mos_catalog *catalog, const char *path, struct mos_error *error) {
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    mos_status status = MOS_OK;
    // A connection of its own: it may take long, and holds nobody up.
    if (sqlite3_open_v2(catalog->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        status = db ? mos_sql_fail(db, error, "be opened") : mos_fail(error, MOS_INTERNAL, "SQLite gives no connection");
    }
    if (status == MOS_OK) {
        sqlite3_busy_timeout(db, 10000);
        if (sqlite3_prepare_v2(db, "VACUUM INTO ?", -1, &statement, NULL) != SQLITE_OK ||
            sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(statement) != SQLITE_DONE) {
            status = mos_sql_fail(db, error, "be copied");
        }
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}
