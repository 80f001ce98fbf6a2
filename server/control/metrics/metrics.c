#include "control/metrics/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "common/clock.h"
#include "control/catalog/deliveries.h"
#include "control/catalog/figures.h"
#include "control/catalog/jobs.h"
#include "control/metrics/metrics_internal.h"

mos_metrics *mos_metrics_create(mos_catalog *catalog, const mos_watch *watch, const char *repository) {
    mos_metrics *metrics = mos_calloc(1, sizeof(*metrics));
    metrics->catalog = catalog;
    metrics->watch = watch;
    metrics->repository = repository;
    metrics->started_at_unix_ns = mos_now_unix_ns();
    pthread_mutex_init(&metrics->mutex, NULL);
    return metrics;
}

void mos_metrics_destroy(mos_metrics *metrics) {
    if (!metrics) {
        return;
    }
    mos_metrics_stop(metrics);
    for (size_t i = 0; i < MOS_METRICS_METHODS; i++) {
        free((void *)(uintptr_t)metrics->methods[i].path);
    }
    pthread_mutex_destroy(&metrics->mutex);
    free(metrics);
}

void mos_metrics_collect(mos_metrics *metrics, mos_metrics_collector collector, void *context) {
    if (metrics->collector_count < MOS_METRICS_COLLECTORS) {
        metrics->collectors[metrics->collector_count].collector = collector;
        metrics->collectors[metrics->collector_count++].context = context;
    }
}

static double seconds_of(int64_t ns) {
    return (double)ns / (double)MOS_NS_PER_SECOND;
}

static void head(struct mos_buffer *out, const char *name, const char *type, const char *help) {
    mos_buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct mos_buffer *out, const char *name, const char *help, double value) {
    head(out, name, "gauge", help);
    mos_buffer_printf(out, "%s %.17g\n", name, value);
}

// ---- Jobs ----

static mos_status write_jobs(mos_catalog_session *session, mos_arena *arena, struct mos_buffer *out, struct mos_error *error) {
    struct mos_job_figure *figures;
    struct mos_job *active;
    size_t count = 0, active_count = 0, running = 0;
    mos_status status = mos_catalog_job_figures(session, arena, &figures, &count, error);
    if (status == MOS_OK) {
        status = mos_catalog_active_jobs(session, NULL, arena, &active, &active_count, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    head(out, "mosaajii_jobs_total", "counter", "Jobs that have ended.");
    for (size_t i = 0; i < count; i++) {
        if (figures[i].status >= MOS_JOB_SUCCEEDED) {
            mos_buffer_printf(out, "mosaajii_jobs_total{kind=\"%s\",status=\"%s\"} %" PRId64 "\n", mos_job_kind_word(figures[i].kind),
                              mos_job_status_word(figures[i].status), figures[i].count);
        }
    }
    head(out, "mosaajii_job_duration_seconds_total", "counter", "Time that ended jobs took, from start to end.");
    for (size_t i = 0; i < count; i++) {
        if (figures[i].status >= MOS_JOB_SUCCEEDED) {
            mos_buffer_printf(out, "mosaajii_job_duration_seconds_total{kind=\"%s\",status=\"%s\"} %.9g\n",
                              mos_job_kind_word(figures[i].kind), mos_job_status_word(figures[i].status),
                              seconds_of(figures[i].duration_ns));
        }
    }
    int64_t oldest = 0;
    for (size_t i = 0; i < active_count; i++) {
        running += active[i].status == MOS_JOB_RUNNING;
        if (active[i].status == MOS_JOB_PENDING && (oldest == 0 || active[i].created_at_unix_ns < oldest)) {
            oldest = active[i].created_at_unix_ns;
        }
    }
    gauge(out, "mosaajii_jobs_running", "Jobs at work.", (double)running);
    gauge(out, "mosaajii_jobs_waiting", "Jobs that wait for their turn.", (double)(active_count - running));
    gauge(out, "mosaajii_queue_oldest_waiting_seconds", "How long the first job in the queue has waited.",
          oldest ? seconds_of(mos_now_unix_ns() - oldest) : 0);
    return MOS_OK;
}

// ---- Backups ----

static void write_backup_rows(struct mos_buffer *out, const struct mos_backup_figure *figures, size_t count, const char *name,
                              int64_t (*value)(const struct mos_backup_figure *)) {
    for (size_t i = 0; i < count; i++) {
        mos_buffer_printf(out, "%s{type=\"%s\",status=\"%s\"} %" PRId64 "\n", name, mos_backup_type_word(figures[i].type),
                          mos_backup_status_word(figures[i].status), value(&figures[i]));
    }
}

static int64_t count_of(const struct mos_backup_figure *figure) {
    return figure->count;
}

static int64_t size_of(const struct mos_backup_figure *figure) {
    return figure->size_bytes;
}

static mos_status write_points(mos_metrics *metrics, mos_catalog_session *session, mos_arena *arena, struct mos_buffer *out,
                               struct mos_error *error) {
    size_t count;
    const struct mos_monitor_source *sources = mos_watch_sources(metrics->watch, &count);
    const mos_monitor *monitor = mos_watch_monitor(metrics->watch);
    mos_status status = MOS_OK;
    head(out, "mosaajii_newest_good_backup_timestamp_seconds", "gauge",
         "When the newest good backup of a source was taken; 0: there is none.");
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        int64_t newest = 0;
        const char *id;
        status = mos_monitor_newest_good(session, sources[i].type, arena, &newest, &id, error);
        mos_buffer_printf(out, "mosaajii_newest_good_backup_timestamp_seconds{source=\"%s\"} %.3f\n", mos_backup_type_word(sources[i].type),
                          seconds_of(newest));
    }
    head(out, "mosaajii_recovery_point_objective_seconds", "gauge", "How old it may be; 0: nothing says.");
    for (size_t i = 0; i < count; i++) {
        mos_buffer_printf(out, "mosaajii_recovery_point_objective_seconds{source=\"%s\"} %" PRId64 "\n",
                          mos_backup_type_word(sources[i].type), 60 * mos_monitor_objective(monitor, session, sources[i].type));
    }
    return status;
}

static mos_status write_backups(mos_metrics *metrics, mos_catalog_session *session, mos_arena *arena, struct mos_buffer *out,
                                struct mos_error *error) {
    struct mos_backup_figure *figures;
    size_t count = 0;
    mos_status status = mos_catalog_backup_figures(session, arena, &figures, &count, error);
    if (status != MOS_OK) {
        return status;
    }
    head(out, "mosaajii_backups", "gauge", "Backups in the catalog.");
    write_backup_rows(out, figures, count, "mosaajii_backups", count_of);
    head(out, "mosaajii_backups_bytes", "gauge", "What they hold, plain and before deduplication.");
    write_backup_rows(out, figures, count, "mosaajii_backups_bytes", size_of);
    return write_points(metrics, session, arena, out, error);
}

// ---- Storage, alerts, catalog ----

static void write_storage(mos_metrics *metrics, struct mos_buffer *out) {
    struct statvfs space;
    mos_monitor *monitor = mos_watch_monitor(metrics->watch);
    gauge(out, "mosaajii_repository_bytes", "Size of the repository's files.", (double)mos_monitor_repository_bytes(monitor));
    if (statvfs(metrics->repository, &space) == 0) {
        gauge(out, "mosaajii_repository_free_bytes", "Free on its file system.", (double)space.f_bavail * (double)space.f_frsize);
        gauge(out, "mosaajii_repository_capacity_bytes", "Size of its file system.", (double)space.f_blocks * (double)space.f_frsize);
    }
    gauge(out, "mosaajii_repository_full_timestamp_seconds", "When it is full at the present growth; 0: cannot be told.",
          seconds_of(mos_monitor_full_at(monitor)));
}

static mos_status write_alerts(mos_catalog_session *session, struct mos_buffer *out, struct mos_error *error) {
    int64_t counts[MOS_SEVERITY_CRITICAL + 1], waiting = 0, given_up = 0;
    mos_status status = mos_catalog_alert_figures(session, counts, error);
    if (status == MOS_OK) {
        status = mos_catalog_count_deliveries(session, &waiting, &given_up, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    head(out, "mosaajii_alerts_open", "gauge", "Alerts whose cause persists.");
    for (int severity = MOS_SEVERITY_INFO; severity <= MOS_SEVERITY_CRITICAL; severity++) {
        mos_buffer_printf(out, "mosaajii_alerts_open{severity=\"%s\"} %" PRId64 "\n", mos_alert_severity_word(severity), counts[severity]);
    }
    gauge(out, "mosaajii_alert_deliveries_waiting", "Messages that no receiver has taken yet.", (double)waiting);
    gauge(out, "mosaajii_alert_deliveries_given_up", "Messages of the last weeks that no receiver took.", (double)given_up);
    return MOS_OK;
}

static mos_status write_catalog(mos_catalog_session *session, struct mos_buffer *out, struct mos_error *error) {
    struct mos_catalog_size size;
    mos_status status = mos_catalog_measure(session, &size, error);
    if (status == MOS_OK) {
        gauge(out, "mosaajii_catalog_bytes", "Size of the catalog's SQLite file.", (double)size.bytes);
        gauge(out, "mosaajii_catalog_free_bytes", "Of that, not in use.", (double)size.free_bytes);
        gauge(out, "mosaajii_catalog_wal_bytes", "Size of its write-ahead log.", (double)size.log_bytes);
    }
    return status;
}

mos_status mos_metrics_write(mos_metrics *metrics, struct mos_buffer *out, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    // Before a view of the catalog is opened: it may take a while.
    write_storage(metrics, out);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(metrics->catalog, &session, error);
    if (status == MOS_OK) {
        status = write_jobs(session, arena, out, error);
    }
    if (status == MOS_OK) {
        status = write_backups(metrics, session, arena, out, error);
    }
    if (status == MOS_OK) {
        status = write_alerts(session, out, error);
    }
    if (status == MOS_OK) {
        status = write_catalog(session, out, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    head(out, "mosaajii_build_info", "gauge", "The version that runs.");
    mos_buffer_printf(out, "mosaajii_build_info{version=\"%s\"} 1\n", MOSAAJII_VERSION);
    gauge(out, "mosaajii_start_time_seconds", "When it was started.", seconds_of(metrics->started_at_unix_ns));
    mos_metrics_write_calls(metrics, out);
    for (size_t i = 0; i < metrics->collector_count; i++) {
        metrics->collectors[i].collector(out, metrics->collectors[i].context);
    }
    return MOS_OK;
}
