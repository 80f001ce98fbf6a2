// The keyring: the versions of the key-encryption key (KEK) in a text file that only its owner may read.
//
//     mosaajii-keyring 1
//     1 decrypt-only 2026-01-31T12:00:00.000Z 64 hexadecimal digits
//     2 active 2026-02-28T12:00:00.000Z aws:alias/backup
//
// A version is local, and its key stands in its line, or remote: then the line says which key of which service it is. Exactly one version
// is active: it wraps new keys. An escrow copy may say in a line `origin …` before them where it comes from. The file is written anew
// beside the old one, flushed and renamed. It may lie sealed (docs/design/keys.md).
#ifndef MOS_ENGINE_REPO_KEYRING_H
#define MOS_ENGINE_REPO_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/status.h"
#include "engine/crypto/hash.h"
#include "engine/crypto/secret.h"

#define MOS_KEYRING_LIMIT_BYTES (1u << 20)
// No more versions than that in one keyring.
#define MOS_KEYRING_MAX_VERSIONS 4096
// Nor a number above that is given or taken over.
#define MOS_KEYRING_LARGEST_VERSION 1000000

#define MOS_KEY_REFERENCE_BYTES 512

// Immutable but for mos_keyring_rotate, _add, _retire and _merge; reading is thread safe.
typedef struct mos_keyring mos_keyring;

// flock on <path>.lock: whoever changes the keyring holds it from before it is read until it is written. Does not block: MOS_UNAVAILABLE
// while another process holds it. Closing the descriptor gives it back.
mos_status mos_keyring_lock(const char *path, int *out_descriptor, struct mos_error *error);

// Whoever can reach the services of remote versions. Both append to `out`; `out` of unwrap is wiped by its caller. They block.
struct mos_key_service {
    mos_status (*wrap)(void *context, const char *reference, const uint8_t *plain, size_t plain_bytes, struct mos_buffer *out,
                       struct mos_error *error);
    mos_status (*unwrap)(void *context, const char *reference, const uint8_t *wrapped, size_t wrapped_bytes, struct mos_buffer *out,
                         struct mos_error *error);
    void *context;
};

// MOS_NOT_FOUND where there is no file, MOS_FAILED_PRECONDITION when others than the owner can read it, MOS_CORRUPT when it is not a
// keyring. *out is the caller's.
mos_status mos_keyring_load(const char *path, mos_keyring **out, struct mos_error *error);
// The same for one that may lie sealed. `passphrase` NULL or "": none. MOS_FAILED_PRECONDITION: it is sealed and there is no passphrase;
// MOS_PERMISSION_DENIED: that of another one. What is written later is sealed with it.
mos_status mos_keyring_load_sealed(const char *path, const char *passphrase, mos_keyring **out, struct mos_error *error);
// The keyring as its file holds it now, with the same passphrase and service: *out is the caller's. MOS_FAILED_PRECONDITION where that no
// longer holds the version, or holds another key under its number.
mos_status mos_keyring_reread(const mos_keyring *keyring, uint32_t version, mos_keyring **out, struct mos_error *error);
// The same without the keyring, and without reading a file that was not touched since.
mos_status mos_keyring_still_holds(const mos_keyring *keyring, uint32_t version, struct mos_error *error);
// Whether the file lay open though there is a passphrase.
bool mos_keyring_should_be_sealed(const mos_keyring *keyring);
// Writes it as it is, sealed where it should be.
mos_status mos_keyring_save(const mos_keyring *keyring, const char *path, struct mos_error *error);
// A new file with one new key. MOS_ALREADY_EXISTS where there is a file: a keyring is never overwritten by an empty one.
mos_status mos_keyring_create(const char *path, mos_keyring **out, struct mos_error *error);
// The same with passphrase and, for a remote version, its reference (NULL or "": local).
mos_status mos_keyring_make(const char *path, const char *passphrase, const char *reference, mos_keyring **out, struct mos_error *error);
// What follows changes the file: MOS_FAILED_PRECONDITION, and nothing is written, where it is no longer what was read.
//
// As rotate, with the reference of a remote version, and a number above `above` too.
mos_status mos_keyring_add(mos_keyring *keyring, const char *path, const char *reference, uint32_t above, struct mos_error *error);
// Takes a version out. MOS_NOT_FOUND; MOS_FAILED_PRECONDITION for the active one, and for one above it, whose number would be given again.
mos_status mos_keyring_retire(mos_keyring *keyring, const char *path, uint32_t version, struct mos_error *error);
// Takes over all versions of `other` that this one does not have, decrypt-only. MOS_ALREADY_EXISTS where both have a version that is not
// the same key; MOS_INVALID_ARGUMENT for a number that is too large; MOS_RESOURCE_EXHAUSTED for more than a keyring may hold. *out_added:
// how many. Whether `other` belongs here is for the caller to know.
mos_status mos_keyring_merge(mos_keyring *keyring, const mos_keyring *other, const char *path, size_t *out_added, struct mos_error *error);
// The same without any file: a new keyring, the caller's.
mos_status mos_keyring_join(const mos_keyring *keyring, const mos_keyring *other, mos_keyring **out, size_t *out_added,
                            struct mos_error *error);
// Both hold the same key under the same number, each in itself.
bool mos_keyring_shares(const mos_keyring *keyring, const mos_keyring *other);
// An escrow copy, appended to `out`: all that the file holds, sealed with this passphrase. `origin` (MOS_HASH_BYTES; NULL: none) says where
// it comes from. And back; MOS_PERMISSION_DENIED, MOS_CORRUPT.
mos_status mos_keyring_seal(const mos_keyring *keyring, const char *passphrase, const uint8_t *origin, struct mos_buffer *out,
                            struct mos_error *error);
// Borrowed; NULL: it says nothing of where it comes from.
const uint8_t *mos_keyring_origin(const mos_keyring *keyring);
// SHA-256 of its versions, keys included.
void mos_keyring_digest(const mos_keyring *keyring, uint8_t out_digest[MOS_HASH_BYTES]);
mos_status mos_keyring_unseal(const uint8_t *data, size_t size_bytes, const char *passphrase, mos_keyring **out, struct mos_error *error);
// Adds a new active version, makes the others decrypt-only, and writes the file.
mos_status mos_keyring_rotate(mos_keyring *keyring, const char *path, struct mos_error *error);
// The text form alone, for mos_keyring_load and the fuzzer. What is written is read back first: text is appended, to be wiped.
mos_status mos_keyring_text(const mos_keyring *keyring, struct mos_buffer *out, struct mos_error *error);
mos_status mos_keyring_parse(const char *text, size_t size_bytes, mos_keyring **out, struct mos_error *error);
void mos_keyring_free(mos_keyring *keyring);

uint32_t mos_keyring_active_version(const mos_keyring *keyring);
// "local/1", "aws/2"; "unknown/3" for a version that it does not hold.
void mos_keyring_key_id(const mos_keyring *keyring, uint32_t version, char out_key_id[32]);
struct mos_keyring_version {
    uint32_t number;
    bool active;
    int64_t created_unix_ns;
    // NULL: local.
    const char *reference;
};
// By position, from 0 to mos_keyring_count - 1. Borrowed.
struct mos_keyring_version mos_keyring_at(const mos_keyring *keyring, size_t index);
// NULL for a local version, and for one that it does not hold.
const char *mos_keyring_reference(const mos_keyring *keyring, uint32_t version);
bool mos_keyring_has(const mos_keyring *keyring, uint32_t version);
// Borrowed; NULL: none, and remote versions neither wrap nor unwrap (MOS_FAILED_PRECONDITION).
void mos_keyring_set_service(mos_keyring *keyring, const struct mos_key_service *service);
const struct mos_key_service *mos_keyring_service(const mos_keyring *keyring);
// Borrowed; NULL when the keyring does not hold the version, and for a remote one.
const struct mos_key *mos_keyring_key(const mos_keyring *keyring, uint32_t version);
size_t mos_keyring_count(const mos_keyring *keyring);

#endif
