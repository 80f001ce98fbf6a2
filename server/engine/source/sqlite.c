#include "engine/source/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/id.h"
#include "common/text.h"
#include "engine/source/sqlite_vfs.h"

enum { BUSY_TIMEOUT_MS = 60000, BUSY_STEP_MS = 20, TABLES_LIMIT = 100000 };

// Percent escapes, as SQLite's own URIs have them. false where one is malformed or stands for a zero.
static bool unescape(const char *text, char *out) {
    while (*text && *text != '?' && *text != '#') {
        if (*text != '%') {
            *out++ = *text++;
            continue;
        }
        uint8_t byte;
        char digits[3] = {text[1], text[1] ? text[2] : 0, 0};
        for (int i = 0; i < 2; i++) {
            digits[i] = digits[i] >= 'A' && digits[i] <= 'F' ? (char)(digits[i] - 'A' + 'a') : digits[i];
        }
        if (!digits[0] || !digits[1] || !mos_hex_decode(digits, &byte, 1) || byte == 0) {
            return false;
        }
        *out++ = (char)byte;
        text += 3;
    }
    *out = 0;
    return true;
}

mos_status mos_sqlite_origin(const char *url, mos_arena *arena, const char **out, struct mos_error *error) {
    static const char *const later[] = {"postgresql://", "postgres://", "mysql://", "mariadb://"};
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        if (strncmp(url, later[i], strlen(later[i])) == 0) {
            return mos_fail(error, MOS_UNIMPLEMENTED, "backup of %.*s databases is not available in this version",
                            (int)(strchr(later[i], ':') - later[i]), later[i]);
        }
    }
    const char *path = NULL;
    if (strncmp(url, "sqlite:///", 10) == 0) {
        path = url + 9;
    } else if (strncmp(url, "file:///", 8) == 0) {
        path = url + 7;
    } else if (strncmp(url, "file:/", 6) == 0 && url[6] != '/') {
        path = url + 5;
    }
    char *plain = path ? mos_arena_alloc(arena, strlen(path) + 1) : NULL;
    if (!plain || !unescape(path, plain) || !plain[1]) {
        // Not the URL itself: whatever it is, it may hold a password.
        return mos_fail_field(error, "databases", "a database URL must be file:/path or sqlite:///path");
    }
    *out = plain;
    return MOS_OK;
}

mos_status mos_sqlite_path(const char *url, mos_arena *arena, const char **out, struct mos_error *error) {
    const char *plain;
    mos_status status = mos_sqlite_origin(url, arena, &plain, error);
    if (status) {
        return status;
    }
    MOS_CLEANUP_FREE char *canonical = realpath(plain, NULL);
    if (!canonical) {
        return mos_fail_errno(error, errno, "the database %s cannot be read", plain);
    }
    *out = mos_arena_strdup(arena, canonical);
    return MOS_OK;
}

// sqlite:///path, with what a URL cannot hold escaped.
static char *to_url(const char *scheme, const char *path, const char *query, mos_arena *arena) {
    char *url = mos_arena_alloc(arena, strlen(scheme) + 3 * strlen(path) + strlen(query) + 1);
    char *at = stpcpy(url, scheme);
    for (; *path; path++) {
        bool plain = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z') || (*path >= '0' && *path <= '9') ||
                     strchr("/-._~+,=@:", *path) != NULL;
        at += sprintf(at, plain ? "%c" : "%%%02x", (unsigned char)*path);
    }
    strcpy(at, query);
    return url;
}

static mos_status fail_sqlite(struct mos_error *error, int result, const char *path, const char *what) {
    switch (result & 0xff) {
    case SQLITE_NOTADB:
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s is no SQLite database", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return mos_fail(error, MOS_UNAVAILABLE, "the database %s stayed locked by another process for %d seconds", path,
                        BUSY_TIMEOUT_MS / 1000);
    case SQLITE_FULL:
        return mos_fail(error, MOS_NO_SPACE, "no space for the copy of the database %s in the scratch directory", path);
    case SQLITE_INTERRUPT:
        return mos_fail(error, MOS_CANCELLED, "cancelled");
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return mos_fail(error, MOS_PERMISSION_DENIED, "the database %s %s: %s", path, what, sqlite3_errstr(result));
    default:
        return mos_fail(error, MOS_IO, "the database %s %s: %s", path, what, sqlite3_errstr(result));
    }
}

struct waiting {
    bool (*cancelled)(void *context);
    void *context;
};

static int on_busy(void *argument, int tries) {
    const struct waiting *waiting = argument;
    if (tries * BUSY_STEP_MS >= BUSY_TIMEOUT_MS || (waiting->cancelled && waiting->cancelled(waiting->context))) {
        return 0;
    }
    sqlite3_sleep(BUSY_STEP_MS);
    return 1;
}

static int on_progress(void *argument) {
    const struct waiting *waiting = argument;
    return waiting->cancelled && waiting->cancelled(waiting->context);
}

static int open_source(const char *path, int flags, struct waiting *waiting, mos_arena *arena, sqlite3 **out) {
    int result = sqlite3_open_v2(to_url("file:", path, "", arena), out, flags | SQLITE_OPEN_URI | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (result == SQLITE_OK) {
        sqlite3_extended_result_codes(*out, 1);
        sqlite3_busy_handler(*out, on_busy, waiting);
        // The first read takes the lock and, in WAL mode, the snapshot.
        result = sqlite3_exec(*out, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    }
    if (result != SQLITE_OK) {
        sqlite3_close(*out);
        *out = NULL;
    }
    return result;
}

// Fills one database with another, in one step and so in one transaction.
static int copy_pages(sqlite3 *to, sqlite3 *from) {
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int result = backup ? sqlite3_backup_step(backup, -1) : sqlite3_errcode(to);
    int finished = backup ? sqlite3_backup_finish(backup) : SQLITE_OK;
    return result == SQLITE_DONE ? finished : finished != SQLITE_OK ? finished : result;
}

static mos_status copy_content(const char *path, int descriptor, struct waiting *waiting, mos_arena *arena, struct mos_error *error) {
    sqlite3 *source = NULL, *copy = NULL;
    int result = open_source(path, SQLITE_OPEN_READONLY, waiting, arena, &source);
    if (result == SQLITE_READONLY_ROLLBACK || result == SQLITE_READONLY_RECOVERY || result == SQLITE_READONLY_CANTINIT) {
        // A writer that died left its journal: SQLite takes it back, as for any process that opens the database next, and needs to write.
        result = open_source(path, SQLITE_OPEN_READWRITE, waiting, arena, &source);
    }
    if (result != SQLITE_OK) {
        if (waiting->cancelled && waiting->cancelled(waiting->context)) {
            return mos_fail(error, MOS_CANCELLED, "cancelled");
        }
        return fail_sqlite(error, result, path, "cannot be opened");
    }
    mos_status status = mos_sqlite_open_descriptor(descriptor, true, &copy, error);
    if (status == MOS_OK) {
        // In one step: were the lock given up in between, every write would begin the copy anew.
        result = copy_pages(copy, source);
        if (result != SQLITE_OK) {
            status = fail_sqlite(error, result, path, "cannot be copied");
        }
    }
    sqlite3_close(copy);
    sqlite3_close(source);
    return status;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(Mosaajii__Engine__V1__Table *const *)a)->name, (*(Mosaajii__Engine__V1__Table *const *)b)->name);
}

// Text for a message: names of tables may hold any bytes.
static char *as_text(mos_arena *arena, const char *name) {
    return mos_utf8_valid(name, strlen(name)) ? mos_arena_strdup(arena, name) : mos_path_escape(arena, name, strlen(name));
}

static int count_rows(sqlite3 *connection, const char *name, int64_t *out) {
    char *query = sqlite3_mprintf("SELECT count(*) FROM main.\"%w\"", name);
    sqlite3_stmt *statement = NULL;
    int result = query ? sqlite3_prepare_v2(connection, query, -1, &statement, NULL) : SQLITE_NOMEM;
    if (result == SQLITE_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
        result = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    sqlite3_free(query);
    return result;
}

// All ordinary tables, sorted by name, with their rows.
static int read_tables(sqlite3 *connection, mos_arena *arena, Mosaajii__Engine__V1__Table ***out, size_t *out_count) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection,
                                    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') "
                                    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
                                    -1, &statement, NULL);
    Mosaajii__Engine__V1__Table **tables = NULL;
    size_t count = 0, capacity = 0;
    while (result == SQLITE_OK && count < TABLES_LIMIT && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        Mosaajii__Engine__V1__Table *table = mos_arena_alloc(arena, sizeof(*table));
        mosaajii__engine__v1__table__init(table);
        result = name ? count_rows(connection, name, &table->rows) : SQLITE_NOMEM;
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            Mosaajii__Engine__V1__Table **grown = mos_arena_array(arena, Mosaajii__Engine__V1__Table *, capacity);
            if (count) {
                memcpy(grown, tables, count * sizeof(*tables));
            }
            tables = grown;
        }
        if (result == SQLITE_OK) {
            table->name = as_text(arena, name);
            tables[count++] = table;
        }
    }
    sqlite3_finalize(statement);
    if (count) {
        qsort(tables, count, sizeof(*tables), by_name);
    }
    *out = tables;
    *out_count = count;
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int mos_scratch_file(const char *scratch, struct mos_error *error) {
    int descriptor = open(scratch, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char *path;
    // A file system without nameless files: the name is gone before the first byte is written.
    if (descriptor < 0 && (errno == EOPNOTSUPP || errno == EISDIR) && asprintf(&path, "%s/copy-XXXXXX", scratch) >= 0) {
        descriptor = mkostemp(path, O_CLOEXEC);
        if (descriptor >= 0) {
            unlink(path);
        }
        free(path);
    }
    if (descriptor < 0) {
        mos_fail_errno(error, errno, "the scratch directory %s cannot be written to", scratch);
    }
    return descriptor;
}

mos_status mos_sqlite_copy(const char *url, const char *scratch, bool (*cancelled)(void *context), void *context, mos_arena *arena,
                           struct mos_database_copy *out, struct mos_error *error) {
    const char *path;
    mos_status status = mos_sqlite_path(url, arena, &path, error);
    if (status) {
        return status;
    }
    *out = (struct mos_database_copy){.descriptor = -1};
    if (stat(path, &out->status) != 0) {
        return mos_fail_errno(error, errno, "the database %s cannot be read", path);
    }
    if (!S_ISREG(out->status.st_mode)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s is no SQLite database: it is not a regular file", path);
    }
    int descriptor = mos_scratch_file(scratch, error);
    if (descriptor < 0) {
        return MOS_IO;
    }
    struct waiting waiting = {cancelled, context};
    sqlite3 *copy = NULL;
    status = copy_content(path, descriptor, &waiting, arena, error);
    status = status ? status : mos_sqlite_open_descriptor(descriptor, false, &copy, error);
    if (status) {
        close(descriptor);
        return status;
    }
    Mosaajii__Engine__V1__Database *database = mos_arena_alloc(arena, sizeof(*database));
    mosaajii__engine__v1__database__init(database);
    const char *name = strrchr(path, '/') + 1;
    database->name = as_text(arena, name);
    database->engine = mos_arena_strdup(arena, "sqlite");
    database->origin = to_url("sqlite://", path, "", arena);
    sqlite3_progress_handler(copy, 10000, on_progress, &waiting);
    int result = read_tables(copy, arena, &database->tables, &database->n_tables);
    sqlite3_close(copy);
    if (result == SQLITE_INTERRUPT) {
        close(descriptor);
        return mos_fail(error, MOS_CANCELLED, "cancelled");
    }
    if (result != SQLITE_OK) {
        out->warning =
            mos_arena_printf(arena, "the database is copied as it is, but its rows cannot be counted: %s", sqlite3_errstr(result));
        database->n_tables = 0;
    }
    out->descriptor = descriptor;
    out->database = database;
    return MOS_OK;
}

mos_status mos_sqlite_replace(int descriptor, const char *path, bool (*cancelled)(void *context), void *context, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct waiting waiting = {cancelled, context};
    sqlite3 *from, *to = NULL;
    mos_status status = mos_sqlite_open_descriptor(descriptor, false, &from, error);
    if (status) {
        return status;
    }
    int result = sqlite3_open_v2(to_url("file:", path, "", arena), &to,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (result == SQLITE_OK) {
        sqlite3_extended_result_codes(to, 1);
        sqlite3_busy_handler(to, on_busy, &waiting);
        // The backup interface asks no busy handler; the lock that it needs is free once this one was.
        do {
            result = copy_pages(to, from);
        } while ((result == SQLITE_BUSY || result == SQLITE_LOCKED) &&
                 sqlite3_exec(to, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
    }
    sqlite3_close(to);
    sqlite3_close(from);
    return result == SQLITE_OK ? MOS_OK : fail_sqlite(error, result, path, "cannot be replaced");
}

static Mosaajii__Engine__V1__Check *make_check(mos_arena *arena, const char *database, const char *what, bool passed, const char *message) {
    Mosaajii__Engine__V1__Check *check = mos_arena_alloc(arena, sizeof(*check));
    mosaajii__engine__v1__check__init(check);
    check->name = mos_arena_printf(arena, "%s: %s", database, what);
    check->passed = passed;
    check->message = as_text(arena, message);
    return check;
}

// What differs first between the tables that are there and those that were recorded; NULL when nothing does.
static const char *compare_tables(const Mosaajii__Engine__V1__Database *recorded, Mosaajii__Engine__V1__Table *const *tables, size_t count,
                                  mos_arena *arena) {
    for (size_t i = 0, j = 0; i < recorded->n_tables || j < count;) {
        int order = i == recorded->n_tables ? 1 : j == count ? -1 : strcmp(recorded->tables[i]->name, tables[j]->name);
        if (order) {
            return mos_arena_printf(arena, "the table %s %s", order < 0 ? recorded->tables[i]->name : tables[j]->name,
                                    order < 0 ? "is missing" : "was not there when the backup was taken");
        }
        if (recorded->tables[i]->rows != tables[j]->rows) {
            return mos_arena_printf(arena, "the table %s has %lld rows, it had %lld", tables[j]->name, (long long)tables[j]->rows,
                                    (long long)recorded->tables[i]->rows);
        }
        i++;
        j++;
    }
    return NULL;
}

void mos_sqlite_check(const char *path, const Mosaajii__Engine__V1__Database *recorded, mos_arena *arena,
                      Mosaajii__Engine__V1__Check ***out, size_t *out_count) {
    Mosaajii__Engine__V1__Check **checks = mos_arena_array(arena, Mosaajii__Engine__V1__Check *, 3);
    sqlite3 *connection = NULL;
    // Immutable: no journal or shared memory file is made beside it.
    int result = sqlite3_open_v2(to_url("file:", path, "?immutable=1", arena), &connection, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_exec(connection, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    }
    bool open = result == SQLITE_OK;
    checks[0] = make_check(arena, recorded->name, "opens", open, open ? "" : sqlite3_errstr(result));

    sqlite3_stmt *statement = NULL;
    const char *verdict = "not checked, as it does not open";
    if (open) {
        result = sqlite3_prepare_v2(connection, "PRAGMA integrity_check(1)", -1, &statement, NULL);
        result = result == SQLITE_OK ? sqlite3_step(statement) : result;
        verdict = result == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : sqlite3_errstr(result);
    }
    bool whole = open && result == SQLITE_ROW && strcmp(verdict, "ok") == 0;
    checks[1] = make_check(arena, recorded->name, "integrity", whole, verdict);
    sqlite3_finalize(statement);

    Mosaajii__Engine__V1__Table **tables = NULL;
    size_t count = 0;
    const char *difference = "not counted, as it does not open";
    if (open) {
        result = read_tables(connection, arena, &tables, &count);
        difference = result == SQLITE_OK ? compare_tables(recorded, tables, count, arena) : sqlite3_errstr(result);
    }
    int64_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        rows += tables[i]->rows;
    }
    checks[2] = make_check(arena, recorded->name, "tables and rows", difference == NULL,
                           difference ? difference : mos_arena_printf(arena, "%zu tables, %lld rows", count, (long long)rows));
    sqlite3_close(connection);
    *out = checks;
    *out_count = 3;
}
