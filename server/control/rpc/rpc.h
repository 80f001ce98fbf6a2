// gRPC server on the C core: a server, its services, and the context of a call. Knows no business rule.
//
// How to write a service. The plugin writes, for every service of a proto, a header <file>.grpc-server.h with a table of functions, one a
// method. Fill the table and add it:
//
//     static mos_status get_thing(struct mos_call *call, const Pkg__GetThingRequest *request, Pkg__Thing *response) {
//         struct state *state = mos_call_user(call);
//         if (!request->id[0]) {
//             return mos_fail_field(mos_call_error(call), "id", "id must not be empty");
//         }
//         response->name = mos_arena_strdup(mos_call_arena(call), "…");
//         return MOS_OK;
//     }
//     static const struct pkg_things things = {.get_thing = get_thing};   // what is left out answers UNIMPLEMENTED
//     pkg_things_add(server, &things, &state, &error);
//
// - A handler runs on a thread of its own from a pool and may block as long as it likes; other calls go on. Its stack is 512 KiB.
// - The request is unpacked and checked (form, depth, UTF-8 in all text) before the handler sees it. Request, response and all that the
//   response points to live in the call's arena, which goes when the call has ended.
// - On failure a handler fills mos_call_error(call) and returns its status. A field named in it reaches the client as
//   google.rpc.BadRequest; a status that gRPC has no code for as google.rpc.ErrorInfo beside the nearest code.
// - Server streaming: no response argument; call <service>_<method>_send for each message. It blocks while the client is slow, and fails
//   when the call is over (then return what it returned). Build each message in an arena of your own: the call's arena only grows.
// - Client streaming: call <service>_<method>_receive until it gives NULL. Bidirectional: both.
// - A handler that waits for something must also wait for the end of the call: mos_call_on_cancel (wake your condition variable) or
//   mos_call_cancel_fd (put it in your poll). Streams are told so too when the server begins to stop.
// - A call's functions are for the handler's thread, but for those that say "any thread".
#ifndef MOS_CONTROL_RPC_RPC_H
#define MOS_CONTROL_RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/arena.h"
#include "common/status.h"

typedef struct mos_rpc_server mos_rpc_server;
struct mos_call;

// Threads that serve streams are so much nicer than those that answer a single question: when news comes to all who watch, whoever asks for
// one thing is served before them.
enum { MOS_STREAM_NICE = 5 };

// ---- What the plugin writes ----

enum mos_method_kind { MOS_METHOD_UNARY, MOS_METHOD_SERVER_STREAM, MOS_METHOD_CLIENT_STREAM, MOS_METHOD_BIDI_STREAM };

struct mos_method_descriptor {
    const char *name;
    enum mos_method_kind kind;
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
    // Where the function stands in the service's table.
    size_t table_offset;
    // Calls it. `request` is NULL where the client streams, `response` where the server does.
    mos_status (*invoke)(const void *table, struct mos_call *call, const ProtobufCMessage *request, ProtobufCMessage *response);
};

struct mos_service_descriptor {
    // With its package.
    const char *name;
    const struct mos_method_descriptor *methods;
    size_t method_count;
};

// ---- Server ----

struct mos_rpc_options {
    // host:port, [v6]:port or unix:/path. Port 0 takes a free one.
    const char *listen;
    // PEM files; NULL or "": no TLS. With a client CA, every client must show a certificate of it.
    const char *tls_cert_file;
    const char *tls_key_file;
    const char *tls_client_ca_file;
    // Gateways that are believed whose call they pass on, beside those on this machine: addresses and networks, comma separated; NULL or
    // "": none.
    const char *trusted_proxies;
    // The rest: 0 takes the default that stands behind it.
    size_t receive_limit_bytes; // of one message; 4 MiB
    size_t arena_limit_bytes;   // of one call; 64 MiB
    int max_concurrent_streams; // of one connection; 4096
    int max_calls;              // at a time, all connections; more are refused with RESOURCE_EXHAUSTED; 8192
    int max_threads;          // of unary calls' handlers, and as many of streams'; calls past it are refused with RESOURCE_EXHAUSTED; 4096
    int keepalive_ms;         // between pings of a silent connection; 60,000
    int keepalive_timeout_ms; // 20,000
    int min_ping_interval_ms; // a client that pings more often is sent away; 10,000
    int queues;               // completion queues, each with a thread; the number of processors, at least 2
};

// Copies the options. MOS_INVALID_ARGUMENT where they do not fit, MOS_NOT_FOUND and the like for files that cannot be read. On MOS_OK *out
// is the caller's, to be destroyed. Initialises gRPC: child processes started later must not inherit its descriptors.
mos_status mos_rpc_server_create(mos_rpc_server **out, const struct mos_rpc_options *options, struct mos_error *error);
// Before start. The table and user pointer must outlive the server. MOS_ALREADY_EXISTS for a second service of the name. Called by the
// generated <service>_add.
mos_status mos_rpc_server_add(mos_rpc_server *server, const struct mos_service_descriptor *service, const void *table, void *user,
                              struct mos_error *error);
// Binds and serves. MOS_UNAVAILABLE when the address cannot be bound or the certificate and key do not work.
mos_status mos_rpc_server_start(mos_rpc_server *server, struct mos_error *error);
// The bound port; 0 for a unix socket. After start.
int mos_rpc_server_port(const mos_rpc_server *server);
// Drains and stops, once: health answers NOT_SERVING, new calls are refused, streams are told at once (mos_call_cancelled), other calls
// may end within the grace time, then all are cancelled. Blocks until the last handler has returned. Not from a handler.
void mos_rpc_server_stop(mos_rpc_server *server, int grace_ms);
// Stops without grace where that has not been done, and frees. NULL is fine.
void mos_rpc_server_destroy(mos_rpc_server *server);
// Calls that have begun and not ended. Any thread.
size_t mos_rpc_server_live_calls(mos_rpc_server *server);
// Ends the calls of those who may not call any more, MOS_UNAUTHENTICATED: `caller` is what was given to mos_call_set_caller. Their handlers
// learn of it as of a client that cancels. Any thread; `whose` is called with locks held.
void mos_rpc_server_end_calls(mos_rpc_server *server, bool (*whose)(const void *caller, const void *argument), const void *argument);

// ---- Interceptors ----

struct mos_rpc_summary {
    int64_t duration_ns;
    // Of messages, as packed.
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

// Runs around every call of every service on the handler's thread, in the order added, at the end backwards. Each may be NULL.
struct mos_rpc_interceptor {
    // Anything but MOS_OK (with the reason in mos_call_error) ends the call with it; the handler and later interceptors do not run. Runs
    // for unknown methods too, which end with UNIMPLEMENTED.
    mos_status (*begin)(struct mos_call *call, void *user);
    // When the single message of a unary or server streaming call has been read and checked, right before the handler: as begin, in the
    // order added. May be NULL.
    mos_status (*request)(struct mos_call *call, const ProtobufCMessage *request, void *user);
    // For those whose begin has run, also when it refused. Runs before the client learns of the end.
    void (*end)(struct mos_call *call, mos_status status, const struct mos_rpc_summary *summary, void *user);
};
// Before start. Table and user must outlive the server.
void mos_rpc_server_intercept(mos_rpc_server *server, const struct mos_rpc_interceptor *interceptor, void *user);
// One log line a call: method, code, ms, peer, client (where it is not the peer), caller, request id, and the message of an error. User is
// NULL.
extern const struct mos_rpc_interceptor mos_rpc_log_calls;

// ---- Health and reflection ----

// grpc.health.v1.Health over the services added so far and "". All serve from the start. Before start.
mos_status mos_rpc_server_add_health(mos_rpc_server *server, struct mos_error *error);
// NULL: the server as a whole, "". Any thread, after mos_rpc_server_add_health.
void mos_rpc_server_set_serving(mos_rpc_server *server, const char *service, bool serving);
// grpc.reflection.v1 and v1alpha over a packed FileDescriptorSet, which must outlive the server. Before start. For the public API:
// mos_rpc_server_add_reflection(server, mos_descriptor_set, mos_descriptor_set_bytes, &error).
mos_status mos_rpc_server_add_reflection(mos_rpc_server *server, const uint8_t *descriptor_set, size_t size_bytes, struct mos_error *error);
// Embedded by the build (mos_proto_server): the public API, health and reflection.
extern const uint8_t mos_descriptor_set[];
extern const size_t mos_descriptor_set_bytes;

// ---- A call ----

// As "/mosaajii.backup.v1.BackupService/GetBackup". Any thread.
const char *mos_call_path(const struct mos_call *call);
// NULL for unknown methods. Any thread.
const struct mos_method_descriptor *mos_call_method(const struct mos_call *call);
// Health or reflection: what is served to callers without a token.
bool mos_call_is_builtin(const struct mos_call *call);
// What was given when the service was added.
void *mos_call_user(const struct mos_call *call);
// The single message of the client (also of a known caller who was refused), and the handler's answer to it; NULL before they are there,
// and where they are streamed.
const ProtobufCMessage *mos_call_request(const struct mos_call *call);
const ProtobufCMessage *mos_call_response(const struct mos_call *call);
mos_arena *mos_call_arena(struct mos_call *call);
struct mos_error *mos_call_error(struct mos_call *call);

// The client has cancelled or is gone, the deadline is over, or the server is stopping. Any thread.
bool mos_call_cancelled(const struct mos_call *call);
// Why: MOS_OK while it is not, MOS_CANCELLED, MOS_DEADLINE_EXCEEDED or MOS_UNAVAILABLE (server stopping). Any thread.
mos_status mos_call_cancel_status(const struct mos_call *call);
// The same as an error to return: `if (mos_call_cancelled(call)) { return mos_call_fail_cancelled(call); }`
mos_status mos_call_fail_cancelled(struct mos_call *call);
// A descriptor that becomes readable when the call is cancelled. Borrowed; never read from it. -1 when there are no descriptors left.
int mos_call_cancel_fd(struct mos_call *call);
// `function` is called once, from another thread, when the call is cancelled; at once if it is already. It must not block and not call back
// into the call; locking a mutex that is never held while calling into the call is fine. One a call: a second replaces the first; NULL
// takes it away, and after that it is not running any more.
void mos_call_on_cancel(struct mos_call *call, void (*function)(void *argument), void *argument);
// Blocks until the call is cancelled or the time is over; true when it is cancelled. -1: no limit.
bool mos_call_wait_cancelled(struct mos_call *call, int64_t timeout_ms);
// 0: none.
int64_t mos_call_deadline_unix_ns(const struct mos_call *call);

// As 127.0.0.1:4711, [::1]:4711 or unix:. Not authenticated.
const char *mos_call_peer(struct mos_call *call);
// The client's address without a port: what a trusted gateway says in x-mosaajii-client-ip, else the peer's own; "" for a unix socket. For
// logs and records alone.
const char *mos_call_client(struct mos_call *call);
// The first value of a key (lower case) the client sent; NULL for none. Values of -bin keys are raw and may hold zero bytes: ask for the
// size. Borrowed, ends with a zero.
const char *mos_call_metadata(struct mos_call *call, const char *key);
const char *mos_call_metadata_bytes(struct mos_call *call, const char *key, size_t *out_size_bytes);
// Sent with the first message (header) or with the status (trailer). Keys in lower case, values printable ASCII but for -bin keys.
// MOS_INVALID_ARGUMENT where gRPC forbids one, MOS_FAILED_PRECONDITION for a header after the first message.
mos_status mos_call_set_header(struct mos_call *call, const char *key, const char *value);
mos_status mos_call_set_trailer(struct mos_call *call, const char *key, const char *value);
// The client's x-request-id where it is one (1 to 64 of A-Z a-z 0-9 . _ -), else a new one. Goes back as header x-request-id.
const char *mos_call_request_id(const struct mos_call *call);

// Who calls, as an interceptor found out: a name for logs and records, and whatever it wants to hand to handlers (in the call's arena).
// NULL before that.
void mos_call_set_caller(struct mos_call *call, const char *name, const void *identity);
const char *mos_call_caller_name(const struct mos_call *call);
const void *mos_call_caller(const struct mos_call *call);
// The verified client certificate under mTLS; NULL without. There may be several SANs: check all of them, NULL ends them.
const char *mos_call_peer_subject(struct mos_call *call);
const char *mos_call_peer_san(struct mos_call *call, size_t index);

// What the typed functions are made of. Send blocks until gRPC has taken the message (back-pressure). Receive gives NULL when the client
// has sent all; a message is valid until the next receive. One sender and one receiver at a time; they may be two threads.
mos_status mos_call_send(struct mos_call *call, const ProtobufCMessage *message);
mos_status mos_call_receive(struct mos_call *call, const ProtobufCMessage **out);

// ---- One message to many calls ----

// What goes to many streams at once is packed once, and posted to each by one thread while the handlers wait: none of them is woken.
typedef struct mos_packed mos_packed;

// MOS_INTERNAL where a text in it is not valid. On MOS_OK *out is the caller's.
mos_status mos_packed_create(mos_packed **out, const ProtobufCMessage *message, struct mos_error *error);
// What was posted is sent all the same. NULL is fine.
void mos_packed_destroy(mos_packed *packed);
// Sends the message, of the type that the call streams, behind those posted before. Never blocks. false, and nothing is sent, when the
// client is so slow that eight wait already, or when the call cannot send any more (mos_call_send says why).
//
// From another thread than the handler's, one at a time, and only while the handler is known to be there and to send nothing itself: it
// must not return, nor call mos_call_send or mos_call_set_header, before the last post has returned. What is still on its way then needs no
// care: mos_call_send and the end of the call wait for it, so that order is kept and the call outlives it.
bool mos_call_post(struct mos_call *call, const mos_packed *packed);

#endif
