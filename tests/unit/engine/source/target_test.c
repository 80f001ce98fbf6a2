#include "engine/source/target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/buffer.h"
#include "unit/test.h"

// A target, and beside it a folder into which nothing may ever be written.
struct place {
    char path[4200];
    char outside[4200];
    mos_target *target;
    char warnings[2048];
    size_t warning_count;
};

static void on_warning(void *context, const char *path, size_t path_bytes, const char *message) {
    struct place *place = context;
    size_t used = strlen(place->warnings);
    snprintf(place->warnings + used, sizeof(place->warnings) - used, "%.*s: %s\n", (int)path_bytes, path, message);
    place->warning_count++;
}

static void open_place_again(struct place *place, enum mos_existing existing) {
    struct mos_error error = {0};
    struct mos_target_options options = {.path = place->path, .existing = existing, .warn = on_warning, .context = place};
    MOS_ASSERT_OK(mos_target_open(&options, &place->target, &error), &error);
}

static void open_place(struct place *place, enum mos_existing existing) {
    const char *base = mos_test_directory();
    *place = (struct place){0};
    snprintf(place->path, sizeof(place->path), "%s/target", base);
    snprintf(place->outside, sizeof(place->outside), "%s/outside", base);
    CU_ASSERT_EQUAL_FATAL(mkdir(place->outside, 0755), 0);
    open_place_again(place, existing);
}

static const char *in(const char *folder, const char *name) {
    static char paths[4][8500];
    static size_t next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s%s", folder, name);
    return path;
}

static bool empty(const char *folder) {
    // Only an empty one can be removed; it is made again for what comes.
    return rmdir(folder) == 0 && mkdir(folder, 0755) == 0;
}

static struct mos_entry entry_at(const char *path, enum mos_entry_type type) {
    return (struct mos_entry){.path = path,
                              .path_bytes = strlen(path),
                              .type = type,
                              .mode = 0640,
                              .uid = geteuid(),
                              .gid = getegid(),
                              .user = "",
                              .group = "",
                              .link_target = "",
                              .modified_unix_ns = INT64_C(1700000000123456789)};
}

static enum mos_outcome write_file_to(mos_target *target, const char *path, const char *content, enum mos_entry_type type) {
    struct mos_error error = {0};
    struct mos_entry entry = entry_at(path, type);
    mos_target_file *file = NULL;
    enum mos_outcome outcome = MOS_OUTCOME_FAILED;
    entry.size_bytes = strlen(content);
    MOS_ASSERT_OK(mos_target_file_create(target, &entry, &file, &outcome, &error), &error);
    CU_ASSERT_EQUAL(file != NULL, outcome == MOS_OUTCOME_WRITTEN);
    if (file) {
        MOS_ASSERT_OK(mos_target_file_write(file, content, strlen(content), 0, &error), &error);
        MOS_ASSERT_OK(mos_target_file_commit(target, file, &entry, &outcome, &error), &error);
    }
    return outcome;
}

static enum mos_outcome write_file(struct place *place, const char *path, const char *content) {
    return write_file_to(place->target, path, content, MOS_ENTRY_FILE);
}

static enum mos_outcome make_directory(struct place *place, const char *path) {
    struct mos_error error = {0};
    struct mos_entry entry = entry_at(path, MOS_ENTRY_DIRECTORY);
    enum mos_outcome outcome = MOS_OUTCOME_FAILED;
    MOS_ASSERT_OK(mos_target_directory(place->target, &entry, &outcome, &error), &error);
    return outcome;
}

static enum mos_outcome make_symlink(struct place *place, const char *path, const char *content) {
    struct mos_error error = {0};
    struct mos_entry entry = entry_at(path, MOS_ENTRY_SYMLINK);
    enum mos_outcome outcome = MOS_OUTCOME_FAILED;
    entry.link_target = content;
    entry.link_target_bytes = strlen(content);
    MOS_ASSERT_OK(mos_target_special(place->target, &entry, &outcome, &error), &error);
    return outcome;
}

static enum mos_outcome make_link(struct place *place, const char *path, const char *first) {
    struct mos_error error = {0};
    struct mos_entry entry = entry_at(path, MOS_ENTRY_HARDLINK);
    enum mos_outcome outcome = MOS_OUTCOME_FAILED;
    entry.link_target = first;
    entry.link_target_bytes = strlen(first);
    MOS_ASSERT_OK(mos_target_link(place->target, &entry, &outcome, &error), &error);
    return outcome;
}

static bool file_is(const char *path, const char *content) {
    char found[64] = "";
    MOS_CLEANUP_FD int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return descriptor >= 0 && read(descriptor, found, sizeof(found) - 1) >= 0 && strcmp(found, content) == 0;
}

MOS_TEST(a_file_has_content_and_all_metadata) {
    struct place place;
    struct mos_error error = {0};
    struct stat status;
    char value[16];
    open_place(&place, MOS_EXISTING_KEEP);
    static const struct mos_xattr xattrs[] = {{"user.a", (const uint8_t *)"one", 3}, {"user.b", (const uint8_t *)"", 0}};
    struct mos_entry entry = entry_at("/srv/shop/file", MOS_ENTRY_FILE);
    enum mos_outcome outcome;
    mos_target_file *file = NULL;
    entry.mode = 04751;
    entry.size_bytes = 1 << 20;
    entry.xattrs = xattrs;
    entry.xattr_count = 2;
    entry.modified_unix_ns = -1;
    if (geteuid() == 0) {
        entry.uid = 12345;
        entry.gid = 23456;
    }
    CU_ASSERT_EQUAL(make_directory(&place, "/srv"), MOS_OUTCOME_WRITTEN);
    MOS_ASSERT_OK(mos_target_file_create(place.target, &entry, &file, &outcome, &error), &error);
    MOS_ASSERT_OK(mos_target_file_write(file, "end", 3, (1 << 20) - 3, &error), &error);
    MOS_ASSERT_OK(mos_target_file_write(file, "begin", 5, 0, &error), &error);
    // Until it is whole, its name is not there.
    CU_ASSERT_FALSE(mos_target_stat(place.target, entry.path, &status));
    char proc[64];
    mos_target_file_proc_path(file, proc);
    CU_ASSERT(stat(proc, &status) == 0 && status.st_size == 1 << 20);
    MOS_ASSERT_OK(mos_target_file_commit(place.target, file, &entry, &outcome, &error), &error);
    CU_ASSERT_EQUAL(outcome, MOS_OUTCOME_WRITTEN);
    CU_ASSERT_TRUE(mos_target_stat(place.target, entry.path, &status));
    CU_ASSERT_EQUAL(status.st_mode, S_IFREG | 04751);
    CU_ASSERT(status.st_uid == entry.uid && status.st_gid == entry.gid);
    CU_ASSERT_EQUAL(status.st_size, 1 << 20);
    // What was not written is a hole.
    CU_ASSERT(status.st_blocks * 512 < 1 << 19);
    CU_ASSERT(status.st_mtim.tv_sec == -1 && status.st_mtim.tv_nsec == 999999999);
    const char *path = in(place.path, entry.path);
    CU_ASSERT_EQUAL(getxattr(path, "user.a", value, sizeof(value)), 3);
    CU_ASSERT_EQUAL(getxattr(path, "user.b", value, sizeof(value)), 0);
    CU_ASSERT_EQUAL(place.warning_count, 0);
    MOS_ASSERT_OK(mos_target_sync(place.target, &error), &error);
    mos_target_close(place.target);
}

MOS_TEST(a_directory_has_its_metadata_when_it_is_finished) {
    struct place place;
    struct stat status;
    open_place(&place, MOS_EXISTING_KEEP);
    CU_ASSERT_EQUAL(make_directory(&place, "/"), MOS_OUTCOME_KEPT);
    CU_ASSERT_EQUAL(make_directory(&place, "/a"), MOS_OUTCOME_WRITTEN);
    CU_ASSERT_EQUAL(make_directory(&place, "/a"), MOS_OUTCOME_KEPT);
    CU_ASSERT(mos_target_stat(place.target, "/a", &status) && (status.st_mode & 07777) == 0700);
    CU_ASSERT_EQUAL(write_file(&place, "/a/file", "x"), MOS_OUTCOME_WRITTEN);
    const char *path = in(place.path, "/a");
    CU_ASSERT_EQUAL(setxattr(path, "user.old", "x", 1, 0), 0);
    static const struct mos_xattr xattr = {"user.new", (const uint8_t *)"y", 1};
    struct mos_entry entry = entry_at("/a", MOS_ENTRY_DIRECTORY);
    entry.mode = 01550;
    entry.xattrs = &xattr;
    entry.xattr_count = 1;
    mos_target_finish_directory(place.target, &entry);
    CU_ASSERT_TRUE(mos_target_stat(place.target, "/a", &status));
    CU_ASSERT_EQUAL(status.st_mode, S_IFDIR | 01550);
    CU_ASSERT(status.st_mtim.tv_sec == 1700000000 && status.st_mtim.tv_nsec == 123456789);
    char value[4];
    CU_ASSERT_EQUAL(getxattr(path, "user.new", value, sizeof(value)), 1);
    CU_ASSERT(getxattr(path, "user.old", value, sizeof(value)) < 0 && errno == ENODATA);
    // The target itself stays as its owner made it.
    struct mos_entry top = entry_at("/", MOS_ENTRY_DIRECTORY);
    top.mode = 0;
    mos_target_finish_directory(place.target, &top);
    CU_ASSERT(stat(place.path, &status) == 0 && (status.st_mode & 07777) == 0700);
    CU_ASSERT_EQUAL(chmod(path, 0700), 0);
    CU_ASSERT_EQUAL(place.warning_count, 0);
    mos_target_close(place.target);
}

MOS_TEST(links_pipes_sockets_and_devices_are_made_as_they_were) {
    struct place place;
    struct mos_error error = {0};
    struct stat status, other;
    char content[16] = "";
    enum mos_outcome outcome;
    open_place(&place, MOS_EXISTING_KEEP);
    CU_ASSERT_EQUAL(make_symlink(&place, "/a/link", "../x\xff"), MOS_OUTCOME_WRITTEN);
    CU_ASSERT_EQUAL(readlink(in(place.path, "/a/link"), content, sizeof(content)), 5);
    CU_ASSERT_EQUAL(memcmp(content, "../x\xff", 5), 0);
    CU_ASSERT_TRUE(mos_target_stat(place.target, "/a/link", &status));
    CU_ASSERT(S_ISLNK(status.st_mode) && status.st_mtim.tv_nsec == 123456789);
    static const struct {
        enum mos_entry_type type;
        mode_t mode;
    } kinds[] = {
        {MOS_ENTRY_FIFO, S_IFIFO}, {MOS_ENTRY_SOCKET, S_IFSOCK}, {MOS_ENTRY_CHARACTER_DEVICE, S_IFCHR}, {MOS_ENTRY_BLOCK_DEVICE, S_IFBLK}};
    for (size_t i = 0; i < (geteuid() == 0 ? 4 : 2); i++) {
        char path[16];
        snprintf(path, sizeof(path), "/a/kind%zu", i);
        struct mos_entry entry = entry_at(path, kinds[i].type);
        entry.device_major = 5;
        entry.device_minor = 300;
        MOS_ASSERT_OK(mos_target_special(place.target, &entry, &outcome, &error), &error);
        CU_ASSERT_EQUAL(outcome, MOS_OUTCOME_WRITTEN);
        CU_ASSERT_TRUE(mos_target_stat(place.target, path, &status));
        CU_ASSERT_EQUAL(status.st_mode, kinds[i].mode | 0640);
        CU_ASSERT(i < 2 || status.st_rdev == makedev(5, 300));
        CU_ASSERT_EQUAL(status.st_mtim.tv_sec, 1700000000);
    }
    CU_ASSERT_EQUAL(write_file(&place, "/a/file", "one"), MOS_OUTCOME_WRITTEN);
    CU_ASSERT_EQUAL(make_link(&place, "/b/name", "/a/file"), MOS_OUTCOME_WRITTEN);
    CU_ASSERT(mos_target_stat(place.target, "/a/file", &status) && mos_target_stat(place.target, "/b/name", &other));
    CU_ASSERT(status.st_ino == other.st_ino && other.st_nlink == 2);
    CU_ASSERT_EQUAL(place.warning_count, 0);
    CU_ASSERT_EQUAL(make_link(&place, "/b/none", "/a/none"), MOS_OUTCOME_FAILED);
    CU_ASSERT_EQUAL(place.warning_count, 1);
    mos_target_close(place.target);
}

MOS_TEST(what_is_there_stays_or_is_replaced_as_asked) {
    for (int replace = 0; replace < 2; replace++) {
        struct place place;
        struct stat status;
        open_place(&place, replace ? MOS_EXISTING_REPLACE : MOS_EXISTING_KEEP);
        enum mos_outcome then = replace ? MOS_OUTCOME_WRITTEN : MOS_OUTCOME_KEPT;
        CU_ASSERT_EQUAL(write_file(&place, "/file", "old"), MOS_OUTCOME_WRITTEN);
        CU_ASSERT_EQUAL(write_file(&place, "/file", "new"), then);
        CU_ASSERT_TRUE(file_is(in(place.path, "/file"), replace ? "new" : "old"));
        CU_ASSERT_EQUAL(make_symlink(&place, "/file", "x"), then);
        CU_ASSERT(mos_target_stat(place.target, "/file", &status) && S_ISLNK(status.st_mode) == replace);
        CU_ASSERT_EQUAL(write_file(&place, "/first", "1"), MOS_OUTCOME_WRITTEN);
        CU_ASSERT_EQUAL(make_link(&place, "/file", "/first"), then);
        // Once more: both names are the same file already.
        CU_ASSERT_EQUAL(make_link(&place, "/file", "/first"), then);
        CU_ASSERT(mos_target_stat(place.target, "/first", &status) && status.st_nlink == (replace ? 2 : 1));
        // A folder goes only when it is empty, and a file goes for a folder.
        CU_ASSERT_EQUAL(make_directory(&place, "/empty"), MOS_OUTCOME_WRITTEN);
        CU_ASSERT_EQUAL(write_file(&place, "/empty", "x"), then);
        CU_ASSERT_EQUAL(write_file(&place, "/full/x", "x"), MOS_OUTCOME_WRITTEN);
        size_t warnings = place.warning_count;
        CU_ASSERT_EQUAL(write_file(&place, "/full", "x"), replace ? MOS_OUTCOME_FAILED : MOS_OUTCOME_KEPT);
        CU_ASSERT_EQUAL(place.warning_count, warnings + (size_t)replace);
        CU_ASSERT_TRUE(file_is(in(place.path, "/full/x"), "x"));
        CU_ASSERT_EQUAL(make_directory(&place, "/first"), replace ? MOS_OUTCOME_WRITTEN : MOS_OUTCOME_FAILED);
        // Nothing is left of the names that files have while they are written.
        mos_target_close(place.target);
        char command[4400];
        snprintf(command, sizeof(command), "test -z \"$(find '%s' -name '.mosaajii-*')\"", place.path);
        CU_ASSERT_EQUAL(system(command), 0);
    }
}

// Begins a file; somebody else makes one of its name before it is whole.
static void check_what_comes_meanwhile(struct place *place, enum mos_outcome then, const char *content) {
    struct mos_error error = {0};
    struct mos_entry entry = entry_at("/late", MOS_ENTRY_FILE);
    enum mos_outcome outcome = MOS_OUTCOME_FAILED;
    mos_target_file *file = NULL;
    entry.size_bytes = 3;
    MOS_ASSERT_OK(mos_target_file_create(place->target, &entry, &file, &outcome, &error), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    MOS_ASSERT_OK(mos_target_file_write(file, "our", 3, 0, &error), &error);
    int other = open(in(place->path, "/late"), O_WRONLY | O_CREAT | O_EXCL, 0600);
    CU_ASSERT_EQUAL(write(other, "other", 5), 5);
    close(other);
    MOS_ASSERT_OK(mos_target_file_commit(place->target, file, &entry, &outcome, &error), &error);
    CU_ASSERT_EQUAL(outcome, then);
    CU_ASSERT_TRUE(file_is(in(place->path, "/late"), content));
}

MOS_TEST(what_comes_meanwhile_stays_or_is_replaced_as_asked) {
    struct place place;
    open_place(&place, MOS_EXISTING_KEEP);
    check_what_comes_meanwhile(&place, MOS_OUTCOME_KEPT, "other");
    mos_target_close(place.target);
    unlink(in(place.path, "/late"));
    open_place_again(&place, MOS_EXISTING_REPLACE);
    check_what_comes_meanwhile(&place, MOS_OUTCOME_WRITTEN, "our");
    mos_target_close(place.target);
}

// From now on files without a name cannot be made, as on file systems that do not know them.
static bool take_unnamed_files_away(void) {
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

MOS_TEST(files_are_written_where_each_must_have_a_name) {
    struct place place;
    open_place(&place, MOS_EXISTING_KEEP);
    fflush(NULL);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        if (!take_unnamed_files_away()) {
            _exit(2);
        }
        unsigned before = CU_get_number_of_failures();
        CU_ASSERT_EQUAL(write_file(&place, "/file", "one"), MOS_OUTCOME_WRITTEN);
        CU_ASSERT_EQUAL(write_file(&place, "/file", "two"), MOS_OUTCOME_KEPT);
        CU_ASSERT_TRUE(file_is(in(place.path, "/file"), "one"));
        check_what_comes_meanwhile(&place, MOS_OUTCOME_KEPT, "other");
        char command[4400];
        snprintf(command, sizeof(command), "test -z \"$(find '%s' -name '.mosaajii-*')\"", place.path);
        CU_ASSERT_EQUAL(system(command), 0);
        fflush(NULL);
        _exit(CU_get_number_of_failures() == before ? 0 : 1);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mos_target_close(place.target);
}

MOS_TEST(an_abandoned_file_leaves_nothing) {
    struct place place;
    struct mos_error error = {0};
    struct mos_entry entry = entry_at("/file", MOS_ENTRY_FILE);
    mos_target_file *file = NULL;
    enum mos_outcome outcome;
    open_place(&place, MOS_EXISTING_KEEP);
    MOS_ASSERT_OK(mos_target_file_create(place.target, &entry, &file, &outcome, &error), &error);
    mos_target_file_abandon(file);
    mos_target_file_abandon(NULL);
    CU_ASSERT_TRUE(empty(place.path));
    mos_target_close(place.target);
}

MOS_TEST(a_database_is_not_put_beside_the_journal_of_another) {
    static const char *const journals[] = {"/pos.db-wal", "/pos.db-journal"};
    for (size_t i = 0; i < 2; i++) {
        struct place place;
        struct stat status;
        const struct mos_entry entry = {.path = "pos.db", .path_bytes = strlen("pos.db"), .type = MOS_ENTRY_DATABASE};
        open_place(&place, MOS_EXISTING_KEEP);
        CU_ASSERT_FALSE(mos_target_is_there(place.target, &entry));
        CU_ASSERT_EQUAL(write_file(&place, journals[i], "old"), MOS_OUTCOME_WRITTEN);
        CU_ASSERT_TRUE(mos_target_is_there(place.target, &entry));
        CU_ASSERT_EQUAL(write_file_to(place.target, "pos.db", "new", MOS_ENTRY_DATABASE), MOS_OUTCOME_FAILED);
        CU_ASSERT_FALSE(mos_target_stat(place.target, "/pos.db", &status));
        CU_ASSERT_TRUE(mos_target_stat(place.target, journals[i], &status));
        CU_ASSERT_EQUAL(write_file_to(place.target, "other.db", "new", MOS_ENTRY_DATABASE), MOS_OUTCOME_WRITTEN);
        mos_target_close(place.target);
    }
}

MOS_TEST(journals_of_an_old_database_go_with_it) {
    struct place place;
    struct stat status;
    open_place(&place, MOS_EXISTING_REPLACE);
    static const char *const journals[] = {"/pos.db-wal", "/pos.db-shm", "/pos.db-journal"};
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(write_file(&place, journals[i], "old"), MOS_OUTCOME_WRITTEN);
    }
    CU_ASSERT_EQUAL(write_file_to(place.target, "pos.db", "new", MOS_ENTRY_DATABASE), MOS_OUTCOME_WRITTEN);
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_FALSE(mos_target_stat(place.target, journals[i], &status));
    }
    CU_ASSERT_TRUE(file_is(in(place.path, "/pos.db"), "new"));
    mos_target_close(place.target);
}

MOS_TEST(planted_links_are_never_followed) {
    for (int replace = 0; replace < 2; replace++) {
        struct place place;
        struct stat status;
        open_place(&place, replace ? MOS_EXISTING_REPLACE : MOS_EXISTING_KEEP);
        CU_ASSERT_EQUAL(symlink(place.outside, in(place.path, "/a")), 0);
        CU_ASSERT_EQUAL(symlink("../outside/victim", in(place.path, "/file")), 0);
        CU_ASSERT_EQUAL(mkdir(in(place.path, "/d"), 0755), 0);
        CU_ASSERT_EQUAL(symlink("../../outside", in(place.path, "/d/up")), 0);
        // On the way down.
        static const char *const below[] = {"/a/x", "/a/x/y", "/d/up/x", "/d/up/x/y"};
        for (size_t i = 0; i < 4; i++) {
            CU_ASSERT_EQUAL(write_file(&place, below[i], "x"), MOS_OUTCOME_FAILED);
            CU_ASSERT_EQUAL(make_directory(&place, below[i]), MOS_OUTCOME_FAILED);
            CU_ASSERT_EQUAL(make_symlink(&place, below[i], "x"), MOS_OUTCOME_FAILED);
            CU_ASSERT_EQUAL(make_link(&place, below[i], "/d/none"), MOS_OUTCOME_FAILED);
            CU_ASSERT_FALSE(mos_target_stat(place.target, below[i], &status));
        }
        CU_ASSERT_PTR_NOT_NULL(strstr(place.warnings, "/a/x: cannot be written: something that is no directory is in the way"));
        // As the last component: the link stays or goes, what it points to is not touched.
        CU_ASSERT_EQUAL(write_file(&place, "/file", "new"), replace ? MOS_OUTCOME_WRITTEN : MOS_OUTCOME_KEPT);
        CU_ASSERT_EQUAL(lstat(in(place.outside, "/victim"), &status), -1);
        // Metadata of a directory in whose place a link stands.
        struct mos_entry entry = entry_at("/a", MOS_ENTRY_DIRECTORY);
        entry.mode = 0;
        mos_target_finish_directory(place.target, &entry);
        CU_ASSERT(stat(place.outside, &status) == 0 && (status.st_mode & 07777) == 0755);
        // A secret outside does not get a further name through a link.
        MOS_CLEANUP_FD int secret = open(in(place.outside, "/secret"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CU_ASSERT_EQUAL(make_link(&place, "/z", "/a/secret"), MOS_OUTCOME_FAILED);
        CU_ASSERT(fstat(secret, &status) == 0 && status.st_nlink == 1);
        CU_ASSERT_EQUAL(unlink(in(place.outside, "/secret")), 0);
        CU_ASSERT_TRUE(empty(place.outside));
        mos_target_close(place.target);
    }
}

MOS_TEST(paths_that_are_no_plain_way_down_are_refused) {
    struct place place;
    open_place(&place, MOS_EXISTING_REPLACE);
    static const char *const paths[] = {"/../outside/x", "/a/../../outside/x", "..", ".", "", "/a//x", "../outside/x"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct stat status;
        CU_ASSERT_EQUAL(write_file(&place, paths[i], "x"), MOS_OUTCOME_FAILED);
        CU_ASSERT_EQUAL(make_symlink(&place, paths[i], "x"), MOS_OUTCOME_FAILED);
        CU_ASSERT_EQUAL(make_link(&place, "/z", paths[i]), MOS_OUTCOME_FAILED);
        CU_ASSERT_FALSE(mos_target_stat(place.target, paths[i], &status));
        if (paths[i][0] == '/') {
            CU_ASSERT_EQUAL(make_directory(&place, paths[i]), MOS_OUTCOME_FAILED);
            struct mos_entry entry = entry_at(paths[i], MOS_ENTRY_DIRECTORY);
            mos_target_finish_directory(place.target, &entry);
        }
    }
    CU_ASSERT_TRUE(empty(place.outside));
    CU_ASSERT_TRUE(empty(place.path));
    mos_target_close(place.target);
}

struct swapping {
    const struct place *place;
    atomic_bool stop;
};

// Puts a link to the outside in the place of a directory and back, as fast as it goes.
static void *swap(void *context) {
    struct swapping *swapping = context;
    char directory[4300], link[4300];
    snprintf(directory, sizeof(directory), "%s/d", swapping->place->path);
    snprintf(link, sizeof(link), "%s/link", swapping->place->path);
    while (!atomic_load(&swapping->stop)) {
        renameat2(AT_FDCWD, directory, AT_FDCWD, link, RENAME_EXCHANGE);
    }
    return NULL;
}

MOS_TEST(links_planted_meanwhile_are_not_followed_either) {
    struct place place;
    pthread_t thread;
    open_place(&place, MOS_EXISTING_REPLACE);
    CU_ASSERT_EQUAL(mkdir(in(place.path, "/d"), 0755), 0);
    CU_ASSERT_EQUAL(symlink(place.outside, in(place.path, "/link")), 0);
    struct swapping swapping = {.place = &place};
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, swap, &swapping), 0);
    size_t written = 0, failed = 0;
    for (size_t i = 0; i < 3000; i++) {
        // A clone has no directory open yet, so that the whole way is gone anew.
        mos_target *clone = mos_target_clone(place.target);
        enum mos_outcome outcome = write_file_to(clone, i % 2 ? "/d/sub/file" : "/d/file", "x", MOS_ENTRY_FILE);
        written += outcome == MOS_OUTCOME_WRITTEN;
        failed += outcome == MOS_OUTCOME_FAILED;
        struct mos_entry entry = entry_at("/d", MOS_ENTRY_DIRECTORY);
        entry.mode = 0711;
        mos_target_finish_directory(clone, &entry);
        mos_target_close(clone);
    }
    atomic_store(&swapping.stop, true);
    pthread_join(thread, NULL);
    struct stat status;
    CU_ASSERT_EQUAL(written + failed, 3000);
    CU_ASSERT(stat(place.outside, &status) == 0 && (status.st_mode & 07777) == 0755);
    CU_ASSERT_TRUE(empty(place.outside));
    mos_target_close(place.target);
}

MOS_TEST(very_deep_paths_are_written_with_few_descriptors) {
    struct place place;
    struct stat status;
    open_place(&place, MOS_EXISTING_KEEP);
    MOS_CLEANUP_BUFFER struct mos_buffer path = {0};
    for (size_t i = 0; i < 1500; i++) {
        mos_buffer_printf(&path, "/deep%zu", i);
    }
    CU_ASSERT_EQUAL(write_file(&place, mos_buffer_text(&path), "x"), MOS_OUTCOME_WRITTEN);
    CU_ASSERT_TRUE(mos_target_stat(place.target, mos_buffer_text(&path), &status));
    // Back up beyond the directories that are still open, and down another way.
    CU_ASSERT_EQUAL(write_file(&place, "/deep0/other", "x"), MOS_OUTCOME_WRITTEN);
    CU_ASSERT_EQUAL(write_file(&place, "/deep00", "x"), MOS_OUTCOME_WRITTEN);
    // A name that begins like the directory that is open.
    CU_ASSERT_EQUAL(write_file(&place, "/deep0/x", "x"), MOS_OUTCOME_WRITTEN);
    CU_ASSERT_EQUAL(write_file(&place, "/deep0x/xy", "y"), MOS_OUTCOME_WRITTEN);
    CU_ASSERT_TRUE(file_is(in(place.path, "/deep0x/xy"), "y"));
    mos_buffer_append_text(&path, "b");
    CU_ASSERT_EQUAL(write_file(&place, mos_buffer_text(&path), "x"), MOS_OUTCOME_WRITTEN);
    CU_ASSERT_EQUAL(place.warning_count, 0);
    mos_target_close(place.target);
}

static mos_status open_at(const char *path, const char *root, struct mos_error *error) {
    mos_target *target = NULL;
    struct mos_target_options options = {.path = path, .root = root};
    mos_status status = mos_target_open(&options, &target, error);
    mos_target_close(target);
    return status;
}

MOS_TEST(a_target_is_a_plain_directory_below_its_root) {
    struct mos_error error = {0};
    struct stat status;
    char base[4200];
    snprintf(base, sizeof(base), "%s", mos_test_directory());
    CU_ASSERT_EQUAL(mkdir(in(base, "/root"), 0755), 0);
    CU_ASSERT_EQUAL(mkdir(in(base, "/outside"), 0755), 0);
    char root[4300];
    snprintf(root, sizeof(root), "%s/root", base);
    MOS_ASSERT_OK(open_at(in(base, "/new/a/b"), NULL, &error), &error);
    CU_ASSERT(stat(in(base, "/new/a/b"), &status) == 0 && (status.st_mode & 07777) == 0700);
    MOS_ASSERT_OK(open_at(in(root, "/a/b"), root, &error), &error);
    MOS_ASSERT_OK(open_at(root, root, &error), &error);
    static const char *const wrong[] = {"relative", "", "/a/../b", "/a//b", "/a/"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(open_at(wrong[i], NULL, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "target");
    }
    CU_ASSERT_EQUAL(open_at(in(base, "/rooted"), root, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(open_at(base, root, &error), MOS_INVALID_ARGUMENT);
    // Links as the target and on the way to it; something that is no directory.
    CU_ASSERT_EQUAL(symlink(in(base, "/outside"), in(root, "/link")), 0);
    CU_ASSERT_EQUAL(open_at(in(root, "/link"), NULL, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(open_at(in(root, "/link"), root, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(open_at(in(root, "/link/x"), root, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_TRUE(empty(in(base, "/outside")));
    CU_ASSERT_EQUAL(mkfifo(in(root, "/pipe"), 0600), 0);
    CU_ASSERT_EQUAL(open_at(in(root, "/pipe"), root, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(open_at(in(root, "/x"), in(base, "/none"), &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(open_at(in(base, "/none/x"), in(base, "/none"), &error), MOS_NOT_FOUND);
    // The root of all, and one with a slash at its end, are above everything below them.
    MOS_ASSERT_OK(open_at(in(root, "/c"), "/", &error), &error);
    MOS_ASSERT_OK(open_at(in(root, "/c"), in(root, "/"), &error), &error);
}
