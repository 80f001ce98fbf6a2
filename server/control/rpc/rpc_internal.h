// What the files of the rpc layer share. One call is touched by the thread of its completion queue and by its handler's thread; the fields
// say how.
#ifndef MOS_CONTROL_RPC_RPC_INTERNAL_H
#define MOS_CONTROL_RPC_RPC_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include "control/rpc/pool.h"
#include "control/rpc/rpc.h"

// What a completion queue gives back. `posted` carries our own happens-before from the thread that starts a batch to the one that sees it
// done: gRPC has one too, but thread sanitizers cannot look into it.
struct mos_tag {
    void (*done)(struct mos_tag *tag, bool success);
    void *owner;
    atomic_uint posted;
};

// One method of one added service.
struct mos_route {
    const char *path;
    const struct mos_method_descriptor *method;
    const void *table;
    void *user;
    bool implemented;
    bool builtin;
};

struct mos_interceptor_entry {
    const struct mos_rpc_interceptor *table;
    void *user;
};

struct mos_queue {
    mos_rpc_server *server;
    grpc_completion_queue *cq;
    pthread_t thread;
    bool running;
};

// A standing request to gRPC for the next call.
struct mos_acceptor {
    struct mos_tag tag;
    struct mos_queue *queue;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
};

struct mos_health;
struct mos_reflection;

struct mos_rpc_server {
    struct mos_rpc_options options;
    grpc_server *grpc;
    struct mos_queue *queues;
    size_t queue_count;
    struct mos_acceptor *acceptors;
    size_t acceptor_count;
    mos_pool *pool;
    // Of calls that stream: so many watchers that there may be, they take no thread from unary calls, and when news comes to all of them at
    // once, a call that asks for one thing is served before them.
    mos_pool *stream_pool;
    int port;

    const struct mos_service_descriptor **services;
    size_t service_count;
    struct mos_route *routes; // sorted by path once started
    size_t route_count;
    struct mos_interceptor_entry *interceptors;
    size_t interceptor_count;
    struct mos_health *health;
    struct mos_reflection *reflection;

    struct mos_tag shutdown_tag;
    pthread_mutex_t lock; // of all below
    pthread_cond_t changed;
    struct mos_call *live;
    size_t live_count;
    bool started, stopping, stopped, shut_down;
};

// What a thread waits for when it sends or receives.
struct mos_operation {
    struct mos_tag tag;
    struct mos_call *call;
    bool pending; // under the call's lock
    bool success;
};

// Packed messages that wait until the one before is sent. They hold no reference to the call: its handler does, and does not end it while
// one is on its way (mos_call_await_posts).
enum { MOS_POSTS_MOST = 8 };
struct mos_posts {
    grpc_slice waiting[MOS_POSTS_MOST];
    size_t first;
    size_t count;
    // A message could not be sent: the call is over, or about to be.
    bool failed;
};

struct mos_metadata_list {
    grpc_metadata *items;
    size_t count;
    size_t capacity;
};

struct mos_call {
    // Close, handler and status each hold one; the last frees.
    atomic_int references;
    mos_rpc_server *server;
    struct mos_queue *queue;
    grpc_call *grpc;
    struct mos_call *previous, *next; // the server's list, under its lock

    const char *path;
    const struct mos_route *route; // NULL: unknown
    grpc_metadata_array request_metadata;
    int64_t deadline_unix_ns;
    int64_t started_ns;
    char request_id[65];

    mos_arena *arena;
    struct mos_error error;
    const ProtobufCMessage *request_message;
    const ProtobufCMessage *response_message;
    const char *peer;
    const char *caller_name;
    const void *caller;
    bool tls_read;
    const char *subject;
    const char **sans;

    struct mos_pool_work work;
    struct mos_tag closed;
    struct mos_tag status_sent;
    int cancelled_by_grpc;
    grpc_byte_buffer *request; // the single message of a unary or server streaming call
    bool request_failed;
    // Whoever makes `sending` pending, under the lock, owns the headers and starts the batch; the next one starts when it is not pending.
    struct mos_operation sending;
    struct mos_posts posts; // under the lock
    struct mos_operation receiving;
    grpc_byte_buffer *received;
    mos_arena *message_arena;
    struct mos_metadata_list headers;
    struct mos_metadata_list trailers;
    bool headers_sent;
    uint64_t received_bytes, sent_bytes;

    atomic_int cancel_status; // mos_status; written once, under the lock
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int cancel_fd;
    void (*on_cancel)(void *argument);
    void *on_cancel_argument;
};

void mos_tag_post(struct mos_tag *tag);

// stream.c
// false: gRPC has not taken the batch, and the tag will not come.
bool mos_call_start_batch(struct mos_call *call, const grpc_op *ops, size_t count, struct mos_tag *tag);
// For the first batch that sends something.
grpc_op mos_call_headers_op(struct mos_call *call);
void mos_call_operation_done(struct mos_tag *tag, bool success);
void mos_call_sent(struct mos_tag *tag, bool success);
// Blocks until nothing that was posted is on its way any more.
void mos_call_await_posts(struct mos_call *call);

// dispatch.c: takes over a call that has come; on its queue's thread.
void mos_call_accept(struct mos_queue *queue, struct mos_acceptor *acceptor);
// Tells the call that it is over, once; later ones change nothing.
void mos_call_tell(struct mos_call *call, mos_status why);
bool mos_call_is_stream(const struct mos_call *call);

// call.c
void mos_metadata_list_free(struct mos_metadata_list *list);
mos_status mos_metadata_list_add(struct mos_call *call, struct mos_metadata_list *list, const char *key, const void *value,
                                 size_t size_bytes);
void mos_call_choose_request_id(struct mos_call *call);
// Unpacks and frees the buffer, which may be NULL.
mos_status mos_call_unpack(struct mos_call *call, grpc_byte_buffer *buffer, const ProtobufCMessageDescriptor *descriptor, mos_arena *arena,
                           ProtobufCMessage **out);
// A message as bytes, the caller's to unref. MOS_INTERNAL for one that cannot be sent.
mos_status mos_pack(const ProtobufCMessage *message, grpc_slice *out, struct mos_error *error);
// NULL, and the call's error says why, for a message that cannot be sent.
grpc_byte_buffer *mos_call_pack(struct mos_call *call, const ProtobufCMessage *message);

// health.c and reflection.c
void mos_health_stop(struct mos_health *health);
void mos_health_free(struct mos_health *health);
void mos_reflection_free(struct mos_reflection *reflection);

#endif
