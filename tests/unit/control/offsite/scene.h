// A place with copies over a store in memory or in a folder, and a catalog, without an engine.
#ifndef MOS_TESTS_UNIT_CONTROL_OFFSITE_SCENE_H
#define MOS_TESTS_UNIT_CONTROL_OFFSITE_SCENE_H

#include "common/clock.h"
#include "control/catalog/alerts.h"
#include "control/catalog/catalog_internal.h"
#include "control/catalog/retention.h"
#include "control/catalog/sql.h"
#include "control/offsite/hash.h"
#include "control/offsite/removal.h"
#include "unit/control/catalog/fixture.h"

#define DAY_NS (INT64_C(86400) * MOS_NS_PER_SECOND)
#define A "11111111-1111-4111-8111-111111111111"
#define B "22222222-2222-4222-8222-222222222222"
#define PACK_A "packs/aa/aaaa"
#define PACK_SHARED "packs/bb/bbbb"
#define KEY_A "keys/" A "/1"
#define KEY_B "keys/" B "/1"
#define MANIFEST_A "backups/" A
#define MANIFEST_B "backups/" B

struct scene {
    struct catalog_fixture fixture;
    mos_offsite offsite;
    struct mos_offsite_place *place;
    // Called right before the operation, once.
    enum mos_store_operation operation;
    void (*meanwhile)(struct scene *scene);
    int deletions;
    // An object that may not be locked any longer.
    const char *unlockable;
};

static const struct mos_offsite_caller caller = {"somebody", "127.0.0.1"};

static inline mos_status look_on(void *argument, enum mos_store_operation operation, const char *name, bool done, int64_t moved_bytes,
                                 struct mos_error *error) {
    struct scene *scene = argument;
    (void)moved_bytes;
    if (!done && operation == MOS_STORE_RETAIN && scene->unlockable && strcmp(name, scene->unlockable) == 0) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "%s may not be locked", name);
    }
    scene->deletions += !done && operation == MOS_STORE_DELETE;
    if (!done && scene->meanwhile && operation == scene->operation) {
        void (*meanwhile)(struct scene *) = scene->meanwhile;
        scene->meanwhile = NULL;
        meanwhile(scene);
    }
    return MOS_OK;
}

static inline mos_status put_known(mos_catalog_session *session, void *known_ns, struct mos_error *error) {
    return mos_catalog_put_known_time(session, *(const int64_t *)known_ns, error);
}

// The clock was believed at this time.
static inline void believe(struct scene *scene, int64_t known_ns) {
    MOS_ASSERT_OK(mos_catalog_write(scene->fixture.catalog, put_known, &known_ns, &scene->fixture.error), &scene->fixture.error);
}

static inline void scene_open_at(struct scene *scene, const struct mos_store_options *options) {
    *scene = (struct scene){.place = &scene->offsite.places[0]};
    fixture_open(&scene->fixture);
    const struct mos_store_fault fault = {.decide = look_on, .argument = scene};
    mos_store *store;
    MOS_ASSERT_OK(mos_store_open(&store, options, &scene->fixture.error), &scene->fixture.error);
    store = mos_store_with_faults(store, &fault);
    scene->offsite = (mos_offsite){.options = {.catalog = scene->fixture.catalog, .repository = mos_test_directory()},
                                   .place_count = 1,
                                   .server_id = "33333333-3333-4333-8333-333333333333",
                                   .repository_id = "00000000000000000000000000000000"};
    *scene->place = (struct mos_offsite_place){
        .offsite = &scene->offsite, .name = "primary", .provider = 2, .url = "memory:", .store = store, .bare = store};
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&scene->offsite.news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&scene->offsite.mutex, NULL);
    pthread_mutex_init(&scene->place->work, NULL);
    believe(scene, mos_now_unix_ns());
}

static inline void scene_open(struct scene *scene) {
    const struct mos_store_options options = {.provider = MOS_STORE_MEMORY};
    scene_open_at(scene, &options);
}

static inline void scene_close(struct scene *scene) {
    mos_store_close(scene->place->store);
    pthread_mutex_destroy(&scene->place->work);
    pthread_mutex_destroy(&scene->offsite.mutex);
    pthread_cond_destroy(&scene->offsite.news);
    fixture_close(&scene->fixture);
}

static inline void put_object(struct scene *scene, const char *name) {
    struct mos_store_source source = {.data = name, .size_bytes = (int64_t)strlen(name)};
    mos_store_sha256(name, strlen(name), source.sha256);
    MOS_ASSERT_OK(mos_store_put(scene->place->store, name, &source, NULL, NULL, NULL, &scene->fixture.error), &scene->fixture.error);
}

static inline bool is_there(struct scene *scene, const char *name) {
    struct mos_store_object object;
    return mos_store_head(scene->place->store, name, &object, NULL, NULL) == MOS_OK;
}

static inline enum mos_store_state state_of(struct scene *scene, const char *name) {
    struct mos_store_object object = {0};
    MOS_ASSERT_OK(mos_store_head(scene->place->store, name, &object, NULL, &scene->fixture.error), &scene->fixture.error);
    return object.state;
}

static inline mos_object_list list_of(struct scene *scene, size_t count, const char *const *names) {
    mos_object_list list = MOSAAJII__ENGINE__V1__BACKUP_OBJECTS__INIT;
    list.objects = mos_arena_array(scene->fixture.arena, mos_stored_object *, count);
    for (size_t i = 0; i < count; i++) {
        mos_stored_object *object = mos_arena_alloc(scene->fixture.arena, sizeof(*object));
        uint8_t *digest = mos_arena_alloc(scene->fixture.arena, MOS_STORE_HASH_BYTES);
        mosaajii__engine__v1__stored_object__init(object);
        mos_store_sha256(names[i], strlen(names[i]), digest);
        object->name = (char *)names[i];
        object->size = (int64_t)strlen(names[i]);
        object->sha256 = (ProtobufCBinaryData){.data = digest, .len = MOS_STORE_HASH_BYTES};
        list.objects[list.n_objects++] = object;
    }
    return list;
}

// A copy with its list of objects, all of which are put where they are not there yet.
static inline struct mos_copy put_copy(struct scene *scene, struct mos_copy copy, size_t count, const char *const *names) {
    char *id = mos_arena_alloc(scene->fixture.arena, MOS_ID_TEXT_BYTES);
    mos_object_list list = list_of(scene, count, names);
    mos_id_new(id);
    copy.id = id;
    copy.place = scene->place->url;
    copy.provider = scene->place->provider;
    copy.created_by = copy.checksum = copy.message = "";
    copy.policy = copy.policy ? copy.policy : "";
    for (size_t i = 0; i < count; i++) {
        put_object(scene, names[i]);
    }
    size_t size_bytes = mosaajii__engine__v1__backup_objects__get_packed_size(&list);
    uint8_t *data = mos_arena_alloc(scene->fixture.arena, size_bytes + 1);
    mosaajii__engine__v1__backup_objects__pack(&list, data);
    MOS_ASSERT_OK(mos_offsite_record_new(&scene->offsite, &copy, (struct mos_blob){data, size_bytes}, &scene->fixture.error),
                  &scene->fixture.error);
    return copy;
}

static const char *const objects_a[] = {PACK_A, PACK_SHARED, KEY_A, MANIFEST_A};
static const char *const objects_b[] = {PACK_SHARED, KEY_B, MANIFEST_B};

static inline struct mos_copy read_copy(struct scene *scene, const char *id) {
    struct mos_copy copy = {0};
    MOS_ASSERT_OK(mos_offsite_read_copy(&scene->offsite, id, scene->fixture.arena, &copy, &scene->fixture.error), &scene->fixture.error);
    return copy;
}

static inline struct mos_alert find_alert(struct scene *scene, const char *cause, bool *out_found) {
    struct mos_alert alert = {0};
    mos_catalog_session *session = fixture_read(&scene->fixture);
    MOS_ASSERT_OK(mos_catalog_find_alert(session, cause, scene->fixture.arena, &alert, out_found, &scene->fixture.error),
                  &scene->fixture.error);
    mos_catalog_read_end(session);
    return alert;
}

#endif
