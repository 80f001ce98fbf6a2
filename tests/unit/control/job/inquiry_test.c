#include "unit/control/job/fixture.h"

typedef Mosaajii__Engine__V1__ListRequest list_request;

static mos_status list(struct jobs_fixture *fixture, const char *script, int limit, size_t *out_count, bool *out_more) {
    list_request request = MOSAAJII__ENGINE__V1__LIST_REQUEST__INIT;
    request.backup_id = (char *)"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
    request.limit = limit;
    fixture_script(fixture, "list", script);
    Mosaajii__Engine__V1__Entry **entries;
    return mos_queue_list_files(fixture->queue, &request, -1, fixture->arena, &entries, out_count, out_more, &fixture->error);
}

MOS_TEST(files_are_listed_up_to_what_was_asked_for) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    size_t count = 0;
    bool more = false;
    MOS_ASSERT_OK(list(&fixture, "entries 2 0\nentries 1 1\nresult OK 0 \n", 3, &count, &more), &fixture.error);
    CU_ASSERT_EQUAL(count, 3);
    CU_ASSERT(more);
    MOS_ASSERT_OK(list(&fixture, "warning /a b\nresult OK 0 \n", 3, &count, &more), &fixture.error);
    CU_ASSERT_EQUAL(count, 0);
    CU_ASSERT_FALSE(more);
    CU_ASSERT_EQUAL(list(&fixture, "entries 2 0\nentries 2 0\nresult OK 0 \n", 3, &count, &more), MOS_RESOURCE_EXHAUSTED);
    CU_ASSERT_EQUAL(list(&fixture, "result NOT_FOUND 0 no such path\n", 3, &count, &more), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(list(&fixture, "exit 1\n", 3, &count, &more), MOS_INTERNAL);
    fixture_end(&fixture);
}

MOS_TEST(the_repository_is_opened) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    const Mosaajii__Engine__V1__Repository *repository = NULL;
    MOS_ASSERT_OK(mos_queue_init(fixture.queue, fixture.arena, &repository, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(repository->id, "0123");
    fixture_script(&fixture, "init", "result OK 0 \n");
    CU_ASSERT_EQUAL(mos_queue_init(fixture.queue, fixture.arena, &repository, &fixture.error), MOS_INTERNAL);
    fixture_script(&fixture, "init", "result FAILED_PRECONDITION 0 the keyring is missing\n");
    CU_ASSERT_EQUAL(mos_queue_init(fixture.queue, fixture.arena, &repository, &fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_STRING_EQUAL(fixture.error.message, "the keyring is missing");
    fixture_end(&fixture);
}

// Both hang, one before its first word and one in the middle of it; the third gets its turn all the same.
MOS_TEST(an_engine_that_hangs_does_not_keep_others_waiting_for_ever) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    mos_queue_destroy(fixture.queue);
    fixture.engine.answer_ms = 50;
    fixture.queue = mos_queue_create(fixture.catalog, &fixture.engine, 1);
    size_t count = 0;
    bool more = false;
    CU_ASSERT_EQUAL(list(&fixture, "deaf\nlinger\n", 3, &count, &more), MOS_UNAVAILABLE);
    CU_ASSERT_NOT_EQUAL(list(&fixture, "deaf\nbytes 0a000000ff\nlinger\n", 3, &count, &more), MOS_OK);
    // Its job is settled by what is known, though the repository cannot be asked.
    MOS_ASSERT_OK(mos_queue_start(fixture.queue, &fixture.error), &fixture.error);
    fixture_script(&fixture, "inventory", "deaf\nlinger\n");
    char id[MOS_ID_TEXT_BYTES];
    CU_ASSERT_EQUAL(fixture_run_backup(&fixture, "exit 1\n", id).status, MOS_JOB_FAILED);
    fixture_end(&fixture);
}

// ---- Rebuilding ----

MOS_TEST(a_catalog_is_rebuilt_from_the_repository) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    static const char one[] = "11111111-1111-4111-8111-111111111111", two[] = "22222222-2222-4222-8222-222222222222",
                      three[] = "33333333-3333-4333-8333-333333333333";
    fixture_leave_backup(&fixture, two, MOS_BACKUP_VERIFIED, true);
    fixture_leave_backup(&fixture, three, MOS_BACKUP_FAILED, false);
    fixture_script(&fixture, "inventory",
                   "record 11111111-1111-4111-8111-111111111111 \n"
                   "record 22222222-2222-4222-8222-222222222222 \n"
                   "record 33333333-3333-4333-8333-333333333333 \n"
                   "record 44444444-4444-4444-8444-444444444444 its manifest does not open\n"
                   "result OK 0 \n");
    int64_t added = 0;
    MOS_ASSERT_OK(mos_queue_rebuild(fixture.queue, &added, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(added, 2);
    struct mos_backup backup = fixture_backup(&fixture, one);
    CU_ASSERT_STRING_EQUAL(backup.name, "found again");
    CU_ASSERT_EQUAL(backup.type, MOS_BACKUP_FILES);
    CU_ASSERT_EQUAL(backup.status, MOS_BACKUP_COMPLETED);
    CU_ASSERT_EQUAL(backup.created_at_unix_ns, INT64_C(1700000000000000000));
    CU_ASSERT_EQUAL(backup.retention_days, 7);
    // Known, and better known than by the repository.
    CU_ASSERT_EQUAL(fixture_backup(&fixture, two).status, MOS_BACKUP_VERIFIED);
    CU_ASSERT_STRING_EQUAL(fixture_backup(&fixture, two).name, "left");
    CU_ASSERT_EQUAL(fixture_backup(&fixture, three).status, MOS_BACKUP_COMPLETED);
    CU_ASSERT_PTR_NULL(fixture_backup(&fixture, "44444444-4444-4444-8444-444444444444").id);
    MOS_ASSERT_OK(mos_queue_rebuild(fixture.queue, &added, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(added, 0);
    fixture_script(&fixture, "inventory", "record 55555555-5555-4555-8555-555555555555 \nsignal 9\n");
    CU_ASSERT_EQUAL(mos_queue_rebuild(fixture.queue, &added, &fixture.error), MOS_INTERNAL);
    CU_ASSERT_EQUAL(added, 1);
    fixture_end(&fixture);
}
