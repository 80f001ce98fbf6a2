#include "engine/repo/verify.h"

#include "engine/repo/files.h"
#include "engine/repo/pack.h"
#include "fixture.h"

struct heard {
    size_t count;
    // Whether one of the messages names this object.
    const char *object;
    bool named;
};

static void hear(void *context, const char *message) {
    struct heard *heard = context;
    heard->count++;
    heard->named = heard->named || (heard->object && strstr(message, heard->object));
}

struct objects {
    char paths[16][4700];
    size_t count;
    const char *folder;
};

static void collect(const char *path, void *context) {
    struct objects *objects = context;
    if (objects->count < 16) {
        snprintf(objects->paths[objects->count++], sizeof(objects->paths[0]), "%s", path);
    }
}

static struct objects list_objects(const struct fixture *fixture, const char *folder) {
    static char path[4500];
    struct objects objects = {.folder = folder};
    snprintf(path, sizeof(path), "%s/%s", fixture->path, folder);
    each_file(path, collect, &objects);
    return objects;
}

static size_t size_of(const char *path) {
    struct stat status;
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    return (size_t)status.st_size;
}

MOS_TEST(a_whole_backup_is_valid) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_verify_result result;
    struct heard heard = {0};
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 50, &record, &error), &error);
    verify_all(&fixture, ID_A, hear, &heard, &result);
    CU_ASSERT(result.size_valid && result.checksum_valid && result.encryption_valid);
    CU_ASSERT_EQUAL(result.error_count, 0);
    CU_ASSERT_EQUAL(heard.count, 0);
    // repository and its copy, two keys, the manifest, packs of the data, of the tree and of its copy.
    CU_ASSERT_EQUAL(result.objects_checked, 8);
    CU_ASSERT(result.bytes_checked > 50 * FILE_BYTES);
    mos_verify *verify = NULL;
    CU_ASSERT_EQUAL(mos_verify_begin(fixture.repository, ID_B, NULL, NULL, &verify, &error), MOS_NOT_FOUND);
    fixture_close(&fixture);
}

MOS_TEST(each_changed_byte_of_a_pack_is_found) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 1, &record, &error), &error);
    struct objects packs = list_objects(&fixture, "packs");
    CU_ASSERT_EQUAL(packs.count, 3);
    for (size_t p = 0; p < packs.count; p++) {
        size_t size = size_of(packs.paths[p]);
        for (size_t at = 0; at < size; at++) {
            struct mos_verify_result result;
            struct heard heard = {.object = strstr(packs.paths[p], "packs/")};
            bool sealed = at >= MOS_PACK_HEADER_BYTES && at < size - MOS_PACK_TRAILER_BYTES;
            flip_byte(packs.paths[p], at);
            verify_all(&fixture, ID_A, hear, &heard, &result);
            if (!result.size_valid || result.checksum_valid || result.encryption_valid == sealed || !heard.named) {
                printf("byte %zu of %zu: size %d checksum %d encryption %d named %d\n", at, size, result.size_valid, result.checksum_valid,
                       result.encryption_valid, heard.named);
                CU_FAIL("a changed byte was not found as it should");
            }
            mos_reader *reader = NULL;
            MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_A, &reader, &error), &error);
            // The tree lies in two packs, so that neither of them alone is missed.
            CU_ASSERT_EQUAL(count_good_files(reader, 1), sealed && size > FILE_BYTES ? 0 : 1);
            mos_reader_close(reader);
            flip_byte(packs.paths[p], at);
        }
    }
    fixture_close(&fixture);
}

// Each byte of one object, by its path in the repository. `encryption_from`, `encryption_to`: where a change also keeps it from opening.
static void check_each_byte(struct fixture *fixture, const char *name, size_t encryption_to) {
    char path[4500];
    struct mos_error error = {0};
    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    size_t size = size_of(path);
    for (size_t at = 0; at < size; at++) {
        struct mos_verify_result result;
        struct heard heard = {.object = name};
        flip_byte(path, at);
        mos_repository *repository = NULL;
        MOS_ASSERT_OK(mos_repository_open(fixture->path, fixture->keyring, &repository, &error), &error);
        struct fixture changed = *fixture;
        changed.repository = repository;
        verify_all(&changed, ID_A, hear, &heard, &result);
        bool encryption_valid = at >= encryption_to;
        if (!result.size_valid || result.checksum_valid || result.encryption_valid != encryption_valid || !heard.named) {
            printf("byte %zu of %zu of %s: size %d checksum %d encryption %d named %d\n", at, size, name, result.size_valid,
                   result.checksum_valid, result.encryption_valid, heard.named);
            CU_FAIL("a changed byte was not found as it should");
        }
        mos_repository_close(repository);
        flip_byte(path, at);
    }
}

MOS_TEST(each_changed_byte_of_another_object_is_found) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 1, &record, &error), &error);
    char manifest[4500];
    snprintf(manifest, sizeof(manifest), "%s/backups/" ID_A, fixture.path);
    // The checksum at the end is for those without a key.
    check_each_byte(&fixture, "backups/" ID_A, size_of(manifest) - MOS_HASH_BYTES);
    check_each_byte(&fixture, "keys/" ID_A "/1", 70);
    check_each_byte(&fixture, "keys/repository/1", 70);
    check_each_byte(&fixture, "repository", 0);
    check_each_byte(&fixture, "repository.copy", 0);
    fixture_close(&fixture);
}

static void check_cut(struct fixture *fixture, const char *path, const char *name) {
    struct mos_verify_result result;
    struct heard heard = {.object = name};
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    read_file(path, &object);
    for (size_t cut = 1; cut <= object.size_bytes; cut += cut < 80 ? 1 : object.size_bytes / 7 + 1) {
        write_file(path, object.data, object.size_bytes - cut);
        verify_all(fixture, ID_A, hear, &heard, &result);
        CU_ASSERT_FALSE(result.size_valid);
        CU_ASSERT_TRUE(heard.named);
    }
    mos_buffer_append_byte(&object, 0);
    write_file(path, object.data, object.size_bytes);
    verify_all(fixture, ID_A, hear, &heard, &result);
    CU_ASSERT_FALSE(result.size_valid);
    write_file(path, object.data, object.size_bytes - 1);
    verify_all(fixture, ID_A, hear, &heard, &result);
    CU_ASSERT_EQUAL(result.error_count, 0);
}

MOS_TEST(a_cut_or_missing_object_has_not_its_size) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_verify_result result;
    char path[4500];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 1, &record, &error), &error);
    struct objects packs = list_objects(&fixture, "packs");
    check_cut(&fixture, packs.paths[0], strstr(packs.paths[0], "packs/"));
    check_cut(&fixture, packs.paths[1], strstr(packs.paths[1], "packs/"));
    snprintf(path, sizeof(path), "%s/backups/" ID_A, fixture.path);
    check_cut(&fixture, path, "backups/" ID_A);
    snprintf(path, sizeof(path), "%s/keys/" ID_A "/1", fixture.path);
    check_cut(&fixture, path, "keys/" ID_A);
    CU_ASSERT_EQUAL(unlink(packs.paths[0]), 0);
    struct heard heard = {.object = strstr(packs.paths[0], "packs/")};
    verify_all(&fixture, ID_A, hear, &heard, &result);
    CU_ASSERT(!result.size_valid && heard.named);
    CU_ASSERT_EQUAL(unlink(path), 0);
    heard = (struct heard){.object = "keys/" ID_A};
    verify_all(&fixture, ID_A, hear, &heard, &result);
    CU_ASSERT(!result.size_valid && heard.named);
    fixture_close(&fixture);
}

static void lengthen(const char *path, void *context) {
    (void)context;
    CU_ASSERT_EQUAL(truncate(path, INT64_C(1) << 40), 0);
}

// Read to its end, it would take hours.
MOS_TEST(a_pack_of_a_terabyte_is_damage_without_reading_it) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_verify_result result;
    char path[4500];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 10, &record, &error), &error);
    snprintf(path, sizeof(path), "%s/packs", fixture.path);
    each_file(path, lengthen, NULL);
    verify_all(&fixture, ID_A, NULL, NULL, &result);
    CU_ASSERT_FALSE(result.size_valid);
    CU_ASSERT_FALSE(result.checksum_valid);
    // What the manifest names is still there.
    CU_ASSERT_TRUE(result.encryption_valid);
    CU_ASSERT(result.bytes_checked < 1 << 20);
    fixture_close(&fixture);
}

MOS_TEST(a_pipe_or_link_in_place_of_a_pack_is_damage) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_verify_result result;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 1, &record, &error), &error);
    struct objects packs = list_objects(&fixture, "packs");
    CU_ASSERT_EQUAL(unlink(packs.paths[0]), 0);
    CU_ASSERT_EQUAL(mkfifo(packs.paths[0], 0600), 0);
    verify_all(&fixture, ID_A, NULL, NULL, &result);
    CU_ASSERT_FALSE(result.size_valid);
    CU_ASSERT_EQUAL(unlink(packs.paths[0]), 0);
    CU_ASSERT_EQUAL(symlink("/dev/zero", packs.paths[0]), 0);
    verify_all(&fixture, ID_A, NULL, NULL, &result);
    CU_ASSERT_FALSE(result.size_valid);
    fixture_close(&fixture);
}

MOS_TEST(damage_hurts_the_files_of_its_chunk_only) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_verify *verify = NULL;
    mos_tree_reader *tree = NULL;
    const struct mos_entry *entry = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 20, &record, &error), &error);
    struct objects packs = list_objects(&fixture, "packs");
    const char *data = packs.paths[0];
    for (size_t i = 1; i < packs.count; i++) {
        data = size_of(packs.paths[i]) > size_of(data) ? packs.paths[i] : data;
    }
    // In the third frame: noise does not compress.
    flip_byte(data, MOS_PACK_HEADER_BYTES + 2 * (FILE_BYTES + 16) + 100);
    MOS_ASSERT_OK(mos_verify_begin(fixture.repository, ID_A, NULL, NULL, &verify, &error), &error);
    for (size_t i = 0; i < mos_verify_packs(verify); i++) {
        MOS_ASSERT_OK(mos_verify_pack(verify, i, &error), &error);
    }
    size_t hurt = 0;
    MOS_ASSERT_OK(mos_tree_open(mos_verify_reader(verify), NULL, 0, &tree, &error), &error);
    for (size_t i = 0; mos_tree_next(tree, &entry, &error) == MOS_OK && entry; i++) {
        bool damaged = mos_verify_extent_damaged(verify, &entry->extents[0]);
        CU_ASSERT_EQUAL(damaged, i == 2);
        hurt += damaged;
    }
    CU_ASSERT_EQUAL(hurt, 1);
    CU_ASSERT_EQUAL(count_good_files(mos_verify_reader(verify), 1), 19);
    // What is damaged is not relied on again.
    size_t damaged_packs;
    const uint8_t *ids = mos_verify_damaged_packs(verify, &damaged_packs);
    CU_ASSERT_EQUAL(damaged_packs, 1);
    MOS_ASSERT_OK(mos_repository_distrust_packs(fixture.repository, ids, damaged_packs, &error), &error);
    mos_tree_close(tree);
    mos_verify_free(verify);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 20, &record, &error), &error);
    struct mos_verify_result result;
    verify_all(&fixture, ID_B, NULL, NULL, &result);
    CU_ASSERT_EQUAL(result.error_count, 0);
    fixture_close(&fixture);
}

MOS_TEST(a_swapped_pack_is_found) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_verify_result result;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 1, &record, &error), &error);
    struct objects packs = list_objects(&fixture, "packs");
    MOS_CLEANUP_BUFFER struct mos_buffer other = {0};
    read_file(packs.paths[1], &other);
    write_file(packs.paths[0], other.data, other.size_bytes);
    verify_all(&fixture, ID_A, NULL, NULL, &result);
    CU_ASSERT(!result.checksum_valid && !result.encryption_valid);
    fixture_close(&fixture);
}
