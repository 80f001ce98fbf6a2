#include "engine/repo/objects.h"

#include "engine/repo/prune.h"
#include "unit/engine/repo/fixture.h"

static size_t count_of(const struct mos_object *objects, size_t count, const char *prefix) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += strncmp(objects[i].name, prefix, strlen(prefix)) == 0;
    }
    return found;
}

static void list(struct fixture *fixture, const char *id, struct mos_object **out, size_t *out_count) {
    mos_reader *reader = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_reader_open(fixture->repository, id, &reader, &error), &error);
    MOS_ASSERT_OK(mos_reader_objects(reader, out, out_count, &error), &error);
    mos_reader_close(reader);
}

// Whatever is listed is there, with its size and hash; the packs come first and the manifest last.
static void check_true(struct fixture *fixture, const char *id, const struct mos_object *objects, size_t count) {
    MOS_CLEANUP_BUFFER struct mos_buffer content = {0};
    char path[4400];
    bool packs_over = false;
    for (size_t i = 0; i < count; i++) {
        uint8_t digest[MOS_HASH_BYTES];
        snprintf(path, sizeof(path), "%s/%s", fixture->path, objects[i].name);
        read_file(path, &content);
        mos_sha256(content.data, content.size_bytes, digest);
        CU_ASSERT_EQUAL((size_t)objects[i].size_bytes, content.size_bytes);
        CU_ASSERT_EQUAL(memcmp(digest, objects[i].sha256, sizeof(digest)), 0);
        bool is_pack = strncmp(objects[i].name, "packs/", 6) == 0 || strncmp(objects[i].name, "moved/", 6) == 0;
        CU_ASSERT(!is_pack || !packs_over);
        packs_over = packs_over || !is_pack;
    }
    snprintf(path, sizeof(path), "backups/%s", id);
    CU_ASSERT_STRING_EQUAL(objects[count - 1].name, path);
}

MOS_TEST(a_backup_needs_its_packs_keys_and_manifest) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_object *objects = NULL;
    struct mos_record record;
    size_t count = 0;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 20, &record, &error), &error);
    list(&fixture, ID_A, &objects, &count);
    check_true(&fixture, ID_A, objects, count);
    CU_ASSERT(count_of(objects, count, "packs/") > 0);
    CU_ASSERT_EQUAL(count_of(objects, count, "keys/" ID_A "/"), 1);
    CU_ASSERT_EQUAL(count_of(objects, count, "keys/repository/"), 1);
    CU_ASSERT_EQUAL(count_of(objects, count, "repository"), 2);
    free(objects);
    fixture_close(&fixture);
}

// After a prune has rewritten a pack, the object that leads to the new one goes along.
MOS_TEST(a_rewritten_pack_is_followed) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_object *objects = NULL;
    struct mos_record record;
    struct mos_deletion deletion;
    struct mos_pruning pruning;
    size_t count = 0;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 30, &record, &error), &error);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 28, 3, &record, &error), &error);
    MOS_ASSERT_OK(mos_repository_delete(fixture.repository, ID_A, &deletion, &error), &error);
    mos_deletion_free(&deletion);
    MOS_ASSERT_OK(mos_repository_prune(fixture.repository, &(struct mos_prune_options){0}, &pruning, &error), &error);
    CU_ASSERT(pruning.packs_rewritten > 0);
    list(&fixture, ID_B, &objects, &count);
    check_true(&fixture, ID_B, objects, count);
    CU_ASSERT(count_of(objects, count, "moved/") > 0);
    free(objects);
    fixture_close(&fixture);
}

// One that is gone is listed all the same: another place may have it.
MOS_TEST(a_lost_pack_is_listed) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_object *before = NULL, *after = NULL;
    struct mos_record record;
    size_t count = 0, count_after = 0;
    char path[4400];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 20, &record, &error), &error);
    list(&fixture, ID_A, &before, &count);
    snprintf(path, sizeof(path), "%s/%s", fixture.path, before[0].name);
    CU_ASSERT_EQUAL(unlink(path), 0);
    list(&fixture, ID_A, &after, &count_after);
    CU_ASSERT_EQUAL(count, count_after);
    CU_ASSERT_EQUAL(memcmp(before, after, count * sizeof(*before)), 0);
    free(before);
    free(after);
    fixture_close(&fixture);
}
