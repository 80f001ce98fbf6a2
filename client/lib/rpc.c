#include "lib/rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include "common/buffer.h"
#include "common/message.h"
#include "lib/rpc_details.h"

enum { LARGEST_PEM_BYTES = 1 << 20, ARENA_LIMIT_BYTES = 256 << 20, RECEIVE_LIMIT_BYTES = 16 << 20 };

struct mos_rpc_channel {
    grpc_channel *grpc;
    char *address;
};

struct mos_rpc_canceller {
    pthread_mutex_t lock;
    bool cancelled;
    struct mos_rpc_stream *streams;
};

// A call of any kind. Unary ones are streams of one message each way. Its completion queue is plucked by whoever waits.
struct mos_rpc_stream {
    const char *path;
    const ProtobufCMessageDescriptor *response;
    grpc_call *grpc;
    grpc_completion_queue *cq;

    mos_rpc_canceller *canceller;
    struct mos_rpc_stream *previous, *next; // of the canceller's list

    grpc_metadata_array headers;
    grpc_metadata_array trailers;
    bool headers_received;
    grpc_byte_buffer *received;
    mos_arena *message_arena;
    mos_arena *arena; // what mos_rpc_stream_metadata gave out

    bool sending_closed;
    bool status_known;
    grpc_status_code code;
    grpc_slice message;
    mos_status status;
    struct mos_error error;
};

// ---- Channel ----

static mos_status read_pem(const char *path, char **out, struct mos_error *error) {
    *out = NULL;
    if (!path || !path[0]) {
        return MOS_OK;
    }
    MOS_CLEANUP_FD int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (descriptor < 0 || fstat(descriptor, &facts) != 0) {
        return mos_fail_errno(error, errno, "reading %s", path);
    }
    if (!S_ISREG(facts.st_mode) || facts.st_size > LARGEST_PEM_BYTES) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "%s is not a PEM file", path);
    }
    char *text = mos_calloc(1, (size_t)facts.st_size + 1);
    if (read(descriptor, text, (size_t)facts.st_size) != facts.st_size) {
        free(text);
        return mos_fail(error, MOS_IO, "reading %s: it cannot be read whole", path);
    }
    *out = text;
    return MOS_OK;
}

static mos_status make_credentials(const struct mos_rpc_channel_options *options, grpc_channel_credentials **out, struct mos_error *error) {
    bool cert = options->tls_cert_file && options->tls_cert_file[0];
    bool key = options->tls_key_file && options->tls_key_file[0];
    if (cert != key) {
        return mos_fail_field(error, cert ? "tls_key_file" : "tls_cert_file",
                              "a client certificate needs its key, and a key its certificate");
    }
    if (!cert && (!options->tls_ca_file || !options->tls_ca_file[0])) {
        *out = grpc_insecure_credentials_create();
        return MOS_OK;
    }
    MOS_CLEANUP_FREE char *ca_text = NULL;
    MOS_CLEANUP_FREE char *cert_text = NULL;
    MOS_CLEANUP_FREE char *key_text = NULL;
    mos_status status = read_pem(options->tls_ca_file, &ca_text, error);
    status = status == MOS_OK ? read_pem(options->tls_cert_file, &cert_text, error) : status;
    status = status == MOS_OK ? read_pem(options->tls_key_file, &key_text, error) : status;
    if (status == MOS_OK) {
        grpc_ssl_pem_key_cert_pair pair = {.private_key = key_text, .cert_chain = cert_text};
        *out = grpc_ssl_credentials_create(ca_text, cert ? &pair : NULL, NULL, NULL);
        if (!*out) {
            status = mos_fail(error, MOS_INVALID_ARGUMENT, "the certificates for TLS are none");
        }
    }
    if (key_text) {
        explicit_bzero(key_text, strlen(key_text));
    }
    return status;
}

static grpc_arg integer(const char *key, int value) {
    grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)key};
    arg.value.integer = value;
    return arg;
}

mos_status mos_rpc_channel_create(mos_rpc_channel **out, const struct mos_rpc_channel_options *options, struct mos_error *error) {
    if (!options->address || !options->address[0]) {
        return mos_fail_field(error, "address", "address must be host:port");
    }
    grpc_init();
    grpc_channel_credentials *credentials = NULL;
    mos_status status = make_credentials(options, &credentials, error);
    if (status != MOS_OK) {
        grpc_shutdown();
        return status;
    }
    size_t limit = options->receive_limit_bytes ? options->receive_limit_bytes : RECEIVE_LIMIT_BYTES;
    grpc_arg args[4] = {
        integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, limit > INT32_MAX ? -1 : (int)limit),
        // A server that comes back is found again within a second.
        integer(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000),
        integer(GRPC_ARG_KEEPALIVE_TIME_MS, 60000),
    };
    size_t count = 3;
    if (options->tls_server_name && options->tls_server_name[0]) {
        args[count] = (grpc_arg){.type = GRPC_ARG_STRING, .key = (char *)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG};
        args[count++].value.string = (char *)options->tls_server_name;
    }
    mos_rpc_channel *channel = mos_calloc(1, sizeof(*channel));
    channel->address = mos_strdup(options->address);
    channel->grpc = grpc_channel_create(options->address, credentials, &(grpc_channel_args){.num_args = count, .args = args});
    grpc_channel_credentials_release(credentials);
    *out = channel;
    return MOS_OK;
}

void mos_rpc_channel_destroy(mos_rpc_channel *channel) {
    if (!channel) {
        return;
    }
    grpc_channel_destroy(channel->grpc);
    free(channel->address);
    free(channel);
    grpc_shutdown();
}

// ---- Cancelling from another thread ----

mos_rpc_canceller *mos_rpc_canceller_create(void) {
    mos_rpc_canceller *canceller = mos_calloc(1, sizeof(*canceller));
    pthread_mutex_init(&canceller->lock, NULL);
    return canceller;
}

void mos_rpc_canceller_cancel(mos_rpc_canceller *canceller) {
    pthread_mutex_lock(&canceller->lock);
    canceller->cancelled = true;
    for (struct mos_rpc_stream *stream = canceller->streams; stream; stream = stream->next) {
        grpc_call_cancel(stream->grpc, NULL);
    }
    pthread_mutex_unlock(&canceller->lock);
}

void mos_rpc_canceller_destroy(mos_rpc_canceller *canceller) {
    if (canceller) {
        pthread_mutex_destroy(&canceller->lock);
        free(canceller);
    }
}

static void join_canceller(mos_rpc_stream *stream) {
    mos_rpc_canceller *canceller = stream->canceller;
    if (!canceller) {
        return;
    }
    pthread_mutex_lock(&canceller->lock);
    stream->next = canceller->streams;
    if (stream->next) {
        stream->next->previous = stream;
    }
    canceller->streams = stream;
    if (canceller->cancelled) {
        grpc_call_cancel(stream->grpc, NULL);
    }
    pthread_mutex_unlock(&canceller->lock);
}

static void leave_canceller(mos_rpc_stream *stream) {
    mos_rpc_canceller *canceller = stream->canceller;
    if (!canceller) {
        return;
    }
    pthread_mutex_lock(&canceller->lock);
    *(stream->previous ? &stream->previous->next : &canceller->streams) = stream->next;
    if (stream->next) {
        stream->next->previous = stream->previous;
    }
    pthread_mutex_unlock(&canceller->lock);
}

// ---- Batches ----

// Tags: only the addresses count.
static char sending_tag, receiving_tag, status_tag;

static bool start(mos_rpc_stream *stream, const grpc_op *ops, size_t count, void *tag) {
    return grpc_call_start_batch(stream->grpc, ops, count, tag, NULL) == GRPC_CALL_OK;
}

static bool wait_for(mos_rpc_stream *stream, void *tag) {
    return grpc_completion_queue_pluck(stream->cq, tag, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).success != 0;
}

static grpc_byte_buffer *pack(const ProtobufCMessage *message) {
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    grpc_slice slice = grpc_slice_malloc(size_bytes);
    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

static mos_status unpack(mos_rpc_stream *stream, grpc_byte_buffer *buffer, mos_arena *arena, ProtobufCMessage **out,
                         struct mos_error *error) {
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer)) {
        grpc_byte_buffer_destroy(buffer);
        return mos_fail(error, MOS_INTERNAL, "the server's answer to %s cannot be decompressed", stream->path);
    }
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    struct mos_error problem = {0};
    mos_status status = mos_message_unpack(stream->response, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes), arena, out, &problem);
    grpc_slice_unref(bytes);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(buffer);
    // Not the caller's argument is wrong but the server.
    return status == MOS_OK ? MOS_OK : mos_fail(error, MOS_INTERNAL, "the server's answer to %s: %s", stream->path, problem.message);
}

// Blocks for the end of the call and keeps what it was.
static mos_status end_status(mos_rpc_stream *stream, struct mos_error *error) {
    if (!stream->status_known) {
        wait_for(stream, &status_tag);
        stream->status_known = true;
        stream->status = mos_status_from_grpc_code((int)stream->code);
        if (stream->status != MOS_OK) {
            mos_fail(&stream->error, stream->status, "%.*s", (int)GRPC_SLICE_LENGTH(stream->message),
                     (const char *)GRPC_SLICE_START_PTR(stream->message));
            if (!stream->error.message[0]) {
                mos_fail(&stream->error, stream->status, "%s", mos_status_phrase(stream->status));
            }
            bool told = false;
            for (size_t i = 0; i < stream->trailers.count; i++) {
                const grpc_metadata *item = &stream->trailers.metadata[i];
                if (grpc_slice_str_cmp(item->key, "grpc-status-details-bin") == 0) {
                    told = true;
                    mos_rpc_details_decode(GRPC_SLICE_START_PTR(item->value), GRPC_SLICE_LENGTH(item->value), &stream->error);
                    stream->status = stream->error.status;
                }
            }
            if (stream->status == MOS_UNAVAILABLE && !told) {
                memcpy(stream->error.field, MOS_RPC_NO_SERVER, sizeof(MOS_RPC_NO_SERVER));
            }
        }
    }
    if (stream->status != MOS_OK && error) {
        *error = stream->error;
    }
    return stream->status;
}

// ---- Opening ----

static size_t count_metadata(const struct mos_rpc_call_options *options) {
    return options->metadata_count + (options->token && options->token[0]) + (options->request_id != NULL);
}

static mos_status add_pair(grpc_metadata *items, size_t *count, const char *key, const void *value, size_t size_bytes,
                           struct mos_error *error) {
    grpc_metadata *item = &items[(*count)++];
    item->key = grpc_slice_from_copied_string(key);
    item->value = grpc_slice_from_copied_buffer(value, size_bytes);
    if (!grpc_header_key_is_legal(item->key) || !(grpc_is_binary_header(item->key) || grpc_header_nonbin_value_is_legal(item->value))) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "the value for %s holds characters that cannot be sent", key);
    }
    return MOS_OK;
}

static mos_status collect_metadata(const struct mos_rpc_call_options *options, grpc_metadata *items, size_t *count,
                                   struct mos_error *error) {
    mos_status status = MOS_OK;
    if (options->token && options->token[0]) {
        MOS_CLEANUP_BUFFER struct mos_buffer bearer = MOS_BUFFER_INIT(0);
        mos_buffer_printf(&bearer, "Bearer %s", options->token);
        status = add_pair(items, count, "authorization", bearer.data, bearer.size_bytes, error);
    }
    if (status == MOS_OK && options->request_id) {
        status = add_pair(items, count, "x-request-id", options->request_id, strlen(options->request_id), error);
    }
    for (size_t i = 0; i < options->metadata_count && status == MOS_OK; i++) {
        const struct mos_rpc_pair *pair = &options->metadata[i];
        status = add_pair(items, count, pair->key, pair->value, pair->size_bytes ? pair->size_bytes : strlen(pair->value), error);
    }
    return status;
}

// The first batches: what is sent at once, and the standing requests for headers and status.
static bool start_call(mos_rpc_stream *stream, grpc_metadata *items, size_t count, const ProtobufCMessage *request) {
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    op.data.recv_status_on_client.trailing_metadata = &stream->trailers;
    op.data.recv_status_on_client.status = &stream->code;
    op.data.recv_status_on_client.status_details = &stream->message;
    op.data.recv_status_on_client.error_string = NULL;
    if (!start(stream, &op, 1, &status_tag)) {
        return false;
    }
    grpc_op ops[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
    ops[0].data.send_initial_metadata.count = count;
    ops[0].data.send_initial_metadata.metadata = items;
    size_t used = 1;
    grpc_byte_buffer *buffer = request ? pack(request) : NULL;
    if (buffer) {
        ops[used] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
        ops[used++].data.send_message.send_message = buffer;
        ops[used++] = (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
        stream->sending_closed = true;
    }
    bool started = start(stream, ops, used, &sending_tag);
    grpc_byte_buffer_destroy(buffer);
    if (started) {
        // What could not be sent shows in the status.
        wait_for(stream, &sending_tag);
    } else {
        grpc_call_cancel(stream->grpc, NULL);
    }
    return true;
}

static void free_stream(mos_rpc_stream *stream) {
    leave_canceller(stream);
    grpc_call_unref(stream->grpc);
    grpc_completion_queue_shutdown(stream->cq);
    while (grpc_completion_queue_pluck(stream->cq, NULL, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type != GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(stream->cq);
    grpc_metadata_array_destroy(&stream->headers);
    grpc_metadata_array_destroy(&stream->trailers);
    grpc_slice_unref(stream->message);
    mos_arena_destroy(stream->message_arena);
    mos_arena_destroy(stream->arena);
    free(stream);
}

mos_status mos_rpc_stream_open(mos_rpc_channel *channel, const char *path, const struct mos_rpc_call_options *options,
                               const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response, mos_rpc_stream **out,
                               struct mos_error *error) {
    static const struct mos_rpc_call_options none;
    options = options ? options : &none;
    grpc_metadata *items = mos_calloc(count_metadata(options) + 1, sizeof(*items));
    size_t count = 0;
    mos_status status = collect_metadata(options, items, &count, error);
    if (status == MOS_OK) {
        mos_rpc_stream *stream = mos_calloc(1, sizeof(*stream));
        stream->path = path;
        stream->response = response;
        stream->canceller = options->canceller;
        stream->message = grpc_empty_slice();
        grpc_metadata_array_init(&stream->headers);
        grpc_metadata_array_init(&stream->trailers);
        stream->cq = grpc_completion_queue_create_for_pluck(NULL);
        gpr_timespec deadline = options->timeout_ms > 0
                                    ? gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(options->timeout_ms, GPR_TIMESPAN))
                                    : gpr_inf_future(GPR_CLOCK_MONOTONIC);
        grpc_slice method = grpc_slice_from_static_string(path);
        stream->grpc = grpc_channel_create_call(channel->grpc, NULL, 0, stream->cq, method, NULL, deadline, NULL);
        join_canceller(stream);
        if (start_call(stream, items, count, request)) {
            *out = stream;
        } else {
            free_stream(stream);
            status = mos_fail(error, MOS_INTERNAL, "the call of %s cannot be started", path);
        }
    }
    for (size_t i = 0; i < count; i++) {
        grpc_slice_unref(items[i].key);
        grpc_slice_unref(items[i].value);
    }
    free(items);
    return status;
}

// ---- Streams ----

mos_status mos_rpc_stream_send(mos_rpc_stream *stream, const ProtobufCMessage *message, struct mos_error *error) {
    if (stream->sending_closed) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s: the sending side is closed", stream->path);
    }
    grpc_byte_buffer *buffer = pack(message);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
    op.data.send_message.send_message = buffer;
    bool sent = start(stream, &op, 1, &sending_tag) && wait_for(stream, &sending_tag);
    grpc_byte_buffer_destroy(buffer);
    // The reason comes with the call's status, which belongs to the receiving side.
    return sent ? MOS_OK : mos_fail(error, MOS_CANCELLED, "%s: the call is over", stream->path);
}

mos_status mos_rpc_stream_close_send(mos_rpc_stream *stream, struct mos_error *error) {
    if (stream->sending_closed) {
        return MOS_OK;
    }
    stream->sending_closed = true;
    grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    bool closed = start(stream, &op, 1, &sending_tag) && wait_for(stream, &sending_tag);
    return closed ? MOS_OK : mos_fail(error, MOS_CANCELLED, "%s: the call is over", stream->path);
}

// *out_buffer NULL: there is no more.
static void receive_bytes(mos_rpc_stream *stream, grpc_byte_buffer **out_buffer) {
    stream->received = NULL;
    grpc_op ops[2];
    size_t count = 0;
    if (!stream->headers_received) {
        stream->headers_received = true;
        ops[count] = (grpc_op){.op = GRPC_OP_RECV_INITIAL_METADATA};
        ops[count++].data.recv_initial_metadata.recv_initial_metadata = &stream->headers;
    }
    ops[count] = (grpc_op){.op = GRPC_OP_RECV_MESSAGE};
    ops[count++].data.recv_message.recv_message = &stream->received;
    bool received = start(stream, ops, count, &receiving_tag) && wait_for(stream, &receiving_tag);
    if (!received && stream->received) {
        grpc_byte_buffer_destroy(stream->received);
        stream->received = NULL;
    }
    *out_buffer = stream->received;
}

mos_status mos_rpc_stream_receive(mos_rpc_stream *stream, const ProtobufCMessage **out, struct mos_error *error) {
    *out = NULL;
    mos_arena_destroy(stream->message_arena);
    stream->message_arena = NULL;
    grpc_byte_buffer *buffer = NULL;
    if (!stream->status_known) {
        receive_bytes(stream, &buffer);
    }
    if (!buffer) {
        return end_status(stream, error);
    }
    stream->message_arena = mos_arena_create(ARENA_LIMIT_BYTES);
    ProtobufCMessage *message = NULL;
    mos_status status = unpack(stream, buffer, stream->message_arena, &message, error);
    *out = message;
    return status;
}

void mos_rpc_stream_cancel(mos_rpc_stream *stream) {
    grpc_call_cancel(stream->grpc, NULL);
}

const char *mos_rpc_stream_metadata(mos_rpc_stream *stream, const char *key) {
    const grpc_metadata_array *arrays[] = {&stream->headers, stream->status_known ? &stream->trailers : &stream->headers};
    for (size_t a = 0; a < 2; a++) {
        for (size_t i = 0; i < arrays[a]->count; i++) {
            const grpc_metadata *item = &arrays[a]->metadata[i];
            if (grpc_slice_str_cmp(item->key, key) == 0) {
                stream->arena = stream->arena ? stream->arena : mos_arena_create(0);
                return mos_arena_printf(stream->arena, "%.*s", (int)GRPC_SLICE_LENGTH(item->value),
                                        (const char *)GRPC_SLICE_START_PTR(item->value));
            }
        }
    }
    return NULL;
}

mos_status mos_rpc_stream_finish(mos_rpc_stream *stream, struct mos_error *error) {
    if (!stream) {
        return MOS_OK;
    }
    if (!stream->status_known) {
        grpc_call_cancel(stream->grpc, NULL);
    }
    mos_status status = end_status(stream, error);
    free_stream(stream);
    return status;
}

// ---- Unary ----

static void give_received(mos_rpc_stream *stream, mos_arena *arena, struct mos_rpc_received *received) {
    const grpc_metadata_array *arrays[] = {&stream->headers, &stream->trailers};
    *received =
        (struct mos_rpc_received){.pairs = mos_arena_array(arena, struct mos_rpc_pair, stream->headers.count + stream->trailers.count)};
    for (size_t a = 0; a < 2 && received->pairs; a++) {
        for (size_t i = 0; i < arrays[a]->count; i++) {
            const grpc_metadata *item = &arrays[a]->metadata[i];
            struct mos_rpc_pair *pair = &received->pairs[received->count++];
            pair->key = mos_arena_printf(arena, "%.*s", (int)GRPC_SLICE_LENGTH(item->key), (const char *)GRPC_SLICE_START_PTR(item->key));
            pair->size_bytes = GRPC_SLICE_LENGTH(item->value);
            // One more for the zero that ends it.
            char *value = mos_arena_alloc(arena, pair->size_bytes + 1);
            pair->value = value ? memcpy(value, GRPC_SLICE_START_PTR(item->value), pair->size_bytes) : "";
        }
    }
}

mos_status mos_rpc_unary(mos_rpc_channel *channel, const char *path, const struct mos_rpc_call_options *options,
                         const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response, mos_arena *arena,
                         ProtobufCMessage **out, struct mos_error *error) {
    *out = NULL;
    mos_rpc_stream *stream;
    mos_status status = mos_rpc_stream_open(channel, path, options, request, response, &stream, error);
    if (status != MOS_OK) {
        return status;
    }
    grpc_byte_buffer *buffer;
    receive_bytes(stream, &buffer);
    status = end_status(stream, error);
    if (options && options->received) {
        give_received(stream, arena, options->received);
    }
    if (status == MOS_OK && !buffer) {
        status = mos_fail(error, MOS_INTERNAL, "the server's answer to %s is empty", path);
    } else if (status == MOS_OK) {
        status = unpack(stream, buffer, arena, out, error);
    } else {
        grpc_byte_buffer_destroy(buffer);
    }
    free_stream(stream);
    return status;
}
