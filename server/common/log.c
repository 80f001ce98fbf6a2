#include "common/log.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"

// Lines up to PIPE_BUF are written whole by one write; longer ones are cut, which no event needs.
enum { LINE_LIMIT_BYTES = 4000 };

static const char *program_name = "mosaajii";
static atomic_bool as_json;
static atomic_int least_level = MOS_LOG_INFO;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void mos_log_setup(const char *program, bool json, enum mos_log_level least) {
    program_name = program;
    as_json = json;
    least_level = (int)least;
}

static bool needs_quotes(const char *text) {
    if (!*text) {
        return true;
    }
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c <= ' ' || *c == '"' || *c == '=' || *c == '\\' || *c == 0x7f) {
            return true;
        }
    }
    return false;
}

static void append_quoted(struct mos_buffer *line, const char *text) {
    mos_buffer_append_byte(line, '"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            mos_buffer_printf(line, "\\%c", *c);
        } else if (*c == '\n') {
            mos_buffer_append_text(line, "\\n");
        } else if (*c < ' ' || *c == 0x7f) {
            mos_buffer_printf(line, "\\u%04x", *c);
        } else {
            mos_buffer_append_byte(line, *c);
        }
    }
    mos_buffer_append_byte(line, '"');
}

static void append_text(struct mos_buffer *line, const char *key, const char *text) {
    if (as_json) {
        mos_buffer_printf(line, "%s\"%s\":", line->size_bytes > 1 ? "," : "", key);
        append_quoted(line, text);
        return;
    }
    mos_buffer_printf(line, "%s%s=", line->size_bytes ? " " : "", key);
    if (needs_quotes(text)) {
        append_quoted(line, text);
    } else {
        mos_buffer_append_text(line, text);
    }
}

static void append_number(struct mos_buffer *line, const char *key, int64_t number) {
    if (as_json) {
        mos_buffer_printf(line, "%s\"%s\":%lld", line->size_bytes > 1 ? "," : "", key, (long long)number);
    } else {
        mos_buffer_printf(line, "%s%s=%lld", line->size_bytes ? " " : "", key, (long long)number);
    }
}

void mos_log_write(enum mos_log_level level, const char *event, const struct mos_log_field *fields) {
    if ((int)level < least_level) {
        return;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer line = MOS_BUFFER_INIT(0);
    char time[MOS_TIME_TEXT_BYTES];
    mos_time_format(mos_now_unix_ns(), time);
    if (as_json) {
        mos_buffer_append_byte(&line, '{');
    }
    append_text(&line, "time", time);
    append_text(&line, "level", level_names[level]);
    append_text(&line, "program", program_name);
    append_text(&line, "event", event);
    for (; fields->key; fields++) {
        char cut[1024];
        if (fields->text) {
            strncpy(cut, fields->text, sizeof(cut) - 1);
            cut[sizeof(cut) - 1] = 0;
            if (line.size_bytes + strlen(cut) < LINE_LIMIT_BYTES) {
                append_text(&line, fields->key, cut);
            }
        } else {
            append_number(&line, fields->key, fields->number);
        }
    }
    mos_buffer_append_text(&line, as_json ? "}\n" : "\n");
    // Nobody is left to be told when standard error is gone.
    ssize_t written = write(STDERR_FILENO, line.data, line.size_bytes);
    (void)written;
}
