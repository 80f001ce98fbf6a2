#include "control/offsite/hash.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>

#include "common/log.h"

struct mos_store_hash {
    EVP_MD_CTX *context;
    const EVP_MD *kind;
};

static void must(int done) {
    if (done != 1) {
        mos_log_error("a digest does not start");
        abort();
    }
}

mos_store_hash *mos_store_hash_new(enum mos_store_hash_kind kind) {
    mos_store_hash *hash = mos_calloc(1, sizeof(*hash));
    hash->kind = kind == MOS_STORE_MD5 ? EVP_md5() : EVP_sha256();
    hash->context = EVP_MD_CTX_new();
    must(hash->context != NULL);
    must(EVP_DigestInit_ex(hash->context, hash->kind, NULL));
    return hash;
}

void mos_store_hash_update(mos_store_hash *hash, const void *data, size_t size_bytes) {
    must(EVP_DigestUpdate(hash->context, data, size_bytes));
}

void mos_store_hash_take(mos_store_hash *hash, uint8_t *out) {
    must(EVP_DigestFinal_ex(hash->context, out, NULL));
    must(EVP_DigestInit_ex(hash->context, hash->kind, NULL));
}

void mos_store_hash_free(mos_store_hash *hash) {
    if (hash) {
        EVP_MD_CTX_free(hash->context);
        free(hash);
    }
}

void mos_store_sha256(const void *data, size_t size_bytes, uint8_t out[MOS_STORE_HASH_BYTES]) {
    must(EVP_Digest(data, size_bytes, out, NULL, EVP_sha256(), NULL));
}

void mos_store_base64(const uint8_t *data, size_t size_bytes, char text[MOS_STORE_BASE64_BYTES]) {
    sodium_bin2base64(text, MOS_STORE_BASE64_BYTES, data, size_bytes, sodium_base64_VARIANT_ORIGINAL);
}
