// Wrapped keys as objects: keys/<owner>/<key version>. Thread safe.
#ifndef MOS_ENGINE_REPO_KEY_OBJECT_H
#define MOS_ENGINE_REPO_KEY_OBJECT_H

#include "common/buffer.h"
#include "engine/repo/repository.h"

#define MOS_KEY_OBJECT_BYTES 102
// Of a remote version: what a service gives is larger.
#define MOS_KEY_OBJECT_LIMIT_BYTES 16384

// What a wrapped key is bound to.
struct mos_key_binding {
    uint8_t repository_id[16];
    // The backup's, zero for the repository secret.
    uint8_t backup_id[16];
    // SHA-256 of the `repository` object; NULL for a backup's key.
    const uint8_t *repository_hash;
};

void mos_key_object_seal(const struct mos_key *kek, uint32_t version, const struct mos_key_binding *binding, const struct mos_key *key,
                         uint8_t out_object[MOS_KEY_OBJECT_BYTES]);
// The version stands in the object and must be the one of its name.
bool mos_key_object_open(const struct mos_key *kek, uint32_t version, const struct mos_key_binding *binding, const uint8_t *object,
                         size_t size_bytes, struct mos_key *out_key);

// The whole object under a version that the keyring holds, local or remote; `out` is emptied first. Of a remote one: MOS_UNAVAILABLE and
// the like from its service.
mos_status mos_key_wrap(const mos_keyring *keyring, uint32_t version, const struct mos_key_binding *binding, const struct mos_key *key,
                        struct mos_buffer *out, struct mos_error *error);
// And back. MOS_FAILED_PRECONDITION: the keyring does not hold the version; MOS_CORRUPT: the object does not open.
mos_status mos_key_unwrap(const mos_keyring *keyring, uint32_t version, const struct mos_key_binding *binding, const uint8_t *object,
                          size_t size_bytes, struct mos_key *out_key, struct mos_error *error);

// Whether the service wraps under the reference, and unwraps again: before a version that refers to it is written anywhere.
mos_status mos_key_service_try(const struct mos_key_service *service, const char *reference, struct mos_error *error);

// Tries the versions in the folder (keys/<owner>), the highest first. MOS_NOT_FOUND: the folder holds none. MOS_FAILED_PRECONDITION: the
// keyring has none of the versions. MOS_CORRUPT: none opens.
mos_status mos_key_load(int root, const char *folder, const mos_keyring *keyring, const struct mos_key_binding *binding,
                        struct mos_key *out_key, uint32_t *out_version, struct mos_error *error);
// 1 to 4294967295 without leading zeros; 0 for anything else.
uint32_t mos_key_version_parse(const char *name);

// Objects that end with the SHA-256 of all bytes before: appended, and checked.
bool mos_object_digest_fits(const uint8_t *object, size_t size_bytes);

#endif
