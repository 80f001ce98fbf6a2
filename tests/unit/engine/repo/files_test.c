#include "engine/repo/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/test.h"

// A folder with tmp/, lock/ and data/, as a repository has; and a secret beside it that no name may reach.
struct place {
    const char *outside;
    char path[4200];
    int root;
};

static void open_place(struct place *place) {
    struct mos_error error = {0};
    place->outside = mos_test_directory();
    snprintf(place->path, sizeof(place->path), "%s/repo", place->outside);
    CU_ASSERT_EQUAL_FATAL(mkdir(place->path, 0700), 0);
    place->root = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_FATAL(place->root >= 0);
    static const char *const folders[] = {"tmp", "lock", "data"};
    for (size_t i = 0; i < 3; i++) {
        MOS_ASSERT_OK(mos_folder_make(place->root, folders[i], &error), &error);
    }
    MOS_CLEANUP_FD int secret = open(place->outside, O_RDONLY | O_DIRECTORY);
    MOS_CLEANUP_FD int file = openat(secret, "secret", O_WRONLY | O_CREAT, 0600);
    CU_ASSERT_EQUAL(write(file, "secret", 6), 6);
}

static size_t count_in(int root, const char *folder) {
    struct mos_names names;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_folder_list(root, folder, &names, &error), &error);
    size_t count = names.count;
    mos_names_free(&names);
    return count;
}

MOS_TEST(a_file_is_there_whole_after_its_commit) {
    struct place place;
    struct mos_error error = {0};
    struct mos_new_file file;
    MOS_CLEANUP_BUFFER struct mos_buffer content = {0};
    int64_t size = 0;
    open_place(&place);
    MOS_ASSERT_OK(mos_new_file_begin(place.root, &file, &error), &error);
    MOS_ASSERT_OK(mos_new_file_write(&file, "hello ", 6, &error), &error);
    CU_ASSERT_EQUAL(mos_file_size(place.root, "data/ab/x", &size, &error), MOS_NOT_FOUND);
    MOS_ASSERT_OK(mos_new_file_write(&file, "world", 5, &error), &error);
    // Its folder is made on the way.
    MOS_ASSERT_OK(mos_new_file_commit(&file, "data/ab/x", &error), &error);
    mos_new_file_abandon(&file);
    CU_ASSERT_EQUAL(count_in(place.root, "tmp"), 0);
    MOS_ASSERT_OK(mos_file_read(place.root, "data/ab/x", 11, &content, &error), &error);
    CU_ASSERT(content.size_bytes == 11 && memcmp(content.data, "hello world", 11) == 0);
    MOS_ASSERT_OK(mos_file_size(place.root, "data/ab/x", &size, &error), &error);
    CU_ASSERT_EQUAL(size, 11);
    CU_ASSERT_EQUAL(mos_file_read(place.root, "data/ab/x", 10, &content, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(content.size_bytes, 0);
    MOS_ASSERT_OK(mos_file_write(place.root, "data/empty", "", 0, &error), &error);
    MOS_ASSERT_OK(mos_file_read(place.root, "data/empty", 0, &content, &error), &error);
    struct stat status;
    CU_ASSERT_EQUAL(fstatat(place.root, "data/ab/x", &status, 0), 0);
    CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
    close(place.root);
}

// Sizes that fill blocks exactly, by a byte more, and not at all.
MOS_TEST(a_large_file_holds_what_was_written) {
    static const size_t sizes[] = {0, 1, 4096, 2 << 20, (2 << 20) + 1, (5 << 20) + 4096, (6 << 20) + 77};
    struct place place;
    struct mos_error error = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer content = {0};
    uint8_t *data = malloc(7 << 20);
    for (size_t i = 0; i < 7 << 20; i++) {
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    open_place(&place);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct mos_new_file file;
        MOS_ASSERT_OK(mos_new_file_begin_large(place.root, &file, &error), &error);
        for (size_t done = 0, step = 1; done < sizes[i]; done += step) {
            step = step * 3 < sizes[i] - done ? step * 3 : sizes[i] - done;
            MOS_ASSERT_OK(mos_new_file_write(&file, data + done, step, &error), &error);
        }
        char name[32];
        snprintf(name, sizeof(name), "data/%zu", sizes[i]);
        MOS_ASSERT_OK(mos_new_file_commit(&file, name, &error), &error);
        MOS_ASSERT_OK(mos_file_read(place.root, name, 7 << 20, &content, &error), &error);
        CU_ASSERT(content.size_bytes == sizes[i] && memcmp(content.data, data, sizes[i]) == 0);
    }
    struct mos_new_file file;
    MOS_ASSERT_OK(mos_new_file_begin_large(place.root, &file, &error), &error);
    MOS_ASSERT_OK(mos_new_file_write(&file, data, 3 << 20, &error), &error);
    mos_new_file_abandon(&file);
    CU_ASSERT_EQUAL(count_in(place.root, "tmp"), 0);
    free(data);
    close(place.root);
}

MOS_TEST(an_abandoned_or_failed_file_leaves_nothing) {
    struct place place;
    struct mos_error error = {0};
    struct mos_new_file file;
    open_place(&place);
    MOS_ASSERT_OK(mos_new_file_begin(place.root, &file, &error), &error);
    MOS_ASSERT_OK(mos_new_file_write(&file, "x", 1, &error), &error);
    CU_ASSERT_EQUAL(count_in(place.root, "tmp"), 1);
    mos_new_file_abandon(&file);
    CU_ASSERT_EQUAL(count_in(place.root, "tmp"), 0);
    // Where a folder stands in its place, or a file in its folder's.
    MOS_ASSERT_OK(mos_folder_make(place.root, "data/folder", &error), &error);
    CU_ASSERT_NOT_EQUAL(mos_file_write(place.root, "data/folder", "x", 1, &error), MOS_OK);
    MOS_ASSERT_OK(mos_file_write(place.root, "data/file", "x", 1, &error), &error);
    CU_ASSERT_NOT_EQUAL(mos_file_write(place.root, "data/file/x", "x", 1, &error), MOS_OK);
    CU_ASSERT_EQUAL(count_in(place.root, "tmp"), 0);
    CU_ASSERT_EQUAL(count_in(place.root, "data"), 2);
    close(place.root);
}

static void plant(const struct place *place, const char *target, const char *name) {
    unlinkat(place->root, name, 0);
    CU_ASSERT_EQUAL_FATAL(symlinkat(target, place->root, name), 0);
}

static void check_no_link_is_followed(const struct place *place) {
    struct mos_error error = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer content = {0};
    int descriptor = -1, lock = -1;
    int64_t size = 0;
    plant(place, "../../secret", "data/link");
    plant(place, "../..", "data/up");
    // Also one that stays within.
    plant(place, "../tmp", "data/in");
    CU_ASSERT_NOT_EQUAL(mos_file_write(place->root, "data/in/new", "x", 1, &error), MOS_OK);
    CU_ASSERT_EQUAL(count_in(place->root, "tmp"), 0);
    MOS_ASSERT_OK(mos_file_write(place->root, "data/deep/x", "x", 1, &error), &error);
    plant(place, "deep", "data/in");
    CU_ASSERT_NOT_EQUAL(mos_file_read(place->root, "data/in/x", 100, &content, &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_file_open(place->root, "data/link", &descriptor, &size, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(mos_file_size(place->root, "data/link", &size, &error), MOS_CORRUPT);
    CU_ASSERT_NOT_EQUAL(mos_file_read(place->root, "data/up/secret", 100, &content, &error), MOS_OK);
    CU_ASSERT_NOT_EQUAL(mos_file_size(place->root, "data/up/secret", &size, &error), MOS_OK);
    CU_ASSERT_NOT_EQUAL(mos_file_write(place->root, "data/up/new", "x", 1, &error), MOS_OK);
    CU_ASSERT_NOT_EQUAL(mos_file_remove(place->root, "data/up/secret", &error), MOS_OK);
    CU_ASSERT_NOT_EQUAL(mos_folder_make(place->root, "data/up/new", &error), MOS_OK);
    // Names never leave the folder either.
    CU_ASSERT_NOT_EQUAL(mos_file_read(place->root, "../secret", 100, &content, &error), MOS_OK);
    CU_ASSERT_NOT_EQUAL(mos_file_remove(place->root, "../secret", &error), MOS_OK);
    struct mos_names names;
    CU_ASSERT_NOT_EQUAL(mos_folder_list(place->root, "data/up", &names, &error), MOS_OK);
    mos_names_free(&names);
    plant(place, "../../secret", "lock/running");
    CU_ASSERT_NOT_EQUAL(mos_lock_take(place->root, "running", true, false, &lock, &error), MOS_OK);
    // What stands in an object's place as a link is replaced, not written through, and removed itself.
    MOS_ASSERT_OK(mos_file_write(place->root, "data/link", "new", 3, &error), &error);
    MOS_ASSERT_OK(mos_file_read(place->root, "data/link", 3, &content, &error), &error);
    plant(place, "../../secret", "data/link");
    MOS_ASSERT_OK(mos_file_remove(place->root, "data/link", &error), &error);
    char secret[4300];
    struct stat status;
    snprintf(secret, sizeof(secret), "%s/secret", place->outside);
    CU_ASSERT(stat(secret, &status) == 0 && status.st_size == 6);
    snprintf(secret, sizeof(secret), "%s/new", place->outside);
    CU_ASSERT_NOT_EQUAL(lstat(secret, &status), 0);
}

MOS_TEST(no_link_is_followed_for_reading_writing_or_removing) {
    struct place place;
    open_place(&place);
    check_no_link_is_followed(&place);
    close(place.root);
}

// As a kernel before 5.6 answers, or a container that filters the call. For this process and for ever.
static bool take_openat2_away(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

MOS_TEST(no_link_is_followed_where_the_kernel_does_not_help) {
    struct place place;
    open_place(&place);
    fflush(NULL);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        if (!take_openat2_away()) {
            _exit(2);
        }
        unsigned before = CU_get_number_of_failures();
        check_no_link_is_followed(&place);
        fflush(NULL);
        _exit(CU_get_number_of_failures() == before ? 0 : 1);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(place.root);
}

MOS_TEST(only_regular_files_are_objects) {
    struct place place;
    struct mos_error error = {0};
    int descriptor = -1;
    int64_t size = 0;
    open_place(&place);
    // A pipe without a writer must not hold the reader.
    CU_ASSERT_EQUAL(mkfifoat(place.root, "data/pipe", 0600), 0);
    MOS_CLEANUP_FD int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/data/sock", place.path);
    CU_ASSERT_EQUAL(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    MOS_ASSERT_OK(mos_folder_make(place.root, "data/folder", &error), &error);
    static const char *const names[] = {"data/pipe", "data/sock", "data/folder"};
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(mos_file_open(place.root, names[i], &descriptor, &size, &error), MOS_CORRUPT);
        CU_ASSERT_EQUAL(mos_file_size(place.root, names[i], &size, &error), MOS_CORRUPT);
    }
    CU_ASSERT_EQUAL(descriptor, -1);
    close(place.root);
}

MOS_TEST(a_file_that_ends_early_is_told) {
    struct place place;
    struct mos_error error = {0};
    MOS_CLEANUP_FD int descriptor = -1;
    int64_t size = 0;
    char bytes[8];
    open_place(&place);
    MOS_ASSERT_OK(mos_file_write(place.root, "data/x", "0123456", 7, &error), &error);
    MOS_ASSERT_OK(mos_file_open(place.root, "data/x", &descriptor, &size, &error), &error);
    CU_ASSERT_EQUAL(size, 7);
    MOS_ASSERT_OK(mos_file_read_at(descriptor, "x", bytes, 4, 3, &error), &error);
    CU_ASSERT_EQUAL(memcmp(bytes, "3456", 4), 0);
    CU_ASSERT_EQUAL(mos_file_read_at(descriptor, "x", bytes, 5, 3, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(mos_file_read_at(descriptor, "x", bytes, 1, 100, &error), MOS_CORRUPT);
    CU_ASSERT_STRING_EQUAL(error.message, "x is cut short");
    close(place.root);
}

MOS_TEST(folders_list_sorted_and_absent_ones_are_empty) {
    struct place place;
    struct mos_error error = {0};
    struct mos_names names;
    open_place(&place);
    static const char *const made[] = {"data/b", "data/a", "data/c"};
    for (size_t i = 0; i < 3; i++) {
        MOS_ASSERT_OK(mos_file_write(place.root, made[i], "", 0, &error), &error);
    }
    MOS_ASSERT_OK(mos_folder_list(place.root, "data", &names, &error), &error);
    CU_ASSERT_EQUAL_FATAL(names.count, 3);
    CU_ASSERT(strcmp(names.names[0], "a") == 0 && strcmp(names.names[1], "b") == 0 && strcmp(names.names[2], "c") == 0);
    mos_names_free(&names);
    MOS_ASSERT_OK(mos_folder_list(place.root, "none", &names, &error), &error);
    CU_ASSERT_EQUAL(names.count, 0);
    CU_ASSERT_NOT_EQUAL(mos_folder_list(place.root, "data/a", &names, &error), MOS_OK);
    // Removing and making again do no harm.
    MOS_ASSERT_OK(mos_file_remove(place.root, "data/a", &error), &error);
    MOS_ASSERT_OK(mos_file_remove(place.root, "data/a", &error), &error);
    MOS_ASSERT_OK(mos_file_remove(place.root, "none/a", &error), &error);
    MOS_ASSERT_OK(mos_folder_make(place.root, "data", &error), &error);
    CU_ASSERT_NOT_EQUAL(mos_folder_remove(place.root, "data", &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_folder_make(place.root, "none/none", &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_folder_sync(place.root, "none", &error), MOS_NOT_FOUND);
    close(place.root);
}

MOS_TEST(locks_are_shared_or_exclusive_and_end_with_their_descriptor) {
    struct place place;
    struct mos_error error = {0};
    int first = -1, second = -1, third = -1;
    open_place(&place);
    MOS_ASSERT_OK(mos_lock_take(place.root, "running", false, false, &first, &error), &error);
    MOS_ASSERT_OK(mos_lock_take(place.root, "running", false, false, &second, &error), &error);
    CU_ASSERT_EQUAL(mos_lock_take(place.root, "running", true, false, &third, &error), MOS_UNAVAILABLE);
    CU_ASSERT_EQUAL(third, -1);
    close(first);
    CU_ASSERT_EQUAL(mos_lock_take(place.root, "running", true, false, &third, &error), MOS_UNAVAILABLE);
    close(second);
    MOS_ASSERT_OK(mos_lock_take(place.root, "running", true, false, &third, &error), &error);
    CU_ASSERT_EQUAL(mos_lock_take(place.root, "running", false, false, &first, &error), MOS_UNAVAILABLE);
    MOS_ASSERT_OK(mos_lock_take(place.root, "index", true, false, &first, &error), &error);
    close(first);
    close(third);
    close(place.root);
}
