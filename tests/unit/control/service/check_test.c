#include <string.h>

#include "common/clock.h"
#include "control/service/internal.h"
#include "unit/test.h"

static void named(mos_status status, const struct mos_error *error, const char *field) {
    CU_ASSERT_EQUAL(status, MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error->field, field);
    CU_ASSERT_PTR_NOT_NULL(strstr(error->message, field));
}

MOS_TEST(ids_are_not_empty) {
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_check_id("backupId", "x", &error), MOS_OK);
    named(mos_check_id("backupId", "", &error), &error, "backupId");
}

MOS_TEST(texts_are_counted_in_characters) {
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_check_text("name", "", 3, &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_check_text("name", "äöü", 3, &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_check_text("name", "\xf0\x9f\x98\x80", 1, &error), MOS_OK);
    named(mos_check_text("name", "äöüß", 3, &error), &error, "name");
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "4 characters; allowed are 3"));
}

MOS_TEST(numbers_have_bounds_that_belong_to_them) {
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_check_number("n", 1, 1, 3, &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_check_number("n", 3, 1, 3, &error), MOS_OK);
    named(mos_check_number("n", 0, 1, 3, &error), &error, "n");
    named(mos_check_number("n", 4, 1, 3, &error), &error, "n");
    named(mos_check_number("n", INT64_MIN, 1, 3, &error), &error, "n");
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "allowed is 1 to 3"));
}

MOS_TEST(tags_are_short_few_and_without_commas) {
    struct mos_error error = {0};
    char longest[101 * 2 + 1] = "";
    for (int i = 0; i < 100; i++) {
        strcat(longest, "ä");
    }
    char *good[] = {(char *)"a", longest}, *empty[] = {(char *)"a", (char *)""}, *comma[] = {(char *)"a,b"}, *many[51];
    CU_ASSERT_EQUAL(mos_check_tags("tags", good, 2, &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_check_tags("tags", NULL, 0, &error), MOS_OK);
    named(mos_check_tags("tags", empty, 2, &error), &error, "tags");
    named(mos_check_tags("tags", comma, 1, &error), &error, "tags");
    strcat(longest, "b");
    named(mos_check_tags("tags", good, 2, &error), &error, "tags");
    for (int i = 0; i < 51; i++) {
        many[i] = (char *)"a";
    }
    CU_ASSERT_EQUAL(mos_check_tags("tags", many, 50, &error), MOS_OK);
    named(mos_check_tags("tags", many, 51, &error), &error, "tags");
}

MOS_TEST(enums_are_those_that_have_a_name) {
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_check_enum("type", 1, 3, false, "A, B or C", &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_check_enum("type", 3, 3, false, "A, B or C", &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_check_enum("type", 0, 3, true, "A, B or C", &error), MOS_OK);
    named(mos_check_enum("type", 0, 3, false, "A, B or C", &error), &error, "type");
    named(mos_check_enum("type", 4, 3, true, "A, B or C", &error), &error, "type");
    named(mos_check_enum("type", -1, 3, true, "A, B or C", &error), &error, "type");
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "A, B or C"));
}

MOS_TEST(times_fit_in_64_bits_of_nanoseconds) {
    struct mos_error error = {0};
    int64_t at = 7;
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    CU_ASSERT_EQUAL(mos_check_time("createdAfter", NULL, &at, &error), MOS_OK);
    CU_ASSERT_EQUAL(at, 0);
    time.seconds = 1;
    time.nanos = 999999999;
    CU_ASSERT_EQUAL(mos_check_time("createdAfter", &time, &at, &error), MOS_OK);
    CU_ASSERT_EQUAL(at, 1999999999);
    static const struct {
        int64_t seconds;
        int32_t nanos;
    } wrong[] = {{0, 0}, {-1, 0}, {INT64_MIN, 0}, {INT64_MAX, 0}, {INT64_MAX / 1000000000, 999999999}, {5, -1}, {5, 1000000000}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        time.seconds = wrong[i].seconds;
        time.nanos = wrong[i].nanos;
        named(mos_check_time("createdAfter", &time, &at, &error), &error, "createdAfter");
    }
}

MOS_TEST(paths_are_unescaped_and_bounded) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    char *path;
    size_t size_bytes;
    MOS_ASSERT_OK(mos_check_path("path", "/a\\xff\\x5cb", arena, &path, &size_bytes, &error), &error);
    CU_ASSERT_EQUAL(size_bytes, 5);
    CU_ASSERT_EQUAL(memcmp(path, "/a\xff\\b", 6), 0);
    static const char *const wrong[] = {"/a\\", "/a\\x", "/a\\x1", "/a\\xgg", "/a\\n", "/a\\x00b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        named(mos_check_path("path", wrong[i], arena, &path, &size_bytes, &error), &error, "path");
    }
    char *text = mos_arena_alloc(arena, 4 * 4096 + 2);
    memset(text, 'x', 4095);
    CU_ASSERT_EQUAL(mos_check_path("path", text, arena, &path, &size_bytes, &error), MOS_OK);
    memset(text, 'x', 4096);
    named(mos_check_path("path", text, arena, &path, &size_bytes, &error), &error, "path");
    memset(text, 'x', 4 * 4096 + 1);
    named(mos_check_path("path", text, arena, &path, &size_bytes, &error), &error, "path");
}
