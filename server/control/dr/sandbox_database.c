// Databases of tests on servers: each a new one beside the real ones, with an account that owns it and nothing else, where the server's own
// account may make such. The password is nowhere kept: it follows from the key that signs reports.
#include <string.h>

#include <mosaajii/engine/v1/engine.pb-c.h>
#include <sodium.h>

#include "common/id.h"
#include "control/dr/internal.h"

typedef Mosaajii__Recovery__V1__SandboxDatabase sandbox_database;

// ---- The account ----

static mos_status role_password(const mos_recovery *recovery, const char *role, mos_arena *arena, const char **out,
                                struct mos_error *error) {
    uint8_t signature[64], key[32], hash[crypto_hash_sha256_BYTES];
    const char *text = mos_arena_printf(arena, "mosaajii-sandbox-role/1 %s", role);
    const struct mos_recovery_options *options = &recovery->options;
    if (!options->sign(options->sign_context, (const uint8_t *)text, strlen(text), signature, key)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "there is no key from which its password could follow");
    }
    char *password = mos_arena_alloc(arena, 2 * sizeof(hash) + 1);
    crypto_hash_sha256(hash, signature, sizeof(signature));
    mos_hex_encode(hash, sizeof(hash), password);
    sodium_memzero(signature, sizeof(signature));
    sodium_memzero(hash, sizeof(hash));
    *out = password;
    return MOS_OK;
}

mos_status sandbox_database_open(const mos_recovery *recovery, const char *text, const char *role, mos_arena *arena,
                                 struct mos_database_url *out, struct mos_error *error) {
    mos_status status = database_open_url(recovery, text, arena, out, error);
    if (status != MOS_OK || !*role) {
        return status;
    }
    out->user = role;
    return role_password(recovery, role, arena, &out->password, error);
}

// A database of the server that is always there, by the account of DATABASE_URL.
static struct mos_database_url maintenance_of(const struct mos_database_url *url) {
    struct mos_database_url maintenance = *url;
    maintenance.name = url->kind == MOS_DATABASE_POSTGRESQL ? "postgres" : "information_schema";
    return maintenance;
}

mos_status sandbox_database_may_have_role(struct attempt *attempt, const struct mos_database_url *url, struct mos_error *error) {
    if (url->kind != MOS_DATABASE_POSTGRESQL) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "MySQL has views and routines of an account that others may not make");
    }
    const struct mos_database_url maintenance = maintenance_of(url);
    char *answer;
    mos_status status = database_ask(attempt, &maintenance, "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user",
                                     true, &answer, error);
    return status == MOS_OK && *answer != 't' ? mos_fail(error, MOS_PERMISSION_DENIED, "it may not create roles") : status;
}

// ---- Making ----

// The name is of hexadecimal digits and underscores.
static mos_status make_with_role(struct attempt *attempt, const struct mos_database_url *url, struct mos_error *error) {
    mos_arena *arena = attempt->arena;
    const struct mos_database_url maintenance = maintenance_of(url);
    struct mos_database_url own = *url;
    char *answer;
    own.user = url->name;
    mos_status status = role_password(attempt->recovery, own.user, arena, &own.password, error);
    // The password is in the environment: arguments can be read by everybody on the machine, and servers keep statements in their logs.
    const char *role = mos_arena_printf(
        arena,
        "DO $$ BEGIN EXECUTE format('CREATE ROLE %%I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD %%L', '%s', "
        "current_setting('mosaajii.secret')); GRANT \"%s\" TO CURRENT_USER; END $$",
        own.user, own.user);
    status = status ? status : database_tell_secret(attempt, &maintenance, role, own.password, error);
    status = status ? status
                    : database_ask(attempt, &maintenance,
                                   mos_arena_printf(arena, "CREATE DATABASE \"%s\" OWNER \"%s\" TEMPLATE template0", own.name, own.user),
                                   false, &answer, error);
    status = status ? status
                    : database_ask(attempt, &maintenance, mos_arena_printf(arena, "REVOKE ALL ON DATABASE \"%s\" FROM PUBLIC", own.name),
                                   false, &answer, error);
    // Whether the server lets it in.
    return status ? status : database_ask(attempt, &own, "SELECT 1", true, &answer, error);
}

static mos_status name_new(struct attempt *attempt, const char *name, struct mos_database_url *url, bool role, struct mos_error *error) {
    char id[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    // The random part of the id.
    url->name = mos_arena_printf(attempt->arena, "mosaajii_test_%.12s", id + 24);
    if (!sandbox_database_name(url->name)) {
        attempt->strayed = true;
        return mos_fail(error, MOS_PERMISSION_DENIED, "%s is no name of a database for tests", url->name);
    }
    return attempt_note_database(attempt, name, mos_database_url_format(url, false, attempt->arena), role ? url->name : "", error);
}

mos_status sandbox_database_make(struct attempt *attempt, const Mosaajii__Engine__V1__Database *database, struct mos_database_url *out,
                                 struct mos_error *error) {
    mos_status status = database_open_url(attempt->recovery, database->origin, attempt->arena, out, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_database_url own = *out;
    struct mos_error cause;
    status = sandbox_database_may_have_role(attempt, out, &cause);
    if (status == MOS_OK) {
        status = name_new(attempt, database->name, &own, true, error);
        if (status != MOS_OK) {
            return status;
        }
        status = make_with_role(attempt, &own, &cause);
    }
    if (status == MOS_OK) {
        return sandbox_database_open(attempt->recovery, mos_database_url_format(&own, false, attempt->arena), own.name, attempt->arena, out,
                                     error);
    }
    if (attempt_check(attempt, error) != MOS_OK) {
        return status;
    }
    attempt_log(attempt, LOG_IS(WARNING), "The database %s of this test is used by the server's own account, not by one of its own: %s",
                database->name, cause.message);
    // The engine makes it.
    return name_new(attempt, database->name, out, false, error);
}

// ---- Dropping ----

bool sandbox_database_drop(struct attempt *attempt, const sandbox_database *database, const char **out_why) {
    struct mos_database_url url;
    struct mos_error error;
    char *answer;
    mos_status status = database_open_url(attempt->recovery, database->url, attempt->arena, &url, &error);
    if (status == MOS_OK && (!sandbox_database_name(url.name) || (*database->role && !sandbox_database_name(database->role)))) {
        status = mos_fail(&error, MOS_PERMISSION_DENIED, "%s is no name of a database for tests", url.name);
    }
    if (status == MOS_OK) {
        const struct mos_database_url maintenance = maintenance_of(&url);
        const char *format = url.kind == MOS_DATABASE_POSTGRESQL ? "DROP DATABASE IF EXISTS \"%s\"" : "DROP DATABASE IF EXISTS `%s`";
        status = database_ask(attempt, &maintenance, mos_arena_printf(attempt->arena, format, url.name), false, &answer, &error);
        if (status == MOS_OK && *database->role) {
            status = database_ask(attempt, &maintenance, mos_arena_printf(attempt->arena, "DROP ROLE IF EXISTS \"%s\"", database->role),
                                  false, &answer, &error);
        }
    }
    *out_why = status == MOS_OK ? "" : mos_arena_strdup(attempt->arena, error.message);
    return status == MOS_OK;
}
