// A server of EchoService and a channel to it, in one process, for the tests of the rpc layer and of the client's runtime.
#ifndef MOS_TESTS_UNIT_CONTROL_RPC_ECHO_H
#define MOS_TESTS_UNIT_CONTROL_RPC_ECHO_H

#include <pthread.h>
#include <stdbool.h>

#include "control/rpc/rpc.h"
#include "lib/rpc.h"
#include "mosaajii/rpc/test/v1/echo.grpc-client.h"
#include "mosaajii/rpc/test/v1/echo.grpc-server.h"

typedef Mosaajii__Rpc__Test__V1__Everything everything;
typedef Mosaajii__Rpc__Test__V1__Everything__HTTPPair http_pair;
typedef Mosaajii__Rpc__Test__V1__Number number;
typedef Mosaajii__Rpc__Test__V1__CountRequest count_request;
#define EVERYTHING_INIT MOSAAJII__RPC__TEST__V1__EVERYTHING__INIT
#define HTTP_PAIR_INIT MOSAAJII__RPC__TEST__V1__EVERYTHING__HTTPPAIR__INIT
#define NUMBER_INIT MOSAAJII__RPC__TEST__V1__NUMBER__INIT
#define COUNT_REQUEST_INIT MOSAAJII__RPC__TEST__V1__COUNT_REQUEST__INIT

struct echo {
    mos_rpc_server *server;
    mos_rpc_channel *channel;
    char address[64];
    mos_arena *arena;
    struct mos_error error;

    pthread_mutex_t lock; // of all below
    pthread_cond_t changed;
    int waiting;            // handlers that wait
    int ended;              // that no longer do
    mos_status last_status; // why the last of those ended
    int sent;               // messages the count handler has sent
    bool gate_open;         // lets Echo of the text "gate" go on, and BlockStream of 3
    // Calls of BlockStream of 3, in the order in which they came: theirs until the gate is open.
    struct mos_call *posted_to[8];
};

// `options` NULL: defaults; its listen is 127.0.0.1:0 where it is NULL. `prepare` NULL, or called before the start. Fails the test and ends
// it when the server does not start.
void echo_start(struct echo *echo, const struct mos_rpc_options *options, void (*prepare)(struct echo *echo));
void echo_stop(struct echo *echo);
// Blocks until the counter is at least so high; ends the program after a minute.
void echo_wait(struct echo *echo, const int *counter, int least);
void echo_open_gate(struct echo *echo);
// What Echo of this text gives.
mos_status echo_text(struct echo *echo, const struct mos_rpc_call_options *options, const char *text, everything **out);

#endif
