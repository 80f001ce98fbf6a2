// One exchange over HTTP for the drivers of key management services.
#include <curl/curl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "control/key/driver.h"

enum { RESPONSE_LIMIT_BYTES = 256 * 1024, CONNECT_TIMEOUT_MS = 5000 };

static void start_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void mos_kms_wipe_buffer(struct mos_buffer *buffer) {
    if (buffer->data) {
        sodium_memzero(buffer->data, buffer->capacity_bytes);
    }
    mos_buffer_free(buffer);
    *buffer = (struct mos_buffer){0};
}

void mos_kms_response_free(struct mos_kms_response *response) {
    mos_kms_wipe_buffer(&response->body);
}

// Reserved once, so that growing leaves no copies behind.
static size_t take(char *data, size_t size, size_t count, void *argument) {
    struct mos_buffer *body = argument;
    size_t more = size * count;
    return body->size_bytes + more <= RESPONSE_LIMIT_BYTES && mos_buffer_append(body, data, more) ? more : 0;
}

static mos_status perform(CURL *curl, struct mos_kms_response *out, struct mos_error *error) {
    char reason[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    if (code != CURLE_OK) {
        return mos_fail(error, MOS_UNAVAILABLE, "the KMS gives no answer: %s", *reason ? reason : curl_easy_strerror(code));
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->code);
    return MOS_OK;
}

mos_status mos_kms_exchange(const struct mos_kms_options *options, const struct mos_kms_request *request, struct mos_kms_response *out,
                            struct mos_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = NULL;
    if (!curl) {
        return mos_fail(error, MOS_INTERNAL, "libcurl does not start");
    }
    for (size_t i = 0; request->headers[i]; i++) {
        headers = curl_slist_append(headers, request->headers[i]);
    }
    *out = (struct mos_kms_response){0};
    mos_buffer_reserve(&out->body, RESPONSE_LIMIT_BYTES + 1);
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(options->timeout_ms < CONNECT_TIMEOUT_MS ? options->timeout_ms : CONNECT_TIMEOUT_MS));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &out->body);
    if (*options->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
    }
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request->body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    if (request->signature) {
        curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, request->signature);
        curl_easy_setopt(curl, CURLOPT_USERNAME, request->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, request->password);
    }
    mos_status status = perform(curl, out, error);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    if (status != MOS_OK) {
        mos_kms_response_free(out);
    }
    return status;
}

void mos_kms_append_base64(struct mos_buffer *out, const uint8_t *data, size_t size_bytes) {
    size_t length = sodium_base64_encoded_len(size_bytes, sodium_base64_VARIANT_ORIGINAL);
    char *text = mos_malloc(length);
    sodium_bin2base64(text, length, data, size_bytes, sodium_base64_VARIANT_ORIGINAL);
    mos_buffer_printf(out, "\"%s\"", text);
    sodium_memzero(text, length);
    free(text);
}

bool mos_kms_take_base64(const char *text, struct mos_buffer *out) {
    size_t length = strlen(text);
    size_t size_bytes = 0;
    const char *end = NULL;
    mos_buffer_reserve(out, length + 1);
    bool good = sodium_base642bin(out->data + out->size_bytes, length, text, length, NULL, &size_bytes, &end,
                                  sodium_base64_VARIANT_ORIGINAL) == 0 &&
                end == text + length;
    out->size_bytes += good ? size_bytes : 0;
    // It lies in an arena, which is given back as it is.
    sodium_memzero((void *)(uintptr_t)text, length);
    return good;
}
