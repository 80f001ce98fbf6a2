// Private to the driver for PostgreSQL: postgres.c runs the programs and dumps, postgres_load.c restores.
#ifndef MOS_ENGINE_SOURCE_POSTGRES_INTERNAL_H
#define MOS_ENGINE_SOURCE_POSTGRES_INTERNAL_H

#include "engine/source/child.h"
#include "engine/source/postgres.h"

enum { MOS_POSTGRES_ANSWER_MS = 60000 };

// `arguments` without the connection to the database `name`, which is put behind them as -d.
mos_status mos_postgres_start(const struct mos_database *database, const char *name, const char *const *arguments, bool input, bool output,
                              int quiet_ms, mos_child **out, struct mos_error *error);
// Runs the statements in the database `name`; *out is what they answer, in the arena: rows as lines, columns between bars.
mos_status mos_postgres_ask(const struct mos_database *database, const char *name, const char *sql, int quiet_ms, const char **out,
                            struct mos_error *error);
// The tables of the database `name` with their rows, sorted.
mos_status mos_postgres_read_tables(const struct mos_database *database, const char *name, struct mos_database_tables *out,
                                    struct mos_error *error);

mos_status mos_postgres_there(const struct mos_database *target, bool *out, struct mos_error *error);
mos_status mos_postgres_load(const struct mos_database *target, const mos_database_record *recorded,
                             const struct mos_database_content *content, bool replace, mos_database_check ***out, size_t *out_count,
                             struct mos_error *error);

// Schemas that are not the server's own.
#define MOS_POSTGRES_USER_SCHEMA "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
#define MOS_POSTGRES_NO_EXTENSION(catalog, row)                                                                                            \
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '" catalog "'::regclass AND d.objid = " row ".oid AND d.deptype = 'e')"

#endif
