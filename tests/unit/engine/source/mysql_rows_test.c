#include "engine/source/mysql_rows.h"

#include <string.h>

#include "unit/test.h"

static const char dump[] = "CREATE TABLE `a``b` (\n  `x` int\n);\n"
                           "CREATE TABLE `empty` (\n);\n"
                           "INSERT INTO `a``b` VALUES (1,'one\\nINSERT INTO `a` VALUES (');\n"
                           "INSERT INTO `a``b` VALUES (2,'; VALUES (');\n"
                           "INSERT INTO `c VALUES (` (`x`,`y`) VALUES (3,4);\n"
                           "INSERT INTO `c VALUES (` (`x`,`y`) VALUES (5,6);\n"
                           "INSERT INTO `a``b` VALUES (7,'');\n"
                           "/*!40000 ALTER TABLE `a``b` ENABLE KEYS */;\n"
                           "DELIMITER ;;\n"
                           "CREATE PROCEDURE p()\nBEGIN\n"
                           "INSERT INTO `a``b` VALUES (8,'');\n"
                           "INSERT INTO `a``b` VALUES (9,'');\n"
                           "END ;;\n"
                           "DELIMITER ;\n"
                           "INSERT INTO `empty` VALUES (10);";

static const char joined[] = "CREATE TABLE `a``b` (\n  `x` int\n);\n"
                             "CREATE TABLE `empty` (\n);\n"
                             "INSERT INTO `a``b` VALUES (1,'one\\nINSERT INTO `a` VALUES ('),(2,'; VALUES (');\n"
                             "INSERT INTO `c VALUES (` (`x`,`y`) VALUES (3,4),(5,6);\n"
                             "INSERT INTO `a``b` VALUES (7,'');\n"
                             "/*!40000 ALTER TABLE `a``b` ENABLE KEYS */;\n"
                             "DELIMITER ;;\n"
                             "CREATE PROCEDURE p()\nBEGIN\n"
                             "INSERT INTO `a``b` VALUES (8,'');\n"
                             "INSERT INTO `a``b` VALUES (9,'');\n"
                             "END ;;\n"
                             "DELIMITER ;\n"
                             "INSERT INTO `empty` VALUES (10);\n";

static mos_status take(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    struct mos_buffer *out = context;
    (void)error;
    CU_ASSERT_EQUAL(offset_bytes, out->size_bytes);
    mos_buffer_append(out, data, size_bytes);
    return MOS_OK;
}

static void join(const char *text, size_t size_bytes, size_t piece_bytes, struct mos_buffer *out) {
    struct mos_mysql_joiner joiner = {.sink = take, .context = out};
    struct mos_error error = {0};
    for (size_t at = 0; at < size_bytes; at += piece_bytes) {
        size_t left = size_bytes - at;
        MOS_ASSERT_OK(mos_mysql_join(&joiner, text + at, left < piece_bytes ? left : piece_bytes, at, &error), &error);
    }
    MOS_ASSERT_OK(mos_mysql_join_end(&joiner, &error), &error);
    mos_mysql_joiner_free(&joiner);
}

MOS_TEST(rows_are_counted_however_the_dump_is_cut) {
    for (size_t piece = 1; piece <= sizeof(dump); piece++) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_mysql_counter counter = {.arena = arena};
        // The last line has no end: it is not counted.
        for (size_t at = 0; at < sizeof(dump) - 1; at += piece) {
            size_t left = sizeof(dump) - 1 - at;
            mos_mysql_count(&counter, dump + at, left < piece ? left : piece);
        }
        mos_database_sort_tables(&counter.tables);
        CU_ASSERT_EQUAL_FATAL(counter.tables.count, 3);
        CU_ASSERT_STRING_EQUAL(counter.tables.list[0]->name, "a`b");
        CU_ASSERT_EQUAL(counter.tables.list[0]->rows, 3);
        CU_ASSERT_STRING_EQUAL(counter.tables.list[1]->name, "c VALUES (");
        CU_ASSERT_EQUAL(counter.tables.list[1]->rows, 2);
        CU_ASSERT_STRING_EQUAL(counter.tables.list[2]->name, "empty");
        CU_ASSERT_EQUAL(counter.tables.list[2]->rows, 0);
    }
}

MOS_TEST(rows_are_joined_however_the_dump_is_cut) {
    for (size_t piece = 1; piece <= sizeof(dump); piece++) {
        MOS_CLEANUP_BUFFER struct mos_buffer out = MOS_BUFFER_INIT(0);
        join(dump, sizeof(dump) - 1, piece, &out);
        CU_ASSERT_STRING_EQUAL(mos_buffer_text(&out), joined);
    }
}

MOS_TEST(long_lines_and_statements_end) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0), out = MOS_BUFFER_INIT(0);
    char row[1000];
    memset(row, 'x', sizeof(row));
    for (int i = 0; i < 1000; i++) {
        mos_buffer_append_text(&text, "INSERT INTO `t` VALUES ('");
        // One of the rows is longer than what is kept.
        for (int k = 0; k < (i == 500 ? 300 : 1); k++) {
            mos_buffer_append(&text, row, sizeof(row));
        }
        mos_buffer_append_text(&text, "');\n");
    }
    join((const char *)text.data, text.size_bytes, 4096, &out);
    size_t statements = 0, longest = 0, rows = 0;
    for (const char *line = mos_buffer_text(&out); *line;) {
        size_t length = strcspn(line, "\n");
        longest = length > longest ? length : longest;
        statements++;
        for (const char *at = line; (at = strstr(at, "('")) && at < line + length; at++) {
            rows++;
        }
        line += length + 1;
    }
    CU_ASSERT_EQUAL(rows, 1000);
    CU_ASSERT_TRUE(statements >= 5 && statements <= 8);
    CU_ASSERT_TRUE(longest < 301000);
}
