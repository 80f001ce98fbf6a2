#include "engine/source/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/buffer.h"
#include "unit/test.h"

enum { MAX_FOUND = 4096 };

struct found {
    struct mos_entry entry;
    char *path;
    char *link_target;
    char *user;
    char xattrs[512];
    char content[64];
};

struct result {
    struct found found[MAX_FOUND];
    size_t count;
    char warnings[8][512];
    size_t warning_count;
};

static void on_warning(void *context, const char *path, size_t path_bytes, const char *message) {
    struct result *result = context;
    if (result->warning_count < 8) {
        snprintf(result->warnings[result->warning_count], 512, "%.*s: %s", (int)path_bytes, path, message);
    }
    result->warning_count++;
}

// Scans, loads and keeps everything; parents of the roots are left out of the result.
static mos_status run_with(struct mos_scan_options options, struct result *result, const char *const *roots, size_t root_count,
                           const char *const *patterns, size_t pattern_count, const char *omit, struct mos_error *error) {
    memset(result, 0, sizeof(*result));
    ProtobufCBinaryData data[8];
    for (size_t i = 0; i < root_count; i++) {
        data[i] = (ProtobufCBinaryData){.data = (uint8_t *)roots[i], .len = strlen(roots[i])};
    }
    mos_exclude *exclude = NULL;
    mos_status status = mos_exclude_create(patterns, pattern_count, &exclude, error);
    options.roots = data;
    options.root_count = root_count;
    options.exclude = exclude;
    options.omit = &omit;
    options.omit_count = omit ? 1 : 0;
    options.warn = on_warning;
    options.context = result;
    mos_scan *scan = NULL;
    status = status ? status : mos_scan_open(&options, &scan, error);
    struct mos_entry *entry = NULL;
    char last[70000] = "";
    while (status == MOS_OK && (status = mos_scan_next(scan, &entry, error)) == MOS_OK && entry) {
        CU_ASSERT_TRUE(mos_path_compare(last, strlen(last), entry->path, entry->path_bytes) < 0);
        strcpy(last, entry->path);
        int descriptor;
        struct stat info;
        if (!mos_scan_load(scan, &descriptor, &info)) {
            continue;
        }
        mos_scan_keep(scan);
        struct mos_error why = {0};
        if (mos_entry_check(entry, &why) && entry->type != MOS_ENTRY_FILE) {
            fprintf(stderr, "%s: %s\n", entry->path, why.message);
            CU_FAIL("entry is not valid");
        }
        struct found *found = result->count < MAX_FOUND ? &result->found[result->count++] : NULL;
        if (found) {
            found->entry = *entry;
            found->path = mos_strdup(entry->path);
            found->link_target = mos_strdup(entry->link_target ? entry->link_target : "");
            found->user = mos_strdup(entry->user);
            for (size_t i = 0; i < entry->xattr_count; i++) {
                size_t used = strlen(found->xattrs);
                snprintf(found->xattrs + used, sizeof(found->xattrs) - used, "%s=%.*s;", entry->xattrs[i].name,
                         (int)entry->xattrs[i].value_bytes, entry->xattrs[i].value);
            }
            if (descriptor >= 0) {
                ssize_t got = read(descriptor, found->content, sizeof(found->content) - 1);
                found->content[got > 0 ? got : 0] = 0;
            }
        }
        if (descriptor >= 0) {
            close(descriptor);
        }
    }
    mos_scan_close(scan);
    mos_exclude_free(exclude);
    return status;
}

static mos_status run(struct result *result, const char *const *roots, size_t root_count, const char *const *patterns, size_t pattern_count,
                      const char *omit, struct mos_error *error) {
    return run_with((struct mos_scan_options){0}, result, roots, root_count, patterns, pattern_count, omit, error);
}

static void clear(struct result *result) {
    for (size_t i = 0; i < result->count; i++) {
        free(result->found[i].path);
        free(result->found[i].link_target);
        free(result->found[i].user);
    }
}

static struct found *find(struct result *result, const char *base, const char *name) {
    char path[4096];
    snprintf(path, sizeof(path), "%s%s%s", base, *name ? "/" : "", name);
    for (size_t i = 0; i < result->count; i++) {
        if (strcmp(result->found[i].path, path) == 0) {
            return &result->found[i];
        }
    }
    return NULL;
}

static void put(const char *base, const char *name, const char *content) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", base, name);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CU_ASSERT_TRUE_FATAL(descriptor >= 0);
    CU_ASSERT_EQUAL(write(descriptor, content, strlen(content)), (ssize_t)strlen(content));
    close(descriptor);
}

static const char *below(const char *base, const char *name) {
    static char paths[16][4096];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, 4096, "%s/%s", base, name);
    return path;
}

static struct result result;

MOS_TEST(every_kind_of_entry_has_all_its_metadata) {
    const char *base = mos_test_directory();
    struct mos_error error = {0};
    put(base, "file", "hello");
    put(base, "odd \xff\n name", "x");
    CU_ASSERT_EQUAL(mkdir(below(base, "dir"), 0750), 0);
    CU_ASSERT_EQUAL(chmod(below(base, "dir"), 01750), 0);
    CU_ASSERT_EQUAL(chmod(below(base, "file"), 06755), 0);
    CU_ASSERT_EQUAL(symlink("../nowhere\xfe", below(base, "symlink")), 0);
    CU_ASSERT_EQUAL(link(below(base, "file"), below(base, "link")), 0);
    CU_ASSERT_EQUAL(link(below(base, "symlink"), below(base, "symlink2")), 0);
    CU_ASSERT_EQUAL(mkfifo(below(base, "fifo"), 0600), 0);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", base);
    CU_ASSERT_EQUAL(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    close(listener);
    CU_ASSERT_EQUAL(setxattr(below(base, "file"), "user.b", "2", 1, 0), 0);
    CU_ASSERT_EQUAL(setxattr(below(base, "file"), "user.a", "one", 3, 0), 0);
    struct timespec times[2] = {{0, 0}, {-5, 123456789}};
    CU_ASSERT_EQUAL(utimensat(AT_FDCWD, below(base, "symlink"), times, AT_SYMLINK_NOFOLLOW), 0);
    bool root = geteuid() == 0;
    if (root) {
        CU_ASSERT_EQUAL(mknod(below(base, "device"), S_IFCHR | 0600, makedev(5, 300)), 0);
        CU_ASSERT_EQUAL(lsetxattr(below(base, "symlink"), "trusted.t", "v", 1, 0), 0);
        CU_ASSERT_EQUAL(chown(below(base, "dir"), 12345, 54321), 0);
    }
    MOS_ASSERT_OK(run(&result, &base, 1, NULL, 0, NULL, &error), &error);
    CU_ASSERT_EQUAL(result.warning_count, 0);

    struct found *file = find(&result, base, "file");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(file->entry.type, MOS_ENTRY_FILE);
    CU_ASSERT_EQUAL(file->entry.mode, 06755);
    CU_ASSERT_EQUAL(file->entry.size_bytes, 5);
    CU_ASSERT_STRING_EQUAL(file->content, "hello");
    CU_ASSERT_STRING_EQUAL(file->xattrs, "user.a=one;user.b=2;");
    if (root) {
        CU_ASSERT_STRING_EQUAL(file->user, "root");
    }
    struct found *hardlink = find(&result, base, "link");
    CU_ASSERT_EQUAL(hardlink->entry.type, MOS_ENTRY_HARDLINK);
    CU_ASSERT_STRING_EQUAL(hardlink->link_target, below(base, "file"));
    struct found *odd = find(&result, base, "odd \xff\n name");
    CU_ASSERT_PTR_NOT_NULL_FATAL(odd);
    CU_ASSERT_EQUAL(odd->entry.type, MOS_ENTRY_FILE);
    struct found *directory = find(&result, base, "dir");
    CU_ASSERT_EQUAL(directory->entry.type, MOS_ENTRY_DIRECTORY);
    CU_ASSERT_EQUAL(directory->entry.mode, 01750);
    struct found *symbolic = find(&result, base, "symlink");
    CU_ASSERT_EQUAL(symbolic->entry.type, MOS_ENTRY_SYMLINK);
    CU_ASSERT_STRING_EQUAL(symbolic->link_target, "../nowhere\xfe");
    CU_ASSERT_EQUAL(symbolic->entry.modified_unix_ns, INT64_C(-5000000000) + 123456789);
    CU_ASSERT_EQUAL(find(&result, base, "symlink2")->entry.type, MOS_ENTRY_HARDLINK);
    CU_ASSERT_EQUAL(find(&result, base, "fifo")->entry.type, MOS_ENTRY_FIFO);
    CU_ASSERT_EQUAL(find(&result, base, "socket")->entry.type, MOS_ENTRY_SOCKET);
    if (root) {
        struct found *device = find(&result, base, "device");
        CU_ASSERT_EQUAL(device->entry.type, MOS_ENTRY_CHARACTER_DEVICE);
        CU_ASSERT_EQUAL(device->entry.device_major, 5);
        CU_ASSERT_EQUAL(device->entry.device_minor, 300);
        CU_ASSERT_STRING_EQUAL(symbolic->xattrs, "trusted.t=v;");
        CU_ASSERT_EQUAL(directory->entry.uid, 12345);
        CU_ASSERT_EQUAL(directory->entry.gid, 54321);
        CU_ASSERT_STRING_EQUAL(directory->user, "");
    }
    // The parents of the root are there as well.
    CU_ASSERT_STRING_EQUAL(result.found[0].path, "/");
    CU_ASSERT_STRING_EQUAL(result.found[1].path, "/tmp");
    clear(&result);
}

MOS_TEST(roots_are_canonical_merged_and_in_path_order) {
    const char *base = mos_test_directory();
    struct mos_error error = {0};
    mkdir(below(base, "a"), 0755);
    mkdir(below(base, "a/b"), 0755);
    mkdir(below(base, "a-b"), 0755);
    mkdir(below(base, "c"), 0755);
    put(base, "a/b/1", "1");
    put(base, "a/not", "1");
    put(base, "a-b/2", "2");
    put(base, "c/3", "3");
    CU_ASSERT_EQUAL(symlink("c", below(base, "link")), 0);
    const char *roots[] = {below(base, "a-b"),   below(base, "link"),      below(base, "a/b"),
                           below(base, "a/b/1"), below(base, "a/../a/b/"), below(base, "gone")};
    MOS_ASSERT_OK(run(&result, roots, 6, NULL, 0, NULL, &error), &error);
    CU_ASSERT_EQUAL(result.warning_count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.warnings[0], "/gone: "));
    static const char *const expected[] = {"", "a", "a/b", "a/b/1", "a-b", "a-b/2", "c", "c/3"};
    size_t parents = result.count - 8;
    CU_ASSERT_EQUAL_FATAL(parents, 2);
    for (size_t i = 0; i < 8; i++) {
        CU_ASSERT_PTR_EQUAL(find(&result, base, expected[i]), &result.found[parents + i]);
    }
    clear(&result);

    const char *missing = below(base, "gone");
    CU_ASSERT_EQUAL(run(&result, &missing, 1, NULL, 0, NULL, &error), MOS_NOT_FOUND);
    const char *relative = "etc";
    CU_ASSERT_EQUAL(run(&result, &relative, 1, NULL, 0, NULL, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "paths");
}

MOS_TEST(excluded_and_omitted_are_left_out_with_what_lies_below) {
    const char *base = mos_test_directory();
    struct mos_error error = {0};
    mkdir(below(base, "cache"), 0755);
    mkdir(below(base, "repo"), 0755);
    mkdir(below(base, "deep"), 0755);
    mkdir(below(base, "deep/cache"), 0755);
    put(base, "cache/1", "1");
    put(base, "deep/cache/1", "1");
    put(base, "deep/x.tmp", "1");
    put(base, "deep/x", "1");
    put(base, "repo/pack", "1");
    const char *patterns[] = {"cache/", "*.tmp"};
    // By another name: it is recognised by what it is.
    CU_ASSERT_EQUAL(symlink("repo", below(base, "alias")), 0);
    MOS_ASSERT_OK(run(&result, &base, 1, patterns, 2, below(base, "alias"), &error), &error);
    CU_ASSERT_PTR_NULL(find(&result, base, "cache"));
    CU_ASSERT_PTR_NULL(find(&result, base, "cache/1"));
    CU_ASSERT_PTR_NULL(find(&result, base, "deep/cache"));
    CU_ASSERT_PTR_NULL(find(&result, base, "deep/x.tmp"));
    CU_ASSERT_PTR_NULL(find(&result, base, "repo"));
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "deep/x"));
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "alias"));
    CU_ASSERT_EQUAL(result.warning_count, 0);
    clear(&result);
    // A root is wanted, whatever the patterns say.
    const char *root = below(base, "cache");
    MOS_ASSERT_OK(run(&result, &root, 1, patterns, 2, NULL, &error), &error);
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "cache/1"));
    clear(&result);
}

MOS_TEST(of_a_marked_cache_only_the_directory_is_read) {
    static const char signature[] = "Signature: 8a477f597d28d172789f06886806bc55\n# made by a test\n";
    const char *base = mos_test_directory();
    struct mos_error error = {0};
    const struct mos_scan_options options = {.skip_caches = true};
    mkdir(below(base, "cache"), 0755);
    mkdir(below(base, "other"), 0755);
    put(base, "cache/CACHEDIR.TAG", signature);
    put(base, "cache/1", "1");
    put(base, "other/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc5");
    put(base, "other/1", "1");
    put(base, "x", "1");
    MOS_ASSERT_OK(run_with(options, &result, &base, 1, NULL, 0, NULL, &error), &error);
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "cache"));
    CU_ASSERT_PTR_NULL(find(&result, base, "cache/1"));
    CU_ASSERT_PTR_NULL(find(&result, base, "cache/CACHEDIR.TAG"));
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "other/1"));
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "x"));
    CU_ASSERT_EQUAL(result.warning_count, 0);
    clear(&result);
    // One that is asked for by its name is wanted.
    const char *root = below(base, "cache");
    MOS_ASSERT_OK(run_with(options, &result, &root, 1, NULL, 0, NULL, &error), &error);
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "cache/1"));
    clear(&result);
    MOS_ASSERT_OK(run(&result, &base, 1, NULL, 0, NULL, &error), &error);
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "cache/1"));
    clear(&result);
}

MOS_TEST(what_is_mounted_below_a_root_may_stay_out) {
    const char *base = mos_test_directory();
    struct mos_error error = {0};
    mkdir(below(base, "mounted"), 0755);
    // Nobody else sees the mount. Where none can be made, the directory stands for itself.
    bool mounted = unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) == 0 &&
                   mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("none", below(base, "mounted"), "tmpfs", 0, NULL) == 0;
    put(base, "mounted/1", "1");
    put(base, "x", "1");
    MOS_ASSERT_OK(run_with((struct mos_scan_options){.one_file_system = true}, &result, &base, 1, NULL, 0, NULL, &error), &error);
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "mounted"));
    CU_ASSERT_EQUAL(find(&result, base, "mounted/1") == NULL, mounted);
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "x"));
    clear(&result);
    MOS_ASSERT_OK(run(&result, &base, 1, NULL, 0, NULL, &error), &error);
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "mounted/1"));
    clear(&result);
    const char *root = below(base, "mounted");
    MOS_ASSERT_OK(run_with((struct mos_scan_options){.one_file_system = true}, &result, &root, 1, NULL, 0, NULL, &error), &error);
    CU_ASSERT_PTR_NOT_NULL(find(&result, base, "mounted/1"));
    clear(&result);
    umount(below(base, "mounted"));
}

// Deeper than PATH_MAX and than the descriptors that are kept open.
MOS_TEST(very_deep_trees_are_read_to_the_end) {
    const char *base = mos_test_directory();
    struct mos_error error = {0};
    enum { DEPTH = 600 };
    int at = open(base, O_PATH | O_DIRECTORY);
    for (int i = 0; i < DEPTH; i++) {
        CU_ASSERT_EQUAL_FATAL(mkdirat(at, "directory-10", 0755), 0);
        int last = openat(at, "last", O_WRONLY | O_CREAT, 0644);
        CU_ASSERT_TRUE_FATAL(last >= 0);
        close(last);
        int next = openat(at, "directory-10", O_PATH | O_DIRECTORY);
        close(at);
        at = next;
    }
    MOS_ASSERT_OK(run(&result, &base, 1, NULL, 0, NULL, &error), &error);
    CU_ASSERT_EQUAL(result.warning_count, 0);
    // "/", "/tmp", the root, and at each step a directory and a file.
    CU_ASSERT_EQUAL(result.count, 3 + 2 * DEPTH);
    CU_ASSERT_TRUE(result.found[DEPTH + 2].entry.path_bytes > 4096);
    CU_ASSERT_PTR_EQUAL(find(&result, base, "last"), &result.found[result.count - 1]);
    clear(&result);
    // The test's own cleaning up does not reach that deep.
    for (int i = 0; i < DEPTH; i++) {
        int up = openat(at, "..", O_PATH | O_DIRECTORY);
        unlinkat(up, "last", 0);
        CU_ASSERT_EQUAL(unlinkat(up, "directory-10", AT_REMOVEDIR), 0);
        close(at);
        at = up;
    }
    close(at);
}

MOS_TEST(what_vanishes_or_changes_its_kind_is_told) {
    const char *base = mos_test_directory();
    struct mos_error error = {0};
    put(base, "1", "x");
    put(base, "2", "x");
    put(base, "3", "x");
    put(base, "4", "x");
    CU_ASSERT_EQUAL(link(below(base, "2"), below(base, "5")), 0);
    memset(&result, 0, sizeof(result));
    ProtobufCBinaryData root = {.data = (uint8_t *)base, .len = strlen(base)};
    struct mos_scan_options options = {.roots = &root, .root_count = 1, .warn = on_warning, .context = &result};
    mos_scan *scan = NULL;
    MOS_ASSERT_OK(mos_scan_open(&options, &scan, &error), &error);
    struct mos_entry *entry;
    bool linked = true;
    for (;;) {
        MOS_ASSERT_OK(mos_scan_next(scan, &entry, &error), &error);
        if (!entry) {
            break;
        }
        if (strcmp(entry->path, below(base, "1")) == 0) {
            // Listed already, looked at next.
            unlink(below(base, "3"));
        }
        if (strcmp(entry->path, below(base, "2")) == 0) {
            unlink(entry->path);
        }
        if (strcmp(entry->path, below(base, "4")) == 0) {
            unlink(entry->path);
            CU_ASSERT_EQUAL(symlink("/etc/passwd", entry->path), 0);
        }
        if (strcmp(entry->path, below(base, "5")) == 0) {
            linked = entry->type == MOS_ENTRY_HARDLINK;
        }
        int descriptor;
        struct stat info;
        if (mos_scan_load(scan, &descriptor, &info)) {
            mos_scan_keep(scan);
        }
        if (descriptor >= 0) {
            close(descriptor);
        }
    }
    mos_scan_close(scan);
    CU_ASSERT_EQUAL(result.warning_count, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.warnings[0], "/2: vanished"));
    CU_ASSERT_PTR_NOT_NULL(strstr(result.warnings[1], "/3: vanished"));
    CU_ASSERT_PTR_NOT_NULL(strstr(result.warnings[2], "/4: was replaced"));
    // The first name could not be kept: the second has the content.
    CU_ASSERT_FALSE(linked);
}

MOS_TEST(file_systems_of_the_kernel_are_not_entered) {
    struct mos_error error = {0};
    const char *root = "/proc";
    MOS_ASSERT_OK(run(&result, &root, 1, NULL, 0, NULL, &error), &error);
    CU_ASSERT_EQUAL(result.count, 2);
    CU_ASSERT_EQUAL(result.warning_count, 1);
    clear(&result);
}

static mos_scan *open_scan(const char *base, bool look_ahead) {
    struct mos_error error = {0};
    ProtobufCBinaryData root = {.data = (uint8_t *)base, .len = strlen(base)};
    struct mos_scan_options options = {.roots = &root, .root_count = 1, .warn = on_warning, .context = &result, .look_ahead = look_ahead};
    mos_scan *scan = NULL;
    memset(&result, 0, sizeof(result));
    MOS_ASSERT_OK(mos_scan_open(&options, &scan, &error), &error);
    return scan;
}

// The next entry that lies below the base.
static struct mos_entry *next_below(mos_scan *scan, const char *base) {
    struct mos_error error = {0};
    struct mos_entry *entry = NULL;
    do {
        MOS_ASSERT_OK(mos_scan_next(scan, &entry, &error), &error);
    } while (entry && (strncmp(entry->path, base, strlen(base)) != 0 || entry->path[strlen(base)] != '/'));
    return entry;
}

MOS_TEST(looking_ahead_sees_the_same) {
    const char *base = mos_test_directory();
    char name[64];
    for (int i = 0; i < 700; i++) {
        // Folders among long and short runs of files.
        if (i == 100 || i == 110 || i == 111 || i == 400) {
            snprintf(name, sizeof(name), "%04d", i);
            CU_ASSERT_EQUAL(mkdir(below(base, name), 0755), 0);
            for (int k = 0; k < 60; k++) {
                snprintf(name, sizeof(name), "%04d/%04d", i, k);
                put(base, name, "inside");
            }
        } else {
            snprintf(name, sizeof(name), "%04d", i);
            put(base, name, "content" + i % 5);
        }
    }
    CU_ASSERT_EQUAL(link(below(base, "0005"), below(base, "0699a")), 0);
    mos_scan *one = open_scan(base, false), *two = open_scan(base, true);
    size_t count = 0, different = 0;
    for (struct mos_entry *plain, *ahead; (plain = next_below(one, base)) && (ahead = next_below(two, base)); count++) {
        different += strcmp(plain->path, ahead->path) != 0 || plain->inode != ahead->inode || plain->size_bytes != ahead->size_bytes ||
                     plain->type != ahead->type || plain->changed_unix_ns != ahead->changed_unix_ns;
        mos_scan_keep(one);
        mos_scan_keep(two);
    }
    CU_ASSERT_EQUAL(count, 700 + 4 * 60 + 1);
    CU_ASSERT_EQUAL(different, 0);
    CU_ASSERT_PTR_NULL(next_below(two, base));
    CU_ASSERT_EQUAL(result.warning_count, 0);
    mos_scan_close(one);
    mos_scan_close(two);
}

MOS_TEST(what_changes_before_it_is_looked_at_ahead_is_told) {
    const char *base = mos_test_directory();
    char name[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "%04d", i);
        put(base, name, "content");
    }
    mos_scan *scan = open_scan(base, true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(next_below(scan, base));
    // Further on than anybody looks ahead.
    CU_ASSERT_EQUAL(unlink(below(base, "0800")), 0);
    CU_ASSERT_EQUAL(unlink(below(base, "0700")), 0);
    CU_ASSERT_EQUAL(mkdir(below(base, "0700"), 0755), 0);
    put(base, "0700/inside", "content");
    size_t count = 1;
    bool folder = false, inside = false;
    for (struct mos_entry *entry; (entry = next_below(scan, base)); count++) {
        folder = folder || (strcmp(entry->path, below(base, "0700")) == 0 && entry->type == MOS_ENTRY_DIRECTORY);
        inside = inside || strcmp(entry->path, below(base, "0700/inside")) == 0;
    }
    CU_ASSERT_EQUAL(count, 1000);
    CU_ASSERT_TRUE(folder && inside);
    CU_ASSERT_EQUAL(result.warning_count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.warnings[0], "/0800: vanished"));
    mos_scan_close(scan);
    // Given up in the middle.
    scan = open_scan(base, true);
    CU_ASSERT_PTR_NOT_NULL(next_below(scan, base));
    mos_scan_close(scan);
}
