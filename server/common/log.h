// One line an event to standard error: logfmt, or JSON with MOSAAJII_LOG_FORMAT=json. Thread safe; a line is written whole.
#ifndef MOS_COMMON_LOG_H
#define MOS_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mos_log_level { MOS_LOG_DEBUG, MOS_LOG_INFO, MOS_LOG_WARNING, MOS_LOG_ERROR };

struct mos_log_field {
    const char *key;
    // NULL: the field is the number.
    const char *text;
    int64_t number;
};

// NULL text is written as an empty string.
static inline struct mos_log_field MOS_TEXT(const char *key, const char *text) {
    return (struct mos_log_field){.key = key, .text = text ? text : ""};
}
#define MOS_NUMBER(name, value) ((struct mos_log_field){.key = (name), .number = (int64_t)(value)})

// `mos_log_info("backup completed", MOS_TEXT("backup", id), MOS_NUMBER("bytes", size));` The event is a constant phrase; what varies
// stands in fields. Never a secret, in any field.
#define mos_log_debug(...) MOS_LOG_AT(MOS_LOG_DEBUG, __VA_ARGS__)
#define mos_log_info(...) MOS_LOG_AT(MOS_LOG_INFO, __VA_ARGS__)
#define mos_log_warning(...) MOS_LOG_AT(MOS_LOG_WARNING, __VA_ARGS__)
#define mos_log_error(...) MOS_LOG_AT(MOS_LOG_ERROR, __VA_ARGS__)

#define MOS_LOG_AT(level, ...) MOS_LOG_SPLIT(level, __VA_ARGS__, MOS_LOG_END)
#define MOS_LOG_END ((struct mos_log_field){0})
#define MOS_LOG_SPLIT(level, event, ...) mos_log_write((level), (event), (struct mos_log_field[]){__VA_ARGS__})

// `fields` ends with one whose key is NULL.
void mos_log_write(enum mos_log_level level, const char *event, const struct mos_log_field *fields);
// `program` is a constant and stands in every line.
void mos_log_setup(const char *program, bool json, enum mos_log_level least);

#endif
