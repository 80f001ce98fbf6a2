#include "common/framing.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buffer.h"
#include "mosaajii/engine/v1/engine.pb-c.h"
#include "unit/test.h"

static mos_status receive(int descriptor, mos_arena *arena, Mosaajii__Engine__V1__Event **out, struct mos_error *error) {
    return mos_frame_receive(descriptor, &mosaajii__engine__v1__event__descriptor, arena, (ProtobufCMessage **)out, error);
}

static void *send_warnings(void *descriptor) {
    Mosaajii__Engine__V1__Warning warning = MOSAAJII__ENGINE__V1__WARNING__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    MOS_CLEANUP_FREE char *text = mos_calloc(1, 1000001);
    memset(text, 'x', 1000000);
    warning.message = text;
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_WARNING;
    event.warning = &warning;
    for (int i = 0; i < 10; i++) {
        mos_frame_send(*(int *)descriptor, &event.base, NULL);
    }
    close(*(int *)descriptor);
    return NULL;
}

// More than the socket holds, so that both sides see partial reads and writes.
MOS_TEST(large_messages_go_through_and_the_end_is_told) {
    int pair[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pthread_t sender;
    pthread_create(&sender, NULL, send_warnings, &pair[1]);
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    for (int i = 0; i < 10; i++) {
        Mosaajii__Engine__V1__Event *event = NULL;
        MOS_ASSERT_OK(receive(pair[0], arena, &event, &error), &error);
        CU_ASSERT_EQUAL(event->event_case, MOSAAJII__ENGINE__V1__EVENT__EVENT_WARNING);
        CU_ASSERT_EQUAL(strlen(event->warning->message), 1000000);
    }
    Mosaajii__Engine__V1__Event *none = NULL;
    CU_ASSERT_EQUAL(receive(pair[0], arena, &none, &error), MOS_UNAVAILABLE);
    pthread_join(sender, NULL);
    close(pair[0]);
}

static mos_status receive_bytes(const void *bytes, size_t size_bytes) {
    int pair[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CU_ASSERT_EQUAL(write(pair[1], bytes, size_bytes), (ssize_t)size_bytes);
    close(pair[1]);
    mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Event *event = NULL;
    mos_status status = receive(pair[0], arena, &event, NULL);
    mos_arena_destroy(arena);
    close(pair[0]);
    return status;
}

MOS_TEST(broken_frames_are_refused) {
    CU_ASSERT_EQUAL(receive_bytes("\x01\x00", 2), MOS_CORRUPT);
    CU_ASSERT_EQUAL(receive_bytes("\xff\xff\xff\xff", 4), MOS_CORRUPT);
    CU_ASSERT_EQUAL(receive_bytes("\x05\x00\x00\x00zz", 6), MOS_CORRUPT);
    CU_ASSERT_EQUAL(receive_bytes("\x02\x00\x00\x00\xff\xff", 6), MOS_CORRUPT);
    // A warning whose message is not UTF-8.
    CU_ASSERT_EQUAL(receive_bytes("\x05\x00\x00\x00\x12\x03\x12\x01\xff", 9), MOS_CORRUPT);
    CU_ASSERT_EQUAL(receive_bytes("\x00\x00\x00\x00", 4), MOS_OK);
}

MOS_TEST(sending_to_nobody_is_an_error_and_no_signal) {
    int pair[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[1]);
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    CU_ASSERT_EQUAL(mos_frame_send(pair[0], &event.base, NULL), MOS_UNAVAILABLE);
    close(pair[0]);
}
