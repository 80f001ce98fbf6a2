#include "engine/source/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "unit/test.h"

enum { COUNT = 3000 };

// Every name that ends with a 7 is missing.
static bool exists(size_t number) {
    return number % 10 != 7;
}

struct folder {
    int descriptor;
    struct mos_buffer names;
    uint32_t order[COUNT];
    ino_t inodes[COUNT];
};

static void make_folder(struct folder *folder) {
    memset(folder, 0, sizeof(*folder));
    folder->descriptor = open(mos_test_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_FATAL(folder->descriptor >= 0);
    for (size_t i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%05zu", i);
        folder->order[i] = (uint32_t)folder->names.size_bytes;
        mos_buffer_append(&folder->names, name, strlen(name) + 1);
        if (exists(i)) {
            struct stat made;
            int file = openat(folder->descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
            CU_ASSERT_FATAL(file >= 0 && fstat(file, &made) == 0);
            folder->inodes[i] = made.st_ino;
            close(file);
        }
    }
}

static void free_folder(struct folder *folder) {
    close(folder->descriptor);
    mos_buffer_free(&folder->names);
}

static size_t count_wrong(mos_ahead *ahead, const struct folder *folder, size_t first, size_t count) {
    size_t wrong = 0;
    for (size_t i = first; i < first + count; i++) {
        struct stat found = {0};
        errno = 0;
        int result = mos_ahead_next(ahead, &found);
        wrong += exists(i) ? result != 0 || found.st_ino != folder->inodes[i] : result != -1 || errno != ENOENT;
    }
    return wrong;
}

MOS_TEST(every_name_is_looked_at_in_order) {
    static struct folder folder;
    make_folder(&folder);
    mos_ahead *ahead = mos_ahead_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(ahead);
    for (int round = 0; round < 20; round++) {
        mos_ahead_begin(ahead, folder.descriptor, (const char *)folder.names.data, folder.order, COUNT);
        CU_ASSERT_EQUAL(count_wrong(ahead, &folder, 0, COUNT), 0);
        mos_ahead_end(ahead);
    }
    mos_ahead_free(ahead);
    free_folder(&folder);
}

MOS_TEST(runs_of_any_length_may_end_anywhere) {
    static struct folder folder;
    make_folder(&folder);
    mos_ahead *ahead = mos_ahead_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(ahead);
    mos_ahead_end(ahead);
    for (size_t i = 0; i < 600; i++) {
        size_t first = i * 5 % 1000, count = i % 70, used = i % 3 == 0 ? count : i * 7 % (count + 1);
        mos_ahead_begin(ahead, folder.descriptor, (const char *)folder.names.data, folder.order + first, count);
        CU_ASSERT_EQUAL(count_wrong(ahead, &folder, first, used), 0);
        if (i % 2) {
            mos_ahead_end(ahead);
        }
    }
    // With a run begun.
    mos_ahead_begin(ahead, folder.descriptor, (const char *)folder.names.data, folder.order, COUNT);
    mos_ahead_free(ahead);
    mos_ahead_free(NULL);
    free_folder(&folder);
}
