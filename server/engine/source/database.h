// What a driver of a kind of database must promise. A driver is one const table of functions; the scheme of a URL chooses it.
//
// Backup: probe; then for the database and each of its extras: dump, read until 0 bytes, and for the database itself describe; close.
// Restore: there, load. One thread an object. Everything blocks; `cancelled` is asked at least ten times a second and then ends a call with
// MOS_CANCELLED. No message holds a password.
#ifndef MOS_ENGINE_SOURCE_DATABASE_H
#define MOS_ENGINE_SOURCE_DATABASE_H

#include <stdint.h>
#include <sys/stat.h>

#include "common/arena.h"
#include "common/database_url.h"
#include "common/status.h"
#include "mosaajii/engine/v1/engine.pb-c.h"

typedef Mosaajii__Engine__V1__Database mos_database_record;
typedef Mosaajii__Engine__V1__Check mos_database_check;

struct mos_database {
    const struct mos_database_driver *driver;
    struct mos_database_url url;
    // The URL without its password: for messages, and as the origin in the manifest.
    const char *shown;
    const char *scratch;
    bool (*cancelled)(void *context);
    void (*warn)(void *context, const char *path, size_t path_bytes, const char *message);
    void *context;
    // What drivers make lives in it.
    mos_arena *arena;
    // After probe: its name by itself, and about how much a dump will hold.
    const char *title;
    int64_t size_bytes;
};

// What is being dumped; drivers put their own behind it.
struct mos_database_dump {
    const struct mos_database *database;
    // Owner, mode and times of the original, or of the dump where the original has none.
    struct stat status;
};

typedef mos_status (*mos_database_sink)(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error);
// Where a load finds what the backup holds.
struct mos_database_content {
    // Hands all bytes of the database (`extra` NULL) or of one of its extras to the sink, in order; may be called more than once.
    // MOS_NOT_FOUND when the backup has no such extra.
    mos_status (*feed)(void *context, const char *extra, mos_database_sink sink, void *sink_context, struct mos_error *error);
    void *context;
};

struct mos_database_driver {
    // As it stands in the manifest.
    const char *engine;
    enum mos_database_kind kind;
    // Ends of the names of further entries that belong to the database, ended by NULL.
    const char *const *extras;
    // How far what differs in each dump of the same data reaches (its time, say): these bytes get a chunk of their own.
    size_t head_bytes;

    // Looks whether it is there and may be read, before anything is, and makes its URL canonical. MOS_NOT_FOUND, MOS_PERMISSION_DENIED,
    // MOS_UNAVAILABLE, MOS_FAILED_PRECONDITION.
    mos_status (*probe)(struct mos_database *database, struct mos_error *error);
    // *out is NULL, after a warning, where an extra cannot be had.
    mos_status (*dump)(const struct mos_database *database, const char *extra, struct mos_database_dump **out, struct mos_error *error);
    // 0 bytes mean that the dump is whole.
    mos_status (*read)(struct mos_database_dump *dump, void *buffer, size_t size_bytes, size_t *out_bytes, struct mos_error *error);
    // After the end: tables and their rows at the moment of the dump. What cannot be told is a warning.
    mos_status (*describe)(struct mos_database_dump *dump, mos_database_record *record, struct mos_error *error);
    void (*close)(struct mos_database_dump *dump);

    // Looks at what was restored as a file, without changing anything.
    void (*check_file)(const char *path, const mos_database_record *recorded, mos_arena *arena, mos_database_check ***out,
                       size_t *out_count);
    // Whether there is something that a load would replace.
    mos_status (*there)(const struct mos_database *target, bool *out, struct mos_error *error);
    // Makes the target what the backup holds, and compares. Without `replace`, MOS_ALREADY_EXISTS where there is something. What does not
    // come back whole, or fails a check, replaces nothing. The checks are filled in on failure too.
    mos_status (*load)(const struct mos_database *target, const mos_database_record *recorded, const struct mos_database_content *content,
                       bool replace, mos_database_check ***out, size_t *out_count, struct mos_error *error);
};

extern const struct mos_database_driver mos_sqlite_driver, mos_postgres_driver, mos_mysql_driver;

// By the word in the manifest; NULL where there is none.
const struct mos_database_driver *mos_database_driver_of(const char *engine);
// Takes the URL apart and chooses the driver; what a job gives (scratch, cancelled, warn, context, arena) is set already. Connects to
// nothing.
mos_status mos_database_open(const char *field, const char *url, struct mos_database *out, struct mos_error *error);

// ---- For drivers ----

// `text` itself where it is UTF-8, otherwise escaped: names of tables may hold any bytes.
char *mos_database_text(mos_arena *arena, const char *text);
// A list of tables, in the arena.
struct mos_database_tables {
    Mosaajii__Engine__V1__Table **list;
    size_t count;
    size_t capacity;
};
enum { MOS_DATABASE_TABLES_LIMIT = 100000 };
Mosaajii__Engine__V1__Table *mos_database_add_table(struct mos_database_tables *tables, const char *name, int64_t rows, mos_arena *arena);
void mos_database_sort_tables(struct mos_database_tables *tables);
mos_database_check *mos_database_make_check(mos_arena *arena, const char *database, const char *what, bool passed, const char *message);
// "tables and rows": what is there (sorted) against what was recorded. `failure`: why it could not be counted; NULL otherwise.
mos_database_check *mos_database_compare_tables(const mos_database_record *recorded, const struct mos_database_tables *tables,
                                                const char *failure, mos_arena *arena);

#endif
