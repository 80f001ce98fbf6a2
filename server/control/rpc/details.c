#include "control/rpc/details.h"

#include <stdbool.h>

#include <mosaajii/rpc/v1/status.pb-c.h>

static Google__Protobuf__Any wrap(mos_arena *arena, const char *type_url, const ProtobufCMessage *message) {
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.type_url = (char *)type_url;
    any.value.data = mos_arena_alloc(arena, protobuf_c_message_get_packed_size(message));
    any.value.len = any.value.data ? protobuf_c_message_pack(message, any.value.data) : 0;
    return any;
}

void mos_details_encode(const struct mos_error *error, mos_arena *arena, const uint8_t **out, size_t *out_size_bytes) {
    *out = NULL;
    *out_size_bytes = 0;
    // Statuses behind gRPC's own seventeen; and one that a client's own gRPC says where no server is: with these words a server said it.
    bool precise = mos_status_from_grpc_code(mos_status_grpc_code(error->status)) != error->status || error->status == MOS_UNAVAILABLE;
    if (!error->field[0] && !precise) {
        return;
    }
    Google__Protobuf__Any anys[2];
    Google__Protobuf__Any *details[2] = {&anys[0], &anys[1]};
    Mosaajii__Rpc__V1__Status status = MOSAAJII__RPC__V1__STATUS__INIT;
    status.code = mos_status_grpc_code(error->status);
    status.message = (char *)error->message;
    status.details = details;
    if (error->field[0]) {
        Mosaajii__Rpc__V1__BadRequest__FieldViolation violation = MOSAAJII__RPC__V1__BAD_REQUEST__FIELD_VIOLATION__INIT;
        Mosaajii__Rpc__V1__BadRequest__FieldViolation *violations[] = {&violation};
        Mosaajii__Rpc__V1__BadRequest bad = MOSAAJII__RPC__V1__BAD_REQUEST__INIT;
        violation.field = (char *)error->field;
        violation.description = (char *)error->message;
        bad.n_field_violations = 1;
        bad.field_violations = violations;
        anys[status.n_details++] = wrap(arena, "type.googleapis.com/google.rpc.BadRequest", &bad.base);
    }
    if (precise) {
        Mosaajii__Rpc__V1__ErrorInfo info = MOSAAJII__RPC__V1__ERROR_INFO__INIT;
        info.reason = (char *)mos_status_name(error->status);
        info.domain = (char *)"mosaajii";
        anys[status.n_details++] = wrap(arena, "type.googleapis.com/google.rpc.ErrorInfo", &info.base);
    }
    uint8_t *packed = mos_arena_alloc(arena, mosaajii__rpc__v1__status__get_packed_size(&status));
    if (packed) {
        *out_size_bytes = mosaajii__rpc__v1__status__pack(&status, packed);
        *out = packed;
    }
}
