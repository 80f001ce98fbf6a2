#include "engine/repo/rekey.h"

#include "engine/repo/files.h"
#include "engine/repo/key_object.h"
#include "unit/engine/repo/fixture.h"

// ---- What the tests watch ----

struct watch {
    int now, before, failed;
    // Stops after so many; 0: never.
    int stop_after;
    // Called at each.
    void (*each)(const char *owner);
};

static void done(void *context, const char *owner, bool now) {
    struct watch *watch = context;
    *(now ? &watch->now : &watch->before) += 1;
    if (watch->each) {
        watch->each(owner);
    }
}

static void failed(void *context, const char *owner, const char *reason) {
    (void)owner;
    CU_ASSERT_NOT_EQUAL(*reason, 0);
    ((struct watch *)context)->failed++;
}

static mos_status check(void *context, struct mos_error *error) {
    struct watch *watch = context;
    return watch->stop_after && watch->now >= watch->stop_after ? mos_fail(error, MOS_CANCELLED, "stopped") : MOS_OK;
}

static mos_status rewrap(struct fixture *fixture, struct watch *watch, struct mos_error *error) {
    const struct mos_rewrap_progress progress = {done, failed, check, watch};
    return mos_repository_rewrap(fixture->repository, &progress, error);
}

static void backups(struct fixture *fixture) {
    static const char *const ids[] = {ID_A, ID_B, ID_C};
    struct mos_error error = {0};
    for (size_t i = 0; i < 3; i++) {
        struct mos_record record;
        MOS_ASSERT_OK(make_backup(fixture, ids[i], 100 * i, 5, &record, &error), &error);
    }
}

static bool exists(struct fixture *fixture, const char *name) {
    char path[4400];
    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    return access(path, F_OK) == 0;
}

// All files read back with the keyring as it stands in its file.
static bool all_good(struct fixture *fixture, const char *id, uint64_t seed) {
    mos_keyring *keyring = NULL;
    mos_repository *repository = NULL;
    mos_reader *reader = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_keyring_load(fixture->keyring_path, &keyring, &error), &error);
    MOS_ASSERT_OK(mos_repository_open(fixture->path, keyring, &repository, &error), &error);
    bool good = mos_reader_open(repository, id, &reader, &error) == MOS_OK && count_good_files(reader, seed) == 5;
    mos_reader_close(reader);
    mos_repository_close(repository);
    mos_keyring_free(keyring);
    return good;
}

struct stamp {
    char text[64 * 1024];
    size_t length;
};

static void stamp_file(const char *path, void *context) {
    struct stamp *stamp = context;
    struct stat status;
    if (strstr(path, "/packs/") || strstr(path, "/backups/")) {
        CU_ASSERT_EQUAL_FATAL(stat(path, &status), 0);
        stamp->length +=
            (size_t)snprintf(stamp->text + stamp->length, sizeof(stamp->text) - stamp->length, "%s %ld.%09ld %ld %lu\n", strrchr(path, '/'),
                             status.st_mtim.tv_sec, status.st_mtim.tv_nsec, (long)status.st_size, (unsigned long)status.st_ino);
    }
}

// ---- Local versions ----

MOS_TEST(a_rotation_rewraps_all_and_touches_nothing_else) {
    struct fixture fixture;
    struct watch watch = {0};
    struct mos_error error = {0};
    static struct stamp before, after;
    before.length = after.length = 0;
    fixture_open(&fixture);
    backups(&fixture);
    each_file(fixture.path, stamp_file, &before);
    CU_ASSERT(before.length > 0);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    CU_ASSERT_EQUAL(watch.now, 4); // three backups and the secret
    CU_ASSERT(exists(&fixture, "keys/" ID_A "/2") && !exists(&fixture, "keys/" ID_A "/1"));
    CU_ASSERT(exists(&fixture, "keys/repository/2") && !exists(&fixture, "keys/repository/1"));
    CU_ASSERT(all_good(&fixture, ID_A, 0) && all_good(&fixture, ID_C, 200));
    each_file(fixture.path, stamp_file, &after);
    CU_ASSERT_EQUAL(before.length, after.length);
    // Again: nothing is left to do.
    watch = (struct watch){0};
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    CU_ASSERT_EQUAL(watch.now, 0);
    CU_ASSERT_EQUAL(watch.before, 4);
    fixture_close(&fixture);
}

MOS_TEST(one_that_was_stopped_goes_on_where_it_was) {
    struct fixture fixture;
    struct watch watch = {.stop_after = 2};
    struct mos_error error = {0};
    fixture_open(&fixture);
    backups(&fixture);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    CU_ASSERT_EQUAL(rewrap(&fixture, &watch, &error), MOS_CANCELLED);
    // Everything opens in between.
    CU_ASSERT(all_good(&fixture, ID_A, 0) && all_good(&fixture, ID_B, 100) && all_good(&fixture, ID_C, 200));
    watch = (struct watch){0};
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    CU_ASSERT_EQUAL(watch.before, 2);
    CU_ASSERT_EQUAL(watch.now, 2);
    fixture_close(&fixture);
}

static struct fixture *deleting;

static void delete_b(const char *owner) {
    struct mos_deletion deletion;
    struct mos_error error = {0};
    if (strcmp(owner, ID_A) == 0) {
        MOS_ASSERT_OK(mos_repository_delete(deleting->repository, ID_B, &deletion, &error), &error);
        mos_deletion_free(&deletion);
    }
}

MOS_TEST(a_backup_deleted_meanwhile_does_not_get_its_key_back) {
    struct fixture fixture;
    struct watch watch = {.each = delete_b};
    struct mos_error error = {0};
    fixture_open(&fixture);
    backups(&fixture);
    deleting = &fixture;
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    CU_ASSERT_EQUAL(watch.failed, 0);
    CU_ASSERT_FALSE(exists(&fixture, "keys/" ID_B));
    CU_ASSERT(all_good(&fixture, ID_C, 200));
    fixture_close(&fixture);
}

static void remove_manifest_of_b(void) {
    // The step before the key object of b is renamed to its name: the manifest goes, the keys are not there to be seen yet.
    char path[4400];
    snprintf(path, sizeof(path), "%s/backups/" ID_B, deleting->path);
    unlink(path);
}

MOS_TEST(a_key_that_comes_after_the_deletion_is_taken_back) {
    struct fixture fixture;
    struct watch watch = {0};
    struct mos_error error = {0};
    fixture_open(&fixture);
    backups(&fixture);
    deleting = &fixture;
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    mos_files_on_step(remove_manifest_of_b);
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    mos_files_on_step(NULL);
    CU_ASSERT_FALSE(exists(&fixture, "keys/" ID_B "/2"));
    CU_ASSERT_FALSE(exists(&fixture, "keys/" ID_B "/1"));
    fixture_close(&fixture);
}

MOS_TEST(a_damaged_key_is_reported_and_stops_no_other) {
    struct fixture fixture;
    struct watch watch = {0};
    struct mos_error error = {0};
    char path[4400];
    fixture_open(&fixture);
    backups(&fixture);
    snprintf(path, sizeof(path), "%s/keys/" ID_B "/1", fixture.path);
    flip_byte(path, 40);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    CU_ASSERT_EQUAL(rewrap(&fixture, &watch, &error), MOS_DATA_LOSS);
    CU_ASSERT_EQUAL(watch.failed, 1);
    CU_ASSERT_EQUAL(watch.now, 3);
    // What does not open is not thrown away.
    CU_ASSERT(exists(&fixture, "keys/" ID_B "/1"));
    fixture_close(&fixture);
}

MOS_TEST(a_version_retires_when_nothing_needs_it) {
    struct fixture fixture;
    struct watch watch = {0};
    struct mos_error error = {0};
    fixture_open(&fixture);
    backups(&fixture);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    CU_ASSERT_EQUAL(mos_repository_retire_key(fixture.repository, fixture.keyring, fixture.keyring_path, 1, &error),
                    MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "4 backups still need version 1"));
    CU_ASSERT_EQUAL(mos_repository_retire_key(fixture.repository, fixture.keyring, fixture.keyring_path, 2, &error),
                    MOS_FAILED_PRECONDITION);
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    CU_ASSERT_EQUAL(mos_repository_retire_key(fixture.repository, fixture.keyring, fixture.keyring_path, 7, &error), MOS_NOT_FOUND);
    MOS_ASSERT_OK(mos_repository_retire_key(fixture.repository, fixture.keyring, fixture.keyring_path, 1, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_count(fixture.keyring), 1);
    CU_ASSERT(all_good(&fixture, ID_B, 100));
    // Its number is never given again.
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_active_version(fixture.keyring), 3);
    fixture_close(&fixture);
}

MOS_TEST(a_version_does_not_retire_while_a_backup_runs) {
    struct fixture fixture;
    struct watch watch = {0};
    struct mos_error error = {0};
    struct mos_writer_options options = {.backup_id = ID_A, .compression_level = 1, .workers = 1};
    mos_writer *writer = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    CU_ASSERT_EQUAL(mos_repository_retire_key(fixture.repository, fixture.keyring, fixture.keyring_path, 1, &error),
                    MOS_FAILED_PRECONDITION);
    mos_writer_free(writer);
    MOS_ASSERT_OK(mos_repository_retire_key(fixture.repository, fixture.keyring, fixture.keyring_path, 1, &error), &error);
    fixture_close(&fixture);
}

// ---- What keeps a key that nobody has from wrapping anything for good ----

static const char *swapped_keyring;

// After the first owner is done, the keyring's file is that of somebody who rotated to the same number.
static void swap_keyring(const char *owner) {
    (void)owner;
    MOS_CLEANUP_BUFFER struct mos_buffer other = {0};
    read_file(swapped_keyring, &other);
    write_file(deleting->keyring_path, other.data, other.size_bytes);
}

MOS_TEST(no_old_key_goes_for_one_that_the_keyring_does_not_hold_on_disk) {
    struct fixture fixture;
    struct watch watch = {.each = swap_keyring};
    struct mos_error error = {0};
    mos_keyring *other = NULL;
    char aside[4400];
    fixture_open(&fixture);
    backups(&fixture);
    deleting = &fixture;
    snprintf(aside, sizeof(aside), "%s.aside", fixture.keyring_path);
    swapped_keyring = aside;
    MOS_CLEANUP_BUFFER struct mos_buffer before = {0};
    read_file(fixture.keyring_path, &before);
    write_file(aside, before.data, before.size_bytes);
    CU_ASSERT_EQUAL(chmod(aside, 0600), 0);
    MOS_ASSERT_OK(mos_keyring_load(aside, &other, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(other, aside, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    CU_ASSERT_EQUAL(rewrap(&fixture, &watch, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "another key under its number"));
    // With either keyring everything opens.
    CU_ASSERT(exists(&fixture, "keys/" ID_A "/1") && exists(&fixture, "keys/repository/1"));
    CU_ASSERT(all_good(&fixture, ID_A, 0) && all_good(&fixture, ID_C, 200));
    // Whoever has the other key of that number writes over nothing, and loses nothing.
    mos_repository_close(fixture.repository);
    MOS_ASSERT_OK(mos_repository_open(fixture.path, other, &fixture.repository, &error), &error);
    watch = (struct watch){0};
    CU_ASSERT_EQUAL(rewrap(&fixture, &watch, &error), MOS_DATA_LOSS);
    CU_ASSERT_EQUAL(watch.failed, 4);
    CU_ASSERT(exists(&fixture, "keys/" ID_A "/1") && exists(&fixture, "keys/repository/1"));
    // A rotation to a number that is free mends it.
    uint32_t above = 0;
    MOS_ASSERT_OK(mos_repository_highest_key(fixture.repository, MOS_KEYRING_LARGEST_VERSION, &above, &error), &error);
    CU_ASSERT_EQUAL(above, 2);
    MOS_ASSERT_OK(mos_keyring_add(other, aside, NULL, above, &error), &error);
    watch = (struct watch){0};
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    read_file(aside, &before);
    write_file(fixture.keyring_path, before.data, before.size_bytes);
    CU_ASSERT_FALSE(exists(&fixture, "keys/" ID_A "/1"));
    CU_ASSERT(all_good(&fixture, ID_A, 0) && all_good(&fixture, ID_B, 100) && all_good(&fixture, ID_C, 200));
    mos_repository_close(fixture.repository);
    fixture.repository = NULL;
    mos_keyring_free(other);
    fixture_close(&fixture);
}

MOS_TEST(a_keyring_that_changed_meanwhile_is_not_written_over) {
    struct fixture fixture;
    struct mos_error error = {0};
    mos_keyring *late = NULL;
    size_t added = 0;
    fixture_open(&fixture);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    MOS_ASSERT_OK(mos_keyring_load(fixture.keyring_path, &late, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_rotate(late, fixture.keyring_path, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "was changed by somebody else meanwhile"));
    CU_ASSERT_EQUAL(mos_keyring_retire(late, fixture.keyring_path, 1, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(mos_keyring_merge(late, fixture.keyring, fixture.keyring_path, &added, &error), MOS_FAILED_PRECONDITION);
    mos_keyring_free(late);
    MOS_ASSERT_OK(mos_keyring_load(fixture.keyring_path, &late, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_active_version(late), 3);
    CU_ASSERT_EQUAL(mos_keyring_count(late), 3);
    mos_keyring_free(late);
    fixture_close(&fixture);
}

// A backup that read the keyring, was held up, and begins when its version is gone.
MOS_TEST(a_backup_that_begins_with_a_retired_version_fails) {
    struct fixture fixture;
    struct watch watch = {0};
    struct mos_error error = {0};
    struct mos_record record;
    mos_keyring *late = NULL;
    fixture_open(&fixture);
    backups(&fixture);
    MOS_ASSERT_OK(mos_keyring_load(fixture.keyring_path, &late, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    struct fixture slow = fixture;
    slow.keyring = late;
    MOS_ASSERT_OK(mos_repository_open(fixture.path, late, &slow.repository, &error), &error);
    // Rotated alone, it goes on under the version that it knows.
    MOS_ASSERT_OK(make_backup(&slow, "01890a5d-ac96-774b-bcce-b302099a8060", 500, 5, &record, &error), &error);
    CU_ASSERT_STRING_EQUAL(record.key_id, "local/1");
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    MOS_ASSERT_OK(mos_repository_retire_key(fixture.repository, fixture.keyring, fixture.keyring_path, 1, &error), &error);
    CU_ASSERT_EQUAL(make_backup(&slow, "01890a5d-ac96-774b-bcce-b302099a8061", 500, 5, &record, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_FALSE(exists(&fixture, "keys/01890a5d-ac96-774b-bcce-b302099a8061"));
    mos_repository_close(slow.repository);
    mos_keyring_free(late);
    fixture_close(&fixture);
}

struct seen {
    int good, bad;
    uint32_t version;
};

static mos_status see(void *context, const char *owner, uint32_t version, const char *failure, struct mos_error *error) {
    struct seen *seen = context;
    (void)owner;
    (void)error;
    *(failure ? &seen->bad : &seen->good) += 1;
    seen->version = version;
    return MOS_OK;
}

MOS_TEST(readiness_finds_the_key_that_does_not_open) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct seen seen = {0};
    char path[4400];
    fixture_open(&fixture);
    backups(&fixture);
    MOS_ASSERT_OK(mos_repository_each_key(fixture.repository, true, see, &seen, &error), &error);
    CU_ASSERT(seen.good == 4 && seen.bad == 0 && seen.version == 1);
    snprintf(path, sizeof(path), "%s/keys/" ID_C "/1", fixture.path);
    flip_byte(path, 40);
    seen = (struct seen){0};
    MOS_ASSERT_OK(mos_repository_each_key(fixture.repository, true, see, &seen, &error), &error);
    CU_ASSERT(seen.good == 3 && seen.bad == 1);
    fixture_close(&fixture);
}

// ---- Remote versions, with a service in this process ----

struct fake_kms {
    mos_status status;
    int wraps, unwraps;
};

static mos_status fake(struct fake_kms *kms, const char *reference, const uint8_t *data, size_t size_bytes, struct mos_buffer *out,
                       struct mos_error *error) {
    CU_ASSERT_STRING_EQUAL(reference, "aws:alias/shop");
    if (kms->status != MOS_OK) {
        return mos_fail(error, kms->status, "the KMS is not there");
    }
    for (size_t i = 0; i < size_bytes; i++) {
        mos_buffer_append_byte(out, data[i] ^ 0x5a);
    }
    return MOS_OK;
}

static mos_status fake_wrap(void *context, const char *reference, const uint8_t *plain, size_t plain_bytes, struct mos_buffer *out,
                            struct mos_error *error) {
    ((struct fake_kms *)context)->wraps++;
    return fake(context, reference, plain, plain_bytes, out, error);
}

static mos_status fake_unwrap(void *context, const char *reference, const uint8_t *wrapped, size_t wrapped_bytes, struct mos_buffer *out,
                              struct mos_error *error) {
    ((struct fake_kms *)context)->unwraps++;
    return fake(context, reference, wrapped, wrapped_bytes, out, error);
}

MOS_TEST(a_move_to_a_kms_and_back) {
    struct fixture fixture;
    struct watch watch = {0};
    struct mos_error error = {0};
    struct mos_record record;
    struct fake_kms kms = {0};
    const struct mos_key_service service = {fake_wrap, fake_unwrap, &kms};
    fixture_open(&fixture);
    backups(&fixture);
    mos_keyring_set_service(fixture.keyring, &service);
    MOS_ASSERT_OK(mos_keyring_add(fixture.keyring, fixture.keyring_path, "aws:alias/shop", 0, &error), &error);
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    CU_ASSERT_EQUAL(kms.wraps, 4);
    MOS_ASSERT_OK(mos_repository_retire_key(fixture.repository, fixture.keyring, fixture.keyring_path, 1, &error), &error);
    fixture_reopen(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, "01890a5d-ac96-774b-bcce-b302099a8060", 500, 5, &record, &error), &error);
    CU_ASSERT_STRING_EQUAL(record.key_id, "aws/2");
    struct mos_verify_result result;
    verify_all(&fixture, ID_A, NULL, NULL, &result);
    CU_ASSERT(result.encryption_valid && result.checksum_valid && result.size_valid);
    // Back again.
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    MOS_ASSERT_OK(mos_repository_retire_key(fixture.repository, fixture.keyring, fixture.keyring_path, 2, &error), &error);
    CU_ASSERT(all_good(&fixture, ID_A, 0) && all_good(&fixture, "01890a5d-ac96-774b-bcce-b302099a8060", 500));
    fixture_close(&fixture);
}

MOS_TEST(a_kms_that_is_away_stops_a_backup_before_it_writes_anything) {
    struct fixture fixture;
    struct watch watch = {0};
    struct mos_error error = {0};
    struct mos_record record;
    struct fake_kms kms = {0};
    const struct mos_key_service service = {fake_wrap, fake_unwrap, &kms};
    fixture_open(&fixture);
    mos_keyring_set_service(fixture.keyring, &service);
    MOS_ASSERT_OK(mos_keyring_add(fixture.keyring, fixture.keyring_path, "aws:alias/shop", 0, &error), &error);
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    kms.status = MOS_UNAVAILABLE;
    CU_ASSERT_EQUAL(make_backup(&fixture, ID_A, 0, 5, &record, &error), MOS_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "the KMS is not there"));
    CU_ASSERT_FALSE(exists(&fixture, "keys/" ID_A));
    mos_repository *repository = NULL;
    CU_ASSERT_EQUAL(mos_repository_open(fixture.path, fixture.keyring, &repository, &error), MOS_UNAVAILABLE);
    CU_ASSERT_EQUAL(rewrap(&fixture, &watch, &error), MOS_UNAVAILABLE);
    // A key that its service does not know, as in another region, is not a secret that was lost.
    kms.status = MOS_NOT_FOUND;
    CU_ASSERT_EQUAL(mos_repository_open(fixture.path, fixture.keyring, &repository, &error), MOS_FAILED_PRECONDITION);
    mos_keyring_set_service(fixture.keyring, NULL);
    CU_ASSERT_EQUAL(mos_repository_open(fixture.path, fixture.keyring, &repository, &error), MOS_FAILED_PRECONDITION);
    fixture_close(&fixture);
}

MOS_TEST(a_remote_object_opens_in_its_own_place_only) {
    struct fixture fixture;
    struct watch watch = {0};
    struct mos_error error = {0};
    struct fake_kms kms = {0};
    const struct mos_key_service service = {fake_wrap, fake_unwrap, &kms};
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    char path[4400], other[4400];
    struct seen seen = {0};
    fixture_open(&fixture);
    backups(&fixture);
    mos_keyring_set_service(fixture.keyring, &service);
    MOS_ASSERT_OK(mos_keyring_add(fixture.keyring, fixture.keyring_path, "aws:alias/shop", 0, &error), &error);
    MOS_ASSERT_OK(rewrap(&fixture, &watch, &error), &error);
    snprintf(path, sizeof(path), "%s/keys/" ID_A "/2", fixture.path);
    snprintf(other, sizeof(other), "%s/keys/" ID_B "/2", fixture.path);
    read_file(path, &object);
    write_file(other, object.data, object.size_bytes);
    MOS_ASSERT_OK(mos_repository_each_key(fixture.repository, true, see, &seen, &error), &error);
    CU_ASSERT(seen.good == 3 && seen.bad == 1);
    // No change and no cut makes anything else of it than a failure.
    for (size_t i = 0; i < object.size_bytes; i++) {
        struct mos_key key;
        struct mos_key_binding binding = {0};
        CU_ASSERT_NOT_EQUAL(mos_key_unwrap(fixture.keyring, 2, &binding, object.data, i, &key, &error), MOS_OK);
    }
    fixture_close(&fixture);
}
