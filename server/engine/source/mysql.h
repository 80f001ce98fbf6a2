// The driver for MySQL and MariaDB (database.h), and what its tests see of it.
#ifndef MOS_ENGINE_SOURCE_MYSQL_H
#define MOS_ENGINE_SOURCE_MYSQL_H

#include "engine/source/database.h"

// A name has 64 characters of at most four bytes, each of which may be a doubled quote.
enum { MOS_MYSQL_PREFIX_BYTES = 1024 };

// Counts the rows of a dump with one row a statement, as its pieces pass.
struct mos_mysql_counter {
    mos_arena *arena;
    struct mos_database_tables tables;
    bool in_body;
    size_t prefix_bytes;
    char prefix[MOS_MYSQL_PREFIX_BYTES];
};
void mos_mysql_count(struct mos_mysql_counter *counter, const void *data, size_t size_bytes);

#endif
