#include "common/text.h"
#include "engine/pipeline/operation.h"
#include "unit/engine/repo/fixture.h"

static void ignore_event(void *context, const Mosaajii__Engine__V1__Event *event) {
    (void)context;
    (void)event;
}

struct asked {
    const char *include;
    Mosaajii__Engine__V1__RestoreRequest__Existing existing;
    bool compare_content;
    bool preview;
};

// Restores ID_A to `target` beside the repository.
static mos_status restore(struct fixture *fixture, const char *target, const struct asked *asked, mos_arena *arena,
                          const Mosaajii__Engine__V1__Restoration **out, struct mos_error *error) {
    Mosaajii__Engine__V1__RestoreRequest request = MOSAAJII__ENGINE__V1__RESTORE_REQUEST__INIT;
    Mosaajii__Engine__V1__Request whole = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    Mosaajii__Engine__V1__Result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    ProtobufCBinaryData include = {.data = (uint8_t *)asked->include, .len = asked->include ? strlen(asked->include) : 0};
    char *path = mos_arena_printf(arena, "%s.%s", fixture->path, target);
    request.backup_id = (char *)ID_A;
    request.target = (ProtobufCBinaryData){.data = (uint8_t *)path, .len = strlen(path)};
    request.include = &include;
    request.n_include = asked->include ? 1 : 0;
    request.existing = asked->existing;
    request.compare_content = asked->compare_content;
    request.preview = asked->preview;
    whole.restore = &request;
    mos_job *job = mos_job_create(ignore_event, NULL, 2);
    mos_status status = mos_operation_restore(job, fixture->repository, &whole, arena, &result, error);
    mos_job_free(job);
    *out = result.restoration;
    return status;
}

static void add(mos_writer *writer, const char *path, enum mos_entry_type type, uint64_t inode, const char *target) {
    struct mos_error error = {0};
    struct mos_entry entry = {.path = path,
                              .path_bytes = strlen(path),
                              .type = type,
                              .mode = type == MOS_ENTRY_SYMLINK     ? 0777
                                      : type == MOS_ENTRY_DIRECTORY ? 0755
                                                                    : 0644,
                              .uid = geteuid(),
                              .gid = getegid(),
                              .user = "",
                              .group = "",
                              .device = 1,
                              .inode = inode,
                              .modified_unix_ns = INT64_C(1700000000000000000),
                              .link_target = target,
                              .link_target_bytes = strlen(target)};
    MOS_ASSERT_OK(mos_writer_add(writer, &entry, &error), &error);
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

static bool stat_below(const struct fixture *fixture, const char *target, const char *path, struct stat *out) {
    char whole[4400];
    snprintf(whole, sizeof(whole), "%s.%s%s", fixture->path, target, path);
    return lstat(whole, out) == 0;
}

MOS_TEST(further_names_of_links_and_pipes_come_back_without_their_first) {
    struct fixture fixture;
    struct mos_error error = {0};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__Restoration *done;
    fixture_open(&fixture);
    mos_writer *writer = begin(&fixture);
    add(writer, "/a-link", MOS_ENTRY_SYMLINK, 1, "nowhere");
    add(writer, "/a-pipe", MOS_ENTRY_FIFO, 2, "");
    add(writer, "/chosen", MOS_ENTRY_DIRECTORY, 3, "");
    add(writer, "/chosen/link", MOS_ENTRY_HARDLINK, 1, "/a-link");
    add(writer, "/chosen/link-again", MOS_ENTRY_HARDLINK, 1, "/a-link");
    add(writer, "/chosen/pipe", MOS_ENTRY_HARDLINK, 2, "/a-pipe");
    finish(writer);
    MOS_ASSERT_OK(restore(&fixture, "out", &(struct asked){.include = "/chosen"}, arena, &done, &error), &error);
    CU_ASSERT_EQUAL(done->files_failed, 0);
    CU_ASSERT_EQUAL(done->files_restored, 3);
    struct stat link, again, pipe;
    CU_ASSERT_FATAL(stat_below(&fixture, "out", "/chosen/link", &link) && stat_below(&fixture, "out", "/chosen/link-again", &again));
    CU_ASSERT_TRUE(S_ISLNK(link.st_mode));
    CU_ASSERT_EQUAL(link.st_ino, again.st_ino);
    CU_ASSERT_TRUE(stat_below(&fixture, "out", "/chosen/pipe", &pipe) && S_ISFIFO(pipe.st_mode));
    CU_ASSERT_FALSE(stat_below(&fixture, "out", "/a-link", &link));
    fixture_close(&fixture);
}

// ---- A restore that is run again ----

#define RESUME MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__RESUME

static char *below(mos_arena *arena, const struct fixture *fixture, const char *path) {
    return mos_arena_printf(arena, "%s.out%s", fixture->path, path);
}

static void set_time(const char *path, int64_t seconds) {
    const struct timespec times[] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_mixed(struct fixture *fixture) {
    struct mos_error error = {0};
    mos_writer *writer = begin(fixture);
    MOS_ASSERT_OK(put_file(writer, "/data/1", 1, FILE_BYTES, &error), &error);
    MOS_ASSERT_OK(put_file(writer, "/data/2", 2, FILE_BYTES, &error), &error);
    MOS_ASSERT_OK(put_file(writer, "/data/3", 3, FILE_BYTES, &error), &error);
    add(writer, "/link", MOS_ENTRY_SYMLINK, 7, "nowhere");
    add(writer, "/pipe", MOS_ENTRY_FIFO, 8, "");
    add(writer, "/pipe-again", MOS_ENTRY_HARDLINK, 8, "/pipe");
    finish(writer);
}

MOS_TEST(a_restore_that_is_run_again_writes_only_what_is_not_right) {
    struct fixture fixture;
    struct mos_error error = {0};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__Restoration *done;
    struct stat before, after;
    fixture_open(&fixture);
    make_mixed(&fixture);
    MOS_ASSERT_OK(restore(&fixture, "out", &(struct asked){.existing = RESUME}, arena, &done, &error), &error);
    CU_ASSERT(done->files_restored == 6 && done->files_skipped == 0 && done->files_failed == 0);
    CU_ASSERT_EQUAL_FATAL(stat(below(arena, &fixture, "/data/1"), &before), 0);
    MOS_ASSERT_OK(restore(&fixture, "out", &(struct asked){.existing = RESUME}, arena, &done, &error), &error);
    CU_ASSERT(done->files_restored == 0 && done->files_skipped == 6 && done->files_failed == 0 && done->bytes_written == 0);
    CU_ASSERT_EQUAL(stat(below(arena, &fixture, "/data/1"), &after), 0);
    CU_ASSERT_EQUAL(before.st_ino, after.st_ino);
    // Gone, of another time, of another size, and of another kind.
    CU_ASSERT_EQUAL(unlink(below(arena, &fixture, "/data/1")), 0);
    set_time(below(arena, &fixture, "/data/2"), 5);
    CU_ASSERT_EQUAL(truncate(below(arena, &fixture, "/data/3"), FILE_BYTES - 1), 0);
    set_time(below(arena, &fixture, "/data/3"), 0);
    CU_ASSERT_EQUAL(unlink(below(arena, &fixture, "/link")), 0);
    CU_ASSERT_EQUAL(symlink("elsewhere", below(arena, &fixture, "/link")), 0);
    set_time(below(arena, &fixture, "/link"), 1700000000);
    CU_ASSERT_EQUAL(unlink(below(arena, &fixture, "/pipe-again")), 0);
    MOS_ASSERT_OK(restore(&fixture, "out", &(struct asked){.existing = RESUME, .preview = true}, arena, &done, &error), &error);
    CU_ASSERT(done->files_restored == 5 && done->files_skipped == 1 && done->n_preview == 5);
    CU_ASSERT_NOT_EQUAL(access(below(arena, &fixture, "/data/1"), F_OK), 0);
    MOS_ASSERT_OK(restore(&fixture, "out", &(struct asked){.existing = RESUME}, arena, &done, &error), &error);
    CU_ASSERT(done->files_restored == 5 && done->files_skipped == 1 && done->files_failed == 0);
    MOS_ASSERT_OK(restore(&fixture, "out", &(struct asked){.existing = RESUME, .compare_content = true}, arena, &done, &error), &error);
    CU_ASSERT(done->files_restored == 0 && done->files_skipped == 6);
    fixture_close(&fixture);
}

MOS_TEST(content_is_compared_where_that_is_asked_for) {
    struct fixture fixture;
    struct mos_error error = {0};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_BUFFER struct mos_buffer content = {0};
    const Mosaajii__Engine__V1__Restoration *done;
    uint8_t expected[FILE_BYTES];
    fixture_open(&fixture);
    make_mixed(&fixture);
    MOS_ASSERT_OK(restore(&fixture, "out", &(struct asked){.existing = RESUME}, arena, &done, &error), &error);
    flip_byte(below(arena, &fixture, "/data/2"), FILE_BYTES - 1);
    set_time(below(arena, &fixture, "/data/2"), 0);
    MOS_ASSERT_OK(restore(&fixture, "out", &(struct asked){.existing = RESUME}, arena, &done, &error), &error);
    CU_ASSERT(done->files_restored == 0 && done->files_skipped == 6);
    MOS_ASSERT_OK(
        restore(&fixture, "out", &(struct asked){.existing = RESUME, .compare_content = true, .preview = true}, arena, &done, &error),
        &error);
    CU_ASSERT_FATAL(done->n_preview == 1);
    CU_ASSERT_EQUAL(memcmp(done->preview[0].data, "/data/2", done->preview[0].len), 0);
    MOS_ASSERT_OK(restore(&fixture, "out", &(struct asked){.existing = RESUME, .compare_content = true}, arena, &done, &error), &error);
    CU_ASSERT(done->files_restored == 1 && done->files_skipped == 5);
    noise(expected, FILE_BYTES, 2);
    read_file(below(arena, &fixture, "/data/2"), &content);
    CU_ASSERT(content.size_bytes == FILE_BYTES && memcmp(content.data, expected, FILE_BYTES) == 0);
    fixture_close(&fixture);
}

MOS_TEST(a_hole_is_as_good_as_zeros_and_nothing_else_is) {
    enum { SIZE = 1 << 20 };
    struct fixture fixture;
    struct mos_error error = {0};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__Restoration *done;
    const struct asked again = {.existing = RESUME, .compare_content = true};
    uint8_t content[FILE_BYTES];
    struct mos_extent extent = {.length_bytes = FILE_BYTES};
    bool was_new;
    fixture_open(&fixture);
    mos_writer *writer = begin(&fixture);
    noise(content, FILE_BYTES, 1);
    MOS_ASSERT_OK(mos_writer_put(writer, 0, content, FILE_BYTES, &extent.chunk, &was_new, &error), &error);
    const struct mos_range range = {.offset_bytes = 8192, .length_bytes = FILE_BYTES};
    const struct mos_entry entry = {.path = "/sparse",
                                    .path_bytes = strlen("/sparse"),
                                    .type = MOS_ENTRY_FILE,
                                    .mode = 0644,
                                    .user = "",
                                    .group = "",
                                    .size_bytes = SIZE,
                                    .sparse = true,
                                    .ranges = &range,
                                    .range_count = 1,
                                    .extents = &extent,
                                    .extent_count = 1};
    MOS_ASSERT_OK(mos_writer_add(writer, &entry, &error), &error);
    finish(writer);
    MOS_ASSERT_OK(restore(&fixture, "out", &again, arena, &done, &error), &error);
    CU_ASSERT_EQUAL(done->files_restored, 1);
    const char *path = below(arena, &fixture, "/sparse");
    static const uint8_t zeros[100000];
    int file = open(path, O_RDWR | O_CLOEXEC);
    CU_ASSERT_EQUAL(pwrite(file, zeros, sizeof(zeros), 500000), (ssize_t)sizeof(zeros));
    set_time(path, 0);
    MOS_ASSERT_OK(restore(&fixture, "out", &again, arena, &done, &error), &error);
    CU_ASSERT_EQUAL(done->files_skipped, 1);
    const off_t places[] = {0, 8191, 8192 + FILE_BYTES, 599999, SIZE - 1};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CU_ASSERT_EQUAL(pwrite(file, "x", 1, places[i]), 1);
        set_time(path, 0);
        MOS_ASSERT_OK(restore(&fixture, "out", &again, arena, &done, &error), &error);
        CU_ASSERT_EQUAL(done->files_restored, 1);
        close(file);
        file = open(path, O_RDWR | O_CLOEXEC);
    }
    close(file);
    fixture_close(&fixture);
}
