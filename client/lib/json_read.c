#include "lib/json_read.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

enum { PATH_BYTES = 80 };

struct reader {
    mos_arena *arena;
    struct mos_error *error;
};

// "validation_criteria" is "validationCriteria"; actualRTO is "actual_rto".
static bool same_name(const char *json, const char *proto) {
    while (*json && *proto) {
        json += *json == '_';
        proto += *proto == '_';
        if (tolower((unsigned char)*json) != tolower((unsigned char)*proto)) {
            return false;
        }
        json += *json != 0;
        proto += *proto != 0;
    }
    return !*json && !*proto;
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *descriptor, const char *name) {
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        if (same_name(name, descriptor->fields[i].name)) {
            return &descriptor->fields[i];
        }
    }
    return NULL;
}

static mos_status read_message(struct reader *reader, const struct mos_json *json, ProtobufCMessage *message, const char *path);

static mos_status fail(struct reader *reader, const char *path, const char *wanted) {
    return mos_fail_field(reader->error, path, "%s must be %s", path, wanted);
}

static mos_status read_whole(struct reader *reader, const struct mos_json *json, double least, double most, const char *path, double *out) {
    if (json->kind != MOS_JSON_NUMBER || json->number != floor(json->number) || json->number < least || json->number > most) {
        return fail(reader, path, "a whole number that is not too large");
    }
    *out = json->number;
    return MOS_OK;
}

static mos_status read_enum(struct reader *reader, const struct mos_json *json, const ProtobufCEnumDescriptor *descriptor, const char *path,
                            int *out) {
    const ProtobufCEnumValue *value =
        json->kind == MOS_JSON_STRING ? protobuf_c_enum_descriptor_get_value_by_name(descriptor, json->string) : NULL;
    if (!value) {
        char words[400] = "one of";
        for (unsigned i = 0; i < descriptor->n_values; i++) {
            const char *name = descriptor->values[i].name;
            size_t used = strlen(words);
            if (!strstr(name, "UNSPECIFIED")) {
                snprintf(words + used, sizeof(words) - used, " %s", name);
            }
        }
        return fail(reader, path, words);
    }
    *out = value->value;
    return MOS_OK;
}

static mos_status read_time(struct reader *reader, const struct mos_json *json, ProtobufCMessage *message, const char *path) {
    int64_t unix_ns;
    if (json->kind != MOS_JSON_STRING || !mos_time_parse(json->string, &unix_ns)) {
        return fail(reader, path, "a time, as 2026-01-31T12:00:00Z");
    }
    const ProtobufCFieldDescriptor *seconds = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "seconds");
    const ProtobufCFieldDescriptor *nanos = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "nanos");
    *(int64_t *)(void *)((char *)message + seconds->offset) = unix_ns / MOS_NS_PER_SECOND;
    *(int32_t *)(void *)((char *)message + nanos->offset) = (int32_t)(unix_ns % MOS_NS_PER_SECOND);
    return MOS_OK;
}

static mos_status read_value(struct reader *reader, const struct mos_json *json, const ProtobufCFieldDescriptor *field, void *out,
                             const char *path) {
    double number = 0;
    mos_status status;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        if (json->kind != MOS_JSON_STRING) {
            return fail(reader, path, "a text");
        }
        *(char **)out = mos_arena_strdup(reader->arena, json->string);
        return MOS_OK;
    case PROTOBUF_C_TYPE_BOOL:
        if (json->kind != MOS_JSON_TRUE && json->kind != MOS_JSON_FALSE) {
            return fail(reader, path, "true or false");
        }
        *(protobuf_c_boolean *)out = json->kind == MOS_JSON_TRUE;
        return MOS_OK;
    case PROTOBUF_C_TYPE_INT32:
        status = read_whole(reader, json, INT32_MIN, INT32_MAX, path, &number);
        *(int32_t *)out = (int32_t)number;
        return status;
    case PROTOBUF_C_TYPE_INT64:
        status = read_whole(reader, json, -9e15, 9e15, path, &number);
        *(int64_t *)out = (int64_t)number;
        return status;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)out = json->number;
        return json->kind == MOS_JSON_NUMBER ? MOS_OK : fail(reader, path, "a number");
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reader, json, field->descriptor, path, out);
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessageDescriptor *descriptor = field->descriptor;
        ProtobufCMessage *message = mos_arena_alloc(reader->arena, descriptor->sizeof_message);
        protobuf_c_message_init(descriptor, message);
        *(ProtobufCMessage **)out = message;
        return strcmp(descriptor->name, "google.protobuf.Timestamp") == 0 ? read_time(reader, json, message, path)
                                                                          : read_message(reader, json, message, path);
    }
    default:
        return fail(reader, path, "left out: it cannot be given as JSON");
    }
}

static size_t size_of(const ProtobufCFieldDescriptor *field) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int32_t);
    default:
        return sizeof(int64_t);
    }
}

static mos_status read_list(struct reader *reader, const struct mos_json *json, const ProtobufCFieldDescriptor *field, void *list,
                            size_t *out_count, const char *path) {
    if (json->kind != MOS_JSON_ARRAY) {
        return fail(reader, path, "a list");
    }
    size_t count = 0, index = 0;
    for (const struct mos_json *item = json->first; item; item = item->next) {
        count++;
    }
    char *items = mos_arena_alloc(reader->arena, (count + 1) * size_of(field));
    mos_status status = MOS_OK;
    for (const struct mos_json *item = json->first; item && status == MOS_OK; item = item->next, index++) {
        char place[PATH_BYTES];
        snprintf(place, sizeof(place), "%.60s[%zu]", path, index);
        status = read_value(reader, item, field, items + index * size_of(field), place);
    }
    *(char **)list = items;
    *out_count = count;
    return status;
}

static mos_status read_message(struct reader *reader, const struct mos_json *json, ProtobufCMessage *message, const char *path) {
    if (json->kind != MOS_JSON_OBJECT) {
        return fail(reader, *path ? path : "the whole", "an object");
    }
    mos_status status = MOS_OK;
    for (const struct mos_json *member = json->first; member && status == MOS_OK; member = member->next) {
        char place[PATH_BYTES];
        snprintf(place, sizeof(place), "%.40s%s%.36s", path, *path ? "." : "", member->name);
        const ProtobufCFieldDescriptor *field = field_of(message->descriptor, member->name);
        if (!field) {
            return mos_fail_field(reader->error, place, "%s is no field that is known", place);
        }
        if (member->kind == MOS_JSON_NULL) {
            continue;
        }
        char *base = (char *)message;
        status = field->label == PROTOBUF_C_LABEL_REPEATED
                     ? read_list(reader, member, field, base + field->offset, (size_t *)(void *)(base + field->quantifier_offset), place)
                     : read_value(reader, member, field, base + field->offset, place);
    }
    return status;
}

mos_status mos_json_read(const struct mos_json *json, ProtobufCMessage *message, mos_arena *arena, struct mos_error *error) {
    struct reader reader = {arena, error};
    return read_message(&reader, json, message, "");
}
