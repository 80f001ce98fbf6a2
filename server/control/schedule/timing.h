// A schedule as a calendar: when its runs are due, and when they start. Never changed once it is made.
#ifndef MOS_CONTROL_SCHEDULE_TIMING_H
#define MOS_CONTROL_SCHEDULE_TIMING_H

#include "control/catalog/schedules.h"
#include "control/schedule/cron.h"

typedef struct mos_timing mos_timing;

// Of what the schedule says; borrows nothing. MOS_INVALID_ARGUMENT naming the field. On MOS_OK *out is the caller's, to be closed.
mos_status mos_timing_open(mos_timing **out, const struct mos_schedule *schedule, struct mos_error *error);
// Whether runs can come about so: MOS_INVALID_ARGUMENT where blackouts leave no time to start in, and where the jitter would carry a run
// past the next. Takes a while; for what somebody asks for.
mos_status mos_timing_check(const mos_timing *timing, struct mos_error *error);
// NULL is fine.
void mos_timing_close(mos_timing *timing);

static inline void mos_timing_cleanup(mos_timing **timing) {
    mos_timing_close(*timing);
}
#define MOS_CLEANUP_TIMING __attribute__((cleanup(mos_timing_cleanup)))

// The first run that is due after this moment, and when it starts: later by the jitter, which is always the same for the same run, and not
// before a blackout ends. In seconds since 1970. false where there is none any more.
bool mos_timing_next(const mos_timing *timing, int64_t after_unix_seconds, int64_t *out_due, int64_t *out_start);
// When the blackout that this moment lies in is over; the moment itself where it lies in none.
int64_t mos_timing_free_from(const mos_timing *timing, int64_t unix_seconds);
const mos_zone *mos_timing_zone(const mos_timing *timing);

#endif
