// What is done to the copies of a place by itself: their ends, their locks, their keys, and what nobody needs any more.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/offsite/removal.h"

enum { SWEEP_AGE_SECONDS = 86400, SOON_SECONDS = 60 };

// ---- Keys ----

struct key_sync {
    struct mos_offsite_place *place;
    const struct mos_store_call *call;
};

static bool is_key(const char *name) {
    return strncmp(name, "keys/", 5) == 0;
}

// The keys that the list says now, in the place of those that it said.
static mos_status replace_keys(struct key_sync *sync, const struct mos_copy *copy, const mos_object_list *old, const mos_object_list *now,
                               mos_arena *arena, struct mos_error *error) {
    MOS_CLEANUP_NAMES struct mos_name_set kept = {0};
    mos_object_list list = *old;
    mos_status status = MOS_OK;
    size_t count = 0;
    list.objects = mos_arena_array(arena, mos_stored_object *, old->n_objects + now->n_objects);
    for (size_t i = 0; i < old->n_objects; i++) {
        if (!is_key(old->objects[i]->name) && i + 1 < old->n_objects) {
            list.objects[count++] = old->objects[i];
        }
    }
    for (size_t i = 0; i < now->n_objects && status == MOS_OK; i++) {
        if (is_key(now->objects[i]->name)) {
            mos_name_set_add(&kept, now->objects[i]->name);
            list.objects[count++] = now->objects[i];
            struct mos_place_object placed = {.name = now->objects[i]->name, .size_bytes = now->objects[i]->size};
            memcpy(placed.sha256, now->objects[i]->sha256.data, sizeof(placed.sha256));
            status = mos_offsite_send_object(sync->place, now->objects[i], copy->locked_until_unix_ns, sync->call, error);
            if (status == MOS_OK) {
                status = mos_offsite_put_place_object(sync->place, &placed, error);
            }
        }
    }
    list.objects[count++] = old->objects[old->n_objects - 1];
    list.n_objects = count;
    if (status == MOS_OK) {
        size_t size_bytes = mosaajii__engine__v1__backup_objects__get_packed_size(&list);
        uint8_t *data = mos_arena_alloc(arena, size_bytes);
        mosaajii__engine__v1__backup_objects__pack(&list, data);
        status = mos_offsite_put_objects(sync->place->offsite, copy->id, (struct mos_blob){data, size_bytes}, error);
    }
    // The new ones are there: the old ones may go. Those of the repository are the other copies' too, until their turn comes.
    struct mos_removal removal = {.place = sync->place, .call = sync->call};
    for (size_t i = 0; i < old->n_objects && status == MOS_OK; i++) {
        const char *name = old->objects[i]->name;
        struct mos_error refused = {0};
        if (is_key(name) && !mos_removal_is_repository(name) && !mos_name_set_has(&kept, name) &&
            mos_removal_take(&removal, name, 0, &refused) == MOS_CANCELLED) {
            status = mos_fail(error, MOS_CANCELLED, "broken off");
        }
    }
    return status;
}

static mos_status sync_copy(const struct mos_copy *copy, struct key_sync *sync, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_NAMES struct mos_name_set known = {0};
    const mos_object_list *old = NULL;
    mos_object_list *now = NULL;
    bool same = true;
    if (copy->status != MOS_COPY_COMPLETED && copy->status != MOS_COPY_ARCHIVED) {
        return MOS_OK;
    }
    mos_status status = mos_offsite_read_objects(sync->place->offsite, copy->id, arena, &old, error);
    // A backup that is gone here keeps the keys that its copy has.
    if (status != MOS_OK || !old || old->n_objects == 0 ||
        mos_offsite_ask_objects(sync->place->offsite, copy->backup_id, arena, &now, NULL) != MOS_OK || now->n_objects == 0) {
        return status;
    }
    for (size_t i = 0; i < old->n_objects; i++) {
        mos_name_set_add(&known, old->objects[i]->name);
    }
    for (size_t i = 0; i < now->n_objects; i++) {
        same = same && (!is_key(now->objects[i]->name) || mos_name_set_has(&known, now->objects[i]->name));
    }
    return same ? MOS_OK : replace_keys(sync, copy, old, now, arena, error);
}

void mos_offsite_sync_keys(struct mos_offsite_place *place) {
    mos_offsite *offsite = place->offsite;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_store_call call = {.over = mos_offsite_over, .argument = offsite};
    struct key_sync sync = {.place = place, .call = &call};
    struct mos_error error = {0};
    struct mos_copies copies = {0};
    mos_status status = mos_offsite_claim(place, &call, &error);
    if (status == MOS_OK) {
        status = mos_removal_copies(place, arena, &copies, &error);
    }
    for (size_t i = 0; i < copies.count && status == MOS_OK; i++) {
        status = sync_copy(&copies.copies[i], &sync, &error);
    }
    if (status == MOS_OK) {
        status = mos_offsite_note_keys(place, &error);
    }
    if (status != MOS_OK && status != MOS_CANCELLED) {
        mos_log_warning("rewrapped keys could not be sent", MOS_TEXT("location", place->name), MOS_TEXT("reason", error.message));
        pthread_mutex_lock(&offsite->mutex);
        place->keys_due = true;
        pthread_mutex_unlock(&offsite->mutex);
    }
}

// ---- Cleanup ----

struct cleanup {
    struct mos_needed needed;
    struct mos_removal removal;
    // Names that are at the place.
    struct mos_name_set there;
};

static bool is_ours(const char *name) {
    return mos_removal_is_shared(name) || is_key(name) || strncmp(name, "backups/", 8) == 0;
}

static mos_status clean_object(const struct mos_store_object *object, void *argument, struct mos_error *error) {
    struct cleanup *cleanup = argument;
    mos_name_set_add(&cleanup->there, object->name);
    if (!is_ours(object->name) || mos_removal_is_repository(object->name) || mos_name_set_has(&cleanup->needed.names, object->name)) {
        return MOS_OK;
    }
    struct mos_error refused = {0};
    mos_status status = mos_removal_take(&cleanup->removal, object->name, object->size_bytes, &refused);
    // A lock of an earlier copy may hold it: a later cleanup takes it.
    if (status == MOS_OK || status == MOS_FAILED_PRECONDITION || status == MOS_PERMISSION_DENIED) {
        return MOS_OK;
    }
    return mos_fail(error, status, "%s", refused.message);
}

// Whoever has changed its status meanwhile is right.
static void put_copy(mos_offsite *offsite, const struct mos_copy *copy, enum mos_copy_status was) {
    struct mos_error error;
    mos_status status = mos_offsite_record_change(offsite, copy, was, &error);
    if (status != MOS_OK && status != MOS_FAILED_PRECONDITION) {
        mos_log_warning("a copy could not be written down", MOS_TEXT("copy", copy->id), MOS_TEXT("reason", error.message));
    }
}

static mos_status expire(struct mos_offsite_place *place, struct mos_copy *copy, const struct mos_store_call *call, mos_arena *arena,
                         struct mos_error *error) {
    static const struct mos_offsite_caller retention = {"", ""};
    int64_t bytes = 0;
    bool was_refused = copy->refused;
    mos_status status = mos_removal_copy(place, copy, &retention, false, call, arena, &bytes, error);
    if (status == MOS_FAILED_PRECONDITION || status == MOS_PERMISSION_DENIED) {
        if (!was_refused) {
            mos_log_warning("the provider refuses to delete an expired copy", MOS_TEXT("copy", copy->id),
                            MOS_TEXT("reason", error->message));
            mos_offsite_raise(place->offsite, MOS_ALERT_RETENTION_VIOLATION, copy->id, copy->backup_id, copy->message, NULL, 0);
        }
        return MOS_OK;
    }
    return status;
}

// Whose lock cannot be begun anew: what nobody was to be able to delete will be free, which somebody has to know in time.
static void tell_lock(struct mos_offsite_place *place, const struct mos_copy *copy, const char *reason) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char until[MOS_TIME_TEXT_BYTES];
    mos_time_format(copy->locked_until_unix_ns, until);
    const char *message = mos_arena_printf(arena, "The lock of a copy at the %s location, which ends at %s, cannot be extended: %s",
                                           place->name, copy->locked_until_unix_ns ? until : "no known time", reason);
    mos_log_error("the lock of a copy cannot be extended", MOS_TEXT("copy", copy->id), MOS_TEXT("location", place->name),
                  MOS_TEXT("reason", reason));
    mos_offsite_raise(place->offsite, MOS_ALERT_RETENTION_VIOLATION, mos_arena_printf(arena, "lock:%s", copy->id), copy->backup_id, message,
                      NULL, 0);
}

void mos_offsite_resolve_lock(mos_offsite *offsite, const char *copy_id) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_offsite_resolve(offsite, MOS_ALERT_RETENTION_VIOLATION, mos_arena_printf(arena, "lock:%s", copy_id));
}

// Every object of the copy, also behind one that is refused. *out_refused: why, of the first; it ends with what may work later.
static mos_status lock_objects(struct mos_offsite_place *place, const mos_object_list *list, int64_t until_ns,
                               const struct mos_store_call *call, struct mos_error *out_refused, struct mos_error *error) {
    for (size_t i = 0; i < list->n_objects; i++) {
        struct mos_error cause = {0};
        mos_status status = mos_store_retain(place->store, list->objects[i]->name, until_ns, call, &cause);
        if (status == MOS_CANCELLED || mos_status_retryable(status)) {
            return mos_fail(error, status, "%s", cause.message);
        }
        if (status != MOS_OK && !out_refused->status) {
            *out_refused = cause;
        }
    }
    return MOS_OK;
}

// A lock that has run half its time is begun anew, for every object of the copy.
static mos_status extend(struct mos_offsite_place *place, struct mos_copy *copy, const struct mos_store_call *call,
                         struct mos_error *error) {
    mos_offsite *offsite = place->offsite;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    int64_t now_ns = mos_offsite_trusted_now(offsite), until_ns = now_ns + offsite->lock_ns;
    const mos_object_list *list = NULL;
    // A lock by a clock that is years ahead could not be taken back.
    if (!now_ns || !offsite->lock_ns || !mos_store_capabilities_of(place->store)->retention ||
        copy->locked_until_unix_ns >= until_ns - offsite->lock_ns / 2) {
        return MOS_OK;
    }
    mos_status status = mos_offsite_read_objects(offsite, copy->id, arena, &list, error);
    struct mos_error refused = {0};
    if (status == MOS_OK && list) {
        status = lock_objects(place, list, until_ns, call, &refused, error);
    }
    if (status == MOS_OK && refused.status) {
        tell_lock(place, copy, refused.message);
    }
    // Where only this copy is refused, the other ones have their turn all the same.
    if (status != MOS_OK || refused.status) {
        return status;
    }
    copy->locked_until_unix_ns = until_ns;
    put_copy(offsite, copy, copy->status);
    mos_offsite_resolve_lock(offsite, copy->id);
    return MOS_OK;
}

static int32_t archive_days(mos_offsite *offsite, const struct mos_copy *copy) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_offsite_policy *policies;
    size_t count = 0;
    if (*copy->policy && mos_catalog_read_begin(offsite->options.catalog, &session, NULL) == MOS_OK &&
        mos_catalog_list_policies(session, arena, &policies, &count, NULL) == MOS_OK) {
        for (size_t i = 0; i < count; i++) {
            if (strcmp(policies[i].name, copy->policy) == 0) {
                return policies[i].archive_after_days;
            }
        }
    }
    return 0;
}

// Packs go to the colder class; what says what they are stays at hand. A pack that a younger copy shares goes with the older one.
static mos_status archive(struct mos_offsite_place *place, struct mos_copy *copy, const struct mos_store_call *call,
                          struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const mos_object_list *list = NULL;
    int32_t days = archive_days(place->offsite, copy);
    if (days == 0 || copy->status != MOS_COPY_COMPLETED || !mos_store_capabilities_of(place->store)->archive ||
        copy->uploaded_at_unix_ns + days * 86400 * MOS_NS_PER_SECOND > mos_offsite_trusted_now(place->offsite)) {
        return MOS_OK;
    }
    mos_status status = mos_offsite_read_objects(place->offsite, copy->id, arena, &list, error);
    for (size_t i = 0; list && i < list->n_objects && status == MOS_OK; i++) {
        if (mos_removal_is_shared(list->objects[i]->name)) {
            status = mos_store_archive(place->store, list->objects[i]->name, call, error);
        }
    }
    if (status == MOS_OK) {
        copy->status = MOS_COPY_ARCHIVED;
        put_copy(place->offsite, copy, MOS_COPY_COMPLETED);
    }
    return status;
}

static mos_status look_after_copy(struct mos_offsite_place *place, struct mos_copy *copy, const struct mos_copy_lot *lot,
                                  const struct mos_store_call *call, mos_arena *arena, struct mos_error *error) {
    if (copy->status != MOS_COPY_COMPLETED && copy->status != MOS_COPY_ARCHIVED) {
        return MOS_OK;
    }
    int64_t now_ns = mos_offsite_trusted_now(place->offsite), expires_ns = mos_offsite_expiry(place->offsite, copy);
    if (expires_ns != copy->expires_at_unix_ns || lot->source != copy->source) {
        copy->source = lot->source;
        copy->expires_at_unix_ns = expires_ns;
        put_copy(place->offsite, copy, copy->status);
    }
    bool expired = expires_ns && expires_ns <= now_ns && !lot->stays && !mos_removal_is_held(place->offsite, copy);
    if (expired) {
        // Refused once, it is not tried again by itself; locked by us, it waits.
        return copy->refused || copy->locked_until_unix_ns > now_ns ? MOS_OK : expire(place, copy, call, arena, error);
    }
    mos_status status = extend(place, copy, call, error);
    return status == MOS_OK ? archive(place, copy, call, error) : status;
}

// A copy that has lost an object at the place is sent again.
static mos_status look_for_losses(struct mos_offsite_place *place, struct mos_copy *copy, const struct mos_name_set *there,
                                  struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const mos_object_list *list = NULL;
    if (copy->status != MOS_COPY_COMPLETED) {
        return MOS_OK;
    }
    mos_status status = mos_offsite_read_objects(place->offsite, copy->id, arena, &list, error);
    size_t lost = 0;
    for (size_t i = 0; list && i < list->n_objects && status == MOS_OK; i++) {
        if (!mos_name_set_has(there, list->objects[i]->name)) {
            status = mos_offsite_forget_objects(place->offsite, place->url, &list->objects[i]->name, 1, error);
            lost++;
        }
    }
    if (status == MOS_OK && lost > 0) {
        copy->status = MOS_COPY_RETRYING;
        copy->next_attempt_unix_ns = 0;
        copy->message = mos_arena_printf(arena, "%zu of its objects are not there any more; they are sent again", lost);
        mos_log_warning("a copy has lost objects", MOS_TEXT("copy", copy->id), MOS_NUMBER("objects", (int64_t)lost));
        put_copy(place->offsite, copy, MOS_COPY_COMPLETED);
    }
    return status;
}

static mos_status clean(struct mos_offsite_place *place, const struct mos_store_call *call, struct mos_error *error) {
    struct cleanup cleanup = {.removal = {.place = place, .call = call}};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_copies copies;
    mos_status status = mos_removal_needed(place, "", call, &cleanup.needed, error);
    // Nothing is taken away then.
    if (status == MOS_OK && *cleanup.needed.stranger) {
        mos_log_warning("nothing is cleaned up offsite: a manifest lies there and no copy is known that it belongs to",
                        MOS_TEXT("location", place->name), MOS_TEXT("manifest", cleanup.needed.stranger));
        mos_removal_needed_free(&cleanup.needed);
        return MOS_OK;
    }
    if (status == MOS_OK) {
        status = mos_removal_each_object(place, "", call, clean_object, &cleanup, error);
    }
    if (status == MOS_OK) {
        status = mos_removal_copies(place, arena, &copies, error);
    }
    for (size_t i = 0; status == MOS_OK && i < copies.count; i++) {
        status = look_for_losses(place, &copies.copies[i], &cleanup.there, error);
    }
    if (cleanup.removal.objects > 0) {
        mos_log_info("cleaned up offsite", MOS_TEXT("location", place->name), MOS_NUMBER("objects", cleanup.removal.objects),
                     MOS_NUMBER("bytes", cleanup.removal.bytes));
    }
    mos_removal_needed_free(&cleanup.needed);
    mos_name_set_free(&cleanup.there);
    return status;
}

void mos_offsite_tidy(struct mos_offsite_place *place) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_store_call call = {.over = mos_offsite_over, .argument = place->offsite};
    struct mos_error error = {0};
    struct mos_copies copies = {0};
    struct mos_copy_lot *lots = NULL;
    bool judged = true;
    int removed = 0;
    mos_status status = mos_offsite_claim(place, &call, &error);
    if (status == MOS_OK) {
        status = mos_removal_copies(place, arena, &copies, &error);
    }
    if (status == MOS_OK) {
        status = mos_removal_judge(place->offsite, &copies, arena, &lots, &judged, &error);
    }
    if (!judged) {
        place->next_tidy_ns = mos_now_monotonic_ns() + SOON_SECONDS * MOS_NS_PER_SECOND;
    }
    for (size_t i = 0; i < copies.count && status == MOS_OK; i++) {
        status = look_after_copy(place, &copies.copies[i], &lots[i], &call, arena, &error);
    }
    if (status == MOS_OK) {
        status = clean(place, &call, &error);
    }
    if (status == MOS_OK) {
        status = mos_store_sweep(place->store, SWEEP_AGE_SECONDS, &removed, &call, &error);
    }
    if (status != MOS_OK && status != MOS_CANCELLED) {
        mos_offsite_note_health(place, status, error.message);
    }
}
