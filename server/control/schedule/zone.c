#include "control/schedule/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"

#define FOLDER "/usr/share/zoneinfo/"

enum {
    LARGEST_FILE = 1 << 20,
    LONGEST_NAME = 64,
    HEADER_BYTES = 44,
    LARGEST_OFFSET = 26 * 3600 - 1,
    SECONDS_A_DAY = 86400,
    // How far a moment can be from the wall time of the same number.
    FARTHEST = 26 * 3600,
};

// When in a year the clock changes, as the rule at a file's end says it.
struct change {
    enum { BY_MONTH, BY_DAY, BY_DAY_WITHOUT_LEAP } kind;
    int month, week, weekday, day;
    int64_t seconds;
};

struct mos_zone {
    // Changes that were, ascending, and the offset from each on.
    size_t count;
    int64_t *at;
    int32_t *offsets;
    // Before the first of them.
    int32_t first_offset;
    // From the last of them on.
    bool has_rule, has_summer;
    int32_t standard_offset, summer_offset;
    struct change summer_begins, summer_ends;
};

// ---- Dates ----

int64_t mos_days_of(int64_t year, int month, int day) {
    // Years that begin in March, so that the odd day is at the end of one.
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void mos_date_of(int64_t days, int64_t *out_year, int *out_month, int *out_day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *out_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    *out_month = (int)(month < 10 ? month + 3 : month - 9);
    *out_year = year_of_era + era * 400 + (*out_month <= 2);
}

int mos_weekday_of(int64_t days) {
    // 1 January 1970 was a Thursday.
    return (int)(((days + 4) % 7 + 7) % 7);
}

static bool is_leap(int64_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// The wall time of a change in a year.
static int64_t wall_of_change(const struct change *change, int64_t year) {
    int64_t day;
    if (change->kind == BY_MONTH) {
        int64_t first = mos_days_of(year, change->month, 1);
        int64_t next = change->month == 12 ? mos_days_of(year + 1, 1, 1) : mos_days_of(year, change->month + 1, 1);
        day = first + (change->weekday - mos_weekday_of(first) + 7) % 7 + 7 * (change->week - 1);
        while (day >= next) {
            day -= 7;
        }
    } else {
        // A day without leap counts as if there were no 29 February.
        bool later = change->kind == BY_DAY_WITHOUT_LEAP && is_leap(year) && change->day >= 60;
        day = mos_days_of(year, 1, 1) + change->day - (change->kind == BY_DAY_WITHOUT_LEAP) + later;
    }
    return day * SECONDS_A_DAY + change->seconds;
}

// ---- The rule at the end: std offset [dst [offset] ,start[/time],end[/time]] ----

static bool take_number(const char **text, int least, int most, int *out) {
    int number = 0;
    const char *start = *text;
    for (; **text >= '0' && **text <= '9' && *text - start < 4; (*text)++) {
        number = number * 10 + (**text - '0');
    }
    *out = number;
    return *text > start && number >= least && number <= most;
}

static bool take_name(const char **text) {
    const char *start = *text;
    if (**text == '<') {
        *text += strcspn(*text, ">");
        return *(*text)++ == '>';
    }
    while ((**text >= 'A' && **text <= 'Z') || (**text >= 'a' && **text <= 'z')) {
        (*text)++;
    }
    return *text - start >= 3;
}

// [+-]hours[:minutes[:seconds]]
static bool take_time(const char **text, int most_hours, int64_t *out_seconds) {
    int hours = 0, minutes = 0, seconds = 0;
    bool negative = **text == '-';
    *text += negative || **text == '+';
    bool good = take_number(text, 0, most_hours, &hours);
    if (good && **text == ':') {
        (*text)++;
        good = take_number(text, 0, 59, &minutes);
        if (good && **text == ':') {
            (*text)++;
            good = take_number(text, 0, 59, &seconds);
        }
    }
    *out_seconds = hours * 3600 + minutes * 60 + seconds;
    *out_seconds = negative ? -*out_seconds : *out_seconds;
    return good;
}

static bool take_change(const char **text, struct change *out) {
    bool good;
    if (*(*text)++ != ',') {
        return false;
    }
    if (**text == 'M') {
        (*text)++;
        out->kind = BY_MONTH;
        good = take_number(text, 1, 12, &out->month) && *(*text)++ == '.' && take_number(text, 1, 5, &out->week) && *(*text)++ == '.' &&
               take_number(text, 0, 6, &out->weekday);
    } else if (**text == 'J') {
        (*text)++;
        out->kind = BY_DAY_WITHOUT_LEAP;
        good = take_number(text, 1, 365, &out->day);
    } else {
        out->kind = BY_DAY;
        good = take_number(text, 0, 365, &out->day);
    }
    out->seconds = 2 * 3600;
    if (good && **text == '/') {
        (*text)++;
        good = take_time(text, 167, &out->seconds);
    }
    return good;
}

static bool take_rule(mos_zone *zone, const char *text) {
    int64_t west;
    if (!take_name(&text) || !take_time(&text, 24, &west)) {
        return false;
    }
    zone->has_rule = true;
    zone->standard_offset = (int32_t)-west;
    if (!*text) {
        return true;
    }
    zone->has_summer = true;
    if (!take_name(&text)) {
        return false;
    }
    west -= 3600;
    if (*text != ',' && !take_time(&text, 24, &west)) {
        return false;
    }
    zone->summer_offset = (int32_t)-west;
    return take_change(&text, &zone->summer_begins) && take_change(&text, &zone->summer_ends) && !*text;
}

// ---- The file ----

static uint32_t number_32(const uint8_t *data) {
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static int64_t number_64(const uint8_t *data) {
    return (int64_t)((uint64_t)number_32(data) << 32 | number_32(data + 4));
}

struct header {
    uint32_t is_ut, is_standard, leaps, changes, types, characters;
    // Of the block behind it.
    uint64_t block_bytes;
};

static bool read_header(const uint8_t *data, size_t size_bytes, int time_bytes, struct header *out) {
    if (size_bytes < HEADER_BYTES || memcmp(data, "TZif", 4) != 0 || data[4] < '2') {
        return false;
    }
    *out = (struct header){number_32(data + 20),
                           number_32(data + 24),
                           number_32(data + 28),
                           number_32(data + 32),
                           number_32(data + 36),
                           number_32(data + 40),
                           0};
    out->block_bytes = (uint64_t)out->changes * (uint64_t)(time_bytes + 1) + (uint64_t)out->types * 6 + out->characters +
                       (uint64_t)out->leaps * (uint64_t)(time_bytes + 4) + out->is_standard + out->is_ut;
    return out->block_bytes <= size_bytes - HEADER_BYTES;
}

static bool read_changes(mos_zone *zone, const uint8_t *block, const struct header *header) {
    const uint8_t *indexes = block + (size_t)header->changes * 8;
    const uint8_t *types = indexes + header->changes;
    zone->at = mos_calloc(header->changes, sizeof(*zone->at));
    zone->offsets = mos_calloc(header->changes, sizeof(*zone->offsets));
    for (uint32_t i = 0; i < header->types; i++) {
        int32_t offset = (int32_t)number_32(types + (size_t)i * 6);
        if (offset < -LARGEST_OFFSET || offset > LARGEST_OFFSET) {
            return false;
        }
    }
    zone->first_offset = (int32_t)number_32(types);
    for (uint32_t i = 0; i < header->changes; i++) {
        int64_t at = number_64(block + (size_t)i * 8);
        if (indexes[i] >= header->types || (zone->count > 0 && at <= zone->at[zone->count - 1])) {
            return false;
        }
        zone->at[zone->count] = at;
        zone->offsets[zone->count++] = (int32_t)number_32(types + (size_t)indexes[i] * 6);
    }
    return true;
}

static bool read_file(mos_zone *zone, const uint8_t *data, size_t size_bytes) {
    struct header first, second;
    // The first block is for readers that know 32 bits only.
    if (!read_header(data, size_bytes, 4, &first)) {
        return false;
    }
    data += HEADER_BYTES + first.block_bytes;
    size_bytes -= HEADER_BYTES + first.block_bytes;
    if (!read_header(data, size_bytes, 8, &second) || second.types == 0 || second.leaps > 0) {
        return false;
    }
    if (!read_changes(zone, data + HEADER_BYTES, &second)) {
        return false;
    }
    const uint8_t *footer = data + HEADER_BYTES + second.block_bytes;
    size_t footer_bytes = size_bytes - HEADER_BYTES - (size_t)second.block_bytes;
    if (footer_bytes < 2 || footer[0] != '\n' || footer[footer_bytes - 1] != '\n' || memchr(footer, 0, footer_bytes)) {
        return false;
    }
    MOS_CLEANUP_FREE char *rule = mos_calloc(1, footer_bytes);
    memcpy(rule, footer + 1, footer_bytes - 2);
    return !*rule || take_rule(zone, rule);
}

mos_status mos_zone_parse(mos_zone **out, const uint8_t *data, size_t size_bytes, struct mos_error *error) {
    mos_zone *zone = mos_calloc(1, sizeof(*zone));
    if (!read_file(zone, data, size_bytes)) {
        mos_zone_close(zone);
        return mos_fail(error, MOS_CORRUPT,
                        "the file of the time zone cannot be read: it is damaged, or of another form than TZif 2 and later");
    }
    *out = zone;
    return MOS_OK;
}

void mos_zone_close(mos_zone *zone) {
    if (zone) {
        free(zone->at);
        free(zone->offsets);
        free(zone);
    }
}

static bool is_name(const char *name) {
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");
    return length > 0 && length <= LONGEST_NAME && !name[length] && name[0] != '/' && name[length - 1] != '/' && !strstr(name, "//");
}

static mos_status fail_name(const char *name, struct mos_error *error) {
    return mos_fail_field(error, "timeZone",
                          "timeZone is \"%.64s\", which the system's time zone database does not have; allowed is an IANA name as "
                          "Asia/Karachi, or nothing for UTC",
                          name);
}

mos_status mos_zone_open(mos_zone **out, const char *name, struct mos_error *error) {
    if (!*name || strcmp(name, "UTC") == 0) {
        *out = mos_calloc(1, sizeof(**out));
        return MOS_OK;
    }
    if (!is_name(name)) {
        return fail_name(name, error);
    }
    char path[sizeof(FOLDER) + LONGEST_NAME] = FOLDER;
    strcat(path, name);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;
    if (descriptor < 0) {
        return errno == ENOENT || errno == ENOTDIR ? fail_name(name, error)
                                                   : mos_fail_errno(error, errno, "reading the time zone %s", name);
    }
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > LARGEST_FILE) {
        close(descriptor);
        return fail_name(name, error);
    }
    MOS_CLEANUP_FREE uint8_t *data = mos_malloc((size_t)status.st_size + 1);
    ssize_t size = read(descriptor, data, (size_t)status.st_size);
    close(descriptor);
    // Files of the folder that are no zones are no names.
    return size >= 0 && mos_zone_parse(out, data, (size_t)size, NULL) == MOS_OK ? MOS_OK : fail_name(name, error);
}

// ---- Questions ----

static int64_t within(int64_t seconds) {
    return seconds < MOS_ZONE_LEAST ? MOS_ZONE_LEAST : seconds > MOS_ZONE_MOST ? MOS_ZONE_MOST : seconds;
}

// How many changes came up to this moment.
static size_t changes_until(const mos_zone *zone, int64_t unix_seconds) {
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->at[middle] <= unix_seconds) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int64_t year_at(const mos_zone *zone, int64_t unix_seconds) {
    int64_t wall = unix_seconds + zone->standard_offset;
    int64_t days = wall / SECONDS_A_DAY - (wall % SECONDS_A_DAY < 0), year;
    int month, day;
    mos_date_of(days, &year, &month, &day);
    return year;
}

static int32_t rule_offset(const mos_zone *zone, int64_t unix_seconds) {
    if (!zone->has_summer) {
        return zone->standard_offset;
    }
    int64_t year = year_at(zone, unix_seconds);
    int64_t begins = wall_of_change(&zone->summer_begins, year) - zone->standard_offset;
    int64_t ends = wall_of_change(&zone->summer_ends, year) - zone->summer_offset;
    bool summer = begins < ends ? unix_seconds >= begins && unix_seconds < ends : unix_seconds >= begins || unix_seconds < ends;
    return summer ? zone->summer_offset : zone->standard_offset;
}

int32_t mos_zone_offset(const mos_zone *zone, int64_t unix_seconds) {
    unix_seconds = within(unix_seconds);
    size_t passed = changes_until(zone, unix_seconds);
    if (passed == zone->count && zone->has_rule) {
        return rule_offset(zone, unix_seconds);
    }
    return passed > 0 ? zone->offsets[passed - 1] : zone->first_offset;
}

static bool rule_change(const mos_zone *zone, int64_t unix_seconds, int64_t *out) {
    bool found = false;
    int64_t year = year_at(zone, unix_seconds);
    for (int64_t y = year - 1; y <= year + 2 && zone->has_rule && zone->has_summer; y++) {
        const int64_t moments[] = {wall_of_change(&zone->summer_begins, y) - zone->standard_offset,
                                   wall_of_change(&zone->summer_ends, y) - zone->summer_offset,
                                   // Where a rule's change lies over the turn of a year, the year itself is the change.
                                   mos_days_of(y, 1, 1) * SECONDS_A_DAY - zone->standard_offset};
        for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
            if (moments[i] > unix_seconds && (!found || moments[i] < *out) &&
                rule_offset(zone, moments[i]) != rule_offset(zone, moments[i] - 1)) {
                *out = moments[i];
                found = true;
            }
        }
    }
    return found;
}

bool mos_zone_next_change(const mos_zone *zone, int64_t unix_seconds, int64_t *out_unix_seconds) {
    unix_seconds = within(unix_seconds);
    size_t next = changes_until(zone, unix_seconds);
    for (; next < zone->count; next++) {
        if (zone->at[next] <= MOS_ZONE_MOST && mos_zone_offset(zone, zone->at[next]) != mos_zone_offset(zone, zone->at[next] - 1)) {
            *out_unix_seconds = zone->at[next];
            return true;
        }
    }
    int64_t from = zone->count > 0 && zone->at[zone->count - 1] > unix_seconds ? within(zone->at[zone->count - 1]) : unix_seconds;
    return rule_change(zone, from, out_unix_seconds) && *out_unix_seconds <= MOS_ZONE_MOST;
}

int mos_zone_moments(const mos_zone *zone, int64_t wall_seconds, int64_t out[2], int64_t *out_after_gap) {
    wall_seconds = within(wall_seconds);
    int64_t from = wall_seconds - FARTHEST, change = 0;
    int count = 0;
    for (bool more = true; more && from <= wall_seconds + FARTHEST && count < 2; from = change) {
        int32_t offset = mos_zone_offset(zone, from);
        int64_t moment = wall_seconds - offset;
        more = mos_zone_next_change(zone, from, &change);
        if (moment >= from && (!more || moment < change)) {
            out[count++] = moment;
        } else if (more && count == 0 && moment >= change) {
            // Past this change the clock shows more, if it was set forward over the wall time.
            *out_after_gap = change;
        }
    }
    return count;
}
