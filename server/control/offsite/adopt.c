// A server whose home is lost: what it needs to know is brought back from a place, and the place becomes its own again.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/offsite/hash.h"
#include "control/offsite/name_set.h"
#include "control/offsite/offsite_internal.h"

enum { LIST_PAGE = 1000, CATALOGS_MOST = 1000, AT_A_TIME = 8 };

// ---- Before the catalog is opened ----

struct finding {
    const struct mos_offsite_lost *lost;
    mos_store *store;
    const char *repository;
    struct mos_offsite_found *out;
};

static bool is_here(const char *repository, const struct mos_store_object *object) {
    char path[4096 + MOS_STORE_NAME_LIMIT];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", repository, object->name);
    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == object->size_bytes;
}

// A page of objects, several at a time: most are small, so the way there and the disk's flush are what takes time.
struct errands {
    struct finding *finding;
    const struct mos_store_page *page;
    const struct mos_name_set *unless;
    pthread_mutex_t mutex;
    size_t next;
    struct mos_error failure;
};

static bool is_wanted(const struct errands *errands, const struct mos_store_object *object) {
    const char *tail = strrchr(object->name, '/');
    return (!errands->unless || !mos_name_set_has(errands->unless, tail ? tail + 1 : object->name)) &&
           !is_here(errands->finding->repository, object);
}

static void *bring_some(void *argument) {
    struct errands *errands = argument;
    struct finding *finding = errands->finding;
    pthread_mutex_lock(&errands->mutex);
    while (errands->next < errands->page->count && !errands->failure.status) {
        const struct mos_store_object *object = &errands->page->objects[errands->next++];
        struct mos_error error = {0};
        pthread_mutex_unlock(&errands->mutex);
        bool wanted = is_wanted(errands, object);
        mos_status status = wanted ? mos_offsite_bring_from(finding->store, finding->repository, object->name, NULL, NULL, &error) : MOS_OK;
        pthread_mutex_lock(&errands->mutex);
        finding->out->objects += wanted && status == MOS_OK;
        finding->out->bytes += wanted && status == MOS_OK ? object->size_bytes : 0;
        if (status != MOS_OK && !errands->failure.status) {
            errands->failure = error;
        }
    }
    pthread_mutex_unlock(&errands->mutex);
    return NULL;
}

static mos_status bring_page(struct finding *finding, const struct mos_store_page *page, const struct mos_name_set *unless,
                             struct mos_error *error) {
    struct errands errands = {.finding = finding, .page = page, .unless = unless, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[AT_A_TIME];
    int started = 0;
    while (started < AT_A_TIME - 1 && pthread_create(&threads[started], NULL, bring_some, &errands) == 0) {
        started++;
    }
    // This thread is one of them, so that it works where no other can be started.
    bring_some(&errands);
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    if (errands.failure.status) {
        *error = errands.failure;
    }
    return errands.failure.status;
}

static mos_status bring_folder(struct finding *finding, const char *prefix, const struct mos_name_set *unless, struct mos_error *error) {
    char after[MOS_STORE_NAME_LIMIT + 512] = "";
    for (bool more = true; more;) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_store_page page = {0};
        mos_status status = mos_store_list(finding->store, prefix, *after ? after : NULL, LIST_PAGE, arena, &page, NULL, error);
        if (status == MOS_OK) {
            status = bring_page(finding, &page, unless, error);
        }
        if (status != MOS_OK) {
            return status;
        }
        finding->out->backups += strcmp(prefix, "backups/") == 0 ? (int64_t)page.count : 0;
        more = page.next != NULL;
        snprintf(after, sizeof(after), "%s", more ? page.next : "");
    }
    return MOS_OK;
}

// Ids of the packs that are at the place: what was moved from those is not followed, for they may hold more.
static mos_status list_packs(mos_store *store, struct mos_name_set *out, struct mos_error *error) {
    char after[MOS_STORE_NAME_LIMIT + 512] = "";
    for (bool more = true; more;) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_store_page page = {0};
        mos_status status = mos_store_list(store, "packs/", *after ? after : NULL, LIST_PAGE, arena, &page, NULL, error);
        for (size_t i = 0; i < page.count && status == MOS_OK; i++) {
            mos_name_set_add(out, strrchr(page.objects[i].name, '/') + 1);
        }
        if (status != MOS_OK) {
            return status;
        }
        more = page.next != NULL;
        snprintf(after, sizeof(after), "%s", more ? page.next : "");
    }
    return MOS_OK;
}

// A repository that is here already must be the one that is there.
static mos_status check_same(struct finding *finding, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer theirs = MOS_BUFFER_INIT(65536);
    char path[4200], ours[4096];
    mos_status status = mos_store_get_buffer(finding->store, "repository", 0, -1, &theirs, NULL, error);
    if (status == MOS_NOT_FOUND) {
        status = mos_store_get_buffer(finding->store, "repository.copy", 0, -1, &theirs, NULL, error);
    }
    if (status == MOS_NOT_FOUND) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "there is no repository at %s", finding->lost->from);
    }
    if (status != MOS_OK) {
        return status;
    }
    // As an engine does: where the first of its two heads is lost, the other says which it is.
    FILE *file = NULL;
    for (size_t i = 0; i < 2 && !file; i++) {
        snprintf(path, sizeof(path), "%s/%s", finding->repository, i == 0 ? "repository" : "repository.copy");
        file = fopen(path, "rbe");
        if (!file && errno != ENOENT) {
            return mos_fail_errno(error, errno, "opening %s", path);
        }
    }
    if (!file) {
        return MOS_OK;
    }
    size_t got = fread(ours, 1, sizeof(ours), file);
    fclose(file);
    return got == theirs.size_bytes && memcmp(ours, theirs.data, got) == 0
               ? MOS_OK
               : mos_fail(error, MOS_FAILED_PRECONDITION,
                          "%s holds another repository than %s: choose an empty MOSAAJII_REPOSITORY, or another place", finding->repository,
                          finding->lost->from);
}

static mos_status bring_repository(struct finding *finding, struct mos_error *error) {
    static const char *const folders[] = {"keys/", "audit/", "backups/"};
    MOS_CLEANUP_NAMES struct mos_name_set packs = {0};
    mos_status status = check_same(finding, error);
    if (status == MOS_OK) {
        status = bring_folder(finding, "repository", NULL, error);
    }
    if (status == MOS_OK) {
        status = list_packs(finding->store, &packs, error);
    }
    if (status == MOS_OK) {
        status = bring_folder(finding, "moved/", &packs, error);
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && status == MOS_OK; i++) {
        status = bring_folder(finding, folders[i], NULL, error);
    }
    return status;
}

static mos_status open_catalog(struct finding *finding, const char *name, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__UnsealRequest operation = MOSAAJII__ENGINE__V1__UNSEAL_REQUEST__INIT;
    Mosaajii__Engine__V1__Request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    const Mosaajii__Engine__V1__Result *result;
    operation.name = (char *)name;
    operation.path = (char *)finding->lost->catalog;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_UNSEAL;
    request.unseal = &operation;
    mos_status status = mos_offsite_bring_from(finding->store, finding->repository, name, NULL, NULL, error);
    return status == MOS_OK ? mos_engine_ask(finding->lost->engine, &request, -1, arena, NULL, NULL, &result, error) : status;
}

// The newest that opens. None is no failure: the backups are in their manifests.
static void bring_catalog(struct finding *finding) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_store_page page = {0};
    struct mos_error error = {0};
    struct mos_offsite_found *out = finding->out;
    if (access(finding->lost->catalog, F_OK) == 0) {
        snprintf(out->reason, sizeof(out->reason), "%s is there already", finding->lost->catalog);
        return;
    }
    mos_status status = mos_store_list(finding->store, "catalog/", NULL, CATALOGS_MOST, arena, &page, NULL, &error);
    snprintf(out->reason, sizeof(out->reason), "%s", status == MOS_OK ? "no sealed copy of it is there" : error.message);
    for (size_t i = page.count; i > 0 && !out->catalog; i--) {
        status = open_catalog(finding, page.objects[i - 1].name, &error);
        out->catalog = status == MOS_OK;
        if (status != MOS_OK) {
            snprintf(out->reason, sizeof(out->reason), "%s", error.message);
        }
    }
}

mos_status mos_offsite_find(const struct mos_offsite_lost *lost, struct mos_offsite_found *out, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_STORE mos_store *store = NULL;
    struct mos_store_options options;
    *out = (struct mos_offsite_found){0};
    mos_status status = mos_offsite_source(lost->settings, lost->from, arena, &options, error);
    if (status == MOS_OK) {
        status = mos_store_open(&store, &options, error);
    }
    store = status == MOS_OK ? mos_store_with_retry(store, NULL) : NULL;
    if (status == MOS_OK && mkdir(lost->engine->repository, 0700) != 0 && errno != EEXIST) {
        status = mos_fail_errno(error, errno, "making the repository's folder %s", lost->engine->repository);
    }
    struct finding finding = {.lost = lost, .store = store, .repository = lost->engine->repository, .out = out};
    if (status == MOS_OK) {
        status = bring_repository(&finding, error);
    }
    if (status == MOS_OK) {
        bring_catalog(&finding);
    }
    return status;
}

// ---- After the catalog has learnt the backups ----

struct adoption {
    mos_offsite *offsite;
    const char *place;
    int provider;
    // What is at the place: names, and their sizes in the list of objects of each backup.
    struct mos_name_set there;
    int64_t copies;
    mos_status status;
    struct mos_error error;
};

struct adopted {
    struct adoption *adoption;
    const mos_object_list *list;
};

static bool all_there(const struct mos_name_set *there, const mos_object_list *list) {
    for (size_t i = 0; i < list->n_objects; i++) {
        if (!mos_name_set_has(there, list->objects[i]->name)) {
            return false;
        }
    }
    return list->n_objects > 0;
}

static bool all_here(mos_offsite *offsite, const mos_object_list *list) {
    for (size_t i = 0; i < list->n_objects; i++) {
        if (!mos_offsite_has_local(offsite, list->objects[i])) {
            return false;
        }
    }
    return true;
}

static mos_status put_row(mos_catalog_session *session, struct adoption *adoption, const struct mos_backup *backup,
                          const mos_object_list *list, mos_arena *arena, struct mos_error *error) {
    struct mos_copy copy;
    bool found = false;
    char id[MOS_ID_TEXT_BYTES], checksum[65];
    const mos_stored_object *manifest = list->objects[list->n_objects - 1];
    mos_status status = mos_catalog_find_copy(session, backup->id, adoption->place, arena, &copy, &found, error);
    if (status != MOS_OK || (found && (copy.status == MOS_COPY_COMPLETED || copy.status == MOS_COPY_ARCHIVED))) {
        return status;
    }
    if (!found || copy.status == MOS_COPY_DELETED || copy.status == MOS_COPY_FAILED) {
        mos_id_new(id);
        copy = (struct mos_copy){.id = id,
                                 .backup_id = backup->id,
                                 .place = adoption->place,
                                 .provider = adoption->provider,
                                 .created_at_unix_ns = mos_now_unix_ns(),
                                 .created_by = "",
                                 .policy = "",
                                 .replicate = true};
    }
    mos_hex_encode(manifest->sha256.data, manifest->sha256.len, checksum);
    copy.status = MOS_COPY_COMPLETED;
    copy.uploaded_at_unix_ns = copy.uploaded_at_unix_ns ? copy.uploaded_at_unix_ns : backup->completed_at_unix_ns;
    copy.checksum = checksum;
    copy.message = "";
    copy.attempts = copy.next_attempt_unix_ns = 0;
    copy.objects_done = copy.objects_total = (int64_t)list->n_objects;
    copy.size_bytes = 0;
    for (size_t i = 0; i < list->n_objects; i++) {
        copy.size_bytes += list->objects[i]->size;
    }
    status = mos_catalog_put_copy(session, &copy, error);
    size_t size_bytes = mosaajii__engine__v1__backup_objects__get_packed_size(list);
    uint8_t *data = mos_arena_alloc(arena, size_bytes);
    mosaajii__engine__v1__backup_objects__pack(list, data);
    adoption->copies++;
    return status == MOS_OK ? mos_catalog_put_copy_objects(session, copy.id, (struct mos_blob){data, size_bytes}, error) : status;
}

static mos_status adopt_backup(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct adopted *adopted = argument;
    struct adoption *adoption = adopted->adoption;
    const mos_object_list *list = adopted->list;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup;
    // One that cannot be read here is in no catalog.
    if (mos_catalog_get_backup(session, list->backup_id, arena, &backup, NULL) != MOS_OK) {
        return MOS_OK;
    }
    bool here = all_here(adoption->offsite, list);
    mos_status status = mos_catalog_set_backup_absent(session, backup.id, !here, error);
    for (size_t i = 0; i < list->n_objects && status == MOS_OK; i++) {
        struct mos_place_object object = {.name = list->objects[i]->name, .size_bytes = list->objects[i]->size};
        if (mos_name_set_has(&adoption->there, object.name)) {
            memcpy(object.sha256, list->objects[i]->sha256.data, sizeof(object.sha256));
            status = mos_catalog_put_place_object(session, adoption->place, &object, error);
        }
    }
    return status == MOS_OK && all_there(&adoption->there, list) ? put_row(session, adoption, &backup, list, arena, error) : status;
}

// Parts of one backup are joined before they are taken.
struct joining {
    struct adoption *adoption;
    mos_arena *arena;
    mos_object_list *whole;
};

static bool take_part(const mos_object_list *part, void *argument) {
    struct joining *joining = argument;
    struct adoption *adoption = joining->adoption;
    if (part->error[0]) {
        mos_log_warning("a backup at the place cannot be read", MOS_TEXT("backup", part->backup_id), MOS_TEXT("reason", part->error));
        return true;
    }
    if (!joining->whole) {
        joining->whole = mos_arena_alloc(joining->arena, sizeof(*joining->whole));
        *joining->whole = *part;
    } else {
        mos_stored_object **objects = mos_arena_array(joining->arena, mos_stored_object *, joining->whole->n_objects + part->n_objects);
        memcpy(objects, joining->whole->objects, joining->whole->n_objects * sizeof(*objects));
        memcpy(objects + joining->whole->n_objects, part->objects, part->n_objects * sizeof(*objects));
        joining->whole->objects = objects;
        joining->whole->n_objects += part->n_objects;
    }
    if (part->more) {
        return true;
    }
    joining->whole->more = false;
    struct adopted adopted = {adoption, joining->whole};
    adoption->status = mos_catalog_write(adoption->offsite->options.catalog, adopt_backup, &adopted, &adoption->error);
    joining->whole = NULL;
    return adoption->status == MOS_OK;
}

static mos_status list_there(mos_store *store, struct mos_name_set *out, struct mos_error *error) {
    char after[MOS_STORE_NAME_LIMIT + 512] = "";
    for (bool more = true; more;) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_store_page page = {0};
        mos_status status = mos_store_list(store, "", *after ? after : NULL, LIST_PAGE, arena, &page, NULL, error);
        for (size_t i = 0; i < page.count && status == MOS_OK; i++) {
            mos_name_set_add(out, page.objects[i].name);
        }
        if (status != MOS_OK) {
            return status;
        }
        more = page.next != NULL;
        snprintf(after, sizeof(after), "%s", more ? page.next : "");
    }
    return MOS_OK;
}

mos_status mos_offsite_adopt(mos_offsite *offsite, const char *from, const mos_settings *settings, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_STORE mos_store *store = NULL;
    struct mos_store_options options;
    mos_status status = mos_offsite_source(settings, from, arena, &options, error);
    if (status == MOS_OK) {
        status = mos_store_open(&store, &options, error);
    }
    store = status == MOS_OK ? mos_store_with_retry(store, NULL) : NULL;
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_FREE char *place = mos_offsite_trimmed(mos_store_location(store));
    struct adoption adoption = {
        .offsite = offsite, .place = place, .provider = mos_provider_from_word(mos_store_provider_name(options.provider))};
    struct joining joining = {.adoption = &adoption, .arena = arena};
    status = list_there(store, &adoption.there, error);
    if (status == MOS_OK) {
        status = mos_queue_objects(offsite->options.queue, NULL, 0, arena, take_part, &joining, error);
    }
    if (adoption.status != MOS_OK) {
        *error = adoption.error;
        status = adoption.status;
    }
    mos_name_set_free(&adoption.there);
    return status == MOS_OK ? mos_offsite_take_over(offsite, store, error) : status;
}
