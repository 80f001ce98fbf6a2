// AES-256-GCM. Sealed data is the ciphertext with its tag of 16 bytes behind it.
#ifndef MOS_ENGINE_CRYPTO_AEAD_H
#define MOS_ENGINE_CRYPTO_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/crypto/secret.h"

#define MOS_AEAD_TAG_BYTES 16
#define MOS_AEAD_NONCE_BYTES 12

// A key ready for use. Several threads may seal and open with the same object at once.
typedef struct mos_aead mos_aead;
mos_aead *mos_aead_create(const struct mos_key *key);
// Wipes the key. NULL is allowed.
void mos_aead_destroy(mos_aead *aead);

// Four zero bytes and the number, little endian.
void mos_aead_counter_nonce(uint64_t number, uint8_t out_nonce[MOS_AEAD_NONCE_BYTES]);

// `out_sealed` has room for size_bytes + MOS_AEAD_TAG_BYTES; it may be `plain` itself.
void mos_aead_seal(const mos_aead *aead, const uint8_t nonce[MOS_AEAD_NONCE_BYTES], const void *additional, size_t additional_bytes,
                   const void *plain, size_t size_bytes, uint8_t *out_sealed);
// false when the data, the nonce, the additional data or the key is not the one it was sealed with. `out_plain` has room for
// size_bytes - MOS_AEAD_TAG_BYTES; it may be `sealed` itself.
bool mos_aead_open(const mos_aead *aead, const uint8_t nonce[MOS_AEAD_NONCE_BYTES], const void *additional, size_t additional_bytes,
                   const void *sealed, size_t size_bytes, uint8_t *out_plain);

#endif
