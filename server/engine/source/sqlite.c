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
#include "engine/source/sqlite_vfs.h"

enum { BUSY_TIMEOUT_MS = 60000, BUSY_STEP_MS = 20 };

mos_status mos_sqlite_path(const char *url, mos_arena *arena, const char **out, struct mos_error *error) {
    struct mos_database_url parsed;
    mos_status status = mos_database_url_parse("databases", url, arena, &parsed, error);
    if (status == MOS_OK && parsed.kind != MOS_DATABASE_SQLITE) {
        status = mos_fail_field(error, "databases", "the URL of a SQLite database must be file:/path or sqlite:///path");
    }
    if (status) {
        return status;
    }
    MOS_CLEANUP_FREE char *canonical = realpath(parsed.path, NULL);
    if (!canonical) {
        return mos_fail_errno(error, errno, "the database %s cannot be read", parsed.path);
    }
    *out = mos_arena_strdup(arena, canonical);
    return MOS_OK;
}

static char *url_of(const char *path, mos_arena *arena) {
    const struct mos_database_url url = {.kind = MOS_DATABASE_SQLITE, .path = path};
    return mos_database_url_format(&url, false, arena);
}

// As SQLite itself takes it, with its parameters.
static char *file_url(const char *path, const char *query, mos_arena *arena) {
    return mos_arena_printf(arena, "file:%s%s", url_of(path, arena) + strlen("sqlite://"), query);
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
    int result = sqlite3_open_v2(file_url(path, "", arena), out, flags | SQLITE_OPEN_URI | SQLITE_OPEN_PRIVATECACHE, NULL);
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
static int read_tables(sqlite3 *connection, mos_arena *arena, struct mos_database_tables *out) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection,
                                    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') "
                                    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
                                    -1, &statement, NULL);
    *out = (struct mos_database_tables){0};
    while (result == SQLITE_OK && out->count < MOS_DATABASE_TABLES_LIMIT && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        int64_t rows = 0;
        result = name ? count_rows(connection, name, &rows) : SQLITE_NOMEM;
        if (result == SQLITE_OK) {
            mos_database_add_table(out, name, rows, arena);
        }
    }
    sqlite3_finalize(statement);
    mos_database_sort_tables(out);
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
    database->name = mos_database_text(arena, name);
    database->engine = mos_arena_strdup(arena, "sqlite");
    database->origin = url_of(path, arena);
    sqlite3_progress_handler(copy, 10000, on_progress, &waiting);
    struct mos_database_tables tables;
    int result = read_tables(copy, arena, &tables);
    database->tables = tables.list;
    database->n_tables = tables.count;
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
    int result = sqlite3_open_v2(file_url(path, "", arena), &to,
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

// Closes the connection, which may be NULL where opening it came to `result`.
static void check(sqlite3 *connection, int result, const Mosaajii__Engine__V1__Database *recorded, mos_arena *arena,
                  Mosaajii__Engine__V1__Check ***out, size_t *out_count) {
    Mosaajii__Engine__V1__Check **checks = mos_arena_array(arena, Mosaajii__Engine__V1__Check *, 3);
    if (result == SQLITE_OK) {
        result = sqlite3_exec(connection, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    }
    bool open = result == SQLITE_OK;
    checks[0] = mos_database_make_check(arena, recorded->name, "opens", open, open ? "" : sqlite3_errstr(result));

    sqlite3_stmt *statement = NULL;
    const char *verdict = "not checked, as it does not open";
    if (open) {
        result = sqlite3_prepare_v2(connection, "PRAGMA integrity_check(1)", -1, &statement, NULL);
        result = result == SQLITE_OK ? sqlite3_step(statement) : result;
        verdict = result == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : sqlite3_errstr(result);
    }
    bool whole = open && result == SQLITE_ROW && strcmp(verdict, "ok") == 0;
    checks[1] = mos_database_make_check(arena, recorded->name, "integrity", whole, verdict);
    sqlite3_finalize(statement);

    struct mos_database_tables tables = {0};
    const char *failure = "not counted, as it does not open";
    if (open) {
        result = read_tables(connection, arena, &tables);
        failure = result == SQLITE_OK ? NULL : sqlite3_errstr(result);
    }
    checks[2] = mos_database_compare_tables(recorded, &tables, failure, arena);
    sqlite3_close(connection);
    *out = checks;
    *out_count = 3;
}

void mos_sqlite_check(const char *path, const Mosaajii__Engine__V1__Database *recorded, mos_arena *arena,
                      Mosaajii__Engine__V1__Check ***out, size_t *out_count) {
    sqlite3 *connection = NULL;
    // Immutable: no journal or shared memory file is made beside it.
    int result = sqlite3_open_v2(file_url(path, "?immutable=1", arena), &connection, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    check(connection, result, recorded, arena, out, out_count);
}

// ---- The driver ----

static mos_status probe(struct mos_database *database, struct mos_error *error) {
    mos_status status = mos_sqlite_path(database->shown, database->arena, &database->url.path, error);
    if (status) {
        return status;
    }
    struct stat info;
    database->shown = url_of(database->url.path, database->arena);
    database->title = strrchr(database->url.path, '/') + 1;
    database->size_bytes = stat(database->url.path, &info) == 0 ? info.st_size : 0;
    return MOS_OK;
}

struct dump {
    struct mos_database_dump base;
    struct mos_database_copy copy;
};

static mos_status dump(const struct mos_database *database, const char *extra, struct mos_database_dump **out, struct mos_error *error) {
    (void)extra;
    struct dump *made = mos_arena_alloc(database->arena, sizeof(*made));
    mos_status status =
        mos_sqlite_copy(database->shown, database->scratch, database->cancelled, database->context, database->arena, &made->copy, error);
    struct stat info;
    if (status) {
        return status;
    }
    if (fstat(made->copy.descriptor, &info) != 0 || lseek(made->copy.descriptor, 0, SEEK_SET) != 0) {
        int reason = errno;
        close(made->copy.descriptor);
        return mos_fail_errno(error, reason, "the copy of the database %s cannot be read", database->url.path);
    }
    made->base.database = database;
    made->base.status = made->copy.status;
    *out = &made->base;
    return MOS_OK;
}

static mos_status read_dump(struct mos_database_dump *base, void *buffer, size_t size_bytes, size_t *out_bytes, struct mos_error *error) {
    ssize_t got;
    do {
        got = read(((struct dump *)base)->copy.descriptor, buffer, size_bytes);
    } while (got < 0 && errno == EINTR);
    *out_bytes = got < 0 ? 0 : (size_t)got;
    return got < 0 ? mos_fail_errno(error, errno, "the copy of the database %s cannot be read", base->database->url.path) : MOS_OK;
}

static mos_status describe(struct mos_database_dump *base, mos_database_record *record, struct mos_error *error) {
    (void)error;
    const struct mos_database_copy *copy = &((struct dump *)base)->copy;
    record->tables = copy->database->tables;
    record->n_tables = copy->database->n_tables;
    if (copy->warning) {
        const char *path = base->database->url.path;
        base->database->warn(base->database->context, path, strlen(path), copy->warning);
    }
    return MOS_OK;
}

static void close_dump(struct mos_database_dump *base) {
    close(((struct dump *)base)->copy.descriptor);
}

static mos_status there(const struct mos_database *target, bool *out, struct mos_error *error) {
    (void)error;
    *out = access(target->url.path, F_OK) == 0;
    return MOS_OK;
}

static mos_status write_at(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    int descriptor = *(int *)context;
    for (size_t done = 0; done < size_bytes;) {
        ssize_t put = pwrite(descriptor, (const char *)data + done, size_bytes - done, (off_t)(offset_bytes + done));
        if (put < 0 && errno != EINTR) {
            return mos_fail_errno(error, errno, "the scratch space cannot be written to");
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return MOS_OK;
}

// Written to scratch and checked first: what does not come back whole replaces nothing.
static mos_status load(const struct mos_database *target, const mos_database_record *recorded, const struct mos_database_content *content,
                       bool replace, mos_database_check ***out, size_t *out_count, struct mos_error *error) {
    if (!replace && access(target->url.path, F_OK) == 0) {
        return mos_fail(error, MOS_ALREADY_EXISTS, "the database %s is there already", target->url.path);
    }
    MOS_CLEANUP_FD int descriptor = mos_scratch_file(target->scratch, error);
    if (descriptor < 0) {
        return MOS_IO;
    }
    mos_status status = content->feed(content->context, NULL, write_at, &descriptor, error);
    if (status) {
        return status;
    }
    // By its descriptor: it has no name that SQLite could resolve.
    sqlite3 *connection = NULL;
    status = mos_sqlite_open_descriptor(descriptor, false, &connection, error);
    if (status) {
        return status;
    }
    check(connection, SQLITE_OK, recorded, target->arena, out, out_count);
    for (size_t i = 0; i < *out_count; i++) {
        if (!(*out)[i]->passed) {
            return mos_fail(error, MOS_CORRUPT,
                            "what the backup holds did not pass its checks, so the database in place was left as it is");
        }
    }
    return mos_sqlite_replace(descriptor, target->url.path, target->cancelled, target->context, error);
}

static const char *const no_extras[] = {NULL};
const struct mos_database_driver mos_sqlite_driver = {
    .engine = "sqlite",
    .kind = MOS_DATABASE_SQLITE,
    .extras = no_extras,
    .probe = probe,
    .dump = dump,
    .read = read_dump,
    .describe = describe,
    .close = close_dump,
    .check_file = mos_sqlite_check,
    .there = there,
    .load = load,
};
