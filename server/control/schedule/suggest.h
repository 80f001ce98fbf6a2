// When to back up: a policy for what is configured, and better times for schedules that there are, from what was recorded. Plain
// statistics, without a catalog or a clock: medians of durations, and the mean load of each hour of the week.
//
// Nothing proposed lets the time between two backups grow beyond the recovery point objective.
#ifndef MOS_CONTROL_SCHEDULE_SUGGEST_H
#define MOS_CONTROL_SCHEDULE_SUGGEST_H

#include "common/arena.h"
#include "control/catalog/retention.h"
#include "control/catalog/schedules.h"
#include "control/schedule/zone.h"

// What backups of a type took so far.
struct mos_durations {
    int64_t count;
    int64_t median_seconds, p95_seconds;
    // Share of the content that was new, in thousandths, the median.
    int64_t change_permille;
};

struct mos_suggest_input {
    bool databases, files, configuration;
    // DR_RPO_MINUTES, and MONITOR_RPO_MINUTES; 0: none.
    int64_t objective_minutes, monitor_minutes;
    const char *time_zone;
    const mos_zone *zone;
    // In seconds; of the schedule in question, when its last good backup was taken, 0: none was.
    int64_t now, last_backup;
    struct mos_load load;
    // By type.
    struct mos_durations durations[MOS_BACKUP_CONFIGURATION + 1];
};

struct mos_suggestion {
    struct mos_schedule schedule;
    // One sentence.
    const char *reason;
    // 0 to 1.
    double confidence;
};

enum { MOS_SUGGESTIONS_MOST = 3 };

// For types that none of the schedules takes. Lives in the arena. `zone` and `time_zone` are those of new schedules.
void mos_suggest_policy(const struct mos_suggest_input *input, const struct mos_schedule *schedules, size_t count, mos_arena *arena,
                        struct mos_suggestion out[MOS_SUGGESTIONS_MOST], size_t *out_count);

// A better time for a schedule that runs once a day or once a week; `zone` is the schedule's own. false where it has another rhythm.
// *out_apply: it is better by enough, known well enough, makes no gap beyond the objective if it is set now, and the schedule has taken a
// backup since it was last changed: moves that follow one another would otherwise put the next backup off again and again.
bool mos_suggest_timing(const struct mos_suggest_input *input, const struct mos_schedule *schedule, mos_arena *arena,
                        struct mos_suggestion *out, bool *out_apply);

// The longest rhythm that keeps the objective although a backup takes so long; false where none does, and *out is the shortest.
bool mos_suggest_rhythm(int64_t objective_minutes, int64_t duration_seconds, mos_arena *arena, const char **out);

// Sorts the values.
int64_t mos_quantile(int64_t *values, size_t count, int percent);

#endif
