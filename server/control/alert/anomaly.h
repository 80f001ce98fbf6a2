// Whether a backup is unlike the history of its source: the marks of ransomware, or of an empty dump. Plain robust statistics: how many
// median absolute deviations a value lies from the median of those before it. Pure: no clock, no catalog.
#ifndef MOS_CONTROL_ALERT_ANOMALY_H
#define MOS_CONTROL_ALERT_ANOMALY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOS_ANOMALY_LEAST_HISTORY = 5, MOS_ANOMALY_MOST_HISTORY = 30 };

struct mos_backup_shape {
    int64_t size_bytes;
    int64_t files;
    int64_t added, changed, removed;
    // What the repository did not have yet, plain, and as it was written.
    int64_t new_bytes;
    int64_t written_bytes;
    // Written compressed: only then does written against new say how much order is in it.
    bool compressed;
};

// Sorts the values. 0 for none.
double mos_median(double *values, size_t count);
// The median of the distances to the median, scaled to a standard deviation of normal data. `values` are sorted meanwhile.
double mos_deviation(double *values, size_t count, double median);

// Which of these is so: one sentence in `reason`; *out_grave where it looks like an attack and not like a change of habits. `history` is of
// the same source, in any order; fewer than MOS_ANOMALY_LEAST_HISTORY: nothing is said.
bool mos_anomaly_find(const struct mos_backup_shape *backup, const struct mos_backup_shape *history, size_t count, char *reason,
                      size_t reason_bytes, bool *out_grave);

#endif
