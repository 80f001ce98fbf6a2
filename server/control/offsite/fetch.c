// Bringing backups back: what the repository lacks, or has damaged.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/offsite/name_set.h"
#include "control/offsite/offsite_internal.h"

enum { RECORD_INTERVAL_MS = 250, TURN_LOOK_MS = 250, THAW_DAYS = 7, THAW_LOOK_SECONDS = 30, HURT_NAMES_MOST = 1000 };

struct fetch {
    mos_offsite *offsite;
    struct mos_offsite_place *from;
    const char *job_id;
    // Of whoever waits; `call` asks it, and counts.
    const struct mos_store_call *caller;
    const struct mos_store_call *call;
    mos_stored_object **objects;
    size_t total;
    int64_t total_bytes;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t next;
    size_t end;
    int running;
    int64_t done_objects;
    int64_t done_bytes;
    // What has come of objects that are not whole yet, too; what comes again counts again.
    int64_t moved_bytes;
    struct mos_error failure;
};

// ---- What is missing ----

// The copy that it comes from: complete, at a location of ours, the primary one first.
static mos_status choose_copy(mos_offsite *offsite, const char *backup_id, mos_arena *arena, struct mos_copy *out,
                              struct mos_offsite_place **out_place, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
    for (size_t i = 0; i < offsite->place_count && status == MOS_OK; i++) {
        bool found = false;
        status = mos_catalog_find_copy(session, backup_id, offsite->places[i].url, arena, out, &found, error);
        if (status == MOS_OK && found && (out->status == MOS_COPY_COMPLETED || out->status == MOS_COPY_ARCHIVED)) {
            *out_place = &offsite->places[i];
            return MOS_OK;
        }
    }
    return status == MOS_OK ? mos_fail(error, MOS_FAILED_PRECONDITION, "no location has a complete copy of the backup %s", backup_id)
                            : status;
}

// Whether what lies here is what the copy has.
static bool is_whole(mos_offsite *offsite, const mos_stored_object *object) {
    uint8_t digest[32];
    int64_t size_bytes;
    return mos_offsite_hash_local(offsite, object->name, &size_bytes, digest, NULL) == MOS_OK &&
           memcmp(digest, object->sha256.data, sizeof(digest)) == 0;
}

static bool belongs_to_repository(const mos_stored_object *object) {
    return strncmp(object->name, "repository", 10) == 0 || strncmp(object->name, "keys/repository/", 16) == 0;
}

// Keeps in `fetch` what must come, in the order of the list. A backup whose manifest is here has its keys here too, newer ones perhaps.
static void choose_objects(struct fetch *fetch, const mos_object_list *list, bool deep, mos_arena *arena) {
    bool known = mos_offsite_has_local(fetch->offsite, list->objects[list->n_objects - 1]);
    fetch->objects = mos_arena_array(arena, mos_stored_object *, list->n_objects);
    for (size_t i = 0; i < list->n_objects; i++) {
        mos_stored_object *object = list->objects[i];
        bool key = strncmp(object->name, "keys/", 5) == 0;
        bool here = mos_offsite_has_local(fetch->offsite, object);
        if (belongs_to_repository(object) || (key && known && !deep)) {
            continue;
        }
        if (!here || (deep && !is_whole(fetch->offsite, object))) {
            fetch->objects[fetch->total++] = object;
            fetch->total_bytes += object->size;
        }
    }
}

// ---- Archived objects ----

// Asks for those that are archived, whatever their copy is: an older copy that has packs in common may have taken them along. Waits until
// the provider has made them ready.
mos_status mos_offsite_thaw(struct mos_offsite_place *place, mos_stored_object *const *objects, size_t count,
                            const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_FREE const char **cold = mos_calloc(count + 1, sizeof(*cold));
    struct mos_store_object there;
    size_t cold_count = 0;
    mos_status status = MOS_OK;
    if (!mos_store_capabilities_of(place->store)->archive) {
        return MOS_OK;
    }
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = mos_store_head(place->store, objects[i]->name, &there, call, error);
        if (status == MOS_OK && there.state == MOS_STORE_ARCHIVED) {
            status = mos_store_thaw(place->store, objects[i]->name, THAW_DAYS, call, error);
        }
        if (status == MOS_OK && there.state != MOS_STORE_READY) {
            cold[cold_count++] = objects[i]->name;
        }
        // Another place may have it.
        status = status == MOS_NOT_FOUND ? MOS_OK : status;
    }
    for (size_t i = 0; i < cold_count && status == MOS_OK;) {
        status = mos_store_head(place->store, cold[i], &there, call, error);
        if (status == MOS_OK && there.state == MOS_STORE_READY) {
            i++;
        } else if (status == MOS_OK) {
            mos_offsite_sleep(place->offsite, mos_offsite_generation(place->offsite),
                              mos_now_unix_ns() + THAW_LOOK_SECONDS * MOS_NS_PER_SECOND);
            status = call->over(call->argument) ? mos_fail(error, MOS_CANCELLED, "broken off") : MOS_OK;
        }
    }
    return status;
}

// ---- Bringing ----

static void *bring_some(void *argument) {
    struct fetch *fetch = argument;
    pthread_mutex_lock(&fetch->mutex);
    while (fetch->next < fetch->end && !fetch->failure.status) {
        const mos_stored_object *object = fetch->objects[fetch->next++];
        struct mos_error error = {0};
        pthread_mutex_unlock(&fetch->mutex);
        mos_status status = mos_offsite_bring_object(fetch->offsite, fetch->from, NULL, object, fetch->call, &error);
        pthread_mutex_lock(&fetch->mutex);
        if (status != MOS_OK) {
            fetch->failure = fetch->failure.status ? fetch->failure : error;
            break;
        }
        fetch->done_objects++;
        fetch->done_bytes += object->size;
    }
    fetch->running--;
    pthread_cond_broadcast(&fetch->changed);
    pthread_mutex_unlock(&fetch->mutex);
    return NULL;
}

static bool is_over(void *argument) {
    const struct fetch *fetch = argument;
    return fetch->caller->over(fetch->caller->argument);
}

static void count_moved(void *argument, int64_t bytes) {
    struct fetch *fetch = argument;
    pthread_mutex_lock(&fetch->mutex);
    fetch->moved_bytes += bytes;
    pthread_mutex_unlock(&fetch->mutex);
}

static void record(struct fetch *fetch) {
    struct mos_error error;
    pthread_mutex_lock(&fetch->mutex);
    int64_t moved_bytes = fetch->moved_bytes < fetch->total_bytes ? fetch->moved_bytes : fetch->total_bytes;
    const struct mos_offsite_moved moved = {.job_id = fetch->job_id,
                                            .phase = "fetching",
                                            .objects_done = fetch->done_objects,
                                            .objects_total = (int64_t)fetch->total,
                                            .bytes_done = moved_bytes > fetch->done_bytes ? moved_bytes : fetch->done_bytes,
                                            .bytes_total = fetch->total_bytes};
    pthread_mutex_unlock(&fetch->mutex);
    if (mos_offsite_record_moved(fetch->offsite, &moved, &error) != MOS_OK) {
        mos_log_warning("progress could not be recorded", MOS_TEXT("job", fetch->job_id), MOS_TEXT("reason", error.message));
    }
}

static mos_status bring_range(struct fetch *fetch, size_t begin, size_t end, int threads, struct mos_error *error) {
    pthread_t workers[MOS_OFFSITE_MOST_PARALLEL];
    int started = 0;
    fetch->next = begin;
    fetch->end = end;
    pthread_mutex_lock(&fetch->mutex);
    while (started < threads && (size_t)started < end - begin && pthread_create(&workers[started], NULL, bring_some, fetch) == 0) {
        started++;
        fetch->running++;
    }
    while (fetch->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += RECORD_INTERVAL_MS * MOS_NS_PER_MS;
        until.tv_sec += until.tv_nsec / MOS_NS_PER_SECOND;
        until.tv_nsec %= MOS_NS_PER_SECOND;
        if (pthread_cond_timedwait(&fetch->changed, &fetch->mutex, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&fetch->mutex);
            record(fetch);
            pthread_mutex_lock(&fetch->mutex);
        }
    }
    pthread_mutex_unlock(&fetch->mutex);
    for (int i = 0; i < started; i++) {
        pthread_join(workers[i], NULL);
    }
    if (started == 0 && end > begin) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "no thread can be started to bring a backup back");
    }
    if (fetch->failure.status) {
        *error = fetch->failure;
    }
    return fetch->failure.status;
}

static bool is_pack(const mos_stored_object *object) {
    return strncmp(object->name, "packs/", 6) == 0 || strncmp(object->name, "moved/", 6) == 0;
}

// Packs first, the manifest last, as they were written.
static mos_status bring_all(struct fetch *fetch, struct mos_error *error) {
    size_t packs = 0;
    while (packs < fetch->total && is_pack(fetch->objects[packs])) {
        packs++;
    }
    mos_status status = mos_offsite_thaw(fetch->from, fetch->objects, fetch->total, fetch->call, error);
    if (status == MOS_OK) {
        status = bring_range(fetch, 0, packs, fetch->offsite->parallel, error);
    }
    if (status == MOS_OK) {
        status = bring_range(fetch, packs, fetch->total, 1, error);
    }
    if (fetch->total > 0) {
        record(fetch);
    }
    return status;
}

// ---- What damage hurts ----

struct search {
    const struct mos_name_set *names;
    mos_arena *arena;
    char **ids;
    size_t count;
    struct mos_name_set seen;
};

static bool find_hurt(const mos_object_list *part, void *argument) {
    struct search *search = argument;
    for (size_t i = 0; i < part->n_objects && search->count < HURT_NAMES_MOST; i++) {
        if (mos_name_set_has(search->names, part->objects[i]->name)) {
            if (mos_name_set_add(&search->seen, part->backup_id)) {
                search->ids[search->count++] = mos_arena_strdup(search->arena, part->backup_id);
            }
            break;
        }
    }
    return true;
}

mos_status mos_offsite_blast(mos_offsite *offsite, char *const *names, size_t count, mos_arena *arena, char ***out, size_t *out_count,
                             struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *scratch = mos_arena_create(0);
    MOS_CLEANUP_NAMES struct mos_name_set set = {0};
    for (size_t i = 0; i < count; i++) {
        mos_name_set_add(&set, names[i]);
    }
    struct search search = {.names = &set, .arena = arena, .ids = mos_arena_array(arena, char *, HURT_NAMES_MOST)};
    mos_status status = mos_queue_objects(offsite->options.queue, NULL, 0, scratch, find_hurt, &search, error);
    mos_name_set_free(&search.seen);
    *out = search.ids;
    *out_count = search.count;
    return status;
}

mos_status mos_offsite_hurt(mos_offsite *offsite, char *const *sentences, size_t count, mos_arena *arena, char ***out, size_t *out_count,
                            struct mos_error *error) {
    char **names = mos_arena_array(arena, char *, count + 1);
    if (!names) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the names of damaged objects take too much memory");
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = mos_arena_printf(arena, "%.*s", (int)strcspn(sentences[i], ": "), sentences[i]);
    }
    return mos_offsite_blast(offsite, names, count, arena, out, out_count, error);
}

// Which backups have lost something, told before anything is done about it.
static void tell_damage(mos_offsite *offsite, const char *backup_id, char *const *names, size_t count, mos_arena *arena) {
    char **hurt = NULL;
    size_t hurt_count = 0;
    struct mos_error error = {0};
    if (mos_offsite_blast(offsite, names, count, arena, &hurt, &hurt_count, &error) != MOS_OK) {
        mos_log_warning("which backups damage has hurt cannot be told", MOS_TEXT("reason", error.message));
    }
    const char *message =
        mos_arena_printf(arena, "%zu %s damaged or missing (%s%s); %zu %s needed them", count, count == 1 ? "object is" : "objects are",
                         names[0], count > 1 ? ", …" : "", hurt_count, hurt_count == 1 ? "backup" : "backups");
    mos_log_error("damage in the repository", MOS_TEXT("backup", backup_id), MOS_TEXT("message", message));
    mos_offsite_raise(offsite, MOS_ALERT_VERIFICATION_FAILED, backup_id, backup_id, message, hurt, hurt_count);
}

// ---- One backup ----

static mos_status mark_here(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_set_backup_absent(session, argument, false, error);
}

static mos_status still_wanted(mos_offsite *offsite, const char *backup_id, mos_arena *arena, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_backup backup;
    mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
    return status == MOS_OK ? mos_catalog_get_backup(session, backup_id, arena, &backup, error) : status;
}

struct damage {
    // Names of what was not as it should be, in the arena.
    char **names;
    size_t count;
    int64_t bytes;
};

// All of one backup. `deep`: what is here is read too.
static mos_status bring_backup(mos_offsite *offsite, const char *backup_id, const struct mos_copy *copy, struct mos_offsite_place *place,
                               bool deep, const char *job_id, const struct mos_store_call *call, mos_arena *arena, struct damage *out,
                               struct mos_error *error) {
    const mos_object_list *list = NULL;
    struct fetch fetch = {.offsite = offsite,
                          .from = place,
                          .job_id = job_id,
                          .caller = call,
                          .mutex = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
    const struct mos_store_call counting = {.over = is_over, .moved = count_moved, .argument = &fetch};
    fetch.call = &counting;
    mos_status status = mos_offsite_read_objects(offsite, copy->id, arena, &list, error);
    if (status == MOS_OK && (!list || list->n_objects == 0)) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "the objects of the copy %s are not known", copy->id);
    }
    if (status != MOS_OK) {
        return status;
    }
    // As a backup that runs: nothing that it has brought and no manifest names yet is removed meanwhile.
    int lock;
    status = mos_offsite_lock(offsite, "running", &lock, error);
    if (status != MOS_OK) {
        mos_close_cleanup(&lock);
        return status;
    }
    choose_objects(&fetch, list, deep, arena);
    // Reading takes a while. What was deleted here meanwhile is not damaged.
    if (deep) {
        status = still_wanted(offsite, backup_id, arena, error);
    }
    if (status != MOS_OK) {
        mos_close_cleanup(&lock);
        return status;
    }
    out->names = mos_arena_array(arena, char *, fetch.total);
    for (size_t i = 0; i < fetch.total; i++) {
        out->names[i] = fetch.objects[i]->name;
    }
    out->count = fetch.total;
    if (deep && fetch.total > 0) {
        tell_damage(offsite, backup_id, out->names, out->count, arena);
    }
    status = bring_all(&fetch, error);
    mos_close_cleanup(&lock);
    if (status == MOS_OK) {
        status = mos_queue_learn(offsite->options.queue, backup_id, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_write(offsite->options.catalog, mark_here, (void *)backup_id, error);
    }
    out->bytes = fetch.done_bytes;
    return status;
}

// Waits for its turn, which takes as long as the one before it, unless whoever waits is called off.
static mos_status begin_turn(mos_offsite *offsite, const struct mos_store_call *call, struct mos_error *error) {
    for (;;) {
        pthread_mutex_lock(&offsite->mutex);
        bool ours = !offsite->bringing;
        uint64_t generation = offsite->generation;
        offsite->bringing = true;
        pthread_mutex_unlock(&offsite->mutex);
        if (ours) {
            return MOS_OK;
        }
        if (call->over(call->argument)) {
            return mos_fail(error, MOS_CANCELLED, "broken off");
        }
        mos_offsite_sleep(offsite, generation, mos_now_unix_ns() + TURN_LOOK_MS * MOS_NS_PER_MS);
    }
}

static void end_turn(mos_offsite *offsite) {
    pthread_mutex_lock(&offsite->mutex);
    offsite->bringing = false;
    offsite->generation++;
    pthread_cond_broadcast(&offsite->news);
    pthread_mutex_unlock(&offsite->mutex);
}

mos_status mos_offsite_bring(mos_offsite *offsite, const char *backup_id, const char *job_id, bool (*over)(void *argument), void *argument,
                             struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_store_call call = {.over = over, .argument = argument};
    struct mos_offsite_place *place = NULL;
    struct mos_copy copy;
    struct damage brought = {0};
    mos_status status = choose_copy(offsite, backup_id, arena, &copy, &place, error);
    if (status != MOS_OK) {
        return status;
    }
    status = begin_turn(offsite, &call, error);
    if (status == MOS_OK) {
        status = bring_backup(offsite, backup_id, &copy, place, false, job_id, &call, arena, &brought, error);
        end_turn(offsite);
    }
    char details[128];
    snprintf(details, sizeof(details), "%zu objects, %lld bytes, for a job that reads the backup", brought.count, (long long)brought.bytes);
    static const struct mos_offsite_caller nobody = {"", ""};
    const struct mos_offsite_end end = {.job_id = "",
                                        .action = MOS_COPY_DOWNLOAD,
                                        .copy_id = copy.id,
                                        .backup_id = backup_id,
                                        .caller = &nobody,
                                        .result = status,
                                        .details = status == MOS_OK ? details : error->message};
    struct mos_error ignored;
    mos_offsite_record_end(offsite, &end, &ignored);
    return status == MOS_OK ? status : mos_fail_context(error, "bringing the backup's data back from offsite");
}

mos_status mos_offsite_fetch(mos_offsite *offsite, const char *copy_id, const struct mos_offsite_caller *caller,
                             char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_copy copy;
    mos_status status = mos_offsite_read_copy(offsite, copy_id, arena, &copy, error);
    if (status != MOS_OK) {
        return status;
    }
    if (copy.status != MOS_COPY_COMPLETED && copy.status != MOS_COPY_ARCHIVED) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the copy is not complete: its status is %s", mos_copy_status_word(copy.status));
    }
    if (!mos_offsite_place_of(offsite, copy.place)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the copy lies at %s, which is no location of this server now", copy.place);
    }
    return mos_offsite_add_errand(offsite, copy.backup_id, copy.id, caller, false, out_job_id, error);
}

mos_status mos_offsite_heal(mos_offsite *offsite, const char *backup_id, const struct mos_offsite_caller *caller,
                            char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    return mos_offsite_add_errand(offsite, backup_id, "", caller, true, out_job_id, error);
}

// ---- Healing ----

static bool never(const void *offsite) {
    return atomic_load(&((mos_offsite *)offsite)->stopping);
}

// Only what a verification finds whole is healed.
static mos_status verify(mos_offsite *offsite, const char *backup_id, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_job job;
    mos_status status = mos_queue_verify(offsite->options.queue, backup_id, MOS_OFFSITE_ACTOR, job_id, error);
    if (status == MOS_OK) {
        status = mos_queue_wait(offsite->options.queue, job_id, never, offsite, arena, &job, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    return job.status == MOS_JOB_SUCCEEDED || job.status == MOS_JOB_SUCCEEDED_WITH_WARNINGS
               ? MOS_OK
               : mos_fail(error, MOS_DATA_LOSS, "it does not verify yet: %s", job.message);
}

// Without a copy there is nothing to heal from; what is lost is told all the same.
static void tell_lost(mos_offsite *offsite, const char *backup_id, mos_arena *arena) {
    mos_object_list *list;
    if (mos_offsite_ask_objects(offsite, backup_id, arena, &list, NULL) != MOS_OK) {
        return;
    }
    char **names = mos_arena_array(arena, char *, list->n_objects);
    size_t count = 0;
    for (size_t i = 0; i < list->n_objects; i++) {
        if (!is_whole(offsite, list->objects[i])) {
            names[count++] = list->objects[i]->name;
        }
    }
    if (count > 0) {
        tell_damage(offsite, backup_id, names, count, arena);
    }
}

static mos_status heal(mos_offsite *offsite, const struct mos_offsite_errand *errand, struct mos_copy *copy,
                       const struct mos_store_call *call, mos_arena *arena, const char **out_message, struct mos_error *error) {
    struct mos_offsite_place *place = NULL;
    struct damage damage = {0};
    mos_status status = choose_copy(offsite, errand->backup_id, arena, copy, &place, error);
    if (status != MOS_OK) {
        copy->id = "";
        tell_lost(offsite, errand->backup_id, arena);
    } else {
        status = bring_backup(offsite, errand->backup_id, copy, place, true, errand->job_id, call, arena, &damage, error);
    }
    if (status == MOS_OK && damage.count == 0) {
        status = mos_fail(error, MOS_DATA_LOSS, "every object here is what the copy offsite has: the damage is older than the copy");
    }
    if (status == MOS_OK) {
        status = verify(offsite, errand->backup_id, error);
    }
    *out_message = status == MOS_OK
                       ? mos_arena_printf(arena, "Healed and verified: %zu %s brought back (%s%s)", damage.count,
                                          damage.count == 1 ? "object was" : "objects were", damage.names[0], damage.count > 1 ? ", …" : "")
                       : mos_arena_printf(arena, "Not healed: %s", error->message);
    if (status == MOS_OK) {
        mos_offsite_resolve(offsite, MOS_ALERT_VERIFICATION_FAILED, errand->backup_id);
    }
    return status;
}

// ---- Errands ----

static mos_status fetch_copy(mos_offsite *offsite, const struct mos_offsite_errand *errand, struct mos_copy *copy,
                             const struct mos_store_call *call, mos_arena *arena, const char **out_message, struct mos_error *error) {
    struct damage brought = {0};
    mos_status status = mos_offsite_read_copy(offsite, errand->copy_id, arena, copy, error);
    struct mos_offsite_place *place = status == MOS_OK ? mos_offsite_place_of(offsite, copy->place) : NULL;
    if (status == MOS_OK && !place) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "the copy lies at no location of this server");
    }
    if (status == MOS_OK) {
        status = begin_turn(offsite, call, error);
    }
    if (status == MOS_OK) {
        status = bring_backup(offsite, errand->backup_id, copy, place, false, errand->job_id, call, arena, &brought, error);
        end_turn(offsite);
    }
    *out_message = status == MOS_OK ? mos_arena_printf(arena, "%zu %s brought back, %lld bytes", brought.count,
                                                       brought.count == 1 ? "object was" : "objects were", (long long)brought.bytes)
                                    : mos_arena_strdup(arena, error->message);
    return status;
}

void mos_offsite_run_errand(mos_offsite *offsite, struct mos_offsite_errand *errand) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_offsite_work work = {0};
    struct mos_copy copy = {.id = ""};
    const char *message = "";
    struct mos_error error = {0};
    const struct mos_store_call call = {.over = mos_offsite_work_over, .argument = &work};
    mos_offsite_work_begin(offsite, &work, errand->job_id);
    mos_status status =
        mos_offsite_record_job(offsite, MOS_JOB_OFFSITE_FETCH, MOS_JOB_RUNNING, errand->job_id, errand->backup_id, errand->actor, &error);
    if (status == MOS_OK) {
        status = (errand->heal ? heal : fetch_copy)(offsite, errand, &copy, &call, arena, &message, &error);
    }
    mos_offsite_work_end(offsite, &work);
    const struct mos_offsite_caller caller = {errand->actor, errand->address};
    const struct mos_offsite_end end = {.job_id = errand->job_id,
                                        .job_status = status == MOS_OK          ? MOS_JOB_SUCCEEDED
                                                      : status == MOS_CANCELLED ? MOS_JOB_CANCELLED
                                                                                : MOS_JOB_FAILED,
                                        .message = message,
                                        .action = MOS_COPY_DOWNLOAD,
                                        .copy_id = copy.id,
                                        .backup_id = errand->backup_id,
                                        .caller = &caller,
                                        .result = status,
                                        .details = message};
    struct mos_error cause = {0};
    if (mos_offsite_record_end(offsite, &end, &cause) != MOS_OK) {
        mos_log_error("what became of a fetch could not be recorded", MOS_TEXT("job", errand->job_id), MOS_TEXT("reason", cause.message));
    }
    mos_log_info("offsite fetch", MOS_TEXT("job", errand->job_id), MOS_TEXT("backup", errand->backup_id),
                 MOS_TEXT("status", mos_status_name(status)), MOS_TEXT("message", message));
}
