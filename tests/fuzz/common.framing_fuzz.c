// What a server and an engine receive from one another: frames of requests and of events.
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/framing.h"
#include "common/message.h"
#include "common/text.h"
#include "mosaajii/engine/v1/engine.pb-c.h"

static void require(bool good) {
    if (!good) {
        abort();
    }
}

// As long as frames are whole, and then the one sentence why no more comes.
static void receive_all(const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *descriptor) {
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    require(send(pair[1], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size);
    close(pair[1]);
    mos_status status = MOS_OK;
    while (status == MOS_OK) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(8u << 20);
        ProtobufCMessage *message = NULL;
        const char *field = NULL;
        struct mos_error error = {0};
        status = mos_frame_receive(pair[0], descriptor, arena, &message, &error);
        require(status == MOS_OK ? mos_message_utf8_valid(message, &field) : error.message[0] != 0);
    }
    require(status == MOS_UNAVAILABLE || status == MOS_CORRUPT);
    close(pair[0]);
}

static void unpack(const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *descriptor) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1u << 20);
    ProtobufCMessage *message = NULL;
    struct mos_error error = {0};
    const char *field = NULL;
    if (mos_message_unpack(descriptor, data, size, arena, &message, &error) == MOS_OK) {
        require(mos_message_utf8_valid(message, &field));
    } else {
        require(error.status == MOS_INVALID_ARGUMENT || error.status == MOS_RESOURCE_EXHAUSTED);
        require(mos_utf8_valid(error.message, strlen(error.message)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 60000) {
        return 0;
    }
    receive_all(data, size, &mosaajii__engine__v1__request__descriptor);
    receive_all(data, size, &mosaajii__engine__v1__event__descriptor);
    unpack(data, size, &mosaajii__engine__v1__request__descriptor);
    unpack(data, size, &mosaajii__engine__v1__event__descriptor);
    return 0;
}
