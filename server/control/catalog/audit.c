#include "control/catalog/audit.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "control/catalog/sql.h"

#define COLUMNS "sequence, time, actor, ip_address, action, resource, result, details, previous, hash"
#define CHECKPOINT_COLUMNS "sequence, time_ns, hash, public_key, signature"

enum { LONGEST_TEXT = 512, LONGEST_DETAIL = 256 * 1024 };

_Static_assert(sizeof(((mos_catalog_session *)0)->audit_hash) == MOS_AUDIT_HASH_BYTES, "the writer remembers a hash");

// ---- Adding ----

static mos_status too_large(struct mos_error *error) {
    return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the audit entries take too much memory; ask for smaller pages");
}

mos_status mos_catalog_audit_head(mos_catalog_session *session, int64_t *out_sequence, uint8_t out_hash[MOS_AUDIT_HASH_BYTES],
                                  struct mos_error *error) {
    if (session->audit_sequence >= 0) {
        *out_sequence = session->audit_sequence;
        memcpy(out_hash, session->audit_hash, MOS_AUDIT_HASH_BYTES);
        return MOS_OK;
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT sequence, hash FROM audit_entries ORDER BY sequence DESC LIMIT 1", error);
    bool row = false;
    if (status == MOS_OK) {
        status = mos_sql_step(&sql, &row, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    *out_sequence = row ? mos_sql_take_number(&sql) : 0;
    memset(out_hash, 0, MOS_AUDIT_HASH_BYTES);
    if (row) {
        struct mos_blob hash = mos_sql_take_blob(&sql, arena);
        memcpy(out_hash, hash.data ? hash.data : out_hash, hash.size_bytes < MOS_AUDIT_HASH_BYTES ? hash.size_bytes : MOS_AUDIT_HASH_BYTES);
    }
    if (session->writer) {
        session->audit_sequence = *out_sequence;
        memcpy(session->audit_hash, out_hash, MOS_AUDIT_HASH_BYTES);
    }
    return MOS_OK;
}

mos_status mos_catalog_set_audit_head(mos_catalog_session *session, int64_t sequence, const uint8_t hash[MOS_AUDIT_HASH_BYTES],
                                      struct mos_error *error) {
    (void)error;
    session->audit_sequence = sequence;
    memcpy(session->audit_hash, hash, MOS_AUDIT_HASH_BYTES);
    return MOS_OK;
}

// One row more than there is, even where somebody put rows in by hand: theirs do not fit into the chain, ours goes on.
static mos_status next_sequence(mos_catalog_session *session, int64_t head, int64_t *out, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT max(sequence) FROM audit_entries", error);
    int64_t last = 0;
    if (status == MOS_OK) {
        status = mos_sql_number(&sql, &last, error);
    }
    *out = (last > head ? last : head) + 1;
    return status;
}

static const char *as_text(mos_arena *arena, const char *text, size_t longest) {
    size_t length = text ? strlen(text) : 0;
    if (length > longest) {
        length = longest;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) {
            length--;
        }
        return mos_arena_printf(arena, "%s…", mos_path_escape(arena, text, length));
    }
    return !text ? "" : mos_utf8_valid(text, length) ? text : mos_path_escape(arena, text, length);
}

static mos_status insert(mos_catalog_session *session, const struct mos_audit_entry *entry, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer details = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "INSERT INTO audit_entries(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_audit_append_details(&details, entry);
    mos_sql_bind_number(&sql, entry->sequence);
    mos_sql_bind_text(&sql, entry->time);
    mos_sql_bind_text(&sql, entry->actor);
    mos_sql_bind_text(&sql, entry->ip_address);
    mos_sql_bind_text(&sql, entry->action);
    mos_sql_bind_text(&sql, entry->resource);
    mos_sql_bind_text(&sql, entry->result);
    mos_sql_bind_text(&sql, mos_buffer_text(&details));
    mos_sql_bind_blob(&sql, entry->previous, sizeof(entry->previous));
    mos_sql_bind_blob(&sql, entry->hash, sizeof(entry->hash));
    return mos_sql_finish(&sql, error);
}

mos_status mos_catalog_add_audit(mos_catalog_session *session, const struct mos_audit_entry *entry, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char time[MOS_TIME_TEXT_BYTES];
    struct mos_audit_detail details[MOS_AUDIT_MOST_DETAILS];
    struct mos_audit_entry added = {.time = time};
    int64_t head = 0;
    mos_status status = mos_catalog_audit_head(session, &head, added.previous, error);
    if (status == MOS_OK) {
        status = next_sequence(session, head, &added.sequence, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    mos_time_format(mos_now_unix_ns(), time);
    added.actor = as_text(arena, entry->actor, LONGEST_TEXT);
    added.ip_address = as_text(arena, entry->ip_address, LONGEST_TEXT);
    added.action = as_text(arena, entry->action, LONGEST_TEXT);
    added.resource = as_text(arena, entry->resource, LONGEST_TEXT);
    added.result = as_text(arena, entry->result, LONGEST_TEXT);
    for (size_t i = 0; i < entry->detail_count && i < MOS_AUDIT_MOST_DETAILS; i++) {
        details[i].name = as_text(arena, entry->details[i].name, LONGEST_TEXT);
        details[i].value = as_text(arena, entry->details[i].value, LONGEST_DETAIL);
        added.detail_count++;
    }
    added.detail_count = mos_audit_sort_details(details, added.detail_count);
    added.details = details;
    mos_audit_hash(&added, added.hash);
    status = insert(session, &added, error);
    return status == MOS_OK ? mos_catalog_set_audit_head(session, added.sequence, added.hash, error) : status;
}

// ---- Reading ----

static void take_hash(struct mos_sql *sql, mos_arena *arena, uint8_t *out, size_t size_bytes) {
    struct mos_blob blob = mos_sql_take_blob(sql, arena);
    // One of another size is nobody's hash: it stays zero and fits nowhere.
    if (blob.size_bytes == size_bytes) {
        memcpy(out, blob.data, size_bytes);
    }
}

static void take_row(struct mos_sql *sql, mos_arena *arena, struct mos_audit_entry *out) {
    static const struct mos_audit_detail unreadable[] = {{"unreadable", "the row's details are no JSON"}};
    *out = (struct mos_audit_entry){.sequence = mos_sql_take_number(sql)};
    out->time = mos_sql_take_text(sql, arena);
    out->actor = mos_sql_take_text(sql, arena);
    out->ip_address = mos_sql_take_text(sql, arena);
    out->action = mos_sql_take_text(sql, arena);
    out->resource = mos_sql_take_text(sql, arena);
    out->result = mos_sql_take_text(sql, arena);
    const char *details = mos_sql_take_text(sql, arena);
    take_hash(sql, arena, out->previous, sizeof(out->previous));
    take_hash(sql, arena, out->hash, sizeof(out->hash));
    if (!mos_audit_take_details(mos_json_parse(arena, details, strlen(details)), arena, out)) {
        out->details = unreadable;
        out->detail_count = 1;
    }
}

// Only texts that somebody put in by hand are no UTF-8; they must not spoil an answer.
static void make_presentable(mos_arena *arena, struct mos_audit_entry *entry) {
    const char **const texts[] = {&entry->time, &entry->actor, &entry->ip_address, &entry->action, &entry->resource, &entry->result};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i] = as_text(arena, *texts[i], LONGEST_DETAIL);
    }
}

static mos_status take_rows(struct mos_sql *sql, size_t limit, mos_arena *arena, struct mos_audit_entry **out, size_t *out_count,
                            struct mos_error *error) {
    struct mos_audit_entry *entries = mos_arena_array(arena, struct mos_audit_entry, limit + 1);
    size_t count = 0;
    bool row = true;
    mos_status status = entries ? MOS_OK : too_large(error);
    while (status == MOS_OK && row && count < limit) {
        status = mos_sql_step(sql, &row, error);
        if (status == MOS_OK && row) {
            take_row(sql, arena, &entries[count]);
            make_presentable(arena, &entries[count++]);
        }
    }
    if (status == MOS_OK && sql->failed) {
        status = too_large(error);
    }
    *out = entries;
    *out_count = count;
    return status;
}

mos_status mos_catalog_next_audit(mos_catalog_session *session, int64_t after_sequence, int limit, mos_arena *arena,
                                  struct mos_audit_entry **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM audit_entries WHERE sequence > ? ORDER BY sequence LIMIT ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, after_sequence);
    mos_sql_bind_number(&sql, limit);
    return take_rows(&sql, (size_t)limit, arena, out, out_count, error);
}

mos_status mos_catalog_list_audit(mos_catalog_session *session, const struct mos_audit_filter *filter, const struct mos_page *page,
                                  mos_arena *arena, struct mos_audit_entry **out, size_t *out_count, const char **out_next_token,
                                  struct mos_error *error) {
    static const char list[] = "audit";
    const struct {
        const char *clause;
        const char *value;
    } clauses[] = {{" AND actor = ?", filter->actor},
                   {" AND action = ?", filter->action},
                   {" AND resource = ?", filter->resource},
                   {" AND time >= ?", filter->from},
                   {" AND time < ?", filter->to}};
    MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_BUFFER struct mos_buffer filters = MOS_BUFFER_INIT(0);
    mos_buffer_append_text(&query, "SELECT " COLUMNS " FROM audit_entries WHERE sequence < ?");
    for (size_t i = 0; i < sizeof(clauses) / sizeof(clauses[0]); i++) {
        bool given = clauses[i].value && *clauses[i].value;
        mos_buffer_append_text(&query, given ? clauses[i].clause : "");
        mos_buffer_append(&filters, given ? clauses[i].value : "", given ? strlen(clauses[i].value) + 1 : 1);
    }
    mos_buffer_append_text(&query, " ORDER BY sequence DESC LIMIT ?");
    struct mos_place place;
    int size = 0;
    mos_status status = mos_page_size(page, &size, error);
    if (status == MOS_OK) {
        status = mos_place_decode(list, filters.data, filters.size_bytes, page->token, &place, error);
    }
    MOS_CLEANUP_SQL struct mos_sql sql = {.session = session};
    if (status == MOS_OK) {
        status = mos_sql_begin(&sql, session, mos_buffer_text(&query), error);
    }
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, place.created_at_unix_ns);
    for (size_t i = 0; i < sizeof(clauses) / sizeof(clauses[0]); i++) {
        if (clauses[i].value && *clauses[i].value) {
            mos_sql_bind_text(&sql, clauses[i].value);
        }
    }
    mos_sql_bind_number(&sql, size + 1);
    status = take_rows(&sql, (size_t)size + 1, arena, out, out_count, error);
    *out_next_token = "";
    if (status == MOS_OK && *out_count > (size_t)size) {
        *out_count = (size_t)size;
        *out_next_token = mos_place_encode(list, filters.data, filters.size_bytes, (*out)[size - 1].sequence, "", arena);
    }
    return status;
}

// ---- Checkpoints ----

mos_status mos_catalog_add_checkpoint(mos_catalog_session *session, const struct mos_audit_checkpoint *checkpoint,
                                      struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session, "INSERT OR IGNORE INTO audit_checkpoints(" CHECKPOINT_COLUMNS ") VALUES(?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, checkpoint->sequence);
    mos_sql_bind_number(&sql, checkpoint->unix_ns);
    mos_sql_bind_blob(&sql, checkpoint->hash, sizeof(checkpoint->hash));
    mos_sql_bind_blob(&sql, checkpoint->public_key, sizeof(checkpoint->public_key));
    mos_sql_bind_blob(&sql, checkpoint->signature, sizeof(checkpoint->signature));
    return mos_sql_finish(&sql, error);
}

static void take_checkpoint(struct mos_sql *sql, mos_arena *arena, struct mos_audit_checkpoint *out) {
    *out = (struct mos_audit_checkpoint){.sequence = mos_sql_take_number(sql)};
    out->unix_ns = mos_sql_take_number(sql);
    take_hash(sql, arena, out->hash, sizeof(out->hash));
    take_hash(sql, arena, out->public_key, sizeof(out->public_key));
    take_hash(sql, arena, out->signature, sizeof(out->signature));
}

mos_status mos_catalog_next_checkpoints(mos_catalog_session *session, int64_t after_sequence, int limit, mos_arena *arena,
                                        struct mos_audit_checkpoint **out, size_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session, "SELECT " CHECKPOINT_COLUMNS " FROM audit_checkpoints WHERE sequence > ? ORDER BY sequence LIMIT ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, after_sequence);
    mos_sql_bind_number(&sql, limit);
    struct mos_audit_checkpoint *checkpoints = mos_arena_array(arena, struct mos_audit_checkpoint, (size_t)limit);
    size_t count = 0;
    bool row = true;
    status = checkpoints ? MOS_OK : too_large(error);
    while (status == MOS_OK && row && count < (size_t)limit) {
        status = mos_sql_step(&sql, &row, error);
        if (status == MOS_OK && row) {
            take_checkpoint(&sql, arena, &checkpoints[count++]);
        }
    }
    *out = checkpoints;
    *out_count = count;
    return status == MOS_OK && sql.failed ? too_large(error) : status;
}

mos_status mos_catalog_last_checkpoint(mos_catalog_session *session, struct mos_audit_checkpoint *out, bool *out_found,
                                       struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status =
        mos_sql_begin(&sql, session, "SELECT " CHECKPOINT_COLUMNS " FROM audit_checkpoints ORDER BY sequence DESC LIMIT 1", error);
    if (status == MOS_OK) {
        status = mos_sql_step(&sql, out_found, error);
    }
    if (status == MOS_OK && *out_found) {
        take_checkpoint(&sql, arena, out);
    }
    return status;
}
