#include "engine/crypto/hash.h"

#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/log.h"

struct mos_hasher {
    SHA256_CTX state;
};

// BoringSSL's digests fail only when memory is out.
static void require(int done) {
    if (!done) {
        mos_log_error("out of memory", MOS_TEXT("where", "hash"));
        abort();
    }
}

void mos_sha256(const void *data, size_t size_bytes, uint8_t out_digest[MOS_HASH_BYTES]) {
    SHA256(data, size_bytes, out_digest);
}

mos_hasher *mos_hasher_create(void) {
    mos_hasher *hasher = mos_calloc(1, sizeof(*hasher));
    SHA256_Init(&hasher->state);
    return hasher;
}

void mos_hasher_update(mos_hasher *hasher, const void *data, size_t size_bytes) {
    SHA256_Update(&hasher->state, data, size_bytes);
}

void mos_hasher_finish(mos_hasher *hasher, uint8_t out_digest[MOS_HASH_BYTES]) {
    SHA256_Final(out_digest, &hasher->state);
    SHA256_Init(&hasher->state);
}

void mos_hasher_destroy(mos_hasher *hasher) {
    free(hasher);
}

void mos_hmac(const struct mos_key *key, const void *data, size_t size_bytes, uint8_t out_mac[MOS_HASH_BYTES]) {
    unsigned length = 0;
    require(HMAC(EVP_sha256(), key->bytes, sizeof(key->bytes), data, size_bytes, out_mac, &length) != NULL);
}

void mos_derive(const struct mos_key *key, const void *salt, size_t salt_bytes, const char *info, void *out, size_t out_bytes) {
    require(HKDF(out, out_bytes, EVP_sha256(), key->bytes, sizeof(key->bytes), salt, salt_bytes, (const uint8_t *)info, strlen(info)));
}
