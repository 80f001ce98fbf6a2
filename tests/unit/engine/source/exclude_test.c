#include "engine/source/exclude.h"

#include <stdlib.h>
#include <string.h>

#include "unit/test.h"

static bool matches(const char *pattern, const char *path, bool directory) {
    mos_exclude *exclude = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_exclude_create(&pattern, 1, &exclude, &error), &error);
    bool result = mos_exclude_matches(exclude, path, directory);
    mos_exclude_free(exclude);
    return result;
}

MOS_TEST(a_pattern_without_slash_matches_a_component_at_any_depth) {
    CU_ASSERT_TRUE(matches("*.tmp", "/srv/a.tmp", false));
    CU_ASSERT_TRUE(matches("*.tmp", "/a.tmp", false));
    CU_ASSERT_FALSE(matches("*.tmp", "/srv/a.tmp.txt", false));
    CU_ASSERT_FALSE(matches("srv", "/srv/a", false));
    CU_ASSERT_TRUE(matches("?", "/srv/\xc3\xbc", false));
    CU_ASSERT_FALSE(matches("?", "/srv/ab", false));
    CU_ASSERT_TRUE(matches("[!a-c]x", "/dx", false));
    CU_ASSERT_FALSE(matches("[!a-c]x", "/bx", false));
    CU_ASSERT_TRUE(matches("[]]", "/]", false));
    CU_ASSERT_TRUE(matches("\\*", "/*", false));
    CU_ASSERT_FALSE(matches("\\*", "/a", false));
}

MOS_TEST(a_pattern_with_slash_matches_the_path) {
    CU_ASSERT_TRUE(matches("/srv/*/cache", "/srv/a/cache", true));
    CU_ASSERT_FALSE(matches("/srv/*/cache", "/srv/a/b/cache", true));
    CU_ASSERT_TRUE(matches("/srv/**/cache", "/srv/a/b/cache", true));
    CU_ASSERT_TRUE(matches("/srv/**/cache", "/srv/cache", true));
    CU_ASSERT_FALSE(matches("/srv/**/cache", "/srv/xcache", true));
    CU_ASSERT_FALSE(matches("/srv/**/cache", "/other/srv/cache", true));
    CU_ASSERT_TRUE(matches("/srv/**", "/srv/a/b", false));
    CU_ASSERT_FALSE(matches("/srv/**", "/srv", true));
    CU_ASSERT_TRUE(matches("**/b/*.o", "/a/b/c.o", false));
    CU_ASSERT_TRUE(matches("b/*.o", "/a/b/c.o", false));
    CU_ASSERT_FALSE(matches("b/*.o", "/a/xb/c.o", false));
    CU_ASSERT_TRUE(matches("/a**z", "/ab/cz", false));
    CU_ASSERT_TRUE(matches("/a/**/b/**/c", "/a/x/b/y/z/c", false));
    CU_ASSERT_FALSE(matches("/a/**/b/**/c", "/a/x/y/z/c", false));
}

MOS_TEST(a_slash_at_the_end_matches_directories_only) {
    CU_ASSERT_TRUE(matches("node_modules/", "/a/node_modules", true));
    CU_ASSERT_FALSE(matches("node_modules/", "/a/node_modules", false));
    CU_ASSERT_TRUE(matches("/var/tmp/", "/var/tmp", true));
}

MOS_TEST(bad_patterns_are_refused) {
    static const char *const bad[] = {"", "/", "//", "a[b", "/x/["};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        mos_exclude *exclude = NULL;
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(mos_exclude_create(&bad[i], 1, &exclude, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "excludes");
    }
    CU_ASSERT_FALSE(mos_exclude_matches(NULL, "/a", false));
}

// Would take longer than the universe with naive backtracking.
MOS_TEST(many_stars_take_bounded_time) {
    char pattern[401] = "", text[402] = "/";
    for (int i = 0; i < 100; i++) {
        strcat(pattern, "**/a");
        strcat(text, "a/");
    }
    for (int i = 0; i < 95; i++) {
        strcat(text, "ab");
    }
    CU_ASSERT_FALSE(mos_glob_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*c", text));
    CU_ASSERT_FALSE(mos_glob_matches(pattern, text));
}

// A deep star gives every byte a chance, and the star behind it every byte once more: each of them must be refused once only.
MOS_TEST(stars_behind_a_deep_star_take_bounded_time) {
    enum { TEXT_BYTES = 65535 };
    char pattern[300] = "**?*";
    char *text = malloc(TEXT_BYTES + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(pattern + 4, 'a', 200);
    memset(text, 'a', TEXT_BYTES);
    text[TEXT_BYTES] = 0;
    CU_ASSERT_TRUE(mos_glob_matches(pattern, text));
    strcpy(pattern + 204, "b");
    CU_ASSERT_FALSE(mos_glob_matches(pattern, text));
    // What was refused in one component is tried anew in the next.
    memcpy(text + TEXT_BYTES - 220, "/", 1);
    text[TEXT_BYTES - 1] = 'b';
    CU_ASSERT_TRUE(mos_glob_matches(pattern, text));
    free(text);
}
