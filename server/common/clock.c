#include "common/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t fake_unix_ns;

static int64_t read_clock(clockid_t clock) {
    int64_t fake = fake_unix_ns;
    if (fake) {
        return fake;
    }
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * MOS_NS_PER_SECOND + now.tv_nsec;
}

int64_t mos_now_unix_ns(void) {
    return read_clock(CLOCK_REALTIME);
}

int64_t mos_now_monotonic_ns(void) {
    return read_clock(CLOCK_MONOTONIC);
}

void mos_clock_fake(int64_t unix_ns) {
    fake_unix_ns = unix_ns;
}

void mos_time_format(int64_t unix_ns, char text[MOS_TIME_TEXT_BYTES]) {
    if (unix_ns == 0) {
        text[0] = 0;
        return;
    }
    int64_t ms = unix_ns / MOS_NS_PER_MS - (unix_ns % MOS_NS_PER_MS < 0);
    int64_t rest = ms % 1000 < 0 ? ms % 1000 + 1000 : ms % 1000;
    time_t seconds = (time_t)((ms - rest) / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t length = strftime(text, MOS_TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, MOS_TIME_TEXT_BYTES - length, ".%03dZ", (int)rest);
}

static bool digits(const char **text, int count, int *out) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9') {
            return false;
        }
        value = value * 10 + (c - '0');
    }
    *text += count;
    *out = value;
    return true;
}

static bool literal(const char **text, char wanted) {
    if (**text != wanted) {
        return false;
    }
    (*text)++;
    return true;
}

bool mos_time_parse(const char *text, int64_t *out_unix_ns) {
    int year, month, day, hour, minute, second;
    if (!digits(&text, 4, &year) || !literal(&text, '-') || !digits(&text, 2, &month) || !literal(&text, '-') || !digits(&text, 2, &day) ||
        (*text != 'T' && *text != 't' && *text != ' ')) {
        return false;
    }
    text++;
    if (!digits(&text, 2, &hour) || !literal(&text, ':') || !digits(&text, 2, &minute) || !literal(&text, ':') ||
        !digits(&text, 2, &second)) {
        return false;
    }
    int64_t nanoseconds = 0;
    if (*text == '.') {
        text++;
        if (*text < '0' || *text > '9') {
            return false;
        }
        int64_t scale = MOS_NS_PER_SECOND / 10;
        for (; *text >= '0' && *text <= '9'; text++) {
            nanoseconds += (*text - '0') * scale;
            scale /= 10;
        }
    }
    int offset_minutes = 0;
    if (*text == 'Z' || *text == 'z') {
        text++;
    } else {
        int sign = *text == '+' ? 1 : *text == '-' ? -1 : 0;
        int offset_hour, offset_minute;
        if (sign == 0) {
            return false;
        }
        text++;
        if (!digits(&text, 2, &offset_hour) || !literal(&text, ':') || !digits(&text, 2, &offset_minute) || offset_hour > 23 ||
            offset_minute > 59) {
            return false;
        }
        offset_minutes = sign * (offset_hour * 60 + offset_minute);
    }
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    // 1678 to 2261 is what 64 bits of nanoseconds hold.
    if (*text || year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 ||
        day > month_days[month - 1] + (month == 2 && leap ? 1 : 0) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    struct tm parts = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second};
    int64_t seconds = (int64_t)timegm(&parts) - offset_minutes * 60;
    *out_unix_ns = seconds * MOS_NS_PER_SECOND + nanoseconds;
    return true;
}
