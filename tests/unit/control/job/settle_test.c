#include "unit/control/job/fixture.h"

#define JOB "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define BACKUP "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

static struct mos_job settled(struct jobs_fixture *fixture) {
    MOS_ASSERT_OK(mos_queue_settle(fixture->queue, &fixture->error), &fixture->error);
    return fixture_wait(fixture, JOB);
}

MOS_TEST(a_backup_that_was_not_committed_failed) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_IN_PROGRESS, false);
    fixture_leave(&fixture, JOB, MOS_JOB_BACKUP, MOS_JOB_RUNNING, BACKUP);
    fixture_script(&fixture, "inventory", "record cccccccc-cccc-4ccc-8ccc-cccccccccccc \nresult OK 0 \n");
    struct mos_job job = settled(&fixture);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_FAILED);
    CU_ASSERT_PTR_NOT_NULL(strstr(job.message, "The server stopped while the backup was being taken"));
    CU_ASSERT_EQUAL(fixture_backup(&fixture, BACKUP).status, MOS_BACKUP_FAILED);
    // A second start finds nothing to do.
    int calls = fixture_calls(&fixture, "");
    MOS_ASSERT_OK(mos_queue_settle(fixture.queue, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(fixture_calls(&fixture, ""), calls);
    fixture_end(&fixture);
}

MOS_TEST(a_backup_that_was_committed_is_kept) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_IN_PROGRESS, false);
    fixture_leave(&fixture, JOB, MOS_JOB_BACKUP, MOS_JOB_RUNNING, BACKUP);
    fixture_script(&fixture, "inventory", "record " BACKUP " \nresult OK 0 \n");
    CU_ASSERT_EQUAL(settled(&fixture).status, MOS_JOB_SUCCEEDED);
    struct mos_backup backup = fixture_backup(&fixture, BACKUP);
    CU_ASSERT_EQUAL(backup.status, MOS_BACKUP_COMPLETED);
    CU_ASSERT_STRING_EQUAL(backup.encrypted_checksum, "bb");
    CU_ASSERT_EQUAL(backup.size_bytes, 1000);
    fixture_end(&fixture);
}

MOS_TEST(a_backup_whose_manifest_cannot_be_read_failed) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_IN_PROGRESS, false);
    fixture_leave(&fixture, JOB, MOS_JOB_BACKUP, MOS_JOB_RUNNING, BACKUP);
    fixture_script(&fixture, "inventory", "record " BACKUP " its manifest does not open\nresult OK 0 \n");
    CU_ASSERT_EQUAL(settled(&fixture).status, MOS_JOB_FAILED);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, BACKUP).status, MOS_BACKUP_FAILED);
    fixture_end(&fixture);
}

MOS_TEST(a_job_that_never_began_failed_without_asking) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_PENDING, false);
    fixture_leave(&fixture, JOB, MOS_JOB_BACKUP, MOS_JOB_PENDING, BACKUP);
    struct mos_job job = settled(&fixture);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_FAILED);
    CU_ASSERT_STRING_EQUAL(job.message, "The server stopped before the job began");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, BACKUP).status, MOS_BACKUP_FAILED);
    CU_ASSERT_EQUAL(fixture_calls(&fixture, ""), 0);
    fixture_end(&fixture);
}

MOS_TEST(verifications_and_restores_leave_the_backup_as_it_was) {
    static const struct {
        enum mos_job_kind kind;
        enum mos_job_status status;
        enum mos_backup_status left;
    } cases[] = {{MOS_JOB_VERIFY, MOS_JOB_RUNNING, MOS_BACKUP_VERIFYING},
                 {MOS_JOB_VERIFY, MOS_JOB_PENDING, MOS_BACKUP_COMPLETED},
                 {MOS_JOB_RESTORE, MOS_JOB_RUNNING, MOS_BACKUP_COMPLETED},
                 {MOS_JOB_RESTORE, MOS_JOB_PENDING, MOS_BACKUP_COMPLETED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jobs_fixture fixture;
        fixture_create(&fixture, 1);
        fixture_leave_backup(&fixture, BACKUP, cases[i].left, true);
        fixture_leave(&fixture, JOB, cases[i].kind, cases[i].status, BACKUP);
        struct mos_job job = settled(&fixture);
        CU_ASSERT_EQUAL(job.status, MOS_JOB_FAILED);
        CU_ASSERT_PTR_NOT_NULL(strstr(job.message, "The server stopped"));
        CU_ASSERT_EQUAL(fixture_backup(&fixture, BACKUP).status, MOS_BACKUP_COMPLETED);
        CU_ASSERT_EQUAL(fixture_calls(&fixture, ""), 0);
        fixture_end(&fixture);
    }
}

MOS_TEST(a_deletion_is_what_the_repository_says) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_COMPLETED, true);
    fixture_leave(&fixture, JOB, MOS_JOB_DELETE, MOS_JOB_RUNNING, BACKUP);
    fixture_script(&fixture, "inventory", "record " BACKUP " \nresult OK 0 \n");
    struct mos_job job = settled(&fixture);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_FAILED);
    CU_ASSERT_PTR_NOT_NULL(strstr(job.message, "delete it again"));
    CU_ASSERT_EQUAL(fixture_backup(&fixture, BACKUP).status, MOS_BACKUP_COMPLETED);
    fixture_end(&fixture);

    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_COMPLETED, true);
    fixture_leave(&fixture, JOB, MOS_JOB_DELETE, MOS_JOB_RUNNING, BACKUP);
    CU_ASSERT_EQUAL(settled(&fixture).status, MOS_JOB_SUCCEEDED);
    CU_ASSERT_PTR_NULL(fixture_backup(&fixture, BACKUP).id);
    fixture_end(&fixture);
}

MOS_TEST(a_job_of_a_backup_that_is_gone_is_settled_too) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    fixture_leave(&fixture, JOB, MOS_JOB_RESTORE, MOS_JOB_RUNNING, BACKUP);
    CU_ASSERT_EQUAL(settled(&fixture).status, MOS_JOB_FAILED);
    fixture_end(&fixture);
}

MOS_TEST(backups_without_a_job_do_not_stay_at_work) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    // More than one page of them.
    for (int i = 0; i < 120; i++) {
        snprintf(id, sizeof(id), "dddddddd-dddd-4ddd-8ddd-%012d", i);
        fixture_leave_backup(&fixture, id, i % 2 ? MOS_BACKUP_IN_PROGRESS : MOS_BACKUP_VERIFYING, i % 2 == 0);
    }
    MOS_ASSERT_OK(mos_queue_settle(fixture.queue, &fixture.error), &fixture.error);
    for (int i = 0; i < 120; i++) {
        snprintf(id, sizeof(id), "dddddddd-dddd-4ddd-8ddd-%012d", i);
        CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, i % 2 ? MOS_BACKUP_FAILED : MOS_BACKUP_COMPLETED);
    }
    fixture_end(&fixture);
}

// Better no server than one that calls a backup failed which is there.
MOS_TEST(a_repository_that_cannot_be_asked_settles_nothing) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_IN_PROGRESS, false);
    fixture_leave(&fixture, JOB, MOS_JOB_BACKUP, MOS_JOB_RUNNING, BACKUP);
    fixture_script(&fixture, "inventory", "signal 9\n");
    CU_ASSERT_EQUAL(mos_queue_settle(fixture.queue, &fixture.error), MOS_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "BACKUP job " JOB));
    CU_ASSERT_EQUAL(fixture_job_of(&fixture, BACKUP, MOS_JOB_BACKUP).status, MOS_JOB_RUNNING);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, BACKUP).status, MOS_BACKUP_IN_PROGRESS);
    fixture_end(&fixture);
}
