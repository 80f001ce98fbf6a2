// Numbers in the repository's objects: little endian, and varints (docs/design/repository-format.md). The cursor reads foreign bytes: it
// never goes past the end, and once something was wrong it stays failed and yields zeros.
#ifndef MOS_ENGINE_REPO_BYTES_H
#define MOS_ENGINE_REPO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

static inline void mos_put_u16(uint8_t *out, uint16_t value) {
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
}

static inline void mos_put_u32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline void mos_put_u64(uint8_t *out, uint64_t value) {
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint16_t mos_get_u16(const uint8_t *in) {
    return (uint16_t)(in[0] | in[1] << 8);
}

static inline uint32_t mos_get_u32(const uint8_t *in) {
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static inline uint64_t mos_get_u64(const uint8_t *in) {
    return mos_get_u32(in) | (uint64_t)mos_get_u32(in + 4) << 32;
}

struct mos_cursor {
    const uint8_t *next;
    size_t left_bytes;
    bool failed;
};

// Borrowed from the bytes that are read; NULL when there are not that many left (for no bytes, a pointer that is not NULL).
const uint8_t *mos_cursor_bytes(struct mos_cursor *cursor, size_t size_bytes);
uint8_t mos_cursor_byte(struct mos_cursor *cursor);
uint64_t mos_cursor_varint(struct mos_cursor *cursor);
// Fails above the limit.
uint64_t mos_cursor_varint_max(struct mos_cursor *cursor, uint64_t limit);
int64_t mos_cursor_svarint(struct mos_cursor *cursor);
// A varint length of at most `limit` and as many bytes.
const uint8_t *mos_cursor_string(struct mos_cursor *cursor, size_t limit, size_t *out_size_bytes);

void mos_append_varint(struct mos_buffer *buffer, uint64_t value);
void mos_append_svarint(struct mos_buffer *buffer, int64_t value);
void mos_append_string(struct mos_buffer *buffer, const void *data, size_t size_bytes);

#endif
