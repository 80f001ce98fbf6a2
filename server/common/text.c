#include "common/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Length of the valid sequence at the start of the data, 0 for none. Table 3-7 of the Unicode standard.
static size_t sequence_length(const uint8_t *data, size_t size_bytes) {
    uint8_t first = data[0];
    if (first < 0x80) {
        return first ? 1 : 0;
    }
    size_t length = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
    if (length == 0 || size_bytes < length) {
        return 0;
    }
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (data[1] < low || data[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

bool mos_utf8_valid(const void *data, size_t size_bytes) {
    const uint8_t *next = data;
    while (size_bytes > 0) {
        size_t length = sequence_length(next, size_bytes);
        if (length == 0) {
            return false;
        }
        next += length;
        size_bytes -= length;
    }
    return true;
}

static bool value_valid(const ProtobufCFieldDescriptor *field, const void *member, const char **out_field) {
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(char *const *)member;
        if (text && !mos_utf8_valid(text, strlen(text))) {
            *out_field = field->name;
            return false;
        }
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *message = *(ProtobufCMessage *const *)member;
        return !message || mos_message_utf8_valid(message, out_field);
    }
    return true;
}

bool mos_message_utf8_valid(const ProtobufCMessage *message, const char **out_field) {
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE) {
            continue;
        }
        const char *member = (const char *)message + field->offset;
        const char *quantifier = (const char *)message + field->quantifier_offset;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = *(const size_t *)(const void *)quantifier;
            char *const *items = *(char *const *const *)(const void *)member;
            for (size_t k = 0; k < count; k++) {
                if (!value_valid(field, &items[k], out_field)) {
                    return false;
                }
            }
        } else {
            // Members of a oneof share their place; the case says which of them it is.
            bool absent =
                (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(const uint32_t *)(const void *)quantifier != (uint32_t)field->id;
            if (!absent && !value_valid(field, member, out_field)) {
                return false;
            }
        }
    }
    return true;
}

char *mos_path_escape(mos_arena *arena, const void *path, size_t size_bytes) {
    const uint8_t *next = path;
    const uint8_t *end = next + size_bytes;
    char *text = mos_arena_alloc(arena, 4 * size_bytes + 1);
    char *out = text;
    while (out && next < end) {
        size_t length = sequence_length(next, (size_t)(end - next));
        if (length == 0 || *next < ' ' || *next == 0x7f || *next == '\\') {
            snprintf(out, 5, "\\x%02x", *next++);
            out += 4;
        } else {
            memcpy(out, next, length);
            out += length;
            next += length;
        }
    }
    return text; // the arena's memory is zeroed, which ends the text
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool mos_path_unescape(mos_arena *arena, const char *text, char **out, size_t *out_size_bytes) {
    char *path = mos_arena_alloc(arena, strlen(text) + 1);
    if (!path) {
        return false;
    }
    size_t size_bytes = 0;
    while (*text) {
        if (*text != '\\') {
            path[size_bytes++] = *text++;
            continue;
        }
        int high = text[1] == 'x' ? hex_value(text[2]) : -1;
        int low = high < 0 ? -1 : hex_value(text[3]);
        if (low < 0 || (high == 0 && low == 0)) {
            return false;
        }
        path[size_bytes++] = (char)(high << 4 | low);
        text += 4;
    }
    *out = path;
    *out_size_bytes = size_bytes;
    return true;
}

bool mos_path_is_below(const char *path, const char *above) {
    size_t size_bytes = strcmp(above, "/") == 0 ? 0 : strlen(above);
    return strncmp(path, above, size_bytes) == 0 && (path[size_bytes] == '/' || path[size_bytes] == 0);
}

char **mos_split(mos_arena *arena, const char *text, char separator, size_t *out_count) {
    size_t most = 1;
    for (const char *c = text; *c; c++) {
        most += *c == separator;
    }
    char **parts = mos_arena_array(arena, char *, most);
    size_t count = 0;
    const char separators[] = {separator, 0};
    while (parts && *text) {
        size_t length = strcspn(text, separators);
        if (length > 0) {
            char *part = mos_arena_alloc(arena, length + 1);
            if (!part) {
                break;
            }
            memcpy(part, text, length);
            parts[count++] = part;
        }
        text += length + (text[length] == separator);
    }
    *out_count = count;
    return parts;
}

void mos_size_format(int64_t bytes, char text[MOS_SIZE_TEXT_BYTES]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes > -1024 && bytes < 1024) {
        snprintf(text, MOS_SIZE_TEXT_BYTES, "%lld B", (long long)bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while ((value >= 1023.95 || value <= -1023.95) && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(text, MOS_SIZE_TEXT_BYTES, "%.1f %s", value, units[unit]);
}

char *mos_path_absolute(mos_arena *arena, const char *path) {
    char here[PATH_MAX], real[PATH_MAX];
    if (*path != '/' && !getcwd(here, sizeof(here))) {
        return NULL;
    }
    char *rest = mos_arena_printf(arena, "%s/%s", *path == '/' ? "" : here, path);
    char *out = mos_arena_strdup(arena, "");
    for (char *name = strsep(&rest, "/"); name; name = strsep(&rest, "/")) {
        if (strcmp(name, "..") == 0) {
            out = realpath(*out ? out : "/", real) ? mos_arena_strdup(arena, real) : out;
            char *slash = strrchr(out, '/');
            *(slash ? slash : out) = 0;
        } else if (*name && strcmp(name, ".") != 0) {
            out = mos_arena_printf(arena, "%s/%s", out, name);
        }
    }
    return *out ? out : mos_arena_strdup(arena, "/");
}
