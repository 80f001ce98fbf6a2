// What happens to copies, over a store in memory and a catalog, without an engine.
#include "unit/control/offsite/scene.h"

// ---- Deleting ----

MOS_TEST(deleting_a_copy_that_failed_spares_the_one_after_it) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy failed = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_FAILED}, 4, objects_a);
    put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    int64_t freed = 0;
    bool pending = false;
    MOS_ASSERT_OK(mos_offsite_delete(&scene.offsite, failed.id, &caller, &freed, &pending, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_EQUAL(read_copy(&scene, failed.id).status, MOS_COPY_DELETED);
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT(is_there(&scene, objects_a[i]));
    }
    CU_ASSERT_EQUAL(freed, 0);
    scene_close(&scene);
}

MOS_TEST(what_was_told_of_a_copy_ends_with_it) {
    static const enum mos_alert_type types[] = {MOS_ALERT_OFFSITE_FAILED, MOS_ALERT_RETENTION_VIOLATION};
    struct scene scene;
    scene_open(&scene);
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    for (size_t i = 0; i < 2; i++) {
        mos_offsite_raise(&scene.offsite, types[i], copy.id, A, "something is wrong with it", NULL, 0);
    }
    int64_t freed = 0;
    bool pending = false;
    MOS_ASSERT_OK(mos_offsite_delete(&scene.offsite, copy.id, &caller, &freed, &pending, &scene.fixture.error), &scene.fixture.error);
    for (size_t i = 0; i < 2; i++) {
        bool found = true;
        char cause[128];
        snprintf(cause, sizeof(cause), "offsite:%d:%s", (int)types[i], copy.id);
        find_alert(&scene, cause, &found);
        CU_ASSERT(!found);
    }
    scene_close(&scene);
}

MOS_TEST(deleting_takes_what_no_other_copy_needs) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy first = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    put_copy(&scene, (struct mos_copy){.backup_id = B, .status = MOS_COPY_COMPLETED}, 3, objects_b);
    int64_t freed = 0;
    bool pending = false;
    MOS_ASSERT_OK(mos_offsite_delete(&scene.offsite, first.id, &caller, &freed, &pending, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT(!is_there(&scene, MANIFEST_A) && !is_there(&scene, KEY_A) && !is_there(&scene, PACK_A));
    CU_ASSERT(is_there(&scene, PACK_SHARED) && is_there(&scene, KEY_B) && is_there(&scene, MANIFEST_B));
    CU_ASSERT_EQUAL(freed, (int64_t)strlen(MANIFEST_A KEY_A PACK_A));
    scene_close(&scene);
}

MOS_TEST(nothing_is_deleted_where_another_server_writes) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    put_object(&scene, "writer");
    int64_t freed = 0;
    bool pending = false;
    CU_ASSERT_EQUAL(mos_offsite_delete(&scene.offsite, copy.id, &caller, &freed, &pending, &scene.fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(scene.fixture.error.message, "another server"));
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_COMPLETED);
    CU_ASSERT_EQUAL(scene.deletions, 0);
    scene_close(&scene);
}

// ---- Two who change one copy ----

static void delete_all(struct scene *scene) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_copies copies;
    MOS_ASSERT_OK(mos_removal_copies(scene->place, arena, &copies, &scene->fixture.error), &scene->fixture.error);
    for (size_t i = 0; i < copies.count; i++) {
        struct mos_copy copy = copies.copies[i];
        copy.status = MOS_COPY_DELETED;
        const struct mos_offsite_end end = {.copy = &copy, .job_id = "", .caller = &caller, .details = ""};
        MOS_ASSERT_OK(mos_offsite_record_end(&scene->offsite, &end, &scene->fixture.error), &scene->fixture.error);
    }
}

MOS_TEST(a_copy_deleted_while_it_is_looked_after_stays_deleted) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    scene.offsite.lock_ns = DAY_NS;
    scene.operation = MOS_STORE_RETAIN;
    scene.meanwhile = delete_all;
    mos_offsite_tidy(scene.place);
    CU_ASSERT_PTR_NULL(scene.meanwhile);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_DELETED);
    scene_close(&scene);
}

static void really_delete(struct scene *scene) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_copies copies;
    int64_t freed = 0;
    bool pending = false;
    MOS_ASSERT_OK(mos_removal_copies(scene->place, arena, &copies, &scene->fixture.error), &scene->fixture.error);
    MOS_ASSERT_OK(mos_offsite_delete(&scene->offsite, copies.copies[0].id, &caller, &freed, &pending, &scene->fixture.error),
                  &scene->fixture.error);
}

static bool never(void *argument) {
    (void)argument;
    return false;
}

MOS_TEST(a_copy_deleted_while_it_is_verified_is_not_damaged) {
    struct scene scene;
    scene_open(&scene);
    struct mos_offsite_verification found;
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    scene.operation = MOS_STORE_HEAD;
    scene.meanwhile = really_delete;
    CU_ASSERT_EQUAL(
        mos_offsite_verify(&scene.offsite, copy.id, 100, &caller, never, NULL, scene.fixture.arena, &found, &scene.fixture.error),
        MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(scene.fixture.error.message, "deleted while it was verified"));
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_DELETED);
    int64_t alerts = 1;
    mos_catalog_session *session = fixture_read(&scene.fixture);
    MOS_ASSERT_OK(mos_catalog_count_open_alerts(session, &alerts, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_EQUAL(alerts, 0);
    mos_catalog_read_end(session);
    scene_close(&scene);
}

MOS_TEST(a_deleted_copy_is_not_sent) {
    struct scene scene;
    scene_open(&scene);
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_RETRYING}, 4, objects_a);
    delete_all(&scene);
    mos_id_new(job_id);
    CU_ASSERT_EQUAL(mos_offsite_record_begun(&scene.offsite, &copy, job_id, &scene.fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_DELETED);
    scene_close(&scene);
}

MOS_TEST(what_is_ordered_while_a_copy_is_sent_holds) {
    struct scene scene;
    scene_open(&scene);
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_copy copy =
        put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_PENDING, .policy = "weekly_90"}, 4, objects_a);
    mos_id_new(job_id);
    MOS_ASSERT_OK(mos_offsite_record_begun(&scene.offsite, &copy, job_id, &scene.fixture.error), &scene.fixture.error);
    fixture_put_backup(&scene.fixture, (struct mos_backup){.id = A,
                                                           .name = "n",
                                                           .type = MOS_BACKUP_FILES,
                                                           .status = MOS_BACKUP_COMPLETED,
                                                           .created_at_unix_ns = 1,
                                                           .completed_at_unix_ns = 1,
                                                           .encrypted_checksum = "aa"});
    const struct mos_offsite_order order = {.backup_id = A, .retention_days = 3650};
    char id[MOS_ID_TEXT_BYTES];
    MOS_ASSERT_OK(mos_offsite_upload(&scene.offsite, &order, &caller, id, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_STRING_EQUAL(id, copy.id);
    copy.status = MOS_COPY_COMPLETED;
    const struct mos_offsite_end end = {
        .copy = &copy, .job_id = job_id, .job_status = MOS_JOB_SUCCEEDED, .message = "", .caller = &caller, .details = ""};
    MOS_ASSERT_OK(mos_offsite_record_end(&scene.offsite, &end, &scene.fixture.error), &scene.fixture.error);
    struct mos_copy now = read_copy(&scene, copy.id);
    CU_ASSERT_EQUAL(now.status, MOS_COPY_COMPLETED);
    CU_ASSERT_EQUAL(now.retention_days, 3650);
    CU_ASSERT_STRING_EQUAL(now.policy, "");
    scene_close(&scene);
}

// ---- Archive ----

static mos_status change_policy(mos_catalog_session *session, void *policy, struct mos_error *error) {
    return mos_catalog_update_policy(session, policy, error);
}

static void archive_first(struct scene *scene, struct mos_copy *out) {
    struct mos_offsite_policy policy = {"weekly_90", 90, 1};
    MOS_ASSERT_OK(mos_catalog_write(scene->fixture.catalog, change_policy, &policy, &scene->fixture.error), &scene->fixture.error);
    *out = put_copy(
        scene,
        (struct mos_copy){
            .backup_id = A, .status = MOS_COPY_COMPLETED, .uploaded_at_unix_ns = mos_now_unix_ns() - 2 * DAY_NS, .policy = "weekly_90"},
        4, objects_a);
    put_copy(scene, (struct mos_copy){.backup_id = B, .status = MOS_COPY_COMPLETED, .uploaded_at_unix_ns = mos_now_unix_ns()}, 3,
             objects_b);
    mos_offsite_tidy(scene->place);
}

MOS_TEST(an_old_copy_is_archived_with_its_packs_alone) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy copy;
    archive_first(&scene, &copy);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_ARCHIVED);
    CU_ASSERT_EQUAL(state_of(&scene, PACK_A), MOS_STORE_ARCHIVED);
    CU_ASSERT_EQUAL(state_of(&scene, PACK_SHARED), MOS_STORE_ARCHIVED);
    CU_ASSERT_EQUAL(state_of(&scene, KEY_A), MOS_STORE_READY);
    CU_ASSERT_EQUAL(state_of(&scene, MANIFEST_A), MOS_STORE_READY);
    scene_close(&scene);
}

MOS_TEST(a_pack_that_an_older_copy_took_along_is_thawed) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy copy;
    archive_first(&scene, &copy);
    CU_ASSERT_EQUAL(state_of(&scene, PACK_SHARED), MOS_STORE_ARCHIVED);
    mos_object_list list = list_of(&scene, 3, objects_b);
    const struct mos_store_call call = {.over = mos_offsite_over, .argument = &scene.offsite};
    MOS_ASSERT_OK(mos_offsite_thaw(scene.place, list.objects, list.n_objects, &call, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_EQUAL(state_of(&scene, PACK_SHARED), MOS_STORE_READY);
    CU_ASSERT_EQUAL(state_of(&scene, PACK_A), MOS_STORE_ARCHIVED);
    scene_close(&scene);
}

// ---- The clock ----

MOS_TEST(copies_end_only_by_a_clock_that_is_believed) {
    struct scene scene;
    int64_t now_ns = mos_now_unix_ns();
    scene_open(&scene);
    struct mos_copy copy = put_copy(
        &scene,
        (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED, .uploaded_at_unix_ns = now_ns - 3 * DAY_NS, .retention_days = 30},
        4, objects_a);
    // Of a server that has never believed a clock yet, and of one whose clock jumps.
    believe(&scene, 0);
    mos_clock_fake(now_ns + 3650 * DAY_NS);
    mos_offsite_tidy(scene.place);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_COMPLETED);
    believe(&scene, now_ns);
    mos_offsite_tidy(scene.place);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_COMPLETED);
    CU_ASSERT_EQUAL(scene.deletions, 0);
    // Believed after all.
    believe(&scene, now_ns + 3650 * DAY_NS);
    mos_offsite_tidy(scene.place);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_DELETED);
    mos_clock_fake(0);
    scene_close(&scene);
}

MOS_TEST(a_lock_is_not_extended_by_a_clock_that_is_years_ahead) {
    struct scene scene;
    int64_t now_ns = mos_now_unix_ns();
    scene_open(&scene);
    scene.offsite.lock_ns = DAY_NS;
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    believe(&scene, now_ns);
    mos_clock_fake(now_ns + 3650 * DAY_NS);
    mos_offsite_tidy(scene.place);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).locked_until_unix_ns, now_ns + DAY_NS);
    mos_clock_fake(0);
    scene_close(&scene);
}

MOS_TEST(a_copy_that_is_locked_is_not_deleted_while_the_clock_is_ahead) {
    struct scene scene;
    int64_t now_ns = mos_now_unix_ns();
    scene_open(&scene);
    struct mos_copy copy =
        put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED, .locked_until_unix_ns = now_ns + 30 * DAY_NS}, 4,
                 objects_a);
    believe(&scene, now_ns);
    mos_clock_fake(now_ns + 3650 * DAY_NS);
    int64_t freed = 0;
    bool pending = false;
    CU_ASSERT_EQUAL(mos_offsite_delete(&scene.offsite, copy.id, &caller, &freed, &pending, &scene.fixture.error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(scene.deletions, 0);
    mos_clock_fake(0);
    scene_close(&scene);
}

// ---- What stays whatever its days say ----

// A good backup of one source.
static struct mos_backup taken(struct scene *scene, const char *id, int64_t created_ns) {
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    Mosaajii__Engine__V1__BackupRecord record = MOSAAJII__ENGINE__V1__BACKUP_RECORD__INIT;
    ProtobufCBinaryData path = {.data = (uint8_t *)"/srv", .len = 4};
    info.source_paths = &path;
    info.n_source_paths = 1;
    record.info = &info;
    uint8_t *facts = mos_arena_alloc(scene->fixture.arena, protobuf_c_message_get_packed_size(&record.base));
    return (struct mos_backup){.id = id,
                               .name = "",
                               .type = MOS_BACKUP_FILES,
                               .status = MOS_BACKUP_COMPLETED,
                               .created_at_unix_ns = created_ns,
                               .completed_at_unix_ns = created_ns,
                               .retention_days = 1,
                               .key_id = "",
                               .checksum = "",
                               .encrypted_checksum = "aa",
                               .location = "",
                               .encrypted_location = "",
                               .message = "",
                               .parent_id = "",
                               .created_by = "",
                               .facts = {facts, protobuf_c_message_pack(&record.base, facts)}};
}

static mos_status remove_backup(mos_catalog_session *session, void *id, struct mos_error *error) {
    return mos_catalog_remove_backup(session, id, error);
}

static mos_status quarantine(mos_catalog_session *session, void *id, struct mos_error *error) {
    return mos_catalog_quarantine_backup(session, id, "it is unlike those before it", error);
}

// Two backups of one source and their copies, all of whose days are over; `own`: the copies have days of their own.
static void put_two(struct scene *scene, bool own, struct mos_copy out[2]) {
    int64_t now_ns = mos_now_unix_ns();
    scene_open(scene);
    for (int i = 0; i < 2; i++) {
        int64_t then_ns = now_ns - (9 - i) * DAY_NS;
        fixture_put_backup(&scene->fixture, taken(scene, i == 0 ? A : B, then_ns));
        const struct mos_copy copy = {.backup_id = i == 0 ? A : B,
                                      .status = MOS_COPY_COMPLETED,
                                      .created_at_unix_ns = then_ns,
                                      .uploaded_at_unix_ns = then_ns,
                                      .retention_days = own};
        out[i] = put_copy(scene, copy, i == 0 ? 4 : 3, i == 0 ? objects_a : objects_b);
    }
}

static void expect_after_tidy(struct scene *scene, const struct mos_copy copies[2], enum mos_copy_status old, enum mos_copy_status new) {
    mos_offsite_tidy(scene->place);
    CU_ASSERT_EQUAL(read_copy(scene, copies[0].id).status, old);
    CU_ASSERT_EQUAL(read_copy(scene, copies[1].id).status, new);
}

MOS_TEST(a_copy_stays_while_retention_keeps_its_backup) {
    struct scene scene;
    struct mos_copy copies[2];
    put_two(&scene, false, copies);
    expect_after_tidy(&scene, copies, MOS_COPY_COMPLETED, MOS_COPY_COMPLETED);
    // Retention has let it go.
    MOS_ASSERT_OK(mos_catalog_write(scene.fixture.catalog, remove_backup, A, &scene.fixture.error), &scene.fixture.error);
    expect_after_tidy(&scene, copies, MOS_COPY_DELETED, MOS_COPY_COMPLETED);
    scene_close(&scene);
}

MOS_TEST(the_last_good_copy_of_a_source_stays) {
    struct scene scene;
    struct mos_copy copies[2];
    put_two(&scene, true, copies);
    expect_after_tidy(&scene, copies, MOS_COPY_DELETED, MOS_COPY_COMPLETED);
    // Also when nothing of the source is left here.
    MOS_ASSERT_OK(mos_catalog_write(scene.fixture.catalog, remove_backup, A, &scene.fixture.error), &scene.fixture.error);
    MOS_ASSERT_OK(mos_catalog_write(scene.fixture.catalog, remove_backup, B, &scene.fixture.error), &scene.fixture.error);
    expect_after_tidy(&scene, copies, MOS_COPY_DELETED, MOS_COPY_COMPLETED);
    scene_close(&scene);
}

MOS_TEST(the_copy_of_a_damaged_backup_is_not_the_last_good_one) {
    struct scene scene;
    struct mos_copy copies[2];
    put_two(&scene, true, copies);
    struct mos_backup damaged = taken(&scene, B, mos_now_unix_ns() - 8 * DAY_NS);
    damaged.damaged = true;
    fixture_put_backup(&scene.fixture, damaged);
    expect_after_tidy(&scene, copies, MOS_COPY_COMPLETED, MOS_COPY_DELETED);
    scene_close(&scene);
}

MOS_TEST(a_verified_copy_stays_behind_one_that_is_not) {
    struct scene scene;
    struct mos_copy copies[2];
    put_two(&scene, true, copies);
    struct mos_backup verified = taken(&scene, A, mos_now_unix_ns() - 9 * DAY_NS);
    verified.verified_at_unix_ns = mos_now_unix_ns();
    fixture_put_backup(&scene.fixture, verified);
    expect_after_tidy(&scene, copies, MOS_COPY_COMPLETED, MOS_COPY_COMPLETED);
    scene_close(&scene);
}

MOS_TEST(copies_from_before_a_backup_in_quarantine_stay) {
    struct scene scene;
    struct mos_copy copies[2];
    put_two(&scene, true, copies);
    MOS_ASSERT_OK(mos_catalog_write(scene.fixture.catalog, quarantine, B, &scene.fixture.error), &scene.fixture.error);
    expect_after_tidy(&scene, copies, MOS_COPY_COMPLETED, MOS_COPY_COMPLETED);
    scene_close(&scene);
}

MOS_TEST(no_copy_goes_while_a_backup_may_go_into_quarantine) {
    struct scene scene;
    struct mos_copy copies[2];
    put_two(&scene, true, copies);
    fixture_add_event(&scene.fixture, (struct mos_event){.kind = MOS_EVENT_FINISHED,
                                                         .job_id = A,
                                                         .job_kind = MOS_JOB_BACKUP,
                                                         .job_status = MOS_JOB_SUCCEEDED,
                                                         .backup_id = B,
                                                         .message = ""});
    scene.place->next_tidy_ns = INT64_MAX;
    expect_after_tidy(&scene, copies, MOS_COPY_COMPLETED, MOS_COPY_COMPLETED);
    CU_ASSERT(scene.place->next_tidy_ns < INT64_MAX);
    scene_close(&scene);
}

// ---- What a provider refuses ----

MOS_TEST(a_deletion_that_is_refused_is_told_once) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy copy = put_copy(
        &scene,
        (struct mos_copy){
            .backup_id = A, .status = MOS_COPY_COMPLETED, .uploaded_at_unix_ns = mos_now_unix_ns() - 3 * DAY_NS, .retention_days = 1},
        4, objects_a);
    MOS_ASSERT_OK(mos_store_retain(scene.place->store, MANIFEST_A, mos_now_unix_ns() + DAY_NS, NULL, &scene.fixture.error),
                  &scene.fixture.error);
    for (int i = 0; i < 2; i++) {
        mos_offsite_tidy(scene.place);
        CU_ASSERT_EQUAL(scene.deletions, 1);
    }
    struct mos_copy now = read_copy(&scene, copy.id);
    CU_ASSERT_EQUAL(now.status, MOS_COPY_COMPLETED);
    CU_ASSERT(now.refused);
    CU_ASSERT_PTR_NOT_NULL(strstr(now.message, "is locked until"));
    bool found = false;
    char cause[128];
    snprintf(cause, sizeof(cause), "offsite:%d:%s", (int)MOS_ALERT_RETENTION_VIOLATION, copy.id);
    CU_ASSERT_EQUAL(find_alert(&scene, cause, &found).count, 1);
    CU_ASSERT(found);
    struct mos_copy_access *entries;
    size_t count = 0;
    mos_catalog_session *session = fixture_read(&scene.fixture);
    MOS_ASSERT_OK(mos_catalog_list_access(session, copy.id, 10, scene.fixture.arena, &entries, &count, &scene.fixture.error),
                  &scene.fixture.error);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT(!entries[0].success);
    mos_catalog_read_end(session);
    scene_close(&scene);
}

// ---- Lag ----

static void stop_soon(struct scene *scene) {
    atomic_store(&scene->offsite.stopping, true);
}

// One round of the place's thread, which ends with the probe.
static void run_once(struct scene *scene) {
    atomic_store(&scene->offsite.stopping, false);
    scene->place->checked_at_ns = 0;
    scene->place->next_tidy_ns = INT64_MAX;
    scene->operation = MOS_STORE_LIST;
    scene->meanwhile = stop_soon;
    mos_offsite_place_main(scene->place);
    CU_ASSERT_PTR_NULL(scene->meanwhile);
}

// The next tidy is due after a span of time, whatever the clock said meanwhile.
MOS_TEST(a_clock_that_jumps_and_comes_back_does_not_put_the_next_tidy_off) {
    struct scene scene;
    scene_open(&scene);
    scene.operation = MOS_STORE_LIST;
    scene.meanwhile = stop_soon;
    mos_offsite_place_main(scene.place);
    CU_ASSERT(scene.place->next_tidy_ns > 0);
    CU_ASSERT(scene.place->next_tidy_ns <= mos_now_monotonic_ns() + DAY_NS);
    scene_close(&scene);
}

MOS_TEST(copies_that_wait_for_hours_are_told) {
    struct scene scene;
    scene_open(&scene);
    int64_t made_ns = mos_now_unix_ns() - DAY_NS / 4;
    fixture_put_backup(&scene.fixture, (struct mos_backup){.id = A,
                                                           .name = "n",
                                                           .type = MOS_BACKUP_FILES,
                                                           .status = MOS_BACKUP_COMPLETED,
                                                           .created_at_unix_ns = made_ns,
                                                           .completed_at_unix_ns = made_ns,
                                                           .encrypted_checksum = "aa"});
    struct mos_copy copy =
        put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_RETRYING, .next_attempt_unix_ns = mos_now_unix_ns() + DAY_NS},
                 4, objects_a);
    char cause[128];
    snprintf(cause, sizeof(cause), "offsite:%d:%s", (int)MOS_ALERT_REPLICATION_LAG, scene.place->url);
    bool found = false;
    run_once(&scene);
    CU_ASSERT_PTR_NOT_NULL(strstr(find_alert(&scene, cause, &found).message, "6 hours"));
    CU_ASSERT(found);
    copy.status = MOS_COPY_COMPLETED;
    MOS_ASSERT_OK(mos_offsite_record_new(&scene.offsite, &copy, (struct mos_blob){0}, &scene.fixture.error), &scene.fixture.error);
    run_once(&scene);
    find_alert(&scene, cause, &found);
    CU_ASSERT(!found);
    scene_close(&scene);
}

// ---- Fetches ----

MOS_TEST(a_fetch_that_waits_is_cancelled) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    char job_id[MOS_ID_TEXT_BYTES], other_id[MOS_ID_TEXT_BYTES];
    MOS_ASSERT_OK(mos_offsite_fetch(&scene.offsite, copy.id, &caller, job_id, &scene.fixture.error), &scene.fixture.error);
    MOS_ASSERT_OK(mos_offsite_fetch(&scene.offsite, copy.id, &caller, other_id, &scene.fixture.error), &scene.fixture.error);
    MOS_ASSERT_OK(mos_offsite_cancel(&scene.offsite, job_id, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_EQUAL(mos_offsite_cancel(&scene.offsite, job_id, &scene.fixture.error), MOS_NOT_FOUND);
    struct mos_job job;
    mos_catalog_session *session = fixture_read(&scene.fixture);
    MOS_ASSERT_OK(mos_catalog_get_job(session, job_id, scene.fixture.arena, &job, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_CANCELLED);
    MOS_ASSERT_OK(mos_catalog_get_job(session, other_id, scene.fixture.arena, &job, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_PENDING);
    mos_catalog_read_end(session);
    struct mos_offsite_errand *left = scene.offsite.errands;
    CU_ASSERT(left && strcmp(left->job_id, other_id) == 0 && !left->next);
    free(left);
    scene_close(&scene);
}

static bool called_off(void *argument) {
    (void)argument;
    return true;
}

MOS_TEST(who_waits_for_another_backup_to_come_back_can_be_called_off) {
    struct scene scene;
    scene_open(&scene);
    char job_id[MOS_ID_TEXT_BYTES];
    put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    mos_id_new(job_id);
    // Another backup comes back, for as long as it takes.
    scene.offsite.bringing = true;
    CU_ASSERT_EQUAL(mos_offsite_bring(&scene.offsite, A, job_id, called_off, NULL, &scene.fixture.error), MOS_CANCELLED);
    CU_ASSERT(scene.offsite.bringing);
    scene_close(&scene);
}

MOS_TEST(a_backup_that_was_deleted_is_not_healed) {
    struct scene scene;
    scene_open(&scene);
    char job_id[MOS_ID_TEXT_BYTES];
    put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    MOS_ASSERT_OK(mos_offsite_add_errand(&scene.offsite, A, "", &caller, true, job_id, &scene.fixture.error), &scene.fixture.error);
    struct mos_offsite_errand *errand = scene.offsite.errands;
    mos_offsite_run_errand(&scene.offsite, errand);
    free(errand);
    char path[4200];
    snprintf(path, sizeof(path), "%s/" MANIFEST_A, scene.offsite.options.repository);
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
    struct mos_job job;
    mos_catalog_session *session = fixture_read(&scene.fixture);
    MOS_ASSERT_OK(mos_catalog_get_job(session, job_id, scene.fixture.arena, &job, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_EQUAL(job.status, MOS_JOB_FAILED);
    CU_ASSERT_PTR_NOT_NULL(strstr(job.message, "Not healed"));
    mos_catalog_read_end(session);
    scene_close(&scene);
}

// ---- A catalog that takes nothing down ----

static mos_status lose_copies(mos_catalog_session *session, void *unused, struct mos_error *error) {
    (void)unused;
    return mos_sql_run(session->db,
                       "CREATE TRIGGER no_upload BEFORE UPDATE OF status ON offsite_copies BEGIN SELECT RAISE(ABORT, 'full'); END", error);
}

MOS_TEST(a_catalog_that_is_full_is_not_asked_again_at_once) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_PENDING}, 4, objects_a);
    MOS_ASSERT_OK(mos_catalog_write(scene.fixture.catalog, lose_copies, NULL, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT(!mos_offsite_attempt(scene.place, &copy));
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_PENDING);
    scene_close(&scene);
}

// ---- Sending again ----

MOS_TEST(a_copy_that_is_sent_again_stays_with_the_packs_it_has) {
    static const char *const rewritten[] = {"packs/cc/cccc", "moved/aaaa", "keys/" A "/2", MANIFEST_A};
    static const char *const kept[] = {PACK_A, PACK_SHARED, "keys/" A "/2", MANIFEST_A};
    struct scene scene;
    scene_open(&scene);
    mos_object_list old = list_of(&scene, 4, objects_a), now = list_of(&scene, 4, rewritten);
    struct mos_place_object there = {.name = PACK_A, .size_bytes = old.objects[0]->size};
    memcpy(there.sha256, old.objects[0]->sha256.data, sizeof(there.sha256));
    MOS_ASSERT_OK(mos_offsite_put_place_object(scene.place, &there, &scene.fixture.error), &scene.fixture.error);
    // One that is neither there nor here is lost, so the copy needs what the backup needs now.
    MOS_ASSERT_OK(mos_offsite_keep_packs(scene.place, &old, &now, scene.fixture.arena, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_EQUAL_FATAL(now.n_objects, 4);
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_STRING_EQUAL(now.objects[i]->name, rewritten[i]);
    }
    there = (struct mos_place_object){.name = PACK_SHARED, .size_bytes = old.objects[1]->size};
    memcpy(there.sha256, old.objects[1]->sha256.data, sizeof(there.sha256));
    MOS_ASSERT_OK(mos_offsite_put_place_object(scene.place, &there, &scene.fixture.error), &scene.fixture.error);
    MOS_ASSERT_OK(mos_offsite_keep_packs(scene.place, &old, &now, scene.fixture.arena, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT_EQUAL_FATAL(now.n_objects, 4);
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_STRING_EQUAL(now.objects[i]->name, kept[i]);
    }
    scene_close(&scene);
}
