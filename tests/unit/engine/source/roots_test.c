#include "engine/source/roots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test.h"

static char base[4200];
static char warned[4300];

static void on_warning(void *context, const char *path, size_t path_bytes, const char *message) {
    (void)context;
    (void)message;
    snprintf(warned, sizeof(warned), "%.*s", (int)path_bytes, path);
}

static mos_status resolve(const char *const *names, size_t count, struct mos_roots *out, struct mos_error *error) {
    static char paths[8][4300];
    ProtobufCBinaryData data[8];
    warned[0] = 0;
    for (size_t i = 0; i < count; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s%s", names[i][0] == '+' ? base : "", names[i][0] == '+' ? names[i] + 1 : names[i]);
        data[i] = (ProtobufCBinaryData){.data = (uint8_t *)paths[i], .len = strlen(paths[i])};
    }
    struct mos_scan_options options = {.roots = data, .root_count = count, .warn = on_warning};
    return mos_roots_resolve(&options, out, error);
}

static const char *name_of(const struct mos_roots *roots, size_t number) {
    size_t size_bytes = strlen(base);
    return strncmp(roots->paths[number], base, size_bytes) == 0 ? roots->paths[number] + size_bytes : "not below";
}

static void make_folders(void) {
    static const char *const folders[] = {"/a", "/a/b", "/a/b/c", "/a-b", "/d"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(mos_test_directory(), base));
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[4300];
        snprintf(path, sizeof(path), "%s%s", base, folders[i]);
        CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    }
    char link[4300];
    snprintf(link, sizeof(link), "%s/link", base);
    CU_ASSERT_EQUAL(symlink("a/b", link), 0);
}

MOS_TEST(roots_are_canonical_sorted_and_not_nested) {
    struct mos_roots roots = {0};
    struct mos_error error = {0};
    make_folders();
    static const char *const names[] = {"+/d/", "+/a-b", "+/a/b/c", "+/link", "+/a/../a/b", "+/d/./"};
    MOS_ASSERT_OK(resolve(names, 6, &roots, &error), &error);
    CU_ASSERT_EQUAL_FATAL(roots.count, 3);
    CU_ASSERT_STRING_EQUAL(name_of(&roots, 0), "/a/b");
    CU_ASSERT_STRING_EQUAL(name_of(&roots, 1), "/a-b");
    CU_ASSERT_STRING_EQUAL(name_of(&roots, 2), "/d");
    mos_roots_free(&roots);
    // A name that begins alike is not below.
    static const char *const alike[] = {"+/a", "+/a-b", "+/a/b"};
    MOS_ASSERT_OK(resolve(alike, 3, &roots, &error), &error);
    CU_ASSERT_EQUAL(roots.count, 2);
    mos_roots_free(&roots);
    // Everything is below the top.
    static const char *const top[] = {"+/a", "/", "+/d"};
    MOS_ASSERT_OK(resolve(top, 3, &roots, &error), &error);
    CU_ASSERT_EQUAL_FATAL(roots.count, 1);
    CU_ASSERT_STRING_EQUAL(roots.paths[0], "/");
    mos_roots_free(&roots);
    CU_ASSERT_EQUAL(roots.count, 0);
}

MOS_TEST(a_missing_root_is_a_warning_and_all_missing_a_failure) {
    struct mos_roots roots = {0};
    struct mos_error error = {0};
    make_folders();
    static const char *const names[] = {"+/none", "+/a"};
    MOS_ASSERT_OK(resolve(names, 2, &roots, &error), &error);
    CU_ASSERT_EQUAL(roots.count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(warned, "/none"));
    mos_roots_free(&roots);
    CU_ASSERT_EQUAL(resolve(names, 1, &roots, &error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "/none"));
    CU_ASSERT_EQUAL(resolve(names, 0, &roots, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "paths");
    static const char *const wrong[] = {"relative", ""};
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(resolve(&wrong[i], 1, &roots, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "paths");
    }
    uint8_t bytes[] = "/a\0b";
    ProtobufCBinaryData zero = {.data = bytes, .len = 4};
    struct mos_scan_options options = {.roots = &zero, .root_count = 1};
    CU_ASSERT_EQUAL(mos_roots_resolve(&options, &roots, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(roots.count, 0);
}

MOS_TEST(the_way_to_the_roots_is_gone_step_by_step) {
    char *paths[] = {(char *)"/a/b/c", (char *)"/a/b/d", (char *)"/a/bb", (char *)"/e"};
    struct mos_roots roots = {.paths = paths, .count = 4};
    size_t size = 0, stop = 0;
    const char *name = mos_roots_step(&roots, 0, 0, 4, &size, &stop);
    CU_ASSERT(size == 1 && name[0] == 'a' && stop == 3);
    name = mos_roots_step(&roots, 2, 0, 3, &size, &stop);
    CU_ASSERT(size == 1 && name[0] == 'b' && stop == 2);
    name = mos_roots_step(&roots, 2, 2, 3, &size, &stop);
    CU_ASSERT(size == 2 && memcmp(name, "bb", 2) == 0 && stop == 3);
    name = mos_roots_step(&roots, 4, 0, 2, &size, &stop);
    CU_ASSERT(size == 1 && name[0] == 'c' && stop == 1);
    name = mos_roots_step(&roots, 0, 3, 4, &size, &stop);
    CU_ASSERT(size == 1 && name[0] == 'e' && stop == 4);
}
