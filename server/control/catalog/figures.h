// Counts and sums over the catalog, for metrics and analytics.
#ifndef MOS_CONTROL_CATALOG_FIGURES_H
#define MOS_CONTROL_CATALOG_FIGURES_H

#include <stddef.h>

#include "control/catalog/catalog.h"
#include "control/catalog/words.h"

struct mos_job_figure {
    enum mos_job_kind kind;
    enum mos_job_status status;
    int64_t count;
    // Of all of them together, from start to end.
    int64_t duration_ns;
};
struct mos_backup_figure {
    enum mos_backup_type type;
    enum mos_backup_status status;
    int64_t count;
    int64_t size_bytes;
    int64_t encrypted_size_bytes;
};
// 64 rows at most; the arrays live in the arena.
mos_status mos_catalog_job_figures(mos_catalog_session *session, mos_arena *arena, struct mos_job_figure **out, size_t *out_count,
                                   struct mos_error *error);
mos_status mos_catalog_backup_figures(mos_catalog_session *session, mos_arena *arena, struct mos_backup_figure **out, size_t *out_count,
                                      struct mos_error *error);
// Open ones, by severity.
mos_status mos_catalog_alert_figures(mos_catalog_session *session, int64_t out_counts[MOS_SEVERITY_CRITICAL + 1], struct mos_error *error);
struct mos_catalog_size {
    int64_t bytes;
    // Of those: not in use.
    int64_t free_bytes;
    // Not yet folded back into the file.
    int64_t log_bytes;
};
mos_status mos_catalog_measure(mos_catalog_session *session, struct mos_catalog_size *out, struct mos_error *error);

// A backup as analytics see it.
struct mos_backup_glance {
    enum mos_backup_type type;
    enum mos_backup_status status;
    int64_t created_at_unix_ns;
    int64_t size_bytes;
    bool good;
    struct mos_blob facts;
};
// Calls `visit` for all that were created from `from` on and before `to`, of a type (0: any), oldest first. What it is given lives until it
// returns.
mos_status mos_catalog_glance_at_backups(mos_catalog_session *session, int64_t from_unix_ns, int64_t to_unix_ns, enum mos_backup_type type,
                                         void (*visit)(const struct mos_backup_glance *backup, void *argument), void *argument,
                                         struct mos_error *error);

#endif
