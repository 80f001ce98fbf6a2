// MySQL and MariaDB by their own programs: mariadb and mariadb-dump.
//
// The dump is SQL with one row a statement: other than long statements, whose ends depend on all rows before, that stays the same where the
// rows do, and it lets rows be counted as they pass, so the counts are of the dump's own snapshot. Access is told in an anonymous file
// (mos_secret_file), in the form of an option file.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/id.h"
#include "engine/source/child.h"
#include "engine/source/mysql_rows.h"

enum { ANSWER_MS = 60000, ANSWER_BYTES = 64 << 20 };

// ---- Running the programs ----

static void add_option(struct mos_buffer *out, const char *name, const char *value) {
    mos_buffer_printf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\' || *value == '\'') {
            mos_buffer_append_byte(out, '\\');
        }
        mos_buffer_append_byte(out, (uint8_t)*value);
    }
    mos_buffer_append_text(out, "\"\n");
}

// The option file. -1: failed.
static int access_file(const struct mos_database *database, struct mos_error *error) {
    const struct mos_database_url *url = &database->url;
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    mos_buffer_append_text(&text, "[client]\ndefault-character-set=utf8mb4\n");
    if (*url->user) {
        add_option(&text, "user", url->user);
    }
    if (url->password) {
        add_option(&text, "password", url->password);
    }
    if (*url->host == '/') {
        add_option(&text, "socket", url->host);
    } else if (*url->host) {
        add_option(&text, "host", url->host);
    }
    if (url->port && *url->host != '/') {
        mos_buffer_printf(&text, "port=%d\nprotocol=tcp\n", url->port);
    }
    if (strcmp(url->tls_mode, "require") == 0 || strncmp(url->tls_mode, "verify-", 7) == 0) {
        mos_buffer_append_text(&text, *url->tls_mode == 'v' ? "ssl\nssl-verify-server-cert\n" : "ssl\n");
    }
    if (*url->tls_authority) {
        add_option(&text, "ssl-ca", url->tls_authority);
    }
    mos_buffer_append_text(&text, "[mysql]\nconnect-timeout=10\n");
    int descriptor = mos_secret_file(mos_buffer_text(&text), error);
    explicit_bzero(text.data, text.size_bytes);
    return descriptor;
}

static mos_status start(const struct mos_database *database, const char *const *arguments, bool input, bool output, int quiet_ms,
                        mos_child **out, struct mos_error *error) {
    int secret = access_file(database, error);
    if (secret < 0) {
        return MOS_IO;
    }
    const struct mos_child_options options = {.arguments = arguments,
                                              .secret = secret,
                                              .input = input,
                                              .output = output,
                                              .quiet_ms = quiet_ms,
                                              .cancelled = database->cancelled,
                                              .context = database->context,
                                              .hidden = database->url.password};
    mos_status status = mos_child_start(&options, out, error);
    close(secret);
    return status;
}

#define OPTIONS "--defaults-file=/proc/self/fd/3"

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

// Runs the statements, in no database; *out is what they answer, in the arena: rows as lines, columns between tabs. With an `option`, what
// fails of it does not count.
static mos_status ask_with(const struct mos_database *database, const char *option, const char *sql, int quiet_ms, const char **out,
                           struct mos_error *error) {
    const char *const arguments[] = {"mariadb", OPTIONS, "--batch", "--skip-column-names", "--binary-mode", option, NULL};
    mos_child *child;
    MOS_CLEANUP_BUFFER struct mos_buffer answer = MOS_BUFFER_INIT(ANSWER_BYTES);
    mos_status status = start(database, arguments, true, true, quiet_ms, &child, error);
    if (status) {
        return status;
    }
    status = mos_child_write(child, sql, strlen(sql), error);
    mos_child_close_input(child);
    status = status ? status : read_all(child, &answer, error);
    if (status == MOS_OK) {
        status = mos_child_finish(child, error);
        status = option && status != MOS_CANCELLED ? MOS_OK : status;
    }
    mos_child_free(child);
    if (status == MOS_OK && out) {
        *out = mos_arena_strdup(database->arena, mos_buffer_text(&answer));
    }
    return status;
}

static mos_status ask(const struct mos_database *database, const char *sql, int quiet_ms, const char **out, struct mos_error *error) {
    return ask_with(database, NULL, sql, quiet_ms, out, error);
}

// The text in hexadecimal digits up to `end`, behind which *at is then. NULL where it is none.
static char *take_hex(char **at, char end, mos_arena *arena) {
    size_t digits = strspn(*at, "0123456789ABCDEF");
    uint8_t *text = mos_arena_alloc(arena, digits / 2 + 1);
    if ((*at)[digits] != end) {
        return NULL;
    }
    for (size_t i = 0; i < digits; i++) {
        (*at)[i] = (*at)[i] >= 'A' ? (char)((*at)[i] - 'A' + 'a') : (*at)[i];
    }
    (*at)[digits] = 0;
    bool good = mos_hex_decode(*at, text, digits / 2);
    *at += digits + 1;
    return good ? (char *)text : NULL;
}

static char *identifier(mos_arena *arena, const char *name) {
    char *out = mos_arena_alloc(arena, 2 * strlen(name) + 3);
    char *at = out;
    *at++ = '`';
    for (; *name; name++) {
        if (*name == '`') {
            *at++ = '`';
        }
        *at++ = *name;
    }
    *at = '`';
    return out;
}

// A text as SQL, whatever the server thinks of backslashes.
static char *literal(mos_arena *arena, const char *text) {
    char *digits = mos_arena_alloc(arena, 2 * strlen(text) + 1);
    mos_hex_encode((const uint8_t *)text, strlen(text), digits);
    return mos_arena_printf(arena, "CONVERT(X'%s' USING utf8mb4)", digits);
}

static mos_status in_context(const struct mos_database *database, mos_status status, struct mos_error *error) {
    return status && status != MOS_CANCELLED && status != MOS_CORRUPT ? mos_fail_context(error, "the database %s", database->shown)
                                                                      : status;
}

// ---- What is there ----

#define TABLES "FROM information_schema.TABLES t WHERE t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND t.TABLE_SCHEMA = "

static mos_status probe(struct mos_database *database, struct mos_error *error) {
    const char *name = literal(database->arena, database->url.name);
    const char *answer = "";
    const char *sql = mos_arena_printf(
        database->arena,
        "USE %s;\nSELECT COALESCE(SUM(DATA_LENGTH), 0), COALESCE(SUM(ENGINE NOT IN (SELECT ENGINE FROM information_schema.ENGINES WHERE "
        "TRANSACTIONS = 'YES')), 0) " TABLES "%s;\n",
        identifier(database->arena, database->url.name), name);
    mos_status status = ask(database, sql, ANSWER_MS, &answer, error);
    char *rest = NULL;
    database->size_bytes = strtoll(answer, &rest, 10);
    if (status == MOS_OK && rest && strtoll(rest, NULL, 10) > 0) {
        database->warn(database->context, database->shown, strlen(database->shown),
                       "some tables have an engine without transactions: they are not of the same moment as the others");
    }
    return in_context(database, status, error);
}

// Counts as a restored database answers.
static mos_status read_tables(const struct mos_database *database, const char *name, struct mos_database_tables *out,
                              struct mos_error *error) {
    mos_arena *arena = database->arena;
    const char *names = "", *counts = "";
    MOS_CLEANUP_BUFFER struct mos_buffer sql = MOS_BUFFER_INIT(0);
    *out = (struct mos_database_tables){0};
    mos_status status =
        ask(database, mos_arena_printf(arena, "SELECT HEX(t.TABLE_NAME) " TABLES "%s;\n", literal(arena, name)), ANSWER_MS, &names, error);
    if (status) {
        return status;
    }
    for (char *line = (char *)names; *line;) {
        char *table = take_hex(&line, '\n', arena);
        if (!table) {
            return mos_fail(error, MOS_INTERNAL, "mariadb answers what cannot be understood");
        }
        mos_database_add_table(out, table, 0, arena);
        mos_buffer_printf(&sql, "SELECT COUNT(*) FROM %s.%s;\n", identifier(arena, name), identifier(arena, table));
    }
    status = ask(database, mos_buffer_text(&sql), 0, &counts, error);
    for (size_t i = 0; status == MOS_OK && i < out->count; i++) {
        char *end;
        out->list[i]->rows = strtoll(counts, &end, 10);
        if (*end != '\n') {
            return mos_fail(error, MOS_INTERNAL, "mariadb answers what cannot be understood");
        }
        counts = end + 1;
    }
    mos_database_sort_tables(out);
    return status;
}

// ---- Dump ----

struct dump {
    struct mos_database_dump base;
    mos_child *program;
    bool ended;
    // What is left of the accounts; NULL for the database itself.
    const char *text;
    struct mos_mysql_counter counter;
};

static void close_dump(struct mos_database_dump *base) {
    mos_child_free(((struct dump *)base)->program);
}

// The statements that make all accounts of the server and give them their rights. What cannot be read is a warning; *out is then NULL.
static mos_status read_accounts(const struct mos_database *database, const char **out, struct mos_error *error) {
    mos_arena *arena = database->arena;
    const char *names = "", *answer = "";
    struct mos_error cause = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer sql = MOS_BUFFER_INIT(0), text = MOS_BUFFER_INIT(0);
    *out = NULL;
    mos_status status =
        ask(database, "SELECT HEX(User), HEX(Host) FROM mysql.user WHERE Host <> '' ORDER BY 1, 2;\n", ANSWER_MS, &names, &cause);
    for (char *line = (char *)names; status == MOS_OK && *line;) {
        char *user = take_hex(&line, '\t', arena), *host = user ? take_hex(&line, '\n', arena) : NULL;
        if (!host) {
            status = mos_fail(&cause, MOS_INTERNAL, "mariadb answers what cannot be understood");
            break;
        }
        const char *account = mos_arena_printf(arena, "%s@%s", identifier(arena, user), identifier(arena, host));
        mos_buffer_printf(&sql, "SHOW CREATE USER %s;\nSHOW GRANTS FOR %s;\n", account, account);
    }
    // An account of a name that the server does not look up cannot be shown; the others can.
    status = status ? status : ask_with(database, "--force", mos_buffer_text(&sql), 0, &answer, &cause);
    if (status == MOS_CANCELLED) {
        return mos_fail(error, status, "cancelled");
    }
    if (status || !*answer) {
        database->warn(database->context, database->shown, strlen(database->shown),
                       mos_arena_printf(arena, "the server's accounts are not in the backup: %s", cause.message));
        return MOS_OK;
    }
    for (const char *line = answer; *line;) {
        size_t length = strcspn(line, "\n");
        mos_buffer_append(&text, line, length);
        mos_buffer_append_text(&text, ";\n");
        line += length + (line[length] == '\n');
    }
    *out = mos_arena_strdup(arena, mos_buffer_text(&text));
    return MOS_OK;
}

static mos_status dump(const struct mos_database *database, const char *extra, struct mos_database_dump **out, struct mos_error *error) {
    const char *const tables[] = {"mariadb-dump",
                                  OPTIONS,
                                  "--single-transaction",
                                  "--quick",
                                  "--routines",
                                  "--events",
                                  "--triggers",
                                  "--hex-blob",
                                  "--max-allowed-packet=1G",
                                  "--no-tablespaces",
                                  "--skip-dump-date",
                                  "--skip-extended-insert",
                                  "--no-autocommit",
                                  "--",
                                  database->url.name,
                                  NULL};
    const char *accounts = NULL;
    *out = NULL;
    mos_status status = extra ? read_accounts(database, &accounts, error) : MOS_OK;
    if (status || (extra && !accounts)) {
        return status;
    }
    struct dump *made = mos_arena_alloc(database->arena, sizeof(*made));
    made->base.database = database;
    made->base.status = (struct stat){.st_mode = S_IFREG | 0600, .st_uid = geteuid(), .st_gid = getegid()};
    clock_gettime(CLOCK_REALTIME, &made->base.status.st_mtim);
    made->base.status.st_ctim = made->base.status.st_mtim;
    made->text = accounts;
    made->counter.arena = database->arena;
    status = extra ? MOS_OK : start(database, tables, false, true, 0, &made->program, error);
    if (status == MOS_OK) {
        *out = &made->base;
    }
    return in_context(database, status, error);
}

static mos_status read_dump(struct mos_database_dump *base, void *buffer, size_t size_bytes, size_t *out_bytes, struct mos_error *error) {
    struct dump *made = (struct dump *)base;
    *out_bytes = 0;
    if (made->text) {
        size_t left = strlen(made->text);
        *out_bytes = left < size_bytes ? left : size_bytes;
        memcpy(buffer, made->text, *out_bytes);
        made->text += *out_bytes;
        return MOS_OK;
    }
    if (made->ended) {
        return MOS_OK;
    }
    mos_status status = mos_child_read(made->program, buffer, size_bytes, out_bytes, error);
    if (status == MOS_OK && *out_bytes == 0) {
        made->ended = true;
        status = mos_child_finish(made->program, error);
    }
    mos_mysql_count(&made->counter, buffer, *out_bytes);
    return in_context(base->database, status, error);
}

static mos_status describe(struct mos_database_dump *base, mos_database_record *record, struct mos_error *error) {
    (void)error;
    struct mos_database_tables *tables = &((struct dump *)base)->counter.tables;
    mos_database_sort_tables(tables);
    record->tables = tables->list;
    record->n_tables = tables->count;
    return MOS_OK;
}

static void check_file(const char *path, const mos_database_record *recorded, mos_arena *arena, mos_database_check ***out,
                       size_t *out_count) {
    struct mos_mysql_counter counter = {.arena = arena};
    char block[16384];
    FILE *file = fopen(path, "rb");
    for (size_t got; file && (got = fread(block, 1, sizeof(block), file)) > 0;) {
        mos_mysql_count(&counter, block, got);
    }
    if (file) {
        fclose(file);
    }
    mos_database_sort_tables(&counter.tables);
    *out = mos_arena_array(arena, mos_database_check *, 1);
    (*out)[0] = mos_database_compare_tables(recorded, &counter.tables, file ? NULL : "it cannot be read", arena);
    *out_count = 1;
}

// ---- Restore ----

struct state {
    bool exists;
    bool empty;
    // Makes it anew, as it was.
    const char *make;
};

static mos_status look(const struct mos_database *target, struct state *out, struct mos_error *error) {
    mos_arena *arena = target->arena;
    const char *name = literal(arena, target->url.name), *answer = "";
    const char *sql = mos_arena_printf(arena,
                                       "SELECT CONCAT(DEFAULT_CHARACTER_SET_NAME, ' COLLATE ', DEFAULT_COLLATION_NAME), "
                                       "(SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s) + (SELECT COUNT(*) FROM "
                                       "information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s) + (SELECT COUNT(*) FROM "
                                       "information_schema.EVENTS WHERE EVENT_SCHEMA = %s) FROM information_schema.SCHEMATA WHERE "
                                       "SCHEMA_NAME = %s;\n",
                                       name, name, name, name);
    mos_status status = ask(target, sql, ANSWER_MS, &answer, error);
    const char *tab = strchr(answer, '\t');
    *out = (struct state){.exists = tab != NULL, .empty = !tab || strcmp(tab, "\t0\n") == 0};
    out->make = mos_arena_printf(arena, "CREATE DATABASE %s%s%.*s;\n", identifier(arena, target->url.name), tab ? " CHARACTER SET " : "",
                                 tab ? (int)(tab - answer) : 0, answer);
    return in_context(target, status, error);
}

static mos_status there(const struct mos_database *target, bool *out, struct mos_error *error) {
    struct state state;
    mos_status status = look(target, &state, error);
    *out = status == MOS_OK && !state.empty;
    return status;
}

static mos_status to_child(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    (void)offset_bytes;
    return mos_child_write(context, data, size_bytes, error);
}

static mos_status fill(const struct mos_database *target, const char *name, const struct mos_database_content *content,
                       struct mos_error *error) {
    // In binary mode no command of the client itself is carried out: what the dump holds comes from another server.
    const char *const arguments[] = {"mariadb", OPTIONS, "--batch", "--binary-mode", mos_arena_printf(target->arena, "--database=%s", name),
                                     NULL};
    mos_child *child;
    mos_status status = start(target, arguments, true, false, 0, &child, error);
    if (status) {
        return status;
    }
    struct mos_mysql_joiner joiner = {.sink = to_child, .context = child};
    status = content->feed(content->context, NULL, mos_mysql_join, &joiner, error);
    status = status ? status : mos_mysql_join_end(&joiner, error);
    status = status ? status : mos_child_finish(child, error);
    mos_mysql_joiner_free(&joiner);
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

// Into an empty database `name`. `undo` makes it what it was, when this fails.
static mos_status fill_and_check(const struct mos_database *target, const char *name, const char *undo, const mos_database_record *recorded,
                                 const struct mos_database_content *content, mos_database_check ***out, size_t *out_count,
                                 struct mos_error *error) {
    mos_status status = fill(target, name, content, error);
    status = status ? status : check(target, name, recorded, out, out_count, error);
    if (status) {
        // Also when the job was cancelled: this one nobody asks.
        struct mos_database cleaner = *target;
        cleaner.cancelled = NULL;
        ask(&cleaner, undo, ANSWER_MS, NULL, NULL);
    }
    return status;
}

// These servers cannot give a database another name, so a whole restore into a database of its own shows first that the backup comes back.
static mos_status rehearse(const struct mos_database *target, const mos_database_record *recorded,
                           const struct mos_database_content *content, mos_database_check ***out, size_t *out_count,
                           struct mos_error *error) {
    char id[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    const char *name = mos_arena_printf(target->arena, "mosaajii-%s", id);
    const char *drop = mos_arena_printf(target->arena, "DROP DATABASE IF EXISTS `%s`;\n", name);
    mos_status status = ask(target, mos_arena_printf(target->arena, "CREATE DATABASE `%s`;\n", name), ANSWER_MS, NULL, error);
    status = status ? status : fill_and_check(target, name, drop, recorded, content, out, out_count, error);
    return status ? status : ask(target, drop, 0, NULL, error);
}

static mos_status load(const struct mos_database *target, const mos_database_record *recorded, const struct mos_database_content *content,
                       bool replace, mos_database_check ***out, size_t *out_count, struct mos_error *error) {
    struct state state;
    const char *name = target->url.name;
    mos_status status = look(target, &state, error);
    if (status) {
        return status;
    }
    if (!state.empty && !replace) {
        return mos_fail(error, MOS_ALREADY_EXISTS, "the database %s is not empty, and replacing it was not asked for; nothing was changed",
                        target->shown);
    }
    const char *drop = mos_arena_printf(target->arena, "DROP DATABASE %s;\n", identifier(target->arena, name));
    const char *again = mos_arena_printf(target->arena, "%s%s", drop, state.make);
    if (!state.empty) {
        status = rehearse(target, recorded, content, out, out_count, error);
    }
    if (status == MOS_OK && (!state.exists || !state.empty)) {
        status = ask(target, state.exists ? again : state.make, 0, NULL, error);
    }
    status = status ? status : fill_and_check(target, name, state.exists ? again : drop, recorded, content, out, out_count, error);
    return in_context(target, status, error);
}

static const char *const extras[] = {".users.sql", NULL};
const struct mos_database_driver mos_mysql_driver = {
    .engine = "mysql",
    .kind = MOS_DATABASE_MYSQL,
    .extras = extras,
    .probe = probe,
    .dump = dump,
    .read = read_dump,
    .describe = describe,
    .close = close_dump,
    .check_file = check_file,
    .there = there,
    .load = load,
};
