#include "cli/terminal.h"

#include <string.h>

#include "unit/test.h"

MOS_TEST(foreign_text_is_made_harmless) {
    static const char *const texts[][2] = {
        {"/srv/caf\xc3\xa9", "/srv/caf\xc3\xa9"},
        {"a\nb\x1b[31mc", "a\\x0ab\\x1b[31mc"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b"
         "31m"},
        {"\x7f\xff\xc3", "\\x7f\\xff\\xc3"},
        {"left\xe2\x80\xaeright", "left\\xe2\\x80\\xaeright"},
        {"already \\x41", "already \\x41"},
        {"\xf0\x9f\x92\xbe", "\xf0\x9f\x92\xbe"},
        {"", ""},
    };
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CU_ASSERT_STRING_EQUAL(mos_terminal_escape(arena, texts[i][0]), texts[i][1]);
    }
}

MOS_TEST(widths_are_columns_not_bytes) {
    CU_ASSERT_EQUAL(mos_terminal_width("plain"), 5);
    CU_ASSERT_EQUAL(mos_terminal_width("caf\xc3\xa9"), 4);
    CU_ASSERT_EQUAL(mos_terminal_width("cafe\xcc\x81"), 4);
    CU_ASSERT_EQUAL(mos_terminal_width("\xe6\x97\xa5\xe6\x9c\xac"), 4);
    CU_ASSERT_EQUAL(mos_terminal_width(""), 0);
}

MOS_TEST(text_is_cut_to_columns) {
    static const struct {
        const char *text;
        int columns;
        bool keep_end;
        const char *cut;
    } cases[] = {{"/usr/share/doc", 14, false, "/usr/share/doc"},
                 {"/usr/share/doc", 8, false, "/usr/sh\xe2\x80\xa6"},
                 {"/usr/share/doc", 8, true,
                  "\xe2\x80\xa6"
                  "are/doc"},
                 {"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 4, false, "\xe6\x97\xa5\xe2\x80\xa6"},
                 {"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 4, true, "\xe2\x80\xa6\xe8\xaa\x9e"},
                 {"abc", 1, false, "\xe2\x80\xa6"},
                 {"abc", 0, true, ""},
                 {"abc", -5, false, ""}};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *cut = mos_terminal_fit(arena, cases[i].text, cases[i].columns, cases[i].keep_end);
        CU_ASSERT_STRING_EQUAL(cut, cases[i].cut);
    }
}

MOS_TEST(counts_and_durations_read_well) {
    static const struct {
        void (*format)(int64_t, char *);
        int64_t value;
        const char *text;
    } cases[] = {{mos_count_format, 0, "0"},
                 {mos_count_format, 999, "999"},
                 {mos_count_format, 1000, "1,000"},
                 {mos_count_format, -1234567, "-1,234,567"},
                 {mos_count_format, -123, "-123"},
                 {mos_duration_format, 0, "0.0 s"},
                 {mos_duration_format, 420, "0.4 s"},
                 {mos_duration_format, 34000, "34 s"},
                 {mos_duration_format, 725000, "12 min 5 s"},
                 {mos_duration_format, 11520000, "3 h 12 min"},
                 {mos_duration_format, INT64_C(86400000) * 9, "9 days"},
                 {mos_clock_format, 19, "0:19"},
                 {mos_clock_format, 3723, "1:02:03"},
                 {mos_minute_format, 0, "-"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[MOS_SHORT_TEXT_BYTES];
        cases[i].format(cases[i].value, text);
        CU_ASSERT_STRING_EQUAL(text, cases[i].text);
    }
}

MOS_TEST(colour_is_only_for_terminals) {
    struct mos_terminal dull = {.stream = stdout};
    struct mos_terminal colourful = {.stream = stdout, .interactive = true, .colour = true};
    CU_ASSERT_STRING_EQUAL(mos_terminal_colour(&dull, MOS_COLOUR_RED), "");
    CU_ASSERT_STRING_EQUAL(mos_terminal_colour(&colourful, MOS_COLOUR_RED), "\x1b[31m");
    CU_ASSERT_EQUAL(mos_status_colour("FAILED"), MOS_COLOUR_RED);
    CU_ASSERT_EQUAL(mos_status_colour("VERIFIED, 3 warnings"), MOS_COLOUR_GREEN);
    CU_ASSERT_EQUAL(mos_status_colour("SUCCEEDED_WITH_WARNINGS"), MOS_COLOUR_YELLOW);
    CU_ASSERT_EQUAL(mos_status_colour("PENDING"), MOS_COLOUR_NONE);
}
