#include "unit/control/rpc/echo.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct mos_rpc_call_options minute = {.timeout_ms = 60000};
static const char *folder;

static const char *in_folder(const char *name) {
    static char paths[16][512];
    static size_t next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

// An authority, a certificate of the server, one of a client with several names, and a client's of another authority.
static const char script[] =
    "set -e; exec 2>/dev/null; cd '%s'\n"
    "authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj \"/CN=$1\" -keyout $1.key -out "
    "$1.pem; }\n"
    "certificate() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj \"$3\" -keyout $2.key -out $2.csr\n"
    "  printf 'subjectAltName=%%s\\n' \"$4\" > $2.ext\n"
    "  openssl x509 -req -in $2.csr -CA $1.pem -CAkey $1.key -CAcreateserial -days 2 -extfile $2.ext -out $2.pem; }\n"
    "authority ca; authority other\n"
    "certificate ca server /CN=localhost IP:127.0.0.1,DNS:localhost\n"
    "certificate ca client /O=Shop/CN=till-1 DNS:till-1.example,URI:spiffe://shop/till-1\n"
    "certificate other stranger /CN=till-1 DNS:till-1.example\n";

static void make_certificates(void) {
    if (folder) {
        return;
    }
    folder = mos_test_directory();
    char command[sizeof(script) + 512];
    snprintf(command, sizeof(command), script, folder);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
}

static mos_status call_with(struct echo *echo, const struct mos_rpc_channel_options *options, everything **out) {
    mos_rpc_channel_destroy(echo->channel);
    struct mos_rpc_channel_options chosen = *options;
    chosen.address = echo->address;
    MOS_ASSERT_OK(mos_rpc_channel_create(&echo->channel, &chosen, &echo->error), &echo->error);
    return echo_text(echo, &minute, "who", out);
}

MOS_TEST(tls_serves_who_knows_the_authority) {
    make_certificates();
    struct echo echo;
    echo_start(&echo, &(struct mos_rpc_options){.tls_cert_file = in_folder("server.pem"), .tls_key_file = in_folder("server.key")}, NULL);
    everything *answer;
    MOS_ASSERT_OK(call_with(&echo, &(struct mos_rpc_channel_options){.tls_ca_file = in_folder("ca.pem")}, &answer), &echo.error);
    CU_ASSERT_STRING_EQUAL(answer->words[0], "");
    CU_ASSERT_EQUAL(answer->n_words, 1);
    CU_ASSERT_EQUAL(call_with(&echo, &(struct mos_rpc_channel_options){.tls_ca_file = in_folder("other.pem")}, NULL), MOS_UNAVAILABLE);
    CU_ASSERT_EQUAL(call_with(&echo, &(struct mos_rpc_channel_options){0}, NULL), MOS_UNAVAILABLE);
    CU_ASSERT_EQUAL(
        call_with(&echo, &(struct mos_rpc_channel_options){.tls_ca_file = in_folder("ca.pem"), .tls_server_name = "elsewhere"}, NULL),
        MOS_UNAVAILABLE);
    CU_ASSERT_EQUAL(
        call_with(&echo, &(struct mos_rpc_channel_options){.tls_ca_file = in_folder("ca.pem"), .tls_server_name = "localhost"}, NULL),
        MOS_OK);
    echo_stop(&echo);
}

MOS_TEST(mutual_tls_asks_for_a_certificate_and_reads_it) {
    make_certificates();
    struct echo echo;
    echo_start(&echo,
               &(struct mos_rpc_options){.tls_cert_file = in_folder("server.pem"),
                                         .tls_key_file = in_folder("server.key"),
                                         .tls_client_ca_file = in_folder("ca.pem")},
               NULL);
    everything *answer;
    struct mos_rpc_channel_options options = {.tls_ca_file = in_folder("ca.pem")};
    CU_ASSERT_EQUAL(call_with(&echo, &options, NULL), MOS_UNAVAILABLE);
    options.tls_cert_file = in_folder("stranger.pem");
    options.tls_key_file = in_folder("stranger.key");
    CU_ASSERT_EQUAL(call_with(&echo, &options, NULL), MOS_UNAVAILABLE);
    options.tls_cert_file = in_folder("client.pem");
    options.tls_key_file = in_folder("client.key");
    MOS_ASSERT_OK(call_with(&echo, &options, &answer), &echo.error);
    CU_ASSERT_EQUAL_FATAL(answer->n_words, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer->words[0], "CN=till-1"));
    CU_ASSERT_STRING_EQUAL(answer->words[1], "till-1.example");
    CU_ASSERT_STRING_EQUAL(answer->words[2], "spiffe://shop/till-1");
    echo_stop(&echo);
}

MOS_TEST(key_that_does_not_fit_is_refused) {
    make_certificates();
    mos_rpc_server *server;
    struct mos_error error = {0};
    struct mos_rpc_options options = {
        .listen = "127.0.0.1:0", .tls_cert_file = in_folder("server.pem"), .tls_key_file = in_folder("client.key")};
    MOS_ASSERT_OK(mos_rpc_server_create(&server, &options, &error), &error);
    CU_ASSERT_NOT_EQUAL(mos_rpc_server_start(server, &error), MOS_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "key"));
    mos_rpc_server_destroy(server);

    mos_rpc_channel *channel;
    CU_ASSERT_EQUAL(mos_rpc_channel_create(
                        &channel, &(struct mos_rpc_channel_options){.address = "a:1", .tls_cert_file = in_folder("client.pem")}, &error),
                    MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "tls_key_file");
    CU_ASSERT_EQUAL(mos_rpc_channel_create(
                        &channel, &(struct mos_rpc_channel_options){.address = "a:1", .tls_ca_file = in_folder("absent.pem")}, &error),
                    MOS_NOT_FOUND);
}
