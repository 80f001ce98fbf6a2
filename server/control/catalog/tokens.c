#include "control/catalog/tokens.h"

#include <string.h>

#include "control/catalog/sql.h"

#define COLUMNS "id, name, role, rights, hash, created_at_ns, expires_at_ns, last_used_at_ns, revoked_at_ns"

mos_status mos_catalog_put_token(mos_catalog_session *session, const struct mos_token *token, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "INSERT OR REPLACE INTO tokens(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, token->id);
    mos_sql_bind_text(&sql, token->name);
    mos_sql_bind_text(&sql, mos_role_word(token->role));
    mos_sql_bind_text(&sql, token->rights);
    mos_sql_bind_blob(&sql, token->hash, sizeof(token->hash));
    mos_sql_bind_number(&sql, token->created_at_unix_ns);
    mos_sql_bind_number(&sql, token->expires_at_unix_ns);
    mos_sql_bind_number(&sql, token->last_used_at_unix_ns);
    mos_sql_bind_number(&sql, token->revoked_at_unix_ns);
    return mos_sql_finish(&sql, error);
}

static mos_status take_row(struct mos_sql *sql, mos_arena *arena, struct mos_token *out, struct mos_error *error) {
    *out = (struct mos_token){.id = mos_sql_take_text(sql, arena)};
    out->name = mos_sql_take_text(sql, arena);
    out->role = mos_role_from_word(mos_sql_take_text(sql, arena));
    out->rights = mos_sql_take_text(sql, arena);
    struct mos_blob hash = mos_sql_take_blob(sql, arena);
    if (hash.size_bytes != sizeof(out->hash)) {
        return mos_fail(error, MOS_CORRUPT, "a token in the catalog is damaged");
    }
    memcpy(out->hash, hash.data, sizeof(out->hash));
    out->created_at_unix_ns = mos_sql_take_number(sql);
    out->expires_at_unix_ns = mos_sql_take_number(sql);
    out->last_used_at_unix_ns = mos_sql_take_number(sql);
    out->revoked_at_unix_ns = mos_sql_take_number(sql);
    return sql->failed ? mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages") : MOS_OK;
}

mos_status mos_catalog_get_token(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_token *out,
                                 struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM tokens WHERE id = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, id);
    bool row;
    status = mos_sql_step(&sql, &row, error);
    if (status != MOS_OK) {
        return status;
    }
    return row ? take_row(&sql, arena, out, error) : mos_fail(error, MOS_NOT_FOUND, "no token has the id \"%.64s\"", id);
}

mos_status mos_catalog_find_token(mos_catalog_session *session, const uint8_t hash[MOS_TOKEN_HASH_BYTES], mos_arena *arena,
                                  struct mos_token *out, bool *out_found, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session, "SELECT " COLUMNS " FROM tokens WHERE hash = ?", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_blob(&sql, hash, MOS_TOKEN_HASH_BYTES);
    status = mos_sql_step(&sql, out_found, error);
    return status == MOS_OK && *out_found ? take_row(&sql, arena, out, error) : status;
}

mos_status mos_catalog_list_tokens(mos_catalog_session *session, const struct mos_page *page, mos_arena *arena, struct mos_token **out,
                                   size_t *out_count, const char **out_next_token, struct mos_error *error) {
    static const char list[] = "tokens";
    struct mos_place place;
    int size;
    mos_status status = mos_page_size(page, &size, error);
    if (status == MOS_OK) {
        status = mos_place_decode(list, NULL, 0, page->token, &place, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_SQL struct mos_sql sql;
    status = mos_sql_begin(&sql, session,
                           "SELECT " COLUMNS " FROM tokens WHERE (created_at_ns, id) < (?, ?) ORDER BY created_at_ns DESC, id DESC LIMIT ?",
                           error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, place.created_at_unix_ns);
    mos_sql_bind_text(&sql, place.id);
    mos_sql_bind_number(&sql, size + 1);
    struct mos_token *tokens = mos_arena_array(arena, struct mos_token, (size_t)size);
    if (!tokens) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list takes too much memory; ask for smaller pages");
    }
    size_t count = 0;
    bool row;
    *out_next_token = "";
    while ((status = mos_sql_step(&sql, &row, error)) == MOS_OK && row) {
        if (count == (size_t)size) {
            *out_next_token = mos_place_encode(list, NULL, 0, tokens[count - 1].created_at_unix_ns, tokens[count - 1].id, arena);
            break;
        }
        status = take_row(&sql, arena, &tokens[count++], error);
        if (status != MOS_OK) {
            return status;
        }
    }
    *out = tokens;
    *out_count = count;
    return status;
}

mos_status mos_catalog_count_admins(mos_catalog_session *session, int64_t now_unix_ns, int64_t *out_count, struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(&sql, session,
                                      "SELECT count(*) FROM tokens WHERE role = 'ADMIN' AND revoked_at_ns = 0 AND "
                                      "(expires_at_ns = 0 OR expires_at_ns > ?)",
                                      error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_number(&sql, now_unix_ns);
    return mos_sql_number(&sql, out_count, error);
}

mos_status mos_catalog_has_token_named(mos_catalog_session *session, const char *name, int64_t now_unix_ns, bool *out,
                                       struct mos_error *error) {
    MOS_CLEANUP_SQL struct mos_sql sql;
    mos_status status = mos_sql_begin(
        &sql, session, "SELECT 1 FROM tokens WHERE name = ? AND revoked_at_ns = 0 AND (expires_at_ns = 0 OR expires_at_ns > ?)", error);
    if (status != MOS_OK) {
        return status;
    }
    mos_sql_bind_text(&sql, name);
    mos_sql_bind_number(&sql, now_unix_ns);
    return mos_sql_step(&sql, out, error);
}
