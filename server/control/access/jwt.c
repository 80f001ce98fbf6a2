#include "control/access/jwt.h"

#include <math.h>
#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"

enum { LONGEST_TOKEN_BYTES = 8192 };

static const char issuer[] = "mosaajii-pos";
static const char audience[] = "mosaajii-pos-client";

// Base64url without padding, strictly. NULL where it is none. Lives in the arena, ends with a zero.
static const char *decode(mos_arena *arena, const char *text, size_t size_bytes, size_t *out_bytes) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < size_bytes; i++) {
        // libsodium takes some bytes outside of ASCII for others.
        if (!memchr(alphabet, text[i], sizeof(alphabet) - 1)) {
            return NULL;
        }
    }
    unsigned char *bytes = mos_arena_alloc(arena, size_bytes + 1);
    const char *end = NULL;
    if (!bytes ||
        sodium_base642bin(bytes, size_bytes + 1, text, size_bytes, NULL, out_bytes, &end, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        end != text + size_bytes) {
        return NULL;
    }
    bytes[*out_bytes] = 0;
    return (const char *)bytes;
}

static bool signature_valid(const char *signed_text, size_t signed_bytes, const char *signature, size_t signature_bytes,
                            const char *secret) {
    crypto_auth_hmacsha256_state state;
    unsigned char expected[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)signed_text, signed_bytes);
    crypto_auth_hmacsha256_final(&state, expected);
    sodium_memzero(&state, sizeof(state));
    return signature_bytes == sizeof(expected) && sodium_memcmp(expected, signature, sizeof(expected)) == 0;
}

static bool is_for_us(const struct mos_json *claims) {
    const struct mos_json *aud = mos_json_member(claims, "aud");
    if (aud && aud->kind == MOS_JSON_STRING) {
        return strcmp(aud->string, audience) == 0;
    }
    for (const struct mos_json *one = aud && aud->kind == MOS_JSON_ARRAY ? aud->first : NULL; one; one = one->next) {
        if (one->kind == MOS_JSON_STRING && strcmp(one->string, audience) == 0) {
            return true;
        }
    }
    return false;
}

static mos_status check_claims(const struct mos_json *claims, int64_t now_unix_ns, struct mos_error *error) {
    const char *iss = mos_json_text(claims, "iss");
    const struct mos_json *exp = mos_json_member(claims, "exp");
    const struct mos_json *nbf = mos_json_member(claims, "nbf");
    const struct mos_json *iat = mos_json_member(claims, "iat");
    double now_seconds = (double)now_unix_ns / (double)MOS_NS_PER_SECOND;
    if (!iss || strcmp(iss, issuer) != 0 || !is_for_us(claims)) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the access token was made by or for somebody else");
    }
    if (!exp || exp->kind != MOS_JSON_NUMBER || !isfinite(exp->number) || (iat && iat->kind != MOS_JSON_NUMBER)) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the access token does not say when it was made and when it ends");
    }
    if (exp->number <= now_seconds) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the access token has expired");
    }
    if (nbf && (nbf->kind != MOS_JSON_NUMBER || nbf->number > now_seconds)) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the access token is not valid yet");
    }
    return MOS_OK;
}

static enum mos_role role_of(const struct mos_json *claims) {
    const char *role = mos_json_text(claims, "role");
    const char *status = mos_json_text(claims, "status");
    if (!role || !status || strcmp(status, "ACTIVE") != 0) {
        return MOS_ROLE_NONE;
    }
    return strcmp(role, "ADMIN") == 0     ? MOS_ROLE_ADMIN
           : strcmp(role, "MANAGER") == 0 ? MOS_ROLE_OPERATOR
           : strcmp(role, "VIEWER") == 0  ? MOS_ROLE_VIEWER
                                          : MOS_ROLE_NONE;
}

mos_status mos_jwt_verify(const char *token, size_t size_bytes, const char *secret, int64_t now_unix_ns, mos_arena *arena,
                          struct mos_jwt *out, struct mos_error *error) {
    static const char malformed[] = "the access token is not well formed";
    const char *first = memchr(token, '.', size_bytes);
    const char *second = first ? memchr(first + 1, '.', size_bytes - (size_t)(first + 1 - token)) : NULL;
    if (!second || size_bytes > LONGEST_TOKEN_BYTES || !*secret) {
        return mos_fail(error, MOS_UNAUTHENTICATED, malformed);
    }
    size_t header_bytes, claims_bytes, signature_bytes;
    const char *header_text = decode(arena, token, (size_t)(first - token), &header_bytes);
    const char *claims_text = decode(arena, first + 1, (size_t)(second - first - 1), &claims_bytes);
    const char *signature = decode(arena, second + 1, size_bytes - (size_t)(second + 1 - token), &signature_bytes);
    if (!header_text || !claims_text || !signature) {
        return mos_fail(error, MOS_UNAUTHENTICATED, malformed);
    }
    const struct mos_json *header = mos_json_parse(arena, header_text, header_bytes);
    const char *algorithm = mos_json_text(header, "alg");
    // `crit` names extensions that must be understood; none is.
    if (!algorithm || strcmp(algorithm, "HS256") != 0 || mos_json_member(header, "crit")) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the access token is not signed with HS256");
    }
    if (!signature_valid(token, (size_t)(second - token), signature, signature_bytes, secret)) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the access token's signature is not valid");
    }
    // Nothing of the claims is looked at before they are known to be genuine.
    const struct mos_json *claims = mos_json_parse(arena, claims_text, claims_bytes);
    const char *user_id = mos_json_text(claims, "userId");
    if (!user_id || !*user_id) {
        return mos_fail(error, MOS_UNAUTHENTICATED, malformed);
    }
    mos_status status = check_claims(claims, now_unix_ns, error);
    if (status == MOS_OK) {
        *out = (struct mos_jwt){.user_id = user_id, .role = role_of(claims)};
    }
    return status;
}
