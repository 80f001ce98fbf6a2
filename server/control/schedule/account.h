// Accounts for the runs of one schedule up to now: each is started, or has a row that says why not.
#ifndef MOS_CONTROL_SCHEDULE_ACCOUNT_H
#define MOS_CONTROL_SCHEDULE_ACCOUNT_H

#include "control/schedule/acts.h"

// A run that starts later than this after its time was missed: nobody was there.
enum { MOS_SCHEDULE_GRACE_SECONDS = 300 };

// *out_wake: when to come again, in seconds since 1970; INT64_MAX for never. MOS_UNAVAILABLE when the server is stopping; MOS_ABORTED where
// somebody changed the schedule meanwhile: come again at once.
mos_status mos_account(mos_catalog *catalog, const struct mos_schedule_acts *acts, const struct mos_schedule *schedule, int64_t now_unix_ns,
                       int64_t *out_wake, struct mos_error *error);

#endif
