// Steps that look whether something answers on the network: with neither redirects, proxies nor credentials, and never link-local.
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "common/clock.h"
#include "control/dr/internal.h"

enum { LONGEST_EXCHANGE_MS = 30000, CONNECT_MS = 15000, BODY_MOST = 1 << 20 };

// ---- http ----

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
    struct attempt *attempt = user;
    if (purpose == CURLSOCKTYPE_IPCXN && mos_address_forbidden(&address->addr)) {
        attempt_print(attempt, "An address that may not be asked was refused\n");
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int watch(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a, (void)b, (void)c, (void)d;
    return attempt_is_over(user);
}

// What it says is of no interest, beyond that it comes to an end.
static size_t drop(char *data, size_t size, size_t count, void *user) {
    (void)data;
    size_t *taken = user;
    *taken += size * count;
    return *taken > BODY_MOST ? 0 : size * count;
}

static void start_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

mos_status act_http(struct attempt *attempt, const char *url, int64_t *out_code, struct mos_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    CURL *curl = curl_easy_init();
    if (!curl) {
        return mos_fail(error, MOS_INTERNAL, "libcurl does not start");
    }
    char reason[CURL_ERROR_SIZE] = "";
    size_t taken = 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mosaajii-server/" MOSAAJII_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)attempt_left_ms(attempt, CONNECT_MS));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)attempt_left_ms(attempt, LONGEST_EXCHANGE_MS));
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, attempt);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, attempt);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &taken);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    CURLcode code = curl_easy_perform(curl);
    long answered = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answered);
    curl_easy_cleanup(curl);
    *out_code = answered;
    // One that says more than anybody wants to read has answered as well.
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && taken > BODY_MOST)) {
        return MOS_OK;
    }
    mos_status status = attempt_check(attempt, error);
    return status ? status
                  : mos_fail(error, MOS_UNAVAILABLE, "%.200s does not answer: %s", url, *reason ? reason : curl_easy_strerror(code));
}

// ---- tcp ----

// Until connected, refused, stopped or over.
static mos_status connect_to(struct attempt *attempt, const struct addrinfo *address, struct mos_error *error) {
    MOS_CLEANUP_FD int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "making a socket");
    }
    if (connect(descriptor, address->ai_addr, address->ai_addrlen) == 0) {
        return MOS_OK;
    }
    if (errno != EINPROGRESS) {
        return mos_fail_errno(error, errno, "connecting to %s:%d", attempt->command.text, attempt->command.port);
    }
    struct pollfd polled[] = {{.fd = descriptor, .events = POLLOUT}, {.fd = attempt->stop_fd, .events = POLLIN}};
    poll(polled, 2, attempt_left_ms(attempt, CONNECT_MS));
    mos_status status = attempt_check(attempt, error);
    int reason = 0;
    socklen_t size = sizeof(reason);
    if (status == MOS_OK && !polled[0].revents) {
        status = mos_fail(error, MOS_UNAVAILABLE, "%s:%d does not answer", attempt->command.text, attempt->command.port);
    } else if (status == MOS_OK && (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &reason, &size) != 0 || reason != 0)) {
        status =
            mos_fail(error, MOS_UNAVAILABLE, "%s:%d does not answer: %s", attempt->command.text, attempt->command.port, strerror(reason));
    }
    return status;
}

mos_status act_tcp(struct attempt *attempt, struct mos_error *error) {
    char port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    snprintf(port, sizeof(port), "%d", attempt->command.port);
    int code = getaddrinfo(attempt->command.text, port, &hints, &found);
    if (code != 0) {
        return mos_fail(error, MOS_UNAVAILABLE, "the name %s is not known: %s", attempt->command.text, gai_strerror(code));
    }
    mos_status status = mos_fail(error, MOS_UNAVAILABLE, "%s has no address", attempt->command.text);
    for (const struct addrinfo *address = found; address && status != MOS_OK; address = address->ai_next) {
        status = mos_address_forbidden(address->ai_addr)
                     ? mos_fail(error, MOS_PERMISSION_DENIED, "%s leads to an address that may not be asked", attempt->command.text)
                     : connect_to(attempt, address, error);
    }
    freeaddrinfo(found);
    if (status == MOS_OK) {
        attempt_print(attempt, "%s:%d answers\n", attempt->command.text, attempt->command.port);
    }
    return status;
}
