#include "unit/control/rpc/echo.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit/test.h"

static void count_up(struct echo *echo, int *counter) {
    pthread_mutex_lock(&echo->lock);
    (*counter)++;
    pthread_cond_broadcast(&echo->changed);
    pthread_mutex_unlock(&echo->lock);
}

static void note_end(struct echo *echo, mos_status status) {
    pthread_mutex_lock(&echo->lock);
    echo->ended++;
    echo->last_status = status;
    pthread_cond_broadcast(&echo->changed);
    pthread_mutex_unlock(&echo->lock);
}

static void tell_about_caller(struct mos_call *call, everything *response) {
    char **words = mos_arena_array(mos_call_arena(call), char *, 8);
    words[response->n_words++] = mos_call_peer_subject(call) ? (char *)mos_call_peer_subject(call) : (char *)"";
    for (size_t i = 0; i < 7 && mos_call_peer_san(call, i); i++) {
        words[response->n_words++] = (char *)mos_call_peer_san(call, i);
    }
    response->words = words;
}

static mos_status handle_echo(struct mos_call *call, const everything *request, everything *response) {
    struct echo *echo = mos_call_user(call);
    *response = *request;
    if (strcmp(request->text, "gate") == 0) {
        count_up(echo, &echo->waiting);
        pthread_mutex_lock(&echo->lock);
        while (!echo->gate_open) {
            pthread_cond_wait(&echo->changed, &echo->lock);
        }
        pthread_mutex_unlock(&echo->lock);
    } else if (strcmp(request->text, "who") == 0) {
        tell_about_caller(call, response);
    } else if (strcmp(request->text, "caller") == 0) {
        response->text = (char *)mos_call_caller_name(call);
        response->_maybe_text_case = MOSAAJII__RPC__TEST__V1__EVERYTHING___MAYBE_TEXT_MAYBE_TEXT;
        response->maybe_text = (char *)mos_call_caller(call);
    } else if (strcmp(request->text, "bad text") == 0) {
        response->text = (char *)"\xff";
    }
    size_t size_bytes;
    const char *said = mos_call_metadata_bytes(call, "x-say-bin", &size_bytes);
    if (said && size_bytes == 3 && memcmp(said, "a\0b", 3) == 0) {
        mos_call_set_header(call, "x-said", "a zero b");
    }
    if (mos_call_metadata(call, "x-say")) {
        mos_call_set_trailer(call, "x-last", mos_call_metadata(call, "x-say"));
    }
    return MOS_OK;
}

static mos_status handle_count(struct mos_call *call, const count_request *request) {
    struct echo *echo = mos_call_user(call);
    uint8_t *padding = calloc(1, (size_t)request->message_bytes + 1);
    mos_status status = MOS_OK;
    for (int64_t i = 1; i <= request->messages && status == MOS_OK; i++) {
        number message = NUMBER_INIT;
        message.value = i;
        message.padding = (ProtobufCBinaryData){.len = (size_t)request->message_bytes, .data = padding};
        status = mosaajii_rpc_test_v1_echo_service_count_send(call, &message);
        if (status == MOS_OK) {
            count_up(echo, &echo->sent);
        }
    }
    free(padding);
    note_end(echo, status);
    return status;
}

static mos_status handle_sum(struct mos_call *call, number *response) {
    const number *message;
    mos_status status;
    while ((status = mosaajii_rpc_test_v1_echo_service_sum_receive(call, &message)) == MOS_OK && message) {
        response->value += message->value;
    }
    return status;
}

static mos_status handle_chat(struct mos_call *call) {
    const http_pair *message;
    mos_status status;
    while ((status = mosaajii_rpc_test_v1_echo_service_chat_receive(call, &message)) == MOS_OK && message) {
        status = mosaajii_rpc_test_v1_echo_service_chat_send(call, message);
        if (status != MOS_OK) {
            return status;
        }
    }
    return status;
}

static mos_status handle_block(struct mos_call *call, const number *request, number *response) {
    (void)request;
    (void)response;
    struct echo *echo = mos_call_user(call);
    count_up(echo, &echo->waiting);
    mos_call_wait_cancelled(call, -1);
    note_end(echo, mos_call_cancel_status(call));
    return mos_call_fail_cancelled(call);
}

static void wake(void *argument) {
    struct echo *echo = argument;
    pthread_mutex_lock(&echo->lock);
    pthread_cond_broadcast(&echo->changed);
    pthread_mutex_unlock(&echo->lock);
}

// Is posted to until the gate is open, and then says something itself.
static mos_status be_posted_to(struct mos_call *call, struct echo *echo) {
    pthread_mutex_lock(&echo->lock);
    echo->posted_to[echo->waiting++] = call;
    pthread_cond_broadcast(&echo->changed);
    while (!echo->gate_open) {
        pthread_cond_wait(&echo->changed, &echo->lock);
    }
    pthread_mutex_unlock(&echo->lock);
    number last = NUMBER_INIT;
    last.value = -1;
    mos_status status = mosaajii_rpc_test_v1_echo_service_block_stream_send(call, &last);
    note_end(echo, status);
    return status;
}

// 1: waits with the descriptor, 2: with the callback, 3: is posted to, else with the call's own function.
static mos_status handle_block_stream(struct mos_call *call, const number *request) {
    struct echo *echo = mos_call_user(call);
    if (request->value == 3) {
        return be_posted_to(call, echo);
    }
    mos_status status = mosaajii_rpc_test_v1_echo_service_block_stream_send(call, request);
    if (status != MOS_OK) {
        return status;
    }
    count_up(echo, &echo->waiting);
    if (request->value == 1) {
        struct pollfd poll_for = {.fd = mos_call_cancel_fd(call), .events = POLLIN};
        while (poll(&poll_for, 1, -1) != 1) {
        }
    } else if (request->value == 2) {
        mos_call_on_cancel(call, wake, echo);
        pthread_mutex_lock(&echo->lock);
        while (!mos_call_cancelled(call)) {
            pthread_cond_wait(&echo->changed, &echo->lock);
        }
        pthread_mutex_unlock(&echo->lock);
        mos_call_on_cancel(call, NULL, NULL);
    } else {
        mos_call_wait_cancelled(call, -1);
    }
    note_end(echo, mos_call_cancel_status(call));
    return mos_call_fail_cancelled(call);
}

static mos_status handle_fail(struct mos_call *call, const everything *request, number *response) {
    (void)response;
    if (request->n_words > 0) {
        return mos_fail_field(mos_call_error(call), request->words[0], "%s", request->text);
    }
    return mos_fail(mos_call_error(call), mos_status_from_name(request->maybe_text), "%s", request->text);
}

static const struct mosaajii_rpc_test_v1_echo_service table = {.echo = handle_echo,
                                                               .count = handle_count,
                                                               .sum = handle_sum,
                                                               .chat = handle_chat,
                                                               .block = handle_block,
                                                               .block_stream = handle_block_stream,
                                                               .fail = handle_fail};

void echo_start(struct echo *echo, const struct mos_rpc_options *options, void (*prepare)(struct echo *echo)) {
    *echo = (struct echo){.arena = mos_arena_create(0)};
    pthread_mutex_init(&echo->lock, NULL);
    pthread_cond_init(&echo->changed, NULL);
    struct mos_rpc_options chosen = options ? *options : (struct mos_rpc_options){0};
    chosen.listen = chosen.listen ? chosen.listen : "127.0.0.1:0";
    struct mos_error *error = &echo->error;
    MOS_ASSERT_OK(mos_rpc_server_create(&echo->server, &chosen, error), error);
    MOS_ASSERT_OK(mosaajii_rpc_test_v1_echo_service_add(echo->server, &table, echo, error), error);
    if (prepare) {
        prepare(echo);
    }
    MOS_ASSERT_OK(mos_rpc_server_start(echo->server, error), error);
    snprintf(echo->address, sizeof(echo->address), "127.0.0.1:%d", mos_rpc_server_port(echo->server));
    MOS_ASSERT_OK(mos_rpc_channel_create(&echo->channel, &(struct mos_rpc_channel_options){.address = echo->address}, error), error);
}

void echo_stop(struct echo *echo) {
    mos_rpc_channel_destroy(echo->channel);
    mos_rpc_server_destroy(echo->server);
    mos_arena_destroy(echo->arena);
    pthread_mutex_destroy(&echo->lock);
    pthread_cond_destroy(&echo->changed);
}

void echo_wait(struct echo *echo, const int *counter, int least) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&echo->lock);
    while (*counter < least) {
        if (pthread_cond_timedwait(&echo->changed, &echo->lock, &until) != 0) {
            fprintf(stderr, "%d of %d after a minute\n", *counter, least);
            abort();
        }
    }
    pthread_mutex_unlock(&echo->lock);
}

void echo_open_gate(struct echo *echo) {
    pthread_mutex_lock(&echo->lock);
    echo->gate_open = true;
    pthread_cond_broadcast(&echo->changed);
    pthread_mutex_unlock(&echo->lock);
}

mos_status echo_text(struct echo *echo, const struct mos_rpc_call_options *options, const char *text, everything **out) {
    everything request = EVERYTHING_INIT;
    request.text = (char *)text;
    everything *response = NULL;
    echo->error = (struct mos_error){0};
    mos_status status =
        mosaajii_rpc_test_v1_echo_service_client_echo(echo->channel, options, &request, echo->arena, &response, &echo->error);
    if (out) {
        *out = response;
    }
    return status;
}
