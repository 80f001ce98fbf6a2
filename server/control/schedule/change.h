// What becomes of runs and alerts when a schedule is changed or removed.
#ifndef MOS_CONTROL_SCHEDULE_CHANGE_H
#define MOS_CONTROL_SCHEDULE_CHANGE_H

#include "control/catalog/schedules.h"

// Puts `after` in the place of `before`, as part of a change of the catalog. A run that was due but has not started yet, as in a blackout,
// is still to come where the times are the same; where they are others it is recorded as skipped, and runs are due from now on.
// `after` gets the time until which it is accounted for.
mos_status mos_schedule_change_in(mos_catalog_session *session, const struct mos_schedule *before, struct mos_schedule *after,
                                  int64_t now_unix_ns, struct mos_error *error);
// With what was open about it: nobody could end that any more.
mos_status mos_schedule_remove_in(mos_catalog_session *session, const char *id, struct mos_error *error);
// The cause of alerts about its runs.
const char *mos_schedule_alert_cause(const char *id, mos_arena *arena);

#endif
