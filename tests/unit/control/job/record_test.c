#include "control/job/record.h"

#include "unit/control/job/fixture.h"

#define JOB "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define OTHER "cccccccc-cccc-4ccc-8ccc-cccccccccccc"
#define BACKUP "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

static struct mos_outcome outcome_of(const char *job_id, enum mos_job_status status, bool *followed) {
    return (struct mos_outcome){
        .job_id = job_id, .status = status, .message = "", .repository = "/repository", .verification_id = "", .out_followed = followed};
}

static void finish(struct jobs_fixture *fixture, const struct mos_outcome *outcome) {
    MOS_ASSERT_OK(mos_record_finished(fixture->catalog, outcome, &fixture->error), &fixture->error);
}

MOS_TEST(what_has_ended_is_not_ended_again) {
    struct jobs_fixture fixture;
    bool followed;
    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_IN_PROGRESS, false);
    fixture_leave(&fixture, JOB, MOS_JOB_BACKUP, MOS_JOB_RUNNING, BACKUP);
    struct mos_outcome outcome = outcome_of(JOB, MOS_JOB_CANCELLED, &followed);
    finish(&fixture, &outcome);
    int64_t last = mos_catalog_last_event(fixture.catalog);
    outcome.status = MOS_JOB_SUCCEEDED;
    finish(&fixture, &outcome);
    CU_ASSERT_EQUAL(fixture_job_of(&fixture, BACKUP, MOS_JOB_BACKUP).status, MOS_JOB_CANCELLED);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, BACKUP).status, MOS_BACKUP_CANCELLED);
    CU_ASSERT_EQUAL(mos_catalog_last_event(fixture.catalog), last);
    fixture_end(&fixture);
}

MOS_TEST(jobs_that_are_not_there_are_told) {
    struct jobs_fixture fixture;
    bool followed;
    fixture_create(&fixture, 1);
    const struct mos_outcome outcome = outcome_of(JOB, MOS_JOB_FAILED, &followed);
    CU_ASSERT_EQUAL(mos_record_started(fixture.catalog, JOB, &fixture.error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_record_progress(fixture.catalog, JOB, NULL, NULL, 0, &fixture.error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_record_finished(fixture.catalog, &outcome, &fixture.error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_catalog_last_event(fixture.catalog), 0);
    fixture_end(&fixture);
}

MOS_TEST(a_backup_stays_verifying_until_its_last_verification_ends) {
    struct jobs_fixture fixture;
    bool followed;
    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_COMPLETED, true);
    fixture_leave(&fixture, JOB, MOS_JOB_VERIFY, MOS_JOB_PENDING, BACKUP);
    fixture_leave(&fixture, OTHER, MOS_JOB_VERIFY, MOS_JOB_PENDING, BACKUP);
    MOS_ASSERT_OK(mos_record_started(fixture.catalog, JOB, &fixture.error), &fixture.error);
    MOS_ASSERT_OK(mos_record_started(fixture.catalog, OTHER, &fixture.error), &fixture.error);
    Mosaajii__Engine__V1__Verification found = MOSAAJII__ENGINE__V1__VERIFICATION__INIT;
    Mosaajii__Engine__V1__Result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    found.checksum_valid = found.encryption_valid = found.size_valid = true;
    result.result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_VERIFICATION;
    result.verification = &found;
    struct mos_outcome outcome = outcome_of(JOB, MOS_JOB_SUCCEEDED, &followed);
    outcome.result = &result;
    finish(&fixture, &outcome);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, BACKUP).status, MOS_BACKUP_VERIFYING);
    outcome = outcome_of(OTHER, MOS_JOB_CANCELLED, &followed);
    finish(&fixture, &outcome);
    CU_ASSERT_EQUAL(fixture_backup(&fixture, BACKUP).status, MOS_BACKUP_VERIFIED);
    fixture_end(&fixture);
}

static const Mosaajii__Engine__V1__BackupRecord *committed_record(const char *id) {
    static Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    static Mosaajii__Engine__V1__BackupRecord record = MOSAAJII__ENGINE__V1__BACKUP_RECORD__INIT;
    info.id = (char *)id;
    info.type = (char *)"FILES";
    record.info = &info;
    record.encrypted_checksum = (char *)"ee";
    record.manifest = (char *)"backups/m";
    return &record;
}

static bool followed_up(struct jobs_fixture *fixture, bool asked) {
    static const char id[] = "dddddddd-dddd-4ddd-8ddd-dddddddddddd";
    struct mos_backup backup = {
        .id = BACKUP, .name = "n", .type = MOS_BACKUP_FILES, .status = MOS_BACKUP_IN_PROGRESS, .integrity_check = asked};
    bool followed = false;
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, fixture_put_backup, &backup, &fixture->error), &fixture->error);
    fixture_leave(fixture, JOB, MOS_JOB_BACKUP, MOS_JOB_RUNNING, BACKUP);
    struct mos_outcome outcome = outcome_of(JOB, MOS_JOB_SUCCEEDED, &followed);
    outcome.committed = committed_record(BACKUP);
    outcome.verification_id = id;
    finish(fixture, &outcome);
    CU_ASSERT_EQUAL(fixture_backup(fixture, BACKUP).status, MOS_BACKUP_COMPLETED);
    CU_ASSERT_STRING_EQUAL(fixture_backup(fixture, BACKUP).encrypted_location, "/repository/backups/m");
    CU_ASSERT_EQUAL(fixture_job_of(fixture, BACKUP, MOS_JOB_VERIFY).status, asked ? MOS_JOB_PENDING : 0);
    return followed;
}

MOS_TEST(a_verification_follows_only_where_it_was_asked_for) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    CU_ASSERT_FALSE(followed_up(&fixture, false));
    CU_ASSERT(followed_up(&fixture, true));
    fixture_end(&fixture);
}

MOS_TEST(progress_and_warnings_are_one_change) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    fixture_leave_backup(&fixture, BACKUP, MOS_BACKUP_IN_PROGRESS, false);
    fixture_leave(&fixture, JOB, MOS_JOB_BACKUP, MOS_JOB_RUNNING, BACKUP);
    static const char *const warnings[] = {"/a: gone", "/b: changed"};
    const struct mos_progress progress = {.phase = "writing", .bytes_done = 5, .current = "/c", .seconds_left = -1};
    MOS_ASSERT_OK(mos_record_progress(fixture.catalog, JOB, &progress, warnings, 2, &fixture.error), &fixture.error);
    struct mos_job job = fixture_job_of(&fixture, BACKUP, MOS_JOB_BACKUP);
    CU_ASSERT_EQUAL(job.warnings, 2);
    CU_ASSERT_EQUAL(job.progress.bytes_done, 5);
    CU_ASSERT_EQUAL(job.progress.seconds_left, -1);
    struct mos_event *events;
    CU_ASSERT_EQUAL_FATAL(fixture_events(&fixture, JOB, &events), 3);
    CU_ASSERT_STRING_EQUAL(events[0].message, "/a: gone");
    CU_ASSERT_EQUAL(events[2].kind, MOS_EVENT_PROGRESS);
    CU_ASSERT_STRING_EQUAL(events[2].progress.current, "/c");
    fixture_end(&fixture);
}

MOS_TEST(a_backup_is_found_once) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    bool added = false;
    MOS_ASSERT_OK(mos_record_found(fixture.catalog, committed_record(BACKUP), "/repository", &added, &fixture.error), &fixture.error);
    CU_ASSERT(added);
    MOS_ASSERT_OK(mos_record_found(fixture.catalog, committed_record(BACKUP), "/repository", &added, &fixture.error), &fixture.error);
    CU_ASSERT_FALSE(added);
    fixture_end(&fixture);
}
