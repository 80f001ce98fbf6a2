#include "control/catalog/sql.h"

#include <string.h>

mos_status mos_sql_fail(sqlite3 *db, struct mos_error *error, const char *doing) {
    mos_status status = MOS_INTERNAL;
    switch (sqlite3_errcode(db)) {
    case SQLITE_FULL:
        status = MOS_NO_SPACE;
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        status = MOS_IO;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        status = MOS_CORRUPT;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = MOS_UNAVAILABLE;
        break;
    case SQLITE_CONSTRAINT:
        status = MOS_ALREADY_EXISTS;
        break;
    default:
        break;
    }
    return mos_fail(error, status, "the catalog could not %s: %s", doing, sqlite3_errmsg(db));
}

mos_status mos_sql_run(sqlite3 *db, const char *sql, struct mos_error *error) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? MOS_OK : mos_sql_fail(db, error, "be written to");
}

mos_status mos_sql_begin(struct mos_sql *sql, mos_catalog_session *session, const char *text, struct mos_error *error) {
    *sql = (struct mos_sql){.session = session};
    for (size_t i = 0; i < session->cached; i++) {
        if (!sqlite3_stmt_busy(session->cache[i]) && strcmp(sqlite3_sql(session->cache[i]), text) == 0) {
            sql->statement = session->cache[i];
            sql->cached = true;
            return MOS_OK;
        }
    }
    bool keep = session->cached < MOS_SQL_CACHED;
    if (sqlite3_prepare_v3(session->db, text, -1, keep ? SQLITE_PREPARE_PERSISTENT : 0, &sql->statement, NULL) != SQLITE_OK) {
        return mos_sql_fail(session->db, error, "take a query");
    }
    if (keep) {
        session->cache[session->cached++] = sql->statement;
        sql->cached = true;
    }
    return MOS_OK;
}

void mos_sql_end(struct mos_sql *sql) {
    if (sql->cached) {
        sqlite3_reset(sql->statement);
        sqlite3_clear_bindings(sql->statement);
    } else {
        sqlite3_finalize(sql->statement);
    }
    sql->statement = NULL;
    sql->cached = false;
}

static void bound(struct mos_sql *sql, int code) {
    sql->failed = sql->failed || code != SQLITE_OK;
}

void mos_sql_bind_text(struct mos_sql *sql, const char *text) {
    bound(sql, sqlite3_bind_text(sql->statement, ++sql->parameter, text ? text : "", -1, SQLITE_STATIC));
}

void mos_sql_bind_number(struct mos_sql *sql, int64_t number) {
    bound(sql, sqlite3_bind_int64(sql->statement, ++sql->parameter, number));
}

void mos_sql_bind_blob(struct mos_sql *sql, const void *data, size_t size_bytes) {
    bound(sql, sqlite3_bind_blob64(sql->statement, ++sql->parameter, size_bytes ? data : "", size_bytes, SQLITE_STATIC));
}

mos_status mos_sql_step(struct mos_sql *sql, bool *out_row, struct mos_error *error) {
    *out_row = false;
    if (sql->failed) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "a row of the catalog is too large");
    }
    int code = sqlite3_step(sql->statement);
    sql->column = 0;
    *out_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE
               ? MOS_OK
               : mos_sql_fail(sql->session->db, error, sql->session->writer ? "be written to" : "be read");
}

mos_status mos_sql_finish(struct mos_sql *sql, struct mos_error *error) {
    bool row;
    return mos_sql_step(sql, &row, error);
}

mos_status mos_sql_number(struct mos_sql *sql, int64_t *out, struct mos_error *error) {
    bool row;
    mos_status status = mos_sql_step(sql, &row, error);
    if (status == MOS_OK) {
        *out = row ? mos_sql_take_number(sql) : 0;
    }
    return status;
}

const char *mos_sql_take_text(struct mos_sql *sql, mos_arena *arena) {
    const char *text = (const char *)sqlite3_column_text(sql->statement, sql->column++);
    char *copy = text ? mos_arena_strdup(arena, text) : NULL;
    sql->failed = sql->failed || (text && !copy);
    return copy ? copy : "";
}

int64_t mos_sql_take_number(struct mos_sql *sql) {
    return sqlite3_column_int64(sql->statement, sql->column++);
}

struct mos_blob mos_sql_take_blob(struct mos_sql *sql, mos_arena *arena) {
    int column = sql->column++;
    const void *data = sqlite3_column_blob(sql->statement, column);
    size_t size_bytes = (size_t)sqlite3_column_bytes(sql->statement, column);
    if (!data || size_bytes == 0) {
        return (struct mos_blob){0};
    }
    const uint8_t *copy = mos_arena_memdup(arena, data, size_bytes);
    sql->failed = sql->failed || !copy;
    return (struct mos_blob){.data = copy, .size_bytes = copy ? size_bytes : 0};
}
