#include "lib/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/text.h"

struct writer {
    struct mos_buffer *out;
    bool pretty;
    int depth;
};

static void append_message(struct writer *writer, const ProtobufCMessage *message);

static void new_line(struct writer *writer) {
    if (writer->pretty) {
        mos_buffer_printf(writer->out, "\n%*s", 2 * writer->depth, "");
    }
}

static void open(struct writer *writer, char bracket) {
    mos_buffer_append_byte(writer->out, (uint8_t)bracket);
    writer->depth++;
}

// `empty`: nothing was written since the opening bracket; the two then stand side by side.
static void shut(struct writer *writer, char bracket, bool empty) {
    writer->depth--;
    if (!empty) {
        new_line(writer);
    }
    mos_buffer_append_byte(writer->out, (uint8_t)bracket);
}

static void separate(struct writer *writer, bool first) {
    if (!first) {
        mos_buffer_append_byte(writer->out, ',');
    }
    new_line(writer);
}

// Length of the character at the start of the text, 0 for a byte that begins none.
static size_t character_length(const char *text) {
    size_t left = strnlen(text, 4);
    for (size_t length = 1; length <= left; length++) {
        if (mos_utf8_valid(text, length)) {
            return length;
        }
    }
    return 0;
}

// Characters that a terminal or a reader could take for something else than text: C1 controls, and those that turn the direction of text.
static bool harmful(const unsigned char *c, size_t length) {
    if (length == 2) {
        return c[0] == 0xc2 && c[1] < 0xa0;
    }
    if (length != 3 || c[0] != 0xe2) {
        return false;
    }
    return (c[1] == 0x80 && ((c[2] >= 0x8e && c[2] <= 0x8f) || (c[2] >= 0xa8 && c[2] <= 0xae))) ||
           (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

static void append_string(struct mos_buffer *out, const char *text) {
    mos_buffer_append_byte(out, '"');
    while (*text) {
        const unsigned char *c = (const unsigned char *)text;
        size_t length = character_length(text);
        if (length == 0) {
            mos_buffer_append_text(out, "\\ufffd");
            text++;
            continue;
        }
        if (*c == '"' || *c == '\\') {
            mos_buffer_printf(out, "\\%c", *c);
        } else if (*c == '\n' || *c == '\t' || *c == '\r') {
            mos_buffer_append_text(out, *c == '\n' ? "\\n" : *c == '\t' ? "\\t" : "\\r");
        } else if (*c < ' ' || *c == 0x7f) {
            mos_buffer_printf(out, "\\u%04x", *c);
        } else if (harmful(c, length)) {
            unsigned code = length == 2 ? (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu) : (c[0] & 0xfu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
            mos_buffer_printf(out, "\\u%04x", code);
        } else {
            mos_buffer_append(out, text, length);
        }
        text += length;
    }
    mos_buffer_append_byte(out, '"');
}

static void append_base64(struct mos_buffer *out, const ProtobufCBinaryData *data) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    mos_buffer_append_byte(out, '"');
    for (size_t i = 0; i < data->len; i += 3) {
        size_t left = data->len - i;
        uint32_t group = (uint32_t)data->data[i] << 16;
        group |= left > 1 ? (uint32_t)data->data[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)data->data[i + 2] : 0;
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63], left > 1 ? digits[group >> 6 & 63] : '=',
                        left > 2 ? digits[group & 63] : '='};
        mos_buffer_append(out, text, sizeof(text));
    }
    mos_buffer_append_byte(out, '"');
}

// The shortest text that reads back as the same number.
static void append_real(struct mos_buffer *out, double value, bool single) {
    if (!isfinite(value)) {
        mos_buffer_append_text(out, "null");
        return;
    }
    char text[40];
    for (int precision = single ? 6 : 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, value);
        if (single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value) {
            break;
        }
    }
    mos_buffer_append_text(out, text);
}

static void append_enum(struct mos_buffer *out, const ProtobufCEnumDescriptor *descriptor, int number) {
    static const char none[] = "UNSPECIFIED";
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);
    if (!value) {
        mos_buffer_printf(out, "%d", number);
        return;
    }
    size_t length = strlen(value->name);
    if (number == 0 && length >= sizeof(none) - 1 && strcmp(value->name + length - (sizeof(none) - 1), none) == 0) {
        mos_buffer_append_text(out, "null");
    } else {
        append_string(out, value->name);
    }
}

static void append_value(struct writer *writer, const ProtobufCFieldDescriptor *field, const void *member) {
    struct mos_buffer *out = writer->out;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        mos_buffer_printf(out, "%" PRId32, *(const int32_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        mos_buffer_printf(out, "%" PRIu32, *(const uint32_t *)member);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        mos_buffer_printf(out, "%" PRId64, *(const int64_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        mos_buffer_printf(out, "%" PRIu64, *(const uint64_t *)member);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        append_real(out, (double)*(const float *)member, true);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        append_real(out, *(const double *)member, false);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        mos_buffer_append_text(out, *(const protobuf_c_boolean *)member ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        append_enum(out, field->descriptor, *(const int *)member);
        break;
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)member;
        append_string(out, text ? text : "");
        break;
    }
    case PROTOBUF_C_TYPE_BYTES:
        append_base64(out, member);
        break;
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *message = *(ProtobufCMessage *const *)member;
        if (message) {
            append_message(writer, message);
        } else {
            mos_buffer_append_text(out, "null");
        }
        break;
    }
    }
}

static size_t value_size(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return sizeof(void *);
}

static bool is_map(const ProtobufCFieldDescriptor *field) {
    static const char suffix[] = "Entry";
    if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return false;
    }
    // protoc makes a map<K, V> labels into a repeated message LabelsEntry {K key = 1; V value = 2;}.
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    const char *name = entry->short_name;
    if (entry->n_fields != 2 || strcmp(entry->fields[0].name, "key") != 0 || strcmp(entry->fields[1].name, "value") != 0) {
        return false;
    }
    for (const char *c = field->name; *c; c++) {
        if (*c == '_') {
            continue;
        }
        char wanted = c == field->name || c[-1] == '_' ? (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c) : *c;
        if (*name++ != wanted) {
            return false;
        }
    }
    return strcmp(name, suffix) == 0;
}

static void append_map(struct writer *writer, ProtobufCMessage *const *entries, size_t count) {
    open(writer, '{');
    for (size_t i = 0; i < count; i++) {
        const ProtobufCFieldDescriptor *key = &entries[i]->descriptor->fields[0];
        const ProtobufCFieldDescriptor *value = &entries[i]->descriptor->fields[1];
        separate(writer, i == 0);
        if (key->type == PROTOBUF_C_TYPE_STRING) {
            append_value(writer, key, (const char *)entries[i] + key->offset);
        } else {
            mos_buffer_append_byte(writer->out, '"');
            append_value(writer, key, (const char *)entries[i] + key->offset);
            mos_buffer_append_byte(writer->out, '"');
        }
        mos_buffer_append_text(writer->out, writer->pretty ? ": " : ":");
        append_value(writer, value, (const char *)entries[i] + value->offset);
    }
    shut(writer, '}', count == 0);
}

static void append_timestamp(struct mos_buffer *out, const ProtobufCMessage *message) {
    int64_t seconds = *(const int64_t *)(const void *)((const char *)message + message->descriptor->fields[0].offset);
    int32_t nanoseconds = *(const int32_t *)(const void *)((const char *)message + message->descriptor->fields[1].offset);
    // The years 1 to 9999, as the well-known type has it.
    if (seconds < INT64_C(-62135596800) || seconds > INT64_C(253402300799) || nanoseconds < 0 || nanoseconds > 999999999) {
        mos_buffer_append_text(out, "null");
        return;
    }
    time_t time = (time_t)seconds;
    struct tm parts;
    gmtime_r(&time, &parts);
    mos_buffer_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                      parts.tm_min, parts.tm_sec);
    if (nanoseconds % 1000000 == 0) {
        mos_buffer_printf(out, ".%03d", nanoseconds / 1000000);
    } else if (nanoseconds % 1000 == 0) {
        mos_buffer_printf(out, ".%06d", nanoseconds / 1000);
    } else {
        mos_buffer_printf(out, ".%09d", nanoseconds);
    }
    mos_buffer_append_text(out, "Z\"");
}

static void append_name(struct mos_buffer *out, const char *name) {
    static const char *const exceptions[][2] = {{"actual_rto", "actualRTO"}, {"actual_rpo", "actualRPO"}};
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
        if (strcmp(name, exceptions[i][0]) == 0) {
            mos_buffer_printf(out, "\"%s\"", exceptions[i][1]);
            return;
        }
    }
    mos_buffer_append_byte(out, '"');
    bool upper = false;
    for (; *name; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        mos_buffer_append_byte(out, (uint8_t)(upper && *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name));
        upper = false;
    }
    mos_buffer_append_byte(out, '"');
}

// A member of a oneof (proto3's optional is one of a single member) shares its place with others, and the case says which is there;
// proto2's optional numbers have a truth value beside them.
static bool is_absent(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    const char *quantifier = (const char *)message + field->quantifier_offset;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        return *(const uint32_t *)(const void *)quantifier != field->id;
    }
    if (field->label != PROTOBUF_C_LABEL_OPTIONAL) {
        return false;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return *(void *const *)(const void *)((const char *)message + field->offset) == NULL;
    }
    return !*(const protobuf_c_boolean *)(const void *)quantifier;
}

static void append_field(struct writer *writer, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    const char *member = (const char *)message + field->offset;
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        if (is_absent(message, field)) {
            mos_buffer_append_text(writer->out, "null");
        } else {
            append_value(writer, field, member);
        }
        return;
    }
    size_t count = *(const size_t *)(const void *)((const char *)message + field->quantifier_offset);
    const char *items = *(const char *const *)(const void *)member;
    if (is_map(field)) {
        append_map(writer, (ProtobufCMessage *const *)(const void *)items, count);
        return;
    }
    open(writer, '[');
    for (size_t i = 0; i < count; i++) {
        separate(writer, i == 0);
        append_value(writer, field, items + i * value_size(field->type));
    }
    shut(writer, ']', count == 0);
}

static void append_message(struct writer *writer, const ProtobufCMessage *message) {
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (strcmp(descriptor->name, "google.protobuf.Timestamp") == 0) {
        append_timestamp(writer->out, message);
        return;
    }
    open(writer, '{');
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        separate(writer, i == 0);
        append_name(writer->out, descriptor->fields[i].name);
        mos_buffer_append_text(writer->out, writer->pretty ? ": " : ":");
        append_field(writer, message, &descriptor->fields[i]);
    }
    shut(writer, '}', descriptor->n_fields == 0);
}

void mos_json_append(struct mos_buffer *out, const ProtobufCMessage *message, bool pretty) {
    append_message(&(struct writer){.out = out, .pretty = pretty}, message);
}

void mos_json_append_list(struct mos_buffer *out, const ProtobufCMessage *const *messages, size_t count, bool pretty) {
    struct writer writer = {.out = out, .pretty = pretty};
    open(&writer, '[');
    for (size_t i = 0; i < count; i++) {
        separate(&writer, i == 0);
        append_message(&writer, messages[i]);
    }
    shut(&writer, ']', count == 0);
}
