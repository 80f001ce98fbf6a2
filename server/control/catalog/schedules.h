// Schedules in the catalog, and what became of their runs.
#ifndef MOS_CONTROL_CATALOG_SCHEDULES_H
#define MOS_CONTROL_CATALOG_SCHEDULES_H

#include <stddef.h>

#include "control/catalog/catalog.h"
#include "control/catalog/words.h"

// How many of the newest backups are kept, and of the newest of each hour, day, week, month and year.
struct mos_keep {
    int32_t last, hourly, daily, weekly, monthly, yearly;
};

// No run starts in the minutes that follow each moment of the expression.
struct mos_blackout {
    const char *cron;
    int32_t minutes;
};

// The numbers are those of the public API.
enum mos_overlap { MOS_OVERLAP_SKIP = 1, MOS_OVERLAP_QUEUE };

// What a request may leave open.
enum mos_choice { MOS_CHOICE_OPEN = -1, MOS_CHOICE_NO, MOS_CHOICE_YES };

struct mos_schedule {
    const char *id;
    const char *name;
    const char *cron;
    const char *time_zone;
    // What a run asks for. `backup_name` may be "", `retention_days` 0: as the server is set.
    enum mos_backup_type backup_type;
    const char *backup_name;
    int32_t retention_days;
    enum mos_choice encryption, compression, integrity_check, offsite;
    bool read_all;
    const char *const *tags;
    size_t tag_count;
    int32_t jitter_seconds;
    const struct mos_blackout *blackouts;
    size_t blackout_count;
    enum mos_overlap overlap;
    bool catch_up;
    bool paused;
    // The time of day may be moved to where the machine is least busy; and why it was, or was not.
    bool learn_timing;
    const char *timing_note;
    bool has_keep;
    struct mos_keep keep;
    int64_t created_at_unix_ns;
    int64_t updated_at_unix_ns;
    // What was due up to this moment has its row.
    int64_t accounted_until_unix_ns;
};

// Inserts the schedule or replaces all of it. MOS_ALREADY_EXISTS for the name of another.
mos_status mos_catalog_put_schedule(mos_catalog_session *session, const struct mos_schedule *schedule, struct mos_error *error);
// MOS_NOT_FOUND, with a message that names the id.
mos_status mos_catalog_get_schedule(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_schedule *out,
                                    struct mos_error *error);
// The rows of its runs stay, but for one that waits. No error where there is none.
mos_status mos_catalog_remove_schedule(mos_catalog_session *session, const char *id, struct mos_error *error);
mos_status mos_catalog_list_schedules(mos_catalog_session *session, const struct mos_page *page, mos_arena *arena,
                                      struct mos_schedule **out, size_t *out_count, const char **out_next_token, struct mos_error *error);
// All of them, oldest first.
mos_status mos_catalog_all_schedules(mos_catalog_session *session, mos_arena *arena, struct mos_schedule **out, size_t *out_count,
                                     struct mos_error *error);

// Nothing is due any more up to this moment. MOS_ABORTED where the schedule is not, or not any more, as it was when it was read. Only from
// a change.
mos_status mos_catalog_account_schedule(mos_catalog_session *session, const struct mos_schedule *schedule, int64_t until_unix_ns,
                                        struct mos_error *error);

enum mos_run_state {
    // Its backup is in the catalog.
    MOS_RUN_STARTED = 1,
    // Waits for the end of the run before.
    MOS_RUN_WAITING,
    // Left out on purpose.
    MOS_RUN_SKIPPED,
    // Nobody was there.
    MOS_RUN_MISSED,
    // The backup was refused.
    MOS_RUN_FAILED,
};
const char *mos_run_state_word(int state);

struct mos_run {
    const char *schedule_id;
    int64_t due_at_unix_ns;
    // Of several: the last, and how many. Of one: the same as above, and 1.
    int64_t through_unix_ns;
    int64_t count;
    enum mos_run_state state;
    int64_t recorded_at_unix_ns;
    // "" where none was started.
    const char *backup_id;
    // One sentence; "" where there is nothing to say.
    const char *reason;
};

// Adds the run, or replaces one of the same moment that did not start. MOS_ALREADY_EXISTS for one that did: nothing runs twice.
mos_status mos_catalog_put_run(mos_catalog_session *session, const struct mos_run *run, struct mos_error *error);
mos_status mos_catalog_remove_run(mos_catalog_session *session, const char *schedule_id, int64_t due_at_unix_ns, struct mos_error *error);
// Newest first, of a state or (0) all.
mos_status mos_catalog_list_runs(mos_catalog_session *session, const char *schedule_id, enum mos_run_state state, int limit,
                                 mos_arena *arena, struct mos_run **out, size_t *out_count, struct mos_error *error);
// The one that waits for the run before; NULL where none does.
mos_status mos_catalog_waiting_run(mos_catalog_session *session, const char *schedule_id, mos_arena *arena, const struct mos_run **out,
                                   struct mos_error *error);
// Those that did not start and lie, in part or whole, behind this moment, oldest first.
mos_status mos_catalog_runs_behind(mos_catalog_session *session, const char *schedule_id, int64_t after_unix_ns, mos_arena *arena,
                                   struct mos_run **out, size_t *out_count, struct mos_error *error);
// The backup of the schedule that is being taken or waits for its turn; "" where there is none.
mos_status mos_catalog_run_at_work(mos_catalog_session *session, const char *schedule_id, mos_arena *arena, const char **out_backup_id,
                                   struct mos_error *error);
// Whether the run of this moment was started.
// When the newest good backup that runs of the schedule took was taken; 0 where there is none.
mos_status mos_catalog_last_backup_of(mos_catalog_session *session, const char *schedule_id, int64_t *out_unix_ns, struct mos_error *error);
mos_status mos_catalog_run_started(mos_catalog_session *session, const char *schedule_id, int64_t due_at_unix_ns, bool *out,
                                   struct mos_error *error);
// Forgets runs before this moment, but for those whose backups are still there.
mos_status mos_catalog_thin_runs(mos_catalog_session *session, int64_t before_unix_ns, struct mos_error *error);

#endif
