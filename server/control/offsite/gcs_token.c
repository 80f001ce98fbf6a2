#include "control/offsite/gcs_token.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"

enum { FILE_LIMIT_BYTES = 64 * 1024, TOKEN_SECONDS = 3600, SPARE_SECONDS = 120 };

struct mos_gcs_account {
    char *email;
    char *token_uri;
    EVP_PKEY *key;
    pthread_mutex_t mutex;
    char *token;
    int64_t token_until_unix_ns;
};

static mos_status fail_file(struct mos_error *error, const char *why) {
    return mos_fail_field(error, "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS: the file %s", why);
}

// https://, or loopback.
static bool token_uri_good(const char *uri) {
    char host[256];
    const char *path = strlen(uri) > 8 ? strchr(uri + 8, '/') : NULL;
    snprintf(host, sizeof(host), "%.*s", (int)(path ? path - uri : (long)strlen(uri)), uri);
    return strlen(uri) < sizeof(host) && mos_store_endpoint_check(host, NULL) == MOS_OK;
}

static mos_status read_account(mos_gcs_account *account, const char *text, size_t size_bytes, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    const struct mos_json *json = mos_json_parse(arena, text, size_bytes);
    const char *email = mos_json_text(json, "client_email"), *key = mos_json_text(json, "private_key");
    const char *uri = mos_json_text(json, "token_uri");
    if (!email || !key) {
        return fail_file(error, "is not that of a service account: client_email or private_key is missing");
    }
    uri = uri ? uri : "https://oauth2.googleapis.com/token";
    if (!token_uri_good(uri)) {
        return fail_file(error, "has a token_uri that is not https://");
    }
    BIO *pem = BIO_new_mem_buf(key, -1);
    account->key = pem ? PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL) : NULL;
    BIO_free(pem);
    sodium_memzero((void *)(uintptr_t)key, strlen(key));
    if (!account->key || EVP_PKEY_base_id(account->key) != EVP_PKEY_RSA) {
        return fail_file(error, "holds no RSA key");
    }
    account->email = mos_strdup(email);
    account->token_uri = mos_strdup(uri);
    return MOS_OK;
}

mos_status mos_gcs_account_open(mos_gcs_account **out, const char *file, struct mos_error *error) {
    MOS_CLEANUP_FREE char *text = mos_malloc(FILE_LIMIT_BYTES);
    MOS_CLEANUP_FD int descriptor = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t size = descriptor >= 0 ? read(descriptor, text, FILE_LIMIT_BYTES) : -1;
    if (size < 0) {
        return fail_file(error, "cannot be read");
    }
    mos_gcs_account *account = mos_calloc(1, sizeof(*account));
    pthread_mutex_init(&account->mutex, NULL);
    mos_status status = size < FILE_LIMIT_BYTES ? read_account(account, text, (size_t)size, error) : fail_file(error, "is too large");
    sodium_memzero(text, FILE_LIMIT_BYTES);
    if (status != MOS_OK) {
        mos_gcs_account_close(account);
        return status;
    }
    *out = account;
    return MOS_OK;
}

void mos_gcs_account_close(mos_gcs_account *account) {
    if (account) {
        EVP_PKEY_free(account->key);
        mos_store_wipe(account->token);
        pthread_mutex_destroy(&account->mutex);
        free(account->email);
        free(account->token_uri);
        free(account);
    }
}

static void append_base64(struct mos_buffer *out, const void *data, size_t size_bytes) {
    size_t length = sodium_base64_encoded_len(size_bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    MOS_CLEANUP_FREE char *text = mos_malloc(length);
    sodium_bin2base64(text, length, data, size_bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    mos_buffer_append_text(out, text);
}

static bool append_signed(const mos_gcs_account *account, struct mos_buffer *out) {
    static const char header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";
    MOS_CLEANUP_BUFFER struct mos_buffer claims = MOS_BUFFER_INIT(0);
    size_t start = out->size_bytes, signature_bytes = 0;
    long long now = (long long)(mos_now_unix_ns() / MOS_NS_PER_SECOND);
    mos_buffer_append_text(&claims, "{\"iss\":");
    mos_json_append_text(&claims, account->email);
    mos_buffer_append_text(&claims, ",\"scope\":\"https://www.googleapis.com/auth/devstorage.full_control\",\"aud\":");
    mos_json_append_text(&claims, account->token_uri);
    mos_buffer_printf(&claims, ",\"iat\":%lld,\"exp\":%lld}", now, now + TOKEN_SECONDS);
    append_base64(out, header, sizeof(header) - 1);
    mos_buffer_append_text(out, ".");
    append_base64(out, claims.data, claims.size_bytes);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[1024];
    signature_bytes = sizeof(signature);
    bool good = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, account->key) == 1 &&
                EVP_DigestSign(context, signature, &signature_bytes, out->data + start, out->size_bytes - start) == 1;
    EVP_MD_CTX_free(context);
    mos_buffer_append_text(out, ".");
    if (good) {
        append_base64(out, signature, signature_bytes);
    }
    return good;
}

static mos_status take_token(mos_gcs_account *account, const struct mos_store_http_response *response, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    const struct mos_json *json = mos_json_parse(arena, (const char *)response->body.data, response->body.size_bytes);
    const char *token = mos_json_text(json, "access_token");
    const struct mos_json *lifetime = mos_json_member(json, "expires_in");
    if (response->code != 200) {
        const char *why = mos_json_text(json, "error_description");
        why = why ? why : mos_json_text(json, "error");
        // The times that were signed, iat and exp, are not those of Google.
        if (why && strstr(why, "iat and exp")) {
            return mos_fail(error, MOS_FAILED_PRECONDITION, "Google gives %s no access: the clock of this machine is not that of Google",
                            account->email);
        }
        mos_status status = response->code == 400 ? MOS_UNAUTHENTICATED : mos_store_http_status(response->code);
        return mos_fail(error, status, "Google gives %s no access: %ld %.200s", account->email, response->code, why ? why : "");
    }
    // It stands in a header.
    if (!token || strlen(token) > 8192 || strpbrk(token, "\r\n")) {
        return mos_fail(error, MOS_UNAVAILABLE, "Google answers without an access token");
    }
    double seconds =
        lifetime && lifetime->kind == MOS_JSON_NUMBER && lifetime->number > 0 && lifetime->number < 86400 ? lifetime->number : 300;
    mos_store_wipe(account->token);
    account->token = mos_strdup(token);
    account->token_until_unix_ns = mos_now_unix_ns() + (int64_t)(seconds * (double)MOS_NS_PER_SECOND);
    return MOS_OK;
}

static mos_status ask(mos_gcs_account *account, mos_store_http *http, const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer body = MOS_BUFFER_INIT(0);
    mos_buffer_append_text(&body, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=");
    if (!append_signed(account, &body)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the key of %s does not sign", account->email);
    }
    const struct mos_store_http_request request = {.method = "POST",
                                                   .url = account->token_uri,
                                                   .headers = {"Content-Type: application/x-www-form-urlencoded"},
                                                   .body = mos_buffer_text(&body),
                                                   .body_bytes = body.size_bytes};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_store_http_exchange(http, &request, &response, call, error);
    status = status == MOS_OK ? take_token(account, &response, error) : status;
    if (response.body.data) {
        sodium_memzero(response.body.data, response.body.capacity_bytes);
    }
    return status;
}

mos_status mos_gcs_authorize(mos_gcs_account *account, mos_store_http *http, struct mos_buffer *out, const struct mos_store_call *call,
                             struct mos_error *error) {
    mos_status status = MOS_OK;
    pthread_mutex_lock(&account->mutex);
    if (!account->token || mos_now_unix_ns() > account->token_until_unix_ns - SPARE_SECONDS * MOS_NS_PER_SECOND) {
        status = ask(account, http, call, error);
    }
    if (status == MOS_OK) {
        mos_buffer_printf(out, "Authorization: Bearer %s", account->token);
    }
    pthread_mutex_unlock(&account->mutex);
    return status;
}

void mos_gcs_forget(mos_gcs_account *account) {
    pthread_mutex_lock(&account->mutex);
    account->token_until_unix_ns = 0;
    pthread_mutex_unlock(&account->mutex);
}
