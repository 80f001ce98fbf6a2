// Whether there is room for what is to come: now, and by the growth of the last two weeks.
#include <errno.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/text.h"
#include "control/alert/monitor_internal.h"
#include "control/catalog/health.h"
#include "control/catalog/retention.h"

#define HOUR_NS (3600 * MOS_NS_PER_SECOND)
#define DAY_NS (24 * HOUR_NS)

// A day's samples at least, or the line is drawn through noise.
enum { WINDOW_DAYS = 14, KEEP_DAYS = 90, LEAST_SAMPLES = 24, LEAST_DAYS = 1, FARTHEST_DAYS = 3650, CRITICAL_PERCENT = 2 };

static const char cause[] = "storage";

// ---- The size of the repository ----

static int64_t size_of_tree(const char *path) {
    char *const roots[] = {(char *)path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    int64_t size_bytes = 0;
    for (FTSENT *entry = walk ? fts_read(walk) : NULL; entry; entry = fts_read(walk)) {
        size_bytes += entry->fts_info == FTS_F ? entry->fts_statp->st_size : 0;
    }
    if (walk) {
        fts_close(walk);
    }
    return size_bytes;
}

int64_t mos_monitor_repository_bytes(mos_monitor *monitor) {
    enum { SHARE = 100 };
    pthread_mutex_lock(&monitor->size_mutex);
    int64_t begun_ns = mos_now_monotonic_ns();
    int64_t event = mos_catalog_last_event(monitor->catalog);
    if (event != monitor->size_event && begun_ns >= monitor->size_again_at_ns) {
        monitor->size_bytes = size_of_tree(monitor->options.repository);
        monitor->size_event = event;
        int64_t end_ns = mos_now_monotonic_ns();
        monitor->size_again_at_ns = end_ns + SHARE * (end_ns - begun_ns);
    }
    int64_t size_bytes = monitor->size_bytes;
    pthread_mutex_unlock(&monitor->size_mutex);
    return size_bytes;
}

// ---- The forecast ----

int64_t mos_monitor_full_at(const mos_monitor *monitor) {
    return atomic_load(&monitor->full_at_unix_ns);
}

// Least squares over time and bytes used; from the first sample on, so that the numbers keep their digits.
static double growth_per_ns(const struct mos_storage_sample *samples, size_t count) {
    double sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
    for (size_t i = 0; i < count; i++) {
        double x = (double)(samples[i].time_unix_ns - samples[0].time_unix_ns);
        double y = (double)(samples[i].used_bytes - samples[0].used_bytes);
        sum_x += x;
        sum_y += y;
        sum_xx += x * x;
        sum_xy += x * y;
    }
    double n = (double)count;
    double divisor = n * sum_xx - sum_x * sum_x;
    return divisor > 0 ? (n * sum_xy - sum_x * sum_y) / divisor : 0;
}

static int64_t forecast(const struct mos_storage_sample *samples, size_t count, int64_t free_bytes, int64_t now_unix_ns) {
    if (count < LEAST_SAMPLES || samples[count - 1].time_unix_ns - samples[0].time_unix_ns < LEAST_DAYS * DAY_NS) {
        return 0;
    }
    double growth = growth_per_ns(samples, count);
    double left_ns = growth > 0 ? (double)free_bytes / growth : 0;
    return left_ns > 0 && left_ns < (double)FARTHEST_DAYS * (double)DAY_NS ? now_unix_ns + (int64_t)left_ns : 0;
}

static mos_status add_sample(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct mos_storage_sample *sample = argument;
    return mos_catalog_add_storage_sample(session, sample, sample->time_unix_ns - KEEP_DAYS * DAY_NS, error);
}

// One sample an hour, and the time when all is full by those there are.
static mos_status look_ahead(mos_monitor *monitor, int64_t used_bytes, int64_t free_bytes, mos_arena *arena, int64_t *out_full_at,
                             struct mos_error *error) {
    enum { MOST = WINDOW_DAYS * 24 * 2 };
    int64_t now = mos_now_unix_ns();
    struct mos_storage_sample *samples;
    size_t count = 0;
    mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(monitor->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_storage_samples(session, now - WINDOW_DAYS * DAY_NS, MOST, arena, &samples, &count, error);
        mos_catalog_read_end(session);
    }
    // A sample from a time that is still to come is of a clock that was ahead, and goes when one is added.
    int64_t last = count > 0 ? samples[count - 1].time_unix_ns : 0;
    if (status == MOS_OK && (now - last >= HOUR_NS || last > now) && !mos_catalog_clock_is_ahead(monitor->catalog)) {
        struct mos_storage_sample sample = {now, used_bytes, free_bytes};
        status = mos_catalog_write(monitor->catalog, add_sample, &sample, error);
    }
    *out_full_at = status == MOS_OK ? forecast(samples, count, free_bytes, now) : 0;
    return status;
}

mos_status mos_monitor_look_at_storage(mos_monitor *monitor, struct mos_findings *findings, struct mos_error *error) {
    struct statvfs space;
    mos_arena *arena = findings->arena;
    const struct mos_monitor_options *options = &monitor->options;
    if (statvfs(options->repository, &space) != 0) {
        const char *message = mos_arena_printf(arena, "the repository %s cannot be looked at: %s", options->repository, strerror(errno));
        mos_findings_raise(
            findings, &(struct mos_alert_cause){
                          .type = MOS_ALERT_BACKUP_FAILED, .severity = MOS_SEVERITY_CRITICAL, .cause = "repository", .message = message});
        return MOS_OK;
    }
    mos_findings_gone(findings, "repository");
    int64_t block = (int64_t)space.f_frsize;
    int64_t free_bytes = (int64_t)space.f_bavail * block;
    int64_t used_bytes = (int64_t)(space.f_blocks - space.f_bfree) * block;
    // What ordinary users may fill, as df counts.
    int64_t all_bytes = free_bytes + used_bytes;
    int64_t percent = all_bytes > 0 ? free_bytes * 100 / all_bytes : 100;
    int64_t full_at = 0;
    mos_status status = look_ahead(monitor, used_bytes, free_bytes, arena, &full_at, error);
    atomic_store(&monitor->full_at_unix_ns, full_at);
    bool soon = full_at && full_at - mos_now_unix_ns() < options->full_days * DAY_NS;
    bool low = percent < options->free_percent;
    if (!soon && !low) {
        mos_findings_gone(findings, cause);
        return status;
    }
    char size[MOS_SIZE_TEXT_BYTES], day[MOS_TIME_TEXT_BYTES] = "";
    mos_size_format(free_bytes, size);
    mos_time_format(full_at, day);
    struct mos_alert_detail *details = mos_arena_array(arena, struct mos_alert_detail, 3);
    details[0] = (struct mos_alert_detail){"repository", options->repository};
    details[1] = (struct mos_alert_detail){"freeBytes", mos_arena_printf(arena, "%lld", (long long)free_bytes)};
    details[2] = (struct mos_alert_detail){"fullAt", mos_arena_strdup(arena, day)};
    const struct mos_alert_cause found = {
        .type = MOS_ALERT_STORAGE_FULL,
        .severity = percent < CRITICAL_PERCENT ? MOS_SEVERITY_CRITICAL
                    : low                      ? MOS_SEVERITY_ERROR
                                               : MOS_SEVERITY_WARNING,
        .cause = cause,
        .message = soon ? mos_arena_printf(arena, "%s (%lld%%) are free for the repository; at the present growth it is full on %.10s",
                                           size, (long long)percent, day)
                        : mos_arena_printf(arena, "only %s (%lld%%) are free for the repository", size, (long long)percent),
        .details = details,
        .detail_count = full_at ? 3 : 2};
    mos_findings_raise(findings, &found);
    return status;
}
