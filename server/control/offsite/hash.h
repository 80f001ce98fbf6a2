// Digests of what is sent and of what came, by OpenSSL, which libcurl brings. Not thread safe; one digest a thread.
#ifndef MOS_CONTROL_OFFSITE_HASH_H
#define MOS_CONTROL_OFFSITE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "control/offsite/object_store.h"

enum { MOS_STORE_MD5_BYTES = 16 };

typedef struct mos_store_hash mos_store_hash;
enum mos_store_hash_kind { MOS_STORE_SHA256, MOS_STORE_MD5 };

// Never NULL: without the digest the program ends.
mos_store_hash *mos_store_hash_new(enum mos_store_hash_kind kind);
void mos_store_hash_update(mos_store_hash *hash, const void *data, size_t size_bytes);
// 32 or 16 bytes; the digest begins anew.
void mos_store_hash_take(mos_store_hash *hash, uint8_t *out);
void mos_store_hash_free(mos_store_hash *hash);

static inline void mos_store_hash_cleanup(mos_store_hash **hash) {
    mos_store_hash_free(*hash);
}
#define MOS_CLEANUP_HASH __attribute__((cleanup(mos_store_hash_cleanup)))

void mos_store_sha256(const void *data, size_t size_bytes, uint8_t out[MOS_STORE_HASH_BYTES]);

// Base64 with padding, as headers want it.
#define MOS_STORE_BASE64_BYTES 48
void mos_store_base64(const uint8_t *data, size_t size_bytes, char text[MOS_STORE_BASE64_BYTES]);

#endif
