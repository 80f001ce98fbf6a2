#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/control/rpc/echo.h"
#include "unit/test.h"

static const struct mos_rpc_call_options minute = {.timeout_ms = 60000};

// ---- The four kinds ----

MOS_TEST(unary_brings_every_field_back) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    everything request = EVERYTHING_INIT;
    char *words[] = {(char *)"one", (char *)"", (char *)"drei ü"};
    http_pair pair = HTTP_PAIR_INIT;
    http_pair *pairs[] = {&pair, &pair};
    Mosaajii__Rpc__Test__V1__Everything__CountsEntry entry = MOSAAJII__RPC__TEST__V1__EVERYTHING__COUNTS_ENTRY__INIT;
    Mosaajii__Rpc__Test__V1__Everything__CountsEntry *entries[] = {&entry};
    entry.key = (char *)"k";
    entry.value = -5;
    pair.userid = (char *)"u";
    pair.data = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)"a\0b"};
    request.text = (char *)"text";
    request._maybe_number_case =
        MOSAAJII__RPC__TEST__V1__EVERYTHING___MAYBE_NUMBER_MAYBE_NUMBER; // set to its zero, which is not the same as absent
    request._maybe_text_case = MOSAAJII__RPC__TEST__V1__EVERYTHING___MAYBE_TEXT_MAYBE_TEXT;
    request.maybe_text = (char *)"";
    request.n_words = 3;
    request.words = words;
    request.n_counts = 1;
    request.counts = entries;
    request.colour = MOSAAJII__RPC__TEST__V1__EVERYTHING__COLOUR__RED;
    request.pair = &pair;
    request.choice_case = MOSAAJII__RPC__TEST__V1__EVERYTHING__CHOICE_RIGHT;
    request.right = 1LL << 60;
    request.ratio = 0.5;
    request.n_pairs = 2;
    request.pairs = pairs;
    everything *response;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_echo(echo.channel, &minute, &request, echo.arena, &response, &echo.error),
                  &echo.error);
    CU_ASSERT_STRING_EQUAL(response->text, "text");
    CU_ASSERT(response->_maybe_number_case);
    CU_ASSERT_EQUAL(response->maybe_number, 0);
    CU_ASSERT(!response->_maybe_flag_case);
    CU_ASSERT_PTR_NOT_NULL_FATAL(response->maybe_text);
    CU_ASSERT_STRING_EQUAL(response->maybe_text, "");
    CU_ASSERT_EQUAL_FATAL(response->n_words, 3);
    CU_ASSERT_STRING_EQUAL(response->words[2], "drei ü");
    CU_ASSERT_EQUAL_FATAL(response->n_counts, 1);
    CU_ASSERT_STRING_EQUAL(response->counts[0]->key, "k");
    CU_ASSERT_EQUAL(response->counts[0]->value, -5);
    CU_ASSERT_EQUAL(response->colour, MOSAAJII__RPC__TEST__V1__EVERYTHING__COLOUR__RED);
    CU_ASSERT_EQUAL(response->choice_case, MOSAAJII__RPC__TEST__V1__EVERYTHING__CHOICE_RIGHT);
    CU_ASSERT_EQUAL(response->right, 1LL << 60);
    CU_ASSERT_EQUAL(response->ratio, 0.5);
    CU_ASSERT_EQUAL_FATAL(response->n_pairs, 2);
    CU_ASSERT_EQUAL_FATAL(response->pairs[1]->data.len, 3);
    CU_ASSERT_EQUAL(memcmp(response->pairs[1]->data.data, "a\0b", 3), 0);

    everything empty = EVERYTHING_INIT;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_echo(echo.channel, &minute, &empty, echo.arena, &response, &echo.error),
                  &echo.error);
    CU_ASSERT(!response->_maybe_number_case);
    CU_ASSERT(!response->_maybe_text_case);
    CU_ASSERT_PTR_NULL(response->pair);
    CU_ASSERT_EQUAL(response->choice_case, MOSAAJII__RPC__TEST__V1__EVERYTHING__CHOICE__NOT_SET);
    echo_stop(&echo);
}

MOS_TEST(server_stream_brings_all_in_order) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    count_request request = COUNT_REQUEST_INIT;
    request.messages = 1000;
    mos_rpc_stream *stream;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_count_open(echo.channel, &minute, &request, &stream, &echo.error), &echo.error);
    const number *message;
    for (int64_t i = 1; i <= 1000; i++) {
        MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_count_receive(stream, &message, &echo.error), &echo.error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(message);
        CU_ASSERT_EQUAL_FATAL(message->value, i);
    }
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_count_receive(stream, &message, &echo.error), &echo.error);
    CU_ASSERT_PTR_NULL(message);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, &echo.error), MOS_OK);
    echo_stop(&echo);
}

MOS_TEST(client_stream_takes_all) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_stream *stream;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_sum_open(echo.channel, &minute, &stream, &echo.error), &echo.error);
    for (int64_t i = 1; i <= 1000; i++) {
        number message = NUMBER_INIT;
        message.value = i;
        MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_sum_send(stream, &message, &echo.error), &echo.error);
    }
    MOS_ASSERT_OK(mos_rpc_stream_close_send(stream, &echo.error), &echo.error);
    const number *sum;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_sum_receive(stream, &sum, &echo.error), &echo.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sum);
    CU_ASSERT_EQUAL(sum->value, 500500);
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_sum_receive(stream, &sum, &echo.error), &echo.error);
    CU_ASSERT_PTR_NULL(sum);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, &echo.error), MOS_OK);
    echo_stop(&echo);
}

MOS_TEST(bidirectional_stream_answers_each) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_stream *stream;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_chat_open(echo.channel, &minute, &stream, &echo.error), &echo.error);
    const http_pair *answer;
    for (int i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        http_pair message = HTTP_PAIR_INIT;
        message.userid = text;
        MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_chat_send(stream, &message, &echo.error), &echo.error);
        MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_chat_receive(stream, &answer, &echo.error), &echo.error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
        CU_ASSERT_STRING_EQUAL(answer->userid, text);
    }
    MOS_ASSERT_OK(mos_rpc_stream_close_send(stream, &echo.error), &echo.error);
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_chat_receive(stream, &answer, &echo.error), &echo.error);
    CU_ASSERT_PTR_NULL(answer);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, &echo.error), MOS_OK);
    echo_stop(&echo);
}

// ---- The end of a call ----

MOS_TEST(deadline_ends_call_and_handler) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    number request = NUMBER_INIT;
    number *response;
    struct mos_rpc_call_options options = {.timeout_ms = 200};
    mos_status status =
        mosaajii_rpc_test_v1_echo_service_client_block(echo.channel, &options, &request, echo.arena, &response, &echo.error);
    CU_ASSERT_EQUAL(status, MOS_DEADLINE_EXCEEDED);
    echo_wait(&echo, &echo.ended, 1);
    CU_ASSERT_EQUAL(echo.last_status, MOS_DEADLINE_EXCEEDED);
    echo_stop(&echo);
}

struct blocked_call {
    struct echo *echo;
    mos_rpc_canceller *canceller;
    mos_status status;
    pthread_t thread;
};

static void *call_block(void *argument) {
    struct blocked_call *call = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    number request = NUMBER_INIT;
    number *response;
    struct mos_rpc_call_options options = {.canceller = call->canceller};
    call->status = mosaajii_rpc_test_v1_echo_service_client_block(call->echo->channel, &options, &request, arena, &response, NULL);
    return NULL;
}

MOS_TEST(cancellation_reaches_the_handler) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    struct blocked_call call = {.echo = &echo, .canceller = mos_rpc_canceller_create()};
    pthread_create(&call.thread, NULL, call_block, &call);
    echo_wait(&echo, &echo.waiting, 1);
    mos_rpc_canceller_cancel(call.canceller);
    pthread_join(call.thread, NULL);
    CU_ASSERT_EQUAL(call.status, MOS_CANCELLED);
    echo_wait(&echo, &echo.ended, 1);
    CU_ASSERT_EQUAL(echo.last_status, MOS_CANCELLED);
    mos_rpc_canceller_destroy(call.canceller);
    echo_stop(&echo);
}

static mos_rpc_stream *open_blocked(struct echo *echo, int64_t way) {
    number request = NUMBER_INIT;
    request.value = way;
    mos_rpc_stream *stream;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_block_stream_open(echo->channel, NULL, &request, &stream, &echo->error),
                  &echo->error);
    const number *message;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_block_stream_receive(stream, &message, &echo->error), &echo->error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(message);
    return stream;
}

MOS_TEST(each_way_of_waiting_sees_cancellation) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    for (int way = 0; way < 3; way++) {
        mos_rpc_stream *stream = open_blocked(&echo, way);
        echo_wait(&echo, &echo.waiting, way + 1);
        CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, &echo.error), MOS_CANCELLED);
        echo_wait(&echo, &echo.ended, way + 1);
        CU_ASSERT_EQUAL(echo.last_status, MOS_CANCELLED);
    }
    echo_stop(&echo);
}

MOS_TEST(vanished_client_cancels) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_stream *stream = open_blocked(&echo, 0);
    echo_wait(&echo, &echo.waiting, 1);
    mos_rpc_stream_cancel(stream);
    echo_wait(&echo, &echo.ended, 1);
    const number *message;
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_block_stream_receive(stream, &message, &echo.error), MOS_CANCELLED);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, &echo.error), MOS_CANCELLED);
    echo_stop(&echo);
}

// ---- Load ----

MOS_TEST(slow_reader_stops_the_sender) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    count_request request = COUNT_REQUEST_INIT;
    request.messages = 10000;
    request.message_bytes = 64 << 10;
    mos_rpc_stream *stream;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_count_open(echo.channel, NULL, &request, &stream, &echo.error), &echo.error);
    const number *message;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_count_receive(stream, &message, &echo.error), &echo.error);
    // Other calls of the connection go on meanwhile; when many of them have, and no further message was sent, the sender stands.
    int before = -1;
    int same = 0;
    while (same < 50) {
        CU_ASSERT_EQUAL_FATAL(echo_text(&echo, &minute, "x", NULL), MOS_OK);
        pthread_mutex_lock(&echo.lock);
        same = echo.sent == before ? same + 1 : 0;
        before = echo.sent;
        pthread_mutex_unlock(&echo.lock);
    }
    CU_ASSERT(before < 2000);
    // It goes on where it stood.
    for (int64_t i = 2; i <= 300; i++) {
        MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_count_receive(stream, &message, &echo.error), &echo.error);
        CU_ASSERT_EQUAL_FATAL(message->value, i);
    }
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, &echo.error), MOS_CANCELLED);
    echo_wait(&echo, &echo.ended, 1);
    CU_ASSERT_EQUAL(echo.last_status, MOS_CANCELLED);
    echo_stop(&echo);
}

enum { BLOCKED = 500 };

MOS_TEST(blocked_streams_leave_unary_calls_alone) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    static mos_rpc_stream *streams[BLOCKED];
    for (int i = 0; i < BLOCKED; i++) {
        streams[i] = open_blocked(&echo, 0);
    }
    echo_wait(&echo, &echo.waiting, BLOCKED);
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(echo_text(&echo, &minute, "still here", NULL), MOS_OK);
    }
    CU_ASSERT(mos_rpc_server_live_calls(echo.server) >= BLOCKED);
    for (int i = 0; i < BLOCKED; i++) {
        CU_ASSERT_EQUAL(mos_rpc_stream_finish(streams[i], NULL), MOS_CANCELLED);
    }
    echo_wait(&echo, &echo.ended, BLOCKED);
    echo_stop(&echo);
}

MOS_TEST(calls_past_the_ceiling_are_refused) {
    struct echo echo;
    echo_start(&echo, &(struct mos_rpc_options){.max_threads = 2}, NULL);
    mos_rpc_stream *first = open_blocked(&echo, 0);
    mos_rpc_stream *second = open_blocked(&echo, 0);
    number request = NUMBER_INIT;
    mos_rpc_stream *third;
    const number *message;
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_client_block_stream_open(echo.channel, &minute, &request, &third, &echo.error),
                  &echo.error);
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_block_stream_receive(third, &message, &echo.error), MOS_RESOURCE_EXHAUSTED);
    CU_ASSERT_STRING_EQUAL(echo.error.message, "the server has as many calls as it can take");
    mos_rpc_stream_finish(third, NULL);
    // Watchers, however many, take nothing from those who ask.
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, "still here", NULL), MOS_OK);
    mos_rpc_stream_finish(first, NULL);
    echo_wait(&echo, &echo.ended, 1);
    mos_rpc_stream_finish(second, NULL);
    echo_stop(&echo);

    echo_start(&echo, &(struct mos_rpc_options){.max_calls = 1}, NULL);
    first = open_blocked(&echo, 0);
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, "one too many", NULL), MOS_RESOURCE_EXHAUSTED);
    mos_rpc_stream_finish(first, NULL);
    echo_stop(&echo);
}

// ---- Requests that are refused ----

MOS_TEST(too_large_a_request_is_refused) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    number request = NUMBER_INIT;
    number *response;
    request.padding.len = 5 << 20;
    request.padding.data = calloc(1, request.padding.len);
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_block(echo.channel, &minute, &request, echo.arena, &response, &echo.error),
                    MOS_RESOURCE_EXHAUSTED);
    CU_ASSERT_EQUAL(echo.waiting, 0);
    free(request.padding.data);
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, "others go on", NULL), MOS_OK);
    echo_stop(&echo);
}

MOS_TEST(text_that_is_no_utf8_is_refused_with_its_place) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, "\xff", NULL), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(echo.error.field, "text");
    everything request = EVERYTHING_INIT;
    everything inner = EVERYTHING_INIT;
    everything *response;
    inner._maybe_text_case = MOSAAJII__RPC__TEST__V1__EVERYTHING___MAYBE_TEXT_MAYBE_TEXT;
    inner.maybe_text = (char *)"a\xc3";
    request.inner = &inner;
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_echo(echo.channel, &minute, &request, echo.arena, &response, &echo.error),
                    MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(echo.error.field, "inner.maybeText");
    echo_stop(&echo);
}

MOS_TEST(deep_nesting_is_refused) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    enum { DEPTH = 3000 };
    everything *levels = calloc(DEPTH, sizeof(*levels));
    for (int i = 0; i < DEPTH; i++) {
        levels[i] = (everything)EVERYTHING_INIT;
        levels[i].inner = i + 1 < DEPTH ? &levels[i + 1] : NULL;
    }
    everything *response;
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_echo(echo.channel, &minute, levels, echo.arena, &response, &echo.error),
                    MOS_INVALID_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(echo.error.message, "nested deeper than 64"));
    free(levels);
    echo_stop(&echo);
}

MOS_TEST(request_that_swells_is_refused) {
    struct echo echo;
    echo_start(&echo, &(struct mos_rpc_options){.arena_limit_bytes = 1 << 20}, NULL);
    enum { COUNT = 100000 }; // two bytes each on the wire
    everything request = EVERYTHING_INIT;
    http_pair pair = HTTP_PAIR_INIT;
    request.n_pairs = COUNT;
    request.pairs = calloc(COUNT, sizeof(*request.pairs));
    for (int i = 0; i < COUNT; i++) {
        request.pairs[i] = &pair;
    }
    everything *response;
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_echo(echo.channel, &minute, &request, echo.arena, &response, &echo.error),
                    MOS_RESOURCE_EXHAUSTED);
    free(request.pairs);
    echo_stop(&echo);
}

MOS_TEST(what_is_not_there_is_unimplemented) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    number request = NUMBER_INIT;
    number *response;
    ProtobufCMessage *message;
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_missing(echo.channel, &minute, &request, echo.arena, &response, &echo.error),
                    MOS_UNIMPLEMENTED);
    CU_ASSERT_STRING_EQUAL(echo.error.message, "EchoService.Missing is not available in this version");
    static const char *const paths[] = {"/no.Such/Method", "/", "/a.b.c", "//"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        CU_ASSERT_EQUAL(
            mos_rpc_unary(echo.channel, paths[i], &minute, &request.base, request.base.descriptor, echo.arena, &message, &echo.error),
            MOS_UNIMPLEMENTED);
    }
    echo_stop(&echo);
}

// ---- Errors ----

static mos_status ask_to_fail(struct echo *echo, const char *status, const char *field, const char *text) {
    everything request = EVERYTHING_INIT;
    char *fields[] = {(char *)field};
    request.text = (char *)text;
    request._maybe_text_case = MOSAAJII__RPC__TEST__V1__EVERYTHING___MAYBE_TEXT_MAYBE_TEXT;
    request.maybe_text = (char *)status;
    request.n_words = field ? 1 : 0;
    request.words = fields;
    number *response;
    echo->error = (struct mos_error){0};
    return mosaajii_rpc_test_v1_echo_service_client_fail(echo->channel, &minute, &request, echo->arena, &response, &echo->error);
}

MOS_TEST(errors_come_through_whole) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    for (int status = MOS_CANCELLED; status < MOS_STATUS_COUNT; status++) {
        CU_ASSERT_EQUAL(ask_to_fail(&echo, mos_status_name((mos_status)status), NULL, "für 100 % \"klar\""), (mos_status)status);
        CU_ASSERT_STRING_EQUAL(echo.error.message, "für 100 % \"klar\"");
        CU_ASSERT_STRING_EQUAL(echo.error.field, "");
    }
    CU_ASSERT_EQUAL(ask_to_fail(&echo, "", "backup.retentionDays", "it must be 1 to 36500"), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(echo.error.field, "backup.retentionDays");
    CU_ASSERT_STRING_EQUAL(echo.error.message, "it must be 1 to 36500");
    // A handler's mistakes are the server's errors.
    CU_ASSERT_EQUAL(ask_to_fail(&echo, "NOT_FOUND", NULL, ""), MOS_NOT_FOUND);
    CU_ASSERT_STRING_EQUAL(echo.error.message, mos_status_phrase(MOS_NOT_FOUND));
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, "bad text", NULL), MOS_INTERNAL);
    echo_stop(&echo);
}

// ---- Metadata and interceptors ----

MOS_TEST(metadata_goes_both_ways) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    struct mos_rpc_pair pairs[] = {{.key = "x-say", .value = "hello"}, {.key = "x-say-bin", .value = "a\0b", .size_bytes = 3}};
    struct mos_rpc_received received;
    struct mos_rpc_call_options options = {
        .timeout_ms = 60000, .request_id = "my-id.1", .metadata = pairs, .metadata_count = 2, .received = &received};
    CU_ASSERT_EQUAL(echo_text(&echo, &options, "x", NULL), MOS_OK);
    int found = 0;
    for (size_t i = 0; i < received.count; i++) {
        const struct mos_rpc_pair *pair = &received.pairs[i];
        found += strcmp(pair->key, "x-last") == 0 && strcmp(pair->value, "hello") == 0;
        found += strcmp(pair->key, "x-said") == 0 && strcmp(pair->value, "a zero b") == 0;
        found += strcmp(pair->key, "x-request-id") == 0 && strcmp(pair->value, "my-id.1") == 0;
    }
    CU_ASSERT_EQUAL(found, 3);

    // An id that could break a log line is not taken over.
    options = (struct mos_rpc_call_options){.timeout_ms = 60000, .request_id = "a b", .received = &received};
    CU_ASSERT_EQUAL(echo_text(&echo, &options, "x", NULL), MOS_OK);
    for (size_t i = 0; i < received.count; i++) {
        CU_ASSERT(strcmp(received.pairs[i].key, "x-request-id") != 0 || strlen(received.pairs[i].value) == 36);
    }
    echo_stop(&echo);
}

struct watchman {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int begun, ended;
    mos_status last;
    struct mos_rpc_summary summary;
};
static struct watchman outer = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
static struct watchman inner = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static mos_status begin_watch(struct mos_call *call, void *user) {
    (void)call;
    struct watchman *man = user;
    pthread_mutex_lock(&man->lock);
    man->begun++;
    pthread_mutex_unlock(&man->lock);
    return MOS_OK;
}

static mos_status begin_check(struct mos_call *call, void *user) {
    begin_watch(call, user);
    const char *authorization = mos_call_metadata(call, "authorization");
    if (!authorization || strcmp(authorization, "Bearer secret") != 0) {
        return mos_fail(mos_call_error(call), MOS_UNAUTHENTICATED, "a valid token is needed");
    }
    mos_call_set_caller(call, "admin", "everything allowed");
    return MOS_OK;
}

static void end_watch(struct mos_call *call, mos_status status, const struct mos_rpc_summary *summary, void *user) {
    (void)call;
    struct watchman *man = user;
    pthread_mutex_lock(&man->lock);
    man->last = status;
    man->summary = *summary;
    man->ended++;
    pthread_mutex_unlock(&man->lock);
}

static const struct mos_rpc_interceptor watching = {.begin = begin_watch, .end = end_watch};
static const struct mos_rpc_interceptor checking = {.begin = begin_check, .end = end_watch};

static void add_interceptors(struct echo *echo) {
    mos_rpc_server_intercept(echo->server, &mos_rpc_log_calls, NULL);
    mos_rpc_server_intercept(echo->server, &watching, &outer);
    mos_rpc_server_intercept(echo->server, &checking, &inner);
    mos_rpc_server_intercept(echo->server, &watching, &outer);
}

// A copy of what it knows by now.
static struct watchman seen(struct watchman *man) {
    pthread_mutex_lock(&man->lock);
    struct watchman copy = *man;
    pthread_mutex_unlock(&man->lock);
    return copy;
}

MOS_TEST(interceptors_refuse_and_see_the_end) {
    struct echo echo;
    echo_start(&echo, NULL, add_interceptors);
    struct mos_rpc_call_options options = {.timeout_ms = 60000};
    CU_ASSERT_EQUAL(echo_text(&echo, &options, "x", NULL), MOS_UNAUTHENTICATED);
    CU_ASSERT_STRING_EQUAL(echo.error.message, "a valid token is needed");
    // The one behind the refusal has seen nothing.
    CU_ASSERT_EQUAL(seen(&outer).begun, 1);
    CU_ASSERT_EQUAL(seen(&outer).ended, 1);
    CU_ASSERT_EQUAL(seen(&inner).ended, 1);
    CU_ASSERT_EQUAL(seen(&outer).last, MOS_UNAUTHENTICATED);
    // What is not there does not tell strangers so.
    number request = NUMBER_INIT;
    number *response;
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_missing(echo.channel, &options, &request, echo.arena, &response, &echo.error),
                    MOS_UNAUTHENTICATED);

    options.token = "secret";
    everything *answer;
    CU_ASSERT_EQUAL_FATAL(echo_text(&echo, &options, "caller", &answer), MOS_OK);
    CU_ASSERT_STRING_EQUAL(answer->text, "admin");
    CU_ASSERT_STRING_EQUAL(answer->maybe_text, "everything allowed");
    CU_ASSERT_EQUAL(seen(&outer).last, MOS_OK);
    CU_ASSERT_EQUAL(seen(&outer).summary.received_bytes, 2 + strlen("caller"));
    CU_ASSERT(seen(&outer).summary.sent_bytes > 0);
    CU_ASSERT(seen(&outer).summary.duration_ns > 0);
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_missing(echo.channel, &options, &request, echo.arena, &response, &echo.error),
                    MOS_UNIMPLEMENTED);
    CU_ASSERT_EQUAL(seen(&outer).begun, seen(&outer).ended);
    CU_ASSERT_EQUAL(seen(&inner).begun, seen(&inner).ended);
    echo_stop(&echo);
}

// ---- Start and stop ----

static void *stop_slowly(void *argument) {
    struct echo *echo = argument;
    mos_rpc_server_stop(echo->server, 60000);
    return NULL;
}

struct gated_call {
    struct echo *echo;
    mos_status status;
    pthread_t thread;
};

static void *call_gate(void *argument) {
    struct gated_call *call = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    everything request = EVERYTHING_INIT;
    everything *response;
    request.text = (char *)"gate";
    call->status = mosaajii_rpc_test_v1_echo_service_client_echo(call->echo->channel, NULL, &request, arena, &response, NULL);
    return NULL;
}

MOS_TEST(drain_tells_streams_lets_calls_end_and_refuses_new_ones) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_stream *stream = open_blocked(&echo, 2);
    echo_wait(&echo, &echo.waiting, 1);
    struct gated_call gated = {.echo = &echo};
    pthread_create(&gated.thread, NULL, call_gate, &gated);
    echo_wait(&echo, &echo.waiting, 2);
    pthread_t stopper;
    pthread_create(&stopper, NULL, stop_slowly, &echo);
    echo_wait(&echo, &echo.ended, 1);
    CU_ASSERT_EQUAL(echo.last_status, MOS_UNAVAILABLE);
    const number *message;
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_client_block_stream_receive(stream, &message, &echo.error), MOS_UNAVAILABLE);
    CU_ASSERT_STRING_EQUAL(echo.error.message, "the server is stopping");
    mos_rpc_stream_finish(stream, NULL);
    // The port closes while the running call goes on, though not at the very moment the streams are told; a call that the core takes in
    // while it closes, it cancels.
    mos_status status;
    do {
        mos_rpc_channel *channel;
        everything request = EVERYTHING_INIT;
        everything *response;
        MOS_ASSERT_OK(mos_rpc_channel_create(&channel, &(struct mos_rpc_channel_options){.address = echo.address}, &echo.error),
                      &echo.error);
        status = mosaajii_rpc_test_v1_echo_service_client_echo(channel, &minute, &request, echo.arena, &response, &echo.error);
        mos_rpc_channel_destroy(channel);
    } while (status == MOS_OK || status == MOS_CANCELLED);
    CU_ASSERT_EQUAL(status, MOS_UNAVAILABLE);
    echo_open_gate(&echo);
    pthread_join(gated.thread, NULL);
    CU_ASSERT_EQUAL(gated.status, MOS_OK);
    pthread_join(stopper, NULL);
    CU_ASSERT_EQUAL(mos_rpc_server_live_calls(echo.server), 0);
    echo_stop(&echo);
}

MOS_TEST(without_grace_blocked_calls_are_cancelled) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    struct blocked_call calls[20];
    for (int i = 0; i < 20; i++) {
        calls[i] = (struct blocked_call){.echo = &echo};
        pthread_create(&calls[i].thread, NULL, call_block, &calls[i]);
    }
    echo_wait(&echo, &echo.waiting, 20);
    mos_rpc_server_stop(echo.server, 0);
    CU_ASSERT_EQUAL(echo.ended, 20);
    CU_ASSERT_EQUAL(echo.last_status, MOS_UNAVAILABLE);
    for (int i = 0; i < 20; i++) {
        pthread_join(calls[i].thread, NULL);
        CU_ASSERT(calls[i].status == MOS_UNAVAILABLE || calls[i].status == MOS_CANCELLED);
    }
    echo_stop(&echo);
}

MOS_TEST(stop_amid_many_calls) {
    for (int round = 0; round < 10; round++) {
        struct echo echo;
        echo_start(&echo, NULL, NULL);
        mos_rpc_stream *streams[30];
        number request = NUMBER_INIT;
        for (int i = 0; i < 30; i++) {
            CU_ASSERT_EQUAL_FATAL(
                mosaajii_rpc_test_v1_echo_service_client_block_stream_open(echo.channel, NULL, &request, &streams[i], NULL), MOS_OK);
        }
        // Some have arrived, some are on their way, and nobody waits for any of them.
        mos_rpc_server_stop(echo.server, 0);
        for (int i = 0; i < 30; i++) {
            CU_ASSERT_NOT_EQUAL(mos_rpc_stream_finish(streams[i], NULL), MOS_OK);
        }
        echo_stop(&echo);
    }
}

MOS_TEST(wrong_options_are_named) {
    mos_rpc_server *server;
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_rpc_server_create(&server, &(struct mos_rpc_options){0}, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "listen");
    struct mos_rpc_options options = {.listen = "127.0.0.1:0", .tls_cert_file = "/a"};
    CU_ASSERT_EQUAL(mos_rpc_server_create(&server, &options, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "tls_key_file");
    options = (struct mos_rpc_options){.listen = "127.0.0.1:0", .tls_client_ca_file = "/a"};
    CU_ASSERT_EQUAL(mos_rpc_server_create(&server, &options, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "tls_cert_file");

    options = (struct mos_rpc_options){.listen = "127.0.0.1:0", .tls_cert_file = "/no/such", .tls_key_file = "/no/such"};
    MOS_ASSERT_OK(mos_rpc_server_create(&server, &options, &error), &error);
    CU_ASSERT_EQUAL(mos_rpc_server_start(server, &error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "/no/such"));
    mos_rpc_server_destroy(server);
}

MOS_TEST(taken_address_and_second_service_are_refused) {
    struct echo echo;
    echo_start(&echo, NULL, NULL);
    mos_rpc_server *second;
    MOS_ASSERT_OK(mos_rpc_server_create(&second, &(struct mos_rpc_options){.listen = echo.address}, &echo.error), &echo.error);
    struct mosaajii_rpc_test_v1_echo_service nothing = {0};
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_add(second, &nothing, NULL, &echo.error), MOS_OK);
    CU_ASSERT_EQUAL(mosaajii_rpc_test_v1_echo_service_add(second, &nothing, NULL, &echo.error), MOS_ALREADY_EXISTS);
    CU_ASSERT_EQUAL(mos_rpc_server_start(second, &echo.error), MOS_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(echo.error.message, echo.address));
    mos_rpc_server_destroy(second);
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, "the first goes on", NULL), MOS_OK);
    echo_stop(&echo);
}

MOS_TEST(unix_socket_serves) {
    char listen[256];
    snprintf(listen, sizeof(listen), "unix:%s/socket", mos_test_directory());
    struct echo echo;
    echo_start(&echo, &(struct mos_rpc_options){.listen = listen}, NULL);
    CU_ASSERT_EQUAL(mos_rpc_server_port(echo.server), 0);
    mos_rpc_channel_destroy(echo.channel);
    MOS_ASSERT_OK(mos_rpc_channel_create(&echo.channel, &(struct mos_rpc_channel_options){.address = listen}, &echo.error), &echo.error);
    CU_ASSERT_EQUAL(echo_text(&echo, &minute, "x", NULL), MOS_OK);
    echo_stop(&echo);
}
