#include "lib/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "grpc/health/v1/health.pb-c.h"

#define TOKEN_LIMIT_BYTES 8192

struct mos_client {
    mos_rpc_channel *channel;
    char *address;
    char *token;
    // Why there is no token; empty when there is one.
    char no_token[256];
};

static mos_status read_token_file(mos_client *client, const char *path, struct mos_error *error) {
    MOS_CLEANUP_FD int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char text[TOKEN_LIMIT_BYTES + 1];
    ssize_t size = file < 0 ? -1 : read(file, text, sizeof(text));
    if (size < 0) {
        snprintf(client->no_token, sizeof(client->no_token), "%.180s: %s", path, strerror(errno));
        return MOS_OK;
    }
    if ((size_t)size == sizeof(text)) {
        return mos_fail_field(error, "MOSAAJII_TOKEN_FILE", "MOSAAJII_TOKEN_FILE names %s, which is too long to hold a token", path);
    }
    while (size > 0 && strchr(" \t\r\n", text[size - 1])) {
        size--;
    }
    text[size] = 0;
    if (size == 0) {
        snprintf(client->no_token, sizeof(client->no_token), "%.180s is empty", path);
    } else {
        client->token = mos_strdup(text);
    }
    explicit_bzero(text, sizeof(text));
    return MOS_OK;
}

static mos_status read_token(mos_client *client, const mos_settings *settings, struct mos_error *error) {
    const char *token = mos_setting_text(settings, MOS_SETTING_MOSAAJII_TOKEN);
    const char *source = *token ? "MOSAAJII_TOKEN" : "MOSAAJII_TOKEN_FILE";
    if (*token) {
        client->token = mos_strdup(token);
    } else {
        mos_status status = read_token_file(client, mos_setting_text(settings, MOS_SETTING_MOSAAJII_TOKEN_FILE), error);
        if (status != MOS_OK) {
            return status;
        }
    }
    for (const char *c = client->token; c && *c; c++) {
        if (*c <= ' ' || *c > '~') {
            return mos_fail_field(error, source, "%s holds something that is no token; a token is one word of plain letters and digits",
                                  source);
        }
    }
    return MOS_OK;
}

mos_status mos_client_connect(mos_client **out, const mos_settings *settings, struct mos_error *error) {
    mos_client *client = mos_calloc(1, sizeof(*client));
    client->address = mos_strdup(mos_setting_text(settings, MOS_SETTING_MOSAAJII_SERVER));
    mos_status status = read_token(client, settings, error);
    if (status == MOS_OK) {
        struct mos_rpc_channel_options options = {
            .address = client->address,
            .tls_ca_file = mos_setting_text(settings, MOS_SETTING_MOSAAJII_TLS_CLIENT_CA),
            .tls_cert_file = mos_setting_text(settings, MOS_SETTING_MOSAAJII_TLS_CERT),
            .tls_key_file = mos_setting_text(settings, MOS_SETTING_MOSAAJII_TLS_KEY),
        };
        status = mos_rpc_channel_create(&client->channel, &options, error);
    }
    if (status != MOS_OK) {
        mos_client_close(client);
        return status;
    }
    *out = client;
    return MOS_OK;
}

void mos_client_close(mos_client *client) {
    if (!client) {
        return;
    }
    mos_rpc_channel_destroy(client->channel);
    if (client->token) {
        explicit_bzero(client->token, strlen(client->token));
    }
    free(client->token);
    free(client->address);
    free(client);
}

mos_rpc_channel *mos_client_channel(const mos_client *client) {
    return client->channel;
}

const char *mos_client_address(const mos_client *client) {
    return client->address;
}

struct mos_rpc_call_options mos_client_options(const mos_client *client, int64_t timeout_ms) {
    return (struct mos_rpc_call_options){.timeout_ms = timeout_ms, .token = client->token};
}

// gRPC tells every layer through which a failure came up; people need the innermost.
static const char *innermost(const char *message) {
    static const char *const layered[] = {"failed to connect", "DNS resolution failed"};
    for (size_t i = 0; i < sizeof(layered) / sizeof(layered[0]); i++) {
        if (strncmp(message, layered[i], strlen(layered[i])) == 0) {
            const char *last = message;
            for (const char *colon = message; (colon = strstr(colon, ": ")); colon += 2) {
                last = colon + 2;
            }
            return last;
        }
    }
    return message;
}

void mos_client_explain(const mos_client *client, struct mos_error *error) {
    if (error->status == MOS_UNAVAILABLE && strcmp(error->field, MOS_RPC_NO_SERVER) == 0) {
        char reason[sizeof(error->message)];
        snprintf(reason, sizeof(reason), "%s", innermost(error->message));
        mos_fail(error, MOS_UNAVAILABLE, "the server at %s (MOSAAJII_SERVER) is not reachable: %.500s", client->address, reason);
    } else if (error->status == MOS_UNAUTHENTICATED && client->no_token[0]) {
        mos_fail(error, MOS_UNAUTHENTICATED, "no token to show to the server (%s); set MOSAAJII_TOKEN or MOSAAJII_TOKEN_FILE",
                 client->no_token);
    }
}

mos_status mos_client_health(const mos_client *client, const struct mos_rpc_call_options *options, mos_arena *arena, ProtobufCMessage **out,
                             const char **out_word, struct mos_error *error) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    mos_status status = mos_rpc_unary(client->channel, "/grpc.health.v1.Health/Check", options, &request.base,
                                      &grpc__health__v1__health_check_response__descriptor, arena, out, error);
    if (status != MOS_OK) {
        return status;
    }
    const Grpc__Health__V1__HealthCheckResponse *answer = (const Grpc__Health__V1__HealthCheckResponse *)*out;
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&grpc__health__v1__health_check_response__serving_status__descriptor, (int)answer->status);
    *out_word = value ? value->name : "UNKNOWN";
    return MOS_OK;
}
