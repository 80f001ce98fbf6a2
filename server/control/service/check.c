// Checks of request fields.
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "control/service/internal.h"

enum { LONGEST_PATH = 4096 };

mos_status mos_check_readable(const struct mos_backup *backup, struct mos_error *error) {
    if (!*backup->encrypted_checksum) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup %s is not complete: its status is %s", backup->id,
                        mos_backup_status_word((int)backup->status));
    }
    return backup->absent ? mos_fail(error, MOS_FAILED_PRECONDITION,
                                     "the data of the backup %s lies offsite only; bring it here first: mosaajii offsite fetch %s",
                                     backup->id, backup->id)
                          : MOS_OK;
}

mos_status mos_check_id(const char *field, const char *id, struct mos_error *error) {
    return *id ? MOS_OK : mos_fail_field(error, field, "%s must not be empty", field);
}

static size_t characters(const char *text) {
    size_t count = 0;
    for (; *text; text++) {
        count += (*text & 0xc0) != 0x80;
    }
    return count;
}

mos_status mos_check_text(const char *field, const char *text, size_t most, struct mos_error *error) {
    size_t count = characters(text);
    return count <= most ? MOS_OK : mos_fail_field(error, field, "%s has %zu characters; allowed are %zu", field, count, most);
}

mos_status mos_check_number(const char *field, int64_t number, int64_t least, int64_t most, struct mos_error *error) {
    return number >= least && number <= most ? MOS_OK
                                             : mos_fail_field(error, field, "%s is %lld; allowed is %lld to %lld", field, (long long)number,
                                                              (long long)least, (long long)most);
}

mos_status mos_check_tags(const char *field, char *const *tags, size_t count, struct mos_error *error) {
    if (count > MOS_TAGS_MOST) {
        return mos_fail_field(error, field, "%s holds %zu tags; allowed are %d", field, count, MOS_TAGS_MOST);
    }
    for (size_t i = 0; i < count; i++) {
        size_t length = characters(tags[i]);
        if (length == 0 || length > MOS_TAG_MOST || strchr(tags[i], ',')) {
            return mos_fail_field(error, field, "%s holds a tag that is empty, longer than %d characters or has a comma in it", field,
                                  MOS_TAG_MOST);
        }
    }
    return MOS_OK;
}

mos_status mos_check_enum(const char *field, int value, int most, bool optional, const char *words, struct mos_error *error) {
    if (value > 0 && value <= most) {
        return MOS_OK;
    }
    if (value == 0) {
        return optional ? MOS_OK : mos_fail_field(error, field, "%s is missing; allowed is %s", field, words);
    }
    return mos_fail_field(error, field, "%s is %d; allowed is %s", field, value, words);
}

mos_status mos_check_time(const char *field, const Google__Protobuf__Timestamp *time, int64_t *out_unix_ns, struct mos_error *error) {
    *out_unix_ns = 0;
    if (!time) {
        return MOS_OK;
    }
    // What 64 bits of nanoseconds hold, and the API's own bounds for the rest.
    if (time->seconds <= 0 || time->seconds > INT64_MAX / MOS_NS_PER_SECOND - 1 || time->nanos < 0 || time->nanos >= MOS_NS_PER_SECOND) {
        return mos_fail_field(error, field, "%s is no time between 1970 and 2262", field);
    }
    *out_unix_ns = time->seconds * MOS_NS_PER_SECOND + time->nanos;
    return MOS_OK;
}

mos_status mos_check_path(const char *field, const char *text, mos_arena *arena, char **out, size_t *out_bytes, struct mos_error *error) {
    if (strlen(text) > 4 * LONGEST_PATH || !mos_path_unescape(arena, text, out, out_bytes) || *out_bytes >= LONGEST_PATH) {
        return mos_fail_field(error, field, "%s holds no path: a backslash begins \\xHH, and %d bytes are the most", field,
                              LONGEST_PATH - 1);
    }
    return MOS_OK;
}
