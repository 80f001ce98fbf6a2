// Whether what is to be protected is: recovery points against their objectives, sources that are there, schedules that ran, and backups
// that are kept as long as they should be and no longer.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/alert/anomaly.h"
#include "control/alert/monitor_internal.h"
#include "control/catalog/backups.h"
#include "control/catalog/health.h"
#include "control/catalog/schedules.h"

#define MINUTE_NS (60 * MOS_NS_PER_SECOND)
#define DAY_NS (24 * 60 * MINUTE_NS)

// GRACE_DAYS: for the pruner to come round.
enum { RUNS_LOOKED_AT = 9, LEAST_RUNS = 3, AT_ONCE = 500, IDS_TOLD = 20, GRACE_DAYS = 2 };

static const char began_name[] = "monitor.began";

// ---- Recovery points ----

static bool protects(enum mos_backup_type taken, enum mos_backup_type source) {
    return mos_backup_type_of_all(taken) || taken == source;
}

// Minutes between its runs, as they were; 0 where there were too few.
static int64_t distance_of(mos_catalog_session *session, const char *schedule_id) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_run *runs;
    size_t count = 0;
    double distances[RUNS_LOOKED_AT];
    if (mos_catalog_list_runs(session, schedule_id, 0, RUNS_LOOKED_AT, arena, &runs, &count, NULL) != MOS_OK || count < LEAST_RUNS) {
        return 0;
    }
    for (size_t i = 0; i + 1 < count; i++) {
        distances[i] = (double)(runs[i].due_at_unix_ns - runs[i + 1].due_at_unix_ns) / (double)MINUTE_NS /
                       (double)(runs[i].count > 0 ? runs[i].count : 1);
    }
    return (int64_t)mos_median(distances, count - 1);
}

int64_t mos_monitor_objective(const mos_monitor *monitor, mos_catalog_session *session, enum mos_backup_type type) {
    if (monitor->options.rpo_minutes > 0) {
        return monitor->options.rpo_minutes;
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_schedule *schedules;
    size_t count = 0;
    int64_t shortest = 0;
    if (mos_catalog_all_schedules(session, arena, &schedules, &count, NULL) != MOS_OK) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t distance = !schedules[i].paused && protects(schedules[i].backup_type, type) ? distance_of(session, schedules[i].id) : 0;
        shortest = distance > 0 && (shortest == 0 || distance < shortest) ? distance : shortest;
    }
    return 2 * shortest;
}

mos_status mos_monitor_newest_good(mos_catalog_session *session, enum mos_backup_type type, mos_arena *arena, int64_t *out_unix_ns,
                                   const char **out_id, struct mos_error *error) {
    static const enum mos_backup_type whole[] = {MOS_BACKUP_FULL, MOS_BACKUP_INCREMENTAL, MOS_BACKUP_DIFFERENTIAL};
    mos_status status = MOS_OK;
    *out_unix_ns = 0;
    *out_id = "";
    for (size_t i = 0; i <= sizeof(whole) / sizeof(whole[0]) && status == MOS_OK; i++) {
        struct mos_backup backup;
        bool found = false;
        status = mos_catalog_newest_backup(session, i == 0 ? type : whole[i - 1], arena, &backup, &found, error);
        if (status == MOS_OK && found && backup.created_at_unix_ns > *out_unix_ns) {
            *out_unix_ns = backup.created_at_unix_ns;
            *out_id = backup.id;
        }
    }
    return status;
}

static const char *point_cause(const struct mos_monitor_source *source, mos_arena *arena) {
    return mos_arena_printf(arena, "rpo:%s", mos_backup_type_word(source->type));
}

static mos_status look_at_point(mos_monitor *monitor, mos_catalog_session *session, const struct mos_monitor_source *source,
                                int64_t began_unix_ns, struct mos_findings *findings, struct mos_error *error) {
    mos_arena *arena = findings->arena;
    const char *word = mos_backup_type_word(source->type);
    const char *cause = point_cause(source, arena);
    int64_t objective = mos_monitor_objective(monitor, session, source->type);
    int64_t newest;
    const char *id;
    mos_status status = mos_monitor_newest_good(session, source->type, arena, &newest, &id, error);
    if (status != MOS_OK) {
        return status;
    }
    int64_t since = newest ? newest : began_unix_ns;
    int64_t minutes = (mos_now_unix_ns() - since) / MINUTE_NS;
    if (objective == 0 || minutes <= objective) {
        mos_findings_gone(findings, cause);
        return MOS_OK;
    }
    struct mos_alert_detail *details = mos_arena_array(arena, struct mos_alert_detail, 3);
    details[0] = (struct mos_alert_detail){"source", source->name};
    details[1] = (struct mos_alert_detail){"objectiveMinutes", mos_arena_printf(arena, "%lld", (long long)objective)};
    details[2] = (struct mos_alert_detail){"ageMinutes", mos_arena_printf(arena, "%lld", (long long)minutes)};
    const char *message = newest ? mos_arena_printf(arena, "the newest good backup of %s is %lld minutes old; its objective is %lld", word,
                                                    (long long)minutes, (long long)objective)
                                 : mos_arena_printf(arena, "there is no good backup of %s yet, after %lld minutes; its objective is %lld",
                                                    word, (long long)minutes, (long long)objective);
    mos_findings_raise(findings, &(struct mos_alert_cause){.type = MOS_ALERT_RPO_EXCEEDED,
                                                           .severity = minutes > 2 * objective ? MOS_SEVERITY_CRITICAL : MOS_SEVERITY_ERROR,
                                                           .cause = cause,
                                                           .backup_id = id,
                                                           .message = message,
                                                           .details = details,
                                                           .detail_count = 3});
    return MOS_OK;
}

// ---- Sources ----

static const char *path_cause(const char *path, mos_arena *arena) {
    return mos_arena_printf(arena, "source:%.3000s", path);
}

static void look_at_paths(const struct mos_monitor_source *source, struct mos_findings *findings) {
    mos_arena *arena = findings->arena;
    for (size_t i = 0; i < source->path_count; i++) {
        struct stat found;
        const char *path = mos_arena_printf(arena, "%.3000s", source->paths[i]);
        const char *cause = path_cause(path, arena);
        if (lstat(path, &found) == 0 || (errno != ENOENT && errno != ENOTDIR)) {
            mos_findings_gone(findings, cause);
            continue;
        }
        mos_findings_raise(findings, &(struct mos_alert_cause){.type = MOS_ALERT_ANOMALY,
                                                               .severity = MOS_SEVERITY_CRITICAL,
                                                               .cause = cause,
                                                               .message = mos_arena_printf(arena, "the %s source %s is gone",
                                                                                           mos_backup_type_word(source->type), path)});
    }
}

static bool is_configured(const mos_monitor *monitor, const char *cause, mos_arena *arena) {
    for (size_t i = 0; i < monitor->options.source_count; i++) {
        const struct mos_monitor_source *source = &monitor->options.sources[i];
        if (strcmp(cause, point_cause(source, arena)) == 0) {
            return true;
        }
        for (size_t j = 0; j < source->path_count; j++) {
            if (strcmp(cause, path_cause(source->paths[j], arena)) == 0) {
                return true;
            }
        }
    }
    return false;
}

// What was told of a source that is no longer configured is over: nobody looks at it any more.
static mos_status look_at_former(mos_monitor *monitor, mos_catalog_session *session, struct mos_findings *findings,
                                 struct mos_error *error) {
    static const char *const prefixes[] = {"rpo:", "source:"};
    mos_status status = MOS_OK;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]) && status == MOS_OK; i++) {
        struct mos_alert *alerts;
        size_t count = 0;
        status = mos_catalog_open_alerts(session, prefixes[i], AT_ONCE, findings->arena, &alerts, &count, error);
        for (size_t j = 0; j < count; j++) {
            if (!is_configured(monitor, alerts[j].cause, findings->arena)) {
                mos_findings_gone(findings, alerts[j].cause);
            }
        }
    }
    return status;
}

static mos_status put_began(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_put_fact(session, began_name, argument, error);
}

// Since when this catalog is looked after: a source without any backup is not late on the first day.
static mos_status began(mos_monitor *monitor, mos_arena *arena, int64_t *out_unix_ns, struct mos_error *error) {
    const char *text = "";
    mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(monitor->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_get_fact(session, began_name, arena, &text, error);
        mos_catalog_read_end(session);
    }
    if (status == MOS_OK && !mos_time_parse(text, out_unix_ns)) {
        char now[MOS_TIME_TEXT_BYTES];
        *out_unix_ns = mos_now_unix_ns();
        mos_time_format(*out_unix_ns, now);
        status = mos_catalog_write(monitor->catalog, put_began, now, error);
    }
    return status;
}

mos_status mos_monitor_look_at_sources(mos_monitor *monitor, struct mos_findings *findings, struct mos_error *error) {
    int64_t began_unix_ns = 0;
    mos_status status = began(monitor, findings->arena, &began_unix_ns, error);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    if (status == MOS_OK) {
        status = mos_catalog_read_begin(monitor->catalog, &session, error);
    }
    for (size_t i = 0; i < monitor->options.source_count && status == MOS_OK; i++) {
        look_at_paths(&monitor->options.sources[i], findings);
        status = look_at_point(monitor, session, &monitor->options.sources[i], began_unix_ns, findings, error);
    }
    return status == MOS_OK ? look_at_former(monitor, session, findings, error) : status;
}

// ---- Retention ----

static void note_id(struct mos_buffer *ids, int64_t *count, const char *id) {
    if (++*count <= IDS_TOLD) {
        mos_buffer_printf(ids, "%s%s", ids->size_bytes > 0 ? "," : "", id);
    }
}

// As it is now, and not as it was when the walk came to it: a deletion takes the manifest away before the row.
static bool is_deleted(mos_monitor *monitor, const char *id) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup;
    struct mos_job *jobs;
    size_t count = 0;
    if (mos_catalog_read_begin(monitor->catalog, &session, NULL) != MOS_OK) {
        return false;
    }
    mos_status status = mos_catalog_get_backup(session, id, arena, &backup, NULL);
    if (status != MOS_OK || mos_catalog_active_jobs(session, id, arena, &jobs, &count, NULL) != MOS_OK) {
        return status == MOS_NOT_FOUND;
    }
    bool deleted = false;
    for (size_t i = 0; i < count; i++) {
        deleted = deleted || jobs[i].kind == MOS_JOB_DELETE;
    }
    return deleted;
}

static void judge_kept(mos_monitor *monitor, const struct mos_kept *kept, int64_t now) {
    struct stat found;
    bool gone = lstat(kept->encrypted_location, &found) != 0 && errno == ENOENT;
    // Only retention knows what stays past its days, for a hold, a rule, a quarantine or as the last of its source: what it has let go is
    // late.
    bool late =
        kept->status == MOS_BACKUP_EXPIRED && (now - kept->created_at_unix_ns) / DAY_NS >= (int64_t)kept->retention_days + GRACE_DAYS;
    if ((!gone && !late) || is_deleted(monitor, kept->id)) {
        return;
    }
    if (gone) {
        note_id(&monitor->walk_gone_ids, &monitor->walk_gone, kept->id);
    } else {
        note_id(&monitor->walk_late_ids, &monitor->walk_late, kept->id);
    }
}

static void tell_walk(mos_monitor *monitor, struct mos_findings *findings) {
    mos_arena *arena = findings->arena;
    struct {
        const char *cause;
        int64_t count;
        struct mos_buffer *ids;
        enum mos_alert_severity severity;
        const char *what;
    } results[] = {
        {"retention:gone", monitor->walk_gone, &monitor->walk_gone_ids, MOS_SEVERITY_CRITICAL, "gone from the repository before its time"},
        {"retention:late", monitor->walk_late, &monitor->walk_late_ids, MOS_SEVERITY_WARNING, "still there after its retention is over"}};
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        if (results[i].count == 0) {
            mos_findings_gone(findings, results[i].cause);
        } else {
            struct mos_alert_detail *detail = mos_arena_alloc(arena, sizeof(*detail));
            *detail = (struct mos_alert_detail){"backupIds", mos_arena_strdup(arena, mos_buffer_text(results[i].ids))};
            mos_findings_raise(
                findings,
                &(struct mos_alert_cause){.type = MOS_ALERT_RETENTION_VIOLATION,
                                          .severity = results[i].severity,
                                          .cause = results[i].cause,
                                          .message = mos_arena_printf(arena, "%lld %s %s", (long long)results[i].count,
                                                                      results[i].count == 1 ? "backup is" : "backups are", results[i].what),
                                          .details = detail,
                                          .detail_count = 1});
        }
        mos_buffer_clear(results[i].ids);
    }
    monitor->walk_gone = monitor->walk_late = 0;
    monitor->walk_created_at_unix_ns = 0;
    monitor->walk_id[0] = 0;
}

// Some backups a cycle, from the oldest to the newest and round again.
mos_status mos_monitor_walk_backups(mos_monitor *monitor, struct mos_findings *findings, struct mos_error *error) {
    struct mos_kept *kept;
    size_t count = 0;
    int64_t now = mos_now_unix_ns();
    mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(monitor->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_kept_backups(session, monitor->walk_created_at_unix_ns, monitor->walk_id, AT_ONCE, findings->arena, &kept,
                                          &count, error);
        mos_catalog_read_end(session);
    }
    if (status != MOS_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        judge_kept(monitor, &kept[i], now);
    }
    if (count < AT_ONCE) {
        tell_walk(monitor, findings);
    } else {
        monitor->walk_created_at_unix_ns = kept[count - 1].created_at_unix_ns;
        snprintf(monitor->walk_id, sizeof(monitor->walk_id), "%s", kept[count - 1].id);
    }
    return MOS_OK;
}

// ---- Old backups ----

mos_status mos_monitor_verify_old(mos_monitor *monitor, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_monitor_options *options = &monitor->options;
    int64_t now = mos_now_unix_ns();
    int64_t distance = options->verify_a_day > 0 ? DAY_NS / options->verify_a_day : 0;
    bool set_back = monitor->next_verification_unix_ns > now + distance;
    if (!monitor->queue || distance == 0 || (now < monitor->next_verification_unix_ns && !set_back)) {
        return MOS_OK;
    }
    monitor->next_verification_unix_ns = now + distance;
    const char *id = "";
    mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(monitor->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_longest_unverified(session, now - options->verify_older_ns, arena, &id, error);
        mos_catalog_read_end(session);
    }
    if (status != MOS_OK || !*id) {
        return status;
    }
    char job_id[MOS_ID_TEXT_BYTES];
    status = mos_queue_verify(monitor->queue, id, "system", job_id, error);
    // Deleted, or being deleted, since it was found.
    return status == MOS_NOT_FOUND || status == MOS_FAILED_PRECONDITION ? MOS_OK : status;
}
