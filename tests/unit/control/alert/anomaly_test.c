#include "control/alert/anomaly.h"

#include <string.h>

#include "unit/test.h"

enum { HISTORY = 10 };

// A shop of a thousand files, of which some twenty change a day.
static void ordinary(struct mos_backup_shape *history) {
    for (int i = 0; i < HISTORY; i++) {
        history[i] = (struct mos_backup_shape){.size_bytes = 100000000 + i * 300000,
                                               .files = 1000 + i * 3,
                                               .added = 3,
                                               .changed = 15 + i % 5,
                                               .removed = i % 2,
                                               .new_bytes = 2000000 + i * 20000,
                                               .written_bytes = 700000 + i * 5000,
                                               .compressed = true};
    }
}

static bool find(const struct mos_backup_shape *backup, const struct mos_backup_shape *history, size_t count, const char *word,
                 bool *grave) {
    char reason[400] = "";
    bool found = mos_anomaly_find(backup, history, count, reason, sizeof(reason), grave);
    return found && strstr(reason, word);
}

MOS_TEST(medians_and_deviations) {
    double odd[] = {5, 1, 100, 3, 2}, even[] = {4, 1, 3, 2};
    CU_ASSERT_DOUBLE_EQUAL(mos_median(odd, 5), 3, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(mos_deviation(odd, 5, 3), 1.4826 * 2, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(mos_median(even, 4), 2.5, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(mos_median(even, 0), 0, 1e-12);
}

MOS_TEST(ordinary_days_say_nothing) {
    struct mos_backup_shape history[HISTORY];
    char reason[400];
    bool grave;
    ordinary(history);
    for (int i = 0; i < HISTORY; i++) {
        struct mos_backup_shape day = history[i];
        day.size_bytes += 700000;
        day.changed += 20;
        CU_ASSERT_FALSE(mos_anomaly_find(&day, history, HISTORY, reason, sizeof(reason), &grave));
    }
    // A big day: a delivery of new photographs, which cannot be compressed, but nothing else changed.
    struct mos_backup_shape photos = history[9];
    photos.added = 60;
    photos.files += 60;
    photos.size_bytes += 40000000;
    photos.new_bytes = 42000000;
    photos.written_bytes = 41900000;
    CU_ASSERT_FALSE(mos_anomaly_find(&photos, history, HISTORY, reason, sizeof(reason), &grave));
}

MOS_TEST(encryption_of_everything_is_grave) {
    struct mos_backup_shape history[HISTORY];
    bool grave = false;
    ordinary(history);
    struct mos_backup_shape struck = history[9];
    struck.changed = 980;
    struck.new_bytes = 98000000;
    struck.written_bytes = 98010000;
    CU_ASSERT(find(&struck, history, HISTORY, "ransomware", &grave) && grave);
    // Under new names.
    struck.changed = 0;
    struck.added = struck.removed = 1000;
    CU_ASSERT(find(&struck, history, HISTORY, "ransomware", &grave) && grave);
    // What can be compressed was rewritten by somebody, but not encrypted.
    struck.written_bytes = 30000000;
    CU_ASSERT(find(&struck, history, HISTORY, "changed", &grave) && !grave);
    CU_ASSERT_FALSE(find(&struck, history, MOS_ANOMALY_LEAST_HISTORY - 1, "", &grave));
}

MOS_TEST(what_is_missing_is_noticed) {
    struct mos_backup_shape history[HISTORY];
    bool grave = false;
    ordinary(history);
    struct mos_backup_shape empty = {.compressed = true, .removed = 1000};
    CU_ASSERT(find(&empty, history, HISTORY, "missing", &grave) && grave);
    struct mos_backup_shape half = history[9];
    half.size_bytes = 40000000;
    CU_ASSERT(find(&half, history, HISTORY, "missing", &grave) && !grave);
    struct mos_backup_shape few = history[9];
    few.files = 90;
    CU_ASSERT(find(&few, history, HISTORY, "files", &grave) && grave);
    struct mos_backup_shape huge = history[9];
    huge.size_bytes = 900000000;
    CU_ASSERT(find(&huge, history, HISTORY, "usual", &grave) && !grave);
}
