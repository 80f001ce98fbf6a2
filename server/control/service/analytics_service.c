// BackupService: analytics.
#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/clock.h"
#include "control/catalog/figures.h"
#include "control/job/facts.h"
#include "control/service/internal.h"

#define DAY_NS (86400 * MOS_NS_PER_SECOND)

enum { DEFAULT_DAYS = 30, MOST_DAYS = 3660, TYPES = MOS_BACKUP_CONFIGURATION + 1 };

// Sums over some backups.
struct sums {
    int64_t backups, succeeded, failed;
    int64_t size_bytes, new_bytes, written_bytes;
    int64_t measured;
    double seconds;
};

struct analysis {
    int64_t first_day;
    size_t day_count;
    struct sums all, types[TYPES];
    struct sums *days;
    int64_t newest_good[TYPES];
    // Of the line through durations over time: days since the first, seconds.
    double sum_x, sum_y, sum_xx, sum_xy;
};

static void add(struct sums *sums, const struct mos_backup_glance *backup, const Mosaajii__Engine__V1__Statistics *statistics) {
    sums->backups++;
    sums->succeeded += backup->good;
    sums->failed += backup->status == MOS_BACKUP_FAILED;
    if (!statistics) {
        return;
    }
    sums->size_bytes += statistics->size;
    sums->new_bytes += statistics->bytes_new;
    sums->written_bytes += statistics->bytes_written;
    sums->seconds += (double)statistics->duration_ms / 1000;
    sums->measured++;
}

static void glance(const struct mos_backup_glance *backup, void *argument) {
    struct analysis *analysis = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__BackupInfo *info = mos_backup_info(&backup->facts, arena);
    const Mosaajii__Engine__V1__Statistics *statistics = info ? info->statistics : NULL;
    int64_t day = backup->created_at_unix_ns / DAY_NS - analysis->first_day;
    add(&analysis->all, backup, statistics);
    add(&analysis->types[backup->type], backup, statistics);
    if (day >= 0 && (size_t)day < analysis->day_count) {
        add(&analysis->days[day], backup, statistics);
    }
    if (backup->good) {
        analysis->newest_good[backup->type] = backup->created_at_unix_ns;
    }
    if (statistics) {
        double x = (double)(backup->created_at_unix_ns - analysis->first_day * DAY_NS) / (double)DAY_NS;
        double y = (double)statistics->duration_ms / 1000;
        analysis->sum_x += x;
        analysis->sum_y += y;
        analysis->sum_xx += x * x;
        analysis->sum_xy += x * y;
    }
}

// What is still at work, or was called off, is no success and no failure.
static double rate_of(const struct sums *sums) {
    int64_t ended = sums->succeeded + sums->failed;
    return ended > 0 ? 100.0 * (double)sums->succeeded / (double)ended : 0;
}

static double ratio_of(int64_t above, int64_t below) {
    return below > 0 ? (double)above / (double)below : 0;
}

static double average_of(const struct sums *sums) {
    return sums->measured > 0 ? sums->seconds / (double)sums->measured : 0;
}

static double trend_of(const struct analysis *analysis) {
    double n = (double)analysis->all.measured;
    double divisor = n * analysis->sum_xx - analysis->sum_x * analysis->sum_x;
    // Of backups of one moment there is no trend, but for the rounding.
    return divisor > 1e-9 * n * analysis->sum_xx ? (n * analysis->sum_xy - analysis->sum_x * analysis->sum_y) / divisor : 0;
}

static bool make_points(mos_arena *arena, const struct analysis *analysis, Mosaajii__Backup__V1__Analytics *out) {
    size_t count = analysis->day_count;
    Mosaajii__Backup__V1__AnalyticsPoint *points = mos_arena_array(arena, Mosaajii__Backup__V1__AnalyticsPoint, count);
    out->points = mos_arena_array(arena, Mosaajii__Backup__V1__AnalyticsPoint *, count);
    for (size_t i = 0; i < count; i++) {
        const struct sums *day = &analysis->days[i];
        if (!points || !out->points) {
            return false;
        }
        Mosaajii__Backup__V1__AnalyticsPoint *point = &points[i];
        mosaajii__backup__v1__analytics_point__init(point);
        if (!mos_make_time(arena, (analysis->first_day + (int64_t)i) * DAY_NS, &point->day)) {
            return false;
        }
        point->backups = day->backups;
        point->failed = day->failed;
        point->bytes_protected = day->size_bytes;
        point->bytes_written = day->written_bytes;
        point->average_duration_seconds = average_of(day);
        out->points[out->n_points++] = point;
    }
    return true;
}

// By what was configured for the type; of types that take everything, by their own word.
static const char *name_of(struct mos_services *services, enum mos_backup_type type) {
    size_t count;
    const struct mos_monitor_source *sources = mos_watch_sources(services->watch, &count);
    for (size_t i = 0; i < count; i++) {
        if (sources[i].type == type) {
            return sources[i].name;
        }
    }
    return mos_backup_type_word(type);
}

static bool make_sources(struct mos_services *services, mos_arena *arena, const struct analysis *analysis,
                         Mosaajii__Backup__V1__Analytics *out) {
    Mosaajii__Backup__V1__SourceAnalytics *sources = mos_arena_array(arena, Mosaajii__Backup__V1__SourceAnalytics, TYPES);
    out->sources = mos_arena_array(arena, Mosaajii__Backup__V1__SourceAnalytics *, TYPES);
    for (int type = MOS_BACKUP_FULL; type < TYPES; type++) {
        const struct sums *sums = &analysis->types[type];
        if (!sources || !out->sources) {
            return false;
        }
        if (sums->backups == 0) {
            continue;
        }
        Mosaajii__Backup__V1__SourceAnalytics *source = &sources[type];
        mosaajii__backup__v1__source_analytics__init(source);
        source->source = (char *)name_of(services, (enum mos_backup_type)type);
        source->backups = sums->backups;
        source->success_rate = rate_of(sums);
        source->bytes_protected = sums->size_bytes;
        if (!mos_make_time(arena, analysis->newest_good[type], &source->newest_good_backup_at)) {
            return false;
        }
        out->sources[out->n_sources++] = source;
    }
    return true;
}

BACKUP_HANDLER(get_analytics, GetAnalyticsRequest, Analytics) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    int64_t from = 0, to = 0;
    mos_status status = mos_check_time("from", request->from, &from, error);
    if (status == MOS_OK) {
        status = mos_check_time("to", request->to, &to, error);
    }
    if (status == MOS_OK) {
        status = mos_check_enum("type", (int)request->type, MOS_BACKUP_CONFIGURATION, true,
                                "FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION", error);
    }
    to = to ? to : mos_now_unix_ns();
    from = from ? from : to - DEFAULT_DAYS * DAY_NS;
    if (status == MOS_OK && (from >= to || (to - from) / DAY_NS > MOST_DAYS)) {
        status = mos_fail_field(error, "from", "from must lie before to, and at most %d days", MOST_DAYS);
    }
    if (status != MOS_OK) {
        return status;
    }
    struct analysis analysis = {.first_day = from / DAY_NS, .day_count = (size_t)((to - 1) / DAY_NS - from / DAY_NS + 1)};
    analysis.days = mos_arena_array(arena, struct sums, analysis.day_count);
    if (!analysis.days) {
        return mos_fail_memory(call);
    }
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    status = mos_catalog_read_begin(services->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_glance_at_backups(session, from, to, (enum mos_backup_type)request->type, glance, &analysis, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    response->backups = analysis.all.backups;
    response->succeeded = analysis.all.succeeded;
    response->failed = analysis.all.failed;
    response->success_rate = rate_of(&analysis.all);
    response->bytes_protected = analysis.all.size_bytes;
    response->bytes_stored = analysis.all.written_bytes;
    response->dedup_ratio = ratio_of(analysis.all.size_bytes, analysis.all.new_bytes);
    response->compression_ratio = ratio_of(analysis.all.new_bytes, analysis.all.written_bytes);
    response->average_duration_seconds = average_of(&analysis.all);
    response->duration_trend = trend_of(&analysis);
    return make_points(arena, &analysis, response) && make_sources(services, arena, &analysis, response) ? MOS_OK : mos_fail_memory(call);
}
