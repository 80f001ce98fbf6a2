// What goes wrong at a place while its copies are kept: a disk that is missing, locks that cannot be had, copies that gave up.
#include "unit/control/offsite/scene.h"

static bool never(void *argument) {
    (void)argument;
    return false;
}

static bool alert_is_open(struct scene *scene, enum mos_alert_type type, const char *before, const char *subject) {
    char cause[256];
    bool found = false;
    snprintf(cause, sizeof(cause), "offsite:%d:%s%s", (int)type, before, subject);
    find_alert(scene, cause, &found);
    return found;
}

// ---- A disk that is missing ----

// As if the disk of the folder were taken off: what is below it shows, which is empty.
static void unmount(char folder[4096], char away[4200]) {
    snprintf(away, 4200, "%s.away", folder);
    CU_ASSERT_EQUAL_FATAL(rename(folder, away), 0);
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
}

static void mount_again(const char *folder, const char *away) {
    // Only where nothing was written below.
    CU_ASSERT_EQUAL_FATAL(rmdir(folder), 0);
    CU_ASSERT_EQUAL_FATAL(rename(away, folder), 0);
}

MOS_TEST(a_folder_whose_disk_is_missing_is_not_taken_for_an_empty_one) {
    struct scene scene;
    char folder[4096], away[4200];
    snprintf(folder, sizeof(folder), "%s/disk", mos_test_directory());
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
    const struct mos_store_options options = {.provider = MOS_STORE_LOCAL_REMOTE, .bucket = folder, .prefix = "shop"};
    scene_open_at(&scene, &options);
    const struct mos_store_call call = {.over = never};
    struct mos_error error = {0};
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    MOS_ASSERT_OK(mos_offsite_claim(scene.place, &call, &error), &error);
    unmount(folder, away);

    // Nobody writes there, nothing is taken for lost, and the place is told to be ill.
    CU_ASSERT_EQUAL(mos_offsite_claim(scene.place, &call, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "not mounted"));
    mos_offsite_tidy(scene.place);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_COMPLETED);
    struct mos_offsite_verification found;
    CU_ASSERT_EQUAL(mos_offsite_verify(&scene.offsite, copy.id, 100, &caller, never, NULL, scene.fixture.arena, &found, &error),
                    MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(found.faults, 0);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_COMPLETED);
    mos_offsite_probe(scene.place);
    CU_ASSERT(scene.place->failing_since_ns != 0);
    CU_ASSERT(alert_is_open(&scene, MOS_ALERT_OFFSITE_FAILED, "", scene.place->url));
    // What is damaged here and lies on that disk alone is not given up.
    mos_object_list list = list_of(&scene, 4, objects_a);
    CU_ASSERT_EQUAL(mos_offsite_bring_object(&scene.offsite, NULL, NULL, list.objects[0], &call, &error), MOS_FAILED_PRECONDITION);

    mount_again(folder, away);
    MOS_ASSERT_OK(mos_offsite_claim(scene.place, &call, &error), &error);
    mos_offsite_probe(scene.place);
    CU_ASSERT_EQUAL(scene.place->failing_since_ns, 0);
    CU_ASSERT(!alert_is_open(&scene, MOS_ALERT_OFFSITE_FAILED, "", scene.place->url));
    scene_close(&scene);
}

MOS_TEST(a_bucket_that_was_emptied_is_claimed_anew) {
    struct scene scene;
    scene_open(&scene);
    const struct mos_store_call call = {.over = never};
    MOS_ASSERT_OK(mos_offsite_claim(scene.place, &call, &scene.fixture.error), &scene.fixture.error);
    MOS_ASSERT_OK(mos_store_delete(scene.place->store, "writer", NULL, &scene.fixture.error), &scene.fixture.error);
    MOS_ASSERT_OK(mos_offsite_claim(scene.place, &call, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT(is_there(&scene, "writer"));
    scene_close(&scene);
}

MOS_TEST(what_the_server_before_told_of_a_place_is_resolved) {
    struct scene scene;
    scene_open(&scene);
    mos_offsite_raise(&scene.offsite, MOS_ALERT_OFFSITE_FAILED, scene.place->url, "", "it did not let us in", NULL, 0);
    mos_offsite_probe(scene.place);
    CU_ASSERT(!alert_is_open(&scene, MOS_ALERT_OFFSITE_FAILED, "", scene.place->url));
    scene_close(&scene);
}

// ---- Locks ----

MOS_TEST(a_lock_that_cannot_be_extended_is_told_and_stops_no_other) {
    struct scene scene;
    struct mos_store_object object;
    scene_open(&scene);
    struct mos_copy first = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    struct mos_copy second = put_copy(&scene, (struct mos_copy){.backup_id = B, .status = MOS_COPY_COMPLETED}, 3, objects_b);
    put_object(&scene, "packs/cc/orphan");
    scene.offsite.lock_ns = 2 * DAY_NS;
    scene.unlockable = PACK_A;
    int64_t before_ns = mos_now_unix_ns();
    mos_offsite_tidy(scene.place);
    CU_ASSERT_EQUAL(read_copy(&scene, first.id).locked_until_unix_ns, 0);
    CU_ASSERT(alert_is_open(&scene, MOS_ALERT_RETENTION_VIOLATION, "lock:", first.id));
    // What stands behind it in the list is locked, the next copy is, and the cleanup goes on.
    MOS_ASSERT_OK(mos_store_head(scene.place->store, MANIFEST_A, &object, NULL, &scene.fixture.error), &scene.fixture.error);
    CU_ASSERT(object.retained_until_unix_ns > before_ns + DAY_NS);
    CU_ASSERT(read_copy(&scene, second.id).locked_until_unix_ns > before_ns + DAY_NS);
    CU_ASSERT(!is_there(&scene, "packs/cc/orphan"));

    scene.unlockable = NULL;
    mos_offsite_tidy(scene.place);
    CU_ASSERT(read_copy(&scene, first.id).locked_until_unix_ns > before_ns + DAY_NS);
    CU_ASSERT(!alert_is_open(&scene, MOS_ALERT_RETENTION_VIOLATION, "lock:", first.id));
    scene_close(&scene);
}

MOS_TEST(an_object_that_is_gone_is_noticed_although_it_cannot_be_locked) {
    struct scene scene;
    scene_open(&scene);
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_COMPLETED}, 4, objects_a);
    MOS_ASSERT_OK(mos_store_delete(scene.place->store, PACK_A, NULL, &scene.fixture.error), &scene.fixture.error);
    scene.offsite.lock_ns = 2 * DAY_NS;
    mos_offsite_tidy(scene.place);
    CU_ASSERT_EQUAL(read_copy(&scene, copy.id).status, MOS_COPY_RETRYING);
    scene_close(&scene);
}

MOS_TEST(nothing_is_sent_without_the_lock_that_keeps_packs_here) {
    struct scene scene;
    char path[4200];
    scene_open(&scene);
    struct mos_copy copy = put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_PENDING}, 4, objects_a);
    snprintf(path, sizeof(path), "%s/lock", scene.offsite.options.repository);
    MOS_CLEANUP_FD int file = open(path, O_WRONLY | O_CREAT, 0600);
    CU_ASSERT_FATAL(file >= 0);
    scene.offsite.retry_ns = MOS_NS_PER_SECOND;
    CU_ASSERT(mos_offsite_attempt(scene.place, &copy));
    struct mos_copy now = read_copy(&scene, copy.id);
    CU_ASSERT_EQUAL(now.status, MOS_COPY_RETRYING);
    CU_ASSERT_PTR_NOT_NULL(strstr(now.message, "lock/reading"));
    CU_ASSERT(now.next_attempt_unix_ns > mos_now_unix_ns());
    // The place is not to blame.
    CU_ASSERT_EQUAL(scene.place->failing_since_ns, 0);
    unlink(path);
    scene_close(&scene);
}

// ---- Copies that gave up ----

MOS_TEST(a_manifest_of_a_copy_that_gave_up_does_not_stop_the_cleanup) {
    struct scene scene;
    scene_open(&scene);
    put_copy(&scene, (struct mos_copy){.backup_id = A, .status = MOS_COPY_FAILED}, 4, objects_a);
    put_copy(&scene, (struct mos_copy){.backup_id = B, .status = MOS_COPY_COMPLETED}, 3, objects_b);
    put_object(&scene, "packs/cc/orphan");
    mos_offsite_tidy(scene.place);
    CU_ASSERT(!is_there(&scene, "packs/cc/orphan"));
    // With its manifest there, what is left of it may still be brought back.
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT(is_there(&scene, objects_a[i]));
    }
    // Without, it is what a cut upload left.
    MOS_ASSERT_OK(mos_store_delete(scene.place->store, MANIFEST_A, NULL, &scene.fixture.error), &scene.fixture.error);
    mos_offsite_tidy(scene.place);
    CU_ASSERT(!is_there(&scene, PACK_A) && !is_there(&scene, KEY_A));
    CU_ASSERT(is_there(&scene, PACK_SHARED));
    // A manifest that nobody knows stops it.
    put_object(&scene, "packs/cc/orphan");
    put_object(&scene, "backups/33333333-3333-4333-8333-333333333333");
    mos_offsite_tidy(scene.place);
    CU_ASSERT(is_there(&scene, "packs/cc/orphan"));
    scene_close(&scene);
}

// ---- Settings ----

MOS_TEST(a_pause_of_nothing_is_refused) {
    static char *const none[] = {"OFFSITE_RETRY_SECONDS=0", NULL}, *const one[] = {"OFFSITE_RETRY_SECONDS=1", NULL};
    mos_settings *settings = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_settings_load(&settings, none, &error), &error);
    CU_ASSERT_EQUAL(mos_offsite_check(settings, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "OFFSITE_RETRY_SECONDS");
    mos_settings_free(settings);
    MOS_ASSERT_OK(mos_settings_load(&settings, one, &error), &error);
    MOS_ASSERT_OK(mos_offsite_check(settings, &error), &error);
    mos_settings_free(settings);
}
