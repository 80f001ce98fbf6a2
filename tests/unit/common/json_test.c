#include "common/json.h"

#include <string.h>

#include "unit/test.h"

static const struct mos_json *parse(mos_arena *arena, const char *text) {
    return mos_json_parse(arena, text, strlen(text));
}

MOS_TEST(values_of_all_kinds_are_read) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_json *json =
        parse(arena, " {\"s\" : \"t\", \"n\":-1.5e2,\r\n\"yes\":true,\"no\":false,\t\"none\":null,\"a\":[1,[],{}],\"o\":{\"s\":\"in\"}} ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    CU_ASSERT_STRING_EQUAL(mos_json_text(json, "s"), "t");
    CU_ASSERT_EQUAL(mos_json_member(json, "n")->number, -150.0);
    CU_ASSERT_EQUAL(mos_json_member(json, "yes")->kind, MOS_JSON_TRUE);
    CU_ASSERT_EQUAL(mos_json_member(json, "no")->kind, MOS_JSON_FALSE);
    CU_ASSERT_EQUAL(mos_json_member(json, "none")->kind, MOS_JSON_NULL);
    const struct mos_json *array = mos_json_member(json, "a");
    CU_ASSERT_EQUAL_FATAL(array->kind, MOS_JSON_ARRAY);
    CU_ASSERT_EQUAL(array->first->number, 1.0);
    CU_ASSERT_EQUAL(array->first->next->kind, MOS_JSON_ARRAY);
    CU_ASSERT_EQUAL(array->first->next->next->kind, MOS_JSON_OBJECT);
    CU_ASSERT_PTR_NULL(array->first->next->next->next);
    CU_ASSERT_STRING_EQUAL(mos_json_text(mos_json_member(json, "o"), "s"), "in");
}

MOS_TEST(members_that_are_not_there_are_none) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    CU_ASSERT_PTR_NULL(mos_json_member(NULL, "a"));
    CU_ASSERT_PTR_NULL(mos_json_member(parse(arena, "[1]"), "a"));
    CU_ASSERT_PTR_NULL(mos_json_member(parse(arena, "{\"a\":1}"), "b"));
    CU_ASSERT_PTR_NULL(mos_json_text(parse(arena, "{\"a\":1}"), "a"));
}

MOS_TEST(strings_are_unescaped) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const struct {
        const char *text;
        const char *meaning;
    } cases[] = {
        {"\"\"", ""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20ac\"", "A\xc3\xa9\xe2\x82\xac"},
        {"\"\\uD83D\\ude00\"", "\xf0\x9f\x98\x80"},
        {"\"\xc3\xa9\x7f\"", "\xc3\xa9\x7f"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct mos_json *json = parse(arena, cases[i].text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(json);
        CU_ASSERT_STRING_EQUAL(json->string, cases[i].meaning);
    }
}

MOS_TEST(what_is_no_json_is_refused) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const char *const wrong[] = {"",
                                        " ",
                                        "{",
                                        "}",
                                        "{}x",
                                        "{} {}",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{\"a\":1,}",
                                        "{,}",
                                        "{a:1}",
                                        "{'a':1}",
                                        "{\"a\":1 \"b\":2}",
                                        "{\"a\":1,\"a\":2}",
                                        "{\"a\":1,\"\\u0061\":2}",
                                        "[1,]",
                                        "[1",
                                        "[1}",
                                        "tru",
                                        "truex",
                                        "nul",
                                        "NaN",
                                        "Infinity",
                                        "01",
                                        "-",
                                        "+1",
                                        ".5",
                                        "1.",
                                        "1e",
                                        "1e+",
                                        "0x10",
                                        "1111111111111111111111111111111111111111111111111111111111111111111",
                                        "\"",
                                        "\"a",
                                        "\"\\\"",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"\\u12g4\"",
                                        "\"\\u0000\"",
                                        "\"\\ud800\"",
                                        "\"\\ud800\\n\"",
                                        "\"\\ud800\\u0041\"",
                                        "\"\\udc00\"",
                                        "\"a\nb\"",
                                        "\"\x01\"",
                                        "\"\xff\"",
                                        "\"\xc0\x80\"",
                                        "\"\xed\xa0\x80\"",
                                        "/* */ 1",
                                        "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_PTR_NULL(parse(arena, wrong[i]));
        if (parse(arena, wrong[i])) {
            mos_test_complain("accepted", wrong[i]);
        }
    }
    CU_ASSERT_PTR_NULL(mos_json_parse(arena, "\"a\0b\"", 5));
    CU_ASSERT_PTR_NULL(mos_json_parse(arena, "1\0", 2));
}

MOS_TEST(depth_and_memory_have_bounds) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    CU_ASSERT_PTR_NOT_NULL(parse(arena, "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"));
    CU_ASSERT_PTR_NULL(parse(arena, "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"));
    CU_ASSERT_PTR_NOT_NULL(parse(arena, "[[[[[[[[[[[[[[[[],[]],[]]]]]]]]]]]]]]]"));
    MOS_CLEANUP_ARENA mos_arena *small = mos_arena_create(100);
    CU_ASSERT_PTR_NULL(parse(small, "[1,2,3,4,5]"));
}

// The reader goes by the length alone: no zero stands behind what it is given.
MOS_TEST(every_beginning_is_read_within_its_length) {
    static const char text[] = "{\"a\":[\"\\ud83d\\ude00\",1.5e3,true,null],\"b\":\"\\\\\"}";
    for (size_t length = 0; length < sizeof(text) - 1; length++) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        char exact[sizeof(text)];
        memcpy(exact, text, length);
        memset(exact + length, '"', sizeof(exact) - length);
        CU_ASSERT_PTR_NULL(mos_json_parse(arena, exact, length));
    }
}
