// Whether a copy is what it should be: by what the provider tells, and by reading a share of it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/offsite/hash.h"
#include "control/offsite/offsite_internal.h"

enum { TOLD_MOST = 1000 };

struct check {
    struct mos_offsite_place *place;
    const struct mos_store_call *call;
    mos_arena *arena;
    struct mos_offsite_verification *out;
    char **damaged;
    size_t damaged_count;
};

static void tell(struct check *check, const mos_stored_object *object, const char *what) {
    struct mos_offsite_verification *out = check->out;
    out->faults++;
    if (out->error_count < TOLD_MOST) {
        out->errors[out->error_count++] = mos_arena_printf(check->arena, "%s %s", object->name, what);
    }
    check->damaged[check->damaged_count++] = object->name;
}

static mos_status add_bytes(void *hash, const void *data, size_t size_bytes, struct mos_error *error) {
    (void)error;
    mos_store_hash_update(hash, data, size_bytes);
    return MOS_OK;
}

static mos_status read_object(struct check *check, const mos_stored_object *object, struct mos_error *error) {
    uint8_t digest[MOS_STORE_HASH_BYTES];
    MOS_CLEANUP_HASH mos_store_hash *hash = mos_store_hash_new(MOS_STORE_SHA256);
    mos_status status = mos_store_get(check->place->store, object->name, 0, -1, add_bytes, hash, check->call, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_store_hash_take(hash, digest);
    check->out->bytes_checked += object->size;
    if (memcmp(digest, object->sha256.data, sizeof(digest)) != 0) {
        check->out->checksum_valid = false;
        tell(check, object, "holds other bytes than were sent");
    }
    return MOS_OK;
}

// *out_vouched: the provider itself says that all is well.
static mos_status look_at(struct check *check, const mos_stored_object *object, bool *out_there, bool *out_vouched, bool *out_readable,
                          struct mos_error *error) {
    struct mos_store_object found;
    mos_status status = mos_store_head(check->place->store, object->name, &found, check->call, error);
    *out_there = *out_vouched = *out_readable = false;
    check->out->objects_checked += status == MOS_OK || status == MOS_NOT_FOUND;
    if (status == MOS_NOT_FOUND) {
        check->out->size_valid = false;
        tell(check, object, "is not there any more");
        return MOS_OK;
    }
    if (status != MOS_OK) {
        return status;
    }
    *out_readable = found.state == MOS_STORE_READY;
    if (found.size_bytes != object->size) {
        check->out->size_valid = false;
        tell(check, object,
             mos_arena_printf(check->arena, "has %lld bytes in place of %lld", (long long)found.size_bytes, (long long)object->size));
        return MOS_OK;
    }
    if (found.checksum != MOS_STORE_CHECKSUM_NONE && memcmp(found.sha256, object->sha256.data, sizeof(found.sha256)) != 0) {
        check->out->checksum_valid = false;
        tell(check, object, "has another checksum than what was sent");
        return MOS_OK;
    }
    *out_there = true;
    *out_vouched = found.checksum == MOS_STORE_CHECKSUM_SERVER;
    return MOS_OK;
}

// Each object by chance; of those for which nobody vouches at least one, so that a copy that cannot be read does not pass.
static bool is_chosen(int32_t percent, bool vouched, size_t *read_so_far) {
    uint32_t dice;
    mos_random(&dice, sizeof(dice));
    bool chosen = (int32_t)(dice % 100) < percent || (!vouched && *read_so_far == 0);
    *read_so_far += chosen;
    return chosen;
}

static mos_status check_all(struct check *check, const mos_object_list *list, int32_t percent, struct mos_error *error) {
    size_t read_so_far = 0;
    mos_status status = MOS_OK;
    for (size_t i = 0; i < list->n_objects && status == MOS_OK; i++) {
        bool there = false, vouched = false, readable = false;
        status = look_at(check, list->objects[i], &there, &vouched, &readable, error);
        if (status == MOS_OK && there && readable && is_chosen(percent, vouched, &read_so_far)) {
            status = read_object(check, list->objects[i], error);
        }
    }
    return status;
}

// What is damaged or gone is sent again: the catalog forgets that it is there.
static mos_status send_again(struct check *check, struct mos_copy *copy, struct mos_error *error) {
    mos_offsite *offsite = check->place->offsite;
    mos_status status = mos_offsite_forget_objects(offsite, check->place->url, check->damaged, check->damaged_count, error);
    if (status == MOS_OK && copy->status == MOS_COPY_COMPLETED) {
        copy->status = MOS_COPY_RETRYING;
        copy->next_attempt_unix_ns = 0;
        copy->message = mos_arena_printf(check->arena, "%zu of its objects are damaged or gone; they are sent again", check->damaged_count);
        status = mos_offsite_record_change(offsite, copy, MOS_COPY_COMPLETED, error);
        // Deleted while it was read, or being sent again already.
        status = status == MOS_FAILED_PRECONDITION ? MOS_OK : status;
    }
    mos_offsite_wake(offsite);
    return status;
}

static void tell_damage(struct check *check, const struct mos_copy *copy) {
    mos_offsite *offsite = check->place->offsite;
    struct mos_error error;
    if (mos_offsite_blast(offsite, check->damaged, check->damaged_count, check->arena, &check->out->hurt_backups, &check->out->hurt_count,
                          &error) != MOS_OK) {
        mos_log_warning("which backups damage has hurt cannot be told", MOS_TEXT("reason", error.message));
    }
    mos_offsite_raise(offsite, MOS_ALERT_OFFSITE_FAILED, copy->id, copy->backup_id,
                      mos_arena_printf(check->arena, "A copy offsite is damaged: %s", check->out->errors[0]), check->out->hurt_backups,
                      check->out->hurt_count);
}

static bool is_deleted(mos_offsite *offsite, const char *copy_id) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_copy now;
    return mos_offsite_read_copy(offsite, copy_id, arena, &now, NULL) == MOS_OK && now.status == MOS_COPY_DELETED;
}

mos_status mos_offsite_verify(mos_offsite *offsite, const char *copy_id, int32_t percent, const struct mos_offsite_caller *caller,
                              bool (*over)(void *argument), void *argument, mos_arena *arena, struct mos_offsite_verification *out,
                              struct mos_error *error) {
    struct mos_copy copy;
    const mos_object_list *list = NULL;
    *out = (struct mos_offsite_verification){.size_valid = true, .checksum_valid = true};
    mos_status status = mos_offsite_read_copy(offsite, copy_id, arena, &copy, error);
    struct mos_offsite_place *place = status == MOS_OK ? mos_offsite_place_of(offsite, copy.place) : NULL;
    if (status != MOS_OK) {
        return status;
    }
    if (copy.status != MOS_COPY_COMPLETED && copy.status != MOS_COPY_ARCHIVED) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the copy is not complete: its status is %s", mos_copy_status_word(copy.status));
    }
    if (!place) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the copy lies at %s, which is no location of this server now", copy.place);
    }
    status = mos_offsite_read_objects(offsite, copy.id, arena, &list, error);
    if (status == MOS_OK && (!list || list->n_objects == 0)) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "the objects of the copy are not known");
    }
    if (status != MOS_OK) {
        return status;
    }
    const struct mos_store_call call = {.over = over, .argument = argument};
    struct check check = {.place = place, .call = &call, .arena = arena, .out = out};
    out->errors = mos_arena_array(arena, char *, TOLD_MOST);
    check.damaged = mos_calloc(list->n_objects, sizeof(char *));
    status = mos_offsite_check_disk(place, &call, error);
    status = status == MOS_OK ? check_all(&check, list, percent, error) : status;
    out->verified_at_unix_ns = mos_now_unix_ns();
    if (status == MOS_OK && out->faults > 0 && is_deleted(offsite, copy_id)) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "the copy was deleted while it was verified");
    }
    if (status == MOS_OK && out->faults > 0) {
        tell_damage(&check, &copy);
        status = send_again(&check, &copy, error);
    }
    free(check.damaged);
    mos_status result = status != MOS_OK ? status : out->faults > 0 ? MOS_DATA_LOSS : MOS_OK;
    const struct mos_offsite_end end = {.job_id = "",
                                        .action = MOS_COPY_VERIFY,
                                        .copy_id = copy.id,
                                        .backup_id = copy.backup_id,
                                        .caller = caller,
                                        .result = result,
                                        .details = status != MOS_OK ? error->message
                                                   : out->faults > 0
                                                       ? out->errors[0]
                                                       : mos_arena_printf(arena, "%lld objects are there, %lld bytes were read",
                                                                          (long long)out->objects_checked, (long long)out->bytes_checked)};
    struct mos_error cause = {0};
    mos_status recorded = mos_offsite_record_end(offsite, &end, &cause);
    if (status == MOS_OK && recorded != MOS_OK) {
        return mos_fail(error, recorded, "%s", cause.message);
    }
    // A copy that is gone is no fault of the place.
    mos_offsite_note_health(place, status == MOS_FAILED_PRECONDITION && out->faults > 0 ? MOS_OK : status,
                            status == MOS_OK ? "" : error->message);
    return status;
}
