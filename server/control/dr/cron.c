#include "control/dr/cron.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

enum { FARTHEST_DAYS = 5 * 366 };

static bool take_number(const char **text, int *out) {
    int number = 0, digits = 0;
    for (; isdigit((unsigned char)**text) && digits < 4; (*text)++, digits++) {
        number = number * 10 + (**text - '0');
    }
    *out = number;
    return digits > 0;
}

// One part of a list: `*`, `N`, `N-M`, each with `/STEP`.
static bool take_part(const char **text, int least, int most, uint64_t *bits) {
    int from = least, to = most, step = 1;
    bool ranged = true;
    if (**text == '*') {
        (*text)++;
    } else {
        if (!take_number(text, &from)) {
            return false;
        }
        to = from;
        ranged = **text == '-';
        if (ranged) {
            (*text)++;
            if (!take_number(text, &to)) {
                return false;
            }
        }
    }
    if (**text == '/') {
        (*text)++;
        if (!ranged || !take_number(text, &step) || step < 1) {
            return false;
        }
    }
    if (from < least || to > most || from > to) {
        return false;
    }
    for (int i = from; i <= to; i += step) {
        *bits |= UINT64_C(1) << i;
    }
    return true;
}

static bool take_field(const char **text, int least, int most, uint64_t *bits, bool *out_any) {
    while (**text == ' ') {
        (*text)++;
    }
    *bits = 0;
    *out_any = (*text)[0] == '*' && (*text)[1] != '/';
    for (;;) {
        if (!take_part(text, least, most, bits)) {
            return false;
        }
        if (**text != ',') {
            return **text == ' ' || **text == 0;
        }
        (*text)++;
    }
}

bool mos_cron_parse(const char *text, struct mos_cron *out) {
    uint64_t minutes, hours, days, months, weekdays;
    bool any, any_day, any_weekday;
    if (!take_field(&text, 0, 59, &minutes, &any) || !take_field(&text, 0, 23, &hours, &any) ||
        !take_field(&text, 1, 31, &days, &any_day) || !take_field(&text, 1, 12, &months, &any) ||
        !take_field(&text, 0, 7, &weekdays, &any_weekday) || *text) {
        return false;
    }
    // 7 is Sunday too.
    weekdays |= weekdays >> 7;
    *out = (struct mos_cron){.minutes = minutes,
                             .hours = (uint32_t)hours,
                             .days = (uint32_t)days,
                             .months = (uint16_t)months,
                             .weekdays = (uint8_t)(weekdays & 0x7f),
                             .any_day = any_day,
                             .any_weekday = any_weekday};
    return true;
}

static bool fits_day(const struct mos_cron *cron, const struct tm *day) {
    bool by_day = cron->days >> day->tm_mday & 1;
    bool by_weekday = cron->weekdays >> day->tm_wday & 1;
    bool days = cron->any_day || cron->any_weekday ? by_day && by_weekday : by_day || by_weekday;
    return (cron->months >> (day->tm_mon + 1) & 1) && days;
}

int64_t mos_cron_next(const struct mos_cron *cron, int64_t after_unix_ns) {
    const int64_t day_seconds = 86400;
    int64_t first = after_unix_ns / MOS_NS_PER_SECOND / 60 * 60 + 60;
    for (int i = 0; i < FARTHEST_DAYS; i++) {
        time_t midnight = (time_t)((first / day_seconds + i) * day_seconds);
        struct tm day;
        gmtime_r(&midnight, &day);
        if (!fits_day(cron, &day)) {
            continue;
        }
        for (int minute = 0; minute < 1440; minute++) {
            int64_t moment = midnight + (int64_t)minute * 60;
            if (moment >= first && (cron->hours >> (minute / 60) & 1) && (cron->minutes >> (minute % 60) & 1)) {
                return moment * MOS_NS_PER_SECOND;
            }
        }
    }
    return 0;
}
