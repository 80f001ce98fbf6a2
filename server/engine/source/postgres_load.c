// Restoring into a PostgreSQL server: roles that are missing, a database of another name, and the change of names at the end.
#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "common/id.h"
#include "engine/source/postgres_internal.h"

enum { GLOBALS_BYTES = 16 << 20, NAME_BYTES = 63 };

// Goes on behind a failure.
static const char *const lenient_psql[] = {"psql", "-X", "-q", "-A", "-t", "-F", "|", NULL};

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

struct state {
    bool exists;
    bool empty;
    bool superuser;
};

// Rows of a catalog that are in the users' schemas and belong to no extension.
#define OWN_ROWS(catalog, schema)                                                                                                          \
    "EXISTS (SELECT FROM " catalog " x JOIN pg_namespace n ON n.oid = x." schema " WHERE " MOS_POSTGRES_USER_SCHEMA                        \
    " AND " MOS_POSTGRES_NO_EXTENSION(catalog, "x") ")"
static const char ask_state[] =
    "SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), " OWN_ROWS("pg_class", "relnamespace") " OR " OWN_ROWS(
        "pg_proc",
        "pronamespace") " OR " OWN_ROWS("pg_type",
                                        "typnamespace") " OR EXISTS (SELECT FROM pg_namespace n WHERE n.nspname <> 'public' "
                                                        "AND " MOS_POSTGRES_USER_SCHEMA " AND " MOS_POSTGRES_NO_EXTENSION(
                                                            "pg_namespace",
                                                            "n") ") OR EXISTS (SELECT FROM pg_largeobject_metadata)"
                                                                 " OR EXISTS (SELECT FROM pg_extension WHERE extname <> 'plpgsql');\n";

// A database of the same server from which others are made and dropped.
static mos_status find_maintenance(const struct mos_database *target, const char **out, bool *out_superuser, struct mos_error *error) {
    static const char *const names[] = {"postgres", "template1"};
    const char *answer = "";
    mos_status status = MOS_OK;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *out = names[i];
        status = mos_postgres_ask(target, names[i], "SELECT rolsuper FROM pg_roles WHERE rolname = current_user;\n", MOS_POSTGRES_ANSWER_MS,
                                  &answer, error);
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
    mos_status status = mos_postgres_ask(target, target->url.name, ask_state, MOS_POSTGRES_ANSWER_MS, &answer, &cause);
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

mos_status mos_postgres_there(const struct mos_database *target, bool *out, struct mos_error *error) {
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
    status = mos_postgres_ask(target, maintenance, "SELECT quote_ident(rolname) FROM pg_roles;\n", MOS_POSTGRES_ANSWER_MS, &known, error);
    if (status) {
        return status;
    }
    mos_postgres_pick_roles(mos_buffer_text(&globals), known, &statements);
    mos_child *child;
    status = mos_postgres_start(target, maintenance, lenient_psql, true, false, 0, &child, error);
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
    mos_status status = mos_postgres_start(target, name, superuser ? whole : own, true, false, 0, &child, error);
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
    mos_status status = mos_postgres_read_tables(target, name, &tables, &cause);
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
    mos_status status = mos_postgres_ask(target, maintenance, make, 0, NULL, error);
    status = status ? status : fill(target, fresh, state->superuser, content, error);
    status = status ? status : check(target, fresh, recorded, out, out_count, error);
    bool dropped = false;
    if (status == MOS_OK && state->exists) {
        status =
            mos_postgres_ask(target, maintenance,
                             mos_arena_printf(target->arena, "DROP DATABASE %s WITH (FORCE);\n", identifier(target, name)), 0, NULL, error);
        dropped = status == MOS_OK;
    }
    if (status == MOS_OK) {
        status = mos_postgres_ask(
            target, maintenance,
            mos_arena_printf(target->arena, "ALTER DATABASE %s RENAME TO %s;\n", identifier(target, fresh), identifier(target, name)), 0,
            NULL, error);
    }
    if (status && dropped) {
        return mos_fail_context(error, "the restored database is whole and now called %s, but could not be given its name", fresh);
    }
    if (status) {
        // Also when the job was cancelled: this one nobody asks.
        struct mos_database cleaner = *target;
        cleaner.cancelled = NULL;
        mos_postgres_ask(&cleaner, maintenance,
                         mos_arena_printf(target->arena, "DROP DATABASE IF EXISTS %s WITH (FORCE);\n", identifier(target, fresh)),
                         MOS_POSTGRES_ANSWER_MS, NULL, NULL);
    }
    return status;
}

mos_status mos_postgres_load(const struct mos_database *target, const mos_database_record *recorded,
                             const struct mos_database_content *content, bool replace, mos_database_check ***out, size_t *out_count,
                             struct mos_error *error) {
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
