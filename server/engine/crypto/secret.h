// Memory for keys: locked into RAM where the system allows it, left out of core dumps, wiped before it is given back. Thread safe.
#ifndef MOS_ENGINE_CRYPTO_SECRET_H
#define MOS_ENGINE_CRYPTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOS_KEY_BYTES 32

// Zeroed; never NULL (running out of system memory ends the program). Takes whole pages: for a few long-lived keys, not for each chunk.
void *mos_secret_alloc(size_t size_bytes);
// Wipes and releases; NULL is allowed. `size_bytes` as given to alloc.
void mos_secret_free(void *memory, size_t size_bytes);
// Cannot be optimised away.
void mos_wipe(void *memory, size_t size_bytes);
// In constant time.
bool mos_secret_equal(const void *a, const void *b, size_t size_bytes);

// For a key in a local variable: `MOS_CLEANUP_KEY struct mos_key key;`
struct mos_key {
    uint8_t bytes[MOS_KEY_BYTES];
};
void mos_key_wipe(struct mos_key *key);
#define MOS_CLEANUP_KEY __attribute__((cleanup(mos_key_wipe)))

#endif
