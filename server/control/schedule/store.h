// Retention's view of the catalog: all backups and all rules in force at one moment.
#ifndef MOS_CONTROL_SCHEDULE_STORE_H
#define MOS_CONTROL_SCHEDULE_STORE_H

#include "common/arena.h"
#include "control/schedule/keep.h"
#include "control/schedule/retention.h"
#include "control/schedule/timing.h"

// Rules to try instead of those in force, for the backups of a schedule, those with a tag or, with neither, all.
struct mos_trial {
    const char *schedule_id, *tag;
    bool has_keep;
    struct mos_keep keep;
    // Of backups that are still to be taken, for those that are there keep their own. 0: as they are.
    int32_t retention_days;
};

typedef struct mos_schedule_store mos_schedule_store;

// `text_of_tag_rules`: the setting. `trial` may be NULL. MOS_NOT_FOUND for a schedule that is not there, MOS_FAILED_PRECONDITION for rules
// that cannot be read. On MOS_OK *out is the caller's, to be closed.
mos_status mos_schedule_store_open(mos_schedule_store **out, mos_catalog *catalog, const char *text_of_tag_rules,
                                   const struct mos_trial *trial, struct mos_error *error);
// NULL is fine.
void mos_schedule_store_close(mos_schedule_store *store);

static inline void mos_schedule_store_cleanup(mos_schedule_store **store) {
    mos_schedule_store_close(*store);
}
#define MOS_CLEANUP_STORE __attribute__((cleanup(mos_schedule_store_cleanup)))

// Borrowed; changed by what is added.
struct mos_retention mos_schedule_store_retention(mos_schedule_store *store);
struct mos_retention_item *mos_schedule_store_items(mos_schedule_store *store);
// Adds a backup for each run that the schedules will make up to this moment, taken to be good, `most` at most; *out_left_out tells whether
// there would be more. `default_days` is for those whose schedule names no days.
void mos_schedule_store_add_runs(mos_schedule_store *store, int64_t now_unix_ns, int64_t until_unix_ns, int32_t default_days, size_t most,
                                 bool *out_left_out);

#endif
