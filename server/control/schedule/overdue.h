// What retention should have let go, for whoever looks after it from outside.
#ifndef MOS_CONTROL_SCHEDULE_OVERDUE_H
#define MOS_CONTROL_SCHEDULE_OVERDUE_H

#include <stddef.h>

#include "control/catalog/catalog.h"

// All borrowed.
struct mos_overdue {
    mos_catalog *catalog;
    // The setting.
    const char *tag_rules;
};

// The backups that are there though they were to go at that moment, by the rules, holds, locks and quarantines of now: oldest first, in the
// arena. What was taken after that moment did not count then, so it neither goes nor takes the place of another. One that is
// being deleted is still there. `context`: the struct above. Blocks while the catalog is read.
mos_status mos_overdue_find(void *context, int64_t unix_ns, mos_arena *arena, const char ***out_ids, size_t *out_count,
                            struct mos_error *error);

#endif
