#include "engine/repo/bytes.h"

const uint8_t *mos_cursor_bytes(struct mos_cursor *cursor, size_t size_bytes) {
    if (cursor->failed || size_bytes > cursor->left_bytes) {
        cursor->failed = true;
        return NULL;
    }
    const uint8_t *bytes = cursor->next;
    cursor->next += size_bytes;
    cursor->left_bytes -= size_bytes;
    return bytes;
}

uint8_t mos_cursor_byte(struct mos_cursor *cursor) {
    const uint8_t *byte = mos_cursor_bytes(cursor, 1);
    return byte ? *byte : 0;
}

uint64_t mos_cursor_varint(struct mos_cursor *cursor) {
    uint64_t value = 0;
    if (cursor->left_bytes && *cursor->next < 0x80 && !cursor->failed) {
        // Most numbers.
        cursor->left_bytes--;
        return *cursor->next++;
    }
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = mos_cursor_byte(cursor);
        if (cursor->failed || (shift == 63 && byte > 1) || (shift > 0 && byte == 0)) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return value;
        }
    }
    cursor->failed = true;
    return 0;
}

uint64_t mos_cursor_varint_max(struct mos_cursor *cursor, uint64_t limit) {
    uint64_t value = mos_cursor_varint(cursor);
    if (value > limit) {
        cursor->failed = true;
        return 0;
    }
    return value;
}

int64_t mos_cursor_svarint(struct mos_cursor *cursor) {
    uint64_t value = mos_cursor_varint(cursor);
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

const uint8_t *mos_cursor_string(struct mos_cursor *cursor, size_t limit, size_t *out_size_bytes) {
    *out_size_bytes = (size_t)mos_cursor_varint_max(cursor, limit);
    const uint8_t *bytes = mos_cursor_bytes(cursor, *out_size_bytes);
    if (!bytes) {
        *out_size_bytes = 0;
    }
    return bytes;
}

void mos_append_varint(struct mos_buffer *buffer, uint64_t value) {
    uint8_t bytes[10];
    size_t count = 0;
    while (value > 0x7f) {
        bytes[count++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[count++] = (uint8_t)value;
    mos_buffer_append(buffer, bytes, count);
}

void mos_append_svarint(struct mos_buffer *buffer, int64_t value) {
    mos_append_varint(buffer, (uint64_t)value << 1 ^ (value < 0 ? ~UINT64_C(0) : 0));
}

void mos_append_string(struct mos_buffer *buffer, const void *data, size_t size_bytes) {
    mos_append_varint(buffer, size_bytes);
    mos_buffer_append(buffer, data, size_bytes);
}
