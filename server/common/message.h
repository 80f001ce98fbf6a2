// Protobuf messages from a peer: protobuf-c unpacks without a limit on depth, takes text that is not UTF-8 and cuts text at a zero byte,
// so what comes over the network passes here. Thread safe.
#ifndef MOS_COMMON_MESSAGE_H
#define MOS_COMMON_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/arena.h"
#include "common/status.h"

// Messages nested deeper are refused; the field itself counts one.
#define MOS_MESSAGE_DEPTH_MAX 64

// Unpacks into the arena. MOS_INVALID_ARGUMENT: not such a message, nested too deeply, or text that is not valid UTF-8 without zero bytes
// (the error's field is the JSON name of the field, with its parents'). MOS_RESOURCE_EXHAUSTED: more than the arena's ceiling.
mos_status mos_message_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size_bytes, mos_arena *arena,
                              ProtobufCMessage **out, struct mos_error *error);

#endif
