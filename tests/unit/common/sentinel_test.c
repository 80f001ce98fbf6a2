#include "common/sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test.h"

static char folder[] = "/tmp/mosaajii-sentinel-XXXXXX";

static const char *place(const char *name) {
    static char path[200];
    if (strstr(folder, "XXXXXX") && !mkdtemp(folder)) {
        abort();
    }
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void put(const char *path, const char *content) {
    FILE *file = fopen(path, "w");
    fputs(content, file);
    fclose(file);
}

MOS_TEST(the_newest_backup_is_named) {
    char first[MOS_ID_TEXT_BYTES], second[MOS_ID_TEXT_BYTES], found[MOS_ID_TEXT_BYTES];
    struct mos_error error;
    mos_id_new(first);
    mos_id_new(second);
    CU_ASSERT_EQUAL(mos_sentinel_read(place("s"), found, &error), MOS_NOT_FOUND);
    MOS_ASSERT_OK(mos_sentinel_write(place("s"), first, &error), &error);
    MOS_ASSERT_OK(mos_sentinel_read(place("s"), found, &error), &error);
    CU_ASSERT_STRING_EQUAL(found, first);
    MOS_ASSERT_OK(mos_sentinel_write(place("s"), second, &error), &error);
    MOS_ASSERT_OK(mos_sentinel_read(place("s"), found, &error), &error);
    CU_ASSERT_STRING_EQUAL(found, second);
    // Nothing else is left in the folder.
    CU_ASSERT_EQUAL(unlink(place("s")), 0);
    CU_ASSERT_EQUAL(rmdir(folder), 0);
    CU_ASSERT_EQUAL(mos_sentinel_write(place("s"), second, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mkdir(folder, 0700), 0);
}

MOS_TEST(what_is_no_sentinel_is_left_alone) {
    char id[MOS_ID_TEXT_BYTES], found[MOS_ID_TEXT_BYTES], longer[200];
    struct mos_error error;
    mos_id_new(id);
    snprintf(longer, sizeof(longer), "mosaajii-sentinel %s\nand more", id);
    const char *const others[] = {"", "a letter of the shop's", "mosaajii-sentinel ",
                                  "mosaajii-sentinel 00000000-0000-0000-0000-00000000000g\n", longer};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct stat facts;
        put(place("other"), others[i]);
        CU_ASSERT_EQUAL(mos_sentinel_read(place("other"), found, &error), MOS_FAILED_PRECONDITION);
        CU_ASSERT_EQUAL(mos_sentinel_write(place("other"), id, &error), MOS_ALREADY_EXISTS);
        CU_ASSERT_EQUAL(stat(place("other"), &facts), 0);
        CU_ASSERT_EQUAL((size_t)facts.st_size, strlen(others[i]));
    }
    // A link is not followed, wherever it leads.
    CU_ASSERT_EQUAL(symlink("other", place("link")), 0);
    CU_ASSERT_EQUAL(mos_sentinel_write(place("link"), id, &error), MOS_ALREADY_EXISTS);
    CU_ASSERT_EQUAL(unlink(place("link")), 0);
    CU_ASSERT_EQUAL(unlink(place("other")), 0);
    CU_ASSERT_EQUAL(rmdir(folder), 0);
}
