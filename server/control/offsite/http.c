#include "control/offsite/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"

enum { BODY_LIMIT_BYTES = 16 * 1024 * 1024, HEADERS_LIMIT_BYTES = 64 * 1024, IDLE_LIMIT = 32, SOCKET_PIECE_BYTES = 512 * 1024 };

struct mos_store_http {
    const char *provider;
    char *ca_file;
    int timeout_ms;
    pthread_mutex_t mutex;
    CURL *idle[IDLE_LIMIT];
    size_t idle_count;
};

struct exchange {
    const struct mos_store_http_request *request;
    struct mos_store_http_response *response;
    const struct mos_store_call *call;
    CURL *curl;
    int64_t sent_bytes;
    // Why the exchange was ended from this side.
    mos_status status;
    struct mos_error error;
};

static void start_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

mos_store_http *mos_store_http_create(const char *provider, const struct mos_store_options *options) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    mos_store_http *http = mos_calloc(1, sizeof(*http));
    http->provider = provider;
    http->ca_file = mos_strdup(options->ca_file);
    http->timeout_ms = options->timeout_ms;
    pthread_mutex_init(&http->mutex, NULL);
    return http;
}

void mos_store_http_destroy(mos_store_http *http) {
    for (size_t i = 0; i < http->idle_count; i++) {
        curl_easy_cleanup(http->idle[i]);
    }
    pthread_mutex_destroy(&http->mutex);
    free(http->ca_file);
    free(http);
}

void mos_store_http_response_free(struct mos_store_http_response *response) {
    mos_buffer_free(&response->body);
    mos_buffer_free(&response->headers);
}

static CURL *take_handle(mos_store_http *http) {
    pthread_mutex_lock(&http->mutex);
    CURL *curl = http->idle_count > 0 ? http->idle[--http->idle_count] : NULL;
    pthread_mutex_unlock(&http->mutex);
    return curl ? curl : curl_easy_init();
}

// Its connection stays open, its options and secrets do not stay.
static void give_handle(mos_store_http *http, CURL *curl) {
    curl_easy_reset(curl);
    pthread_mutex_lock(&http->mutex);
    if (http->idle_count < IDLE_LIMIT) {
        http->idle[http->idle_count++] = curl;
        curl = NULL;
    }
    pthread_mutex_unlock(&http->mutex);
    if (curl) {
        curl_easy_cleanup(curl);
    }
}

static size_t take_header(char *data, size_t size, size_t count, void *argument) {
    struct exchange *exchange = argument;
    struct mos_buffer *headers = &exchange->response->headers;
    size_t length = size * count;
    // A new answer, behind one such as "100 Continue".
    if (length >= 5 && strncmp(data, "HTTP/", 5) == 0) {
        mos_buffer_clear(headers);
        return length;
    }
    const char *colon = memchr(data, ':', length);
    size_t name = colon ? (size_t)(colon - data) : 0;
    for (size_t i = 0; i < length; i++) {
        if (data[i] != '\r' && !mos_buffer_append_byte(headers, (uint8_t)(i < name ? tolower((unsigned char)data[i]) : data[i]))) {
            return 0;
        }
    }
    return length;
}

static bool over(struct exchange *exchange) {
    if (exchange->status == MOS_OK && mos_store_over(exchange->call)) {
        exchange->status = mos_store_fail_cancelled(&exchange->error);
    }
    return exchange->status != MOS_OK;
}

static size_t take_body(char *data, size_t size, size_t count, void *argument) {
    struct exchange *exchange = argument;
    size_t length = size * count;
    long code = 0;
    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &code);
    if (exchange->request->sink && (code == 200 || code == 206)) {
        if (!over(exchange)) {
            exchange->status = exchange->request->sink(exchange->request->sink_argument, data, length, &exchange->error);
        }
        if (exchange->status != MOS_OK) {
            return length + 1;
        }
        mos_store_moved(exchange->call, (int64_t)length);
        return length;
    }
    if (!mos_buffer_append(&exchange->response->body, data, length)) {
        exchange->status = mos_fail(&exchange->error, MOS_UNAVAILABLE, "the answer is longer than any should be");
        return length + 1;
    }
    return length;
}

static size_t give_body(char *out, size_t size, size_t count, void *argument) {
    struct exchange *exchange = argument;
    const struct mos_store_http_request *request = exchange->request;
    size_t room = size * count;
    if (over(exchange)) {
        return CURL_READFUNC_ABORT;
    }
    if (request->body) {
        size_t left = request->body_bytes - (size_t)exchange->sent_bytes;
        room = room < left ? room : left;
        memcpy(out, request->body + exchange->sent_bytes, room);
    } else {
        int64_t left = request->source_size_bytes - exchange->sent_bytes;
        room = (int64_t)room < left ? room : (size_t)left;
        if (room > 0) {
            exchange->status =
                mos_store_source_read(request->source, request->source_offset_bytes + exchange->sent_bytes, out, room, &exchange->error);
            if (exchange->status != MOS_OK) {
                return CURL_READFUNC_ABORT;
            }
            mos_store_moved(exchange->call, (int64_t)room);
        }
    }
    exchange->sent_bytes += (int64_t)room;
    return room;
}

// A kept connection may turn out to be closed: the body is then given once more.
static int rewind_body(void *argument, curl_off_t offset, int origin) {
    struct exchange *exchange = argument;
    if (origin != SEEK_SET) {
        return CURL_SEEKFUNC_FAIL;
    }
    exchange->sent_bytes = offset;
    return CURL_SEEKFUNC_OK;
}

static int watch(void *argument, curl_off_t total_down, curl_off_t down, curl_off_t total_up, curl_off_t up) {
    struct exchange *exchange = argument;
    (void)total_down;
    (void)down;
    (void)total_up;
    (void)up;
    return over(exchange);
}

static mos_status status_of(CURLcode code) {
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return MOS_DEADLINE_EXCEEDED;
    case CURLE_PEER_FAILED_VERIFICATION:
        return MOS_UNAUTHENTICATED;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return MOS_FAILED_PRECONDITION;
    default:
        return MOS_UNAVAILABLE;
    }
}

static void set_body(CURL *curl, const struct mos_store_http_request *request) {
    bool sends = request->body || request->source;
    bool post = strcmp(request->method, "POST") == 0;
    curl_off_t size = request->body ? (curl_off_t)request->body_bytes : request->source ? (curl_off_t)request->source_size_bytes : 0;
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (post) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, size);
        if (!sends) {
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
        }
    } else if (sends || strcmp(request->method, "PUT") == 0) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, size);
    } else if (strcmp(request->method, "GET") != 0) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

mos_status mos_store_http_exchange(mos_store_http *http, const struct mos_store_http_request *request, struct mos_store_http_response *out,
                                   const struct mos_store_call *call, struct mos_error *error) {
    CURL *curl = take_handle(http);
    // "Expect:" keeps curl from waiting a second for servers that do not know "100 Continue".
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    char reason[CURL_ERROR_SIZE] = "";
    *out = (struct mos_store_http_response){.body = MOS_BUFFER_INIT(BODY_LIMIT_BYTES), .headers = MOS_BUFFER_INIT(HEADERS_LIMIT_BYTES)};
    if (!curl || !headers) {
        curl_easy_cleanup(curl);
        curl_slist_free_all(headers);
        return mos_fail(error, MOS_INTERNAL, "libcurl does not start");
    }
    struct exchange exchange = {.request = request, .response = out, .call = call, .curl = curl};
    for (size_t i = 0; request->headers[i]; i++) {
        headers = curl_slist_append(headers, request->headers[i]);
    }
    int timeout_s = http->timeout_ms < 1000 ? 1 : http->timeout_ms / 1000;
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)http->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)timeout_s);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)SOCKET_PIECE_BYTES);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)SOCKET_PIECE_BYTES);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
    curl_easy_setopt(curl, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_body);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (*http->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
    }
    set_body(curl, request);
    if (request->signature) {
        curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, request->signature);
        curl_easy_setopt(curl, CURLOPT_USERNAME, request->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, request->password);
    }
    CURLcode code = curl_easy_perform(curl);
    mos_status status = MOS_OK;
    if (exchange.status != MOS_OK) {
        status = exchange.status;
        if (error) {
            *error = exchange.error;
        }
    } else if (code != CURLE_OK) {
        status = status_of(code);
        mos_fail(error, status, "%s gives no answer: %s", http->provider, *reason ? reason : curl_easy_strerror(code));
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->code);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    give_handle(http, curl);
    curl_slist_free_all(headers);
    return status;
}

const char *mos_store_http_header(const struct mos_store_http_response *response, const char *name,
                                  char value[MOS_STORE_HTTP_VALUE_BYTES]) {
    const char *line = (const char *)response->headers.data;
    size_t left = response->headers.size_bytes, length = strlen(name);
    *value = 0;
    while (left > 0) {
        const char *feed = memchr(line, '\n', left);
        size_t size = feed ? (size_t)(feed - line) : left;
        if (size > length && line[length] == ':' && memcmp(line, name, length) == 0) {
            size_t start = length + 1;
            while (start < size && (line[start] == ' ' || line[start] == '\t')) {
                start++;
            }
            size_t copied = size - start < MOS_STORE_HTTP_VALUE_BYTES ? size - start : MOS_STORE_HTTP_VALUE_BYTES - 1;
            memcpy(value, line + start, copied);
            value[copied] = 0;
            return value;
        }
        size += feed ? 1 : 0;
        line += size;
        left -= size;
    }
    return value;
}

void mos_store_http_range(int64_t offset_bytes, int64_t size_bytes, char text[64]) {
    if (size_bytes > 0) {
        snprintf(text, 64, "Range: bytes=%lld-%lld", (long long)offset_bytes, (long long)(offset_bytes + size_bytes - 1));
    } else {
        snprintf(text, 64, "Range: bytes=%lld-", (long long)offset_bytes);
    }
}

void mos_store_url_encode(struct mos_buffer *out, const char *text, bool slashes) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~", c) || (slashes && c == '/')) {
            mos_buffer_append_byte(out, c);
        } else {
            mos_buffer_printf(out, "%%%02X", c);
        }
    }
}

mos_status mos_store_endpoint_check(const char *endpoint, struct mos_error *error) {
    bool tls = strncmp(endpoint, "https://", 8) == 0;
    const char *host = endpoint + (tls ? 8 : 7);
    if (tls || strncmp(endpoint, "http://", 7) == 0) {
        size_t length = strcspn(host, "/?#@");
        const char *end = host[length] == '/' && !host[length + 1] ? host + length + 1 : host + length;
        size_t name = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
        bool loopback = (name == 9 && strncasecmp(host, "localhost", 9) == 0) || (name == 5 && strncmp(host, "[::1]", 5) == 0) ||
                        (name >= 9 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == name);
        if (!*end && length > 0 && (tls || loopback)) {
            return MOS_OK;
        }
    }
    return mos_fail_field(error, "OFFSITE_ENDPOINT",
                          "OFFSITE_ENDPOINT is not of the form https://host[:port]; http:// is allowed only for loopback");
}

mos_status mos_store_http_status(long code) {
    switch (code) {
    case 401:
        return MOS_UNAUTHENTICATED;
    case 403:
        return MOS_PERMISSION_DENIED;
    case 404:
        return MOS_NOT_FOUND;
    case 408:
        return MOS_UNAVAILABLE;
    case 409:
        return MOS_ABORTED;
    case 412:
        return MOS_ALREADY_EXISTS;
    case 413:
    case 507:
        return MOS_NO_SPACE;
    case 416:
        return MOS_OUT_OF_RANGE;
    case 429:
        return MOS_RESOURCE_EXHAUSTED;
    case 501:
        return MOS_UNIMPLEMENTED;
    default:
        return code >= 500 ? MOS_UNAVAILABLE : MOS_FAILED_PRECONDITION;
    }
}

int64_t mos_store_http_date(const char *text) {
    time_t time = curl_getdate(text, NULL);
    return time > 0 ? (int64_t)time * MOS_NS_PER_SECOND : 0;
}
