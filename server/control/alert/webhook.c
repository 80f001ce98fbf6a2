// One exchange over HTTP with a program outside, and the signature by which it knows who speaks.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "control/alert/delivery_internal.h"

enum { ANSWER_KEPT_BYTES = 200, CONNECT_TIMEOUT_MS = 10000, STOP_GRACE_SECONDS = 3 };

static void start_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void mos_curl_start(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
}

bool mos_host_is_loopback(const char *host, size_t length) {
    char text[INET6_ADDRSTRLEN];
    struct in_addr four;
    struct in6_addr six;
    bool bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
    snprintf(text, sizeof(text), "%.*s", (int)(bracketed ? length - 2 : length), bracketed ? host + 1 : host);
    return strcmp(text, "localhost") == 0 || (inet_pton(AF_INET, text, &four) == 1 && strncmp(text, "127.", 4) == 0) ||
           (inet_pton(AF_INET6, text, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six));
}

// The beginning of what it says is kept for people; the rest is read and dropped.
static size_t take(char *data, size_t size, size_t count, void *argument) {
    struct mos_buffer *answer = argument;
    size_t more = size * count;
    size_t room = ANSWER_KEPT_BYTES - answer->size_bytes;
    mos_buffer_append(answer, data, more < room ? more : room);
    return more;
}

static mos_status judge(long code, struct mos_buffer *answer, struct mos_error *error) {
    if (code >= 200 && code < 300) {
        return MOS_OK;
    }
    for (size_t i = 0; i < answer->size_bytes; i++) {
        // It goes into logs and the catalog.
        answer->data[i] = answer->data[i] < ' ' || answer->data[i] > '~' ? ' ' : answer->data[i];
    }
    mos_status status = code == 401 || code == 403                  ? MOS_PERMISSION_DENIED
                        : code == 408 || code == 429 || code >= 500 ? MOS_UNAVAILABLE
                                                                    : MOS_INVALID_ARGUMENT;
    return mos_fail(error, status, "the receiver answers %ld%s%s", code, answer->size_bytes > 0 ? ": " : "", mos_buffer_text(answer));
}

static int look_at_stop(void *argument, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up) {
    struct mos_transfer_guard *guard = argument;
    (void)down_total, (void)down, (void)up_total, (void)up;
    if (!guard->stopping || !atomic_load(guard->stopping)) {
        return 0;
    }
    int64_t now_ns = mos_now_monotonic_ns();
    guard->stopped_at_ns = guard->stopped_at_ns ? guard->stopped_at_ns : now_ns;
    return now_ns - guard->stopped_at_ns > STOP_GRACE_SECONDS * MOS_NS_PER_SECOND;
}

void mos_transfer_guard(void *curl, const struct mos_delivery_options *options, struct mos_transfer_guard *guard) {
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(options->timeout_ms < CONNECT_TIMEOUT_MS ? options->timeout_ms : CONNECT_TIMEOUT_MS));
    // Also of the goodbye of a mail server, to which no other bound applies.
    curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(options->timeout_ms / 1000 + 1));
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_at_stop);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, guard);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

mos_status mos_http_send(const struct mos_delivery_options *options, const char *url, const char *const *headers, const char *body,
                         const atomic_bool *stopping, struct mos_error *error) {
    mos_curl_start();
    CURL *curl = curl_easy_init();
    struct curl_slist *list = NULL;
    struct mos_transfer_guard guard = {.stopping = stopping};
    MOS_CLEANUP_BUFFER struct mos_buffer answer = MOS_BUFFER_INIT(0);
    if (!curl) {
        return mos_fail(error, MOS_INTERNAL, "libcurl does not start");
    }
    for (size_t i = 0; headers[i]; i++) {
        list = curl_slist_append(list, headers[i]);
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mosaajii-server/" MOSAAJII_VERSION);
    mos_transfer_guard(curl, options, &guard);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (*options->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
    }
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode code = curl_easy_perform(curl);
    long http = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
    mos_status status = code == CURLE_OK ? judge(http, &answer, error)
                                         : mos_fail(error, MOS_UNAVAILABLE, "the receiver gives no answer: %s", curl_easy_strerror(code));
    curl_easy_cleanup(curl);
    curl_slist_free_all(list);
    return status;
}

static void sign(const char *secret, const char *timestamp, const struct mos_letter *letter,
                 char text[2 * crypto_auth_hmacsha256_BYTES + 1]) {
    crypto_auth_hmacsha256_state state;
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    const char *const parts[] = {timestamp, ".", letter->id, ".", letter->body};
    crypto_auth_hmacsha256_init(&state, (const uint8_t *)secret, strlen(secret));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        crypto_auth_hmacsha256_update(&state, (const uint8_t *)parts[i], strlen(parts[i]));
    }
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof(state));
    mos_hex_encode(mac, sizeof(mac), text);
}

mos_status mos_webhook_send(const struct mos_delivery_options *options, const struct mos_letter *letter, struct mos_error *error) {
    if (!*options->webhook_url) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "ALERT_WEBHOOK_URL is not set");
    }
    char signature[2 * crypto_auth_hmacsha256_BYTES + 1];
    char timestamp[24], lines[3][128];
    snprintf(timestamp, sizeof(timestamp), "%lld", (long long)(mos_now_unix_ns() / MOS_NS_PER_SECOND));
    sign(options->webhook_secret, timestamp, letter, signature);
    snprintf(lines[0], sizeof(lines[0]), "X-Mosaajii-Delivery: %s", letter->id);
    snprintf(lines[1], sizeof(lines[1]), "X-Mosaajii-Timestamp: %s", timestamp);
    snprintf(lines[2], sizeof(lines[2]), "X-Mosaajii-Signature: sha256=%s", signature);
    const char *const headers[] = {"Content-Type: application/json", lines[0], lines[1], lines[2], NULL};
    return mos_http_send(options, options->webhook_url, headers, letter->body, letter->stopping, error);
}
