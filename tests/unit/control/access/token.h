// Tokens as the POS signs them, and as somebody else might.
#ifndef MOS_TESTS_UNIT_CONTROL_ACCESS_TOKEN_H
#define MOS_TESTS_UNIT_CONTROL_ACCESS_TOKEN_H

#include <sodium.h>
#include <string.h>

#include "common/arena.h"

#define POS_SECRET "a secret that the POS and this server share"
#define POS_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
// 2026-01-01, and an hour later.
#define POS_NOW_NS (INT64_C(1767225600) * 1000000000)
#define POS_CLAIMS(role, status)                                                                                                           \
    "{\"userId\":\"u-1\",\"email\":\"a@shop.example\",\"role\":\"" role "\",\"status\":\"" status                                          \
    "\",\"iss\":\"mosaajii-pos\",\"aud\":\"mosaajii-pos-client\",\"iat\":1767225000,\"exp\":1767229200}"

static inline const char *jwt_part(mos_arena *arena, const void *data, size_t size_bytes) {
    size_t length = sodium_base64_encoded_len(size_bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = mos_arena_alloc(arena, length);
    return sodium_bin2base64(text, length, data, size_bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static inline const char *jwt_sign(mos_arena *arena, const char *secret, const char *header, const char *claims) {
    const char *text = mos_arena_printf(arena, "%s.%s", jwt_part(arena, header, strlen(header)), jwt_part(arena, claims, strlen(claims)));
    unsigned char signature[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, strlen(text));
    crypto_auth_hmacsha256_final(&state, signature);
    return mos_arena_printf(arena, "%s.%s", text, jwt_part(arena, signature, sizeof(signature)));
}

#endif
