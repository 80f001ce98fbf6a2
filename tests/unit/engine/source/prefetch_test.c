#include "engine/source/prefetch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test.h"

MOS_TEST(reading_gives_what_is_there_and_warm_files_stay_warm) {
    char path[4200], content[16] = "";
    struct mos_coldness coldness = {0};
    snprintf(path, sizeof(path), "%s/file", mos_test_directory());
    int file = open(path, O_RDWR | O_CREAT, 0600);
    CU_ASSERT_EQUAL_FATAL(write(file, "content", 7), 7);
    // What was just written lies in memory.
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(mos_coldness_read(&coldness, file, content, sizeof(content), 0), 7);
        CU_ASSERT_STRING_EQUAL(content, "content");
        CU_ASSERT_FALSE(mos_coldness_is_cold(&coldness));
    }
    CU_ASSERT_EQUAL(mos_coldness_read(&coldness, file, content, sizeof(content), 7), 0);
    CU_ASSERT_EQUAL(mos_coldness_read(&coldness, -1, content, sizeof(content), 0), -1);
    close(file);
}

MOS_TEST(some_waits_make_it_cold_and_reads_without_waiting_end_that) {
    char path[4200], content[16] = "";
    struct mos_coldness coldness = {.score = 1000};
    snprintf(path, sizeof(path), "%s/file", mos_test_directory());
    int file = open(path, O_RDWR | O_CREAT, 0600);
    CU_ASSERT_EQUAL_FATAL(write(file, "content", 7), 7);
    CU_ASSERT_TRUE(mos_coldness_is_cold(&coldness));
    int reads = 0;
    for (; mos_coldness_is_cold(&coldness) && reads < 2000; reads++) {
        mos_coldness_read(&coldness, file, content, sizeof(content), 0);
    }
    CU_ASSERT(reads > 100 && reads < 2000);
    close(file);
}

MOS_TEST(asking_ahead_for_anything_does_no_harm) {
    int directory = open(mos_test_directory(), O_PATH | O_DIRECTORY);
    CU_ASSERT_EQUAL_FATAL(mkfifoat(directory, "pipe", 0600), 0);
    CU_ASSERT_EQUAL_FATAL(symlinkat("pipe", directory, "link"), 0);
    CU_ASSERT_EQUAL_FATAL(mkdirat(directory, "folder", 0700), 0);
    int file = openat(directory, "file", O_WRONLY | O_CREAT, 0600);
    close(file);
    static const char *const names[] = {"none", "pipe", "link", "folder", "file"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        mos_prefetch_file(directory, names[i]);
    }
    // No descriptor is left open.
    int next = dup(directory);
    CU_ASSERT_EQUAL(next, file);
    close(next);
    close(directory);
}
