#include "engine/pipeline/operation.h"
#include "unit/engine/repo/fixture.h"

static void ignore_event(void *context, const Mosaajii__Engine__V1__Event *event) {
    (void)context;
    (void)event;
}

static const Mosaajii__Engine__V1__Verification *verify(struct fixture *fixture, mos_arena *arena) {
    struct mos_error error = {0};
    Mosaajii__Engine__V1__VerifyRequest request = MOSAAJII__ENGINE__V1__VERIFY_REQUEST__INIT;
    Mosaajii__Engine__V1__Result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    request.backup_id = (char *)ID_A;
    mos_job *job = mos_job_create(ignore_event, NULL, 2);
    MOS_ASSERT_OK(mos_operation_verify(job, fixture->repository, &request, arena, &result, &error), &error);
    mos_job_free(job);
    return result.verification;
}

// How many backups a check of everything finds damaged.
static size_t check(struct fixture *fixture, mos_arena *arena) {
    struct mos_error error = {0};
    Mosaajii__Engine__V1__CheckRequest request = MOSAAJII__ENGINE__V1__CHECK_REQUEST__INIT;
    Mosaajii__Engine__V1__Result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    request.sample_percent = 100;
    mos_job *job = mos_job_create(ignore_event, NULL, 2);
    MOS_ASSERT_OK(mos_operation_check(job, fixture->repository, &request, arena, &result, &error), &error);
    mos_job_free(job);
    CU_ASSERT_EQUAL(result.check->valid, result.check->n_damaged_backups == 0);
    return result.check->n_damaged_backups;
}

static mos_writer *begin(struct fixture *fixture) {
    struct mos_error error = {0};
    struct mos_writer_options options = {.backup_id = ID_A, .compression_level = 1, .workers = 1};
    mos_writer *writer = NULL;
    MOS_ASSERT_OK(mos_writer_begin(fixture->repository, &options, &writer, &error), &error);
    return writer;
}

static void finish(mos_writer *writer) {
    struct mos_error error = {0};
    struct mos_record record;
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
}

static void put(mos_writer *writer, uint64_t seed, struct mos_extent *out) {
    struct mos_error error = {0};
    uint8_t content[FILE_BYTES];
    bool was_new;
    noise(content, sizeof(content), seed);
    *out = (struct mos_extent){.length_bytes = FILE_BYTES};
    MOS_ASSERT_OK(mos_writer_put(writer, 0, content, sizeof(content), &out->chunk, &was_new, &error), &error);
}

static void add(mos_writer *writer, const char *path, const struct mos_extent *extent, const char *target, size_t target_bytes) {
    struct mos_error error = {0};
    struct mos_entry entry = {.path = path,
                              .path_bytes = strlen(path),
                              .type = extent           ? MOS_ENTRY_FILE
                                      : *target == '/' ? MOS_ENTRY_HARDLINK
                                                       : MOS_ENTRY_SYMLINK,
                              .mode = 0644,
                              .user = "",
                              .group = "",
                              .link_target = target,
                              .link_target_bytes = target_bytes,
                              .size_bytes = extent ? extent->length_bytes : 0,
                              .extents = extent,
                              .extent_count = extent ? 1 : 0};
    MOS_ASSERT_OK(mos_writer_add(writer, &entry, &error), &error);
}

static void damage_first_frame(const char *path, void *context) {
    (void)context;
    flip_byte(path, 30);
}

static void damage(struct fixture *fixture) {
    char packs[4300];
    snprintf(packs, sizeof(packs), "%s/packs", fixture->path);
    each_file(packs, damage_first_frame, NULL);
}

MOS_TEST(a_further_name_is_counted_however_many_files_are_damaged) {
    struct fixture fixture;
    struct mos_extent lost, good;
    char path[32];
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    fixture_open(&fixture);
    mos_writer *writer = begin(&fixture);
    put(writer, 1, &lost);
    put(writer, 2, &good);
    // The tree's first frame is a part of its own: what stands in it is big, and none of the files.
    char *big = mos_malloc(60000);
    memset(big, 'x', 60000);
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "/a/%02d", i);
        add(writer, path, NULL, big, 60000);
    }
    free(big);
    for (int i = 0; i < 1500; i++) {
        snprintf(path, sizeof(path), "/b/%04d", i);
        add(writer, path, i < 1400 ? &lost : &good, "", 0);
    }
    add(writer, "/c/hurt", NULL, "/b/1399", strlen("/b/1399"));
    add(writer, "/c/whole", NULL, "/b/1499", strlen("/b/1499"));
    finish(writer);
    CU_ASSERT_EQUAL(verify(&fixture, arena)->damaged_files, 0);
    CU_ASSERT_EQUAL(check(&fixture, arena), 0);
    damage(&fixture);
    const Mosaajii__Engine__V1__Verification *found = verify(&fixture, arena);
    CU_ASSERT_EQUAL(found->damaged_files, 1401);
    CU_ASSERT_EQUAL(found->n_damaged_paths, 1000);
    CU_ASSERT_EQUAL(check(&fixture, arena), 1);
    fixture_close(&fixture);
}

MOS_TEST(a_name_is_hurt_whose_first_name_is_lost_with_its_part_of_the_tree) {
    struct fixture fixture;
    struct mos_extent first, good;
    char path[32];
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    fixture_open(&fixture);
    mos_writer *writer = begin(&fixture);
    put(writer, 1, &first);
    put(writer, 2, &good);
    add(writer, "/a", &good, "", 0);
    char *big = mos_malloc(60000);
    memset(big, 'x', 60000);
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "/b/%02d", i);
        add(writer, path, NULL, big, 60000);
    }
    free(big);
    add(writer, "/c", NULL, "/a", 2);
    finish(writer);
    damage(&fixture);
    const Mosaajii__Engine__V1__Verification *found = verify(&fixture, arena);
    CU_ASSERT_EQUAL(found->damaged_files, 1);
    CU_ASSERT_FATAL(found->n_damaged_paths == 1 && found->damaged_paths[0].len == 2);
    CU_ASSERT_EQUAL(memcmp(found->damaged_paths[0].data, "/c", 2), 0);
    fixture_close(&fixture);
}

static void keep_smallest(const char *path, void *context) {
    char *smallest = context;
    struct stat now, least;
    CU_ASSERT_EQUAL_FATAL(stat(path, &now), 0);
    if (!*smallest || (stat(smallest, &least) == 0 && now.st_size < least.st_size)) {
        snprintf(smallest, 4700, "%s", path);
    }
}

MOS_TEST(a_damaged_tree_is_told_and_hurts_no_file_while_its_copy_is_good) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    char packs[4300], smallest[4700] = "";
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 20, &record, &error), &error);
    snprintf(packs, sizeof(packs), "%s/packs", fixture.path);
    each_file(packs, keep_smallest, smallest);
    flip_byte(smallest, 30);
    const Mosaajii__Engine__V1__Verification *found = verify(&fixture, arena);
    CU_ASSERT_FALSE(found->encryption_valid);
    CU_ASSERT_FALSE(found->checksum_valid);
    CU_ASSERT_EQUAL(found->damaged_files, 0);
    // The next backup writes it again, and that one is whole.
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 1, 20, &record, &error), &error);
    struct mos_verify_result result;
    verify_all(&fixture, ID_B, NULL, NULL, &result);
    CU_ASSERT_EQUAL(result.error_count, 0);
    fixture_close(&fixture);
}

MOS_TEST(content_behind_the_end_of_its_chunk_is_damage) {
    struct fixture fixture;
    struct mos_extent extent;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    fixture_open(&fixture);
    mos_writer *writer = begin(&fixture);
    put(writer, 1, &extent);
    add(writer, "/a", &extent, "", 0);
    extent.offset_bytes = 1;
    add(writer, "/b", &extent, "", 0);
    finish(writer);
    const Mosaajii__Engine__V1__Verification *found = verify(&fixture, arena);
    CU_ASSERT_EQUAL(found->damaged_files, 1);
    CU_ASSERT_FALSE(found->encryption_valid);
    CU_ASSERT_EQUAL(check(&fixture, arena), 1);
    fixture_close(&fixture);
}
