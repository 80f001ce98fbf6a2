// A file system for SQLite that knows a single file: one that is open already and has no name. Journals cannot be made in it.
#ifndef MOS_ENGINE_SOURCE_SQLITE_VFS_H
#define MOS_ENGINE_SOURCE_SQLITE_VFS_H

#include <sqlite3.h>

#include "common/status.h"

// A connection to the database in `descriptor`, which is borrowed until the connection is closed. `writable`: to be filled by the backup
// API, without a journal; otherwise immutable. Thread safe.
mos_status mos_sqlite_open_descriptor(int descriptor, bool writable, sqlite3 **out, struct mos_error *error);

#endif
