#include "control/schedule/scheduler.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/alert/alert.h"
#include "control/catalog/audit.h"
#include "control/catalog/jobs.h"
#include "control/job/facts.h"
#include "control/schedule/account.h"
#include "control/schedule/change.h"
#include "control/schedule/sweep.h"
#include "control/schedule/trust.h"

enum {
    // A clock that is set is noticed after this at the latest.
    LONGEST_SLEEP_SECONDS = 15,
    SWEEP_SECONDS = 3600,
    // After a sweep that was not done with all.
    SOON_SECONDS = 60,
    LEARN_SECONDS = 3600,
    LOAD_SECONDS = 900,
    // What is learned from.
    PAST_DAYS = 60,
    PAST_JOBS = 4000,
    RUNS_KEPT_DAYS = 400,
    // A schedule that is changed all the time.
    MOST_TRIES = 3,
};

static const char stuck_retention[] = "retention:sweep";

struct mos_scheduler {
    struct mos_scheduler_options options;
    pthread_t thread;
    bool runs;
    pthread_mutex_t mutex;
    pthread_cond_t change;
    bool stopping, woken;
    // Below: of the round that is being made.
    pthread_mutex_t round;
    int64_t known_unix_ns, kept_known_unix_ns;
    int64_t last_look_ns;
    bool doubted;
    // Whether the alert about retention may be open: after a failure, and after a start.
    bool retention_doubted;
    int64_t next_sweep, next_learning, next_load;
    // Jobs of the server itself ran since the load was last looked at: it tells nothing of the rest.
    bool jobs_ran;
};

// ---- The clock ----

// The newest time that the repository's folder and what lies in it bear.
static int64_t newest_file_time(const char *folder) {
    struct stat status;
    int64_t newest = stat(folder, &status) == 0 ? (int64_t)status.st_mtim.tv_sec : 0;
    DIR *entries = opendir(folder);
    struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        if (fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_mtim.tv_sec > newest) {
            newest = status.st_mtim.tv_sec;
        }
    }
    if (entries) {
        closedir(entries);
    }
    return newest * MOS_NS_PER_SECOND;
}

static mos_status read_times(mos_scheduler *scheduler, int64_t *out_newest, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(scheduler->options.catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_newest_time(session, out_newest, error);
    }
    if (status == MOS_OK && scheduler->known_unix_ns == 0) {
        status = mos_catalog_get_known_time(session, &scheduler->known_unix_ns, error);
        if (status == MOS_OK && scheduler->known_unix_ns == 0) {
            // A catalog from before, or that was rebuilt: the newest time that anything bears; of nothing, what the clock says.
            int64_t files = newest_file_time(scheduler->options.repository);
            scheduler->known_unix_ns = *out_newest ? (*out_newest > files ? *out_newest : files) : mos_now_unix_ns();
        }
    }
    return status;
}

static mos_status keep_known(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_put_known_time(session, *(const int64_t *)argument, error);
}

static void tell_doubt(mos_scheduler *scheduler, enum mos_trust trust, int64_t now, int64_t newest) {
    char now_text[MOS_TIME_TEXT_BYTES], other_text[MOS_TIME_TEXT_BYTES], message[256];
    mos_time_format(now, now_text);
    mos_time_format(trust == MOS_CLOCK_AHEAD ? scheduler->known_unix_ns : newest, other_text);
    snprintf(message, sizeof(message),
             trust == MOS_CLOCK_AHEAD
                 ? "The clock says %s, but not long ago it was %s; retention is paused until the clock is set right or has "
                   "gone on steadily for long enough"
                 : "The clock says %s, but something was recorded at %s, later; retention is paused until then",
             now_text, other_text);
    const struct mos_alert_cause cause = {
        .type = MOS_ALERT_CLOCK_SKEW, .severity = MOS_SEVERITY_CRITICAL, .cause = "clock", .message = message};
    mos_log_error("CLOCK_SKEW", MOS_TEXT("reason", message));
    mos_alert_raise(scheduler->options.catalog, &cause);
}

// Whether what the clock says is good enough to remove something by.
static mos_status look_at_clock(mos_scheduler *scheduler, int64_t now, bool *out_good, struct mos_error *error) {
    int64_t newest = 0, monotonic = mos_now_monotonic_ns();
    mos_status status = read_times(scheduler, &newest, error);
    if (status != MOS_OK) {
        return status;
    }
    // The server before this one may have told of a doubt.
    bool may_be_told = scheduler->doubted || !scheduler->last_look_ns;
    int64_t elapsed = scheduler->last_look_ns ? monotonic - scheduler->last_look_ns : 0;
    scheduler->last_look_ns = monotonic;
    enum mos_trust trust = mos_trust_look(&scheduler->known_unix_ns, now, elapsed, newest);
    *out_good = trust == MOS_CLOCK_GOOD;
    if (!*out_good && !scheduler->doubted) {
        tell_doubt(scheduler, trust, now, newest);
    } else if (*out_good && may_be_told) {
        mos_alert_resolve(scheduler->options.catalog, "clock");
    }
    scheduler->doubted = !*out_good;
    int64_t moved = scheduler->known_unix_ns - scheduler->kept_known_unix_ns;
    if (moved < 0 || moved >= SWEEP_SECONDS * MOS_NS_PER_SECOND) {
        status = mos_catalog_write(scheduler->options.catalog, keep_known, &scheduler->known_unix_ns, error);
        scheduler->kept_known_unix_ns = scheduler->known_unix_ns;
    }
    return status;
}

// ---- Runs ----

static mos_status read_last_backup(mos_scheduler *scheduler, const char *id, int64_t *out_seconds, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    int64_t last_ns = 0;
    mos_status status = mos_catalog_read_begin(scheduler->options.catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_last_backup_of(session, id, &last_ns, error);
    }
    *out_seconds = last_ns / MOS_NS_PER_SECOND;
    return status;
}

static mos_status read_schedule(mos_scheduler *scheduler, const char *id, mos_arena *arena, struct mos_schedule *out,
                                struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(scheduler->options.catalog, &session, error);
    return status == MOS_OK ? mos_catalog_get_schedule(session, id, arena, out, error) : status;
}

static mos_status read_schedules(mos_scheduler *scheduler, mos_arena *arena, struct mos_schedule **out, size_t *out_count,
                                 struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(scheduler->options.catalog, &session, error);
    return status == MOS_OK ? mos_catalog_all_schedules(session, arena, out, out_count, error) : status;
}

static int64_t account_for(mos_scheduler *scheduler, const struct mos_schedule *schedule, int64_t now) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_schedule current = *schedule;
    struct mos_error error = {0};
    int64_t wake = INT64_MAX;
    mos_status status = MOS_OK;
    for (int i = 0; i < MOST_TRIES; i++) {
        status = mos_account(scheduler->options.catalog, &scheduler->options.acts, &current, now, &wake, &error);
        if (status != MOS_ABORTED || read_schedule(scheduler, schedule->id, arena, &current, &error) != MOS_OK) {
            break;
        }
    }
    if (status != MOS_OK && status != MOS_UNAVAILABLE && status != MOS_ABORTED) {
        mos_log_error("a schedule could not be accounted for", MOS_TEXT("schedule", schedule->name), MOS_TEXT("reason", error.message));
    }
    return wake;
}

// ---- Retention ----

static mos_status thin(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_thin_runs(session, *(const int64_t *)argument, error);
}

static void tell_stuck_retention(mos_scheduler *scheduler, const struct mos_error *reason) {
    char message[sizeof(reason->message) + 64];
    snprintf(message, sizeof(message), "Retention could not be carried out: %s", reason->message);
    const struct mos_alert_cause cause = {
        .type = MOS_ALERT_RETENTION_VIOLATION, .severity = MOS_SEVERITY_ERROR, .cause = stuck_retention, .message = message};
    scheduler->retention_doubted = true;
    mos_alert_raise(scheduler->options.catalog, &cause);
}

static void sweep(mos_scheduler *scheduler, int64_t now) {
    struct mos_error error = {0};
    bool more = false;
    int64_t before = now - RUNS_KEPT_DAYS * INT64_C(86400) * MOS_NS_PER_SECOND;
    mos_status status = mos_sweep(scheduler->options.catalog, &scheduler->options.acts, scheduler->options.tag_rules, now, &more, &error);
    if (status == MOS_OK) {
        status = mos_catalog_write(scheduler->options.catalog, thin, &before, &error);
    }
    if (status != MOS_OK && status != MOS_UNAVAILABLE) {
        mos_log_error("retention could not be carried out", MOS_TEXT("reason", error.message));
        tell_stuck_retention(scheduler, &error);
    } else if (status == MOS_OK && scheduler->retention_doubted) {
        mos_alert_resolve(scheduler->options.catalog, stuck_retention);
        scheduler->retention_doubted = false;
    }
    scheduler->next_sweep = now / MOS_NS_PER_SECOND + (more ? SOON_SECONDS : SWEEP_SECONDS);
}

// ---- Learning ----

static int64_t machine_load(void) {
    double averages[3];
    return getloadavg(averages, 3) == 3 ? (int64_t)(averages[2] * 1000) : -1;
}

struct sample {
    int hour;
    int64_t milli;
};

static mos_status add_sample(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct sample *sample = argument;
    return mos_catalog_add_load(session, sample->hour, sample->milli, error);
}

static void sample_load(mos_scheduler *scheduler, int64_t now) {
    int64_t seconds = now / MOS_NS_PER_SECOND;
    struct sample sample = {(int)((seconds / 3600 + 4 * 24) % MOS_HOURS_A_WEEK),
                            scheduler->options.load_milli ? scheduler->options.load_milli() : machine_load()};
    if (sample.milli >= 0 && !scheduler->jobs_ran) {
        mos_catalog_write_later(scheduler->options.catalog, add_sample, &sample, sizeof(sample));
    }
    scheduler->jobs_ran = false;
    scheduler->next_load = seconds + LOAD_SECONDS;
}

static void watch_jobs(mos_scheduler *scheduler) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job *jobs;
    size_t count = 0;
    if (mos_catalog_read_begin(scheduler->options.catalog, &session, NULL) == MOS_OK) {
        mos_catalog_active_jobs(session, NULL, arena, &jobs, &count, NULL);
    }
    scheduler->jobs_ran = scheduler->jobs_ran || count > 0;
}

struct history {
    struct {
        int64_t durations[PAST_JOBS], changes[PAST_JOBS];
        size_t count, change_count;
    } types[MOS_BACKUP_CONFIGURATION + 1];
};

static void take_past(const struct mos_past_job *job, void *argument) {
    struct history *history = argument;
    struct mos_backup_facts facts;
    size_t type = job->type;
    history->types[type].durations[history->types[type].count++] = job->duration_ns / MOS_NS_PER_SECOND;
    if (job->size_bytes > 0 && mos_backup_facts_of(job->type, &job->facts, &facts)) {
        history->types[type].changes[history->types[type].change_count++] =
            (int64_t)((double)facts.bytes_new * 1000 / (double)job->size_bytes);
    }
}

mos_status mos_scheduler_learned(mos_scheduler *scheduler, struct mos_suggest_input *out, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    MOS_CLEANUP_FREE struct history *history = mos_calloc(1, sizeof(*history));
    int64_t now = mos_now_unix_ns();
    *out = (struct mos_suggest_input){.databases = scheduler->options.databases,
                                      .files = scheduler->options.files,
                                      .configuration = scheduler->options.configuration,
                                      .objective_minutes = scheduler->options.objective_minutes,
                                      .monitor_minutes = scheduler->options.monitor_minutes,
                                      .now = now / MOS_NS_PER_SECOND};
    mos_status status = mos_catalog_read_begin(scheduler->options.catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_get_load(session, &out->load, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_visit_past_jobs(session, now - PAST_DAYS * INT64_C(86400) * MOS_NS_PER_SECOND, PAST_JOBS, take_past, history,
                                             error);
    }
    for (size_t type = 0; type <= MOS_BACKUP_CONFIGURATION; type++) {
        struct mos_durations *durations = &out->durations[type];
        durations->count = (int64_t)history->types[type].count;
        durations->median_seconds = mos_quantile(history->types[type].durations, history->types[type].count, 50);
        durations->p95_seconds = mos_quantile(history->types[type].durations, history->types[type].count, 95);
        durations->change_permille = mos_quantile(history->types[type].changes, history->types[type].change_count, 50);
    }
    return status;
}

struct decision {
    const struct mos_schedule *before;
    const struct mos_suggestion *suggestion;
    bool apply;
    int64_t now_unix_ns;
};

static mos_status decide(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct decision *decision = argument;
    // As it was when it was looked at, or not at all.
    mos_status status = mos_catalog_account_schedule(session, decision->before, decision->before->accounted_until_unix_ns, error);
    struct mos_schedule after = *decision->before;
    after.timing_note = decision->suggestion->reason;
    if (decision->apply) {
        after.cron = decision->suggestion->schedule.cron;
        after.updated_at_unix_ns = decision->now_unix_ns;
    }
    if (status == MOS_OK) {
        status = mos_schedule_change_in(session, decision->before, &after, decision->now_unix_ns, error);
    }
    if (status != MOS_OK || !decision->apply) {
        return status;
    }
    const struct mos_audit_detail details[] = {
        {"from", decision->before->cron}, {"to", after.cron}, {"reason", after.timing_note}, {"schedule", after.name}};
    const struct mos_audit_entry entry = {.actor = "system",
                                          .action = "Schedule.Retime",
                                          .resource = after.id,
                                          .result = mos_status_name(MOS_OK),
                                          .details = details,
                                          .detail_count = sizeof(details) / sizeof(details[0])};
    return mos_catalog_add_audit(session, &entry, error);
}

// Schedules that asked for it are moved to the hours in which the machine is least busy.
static void learn(mos_scheduler *scheduler, const struct mos_schedule *schedules, size_t count, int64_t now) {
    struct mos_suggest_input input;
    struct mos_error error = {0};
    bool known = false;
    scheduler->next_learning = now / MOS_NS_PER_SECOND + LEARN_SECONDS;
    for (size_t i = 0; i < count; i++) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        MOS_CLEANUP_ZONE mos_zone *zone = NULL;
        struct mos_suggestion suggestion;
        struct mos_schedule schedule;
        struct decision decision = {.before = &schedule, .suggestion = &suggestion, .now_unix_ns = now};
        if (!schedules[i].learn_timing || schedules[i].paused) {
            continue;
        }
        if ((!known && mos_scheduler_learned(scheduler, &input, &error) != MOS_OK) ||
            read_schedule(scheduler, schedules[i].id, arena, &schedule, &error) != MOS_OK ||
            read_last_backup(scheduler, schedule.id, &input.last_backup, &error) != MOS_OK ||
            mos_zone_open(&zone, schedule.time_zone, &error) != MOS_OK) {
            mos_log_warning("nothing could be learned", MOS_TEXT("schedule", schedules[i].name), MOS_TEXT("reason", error.message));
            continue;
        }
        known = true;
        input.zone = zone;
        input.time_zone = schedule.time_zone;
        if (mos_suggest_timing(&input, &schedule, arena, &suggestion, &decision.apply) &&
            (decision.apply || strcmp(schedule.timing_note, suggestion.reason) != 0) &&
            mos_catalog_write(scheduler->options.catalog, decide, &decision, &error) == MOS_OK && decision.apply) {
            mos_log_info("a schedule was moved", MOS_TEXT("schedule", schedule.name), MOS_TEXT("from", schedule.cron),
                         MOS_TEXT("to", suggestion.schedule.cron), MOS_TEXT("reason", suggestion.reason));
        }
    }
}

const char *mos_scheduler_local_zone(mos_arena *arena) {
    static const char folder[] = "/zoneinfo/";
    char link[PATH_MAX];
    ssize_t length = readlink("/etc/localtime", link, sizeof(link) - 1);
    link[length > 0 ? length : 0] = 0;
    const char *name = strstr(link, folder);
    name = name ? name + sizeof(folder) - 1 : "";
    MOS_CLEANUP_ZONE mos_zone *zone = NULL;
    return mos_zone_open(&zone, name, NULL) == MOS_OK ? mos_arena_strdup(arena, name) : "";
}

// ---- Rounds ----

static int64_t make_round(mos_scheduler *scheduler) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    int64_t now = mos_now_unix_ns(), seconds = now / MOS_NS_PER_SECOND, wake = seconds + SWEEP_SECONDS;
    struct mos_schedule *schedules;
    size_t count = 0;
    struct mos_error error = {0};
    bool good = false;
    mos_status status = look_at_clock(scheduler, now, &good, &error);
    if (status == MOS_OK) {
        status = read_schedules(scheduler, arena, &schedules, &count, &error);
    }
    if (status != MOS_OK) {
        mos_log_error("schedules could not be looked at", MOS_TEXT("reason", error.message));
        return wake;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t one = account_for(scheduler, &schedules[i], now);
        wake = one < wake ? one : wake;
    }
    watch_jobs(scheduler);
    // A clock that was set back would otherwise put these off until it is there again.
    if (good && (seconds >= scheduler->next_sweep || scheduler->next_sweep > seconds + SWEEP_SECONDS)) {
        sweep(scheduler, now);
    }
    if (good && (seconds >= scheduler->next_load || scheduler->next_load > seconds + LOAD_SECONDS)) {
        sample_load(scheduler, now);
    }
    if (good && (seconds >= scheduler->next_learning || scheduler->next_learning > seconds + LEARN_SECONDS)) {
        learn(scheduler, schedules, count, now);
    }
    const int64_t others[] = {scheduler->next_sweep, scheduler->next_load, scheduler->next_learning};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && good; i++) {
        wake = others[i] < wake ? others[i] : wake;
    }
    return wake;
}

int64_t mos_scheduler_round(mos_scheduler *scheduler) {
    pthread_mutex_lock(&scheduler->round);
    int64_t wake = make_round(scheduler);
    pthread_mutex_unlock(&scheduler->round);
    return wake;
}

static void *thread_main(void *argument) {
    mos_scheduler *scheduler = argument;
    pthread_mutex_lock(&scheduler->mutex);
    while (!scheduler->stopping) {
        scheduler->woken = false;
        pthread_mutex_unlock(&scheduler->mutex);
        int64_t wake = mos_scheduler_round(scheduler);
        int64_t sleep_ns = wake * MOS_NS_PER_SECOND - mos_now_unix_ns(), most_ns = LONGEST_SLEEP_SECONDS * MOS_NS_PER_SECOND;
        sleep_ns = sleep_ns < 0 ? 0 : sleep_ns > most_ns ? most_ns : sleep_ns;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t end_ns = until.tv_nsec + sleep_ns;
        until.tv_sec += end_ns / MOS_NS_PER_SECOND;
        until.tv_nsec = end_ns % MOS_NS_PER_SECOND;
        pthread_mutex_lock(&scheduler->mutex);
        while (!scheduler->stopping && !scheduler->woken &&
               pthread_cond_timedwait(&scheduler->change, &scheduler->mutex, &until) != ETIMEDOUT) {
        }
    }
    pthread_mutex_unlock(&scheduler->mutex);
    return NULL;
}

mos_scheduler *mos_scheduler_create(const struct mos_scheduler_options *options) {
    mos_scheduler *scheduler = mos_calloc(1, sizeof(*scheduler));
    scheduler->options = *options;
    scheduler->retention_doubted = true;
    pthread_mutex_init(&scheduler->mutex, NULL);
    pthread_mutex_init(&scheduler->round, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&scheduler->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return scheduler;
}

mos_status mos_scheduler_start(mos_scheduler *scheduler, struct mos_error *error) {
    int code = pthread_create(&scheduler->thread, NULL, thread_main, scheduler);
    scheduler->runs = code == 0;
    return code == 0 ? MOS_OK : mos_fail_errno(error, code, "starting a thread for schedules");
}

void mos_scheduler_wake(mos_scheduler *scheduler) {
    if (scheduler) {
        pthread_mutex_lock(&scheduler->mutex);
        scheduler->woken = true;
        pthread_cond_signal(&scheduler->change);
        pthread_mutex_unlock(&scheduler->mutex);
    }
}

void mos_scheduler_stop(mos_scheduler *scheduler) {
    if (!scheduler || !scheduler->runs) {
        return;
    }
    pthread_mutex_lock(&scheduler->mutex);
    scheduler->stopping = true;
    pthread_cond_signal(&scheduler->change);
    pthread_mutex_unlock(&scheduler->mutex);
    pthread_join(scheduler->thread, NULL);
    scheduler->runs = false;
}

void mos_scheduler_destroy(mos_scheduler *scheduler) {
    if (scheduler) {
        pthread_mutex_destroy(&scheduler->mutex);
        pthread_mutex_destroy(&scheduler->round);
        pthread_cond_destroy(&scheduler->change);
        free(scheduler);
    }
}
