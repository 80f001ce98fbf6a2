// Retention at work: marks what goes, has it deleted, and takes the mark back from what may stay after all.
#ifndef MOS_CONTROL_SCHEDULE_SWEEP_H
#define MOS_CONTROL_SCHEDULE_SWEEP_H

#include "control/schedule/acts.h"

// *out_more: there was more to do than is done at a time, or a backup is not judged yet: it may be the one for which older ones stay.
// MOS_UNAVAILABLE when the server is stopping.
mos_status mos_sweep(mos_catalog *catalog, const struct mos_schedule_acts *acts, const char *tag_rules, int64_t now_unix_ns, bool *out_more,
                     struct mos_error *error);

// Nothing is removed by itself, here and at other places, until this is released: for a catalog that does not know what people had said of
// its backups. The sweep tells of it in an alert. *out_was: it was held back already, and the reason stays.
mos_status mos_retention_hold_back(mos_catalog *catalog, const char *why, bool *out_was, struct mos_error *error);
// *out_was: it was held back.
mos_status mos_retention_release(mos_catalog *catalog, bool *out_was, struct mos_error *error);

#endif
