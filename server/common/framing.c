#include "common/framing.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buffer.h"
#include "common/text.h"

// Passwords and keys pass in frames: none is left in memory that is given back.
struct frame {
    uint8_t *data;
    size_t size_bytes;
};

static void frame_cleanup(struct frame *frame) {
    explicit_bzero(frame->data, frame->size_bytes);
    free(frame->data);
}
#define CLEANUP_FRAME __attribute__((cleanup(frame_cleanup)))

mos_status mos_frame_send(int descriptor, const ProtobufCMessage *message, struct mos_error *error) {
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    if (size_bytes > MOS_FRAME_LIMIT_BYTES) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "a message of %zu bytes is over the limit of %u", size_bytes, MOS_FRAME_LIMIT_BYTES);
    }
    CLEANUP_FRAME struct frame whole = {mos_malloc(size_bytes + 4), size_bytes + 4};
    uint8_t *frame = whole.data;
    for (int i = 0; i < 4; i++) {
        frame[i] = (uint8_t)(size_bytes >> (8 * i));
    }
    protobuf_c_message_pack(message, frame + 4);
    for (size_t sent = 0; sent < size_bytes + 4;) {
        ssize_t count = send(descriptor, frame + sent, size_bytes + 4 - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return mos_fail(error, MOS_UNAVAILABLE, "the other side of the job's socket is gone");
        }
        sent += (size_t)count;
    }
    return MOS_OK;
}

// *out_size_bytes is less than asked only at the end of the stream.
static mos_status receive_exactly(int descriptor, uint8_t *out, size_t size_bytes, size_t *out_size_bytes, struct mos_error *error) {
    *out_size_bytes = 0;
    while (*out_size_bytes < size_bytes) {
        ssize_t count = recv(descriptor, out + *out_size_bytes, size_bytes - *out_size_bytes, 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0 && errno != ECONNRESET) {
            return mos_fail_errno(error, errno, "reading from the job's socket");
        }
        if (count <= 0) {
            break;
        }
        *out_size_bytes += (size_t)count;
    }
    return MOS_OK;
}

mos_status mos_frame_receive(int descriptor, const ProtobufCMessageDescriptor *descriptor_of, mos_arena *arena, ProtobufCMessage **out,
                             struct mos_error *error) {
    uint8_t head[4];
    size_t got;
    mos_status status = receive_exactly(descriptor, head, sizeof(head), &got, error);
    if (status != MOS_OK) {
        return status;
    }
    if (got == 0) {
        return mos_fail(error, MOS_UNAVAILABLE, "the other side of the job's socket is gone");
    }
    uint32_t size_bytes = (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
    if (got < sizeof(head) || size_bytes > MOS_FRAME_LIMIT_BYTES) {
        return mos_fail(error, MOS_CORRUPT, "a frame on the job's socket has no valid length");
    }
    CLEANUP_FRAME struct frame whole = {mos_malloc(size_bytes), size_bytes};
    uint8_t *body = whole.data;
    status = receive_exactly(descriptor, body, size_bytes, &got, error);
    if (status != MOS_OK) {
        return status;
    }
    if (got < size_bytes) {
        return mos_fail(error, MOS_CORRUPT, "a frame on the job's socket is cut off");
    }
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor_of, mos_arena_allocator(arena), size_bytes, body);
    const char *field = NULL;
    if (!message || !mos_message_utf8_valid(message, &field)) {
        return mos_fail(error, MOS_CORRUPT, "a frame on the job's socket is no %s", descriptor_of->name);
    }
    *out = message;
    return MOS_OK;
}
