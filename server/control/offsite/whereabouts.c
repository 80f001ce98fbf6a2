// Where the data of a backup lies, and which locations answer: for those who are about to need it.
#include <string.h>

#include "common/clock.h"
#include "control/offsite/offsite_internal.h"

static mos_status find_copies(mos_offsite *offsite, const char *backup_id, mos_arena *arena, struct mos_offsite_whereabouts *out,
                              struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
    out->copies = mos_arena_array(arena, struct mos_offsite_source_of, MOS_OFFSITE_PLACES);
    for (size_t i = 0; i < offsite->place_count && status == MOS_OK; i++) {
        const struct mos_offsite_place *place = &offsite->places[i];
        struct mos_copy copy;
        bool found = false;
        status = mos_catalog_find_copy(session, backup_id, place->url, arena, &copy, &found, error);
        if (status == MOS_OK && found && (copy.status == MOS_COPY_COMPLETED || copy.status == MOS_COPY_ARCHIVED)) {
            out->copies[out->copy_count++] = (struct mos_offsite_source_of){copy.id, place->name, place->url};
        }
    }
    return status;
}

static void count_missing(mos_offsite *offsite, const mos_object_list *list, struct mos_offsite_whereabouts *out) {
    for (size_t i = 0; i < list->n_objects; i++) {
        if (!mos_offsite_has_local(offsite, list->objects[i])) {
            out->missing_objects++;
            out->missing_bytes += list->objects[i]->size;
        }
    }
}

mos_status mos_offsite_find_backup(mos_offsite *offsite, const char *backup_id, mos_arena *arena, struct mos_offsite_whereabouts *out,
                                   struct mos_error *error) {
    mos_object_list *needed = NULL;
    const mos_object_list *known = NULL;
    *out = (struct mos_offsite_whereabouts){0};
    mos_status status = find_copies(offsite, backup_id, arena, out, error);
    if (status != MOS_OK) {
        return status;
    }
    // What a copy was sent with says less: a prune may have rewritten it here since.
    status = mos_offsite_ask_objects(offsite, backup_id, arena, &needed, error);
    if (status == MOS_OK) {
        count_missing(offsite, needed, out);
        out->here = out->missing_objects == 0;
        return MOS_OK;
    }
    if (status != MOS_NOT_FOUND) {
        return status;
    }
    status = out->copy_count > 0 ? mos_offsite_read_objects(offsite, out->copies[0].copy_id, arena, &known, error) : MOS_OK;
    if (status == MOS_OK && known && known->n_objects > 0) {
        count_missing(offsite, known, out);
        out->unreadable = mos_offsite_has_local(offsite, known->objects[known->n_objects - 1]);
    } else {
        out->missing_objects = 1;
    }
    return status;
}

void mos_offsite_ask(mos_offsite *offsite, bool (*over)(void *argument), void *argument, mos_arena *arena, struct mos_offsite_answer **out,
                     size_t *out_count) {
    const struct mos_store_call call = {.over = over, .argument = argument};
    *out = mos_arena_array(arena, struct mos_offsite_answer, MOS_OFFSITE_PLACES);
    *out_count = offsite->place_count;
    for (size_t i = 0; i < offsite->place_count; i++) {
        struct mos_offsite_place *place = &offsite->places[i];
        struct mos_error error = {0};
        int64_t began_ns = mos_now_monotonic_ns();
        mos_status status = mos_store_probe(place->bare, &call, &error);
        mos_offsite_note_health(place, status, error.message);
        (*out)[i] = (struct mos_offsite_answer){.name = place->name,
                                                .url = place->url,
                                                .failure = status == MOS_OK ? NULL : mos_arena_strdup(arena, error.message),
                                                .latency_ms = (mos_now_monotonic_ns() - began_ns) / MOS_NS_PER_MS};
    }
}
