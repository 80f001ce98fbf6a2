// The columns of a progress, which jobs and events have in common. Private to the catalog.
#ifndef MOS_CONTROL_CATALOG_PROGRESS_H
#define MOS_CONTROL_CATALOG_PROGRESS_H

#include "control/catalog/jobs.h"
#include "control/catalog/sql.h"

#define MOS_PROGRESS_COLUMNS "phase, files_done, files_total, bytes_done, bytes_total, bytes_per_second, seconds_left, current"

void mos_progress_bind(struct mos_sql *sql, const struct mos_progress *progress);
void mos_progress_take(struct mos_sql *sql, mos_arena *arena, struct mos_progress *out);

#endif
