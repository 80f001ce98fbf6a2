// Asking databases: by their own programs, so that neither a library of theirs nor a damaged file of theirs is in this process.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/clock.h"
#include "control/catalog/backups.h"
#include "control/dr/child.h"
#include "control/dr/internal.h"
#include "control/job/facts.h"

enum { MOST_WORDS = 24, ANSWER_MOST = 1 << 20 };

// ---- The programs ----

struct words {
    char *texts[MOST_WORDS];
    size_t count;
};

static void add(struct words *words, const char *text) {
    if (text && words->count < MOST_WORDS - 1) {
        words->texts[words->count++] = (char *)text;
    }
}

static const char *environment_path(mos_arena *arena) {
    const char *path = getenv("PATH");
    return mos_arena_printf(arena, "PATH=%s", path && *path ? path : "/usr/local/bin:/usr/bin:/bin");
}

static void order_sqlite(const struct mos_database_url *url, const char *statement, bool read_only, struct words *arguments) {
    add(arguments, "sqlite3");
    add(arguments, "-batch");
    add(arguments, "-noheader");
    add(arguments, "-tabs");
    add(arguments, "-bail");
    add(arguments, "-safe");
    add(arguments, read_only ? "-readonly" : NULL);
    add(arguments, url->path);
    add(arguments, statement);
}

static void order_postgres(const struct mos_database_url *url, const char *statement, bool read_only, mos_arena *arena,
                           struct words *arguments, struct words *environment) {
    add(arguments, "psql");
    add(arguments, "-XAtq");
    add(arguments, "-F");
    add(arguments, "\t");
    add(arguments, "-v");
    add(arguments, "ON_ERROR_STOP=1");
    add(arguments, "-w");
    add(arguments, "-c");
    add(arguments, statement);
    add(environment, mos_arena_printf(arena, "PGDATABASE=%s", url->name));
    add(environment, *url->host ? mos_arena_printf(arena, "PGHOST=%s", url->host) : NULL);
    add(environment, url->port ? mos_arena_printf(arena, "PGPORT=%d", url->port) : NULL);
    add(environment, *url->user ? mos_arena_printf(arena, "PGUSER=%s", url->user) : NULL);
    add(environment, url->password ? mos_arena_printf(arena, "PGPASSWORD=%s", url->password) : NULL);
    add(environment, *url->tls_mode ? mos_arena_printf(arena, "PGSSLMODE=%s", url->tls_mode) : NULL);
    add(environment, *url->tls_authority ? mos_arena_printf(arena, "PGSSLROOTCERT=%s", url->tls_authority) : NULL);
    add(environment, "PGCONNECT_TIMEOUT=15");
    add(environment, read_only ? "PGOPTIONS=-c default_transaction_read_only=on" : NULL);
}

static void order_mysql(const struct mos_database_url *url, const char *statement, bool read_only, mos_arena *arena,
                        struct words *arguments, struct words *environment) {
    bool socket = *url->host == '/';
    add(arguments, "mysql");
    add(arguments, "--no-defaults");
    add(arguments, "--batch");
    add(arguments, "--skip-column-names");
    add(arguments, "--connect-timeout=15");
    add(arguments, socket ? mos_arena_printf(arena, "--socket=%s", url->host) : NULL);
    add(arguments, !socket && *url->host ? mos_arena_printf(arena, "--host=%s", url->host) : NULL);
    add(arguments, url->port ? mos_arena_printf(arena, "--port=%d", url->port) : NULL);
    add(arguments, *url->user ? mos_arena_printf(arena, "--user=%s", url->user) : NULL);
    add(arguments, *url->tls_authority ? mos_arena_printf(arena, "--ssl-ca=%s", url->tls_authority) : NULL);
    add(arguments, strncmp(url->tls_mode, "verify-", 7) == 0 ? "--ssl-verify-server-cert" : NULL);
    add(arguments, read_only ? "--init-command=SET SESSION TRANSACTION READ ONLY" : NULL);
    add(arguments, "-e");
    add(arguments, statement);
    add(arguments, url->name);
    add(environment, url->password ? mos_arena_printf(arena, "MYSQL_PWD=%s", url->password) : NULL);
}

static const char *last_line(mos_arena *arena, const char *text) {
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' ')) {
        length--;
    }
    size_t start = length;
    while (start > 0 && text[start - 1] != '\n') {
        start--;
    }
    char *line = mos_arena_printf(arena, "%.*s", (int)(length - start < 300 ? length - start : 300), text + start);
    return line ? line : "";
}

static mos_status ask(struct attempt *attempt, const struct mos_database_url *url, const char *statement, bool read_only,
                      const char *secret, char **out, struct mos_error *error) {
    mos_arena *arena = attempt->arena;
    struct words arguments = {0}, environment = {0};
    add(&environment, environment_path(arena));
    add(&environment, "LC_ALL=C.UTF-8");
    add(&environment, "HOME=/nonexistent");
    if (url->kind == MOS_DATABASE_SQLITE) {
        // Asking a file that is not there would make one.
        if (access(url->path, R_OK) != 0) {
            return mos_fail(error, MOS_NOT_FOUND, "the database %s is not there", url->path);
        }
        order_sqlite(url, statement, read_only, &arguments);
    } else if (url->kind == MOS_DATABASE_POSTGRESQL) {
        order_postgres(url, statement, read_only, arena, &arguments, &environment);
        add(&environment, secret ? mos_arena_printf(arena, "PGOPTIONS=-c mosaajii.secret=%s", secret) : NULL);
    } else {
        order_mysql(url, statement, read_only, arena, &arguments, &environment);
    }
    const struct mos_child_order order = {.program = arguments.texts[0],
                                          .search = true,
                                          .arguments = arguments.texts,
                                          .environment = environment.texts,
                                          .folder = "/",
                                          .stop_fd = attempt->stop_fd,
                                          .deadline_ns = attempt->deadline_ns,
                                          .output_most = ANSWER_MOST,
                                          .errors_too = true};
    MOS_CLEANUP_BUFFER struct mos_buffer answer = MOS_BUFFER_INIT(0);
    struct mos_child_end end;
    mos_status status = mos_child_run(&order, &answer, &end, error);
    if (status == MOS_OK && (end.stopped || end.timed_out)) {
        status = mos_fail(error, end.stopped ? MOS_CANCELLED : MOS_DEADLINE_EXCEEDED, "%s %s", arguments.texts[0],
                          end.stopped ? "was stopped" : "did not answer in time");
    } else if (status == MOS_OK && end.exit_code != 0) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "the database %s answered: %s",
                          url->kind == MOS_DATABASE_SQLITE ? url->path : url->name, last_line(arena, mos_buffer_text(&answer)));
    }
    *out = status == MOS_OK ? mos_arena_strdup(arena, mos_buffer_text(&answer)) : NULL;
    return status;
}

mos_status database_ask(struct attempt *attempt, const struct mos_database_url *url, const char *statement, bool read_only, char **out,
                        struct mos_error *error) {
    return ask(attempt, url, statement, read_only, NULL, out, error);
}

mos_status database_tell_secret(struct attempt *attempt, const struct mos_database_url *url, const char *statement, const char *secret,
                                struct mos_error *error) {
    char *answer;
    return ask(attempt, url, statement, false, secret, &answer, error);
}

mos_status database_count_rows(struct attempt *attempt, const struct mos_database_url *url, const char *table, int64_t *out,
                               struct mos_error *error) {
    char quote = url->kind == MOS_DATABASE_MYSQL ? '`' : '"';
    MOS_CLEANUP_BUFFER struct mos_buffer statement = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&statement, "SELECT count(*) FROM %c", quote);
    // SCHEMA.TABLE, but in SQLite, where a name may hold a dot and there are no schemas.
    bool schema = url->kind != MOS_DATABASE_SQLITE;
    for (const char *c = table; *c; c++) {
        if (*c == '.' && schema) {
            mos_buffer_printf(&statement, "%c.%c", quote, quote);
            schema = false;
            continue;
        }
        if (*c == quote) {
            mos_buffer_append_byte(&statement, (uint8_t)quote);
        }
        mos_buffer_append_byte(&statement, (uint8_t)*c);
    }
    mos_buffer_append_byte(&statement, (uint8_t)quote);
    char *answer = NULL, *end;
    mos_status status = database_ask(attempt, url, mos_buffer_text(&statement), true, &answer, error);
    if (status != MOS_OK) {
        return status;
    }
    *out = strtoll(answer, &end, 10);
    return end > answer ? MOS_OK : mos_fail(error, MOS_FAILED_PRECONDITION, "the rows of %s could not be counted", table);
}

// ---- Which databases ----

mos_status database_open_url(const mos_recovery *recovery, const char *text, mos_arena *arena, struct mos_database_url *out,
                             struct mos_error *error) {
    mos_status status = mos_database_url_parse("database", text, arena, out, error);
    const char *known = mos_setting_text(recovery->options.settings, MOS_SETTING_DATABASE_URL);
    while (status == MOS_OK && *known && !out->password) {
        size_t length = strcspn(known, ",");
        struct mos_database_url url;
        if (mos_database_url_parse("DATABASE_URL", mos_arena_printf(arena, "%.*s", (int)length, known), arena, &url, NULL) == MOS_OK &&
            mos_database_url_same_account(&url, out)) {
            out->password = url.password;
            out->tls_mode = *out->tls_mode ? out->tls_mode : url.tls_mode;
            out->tls_authority = *out->tls_authority ? out->tls_authority : url.tls_authority;
        }
        known += length + (known[length] == ',');
    }
    return status;
}

// The step restores databases, where it restores anything.
static bool restores_databases(struct attempt *attempt, const mos_plan_step *step) {
    struct mos_command command;
    return step->automated && mos_command_parse("command", step->command, attempt->arena, &command, NULL) == MOS_OK &&
           command.kind == MOS_COMMAND_RESTORE_BACKUP && (command.type == MOS_BACKUP_DATABASE || mos_backup_type_of_all(command.type));
}

// The ids of the backups of which this run has restored databases, each once.
static size_t restored_backups(struct attempt *attempt, const char **ids) {
    size_t count = 0;
    pthread_mutex_lock(&attempt->recovery->mutex);
    const run_state *state = attempt->run->state;
    for (size_t i = 0; i < state->n_steps; i++) {
        const char *id = state->steps[i]->backup_id;
        bool known = !*id || !restores_databases(attempt, state->plan->steps[i]);
        for (size_t k = 0; k < count; k++) {
            known = known || strcmp(ids[k], id) == 0;
        }
        if (!known) {
            ids[count++] = mos_arena_strdup(attempt->arena, id);
        }
    }
    pthread_mutex_unlock(&attempt->recovery->mutex);
    return count;
}

// The newest of the name: an earlier attempt may have left one. With its role.
static const char *sandbox_url(struct attempt *attempt, const char *name, const char **out_role) {
    const Mosaajii__Recovery__V1__SandboxDatabase *found = NULL;
    pthread_mutex_lock(&attempt->recovery->mutex);
    const run_state *state = attempt->run->state;
    for (size_t i = 0; i < state->n_databases; i++) {
        found = strcmp(state->databases[i]->name, name) == 0 ? state->databases[i] : found;
    }
    const char *url = found ? mos_arena_strdup(attempt->arena, found->url) : NULL;
    *out_role = found ? mos_arena_strdup(attempt->arena, found->role) : "";
    pthread_mutex_unlock(&attempt->recovery->mutex);
    return url;
}

static mos_status locate(struct attempt *attempt, const Mosaajii__Engine__V1__Database *database, struct place_database *out,
                         struct mos_error *error) {
    mos_arena *arena = attempt->arena;
    out->name = database->name;
    if (!attempt->place.sandbox) {
        return database_open_url(attempt->recovery, database->origin, arena, &out->url, error);
    }
    if (strcmp(database->engine, "sqlite") == 0) {
        out->url = (struct mos_database_url){.kind = MOS_DATABASE_SQLITE,
                                             .path = mos_arena_printf(arena, "%s/%s", attempt->place.folder, database->name),
                                             .host = "",
                                             .user = "",
                                             .name = database->name,
                                             .tls_mode = "",
                                             .tls_authority = ""};
        return MOS_OK;
    }
    const char *role, *url = sandbox_url(attempt, database->name, &role);
    return url ? sandbox_database_open(attempt->recovery, url, role, arena, &out->url, error)
               : mos_fail(error, MOS_NOT_FOUND, "the database %s was not restored into the sandbox", database->name);
}

static mos_status info_of(struct attempt *attempt, const char *backup_id, const Mosaajii__Engine__V1__BackupInfo **out,
                          struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_backup backup;
    mos_status status = mos_catalog_read_begin(attempt->recovery->options.catalog, &session, error);
    status = status ? status : mos_catalog_get_backup(session, backup_id, attempt->arena, &backup, error);
    *out = status == MOS_OK ? mos_backup_info(&backup.facts, attempt->arena) : NULL;
    return status;
}

// Where nothing was restored, the newest good backup says what there is.
static size_t newest_backup(struct attempt *attempt, const char **ids) {
    const struct mos_command command = {.kind = MOS_COMMAND_RESTORE_BACKUP, .type = MOS_BACKUP_DATABASE, .point = MOS_POINT_LATEST};
    struct mos_backup backup;
    bool found = choose_backup(attempt->recovery, attempt->run->state, &command, attempt->arena, &backup, NULL) == MOS_OK;
    ids[0] = found ? backup.id : "";
    return found;
}

struct recorded {
    struct place_database place;
    const Mosaajii__Engine__V1__Database *database;
};

static mos_status recorded_databases(struct attempt *attempt, struct recorded **out, size_t *out_count, struct mos_error *error) {
    const char **ids = mos_arena_array(attempt->arena, const char *, attempt->run->state->n_steps + 1);
    size_t ids_count = restored_backups(attempt, ids), count = 0, capacity = 0;
    if (ids_count == 0 && !attempt->place.sandbox) {
        ids_count = newest_backup(attempt, ids);
    }
    mos_status status = MOS_OK;
    *out = NULL;
    for (size_t i = 0; i < ids_count && status == MOS_OK; i++) {
        const Mosaajii__Engine__V1__BackupInfo *info = NULL;
        status = info_of(attempt, ids[i], &info, error);
        size_t found = info ? info->n_databases : 0;
        struct recorded *grown = mos_arena_array(attempt->arena, struct recorded, capacity + found + 1);
        if (count > 0) {
            memcpy(grown, *out, count * sizeof(*grown));
        }
        capacity += found;
        *out = grown;
        for (size_t k = 0; k < found && status == MOS_OK; k++) {
            grown[count].database = info->databases[k];
            status = locate(attempt, info->databases[k], &grown[count].place, error);
            count++;
        }
    }
    *out_count = count;
    return status;
}

mos_status place_databases(struct attempt *attempt, struct place_database **out, size_t *out_count, struct mos_error *error) {
    struct recorded *recorded;
    size_t count;
    mos_status status = recorded_databases(attempt, &recorded, &count, error);
    if (status == MOS_OK && count == 0) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "%s",
                          attempt->place.sandbox ? "no step has restored a database into the sandbox" : "no backup of a database is known");
    }
    *out = mos_arena_array(attempt->arena, struct place_database, count + 1);
    for (size_t i = 0; status == MOS_OK && i < count; i++) {
        (*out)[i] = recorded[i].place;
    }
    *out_count = count;
    return status;
}

// ---- verify_database ----

static mos_status check_integrity(struct attempt *attempt, const struct place_database *place, struct mos_error *error) {
    // A server's database is read to its last row when they are counted.
    const char *statement = place->url.kind == MOS_DATABASE_SQLITE ? "PRAGMA integrity_check" : "SELECT 1";
    char *answer = NULL;
    mos_status status = database_ask(attempt, &place->url, statement, true, &answer, error);
    if (status == MOS_OK && place->url.kind == MOS_DATABASE_SQLITE && strcmp(answer, "ok\n") != 0) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "the database %s is damaged: %s", place->name, last_line(attempt->arena, answer));
    }
    return status;
}

mos_status act_verify_database(struct attempt *attempt, struct mos_error *error) {
    struct recorded *recorded;
    size_t count;
    mos_status status = recorded_databases(attempt, &recorded, &count, error);
    if (status == MOS_OK && count == 0) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "there is no database to verify: %s",
                          attempt->place.sandbox ? "no step has restored one" : "no backup of one is known");
    }
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        const struct recorded *one = &recorded[i];
        status = check_integrity(attempt, &one->place, error);
        for (size_t k = 0; k < one->database->n_tables && status == MOS_OK; k++) {
            const Mosaajii__Engine__V1__Table *table = one->database->tables[k];
            int64_t rows = 0;
            status = database_count_rows(attempt, &one->place.url, table->name, &rows, error);
            // Whoever works with the real one may have written since; to a copy nobody does.
            bool same = attempt->place.sandbox ? rows == table->rows : rows >= table->rows;
            if (status == MOS_OK && !same) {
                status = mos_fail(error, MOS_FAILED_PRECONDITION, "the table %s of the database %s has %lld rows; %lld were recorded",
                                  table->name, one->place.name, (long long)rows, (long long)table->rows);
            }
        }
        if (status == MOS_OK) {
            attempt_print(attempt, "%s: opens, %zu tables with the rows that were recorded\n", one->place.name, one->database->n_tables);
        }
    }
    return status;
}

// ---- sql_check ----

static bool is_true(const char *answer) {
    size_t length = strcspn(answer, "\t\n");
    static const char *const no[] = {"", "0", "f", "false", "FALSE", "no", "NULL"};
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (strlen(no[i]) == length && strncmp(no[i], answer, length) == 0) {
            return false;
        }
    }
    return true;
}

mos_status act_sql(struct attempt *attempt, struct mos_error *error) {
    struct place_database *databases;
    size_t count;
    char *answer = NULL;
    mos_status status = place_databases(attempt, &databases, &count, error);
    // The first of them is the one that is meant; it is the first of DATABASE_URL.
    status = status ? status : database_ask(attempt, &databases[0].url, attempt->command.text, true, &answer, error);
    if (status != MOS_OK) {
        return status;
    }
    attempt_print(attempt, "%s: %.1000s\n", databases[0].name, answer);
    return is_true(answer) ? MOS_OK
                           : mos_fail(error, MOS_FAILED_PRECONDITION, "the database %s answered %.*s to the check", databases[0].name,
                                      (int)strcspn(answer, "\n"), *answer && *answer != '\n' ? answer : "nothing");
}
