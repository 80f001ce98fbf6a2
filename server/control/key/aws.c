// AWS KMS: Encrypt, Decrypt and DescribeKey, signed with version 4.
#include <stdio.h>
#include <string.h>

#include "control/key/driver.h"

static mos_status fail_answer(const struct mos_kms_response *response, const struct mos_json *json, struct mos_error *error) {
    static const struct {
        const char *type;
        mos_status status;
    } types[] = {
        {"DisabledException", MOS_FAILED_PRECONDITION},
        {"KMSInvalidStateException", MOS_FAILED_PRECONDITION},
        {"KeyUnavailableException", MOS_UNAVAILABLE},
        {"DependencyTimeoutException", MOS_UNAVAILABLE},
        {"KMSInternalException", MOS_UNAVAILABLE},
        {"ThrottlingException", MOS_RESOURCE_EXHAUSTED},
        {"LimitExceededException", MOS_RESOURCE_EXHAUSTED},
        {"NotFoundException", MOS_NOT_FOUND},
        {"AccessDeniedException", MOS_PERMISSION_DENIED},
        {"UnrecognizedClientException", MOS_PERMISSION_DENIED},
        {"InvalidSignatureException", MOS_PERMISSION_DENIED},
        {"InvalidCiphertextException", MOS_CORRUPT},
        {"IncorrectKeyException", MOS_CORRUPT},
    };
    const char *type = mos_json_text(json, "__type");
    const char *message = mos_json_text(json, "message");
    message = message ? message : mos_json_text(json, "Message");
    const char *hash = type ? strrchr(type, '#') : NULL;
    type = hash ? hash + 1 : type ? type : "";
    mos_status status = response->code == 429   ? MOS_RESOURCE_EXHAUSTED
                        : response->code >= 500 ? MOS_UNAVAILABLE
                        : response->code == 403 ? MOS_PERMISSION_DENIED
                                                : MOS_FAILED_PRECONDITION;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        status = strcmp(types[i].type, type) == 0 ? types[i].status : status;
    }
    return mos_fail(error, status, "AWS KMS answers %ld %s%s%.300s", response->code, type, message ? ": " : "", message ? message : "");
}

// The answer's JSON lives in the arena.
static mos_status call(const struct mos_kms_options *options, const char *action, const char *body, mos_arena *arena,
                       const struct mos_json **out, struct mos_error *error) {
    char url[1024], target[96], token[2100], signature[128];
    struct mos_kms_response response;
    snprintf(url, sizeof(url), "https://kms.%s.amazonaws.com/", options->aws_region);
    snprintf(target, sizeof(target), "X-Amz-Target: TrentService.%s", action);
    snprintf(token, sizeof(token), "X-Amz-Security-Token: %s", options->aws_session_token);
    snprintf(signature, sizeof(signature), "aws:amz:%s:kms", options->aws_region);
    const struct mos_kms_request request = {
        .url = *options->aws_endpoint ? options->aws_endpoint : url,
        .headers = {"Content-Type: application/x-amz-json-1.1", target, *options->aws_session_token ? token : NULL},
        .body = body,
        .signature = signature,
        .user = options->aws_access_key_id,
        .password = options->aws_secret_access_key};
    mos_status status = mos_kms_exchange(options, &request, &response, error);
    if (status != MOS_OK) {
        return status;
    }
    *out = mos_json_parse(arena, (const char *)response.body.data, response.body.size_bytes);
    if (response.code != 200) {
        status = fail_answer(&response, *out, error);
    } else if (!*out) {
        status = mos_fail(error, MOS_UNAVAILABLE, "AWS KMS answers no JSON");
    }
    mos_kms_response_free(&response);
    return status;
}

static mos_status transform(const struct mos_kms_options *options, const char *action, const char *key, const char *gives,
                            const char *takes, const uint8_t *data, size_t size_bytes, struct mos_buffer *out, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_buffer body = MOS_BUFFER_INIT(0);
    const struct mos_json *json = NULL;
    mos_buffer_reserve(&body, 4096 + 2 * size_bytes);
    mos_buffer_append_text(&body, "{\"KeyId\":");
    mos_json_append_text(&body, key);
    mos_buffer_printf(&body, ",\"%s\":", gives);
    mos_kms_append_base64(&body, data, size_bytes);
    mos_buffer_append_text(&body, "}");
    mos_status status = call(options, action, mos_buffer_text(&body), arena, &json, error);
    mos_kms_wipe_buffer(&body);
    if (status != MOS_OK) {
        return status;
    }
    const char *text = mos_json_text(json, takes);
    return text && mos_kms_take_base64(text, out) ? MOS_OK : mos_fail(error, MOS_UNAVAILABLE, "AWS KMS answers without %s", takes);
}

static mos_status wrap(const struct mos_kms_options *options, const char *key, const uint8_t *plain, size_t plain_bytes,
                       struct mos_buffer *out, struct mos_error *error) {
    return transform(options, "Encrypt", key, "Plaintext", "CiphertextBlob", plain, plain_bytes, out, error);
}

static mos_status unwrap(const struct mos_kms_options *options, const char *key, const uint8_t *wrapped, size_t wrapped_bytes,
                         struct mos_buffer *out, struct mos_error *error) {
    return transform(options, "Decrypt", key, "CiphertextBlob", "Plaintext", wrapped, wrapped_bytes, out, error);
}

static mos_status describe(const struct mos_kms_options *options, const char *key, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_BUFFER struct mos_buffer body = MOS_BUFFER_INIT(0);
    const struct mos_json *json = NULL;
    mos_buffer_append_text(&body, "{\"KeyId\":");
    mos_json_append_text(&body, key);
    mos_buffer_append_text(&body, "}");
    mos_status status = call(options, "DescribeKey", mos_buffer_text(&body), arena, &json, error);
    if (status != MOS_OK) {
        return status;
    }
    const char *state = mos_json_text(mos_json_member(json, "KeyMetadata"), "KeyState");
    return state && strcmp(state, "Enabled") == 0
               ? MOS_OK
               : mos_fail(error, MOS_FAILED_PRECONDITION, "the key %s is in the state %s", key, state ? state : "unknown");
}

// AWS rotates the material behind a key id by itself.
const struct mos_kms_driver mos_kms_aws = {.scheme = "aws", .wrap = wrap, .unwrap = unwrap, .describe = describe};
