#include "lib/rpc_details.h"

#include <stdio.h>
#include <string.h>

#include <mosaajii/rpc/v1/status.pb-c.h>

#include "common/message.h"

enum { ARENA_LIMIT_BYTES = 1 << 20 };

static void decode_field(const ProtobufCBinaryData *value, mos_arena *arena, struct mos_error *error) {
    ProtobufCMessage *message;
    if (mos_message_unpack(&mosaajii__rpc__v1__bad_request__descriptor, value->data, value->len, arena, &message, NULL) == MOS_OK) {
        const Mosaajii__Rpc__V1__BadRequest *bad = (const Mosaajii__Rpc__V1__BadRequest *)message;
        if (bad->n_field_violations > 0) {
            snprintf(error->field, sizeof(error->field), "%s", bad->field_violations[0]->field);
        }
    }
}

static void decode_reason(const ProtobufCBinaryData *value, mos_arena *arena, struct mos_error *error) {
    ProtobufCMessage *message;
    if (mos_message_unpack(&mosaajii__rpc__v1__error_info__descriptor, value->data, value->len, arena, &message, NULL) == MOS_OK) {
        const Mosaajii__Rpc__V1__ErrorInfo *info = (const Mosaajii__Rpc__V1__ErrorInfo *)message;
        mos_status precise = mos_status_from_name(info->reason);
        // Only what the code says too, put more precisely.
        if (mos_status_grpc_code(precise) == mos_status_grpc_code(error->status)) {
            error->status = precise;
        }
    }
}

void mos_rpc_details_decode(const uint8_t *data, size_t size_bytes, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(ARENA_LIMIT_BYTES);
    ProtobufCMessage *message;
    if (mos_message_unpack(&mosaajii__rpc__v1__status__descriptor, data, size_bytes, arena, &message, NULL) != MOS_OK) {
        return;
    }
    const Mosaajii__Rpc__V1__Status *status = (const Mosaajii__Rpc__V1__Status *)message;
    for (size_t i = 0; i < status->n_details; i++) {
        if (strcmp(status->details[i]->type_url, "type.googleapis.com/google.rpc.BadRequest") == 0) {
            decode_field(&status->details[i]->value, arena, error);
        } else if (strcmp(status->details[i]->type_url, "type.googleapis.com/google.rpc.ErrorInfo") == 0) {
            decode_reason(&status->details[i]->value, arena, error);
        }
    }
}
