// SHA-256, HMAC-SHA-256 and HKDF-SHA-256.
#ifndef MOS_ENGINE_CRYPTO_HASH_H
#define MOS_ENGINE_CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "engine/crypto/secret.h"

#define MOS_HASH_BYTES 32

void mos_sha256(const void *data, size_t size_bytes, uint8_t out_digest[MOS_HASH_BYTES]);

// In pieces. Not thread safe per object.
typedef struct mos_hasher mos_hasher;
mos_hasher *mos_hasher_create(void);
void mos_hasher_update(mos_hasher *hasher, const void *data, size_t size_bytes);
// The digest so far; the hasher is then as new.
void mos_hasher_finish(mos_hasher *hasher, uint8_t out_digest[MOS_HASH_BYTES]);
void mos_hasher_destroy(mos_hasher *hasher);

void mos_hmac(const struct mos_key *key, const void *data, size_t size_bytes, uint8_t out_mac[MOS_HASH_BYTES]);

// HKDF with SHA-256: `info` says what the derived bytes are for, and is a constant text. At most 8160 bytes.
void mos_derive(const struct mos_key *key, const void *salt, size_t salt_bytes, const char *info, void *out, size_t out_bytes);

#endif
