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
                              .mode = type == MOS_ENTRY_SYMLINK ? 0777 : type == MOS_ENTRY_DIRECTORY ? 0755 : 0644,
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
