// The local keyring: the key-encryption keys (KEK) in a text file that only its owner may read.
//
//     mosaajii-keyring 1
//     1 decrypt-only 2026-01-31T12:00:00.000Z 64 hexadecimal digits
//     2 active 2026-02-28T12:00:00.000Z 64 hexadecimal digits
//
// Exactly one version is active: it wraps new keys. The file is written anew beside the old one, flushed and renamed.
#ifndef MOS_ENGINE_REPO_KEYRING_H
#define MOS_ENGINE_REPO_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "engine/crypto/secret.h"

#define MOS_KEYRING_LIMIT_BYTES (1u << 20)
// No more versions than that in one keyring.
#define MOS_KEYRING_MAX_VERSIONS 4096

// Immutable but for mos_keyring_rotate; reading is thread safe.
typedef struct mos_keyring mos_keyring;

// MOS_NOT_FOUND where there is no file, MOS_FAILED_PRECONDITION when others than the owner can read it, MOS_CORRUPT when it is not a
// keyring. *out is the caller's.
mos_status mos_keyring_load(const char *path, mos_keyring **out, struct mos_error *error);
// A new file with one new key. MOS_ALREADY_EXISTS where there is a file: a keyring is never overwritten by an empty one.
mos_status mos_keyring_create(const char *path, mos_keyring **out, struct mos_error *error);
// Adds a new active version, makes the others decrypt-only, and writes the file.
mos_status mos_keyring_rotate(mos_keyring *keyring, const char *path, struct mos_error *error);
// The text form alone, for mos_keyring_load and the fuzzer.
mos_status mos_keyring_parse(const char *text, size_t size_bytes, mos_keyring **out, struct mos_error *error);
void mos_keyring_free(mos_keyring *keyring);

uint32_t mos_keyring_active_version(const mos_keyring *keyring);
// Borrowed; NULL when the keyring does not hold the version.
const struct mos_key *mos_keyring_key(const mos_keyring *keyring, uint32_t version);
size_t mos_keyring_count(const mos_keyring *keyring);

#endif
