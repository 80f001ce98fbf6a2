// gRPC client on the C core: channels, blocking calls and streams. The typed functions in <file>.grpc-client.h are made of these.
//
//     mos_rpc_channel *channel;
//     mos_rpc_channel_create(&channel, &(struct mos_rpc_channel_options){.address = "127.0.0.1:50051"}, &error);
//     struct mos_rpc_call_options options = {.timeout_ms = 5000, .token = token};
//     Pkg__Thing *thing;
//     if (pkg_things_client_get_thing(channel, &options, &request, arena, &thing, &error) == MOS_OK) …
//
//     mos_rpc_stream *stream;
//     pkg_things_client_watch_things_open(channel, &options, &request, &stream, &error);
//     const Pkg__Event *event;
//     while ((status = pkg_things_client_watch_things_receive(stream, &event, &error)) == MOS_OK && event) …
//     status = mos_rpc_stream_finish(stream, &error);
//
// A call's failure has the status of the server (with its field, where it named one). MOS_UNAVAILABLE: the server cannot be reached.
#ifndef MOS_CLIENT_LIB_RPC_H
#define MOS_CLIENT_LIB_RPC_H

// The field of a MOS_UNAVAILABLE that no server said: this one is not there.
#define MOS_RPC_NO_SERVER "MOSAAJII_SERVER"

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/arena.h"
#include "common/status.h"

typedef struct mos_rpc_channel mos_rpc_channel;
typedef struct mos_rpc_stream mos_rpc_stream;
typedef struct mos_rpc_canceller mos_rpc_canceller;

struct mos_rpc_channel_options {
    // host:port or unix:/path.
    const char *address;
    // PEM files; NULL or "": none. With a CA or a client certificate the channel uses TLS; without a CA the system's authorities count.
    const char *tls_ca_file;
    const char *tls_cert_file;
    const char *tls_key_file;
    // Name to expect in the server's certificate, where it is not the address.
    const char *tls_server_name;
    size_t receive_limit_bytes; // of one message; 0: 16 MiB
};

// Connects on the first call and again after every loss. Thread safe, any number of calls at a time. On MOS_OK *out is the caller's.
mos_status mos_rpc_channel_create(mos_rpc_channel **out, const struct mos_rpc_channel_options *options, struct mos_error *error);
// After the last call and stream of it. NULL is fine.
void mos_rpc_channel_destroy(mos_rpc_channel *channel);

struct mos_rpc_pair {
    const char *key;
    const char *value;
    // 0: strlen(value). For -bin keys.
    size_t size_bytes;
};

// Metadata the server sent, headers first, in an arena.
struct mos_rpc_received {
    struct mos_rpc_pair *pairs;
    size_t count;
};

// NULL options and zeros: no limit, nothing added. Read only while the call or stream is opened, but for what says otherwise.
struct mos_rpc_call_options {
    int64_t timeout_ms;
    // Sent as `authorization: Bearer <token>`; NULL or "": not sent.
    const char *token;
    // Sent as x-request-id; NULL: the server makes one.
    const char *request_id;
    const struct mos_rpc_pair *metadata;
    size_t metadata_count;
    // Unary only: filled when the call ends, with or without success, in the call's arena. NULL: not wanted.
    struct mos_rpc_received *received;
    // Lets another thread cancel the call; must outlive it. NULL: not wanted.
    mos_rpc_canceller *canceller;
};

// One canceller may serve several calls: it cancels all that are running and those that begin later.
mos_rpc_canceller *mos_rpc_canceller_create(void);
// Any thread. Calls end with MOS_CANCELLED.
void mos_rpc_canceller_cancel(mos_rpc_canceller *canceller);
// After the last call with it. NULL is fine.
void mos_rpc_canceller_destroy(mos_rpc_canceller *canceller);

// Blocks for the answer, which lives in the arena. `path` as "/pkg.Service/Method".
mos_status mos_rpc_unary(mos_rpc_channel *channel, const char *path, const struct mos_rpc_call_options *options,
                         const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response, mos_arena *arena,
                         ProtobufCMessage **out, struct mos_error *error);

// `request` NULL: the client streams, with send. Does not wait for the server. On MOS_OK *out is the caller's, to be finished.
mos_status mos_rpc_stream_open(mos_rpc_channel *channel, const char *path, const struct mos_rpc_call_options *options,
                               const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response, mos_rpc_stream **out,
                               struct mos_error *error);
// Blocks while the server is slow. One sender and one receiver at a time; they may be two threads.
mos_status mos_rpc_stream_send(mos_rpc_stream *stream, const ProtobufCMessage *message, struct mos_error *error);
// No more is sent.
mos_status mos_rpc_stream_close_send(mos_rpc_stream *stream, struct mos_error *error);
// Blocks for the next message, which is valid until the next receive or finish. MOS_OK and NULL: the server has ended the call with OK. A
// call that ended otherwise gives its status.
mos_status mos_rpc_stream_receive(mos_rpc_stream *stream, const ProtobufCMessage **out, struct mos_error *error);
// Any thread, before finish.
void mos_rpc_stream_cancel(mos_rpc_stream *stream);
// The first value of a key among what the server sent: headers after the first receive, trailers after the end. NULL for none. Borrowed.
const char *mos_rpc_stream_metadata(mos_rpc_stream *stream, const char *key);
// Ends the stream and frees it; what still runs is cancelled (MOS_CANCELLED). The status of the call. NULL is fine and MOS_OK.
mos_status mos_rpc_stream_finish(mos_rpc_stream *stream, struct mos_error *error);

#endif
