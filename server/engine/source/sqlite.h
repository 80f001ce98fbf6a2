// SQLite databases: a consistent copy while others write, and the check of a restored one.
#ifndef MOS_ENGINE_SOURCE_SQLITE_H
#define MOS_ENGINE_SOURCE_SQLITE_H

#include <stdint.h>
#include <sys/stat.h>

#include "common/arena.h"
#include "common/status.h"
#include "mosaajii/engine/v1/engine.pb-c.h"

struct mos_database_copy {
    // An unlinked file in scratch that holds the copy; the caller's, to be closed.
    int descriptor;
    // Owner, mode and times of the original.
    struct stat status;
    // Name, engine, origin and tables; lives in the arena.
    Mosaajii__Engine__V1__Database *database;
    // One sentence where the copy is whole but not all could be told of it (a damaged page, say); lives in the arena, NULL otherwise.
    const char *warning;
};

// `url`: file:/path or sqlite:///path. MOS_UNIMPLEMENTED for postgresql:// and mysql://, MOS_INVALID_ARGUMENT for anything else. The copy
// is of one moment: it is made in one step under a read transaction, which in WAL mode stops no writer. Blocks for as long as that takes,
// and up to a minute for a writer that holds the database locked (then MOS_UNAVAILABLE). MOS_NOT_FOUND: there is no such file,
// MOS_FAILED_PRECONDITION: it is no SQLite database. `cancelled` is asked now and then; MOS_CANCELLED when it says so.
mos_status mos_sqlite_copy(const char *url, const char *scratch, bool (*cancelled)(void *context), void *context, mos_arena *arena,
                           struct mos_database_copy *out, struct mos_error *error);

// The path that such a URL names, as it stands there; nothing needs to be at it. In the arena.
mos_status mos_sqlite_origin(const char *url, mos_arena *arena, const char **out, struct mos_error *error);
// The canonical path that such a URL names, in the arena.
mos_status mos_sqlite_path(const char *url, mos_arena *arena, const char **out, struct mos_error *error);

// A file in scratch that has no name any more; the caller's, to be closed. -1 on failure.
int mos_scratch_file(const char *scratch, struct mos_error *error);
// Puts the whole database in `descriptor` (as mos_sqlite_copy makes it) in the place of the one at `path`, or makes a new one there: in one
// transaction by SQLite itself, so that programs that have it open see either the old or the new one. MOS_UNAVAILABLE when it stays locked
// for a minute, MOS_FAILED_PRECONDITION when what is there is no database.
mos_status mos_sqlite_replace(int descriptor, const char *path, bool (*cancelled)(void *context), void *context, struct mos_error *error);

// Opens the database at `path` without changing anything there and compares it with what was recorded: opens, integrity, and tables with
// their row counts. Always all three checks, in the arena.
void mos_sqlite_check(const char *path, const Mosaajii__Engine__V1__Database *recorded, mos_arena *arena,
                      Mosaajii__Engine__V1__Check ***out, size_t *out_count);

#endif
