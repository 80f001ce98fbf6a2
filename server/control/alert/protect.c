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

// DELETION_MINUTES: retention comes round every hour.
enum { RUNS_LOOKED_AT = 9, LEAST_RUNS = 3, AT_ONCE = 500, IDS_TOLD = 20, GRACE_DAYS = 2, DELETION_MINUTES = 180 };

static const char began_name[] = "monitor.began";
static const char gone_cause[] = "retention:gone", late_cause[] = "retention:late";

// ---- Recovery points ----

static bool protects(enum mos_backup_type taken, enum mos_backup_type source) {
    bool all = taken == MOS_BACKUP_FULL || taken == MOS_BACKUP_INCREMENTAL || taken == MOS_BACKUP_DIFFERENTIAL;
    return all || taken == source;
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

static mos_status look_at_point(mos_monitor *monitor, mos_catalog_session *session, const struct mos_monitor_source *source,
                                int64_t began_unix_ns, struct mos_findings *findings, struct mos_error *error) {
    mos_arena *arena = findings->arena;
    const char *word = mos_backup_type_word(source->type);
    const char *cause = mos_arena_printf(arena, "rpo:%s", word);
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

static void look_at_paths(const struct mos_monitor_source *source, struct mos_findings *findings) {
    mos_arena *arena = findings->arena;
    for (size_t i = 0; i < source->path_count; i++) {
        struct stat found;
        const char *path = mos_arena_printf(arena, "%.3000s", source->paths[i]);
        const char *cause = mos_arena_printf(arena, "source:%s", path);
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
    return status;
}

// ---- Retention ----

static void note_id(struct mos_buffer *ids, int64_t number, const char *id) {
    if (number < IDS_TOLD) {
        mos_buffer_printf(ids, "%s%s", ids->size_bytes > 0 ? "," : "", id);
    }
}

static void tell_violation(struct mos_findings *findings, const char *cause, enum mos_alert_severity severity, int64_t count,
                           struct mos_buffer *ids, const char *what) {
    mos_arena *arena = findings->arena;
    struct mos_alert_detail *detail = mos_arena_alloc(arena, sizeof(*detail));
    *detail = (struct mos_alert_detail){"backupIds", mos_arena_strdup(arena, mos_buffer_text(ids))};
    mos_findings_raise(findings, &(struct mos_alert_cause){.type = MOS_ALERT_RETENTION_VIOLATION,
                                                           .severity = severity,
                                                           .cause = cause,
                                                           .message = mos_arena_printf(arena, "%lld %s %s", (long long)count,
                                                                                       count == 1 ? "backup is" : "backups are", what),
                                                           .details = detail,
                                                           .detail_count = 1});
}

static void end_walk(mos_monitor *monitor, struct mos_findings *findings) {
    if (monitor->walk_gone == 0) {
        mos_findings_gone(findings, gone_cause);
    } else {
        tell_violation(findings, gone_cause, MOS_SEVERITY_CRITICAL, monitor->walk_gone, &monitor->walk_gone_ids,
                       "gone from the repository too early");
    }
    mos_buffer_clear(&monitor->walk_gone_ids);
    monitor->walk_gone = 0;
    monitor->walk_created_at_unix_ns = 0;
    monitor->walk_id[0] = 0;
}

// Some backups a cycle, from the oldest to the newest and round again.
mos_status mos_monitor_walk_backups(mos_monitor *monitor, struct mos_findings *findings, struct mos_error *error) {
    struct mos_kept *kept;
    size_t count = 0;
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(monitor->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_kept_backups(session, monitor->walk_created_at_unix_ns, monitor->walk_id, AT_ONCE, findings->arena, &kept,
                                          &count, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        struct stat found;
        if (lstat(kept[i].encrypted_location, &found) != 0 && errno == ENOENT) {
            note_id(&monitor->walk_gone_ids, monitor->walk_gone++, kept[i].id);
        }
    }
    if (count < AT_ONCE) {
        end_walk(monitor, findings);
    } else {
        monitor->walk_created_at_unix_ns = kept[count - 1].created_at_unix_ns;
        snprintf(monitor->walk_id, sizeof(monitor->walk_id), "%s", kept[count - 1].id);
    }
    return MOS_OK;
}

// Whenever a walk is over, for it reads all backups. What retention lets go is deleted within the next hours: what it let go days ago is
// overdue. A hold or a quarantine that is lifted lets go at once what is old for long, and a server that was off comes back to much of
// that: so it is told only when look after look has found some for as long as a deletion may take.
mos_status mos_monitor_look_at_retention(mos_monitor *monitor, struct mos_findings *findings, struct mos_error *error) {
    const struct mos_monitor_retention *retention = &monitor->options.retention;
    int64_t now = mos_now_unix_ns();
    const char **ids;
    size_t count = 0;
    if (!retention->overdue || *monitor->walk_id) {
        return MOS_OK;
    }
    mos_status status = retention->overdue(retention->context, now - GRACE_DAYS * DAY_NS, findings->arena, &ids, &count, error);
    if (status != MOS_OK) {
        return status;
    }
    if (count == 0) {
        monitor->overdue_since_unix_ns = 0;
        mos_findings_gone(findings, late_cause);
        return MOS_OK;
    }
    // A clock that was set back begins anew.
    if (monitor->overdue_since_unix_ns == 0 || monitor->overdue_since_unix_ns > now) {
        monitor->overdue_since_unix_ns = now;
    }
    if (now - monitor->overdue_since_unix_ns >= DELETION_MINUTES * MINUTE_NS) {
        MOS_CLEANUP_BUFFER struct mos_buffer told = MOS_BUFFER_INIT(0);
        for (size_t i = 0; i < count; i++) {
            note_id(&told, (int64_t)i, ids[i]);
        }
        tell_violation(findings, late_cause, MOS_SEVERITY_WARNING, (int64_t)count, &told, "still there after the end of retention");
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
