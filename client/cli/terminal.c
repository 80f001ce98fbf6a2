#include "cli/terminal.h"

#include <inttypes.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "common/text.h"

// The character at the start of the text and its length, 0 for a byte that begins none.
static size_t decode(const char *text, uint32_t *out) {
    const unsigned char *c = (const unsigned char *)text;
    size_t left = strnlen(text, 4);
    size_t length = 1;
    while (length <= left && !mos_utf8_valid(text, length)) {
        length++;
    }
    if (length > left) {
        return 0;
    }
    *out = length == 1 ? c[0] : c[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        *out = *out << 6 | (c[i] & 0x3fu);
    }
    return length;
}

static bool harmless(uint32_t c) {
    bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
    bool turns = c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return !control && !turns;
}

char *mos_terminal_escape(mos_arena *arena, const char *text) {
    char *escaped = mos_arena_alloc(arena, 4 * strlen(text) + 1);
    char *out = escaped;
    while (*text) {
        uint32_t c;
        size_t length = decode(text, &c);
        if (length > 0 && harmless(c)) {
            memcpy(out, text, length);
            out += length;
            text += length;
            continue;
        }
        for (size_t i = 0; i < (length ? length : 1); i++) {
            out += snprintf(out, 5, "\\x%02x", (unsigned char)*text++);
        }
    }
    *out = 0;
    return escaped;
}

static locale_t wide_locale;

static void make_locale(void) {
    wide_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static int character_width(uint32_t c) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    if (c < 0x300 || !wide_locale) {
        return 1;
    }
    locale_t before = uselocale(wide_locale);
    int width = wcwidth((wchar_t)c);
    uselocale(before);
    return width < 0 ? 1 : width;
}

int mos_terminal_width(const char *text) {
    int columns = 0;
    while (*text) {
        uint32_t c;
        size_t length = decode(text, &c);
        columns += length ? character_width(c) : 1;
        text += length ? length : 1;
    }
    return columns;
}

char *mos_terminal_fit(mos_arena *arena, const char *text, int columns, bool keep_end) {
    int width = mos_terminal_width(text);
    if (width <= columns) {
        return mos_arena_strdup(arena, text);
    }
    if (columns < 1) {
        return mos_arena_strdup(arena, "");
    }
    // One column is the ellipsis's.
    int surplus = width - columns + 1;
    const char *c = text;
    int passed = 0;
    while (*c) {
        uint32_t code;
        size_t length = decode(c, &code);
        int next = length ? character_width(code) : 1;
        if (keep_end ? passed >= surplus && next > 0 : passed + next > columns - 1) {
            break;
        }
        passed += next;
        c += length ? length : 1;
    }
    return keep_end ? mos_arena_printf(arena, "\xe2\x80\xa6%s", c) : mos_arena_printf(arena, "%.*s\xe2\x80\xa6", (int)(c - text), text);
}

struct mos_terminal mos_terminal_open(FILE *stream) {
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");
    const char *locale = getenv("LC_ALL");
    locale = locale && *locale ? locale : getenv("LC_CTYPE");
    locale = locale && *locale ? locale : getenv("LANG");
    bool interactive = isatty(fileno(stream)) && term && *term && strcmp(term, "dumb") != 0;
    return (struct mos_terminal){.stream = stream,
                                 .interactive = interactive,
                                 .colour = interactive && !(no_colour && *no_colour),
                                 .utf8 = locale && (strcasestr(locale, "UTF-8") || strcasestr(locale, "UTF8"))};
}

int mos_terminal_columns(const struct mos_terminal *terminal) {
    struct winsize size;
    if (ioctl(fileno(terminal->stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return 80;
}

const char *mos_terminal_colour(const struct mos_terminal *terminal, enum mos_colour colour) {
    static const char *const sequences[] = {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m"};
    return terminal->colour ? sequences[colour] : "";
}

enum mos_colour mos_status_colour(const char *word) {
    static const struct {
        const char *start;
        enum mos_colour colour;
    } words[] = {{"VERIFIED", MOS_COLOUR_GREEN},  {"COMPLETED", MOS_COLOUR_GREEN}, {"SUCCEEDED_WITH", MOS_COLOUR_YELLOW},
                 {"SUCCEEDED", MOS_COLOUR_GREEN}, {"FAILED", MOS_COLOUR_RED},      {"CANCELLED", MOS_COLOUR_YELLOW},
                 {"EXPIRED", MOS_COLOUR_DIM},     {"ACTIVE", MOS_COLOUR_GREEN},    {"PROTECTED", MOS_COLOUR_GREEN},
                 {"AT_RISK", MOS_COLOUR_YELLOW},  {"UNPROTECTED", MOS_COLOUR_RED}, {"REVOKED", MOS_COLOUR_DIM}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strncmp(word, words[i].start, strlen(words[i].start)) == 0) {
            return words[i].colour;
        }
    }
    return MOS_COLOUR_NONE;
}

void mos_count_format(int64_t count, char text[MOS_SHORT_TEXT_BYTES]) {
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%" PRId64, count);
    int sign = digits[0] == '-';
    char *out = text;
    for (int i = 0; i < length; i++) {
        if (i > sign && (length - i) % 3 == 0) {
            *out++ = ',';
        }
        *out++ = digits[i];
    }
    *out = 0;
}

void mos_duration_format(int64_t duration_ms, char text[MOS_SHORT_TEXT_BYTES]) {
    int64_t seconds = duration_ms / 1000;
    if (duration_ms < 10000) {
        snprintf(text, MOS_SHORT_TEXT_BYTES, "%.1f s", (double)duration_ms / 1000);
    } else if (seconds < 60) {
        snprintf(text, MOS_SHORT_TEXT_BYTES, "%" PRId64 " s", seconds);
    } else if (seconds < 3600) {
        snprintf(text, MOS_SHORT_TEXT_BYTES, "%" PRId64 " min %" PRId64 " s", seconds / 60, seconds % 60);
    } else if (seconds < 86400 * 2) {
        snprintf(text, MOS_SHORT_TEXT_BYTES, "%" PRId64 " h %" PRId64 " min", seconds / 3600, seconds / 60 % 60);
    } else {
        snprintf(text, MOS_SHORT_TEXT_BYTES, "%" PRId64 " days", seconds / 86400);
    }
}

void mos_clock_format(int64_t seconds, char text[MOS_SHORT_TEXT_BYTES]) {
    if (seconds < 3600) {
        snprintf(text, MOS_SHORT_TEXT_BYTES, "%" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
    } else {
        snprintf(text, MOS_SHORT_TEXT_BYTES, "%" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
}

static void local_format(int64_t unix_seconds, const char *format, char text[MOS_SHORT_TEXT_BYTES]) {
    time_t time = (time_t)unix_seconds;
    struct tm parts;
    if (unix_seconds == 0 || !localtime_r(&time, &parts) || strftime(text, MOS_SHORT_TEXT_BYTES, format, &parts) == 0) {
        snprintf(text, MOS_SHORT_TEXT_BYTES, "-");
    }
}

void mos_minute_format(int64_t unix_seconds, char text[MOS_SHORT_TEXT_BYTES]) {
    local_format(unix_seconds, "%Y-%m-%d %H:%M", text);
}

void mos_moment_format(int64_t unix_seconds, char text[MOS_SHORT_TEXT_BYTES]) {
    local_format(unix_seconds, "%Y-%m-%d %H:%M:%S %Z", text);
}
