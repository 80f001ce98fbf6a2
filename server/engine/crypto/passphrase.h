// Data sealed under a passphrase: scrypt, then AES-256-GCM. The form stands in docs/design/keys.md. Thread safe.
#ifndef MOS_ENGINE_CRYPTO_PASSPHRASE_H
#define MOS_ENGINE_CRYPTO_PASSPHRASE_H

#include "common/buffer.h"
#include "common/status.h"

// What sealing adds: before, and in all.
#define MOS_PASSPHRASE_HEAD_BYTES (4 + 2 + 1 + 16 + 12 + 4)
#define MOS_PASSPHRASE_MORE_BYTES (MOS_PASSPHRASE_HEAD_BYTES + 16 + 32)

bool mos_passphrase_sealed(const uint8_t *data, size_t size_bytes);
// Appends to `out`. Takes some 32 MiB and a tenth of a second.
mos_status mos_passphrase_seal(const char *passphrase, const void *plain, size_t plain_bytes, struct mos_buffer *out,
                               struct mos_error *error);
// MOS_PERMISSION_DENIED: another passphrase, or changed by somebody; MOS_CORRUPT: not sealed in this form, or cut short. *out is in memory
// for keys, the caller's, to be freed with mos_secret_free and *out_bytes.
mos_status mos_passphrase_open(const char *passphrase, const uint8_t *data, size_t size_bytes, uint8_t **out, size_t *out_bytes,
                               struct mos_error *error);

#endif
