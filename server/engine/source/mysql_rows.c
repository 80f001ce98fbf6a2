#include "engine/source/mysql_rows.h"

#include <string.h>

enum { LINE_BYTES = 64 << 10, STATEMENT_BYTES = 256 << 10, WRITE_BYTES = 256 << 10 };

static const char create_words[] = "CREATE TABLE `", insert_words[] = "INSERT INTO `", delimiter_words[] = "DELIMITER ";
#define BEGINS(line, size_bytes, words) ((size_bytes) >= sizeof(words) - 1 && memcmp((line), (words), sizeof(words) - 1) == 0)

// Bodies of routines, triggers and events, in which anything may stand at the start of a line, are between other delimiters.
static void follow_delimiter(const char *line, size_t size_bytes, bool *in_body) {
    if (BEGINS(line, size_bytes, delimiter_words)) {
        *in_body = size_bytes != sizeof(delimiter_words) || line[size_bytes - 1] != ';';
    }
}

// ---- Counting what passes ----

static void take_table(struct mos_mysql_counter *counter, const char *quoted_name, int64_t rows) {
    char name[MOS_MYSQL_PREFIX_BYTES];
    size_t length = 0;
    for (; *quoted_name && !(quoted_name[0] == '`' && quoted_name[1] != '`'); quoted_name++) {
        quoted_name += *quoted_name == '`';
        name[length++] = *quoted_name;
    }
    name[length] = 0;
    struct mos_database_tables *tables = &counter->tables;
    for (size_t i = tables->count; i-- > 0;) {
        if (strcmp(tables->list[i]->name, name) == 0) {
            tables->list[i]->rows += rows;
            return;
        }
    }
    if (tables->count < MOS_DATABASE_TABLES_LIMIT) {
        mos_database_add_table(tables, name, rows, counter->arena);
    }
}

static void count_line(struct mos_mysql_counter *counter) {
    counter->prefix[counter->prefix_bytes] = 0;
    follow_delimiter(counter->prefix, counter->prefix_bytes, &counter->in_body);
    if (counter->in_body) {
        return;
    }
    if (BEGINS(counter->prefix, counter->prefix_bytes, insert_words)) {
        take_table(counter, counter->prefix + sizeof(insert_words) - 1, 1);
    } else if (BEGINS(counter->prefix, counter->prefix_bytes, create_words)) {
        take_table(counter, counter->prefix + sizeof(create_words) - 1, 0);
    }
}

void mos_mysql_count(struct mos_mysql_counter *counter, const void *data, size_t size_bytes) {
    const char *at = data, *end = at + size_bytes;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((line_end ? line_end : end) - at);
        size_t room = MOS_MYSQL_PREFIX_BYTES - 1 - counter->prefix_bytes;
        size_t kept = length < room ? length : room;
        memcpy(counter->prefix + counter->prefix_bytes, at, kept);
        counter->prefix_bytes += kept;
        at += length;
        if (line_end) {
            count_line(counter);
            counter->prefix_bytes = 0;
            at++;
        }
    }
}

// ---- Joining ----

static mos_status flush(struct mos_mysql_joiner *joiner, size_t least_bytes, struct mos_error *error) {
    if (joiner->out.size_bytes < least_bytes || !joiner->out.size_bytes) {
        return MOS_OK;
    }
    mos_status status = joiner->sink(joiner->context, joiner->out.data, joiner->out.size_bytes, joiner->written_bytes, error);
    joiner->written_bytes += joiner->out.size_bytes;
    mos_buffer_clear(&joiner->out);
    return status;
}

static void end_statement(struct mos_mysql_joiner *joiner) {
    if (joiner->open) {
        mos_buffer_append_text(&joiner->out, ";\n");
    }
    joiner->open = false;
}

// Bytes of the line up to the bracket that begins the row; 0 when it inserts none.
static size_t head_of(const char *line, size_t size_bytes) {
    static const char values[] = " VALUES (";
    if (!BEGINS(line, size_bytes, insert_words) || line[size_bytes - 1] != ';') {
        return 0;
    }
    bool quoted = false;
    for (size_t i = 0; i < size_bytes; i++) {
        quoted = quoted != (line[i] == '`');
        if (!quoted && BEGINS(line + i, size_bytes - i, values)) {
            return i + sizeof(values) - 2;
        }
    }
    return 0;
}

static void join_line(struct mos_mysql_joiner *joiner) {
    const char *line = (const char *)joiner->line.data;
    size_t size_bytes = joiner->line.size_bytes;
    if (size_bytes) {
        follow_delimiter(line, size_bytes, &joiner->in_body);
    }
    size_t head_bytes = size_bytes && !joiner->in_body ? head_of(line, size_bytes) : 0;
    if (!head_bytes) {
        end_statement(joiner);
        mos_buffer_append(&joiner->out, line, size_bytes);
        mos_buffer_append_byte(&joiner->out, '\n');
    } else if (joiner->open && joiner->statement_bytes < STATEMENT_BYTES && joiner->head.size_bytes == head_bytes &&
               memcmp(joiner->head.data, line, head_bytes) == 0) {
        mos_buffer_append_byte(&joiner->out, ',');
        mos_buffer_append(&joiner->out, line + head_bytes, size_bytes - head_bytes - 1);
        joiner->statement_bytes += size_bytes - head_bytes;
    } else {
        end_statement(joiner);
        mos_buffer_append(&joiner->out, line, size_bytes - 1);
        mos_buffer_clear(&joiner->head);
        mos_buffer_append(&joiner->head, line, head_bytes);
        joiner->statement_bytes = size_bytes;
        joiner->open = true;
    }
    mos_buffer_clear(&joiner->line);
}

mos_status mos_mysql_join(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    (void)offset_bytes;
    struct mos_mysql_joiner *joiner = context;
    const char *at = data, *end = at + size_bytes;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((line_end ? line_end : end) - at);
        mos_buffer_append(joiner->passing ? &joiner->out : &joiner->line, at, length);
        if (!joiner->passing && joiner->line.size_bytes > LINE_BYTES) {
            // Too long to be kept or joined with others.
            end_statement(joiner);
            mos_buffer_append(&joiner->out, joiner->line.data, joiner->line.size_bytes);
            mos_buffer_clear(&joiner->line);
            joiner->passing = true;
        }
        if (line_end && joiner->passing) {
            mos_buffer_append_byte(&joiner->out, '\n');
            joiner->passing = false;
        } else if (line_end) {
            join_line(joiner);
        }
        at += length + (line_end ? 1 : 0);
        mos_status status = flush(joiner, WRITE_BYTES, error);
        if (status) {
            return status;
        }
    }
    return MOS_OK;
}

mos_status mos_mysql_join_end(struct mos_mysql_joiner *joiner, struct mos_error *error) {
    if (joiner->line.size_bytes) {
        join_line(joiner);
    }
    end_statement(joiner);
    return flush(joiner, 0, error);
}

void mos_mysql_joiner_free(struct mos_mysql_joiner *joiner) {
    mos_buffer_free(&joiner->line);
    mos_buffer_free(&joiner->head);
    mos_buffer_free(&joiner->out);
}
