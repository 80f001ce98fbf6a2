#include "control/catalog/jobs.h"

#include "unit/control/catalog/fixture.h"

static void fill(struct catalog_fixture *fixture, int count) {
    for (int i = 0; i < count; i++) {
        fixture_put_job(fixture, (struct mos_job){.id = fixture_id(fixture, i),
                                                  .kind = i % 2 ? MOS_JOB_VERIFY : MOS_JOB_BACKUP,
                                                  .status = (enum mos_job_status)(1 + i % 6),
                                                  .backup_id = i % 3 ? "one" : "two",
                                                  .created_at_unix_ns = 1000 + i / 4});
    }
}

MOS_TEST(a_job_is_kept_in_all_its_parts) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    static const uint8_t result[] = {1, 0, 2};
    const struct mos_job in = {.id = "j",
                               .kind = MOS_JOB_RESTORE,
                               .status = MOS_JOB_SUCCEEDED_WITH_WARNINGS,
                               .backup_id = "b",
                               .created_at_unix_ns = 1,
                               .started_at_unix_ns = 2,
                               .completed_at_unix_ns = 3,
                               .created_by = "me",
                               .progress = {"writing", 4, 5, 6, 7, 8, -1, "/a\\xff"},
                               .warnings = 9,
                               .message = "m",
                               .result = {result, sizeof(result)}};
    fixture_put_job(&fixture, in);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_job out;
    MOS_ASSERT_OK(mos_catalog_get_job(session, "j", fixture.arena, &out, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(mos_catalog_get_job(session, "other", fixture.arena, &(struct mos_job){0}, &fixture.error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "other"));
    mos_catalog_read_end(session);
    CU_ASSERT_EQUAL(out.kind, in.kind);
    CU_ASSERT_EQUAL(out.status, in.status);
    CU_ASSERT_STRING_EQUAL(out.backup_id, "b");
    CU_ASSERT(out.created_at_unix_ns == 1 && out.started_at_unix_ns == 2 && out.completed_at_unix_ns == 3);
    CU_ASSERT_STRING_EQUAL(out.created_by, "me");
    CU_ASSERT_STRING_EQUAL(out.progress.phase, "writing");
    CU_ASSERT(out.progress.files_done == 4 && out.progress.files_total == 5 && out.progress.bytes_done == 6 &&
              out.progress.bytes_total == 7);
    CU_ASSERT(out.progress.bytes_per_second == 8 && out.progress.seconds_left == -1);
    CU_ASSERT_STRING_EQUAL(out.progress.current, "/a\\xff");
    CU_ASSERT_EQUAL(out.warnings, 9);
    CU_ASSERT_STRING_EQUAL(out.message, "m");
    CU_ASSERT_EQUAL(out.result.size_bytes, 3);
    fixture_close(&fixture);
}

static size_t walk(struct catalog_fixture *fixture, const struct mos_job_filter *filter, int size) {
    size_t total = 0;
    int last = 1 << 20;
    const char *next = "";
    do {
        mos_catalog_session *session = fixture_read(fixture);
        struct mos_job *jobs;
        size_t count = 0;
        const struct mos_page page = {size, next};
        MOS_ASSERT_OK(mos_catalog_list_jobs(session, filter, &page, fixture->arena, &jobs, &count, &next, &fixture->error),
                      &fixture->error);
        mos_catalog_read_end(session);
        for (size_t i = 0; i < count; i++) {
            int number = (int)strtol(jobs[i].id, NULL, 16);
            CU_ASSERT(number < last);
            last = number;
            CU_ASSERT(!filter->kind || jobs[i].kind == filter->kind);
            CU_ASSERT(!filter->status || jobs[i].status == filter->status);
            CU_ASSERT(!filter->backup_id || !*filter->backup_id || strcmp(jobs[i].backup_id, filter->backup_id) == 0);
        }
        total += count;
    } while (*next);
    return total;
}

MOS_TEST(jobs_are_listed_by_filter_and_page) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fill(&fixture, 48);
    for (int size = 1; size < 50; size += 7) {
        CU_ASSERT_EQUAL(walk(&fixture, &(struct mos_job_filter){0}, size), 48);
        CU_ASSERT_EQUAL(walk(&fixture, &(struct mos_job_filter){.backup_id = ""}, size), 48);
        CU_ASSERT_EQUAL(walk(&fixture, &(struct mos_job_filter){.kind = MOS_JOB_VERIFY}, size), 24);
        CU_ASSERT_EQUAL(walk(&fixture, &(struct mos_job_filter){.status = MOS_JOB_RUNNING}, size), 8);
        CU_ASSERT_EQUAL(walk(&fixture, &(struct mos_job_filter){.backup_id = "two"}, size), 16);
        CU_ASSERT_EQUAL(
            walk(&fixture, &(struct mos_job_filter){.kind = MOS_JOB_BACKUP, .status = MOS_JOB_PENDING, .backup_id = "two"}, size), 8);
        CU_ASSERT_EQUAL(walk(&fixture, &(struct mos_job_filter){.backup_id = "three"}, size), 0);
    }
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_job *jobs;
    size_t count;
    const char *next, *ignored;
    const struct mos_job_filter all = {0}, other = {.backup_id = "two"};
    MOS_ASSERT_OK(mos_catalog_list_jobs(session, &all, &(struct mos_page){.size = 1}, fixture.arena, &jobs, &count, &next, &fixture.error),
                  &fixture.error);
    CU_ASSERT_EQUAL(
        mos_catalog_list_jobs(session, &other, &(struct mos_page){1, next}, fixture.arena, &jobs, &count, &ignored, &fixture.error),
        MOS_INVALID_ARGUMENT);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(active_jobs_are_those_that_have_not_ended) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    fill(&fixture, 48);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_job *jobs;
    size_t count = 0;
    MOS_ASSERT_OK(mos_catalog_active_jobs(session, NULL, fixture.arena, &jobs, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 16);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT(jobs[i].status == MOS_JOB_PENDING || jobs[i].status == MOS_JOB_RUNNING);
        CU_ASSERT(i == 0 || jobs[i - 1].created_at_unix_ns <= jobs[i].created_at_unix_ns);
    }
    MOS_ASSERT_OK(mos_catalog_active_jobs(session, "two", fixture.arena, &jobs, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 8);
    MOS_ASSERT_OK(mos_catalog_active_jobs(session, "three", fixture.arena, &jobs, &count, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    MOS_CLEANUP_ARENA mos_arena *small = mos_arena_create(64);
    CU_ASSERT_EQUAL(mos_catalog_active_jobs(session, NULL, small, &jobs, &count, &fixture.error), MOS_RESOURCE_EXHAUSTED);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}
