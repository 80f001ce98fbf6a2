#include "control/alert/anomaly.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// Further out than this many deviations is no chance; the other bounds keep small or very regular sources quiet, whose deviation is next to
// nothing.
#define FAR 6.0
#define HALF 0.5
#define MANY_CHANGED 0.3
// Of data that a good cipher has been over, and of archives, compression saves nothing.
#define NO_ORDER 0.95
#define LEAST_NEW_BYTES 65536
#define GROWN 3.0

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

double mos_median(double *values, size_t count) {
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof(*values), compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double mos_deviation(double *values, size_t count, double median) {
    double distances[MOS_ANOMALY_MOST_HISTORY];
    count = count < MOS_ANOMALY_MOST_HISTORY ? count : MOS_ANOMALY_MOST_HISTORY;
    for (size_t i = 0; i < count; i++) {
        distances[i] = fabs(values[i] - median);
    }
    return 1.4826 * mos_median(distances, count);
}

// ---- What is looked at ----

static double size_of(const struct mos_backup_shape *shape) {
    return log((double)shape->size_bytes + 1);
}

static double files_of(const struct mos_backup_shape *shape) {
    return log((double)shape->files + 1);
}

// Renaming shows as a removal and an addition of the same file.
static double change_of(const struct mos_backup_shape *shape) {
    int64_t touched = shape->changed + (shape->added > shape->removed ? shape->added : shape->removed);
    int64_t all = shape->files + shape->removed;
    return all > 0 ? (double)touched / (double)all : 0;
}

static double new_share_of(const struct mos_backup_shape *shape) {
    return shape->size_bytes > 0 ? (double)shape->new_bytes / (double)shape->size_bytes : 0;
}

// Negative where it cannot be told.
static double disorder_of(const struct mos_backup_shape *shape) {
    return shape->compressed && shape->new_bytes >= LEAST_NEW_BYTES ? (double)shape->written_bytes / (double)shape->new_bytes : -1;
}

struct usual {
    double median;
    double deviation;
    size_t count;
};

static struct usual usual_of(double (*look)(const struct mos_backup_shape *), const struct mos_backup_shape *history, size_t count) {
    double values[MOS_ANOMALY_MOST_HISTORY];
    struct usual usual = {0};
    for (size_t i = 0; i < count; i++) {
        double value = look(&history[i]);
        if (value >= 0) {
            values[usual.count++] = value;
        }
    }
    usual.median = mos_median(values, usual.count);
    usual.deviation = mos_deviation(values, usual.count, usual.median);
    return usual;
}

// `floor` stands in for the deviation of a history that hardly varies.
static bool is_far(double value, const struct usual *usual, double floor) {
    double deviation = usual->deviation > floor ? usual->deviation : floor;
    return usual->count >= MOS_ANOMALY_LEAST_HISTORY && fabs(value - usual->median) > FAR * deviation;
}

bool mos_anomaly_find(const struct mos_backup_shape *backup, const struct mos_backup_shape *history, size_t count, char *reason,
                      size_t reason_bytes, bool *out_grave) {
    *out_grave = false;
    if (count < MOS_ANOMALY_LEAST_HISTORY) {
        return false;
    }
    count = count < MOS_ANOMALY_MOST_HISTORY ? count : MOS_ANOMALY_MOST_HISTORY;
    const struct usual size = usual_of(size_of, history, count);
    const struct usual files = usual_of(files_of, history, count);
    const struct usual change = usual_of(change_of, history, count);
    const struct usual share = usual_of(new_share_of, history, count);
    const struct usual disorder = usual_of(disorder_of, history, count);
    bool churned = change_of(backup) >= MANY_CHANGED && is_far(change_of(backup), &change, 0.02);
    bool all_new = new_share_of(backup) >= MANY_CHANGED && is_far(new_share_of(backup), &share, 0.02);
    // Where the history holds too little that was new to know its order, data without any is the mark by itself.
    bool no_order = disorder_of(backup) >= NO_ORDER && (disorder.count == 0 || disorder.median < NO_ORDER);
    if (churned && all_new && no_order) {
        *out_grave = true;
        snprintf(reason, reason_bytes,
                 "%.0f%% of its files changed (usual: %.0f%%), and what is new in it cannot be compressed: this is what encryption by "
                 "ransomware looks like",
                 100 * change_of(backup), 100 * change.median);
        return true;
    }
    double usual_size = exp(size.median) - 1;
    if ((double)backup->size_bytes < HALF * usual_size && is_far(size_of(backup), &size, 0.05)) {
        *out_grave = backup->size_bytes == 0 || (double)backup->size_bytes < 0.1 * usual_size;
        snprintf(reason, reason_bytes, "it holds %lld bytes where %.0f are usual: something is missing from its source",
                 (long long)backup->size_bytes, usual_size);
        return true;
    }
    double usual_files = exp(files.median) - 1;
    if ((double)backup->files < HALF * usual_files && is_far(files_of(backup), &files, 0.05)) {
        *out_grave = (double)backup->files < 0.1 * usual_files;
        snprintf(reason, reason_bytes, "it holds %lld files where %.0f are usual: something is missing from its source",
                 (long long)backup->files, usual_files);
        return true;
    }
    if (churned && all_new) {
        snprintf(reason, reason_bytes, "%.0f%% of its files changed where %.0f%% are usual, and %.0f%% of its data is new",
                 100 * change_of(backup), 100 * change.median, 100 * new_share_of(backup));
        return true;
    }
    if (usual_size > 0 && (double)backup->size_bytes > GROWN * usual_size && is_far(size_of(backup), &size, 0.05)) {
        snprintf(reason, reason_bytes, "it holds %lld bytes where %.0f are usual", (long long)backup->size_bytes, usual_size);
        return true;
    }
    return false;
}
