// The threads: one a place, which sends and tidies; one that follows what happens to backups; and some that bring backups back.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/offsite/offsite_internal.h"

// Of the catalog's changes: no more than one part in so many of the time goes into sealing them.
enum { SEAL_SHARE = 10, SEAL_SECONDS = 1, SEAL_AGAIN_SECONDS = 60 };
enum { TIDY_SECONDS = 6 * 3600, PROBE_SECONDS = 300, AT_ONCE = 100, EVENTS_AT_ONCE = 256, LAG_ALERT_SECONDS = 4 * 3600 };

// ---- A place ----

// Backups that should be there and of which nobody has said so yet: this server was off, or the location is new.
static mos_status want_missing(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct mos_offsite_place *place = argument;
    mos_offsite *offsite = place->offsite;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup *backups;
    size_t count = 0;
    bool primary = place == &offsite->places[0];
    const struct mos_offsite_order order = {.replicate = primary && offsite->place_count > 1};
    mos_status status =
        mos_catalog_backups_without_copy(session, place->url, mos_offsite_before(place), AT_ONCE, arena, &backups, &count, error);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        char id[MOS_ID_TEXT_BYTES];
        status = mos_offsite_want(session, place, &backups[i], &order, "", id, error);
    }
    return status;
}

static bool any_missing(struct mos_offsite_place *place) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_backup *backups;
    size_t count = 0;
    mos_offsite *offsite = place->offsite;
    return mos_catalog_read_begin(offsite->options.catalog, &session, NULL) == MOS_OK &&
           mos_catalog_backups_without_copy(session, place->url, mos_offsite_before(place), 1, arena, &backups, &count, NULL) == MOS_OK &&
           count > 0;
}

// *out_next_ns: when there will be something; 0: not known.
static bool take_due(struct mos_offsite_place *place, mos_arena *arena, struct mos_copy *out, int64_t *out_next_ns) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    bool found = false;
    *out_next_ns = 0;
    return mos_catalog_read_begin(place->offsite->options.catalog, &session, NULL) == MOS_OK &&
           mos_catalog_due_copy(session, place->url, mos_now_unix_ns(), arena, out, &found, out_next_ns, NULL) == MOS_OK && found;
}

static bool take_flag(struct mos_offsite_place *place, bool *flag) {
    pthread_mutex_lock(&place->offsite->mutex);
    bool set = *flag;
    *flag = false;
    pthread_mutex_unlock(&place->offsite->mutex);
    return set;
}

static void tell_lag(struct mos_offsite_place *place) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    int64_t oldest_ns = 0;
    char message[256];
    if (mos_catalog_read_begin(place->offsite->options.catalog, &session, NULL) != MOS_OK ||
        mos_catalog_oldest_missing(session, place->url, mos_offsite_before(place), &oldest_ns, NULL) != MOS_OK) {
        return;
    }
    mos_catalog_read_end(session);
    session = NULL;
    int64_t lag_seconds = oldest_ns ? (mos_now_unix_ns() - oldest_ns) / MOS_NS_PER_SECOND : 0;
    if (lag_seconds > LAG_ALERT_SECONDS) {
        snprintf(message, sizeof(message), "The oldest backup that is not at the %s location yet is %lld hours old", place->name,
                 (long long)(lag_seconds / 3600));
        mos_offsite_raise(place->offsite, MOS_ALERT_REPLICATION_LAG, place->url, "", message, NULL, 0);
    } else {
        mos_offsite_resolve(place->offsite, MOS_ALERT_REPLICATION_LAG, place->url);
    }
}

// What is to be done beside copies.
static void look_after(struct mos_offsite_place *place) {
    int64_t now_ns = mos_now_unix_ns(), monotonic_ns = mos_now_monotonic_ns();
    if (take_flag(place, &place->keys_due)) {
        mos_offsite_sync_keys(place);
    }
    if (take_flag(place, &place->catalog_due)) {
        mos_offsite_send_catalog(place);
    }
    bool asked = take_flag(place, &place->tidy_due);
    if (asked || place->next_tidy_ns <= monotonic_ns) {
        place->next_tidy_ns = monotonic_ns + TIDY_SECONDS * MOS_NS_PER_SECOND;
        mos_offsite_tidy(place);
    }
    pthread_mutex_lock(&place->offsite->mutex);
    bool stale = place->checked_at_ns > now_ns || place->checked_at_ns + PROBE_SECONDS * MOS_NS_PER_SECOND <= now_ns;
    pthread_mutex_unlock(&place->offsite->mutex);
    if (stale) {
        mos_offsite_probe(place);
        tell_lag(place);
    }
}

void *mos_offsite_place_main(void *argument) {
    struct mos_offsite_place *place = argument;
    mos_offsite *offsite = place->offsite;
    while (!atomic_load(&offsite->stopping)) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        uint64_t generation = mos_offsite_generation(offsite);
        struct mos_error error = {0};
        struct mos_copy copy;
        int64_t next_ns = 0;
        if (any_missing(place) && mos_catalog_write(offsite->options.catalog, want_missing, place, &error) != MOS_OK) {
            mos_log_warning("backups could not be noted for copying", MOS_TEXT("location", place->name), MOS_TEXT("reason", error.message));
        }
        pthread_mutex_lock(&place->work);
        bool any = take_due(place, arena, &copy, &next_ns);
        if (any) {
            any = mos_offsite_attempt(place, &copy);
            next_ns = 0;
        } else {
            look_after(place);
        }
        pthread_mutex_unlock(&place->work);
        if (!any) {
            int64_t tidy_ns = place->next_tidy_ns - mos_now_monotonic_ns(), pause_ns = PROBE_SECONDS * MOS_NS_PER_SECOND;
            int64_t latest_ns = mos_now_unix_ns() + (tidy_ns < pause_ns ? tidy_ns : pause_ns);
            mos_offsite_sleep(offsite, generation, next_ns && next_ns < latest_ns ? next_ns : latest_ns);
        }
    }
    return NULL;
}

// ---- What happens to backups ----

static bool over(const void *offsite) {
    return atomic_load(&((mos_offsite *)offsite)->stopping);
}

// Of a job that was not a part of a healing itself.
static const Mosaajii__Engine__V1__Result *result_of(mos_offsite *offsite, const char *job_id, mos_arena *arena) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_job job;
    if (mos_catalog_read_begin(offsite->options.catalog, &session, NULL) != MOS_OK ||
        mos_catalog_get_job(session, job_id, arena, &job, NULL) != MOS_OK || job.result.size_bytes == 0 ||
        strcmp(job.created_by, MOS_OFFSITE_ACTOR) == 0) {
        return NULL;
    }
    return mosaajii__engine__v1__result__unpack(mos_arena_allocator(arena), job.result.size_bytes, job.result.data);
}

static void heal(mos_offsite *offsite, const char *backup_id) {
    static const struct mos_offsite_caller nobody = {"", ""};
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_error error;
    if (mos_offsite_add_errand(offsite, backup_id, "", &nobody, true, job_id, &error) != MOS_OK) {
        mos_log_warning("a damaged backup cannot be healed", MOS_TEXT("backup", backup_id), MOS_TEXT("reason", error.message));
    }
}

static void heal_damage(mos_offsite *offsite, const struct mos_event *event) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__Result *result = result_of(offsite, event->job_id, arena);
    if (!result || offsite->place_count == 0) {
        return;
    }
    if (result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_VERIFICATION && result->verification->error_count > 0) {
        heal(offsite, event->backup_id);
    } else if (result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_CHECK) {
        for (size_t i = 0; i < result->check->n_damaged_backups; i++) {
            heal(offsite, result->check->damaged_backups[i]);
        }
    }
}

static void set_due(mos_offsite *offsite, bool keys, bool catalog) {
    pthread_mutex_lock(&offsite->mutex);
    for (size_t i = 0; i < offsite->place_count; i++) {
        offsite->places[i].keys_due = offsite->places[i].keys_due || keys;
        offsite->places[i].catalog_due = offsite->places[i].catalog_due || catalog;
    }
    pthread_mutex_unlock(&offsite->mutex);
}

// true: the catalog says something new that is worth keeping.
static bool take_event(mos_offsite *offsite, const struct mos_event *event) {
    bool done = event->job_status == MOS_JOB_SUCCEEDED || event->job_status == MOS_JOB_SUCCEEDED_WITH_WARNINGS;
    if (event->kind != MOS_EVENT_FINISHED) {
        return false;
    }
    if (event->job_kind == MOS_JOB_KEY_REWRAP) {
        set_due(offsite, true, false);
        return done;
    }
    if (event->job_status == MOS_JOB_FAILED && (event->job_kind == MOS_JOB_VERIFY || event->job_kind == MOS_JOB_CHECK)) {
        heal_damage(offsite, event);
    }
    return done && (event->job_kind == MOS_JOB_BACKUP || event->job_kind == MOS_JOB_OFFSITE_UPLOAD || event->job_kind == MOS_JOB_DELETE);
}

static mos_status take_events(mos_offsite *offsite, int64_t *cursor, bool *out_keep, struct mos_error *error) {
    char text[32];
    for (;;) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        mos_catalog_session *session = NULL;
        struct mos_event *events;
        size_t count = 0;
        mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
        if (status == MOS_OK) {
            status = mos_catalog_list_events(session, NULL, NULL, *cursor, EVENTS_AT_ONCE, arena, &events, &count, error);
        }
        mos_catalog_read_end(session);
        if (status != MOS_OK || count == 0) {
            return status;
        }
        bool news = false;
        for (size_t i = 0; i < count; i++) {
            *out_keep = take_event(offsite, &events[i]) || *out_keep;
            news = news || events[i].kind == MOS_EVENT_FINISHED;
        }
        *cursor = events[count - 1].sequence;
        if (news) {
            snprintf(text, sizeof(text), "%lld", (long long)*cursor);
            status = mos_offsite_put_fact(offsite, "offsite.cursor", text, error);
            mos_offsite_wake(offsite);
        }
        if (status != MOS_OK) {
            return status;
        }
    }
}

// What was changed by people stands nowhere else, and is sealed soon: at once, but for changes that follow one another.
struct sealing {
    // Changes that the newest sealed copy has.
    int64_t sealed;
    int64_t not_before_ns;
};

static void seal(mos_offsite *offsite, struct sealing *sealing, int64_t changes) {
    char text[32];
    struct mos_error error = {0};
    int64_t began_ns = mos_now_monotonic_ns();
    mos_status status = mos_offsite_keep_catalog(offsite, &error);
    int64_t ended_ns = mos_now_monotonic_ns();
    if (status == MOS_OK) {
        sealing->not_before_ns = ended_ns + (ended_ns - began_ns) * SEAL_SHARE + SEAL_SECONDS * MOS_NS_PER_SECOND;
        sealing->sealed = changes;
        set_due(offsite, false, true);
        snprintf(text, sizeof(text), "%lld", (long long)changes);
        status = mos_offsite_put_fact(offsite, "offsite.sealed", text, &error);
        mos_offsite_wake(offsite);
    } else {
        sealing->not_before_ns = ended_ns + SEAL_AGAIN_SECONDS * MOS_NS_PER_SECOND;
    }
    if (status != MOS_OK && !atomic_load(&offsite->stopping)) {
        mos_log_warning("the catalog could not be sealed beside the data", MOS_TEXT("reason", error.message));
    }
}

static int64_t read_number(mos_offsite *offsite, const char *name, int64_t otherwise) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *text = "";
    return mos_offsite_get_fact(offsite, name, arena, &text, NULL) == MOS_OK && *text ? strtoll(text, NULL, 10) : otherwise;
}

void *mos_offsite_follower_main(void *argument) {
    mos_offsite *offsite = argument;
    mos_catalog *catalog = offsite->options.catalog;
    int64_t cursor = read_number(offsite, "offsite.cursor", mos_catalog_last_event(catalog));
    struct sealing sealing = {.sealed = read_number(offsite, "offsite.sealed", 0)};
    while (!atomic_load(&offsite->stopping)) {
        int64_t seen = mos_catalog_last_event(catalog);
        bool keep = false;
        struct mos_error error = {0};
        if (take_events(offsite, &cursor, &keep, &error) != MOS_OK) {
            mos_log_warning("what happens to backups cannot be followed", MOS_TEXT("reason", error.message));
        }
        int64_t changes = mos_offsite_ask_catalog(offsite, mos_catalog_count_changes),
                wait_ns = sealing.not_before_ns - mos_now_monotonic_ns();
        if (keep || (changes > sealing.sealed && wait_ns <= 0)) {
            seal(offsite, &sealing, changes);
        }
        wait_ns = sealing.not_before_ns - mos_now_monotonic_ns();
        if (changes > sealing.sealed) {
            mos_catalog_wait_events_for(catalog, seen, wait_ns > 0 ? wait_ns : 1, over, offsite);
        } else {
            mos_catalog_wait_events(catalog, seen, over, offsite);
        }
    }
    return NULL;
}

// ---- Errands ----

static struct mos_offsite_errand *take_errand(mos_offsite *offsite) {
    pthread_mutex_lock(&offsite->mutex);
    while (!offsite->errands && !atomic_load(&offsite->stopping)) {
        pthread_cond_wait(&offsite->news, &offsite->mutex);
    }
    struct mos_offsite_errand *errand = atomic_load(&offsite->stopping) ? NULL : offsite->errands;
    if (errand) {
        offsite->errands = errand->next;
    }
    pthread_mutex_unlock(&offsite->mutex);
    return errand;
}

void *mos_offsite_fetcher_main(void *argument) {
    mos_offsite *offsite = argument;
    struct mos_offsite_errand *errand;
    while ((errand = take_errand(offsite))) {
        mos_offsite_run_errand(offsite, errand);
        free(errand);
    }
    return NULL;
}

mos_status mos_offsite_add_errand(mos_offsite *offsite, const char *backup_id, const char *copy_id, const struct mos_offsite_caller *caller,
                                  bool heals, char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    mos_id_new(out_job_id);
    mos_status status = mos_offsite_record_job(offsite, MOS_JOB_OFFSITE_FETCH, MOS_JOB_PENDING, out_job_id, backup_id, caller->name, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_offsite_errand *errand = mos_calloc(1, sizeof(*errand));
    snprintf(errand->job_id, sizeof(errand->job_id), "%s", out_job_id);
    snprintf(errand->backup_id, sizeof(errand->backup_id), "%s", backup_id);
    snprintf(errand->copy_id, sizeof(errand->copy_id), "%s", copy_id);
    snprintf(errand->actor, sizeof(errand->actor), "%s", caller->name);
    snprintf(errand->address, sizeof(errand->address), "%s", caller->address);
    errand->heal = heals;
    pthread_mutex_lock(&offsite->mutex);
    struct mos_offsite_errand **end = &offsite->errands;
    while (*end) {
        end = &(*end)->next;
    }
    *end = errand;
    offsite->generation++;
    pthread_cond_broadcast(&offsite->news);
    pthread_mutex_unlock(&offsite->mutex);
    return MOS_OK;
}
