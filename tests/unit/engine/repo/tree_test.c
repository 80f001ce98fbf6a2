#include "engine/repo/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/test.h"

static int order(const char *a, const char *b) {
    return mos_path_compare(a, strlen(a), b, strlen(b));
}

MOS_TEST(a_folder_comes_right_before_its_content) {
    static const char *const sorted[] = {"/",    "/a",   "/a/b", "/a/b/c", "/a/b\x01", "/a\x01", "/a ",
                                         "/a-b", "/a.d", "/a0",  "/b",     "/\xff",    "a",      "pos.db"};
    size_t count = sizeof(sorted) / sizeof(sorted[0]);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            int result = order(sorted[i], sorted[k]);
            CU_ASSERT_EQUAL((result > 0) - (result < 0), (i > k) - (i < k));
        }
    }
}

static bool valid(const char *path) {
    return mos_path_valid(path, strlen(path));
}

MOS_TEST(only_plain_paths_and_names_are_valid) {
    static const char *const good[] = {"/", "/a", "/a/b", "/...", "/.a/..b", "/a b\n\xff", "pos.db", "...", "a.b", "\xff"};
    static const char *const bad[] = {"",      "//",     "//a",     "/a/", "/a//b", "/.",  "/..", "/./a", "/../a", "/a/.",
                                      "/a/..", "/a/./b", "/a/../b", ".",   "..",    "a/b", "a/",  "./a",  "../a"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CU_ASSERT_TRUE(valid(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_FALSE(valid(bad[i]));
    }
    CU_ASSERT_FALSE(mos_path_valid("/a\0b", 4));
    CU_ASSERT_FALSE(mos_path_valid("a\0", 2));
}

MOS_TEST(names_and_paths_have_their_limits) {
    size_t size = MOS_TREE_PATH_LIMIT_BYTES + 1;
    char *path = malloc(size + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(path);
    memset(path, 'x', size);
    path[0] = '/';
    CU_ASSERT_TRUE(mos_path_valid(path, 256));
    CU_ASSERT_FALSE(mos_path_valid(path, 257));
    CU_ASSERT_TRUE(mos_path_valid(path + 1, 255));
    CU_ASSERT_FALSE(mos_path_valid(path + 1, 256));
    for (size_t i = 0; i < size; i += 128) {
        path[i] = '/';
    }
    path[size - 1] = 'x';
    CU_ASSERT_TRUE(mos_path_valid(path, size - 2));
    path[size - 2] = 'x';
    CU_ASSERT_FALSE(mos_path_valid(path, size));
    free(path);
}

static struct mos_entry file_at(const char *path) {
    return (struct mos_entry){
        .path = path, .path_bytes = strlen(path), .type = MOS_ENTRY_FILE, .mode = 0644, .user = "", .group = "", .link_target = ""};
}

static bool fits(const struct mos_entry *entry) {
    struct mos_error error = {0};
    mos_status status = mos_entry_check(entry, &error);
    CU_ASSERT_EQUAL(status == MOS_OK, error.message[0] == 0);
    CU_ASSERT(status == MOS_OK || status == MOS_INVALID_ARGUMENT);
    return status == MOS_OK;
}

MOS_TEST(types_fit_their_paths) {
    struct mos_entry entry = file_at("/a");
    CU_ASSERT_TRUE(fits(&entry));
    entry.type = MOS_ENTRY_DATABASE;
    CU_ASSERT_FALSE(fits(&entry));
    entry = file_at("pos.db");
    CU_ASSERT_FALSE(fits(&entry));
    entry.type = MOS_ENTRY_DATABASE;
    CU_ASSERT_TRUE(fits(&entry));
    entry = file_at("/");
    CU_ASSERT_FALSE(fits(&entry));
    entry.type = MOS_ENTRY_DIRECTORY;
    CU_ASSERT_TRUE(fits(&entry));
    entry = file_at("/a");
    entry.type = 0;
    CU_ASSERT_FALSE(fits(&entry));
    entry.type = 10;
    CU_ASSERT_FALSE(fits(&entry));
    entry = file_at("/a");
    entry.mode = 07777;
    CU_ASSERT_TRUE(fits(&entry));
    entry.mode = 0100644;
    CU_ASSERT_FALSE(fits(&entry));
}

MOS_TEST(extents_add_up_to_the_content) {
    struct mos_extent extents[2] = {{.chunk = {{1}}, .length_bytes = 60}, {.chunk = {{2}}, .offset_bytes = 5, .length_bytes = 40}};
    struct mos_entry entry = file_at("/a");
    entry.size_bytes = 100;
    CU_ASSERT_FALSE(fits(&entry));
    entry.extents = extents;
    entry.extent_count = 2;
    CU_ASSERT_TRUE(fits(&entry));
    extents[1].length_bytes = 41;
    CU_ASSERT_FALSE(fits(&entry));
    extents[1].length_bytes = 40;
    extents[1].offset_bytes = MOS_CHUNK_LIMIT_BYTES - 40;
    CU_ASSERT_TRUE(fits(&entry));
    extents[1].offset_bytes++;
    CU_ASSERT_FALSE(fits(&entry));
    extents[1] = (struct mos_extent){.length_bytes = 0};
    extents[0].length_bytes = 100;
    CU_ASSERT_FALSE(fits(&entry));
    entry.extent_count = 1;
    CU_ASSERT_TRUE(fits(&entry));
    entry.type = MOS_ENTRY_FIFO;
    CU_ASSERT_FALSE(fits(&entry));
    entry.size_bytes = 0;
    CU_ASSERT_FALSE(fits(&entry));
    entry.extent_count = 0;
    CU_ASSERT_TRUE(fits(&entry));
    entry = file_at("/a");
    entry.size_bytes = (uint64_t)INT64_MAX + 1;
    entry.list_count = 1;
    CU_ASSERT_FALSE(fits(&entry));
}

MOS_TEST(ranges_ascend_do_not_touch_and_lie_within_the_size) {
    struct mos_extent extent = {.chunk = {{1}}, .length_bytes = 30};
    struct mos_range ranges[2] = {{.offset_bytes = 0, .length_bytes = 10}, {.offset_bytes = 80, .length_bytes = 20}};
    struct mos_entry entry = file_at("/a");
    entry.size_bytes = 100;
    entry.sparse = true;
    entry.ranges = ranges;
    entry.range_count = 2;
    entry.extents = &extent;
    entry.extent_count = 1;
    CU_ASSERT_TRUE(fits(&entry));
    static const struct mos_range wrong[] = {{10, 20}, {5, 20}, {80, 21}, {101, 20}, {80, 0}, {UINT64_MAX, 20}, {81, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ranges[1] = wrong[i];
        CU_ASSERT_FALSE(fits(&entry));
    }
    ranges[1] = (struct mos_range){11, 20};
    CU_ASSERT_TRUE(fits(&entry));
    // A file that is one hole.
    entry.range_count = 0;
    CU_ASSERT_FALSE(fits(&entry));
    entry.extent_count = 0;
    CU_ASSERT_TRUE(fits(&entry));
}

MOS_TEST(links_have_targets_and_nothing_else_has) {
    struct mos_entry entry = file_at("/b");
    entry.link_target = "/a";
    entry.link_target_bytes = 2;
    CU_ASSERT_FALSE(fits(&entry));
    entry.type = MOS_ENTRY_SYMLINK;
    CU_ASSERT_TRUE(fits(&entry));
    entry.link_target_bytes = 0;
    CU_ASSERT_FALSE(fits(&entry));
    entry.link_target = "a\0b";
    entry.link_target_bytes = 3;
    CU_ASSERT_FALSE(fits(&entry));
    entry.type = MOS_ENTRY_HARDLINK;
    static const struct {
        const char *target;
        bool good;
    } targets[] = {{"/a", true}, {"/a/z", true},     {"/b", false},   {"/c", false},
                   {"a", false}, {"/a/../c", false}, {"a.db", false}, {"", false}};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        entry.link_target = targets[i].target;
        entry.link_target_bytes = strlen(targets[i].target);
        CU_ASSERT_EQUAL(fits(&entry), targets[i].good);
    }
}

MOS_TEST(owners_and_attributes_have_their_limits) {
    char name[MOS_TREE_OWNER_LIMIT_BYTES + 2];
    memset(name, 'x', sizeof(name));
    name[MOS_TREE_OWNER_LIMIT_BYTES] = 0;
    struct mos_entry entry = file_at("/a");
    entry.user = name;
    CU_ASSERT_TRUE(fits(&entry));
    entry.group = name;
    CU_ASSERT_TRUE(fits(&entry));
    name[MOS_TREE_OWNER_LIMIT_BYTES] = 'x';
    name[MOS_TREE_OWNER_LIMIT_BYTES + 1] = 0;
    CU_ASSERT_FALSE(fits(&entry));
    entry = file_at("/a");
    struct mos_xattr xattrs[20] = {{.name = "user.a", .value = (const uint8_t *)"1", .value_bytes = 1},
                                   {.name = "user.b", .value = (const uint8_t *)"", .value_bytes = 0}};
    entry.xattrs = xattrs;
    entry.xattr_count = 2;
    CU_ASSERT_TRUE(fits(&entry));
    xattrs[1].name = "user.a";
    CU_ASSERT_FALSE(fits(&entry));
    xattrs[1].name = "user.A";
    CU_ASSERT_FALSE(fits(&entry));
    entry.xattr_count = 1;
    xattrs[0].name = "";
    CU_ASSERT_FALSE(fits(&entry));
    xattrs[0].name = name;
    CU_ASSERT_FALSE(fits(&entry));
    name[MOS_TREE_OWNER_LIMIT_BYTES] = 0;
    CU_ASSERT_TRUE(fits(&entry));
    // 64 KiB a value, 1 MiB all together with their names.
    char names[20][8];
    uint8_t *value = calloc(1, MOS_TREE_XATTR_VALUE_LIMIT_BYTES + 1);
    for (size_t i = 0; i < 20; i++) {
        snprintf(names[i], sizeof(names[i]), "user.%c", (char)('a' + i));
        xattrs[i] = (struct mos_xattr){.name = names[i], .value = value, .value_bytes = MOS_TREE_XATTR_VALUE_LIMIT_BYTES};
    }
    entry.xattr_count = 15;
    CU_ASSERT_TRUE(fits(&entry));
    entry.xattr_count = 16;
    CU_ASSERT_FALSE(fits(&entry));
    entry.xattr_count = 1;
    xattrs[0].value_bytes++;
    CU_ASSERT_FALSE(fits(&entry));
    free(value);
}
