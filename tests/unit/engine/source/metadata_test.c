#include "engine/source/metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/buffer.h"
#include "unit/test.h"

MOS_TEST(owners_have_the_names_of_the_system) {
    mos_owners *owners = mos_owners_load();
    CU_ASSERT_STRING_EQUAL(mos_owners_user(owners, 0), "root");
    CU_ASSERT_STRING_EQUAL(mos_owners_group(owners, 0), "root");
    CU_ASSERT_STRING_EQUAL(mos_owners_user(owners, 4111222333u), "");
    CU_ASSERT_STRING_EQUAL(mos_owners_group(owners, 4111222333u), "");
    // Every line of the system's own lists is found by its number, and the first one where a number comes twice.
    FILE *file = fopen("/etc/passwd", "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    size_t users = 0;
    for (struct passwd *user = fgetpwent(file); user; user = fgetpwent(file)) {
        const char *name = mos_owners_user(owners, user->pw_uid);
        CU_ASSERT(name[0] != 0);
        users += strcmp(name, user->pw_name) == 0;
    }
    fclose(file);
    CU_ASSERT(users > 1);
    file = fopen("/etc/group", "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    size_t groups = 0;
    for (struct group *group = fgetgrent(file); group; group = fgetgrent(file)) {
        groups += strcmp(mos_owners_group(owners, group->gr_gid), group->gr_name) == 0;
    }
    fclose(file);
    CU_ASSERT(groups > 1);
    mos_owners_free(owners);
    mos_owners_free(NULL);
}

// A new file, and the objects to read its attributes with.
struct attributed {
    char path[4200];
    int descriptor;
    mos_xattrs *xattrs;
};

static void make(struct attributed *attributed) {
    snprintf(attributed->path, sizeof(attributed->path), "%s/file", mos_test_directory());
    attributed->descriptor = open(attributed->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(attributed->descriptor >= 0);
    attributed->xattrs = mos_xattrs_create();
}

static void end(struct attributed *attributed) {
    close(attributed->descriptor);
    mos_xattrs_free(attributed->xattrs);
}

// Attributes of the user; the system may add its own labels.
static size_t read_user(const struct attributed *attributed, bool by_path, const struct mos_xattr **out) {
    const struct mos_xattr *found = NULL;
    size_t count = 0;
    bool too_large = true;
    CU_ASSERT_TRUE(
        mos_xattrs_read(attributed->xattrs, by_path ? -1 : attributed->descriptor, attributed->path, &found, &count, &too_large));
    CU_ASSERT_FALSE(too_large);
    size_t user = 0;
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT(i == 0 || strcmp(found[i - 1].name, found[i].name) < 0);
        if (strncmp(found[i].name, "user.", 5) == 0) {
            *out = user++ ? *out : &found[i];
        }
    }
    return user;
}

MOS_TEST(attributes_come_in_order_from_descriptor_and_path) {
    struct attributed attributed;
    const struct mos_xattr *found = NULL;
    make(&attributed);
    CU_ASSERT_EQUAL(read_user(&attributed, false, &found), 0);
    CU_ASSERT_EQUAL(fsetxattr(attributed.descriptor, "user.b", "two", 3, 0), 0);
    CU_ASSERT_EQUAL(fsetxattr(attributed.descriptor, "user.c", "", 0, 0), 0);
    CU_ASSERT_EQUAL(fsetxattr(attributed.descriptor, "user.a", "o\0e", 3, 0), 0);
    for (int by_path = 0; by_path < 2; by_path++) {
        CU_ASSERT_EQUAL_FATAL(read_user(&attributed, by_path, &found), 3);
        CU_ASSERT(strcmp(found[0].name, "user.a") == 0 && found[0].value_bytes == 3 && memcmp(found[0].value, "o\0e", 3) == 0);
        CU_ASSERT(strcmp(found[1].name, "user.b") == 0 && found[1].value_bytes == 3 && memcmp(found[1].value, "two", 3) == 0);
        CU_ASSERT(strcmp(found[2].name, "user.c") == 0 && found[2].value_bytes == 0);
    }
    CU_ASSERT_EQUAL(fremovexattr(attributed.descriptor, "user.b"), 0);
    CU_ASSERT_EQUAL(read_user(&attributed, false, &found), 2);
    end(&attributed);
}

MOS_TEST(the_last_component_of_a_path_is_not_followed) {
    struct attributed attributed;
    const struct mos_xattr *found = NULL;
    size_t count = 1;
    bool too_large;
    char link[4300];
    make(&attributed);
    CU_ASSERT_EQUAL(fsetxattr(attributed.descriptor, "user.a", "1", 1, 0), 0);
    snprintf(link, sizeof(link), "%s.link", attributed.path);
    CU_ASSERT_EQUAL(symlink(attributed.path, link), 0);
    CU_ASSERT_TRUE(mos_xattrs_read(attributed.xattrs, -1, link, &found, &count, &too_large));
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_STRING_NOT_EQUAL(found[i].name, "user.a");
    }
    // Nor where it leads to nothing.
    CU_ASSERT_EQUAL(unlink(attributed.path), 0);
    CU_ASSERT_TRUE(mos_xattrs_read(attributed.xattrs, -1, link, &found, &count, &too_large));
    end(&attributed);
}

MOS_TEST(what_cannot_be_read_is_a_failure_with_its_reason) {
    struct attributed attributed;
    const struct mos_xattr *found = NULL;
    size_t count = 1;
    bool too_large = true;
    make(&attributed);
    strcat(attributed.path, ".none");
    CU_ASSERT_FALSE(mos_xattrs_read(attributed.xattrs, -1, attributed.path, &found, &count, &too_large));
    CU_ASSERT_EQUAL(errno, ENOENT);
    CU_ASSERT(found == NULL && count == 0 && !too_large);
    // A file system without attributes has none.
    CU_ASSERT_TRUE(mos_xattrs_read(attributed.xattrs, -1, "/proc/self/stat", &found, &count, &too_large));
    CU_ASSERT_EQUAL(count, 0);
    end(&attributed);
}
