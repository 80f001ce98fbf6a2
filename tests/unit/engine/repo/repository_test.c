#include "engine/repo/repository.h"

#include "fixture.h"

MOS_TEST(a_repository_is_made_once_and_opened) {
    struct fixture fixture;
    struct mos_error error = {0};
    mos_repository *again = NULL;
    uint8_t id[16];
    uint64_t gear[MOS_GEAR_ENTRIES];
    fixture_open(&fixture);
    memcpy(id, mos_repository_id(fixture.repository), sizeof(id));
    memcpy(gear, mos_repository_gear(fixture.repository), sizeof(gear));
    CU_ASSERT_EQUAL(mos_repository_create(fixture.path, fixture.keyring, &again, &error), MOS_ALREADY_EXISTS);
    fixture_reopen(&fixture);
    CU_ASSERT_EQUAL(memcmp(id, mos_repository_id(fixture.repository), sizeof(id)), 0);
    CU_ASSERT_EQUAL(memcmp(gear, mos_repository_gear(fixture.repository), sizeof(gear)), 0);
    CU_ASSERT_EQUAL(mos_repository_chunk_limits(fixture.repository)->average_bytes, MOS_CHUNK_AVERAGE_BYTES);
    CU_ASSERT_EQUAL(mos_repository_writable(fixture.repository, &error), MOS_OK);
    fixture_close(&fixture);
}

MOS_TEST(other_folders_are_left_alone) {
    mos_repository *repository = NULL;
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    char path[4500];
    const char *folder = mos_test_directory();
    snprintf(path, sizeof(path), "%s/keyring", folder);
    MOS_ASSERT_OK(mos_keyring_create(path, &keyring, &error), &error);
    CU_ASSERT_EQUAL(mos_repository_open(folder, keyring, &repository, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_repository_create(folder, keyring, &repository, &error), MOS_FAILED_PRECONDITION);
    snprintf(path, sizeof(path), "%s/none/none", folder);
    CU_ASSERT_EQUAL(mos_repository_create(path, keyring, &repository, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_repository_open(path, keyring, &repository, &error), MOS_NOT_FOUND);
    mos_keyring_free(keyring);
}

MOS_TEST(a_lost_repository_object_has_its_copy) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_verify_result result;
    mos_repository *again = NULL;
    char path[4500];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    snprintf(path, sizeof(path), "%s/repository", fixture.path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    fixture_reopen(&fixture);
    verify_all(&fixture, ID_A, NULL, NULL, &result);
    CU_ASSERT_FALSE(result.size_valid);
    // The next backup makes it again; nobody makes a new repository over the old one.
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 3, &record, &error), &error);
    verify_all(&fixture, ID_A, NULL, NULL, &result);
    CU_ASSERT_EQUAL(result.error_count, 0);
    CU_ASSERT_EQUAL(unlink(path), 0);
    strcat(path, ".copy");
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(mos_repository_open(fixture.path, fixture.keyring, &again, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_repository_create(fixture.path, fixture.keyring, &again, &error), MOS_FAILED_PRECONDITION);
    fixture_close(&fixture);
}

MOS_TEST(a_lost_secret_stops_new_backups_only) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_reader *reader = NULL;
    char path[4500];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    snprintf(path, sizeof(path), "%s/keys/repository/1", fixture.path);
    flip_byte(path, 30);
    fixture_reopen(&fixture);
    CU_ASSERT_EQUAL(mos_repository_writable(fixture.repository, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(make_backup(&fixture, ID_B, 1, 3, &record, &error), MOS_CORRUPT);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_A, &reader, &error), &error);
    CU_ASSERT_EQUAL(count_good_files(reader, 1), 3);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(changed_parameters_are_noticed) {
    struct fixture fixture;
    struct mos_error error = {0};
    char path[4500];
    uint8_t object[66];
    fixture_open(&fixture);
    // Both objects changed alike, with a checksum that fits: only the secret's binding can tell.
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    snprintf(path, sizeof(path), "%s/repository", fixture.path);
    read_file(path, &bytes);
    CU_ASSERT_EQUAL_FATAL(bytes.size_bytes, sizeof(object));
    memcpy(object, bytes.data, sizeof(object));
    object[32] = 0x60;
    mos_sha256(object, 34, object + 34);
    write_file(path, object, sizeof(object));
    strcat(path, ".copy");
    write_file(path, object, sizeof(object));
    fixture_reopen(&fixture);
    CU_ASSERT_EQUAL(mos_repository_writable(fixture.repository, &error), MOS_CORRUPT);
    fixture_close(&fixture);
}

MOS_TEST(another_keyring_opens_nothing) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_reader *reader = NULL;
    mos_keyring *other = NULL;
    char path[4500];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    snprintf(path, sizeof(path), "%s.other", fixture.keyring_path);
    MOS_ASSERT_OK(mos_keyring_create(path, &other, &error), &error);
    mos_keyring_free(fixture.keyring);
    fixture.keyring = other;
    fixture_reopen(&fixture);
    CU_ASSERT_EQUAL(mos_repository_writable(fixture.repository, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(mos_reader_open(fixture.repository, ID_A, &reader, &error), MOS_CORRUPT);
    // A keyring without the version is told apart.
    mos_keyring_free(fixture.keyring);
    const char text[] =
        "mosaajii-keyring 1\n7 active 2026-01-31T12:00:00Z 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    MOS_ASSERT_OK(mos_keyring_parse(text, strlen(text), &fixture.keyring, &error), &error);
    mos_repository *again = NULL;
    CU_ASSERT_EQUAL(mos_repository_open(fixture.path, fixture.keyring, &again, &error), MOS_FAILED_PRECONDITION);
    fixture_close(&fixture);
}

MOS_TEST(after_a_rotation_old_and_new_backups_open) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_verify_result result;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 3, &record, &error), &error);
    CU_ASSERT_STRING_EQUAL(record.key_id, "local/2");
    fixture_reopen(&fixture);
    verify_all(&fixture, ID_A, NULL, NULL, &result);
    CU_ASSERT_EQUAL(result.error_count, 0);
    verify_all(&fixture, ID_B, NULL, NULL, &result);
    CU_ASSERT_EQUAL(result.error_count, 0);
    fixture_close(&fixture);
}

struct ids {
    char text[4][MOS_ID_TEXT_BYTES];
    size_t count;
};

static mos_status note_id(void *context, const char *backup_id, struct mos_error *error) {
    (void)error;
    struct ids *ids = context;
    snprintf(ids->text[ids->count++], MOS_ID_TEXT_BYTES, "%s", backup_id);
    return MOS_OK;
}

MOS_TEST(all_backups_are_visited) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct ids ids = {0};
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 1, &record, &error), &error);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 1, &record, &error), &error);
    MOS_ASSERT_OK(mos_repository_each_backup(fixture.repository, note_id, &ids, &error), &error);
    CU_ASSERT_EQUAL(ids.count, 2);
    CU_ASSERT_STRING_EQUAL(ids.text[0], ID_A);
    CU_ASSERT_STRING_EQUAL(ids.text[1], ID_B);
    fixture_close(&fixture);
}

// Everything in a repository, for looking for runs of bytes.
struct windows {
    struct mos_buffer bytes;
    size_t starts[64];
    size_t file_count;
};

static void add_file(const char *path, void *context) {
    struct windows *windows = context;
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    read_file(path, &bytes);
    CU_ASSERT_FATAL(windows->file_count < 63);
    windows->starts[windows->file_count++] = windows->bytes.size_bytes;
    mos_buffer_append(&windows->bytes, bytes.data, bytes.size_bytes);
    windows->starts[windows->file_count] = windows->bytes.size_bytes;
}

static int compare_windows(const void *a, const void *b) {
    return memcmp(*(const uint8_t *const *)a, *(const uint8_t *const *)b, 32);
}

MOS_TEST(two_repositories_of_the_same_input_have_nothing_in_common) {
    struct windows windows[2] = {0};
    for (size_t r = 0; r < 2; r++) {
        struct fixture fixture;
        struct mos_error error = {0};
        struct mos_record record;
        fixture_open(&fixture);
        MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 5, &record, &error), &error);
        // And with index/main, which the second backup makes.
        MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 6, &record, &error), &error);
        each_file(fixture.path, add_file, &windows[r]);
        fixture_close(&fixture);
    }
    const uint8_t **sorted = mos_calloc(windows[0].bytes.size_bytes + 1, sizeof(*sorted));
    size_t count = 0;
    for (size_t f = 0; f < windows[0].file_count; f++) {
        for (size_t at = windows[0].starts[f]; at + 32 <= windows[0].starts[f + 1]; at++) {
            sorted[count++] = windows[0].bytes.data + at;
        }
    }
    qsort(sorted, count, sizeof(*sorted), compare_windows);
    // Not even within one repository does a run come twice.
    size_t twice = 0;
    for (size_t i = 1; i < count; i++) {
        twice += memcmp(sorted[i - 1], sorted[i], 32) == 0;
    }
    // The two repository objects are the same on purpose.
    CU_ASSERT_EQUAL(twice, 66 - 31);
    size_t common = 0;
    for (size_t f = 0; f < windows[1].file_count; f++) {
        for (size_t at = windows[1].starts[f]; at + 32 <= windows[1].starts[f + 1]; at++) {
            const uint8_t *window = windows[1].bytes.data + at;
            common += bsearch(&window, sorted, count, sizeof(*sorted), compare_windows) != NULL;
        }
    }
    CU_ASSERT(count > 10000);
    CU_ASSERT_EQUAL(common, 0);
    free(sorted);
    mos_buffer_free(&windows[0].bytes);
    mos_buffer_free(&windows[1].bytes);
}
