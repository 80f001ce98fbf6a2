// Calls in the audit trail: what of a call stands there. Values come from fields by name, and only from fields that hold no secret.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/settings.h"
#include "common/text.h"
#include "control/access/access.h"
#include "control/access/rights.h"
#include "control/access/trail.h"

// Fields of requests that say what was asked for.
static const char *const told[] = {"name",        "type",         "role",       "rights",         "retention_days",
                                   "legal_hold",  "locked_until", "expires_at", "target",         "in_place",
                                   "environment", "reason",       "tags",       "create_missing", "after_sequence",
                                   "step_id",     "replace_tags", "note",       "quarantined",    "quarantine_reason"};

// "/mosaajii.backup.v1.BackupService/DeleteBackup" as "BackupService.DeleteBackup".
static const char *action_of(struct mos_call *call) {
    const char *path = mos_call_path(call);
    const char *slash = strrchr(path, '/');
    const char *dot = slash ? memrchr(path, '.', (size_t)(slash - path)) : NULL;
    const char *service = dot ? dot + 1 : path + (path[0] == '/');
    char *action = slash && slash > service ? mos_arena_printf(mos_call_arena(call), "%.*s.%s", (int)(slash - service), service, slash + 1)
                                            : mos_arena_strdup(mos_call_arena(call), path);
    return action ? action : "";
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessage *message, const char *name) {
    return message ? protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name) : NULL;
}

static const void *member(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    return (const char *)message + field->offset;
}

static const char *text_member(const ProtobufCMessage *message, const char *name) {
    const ProtobufCFieldDescriptor *field = field_of(message, name);
    bool text = field && field->type == PROTOBUF_C_TYPE_STRING && field->label != PROTOBUF_C_LABEL_REPEATED;
    const char *value = text ? *(char *const *)member(message, field) : NULL;
    return value ? value : "";
}

static const char *first_id(const ProtobufCMessage *message) {
    for (unsigned i = 0; message && i < message->descriptor->n_fields; i++) {
        const char *name = message->descriptor->fields[i].name;
        size_t length = strlen(name);
        if (length > 3 && strcmp(name + length - 3, "_id") == 0 && *text_member(message, name)) {
            return text_member(message, name);
        }
    }
    return "";
}

const char *mos_call_resource(struct mos_call *call, const ProtobufCMessage *request) {
    const ProtobufCMessage *response = mos_call_response(call);
    const char *id = first_id(request);
    id = *id ? id : text_member(response, "id");
    for (unsigned i = 0; !*id && response && i < response->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &response->descriptor->fields[i];
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && field->label != PROTOBUF_C_LABEL_REPEATED) {
            id = text_member(*(ProtobufCMessage *const *)member(response, field), "id");
        }
    }
    return *id ? id : first_id(response);
}

static char *joined(mos_arena *arena, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    size_t count = *(const size_t *)(const void *)((const char *)message + field->quantifier_offset);
    char *const *texts = *(char *const *const *)member(message, field);
    char *result = (char *)"";
    for (size_t i = 0; i < count && result && i < 64; i++) {
        result = mos_arena_printf(arena, "%s%s%s", result, *result ? "," : "", texts[i]);
    }
    return result;
}

static char *enum_word(mos_arena *arena, const ProtobufCFieldDescriptor *field, int number) {
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(field->descriptor, number);
    return value ? (char *)value->name : mos_arena_printf(arena, "%d", number);
}

// A time, as seconds: the only message among the fields that are told.
static char *seconds_of(mos_arena *arena, const ProtobufCMessage *message) {
    const ProtobufCFieldDescriptor *field = field_of(message, "seconds");
    return field ? mos_arena_printf(arena, "%lld", (long long)*(const int64_t *)member(message, field)) : NULL;
}

// NULL where the field was not given.
static char *value_of(mos_arena *arena, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    const void *value = member(message, field);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return field->type == PROTOBUF_C_TYPE_STRING ? joined(arena, message, field) : NULL;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(const uint32_t *)(const void *)((const char *)message + field->quantifier_offset) != field->id) {
        return NULL;
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        char masked[1024];
        const char *text = *(char *const *)value;
        // A target may be a database's URL, with its password.
        mos_url_mask(text ? text : "", masked, sizeof(masked));
        return mos_arena_strdup(arena, masked);
    }
    case PROTOBUF_C_TYPE_BOOL:
        return (char *)(*(const protobuf_c_boolean *)value ? "true" : "false");
    case PROTOBUF_C_TYPE_ENUM:
        return enum_word(arena, field, *(const int *)value);
    case PROTOBUF_C_TYPE_INT32:
        return mos_arena_printf(arena, "%d", *(const int32_t *)value);
    case PROTOBUF_C_TYPE_INT64:
        return mos_arena_printf(arena, "%lld", (long long)*(const int64_t *)value);
    case PROTOBUF_C_TYPE_MESSAGE:
        return seconds_of(arena, *(ProtobufCMessage *const *)value);
    default:
        return NULL;
    }
}

static size_t details_of(struct mos_call *call, mos_status status, struct mos_audit_detail *out) {
    mos_arena *arena = mos_call_arena(call);
    const ProtobufCMessage *request = mos_call_request(call);
    const struct mos_identity *identity = mos_call_caller(call);
    size_t count = 0;
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        const ProtobufCFieldDescriptor *field = field_of(request, told[i]);
        const char *value = field ? value_of(arena, request, field) : NULL;
        if (value && *value) {
            out[count++] = (struct mos_audit_detail){told[i], value};
        }
    }
    out[count++] = (struct mos_audit_detail){"requestId", mos_call_request_id(call)};
    if (identity) {
        out[count++] = (struct mos_audit_detail){"by", mos_caller_kind_word(identity->kind)};
        if (*identity->token_id) {
            out[count++] = (struct mos_audit_detail){"tokenId", identity->token_id};
        }
    }
    if (status != MOS_OK) {
        out[count++] = (struct mos_audit_detail){"message", mos_call_error(call)->message};
    }
    return count;
}

static bool belongs(struct mos_call *call, mos_status status) {
    if (mos_call_is_builtin(call)) {
        return false;
    }
    const struct mos_right *right = mos_right_find(mos_call_path(call));
    return status == MOS_PERMISSION_DENIED || status == MOS_UNAUTHENTICATED || (right && right->effect != MOS_CALL_READS);
}

static mos_status add(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_add_audit(session, argument, error);
}

static mos_status record(struct mos_call *call, mos_trail *trail, mos_status status, const char *result, struct mos_error *error) {
    struct mos_audit_detail details[MOS_AUDIT_MOST_DETAILS];
    const char *caller = mos_call_caller_name(call);
    struct mos_audit_entry entry = {.actor = caller ? caller : "unknown",
                                    .ip_address = mos_call_client(call),
                                    .action = action_of(call),
                                    .resource = mos_call_resource(call, mos_call_request(call)),
                                    .result = result,
                                    .details = details,
                                    .detail_count = details_of(call, status, details)};
    return mos_catalog_write(mos_trail_catalog(trail), add, &entry, error);
}

// What is secret is not given before it stands in the trail that somebody asks for it: an answer cannot be taken back.
static mos_status before_secrets(struct mos_call *call, const ProtobufCMessage *request, void *user) {
    (void)request;
    struct mos_error error;
    const struct mos_right *right = mos_right_find(mos_call_path(call));
    if (!right || right->effect != MOS_CALL_READS_SECRETS || record(call, user, MOS_OK, "BEGUN", &error) == MOS_OK) {
        return MOS_OK;
    }
    mos_log_error("an audit entry could not be written", MOS_TEXT("action", action_of(call)), MOS_TEXT("reason", error.message));
    return mos_fail(mos_call_error(call), MOS_UNAVAILABLE,
                    "the audit trail cannot be written, and nothing secret is given without an entry there");
}

static void end(struct mos_call *call, mos_status status, const struct mos_rpc_summary *summary, void *user) {
    (void)summary;
    struct mos_error error;
    if (belongs(call, status) && record(call, user, status, mos_status_name(status), &error) != MOS_OK) {
        mos_log_error("an audit entry was lost", MOS_TEXT("action", action_of(call)), MOS_TEXT("reason", error.message));
    }
}

const struct mos_rpc_interceptor mos_trail_interceptor = {.request = before_secrets, .end = end};
