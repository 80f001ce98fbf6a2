// Schedules and retention at work: one thread that starts what is due, accounts for what is not, removes what is past its retention, and
// learns when the machine is least busy.
#ifndef MOS_CONTROL_SCHEDULE_SCHEDULER_H
#define MOS_CONTROL_SCHEDULE_SCHEDULER_H

#include "control/schedule/acts.h"
#include "control/schedule/suggest.h"

typedef struct mos_scheduler mos_scheduler;

// All borrowed; must outlive the scheduler.
struct mos_scheduler_options {
    mos_catalog *catalog;
    struct mos_schedule_acts acts;
    // The settings BACKUP_KEEP_TAGS, DR_RPO_MINUTES and MONITOR_RPO_MINUTES.
    const char *tag_rules;
    int64_t objective_minutes, monitor_minutes;
    // Where backup data lies; its times are evidence of what time it is.
    const char *repository;
    // What is configured.
    bool databases, files, configuration;
    // In thousandths of a processor over the last quarter of an hour; negative: not known. NULL: of this machine.
    int64_t (*load_milli)(void);
};

// Never NULL. Does nothing by itself until it is started.
mos_scheduler *mos_scheduler_create(const struct mos_scheduler_options *options);
mos_status mos_scheduler_start(mos_scheduler *scheduler, struct mos_error *error);
// Before the queue stops, so that nothing is queued that would be dropped. Blocks until the thread is gone. NULL is fine.
void mos_scheduler_stop(mos_scheduler *scheduler);
// After stop. NULL is fine.
void mos_scheduler_destroy(mos_scheduler *scheduler);

// One round: what the thread does whenever it wakes. Answers when something is to be done next, in seconds since 1970, should nobody set
// the clock or change a schedule meanwhile. Rounds follow one another, whoever makes them.
int64_t mos_scheduler_round(mos_scheduler *scheduler);
// Something was changed: look again soon. NULL is fine.
void mos_scheduler_wake(mos_scheduler *scheduler);

// What is known for suggestions. `time_zone`, `zone` and `last_backup` are left to the caller.
mos_status mos_scheduler_learned(mos_scheduler *scheduler, struct mos_suggest_input *out, struct mos_error *error);
// The name of this machine's own time zone; "" for UTC and where it cannot be told. Lives in the arena.
const char *mos_scheduler_local_zone(mos_arena *arena);

#endif
