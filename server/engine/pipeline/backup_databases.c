#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "engine/pipeline/databases.h"
#include "engine/pipeline/operation.h"

enum { READ_BYTES = 1 << 20, NAME_BYTES = 200 };

static int by_name(const void *a, const void *b) {
    const struct mos_database_entry *left = a, *right = b;
    return mos_path_compare(left->name, strlen(left->name), right->name, strlen(right->name));
}

static bool name_taken(const struct mos_databases *databases, const char *name) {
    for (size_t i = 0; i < databases->entry_count; i++) {
        if (strcmp(databases->entries[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool any_name_taken(const struct mos_databases *databases, const struct mos_database_driver *driver, const char *name,
                           mos_arena *arena) {
    bool taken = name_taken(databases, name);
    for (const char *const *extra = driver->extras; *extra; extra++) {
        taken = taken || name_taken(databases, mos_arena_printf(arena, "%s%s", name, *extra));
    }
    return taken;
}

// An entry's name: in UTF-8, without slash, and with room for a number and an extra's end.
static char *entry_name(mos_arena *arena, const char *title) {
    char *name = mos_arena_strdup(arena, mos_job_text(arena, title));
    for (char *slash = name; (slash = strchr(slash, '/'));) {
        *slash = '_';
    }
    size_t length = strlen(name);
    if (length > NAME_BYTES) {
        length = NAME_BYTES;
        while ((name[length] & 0xc0) == 0x80) {
            length--;
        }
        name[length] = 0;
    }
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? mos_arena_printf(arena, "_%s", name) : name;
}

static void add(struct mos_databases *databases, struct mos_database *database, const char *name, const char *extra, mos_arena *arena) {
    databases->entries[databases->entry_count++] = (struct mos_database_entry){
        .name = mos_arena_printf(arena, "%s%s", name, extra ? extra : ""), .database = database, .extra = extra};
    databases->count += !extra;
}

static bool doubled(const struct mos_databases *databases, const struct mos_database *database) {
    for (size_t i = 0; i < databases->entry_count; i++) {
        if (strcmp(databases->entries[i].database->shown, database->shown) == 0) {
            return true;
        }
    }
    return false;
}

mos_status mos_databases_find(mos_job *job, char *const *urls, size_t url_count, const char *scratch, mos_arena *arena,
                              struct mos_databases *out, struct mos_error *error) {
    enum { ENTRIES_OF_ONE = 3 };
    *out = (struct mos_databases){.entries = mos_arena_array(arena, struct mos_database_entry, ENTRIES_OF_ONE * url_count)};
    for (size_t i = 0; i < url_count; i++) {
        struct mos_database *database = mos_arena_alloc(arena, sizeof(*database));
        *database =
            (struct mos_database){.scratch = scratch, .cancelled = mos_job_cancelled, .warn = mos_job_warn, .context = job, .arena = arena};
        mos_status status = mos_database_open("databases", urls[i], database, error);
        status = status ? status : database->driver->probe(database, error);
        if (status) {
            return status;
        }
        if (doubled(out, database)) {
            continue;
        }
        const char *title = entry_name(arena, database->title);
        const char *name = title;
        for (int number = 2; any_name_taken(out, database->driver, name, arena); number++) {
            name = mos_arena_printf(arena, "%s-%d", title, number);
        }
        add(out, database, name, NULL, arena);
        for (const char *const *extra = database->driver->extras; *extra; extra++) {
            add(out, database, name, *extra, arena);
        }
        out->size_bytes += database->size_bytes;
    }
    if (out->entry_count) {
        qsort(out->entries, out->entry_count, sizeof(*out->entries), by_name);
    }
    return MOS_OK;
}

static mos_status copy_content(mos_job *job, mos_assembler *assembler, const struct mos_database_entry *from,
                               struct mos_database_dump *dump, Mosaajii__Engine__V1__Statistics *statistics, uint64_t *out_bytes,
                               struct mos_error *error) {
    const struct mos_database_driver *driver = from->database->driver;
    MOS_CLEANUP_FREE uint8_t *buffer = mos_malloc(READ_BYTES);
    const char *shown = from->database->shown;
    uint64_t head_bytes = from->extra ? 0 : driver->head_bytes;
    *out_bytes = 0;
    // The head, and what accompanies a dump, go into the stream of small files. The rest has chunks of its own, however small it is: a
    // neighbour that changes does not change them.
    mos_assembler_begin(assembler, head_bytes || from->extra ? 0 : UINT64_MAX);
    for (;;) {
        size_t got, most = *out_bytes < head_bytes ? (size_t)(head_bytes - *out_bytes) : READ_BYTES;
        mos_status status = driver->read(dump, buffer, most, &got, error);
        if (status || got == 0) {
            return status;
        }
        status = mos_assembler_content(assembler, buffer, got, error);
        if (status) {
            return status;
        }
        *out_bytes += got;
        if (head_bytes && *out_bytes == head_bytes) {
            mos_assembler_begin(assembler, UINT64_MAX);
        }
        statistics->bytes_read += (int64_t)got;
        mos_job_advance(job, 0, (int64_t)got, shown, strlen(shown));
    }
}

mos_status mos_database_back_up(mos_job *job, mos_assembler *assembler, const struct mos_database_entry *from,
                                Mosaajii__Engine__V1__Statistics *statistics, Mosaajii__Engine__V1__Database **out,
                                struct mos_error *error) {
    const struct mos_database *database = from->database;
    const struct mos_database_driver *driver = database->driver;
    struct mos_database_dump *dump;
    mos_job_advance(job, 0, 0, database->shown, strlen(database->shown));
    mos_status status = driver->dump(database, from->extra, &dump, error);
    if (status || !dump) {
        return status;
    }
    uint64_t size_bytes;
    status = copy_content(job, assembler, from, dump, statistics, &size_bytes, error);
    Mosaajii__Engine__V1__Database *record = MOS_NEW(database->arena, Mosaajii__Engine__V1__Database, mosaajii__engine__v1__database__init);
    if (status == MOS_OK && !from->extra) {
        record->name = from->name;
        record->engine = (char *)driver->engine;
        record->origin = (char *)database->shown;
        status = driver->describe(dump, record, error);
        *out = record;
    }
    const struct stat *info = &dump->status;
    struct mos_entry entry = {
        .path = from->name,
        .path_bytes = strlen(from->name),
        .type = MOS_ENTRY_DATABASE,
        .mode = info->st_mode & 07777,
        .uid = info->st_uid,
        .gid = info->st_gid,
        .user = "",
        .group = "",
        .modified_unix_ns = (int64_t)info->st_mtim.tv_sec * MOS_NS_PER_SECOND + info->st_mtim.tv_nsec,
        .changed_unix_ns = (int64_t)info->st_ctim.tv_sec * MOS_NS_PER_SECOND + info->st_ctim.tv_nsec,
        .inode = info->st_ino,
        .device = info->st_dev,
        .size_bytes = size_bytes,
    };
    driver->close(dump);
    if (status) {
        return status;
    }
    statistics->files++;
    statistics->size += (int64_t)size_bytes;
    mos_job_advance(job, 1, 0, NULL, 0);
    return mos_assembler_add(assembler, &entry, error);
}
