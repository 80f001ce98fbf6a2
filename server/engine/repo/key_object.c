#include "engine/repo/key_object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/crypto/aead.h"
#include "engine/repo/bytes.h"
#include "engine/repo/files.h"

#define PURPOSE "mosaajii key 1"
#define NONCE_AT 6
#define VERSION_AT 18
#define SEALED_AT 22
#define SEALED_BYTES (MOS_KEY_BYTES + MOS_AEAD_TAG_BYTES)
#define DIGEST_AT (SEALED_AT + SEALED_BYTES)

struct additional {
    uint8_t bytes[sizeof(PURPOSE) - 1 + 16 + 16 + 4 + MOS_HASH_BYTES];
    size_t size_bytes;
};

static struct additional additional_data(const struct mos_key_binding *binding, uint32_t version) {
    struct additional additional = {0};
    uint8_t *next = additional.bytes;
    memcpy(next, PURPOSE, sizeof(PURPOSE) - 1);
    next += sizeof(PURPOSE) - 1;
    memcpy(next, binding->repository_id, 16);
    memcpy(next + 16, binding->backup_id, 16);
    mos_put_u32(next + 32, version);
    next += 36;
    if (binding->repository_hash) {
        memcpy(next, binding->repository_hash, MOS_HASH_BYTES);
        next += MOS_HASH_BYTES;
    }
    additional.size_bytes = (size_t)(next - additional.bytes);
    return additional;
}

bool mos_object_digest_fits(const uint8_t *object, size_t size_bytes) {
    uint8_t digest[MOS_HASH_BYTES];
    if (size_bytes < MOS_HASH_BYTES) {
        return false;
    }
    mos_sha256(object, size_bytes - MOS_HASH_BYTES, digest);
    return memcmp(digest, object + size_bytes - MOS_HASH_BYTES, MOS_HASH_BYTES) == 0;
}

void mos_key_object_seal(const struct mos_key *kek, uint32_t version, const struct mos_key_binding *binding, const struct mos_key *key,
                         uint8_t out_object[MOS_KEY_OBJECT_BYTES]) {
    memcpy(out_object, "MKEY", 4);
    mos_put_u16(out_object + 4, MOS_REPOSITORY_FORMAT);
    mos_random(out_object + NONCE_AT, MOS_AEAD_NONCE_BYTES);
    mos_put_u32(out_object + VERSION_AT, version);
    struct additional additional = additional_data(binding, version);
    mos_aead *aead = mos_aead_create(kek);
    mos_aead_seal(aead, out_object + NONCE_AT, additional.bytes, additional.size_bytes, key->bytes, MOS_KEY_BYTES, out_object + SEALED_AT);
    mos_aead_destroy(aead);
    mos_sha256(out_object, DIGEST_AT, out_object + DIGEST_AT);
}

bool mos_key_object_open(const struct mos_key *kek, uint32_t version, const struct mos_key_binding *binding, const uint8_t *object,
                         size_t size_bytes, struct mos_key *out_key) {
    // The digest is for those without a key; here the tag decides, so that a changed digest alone loses no backup.
    if (size_bytes != MOS_KEY_OBJECT_BYTES || memcmp(object, "MKEY", 4) != 0 || mos_get_u16(object + 4) != MOS_REPOSITORY_FORMAT ||
        mos_get_u32(object + VERSION_AT) != version) {
        return false;
    }
    struct additional additional = additional_data(binding, version);
    mos_aead *aead = mos_aead_create(kek);
    bool opened =
        mos_aead_open(aead, object + NONCE_AT, additional.bytes, additional.size_bytes, object + SEALED_AT, SEALED_BYTES, out_key->bytes);
    mos_aead_destroy(aead);
    return opened;
}

uint32_t mos_key_version_parse(const char *name) {
    char *end = NULL;
    errno = 0;
    unsigned long long number = name[0] >= '1' && name[0] <= '9' ? strtoull(name, &end, 10) : 0;
    return number > 0 && errno == 0 && *end == 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
}

mos_status mos_key_load(int root, const char *folder, const mos_keyring *keyring, const struct mos_key_binding *binding,
                        struct mos_key *out_key, uint32_t *out_version, struct mos_error *error) {
    struct mos_names names;
    mos_status status = mos_folder_list(root, folder, &names, error);
    if (status != MOS_OK) {
        return status;
    }
    uint32_t tried = UINT32_MAX;
    size_t objects = 0;
    size_t known = 0;
    bool opened = false;
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    for (bool more = true; more && !opened;) {
        // The highest version below the last one tried; a folder holds one or two.
        uint32_t version = 0;
        for (size_t i = 0; i < names.count; i++) {
            uint32_t number = mos_key_version_parse(names.names[i]);
            if (number > version && (number < tried || (tried == UINT32_MAX && objects == 0))) {
                version = number;
            }
        }
        more = version != 0;
        if (more) {
            tried = version;
            objects++;
            const struct mos_key *kek = mos_keyring_key(keyring, version);
            known += kek != NULL;
            char name[MOS_OBJECT_NAME_BYTES];
            snprintf(name, sizeof(name), "%s/%u", folder, version);
            opened = kek && mos_file_read(root, name, MOS_KEY_OBJECT_BYTES, &object, NULL) == MOS_OK &&
                     mos_key_object_open(kek, version, binding, object.data, object.size_bytes, out_key);
            *out_version = version;
        }
    }
    mos_names_free(&names);
    if (objects == 0) {
        return mos_fail(error, MOS_NOT_FOUND, "%s holds no key", folder);
    }
    if (known == 0) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the keyring does not hold version %u of the key that %s needs", tried, folder);
    }
    return opened ? MOS_OK : mos_fail(error, MOS_CORRUPT, "no key in %s opens: it is damaged or was made with another keyring", folder);
}
