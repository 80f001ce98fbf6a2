// Messages as the JSON that the REST gateway puts in `data`. Thread safe.
//
// Names are lowerCamelCase (actualRTO and actualRPO by exception). Every field is present: absent messages and absent optional fields are
// null, and so is an enum without a value (its *_UNSPECIFIED). Enum values are words, or numbers where this program does not know the
// word. Times are RFC 3339 in UTC with 3, 6 or 9 digits of fraction; a time outside the years 1 to 9999 is null. Counts and sizes are
// numbers, bytes base64, maps objects. Control characters, in particular those a terminal would act on, are written \uXXXX.
#ifndef MOS_CLIENT_LIB_JSON_H
#define MOS_CLIENT_LIB_JSON_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "common/buffer.h"

// Appends one message; `pretty`: over several lines, indented by two spaces, else on one. No newline behind it. The buffer must have no
// ceiling, or one that is large enough.
void mos_json_append(struct mos_buffer *out, const ProtobufCMessage *message, bool pretty);
// The same for an array of messages (a repeated field of any message type, cast).
void mos_json_append_list(struct mos_buffer *out, const ProtobufCMessage *const *messages, size_t count, bool pretty);

#endif
