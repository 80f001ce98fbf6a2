// Files that are written at once, and what new files get from their directories.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/source/target.h"
#include "unit/test.h"

struct place {
    char path[4200];
    mos_target *target;
    char warning[512];
    size_t warning_count;
};

static void on_warning(void *context, const char *path, size_t path_bytes, const char *message) {
    struct place *place = context;
    snprintf(place->warning, sizeof(place->warning), "%.*s: %s", (int)path_bytes, path, message);
    place->warning_count++;
}

static void open_place(struct place *place, enum mos_existing existing) {
    struct mos_error error = {0};
    if (!*place->path) {
        snprintf(place->path, sizeof(place->path), "%s/target", mos_test_directory());
    }
    struct mos_target_options options = {.path = place->path, .existing = existing, .warn = on_warning, .context = place};
    MOS_ASSERT_OK(mos_target_open(&options, &place->target, &error), &error);
}

static const char *in(const struct place *place, const char *name) {
    static char paths[4][8500];
    static size_t next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s%s", place->path, name);
    return path;
}

static struct mos_entry entry_at(const char *path) {
    return (struct mos_entry){.path = path,
                              .path_bytes = strlen(path),
                              .type = MOS_ENTRY_FILE,
                              .mode = 0640,
                              .size_bytes = 3,
                              .uid = geteuid(),
                              .gid = getegid(),
                              .user = "",
                              .group = "",
                              .link_target = "",
                              .modified_unix_ns = INT64_C(1700000000123456789)};
}

static mos_target_file *begin(struct place *place, const struct mos_entry *entry, enum mos_outcome then) {
    struct mos_error error = {0};
    mos_target_file *file = NULL;
    enum mos_outcome outcome;
    MOS_ASSERT_OK(mos_target_file_create_at_once(place->target, entry, &file, &outcome, &error), &error);
    CU_ASSERT_EQUAL(outcome, then);
    CU_ASSERT_EQUAL_FATAL(file != NULL, then == MOS_OUTCOME_WRITTEN);
    return file;
}

static void end(struct place *place, const struct mos_entry *entry, mos_target_file *file, const char *content) {
    struct mos_error error = {0};
    enum mos_outcome outcome;
    MOS_ASSERT_OK(mos_target_file_write(file, content, strlen(content), 0, &error), &error);
    MOS_ASSERT_OK(mos_target_file_commit(place->target, file, entry, &outcome, &error), &error);
    CU_ASSERT_EQUAL(outcome, MOS_OUTCOME_WRITTEN);
}

static void write_file(struct place *place, const char *path, const char *content, enum mos_outcome then) {
    struct mos_entry entry = entry_at(path);
    mos_target_file *file = begin(place, &entry, then);
    if (file) {
        end(place, &entry, file, content);
    }
}

static bool file_is(const char *path, const char *content) {
    char found[64] = "";
    int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool same = descriptor >= 0 && read(descriptor, found, sizeof(found) - 1) >= 0 && strcmp(found, content) == 0;
    close(descriptor);
    return same;
}

MOS_TEST(a_file_is_for_nobody_until_it_is_whole) {
    struct place place = {0};
    struct stat status;
    struct mos_entry entry = entry_at("/shop/file");
    entry.mode = 04751;
    if (geteuid() == 0) {
        entry.uid = 12345;
        entry.gid = 23456;
    }
    open_place(&place, MOS_EXISTING_KEEP);
    mos_target_file *file = begin(&place, &entry, MOS_OUTCOME_WRITTEN);
    CU_ASSERT(stat(in(&place, entry.path), &status) == 0 && status.st_mode == S_IFREG);
    CU_ASSERT_FALSE(mos_target_matches(place.target, &entry));
    end(&place, &entry, file, "one");
    CU_ASSERT_TRUE(mos_target_matches(place.target, &entry));
    CU_ASSERT_EQUAL(stat(in(&place, entry.path), &status), 0);
    CU_ASSERT_EQUAL(status.st_mode, S_IFREG | 04751);
    CU_ASSERT(status.st_uid == entry.uid && status.st_gid == entry.gid);
    CU_ASSERT(status.st_mtim.tv_sec == 1700000000 && status.st_mtim.tv_nsec == 123456789);
    CU_ASSERT_TRUE(file_is(in(&place, entry.path), "one"));
    CU_ASSERT_EQUAL(place.warning_count, 0);
    mos_target_close(place.target);
}

MOS_TEST(what_is_there_stays_or_is_replaced_as_asked) {
    struct place place = {0};
    struct stat status;
    open_place(&place, MOS_EXISTING_KEEP);
    write_file(&place, "/file", "old", MOS_OUTCOME_WRITTEN);
    write_file(&place, "/file", "new", MOS_OUTCOME_KEPT);
    CU_ASSERT_TRUE(file_is(in(&place, "/file"), "old"));
    // A link at its place is neither followed nor taken away.
    CU_ASSERT_EQUAL(symlink("elsewhere", in(&place, "/link")), 0);
    write_file(&place, "/link", "new", MOS_OUTCOME_KEPT);
    CU_ASSERT(lstat(in(&place, "/link"), &status) == 0 && S_ISLNK(status.st_mode));
    CU_ASSERT_NOT_EQUAL(access(in(&place, "/elsewhere"), F_OK), 0);
    mos_target_close(place.target);
    open_place(&place, MOS_EXISTING_REPLACE);
    write_file(&place, "/file", "new", MOS_OUTCOME_WRITTEN);
    write_file(&place, "/link", "new", MOS_OUTCOME_WRITTEN);
    CU_ASSERT_TRUE(file_is(in(&place, "/file"), "new"));
    CU_ASSERT_TRUE(file_is(in(&place, "/link"), "new"));
    CU_ASSERT_NOT_EQUAL(access(in(&place, "/elsewhere"), F_OK), 0);
    CU_ASSERT_EQUAL(place.warning_count, 0);
    mos_target_close(place.target);
}

MOS_TEST(a_file_that_a_process_was_killed_over_is_told_and_can_be_replaced) {
    struct place place = {0};
    struct mos_error error = {0};
    struct mos_entry entry = entry_at("/file");
    open_place(&place, MOS_EXISTING_KEEP);
    fflush(NULL);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        mos_target_file *file = begin(&place, &entry, MOS_OUTCOME_WRITTEN);
        mos_target_file_write(file, "o", 1, 0, &error);
        _exit(0);
    }
    CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
    CU_ASSERT_FALSE(mos_target_matches(place.target, &entry));
    // It may be somebody's own, so it is not touched; but nobody is told that all is well either.
    write_file(&place, "/file", "one", MOS_OUTCOME_FAILED);
    CU_ASSERT_EQUAL(place.warning_count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(place.warning, "/file: what is there may be read by nobody"));
    mos_target_close(place.target);
    open_place(&place, MOS_EXISTING_REPLACE);
    write_file(&place, "/file", "one", MOS_OUTCOME_WRITTEN);
    CU_ASSERT_TRUE(file_is(in(&place, "/file"), "one"));
    CU_ASSERT_TRUE(mos_target_matches(place.target, &entry));
    // One that nobody may read in the backup either is as it should be.
    mos_target_close(place.target);
    open_place(&place, MOS_EXISTING_KEEP);
    CU_ASSERT_EQUAL(chmod(in(&place, "/file"), 0), 0);
    entry.mode = 0;
    CU_ASSERT_PTR_NULL(begin(&place, &entry, MOS_OUTCOME_KEPT));
    CU_ASSERT_EQUAL(place.warning_count, 1);
    mos_target_close(place.target);
}

MOS_TEST(an_abandoned_file_takes_only_itself_away) {
    struct place place = {0};
    struct mos_entry entry = entry_at("/file");
    open_place(&place, MOS_EXISTING_KEEP);
    mos_target_file_abandon(begin(&place, &entry, MOS_OUTCOME_WRITTEN));
    CU_ASSERT_NOT_EQUAL(access(in(&place, "/file"), F_OK), 0);
    mos_target_file *file = begin(&place, &entry, MOS_OUTCOME_WRITTEN);
    // Somebody puts his own there meanwhile.
    int other = open(in(&place, "/other"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CU_ASSERT_EQUAL(write(other, "his", 3), 3);
    close(other);
    CU_ASSERT_EQUAL(rename(in(&place, "/other"), in(&place, "/file")), 0);
    mos_target_file_abandon(file);
    CU_ASSERT_TRUE(file_is(in(&place, "/file"), "his"));
    mos_target_close(place.target);
}

// u32 version, then tag, rights and id of each: the owner, a user of the number 4321, the group, the mask, others.
static const unsigned char acl[] = {2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,   7,  0, 225, 16, 0,   0,   4,   0,
                                    5, 0, 255, 255, 255, 255, 16, 0, 7,   0,   255, 255, 255, 255, 32, 0, 0,   0,  255, 255, 255, 255};

static bool has_acl(const struct place *place, const char *path) {
    return getxattr(in(place, path), "system.posix_acl_access", NULL, 0) > 0;
}

static bool hand_down_acl(const struct place *place, const char *path) {
    return setxattr(in(place, path), "system.posix_acl_default", acl, sizeof(acl), 0) == 0;
}

static bool make_directory(const struct place *place, const char *path) {
    return mkdir(in(place, path), 0755) == 0;
}

MOS_TEST(what_a_directory_hands_down_is_taken_off_every_file) {
    struct place place = {0};
    struct stat status;
    open_place(&place, MOS_EXISTING_KEEP);
    // The directory is there before, and another one without an ACL beside it.
    CU_ASSERT(make_directory(&place, "/acl") && make_directory(&place, "/plain"));
    if (!hand_down_acl(&place, "/acl")) {
        // A file system that does not know them.
        mos_target_close(place.target);
        return;
    }
    int probe = open(in(&place, "/acl/probe"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(probe);
    CU_ASSERT_TRUE(has_acl(&place, "/acl/probe"));
    const char *const paths[] = {"/plain/1", "/acl/1", "/acl/2", "/acl/3", "/plain/2"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        write_file(&place, paths[i], "one", MOS_OUTCOME_WRITTEN);
        CU_ASSERT_FALSE(has_acl(&place, paths[i]));
        CU_ASSERT(stat(in(&place, paths[i]), &status) == 0 && status.st_mode == (S_IFREG | 0640));
    }
    CU_ASSERT_EQUAL(place.warning_count, 0);
    mos_target_close(place.target);
}

MOS_TEST(in_a_directory_of_somebody_else_every_file_is_looked_at) {
    struct place place = {0};
    open_place(&place, MOS_EXISTING_KEEP);
    CU_ASSERT_TRUE(make_directory(&place, "/his"));
    if (geteuid() != 0 || chown(in(&place, "/his"), 12345, 23456) != 0) {
        mos_target_close(place.target);
        return;
    }
    write_file(&place, "/his/1", "one", MOS_OUTCOME_WRITTEN);
    // Its owner makes it hand something down only now.
    if (hand_down_acl(&place, "/his")) {
        write_file(&place, "/his/2", "one", MOS_OUTCOME_WRITTEN);
        CU_ASSERT_FALSE(has_acl(&place, "/his/2"));
    }
    struct stat status;
    CU_ASSERT_EQUAL(chmod(in(&place, "/his"), 02777), 0);
    write_file(&place, "/his/3", "one", MOS_OUTCOME_WRITTEN);
    CU_ASSERT(stat(in(&place, "/his/3"), &status) == 0 && status.st_gid == getegid());
    CU_ASSERT_EQUAL(place.warning_count, 0);
    mos_target_close(place.target);
}

MOS_TEST(owners_are_set_where_the_directory_gives_others) {
    struct place place = {0};
    struct stat status;
    open_place(&place, MOS_EXISTING_KEEP);
    CU_ASSERT_TRUE(make_directory(&place, "/group"));
    if (geteuid() != 0) {
        mos_target_close(place.target);
        return;
    }
    // New files get this group, and their owners differ.
    CU_ASSERT(chown(in(&place, "/group"), 0, 23456) == 0 && chmod(in(&place, "/group"), 02755) == 0);
    const struct {
        const char *path;
        uid_t uid;
        gid_t gid;
    } files[] = {{"/group/1", 0, 23456}, {"/group/2", 0, 0}, {"/group/3", 12345, 23456},
                 {"/group/4", 0, 23456}, {"/5", 7, 8},       {"/6", 0, 0}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct mos_entry entry = entry_at(files[i].path);
        entry.uid = files[i].uid;
        entry.gid = files[i].gid;
        end(&place, &entry, begin(&place, &entry, MOS_OUTCOME_WRITTEN), "one");
        CU_ASSERT(stat(in(&place, files[i].path), &status) == 0 && status.st_uid == files[i].uid && status.st_gid == files[i].gid);
        // A link beside it has an owner of its own as well.
        char link[32];
        snprintf(link, sizeof(link), "%s.link", files[i].path);
        struct mos_error error = {0};
        enum mos_outcome outcome;
        entry.path = link;
        entry.path_bytes = strlen(link);
        entry.type = MOS_ENTRY_SYMLINK;
        entry.link_target = "x";
        entry.link_target_bytes = 1;
        MOS_ASSERT_OK(mos_target_special(place.target, &entry, &outcome, &error), &error);
        CU_ASSERT(lstat(in(&place, link), &status) == 0 && status.st_uid == files[i].uid && status.st_gid == files[i].gid);
    }
    CU_ASSERT_EQUAL(place.warning_count, 0);
    mos_target_close(place.target);
}

MOS_TEST(an_ordinary_user_gets_the_attributes_of_read_only_files_back) {
    struct place place = {0};
    static const struct mos_xattr xattr = {"user.a", (const uint8_t *)"one", 3};
    char value[4];
    open_place(&place, MOS_EXISTING_KEEP);
    mos_target_close(place.target);
    fflush(NULL);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        unsigned before = CU_get_number_of_failures();
        // He may pass through the folder of the test.
        char *slash = strrchr(place.path, '/');
        *slash = 0;
        chmod(place.path, 0711);
        *slash = '/';
        if (geteuid() == 0 &&
            (chown(place.path, 12345, 23456) != 0 || chdir(place.path) != 0 || setgid(23456) != 0 || setuid(12345) != 0)) {
            _exit(2);
        }
        open_place(&place, MOS_EXISTING_KEEP);
        struct mos_entry entry = entry_at("/file");
        entry.mode = 0444;
        entry.xattrs = &xattr;
        entry.xattr_count = 1;
        end(&place, &entry, begin(&place, &entry, MOS_OUTCOME_WRITTEN), "one");
        struct stat status;
        CU_ASSERT(mos_target_stat(place.target, "/file", &status) && status.st_mode == (S_IFREG | 0444));
        CU_ASSERT_EQUAL(getxattr(in(&place, "/file"), "user.a", value, sizeof(value)), 3);
        CU_ASSERT_EQUAL(place.warning_count, 0);
        mos_target_close(place.target);
        fflush(NULL);
        _exit(CU_get_number_of_failures() == before ? 0 : 1);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
