// Messages of streams: those that a handler sends and receives itself, and those that somebody else posts while it waits for something.
#include <stdlib.h>

#include "common/buffer.h"
#include "common/log.h"
#include "control/rpc/rpc_internal.h"

bool mos_call_start_batch(struct mos_call *call, const grpc_op *ops, size_t count, struct mos_tag *tag) {
    mos_tag_post(tag);
    grpc_call_error problem = grpc_call_start_batch(call->grpc, ops, count, tag, NULL);
    if (problem != GRPC_CALL_OK) {
        mos_log_error("grpc refused a batch", MOS_TEXT("reason", grpc_call_error_to_string(problem)), MOS_TEXT("method", call->path));
    }
    return problem == GRPC_CALL_OK;
}

grpc_op mos_call_headers_op(struct mos_call *call) {
    call->headers_sent = true;
    grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    op.data.send_initial_metadata.count = call->headers.count;
    op.data.send_initial_metadata.metadata = call->headers.items;
    return op;
}

void mos_call_operation_done(struct mos_tag *tag, bool success) {
    struct mos_operation *operation = tag->owner;
    struct mos_call *call = operation->call;
    pthread_mutex_lock(&call->lock);
    operation->success = success;
    operation->pending = false;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->lock);
}

// Blocks until the batch is done; false when it could not be.
static bool operate(struct mos_call *call, struct mos_operation *operation, const grpc_op *ops, size_t count) {
    operation->pending = true;
    if (!mos_call_start_batch(call, ops, count, &operation->tag)) {
        operation->pending = false;
        return false;
    }
    pthread_mutex_lock(&call->lock);
    while (operation->pending) {
        pthread_cond_wait(&call->changed, &call->lock);
    }
    bool success = operation->success;
    pthread_mutex_unlock(&call->lock);
    return success;
}

mos_status mos_call_send(struct mos_call *call, const ProtobufCMessage *message) {
    mos_call_await_posts(call);
    mos_status told = mos_call_cancel_status(call);
    // A server that stops lets handlers say what they still have to say.
    if (told != MOS_OK && told != MOS_UNAVAILABLE) {
        return mos_call_fail_cancelled(call);
    }
    grpc_byte_buffer *buffer = mos_call_pack(call, message);
    if (!buffer) {
        return call->error.status;
    }
    grpc_op ops[2];
    size_t count = 0;
    if (!call->headers_sent) {
        ops[count++] = mos_call_headers_op(call);
    }
    ops[count] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
    ops[count++].data.send_message.send_message = buffer;
    bool sent = operate(call, &call->sending, ops, count);
    grpc_byte_buffer_destroy(buffer);
    return sent ? MOS_OK : mos_call_fail_cancelled(call);
}

mos_status mos_call_receive(struct mos_call *call, const ProtobufCMessage **out) {
    *out = NULL;
    mos_arena_destroy(call->message_arena);
    call->message_arena = NULL;
    call->received = NULL;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &call->received;
    bool received = operate(call, &call->receiving, &op, 1);
    mos_status told = mos_call_cancel_status(call);
    if (!received || (told != MOS_OK && told != MOS_UNAVAILABLE)) {
        grpc_byte_buffer_destroy(call->received);
        return mos_call_fail_cancelled(call);
    }
    if (!call->received) {
        return MOS_OK;
    }
    call->message_arena = mos_arena_create(call->server->options.arena_limit_bytes);
    ProtobufCMessage *message = NULL;
    mos_status status = mos_call_unpack(call, call->received, call->route->method->request, call->message_arena, &message);
    *out = message;
    return status;
}

// ---- Posted by others ----

struct mos_packed {
    grpc_slice bytes;
};

mos_status mos_packed_create(mos_packed **out, const ProtobufCMessage *message, struct mos_error *error) {
    grpc_slice bytes;
    mos_status status = mos_pack(message, &bytes, error);
    if (status != MOS_OK) {
        return status;
    }
    *out = mos_calloc(1, sizeof(**out));
    (*out)->bytes = bytes;
    return MOS_OK;
}

void mos_packed_destroy(mos_packed *packed) {
    if (packed) {
        grpc_slice_unref(packed->bytes);
        free(packed);
    }
}

// With `sending` pending, which this thread has made it. Takes the bytes.
static void send_bytes(struct mos_call *call, grpc_slice bytes) {
    grpc_op ops[2];
    size_t count = 0;
    if (!call->headers_sent) {
        ops[count++] = mos_call_headers_op(call);
    }
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&bytes, 1);
    grpc_slice_unref(bytes);
    ops[count] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
    ops[count++].data.send_message.send_message = buffer;
    bool started = mos_call_start_batch(call, ops, count, &call->sending.tag);
    grpc_byte_buffer_destroy(buffer);
    if (!started) {
        mos_call_sent(&call->sending.tag, false);
    }
}

// Stays pending while there is more: until it is not, the handler does not end the call.
void mos_call_sent(struct mos_tag *tag, bool success) {
    struct mos_operation *operation = tag->owner;
    struct mos_call *call = operation->call;
    struct mos_posts *posts = &call->posts;
    pthread_mutex_lock(&call->lock);
    posts->failed = posts->failed || !success;
    while (posts->failed && posts->count > 0) {
        grpc_slice_unref(posts->waiting[(posts->first + --posts->count) % MOS_POSTS_MOST]);
    }
    bool more = posts->count > 0;
    grpc_slice next;
    if (more) {
        next = posts->waiting[posts->first];
        posts->first = (posts->first + 1) % MOS_POSTS_MOST;
        posts->count--;
    } else {
        operation->success = success;
        operation->pending = false;
        pthread_cond_broadcast(&call->changed);
    }
    pthread_mutex_unlock(&call->lock);
    if (more) {
        send_bytes(call, next);
    }
}

bool mos_call_post(struct mos_call *call, const mos_packed *packed) {
    struct mos_posts *posts = &call->posts;
    pthread_mutex_lock(&call->lock);
    bool taken = !posts->failed && posts->count < MOS_POSTS_MOST;
    bool at_once = taken && !call->sending.pending;
    if (at_once) {
        call->sending.pending = true;
    } else if (taken) {
        posts->waiting[(posts->first + posts->count++) % MOS_POSTS_MOST] = grpc_slice_ref(packed->bytes);
    }
    call->sent_bytes += taken ? GRPC_SLICE_LENGTH(packed->bytes) : 0;
    pthread_mutex_unlock(&call->lock);
    if (at_once) {
        // Not under the lock: the call's queue would wait behind what gRPC does here, which is often all the way to the socket.
        send_bytes(call, grpc_slice_ref(packed->bytes));
    }
    return taken;
}

void mos_call_await_posts(struct mos_call *call) {
    pthread_mutex_lock(&call->lock);
    while (call->sending.pending) {
        pthread_cond_wait(&call->changed, &call->lock);
    }
    pthread_mutex_unlock(&call->lock);
}
