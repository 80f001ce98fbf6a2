// Taking objects away from a place, and what must be known before. Private to the copies.
#ifndef MOS_CONTROL_OFFSITE_REMOVAL_H
#define MOS_CONTROL_OFFSITE_REMOVAL_H

#include "control/offsite/name_set.h"
#include "control/offsite/offsite_internal.h"

// What the copies at a place need.
struct mos_needed {
    mos_offsite *offsite;
    const char *except;
    struct mos_name_set names;
    // Of those copies whose objects are known.
    struct mos_name_set manifests;
    // Manifests that lie at the place.
    struct mos_name_set there;
    // One of them that no copy of ours accounts for ("": none): its packs are unknown, so nothing that it may need may be taken away.
    char stranger[MOS_STORE_NAME_LIMIT + 1];
    mos_status status;
    struct mos_error error;
};
// Without the copy `except` ("": of all). The place's work must be held. To be freed, also after a failure.
mos_status mos_removal_needed(struct mos_offsite_place *place, const char *except, const struct mos_store_call *call,
                              struct mos_needed *out, struct mos_error *error);
void mos_removal_needed_free(struct mos_needed *needed);

// All names at the place, page by page, to `visit`, until it fails.
mos_status mos_removal_each_object(struct mos_offsite_place *place, const char *prefix, const struct mos_store_call *call,
                                   mos_status (*visit)(const struct mos_store_object *object, void *argument, struct mos_error *error),
                                   void *argument, struct mos_error *error);
// Packs and what leads to them, which copies have in common; and what belongs to no backup.
bool mos_removal_is_shared(const char *name);
bool mos_removal_is_repository(const char *name);

struct mos_removal {
    struct mos_offsite_place *place;
    const struct mos_store_call *call;
    int64_t bytes;
    int64_t objects;
};
// One object. The catalog forgets it first: an object that is thought to be gone is only sent again.
mos_status mos_removal_take(struct mos_removal *removal, const char *name, int64_t size_bytes, struct mos_error *error);
// Manifest and keys of a copy, and with `packs`, for which the place's work must be held, what no other copy needs. `copy` is brought up to
// date, also where the provider refuses; what is new of it lives in the arena.
mos_status mos_removal_copy(struct mos_offsite_place *place, struct mos_copy *copy, const struct mos_offsite_caller *caller, bool packs,
                            const struct mos_store_call *call, mos_arena *arena, int64_t *out_bytes, struct mos_error *error);
// Locks and holds of the backup here are honoured there.
bool mos_removal_is_held(mos_offsite *offsite, const struct mos_copy *copy);

// All copies at the place that are not deleted, oldest first, in the arena.
struct mos_copies {
    struct mos_offsite_place *place;
    mos_arena *arena;
    struct mos_copy *copies;
    size_t count;
    size_t capacity;
};
mos_status mos_removal_copies(struct mos_offsite_place *place, mos_arena *arena, struct mos_copies *out, struct mos_error *error);

// ---- stays.c ----

struct mos_copy_lot {
    // It must not go by itself, whatever its days say.
    bool stays;
    // What its row is to say of it.
    uint64_t source;
};
// One for each copy, in the arena. These stay: one without days of its own while its backup is here, for retention has decided of that; of
// each source the newest good copy at the place and the newest whose backup is verified; and all of a source up to its newest backup in
// quarantine. All stay while retention is held back, and, with *out_judged
// false, while a backup that has ended may yet go into quarantine.
mos_status mos_removal_judge(mos_offsite *offsite, const struct mos_copies *copies, mos_arena *arena, struct mos_copy_lot **out,
                             bool *out_judged, struct mos_error *error);

#endif
