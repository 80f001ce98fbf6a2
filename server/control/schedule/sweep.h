// Retention at work: marks what goes, has it deleted, and takes the mark back from what may stay after all.
#ifndef MOS_CONTROL_SCHEDULE_SWEEP_H
#define MOS_CONTROL_SCHEDULE_SWEEP_H

#include "control/schedule/acts.h"

// *out_more: there was more to do than is done at a time, or a backup is not judged yet: it may be the one for which older ones stay.
// MOS_UNAVAILABLE when the server is stopping.
mos_status mos_sweep(mos_catalog *catalog, const struct mos_schedule_acts *acts, const char *tag_rules, int64_t now_unix_ns, bool *out_more,
                     struct mos_error *error);

#endif
