#include "engine/repo/prune.h"

#include <sys/wait.h>

#include "engine/repo/files.h"
#include "engine/repo/reader_internal.h"
#include "fixture.h"

static void add_size(const char *path, void *context) {
    struct stat status;
    if (lstat(path, &status) == 0) {
        *(int64_t *)context += status.st_size;
    }
}

static void count_one(const char *path, void *context) {
    (void)path;
    (*(size_t *)context)++;
}

static size_t count_in(const struct fixture *fixture, const char *folder) {
    char path[4500];
    size_t count = 0;
    snprintf(path, sizeof(path), "%s/%s", fixture->path, folder);
    each_file(path, count_one, &count);
    return count;
}

static int64_t packs_size(const struct fixture *fixture) {
    char path[4500];
    int64_t size = 0;
    snprintf(path, sizeof(path), "%s/packs", fixture->path);
    each_file(path, add_size, &size);
    return size;
}

static void prune(struct fixture *fixture, int64_t grace_seconds, bool dry_run, struct mos_pruning *out) {
    const struct mos_prune_options options = {.grace_seconds = grace_seconds, .dry_run = dry_run};
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_repository_prune(fixture->repository, &options, out, &error), &error);
}

static void backup(struct fixture *fixture, const char *id, uint64_t first_seed, size_t count) {
    struct mos_record record;
    struct mos_error error = {0};
    MOS_ASSERT_OK(make_backup(fixture, id, first_seed, count, &record, &error), &error);
}

static void delete_backup(struct fixture *fixture, const char *id) {
    struct mos_deletion deletion;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_repository_delete(fixture->repository, id, &deletion, &error), &error);
    mos_deletion_free(&deletion);
}

// Verified, and every file read.
static bool good(struct fixture *fixture, const char *id, uint64_t first_seed, size_t count) {
    struct mos_verify_result result;
    struct mos_error error = {0};
    mos_reader *reader = NULL;
    verify_all(fixture, id, NULL, NULL, &result);
    MOS_ASSERT_OK(mos_reader_open(fixture->repository, id, &reader, &error), &error);
    bool all = count_good_files(reader, first_seed) == count;
    mos_reader_close(reader);
    return all && result.error_count == 0;
}

static int64_t bytes_written(struct fixture *fixture, const char *id) {
    mos_reader *reader = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_reader_open(fixture->repository, id, &reader, &error), &error);
    int64_t bytes = mos_reader_info(reader)->statistics->bytes_written;
    mos_reader_close(reader);
    return bytes;
}

// A whole pack of 40 files of which B needs ten.
static void make_mostly_dead(struct fixture *fixture) {
    fixture_open(fixture);
    backup(fixture, ID_A, 1, 40);
    backup(fixture, ID_B, 1, 10);
    delete_backup(fixture, ID_A);
}

MOS_TEST(a_mostly_dead_pack_is_rewritten) {
    struct fixture fixture;
    struct mos_pruning pruning;
    make_mostly_dead(&fixture);
    int64_t before = packs_size(&fixture);
    CU_ASSERT(before > 40 * (int64_t)FILE_BYTES);
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_EQUAL(pruning.packs_rewritten, 1);
    CU_ASSERT_EQUAL(pruning.packs_removed, 0);
    CU_ASSERT_EQUAL(pruning.bytes_pending, 0);
    CU_ASSERT_STRING_EQUAL(pruning.notice, "");
    int64_t after = packs_size(&fixture);
    CU_ASSERT(after < 11 * (int64_t)FILE_BYTES + 2000);
    CU_ASSERT(llabs(before - after - pruning.bytes_freed) < 1000);
    CU_ASSERT_EQUAL(count_in(&fixture, "moved"), 1);
    CU_ASSERT_EQUAL(count_in(&fixture, "aside"), 0);
    CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
    // The chunks are known where they are now.
    backup(&fixture, ID_C, 1, 10);
    CU_ASSERT_EQUAL(bytes_written(&fixture, ID_C), 0);
    CU_ASSERT_TRUE(good(&fixture, ID_C, 1, 10));
    // There is nothing left to do.
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_EQUAL(pruning.packs_rewritten + pruning.packs_removed + pruning.bytes_freed + pruning.bytes_pending, 0);
    fixture_close(&fixture);
}

MOS_TEST(packs_are_found_over_several_moves) {
    struct fixture fixture;
    struct mos_pruning pruning;
    fixture_open(&fixture);
    backup(&fixture, ID_A, 1, 64);
    backup(&fixture, ID_B, 1, 32);
    backup(&fixture, ID_C, 1, 8);
    delete_backup(&fixture, ID_A);
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_EQUAL(pruning.packs_rewritten, 1);
    delete_backup(&fixture, ID_B);
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_EQUAL(pruning.packs_rewritten, 1);
    CU_ASSERT_EQUAL(count_in(&fixture, "moved"), 2);
    CU_ASSERT(packs_size(&fixture) < 9 * (int64_t)FILE_BYTES + 2000);
    CU_ASSERT_TRUE(good(&fixture, ID_C, 1, 8));
    delete_backup(&fixture, ID_C);
    CU_ASSERT_EQUAL(packs_size(&fixture), 0);
    CU_ASSERT_EQUAL(count_in(&fixture, "moved"), 0);
    fixture_close(&fixture);
}

MOS_TEST(a_pack_that_others_were_moved_to_outlives_the_backup_that_names_it) {
    struct fixture fixture;
    struct mos_pruning pruning;
    make_mostly_dead(&fixture);
    prune(&fixture, 0, false, &pruning);
    // C names the new pack; B finds it through the old one.
    backup(&fixture, ID_C, 1, 10);
    delete_backup(&fixture, ID_C);
    CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
    fixture_close(&fixture);
}

MOS_TEST(a_dry_run_changes_nothing_and_tells_what_would_be_freed) {
    struct fixture fixture;
    struct mos_pruning dry, wet;
    make_mostly_dead(&fixture);
    int64_t before = packs_size(&fixture);
    prune(&fixture, 0, true, &dry);
    CU_ASSERT_EQUAL(packs_size(&fixture), before);
    CU_ASSERT_EQUAL(count_in(&fixture, "moved") + count_in(&fixture, "aside"), 0);
    prune(&fixture, 0, false, &wet);
    CU_ASSERT_EQUAL(dry.packs_rewritten, wet.packs_rewritten);
    CU_ASSERT(dry.bytes_freed > 0 && llabs(dry.bytes_freed - wet.bytes_freed) < 1000);
    fixture_close(&fixture);
}

MOS_TEST(what_a_broken_off_backup_left_stays_for_the_grace_time) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_pruning pruning;
    mos_writer *writer = NULL;
    fixture_open(&fixture);
    backup(&fixture, ID_A, 1, 2);
    struct mos_writer_options options = {.backup_id = ID_B, .compression_level = 0, .workers = 1};
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    // One finished pack of 33 MB, and then no more of it.
    size_t packs = count_in(&fixture, "packs");
    for (uint64_t seed = 100; count_in(&fixture, "packs") == packs; seed++) {
        char path[32];
        snprintf(path, sizeof(path), "/data/%04d", (int)seed);
        MOS_ASSERT_OK(put_file(writer, path, seed, 3 << 20, &error), &error);
    }
    mos_writer_free(writer);
    char keys[4500];
    snprintf(keys, sizeof(keys), "%s/keys/" ID_C, fixture.path);
    mkdir(keys, 0700);
    prune(&fixture, MOS_PRUNE_GRACE_SECONDS, false, &pruning);
    CU_ASSERT_EQUAL(pruning.packs_removed, 0);
    CU_ASSERT(pruning.bytes_pending > 32 << 20);
    CU_ASSERT_EQUAL(count_in(&fixture, "packs"), packs + 1);
    CU_ASSERT_EQUAL(access(keys, F_OK), 0);
    // Still in the index.
    struct mos_record record;
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    Mosaajii__Engine__V1__Statistics statistics = MOSAAJII__ENGINE__V1__STATISTICS__INIT;
    info.statistics = &statistics;
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    MOS_ASSERT_OK(put_file(writer, "/data/0100", 100, 3 << 20, &error), &error);
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
    CU_ASSERT(statistics.bytes_written < 10000);
    delete_backup(&fixture, ID_B);
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_EQUAL(count_in(&fixture, "packs"), packs);
    CU_ASSERT_NOT_EQUAL(access(keys, F_OK), 0);
    CU_ASSERT_TRUE(good(&fixture, ID_A, 1, 2));
    fixture_close(&fixture);
}

MOS_TEST(a_running_backup_keeps_what_it_may_know_and_is_not_held_up) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_pruning pruning;
    mos_writer *writer = NULL;
    make_mostly_dead(&fixture);
    struct mos_writer_options options = {.backup_id = ID_C, .compression_level = 1, .workers = 1};
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    // Of the dead part.
    MOS_ASSERT_OK(put_file(writer, "/data/0000", 30, FILE_BYTES, &error), &error);
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_EQUAL(pruning.packs_rewritten, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(pruning.notice, "a backup is running"));
    CU_ASSERT(pruning.bytes_pending > 0);
    CU_ASSERT_EQUAL(count_in(&fixture, "aside"), 1);
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
    // The old pack has come to be needed for more than was moved.
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_EQUAL(count_in(&fixture, "aside"), 0);
    CU_ASSERT_TRUE(good(&fixture, ID_C, 30, 1));
    CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_TRUE(good(&fixture, ID_C, 30, 1));
    CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
    CU_ASSERT(packs_size(&fixture) < 13 * (int64_t)FILE_BYTES + 2000);
    fixture_close(&fixture);
}

static void commit_meanwhile(void *context, const char *phase, int64_t bytes_done, int64_t bytes_total) {
    mos_writer **writer = context;
    (void)bytes_done;
    (void)bytes_total;
    if (*writer && strcmp(phase, "rewriting") == 0) {
        struct mos_record record;
        struct mos_error error = {0};
        Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
        MOS_ASSERT_OK(mos_writer_finish(*writer, &info, &record, &error), &error);
        mos_writer_free(*writer);
        *writer = NULL;
    }
}

MOS_TEST(a_backup_that_is_committed_during_the_prune_keeps_what_it_needs) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_pruning pruning;
    mos_writer *writer = NULL;
    make_mostly_dead(&fixture);
    struct mos_writer_options options = {.backup_id = ID_C, .compression_level = 1, .workers = 1};
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    MOS_ASSERT_OK(put_file(writer, "/data/0000", 30, FILE_BYTES, &error), &error);
    // After the trees were walked, and before anything is removed.
    const struct mos_prune_options prune_options = {.progress = commit_meanwhile, .context = &writer};
    MOS_ASSERT_OK(mos_repository_prune(fixture.repository, &prune_options, &pruning, &error), &error);
    CU_ASSERT_PTR_NULL(writer);
    CU_ASSERT_EQUAL(pruning.packs_rewritten, 1);
    CU_ASSERT_EQUAL(count_in(&fixture, "aside") + count_in(&fixture, "moved"), 0);
    CU_ASSERT_TRUE(good(&fixture, ID_C, 30, 1));
    CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_TRUE(good(&fixture, ID_C, 30, 1));
    CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
    CU_ASSERT(packs_size(&fixture) < 13 * (int64_t)FILE_BYTES + 2000);
    fixture_close(&fixture);
}

MOS_TEST(packs_of_a_deletion_beside_a_running_backup_go_with_the_next_prune) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_pruning pruning;
    mos_writer *writer = NULL;
    fixture_open(&fixture);
    backup(&fixture, ID_A, 1, 10);
    struct mos_writer_options options = {.backup_id = ID_B, .compression_level = 1, .workers = 1};
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    delete_backup(&fixture, ID_A);
    mos_writer_free(writer);
    // Although they are young: it is known that they are not wanted any more.
    prune(&fixture, MOS_PRUNE_GRACE_SECONDS, false, &pruning);
    CU_ASSERT_EQUAL(pruning.packs_removed, 3);
    CU_ASSERT_EQUAL(packs_size(&fixture), 0);
    fixture_close(&fixture);
}

// Links that hold much and do not compress: a tree of several parts.
static void backup_links(struct fixture *fixture, const char *id, size_t count) {
    enum { TARGET_BYTES = 60000 };
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_writer_options options = {.backup_id = id, .compression_level = 1, .workers = 1};
    mos_writer *writer = NULL;
    char *target = mos_malloc(TARGET_BYTES);
    MOS_ASSERT_OK(mos_writer_begin(fixture->repository, &options, &writer, &error), &error);
    for (size_t i = 0; i < count; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/%04zu", i);
        noise((uint8_t *)target, TARGET_BYTES, i);
        for (size_t j = 0; j < TARGET_BYTES; j++) {
            target[j] |= 1;
        }
        const struct mos_entry entry = {.path = path,
                                        .path_bytes = strlen(path),
                                        .type = MOS_ENTRY_SYMLINK,
                                        .mode = 0777,
                                        .user = "",
                                        .group = "",
                                        .link_target = target,
                                        .link_target_bytes = TARGET_BYTES};
        MOS_ASSERT_OK(mos_writer_add(writer, &entry, &error), &error);
    }
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
    free(target);
}

MOS_TEST(a_part_of_the_tree_and_its_copy_stay_in_different_packs) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_pruning pruning;
    mos_reader *reader = NULL;
    fixture_open(&fixture);
    backup_links(&fixture, ID_A, 60);
    backup_links(&fixture, ID_B, 20);
    delete_backup(&fixture, ID_A);
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_EQUAL(pruning.packs_rewritten, 2);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_B, &reader, &error), &error);
    CU_ASSERT(reader->manifest->n_tree > 1);
    for (size_t i = 0; i < reader->manifest->n_tree; i++) {
        const Mosaajii__Engine__V1__TreeChunk *part = reader->manifest->tree[i];
        struct mos_chunk_id id, copy;
        struct mos_chunk_place place, other;
        memcpy(id.bytes, part->chunk_id.data, sizeof(id.bytes));
        memcpy(copy.bytes, part->copy_id.data, sizeof(copy.bytes));
        CU_ASSERT_FATAL(mos_reader_locate(reader, &id, part->pack, &place) && mos_reader_locate(reader, &copy, part->copy_pack, &other));
        CU_ASSERT_NOT_EQUAL(place.pack, other.pack);
    }
    mos_reader_close(reader);
    struct mos_verify_result result;
    verify_all(&fixture, ID_B, NULL, NULL, &result);
    CU_ASSERT_EQUAL(result.error_count, 0);
    fixture_close(&fixture);
}

MOS_TEST(who_reads_a_backup_goes_on_reading) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_pruning pruning;
    mos_reader *reader = NULL;
    make_mostly_dead(&fixture);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_B, &reader, &error), &error);
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_EQUAL(pruning.packs_rewritten, 1);
    CU_ASSERT(pruning.bytes_pending > 0);
    CU_ASSERT_EQUAL(count_good_files(reader, 1), 10);
    mos_reader_close(reader);
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT(pruning.bytes_freed > 29 * (int64_t)FILE_BYTES);
    CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
    fixture_close(&fixture);
}

MOS_TEST(a_damaged_backup_loses_nothing_more) {
    struct fixture fixture;
    struct mos_pruning pruning;
    char path[4500];
    make_mostly_dead(&fixture);
    backup(&fixture, ID_C, 500, 5);
    int64_t before = packs_size(&fixture);
    snprintf(path, sizeof(path), "%s/backups/" ID_C, fixture.path);
    flip_byte(path, 100);
    prune(&fixture, 0, false, &pruning);
    CU_ASSERT_PTR_NOT_NULL(strstr(pruning.notice, ID_C));
    CU_ASSERT_EQUAL(packs_size(&fixture), before);
    flip_byte(path, 100);
    CU_ASSERT_TRUE(good(&fixture, ID_C, 500, 5));
    fixture_close(&fixture);
}

MOS_TEST(only_one_prune_at_a_time) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_pruning pruning;
    const struct mos_prune_options options = {0};
    int lock = -1;
    fixture_open(&fixture);
    int root = open(fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MOS_ASSERT_OK(mos_lock_take(root, "prune", true, false, &lock, &error), &error);
    CU_ASSERT_EQUAL(mos_repository_prune(fixture.repository, &options, &pruning, &error), MOS_UNAVAILABLE);
    close(lock);
    MOS_ASSERT_OK(mos_repository_prune(fixture.repository, &options, &pruning, &error), &error);
    close(root);
    fixture_close(&fixture);
}

static int steps_left;

static void count_down(void) {
    if (--steps_left == 0) {
        _exit(0);
    }
}

// A prune that is gone at its step number `step`. true: it came to its end before.
static bool prune_until(struct fixture *fixture, int step) {
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        const struct mos_prune_options options = {0};
        struct mos_pruning pruning;
        steps_left = step;
        mos_files_on_step(count_down);
        mos_repository_prune(fixture->repository, &options, &pruning, NULL);
        _exit(42);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42));
    return WEXITSTATUS(status) == 42;
}

MOS_TEST(a_prune_killed_at_any_step_loses_nothing_and_leaves_nothing) {
    bool finished = false;
    for (int step = 1; !finished && step < 200; step++) {
        struct fixture fixture;
        struct mos_pruning pruning;
        char tree[4500];
        make_mostly_dead(&fixture);
        finished = prune_until(&fixture, step);
        CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
        // Whatever the index has lost is written again, and one of the two copies goes.
        backup(&fixture, ID_C, 1, 12);
        CU_ASSERT_TRUE(good(&fixture, ID_C, 1, 12));
        prune(&fixture, 0, false, &pruning);
        prune(&fixture, 0, false, &pruning);
        CU_ASSERT_TRUE(good(&fixture, ID_B, 1, 10));
        CU_ASSERT_TRUE(good(&fixture, ID_C, 1, 12));
        CU_ASSERT(packs_size(&fixture) < 13 * (int64_t)FILE_BYTES + 2500);
        CU_ASSERT_EQUAL(count_in(&fixture, "aside") + count_in(&fixture, "tmp"), 0);
        fixture_close(&fixture);
        snprintf(tree, sizeof(tree), "rm -rf '%s'*", fixture.path);
        CU_ASSERT_EQUAL(system(tree), 0);
    }
    CU_ASSERT_TRUE(finished);
}
