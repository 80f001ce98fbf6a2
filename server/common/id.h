// Identifiers, random bytes and hexadecimal. Thread safe.
#ifndef MOS_COMMON_ID_H
#define MOS_COMMON_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// 36 characters and the terminating zero.
#define MOS_ID_TEXT_BYTES 37

// A UUID version 7 (RFC 9562): later ones sort after earlier ones, also within one millisecond of one process.
void mos_id_new(char text[MOS_ID_TEXT_BYTES]);
// Lower-case canonical form only.
bool mos_id_valid(const char *text);
// The sixteen bytes of a valid id, and back.
bool mos_id_parse(const char *text, uint8_t out_bytes[16]);
void mos_id_format(const uint8_t bytes[16], char text[MOS_ID_TEXT_BYTES]);

// From the kernel; ends the program when there are none to be had.
void mos_random(void *out, size_t size_bytes);

// `text` has room for 2 * size_bytes + 1.
void mos_hex_encode(const uint8_t *data, size_t size_bytes, char *text);
// Exactly `size_bytes` bytes of lower-case hexadecimal, no more, no less.
bool mos_hex_decode(const char *text, uint8_t *out, size_t size_bytes);

#endif
