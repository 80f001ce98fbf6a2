// Messages over a stream socket: four bytes of length, little endian, then a packed protobuf message. Server and engine talk so.
#ifndef MOS_COMMON_FRAMING_H
#define MOS_COMMON_FRAMING_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "common/arena.h"
#include "common/status.h"

#define MOS_FRAME_LIMIT_BYTES (16u << 20)

// Blocks until all is written. MOS_UNAVAILABLE when the peer is gone; never raises SIGPIPE. Not thread safe per descriptor.
mos_status mos_frame_send(int descriptor, const ProtobufCMessage *message, struct mos_error *error);
// Blocks for one message, unpacked into the arena. MOS_UNAVAILABLE at the end of the stream, MOS_CORRUPT for a frame that is too long,
// cut off, not the message it should be, or holds text that is not UTF-8.
mos_status mos_frame_receive(int descriptor, const ProtobufCMessageDescriptor *descriptor_of, mos_arena *arena, ProtobufCMessage **out,
                             struct mos_error *error);

#endif
