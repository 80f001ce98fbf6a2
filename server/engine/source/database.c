#include "engine/source/database.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"

static const struct mos_database_driver *const drivers[] = {&mos_sqlite_driver, &mos_postgres_driver, &mos_mysql_driver};
enum { DRIVERS = sizeof(drivers) / sizeof(drivers[0]) };

const struct mos_database_driver *mos_database_driver_of(const char *engine) {
    for (size_t i = 0; i < DRIVERS; i++) {
        if (strcmp(drivers[i]->engine, engine) == 0) {
            return drivers[i];
        }
    }
    return NULL;
}

mos_status mos_database_open(const char *field, const char *url, struct mos_database *out, struct mos_error *error) {
    mos_status status = mos_database_url_parse(field, url, out->arena, &out->url, error);
    for (size_t i = 0; i < DRIVERS && status == MOS_OK; i++) {
        if (drivers[i]->kind == out->url.kind) {
            out->driver = drivers[i];
        }
    }
    if (status == MOS_OK) {
        out->shown = mos_database_url_format(&out->url, false, out->arena);
        out->title = out->url.name;
    }
    return status;
}

char *mos_database_text(mos_arena *arena, const char *text) {
    return mos_utf8_valid(text, strlen(text)) ? mos_arena_strdup(arena, text) : mos_path_escape(arena, text, strlen(text));
}

Mosaajii__Engine__V1__Table *mos_database_add_table(struct mos_database_tables *tables, const char *name, int64_t rows, mos_arena *arena) {
    if (tables->count == tables->capacity) {
        tables->capacity = tables->capacity ? tables->capacity * 2 : 16;
        Mosaajii__Engine__V1__Table **grown = mos_arena_array(arena, Mosaajii__Engine__V1__Table *, tables->capacity);
        if (tables->count) {
            memcpy(grown, tables->list, tables->count * sizeof(Mosaajii__Engine__V1__Table *));
        }
        tables->list = grown;
    }
    Mosaajii__Engine__V1__Table *table = mos_arena_alloc(arena, sizeof(*table));
    mosaajii__engine__v1__table__init(table);
    table->name = mos_database_text(arena, name);
    table->rows = rows;
    return tables->list[tables->count++] = table;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(Mosaajii__Engine__V1__Table *const *)a)->name, (*(Mosaajii__Engine__V1__Table *const *)b)->name);
}

void mos_database_sort_tables(struct mos_database_tables *tables) {
    if (tables->count) {
        qsort(tables->list, tables->count, sizeof(Mosaajii__Engine__V1__Table *), by_name);
    }
}

mos_database_check *mos_database_make_check(mos_arena *arena, const char *database, const char *what, bool passed, const char *message) {
    mos_database_check *check = mos_arena_alloc(arena, sizeof(*check));
    mosaajii__engine__v1__check__init(check);
    check->name = mos_arena_printf(arena, "%s: %s", database, what);
    check->passed = passed;
    check->message = mos_database_text(arena, message);
    return check;
}

// What differs first; NULL when nothing does.
static const char *first_difference(const mos_database_record *recorded, const struct mos_database_tables *tables, mos_arena *arena) {
    for (size_t i = 0, j = 0; i < recorded->n_tables || j < tables->count;) {
        int order = i == recorded->n_tables ? 1 : j == tables->count ? -1 : strcmp(recorded->tables[i]->name, tables->list[j]->name);
        if (order) {
            return mos_arena_printf(arena, "the table %s %s", order < 0 ? recorded->tables[i]->name : tables->list[j]->name,
                                    order < 0 ? "is missing" : "was not there when the backup was taken");
        }
        if (recorded->tables[i]->rows != tables->list[j]->rows) {
            return mos_arena_printf(arena, "the table %s has %lld rows, it had %lld", tables->list[j]->name,
                                    (long long)tables->list[j]->rows, (long long)recorded->tables[i]->rows);
        }
        i++;
        j++;
    }
    return NULL;
}

mos_database_check *mos_database_compare_tables(const mos_database_record *recorded, const struct mos_database_tables *tables,
                                                const char *failure, mos_arena *arena) {
    const char *difference = failure ? failure : first_difference(recorded, tables, arena);
    int64_t rows = 0;
    for (size_t i = 0; i < tables->count; i++) {
        rows += tables->list[i]->rows;
    }
    return mos_database_make_check(arena, recorded->name, "tables and rows", difference == NULL,
                                   difference ? difference
                                              : mos_arena_printf(arena, "%zu tables, %lld rows", tables->count, (long long)rows));
}
