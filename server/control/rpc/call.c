#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/support/alloc.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/message.h"
#include "common/text.h"
#include "control/rpc/client_address.h"
#include "control/rpc/rpc_internal.h"

// ---- What the call is ----

const char *mos_call_path(const struct mos_call *call) {
    return call->path;
}

const struct mos_method_descriptor *mos_call_method(const struct mos_call *call) {
    return call->route ? call->route->method : NULL;
}

bool mos_call_is_builtin(const struct mos_call *call) {
    return call->route && call->route->builtin;
}

void *mos_call_user(const struct mos_call *call) {
    return call->route ? call->route->user : NULL;
}

const ProtobufCMessage *mos_call_request(const struct mos_call *call) {
    return call->request_message;
}

const ProtobufCMessage *mos_call_response(const struct mos_call *call) {
    return call->response_message;
}

mos_arena *mos_call_arena(struct mos_call *call) {
    return call->arena;
}

struct mos_error *mos_call_error(struct mos_call *call) {
    return &call->error;
}

int64_t mos_call_deadline_unix_ns(const struct mos_call *call) {
    return call->deadline_unix_ns;
}

const char *mos_call_request_id(const struct mos_call *call) {
    return call->request_id;
}

void mos_call_set_caller(struct mos_call *call, const char *name, const void *identity) {
    const char *kept = name ? mos_arena_strdup(call->arena, name) : NULL;
    // mos_rpc_server_end_calls looks at it from another thread.
    pthread_mutex_lock(&call->lock);
    call->caller_name = kept;
    call->caller = identity;
    pthread_mutex_unlock(&call->lock);
}

const char *mos_call_caller_name(const struct mos_call *call) {
    return call->caller_name;
}

const void *mos_call_caller(const struct mos_call *call) {
    return call->caller;
}

// ---- Its end ----

bool mos_call_cancelled(const struct mos_call *call) {
    return atomic_load_explicit(&call->cancel_status, memory_order_acquire) != MOS_OK;
}

mos_status mos_call_cancel_status(const struct mos_call *call) {
    return (mos_status)atomic_load_explicit(&call->cancel_status, memory_order_acquire);
}

mos_status mos_call_fail_cancelled(struct mos_call *call) {
    mos_status status = mos_call_cancel_status(call);
    if (status == MOS_OK) {
        // The news that the call is over may still be on its way.
        bool late = call->deadline_unix_ns && mos_now_unix_ns() + 5 * MOS_NS_PER_MS >= call->deadline_unix_ns;
        status = late ? MOS_DEADLINE_EXCEEDED : MOS_CANCELLED;
    }
    return mos_fail(&call->error, status, "%s",
                    status == MOS_UNAVAILABLE         ? "the server is stopping"
                    : status == MOS_UNAUTHENTICATED   ? "the caller may not call any more"
                    : status == MOS_DEADLINE_EXCEEDED ? "the call's deadline is over"
                                                      : "the client cancelled the call");
}

void mos_call_tell(struct mos_call *call, mos_status why) {
    pthread_mutex_lock(&call->lock);
    if (!mos_call_cancelled(call)) {
        atomic_store_explicit(&call->cancel_status, (int)why, memory_order_release);
        if (call->cancel_fd >= 0) {
            eventfd_write(call->cancel_fd, 1);
        }
        if (call->on_cancel) {
            call->on_cancel(call->on_cancel_argument);
            call->on_cancel = NULL;
        }
        pthread_cond_broadcast(&call->changed);
    }
    pthread_mutex_unlock(&call->lock);
}

int mos_call_cancel_fd(struct mos_call *call) {
    pthread_mutex_lock(&call->lock);
    if (call->cancel_fd < 0) {
        call->cancel_fd = eventfd(mos_call_cancelled(call) ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    int descriptor = call->cancel_fd;
    pthread_mutex_unlock(&call->lock);
    return descriptor;
}

void mos_call_on_cancel(struct mos_call *call, void (*function)(void *argument), void *argument) {
    pthread_mutex_lock(&call->lock);
    bool over = mos_call_cancelled(call);
    call->on_cancel = over ? NULL : function;
    call->on_cancel_argument = argument;
    pthread_mutex_unlock(&call->lock);
    if (over && function) {
        function(argument);
    }
}

bool mos_call_wait_cancelled(struct mos_call *call, int64_t timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t limit_ms = timeout_ms < 0 ? 0 : timeout_ms;
    until.tv_sec += limit_ms / 1000;
    until.tv_nsec += limit_ms % 1000 * MOS_NS_PER_MS;
    if (until.tv_nsec >= MOS_NS_PER_SECOND) {
        until.tv_sec++;
        until.tv_nsec -= MOS_NS_PER_SECOND;
    }
    pthread_mutex_lock(&call->lock);
    int waited = 0;
    while (!mos_call_cancelled(call) && waited != ETIMEDOUT) {
        waited =
            timeout_ms < 0 ? pthread_cond_wait(&call->changed, &call->lock) : pthread_cond_timedwait(&call->changed, &call->lock, &until);
    }
    pthread_mutex_unlock(&call->lock);
    return mos_call_cancelled(call);
}

// ---- Who is there ----

// gRPC says ipv4:127.0.0.1:4711 and ipv6:%5B::1%5D:4711.
const char *mos_call_peer(struct mos_call *call) {
    if (call->peer) {
        return call->peer;
    }
    char *uri = grpc_call_get_peer(call->grpc);
    const char *from = strncmp(uri, "ipv4:", 5) == 0 || strncmp(uri, "ipv6:", 5) == 0 ? uri + 5 : uri;
    char *peer = mos_arena_strdup(call->arena, from);
    char *out = peer;
    for (const char *c = peer; c && *c; c++) {
        bool bracket = strncasecmp(c, "%5b", 3) == 0 || strncasecmp(c, "%5d", 3) == 0;
        *out++ = !bracket ? *c : (c[2] == 'b' || c[2] == 'B') ? '[' : ']';
        c += bracket ? 2 : 0;
    }
    if (out) {
        *out = '\0';
    }
    gpr_free(uri);
    call->peer = peer ? peer : "";
    return call->peer;
}

const char *mos_call_client(struct mos_call *call) {
    const char *told = mos_call_metadata(call, "x-mosaajii-client-ip");
    struct mos_client_address client = mos_client_address_of(mos_call_peer(call), told, call->server->options.trusted_proxies);
    const char *copy = mos_arena_strdup(call->arena, client.text);
    return copy ? copy : "";
}

static const char **find_properties(struct mos_call *call, const grpc_auth_context *context, const char *name) {
    size_t count = 0;
    grpc_auth_property_iterator all = grpc_auth_context_find_properties_by_name(context, name);
    while (grpc_auth_property_iterator_next(&all)) {
        count++;
    }
    const char **values = mos_arena_array(call->arena, const char *, count + 1);
    grpc_auth_property_iterator again = grpc_auth_context_find_properties_by_name(context, name);
    for (size_t i = 0; values && i < count; i++) {
        const grpc_auth_property *property = grpc_auth_property_iterator_next(&again);
        // A name with a zero byte in it could pass for a shorter one.
        bool whole = property && strlen(property->value) == property->value_length;
        values[i] = mos_arena_strdup(call->arena, whole ? property->value : "");
    }
    return values;
}

static void read_certificate(struct mos_call *call) {
    if (call->tls_read) {
        return;
    }
    call->tls_read = true;
    grpc_auth_context *context = grpc_call_auth_context(call->grpc);
    if (!context) {
        return;
    }
    if (grpc_auth_context_peer_is_authenticated(context)) {
        const char **subjects = find_properties(call, context, GRPC_X509_SUBJECT_PROPERTY_NAME);
        call->subject = subjects ? subjects[0] : NULL;
        call->sans = find_properties(call, context, GRPC_X509_SAN_PROPERTY_NAME);
    }
    grpc_auth_context_release(context);
}

const char *mos_call_peer_subject(struct mos_call *call) {
    read_certificate(call);
    return call->subject;
}

const char *mos_call_peer_san(struct mos_call *call, size_t index) {
    read_certificate(call);
    for (size_t i = 0; call->sans && call->sans[i]; i++) {
        if (i == index) {
            return call->sans[i];
        }
    }
    return NULL;
}

// ---- Metadata ----

const char *mos_call_metadata_bytes(struct mos_call *call, const char *key, size_t *out_size_bytes) {
    for (size_t i = 0; i < call->request_metadata.count; i++) {
        grpc_metadata *item = &call->request_metadata.metadata[i];
        if (grpc_slice_str_cmp(item->key, key) == 0) {
            size_t size_bytes = GRPC_SLICE_LENGTH(item->value);
            char *value = mos_arena_alloc(call->arena, size_bytes + 1);
            if (!value) {
                break;
            }
            memcpy(value, GRPC_SLICE_START_PTR(item->value), size_bytes);
            *out_size_bytes = size_bytes;
            return value;
        }
    }
    *out_size_bytes = 0;
    return NULL;
}

const char *mos_call_metadata(struct mos_call *call, const char *key) {
    size_t size_bytes;
    return mos_call_metadata_bytes(call, key, &size_bytes);
}

void mos_metadata_list_free(struct mos_metadata_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        grpc_slice_unref(list->items[i].key);
        grpc_slice_unref(list->items[i].value);
    }
    free(list->items);
    *list = (struct mos_metadata_list){0};
}

mos_status mos_metadata_list_add(struct mos_call *call, struct mos_metadata_list *list, const char *key, const void *value,
                                 size_t size_bytes) {
    grpc_metadata item = {.key = grpc_slice_from_copied_string(key), .value = grpc_slice_from_copied_buffer(value, size_bytes)};
    bool legal = grpc_header_key_is_legal(item.key) && strncmp(key, "grpc-", 5) != 0 &&
                 (grpc_is_binary_header(item.key) || grpc_header_nonbin_value_is_legal(item.value));
    // Ours alone; all others of the kind are gRPC's.
    legal = legal || strcmp(key, "grpc-status-details-bin") == 0;
    if (!legal) {
        grpc_slice_unref(item.key);
        grpc_slice_unref(item.value);
        return mos_fail(&call->error, MOS_INVALID_ARGUMENT, "%s cannot be sent as metadata", key);
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 4;
        list->items = mos_realloc(list->items, list->capacity * sizeof(*list->items));
    }
    list->items[list->count++] = item;
    return MOS_OK;
}

mos_status mos_call_set_header(struct mos_call *call, const char *key, const char *value) {
    if (call->headers_sent) {
        return mos_fail(&call->error, MOS_FAILED_PRECONDITION, "the header %s comes after the first message", key);
    }
    return mos_metadata_list_add(call, &call->headers, key, value, strlen(value));
}

mos_status mos_call_set_trailer(struct mos_call *call, const char *key, const char *value) {
    return mos_metadata_list_add(call, &call->trailers, key, value, strlen(value));
}

void mos_call_choose_request_id(struct mos_call *call) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size_bytes;
    const char *given = mos_call_metadata_bytes(call, "x-request-id", &size_bytes);
    if (given && size_bytes > 0 && size_bytes < sizeof(call->request_id) && strspn(given, allowed) == size_bytes) {
        memcpy(call->request_id, given, size_bytes + 1);
    } else {
        mos_id_new(call->request_id);
    }
}

// ---- Messages ----

mos_status mos_call_unpack(struct mos_call *call, grpc_byte_buffer *buffer, const ProtobufCMessageDescriptor *descriptor, mos_arena *arena,
                           ProtobufCMessage **out) {
    grpc_byte_buffer_reader reader;
    if (!buffer || !grpc_byte_buffer_reader_init(&reader, buffer)) {
        grpc_byte_buffer_destroy(buffer);
        return mos_fail(&call->error, MOS_INVALID_ARGUMENT, "the call has no %s message that can be read", descriptor->name);
    }
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    call->received_bytes += GRPC_SLICE_LENGTH(bytes);
    mos_status status = mos_message_unpack(descriptor, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes), arena, out, &call->error);
    grpc_slice_unref(bytes);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(buffer);
    return status;
}

mos_status mos_pack(const ProtobufCMessage *message, grpc_slice *out, struct mos_error *error) {
    const char *field;
    if (!mos_message_utf8_valid(message, &field)) {
        return mos_fail(error, MOS_INTERNAL, "the field %s of the answer is not valid text", field);
    }
    *out = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(*out));
    return MOS_OK;
}

grpc_byte_buffer *mos_call_pack(struct mos_call *call, const ProtobufCMessage *message) {
    grpc_slice slice;
    if (mos_pack(message, &slice, &call->error) != MOS_OK) {
        return NULL;
    }
    call->sent_bytes += GRPC_SLICE_LENGTH(slice);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}
