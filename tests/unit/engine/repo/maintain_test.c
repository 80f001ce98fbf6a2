#include <sys/wait.h>

#include "engine/repo/files.h"
#include "fixture.h"

static size_t count_packs(const struct fixture *fixture);

static void count_one(const char *path, void *context) {
    (void)path;
    (*(size_t *)context)++;
}

static size_t count_packs(const struct fixture *fixture) {
    char path[4500];
    size_t count = 0;
    snprintf(path, sizeof(path), "%s/packs", fixture->path);
    each_file(path, count_one, &count);
    return count;
}

static bool valid(struct fixture *fixture, const char *id) {
    struct mos_verify_result result;
    verify_all(fixture, id, NULL, NULL, &result);
    return result.error_count == 0;
}

MOS_TEST(deletion_frees_what_no_other_backup_needs) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_deletion deletion;
    mos_reader *reader = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 30, &record, &error), &error);
    // The first ten files are the same.
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 10, &record, &error), &error);
    CU_ASSERT_EQUAL(count_packs(&fixture), 5);
    MOS_ASSERT_OK(mos_repository_delete(fixture.repository, ID_A, &deletion, &error), &error);
    // A's tree and its copy go, its data pack is still needed.
    CU_ASSERT_EQUAL(deletion.packs_removed_count, 2);
    CU_ASSERT_EQUAL(deletion.packs_kept_count, 1);
    CU_ASSERT_EQUAL(deletion.bytes_pending, 0);
    CU_ASSERT(deletion.bytes_freed > 0 && deletion.bytes_freed < 10 * (int64_t)FILE_BYTES);
    CU_ASSERT_STRING_EQUAL(deletion.notice, "");
    mos_deletion_free(&deletion);
    CU_ASSERT_EQUAL(mos_reader_open(fixture.repository, ID_A, &reader, &error), MOS_NOT_FOUND);
    CU_ASSERT_TRUE(valid(&fixture, ID_B));
    MOS_ASSERT_OK(mos_repository_delete(fixture.repository, ID_B, &deletion, &error), &error);
    CU_ASSERT_EQUAL(deletion.packs_removed_count, 3);
    CU_ASSERT(deletion.bytes_freed > 30 * (int64_t)FILE_BYTES);
    mos_deletion_free(&deletion);
    CU_ASSERT_EQUAL(count_packs(&fixture), 0);
    CU_ASSERT_EQUAL(mos_repository_delete(fixture.repository, ID_B, &deletion, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_repository_delete(fixture.repository, "..", &deletion, &error), MOS_NOT_FOUND);
    // The index does not promise what is gone.
    MOS_ASSERT_OK(make_backup(&fixture, ID_C, 1, 30, &record, &error), &error);
    CU_ASSERT_TRUE(valid(&fixture, ID_C));
    fixture_close(&fixture);
}

MOS_TEST(deletion_beside_a_running_backup_leaves_its_packs) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_deletion deletion;
    mos_writer *writer = NULL;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 10, &record, &error), &error);
    struct mos_writer_options options = {.backup_id = ID_B, .compression_level = 1, .workers = 1};
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    // The running backup relies on what the index has promised it.
    MOS_ASSERT_OK(put_file(writer, "/data/0000", 1, FILE_BYTES, &error), &error);
    MOS_ASSERT_OK(mos_repository_delete(fixture.repository, ID_A, &deletion, &error), &error);
    CU_ASSERT_EQUAL(deletion.packs_removed_count, 0);
    CU_ASSERT(deletion.bytes_pending > 10 * (int64_t)FILE_BYTES);
    CU_ASSERT_PTR_NOT_NULL(strstr(deletion.notice, "a backup is running"));
    mos_deletion_free(&deletion);
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
    CU_ASSERT_TRUE(valid(&fixture, ID_B));
    fixture_close(&fixture);
}

MOS_TEST(an_unreadable_backup_keeps_all_packs) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_deletion deletion;
    char path[4500];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 10, &record, &error), &error);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 10, &record, &error), &error);
    snprintf(path, sizeof(path), "%s/backups/" ID_B, fixture.path);
    flip_byte(path, 100);
    size_t before = count_packs(&fixture);
    MOS_ASSERT_OK(mos_repository_delete(fixture.repository, ID_A, &deletion, &error), &error);
    CU_ASSERT_EQUAL(deletion.packs_removed_count, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(deletion.notice, ID_B));
    CU_ASSERT_EQUAL(count_packs(&fixture), before);
    mos_deletion_free(&deletion);
    // Damaged backups can be deleted too.
    MOS_ASSERT_OK(mos_repository_delete(fixture.repository, ID_B, &deletion, &error), &error);
    CU_ASSERT_STRING_NOT_EQUAL(deletion.notice, "");
    mos_deletion_free(&deletion);
    fixture_close(&fixture);
}

static void remove_one(const char *path, void *context) {
    (void)context;
    unlink(path);
}

MOS_TEST(a_lost_or_changed_index_is_made_anew) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_reader *reader = NULL;
    char path[4500];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 50, &record, &error), &error);
    snprintf(path, sizeof(path), "%s/index", fixture.path);
    each_file(path, remove_one, NULL);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 50, &record, &error), &error);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_B, &reader, &error), &error);
    CU_ASSERT_EQUAL(mos_reader_info(reader)->statistics->bytes_written, 0);
    mos_reader_close(reader);
    snprintf(path, sizeof(path), "%s/index/main", fixture.path);
    flip_byte(path, 60);
    MOS_ASSERT_OK(make_backup(&fixture, ID_C, 1, 50, &record, &error), &error);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_C, &reader, &error), &error);
    CU_ASSERT_EQUAL(mos_reader_info(reader)->statistics->bytes_written, 0);
    mos_reader_close(reader);
    CU_ASSERT_TRUE(valid(&fixture, ID_C));
    int64_t unreadable = -1;
    MOS_ASSERT_OK(mos_repository_rebuild_index(fixture.repository, &unreadable, &error), &error);
    CU_ASSERT_EQUAL(unreadable, 0);
    fixture_close(&fixture);
}

MOS_TEST(a_missing_pack_is_written_again) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    char path[4500];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 20, &record, &error), &error);
    snprintf(path, sizeof(path), "%s/packs", fixture.path);
    each_file(path, remove_one, NULL);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 20, &record, &error), &error);
    CU_ASSERT_TRUE(valid(&fixture, ID_B));
    CU_ASSERT_FALSE(valid(&fixture, ID_A));
    fixture_close(&fixture);
}

static int steps_left;

static void count_down(void) {
    if (--steps_left == 0) {
        _exit(0);
    }
}

// Runs `work` in a process that is gone at its step number `step`. true: it came to its end before.
static bool run_until(int step, void (*work)(void *context), void *context) {
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        steps_left = step;
        mos_files_on_step(count_down);
        work(context);
        _exit(42);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42));
    return WEXITSTATUS(status) == 42;
}

struct crash_work {
    struct fixture *fixture;
    const char *id;
    uint64_t seed;
};

static void run_backup(void *context) {
    struct crash_work *work = context;
    struct mos_record record;
    make_backup(work->fixture, work->id, work->seed, 5, &record, NULL);
}

static void run_deletion(void *context) {
    struct crash_work *work = context;
    struct mos_deletion deletion;
    mos_repository_delete(work->fixture->repository, work->id, &deletion, NULL);
}

MOS_TEST(a_backup_killed_at_any_step_leaves_a_sound_repository) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 5, &record, &error), &error);
    bool finished = false;
    int step = 1;
    for (; !finished && step < 1000; step++) {
        char id[MOS_ID_TEXT_BYTES];
        mos_id_new(id);
        struct crash_work work = {&fixture, id, (uint64_t)step * 100};
        finished = run_until(step, run_backup, &work);
        fixture_reopen(&fixture);
        CU_ASSERT_TRUE(valid(&fixture, ID_A));
        mos_reader *reader = NULL;
        mos_status status = mos_reader_open(fixture.repository, id, &reader, &error);
        CU_ASSERT(status == MOS_NOT_FOUND || status == MOS_OK);
        CU_ASSERT(!finished || status == MOS_OK);
        if (status == MOS_OK) {
            CU_ASSERT_EQUAL(count_good_files(reader, work.seed), 5);
            mos_reader_close(reader);
            CU_ASSERT_TRUE(valid(&fixture, id));
        }
    }
    CU_ASSERT_TRUE(finished);
    // Packs, index entries, key and manifest: far more than these are not one step.
    CU_ASSERT(step > 20);
    // And the next one works.
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 5, &record, &error), &error);
    CU_ASSERT_TRUE(valid(&fixture, ID_B));
    fixture_close(&fixture);
}

MOS_TEST(a_deletion_killed_at_any_step_leaves_a_sound_repository) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 5, &record, &error), &error);
    bool finished = false;
    int step = 1;
    for (; !finished && step < 1000; step++) {
        char id[MOS_ID_TEXT_BYTES];
        mos_id_new(id);
        // Two files in common with A.
        MOS_ASSERT_OK(make_backup(&fixture, id, 4, 5, &record, &error), &error);
        struct crash_work work = {&fixture, id, 0};
        finished = run_until(step, run_deletion, &work);
        fixture_reopen(&fixture);
        CU_ASSERT_TRUE(valid(&fixture, ID_A));
        struct mos_deletion deletion;
        mos_status status = mos_repository_delete(fixture.repository, id, &deletion, &error);
        CU_ASSERT(status == MOS_OK || status == MOS_NOT_FOUND);
        mos_deletion_free(&deletion);
        mos_reader *reader = NULL;
        CU_ASSERT_EQUAL(mos_reader_open(fixture.repository, id, &reader, &error), MOS_NOT_FOUND);
        CU_ASSERT_TRUE(valid(&fixture, ID_A));
    }
    CU_ASSERT_TRUE(finished);
    fixture_close(&fixture);
}

static void run_creation(void *context) {
    struct fixture *fixture = context;
    mos_repository *repository = NULL;
    mos_repository_create(fixture->path, fixture->keyring, &repository, NULL);
}

MOS_TEST(a_creation_killed_at_any_step_can_be_done_again) {
    bool finished = false;
    for (int step = 1; !finished && step < 100; step++) {
        struct fixture fixture = {0};
        struct mos_error error = {0};
        struct mos_record record;
        snprintf(fixture.path, sizeof(fixture.path), "%s/repo", mos_test_directory());
        snprintf(fixture.keyring_path, sizeof(fixture.keyring_path), "%s.keyring", fixture.path);
        MOS_ASSERT_OK(mos_keyring_create(fixture.keyring_path, &fixture.keyring, &error), &error);
        finished = run_until(step, run_creation, &fixture);
        if (mos_repository_open(fixture.path, fixture.keyring, &fixture.repository, &error) != MOS_OK) {
            MOS_ASSERT_OK(mos_repository_create(fixture.path, fixture.keyring, &fixture.repository, &error), &error);
        }
        MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 1, &record, &error), &error);
        CU_ASSERT_TRUE(valid(&fixture, ID_A));
        fixture_close(&fixture);
    }
    CU_ASSERT_TRUE(finished);
}
