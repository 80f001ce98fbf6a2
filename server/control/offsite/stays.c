// Which copies stay whatever their days say: what retention promises of backups here holds at a place too.
#include <string.h>

#include "control/alert/monitor.h"
#include "control/catalog/retention.h"
#include "control/job/facts.h"
#include "control/offsite/removal.h"

struct source {
    uint64_t key;
    // Of its copies at the place: by the times of their backups; index + 1.
    size_t newest_good, newest_verified;
    int64_t good_at_ns, verified_at_ns;
    // Of its backups here.
    int64_t quarantined_at_ns;
};

// There are few: each is another set of sources by another type of backup.
struct sources {
    mos_arena *arena;
    struct source *sources;
    size_t count, capacity;
};

static struct source *find(struct sources *all, uint64_t key) {
    for (size_t i = 0; i < all->count; i++) {
        if (all->sources[i].key == key) {
            return &all->sources[i];
        }
    }
    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? 2 * all->capacity : 16;
        struct source *grown = mos_arena_array(all->arena, struct source, capacity);
        if (all->count > 0) {
            memcpy(grown, all->sources, all->count * sizeof(*grown));
        }
        all->sources = grown;
        all->capacity = capacity;
    }
    all->sources[all->count] = (struct source){.key = key};
    return &all->sources[all->count++];
}

static mos_status note_quarantine(const struct mos_retained *backup, void *argument, struct mos_error *error) {
    struct mos_backup_facts facts;
    (void)error;
    if (backup->quarantined && mos_backup_facts_of(backup->type, &backup->facts, &facts)) {
        struct source *source = find(argument, facts.source);
        source->quarantined_at_ns =
            backup->created_at_unix_ns > source->quarantined_at_ns ? backup->created_at_unix_ns : source->quarantined_at_ns;
    }
    return MOS_OK;
}

// A copy, with what its backup says where that is here.
struct seen {
    uint64_t source;
    int64_t taken_at_ns;
    bool here, good, verified, quarantined, own_days;
};

static struct seen look_at(mos_catalog_session *session, const struct mos_copy *copy) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup;
    struct mos_backup_facts facts;
    bool complete = copy->status == MOS_COPY_COMPLETED || copy->status == MOS_COPY_ARCHIVED;
    struct seen seen = {.source = copy->source,
                        .taken_at_ns = copy->uploaded_at_unix_ns,
                        .good = complete,
                        .own_days = mos_offsite_own_days(session, copy) != 0};
    if (mos_catalog_get_backup(session, copy->backup_id, arena, &backup, NULL) == MOS_OK) {
        bool known = mos_backup_facts_of(backup.type, &backup.facts, &facts);
        seen.here = true;
        seen.source = known ? facts.source : seen.source;
        seen.taken_at_ns = backup.created_at_unix_ns;
        seen.good = complete && known && !backup.damaged;
        seen.verified = seen.good && backup.verified_at_unix_ns != 0;
        seen.quarantined = backup.quarantined;
    }
    return seen;
}

static void note_copy(struct sources *sources, const struct seen *seen, size_t index) {
    struct source *source = seen->source && seen->good && !seen->quarantined ? find(sources, seen->source) : NULL;
    if (source && (!source->newest_good || seen->taken_at_ns >= source->good_at_ns)) {
        source->newest_good = index + 1;
        source->good_at_ns = seen->taken_at_ns;
    }
    if (source && seen->verified && (!source->newest_verified || seen->taken_at_ns >= source->verified_at_ns)) {
        source->newest_verified = index + 1;
        source->verified_at_ns = seen->taken_at_ns;
    }
}

static bool stays(struct sources *sources, const struct seen *seen, size_t index) {
    if (seen->quarantined || (seen->here && !seen->own_days)) {
        return true;
    }
    const struct source *source = seen->source ? find(sources, seen->source) : NULL;
    return source && (source->newest_good == index + 1 || source->newest_verified == index + 1 ||
                      (source->quarantined_at_ns && seen->taken_at_ns <= source->quarantined_at_ns));
}

mos_status mos_removal_judge(mos_offsite *offsite, const struct mos_copies *copies, mos_arena *arena, struct mos_copy_lot **out,
                             bool *out_judged, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct sources sources = {.arena = arena};
    const char *held = "";
    *out_judged = false;
    mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_monitor_has_judged_all(session, out_judged, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_get_retention_hold(session, arena, &held, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_visit_retained(session, note_quarantine, &sources, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    struct seen *seen = mos_arena_array(arena, struct seen, copies->count);
    *out = mos_arena_array(arena, struct mos_copy_lot, copies->count);
    for (size_t i = 0; i < copies->count; i++) {
        seen[i] = look_at(session, &copies->copies[i]);
        note_copy(&sources, &seen[i], i);
    }
    for (size_t i = 0; i < copies->count; i++) {
        (*out)[i] = (struct mos_copy_lot){.stays = *held || !*out_judged || stays(&sources, &seen[i], i), .source = seen[i].source};
    }
    return MOS_OK;
}
