#include "control/offsite/offsite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/catalog/retention.h"
#include "control/offsite/offsite_internal.h"

// ---- Making and taking apart ----

// A place that asks for patience, or is cut off for a moment.
static void tell_retry(void *argument, int failed_tries, int pause_ms, const struct mos_error *why) {
    const struct mos_offsite_place *place = argument;
    mos_log_info("an offsite location is tried again", MOS_TEXT("location", place->name), MOS_NUMBER("tries", failed_tries),
                 MOS_NUMBER("pause_ms", pause_ms), MOS_TEXT("reason", why->message));
}

mos_status mos_offsite_source(const mos_settings *settings, const char *from, mos_arena *arena, struct mos_store_options *out,
                              struct mos_error *error) {
    mos_status status = mos_store_options_from_location(settings, from, arena, out, error);
    bool same =
        status == MOS_OK && strcmp(mos_setting_text(settings, MOS_SETTING_OFFSITE_PROVIDER), mos_store_provider_name(out->provider)) == 0;
    if (same && (!out->endpoint || !*out->endpoint)) {
        out->endpoint = mos_setting_text(settings, MOS_SETTING_OFFSITE_ENDPOINT);
    }
    if (same && (!out->region || !*out->region)) {
        out->region = mos_setting_text(settings, MOS_SETTING_OFFSITE_REGION);
    }
    return status;
}

static mos_status open_store(mos_offsite *offsite, const struct mos_store_options *options, const char *name, struct mos_error *error) {
    struct mos_offsite_place *place = &offsite->places[offsite->place_count];
    mos_store *store = NULL;
    mos_status status = mos_store_open(&store, options, error);
    if (status != MOS_OK) {
        return status;
    }
    const struct mos_store_retry retry = {.retrying = tell_retry, .argument = place};
    store = offsite->limit ? mos_store_with_limit(store, offsite->limit) : store;
    place->bare = mos_store_with_metrics(store);
    place->store = mos_store_with_retry(place->bare, &retry);
    place->offsite = offsite;
    place->name = name;
    place->provider = mos_provider_from_word(mos_store_provider_name(options->provider));
    place->url = mos_offsite_trimmed(mos_store_location(place->store));
    place->tidy_due = place->catalog_due = true;
    pthread_mutex_init(&place->work, NULL);
    offsite->place_count++;
    return MOS_OK;
}

static mos_status open_place(mos_offsite *offsite, bool replica, struct mos_error *error) {
    struct mos_store_options options;
    mos_status status = mos_store_options_from_settings(offsite->options.settings, replica, &options, error);
    return status == MOS_OK ? open_store(offsite, &options, replica ? "replica" : "primary", error) : status;
}

// Where a lost server comes back from, when it is no location of the settings.
static mos_status open_source(mos_offsite *offsite, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_store_options options;
    if (!offsite->options.from) {
        return MOS_OK;
    }
    mos_status status = mos_offsite_source(offsite->options.settings, offsite->options.from, arena, &options, error);
    if (status == MOS_OK) {
        status = open_store(offsite, &options, "source", error);
    }
    if (status != MOS_OK) {
        return status;
    }
    struct mos_offsite_place *place = &offsite->places[offsite->place_count - 1];
    if (mos_offsite_place_of(offsite, place->url) != place) {
        mos_store_close(place->store);
        free(place->url);
        pthread_mutex_destroy(&place->work);
        offsite->place_count--;
    }
    return MOS_OK;
}

char *mos_offsite_trimmed(const char *url) {
    char *copy = mos_strdup(url);
    for (size_t length = strlen(copy); length > 0 && copy[length - 1] == '/'; length--) {
        copy[length - 1] = 0;
    }
    return copy;
}

static mos_status open_places(mos_offsite *offsite, struct mos_error *error) {
    const mos_settings *settings = offsite->options.settings;
    bool primary = mos_setting_is_set(settings, MOS_SETTING_OFFSITE_PROVIDER);
    bool replica = mos_setting_is_set(settings, MOS_SETTING_OFFSITE_REPLICA_PROVIDER);
    if (replica && !primary) {
        return mos_fail_field(error, "OFFSITE_REPLICA_PROVIDER", "OFFSITE_REPLICA_PROVIDER is set, but OFFSITE_PROVIDER is not");
    }
    mos_status status =
        mos_store_limit_create(&offsite->limit, "OFFSITE_BANDWIDTH", mos_setting_text(settings, MOS_SETTING_OFFSITE_BANDWIDTH), error);
    if (status == MOS_OK && primary) {
        status = open_place(offsite, false, error);
    }
    if (status == MOS_OK && replica) {
        status = open_place(offsite, true, error);
    }
    if (status == MOS_OK && replica && strcmp(offsite->places[0].url, offsite->places[1].url) == 0) {
        status = mos_fail_field(error, "OFFSITE_REPLICA_BUCKET", "OFFSITE_REPLICA_* and OFFSITE_* name the same place, %s",
                                offsite->places[0].url);
    }
    return status;
}

static void close_places(mos_offsite *offsite) {
    for (size_t i = 0; i < offsite->place_count; i++) {
        mos_store_close(offsite->places[i].store);
        free(offsite->places[i].url);
        pthread_mutex_destroy(&offsite->places[i].work);
    }
    offsite->place_count = 0;
    mos_store_limit_free(offsite->limit);
    offsite->limit = NULL;
}

mos_status mos_offsite_check(const mos_settings *settings, struct mos_error *error) {
    int64_t parallel = mos_setting_number(settings, MOS_SETTING_OFFSITE_PARALLEL);
    if (parallel < 1 || parallel > MOS_OFFSITE_MOST_PARALLEL) {
        return mos_fail_field(error, "OFFSITE_PARALLEL", "OFFSITE_PARALLEL is %lld; allowed is 1 to %d", (long long)parallel,
                              MOS_OFFSITE_MOST_PARALLEL);
    }
    if (mos_setting_number(settings, MOS_SETTING_OFFSITE_RETRY_SECONDS) < 1) {
        return mos_fail_field(error, "OFFSITE_RETRY_SECONDS", "OFFSITE_RETRY_SECONDS is 0; allowed is 1 to 100000");
    }
    mos_offsite trial = {.options = {.settings = settings}};
    mos_status status = open_places(&trial, error);
    close_places(&trial);
    return status;
}

// This server's name at the places, made once.
static mos_status know_self(mos_offsite *offsite, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *id;
    const Mosaajii__Engine__V1__Repository *repository;
    mos_status status = mos_queue_init(offsite->options.queue, arena, &repository, error);
    if (status != MOS_OK) {
        return status;
    }
    snprintf(offsite->repository_id, sizeof(offsite->repository_id), "%s", repository->id);
    snprintf(offsite->key_id, sizeof(offsite->key_id), "%s", repository->key_id);
    status = mos_offsite_get_fact(offsite, "offsite.server", arena, &id, error);
    if (status == MOS_OK && !mos_id_valid(id)) {
        mos_id_new(offsite->server_id);
        return mos_offsite_put_fact(offsite, "offsite.server", offsite->server_id, error);
    }
    snprintf(offsite->server_id, sizeof(offsite->server_id), "%s", id);
    return status;
}

// A folder on the same disk is lost with it; or it is the mount point of a disk that is not there yet.
static void look_at_disk(const mos_offsite *offsite, enum mos_setting provider, enum mos_setting bucket) {
    struct stat here, there;
    const char *folder = mos_setting_text(offsite->options.settings, bucket);
    if (strcmp(mos_setting_text(offsite->options.settings, provider), "LOCAL_REMOTE") == 0 &&
        stat(offsite->options.repository, &here) == 0 && stat(folder, &there) == 0 && here.st_dev == there.st_dev) {
        mos_log_warning("an offsite folder lies on the disk of the repository: is the disk that belongs there mounted?",
                        MOS_TEXT("folder", folder));
    }
}

// Which key version a place has the keys of: a rewrapping may have ended right before the server before did.
static mos_status know_keys(struct mos_offsite_place *place, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *key_id;
    mos_status status = mos_offsite_get_fact(place->offsite, mos_arena_printf(arena, "offsite.keys:%s", place->url), arena, &key_id, error);
    place->keys_due = status == MOS_OK && strcmp(key_id, place->offsite->key_id) != 0;
    return status;
}

mos_status mos_offsite_note_keys(struct mos_offsite_place *place, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__Repository *repository;
    mos_status status = mos_queue_init(place->offsite->options.queue, arena, &repository, error);
    return status == MOS_OK
               ? mos_offsite_put_fact(place->offsite, mos_arena_printf(arena, "offsite.keys:%s", place->url), repository->key_id, error)
               : status;
}

mos_status mos_offsite_create(mos_offsite **out, const struct mos_offsite_options *options, struct mos_error *error) {
    mos_offsite *offsite = mos_calloc(1, sizeof(*offsite));
    const mos_settings *settings = options->settings;
    offsite->options = *options;
    offsite->parallel = (int)mos_setting_number(settings, MOS_SETTING_OFFSITE_PARALLEL);
    offsite->lock_ns = mos_setting_number(settings, MOS_SETTING_OFFSITE_LOCK_DAYS) * 86400 * MOS_NS_PER_SECOND;
    offsite->retry_ns = mos_setting_number(settings, MOS_SETTING_OFFSITE_RETRY_SECONDS) * MOS_NS_PER_SECOND;
    pthread_mutex_init(&offsite->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&offsite->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    mos_status status = open_places(offsite, error);
    if (status == MOS_OK) {
        status = open_source(offsite, error);
    }
    if (status == MOS_OK) {
        status = know_self(offsite, error);
    }
    look_at_disk(offsite, MOS_SETTING_OFFSITE_PROVIDER, MOS_SETTING_OFFSITE_BUCKET);
    look_at_disk(offsite, MOS_SETTING_OFFSITE_REPLICA_PROVIDER, MOS_SETTING_OFFSITE_REPLICA_BUCKET);
    for (size_t i = 0; i < offsite->place_count && status == MOS_OK; i++) {
        status = know_keys(&offsite->places[i], error);
    }
    if (status != MOS_OK) {
        mos_offsite_destroy(offsite);
        return status;
    }
    *out = offsite;
    return MOS_OK;
}

// A location that the settings name no more.
static mos_status give_up_others(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const mos_offsite *offsite = argument;
    return mos_catalog_give_up_copies(session, offsite->place_count > 0 ? offsite->places[0].url : "",
                                      offsite->place_count > 1 ? offsite->places[1].url : "", "Its location is not configured any more",
                                      error);
}

mos_status mos_offsite_start(mos_offsite *offsite, struct mos_error *error) {
    mos_status status = mos_catalog_write(offsite->options.catalog, give_up_others, offsite, error);
    if (status != MOS_OK) {
        return status;
    }
    int code = pthread_create(&offsite->follower, NULL, mos_offsite_follower_main, offsite);
    offsite->follower_runs = code == 0;
    for (size_t i = 0; i < offsite->place_count && code == 0; i++) {
        code = pthread_create(&offsite->places[i].thread, NULL, mos_offsite_place_main, &offsite->places[i]);
        offsite->places[i].runs = code == 0;
    }
    for (size_t i = 0; i < MOS_OFFSITE_FETCHES && code == 0; i++) {
        code = pthread_create(&offsite->fetchers[i], NULL, mos_offsite_fetcher_main, offsite);
        offsite->fetcher_count += code == 0;
    }
    return code == 0 ? MOS_OK : mos_fail_errno(error, code, "starting a thread for copies offsite");
}

void mos_offsite_stop(mos_offsite *offsite) {
    if (!offsite) {
        return;
    }
    atomic_store(&offsite->stopping, true);
    mos_offsite_wake(offsite);
    mos_catalog_wake_watchers(offsite->options.catalog);
    if (offsite->follower_runs) {
        pthread_join(offsite->follower, NULL);
    }
    for (size_t i = 0; i < offsite->place_count; i++) {
        if (offsite->places[i].runs) {
            pthread_join(offsite->places[i].thread, NULL);
        }
        offsite->places[i].runs = false;
    }
    for (size_t i = 0; i < offsite->fetcher_count; i++) {
        pthread_join(offsite->fetchers[i], NULL);
    }
    offsite->follower_runs = false;
    offsite->fetcher_count = 0;
}

void mos_offsite_destroy(mos_offsite *offsite) {
    if (!offsite) {
        return;
    }
    mos_offsite_stop(offsite);
    close_places(offsite);
    while (offsite->errands) {
        struct mos_offsite_errand *next = offsite->errands->next;
        free(offsite->errands);
        offsite->errands = next;
    }
    pthread_mutex_destroy(&offsite->mutex);
    pthread_cond_destroy(&offsite->news);
    free(offsite);
}

void mos_offsite_wake(mos_offsite *offsite) {
    pthread_mutex_lock(&offsite->mutex);
    offsite->generation++;
    pthread_cond_broadcast(&offsite->news);
    pthread_mutex_unlock(&offsite->mutex);
}

uint64_t mos_offsite_generation(mos_offsite *offsite) {
    pthread_mutex_lock(&offsite->mutex);
    uint64_t generation = offsite->generation;
    pthread_mutex_unlock(&offsite->mutex);
    return generation;
}

void mos_offsite_sleep(mos_offsite *offsite, uint64_t generation, int64_t until_unix_ns) {
    int64_t left_ns = until_unix_ns ? until_unix_ns - mos_now_unix_ns() : 0;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    left_ns = left_ns > 0 ? left_ns : 0;
    until.tv_sec += left_ns / MOS_NS_PER_SECOND;
    until.tv_nsec += left_ns % MOS_NS_PER_SECOND;
    until.tv_sec += until.tv_nsec / MOS_NS_PER_SECOND;
    until.tv_nsec %= MOS_NS_PER_SECOND;
    int code = 0;
    pthread_mutex_lock(&offsite->mutex);
    while (offsite->generation == generation && !atomic_load(&offsite->stopping) && code != ETIMEDOUT) {
        code = until_unix_ns ? pthread_cond_timedwait(&offsite->news, &offsite->mutex, &until)
                             : pthread_cond_wait(&offsite->news, &offsite->mutex);
    }
    pthread_mutex_unlock(&offsite->mutex);
}

bool mos_offsite_configured(const mos_offsite *offsite) {
    return offsite->place_count > 0;
}

bool mos_offsite_replicated(const mos_offsite *offsite) {
    return offsite->place_count > 1;
}

const char *mos_offsite_replica(const mos_offsite *offsite) {
    return offsite->place_count > 1 ? offsite->places[1].url : "";
}

const char *mos_offsite_place_name(const mos_offsite *offsite, const char *place) {
    const struct mos_offsite_place *found = mos_offsite_place_of((mos_offsite *)offsite, place);
    return found ? found->name : NULL;
}

// ---- What moves ----

void mos_offsite_work_begin(mos_offsite *offsite, struct mos_offsite_work *work, const char *job_id) {
    snprintf(work->job_id, sizeof(work->job_id), "%s", job_id);
    work->offsite = offsite;
    atomic_init(&work->cancelled, false);
    pthread_mutex_lock(&offsite->mutex);
    work->next = offsite->works;
    offsite->works = work;
    pthread_mutex_unlock(&offsite->mutex);
}

void mos_offsite_work_end(mos_offsite *offsite, struct mos_offsite_work *work) {
    pthread_mutex_lock(&offsite->mutex);
    for (struct mos_offsite_work **link = &offsite->works; *link; link = &(*link)->next) {
        if (*link == work) {
            *link = work->next;
            break;
        }
    }
    pthread_mutex_unlock(&offsite->mutex);
}

bool mos_offsite_work_over(void *argument) {
    const struct mos_offsite_work *work = argument;
    return atomic_load(&work->cancelled) || atomic_load(&work->offsite->stopping);
}

// A fetch that no thread has taken up yet.
static mos_status drop(mos_offsite *offsite, struct mos_offsite_errand *errand, struct mos_error *error) {
    const struct mos_offsite_caller caller = {errand->actor, errand->address};
    const struct mos_offsite_end end = {.job_id = errand->job_id,
                                        .job_status = MOS_JOB_CANCELLED,
                                        .message = "Cancelled on request",
                                        .action = MOS_COPY_DOWNLOAD,
                                        .copy_id = errand->copy_id,
                                        .backup_id = errand->backup_id,
                                        .caller = &caller,
                                        .result = MOS_CANCELLED,
                                        .details = "Cancelled on request"};
    mos_status status = mos_offsite_record_end(offsite, &end, error);
    free(errand);
    return status;
}

mos_status mos_offsite_cancel(mos_offsite *offsite, const char *job_id, struct mos_error *error) {
    struct mos_offsite_errand *waits = NULL;
    bool found = false;
    pthread_mutex_lock(&offsite->mutex);
    for (struct mos_offsite_errand **link = &offsite->errands; *link; link = &(*link)->next) {
        if (strcmp((*link)->job_id, job_id) == 0) {
            waits = *link;
            *link = waits->next;
            break;
        }
    }
    for (struct mos_offsite_work *work = offsite->works; work; work = work->next) {
        if (strcmp(work->job_id, job_id) == 0) {
            atomic_store(&work->cancelled, true);
            found = true;
        }
    }
    pthread_mutex_unlock(&offsite->mutex);
    if (waits) {
        return drop(offsite, waits, error);
    }
    return found ? MOS_OK : mos_fail(error, MOS_NOT_FOUND, "the job %s moves nothing now", job_id);
}

// ---- A copy that is asked for ----

static bool alive(const struct mos_copy *copy) {
    return copy->status != MOS_COPY_DELETED && copy->status != MOS_COPY_FAILED;
}

// A policy that a tag names: by its name, or by the first word of it.
static const char *policy_of(mos_catalog_session *session, const struct mos_backup *backup, mos_arena *arena) {
    struct mos_offsite_policy *policies;
    size_t count = 0;
    if (mos_catalog_list_policies(session, arena, &policies, &count, NULL) != MOS_OK) {
        return "";
    }
    for (size_t t = 0; t < backup->tag_count; t++) {
        for (size_t i = 0; i < count; i++) {
            size_t word = strcspn(policies[i].name, "_");
            const char *tag = backup->tags[t];
            if (strcmp(tag, policies[i].name) == 0 || (strlen(tag) == word && memcmp(tag, policies[i].name, word) == 0)) {
                return policies[i].name;
            }
        }
    }
    return "";
}

mos_status mos_offsite_want(mos_catalog_session *session, const struct mos_offsite_place *place, const struct mos_backup *backup,
                            const struct mos_offsite_order *order, const char *actor, char *out_copy_id, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_copy copy;
    bool found = false;
    mos_status status = mos_catalog_find_copy(session, backup->id, place->url, arena, &copy, &found, error);
    if (status != MOS_OK) {
        return status;
    }
    if (found && alive(&copy)) {
        snprintf(out_copy_id, MOS_ID_TEXT_BYTES, "%s", copy.id);
        copy.replicate = copy.replicate || order->replicate;
        if (order->retention_days) {
            copy.retention_days = order->retention_days;
            copy.policy = "";
        }
        // One that waits for a later attempt is tried now.
        copy.next_attempt_unix_ns = 0;
        return mos_catalog_put_copy(session, &copy, error);
    }
    mos_id_new(out_copy_id);
    copy = (struct mos_copy){.id = out_copy_id,
                             .backup_id = backup->id,
                             .place = place->url,
                             .provider = place->provider,
                             .status = MOS_COPY_PENDING,
                             .created_at_unix_ns = mos_now_unix_ns(),
                             .created_by = actor,
                             .retention_days = order->retention_days,
                             .policy = order->retention_days ? "" : policy_of(session, backup, arena),
                             .replicate = order->replicate};
    return mos_catalog_put_copy(session, &copy, error);
}

struct wanted {
    mos_offsite *offsite;
    const struct mos_offsite_order *order;
    const char *actor;
    char *copy_id;
};

static mos_status want(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct wanted *wanted = argument;
    mos_offsite *offsite = wanted->offsite;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup;
    char replica_id[MOS_ID_TEXT_BYTES];
    mos_status status = mos_catalog_get_backup(session, wanted->order->backup_id, arena, &backup, error);
    if (status != MOS_OK) {
        return status;
    }
    if (!backup.encrypted_checksum[0]) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup is not complete: its status is %s",
                        mos_backup_status_word(backup.status));
    }
    status = mos_offsite_want(session, &offsite->places[0], &backup, wanted->order, wanted->actor, wanted->copy_id, error);
    if (status == MOS_OK && wanted->order->replicate) {
        status = mos_offsite_want(session, &offsite->places[1], &backup, wanted->order, wanted->actor, replica_id, error);
    }
    return status;
}

mos_status mos_offsite_upload(mos_offsite *offsite, const struct mos_offsite_order *order, const struct mos_offsite_caller *caller,
                              char out_copy_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    if (offsite->place_count == 0) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "no copy can be made: OFFSITE_PROVIDER is not set");
    }
    if (order->provider && order->provider != offsite->places[0].provider) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the provider %s is not configured: OFFSITE_PROVIDER is %s",
                        mos_provider_word(order->provider), mos_provider_word(offsite->places[0].provider));
    }
    if (order->replicate && offsite->place_count < 2) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "replicationEnabled is true, but OFFSITE_REPLICA_PROVIDER is not set");
    }
    struct wanted wanted = {offsite, order, caller->name, out_copy_id};
    mos_status status = mos_catalog_write(offsite->options.catalog, want, &wanted, error);
    mos_offsite_wake(offsite);
    return status;
}

// ---- How long copies are kept ----

int64_t mos_offsite_ask_catalog(mos_offsite *offsite, mos_status (*read)(mos_catalog_session *, int64_t *, struct mos_error *)) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    int64_t number = 0;
    return mos_catalog_read_begin(offsite->options.catalog, &session, NULL) == MOS_OK && read(session, &number, NULL) == MOS_OK ? number
                                                                                                                                : 0;
}

int64_t mos_offsite_trusted_now(mos_offsite *offsite) {
    return mos_offsite_ask_catalog(offsite, mos_catalog_trusted_now);
}

int64_t mos_offsite_own_days(mos_catalog_session *session, const struct mos_copy *copy) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_offsite_policy *policies;
    size_t count = 0;
    int64_t days = copy->retention_days;
    if (!days && *copy->policy && mos_catalog_list_policies(session, arena, &policies, &count, NULL) == MOS_OK) {
        for (size_t i = 0; i < count; i++) {
            days = strcmp(policies[i].name, copy->policy) == 0 ? policies[i].retention_days : days;
        }
    }
    return days;
}

int64_t mos_offsite_expiry(mos_offsite *offsite, const struct mos_copy *copy) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_backup backup;
    if (mos_catalog_read_begin(offsite->options.catalog, &session, NULL) != MOS_OK) {
        return copy->expires_at_unix_ns;
    }
    int64_t days = mos_offsite_own_days(session, copy);
    if (!days && mos_catalog_get_backup(session, copy->backup_id, arena, &backup, NULL) == MOS_OK) {
        days = backup.retention_days;
        return days ? backup.created_at_unix_ns + days * 86400 * MOS_NS_PER_SECOND : 0;
    }
    // Of a backup that is gone here: as was known before.
    return days ? copy->uploaded_at_unix_ns + days * 86400 * MOS_NS_PER_SECOND : copy->expires_at_unix_ns;
}

// ---- Jobs that are about to read ----

mos_status mos_offsite_prepare(void *argument, const char *backup_id, const char *job_id, bool (*over)(void *argument), void *over_argument,
                               struct mos_error *error) {
    mos_offsite *offsite = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_catalog_session *session = NULL;
    struct mos_backup backup;
    mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_get_backup(session, backup_id, arena, &backup, error);
    }
    mos_catalog_read_end(session);
    return status == MOS_OK && backup.absent ? mos_offsite_bring(offsite, backup_id, job_id, over, over_argument, error) : status;
}
