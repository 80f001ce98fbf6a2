// What a client may send: any bytes, as a message type that is recursive and has fields of all kinds.
#include <stdlib.h>

#include <google/protobuf/descriptor.pb-c.h>

#include "common/buffer.h"
#include "common/message.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    ProtobufCMessage *message;
    if (mos_message_unpack(&google__protobuf__file_descriptor_proto__descriptor, data, size, arena, &message, NULL) != MOS_OK) {
        return 0;
    }
    // What was let through is text, and comes through again.
    const char *field;
    MOS_CLEANUP_ARENA mos_arena *second = mos_arena_create(0);
    MOS_CLEANUP_FREE uint8_t *packed = mos_malloc(protobuf_c_message_get_packed_size(message) + 1);
    size_t packed_bytes = protobuf_c_message_pack(message, packed);
    if (!mos_message_utf8_valid(message, &field) ||
        mos_message_unpack(&google__protobuf__file_descriptor_proto__descriptor, packed, packed_bytes, second, &message, NULL) != MOS_OK) {
        abort();
    }
    return 0;
}
