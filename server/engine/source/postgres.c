// PostgreSQL by its own programs: psql, pg_dump, pg_dumpall, pg_restore. Not by libpq, which would bring OpenSSL's libcrypto into this
// process beside BoringSSL.
//
// The dump is pg_dump's custom format without compression, through a pipe. A psql session exports the snapshot that pg_dump reads and
// counts the rows in it meanwhile. The password goes to each program in an anonymous file (mos_secret_file).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/id.h"
#include "engine/source/postgres_internal.h"

enum { ANSWER_BYTES = 64 << 20, MAGIC_BYTES = 5, HEAD_BYTES = 4096 };

// ---- Running the programs ----

// key='value' of a connection string.
static void add_key(struct mos_buffer *out, const char *key, const char *value) {
    mos_buffer_printf(out, "%s%s='", out->size_bytes ? " " : "", key);
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\') {
            mos_buffer_append_byte(out, '\\');
        }
        mos_buffer_append_byte(out, (uint8_t)*value);
    }
    mos_buffer_append_byte(out, '\'');
}

// All but the password. Written out, so that a name with an equals sign is not taken for a connection string itself.
static char *connection_string(const struct mos_database *database, const char *name) {
    const struct mos_database_url *url = &database->url;
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    char port[16];
    snprintf(port, sizeof(port), "%d", url->port);
    add_key(&text, "dbname", name);
    const char *const keys[][2] = {{"host", url->host},
                                   {"port", url->port ? port : ""},
                                   {"user", url->user},
                                   {"sslmode", url->tls_mode},
                                   {"sslrootcert", url->tls_authority},
                                   {"passfile", url->password ? "/proc/self/fd/3" : ""},
                                   {"connect_timeout", "10"},
                                   {"keepalives_idle", "30"},
                                   {"keepalives_interval", "10"},
                                   {"keepalives_count", "3"},
                                   {"application_name", "mosaajii-backup"}};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (*keys[i][1]) {
            add_key(&text, keys[i][0], keys[i][1]);
        }
    }
    return mos_arena_strdup(database->arena, mos_buffer_text(&text));
}

// A line of a password file, for whatever is connected to. -1: failed, -2: there is no password.
static int password_file(const struct mos_database *database, struct mos_error *error) {
    const char *password = database->url.password;
    if (!password) {
        return -2;
    }
    size_t length = strlen(password);
    char *line = mos_calloc(1, 2 * length + sizeof("*:*:*:*:\n"));
    char *at = stpcpy(line, "*:*:*:*:");
    for (const char *c = password; *c; c++) {
        if (*c == ':' || *c == '\\') {
            *at++ = '\\';
        }
        *at++ = *c;
    }
    *at = '\n';
    int descriptor = mos_secret_file(line, error);
    explicit_bzero(line, strlen(line));
    free(line);
    return descriptor;
}

mos_status mos_postgres_start(const struct mos_database *database, const char *name, const char *const *arguments, bool input, bool output,
                              int quiet_ms, mos_child **out, struct mos_error *error) {
    size_t count = 0;
    while (arguments[count]) {
        count++;
    }
    const char **all = mos_arena_array(database->arena, const char *, count + 4);
    memcpy(all, arguments, count * sizeof(*all));
    all[count] = "-w";
    all[count + 1] = "-d";
    all[count + 2] = connection_string(database, name);
    int secret = password_file(database, error);
    if (secret == -1) {
        return MOS_IO;
    }
    const struct mos_child_options options = {.arguments = all,
                                              .secret = secret,
                                              .input = input,
                                              .output = output,
                                              .quiet_ms = quiet_ms,
                                              .cancelled = database->cancelled,
                                              .context = database->context,
                                              .hidden = database->url.password};
    mos_status status = mos_child_start(&options, out, error);
    if (secret >= 0) {
        close(secret);
    }
    return status;
}

static const char *const psql[] = {"psql", "-X", "-q", "-A", "-t", "-F", "|", "-v", "ON_ERROR_STOP=1", NULL};
// For each session: names come and go in UTF-8, whatever the server's own encoding. Locks are not waited for for ever, and a server that
// knows how (from 14 on) looks meanwhile whether this side is still there.
static const char settings[] = "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\nSET row_security = off;\n"
                               "SET lock_timeout = '60s';\nDO $$BEGIN PERFORM set_config(name, '1000', false) FROM pg_settings WHERE "
                               "name = 'client_connection_check_interval'; END$$;\n";

static mos_status read_all(mos_child *child, struct mos_buffer *out, struct mos_error *error) {
    char block[16384];
    for (size_t got = 1; got;) {
        mos_status status = mos_child_read(child, block, sizeof(block), &got, error);
        if (status) {
            return status;
        }
        if (!mos_buffer_append(out, block, got)) {
            return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the database server answers more than was expected");
        }
    }
    return MOS_OK;
}

mos_status mos_postgres_ask(const struct mos_database *database, const char *name, const char *sql, int quiet_ms, const char **out,
                            struct mos_error *error) {
    mos_child *child;
    MOS_CLEANUP_BUFFER struct mos_buffer answer = MOS_BUFFER_INIT(ANSWER_BYTES);
    mos_status status = mos_postgres_start(database, name, psql, true, true, quiet_ms, &child, error);
    if (status) {
        return status;
    }
    status = mos_child_write(child, settings, strlen(settings), error);
    status = status ? status : mos_child_write(child, sql, strlen(sql), error);
    mos_child_close_input(child);
    status = status ? status : read_all(child, &answer, error);
    status = status ? status : mos_child_finish(child, error);
    mos_child_free(child);
    if (status == MOS_OK && out) {
        *out = mos_arena_strdup(database->arena, mos_buffer_text(&answer));
    }
    return status;
}

// ---- What is there ----

// One statement for each table, whose answer is its name in hexadecimal digits and its rows. Partitions are counted, what they are parts of
// is not; tables of extensions are made by these.
static const char count_tables[] =
    "SELECT format('SELECT %L, count(*) FROM ONLY %I.%I', encode(textsend(n.nspname || '.' || c.relname), 'hex'), n.nspname, c.relname) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND " MOS_POSTGRES_USER_SCHEMA
    " AND " MOS_POSTGRES_NO_EXTENSION("pg_class", "c") " ORDER BY 1 LIMIT 100000 \\gexec\n";

static bool take_tables(char *answer, struct mos_database_tables *out, mos_arena *arena) {
    *out = (struct mos_database_tables){0};
    for (char *line = answer; *line;) {
        size_t length = strcspn(line, "\n");
        char *next = line + length + (line[length] == '\n');
        line[length] = 0;
        char *bar = strchr(line, '|');
        size_t digits = bar ? (size_t)(bar - line) : 0;
        char *name = mos_arena_alloc(arena, digits / 2 + 1);
        if (!bar) {
            return false;
        }
        *bar = 0;
        if (!mos_hex_decode(line, (uint8_t *)name, digits / 2)) {
            return false;
        }
        mos_database_add_table(out, name, strtoll(bar + 1, NULL, 10), arena);
        line = next;
    }
    mos_database_sort_tables(out);
    return true;
}

mos_status mos_postgres_read_tables(const struct mos_database *database, const char *name, struct mos_database_tables *out,
                                    struct mos_error *error) {
    const char *answer = "";
    mos_status status = mos_postgres_ask(database, name, count_tables, 0, &answer, error);
    if (status == MOS_OK && !take_tables((char *)answer, out, database->arena)) {
        status = mos_fail(error, MOS_INTERNAL, "psql answers what cannot be understood");
    }
    return status;
}

static mos_status probe(struct mos_database *database, struct mos_error *error) {
    const char *answer = "";
    mos_status status = mos_postgres_ask(database, database->url.name, "SELECT pg_database_size(current_database());\n",
                                         MOS_POSTGRES_ANSWER_MS, &answer, error);
    if (status == MOS_OK) {
        database->size_bytes = strtoll(answer, NULL, 10);
    } else {
        mos_fail_context(error, "the database %s", database->shown);
    }
    return status;
}

// ---- Dump ----

struct dump {
    struct mos_database_dump base;
    mos_child *program;
    // Holds the snapshot open; NULL for the globals.
    mos_child *session;
    bool counting;
    bool ended;
};

static void close_dump(struct mos_database_dump *base) {
    struct dump *made = (struct dump *)base;
    mos_child_free(made->program);
    mos_child_free(made->session);
}

static mos_status read_line(mos_child *child, char *line, size_t size_bytes, struct mos_error *error) {
    size_t length = 0;
    for (size_t got = 1; length + 1 < size_bytes; length++) {
        mos_status status = mos_child_read(child, line + length, 1, &got, error);
        if (status) {
            return status;
        }
        if (got == 0) {
            status = mos_child_finish(child, error);
            return status ? status : mos_fail(error, MOS_INTERNAL, "psql ended without an answer");
        }
        if (line[length] == '\n') {
            break;
        }
    }
    line[length] = 0;
    return MOS_OK;
}

static mos_status dump_tables(const struct mos_database *database, struct dump *made, struct mos_error *error) {
    static const char begin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSELECT pg_export_snapshot();\n";
    char snapshot[128];
    mos_status status = mos_postgres_start(database, database->url.name, psql, true, true, 0, &made->session, error);
    status = status ? status : mos_child_write(made->session, settings, strlen(settings), error);
    status = status ? status : mos_child_write(made->session, begin, strlen(begin), error);
    status = status ? status : read_line(made->session, snapshot, sizeof(snapshot), error);
    if (status) {
        return status;
    }
    const char *const arguments[] = {
        "pg_dump", "-Fc", "-Z0", "--lock-wait-timeout=60000", mos_arena_printf(database->arena, "--snapshot=%s", snapshot), NULL};
    return mos_postgres_start(database, database->url.name, arguments, false, true, 0, &made->program, error);
}

static mos_status dump_globals(const struct mos_database *database, struct dump *made, struct mos_error *error) {
    const char *may = "";
    mos_status status = mos_postgres_ask(database, database->url.name, "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT');\n",
                                         MOS_POSTGRES_ANSWER_MS, &may, error);
    if (status) {
        return status;
    }
    const char *const all[] = {"pg_dumpall", "--globals-only", NULL};
    const char *const some[] = {"pg_dumpall", "--globals-only", "--no-role-passwords", NULL};
    if (*may != 't') {
        database->warn(database->context, database->shown, strlen(database->shown),
                       "roles are in the backup without their passwords, which only a superuser may read");
    }
    return mos_postgres_start(database, database->url.name, *may == 't' ? all : some, false, true, 0, &made->program, error);
}

static mos_status dump(const struct mos_database *database, const char *extra, struct mos_database_dump **out, struct mos_error *error) {
    struct dump *made = mos_arena_alloc(database->arena, sizeof(*made));
    made->base.database = database;
    made->base.status = (struct stat){.st_mode = S_IFREG | 0600, .st_uid = geteuid(), .st_gid = getegid()};
    clock_gettime(CLOCK_REALTIME, &made->base.status.st_mtim);
    made->base.status.st_ctim = made->base.status.st_mtim;
    mos_status status = extra ? dump_globals(database, made, error) : dump_tables(database, made, error);
    if (status) {
        close_dump(&made->base);
        return status == MOS_CANCELLED ? status : mos_fail_context(error, "the database %s", database->shown);
    }
    *out = &made->base;
    return MOS_OK;
}

static mos_status read_dump(struct mos_database_dump *base, void *buffer, size_t size_bytes, size_t *out_bytes, struct mos_error *error) {
    struct dump *made = (struct dump *)base;
    *out_bytes = 0;
    if (made->ended) {
        return MOS_OK;
    }
    mos_status status = mos_child_read(made->program, buffer, size_bytes, out_bytes, error);
    if (status == MOS_OK && *out_bytes == 0) {
        made->ended = true;
        status = mos_child_finish(made->program, error);
    }
    if (status == MOS_OK && made->session && !made->counting) {
        // Not before pg_dump has taken the snapshot over, which is lost where counting fails. The answers wait in the pipe.
        made->counting = true;
        struct mos_error cause = {0};
        status = mos_child_write(made->session, count_tables, strlen(count_tables), &cause);
        status = status == MOS_CANCELLED ? mos_fail(error, status, "cancelled") : MOS_OK;
    }
    return status && status != MOS_CANCELLED ? mos_fail_context(error, "the database %s", base->database->shown) : status;
}

static mos_status describe(struct mos_database_dump *base, mos_database_record *record, struct mos_error *error) {
    struct dump *made = (struct dump *)base;
    const struct mos_database *database = base->database;
    MOS_CLEANUP_BUFFER struct mos_buffer answer = MOS_BUFFER_INIT(ANSWER_BYTES);
    struct mos_database_tables tables = {0};
    struct mos_error cause = {0};
    mos_child_close_input(made->session);
    mos_status status = read_all(made->session, &answer, &cause);
    status = status ? status : mos_child_finish(made->session, &cause);
    if (status == MOS_CANCELLED) {
        return mos_fail(error, MOS_CANCELLED, "cancelled");
    }
    if (status == MOS_OK && !take_tables(mos_arena_strdup(database->arena, mos_buffer_text(&answer)), &tables, database->arena)) {
        status = mos_fail(&cause, MOS_INTERNAL, "psql answers what cannot be understood");
    }
    if (status) {
        database->warn(database->context, database->shown, strlen(database->shown),
                       mos_arena_printf(database->arena, "the dump is whole, but its rows could not be counted: %s", cause.message));
        return MOS_OK;
    }
    record->tables = tables.list;
    record->n_tables = tables.count;
    return MOS_OK;
}

static void check_file(const char *path, const mos_database_record *recorded, mos_arena *arena, mos_database_check ***out,
                       size_t *out_count) {
    char magic[MAGIC_BYTES] = {0};
    FILE *file = fopen(path, "rb");
    bool good = file && fread(magic, 1, sizeof(magic), file) == sizeof(magic) && memcmp(magic, "PGDMP", sizeof(magic)) == 0;
    if (file) {
        fclose(file);
    }
    *out = mos_arena_array(arena, mos_database_check *, 1);
    (*out)[0] = mos_database_make_check(arena, recorded->name, "is an archive for pg_restore", good, "");
    *out_count = 1;
}

static const char *const extras[] = {".globals.sql", NULL};
const struct mos_database_driver mos_postgres_driver = {
    .engine = "postgresql",
    .kind = MOS_DATABASE_POSTGRESQL,
    .extras = extras,
    .head_bytes = HEAD_BYTES,
    .probe = probe,
    .dump = dump,
    .read = read_dump,
    .describe = describe,
    .close = close_dump,
    .check_file = check_file,
    .there = mos_postgres_there,
    .load = mos_postgres_load,
};
