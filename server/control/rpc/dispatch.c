// The life of a call: it comes on a completion queue's thread, its message is read there, its handler runs on a thread of the pool and
// starts batches itself (stream.c), and whoever lets go last frees it.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/text.h"
#include "control/rpc/details.h"
#include "control/rpc/rpc_internal.h"

void mos_tag_post(struct mos_tag *tag) {
    atomic_fetch_add_explicit(&tag->posted, 1, memory_order_release);
}

bool mos_call_is_stream(const struct mos_call *call) {
    return call->route && call->route->method->kind != MOS_METHOD_UNARY;
}

static void release(struct mos_call *call) {
    if (atomic_fetch_sub_explicit(&call->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    mos_rpc_server *server = call->server;
    grpc_byte_buffer_destroy(call->request);
    mos_metadata_list_free(&call->headers);
    mos_metadata_list_free(&call->trailers);
    grpc_metadata_array_destroy(&call->request_metadata);
    grpc_call_unref(call->grpc);
    mos_arena_destroy(call->message_arena);
    mos_arena_destroy(call->arena);

    // What follows needs gRPC no more: from here on the server may end.
    pthread_mutex_lock(&server->lock);
    *(call->previous ? &call->previous->next : &server->live) = call->next;
    if (call->next) {
        call->next->previous = call->previous;
    }
    server->live_count--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    if (call->cancel_fd >= 0) {
        close(call->cancel_fd);
    }
    pthread_cond_destroy(&call->changed);
    pthread_mutex_destroy(&call->lock);
    free(call);
}

static void call_closed(struct mos_tag *tag, bool success) {
    (void)success;
    struct mos_call *call = tag->owner;
    if (call->cancelled_by_grpc) {
        bool late = call->deadline_unix_ns && mos_now_unix_ns() + 5 * MOS_NS_PER_MS >= call->deadline_unix_ns;
        mos_call_tell(call, late ? MOS_DEADLINE_EXCEEDED : MOS_CANCELLED);
    }
    release(call);
}

static void status_sent(struct mos_tag *tag, bool success) {
    (void)success;
    release(tag->owner);
}

// ---- The handler ----

// Only text may travel, whatever was put into a message.
static void make_text(char *text) {
    if (mos_utf8_valid(text, strlen(text))) {
        return;
    }
    for (; *text; text++) {
        *text = (unsigned char)*text < ' ' || (unsigned char)*text > '~' ? '?' : *text;
    }
}

static void settle_error(struct mos_call *call, mos_status status) {
    struct mos_error *error = &call->error;
    if (error->status != status || !error->message[0]) {
        *error = (struct mos_error){0};
        mos_fail(error, status, "%s", mos_status_phrase(status));
    }
    make_text(error->message);
    make_text(error->field);
}

static void end_call(struct mos_call *call, mos_status status, grpc_byte_buffer *response, size_t begun) {
    if (mos_call_is_stream(call)) {
        mos_call_await_posts(call);
    }
    if (status != MOS_OK) {
        settle_error(call, status);
    }
    struct mos_rpc_summary summary = {
        .duration_ns = mos_now_monotonic_ns() - call->started_ns, .received_bytes = call->received_bytes, .sent_bytes = call->sent_bytes};
    for (size_t i = begun; i-- > 0;) {
        const struct mos_interceptor_entry *entry = &call->server->interceptors[i];
        if (entry->table->end) {
            entry->table->end(call, status, &summary, entry->user);
        }
    }
    grpc_op ops[3];
    size_t count = 0;
    if (!call->headers_sent) {
        ops[count++] = mos_call_headers_op(call);
    }
    if (response) {
        ops[count] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
        ops[count++].data.send_message.send_message = response;
    }
    const char *message = "";
    if (status != MOS_OK) {
        message = call->error.message;
        const uint8_t *details;
        size_t details_bytes;
        mos_details_encode(&call->error, call->arena, &details, &details_bytes);
        if (details) {
            mos_metadata_list_add(call, &call->trailers, "grpc-status-details-bin", details, details_bytes);
        }
    }
    grpc_slice text = grpc_slice_from_copied_string(message);
    ops[count] = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    ops[count].data.send_status_from_server.status = (grpc_status_code)mos_status_grpc_code(status);
    ops[count].data.send_status_from_server.status_details = &text;
    ops[count].data.send_status_from_server.trailing_metadata_count = call->trailers.count;
    ops[count++].data.send_status_from_server.trailing_metadata = call->trailers.items;
    if (!mos_call_start_batch(call, ops, count, &call->status_sent)) {
        grpc_call_cancel(call->grpc, NULL);
        release(call);
    }
    grpc_slice_unref(text);
    grpc_byte_buffer_destroy(response);
    release(call);
}

static mos_status show_request(struct mos_call *call, const ProtobufCMessage *request) {
    mos_status status = MOS_OK;
    call->request_message = request;
    for (size_t i = 0; i < call->server->interceptor_count && status == MOS_OK; i++) {
        const struct mos_interceptor_entry *entry = &call->server->interceptors[i];
        status = entry->table->request ? entry->table->request(call, request, entry->user) : MOS_OK;
    }
    return status;
}

static mos_status handle(struct mos_call *call, grpc_byte_buffer **out_response) {
    const struct mos_route *route = call->route;
    if (!route || !route->implemented) {
        const char *slash = strrchr(call->path, '/');
        const char *service = slash ? memrchr(call->path, '.', (size_t)(slash - call->path)) : NULL;
        service = service ? service + 1 : call->path + (call->path[0] == '/');
        return mos_fail(&call->error, MOS_UNIMPLEMENTED, "%.*s.%s is not available in this version",
                        slash && slash > service ? (int)(slash - service) : 0, service, slash ? slash + 1 : call->path);
    }
    const struct mos_method_descriptor *method = route->method;
    bool client_streams = method->kind == MOS_METHOD_CLIENT_STREAM || method->kind == MOS_METHOD_BIDI_STREAM;
    bool server_streams = method->kind == MOS_METHOD_SERVER_STREAM || method->kind == MOS_METHOD_BIDI_STREAM;
    ProtobufCMessage *request = NULL;
    if (!client_streams) {
        if (call->request_failed) {
            return mos_call_fail_cancelled(call);
        }
        grpc_byte_buffer *buffer = call->request;
        call->request = NULL;
        mos_status status = mos_call_unpack(call, buffer, method->request, call->arena, &request);
        status = status == MOS_OK ? show_request(call, request) : status;
        if (status != MOS_OK) {
            return status;
        }
    }
    ProtobufCMessage *response = NULL;
    if (!server_streams) {
        response = mos_arena_alloc(call->arena, method->response->sizeof_message);
        if (!response) {
            return mos_fail(&call->error, MOS_RESOURCE_EXHAUSTED, "the call needs too much memory");
        }
        method->response->message_init(response);
    }
    mos_status status = method->invoke(route->table, call, request, response);
    if (status == MOS_OK && response) {
        call->response_message = response;
        *out_response = mos_call_pack(call, response);
        return *out_response ? MOS_OK : call->error.status;
    }
    if (mos_call_cancel_status(call) == MOS_UNAVAILABLE && status == MOS_CANCELLED) {
        // The client did not cancel: it should come again.
        return mos_call_fail_cancelled(call);
    }
    return status;
}

static void prepare(struct mos_call *call) {
    call->arena = mos_arena_create(call->server->options.arena_limit_bytes);
    mos_call_choose_request_id(call);
    mos_metadata_list_add(call, &call->headers, "x-request-id", call->request_id, strlen(call->request_id));
}

// A known caller who was refused: whoever records that wants to know what was asked for.
static void show_refused(struct mos_call *call) {
    struct mos_error refusal = call->error;
    ProtobufCMessage *request = NULL;
    grpc_byte_buffer *buffer = call->request;
    if (!call->caller_name || !buffer || !call->route || !call->route->implemented) {
        return;
    }
    call->request = NULL;
    if (mos_call_unpack(call, buffer, call->route->method->request, call->arena, &request) == MOS_OK) {
        call->request_message = request;
    }
    call->error = refusal;
}

static void run_handler(struct mos_pool_work *work) {
    struct mos_call *call = (struct mos_call *)((char *)work - offsetof(struct mos_call, work));
    prepare(call);
    mos_status status = MOS_OK;
    size_t begun = 0;
    while (begun < call->server->interceptor_count && status == MOS_OK) {
        const struct mos_interceptor_entry *entry = &call->server->interceptors[begun++];
        status = entry->table->begin ? entry->table->begin(call, entry->user) : MOS_OK;
    }
    grpc_byte_buffer *response = NULL;
    if (status == MOS_OK) {
        status = handle(call, &response);
    } else {
        show_refused(call);
    }
    end_call(call, status, response, begun);
}

static void refuse(struct mos_call *call) {
    prepare(call);
    end_call(call, mos_fail(&call->error, MOS_RESOURCE_EXHAUSTED, "the server has as many calls as it can take"), NULL, 0);
}

static void submit(struct mos_call *call) {
    if (!mos_pool_submit(mos_call_is_stream(call) ? call->server->stream_pool : call->server->pool, &call->work)) {
        refuse(call);
    }
}

static void request_received(struct mos_tag *tag, bool success) {
    struct mos_operation *operation = tag->owner;
    struct mos_call *call = operation->call;
    call->request_failed = !success;
    call->receiving.tag.done = mos_call_operation_done;
    submit(call);
}

// ---- How it comes ----

static int compare_path(const void *path, const void *route) {
    return strcmp(path, ((const struct mos_route *)route)->path);
}

static int64_t unix_ns_from(gpr_timespec deadline) {
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
        return 0;
    }
    gpr_timespec unix_time = gpr_convert_clock_type(deadline, GPR_CLOCK_REALTIME);
    return unix_time.tv_sec > INT64_MAX / MOS_NS_PER_SECOND - 1 ? 0 : unix_time.tv_sec * MOS_NS_PER_SECOND + unix_time.tv_nsec;
}

static struct mos_call *make_call(struct mos_queue *queue, struct mos_acceptor *acceptor) {
    mos_rpc_server *server = queue->server;
    // The path stands behind the call itself.
    size_t path_bytes = GRPC_SLICE_LENGTH(acceptor->details.method);
    struct mos_call *call = mos_calloc(1, sizeof(*call) + path_bytes + 1);
    char *path = (char *)(call + 1);
    memcpy(path, GRPC_SLICE_START_PTR(acceptor->details.method), path_bytes);
    call->path = path;
    call->server = server;
    call->queue = queue;
    call->grpc = acceptor->call;
    call->request_metadata = acceptor->metadata;
    call->deadline_unix_ns = unix_ns_from(acceptor->details.deadline);
    call->started_ns = mos_now_monotonic_ns();
    call->cancel_fd = -1;
    atomic_init(&call->references, 3);
    pthread_mutex_init(&call->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&call->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    call->work.run = run_handler;
    call->closed = (struct mos_tag){.done = call_closed, .owner = call};
    call->status_sent = (struct mos_tag){.done = status_sent, .owner = call};
    call->sending = (struct mos_operation){.tag = {.done = mos_call_sent, .owner = &call->sending}, .call = call};
    call->receiving = (struct mos_operation){.tag = {.done = mos_call_operation_done, .owner = &call->receiving}, .call = call};
    call->route = server->routes ? bsearch(path, server->routes, server->route_count, sizeof(*server->routes), compare_path) : NULL;
    return call;
}

void mos_call_accept(struct mos_queue *queue, struct mos_acceptor *acceptor) {
    struct mos_call *call = make_call(queue, acceptor);
    mos_rpc_server *server = queue->server;
    pthread_mutex_lock(&server->lock);
    call->next = server->live;
    if (call->next) {
        call->next->previous = call;
    }
    server->live = call;
    server->live_count++;
    bool full = server->live_count > (size_t)server->options.max_calls;
    bool stopping = server->stopping;
    pthread_mutex_unlock(&server->lock);
    if (stopping && mos_call_is_stream(call)) {
        mos_call_tell(call, MOS_UNAVAILABLE);
    }

    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    op.data.recv_close_on_server.cancelled = &call->cancelled_by_grpc;
    if (!mos_call_start_batch(call, &op, 1, &call->closed)) {
        release(call);
    }
    if (full) {
        refuse(call);
        return;
    }
    bool single = call->route && call->route->implemented &&
                  (call->route->method->kind == MOS_METHOD_UNARY || call->route->method->kind == MOS_METHOD_SERVER_STREAM);
    if (!single) {
        submit(call);
        return;
    }
    call->receiving.tag.done = request_received;
    op = (grpc_op){.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &call->request;
    if (!mos_call_start_batch(call, &op, 1, &call->receiving.tag)) {
        call->request_failed = true;
        submit(call);
    }
}
