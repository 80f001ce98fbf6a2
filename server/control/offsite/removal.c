#include "control/offsite/removal.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

enum { LIST_PAGE = 1000 };

// ---- What the copies need ----

static bool add_needed(const struct mos_copy *copy, void *argument) {
    struct mos_needed *needed = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const mos_object_list *list = NULL;
    if (strcmp(copy->id, needed->except) == 0) {
        return true;
    }
    needed->status = mos_offsite_read_objects(needed->offsite, copy->id, arena, &list, &needed->error);
    // Whoever gave up needs nothing any more; asked for again, it sends all of it again. But one that was complete before may still serve
    // to bring back what is left of it.
    if (copy->status == MOS_COPY_FAILED &&
        (!list || list->n_objects == 0 || !mos_name_set_has(&needed->there, list->objects[list->n_objects - 1]->name))) {
        return needed->status == MOS_OK;
    }
    for (size_t i = 0; list && i < list->n_objects; i++) {
        mos_name_set_add(&needed->names, list->objects[i]->name);
    }
    if (list && list->n_objects > 0) {
        mos_name_set_add(&needed->manifests, list->objects[list->n_objects - 1]->name);
    }
    return needed->status == MOS_OK;
}

static mos_status note_manifest(const struct mos_store_object *object, void *argument, struct mos_error *error) {
    (void)error;
    mos_name_set_add(argument, object->name);
    return MOS_OK;
}

mos_status mos_removal_needed(struct mos_offsite_place *place, const char *except, const struct mos_store_call *call,
                              struct mos_needed *out, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    *out = (struct mos_needed){.offsite = place->offsite, .except = except};
    // First: a manifest that comes later would be a stranger, and one that goes is none.
    mos_status status = mos_removal_each_object(place, "backups/", call, note_manifest, &out->there, error);
    if (status == MOS_OK) {
        status = mos_catalog_read_begin(place->offsite->options.catalog, &session, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_each_copy(session, place->url, add_needed, out, error);
    }
    if (status == MOS_OK && out->status != MOS_OK) {
        *error = out->error;
        status = out->status;
    }
    for (size_t i = 0; i < out->there.capacity && status == MOS_OK; i++) {
        if (out->there.slots[i] && !mos_name_set_has(&out->manifests, out->there.slots[i])) {
            snprintf(out->stranger, sizeof(out->stranger), "%s", out->there.slots[i]);
        }
    }
    return status;
}

void mos_removal_needed_free(struct mos_needed *needed) {
    mos_name_set_free(&needed->names);
    mos_name_set_free(&needed->manifests);
    mos_name_set_free(&needed->there);
}

mos_status mos_removal_each_object(struct mos_offsite_place *place, const char *prefix, const struct mos_store_call *call,
                                   mos_status (*visit)(const struct mos_store_object *object, void *argument, struct mos_error *error),
                                   void *argument, struct mos_error *error) {
    char after[MOS_STORE_NAME_LIMIT + 512] = "";
    for (bool more = true; more;) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_store_page page = {0};
        mos_status status = mos_store_list(place->store, prefix, *after ? after : NULL, LIST_PAGE, arena, &page, call, error);
        for (size_t i = 0; i < page.count && status == MOS_OK; i++) {
            status = visit(&page.objects[i], argument, error);
        }
        if (status != MOS_OK) {
            return status;
        }
        more = page.next != NULL;
        if (more && snprintf(after, sizeof(after), "%s", page.next) >= (int)sizeof(after)) {
            return mos_fail(error, MOS_INTERNAL, "the list of %s cannot be gone on with", place->url);
        }
    }
    return MOS_OK;
}

// ---- Taking away ----

bool mos_removal_is_shared(const char *name) {
    return strncmp(name, "packs/", 6) == 0 || strncmp(name, "moved/", 6) == 0;
}

bool mos_removal_is_repository(const char *name) {
    return strncmp(name, "repository", 10) == 0 || strncmp(name, "keys/repository/", 16) == 0;
}

mos_status mos_removal_take(struct mos_removal *removal, const char *name, int64_t size_bytes, struct mos_error *error) {
    char *const names[] = {(char *)name};
    mos_status status = mos_offsite_forget_objects(removal->place->offsite, removal->place->url, names, 1, error);
    if (status == MOS_OK) {
        status = mos_store_delete(removal->place->store, name, removal->call, error);
    }
    if (status == MOS_OK) {
        removal->bytes += size_bytes;
        removal->objects++;
    }
    return status;
}

// Of a backup whose copy has failed there may be a newer one there, with the same manifest and keys.
static mos_status find_newer(struct mos_offsite_place *place, const struct mos_copy *copy, bool *out_any, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_copy newest;
    bool found = false;
    mos_status status = mos_catalog_read_begin(place->offsite->options.catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_find_copy(session, copy->backup_id, place->url, arena, &newest, &found, error);
    }
    *out_any = status == MOS_OK && found && strcmp(newest.id, copy->id) != 0 && newest.status != MOS_COPY_DELETED &&
               newest.status != MOS_COPY_FAILED;
    return status;
}

// Manifest and keys of a copy: without them it is none any more.
static mos_status take_manifest(struct mos_removal *removal, const mos_object_list *list, struct mos_error *error) {
    const mos_stored_object *manifest = list->objects[list->n_objects - 1];
    mos_status status = mos_removal_take(removal, manifest->name, manifest->size, error);
    for (size_t i = 0; i + 1 < list->n_objects && status == MOS_OK; i++) {
        const mos_stored_object *object = list->objects[i];
        if (!mos_removal_is_shared(object->name) && !mos_removal_is_repository(object->name)) {
            status = mos_removal_take(removal, object->name, object->size, error);
        }
    }
    return status;
}

static mos_status take_packs(struct mos_removal *removal, const char *copy_id, const mos_object_list *list, struct mos_error *error) {
    struct mos_needed needed;
    mos_status status = mos_removal_needed(removal->place, copy_id, removal->call, &needed, error);
    if (status == MOS_OK && *needed.stranger) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "%s lies there and no copy is known that it belongs to; what it needs stays",
                          needed.stranger);
    }
    for (size_t i = 0; i < list->n_objects && status == MOS_OK; i++) {
        const mos_stored_object *object = list->objects[i];
        if (mos_removal_is_shared(object->name) && !mos_name_set_has(&needed.names, object->name)) {
            status = mos_removal_take(removal, object->name, object->size, error);
        }
    }
    mos_removal_needed_free(&needed);
    return status;
}

bool mos_removal_is_held(mos_offsite *offsite, const struct mos_copy *copy) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_backup backup;
    return mos_catalog_read_begin(offsite->options.catalog, &session, NULL) != MOS_OK ||
           (mos_catalog_get_backup(session, copy->backup_id, arena, &backup, NULL) == MOS_OK &&
            (backup.legal_hold || backup.locked_until_unix_ns > mos_offsite_trusted_now(offsite)));
}

static void settle_deletion(mos_offsite *offsite, struct mos_copy *copy, const struct mos_offsite_caller *caller, mos_status result,
                            const char *details) {
    const struct mos_offsite_end end = {.copy = copy,
                                        .job_id = "",
                                        .action = MOS_COPY_DELETE,
                                        .copy_id = copy->id,
                                        .backup_id = copy->backup_id,
                                        .caller = caller,
                                        .result = result,
                                        .details = details};
    struct mos_error error;
    if (mos_offsite_record_end(offsite, &end, &error) != MOS_OK) {
        mos_log_error("a deletion offsite could not be recorded", MOS_TEXT("copy", copy->id), MOS_TEXT("reason", error.message));
    }
}

mos_status mos_removal_copy(struct mos_offsite_place *place, struct mos_copy *copy, const struct mos_offsite_caller *caller, bool packs,
                            const struct mos_store_call *call, mos_arena *arena, int64_t *out_bytes, struct mos_error *error) {
    mos_offsite *offsite = place->offsite;
    struct mos_removal removal = {.place = place, .call = call};
    const mos_object_list *list = NULL;
    struct mos_error cause = {0};
    bool newer = false;
    mos_status status = mos_offsite_read_objects(offsite, copy->id, arena, &list, error);
    if (status == MOS_OK) {
        status = find_newer(place, copy, &newer, error);
    }
    if (status == MOS_OK && list && list->n_objects > 0 && !newer) {
        status = take_manifest(&removal, list, error);
    }
    if (status != MOS_OK) {
        if (status == MOS_FAILED_PRECONDITION || status == MOS_PERMISSION_DENIED) {
            copy->refused = true;
            copy->message = mos_arena_printf(arena, "The provider refuses to delete it: %s", error->message);
        }
        settle_deletion(offsite, copy, caller, status, error->message);
        return status;
    }
    copy->status = MOS_COPY_DELETED;
    copy->message = "";
    copy->refused = false;
    settle_deletion(offsite, copy, caller, MOS_OK, "");
    mos_offsite_resolve(offsite, MOS_ALERT_OFFSITE_FAILED, copy->id);
    mos_offsite_resolve(offsite, MOS_ALERT_RETENTION_VIOLATION, copy->id);
    mos_offsite_resolve_lock(offsite, copy->id);
    // What stays behind is what nobody needs: the next cleanup finds it.
    if (list && packs && take_packs(&removal, copy->id, list, &cause) != MOS_OK) {
        mos_log_warning("objects of a deleted copy stay for now", MOS_TEXT("copy", copy->id), MOS_TEXT("reason", cause.message));
    }
    *out_bytes = removal.bytes;
    return MOS_OK;
}

mos_status mos_offsite_delete(mos_offsite *offsite, const char *copy_id, const struct mos_offsite_caller *caller, int64_t *out_freed_bytes,
                              bool *out_pending, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_copy copy;
    mos_status status = mos_offsite_read_copy(offsite, copy_id, arena, &copy, error);
    struct mos_offsite_place *place = status == MOS_OK ? mos_offsite_place_of(offsite, copy.place) : NULL;
    if (status != MOS_OK) {
        return status;
    }
    if (copy.status == MOS_COPY_DELETED) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the copy is deleted already");
    }
    if (copy.status == MOS_COPY_UPLOADING) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the copy is being sent now; cancel its job or wait for its end");
    }
    if (!place) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the copy lies at %s, which is no location of this server now", copy.place);
    }
    if (copy.locked_until_unix_ns > mos_offsite_trusted_now(offsite)) {
        char until[MOS_TIME_TEXT_BYTES];
        mos_time_format(copy.locked_until_unix_ns, until);
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the copy is locked until %s: nobody may delete it before", until);
    }
    if (mos_removal_is_held(offsite, &copy)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup is locked or under a legal hold: nobody may delete a copy of it");
    }
    const struct mos_store_call call = {.over = mos_offsite_over, .argument = offsite};
    bool free_now = pthread_mutex_trylock(&place->work) == 0;
    // Nobody begins to send it any more; it may have been begun right before.
    status = mos_offsite_read_copy(offsite, copy_id, arena, &copy, error);
    if (status == MOS_OK && copy.status == MOS_COPY_DELETED) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "the copy is deleted already");
    } else if (status == MOS_OK && !free_now && copy.status != MOS_COPY_COMPLETED && copy.status != MOS_COPY_ARCHIVED) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "the copy may be sent any moment; try again when what moves now has ended");
    }
    if (status == MOS_OK) {
        // Whoever has taken the place over knows better what is needed there.
        status = mos_offsite_claim(place, &call, error);
        error->status = status = status == MOS_ALREADY_EXISTS ? MOS_FAILED_PRECONDITION : status;
    }
    if (status == MOS_OK) {
        status = mos_removal_copy(place, &copy, caller, free_now, &call, arena, out_freed_bytes, error);
    }
    if (free_now) {
        pthread_mutex_unlock(&place->work);
    } else {
        pthread_mutex_lock(&offsite->mutex);
        place->tidy_due = true;
        pthread_mutex_unlock(&offsite->mutex);
    }
    *out_pending = !free_now;
    mos_offsite_wake(offsite);
    return status;
}

// ---- The copies of a place ----

static bool collect(const struct mos_copy *copy, void *argument) {
    struct mos_copies *list = argument;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        struct mos_copy *copies = mos_arena_array(list->arena, struct mos_copy, list->capacity);
        if (list->count) {
            memcpy(copies, list->copies, list->count * sizeof(*copies));
        }
        list->copies = copies;
    }
    struct mos_copy *kept = &list->copies[list->count++];
    *kept = *copy;
    kept->id = mos_arena_strdup(list->arena, copy->id);
    kept->backup_id = mos_arena_strdup(list->arena, copy->backup_id);
    kept->place = list->place->url;
    kept->created_by = mos_arena_strdup(list->arena, copy->created_by);
    kept->checksum = mos_arena_strdup(list->arena, copy->checksum);
    kept->policy = mos_arena_strdup(list->arena, copy->policy);
    kept->message = mos_arena_strdup(list->arena, copy->message);
    return true;
}

mos_status mos_removal_copies(struct mos_offsite_place *place, mos_arena *arena, struct mos_copies *out, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    *out = (struct mos_copies){.place = place, .arena = arena};
    mos_status status = mos_catalog_read_begin(place->offsite->options.catalog, &session, error);
    return status == MOS_OK ? mos_catalog_each_copy(session, place->url, collect, out, error) : status;
}
