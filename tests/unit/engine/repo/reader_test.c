#include "engine/repo/reader.h"

#include <pthread.h>

#include "engine/repo/files.h"
#include "engine/repo/manifest.h"
#include "engine/repo/reader_internal.h"
#include "fixture.h"

static mos_reader *open_backup(struct fixture *fixture, const char *id) {
    struct mos_error error = {0};
    mos_reader *reader = NULL;
    MOS_ASSERT_OK(mos_reader_open(fixture->repository, id, &reader, &error), &error);
    return reader;
}

// The id of the chunk with the content of make_backup's file with this seed.
static struct mos_chunk_id chunk_of(const struct fixture *fixture, uint64_t seed) {
    uint8_t content[FILE_BYTES];
    struct mos_chunk_id id;
    noise(content, sizeof(content), seed);
    mos_chunk_id_of(fixture->repository->keys, content, sizeof(content), &id);
    return id;
}

static bool chunk_is(const struct mos_chunk *chunk, uint64_t seed) {
    uint8_t content[FILE_BYTES];
    noise(content, sizeof(content), seed);
    return chunk->size_bytes == sizeof(content) && memcmp(chunk->data, content, sizeof(content)) == 0;
}

MOS_TEST(facts_and_record_come_back) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    mos_reader *reader = open_backup(&fixture, ID_A);
    CU_ASSERT_STRING_EQUAL(mos_reader_info(reader)->id, ID_A);
    CU_ASSERT_STRING_EQUAL(mos_reader_info(reader)->name, "test");
    CU_ASSERT_STRING_EQUAL(mos_reader_record(reader)->key_id, "local/1");
    CU_ASSERT_STRING_EQUAL(mos_reader_record(reader)->checksum, record.checksum);
    CU_ASSERT_STRING_EQUAL(mos_reader_record(reader)->encrypted_checksum, record.encrypted_checksum);
    CU_ASSERT_STRING_EQUAL(mos_reader_record(reader)->manifest, "backups/" ID_A);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(what_is_not_there_or_no_id_is_not_found) {
    struct fixture fixture;
    struct mos_error error = {0};
    mos_reader *reader = NULL;
    fixture_open(&fixture);
    static const char *const ids[] = {ID_B, "", "..", "../repository", "01890A5D-AC96-774B-BCCE-B302099A8057"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        CU_ASSERT_EQUAL(mos_reader_open(fixture.repository, ids[i], &reader, &error), MOS_NOT_FOUND);
        CU_ASSERT_EQUAL(mos_reader_open_with_key(fixture.repository, ids[i], &(struct mos_key){{0}}, &reader, &error), MOS_NOT_FOUND);
    }
    CU_ASSERT_PTR_NULL(reader);
    fixture_close(&fixture);
}

MOS_TEST(the_data_key_alone_opens_a_backup) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_key key;
    uint32_t version = 0;
    mos_repository *keyless = NULL;
    mos_reader *reader = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    MOS_ASSERT_OK(mos_backup_key_load(fixture.repository, ID_A, &key, &version, &error), &error);
    MOS_ASSERT_OK(mos_repository_open(fixture.path, NULL, &keyless, &error), &error);
    CU_ASSERT_EQUAL(mos_reader_open(keyless, ID_A, &reader, &error), MOS_FAILED_PRECONDITION);
    MOS_ASSERT_OK(mos_reader_open_with_key(keyless, ID_A, &key, &reader, &error), &error);
    CU_ASSERT_EQUAL(count_good_files(reader, 1), 3);
    CU_ASSERT_STRING_EQUAL(mos_reader_record(reader)->key_id, "");
    mos_reader_close(reader);
    key.bytes[0] ^= 1;
    CU_ASSERT_EQUAL(mos_reader_open_with_key(keyless, ID_A, &key, &reader, &error), MOS_CORRUPT);
    mos_repository_close(keyless);
    fixture_close(&fixture);
}

MOS_TEST(a_manifest_of_another_repository_is_refused) {
    struct fixture fixture, other;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_key key;
    uint32_t version = 0;
    mos_reader *reader = NULL;
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    fixture_open(&fixture);
    fixture_open(&other);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 1, &record, &error), &error);
    MOS_ASSERT_OK(mos_backup_key_load(fixture.repository, ID_A, &key, &version, &error), &error);
    MOS_ASSERT_OK(mos_file_read(fixture.repository->root, record.manifest, 1 << 20, &bytes, &error), &error);
    MOS_ASSERT_OK(mos_file_write(other.repository->root, record.manifest, bytes.data, bytes.size_bytes, &error), &error);
    CU_ASSERT_EQUAL(mos_reader_open_with_key(other.repository, ID_A, &key, &reader, &error), MOS_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "another repository"));
    // Its key is missing: that is damage, and not "no such backup".
    CU_ASSERT_EQUAL(mos_reader_open(other.repository, ID_A, &reader, &error), MOS_CORRUPT);
    fixture_close(&fixture);
    fixture_close(&other);
}

MOS_TEST(chunks_are_shared_until_they_are_released) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    const struct mos_chunk *first = NULL, *second = NULL, *other = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    mos_reader *reader = open_backup(&fixture, ID_A);
    struct mos_chunk_id one = chunk_of(&fixture, 1), two = chunk_of(&fixture, 2), none = chunk_of(&fixture, 99);
    MOS_ASSERT_OK(mos_reader_chunk(reader, &one, &first, &error), &error);
    MOS_ASSERT_OK(mos_reader_chunk(reader, &two, &other, &error), &error);
    MOS_ASSERT_OK(mos_reader_chunk(reader, &one, &second, &error), &error);
    CU_ASSERT_PTR_EQUAL(first, second);
    CU_ASSERT(chunk_is(first, 1) && chunk_is(other, 2));
    CU_ASSERT_EQUAL(mos_reader_chunk(reader, &none, &second, &error), MOS_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "no readable pack"));
    // A frame that opens but holds something else than its footer says.
    struct mos_chunk_id three = chunk_of(&fixture, 3);
    mos_chunk_map_find(&reader->chunks, &three)->value = mos_chunk_map_find(&reader->chunks, &one)->value;
    CU_ASSERT_EQUAL(mos_reader_chunk(reader, &three, &second, &error), MOS_CORRUPT);
    // They outlive the reader.
    mos_reader_close(reader);
    CU_ASSERT(chunk_is(first, 1));
    mos_chunk_release(first);
    CU_ASSERT(chunk_is(first, 1));
    mos_chunk_release(first);
    mos_chunk_release(other);
    mos_chunk_release(NULL);
    fixture_close(&fixture);
}

static void damage_pack(const struct fixture *fixture, const struct mos_pack *pack, size_t at) {
    char name[MOS_OBJECT_NAME_BYTES];
    char path[4500];
    mos_pack_name(pack->id, name);
    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    flip_byte(path, at);
}

MOS_TEST(a_damaged_frame_or_missing_pack_is_named) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    const struct mos_chunk *chunk = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    mos_reader *reader = open_backup(&fixture, ID_A);
    struct mos_chunk_id one = chunk_of(&fixture, 1), two = chunk_of(&fixture, 2);
    struct mos_chunk_place place;
    CU_ASSERT_TRUE_FATAL(mos_reader_locate(reader, &one, MOS_NO_PACK, &place));
    const struct mos_pack *pack = &reader->packs[place.pack];
    char name[MOS_OBJECT_NAME_BYTES];
    mos_pack_name(pack->id, name);
    damage_pack(&fixture, pack, reader->frames[place.pack][place.value].offset_bytes + 100);
    CU_ASSERT_EQUAL(mos_reader_chunk(reader, &one, &chunk, &error), MOS_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, name));
    CU_ASSERT_PTR_NULL(chunk);
    MOS_ASSERT_OK(mos_reader_chunk(reader, &two, &chunk, &error), &error);
    mos_chunk_release(chunk);
    MOS_ASSERT_OK(mos_file_remove(fixture.repository->root, name, &error), &error);
    struct mos_chunk_id three = chunk_of(&fixture, 3);
    CU_ASSERT_EQUAL(mos_reader_chunk(reader, &three, &chunk, &error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, name));
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(a_footer_is_read_once_and_its_loss_hurts_its_pack_only) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    const struct mos_chunk *chunk = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 2, &record, &error), &error);
    // The second one refers to a pack of the first, and has one of its own.
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 4, &record, &error), &error);
    mos_reader *reader = open_backup(&fixture, ID_B);
    struct mos_chunk_id one = chunk_of(&fixture, 1), four = chunk_of(&fixture, 4);
    struct mos_chunk_place place;
    CU_ASSERT_TRUE_FATAL(mos_reader_locate(reader, &one, MOS_NO_PACK, &place));
    struct mos_pack pack = reader->packs[place.pack];
    mos_reader_close(reader);
    damage_pack(&fixture, &pack, pack.size_bytes - MOS_PACK_TRAILER_BYTES - 1);
    reader = open_backup(&fixture, ID_B);
    CU_ASSERT_FALSE(mos_reader_locate(reader, &one, place.pack, &place));
    CU_ASSERT_EQUAL(mos_reader_chunk(reader, &one, &chunk, &error), MOS_CORRUPT);
    MOS_ASSERT_OK(mos_reader_chunk(reader, &four, &chunk, &error), &error);
    CU_ASSERT(chunk_is(chunk, 4));
    mos_chunk_release(chunk);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

struct reading {
    mos_reader *reader;
    const struct fixture *fixture;
    size_t good;
};

static void *read_all(void *context) {
    struct reading *reading = context;
    for (uint64_t i = 0; i < 200; i++) {
        struct mos_chunk_id id = chunk_of(reading->fixture, 1 + i % 20);
        const struct mos_chunk *chunk = NULL;
        if (mos_reader_chunk(reading->reader, &id, &chunk, NULL) == MOS_OK) {
            reading->good += chunk_is(chunk, 1 + i % 20);
            mos_chunk_release(chunk);
        }
    }
    return NULL;
}

MOS_TEST(several_threads_read_at_once) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    pthread_t threads[4];
    struct reading readings[4];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 20, &record, &error), &error);
    mos_reader *reader = open_backup(&fixture, ID_A);
    for (size_t i = 0; i < 4; i++) {
        readings[i] = (struct reading){.reader = reader, .fixture = &fixture};
        CU_ASSERT_EQUAL(pthread_create(&threads[i], NULL, read_all, &readings[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(readings[i].good, 200);
    }
    mos_reader_close(reader);
    fixture_close(&fixture);
}
