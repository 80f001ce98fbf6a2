#include "engine/repo/aside.h"

#include "engine/repo/index.h"
#include "fixture.h"

MOS_TEST(marks_come_and_go) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_aside aside;
    fixture_open(&fixture);
    int root = open(fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint8_t ids[3][MOS_PACK_ID_BYTES] = {{9}, {1}, {5}};
    // An older repository has no folder for them.
    char path[4500];
    snprintf(path, sizeof(path), "%s/aside", fixture.path);
    CU_ASSERT_EQUAL(rmdir(path), 0);
    MOS_ASSERT_OK(mos_aside_list(root, &aside, &error), &error);
    CU_ASSERT_EQUAL(aside.count, 0);
    CU_ASSERT_FALSE(mos_aside_has(&aside, ids[0]));
    mos_aside_free(&aside);
    for (int i = 0; i < 3; i++) {
        MOS_ASSERT_OK(mos_aside_add(root, ids[i], &error), &error);
        MOS_ASSERT_OK(mos_aside_add(root, ids[i], &error), &error);
    }
    snprintf(path, sizeof(path), "%s/aside/no-pack", fixture.path);
    write_file(path, "x", 1);
    MOS_ASSERT_OK(mos_aside_remove(root, ids[2], &error), &error);
    MOS_ASSERT_OK(mos_aside_list(root, &aside, &error), &error);
    CU_ASSERT_EQUAL(aside.count, 2);
    CU_ASSERT_TRUE(mos_aside_has(&aside, ids[0]));
    CU_ASSERT_TRUE(mos_aside_has(&aside, ids[1]));
    CU_ASSERT_FALSE(mos_aside_has(&aside, ids[2]));
    mos_aside_free(&aside);
    close(root);
    fixture_close(&fixture);
}

static void set_aside(const char *path, void *context) {
    uint8_t id[MOS_PACK_ID_BYTES];
    CU_ASSERT_TRUE(mos_hex_decode(strrchr(path, '/') + 1, id, sizeof(id)));
    mos_aside_add(*(int *)context, id, NULL);
}

MOS_TEST(what_is_set_aside_is_in_no_index) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_index *index = NULL;
    bool missing;
    char path[4500];
    fixture_open(&fixture);
    int root = open(fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 10, &record, &error), &error);
    MOS_ASSERT_OK(mos_index_open(fixture.repository, &index, &missing, &error), &error);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 3);
    mos_index_close(index);
    snprintf(path, sizeof(path), "%s/packs", fixture.path);
    each_file(path, set_aside, &root);
    MOS_ASSERT_OK(mos_index_open(fixture.repository, &index, &missing, &error), &error);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 0);
    CU_ASSERT_EQUAL(mos_index_chunk_count(index), 0);
    mos_index_close(index);
    // Nor by way of the manifests.
    int64_t unreadable = 0;
    MOS_ASSERT_OK(mos_repository_rebuild_index(fixture.repository, &unreadable, &error), &error);
    MOS_ASSERT_OK(mos_index_open(fixture.repository, &index, &missing, &error), &error);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 0);
    mos_index_close(index);
    close(root);
    fixture_close(&fixture);
}
