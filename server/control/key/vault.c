// HashiCorp Vault and OpenBao: the transit engine.
#include <stdio.h>
#include <string.h>

#include "control/key/driver.h"

static mos_status fail_answer(const struct mos_kms_response *response, const struct mos_json *json, struct mos_error *error) {
    const struct mos_json *errors = mos_json_member(json, "errors");
    const struct mos_json *first = errors && errors->kind == MOS_JSON_ARRAY ? errors->first : NULL;
    const char *message = first && first->kind == MOS_JSON_STRING ? first->string : "";
    mos_status status;
    switch (response->code) {
    case 403:
        status = MOS_PERMISSION_DENIED;
        break;
    case 404:
        status = MOS_NOT_FOUND;
        break;
    case 429:
        status = MOS_RESOURCE_EXHAUSTED;
        break;
    case 400:
        // Of a key that was deleted, a version below the least that may decrypt, or bytes that it never wrapped.
        status = strstr(message, "not found") || strstr(message, "too old")       ? MOS_FAILED_PRECONDITION
                 : strstr(message, "cipher") || strstr(message, "authentication") ? MOS_CORRUPT
                                                                                  : MOS_FAILED_PRECONDITION;
        break;
    default:
        // Sealed, standing by, or broken.
        status = response->code >= 500 ? MOS_UNAVAILABLE : MOS_FAILED_PRECONDITION;
    }
    return mos_fail(error, status, "Vault answers %ld%s%.300s", response->code, *message ? ": " : "", message);
}

static bool plain_name(const char *text) {
    return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-")] == 0 && !strstr(text, "..");
}

// `body` NULL: GET. The answer's JSON lives in the arena; NULL for one without content.
static mos_status call(const struct mos_kms_options *options, const char *action, const char *key, const char *behind, const char *body,
                       mos_arena *arena, const struct mos_json **out, struct mos_error *error) {
    char url[2048], token[2100];
    struct mos_kms_response response;
    if (!plain_name(key) || !plain_name(options->vault_mount)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "\"%.100s\" is no name of a transit key, or \"%.100s\" of its mount", key,
                        options->vault_mount);
    }
    snprintf(url, sizeof(url), "%s/v1/%s/%s/%s%s", options->vault_address, options->vault_mount, action, key, behind);
    snprintf(token, sizeof(token), "X-Vault-Token: %s", options->vault_token);
    const struct mos_kms_request request = {
        .url = url, .headers = {token, "X-Vault-Request: true", body ? "Content-Type: application/json" : NULL}, .body = body};
    mos_status status = mos_kms_exchange(options, &request, &response, error);
    if (status != MOS_OK) {
        return status;
    }
    *out = mos_json_parse(arena, (const char *)response.body.data, response.body.size_bytes);
    if (response.code != 200 && response.code != 204) {
        status = fail_answer(&response, *out, error);
    } else if (response.code == 200 && !*out) {
        status = mos_fail(error, MOS_UNAVAILABLE, "Vault answers no JSON");
    }
    mos_kms_response_free(&response);
    return status;
}

static mos_status wrap(const struct mos_kms_options *options, const char *key, const uint8_t *plain, size_t plain_bytes,
                       struct mos_buffer *out, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_buffer body = MOS_BUFFER_INIT(0);
    const struct mos_json *json = NULL;
    mos_buffer_reserve(&body, 4096 + 2 * plain_bytes);
    mos_buffer_append_text(&body, "{\"plaintext\":");
    mos_kms_append_base64(&body, plain, plain_bytes);
    mos_buffer_append_text(&body, "}");
    mos_status status = call(options, "encrypt", key, "", mos_buffer_text(&body), arena, &json, error);
    mos_kms_wipe_buffer(&body);
    if (status != MOS_OK) {
        return status;
    }
    const char *text = mos_json_text(mos_json_member(json, "data"), "ciphertext");
    if (!text) {
        return mos_fail(error, MOS_UNAVAILABLE, "Vault answers without a ciphertext");
    }
    mos_buffer_append(out, text, strlen(text));
    return MOS_OK;
}

static mos_status unwrap(const struct mos_kms_options *options, const char *key, const uint8_t *wrapped, size_t wrapped_bytes,
                         struct mos_buffer *out, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_BUFFER struct mos_buffer body = MOS_BUFFER_INIT(0);
    const struct mos_json *json = NULL;
    char *text = mos_arena_alloc(arena, wrapped_bytes + 1);
    memcpy(text, wrapped, wrapped_bytes);
    mos_buffer_append_text(&body, "{\"ciphertext\":");
    mos_json_append_text(&body, text);
    mos_buffer_append_text(&body, "}");
    mos_status status = call(options, "decrypt", key, "", mos_buffer_text(&body), arena, &json, error);
    if (status != MOS_OK) {
        return status;
    }
    const char *plain = mos_json_text(mos_json_member(json, "data"), "plaintext");
    return plain && mos_kms_take_base64(plain, out) ? MOS_OK : mos_fail(error, MOS_UNAVAILABLE, "Vault answers without a plaintext");
}

static mos_status describe(const struct mos_kms_options *options, const char *key, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_json *json = NULL;
    return call(options, "keys", key, "", NULL, arena, &json, error);
}

static mos_status rotate(const struct mos_kms_options *options, const char *key, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_json *json = NULL;
    return call(options, "keys", key, "/rotate", "{}", arena, &json, error);
}

const struct mos_kms_driver mos_kms_vault = {.scheme = "vault", .wrap = wrap, .unwrap = unwrap, .describe = describe, .rotate = rotate};
