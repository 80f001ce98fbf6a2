#include "common/message.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

struct reader {
    const uint8_t *next;
    const uint8_t *end;
};

// The way from the outermost message to the one being checked.
struct place {
    const struct place *parent;
    const ProtobufCFieldDescriptor *field;
    unsigned depth;
};

static bool read_varint(struct reader *reader, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 70 && reader->next < reader->end; shift += 7) {
        uint8_t byte = *reader->next++;
        if (shift < 64) {
            *out |= (uint64_t)(byte & 0x7f) << shift;
        }
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static bool skip(struct reader *reader, uint64_t size_bytes) {
    if (size_bytes > (uint64_t)(reader->end - reader->next)) {
        return false;
    }
    reader->next += size_bytes;
    return true;
}

static size_t name_place(const struct place *place, char *out, size_t size_bytes) {
    size_t used = place->parent ? name_place(place->parent, out, size_bytes) : 0;
    if (!place->field) {
        return used;
    }
    if (used && used + 1 < size_bytes) {
        out[used++] = '.';
    }
    bool upper = false;
    for (const char *c = place->field->name; *c && used + 1 < size_bytes; c++) {
        if (*c == '_') {
            upper = true;
        } else {
            out[used++] = upper ? (char)toupper((unsigned char)*c) : *c;
            upper = false;
        }
    }
    out[used] = '\0';
    return used;
}

static mos_status check(const ProtobufCMessageDescriptor *descriptor, struct reader reader, const struct place *place,
                        struct mos_error *error) {
    while (reader.next < reader.end) {
        uint64_t tag;
        uint64_t length = 0;
        if (!read_varint(&reader, &tag) || tag >> 3 == 0 || tag > UINT32_MAX) {
            return mos_fail(error, MOS_INVALID_ARGUMENT, "the bytes are not a %s message", descriptor->name);
        }
        bool whole;
        switch (tag & 7) {
        case PROTOBUF_C_WIRE_TYPE_VARINT:
            whole = read_varint(&reader, &length);
            break;
        case PROTOBUF_C_WIRE_TYPE_64BIT:
            whole = skip(&reader, 8);
            break;
        case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
            whole = read_varint(&reader, &length) && skip(&reader, length);
            break;
        case PROTOBUF_C_WIRE_TYPE_32BIT:
            whole = skip(&reader, 4);
            break;
        default:
            whole = false;
        }
        if (!whole) {
            return mos_fail(error, MOS_INVALID_ARGUMENT, "the bytes are not a %s message", descriptor->name);
        }
        if ((tag & 7) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            continue;
        }
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(tag >> 3));
        struct place here = {.parent = place, .field = field, .depth = place->depth + 1};
        const uint8_t *start = reader.next - length;
        if (field && field->type == PROTOBUF_C_TYPE_STRING && !mos_utf8_valid(start, length)) {
            char name[96];
            name_place(&here, name, sizeof(name));
            return mos_fail_field(error, name, "%s must be UTF-8 text without zero bytes", name);
        }
        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) {
            if (here.depth > MOS_MESSAGE_DEPTH_MAX) {
                return mos_fail(error, MOS_INVALID_ARGUMENT, "the %s message is nested deeper than %d", descriptor->name,
                                MOS_MESSAGE_DEPTH_MAX);
            }
            mos_status status = check(field->descriptor, (struct reader){start, reader.next}, &here, error);
            if (status != MOS_OK) {
                return status;
            }
        }
    }
    return MOS_OK;
}

// Tells an arena that is full from a message that is none: protobuf-c answers NULL to both.
struct watched {
    ProtobufCAllocator base;
    mos_arena *arena;
    bool full;
};

static void *watched_alloc(void *data, size_t size_bytes) {
    struct watched *watched = data;
    void *memory = mos_arena_alloc(watched->arena, size_bytes);
    watched->full = watched->full || !memory;
    return memory;
}

static void watched_free(void *data, void *memory) {
    (void)data;
    (void)memory;
}

mos_status mos_message_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size_bytes, mos_arena *arena,
                              ProtobufCMessage **out, struct mos_error *error) {
    mos_status status = check(descriptor, (struct reader){data, data + size_bytes}, &(struct place){0}, error);
    if (status != MOS_OK) {
        return status;
    }
    struct watched watched = {.arena = arena};
    watched.base = (ProtobufCAllocator){.alloc = watched_alloc, .free = watched_free, .allocator_data = &watched};
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &watched.base, size_bytes, data);
    if (!message && watched.full) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the %s message needs too much memory", descriptor->name);
    }
    if (!message) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "the bytes are not a %s message", descriptor->name);
    }
    *out = message;
    return MOS_OK;
}
