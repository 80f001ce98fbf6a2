// What schedules and retention do to the rest of the server, as a table of functions: what they are in the server is said where all is put
// together, what they are in a test by the test.
#ifndef MOS_CONTROL_SCHEDULE_ACTS_H
#define MOS_CONTROL_SCHEDULE_ACTS_H

#include "common/id.h"
#include "control/catalog/schedules.h"

struct mos_schedule_acts {
    void *context;
    // Queues the backup that the schedule asks for. The backup's id is written first; then `also` is committed together with the backup and
    // its job, or none of them is. MOS_UNAVAILABLE when the server is stopping.
    mos_status (*start)(void *context, const struct mos_schedule *schedule, mos_catalog_change also, void *also_argument,
                        char out_backup_id[MOS_ID_TEXT_BYTES], struct mos_error *error);
    // Queues the deletion of a backup, and the removal of what no backup needs.
    mos_status (*remove)(void *context, const char *backup_id, struct mos_error *error);
    mos_status (*prune)(void *context, struct mos_error *error);
    // Whether the monitor has judged all backups that have ended: only then is what retention must not touch in quarantine.
    mos_status (*all_judged)(void *context, bool *out, struct mos_error *error);
};

#endif
