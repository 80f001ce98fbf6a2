#include "lib/rpc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/control/rpc/echo.h"
#include "unit/test.h"

static const struct mos_rpc_call_options minute = {.timeout_ms = 60000};

MOS_TEST(no_server_is_unavailable) {
    // A port that was free a moment ago and that nobody listens on.
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    CU_ASSERT_EQUAL_FATAL(bind(descriptor, (struct sockaddr *)&address, length), 0);
    getsockname(descriptor, (struct sockaddr *)&address, &length);
    char text[32];
    snprintf(text, sizeof(text), "127.0.0.1:%d", ntohs(address.sin_port));
    mos_rpc_channel *channel;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_rpc_channel_create(&channel, &(struct mos_rpc_channel_options){.address = text}, &error), &error);
    struct echo echo = {.channel = channel, .arena = mos_arena_create(0)};
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, "x", NULL), MOS_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(echo.error.message, text));
    mos_arena_destroy(echo.arena);
    mos_rpc_channel_destroy(channel);
    close(descriptor);

    CU_ASSERT_EQUAL(mos_rpc_channel_create(&channel, &(struct mos_rpc_channel_options){0}, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "address");
}

MOS_TEST(metadata_that_cannot_be_sent_is_refused) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    CU_ASSERT_EQUAL(echo_text(&echo, &(struct mos_rpc_call_options){.token = "a\nb"}, "x", NULL), MOS_INVALID_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(echo.error.message, "authorization"));
    CU_ASSERT_PTR_NULL(strstr(echo.error.message, "a\nb"));
    struct mos_rpc_pair pair = {.key = "No Key", .value = "x"};
    CU_ASSERT_EQUAL(echo_text(&echo, &(struct mos_rpc_call_options){.metadata = &pair, .metadata_count = 1}, "x", NULL),
                    MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(echo_text(&echo, NULL, "x", NULL), MOS_OK);
    echo_stop(&echo);
}

MOS_TEST(canceller_serves_many_calls_and_later_ones) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_canceller *canceller = mos_rpc_canceller_create();
    struct mos_rpc_call_options options = {.timeout_ms = 60000, .canceller = canceller};
    CU_ASSERT_EQUAL(echo_text(&echo, &options, "before", NULL), MOS_OK);
    mos_rpc_stream *streams[5];
    number request = NUMBER_INIT;
    for (int i = 0; i < 5; i++) {
        MOS_ASSERT_OK(
            mosaajii_rpc_test_v1_echo_service_client_block_stream_open(echo.channel, &options, &request, &streams[i], &echo.error),
            &echo.error);
    }
    echo_wait(&echo, &echo.waiting, 5);
    // One leaves in between.
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(streams[2], NULL), MOS_CANCELLED);
    mos_rpc_canceller_cancel(canceller);
    echo_wait(&echo, &echo.ended, 5);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(i == 2 ? MOS_CANCELLED : mos_rpc_stream_finish(streams[i], NULL), MOS_CANCELLED);
    }
    CU_ASSERT_EQUAL(echo_text(&echo, &options, "after", NULL), MOS_CANCELLED);
    mos_rpc_canceller_destroy(canceller);
    echo_stop(&echo);
}

MOS_TEST(stream_gives_metadata_and_its_status_again) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    struct mos_rpc_call_options options = {.timeout_ms = 60000, .request_id = "stream-1"};
    count_request request = COUNT_REQUEST_INIT;
    request.messages = 1;
    mos_rpc_stream *stream;
    const number *message;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_count_open(echo.channel, &options, &request, &stream, &echo.error), &echo.error);
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_count_receive(stream, &message, &echo.error), &echo.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mos_rpc_stream_metadata(stream, "x-request-id"));
    CU_ASSERT_STRING_EQUAL(mos_rpc_stream_metadata(stream, "x-request-id"), "stream-1");
    CU_ASSERT_PTR_NULL(mos_rpc_stream_metadata(stream, "x-none"));
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_count_receive(stream, &message, &echo.error), MOS_OK);
        CU_ASSERT_PTR_NULL(message);
    }
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, NULL), MOS_OK);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(NULL, NULL), MOS_OK);
    echo_stop(&echo);
}

MOS_TEST(sending_ends_when_the_call_is_over) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_stream *stream;
    number message = NUMBER_INIT;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_sum_open(echo.channel, &minute, &stream, &echo.error), &echo.error);
    MOS_ASSERT_OK(mos_rpc_stream_close_send(stream, &echo.error), &echo.error);
    MOS_ASSERT_OK(mos_rpc_stream_close_send(stream, &echo.error), &echo.error);
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_sum_send(stream, &message, &echo.error), MOS_FAILED_PRECONDITION);
    mos_rpc_stream_finish(stream, NULL);

    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_sum_open(echo.channel, &minute, &stream, &echo.error), &echo.error);
    mos_rpc_stream_cancel(stream);
    mos_status status;
    do {
        status = mosaajii_rpc_test_v1_echo_service_client_sum_send(stream, &message, &echo.error);
    } while (status == MOS_OK);
    CU_ASSERT_EQUAL(status, MOS_CANCELLED);
    const number *sum;
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_sum_receive(stream, &sum, &echo.error), MOS_CANCELLED);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, &echo.error), MOS_CANCELLED);
    echo_stop(&echo);
}

MOS_TEST(answer_that_is_none_is_the_servers_error) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    // Asked as if it gave another message: its text is read as a number there, and its words as text that is none.
    everything request = EVERYTHING_INIT;
    request._maybe_number_case = MOSAAJII__RPC__TEST__V1__EVERYTHING___MAYBE_NUMBER_MAYBE_NUMBER;
    ProtobufCMessage *response;
    CU_ASSERT_EQUAL(mos_rpc_unary(echo.channel, "/mosaajii.rpc.test.v1.EchoService/Echo", &minute, &request.base,
                                  &mosaajii__rpc__test__v1__everything__httppair__descriptor, echo.arena, &response, &echo.error),
                    MOS_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(echo.error.message, "answer"));

    // More than one message to a call that should have one, and none at all.
    count_request count = COUNT_REQUEST_INIT;
    CU_ASSERT_EQUAL(mos_rpc_unary(echo.channel, "/mosaajii.rpc.test.v1.EchoService/Count", &minute, &count.base,
                                  &mosaajii__rpc__test__v1__number__descriptor, echo.arena, &response, &echo.error),
                    MOS_INTERNAL);
    echo_stop(&echo);
}

MOS_TEST(too_large_an_answer_is_refused) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_channel_destroy(echo.channel);
    MOS_ASSERT_OK(mos_rpc_channel_create(
                      &echo.channel, &(struct mos_rpc_channel_options){.address = echo.address, .receive_limit_bytes = 1000}, &echo.error),
                  &echo.error);
    char *text = calloc(1, 2001);
    memset(text, 'x', 2000);
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, text, NULL), MOS_RESOURCE_EXHAUSTED);
    text[900] = '\0';
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, text, NULL), MOS_OK);
    free(text);
    echo_stop(&echo);
}

struct caller {
    struct echo *echo;
    pthread_t thread;
    int failures;
};

static void *call_often(void *argument) {
    struct caller *caller = argument;
    for (int i = 0; i < 100; i++) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        char text[32];
        snprintf(text, sizeof(text), "%p %d", argument, i);
        everything request = EVERYTHING_INIT;
        everything *response;
        request.text = text;
        mos_status status = mosaajii_rpc_test_v1_echo_service_client_echo(caller->echo->channel, &minute, &request, arena, &response, NULL);
        caller->failures += status != MOS_OK || strcmp(response->text, text) != 0;
    }
    return NULL;
}

MOS_TEST(many_threads_share_a_channel) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    struct caller callers[16];
    for (int i = 0; i < 16; i++) {
        callers[i] = (struct caller){.echo = &echo};
        pthread_create(&callers[i].thread, NULL, call_often, &callers[i]);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(callers[i].thread, NULL);
        CU_ASSERT_EQUAL(callers[i].failures, 0);
    }
    echo_stop(&echo);
}
