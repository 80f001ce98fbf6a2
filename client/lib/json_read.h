// A message from JSON as people write it, or as lib/json.h prints it. Thread safe.
#ifndef MOS_CLIENT_LIB_JSON_READ_H
#define MOS_CLIENT_LIB_JSON_READ_H

#include <protobuf-c/protobuf-c.h>

#include "common/arena.h"
#include "common/json.h"
#include "common/status.h"

// Fills `message`, which is initialised. Names are lowerCamelCase or as in the proto; null is as good as absent; enums are words, times
// RFC 3339. MOS_INVALID_ARGUMENT, naming the field and what it must be, for what does not fit and for names that the message does not have.
// Everything lives in the arena. Maps, bytes and oneofs are not read.
mos_status mos_json_read(const struct mos_json *json, ProtobufCMessage *message, mos_arena *arena, struct mos_error *error);

#endif
