// What stands behind "Bearer": as it comes, and once more with a signature that is right for it, so that its claims are read too.
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "control/access/jwt.h"

static const char secret[] = "a secret that is shared";
static const int64_t now_unix_ns = INT64_C(1767225600) * 1000000000;

static mos_status verify(const char *token, size_t size_bytes, struct mos_jwt *out) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    mos_status status = mos_jwt_verify(token, size_bytes, secret, now_unix_ns, arena, out, NULL);
    if (status == MOS_OK && (!*out->user_id || out->role < MOS_ROLE_NONE || out->role > MOS_ROLE_ADMIN)) {
        abort();
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { SIGNATURE_TEXT = 44 };
    struct mos_jwt jwt;
    MOS_CLEANUP_FREE char *token = mos_malloc(size);
    if (size > 0) {
        memcpy(token, data, size);
    }
    // Nobody guesses a signature.
    if (verify(token, size, &jwt) == MOS_OK) {
        abort();
    }
    static const char header[] = "{\"alg\":\"HS256\"}";
    size_t header_bytes = sodium_base64_encoded_len(sizeof(header) - 1, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    size_t claims_bytes = sodium_base64_encoded_len(size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    MOS_CLEANUP_FREE char *made = mos_malloc(header_bytes + claims_bytes + SIGNATURE_TEXT);
    sodium_bin2base64(made, header_bytes, (const unsigned char *)header, sizeof(header) - 1, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    made[header_bytes - 1] = '.';
    sodium_bin2base64(made + header_bytes, claims_bytes, data, size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    size_t signed_bytes = header_bytes + claims_bytes - 1;
    unsigned char signature[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)made, signed_bytes);
    crypto_auth_hmacsha256_final(&state, signature);
    made[signed_bytes] = '.';
    sodium_bin2base64(made + signed_bytes + 1, SIGNATURE_TEXT, signature, sizeof(signature), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    verify(made, signed_bytes + SIGNATURE_TEXT, &jwt);
    return 0;
}
