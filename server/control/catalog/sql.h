// SQLite in the terms of this project. Private to the catalog.
#ifndef MOS_CONTROL_CATALOG_SQL_H
#define MOS_CONTROL_CATALOG_SQL_H

#include <sqlite3.h>

#include "common/arena.h"
#include "common/status.h"
#include "control/catalog/catalog.h"

enum { MOS_SQL_CACHED = 64 };

struct mos_catalog_session {
    mos_catalog *catalog;
    sqlite3 *db;
    bool writer;
    // Of a reader: it counts among those of the crowd.
    bool crowd;
    // Of the writer: the newest event of the transaction under way.
    int64_t last_event;
    // Of the writer: the newest entry of the audit trail, and its hash. -1: to be read again.
    int64_t audit_sequence;
    uint8_t audit_hash[32];
    // Statements that were prepared before, by their text.
    sqlite3_stmt *cache[MOS_SQL_CACHED];
    size_t cached;
    mos_catalog_session *next;
};

// From SQLite's last error on this connection.
mos_status mos_sql_fail(sqlite3 *db, struct mos_error *error, const char *doing);
mos_status mos_sql_run(sqlite3 *db, const char *sql, struct mos_error *error);

// A statement with the place of the next parameter and column. Ends with mos_sql_end, or by MOS_CLEANUP_SQL.
struct mos_sql {
    mos_catalog_session *session;
    sqlite3_stmt *statement;
    int parameter;
    int column;
    bool cached;
    // A parameter could not be bound, or a text not be taken into the arena.
    bool failed;
};
mos_status mos_sql_begin(struct mos_sql *sql, mos_catalog_session *session, const char *text, struct mos_error *error);
void mos_sql_end(struct mos_sql *sql);
#define MOS_CLEANUP_SQL __attribute__((cleanup(mos_sql_end)))

// Each binds the next parameter. What they point to must live until the statement has run.
void mos_sql_bind_text(struct mos_sql *sql, const char *text);
void mos_sql_bind_number(struct mos_sql *sql, int64_t number);
void mos_sql_bind_blob(struct mos_sql *sql, const void *data, size_t size_bytes);

// *out_row is false when there are no more, and on failure.
mos_status mos_sql_step(struct mos_sql *sql, bool *out_row, struct mos_error *error);
// For statements without rows.
mos_status mos_sql_finish(struct mos_sql *sql, struct mos_error *error);
// A statement that gives one number.
mos_status mos_sql_number(struct mos_sql *sql, int64_t *out, struct mos_error *error);

// Each takes the next column of the row.
const char *mos_sql_take_text(struct mos_sql *sql, mos_arena *arena);
int64_t mos_sql_take_number(struct mos_sql *sql);
struct mos_blob mos_sql_take_blob(struct mos_sql *sql, mos_arena *arena);

// The schema, see schema.c. The check changes nothing: MOS_CORRUPT where the file is damaged or another program's, MOS_FAILED_PRECONDITION
// where a newer version of this one wrote it.
mos_status mos_schema_check(sqlite3 *db, const char *path, struct mos_error *error);
mos_status mos_schema_migrate(sqlite3 *db, struct mos_error *error);

// The place in a list, as a text for clients. `filters` is all that the list was asked for, beside the page.
struct mos_place {
    int64_t created_at_unix_ns;
    char id[37];
};
// Lives in the arena; NULL past its ceiling.
const char *mos_place_encode(const char *list, const void *filters, size_t filters_bytes, int64_t created_at_unix_ns, const char *id,
                             mos_arena *arena);
// MOS_INVALID_ARGUMENT, field pageToken. For "" and NULL *out is the start of the list.
mos_status mos_place_decode(const char *list, const void *filters, size_t filters_bytes, const char *text, struct mos_place *out,
                            struct mos_error *error);
mos_status mos_page_size(const struct mos_page *page, int *out, struct mos_error *error);

#endif
