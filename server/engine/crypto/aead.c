#include "engine/crypto/aead.h"

#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

// The context alone: EVP_AEAD_CTX is allocated by BoringSSL, which wipes what it frees.
struct mos_aead {
    EVP_AEAD_CTX context;
};

mos_aead *mos_aead_create(const struct mos_key *key) {
    mos_aead *aead = OPENSSL_malloc(sizeof(*aead));
    if (!aead || !EVP_AEAD_CTX_init(&aead->context, EVP_aead_aes_256_gcm(), key->bytes, sizeof(key->bytes), MOS_AEAD_TAG_BYTES, NULL)) {
        mos_log_error("out of memory", MOS_TEXT("where", "cipher"));
        abort();
    }
    return aead;
}

void mos_aead_destroy(mos_aead *aead) {
    if (aead) {
        EVP_AEAD_CTX_cleanup(&aead->context);
        // Wipes it.
        OPENSSL_free(aead);
    }
}

void mos_aead_counter_nonce(uint64_t number, uint8_t out_nonce[MOS_AEAD_NONCE_BYTES]) {
    memset(out_nonce, 0, 4);
    for (int i = 0; i < 8; i++) {
        out_nonce[4 + i] = (uint8_t)(number >> (8 * i));
    }
}

void mos_aead_seal(const mos_aead *aead, const uint8_t nonce[MOS_AEAD_NONCE_BYTES], const void *additional, size_t additional_bytes,
                   const void *plain, size_t size_bytes, uint8_t *out_sealed) {
    size_t sealed_bytes = 0;
    // Fails only for lengths that GCM cannot take (64 GiB), which no caller has.
    if (!EVP_AEAD_CTX_seal(&aead->context, out_sealed, &sealed_bytes, size_bytes + MOS_AEAD_TAG_BYTES, nonce, MOS_AEAD_NONCE_BYTES, plain,
                           size_bytes, additional, additional_bytes)) {
        mos_log_error("data could not be sealed", MOS_NUMBER("bytes", size_bytes));
        abort();
    }
}

bool mos_aead_open(const mos_aead *aead, const uint8_t nonce[MOS_AEAD_NONCE_BYTES], const void *additional, size_t additional_bytes,
                   const void *sealed, size_t size_bytes, uint8_t *out_plain) {
    if (size_bytes < MOS_AEAD_TAG_BYTES) {
        return false;
    }
    size_t plain_bytes = 0;
    if (!EVP_AEAD_CTX_open(&aead->context, out_plain, &plain_bytes, size_bytes - MOS_AEAD_TAG_BYTES, nonce, MOS_AEAD_NONCE_BYTES, sealed,
                           size_bytes, additional, additional_bytes)) {
        ERR_clear_error();
        return false;
    }
    return plain_bytes == size_bytes - MOS_AEAD_TAG_BYTES;
}
