// Aligned columns for people. Not thread safe.
#ifndef MOS_CLIENT_CLI_TABLE_H
#define MOS_CLIENT_CLI_TABLE_H

#include <stdbool.h>

#include "cli/terminal.h"
#include "common/arena.h"
#include "common/buffer.h"

struct mos_column {
    // NULL in the first column: a table without a header.
    const char *title;
    bool right;
    // A status word, drawn in its colour.
    bool status;
};

typedef struct mos_table mos_table;

// `columns` is borrowed. The table lives in the arena.
mos_table *mos_table_create(mos_arena *arena, const struct mos_column *columns, int count);
// The text of the next cell, row by row; it is escaped and copied. NULL is an empty cell.
void mos_table_cell(mos_table *table, const char *text);
void mos_table_cellf(mos_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Where somebody looks, the last column is cut, or left out, so that rows fit the terminal; elsewhere nothing is.
void mos_table_write(const mos_table *table, const struct mos_terminal *terminal, struct mos_buffer *out);
void mos_table_print(const mos_table *table, const struct mos_terminal *terminal);

// A list of facts: a name and what it is a line. An empty or NULL text leaves the fact out. Never cut.
mos_table *mos_facts_create(mos_arena *arena);
void mos_fact(mos_table *facts, const char *name, const char *text);
void mos_facts_print(const mos_table *facts, const struct mos_terminal *terminal);

#endif
