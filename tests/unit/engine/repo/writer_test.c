#include "engine/repo/writer.h"

#include <pthread.h>

#include "engine/crypto/hash.h"
#include "fixture.h"

MOS_TEST(what_was_written_can_be_read) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record = {0};
    mos_reader *reader = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 200, &record, &error), &error);
    fixture_reopen(&fixture);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_A, &reader, &error), &error);
    CU_ASSERT_EQUAL(count_good_files(reader, 1), 200);
    CU_ASSERT_STRING_EQUAL(mos_reader_info(reader)->id, ID_A);
    CU_ASSERT_STRING_EQUAL(mos_reader_info(reader)->name, "test");
    CU_ASSERT(mos_reader_info(reader)->statistics->encrypted_size > 200 * FILE_BYTES);
    CU_ASSERT_STRING_EQUAL(record.key_id, "local/1");
    CU_ASSERT_STRING_EQUAL(record.manifest, "backups/" ID_A);
    CU_ASSERT_EQUAL(memcmp(&record, mos_reader_record(reader), sizeof(record)), 0);
    // The encrypted checksum is one that anybody can compute.
    char path[4400];
    char hex[2 * MOS_HASH_BYTES + 1];
    uint8_t digest[MOS_HASH_BYTES];
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    snprintf(path, sizeof(path), "%s/%s", fixture.path, record.manifest);
    read_file(path, &object);
    mos_sha256(object.data, object.size_bytes, digest);
    mos_hex_encode(digest, sizeof(digest), hex);
    CU_ASSERT_STRING_EQUAL(hex, record.encrypted_checksum);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(an_empty_backup_is_one) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record = {0};
    mos_reader *reader = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 0, &record, &error), &error);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_A, &reader, &error), &error);
    CU_ASSERT_EQUAL(count_good_files(reader, 1), 0);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(the_same_again_writes_no_chunk) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record first = {0};
    struct mos_record second = {0};
    mos_reader *reader = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 100, &first, &error), &error);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 100, &second, &error), &error);
    CU_ASSERT_STRING_EQUAL(first.checksum, second.checksum);
    CU_ASSERT_STRING_NOT_EQUAL(first.encrypted_checksum, second.encrypted_checksum);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_B, &reader, &error), &error);
    CU_ASSERT_EQUAL(mos_reader_info(reader)->statistics->bytes_new, 0);
    CU_ASSERT_EQUAL(mos_reader_info(reader)->statistics->bytes_written, 0);
    CU_ASSERT(mos_reader_info(reader)->statistics->encrypted_size > 100 * FILE_BYTES);
    CU_ASSERT_EQUAL(count_good_files(reader, 1), 100);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(an_id_is_taken_once) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 1, &record, &error), &error);
    CU_ASSERT_EQUAL(make_backup(&fixture, ID_A, 1, 1, &record, &error), MOS_ALREADY_EXISTS);
    CU_ASSERT_EQUAL(make_backup(&fixture, "../../etc/passwd", 1, 1, &record, &error), MOS_INVALID_ARGUMENT);
    fixture_close(&fixture);
}

MOS_TEST(what_was_not_finished_is_reused_and_not_seen) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_writer *writer = NULL;
    mos_reader *reader = NULL;
    size_t size = 3u << 20;
    fixture_open(&fixture);
    struct mos_writer_options options = {.backup_id = ID_A, .compression_level = 1, .workers = 1};
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    // More than one pack, so that one is finished.
    for (uint64_t seed = 0; seed < 13; seed++) {
        char path[32];
        snprintf(path, sizeof(path), "/%02u", (unsigned)seed);
        MOS_ASSERT_OK(put_file(writer, path, seed, size, &error), &error);
    }
    mos_writer_free(writer);
    CU_ASSERT_EQUAL(mos_reader_open(fixture.repository, ID_A, &reader, &error), MOS_NOT_FOUND);
    options.backup_id = ID_B;
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    for (uint64_t seed = 0; seed < 13; seed++) {
        char path[32];
        snprintf(path, sizeof(path), "/%02u", (unsigned)seed);
        MOS_ASSERT_OK(put_file(writer, path, seed, size, &error), &error);
    }
    struct mos_writer_totals totals;
    mos_writer_totals(writer, &totals);
    CU_ASSERT_EQUAL(totals.new_bytes, 2 * (int64_t)size);
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
    struct mos_verify_result result;
    verify_all(&fixture, ID_B, NULL, NULL, &result);
    CU_ASSERT_EQUAL(result.error_count, 0);
    // Nothing is left of the pack that was not finished.
    char tmp[4400];
    snprintf(tmp, sizeof(tmp), "%s/tmp", fixture.path);
    CU_ASSERT_EQUAL(rmdir(tmp), 0);
    fixture_close(&fixture);
}

MOS_TEST(chunks_of_a_parent_are_referred_to) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_writer *writer = NULL;
    mos_reader *reader = NULL;
    mos_tree_reader *tree = NULL;
    const struct mos_entry *entry = NULL;
    bool found = false;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 7, 1, &record, &error), &error);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_A, &reader, &error), &error);
    struct mos_writer_options options = {.backup_id = ID_B, .compression_level = 1, .workers = 1};
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    MOS_ASSERT_OK(mos_tree_open(reader, NULL, 0, &tree, &error), &error);
    MOS_ASSERT_OK(mos_tree_next(tree, &entry, &error), &error);
    MOS_ASSERT_OK(mos_writer_reuse(writer, &entry->extents[0].chunk, &found, &error), &error);
    CU_ASSERT_TRUE(found);
    MOS_ASSERT_OK(mos_writer_add(writer, entry, &error), &error);
    struct mos_chunk_id unknown = {{1, 2, 3}};
    MOS_ASSERT_OK(mos_writer_reuse(writer, &unknown, &found, &error), &error);
    CU_ASSERT_FALSE(found);
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
    mos_tree_close(tree);
    mos_reader_close(reader);
    struct mos_deletion deletion;
    MOS_ASSERT_OK(mos_repository_delete(fixture.repository, ID_A, &deletion, &error), &error);
    mos_deletion_free(&deletion);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_B, &reader, &error), &error);
    CU_ASSERT_EQUAL(count_good_files(reader, 7), 1);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(entries_out_of_order_are_refused_and_the_rest_goes_on) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_writer *writer = NULL;
    mos_reader *reader = NULL;
    fixture_open(&fixture);
    struct mos_writer_options options = {.backup_id = ID_A, .compression_level = 1, .workers = 1};
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    MOS_ASSERT_OK(put_file(writer, "/data/0002", 2, FILE_BYTES, &error), &error);
    CU_ASSERT_EQUAL(put_file(writer, "/data/0001", 1, FILE_BYTES, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(put_file(writer, "/data/0002", 1, FILE_BYTES, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(put_file(writer, "/data/../x", 1, FILE_BYTES, &error), MOS_INVALID_ARGUMENT);
    MOS_ASSERT_OK(put_file(writer, "/data/0003", 3, FILE_BYTES, &error), &error);
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_A, &reader, &error), &error);
    CU_ASSERT_EQUAL(count_good_files(reader, 0), 2);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

#define THREADS 4
#define CHUNKS 400

struct put_work {
    mos_writer *writer;
    unsigned worker;
    size_t new_chunks;
    struct mos_chunk_id ids[CHUNKS];
    mos_status status;
};

// All workers put the same chunks, each in another order.
static void *put_chunks(void *argument) {
    // No common factor with CHUNKS, so that each order has every chunk.
    static const size_t strides[THREADS] = {1, 3, 7, 9};
    struct put_work *work = argument;
    for (size_t i = 0; i < CHUNKS && work->status == MOS_OK; i++) {
        size_t number = i * strides[work->worker] % CHUNKS;
        uint8_t content[FILE_BYTES];
        bool was_new = false;
        noise(content, sizeof(content), number);
        work->status = mos_writer_put(work->writer, work->worker, content, sizeof(content), &work->ids[number], &was_new, NULL);
        work->new_chunks += was_new;
    }
    return NULL;
}

MOS_TEST(workers_at_once_store_each_chunk_once) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_writer *writer = NULL;
    fixture_open(&fixture);
    struct mos_writer_options options = {.backup_id = ID_A, .compression_level = 1, .workers = THREADS};
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    static struct put_work work[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        work[i] = (struct put_work){.writer = writer, .worker = i};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, put_chunks, &work[i]), 0);
    }
    size_t new_chunks = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(work[i].status, MOS_OK);
        new_chunks += work[i].new_chunks;
        CU_ASSERT_EQUAL(memcmp(work[i].ids, work[0].ids, sizeof(work[0].ids)), 0);
    }
    CU_ASSERT_EQUAL(new_chunks, CHUNKS);
    struct mos_writer_totals totals;
    mos_writer_totals(writer, &totals);
    CU_ASSERT_EQUAL(totals.new_bytes, (int64_t)CHUNKS * FILE_BYTES);
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
    mos_reader *reader = NULL;
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_A, &reader, &error), &error);
    for (size_t i = 0; i < CHUNKS; i++) {
        const struct mos_chunk *chunk = NULL;
        uint8_t expected[FILE_BYTES];
        noise(expected, sizeof(expected), i);
        MOS_ASSERT_OK(mos_reader_chunk(reader, &work[0].ids[i], &chunk, &error), &error);
        CU_ASSERT(chunk->size_bytes == FILE_BYTES && memcmp(chunk->data, expected, FILE_BYTES) == 0);
        mos_chunk_release(chunk);
    }
    mos_reader_close(reader);
    fixture_close(&fixture);
}
