#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mosaajii/engine/v1/engine.pb-c.h"
#include "unit/test.h"

MOS_TEST(utf8_is_told_from_what_is_none) {
    static const char *const valid[] = {"", "plain", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x92\xbe", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
    static const char *const invalid[] = {"\x80", "\xc0\x80",     "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                          "\xff", "\xe2\x28\xa1", "a\xc3"};
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        CU_ASSERT(mos_utf8_valid(valid[i], strlen(valid[i])));
    }
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        CU_ASSERT_FALSE(mos_utf8_valid(invalid[i], strlen(invalid[i])));
    }
    CU_ASSERT_FALSE(mos_utf8_valid("a\0b", 3));
}

MOS_TEST(paths_of_any_bytes_have_a_text_form) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char all[255];
    for (int i = 0; i < 255; i++) {
        all[i] = (char)(i + 1);
    }
    char *text = mos_path_escape(arena, all, sizeof(all));
    CU_ASSERT(mos_utf8_valid(text, strlen(text)));
    CU_ASSERT_PTR_NULL(strpbrk(text, "\n\t\x1b\x7f"));
    char *path;
    size_t size_bytes;
    CU_ASSERT(mos_path_unescape(arena, text, &path, &size_bytes));
    CU_ASSERT_EQUAL(size_bytes, sizeof(all));
    CU_ASSERT_EQUAL(memcmp(path, all, sizeof(all)), 0);
    CU_ASSERT_STRING_EQUAL(mos_path_escape(arena, "/caf\xc3\xa9/\xe9\\", 9), "/caf\xc3\xa9/\\xe9\\x5c");
    CU_ASSERT_FALSE(mos_path_unescape(arena, "a\\x00", &path, &size_bytes));
    CU_ASSERT_FALSE(mos_path_unescape(arena, "a\\x4", &path, &size_bytes));
    CU_ASSERT_FALSE(mos_path_unescape(arena, "a\\n", &path, &size_bytes));
    CU_ASSERT_FALSE(mos_path_unescape(arena, "a\\", &path, &size_bytes));
}

MOS_TEST(text_in_messages_is_checked_at_any_depth) {
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    Mosaajii__Engine__V1__BackupRequest backup = MOSAAJII__ENGINE__V1__BACKUP_REQUEST__INIT;
    Mosaajii__Engine__V1__Request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    char *tags[] = {"fine", "also \xc3\xa9"};
    info.tags = tags;
    info.n_tags = 2;
    backup.info = &info;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_BACKUP;
    request.backup = &backup;
    const char *field = NULL;
    CU_ASSERT(mos_message_utf8_valid(&request.base, &field));
    tags[1] = "not \xff";
    CU_ASSERT_FALSE(mos_message_utf8_valid(&request.base, &field));
    CU_ASSERT_STRING_EQUAL(field, "tags");
}

MOS_TEST(sizes_are_for_people) {
    char text[MOS_SIZE_TEXT_BYTES];
    mos_size_format(0, text);
    CU_ASSERT_STRING_EQUAL(text, "0 B");
    mos_size_format(1023, text);
    CU_ASSERT_STRING_EQUAL(text, "1023 B");
    mos_size_format(1536, text);
    CU_ASSERT_STRING_EQUAL(text, "1.5 KiB");
    mos_size_format(1048575, text);
    CU_ASSERT_STRING_EQUAL(text, "1.0 MiB");
    mos_size_format(INT64_MAX, text);
    CU_ASSERT_STRING_EQUAL(text, "8.0 EiB");
}

static void check_absolute(const char *path, const char *expected) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *got = mos_path_absolute(arena, path);
    CU_ASSERT_STRING_EQUAL(got, expected);
    if (strcmp(got, expected) != 0) {
        fprintf(stderr, "%s became %s, not %s\n", path, got, expected);
    }
}

MOS_TEST(a_path_is_meant_from_here) {
    const char *base = mos_test_directory();
    char expected[4400], path[4400], real[4096];
    CU_ASSERT_FATAL(realpath(base, real) && chdir(real) == 0);
    CU_ASSERT_FATAL(mkdir("deep", 0700) == 0 && mkdir("deep/er", 0700) == 0 && symlink("deep/er", "link") == 0);
    snprintf(expected, sizeof(expected), "%s/new", real);
    check_absolute("new", expected);
    check_absolute("./new/", expected);
    check_absolute("deep//../new", expected);
    check_absolute("not-there/.././new/.", expected);
    snprintf(path, sizeof(path), "%s/deep/../new", real);
    check_absolute(path, expected);
    // The system would follow the link first.
    snprintf(expected, sizeof(expected), "%s/deep/new", real);
    check_absolute("link/../new", expected);
    // But one that is the end of the path stays what it is.
    snprintf(expected, sizeof(expected), "%s/link", real);
    check_absolute("link", expected);
    check_absolute("/", "/");
    check_absolute("/../..", "/");
    CU_ASSERT_EQUAL_FATAL(chdir("/"), 0);
    check_absolute("tmp/x", "/tmp/x");
    check_absolute("..", "/");
}

MOS_TEST(lists_are_split_without_empty_parts) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    size_t count = 9;
    CU_ASSERT_PTR_NOT_NULL(mos_split(arena, "", ',', &count));
    CU_ASSERT_EQUAL(count, 0);
    mos_split(arena, ",,,", ',', &count);
    CU_ASSERT_EQUAL(count, 0);
    char **parts = mos_split(arena, ",a,,b c,", ',', &count);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_STRING_EQUAL(parts[0], "a");
    CU_ASSERT_STRING_EQUAL(parts[1], "b c");
}
