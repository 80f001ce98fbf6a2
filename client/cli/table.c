#include "cli/table.h"

#include <stdarg.h>
#include <string.h>

#define GAP 2
// Where less is left for the last column, it is left out.
#define LEAST_LAST_COLUMN 4

struct mos_table {
    mos_arena *arena;
    const struct mos_column *columns;
    int column_count;
    char **cells;
    size_t cell_count, capacity;
};

mos_table *mos_table_create(mos_arena *arena, const struct mos_column *columns, int count) {
    mos_table *table = mos_arena_alloc(arena, sizeof(*table));
    *table = (mos_table){.arena = arena, .columns = columns, .column_count = count};
    return table;
}

void mos_table_cell(mos_table *table, const char *text) {
    if (table->cell_count == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        char **cells = mos_arena_array(table->arena, char *, capacity);
        if (table->cell_count > 0) {
            memcpy(cells, table->cells, table->cell_count * sizeof(*cells));
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    table->cells[table->cell_count++] = mos_terminal_escape(table->arena, text ? text : "");
}

void mos_table_cellf(mos_table *table, const char *format, ...) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    va_list arguments;
    va_start(arguments, format);
    mos_buffer_vprintf(&text, format, arguments);
    va_end(arguments);
    mos_table_cell(table, mos_buffer_text(&text));
}

struct cell {
    const char *text;
    int width;
    bool right, last;
    enum mos_colour colour;
};

static void write_cell(const struct mos_terminal *terminal, struct mos_buffer *out, struct cell cell) {
    int space = cell.width - mos_terminal_width(cell.text);
    space = space < 0 ? 0 : space;
    const char *begin = cell.colour ? mos_terminal_colour(terminal, cell.colour) : "";
    const char *end = *begin ? mos_terminal_colour(terminal, MOS_COLOUR_NONE) : "";
    mos_buffer_printf(out, "%*s%s%s%s", cell.right ? space : 0, "", begin, cell.text, end);
    if (!cell.last) {
        mos_buffer_printf(out, "%*s", GAP + (cell.right ? 0 : space), "");
    }
}

static void end_line(struct mos_buffer *out, bool wanted) {
    while (wanted && out->size_bytes > 0 && out->data[out->size_bytes - 1] == ' ') {
        out->size_bytes--;
    }
    if (wanted) {
        mos_buffer_append_byte(out, '\n');
    }
}

void mos_table_write(const mos_table *table, const struct mos_terminal *terminal, struct mos_buffer *out) {
    int *widths = mos_arena_array(table->arena, int, (size_t)table->column_count);
    bool header = table->columns[0].title != NULL;
    int before_last = 0;
    for (int i = 0; i < table->column_count; i++) {
        widths[i] = header ? mos_terminal_width(table->columns[i].title) : 0;
        for (size_t k = (size_t)i; k < table->cell_count; k += (size_t)table->column_count) {
            int width = mos_terminal_width(table->cells[k]);
            widths[i] = width > widths[i] ? width : widths[i];
        }
        before_last += i + 1 < table->column_count ? widths[i] + GAP : 0;
    }
    int end = table->column_count - 1;
    int left = terminal->interactive ? mos_terminal_columns(terminal) - before_last : widths[end];
    // The columns that are shown are those up to here.
    int last = left >= LEAST_LAST_COLUMN || widths[end] <= left ? end : end - 1;
    widths[end] = widths[end] < left ? widths[end] : left;
    for (int i = 0; header && i <= last; i++) {
        const char *title = mos_terminal_fit(table->arena, table->columns[i].title, widths[i], false);
        write_cell(terminal, out, (struct cell){title, widths[i], table->columns[i].right, i == last, MOS_COLOUR_BOLD});
    }
    end_line(out, header);
    for (size_t k = 0; k < table->cell_count; k++) {
        int i = (int)(k % (size_t)table->column_count);
        if (i <= last) {
            const char *text = mos_terminal_fit(table->arena, table->cells[k], widths[i], false);
            enum mos_colour colour = table->columns[i].status ? mos_status_colour(text) : MOS_COLOUR_NONE;
            write_cell(terminal, out, (struct cell){text, widths[i], table->columns[i].right, i == last, colour});
        }
        end_line(out, i == last);
    }
}

void mos_table_print(const mos_table *table, const struct mos_terminal *terminal) {
    MOS_CLEANUP_BUFFER struct mos_buffer out = MOS_BUFFER_INIT(0);
    mos_table_write(table, terminal, &out);
    // Without a row there are no bytes to point to.
    fwrite(mos_buffer_text(&out), 1, out.size_bytes, terminal->stream);
}

mos_table *mos_facts_create(mos_arena *arena) {
    static const struct mos_column columns[] = {{0}, {0}};
    return mos_table_create(arena, columns, 2);
}

void mos_fact(mos_table *facts, const char *name, const char *text) {
    if (text && *text) {
        mos_table_cell(facts, name);
        mos_table_cell(facts, text);
    }
}

void mos_facts_print(const mos_table *facts, const struct mos_terminal *terminal) {
    struct mos_terminal whole = *terminal;
    whole.interactive = false;
    mos_table_print(facts, &whole);
}
