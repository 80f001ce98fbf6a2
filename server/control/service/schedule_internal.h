// Private to the services: schedules as messages and as rows.
#ifndef MOS_CONTROL_SERVICE_SCHEDULE_INTERNAL_H
#define MOS_CONTROL_SERVICE_SCHEDULE_INTERNAL_H

#include "control/catalog/schedules.h"
#include "control/service/internal.h"

// Checks the message and makes a row of it, without ids and times of its own. Texts are borrowed from the message, or live in the arena.
// MOS_INVALID_ARGUMENT naming the field; MOS_FAILED_PRECONDITION where nothing is configured for the type.
mos_status mos_take_schedule(const mos_settings *settings, const Mosaajii__Backup__V1__Schedule *message, mos_arena *arena,
                             struct mos_schedule *out, struct mos_error *error);
// The request of a run. Lives in the arena.
Mosaajii__Backup__V1__CreateBackupRequest *mos_make_scheduled_request(mos_arena *arena, const struct mos_schedule *schedule);
// With the next five runs from `now` on; false past the arena's ceiling.
bool mos_make_schedule(mos_arena *arena, const struct mos_schedule *schedule, int64_t now_unix_ns, Mosaajii__Backup__V1__Schedule *out);
bool mos_make_runs(mos_arena *arena, const struct mos_run *runs, size_t count, Mosaajii__Backup__V1__Schedule *out);
struct mos_keep mos_take_keep(const Mosaajii__Backup__V1__KeepRules *message);

#endif
