#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "unit/test.h"

static const struct mos_column columns[] = {{.title = "NAME"}, {.title = "SIZE", .right = true}, {.title = "STATUS", .status = true}};

static bool renders(const mos_table *table, struct mos_terminal terminal, const char *wanted) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    mos_table_write(table, &terminal, &text);
    bool same = strcmp(mos_buffer_text(&text), wanted) == 0;
    if (!same) {
        printf("\n%s    wanted\n%s", mos_buffer_text(&text), wanted);
    }
    return same;
}

MOS_TEST(columns_line_up_by_width) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_table *table = mos_table_create(arena, columns, 3);
    static const char *const cells[] = {"caf\xc3\xa9", "1 B", "VERIFIED", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "12.3 MiB", "FAILED",
                                        "e\xcc\x81",   "",    "PENDING"};
    for (size_t i = 0; i < 9; i++) {
        mos_table_cell(table, cells[i]);
    }
    CU_ASSERT(renders(table, (struct mos_terminal){.stream = stdout},
                      "NAME        SIZE  STATUS\n"
                      "caf\xc3\xa9         1 B  VERIFIED\n"
                      "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e  12.3 MiB  FAILED\n"
                      "e\xcc\x81                 PENDING\n"));
}

MOS_TEST(cells_are_made_harmless_and_ends_are_trimmed) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_table *table = mos_table_create(arena, columns, 3);
    mos_table_cell(table, "\x1b[2Jx");
    mos_table_cellf(table, "%d", 7);
    mos_table_cell(table, NULL);
    CU_ASSERT(renders(table, (struct mos_terminal){.stream = stdout}, "NAME      SIZE  STATUS\n\\x1b[2Jx     7\n"));
}

MOS_TEST(a_terminal_gets_colour_outside_of_the_widths) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const struct mos_column two[] = {{.title = "STATE", .status = true}, {.title = "NAME"}};
    mos_table *table = mos_table_create(arena, two, 2);
    mos_table_cell(table, "FAILED");
    mos_table_cell(table, "x");
    CU_ASSERT(renders(table, (struct mos_terminal){.stream = stdout, .colour = true},
                      "\x1b[1mSTATE\x1b[0m   \x1b[1mNAME\x1b[0m\n\x1b[31mFAILED\x1b[0m  x\n"));
}

MOS_TEST(the_last_column_is_cut_where_somebody_looks) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const struct mos_column two[] = {{.title = "A"}, {.title = "NAME"}};
    mos_table *table = mos_table_create(arena, two, 2);
    char name[101];
    memset(name, 'n', 100);
    name[100] = 0;
    mos_table_cell(table, "x");
    mos_table_cell(table, name);
    // No terminal behind the stream: 80 columns are assumed.
    FILE *nowhere = fopen("/dev/null", "w");
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    struct mos_terminal terminal = {.stream = nowhere, .interactive = true};
    mos_table_write(table, &terminal, &text);
    const char *row = strchr(mos_buffer_text(&text), '\n') + 1;
    CU_ASSERT_EQUAL(strlen(row), 80 + 2 + 1); // the ellipsis is three bytes in one column
    CU_ASSERT_PTR_NOT_NULL(strstr(row, "n\xe2\x80\xa6\n"));
    fclose(nowhere);
}

MOS_TEST(facts_leave_out_what_is_empty) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_table *facts = mos_facts_create(arena);
    mos_fact(facts, "Name", "nightly");
    mos_fact(facts, "Message", "");
    mos_fact(facts, "Warnings", NULL);
    mos_fact(facts, "Checksum", "ab");
    CU_ASSERT(renders(facts, (struct mos_terminal){.stream = stdout}, "Name      nightly\nChecksum  ab\n"));
}

MOS_TEST(a_table_without_rows_prints_nothing) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const struct mos_column none[] = {{0}, {.right = true}};
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *stream = open_memstream(&text, &size_bytes);
    mos_table_print(mos_table_create(arena, none, 2), &(struct mos_terminal){.stream = stream});
    CU_ASSERT_EQUAL(fclose(stream), 0);
    CU_ASSERT_EQUAL(size_bytes, 0);
    free(text);
}
