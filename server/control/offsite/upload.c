// One attempt to make a copy whole: packs first, manifest last. What is there already, as the catalog knows, is not sent again.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/offsite/offsite_internal.h"
#include "control/offsite/removal.h"

enum { RECORD_INTERVAL_MS = 250, PLACED_AT_ONCE = 256, LONGEST_PAUSE_SECONDS = 3600 };

struct upload {
    mos_offsite *offsite;
    struct mos_offsite_place *place;
    struct mos_copy *copy;
    struct mos_offsite_work work;
    const mos_object_list *list;
    int64_t lock_until_ns;
    int64_t total_bytes;
    // From here on under the mutex.
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t next;
    size_t end;
    int running;
    struct mos_place_object placed[PLACED_AT_ONCE];
    size_t placed_count;
    int64_t done_objects;
    int64_t done_bytes;
    int64_t moved_bytes;
    struct mos_error failure;
    // No later attempt can do better.
    bool hopeless;
};

// ---- What is to be sent ----

struct asked {
    mos_arena *arena;
    mos_object_list *list;
    const char *error;
};

static bool take_objects(const mos_object_list *part, void *argument) {
    struct asked *asked = argument;
    if (part->error[0]) {
        asked->error = part->error;
        return true;
    }
    mos_stored_object **objects = mos_arena_array(asked->arena, mos_stored_object *, asked->list->n_objects + part->n_objects);
    if (asked->list->n_objects) {
        memcpy(objects, asked->list->objects, asked->list->n_objects * sizeof(*objects));
    }
    memcpy(objects + asked->list->n_objects, part->objects, part->n_objects * sizeof(*objects));
    asked->list->objects = objects;
    asked->list->n_objects += part->n_objects;
    return true;
}

mos_status mos_offsite_ask_objects(mos_offsite *offsite, const char *backup_id, mos_arena *arena, mos_object_list **out,
                                   struct mos_error *error) {
    char *const ids[] = {(char *)backup_id};
    struct asked asked = {.arena = arena, .list = mos_arena_alloc(arena, sizeof(mos_object_list))};
    mosaajii__engine__v1__backup_objects__init(asked.list);
    asked.list->backup_id = mos_arena_strdup(arena, backup_id);
    mos_status status = mos_queue_objects(offsite->options.queue, ids, 1, arena, take_objects, &asked, error);
    if (status == MOS_OK && asked.error) {
        status = mos_fail(error, MOS_NOT_FOUND, "%s", asked.error);
    }
    *out = asked.list;
    return status;
}

static struct mos_blob pack(const mos_object_list *list, mos_arena *arena) {
    size_t size_bytes = mosaajii__engine__v1__backup_objects__get_packed_size(list);
    uint8_t *data = mos_arena_alloc(arena, size_bytes);
    mosaajii__engine__v1__backup_objects__pack(list, data);
    return (struct mos_blob){data, size_bytes};
}

// Whether the place has the object, or gets it from here.
static bool is_at_hand(mos_catalog_session *session, struct mos_offsite_place *place, const mos_stored_object *object, mos_arena *arena) {
    struct mos_place_object there;
    bool found = false;
    return (mos_catalog_get_place_object(session, place->url, object->name, arena, &there, &found, NULL) == MOS_OK && found &&
            there.size_bytes == object->size && memcmp(there.sha256, object->sha256.data, sizeof(there.sha256)) == 0) ||
           mos_offsite_has_local(place->offsite, object);
}

mos_status mos_offsite_keep_packs(struct mos_offsite_place *place, const mos_object_list *old, mos_object_list *now, mos_arena *arena,
                                  struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_stored_object **objects = mos_arena_array(arena, mos_stored_object *, old->n_objects + now->n_objects);
    size_t count = 0;
    mos_status status = mos_catalog_read_begin(place->offsite->options.catalog, &session, error);
    for (size_t i = 0; i < old->n_objects && status == MOS_OK; i++) {
        if (mos_removal_is_shared(old->objects[i]->name)) {
            objects[count++] = old->objects[i];
            if (!is_at_hand(session, place, old->objects[i], arena)) {
                return MOS_OK;
            }
        }
    }
    if (status != MOS_OK) {
        return status;
    }
    for (size_t i = 0; i < now->n_objects; i++) {
        if (!mos_removal_is_shared(now->objects[i]->name)) {
            objects[count++] = now->objects[i];
        }
    }
    now->objects = objects;
    now->n_objects = count;
    return MOS_OK;
}

// What a copy that was complete once has there.
static mos_status keep_old(struct upload *upload, mos_object_list *now, mos_arena *arena, struct mos_error *error) {
    const mos_object_list *old = NULL;
    mos_status status =
        upload->copy->uploaded_at_unix_ns ? mos_offsite_read_objects(upload->offsite, upload->copy->id, arena, &old, error) : MOS_OK;
    return status == MOS_OK && old ? mos_offsite_keep_packs(upload->place, old, now, arena, error) : status;
}

// From now on the objects are the copy's, so that nothing takes them away under it.
static mos_status learn_objects(struct upload *upload, mos_arena *arena, struct mos_error *error) {
    mos_object_list *list;
    mos_status status = mos_offsite_ask_objects(upload->offsite, upload->copy->backup_id, arena, &list, error);
    if (status == MOS_OK) {
        status = keep_old(upload, list, arena, error);
        if (status != MOS_OK) {
            return status;
        }
        upload->list = list;
        return mos_offsite_put_objects(upload->offsite, upload->copy->id, pack(list, arena), error);
    }
    // Gone here, or not to be read: what was said before still holds, where another place has it.
    struct mos_error cause = {0};
    if (status == MOS_NOT_FOUND &&
        (mos_offsite_read_objects(upload->offsite, upload->copy->id, arena, &upload->list, &cause) != MOS_OK || !upload->list)) {
        upload->hopeless = true;
    }
    return upload->list ? MOS_OK : status;
}

// ---- Sending ----

static void count_moved(void *argument, int64_t bytes) {
    struct upload *upload = ((struct mos_offsite_work *)argument)->upload;
    pthread_mutex_lock(&upload->mutex);
    upload->moved_bytes += bytes;
    pthread_mutex_unlock(&upload->mutex);
}

// Whether it is known to be there; a lock that ends too soon is made longer.
static mos_status look_up(struct upload *upload, const mos_stored_object *object, bool *out_there, struct mos_place_object *out,
                          const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    bool found = false;
    mos_status status = mos_catalog_read_begin(upload->offsite->options.catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_get_place_object(session, upload->place->url, object->name, arena, out, &found, error);
    }
    // Known, with nothing new to say.
    out->name = NULL;
    *out_there = status == MOS_OK && found && out->size_bytes == object->size && memcmp(out->sha256, object->sha256.data, 32) == 0;
    mos_catalog_read_end(session);
    session = NULL;
    if (*out_there && upload->lock_until_ns && out->locked_until_unix_ns < upload->lock_until_ns - upload->offsite->lock_ns / 2) {
        status = mos_store_retain(upload->place->store, object->name, upload->lock_until_ns, call, error);
        out->locked_until_unix_ns = upload->lock_until_ns;
        out->name = object->name;
    }
    return status;
}

static mos_status send(struct upload *upload, const mos_stored_object *object, struct mos_place_object *out, struct mos_error *error) {
    const struct mos_store_call call = {.over = mos_offsite_work_over, .moved = count_moved, .argument = &upload->work};
    bool there = false;
    mos_status status = look_up(upload, object, &there, out, &call, error);
    if (status != MOS_OK || there) {
        return status;
    }
    *out = (struct mos_place_object){.name = object->name, .size_bytes = object->size, .locked_until_unix_ns = upload->lock_until_ns};
    memcpy(out->sha256, object->sha256.data, sizeof(out->sha256));
    return mos_offsite_send_object(upload->place, object, upload->lock_until_ns, &call, error);
}

static void *send_some(void *argument) {
    struct upload *upload = argument;
    pthread_mutex_lock(&upload->mutex);
    while (upload->next < upload->end && !upload->failure.status && !mos_offsite_work_over(&upload->work)) {
        const mos_stored_object *object = upload->list->objects[upload->next++];
        struct mos_place_object placed;
        struct mos_error error = {0};
        pthread_mutex_unlock(&upload->mutex);
        mos_status status = send(upload, object, &placed, &error);
        pthread_mutex_lock(&upload->mutex);
        if (status != MOS_OK) {
            upload->failure = upload->failure.status ? upload->failure : error;
            upload->hopeless = upload->hopeless || status == MOS_DATA_LOSS;
            break;
        }
        while (upload->placed_count == PLACED_AT_ONCE) {
            pthread_cond_wait(&upload->changed, &upload->mutex);
        }
        // What was known before is not noted anew: somebody may have found it damaged since then.
        if (placed.name) {
            upload->placed[upload->placed_count++] = placed;
        }
        upload->done_objects++;
        upload->done_bytes += object->size;
        pthread_cond_broadcast(&upload->changed);
    }
    upload->running--;
    pthread_cond_broadcast(&upload->changed);
    pthread_mutex_unlock(&upload->mutex);
    return NULL;
}

static mos_status record(struct upload *upload, int64_t bytes_per_second, struct mos_error *error) {
    struct mos_place_object placed[PLACED_AT_ONCE];
    struct mos_offsite_moved moved = {.job_id = upload->work.job_id,
                                      .copy_id = upload->copy->id,
                                      .place = upload->place->url,
                                      .objects = placed,
                                      .phase = strcmp(upload->place->name, "primary") == 0 ? "uploading" : "replicating",
                                      .objects_total = (int64_t)upload->list->n_objects,
                                      .bytes_total = upload->total_bytes,
                                      .bytes_per_second = bytes_per_second};
    pthread_mutex_lock(&upload->mutex);
    moved.object_count = upload->placed_count;
    memcpy(placed, upload->placed, upload->placed_count * sizeof(placed[0]));
    upload->placed_count = 0;
    moved.objects_done = upload->done_objects;
    moved.bytes_done = upload->done_bytes;
    pthread_cond_broadcast(&upload->changed);
    pthread_mutex_unlock(&upload->mutex);
    return mos_offsite_record_moved(upload->offsite, &moved, error);
}

// Waits until enough has happened to be written down; false when all threads have ended.
static bool wait_some(struct upload *upload) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += RECORD_INTERVAL_MS * MOS_NS_PER_MS;
    until.tv_sec += until.tv_nsec / MOS_NS_PER_SECOND;
    until.tv_nsec %= MOS_NS_PER_SECOND;
    pthread_mutex_lock(&upload->mutex);
    while (upload->running > 0 && upload->placed_count < PLACED_AT_ONCE / 2 &&
           pthread_cond_timedwait(&upload->changed, &upload->mutex, &until) != ETIMEDOUT) {
    }
    bool runs = upload->running > 0;
    pthread_mutex_unlock(&upload->mutex);
    return runs;
}

static int64_t moved_so_far(struct upload *upload) {
    pthread_mutex_lock(&upload->mutex);
    int64_t bytes = upload->moved_bytes;
    pthread_mutex_unlock(&upload->mutex);
    return bytes;
}

// Objects from `begin` to `end`, several at a time.
static mos_status send_range(struct upload *upload, size_t begin, size_t end, int threads, struct mos_error *error) {
    pthread_t workers[MOS_OFFSITE_MOST_PARALLEL];
    int started = 0;
    mos_status status = MOS_OK;
    upload->next = begin;
    upload->end = end;
    for (; started < threads && (size_t)started < end - begin; started++) {
        pthread_mutex_lock(&upload->mutex);
        upload->running++;
        pthread_mutex_unlock(&upload->mutex);
        int code = pthread_create(&workers[started], NULL, send_some, upload);
        if (code != 0) {
            pthread_mutex_lock(&upload->mutex);
            upload->running--;
            pthread_mutex_unlock(&upload->mutex);
            status = started ? MOS_OK : mos_fail_errno(error, code, "starting a thread for a copy");
            break;
        }
    }
    int64_t before_bytes = moved_so_far(upload), before_ns = mos_now_monotonic_ns();
    for (bool runs = started > 0; runs;) {
        runs = wait_some(upload);
        int64_t passed_ns = mos_now_monotonic_ns() - before_ns;
        int64_t rate = passed_ns > 0 ? (int64_t)((double)(moved_so_far(upload) - before_bytes) * 1e9 / (double)passed_ns) : 0;
        struct mos_error cause = {0};
        if (record(upload, rate, &cause) != MOS_OK) {
            pthread_mutex_lock(&upload->mutex);
            upload->failure = upload->failure.status ? upload->failure : cause;
            pthread_mutex_unlock(&upload->mutex);
        }
    }
    for (int i = 0; i < started; i++) {
        pthread_join(workers[i], NULL);
    }
    if (status == MOS_OK && upload->failure.status) {
        *error = upload->failure;
        return upload->failure.status;
    }
    // All of it is there: nothing is broken off any more.
    return status == MOS_OK && upload->next < end && mos_offsite_work_over(&upload->work)
               ? mos_fail(error, MOS_CANCELLED, "the copy was broken off")
               : status;
}

static bool is_pack(const mos_stored_object *object) {
    return strncmp(object->name, "packs/", 6) == 0 || strncmp(object->name, "moved/", 6) == 0;
}

static mos_status send_all(struct upload *upload, struct mos_error *error) {
    size_t count = upload->list->n_objects, packs = 0;
    for (size_t i = 0; i < count; i++) {
        packs += is_pack(upload->list->objects[i]);
        upload->total_bytes += upload->list->objects[i]->size;
    }
    if (count == 0) {
        return mos_fail(error, MOS_INTERNAL, "the engine names no objects of the backup");
    }
    const struct mos_store_call call = {.over = mos_offsite_work_over, .argument = &upload->work};
    mos_status status = mos_offsite_claim(upload->place, &call, error);
    if (status == MOS_ALREADY_EXISTS) {
        upload->hopeless = true;
    }
    if (status == MOS_OK) {
        status = send_range(upload, 0, packs, upload->offsite->parallel, error);
    }
    if (status == MOS_OK) {
        status = send_range(upload, packs, count - 1, 1, error);
    }
    // Its existence says that all before it is there.
    return status == MOS_OK ? send_range(upload, count - 1, count, 1, error) : status;
}

// ---- How it ended ----

static int64_t pause_ns(const struct upload *upload) {
    uint32_t noise;
    int64_t pause = upload->offsite->retry_ns, longest = LONGEST_PAUSE_SECONDS * MOS_NS_PER_SECOND;
    for (int64_t i = 1; i < upload->copy->attempts && pause < longest; i++) {
        pause *= 2;
    }
    mos_random(&noise, sizeof(noise));
    pause = pause < longest ? pause : longest;
    return pause - pause / 4 + (int64_t)((double)pause / 2 * (noise / 4294967296.0));
}

static void judge_done(struct upload *upload, struct mos_copy *copy, mos_arena *arena) {
    const mos_stored_object *manifest = upload->list->objects[upload->list->n_objects - 1];
    char *checksum = mos_arena_alloc(arena, 65);
    mos_hex_encode(manifest->sha256.data, manifest->sha256.len, checksum);
    copy->status = MOS_COPY_COMPLETED;
    copy->uploaded_at_unix_ns = copy->uploaded_at_unix_ns ? copy->uploaded_at_unix_ns : mos_now_unix_ns();
    copy->size_bytes = upload->total_bytes;
    copy->checksum = checksum;
    copy->locked_until_unix_ns = upload->lock_until_ns;
    copy->objects_total = copy->objects_done = (int64_t)upload->list->n_objects;
    copy->attempts = 0;
    copy->next_attempt_unix_ns = 0;
    copy->message = "";
    copy->refused = false;
    copy->expires_at_unix_ns = mos_offsite_expiry(upload->offsite, copy);
}

static void judge_failed(struct upload *upload, struct mos_copy *copy, const struct mos_error *error, mos_arena *arena) {
    copy->objects_done = upload->done_objects;
    copy->objects_total = upload->list ? (int64_t)upload->list->n_objects : 0;
    if (atomic_load(&upload->offsite->stopping)) {
        // The next server takes it up at once.
        copy->status = MOS_COPY_RETRYING;
        copy->next_attempt_unix_ns = 0;
        copy->message = "The server was stopped while the copy was sent";
    } else if (upload->hopeless || error->status == MOS_CANCELLED) {
        copy->status = MOS_COPY_FAILED;
        copy->message = error->status == MOS_CANCELLED ? "Cancelled on request" : mos_arena_strdup(arena, error->message);
    } else {
        copy->status = MOS_COPY_RETRYING;
        copy->next_attempt_unix_ns = mos_now_unix_ns() + pause_ns(upload);
        char until[MOS_TIME_TEXT_BYTES];
        mos_time_format(copy->next_attempt_unix_ns, until);
        copy->message = mos_arena_printf(arena, "%s; tried again at %s", error->message, until);
    }
}

static bool settle(struct upload *upload, mos_status status, const struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_copy copy = *upload->copy, now;
    // How long it is kept may have been ordered while it was sent.
    if (mos_offsite_read_copy(upload->offsite, copy.id, arena, &now, NULL) == MOS_OK) {
        copy.retention_days = now.retention_days;
        copy.policy = now.policy;
    }
    bool primary = strcmp(upload->place->name, "primary") == 0;
    if (status == MOS_OK) {
        judge_done(upload, &copy, arena);
    } else {
        judge_failed(upload, &copy, error, arena);
    }
    const struct mos_offsite_caller caller = {copy.created_by, ""};
    const struct mos_offsite_end end = {.copy = &copy,
                                        .job_id = upload->work.job_id,
                                        .job_status = status == MOS_OK          ? MOS_JOB_SUCCEEDED
                                                      : status == MOS_CANCELLED ? MOS_JOB_CANCELLED
                                                                                : MOS_JOB_FAILED,
                                        .message = copy.message,
                                        .action = primary ? MOS_COPY_UPLOAD : MOS_COPY_REPLICATE,
                                        .copy_id = copy.id,
                                        .backup_id = copy.backup_id,
                                        .caller = &caller,
                                        .result = status,
                                        .details = copy.message};
    struct mos_error cause = {0};
    bool recorded = mos_offsite_record_end(upload->offsite, &end, &cause) == MOS_OK;
    if (!recorded) {
        mos_log_error("what became of a copy could not be recorded", MOS_TEXT("copy", copy.id), MOS_TEXT("reason", cause.message));
    }
    mos_log_info("offsite copy", MOS_TEXT("copy", copy.id), MOS_TEXT("backup", copy.backup_id), MOS_TEXT("location", upload->place->name),
                 MOS_TEXT("status", mos_copy_status_word(copy.status)), MOS_TEXT("message", copy.message));
    if (copy.status == MOS_COPY_FAILED && status != MOS_CANCELLED) {
        mos_offsite_raise(upload->offsite, MOS_ALERT_OFFSITE_FAILED, copy.id, copy.backup_id, copy.message, NULL, 0);
    } else if (status == MOS_OK) {
        mos_offsite_resolve(upload->offsite, MOS_ALERT_OFFSITE_FAILED, copy.id);
        mos_offsite_resolve_lock(upload->offsite, copy.id);
    }
    return recorded;
}

bool mos_offsite_attempt(struct mos_offsite_place *place, struct mos_copy *copy) {
    mos_offsite *offsite = place->offsite;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct upload upload = {.offsite = offsite, .place = place, .copy = copy, .mutex = PTHREAD_MUTEX_INITIALIZER};
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_error error = {0};
    mos_id_new(job_id);
    pthread_cond_init(&upload.changed, NULL);
    mos_offsite_work_begin(offsite, &upload.work, job_id);
    upload.work.upload = &upload;
    mos_status status = mos_offsite_record_begun(offsite, copy, job_id, &error);
    bool recorded = status == MOS_OK;
    if (recorded) {
        // Years ahead nobody could take it off again: before any clock was believed the next cleanup locks it.
        int64_t now_ns = mos_offsite_trusted_now(offsite);
        upload.lock_until_ns =
            now_ns && offsite->lock_ns && mos_store_capabilities_of(place->store)->retention ? now_ns + offsite->lock_ns : 0;
        // No pack vanishes meanwhile.
        int lock;
        status = mos_offsite_lock(offsite, "reading", &lock, &error);
        bool locked = status == MOS_OK;
        if (locked) {
            status = learn_objects(&upload, arena, &error);
        }
        if (status == MOS_OK) {
            status = send_all(&upload, &error);
        }
        mos_close_cleanup(&lock);
        recorded = settle(&upload, status, &error);
        // What is lost here is no fault of the place.
        bool ours = !locked || status == MOS_DATA_LOSS || (upload.hopeless && status == MOS_NOT_FOUND);
        mos_offsite_note_health(place, ours ? MOS_OK : status, error.message);
    } else if (status != MOS_FAILED_PRECONDITION) {
        mos_log_error("a copy could not be begun", MOS_TEXT("copy", copy->id), MOS_TEXT("reason", error.message));
    }
    mos_offsite_work_end(offsite, &upload.work);
    pthread_cond_destroy(&upload.changed);
    pthread_mutex_destroy(&upload.mutex);
    return recorded;
}
