// GET /metrics over HTTP.
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "control/metrics/metrics_internal.h"

enum { MOST_CONNECTIONS = 32, IDLE_SECONDS = 15 };

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *text, size_t size_bytes, const char *type) {
    struct MHD_Response *response = MHD_create_response_from_buffer(size_bytes, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (!response) {
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result queued = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result answer_line(struct MHD_Connection *connection, unsigned code, const char *line) {
    return answer(connection, code, line, strlen(line), "text/plain; charset=utf-8");
}

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                              const char *upload, size_t *upload_bytes, void **state) {
    static int begun;
    (void)version;
    (void)upload;
    // The first call of a request comes before its body.
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    if (*upload_bytes > 0) {
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return answer_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET is answered here.\n");
    }
    if (strcmp(url, "/metrics") != 0) {
        return answer_line(connection, MHD_HTTP_NOT_FOUND, "The metrics are at /metrics.\n");
    }
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    struct mos_error error;
    if (mos_metrics_write(user, &text, &error) != MOS_OK) {
        mos_log_error("the metrics could not be read", MOS_TEXT("reason", error.message));
        return answer_line(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "The metrics could not be read.\n");
    }
    return answer(connection, MHD_HTTP_OK, mos_buffer_text(&text), text.size_bytes, "text/plain; version=0.0.4; charset=utf-8");
}

mos_status mos_metrics_start(mos_metrics *metrics, const char *listen, struct mos_error *error) {
    const char *colon = strrchr(listen, ':');
    char host[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    bool bracketed = listen[0] == '[';
    size_t length = colon ? (size_t)(colon - listen) - (bracketed ? 2 : 0) : sizeof(host);
    if (length < sizeof(host)) {
        memcpy(host, listen + bracketed, length);
    }
    uint16_t port = htons((uint16_t)(colon ? strtol(colon + 1, NULL, 10) : 0));
    const char *name = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    bool is_four = inet_pton(AF_INET, name, &four.sin_addr) == 1;
    four.sin_port = six.sin6_port = port;
    if (!is_four && inet_pton(AF_INET6, name, &six.sin6_addr) != 1) {
        return mos_fail_field(error, "MOSAAJII_METRICS_LISTEN",
                              "MOSAAJII_METRICS_LISTEN is %s; allowed is a numeric loopback address and a port", listen);
    }
    unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD | (is_four ? 0 : MHD_USE_IPv6);
    metrics->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, metrics, MHD_OPTION_SOCK_ADDR,
                                       is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six, MHD_OPTION_CONNECTION_LIMIT,
                                       (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (!metrics->daemon) {
        return mos_fail(error, MOS_UNAVAILABLE, "MOSAAJII_METRICS_LISTEN: %s cannot be listened on", listen);
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(metrics->daemon, MHD_DAEMON_INFO_BIND_PORT);
    metrics->port = info ? info->port : 0;
    mos_log_info("metrics served", MOS_TEXT("host", host), MOS_NUMBER("port", metrics->port));
    return MOS_OK;
}

int mos_metrics_port(const mos_metrics *metrics) {
    return metrics->port;
}

void mos_metrics_stop(mos_metrics *metrics) {
    if (metrics && metrics->daemon) {
        MHD_stop_daemon(metrics->daemon);
        metrics->daemon = NULL;
    }
}
