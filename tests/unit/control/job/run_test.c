#include "unit/control/job/fixture.h"

static void expect(struct mos_job job, enum mos_job_status status, const char *message) {
    CU_ASSERT_EQUAL(job.status, status);
    CU_ASSERT_PTR_NOT_NULL(strstr(job.message, message));
    if (job.status != status || !strstr(job.message, message)) {
        mos_test_complain(mos_job_status_word(job.status), job.message);
    }
    CU_ASSERT(job.completed_at_unix_ns > 0);
}

MOS_TEST(a_backup_becomes_what_its_engine_committed) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    struct mos_job job = fixture_run_backup(&fixture, "progress scanning 1 10 0\nprogress writing 2 500 1000\ncommitted\n", id);
    expect(job, MOS_JOB_SUCCEEDED, "");
    CU_ASSERT_STRING_EQUAL(job.progress.phase, "writing");
    CU_ASSERT_STRING_EQUAL(job.progress.current, "/srv/\\xff");
    CU_ASSERT_EQUAL(job.progress.bytes_done, 500);
    struct mos_backup backup = fixture_backup(&fixture, id);
    CU_ASSERT_EQUAL(backup.status, MOS_BACKUP_COMPLETED);
    CU_ASSERT_STRING_EQUAL(backup.name, "nightly");
    CU_ASSERT_STRING_EQUAL(backup.encrypted_checksum, "bb");
    CU_ASSERT_STRING_EQUAL(backup.key_id, "local/1");
    CU_ASSERT_EQUAL(backup.size_bytes, 1000);
    CU_ASSERT_EQUAL(backup.encrypted_size_bytes, 400);
    CU_ASSERT_STRING_EQUAL(backup.encrypted_location, fixture_path(&fixture, "backups/x"));
    CU_ASSERT(backup.facts.size_bytes > 0);
    struct mos_event *events;
    size_t count = fixture_events(&fixture, job.id, &events);
    // Of the progress, the last is kept.
    static const enum mos_event_kind kinds[] = {MOS_EVENT_QUEUED, MOS_EVENT_STARTED, MOS_EVENT_PROGRESS, MOS_EVENT_FINISHED};
    CU_ASSERT_EQUAL_FATAL(count, 4);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(events[i].kind, kinds[i]);
        CU_ASSERT(i == 0 || events[i].sequence > events[i - 1].sequence);
    }
    CU_ASSERT_EQUAL(events[1].backup_status, MOS_BACKUP_IN_PROGRESS);
    CU_ASSERT_EQUAL(events[3].backup_status, MOS_BACKUP_COMPLETED);
    fixture_end(&fixture);
}

MOS_TEST(warnings_are_recorded_with_their_paths) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    struct mos_job job = fixture_run_backup(&fixture, "warning /srv/a it vanished\nwarning  nothing to say of a path\ncommitted\n", id);
    CU_ASSERT_EQUAL(job.warnings, 2);
    struct mos_event *events;
    size_t count = fixture_events(&fixture, job.id, &events);
    CU_ASSERT_EQUAL_FATAL(count, 5);
    CU_ASSERT_STRING_EQUAL(events[2].message, "/srv/a: it vanished");
    CU_ASSERT_STRING_EQUAL(events[3].message, "nothing to say of a path");
    fixture_end(&fixture);
}

MOS_TEST(a_backup_that_asks_for_it_is_verified_at_once) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    fixture_script(&fixture, "backup", "committed\n");
    fixture_script(&fixture, "verify", "verification 1 1 1 \n");
    fixture_order(&fixture, true, id);
    expect(fixture_wait(&fixture, fixture_job_of(&fixture, id, MOS_JOB_BACKUP).id), MOS_JOB_SUCCEEDED, "");
    expect(fixture_wait(&fixture, fixture_job_of(&fixture, id, MOS_JOB_VERIFY).id), MOS_JOB_SUCCEEDED, "");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_VERIFIED);
    // And later found damaged, by another verification.
    fixture_script(&fixture, "verify", "verification 1 0 1 pack 12 does not open\n");
    char job_id[MOS_ID_TEXT_BYTES];
    MOS_ASSERT_OK(mos_queue_verify(fixture.queue, id, "tester", job_id, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, job_id), MOS_JOB_FAILED, "pack 12 does not open");
    struct mos_backup backup = fixture_backup(&fixture, id);
    CU_ASSERT_EQUAL(backup.status, MOS_BACKUP_FAILED);
    CU_ASSERT(backup.damaged);
    fixture_end(&fixture);
}

// What is not known leaves the backup as good as it was.
MOS_TEST(a_verification_that_breaks_off_says_nothing_of_the_backup) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES], job_id[MOS_ID_TEXT_BYTES];
    fixture_run_backup(&fixture, "committed\n", id);
    static const char *const scripts[] = {"signal 9\n", "result IO 0 a disk failed\n", "result OK 0 \n", "committed\n", "bytes ffffffff\n"};
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        fixture_script(&fixture, "verify", scripts[i]);
        MOS_ASSERT_OK(mos_queue_verify(fixture.queue, id, "tester", job_id, &fixture.error), &fixture.error);
        struct mos_job job = fixture_wait(&fixture, job_id);
        CU_ASSERT_EQUAL(job.status, MOS_JOB_FAILED);
        CU_ASSERT(*job.message);
        struct mos_backup backup = fixture_backup(&fixture, id);
        CU_ASSERT_EQUAL(backup.status, MOS_BACKUP_COMPLETED);
        CU_ASSERT_FALSE(backup.damaged);
        CU_ASSERT_PTR_NOT_NULL(strstr(backup.message, job.message));
    }
    fixture_end(&fixture);
}

MOS_TEST(an_engine_that_fails_says_why) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    expect(fixture_run_backup(&fixture, "result NO_SPACE 0 no space left in the repository\n", id), MOS_JOB_FAILED,
           "No space left in the repository");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_FAILED);
    CU_ASSERT_STRING_EQUAL(fixture_backup(&fixture, id).message, "No space left in the repository");
    expect(fixture_run_backup(&fixture, "result NO_SPACE 0 \n", id), MOS_JOB_FAILED, "No space left");
    expect(fixture_run_backup(&fixture, "result BOGUS 0 \n", id), MOS_JOB_FAILED, "Unknown error");
    fixture_end(&fixture);
}

MOS_TEST(an_engine_that_dies_is_one_failed_job) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    expect(fixture_run_backup(&fixture, "progress writing 1 1 1\nsignal 9\n", id), MOS_JOB_FAILED,
           "The engine process was killed by signal 9 (Killed) while the backup was being taken");
    expect(fixture_run_backup(&fixture, "exit 4\n", id), MOS_JOB_FAILED, "ended with exit code 4");
    expect(fixture_run_backup(&fixture, "bytes 0a000000ff\nexit 0\n", id), MOS_JOB_FAILED, "ended with exit code 0");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_FAILED);
    // The next goes on as if nothing had been.
    expect(fixture_run_backup(&fixture, "committed\n", id), MOS_JOB_SUCCEEDED, "");
    fixture_end(&fixture);
}

MOS_TEST(an_engine_that_talks_nonsense_is_stopped) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    expect(fixture_run_backup(&fixture, "bytes 02000000ffff\nlinger\n", id), MOS_JOB_FAILED, "The engine process");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_FAILED);
    fixture_end(&fixture);
}

MOS_TEST(the_repository_knows_what_a_dead_engine_committed) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    fixture_script(&fixture, "backup", "gate ready\nsignal 9\n");
    fixture_make_gate(&fixture, "ready");
    fixture_order(&fixture, false, id);
    int gate = fixture_meet(&fixture, "ready");
    fixture_script(&fixture, "inventory", mos_arena_printf(fixture.arena, "record %s \nresult OK 0 \n", id));
    close(gate);
    expect(fixture_wait(&fixture, fixture_job_of(&fixture, id, MOS_JOB_BACKUP).id), MOS_JOB_SUCCEEDED, "Committed just before");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_COMPLETED);
    CU_ASSERT_STRING_EQUAL(fixture_backup(&fixture, id).encrypted_checksum, "bb");
    fixture_end(&fixture);
}

MOS_TEST(a_repository_that_cannot_be_asked_fails_the_job) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    fixture_script(&fixture, "inventory", "signal 11\n");
    char id[MOS_ID_TEXT_BYTES];
    expect(fixture_run_backup(&fixture, "signal 9\n", id), MOS_JOB_FAILED, "killed by signal 9");
    fixture_end(&fixture);
}

// No backup is called good by the word OK alone.
MOS_TEST(an_engine_that_lies_is_not_believed) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    static const char *const scripts[] = {"result OK 0 \n", "committed 11111111-1111-4111-8111-111111111111\n", "verification 1 1 1 \n",
                                          "deletion 5\n", "restoration 0\n"};
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        char id[MOS_ID_TEXT_BYTES];
        expect(fixture_run_backup(&fixture, scripts[i], id), MOS_JOB_FAILED, "did not say");
        struct mos_backup backup = fixture_backup(&fixture, id);
        CU_ASSERT_EQUAL(backup.status, MOS_BACKUP_FAILED);
        CU_ASSERT_STRING_EQUAL(backup.encrypted_checksum, "");
        CU_ASSERT(*backup.message);
    }
    fixture_end(&fixture);
}

MOS_TEST(numbers_out_of_all_bounds_do_no_harm) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    struct mos_job job = fixture_run_backup(&fixture,
                                            "progress a -9223372036854775808 -9223372036854775808 9223372036854775807\n"
                                            "progress b 9223372036854775807 9223372036854775807 -9223372036854775808\n"
                                            "progress b 0 -9223372036854775808 9223372036854775807\n"
                                            "committed\n",
                                            id);
    expect(job, MOS_JOB_SUCCEEDED, "");
    CU_ASSERT(job.progress.bytes_done >= 0 && job.progress.bytes_per_second >= 0 && job.progress.seconds_left >= -1);
    fixture_end(&fixture);
}

MOS_TEST(an_engine_that_cannot_be_started_is_one_failed_job) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    mos_queue_destroy(fixture.queue);
    fixture.engine.path = "/nowhere/mosaajii-engine";
    fixture.queue = mos_queue_create(fixture.catalog, &fixture.engine, 1);
    MOS_ASSERT_OK(mos_queue_start(fixture.queue, &fixture.error), &fixture.error);
    char id[MOS_ID_TEXT_BYTES];
    expect(fixture_run_backup(&fixture, "", id), MOS_JOB_FAILED, "/nowhere/mosaajii-engine");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_FAILED);
    fixture_end(&fixture);
}

MOS_TEST(a_deletion_takes_the_record_with_it) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES], job_id[MOS_ID_TEXT_BYTES];
    fixture_run_backup(&fixture, "committed\n", id);
    fixture_script(&fixture, "delete", "deletion 400\n");
    MOS_ASSERT_OK(mos_queue_delete(fixture.queue, id, "tester", job_id, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, job_id), MOS_JOB_SUCCEEDED, "");
    CU_ASSERT_PTR_NULL(fixture_backup(&fixture, id).id);
    struct mos_event *events;
    CU_ASSERT_EQUAL(fixture_events(&fixture, job_id, &events), 3);
    // One of which the repository holds nothing.
    fixture_run_backup(&fixture, "exit 1\n", id);
    fixture_script(&fixture, "delete", "result NOT_FOUND 0 no such backup\n");
    MOS_ASSERT_OK(mos_queue_delete(fixture.queue, id, "tester", job_id, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, job_id), MOS_JOB_SUCCEEDED, "held nothing");
    CU_ASSERT_PTR_NULL(fixture_backup(&fixture, id).id);
    fixture_end(&fixture);
}

MOS_TEST(a_deletion_that_was_not_done_keeps_the_record) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES], job_id[MOS_ID_TEXT_BYTES];
    fixture_run_backup(&fixture, "committed\n", id);
    fixture_script(&fixture, "inventory", mos_arena_printf(fixture.arena, "record %s \nresult OK 0 \n", id));
    static const char *const scripts[] = {"result IO 0 a disk failed\n", "signal 9\n", "result OK 0 \n"};
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        fixture_script(&fixture, "delete", scripts[i]);
        MOS_ASSERT_OK(mos_queue_delete(fixture.queue, id, "tester", job_id, &fixture.error), &fixture.error);
        expect(fixture_wait(&fixture, job_id), MOS_JOB_FAILED, "");
        CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_COMPLETED);
    }
    // Done, and dead before it could say so.
    fixture_script(&fixture, "inventory", "result OK 0 \n");
    fixture_script(&fixture, "delete", "signal 9\n");
    MOS_ASSERT_OK(mos_queue_delete(fixture.queue, id, "tester", job_id, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, job_id), MOS_JOB_SUCCEEDED, "Deleted just before");
    CU_ASSERT_PTR_NULL(fixture_backup(&fixture, id).id);
    fixture_end(&fixture);
}

MOS_TEST(a_restore_with_files_that_failed_has_warnings) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES], job_id[MOS_ID_TEXT_BYTES];
    fixture_run_backup(&fixture, "committed\n", id);
    const struct mos_restore_order order = {.backup_id = id, .created_by = "tester", .target = "/restore/here"};
    static const struct {
        const char *script;
        enum mos_job_status status;
    } cases[] = {{"restoration 0\n", MOS_JOB_SUCCEEDED},
                 {"restoration 2\n", MOS_JOB_SUCCEEDED_WITH_WARNINGS},
                 {"result OK 0 \n", MOS_JOB_FAILED},
                 {"result ALREADY_EXISTS 0 a file is there already\n", MOS_JOB_FAILED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_script(&fixture, "restore", cases[i].script);
        MOS_ASSERT_OK(mos_queue_restore(fixture.queue, &order, job_id, &fixture.error), &fixture.error);
        expect(fixture_wait(&fixture, job_id), cases[i].status, "");
        CU_ASSERT_EQUAL(fixture_backup(&fixture, id).status, MOS_BACKUP_COMPLETED);
    }
    fixture_end(&fixture);
}

// ---- Work on the whole repository ----

MOS_TEST(a_prune_and_a_check_are_jobs_of_no_backup) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES];
    fixture_script(&fixture, "prune", "progress marking 0 0 0\npruning 12\n");
    MOS_ASSERT_OK(mos_queue_prune(fixture.queue, 0, false, "tester", id, &fixture.error), &fixture.error);
    struct mos_job job = fixture_wait(&fixture, id);
    expect(job, MOS_JOB_SUCCEEDED, "");
    CU_ASSERT_EQUAL(job.kind, MOS_JOB_PRUNE);
    CU_ASSERT_STRING_EQUAL(job.backup_id, "");
    CU_ASSERT(job.result.size_bytes > 0);
    fixture_script(&fixture, "check", "checking 1 \n");
    MOS_ASSERT_OK(mos_queue_check(fixture.queue, 100, 0, false, "tester", id, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, id), MOS_JOB_SUCCEEDED, "");
    // Damage is what the job is for, and yet it must not look as if all were well.
    fixture_script(&fixture, "check", "checking 0 packs/ab/ab01 is missing\n");
    MOS_ASSERT_OK(mos_queue_check(fixture.queue, 100, 0, false, "tester", id, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, id), MOS_JOB_FAILED, "packs/ab/ab01 is missing");
    // An answer to another question.
    fixture_script(&fixture, "check", "pruning 12\n");
    MOS_ASSERT_OK(mos_queue_check(fixture.queue, 100, 0, false, "tester", id, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, id), MOS_JOB_FAILED, "did not say what became of it while the repository was being checked");
    fixture_script(&fixture, "prune", "signal 9\n");
    MOS_ASSERT_OK(mos_queue_prune(fixture.queue, 0, false, "tester", id, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, id), MOS_JOB_FAILED, "while the repository was being pruned");
    fixture_end(&fixture);
}

MOS_TEST(there_is_one_prune_at_a_time) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 2);
    char id[MOS_ID_TEXT_BYTES], other[MOS_ID_TEXT_BYTES];
    fixture_make_gate(&fixture, "gate");
    fixture_script(&fixture, "prune", "gate gate\npruning 1\n");
    fixture_script(&fixture, "check", "checking 1 \n");
    MOS_ASSERT_OK(mos_queue_prune(fixture.queue, 0, false, "tester", id, &fixture.error), &fixture.error);
    int gate = fixture_meet(&fixture, "gate");
    CU_ASSERT_EQUAL(mos_queue_prune(fixture.queue, 0, false, "tester", other, &fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, id));
    // A check beside it is something else.
    MOS_ASSERT_OK(mos_queue_check(fixture.queue, 0, 0, false, "tester", other, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, other), MOS_JOB_SUCCEEDED, "");
    close(gate);
    expect(fixture_wait(&fixture, id), MOS_JOB_SUCCEEDED, "");
    fixture_script(&fixture, "prune", "pruning 1\n");
    MOS_ASSERT_OK(mos_queue_prune(fixture.queue, 0, false, "tester", id, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, id), MOS_JOB_SUCCEEDED, "");
    fixture_end(&fixture);
}

// Stops the queue and starts another one on the same catalog, as a restart of the server does.
static void restart(struct jobs_fixture *fixture) {
    mos_queue_stop(fixture->queue);
    mos_queue_destroy(fixture->queue);
    fixture->queue = mos_queue_create(fixture->catalog, &fixture->engine, 2);
    MOS_ASSERT_OK(mos_queue_start(fixture->queue, &fixture->error), &fixture->error);
}

MOS_TEST(a_restore_that_is_cancelled_may_tidy_up) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES], job_id[MOS_ID_TEXT_BYTES];
    fixture_run_backup(&fixture, "committed\n", id);
    const struct mos_restore_order order = {.backup_id = id, .created_by = "tester", .target = "/restore/here"};
    fixture_make_gate(&fixture, "ready");
    fixture_script(&fixture, "restore", "deaf\ngate ready\ntidy 1500 tidied\nresult CANCELLED 0 cancelled\n");
    MOS_ASSERT_OK(mos_queue_restore(fixture.queue, &order, job_id, &fixture.error), &fixture.error);
    close(fixture_meet(&fixture, "ready"));
    mos_queue_cancel(fixture.queue, job_id, &fixture.error);
    CU_ASSERT_EQUAL(fixture_wait(&fixture, job_id).status, MOS_JOB_CANCELLED);
    CU_ASSERT_EQUAL(access(fixture_path(&fixture, "tidied"), F_OK), 0);
    fixture_end(&fixture);
}

MOS_TEST(a_prune_that_is_due_outlives_the_server) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 2);
    char gone[MOS_ID_TEXT_BYTES], running[MOS_ID_TEXT_BYTES], deletion[MOS_ID_TEXT_BYTES];
    fixture_run_backup(&fixture, "committed\n", gone);
    fixture_make_gate(&fixture, "gate");
    fixture_script(&fixture, "backup", "gate gate\ncommitted\n");
    fixture_order(&fixture, false, running);
    int gate = fixture_meet(&fixture, "gate");
    fixture_script(&fixture, "delete", "deletion 5 7\n");
    MOS_ASSERT_OK(mos_queue_delete(fixture.queue, gone, "tester", deletion, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, deletion), MOS_JOB_SUCCEEDED, "");
    // The first one fails, so that it stays due.
    fixture_script(&fixture, "prune", "result IO 0 no luck\n");
    restart(&fixture);
    close(gate);
    struct mos_job prune = fixture_job_of(&fixture, NULL, MOS_JOB_PRUNE);
    expect(fixture_wait(&fixture, prune.id), MOS_JOB_FAILED, "No luck");
    fixture_script(&fixture, "prune", "pruning 1\n");
    restart(&fixture);
    expect(fixture_wait(&fixture, fixture_job_of(&fixture, NULL, MOS_JOB_PRUNE).id), MOS_JOB_SUCCEEDED, "");
    restart(&fixture);
    CU_ASSERT_EQUAL(fixture_calls(&fixture, "prune"), 2);
    fixture_end(&fixture);
}

MOS_TEST(what_became_of_a_killed_backup_is_asked_of_it_alone) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 1);
    char id[MOS_ID_TEXT_BYTES], call[64];
    fixture_run_backup(&fixture, "exit 1\n", id);
    snprintf(call, sizeof(call), "inventory %s", id);
    CU_ASSERT_EQUAL(fixture_calls(&fixture, call), 1);
    CU_ASSERT_EQUAL(fixture_calls(&fixture, "inventory"), 1);
    fixture_end(&fixture);
}

MOS_TEST(what_a_deletion_had_to_leave_is_pruned_when_no_backup_runs_any_more) {
    struct jobs_fixture fixture;
    fixture_start(&fixture, 2);
    char gone[MOS_ID_TEXT_BYTES], running[MOS_ID_TEXT_BYTES], deletion[MOS_ID_TEXT_BYTES];
    fixture_run_backup(&fixture, "committed\n", gone);
    fixture_script(&fixture, "prune", "pruning 1\n");
    fixture_make_gate(&fixture, "gate");
    fixture_script(&fixture, "backup", "gate gate\ncommitted\n");
    fixture_order(&fixture, false, running);
    int gate = fixture_meet(&fixture, "gate");
    fixture_script(&fixture, "delete", "deletion 5 7\n");
    MOS_ASSERT_OK(mos_queue_delete(fixture.queue, gone, "tester", deletion, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, deletion), MOS_JOB_SUCCEEDED, "");
    CU_ASSERT_STRING_EQUAL(fixture_job_of(&fixture, NULL, MOS_JOB_PRUNE).id, "");
    close(gate);
    fixture_wait(&fixture, fixture_job_of(&fixture, running, MOS_JOB_BACKUP).id);
    struct mos_job prune;
    do {
        int64_t seen = mos_catalog_last_event(fixture.catalog);
        prune = fixture_job_of(&fixture, NULL, MOS_JOB_PRUNE);
        if (!*prune.id) {
            mos_catalog_wait_events(fixture.catalog, seen, fixture_never, NULL);
        }
    } while (!*prune.id);
    expect(fixture_wait(&fixture, prune.id), MOS_JOB_SUCCEEDED, "");
    // A deletion that left nothing behind asks for nothing.
    int prunes = fixture_calls(&fixture, "prune");
    fixture_script(&fixture, "delete", "deletion 5 0\n");
    MOS_ASSERT_OK(mos_queue_delete(fixture.queue, running, "tester", deletion, &fixture.error), &fixture.error);
    expect(fixture_wait(&fixture, deletion), MOS_JOB_SUCCEEDED, "");
    mos_queue_stop(fixture.queue);
    CU_ASSERT_EQUAL(fixture_calls(&fixture, "prune"), prunes);
    CU_ASSERT_EQUAL(prunes, 1);
    mos_queue_destroy(fixture.queue);
    mos_catalog_close(fixture.catalog);
    mos_arena_destroy(fixture.arena);
}
