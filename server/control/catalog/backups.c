#include "control/catalog/backups.h"

#include <string.h>

#include "common/buffer.h"
#include "control/catalog/sql.h"

#define COLUMNS                                                                                                                            \
    "id, name, type, status, created_at_ns, completed_at_ns, size, encrypted_size, key_id, checksum, encrypted_checksum, location, "       \
    "encrypted_location, retention_days, warnings, message, encryption_asked, compressed, integrity_check, parent_id, verified_at_ns, "    \
    "damaged, created_by, facts, locked_until_ns, legal_hold, local_only, absent"
// What is read of a row; quarantine is not written with it.
#define READ COLUMNS ", quarantined, quarantine_reason"
// Committed, and the last verification, if any, found it whole.
#define GOOD "encrypted_checksum <> '' AND damaged = 0 AND status IN ('COMPLETED', 'VERIFYING', 'VERIFIED')"

static mos_status put_tags(mos_catalog_session *session, const struct mos_backup *backup, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql removal;
    mos_status status = mos_sql_begin(&removal, session, "DELETE FROM backup_tags WHERE backup_id = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&removal, backup->id);
    status = mos_sql_finish(&removal, error);
    for (size_t i = 0; i < backup->tag_count && status == MOS_OK; i++) {
        MOS_CLEANUP_SQL struct mos_sql sql;
        status = mos_sql_begin(&sql, session, "INSERT OR IGNORE INTO backup_tags(backup_id, tag, position) VALUES(?, ?, ?)", error);
        if (status == MOS_OK) {
            mos_sql_bind_text(&sql, backup->id);
            mos_sql_bind_text(&sql, backup->tags[i]);
            mos_sql_bind_number(&sql, (int64_t)i);
            status = mos_sql_finish(&sql, error);
        }
    }
    return status;
}

mos_status mos_catalog_put_backup(mos_catalog_session *session, const struct mos_backup *backup, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session,
        "INSERT INTO backups(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET "
        "name = excluded.name, type = excluded.type, status = excluded.status, created_at_ns = excluded.created_at_ns, "
        "completed_at_ns = excluded.completed_at_ns, size = excluded.size, encrypted_size = excluded.encrypted_size, "
        "key_id = excluded.key_id, checksum = excluded.checksum, encrypted_checksum = excluded.encrypted_checksum, "
        "location = excluded.location, encrypted_location = excluded.encrypted_location, "
        "retention_days = excluded.retention_days, warnings = excluded.warnings, message = excluded.message, "
        "encryption_asked = excluded.encryption_asked, compressed = excluded.compressed, integrity_check = excluded.integrity_check, "
        "parent_id = excluded.parent_id, "
        "verified_at_ns = excluded.verified_at_ns, damaged = excluded.damaged, created_by = excluded.created_by, "
        "facts = excluded.facts, locked_until_ns = excluded.locked_until_ns, legal_hold = excluded.legal_hold, "
        "local_only = excluded.local_only, absent = excluded.absent",
        error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, backup->id);
    mos_sql_bind_text(&sql, backup->name);
    mos_sql_bind_text(&sql, mos_backup_type_word(backup->type));
    mos_sql_bind_text(&sql, mos_backup_status_word(backup->status));
    mos_sql_bind_number(&sql, backup->created_at_unix_ns);
    mos_sql_bind_number(&sql, backup->completed_at_unix_ns);
    mos_sql_bind_number(&sql, backup->size_bytes);
    mos_sql_bind_number(&sql, backup->encrypted_size_bytes);
    mos_sql_bind_text(&sql, backup->key_id);
    mos_sql_bind_text(&sql, backup->checksum);
    mos_sql_bind_text(&sql, backup->encrypted_checksum);
    mos_sql_bind_text(&sql, backup->location);
    mos_sql_bind_text(&sql, backup->encrypted_location);
    mos_sql_bind_number(&sql, backup->retention_days);
    mos_sql_bind_number(&sql, backup->warnings);
    mos_sql_bind_text(&sql, backup->message);
    mos_sql_bind_number(&sql, backup->encryption_asked);
    mos_sql_bind_number(&sql, backup->compressed);
    mos_sql_bind_number(&sql, backup->integrity_check);
    mos_sql_bind_text(&sql, backup->parent_id);
    mos_sql_bind_number(&sql, backup->verified_at_unix_ns);
    mos_sql_bind_number(&sql, backup->damaged);
    mos_sql_bind_text(&sql, backup->created_by);
    mos_sql_bind_blob(&sql, backup->facts.data, backup->facts.size_bytes);
    mos_sql_bind_number(&sql, backup->locked_until_unix_ns);
    mos_sql_bind_number(&sql, backup->legal_hold);
    mos_sql_bind_number(&sql, backup->local_only);
    mos_sql_bind_number(&sql, backup->absent);
    status = mos_sql_finish(&sql, error);
    return status == MOS_OK ? put_tags(session, backup, error) : status;
}

static mos_status take_tags(mos_catalog_session *session, mos_arena *arena, struct mos_backup *backup, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT tag FROM backup_tags WHERE backup_id = ? ORDER BY position", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, backup->id);
    const char **tags = NULL;
    size_t count = 0, capacity = 0;
    bool row;
    while ((status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        if (!tags || count == capacity) {
            size_t larger = capacity ? 2 * capacity : 4;
            const char **grown = mos_arena_array(arena, const char *, larger);
            if (!grown) {
                return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the tags of a backup take too much memory");
            }
            if (tags) {
                memcpy(grown, tags, capacity * sizeof(*tags));
            }
            tags = grown;
            capacity = larger;
        }
        tags[count++] = mos_sql_take_text(&sql, arena);
    }
    backup->tags = tags;
    backup->tag_count = count;
    return status;
}

// The columns of READ.
static mos_status take_row(struct mos_sql *sql, mos_arena *arena, struct mos_backup *out, struct mos_error *error) {
    *out = (struct mos_backup){.id = mos_sql_take_text(sql, arena)};
    out->name = mos_sql_take_text(sql, arena);
    out->type = mos_backup_type_from_word(mos_sql_take_text(sql, arena));
    out->status = mos_backup_status_from_word(mos_sql_take_text(sql, arena));
    out->created_at_unix_ns = mos_sql_take_number(sql);
    out->completed_at_unix_ns = mos_sql_take_number(sql);
    out->size_bytes = mos_sql_take_number(sql);
    out->encrypted_size_bytes = mos_sql_take_number(sql);
    out->key_id = mos_sql_take_text(sql, arena);
    out->checksum = mos_sql_take_text(sql, arena);
    out->encrypted_checksum = mos_sql_take_text(sql, arena);
    out->location = mos_sql_take_text(sql, arena);
    out->encrypted_location = mos_sql_take_text(sql, arena);
    out->retention_days = (int32_t)mos_sql_take_number(sql);
    out->warnings = mos_sql_take_number(sql);
    out->message = mos_sql_take_text(sql, arena);
    out->encryption_asked = mos_sql_take_number(sql) != 0;
    out->compressed = mos_sql_take_number(sql) != 0;
    out->integrity_check = mos_sql_take_number(sql) != 0;
    out->parent_id = mos_sql_take_text(sql, arena);
    out->verified_at_unix_ns = mos_sql_take_number(sql);
    out->damaged = mos_sql_take_number(sql) != 0;
    out->created_by = mos_sql_take_text(sql, arena);
    out->facts = mos_sql_take_blob(sql, arena);
    out->locked_until_unix_ns = mos_sql_take_number(sql);
    out->legal_hold = mos_sql_take_number(sql) != 0;
    out->local_only = mos_sql_take_number(sql) != 0;
    out->absent = mos_sql_take_number(sql) != 0;
    out->quarantined = mos_sql_take_number(sql) != 0;
    out->quarantine_reason = mos_sql_take_text(sql, arena);
    if (sql->failed) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages");
    }
    return take_tags(sql->session, arena, out, error);
}

mos_status mos_catalog_get_backup(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_backup *out,
                                  struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " READ " FROM backups WHERE id = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, id);
    bool row;
    status = mos_sql_step(&sql, &row, error);
    if (status != MOS_OK) {
        return status;
    }
    return row ? take_row(&sql, arena, out, error) : mos_fail(error, MOS_NOT_FOUND, "no backup has the id \"%.64s\"", id);
}

mos_status mos_catalog_remove_backup(mos_catalog_session *session, const char *id, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "DELETE FROM backups WHERE id = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, id);
    return mos_sql_finish(&sql, error);
}

// ---- Lists ----

// All that a page token is bound to.
static void describe_filter(const struct mos_backup_filter *filter, struct mos_buffer *out) {
    mos_buffer_printf(out, "%d %d %lld %lld ", filter->type, filter->status, (long long)filter->created_after_unix_ns,
                      (long long)filter->created_before_unix_ns);
    for (size_t i = 0; i < filter->tag_count; i++) {
        mos_buffer_append(out, filter->tags[i], strlen(filter->tags[i]) + 1);
    }
}

static void write_query(const struct mos_backup_filter *filter, struct mos_buffer *out) {
    mos_buffer_append_text(out, "SELECT " READ " FROM backups WHERE (created_at_ns, id) < (?, ?)");
    if (filter->type) {
        mos_buffer_append_text(out, " AND type = ?");
    }
    if (filter->status) {
        mos_buffer_append_text(out, " AND status = ?");
    }
    if (filter->created_after_unix_ns) {
        mos_buffer_append_text(out, " AND created_at_ns > ?");
    }
    if (filter->created_before_unix_ns) {
        mos_buffer_append_text(out, " AND created_at_ns < ?");
    }
    for (size_t i = 0; i < filter->tag_count; i++) {
        mos_buffer_append_text(out, i == 0 ? " AND EXISTS (SELECT 1 FROM backup_tags WHERE backup_id = backups.id AND tag IN (?" : ", ?");
    }
    mos_buffer_append_text(out, filter->tag_count ? "))" : "");
    mos_buffer_append_text(out, " ORDER BY created_at_ns DESC, id DESC LIMIT ?");
}

mos_status mos_catalog_list_backups(mos_catalog_session *session, const struct mos_backup_filter *filter, const struct mos_page *page,
                                    mos_arena *arena, struct mos_backup **out, size_t *out_count, const char **out_next_token,
                                    struct mos_error *error) {
    static const char list[] = "backups";
    MOS_CLEANUP_BUFFER struct mos_buffer filters = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0);
    describe_filter(filter, &filters);
    struct mos_place place;
    int size;
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
    if (filter->type) {
        mos_sql_bind_text(&sql, mos_backup_type_word(filter->type));
    }
    if (filter->status) {
        mos_sql_bind_text(&sql, mos_backup_status_word(filter->status));
    }
    if (filter->created_after_unix_ns) {
        mos_sql_bind_number(&sql, filter->created_after_unix_ns);
    }
    if (filter->created_before_unix_ns) {
        mos_sql_bind_number(&sql, filter->created_before_unix_ns);
    }
    for (size_t i = 0; i < filter->tag_count; i++) {
        mos_sql_bind_text(&sql, filter->tags[i]);
    }
    // One more than asked for tells whether there is another page.
    mos_sql_bind_number(&sql, size + 1);
    struct mos_backup *backups = mos_arena_array(arena, struct mos_backup, (size_t)size);
    if (!backups) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages");
    }
    size_t count = 0;
    bool row;
    *out_next_token = "";
    while ((status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        if (count == (size_t)size) {
            *out_next_token = mos_place_encode(list, filters.data, filters.size_bytes, backups[count - 1].created_at_unix_ns,
                                               backups[count - 1].id, arena);
            break;
        }
        status = take_row(&sql, arena, &backups[count++], error);
        if (status != MOS_OK) {
            return status;
        }
    }
    *out = backups;
    *out_count = count;
    return status;
}

mos_status mos_catalog_count_backups(mos_catalog_session *session, int64_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT count(*) FROM backups", error);
    return status == MOS_OK ? mos_sql_number(&sql, out_count, error) : status;
}

mos_status mos_catalog_count_backups_of_key(mos_catalog_session *session, const char *key_id, int64_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT count(*) FROM backups WHERE key_id = ? AND encrypted_checksum <> ''", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, key_id);
    return mos_sql_number(&sql, out_count, error);
}

mos_status mos_catalog_good_backups(mos_catalog_session *session, enum mos_backup_type type,
                                    bool (*visit)(const struct mos_backup *backup, void *argument), void *argument,
                                    struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session, "SELECT " READ " FROM backups WHERE (? = '' OR type = ?) AND " GOOD " ORDER BY created_at_ns DESC, id DESC", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, type ? mos_backup_type_word(type) : "");
    mos_sql_bind_text(&sql, type ? mos_backup_type_word(type) : "");
    bool row, more = true;
    while (more && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_backup backup;
        status = take_row(&sql, arena, &backup, error);
        if (status != MOS_OK) {
            break;
        }
        more = visit(&backup, argument);
    }
    return status;
}

mos_status mos_catalog_newest_backup(mos_catalog_session *session, enum mos_backup_type type, mos_arena *arena, struct mos_backup *out,
                                     bool *out_found, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session, "SELECT " READ " FROM backups WHERE type = ? AND " GOOD " ORDER BY created_at_ns DESC, id DESC LIMIT 1", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, mos_backup_type_word(type));
    status = mos_sql_step(&sql, out_found, error);
    return status == MOS_OK && *out_found ? take_row(&sql, arena, out, error) : status;
}

mos_status mos_catalog_count_backups_not_of_key(mos_catalog_session *session, const char *key_id, int64_t *out_count,
                                                struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT count(*) FROM backups WHERE key_id <> ? AND encrypted_checksum <> ''", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, key_id);
    return mos_sql_number(&sql, out_count, error);
}

mos_status mos_catalog_set_backup_key(mos_catalog_session *session, const char *id, const char *key_id, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "UPDATE backups SET key_id = ? WHERE id = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, key_id);
    mos_sql_bind_text(&sql, id);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_set_backup_absent(mos_catalog_session *session, const char *id, bool absent, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "UPDATE backups SET absent = ? WHERE id = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, absent);
    mos_sql_bind_text(&sql, id);
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_absent_backups(mos_catalog_session *session, mos_arena *arena, char ***out, size_t *out_count,
                                      struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql count_sql;
    int64_t expected = 0;
    mos_status status = mos_sql_begin(&count_sql, session, "SELECT count(*) FROM backups WHERE absent = 1", error);
    status = status ? status : mos_sql_number(&count_sql, &expected, error);
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_SQL struct mos_sql sql;
    status = mos_sql_begin(&sql, session, "SELECT id FROM backups WHERE absent = 1", error);
    char **ids = mos_arena_array(arena, char *, (size_t)expected + 1);
    size_t count = 0;
    bool row = true;
    while (status == MOS_OK && ids && count < (size_t)expected && (status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        ids[count++] = (char *)mos_sql_take_text(&sql, arena);
    }
    *out = ids;
    *out_count = count;
    return ids && !sql.failed ? status : mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list of absent backups takes too much memory");
}
