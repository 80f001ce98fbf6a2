// When tests run by themselves: five fields, minute hour day-of-month month day-of-week, in UTC, each `*`, numbers, ranges, lists and steps
// (`*/15`, `1-5`, `0,30`). As ever, where both days are restricted either will do. Thread safe.
#ifndef MOS_CONTROL_DR_CRON_H
#define MOS_CONTROL_DR_CRON_H

#include <stdbool.h>
#include <stdint.h>

struct mos_cron {
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;
    uint16_t months;
    uint8_t weekdays;
    bool any_day;
    bool any_weekday;
};

bool mos_cron_parse(const char *text, struct mos_cron *out);
// The first moment that fits after this one; 0 where none comes within five years, as the 30th of February.
int64_t mos_cron_next(const struct mos_cron *cron, int64_t after_unix_ns);

#endif
