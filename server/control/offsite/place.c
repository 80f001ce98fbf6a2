// A location: whose it is, and how it is.
#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/offsite/hash.h"
#include "control/offsite/offsite_internal.h"

enum { MARK_LIMIT_BYTES = 4096, SLOW_PROBE_MS = 5000, LATE_SECONDS = 3600 };

static const char mark_name[] = "writer";

struct mos_offsite_place *mos_offsite_place_of(mos_offsite *offsite, const char *url) {
    for (size_t i = 0; i < offsite->place_count; i++) {
        if (strcmp(offsite->places[i].url, url) == 0) {
            return &offsite->places[i];
        }
    }
    return NULL;
}

const char *mos_offsite_before(const struct mos_offsite_place *place) {
    return place == &place->offsite->places[0] ? "" : place->offsite->places[0].url;
}

// ---- One writer ----

static void write_mark(const mos_offsite *offsite, struct mos_buffer *out) {
    mos_buffer_printf(out, "mosaajii-writer 1\nrepository %s\nserver %s\n", offsite->repository_id, offsite->server_id);
}

static mos_status put_mark(mos_store *store, const struct mos_buffer *mark, const struct mos_store_call *call, struct mos_error *error) {
    struct mos_store_source source = {.data = mark->data, .size_bytes = (int64_t)mark->size_bytes};
    mos_store_sha256(mark->data, mark->size_bytes, source.sha256);
    return mos_store_put(store, mark_name, &source, NULL, NULL, call, error);
}

// ---- A disk that is missing ----

// A folder may be where a disk is to be mounted, and be empty while it is not: whoever takes it for a new place fills the disk below, and
// takes for lost what lies on the one that is missing. So the catalog remembers that our mark lay there.
static bool is_folder(const struct mos_offsite_place *place) {
    enum mos_store_provider provider = mos_store_provider_of(place->store);
    return provider == MOS_STORE_LOCAL_REMOTE || provider == MOS_STORE_SFTP;
}

static mos_status was_claimed(struct mos_offsite_place *place, bool *out, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *text = "";
    mos_status status =
        mos_offsite_get_fact(place->offsite, mos_arena_printf(arena, "offsite.claimed:%s", place->url), arena, &text, error);
    *out = status == MOS_OK && *text;
    return status;
}

static mos_status note_claimed(struct mos_offsite_place *place, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    bool before = false;
    mos_status status = was_claimed(place, &before, error);
    return status == MOS_OK && !before
               ? mos_offsite_put_fact(place->offsite, mos_arena_printf(arena, "offsite.claimed:%s", place->url), "yes", error)
               : status;
}

static mos_status fail_missing(const struct mos_offsite_place *place, struct mos_error *error) {
    return mos_fail(
        error, MOS_FAILED_PRECONDITION,
        "the object \"writer\" that this server put into %s is gone: the disk that belongs there is not mounted, or it is another "
        "one, which needs a prefix of its own",
        place->url);
}

mos_status mos_offsite_check_disk(struct mos_offsite_place *place, const struct mos_store_call *call, struct mos_error *error) {
    struct mos_store_object mark;
    bool before = false;
    mos_status status = is_folder(place) ? was_claimed(place, &before, error) : MOS_OK;
    if (status == MOS_OK && before) {
        status = mos_store_head(place->bare, mark_name, &mark, call, error);
        status = status == MOS_NOT_FOUND ? fail_missing(place, error) : status;
    }
    return status;
}

// ---- Claiming ----

mos_status mos_offsite_claim(struct mos_offsite_place *place, const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer ours = MOS_BUFFER_INIT(MARK_LIMIT_BYTES);
    MOS_CLEANUP_BUFFER struct mos_buffer theirs = MOS_BUFFER_INIT(MARK_LIMIT_BYTES);
    write_mark(place->offsite, &ours);
    mos_status status = mos_store_get_buffer(place->store, mark_name, 0, -1, &theirs, call, error);
    if (status == MOS_NOT_FOUND && is_folder(place)) {
        bool before = false;
        mos_status known = was_claimed(place, &before, error);
        status = known != MOS_OK ? known : before ? fail_missing(place, error) : status;
    }
    if (status == MOS_NOT_FOUND) {
        // Of two that come at the same time, both look again.
        status = put_mark(place->store, &ours, call, error);
        if (status == MOS_OK || status == MOS_ALREADY_EXISTS) {
            mos_buffer_clear(&theirs);
            status = mos_store_get_buffer(place->store, mark_name, 0, -1, &theirs, call, error);
        }
    }
    if (status != MOS_OK) {
        return status;
    }
    if (theirs.size_bytes == ours.size_bytes && memcmp(theirs.data, ours.data, ours.size_bytes) == 0) {
        return note_claimed(place, error);
    }
    return mos_fail(
        error, MOS_ALREADY_EXISTS,
        "another server writes to %s already (its object \"writer\" names it): give each server a prefix of its own, or bring this "
        "one back from there with --rebuild-catalog --from",
        place->url);
}

mos_status mos_offsite_take_over(mos_offsite *offsite, mos_store *store, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer ours = MOS_BUFFER_INIT(MARK_LIMIT_BYTES);
    write_mark(offsite, &ours);
    mos_status status = mos_store_delete(store, mark_name, NULL, error);
    return status == MOS_OK ? put_mark(store, &ours, NULL, error) : status;
}

// ---- Health ----

void mos_offsite_note_health(struct mos_offsite_place *place, mos_status status, const char *message) {
    mos_offsite *offsite = place->offsite;
    if (status == MOS_CANCELLED) {
        return;
    }
    pthread_mutex_lock(&offsite->mutex);
    // What the server before this one told of it may be put right meanwhile, as wrong settings are.
    bool first = place->checked_at_ns == 0;
    place->checked_at_ns = mos_now_unix_ns();
    bool failed = place->failing_since_ns != 0;
    if (status == MOS_OK) {
        place->failing_since_ns = 0;
        place->message[0] = 0;
    } else {
        place->failing_since_ns = failed ? place->failing_since_ns : place->checked_at_ns;
        snprintf(place->message, sizeof(place->message), "%s", message);
    }
    pthread_mutex_unlock(&offsite->mutex);
    if (status != MOS_OK) {
        mos_log_warning("an offsite location does not answer as it should", MOS_TEXT("location", place->name),
                        MOS_TEXT("status", mos_status_name(status)), MOS_TEXT("reason", message));
        mos_offsite_raise(offsite, MOS_ALERT_OFFSITE_FAILED, place->url, "", message, NULL, 0);
    } else if (failed || first) {
        mos_offsite_resolve(offsite, MOS_ALERT_OFFSITE_FAILED, place->url);
    }
}

void mos_offsite_probe(struct mos_offsite_place *place) {
    struct mos_error error = {0};
    int64_t began_ns = mos_now_monotonic_ns();
    const struct mos_store_call call = {.over = mos_offsite_over, .argument = place->offsite};
    mos_status status = mos_store_probe(place->bare, &call, &error);
    status = status == MOS_OK ? mos_offsite_check_disk(place, &call, &error) : status;
    pthread_mutex_lock(&place->offsite->mutex);
    place->probe_ns = mos_now_monotonic_ns() - began_ns;
    pthread_mutex_unlock(&place->offsite->mutex);
    mos_offsite_note_health(place, status, error.message);
}

static mos_status describe(struct mos_offsite_place *place, mos_catalog_session *session, mos_arena *arena,
                           struct mos_offsite_location *out, struct mos_error *error) {
    int64_t oldest_ns = 0;
    *out = (struct mos_offsite_location){.name = place->name, .provider = place->provider, .url = place->url, .message = ""};
    mos_status status = mos_catalog_count_place_objects(session, place->url, &out->objects, &out->bytes, error);
    if (status == MOS_OK) {
        status = mos_catalog_oldest_missing(session, place->url, mos_offsite_before(place), &oldest_ns, error);
    }
    int64_t lag_ns = oldest_ns ? mos_now_unix_ns() - oldest_ns : 0;
    out->lag_seconds = lag_ns > 0 ? lag_ns / MOS_NS_PER_SECOND : 0;
    pthread_mutex_lock(&place->offsite->mutex);
    bool failing = place->failing_since_ns != 0;
    bool slow = place->probe_ns > SLOW_PROBE_MS * MOS_NS_PER_MS;
    out->checked_at_unix_ns = place->checked_at_ns;
    out->message = mos_arena_strdup(arena, place->message);
    pthread_mutex_unlock(&place->offsite->mutex);
    bool late = out->lag_seconds > LATE_SECONDS;
    out->health = failing ? MOS_OFFSITE_UNHEALTHY : slow || late ? MOS_OFFSITE_DEGRADED : MOS_OFFSITE_HEALTHY;
    if (!failing && slow) {
        out->message = "It answers slowly";
    } else if (!failing && late) {
        out->message = "Backups wait for their copies";
    }
    return out->message ? status : mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the answer takes too much memory");
}

mos_status mos_offsite_locations(mos_offsite *offsite, mos_arena *arena, struct mos_offsite_location **out, size_t *out_count,
                                 struct mos_error *error) {
    *out = mos_arena_array(arena, struct mos_offsite_location, MOS_OFFSITE_PLACES);
    *out_count = 0;
    for (size_t i = 0; i < offsite->place_count; i++) {
        mos_offsite_probe(&offsite->places[i]);
    }
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
    for (size_t i = 0; i < offsite->place_count && status == MOS_OK; i++) {
        status = describe(&offsite->places[i], session, arena, &(*out)[(*out_count)++], error);
    }
    return status;
}
