// Messages that are posted on calls whose handlers wait. tests/unit/control/rpc/server_test.c has those that handlers send.
#include <stdlib.h>

#include "unit/control/rpc/echo.h"
#include "unit/test.h"

static mos_rpc_stream *open_posted(struct echo *echo, mos_rpc_channel *channel, int before) {
    number request = NUMBER_INIT;
    request.value = 3;
    mos_rpc_stream *stream;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_block_stream_open(channel, NULL, &request, &stream, &echo->error), &echo->error);
    echo_wait(echo, &echo->waiting, before + 1);
    return stream;
}

// A connection of its own: what one reader leaves unread fills none but its own.
static mos_rpc_channel *open_channel(struct echo *echo) {
    mos_rpc_channel *channel;
    MOS_ASSERT_OK(mos_rpc_channel_create(&channel, &(struct mos_rpc_channel_options){.address = echo->address}, &echo->error),
                  &echo->error);
    return channel;
}

static mos_packed *pack(struct echo *echo, int64_t value, size_t padding_bytes) {
    number message = NUMBER_INIT;
    message.value = value;
    message.padding = (ProtobufCBinaryData){.len = padding_bytes, .data = calloc(1, padding_bytes + 1)};
    mos_packed *packed = NULL;
    MOS_ASSERT_OK(mos_packed_create(&packed, &message.base, &echo->error), &echo->error);
    free(message.padding.data);
    return packed;
}

static bool post(struct echo *echo, int call, int64_t value, size_t padding_bytes) {
    mos_packed *packed = pack(echo, value, padding_bytes);
    bool taken = mos_call_post(echo->posted_to[call], packed);
    mos_packed_destroy(packed);
    return taken;
}

static int64_t receive(struct echo *echo, mos_rpc_stream *stream) {
    const number *message;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_block_stream_receive(stream, &message, &echo->error), &echo->error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(message);
    return message->value;
}

static void assert_ends(struct echo *echo, mos_rpc_stream *stream) {
    const number *message;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_block_stream_receive(stream, &message, &echo->error), &echo->error);
    CU_ASSERT_PTR_NULL(message);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, &echo->error), MOS_OK);
}

// A megabyte each until no more is taken: how many were.
static int fill(struct echo *echo, int call) {
    int taken = 0;
    while (post(echo, call, taken + 1, 1 << 20)) {
        taken++;
    }
    CU_ASSERT(taken >= 8);
    CU_ASSERT(taken < 64);
    return taken;
}

MOS_TEST(posts_come_in_order_and_before_what_the_handler_sends) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_stream *stream = open_posted(&echo, echo.channel, 0);
    int64_t received = 0;
    for (int64_t i = 1; i <= 1000; i++) {
        while (!post(&echo, 0, i, 100)) {
            received++;
            CU_ASSERT_EQUAL(receive(&echo, stream), received);
        }
    }
    echo_open_gate(&echo);
    while (received < 1000) {
        received++;
        CU_ASSERT_EQUAL(receive(&echo, stream), received);
    }
    CU_ASSERT_EQUAL(receive(&echo, stream), -1);
    // A handler that has sent nothing before has its headers sent all the same.
    CU_ASSERT_PTR_NOT_NULL(mos_rpc_stream_metadata(stream, "x-request-id"));
    assert_ends(&echo, stream);
    echo_stop(&echo);
}

MOS_TEST(one_message_goes_to_many) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_stream *streams[8];
    for (int i = 0; i < 8; i++) {
        streams[i] = open_posted(&echo, echo.channel, i);
    }
    mos_packed *packed = pack(&echo, 7, 1000);
    for (int i = 0; i < 8; i++) {
        CU_ASSERT(mos_call_post(echo.posted_to[i], packed));
        CU_ASSERT(mos_call_post(echo.posted_to[i], packed));
    }
    // What is on its way needs it no more.
    mos_packed_destroy(packed);
    echo_open_gate(&echo);
    for (int i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(receive(&echo, streams[i]), 7);
        CU_ASSERT_EQUAL(receive(&echo, streams[i]), 7);
        CU_ASSERT_EQUAL(receive(&echo, streams[i]), -1);
        assert_ends(&echo, streams[i]);
    }
    echo_stop(&echo);
}

MOS_TEST(a_slow_reader_is_told_of_and_holds_up_no_other) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_channel *other = open_channel(&echo);
    mos_rpc_stream *slow = open_posted(&echo, echo.channel, 0);
    mos_rpc_stream *fast = open_posted(&echo, other, 1);
    int taken = fill(&echo, 0);
    for (int64_t i = 1; i <= 20; i++) {
        CU_ASSERT(post(&echo, 1, i, 1 << 20));
        CU_ASSERT_EQUAL(receive(&echo, fast), i);
        // What has gone into buffers on the way may have made room for one more.
        taken += post(&echo, 0, taken + 1, 1 << 20);
    }
    echo_open_gate(&echo);
    CU_ASSERT_EQUAL(receive(&echo, fast), -1);
    assert_ends(&echo, fast);
    for (int64_t i = 1; i <= taken; i++) {
        CU_ASSERT_EQUAL(receive(&echo, slow), i);
    }
    CU_ASSERT_EQUAL(receive(&echo, slow), -1);
    assert_ends(&echo, slow);
    mos_rpc_channel_destroy(other);
    echo_stop(&echo);
}

MOS_TEST(a_call_that_is_over_takes_no_posts_and_ends) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_stream *stalled = open_posted(&echo, echo.channel, 0);
    mos_rpc_stream *idle = open_posted(&echo, echo.channel, 1);
    fill(&echo, 0);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stalled, &echo.error), MOS_CANCELLED);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(idle, &echo.error), MOS_CANCELLED);
    for (int i = 0; i < 2; i++) {
        mos_call_wait_cancelled(echo.posted_to[i], -1);
        // One may have been taken that is only then found not to go.
        while (post(&echo, i, 1, 0)) {
        }
    }
    echo_open_gate(&echo);
    echo_wait(&echo, &echo.ended, 2);
    CU_ASSERT_EQUAL(echo.last_status, MOS_CANCELLED);
    echo_stop(&echo);
}

static void *open_gate_of_stopping(void *argument) {
    struct echo *echo = argument;
    mos_call_wait_cancelled(echo->posted_to[0], -1);
    echo_open_gate(echo);
    return NULL;
}

MOS_TEST(a_server_stops_with_posts_on_their_way) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_stream *stalled = open_posted(&echo, echo.channel, 0);
    fill(&echo, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, open_gate_of_stopping, &echo);
    mos_rpc_server_stop(echo.server, 0);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(echo.ended, 1);
    CU_ASSERT_NOT_EQUAL(mos_rpc_stream_finish(stalled, &echo.error), MOS_OK);
    echo_stop(&echo);
}

MOS_TEST(text_that_is_no_utf8_is_not_packed) {
    struct mos_error error;
    everything message = EVERYTHING_INIT;
    message.text = (char *)"\xff";
    mos_packed *packed = NULL;
    CU_ASSERT_EQUAL(mos_packed_create(&packed, &message.base, &error), MOS_INTERNAL);
    CU_ASSERT_PTR_NULL(packed);
}
