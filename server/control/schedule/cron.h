// When a schedule is due: cron expressions of five fields, on the wall clock of a time zone.
//
// Where the clock changes: a time of day that it is set forward over counts at the moment of the change; one that it shows twice counts the
// first time. An expression that names no hour ("*") is a rhythm, not a time of day: it goes on by the minute and counts at both. So no run
// is lost and none is doubled.
#ifndef MOS_CONTROL_SCHEDULE_CRON_H
#define MOS_CONTROL_SCHEDULE_CRON_H

#include "control/schedule/zone.h"

struct mos_cron {
    // Bit n: the value n.
    uint64_t minutes;
    uint32_t hours, days, months, weekdays;
    // As in every cron: where both days are named, either is enough.
    bool any_day, any_weekday;
};

// minute, hour, day of month, month, day of week, or @hourly, @daily, @weekly, @monthly. MOS_INVALID_ARGUMENT with the field's name and
// what is allowed; also for a date that never comes, as 30 February.
mos_status mos_cron_parse(struct mos_cron *out, const char *field, const char *text, struct mos_error *error);
// The first moment after this one at which the expression is due. false where there is none within the years that zones know.
bool mos_cron_next(const struct mos_cron *cron, const mos_zone *zone, int64_t after_unix_seconds, int64_t *out_unix_seconds);

#endif
