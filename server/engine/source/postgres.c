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
#include "engine/source/child.h"
#include "engine/source/postgres.h"

enum { ANSWER_MS = 60000, ANSWER_BYTES = 64 << 20, GLOBALS_BYTES = 16 << 20, MAGIC_BYTES = 5, HEAD_BYTES = 4096, NAME_BYTES = 63 };

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

// `arguments` without the connection, which is put behind them as -d.
static mos_status start(const struct mos_database *database, const char *name, const char *const *arguments, bool input, bool output,
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
// Names come and go in UTF-8, whatever the server's own encoding. Locks are not waited for for ever, and a server that knows how (from 14
// on) looks meanwhile whether this side is still there.
static const char settings[] = "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\nSET row_security = off;\n"
                               "SET lock_timeout = '60s';\nDO $$BEGIN PERFORM set_config(name, '1000', false) FROM pg_settings WHERE "
                               "name = 'client_connection_check_interval'; END$$;\n";
// Goes on behind a failure.
static const char *const lenient_psql[] = {"psql", "-X", "-q", "-A", "-t", "-F", "|", NULL};

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

// Runs the statements in the database `name`; *out is what they answer, in the arena: rows as lines, columns between bars.
static mos_status ask(const struct mos_database *database, const char *name, const char *sql, int quiet_ms, const char **out,
                      struct mos_error *error) {
    mos_child *child;
    MOS_CLEANUP_BUFFER struct mos_buffer answer = MOS_BUFFER_INIT(ANSWER_BYTES);
    mos_status status = start(database, name, psql, true, true, quiet_ms, &child, error);
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

static char *quoted(mos_arena *arena, const char *text, char quote) {
    char *out = mos_arena_alloc(arena, 2 * strlen(text) + 3);
    char *at = out;
    *at++ = quote;
    for (; *text; text++) {
        if (*text == quote) {
            *at++ = quote;
        }
        *at++ = *text;
    }
    *at = quote;
    return out;
}

static char *identifier(const struct mos_database *database, const char *name) {
    return quoted(database->arena, name, '"');
}

// A literal. A backslash is nothing special in it; a line break is kept.
static char *literal(const struct mos_database *database, const char *text) {
    return quoted(database->arena, text, '\'');
}

// ---- What is there ----

// Schemas that are not the server's own.
#define USER_SCHEMA "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
#define NOT_OF_EXTENSION(catalog, row)                                                                                                     \
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '" catalog "'::regclass AND d.objid = " row ".oid AND d.deptype = 'e')"

// One statement for each table, whose answer is its name in hexadecimal digits and its rows. Partitions are counted, what they are parts of
// is not; tables of extensions are made by these.
static const char count_tables[] =
    "SELECT format('SELECT %L, count(*) FROM ONLY %I.%I', encode(textsend(n.nspname || '.' || c.relname), 'hex'), n.nspname, c.relname) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND " USER_SCHEMA
    " AND " NOT_OF_EXTENSION("pg_class", "c") " ORDER BY 1 LIMIT 100000 \\gexec\n";

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

static mos_status read_tables(const struct mos_database *database, const char *name, struct mos_database_tables *out,
                              struct mos_error *error) {
    const char *answer = "";
    mos_status status = ask(database, name, count_tables, 0, &answer, error);
    if (status == MOS_OK && !take_tables((char *)answer, out, database->arena)) {
        status = mos_fail(error, MOS_INTERNAL, "psql answers what cannot be understood");
    }
    return status;
}

static mos_status probe(struct mos_database *database, struct mos_error *error) {
    const char *answer = "";
    mos_status status = ask(database, database->url.name, "SELECT pg_database_size(current_database());\n", ANSWER_MS, &answer, error);
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
    mos_status status = start(database, database->url.name, psql, true, true, 0, &made->session, error);
    status = status ? status : mos_child_write(made->session, settings, strlen(settings), error);
    status = status ? status : mos_child_write(made->session, begin, strlen(begin), error);
    status = status ? status : read_line(made->session, snapshot, sizeof(snapshot), error);
    if (status) {
        return status;
    }
    const char *const arguments[] = {
        "pg_dump", "-Fc", "-Z0", "--lock-wait-timeout=60000", mos_arena_printf(database->arena, "--snapshot=%s", snapshot), NULL};
    return start(database, database->url.name, arguments, false, true, 0, &made->program, error);
}

static mos_status dump_globals(const struct mos_database *database, struct dump *made, struct mos_error *error) {
    const char *may = "";
    mos_status status =
        ask(database, database->url.name, "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT');\n", ANSWER_MS, &may, error);
    if (status) {
        return status;
    }
    const char *const all[] = {"pg_dumpall", "--globals-only", NULL};
    const char *const some[] = {"pg_dumpall", "--globals-only", "--no-role-passwords", NULL};
    if (*may != 't') {
        database->warn(database->context, database->shown, strlen(database->shown),
                       "roles are in the backup without their passwords, which only a superuser may read");
    }
    return start(database, database->url.name, *may == 't' ? all : some, false, true, 0, &made->program, error);
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

// ---- Restore ----

struct state {
    bool exists;
    bool empty;
    bool superuser;
};

static const char ask_state[] =
    "SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), "
    "EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE " USER_SCHEMA " AND " NOT_OF_EXTENSION(
        "pg_class",
        "c") ") "
             "OR EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE " USER_SCHEMA " AND " NOT_OF_EXTENSION(
                 "pg_proc", "p") ") "
                                 "OR EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE " USER_SCHEMA
                                 " AND " NOT_OF_EXTENSION(
                                     "pg_type", "t") ") "
                                                     "OR EXISTS (SELECT FROM pg_namespace n WHERE " USER_SCHEMA
                                                     " AND n.nspname <> 'public' AND " NOT_OF_EXTENSION(
                                                         "pg_namespace", "n") ") "
                                                                              "OR EXISTS (SELECT FROM pg_largeobject_metadata) OR EXISTS "
                                                                              "(SELECT FROM pg_extension WHERE extname <> 'plpgsql');\n";

// A database of the same server from which others are made and dropped.
static mos_status find_maintenance(const struct mos_database *target, const char **out, bool *out_superuser, struct mos_error *error) {
    static const char *const names[] = {"postgres", "template1"};
    const char *answer = "";
    mos_status status = MOS_OK;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *out = names[i];
        status = ask(target, names[i], "SELECT rolsuper FROM pg_roles WHERE rolname = current_user;\n", ANSWER_MS, &answer, error);
        if (status != MOS_NOT_FOUND) {
            break;
        }
    }
    *out_superuser = *answer == 't';
    return status;
}

static mos_status look(const struct mos_database *target, struct state *out, struct mos_error *error) {
    const char *answer = "";
    struct mos_error cause = {0};
    *out = (struct state){0};
    mos_status status = ask(target, target->url.name, ask_state, ANSWER_MS, &answer, &cause);
    if (status == MOS_OK) {
        out->exists = true;
        out->superuser = answer[0] == 't';
        out->empty = answer[0] && answer[1] == '|' && answer[2] == 'f';
        return MOS_OK;
    }
    if (status != MOS_NOT_FOUND) {
        return status == MOS_CANCELLED ? mos_fail(error, status, "cancelled")
                                       : mos_fail(error, status, "the database %s: %s", target->shown, cause.message);
    }
    const char *maintenance;
    out->empty = true;
    status = find_maintenance(target, &maintenance, &out->superuser, error);
    return status && status != MOS_CANCELLED ? mos_fail_context(error, "the database %s", target->shown) : status;
}

static mos_status there(const struct mos_database *target, bool *out, struct mos_error *error) {
    struct state state;
    mos_status status = look(target, &state, error);
    *out = status == MOS_OK && !state.empty;
    return status;
}

static mos_status to_buffer(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    (void)offset_bytes;
    return mos_buffer_append(context, data, size_bytes) ? MOS_OK
                                                        : mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the roles of the backup are too many");
}

static mos_status to_child(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    (void)offset_bytes;
    return mos_child_write(context, data, size_bytes, error);
}

static bool is_line_of(const char *list, const char *word, size_t length) {
    for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strcspn(line, "\n") == length && memcmp(line, word, length) == 0) {
            return true;
        }
    }
    return false;
}

// Of an identifier as pg_dumpall writes it, at the start of the text.
static size_t identifier_length(const char *text) {
    if (*text != '"') {
        return strcspn(text, " ;\n");
    }
    size_t length = 1;
    while (text[length] && (text[length] != '"' || text[length + 1] == '"')) {
        length += text[length] == '"' ? 2 : 1;
    }
    return length + (text[length] == '"');
}

// The end of the statement that begins here: behind its semicolon, which stands outside of quotes and comments.
static const char *statement_end(const char *text) {
    char quote = 0;
    for (; *text; text++) {
        if (quote) {
            quote = *text == quote ? 0 : quote;
        } else if (*text == '\'' || *text == '"') {
            quote = *text;
        } else if (*text == '-' && text[1] == '-') {
            text += strcspn(text, "\n");
            if (!*text) {
                break;
            }
        } else if (*text == ';') {
            return text + 1;
        }
    }
    return text;
}

// White space and comments.
static const char *skip_space(const char *text) {
    for (;;) {
        text += strspn(text, " \t\r\n");
        if (text[0] != '-' || text[1] != '-') {
            return text;
        }
        text += strcspn(text, "\n");
    }
}

void mos_postgres_pick_roles(const char *globals, const char *known, struct mos_buffer *out) {
    MOS_CLEANUP_BUFFER struct mos_buffer made = MOS_BUFFER_INIT(0);
    const char *end;
    for (const char *statement = skip_space(globals); *statement; statement = skip_space(end)) {
        const char *name = NULL;
        end = statement_end(statement);
        if (strncmp(statement, "CREATE ROLE ", 12) == 0) {
            name = statement + 12;
            if (!is_line_of(known, name, identifier_length(name))) {
                mos_buffer_append(&made, name, identifier_length(name));
                mos_buffer_append_byte(&made, '\n');
            }
        } else if (strncmp(statement, "ALTER ROLE ", 11) == 0) {
            name = statement + 11;
        } else if (strncmp(statement, "GRANT ", 6) == 0) {
            name = statement + 6 + identifier_length(statement + 6);
            name = strncmp(name, " TO ", 4) == 0 ? name + 4 : NULL;
        }
        // psql would take a backslash for a command of its own.
        bool plain = !memchr(statement, '\\', (size_t)(end - statement));
        if (name && plain && is_line_of(mos_buffer_text(&made), name, identifier_length(name))) {
            mos_buffer_append(out, statement, (size_t)(end - statement));
            mos_buffer_append_byte(out, '\n');
        }
    }
}

// What the tables' owners and rights refer to. What fails here is a warning; pg_restore tells if it mattered.
static mos_status make_roles(const struct mos_database *target, const char *maintenance, const struct mos_database_content *content,
                             struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer globals = MOS_BUFFER_INIT(GLOBALS_BYTES);
    MOS_CLEANUP_BUFFER struct mos_buffer statements = MOS_BUFFER_INIT(0);
    const char *known = "";
    mos_status status = content->feed(content->context, mos_postgres_driver.extras[0], to_buffer, &globals, error);
    if (status) {
        return status == MOS_NOT_FOUND ? MOS_OK : status;
    }
    status = ask(target, maintenance, "SELECT quote_ident(rolname) FROM pg_roles;\n", ANSWER_MS, &known, error);
    if (status) {
        return status;
    }
    mos_postgres_pick_roles(mos_buffer_text(&globals), known, &statements);
    mos_child *child;
    status = start(target, maintenance, lenient_psql, true, false, 0, &child, error);
    if (status) {
        return status;
    }
    status = mos_child_write(child, statements.data, statements.size_bytes, error);
    status = status ? status : mos_child_finish(child, error);
    if (status == MOS_OK && *mos_child_said(child)) {
        const char *said = mos_child_said(child);
        // Not the statement itself, in which a password may stand.
        target->warn(target->context, target->shown, strlen(target->shown),
                     mos_arena_printf(target->arena, "not all roles could be made: %.*s", (int)strcspn(said, "\n"), said));
    }
    mos_child_free(child);
    return status;
}

static mos_status fill(const struct mos_database *target, const char *name, bool superuser, const struct mos_database_content *content,
                       struct mos_error *error) {
    const char *const whole[] = {"pg_restore", "--exit-on-error", "--single-transaction", NULL};
    const char *const own[] = {"pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-acl", NULL};
    if (!superuser) {
        target->warn(target->context, target->shown, strlen(target->shown),
                     "all restored objects belong to the user of the URL, as only a superuser may set owners and rights");
    }
    mos_child *child;
    mos_status status = start(target, name, superuser ? whole : own, true, false, 0, &child, error);
    if (status) {
        return status;
    }
    status = content->feed(content->context, NULL, to_child, child, error);
    status = status ? status : mos_child_finish(child, error);
    mos_child_free(child);
    return status;
}

static mos_status check(const struct mos_database *target, const char *name, const mos_database_record *recorded, mos_database_check ***out,
                        size_t *out_count, struct mos_error *error) {
    struct mos_database_tables tables = {0};
    struct mos_error cause = {0};
    mos_status status = read_tables(target, name, &tables, &cause);
    if (status == MOS_CANCELLED) {
        return mos_fail(error, status, "cancelled");
    }
    *out = mos_arena_array(target->arena, mos_database_check *, 2);
    (*out)[0] = mos_database_make_check(target->arena, recorded->name, "opens", status == MOS_OK, status ? cause.message : "");
    (*out)[1] = mos_database_compare_tables(recorded, &tables, status ? "not counted" : NULL, target->arena);
    *out_count = 2;
    return (*out)[0]->passed && (*out)[1]->passed
               ? MOS_OK
               : mos_fail(error, MOS_CORRUPT, "what was restored differs from what was backed up (%s)", (*out)[1]->message);
}

// Everything that the new database does not have by itself.
static const char copy_database[] =
    "SELECT format('CREATE DATABASE %%I TEMPLATE template0 OWNER %%I ENCODING %%L LC_COLLATE %%L LC_CTYPE %%L', %1$s, "
    "pg_get_userbyid(datdba), "
    "pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = %2$s \\gexec\n"
    "SELECT format('REVOKE ALL ON DATABASE %%I FROM PUBLIC', %1$s) FROM pg_database WHERE datname = %2$s AND datacl IS NOT NULL \\gexec\n"
    "SELECT format('GRANT %%s ON DATABASE %%I TO %%s', privilege_type, %1$s, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE "
    "quote_ident(pg_get_userbyid(grantee)) END) FROM pg_database, aclexplode(datacl) WHERE datname = %2$s \\gexec\n"
    "SELECT format('ALTER DATABASE %%I SET %%I TO %%s', %1$s, split_part(setting, '=', 1), CASE WHEN split_part(setting, '=', 1) IN "
    "('search_path', 'DateStyle') THEN substr(setting, strpos(setting, '=') + 1) ELSE quote_literal(substr(setting, strpos(setting, '=') + "
    "1)) "
    "END) FROM pg_db_role_setting s JOIN pg_database b ON b.oid = s.setdatabase, unnest(setconfig) setting WHERE b.datname = %2$s AND "
    "setrole = 0 \\gexec\n";

// Into a database of its own, which takes the name at the end: until then the old one stays in use.
static mos_status replace_with_new(const struct mos_database *target, const char *maintenance, const struct state *state,
                                   const mos_database_record *recorded, const struct mos_database_content *content,
                                   mos_database_check ***out, size_t *out_count, struct mos_error *error) {
    char id[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    const char *fresh = mos_arena_printf(target->arena, "mosaajii-%s", id);
    const char *name = target->url.name;
    const char *make = state->exists
                           ? mos_arena_printf(target->arena, copy_database, literal(target, fresh), literal(target, name))
                           : mos_arena_printf(target->arena, "CREATE DATABASE %s TEMPLATE template0;\n", identifier(target, fresh));
    mos_status status = ask(target, maintenance, make, 0, NULL, error);
    status = status ? status : fill(target, fresh, state->superuser, content, error);
    status = status ? status : check(target, fresh, recorded, out, out_count, error);
    bool dropped = false;
    if (status == MOS_OK && state->exists) {
        status = ask(target, maintenance, mos_arena_printf(target->arena, "DROP DATABASE %s WITH (FORCE);\n", identifier(target, name)), 0,
                     NULL, error);
        dropped = status == MOS_OK;
    }
    if (status == MOS_OK) {
        status =
            ask(target, maintenance,
                mos_arena_printf(target->arena, "ALTER DATABASE %s RENAME TO %s;\n", identifier(target, fresh), identifier(target, name)),
                0, NULL, error);
    }
    if (status && dropped) {
        return mos_fail_context(error, "the restored database is whole and now called %s, but could not be given its name", fresh);
    }
    if (status) {
        // Also when the job was cancelled: this one nobody asks.
        struct mos_database cleaner = *target;
        cleaner.cancelled = NULL;
        ask(&cleaner, maintenance, mos_arena_printf(target->arena, "DROP DATABASE IF EXISTS %s WITH (FORCE);\n", identifier(target, fresh)),
            ANSWER_MS, NULL, NULL);
    }
    return status;
}

static mos_status load(const struct mos_database *target, const mos_database_record *recorded, const struct mos_database_content *content,
                       bool replace, mos_database_check ***out, size_t *out_count, struct mos_error *error) {
    struct state state;
    const char *maintenance = NULL;
    bool superuser;
    if (strlen(target->url.name) > NAME_BYTES) {
        return mos_fail_field(error, "target", "the name of a PostgreSQL database has at most %d bytes", NAME_BYTES);
    }
    mos_status status = look(target, &state, error);
    if (status) {
        return status;
    }
    if (!state.empty && !replace) {
        return mos_fail(error, MOS_ALREADY_EXISTS, "the database %s is not empty, and replacing it was not asked for; nothing was changed",
                        target->shown);
    }
    bool in_new = !state.exists || !state.empty;
    status = in_new || state.superuser ? find_maintenance(target, &maintenance, &superuser, error) : MOS_OK;
    if (status == MOS_OK && state.superuser) {
        status = make_roles(target, maintenance, content, error);
    }
    if (status == MOS_OK) {
        status = in_new ? replace_with_new(target, maintenance, &state, recorded, content, out, out_count, error)
                        : fill(target, target->url.name, state.superuser, content, error);
    }
    if (status == MOS_OK && !in_new) {
        status = check(target, target->url.name, recorded, out, out_count, error);
    }
    return status && status != MOS_CANCELLED && status != MOS_CORRUPT ? mos_fail_context(error, "the database %s", target->shown) : status;
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
    .there = there,
    .load = load,
};
