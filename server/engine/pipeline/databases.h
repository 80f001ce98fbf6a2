// Databases of a job: into a backup, and from it into a server or in place. What a kind of database needs is its driver's
// (source/database.h).
#ifndef MOS_ENGINE_PIPELINE_DATABASES_H
#define MOS_ENGINE_PIPELINE_DATABASES_H

#include "engine/pipeline/assembler.h"
#include "engine/repo/reader.h"
#include "engine/source/database.h"

// ---- Backup ----

// One entry to come: a database, or something that belongs to one.
struct mos_database_entry {
    char *name;
    struct mos_database *database;
    // Of the driver's extras; NULL: the database itself.
    const char *extra;
};
struct mos_databases {
    // Sorted by name, as they come in the tree.
    struct mos_database_entry *entries;
    size_t entry_count;
    // Of them, databases themselves, and about how much they hold.
    size_t count;
    int64_t size_bytes;
};

// Looks for all of them before anything is read, so that a wrong setting is told at once. `urls` with passwords; everything lives in the
// arena.
mos_status mos_databases_find(mos_job *job, char *const *urls, size_t url_count, const char *scratch, mos_arena *arena,
                              struct mos_databases *out, struct mos_error *error);
// Brings one into the tree. For a database itself *out is what the manifest says of it; unchanged for an extra.
mos_status mos_database_back_up(mos_job *job, mos_assembler *assembler, const struct mos_database_entry *entry,
                                Mosaajii__Engine__V1__Statistics *statistics, Mosaajii__Engine__V1__Database **out,
                                struct mos_error *error);

// ---- Restore ----

enum { MOS_RESTORE_CHECKS_MOST = 3000 };

struct mos_database_restore {
    mos_job *job;
    mos_arena *arena;
    const Mosaajii__Engine__V1__RestoreRequest *request;
    const char *scratch;
    mos_reader *reader;
    // Counts and checks go here; its list of checks has room for MOS_RESTORE_CHECKS_MOST.
    Mosaajii__Engine__V1__Restoration *out;
};

// What the backup says of the database with this name; NULL for none.
const Mosaajii__Engine__V1__Database *mos_restore_find_database(const struct mos_database_restore *restore, const char *name);
// After a database was restored as a file: what does not fit is a warning.
void mos_restore_check_file(const struct mos_database_restore *restore, const struct mos_entry *entry, const char *path);
// Whether there is something where the database came from.
bool mos_restore_is_in_place(const struct mos_database_restore *restore, const struct mos_entry *entry);
// Puts the database of the entry where it came from. What goes wrong with it is a warning and counts as failed. An extra goes with its
// database.
mos_status mos_restore_in_place(const struct mos_database_restore *restore, const struct mos_entry *entry, struct mos_error *error);
// The request's target is the URL of a database on a server: the one database of the backup that fits and is selected goes there.
mos_status mos_restore_into_server(const struct mos_database_restore *restore, struct mos_error *error);

#endif
