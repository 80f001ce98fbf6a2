// Text at the border: UTF-8, and paths that need not be UTF-8.
#ifndef MOS_COMMON_TEXT_H
#define MOS_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/arena.h"

// RFC 3629: no overlong forms, no surrogates. A zero byte is not valid text here.
bool mos_utf8_valid(const void *data, size_t size_bytes);
// Every string field of the message, at any depth, is valid UTF-8. protobuf-c does not check this when it unpacks. On false,
// *out_field is the name of the first field that is not.
bool mos_message_utf8_valid(const ProtobufCMessage *message, const char **out_field);

// The text form of a path: a byte that is not part of valid UTF-8, a control character and a backslash become \xHH.
char *mos_path_escape(mos_arena *arena, const void *path, size_t size_bytes);
// And back. false when an escape is malformed or stands for a zero byte. *out lives in the arena and ends with a zero.
bool mos_path_unescape(mos_arena *arena, const char *text, char **out, size_t *out_size_bytes);

// A path as the shell means it: from here, with `.` and `..`, and without doubled slashes and one at the end. What stands before a `..` is
// followed where it is there, as the system would. NULL where the working directory cannot be told.
char *mos_path_absolute(mos_arena *arena, const char *path);

// The path is the other one, or lies below it. Of absolute paths without slashes at the end.
bool mos_path_is_below(const char *path, const char *above);

// Parts of a list, without empty ones. Lives in the arena.
char **mos_split(mos_arena *arena, const char *text, char separator, size_t *out_count);

// "1.4 GiB", "812 B".
#define MOS_SIZE_TEXT_BYTES 24
void mos_size_format(int64_t bytes, char text[MOS_SIZE_TEXT_BYTES]);

#endif
