// Which backups go, and why the others stay: plain rules over plain facts, without a catalog or a clock.
//
// A backup goes when its days are over and no keep rule holds it. A rule holds, of the good backups that it is for, the newest so many, and
// the newest of each of the newest so many hours, days, weeks (from Monday), months and years in which there is one, by the clock of its
// time zone. Whatever rules say, these stay: a backup that is held, locked, quarantined or in use; all backups of a source up to the newest
// one in quarantine, for whoever looks into that needs what was before; the newest verified good backup of each source, or where none is
// verified the newest good one; and what was taken in a time that is still to come.
#ifndef MOS_CONTROL_SCHEDULE_RETENTION_H
#define MOS_CONTROL_SCHEDULE_RETENTION_H

#include <stddef.h>

#include "control/catalog/schedules.h"
#include "control/schedule/zone.h"

struct mos_keep_rule {
    struct mos_keep keep;
    // Borrowed.
    const mos_zone *zone;
};

struct mos_retention_item {
    // Borrowed; of what is not there yet "".
    const char *id;
    // What it is, for sentences.
    const char *label;
    int32_t retention_days;
    int64_t created_at_unix_ns;
    // 0: its days are never over.
    int64_t expires_at_unix_ns;
    int64_t locked_until_unix_ns;
    bool held, quarantined;
    // A job is at work on it; and that job deletes it, so that nothing can count on it.
    bool busy, going;
    // Committed and not damaged; and verified.
    bool good, verified;
    // Only of good ones.
    uint64_t source;
    int64_t bytes;
    // The rule of its schedule, an index, or -1; and bit n for tag rule n, which stands at index `first_tag_rule` + n.
    int32_t rule;
    uint64_t tag_rules;
    // Marked as EXPIRED already.
    bool expired;
};

enum mos_verdict {
    MOS_GOES,
    MOS_STAYS_IN_DAYS,
    MOS_STAYS_BY_RULE,
    MOS_STAYS_HELD,
    MOS_STAYS_LOCKED,
    MOS_STAYS_QUARANTINED,
    MOS_STAYS_IN_USE,
    MOS_STAYS_LAST_GOOD,
    MOS_STAYS_IN_FUTURE,
};

struct mos_retention {
    // Newest first.
    const struct mos_retention_item *items;
    size_t count;
    const struct mos_keep_rule *rules;
    size_t rule_count;
    // Where rules of tags begin, and how many they are.
    size_t first_tag_rule, tag_rule_count;
};

// A clock that is less than this ahead of a backup is no clock that was set back.
#define MOS_FUTURE_NS (INT64_C(3600) * 1000000000)

// Writes a verdict for each item.
void mos_retention_judge(const struct mos_retention *retention, int64_t now_unix_ns, enum mos_verdict *out);

#endif
