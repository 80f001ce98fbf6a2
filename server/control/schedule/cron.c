#include "control/schedule/cron.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    SECONDS_A_DAY = 86400,
    // 29 February may be eight years away.
    MOST_DAYS = 9 * 366,
    ALL_HOURS = (1 << 24) - 1,
    LONGEST = 200,
};

struct part {
    const char *name;
    int least, most;
    // In order, from `least` on; NULL: numbers only.
    const char *const *words;
};

static const char *const month_words[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const weekday_words[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};
enum { PARTS = 5 };
static const struct part parts[PARTS] = {{"minute", 0, 59, NULL},
                                         {"hour", 0, 23, NULL},
                                         {"day of month", 1, 31, NULL},
                                         {"month", 1, 12, month_words},
                                         {"day of week", 0, 7, weekday_words}};

// ---- Reading ----

static bool take_value(const struct part *part, const char **text, int *out) {
    int number = 0, digits = 0;
    for (; **text >= '0' && **text <= '9' && digits < 3; (*text)++, digits++) {
        number = number * 10 + (**text - '0');
    }
    for (int i = 0; digits == 0 && part->words && part->words[i]; i++) {
        if (strncasecmp(*text, part->words[i], 3) == 0) {
            *text += 3;
            *out = part->least + i;
            return true;
        }
    }
    *out = number;
    return digits > 0 && number >= part->least && number <= part->most;
}

// *, */n, a, a-b, a-b/n
static bool take_range(const struct part *part, const char **text, uint64_t *mask) {
    int first = part->least, last = part->most, step = 1;
    bool several = **text == '*';
    if (several) {
        (*text)++;
    } else {
        if (!take_value(part, text, &first)) {
            return false;
        }
        last = first;
        if (**text == '-') {
            (*text)++;
            several = true;
            if (!take_value(part, text, &last) || last < first) {
                return false;
            }
        }
    }
    if (several && **text == '/') {
        static const struct part steps = {"step", 1, 999, NULL};
        (*text)++;
        if (!take_value(&steps, text, &step)) {
            return false;
        }
    }
    for (int value = first; value <= last; value += step) {
        *mask |= UINT64_C(1) << value;
    }
    return true;
}

static bool take_part(const struct part *part, const char **text, uint64_t *mask) {
    do {
        if (!take_range(part, text, mask)) {
            return false;
        }
    } while (**text == ',' && (*text)++);
    return **text == 0 || **text == ' ' || **text == '\t';
}

// Some month that is named has a day that is named.
static bool comes(const struct mos_cron *cron) {
    static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int month = 1; month <= 12; month++) {
        uint32_t days = (uint32_t)((UINT64_C(2) << lengths[month - 1]) - 2);
        if ((cron->months & (1U << month)) && ((cron->days & days) || !cron->any_weekday)) {
            return true;
        }
    }
    return false;
}

mos_status mos_cron_parse(struct mos_cron *out, const char *field, const char *text, struct mos_error *error) {
    static const struct {
        const char *word, *meaning;
    } shorts[] = {{"@hourly", "0 * * * *"}, {"@daily", "0 0 * * *"}, {"@weekly", "0 0 * * 0"}, {"@monthly", "0 0 1 * *"}};
    const char *given = text;
    for (size_t i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++) {
        text = strcmp(given, shorts[i].word) == 0 ? shorts[i].meaning : text;
    }
    uint64_t masks[PARTS] = {0};
    int taken = 0;
    if (strlen(text) <= LONGEST) {
        for (text += strspn(text, " \t"); taken < PARTS && *text; taken++) {
            if (!take_part(&parts[taken], &text, &masks[taken])) {
                return mos_fail_field(error, field, "%s is \"%.64s\"; its %s must be numbers from %d to %d, as 5, 1-5, */2 or 1,3", field,
                                      given, parts[taken].name, parts[taken].least, parts[taken].most);
            }
            text += strspn(text, " \t");
        }
    }
    if (taken < PARTS || *text) {
        return mos_fail_field(
            error, field,
            "%s is \"%.64s\"; allowed are five fields (minute, hour, day of month, month, day of week) and @hourly, @daily, "
            "@weekly and @monthly",
            field, given);
    }
    *out = (struct mos_cron){.minutes = masks[0],
                             .hours = (uint32_t)masks[1],
                             .days = (uint32_t)masks[2],
                             .months = (uint32_t)masks[3],
                             // Both 0 and 7 are Sunday.
                             .weekdays = (uint32_t)((masks[4] | masks[4] >> 7) & 0x7f)};
    out->any_day = out->days == 0xfffffffe;
    out->any_weekday = out->weekdays == 0x7f;
    return comes(out) ? MOS_OK : mos_fail_field(error, field, "%s is \"%.64s\", a date that never comes", field, given);
}

// ---- The next one ----

static bool is_day(const struct mos_cron *cron, int64_t days) {
    int64_t year;
    int month, day;
    mos_date_of(days, &year, &month, &day);
    bool by_day = cron->days & (1U << day), by_weekday = cron->weekdays & (1U << mos_weekday_of(days));
    return (cron->months & (1U << month)) && (cron->any_day ? by_weekday : cron->any_weekday ? by_day : by_day || by_weekday);
}

struct search {
    const struct mos_cron *cron;
    const mos_zone *zone;
    int64_t after;
    bool found;
    int64_t best;
};

static void consider(struct search *search, int64_t moment) {
    if (moment > search->after && (!search->found || moment < search->best)) {
        search->best = moment;
        search->found = true;
    }
}

// The earliest moment after `after` at which one of the day's times is due.
static void search_day(struct search *search, int64_t day) {
    const struct mos_cron *cron = search->cron;
    int64_t start = day * SECONDS_A_DAY, change;
    int32_t offset = mos_zone_offset(search->zone, start - SECONDS_A_DAY);
    // Most days know no change near them: then wall time and moment differ by one number.
    bool plain = !mos_zone_next_change(search->zone, start - 2 * SECONDS_A_DAY, &change) || change > start + 3 * SECONDS_A_DAY;
    bool rhythm = cron->hours == ALL_HOURS;
    for (int hour = 0; hour < 24; hour++) {
        for (int minute = 0; minute < 60 && (cron->hours & (1U << hour)); minute++) {
            if (!(cron->minutes & (UINT64_C(1) << minute))) {
                continue;
            }
            int64_t wall = start + hour * 3600 + minute * 60, moments[2], after_gap = 0;
            if (plain && wall - offset > search->after) {
                consider(search, wall - offset);
                return;
            }
            if (plain) {
                continue;
            }
            int count = mos_zone_moments(search->zone, wall, moments, &after_gap);
            if (count > 0) {
                consider(search, moments[0]);
            } else {
                // A rhythm goes on as if the clock had not changed, which as a rule is the next beat anyway.
                consider(search, rhythm ? wall - mos_zone_offset(search->zone, after_gap - 1) : after_gap);
            }
            if (count > 1 && rhythm) {
                consider(search, moments[1]);
            }
        }
    }
}

bool mos_cron_next(const struct mos_cron *cron, const mos_zone *zone, int64_t after_unix_seconds, int64_t *out_unix_seconds) {
    struct search search = {.cron = cron, .zone = zone, .after = after_unix_seconds};
    if (after_unix_seconds < MOS_ZONE_LEAST || after_unix_seconds > MOS_ZONE_MOST) {
        return false;
    }
    int64_t wall = after_unix_seconds + mos_zone_offset(zone, after_unix_seconds);
    // From the day before: a time of it may count later, where the clock was set back over midnight or forward over it.
    int64_t first = wall / SECONDS_A_DAY - (wall % SECONDS_A_DAY < 0) - 2;
    for (int64_t day = first; day < first + MOST_DAYS; day++) {
        bool found = search.found;
        if (is_day(cron, day)) {
            search_day(&search, day);
        }
        if (found) {
            // That was the day behind the one with a find: over midnight, too, an earlier moment may be a later day's.
            break;
        }
    }
    *out_unix_seconds = search.best;
    return search.found;
}
