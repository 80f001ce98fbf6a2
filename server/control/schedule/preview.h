// What retention would remove in the coming days.
#ifndef MOS_CONTROL_SCHEDULE_PREVIEW_H
#define MOS_CONTROL_SCHEDULE_PREVIEW_H

#include "control/schedule/store.h"

struct mos_removal {
    const char *backup_id;
    int64_t removed_at_unix_ns;
    // What the backup added to the repository when it was taken.
    int64_t bytes;
    const char *reason;
};

struct mos_preview {
    // In the order in which they go.
    const struct mos_removal *removals;
    size_t removal_count;
    int64_t bytes;
    // A sentence for each span between two backups of a source that grows beyond the objective.
    const char *const *gaps;
    size_t gap_count;
    // What was taken for granted.
    const char *const *notes;
    size_t note_count;
};

struct mos_preview_order {
    // NULL: the rules in force.
    const struct mos_trial *trial;
    int32_t days;
    int32_t default_retention_days;
    int64_t objective_ns;
    // The setting.
    const char *tag_rules;
};

// All lives in the arena. Fails as mos_store_open does.
mos_status mos_preview_make(mos_catalog *catalog, const struct mos_preview_order *order, int64_t now_unix_ns, mos_arena *arena,
                            struct mos_preview *out, struct mos_error *error);

#endif
