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

// ---- Remote versions: MKEY, 2, version, reference, what the service gave, digest ----

#define REMOTE_FORMAT 2
#define REMOTE_HEAD_BYTES 10
#define REMOTE_PLAIN_BYTES (MOS_KEY_BYTES + MOS_HASH_BYTES)

// The service binds what it wraps to nothing that we could rely on, so the key itself does.
static void bind(const struct mos_key *key, const struct mos_key_binding *binding, uint32_t version, uint8_t out_mac[MOS_HASH_BYTES]) {
    struct additional additional = additional_data(binding, version);
    mos_hmac(key, additional.bytes, additional.size_bytes, out_mac);
}

static mos_status wrap_remote(const mos_keyring *keyring, uint32_t version, const char *reference, const struct mos_key_binding *binding,
                              const struct mos_key *key, struct mos_buffer *out, struct mos_error *error) {
    const struct mos_key_service *service = mos_keyring_service(keyring);
    if (!service) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "version %u of the key lies in %s, which only the server can reach", version,
                        reference);
    }
    uint8_t plain[REMOTE_PLAIN_BYTES];
    uint8_t head[REMOTE_HEAD_BYTES];
    uint8_t size[2];
    uint8_t digest[MOS_HASH_BYTES];
    MOS_CLEANUP_BUFFER struct mos_buffer wrapped = {0};
    memcpy(plain, key->bytes, MOS_KEY_BYTES);
    bind(key, binding, version, plain + MOS_KEY_BYTES);
    mos_status status = service->wrap(service->context, reference, plain, sizeof(plain), &wrapped, error);
    mos_wipe(plain, sizeof(plain));
    if (status != MOS_OK) {
        return status;
    }
    size_t whole = REMOTE_HEAD_BYTES + 2 + strlen(reference) + 2 + wrapped.size_bytes + MOS_HASH_BYTES;
    if (wrapped.size_bytes == 0 || wrapped.size_bytes > UINT16_MAX || whole > MOS_KEY_OBJECT_LIMIT_BYTES) {
        return mos_fail(error, MOS_INTERNAL, "the KMS gave %zu bytes for a wrapped key", wrapped.size_bytes);
    }
    memcpy(head, "MKEY", 4);
    mos_put_u16(head + 4, REMOTE_FORMAT);
    mos_put_u32(head + 6, version);
    mos_buffer_append(out, head, sizeof(head));
    mos_put_u16(size, (uint16_t)strlen(reference));
    mos_buffer_append(out, size, 2);
    mos_buffer_append(out, reference, strlen(reference));
    mos_put_u16(size, (uint16_t)wrapped.size_bytes);
    mos_buffer_append(out, size, 2);
    mos_buffer_append(out, wrapped.data, wrapped.size_bytes);
    mos_sha256(out->data, out->size_bytes, digest);
    mos_buffer_append(out, digest, sizeof(digest));
    return MOS_OK;
}

mos_status mos_key_wrap(const mos_keyring *keyring, uint32_t version, const struct mos_key_binding *binding, const struct mos_key *key,
                        struct mos_buffer *out, struct mos_error *error) {
    const struct mos_key *kek = mos_keyring_key(keyring, version);
    const char *reference = mos_keyring_reference(keyring, version);
    mos_buffer_clear(out);
    if (reference) {
        return wrap_remote(keyring, version, reference, binding, key, out, error);
    }
    if (!kek) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the keyring does not hold version %u of the key", version);
    }
    uint8_t object[MOS_KEY_OBJECT_BYTES];
    mos_key_object_seal(kek, version, binding, key, object);
    mos_buffer_append(out, object, sizeof(object));
    return MOS_OK;
}

// What the service gave, within the object; false where it is no such object.
static bool take_remote(const uint8_t *object, size_t size_bytes, uint32_t version, char reference[MOS_KEY_REFERENCE_BYTES],
                        const uint8_t **out_wrapped, size_t *out_bytes) {
    if (size_bytes < REMOTE_HEAD_BYTES + 4 + MOS_HASH_BYTES || memcmp(object, "MKEY", 4) != 0 || mos_get_u16(object + 4) != REMOTE_FORMAT ||
        mos_get_u32(object + 6) != version) {
        return false;
    }
    size_t end = size_bytes - MOS_HASH_BYTES;
    size_t length = mos_get_u16(object + REMOTE_HEAD_BYTES);
    size_t at = REMOTE_HEAD_BYTES + 2 + length;
    if (length >= MOS_KEY_REFERENCE_BYTES || at + 2 > end || memchr(object + REMOTE_HEAD_BYTES + 2, 0, length)) {
        return false;
    }
    memcpy(reference, object + REMOTE_HEAD_BYTES + 2, length);
    reference[length] = 0;
    *out_wrapped = object + at + 2;
    *out_bytes = mos_get_u16(object + at);
    return at + 2 + *out_bytes == end && *out_bytes > 0;
}

static mos_status unwrap_remote(const mos_keyring *keyring, uint32_t version, const struct mos_key_binding *binding, const uint8_t *object,
                                size_t size_bytes, struct mos_key *out_key, struct mos_error *error) {
    char reference[MOS_KEY_REFERENCE_BYTES];
    const uint8_t *wrapped;
    size_t wrapped_bytes;
    if (!take_remote(object, size_bytes, version, reference, &wrapped, &wrapped_bytes)) {
        return mos_fail(error, MOS_CORRUPT, "the object of version %u is damaged", version);
    }
    const struct mos_key_service *service = mos_keyring_service(keyring);
    if (!service) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "version %u of the key lies in %s, which only the server can reach", version,
                        reference);
    }
    struct mos_buffer plain = {0};
    uint8_t mac[MOS_HASH_BYTES];
    mos_buffer_reserve(&plain, REMOTE_PLAIN_BYTES);
    mos_status status = service->unwrap(service->context, reference, wrapped, wrapped_bytes, &plain, error);
    if (status == MOS_OK && plain.size_bytes == REMOTE_PLAIN_BYTES) {
        memcpy(out_key->bytes, plain.data, MOS_KEY_BYTES);
        bind(out_key, binding, version, mac);
    }
    if (status == MOS_OK && (plain.size_bytes != REMOTE_PLAIN_BYTES || !mos_secret_equal(mac, plain.data + MOS_KEY_BYTES, sizeof(mac)))) {
        mos_key_wipe(out_key);
        status = mos_fail(error, MOS_CORRUPT, "the object of version %u belongs to another backup or was changed", version);
    }
    mos_wipe(plain.data, plain.capacity_bytes);
    mos_buffer_free(&plain);
    return status;
}

mos_status mos_key_unwrap(const mos_keyring *keyring, uint32_t version, const struct mos_key_binding *binding, const uint8_t *object,
                          size_t size_bytes, struct mos_key *out_key, struct mos_error *error) {
    if (mos_keyring_reference(keyring, version)) {
        return unwrap_remote(keyring, version, binding, object, size_bytes, out_key, error);
    }
    const struct mos_key *kek = mos_keyring_key(keyring, version);
    if (!kek) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the keyring does not hold version %u of the key", version);
    }
    return mos_key_object_open(kek, version, binding, object, size_bytes, out_key)
               ? MOS_OK
               : mos_fail(error, MOS_CORRUPT, "the object of version %u is damaged or was made with another key", version);
}

mos_status mos_key_service_try(const struct mos_key_service *service, const char *reference, struct mos_error *error) {
    uint8_t plain[REMOTE_PLAIN_BYTES];
    MOS_CLEANUP_BUFFER struct mos_buffer wrapped = {0};
    struct mos_buffer back = {0};
    if (!service) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "a key in %s is for the server alone, which can reach it", reference);
    }
    mos_random(plain, sizeof(plain));
    mos_buffer_reserve(&back, REMOTE_PLAIN_BYTES);
    mos_status status = service->wrap(service->context, reference, plain, sizeof(plain), &wrapped, error);
    if (status == MOS_OK) {
        status = service->unwrap(service->context, reference, wrapped.data, wrapped.size_bytes, &back, error);
    }
    if (status == MOS_OK && (back.size_bytes != sizeof(plain) || memcmp(back.data, plain, sizeof(plain)) != 0)) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "%s does not give back what it wrapped", reference);
    }
    mos_wipe(plain, sizeof(plain));
    mos_wipe(back.data, back.capacity_bytes);
    mos_buffer_free(&back);
    return status;
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
    mos_status refused = MOS_OK;
    struct mos_error unwrapping = {0};
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
            bool has = mos_keyring_has(keyring, version);
            known += has;
            char name[MOS_OBJECT_NAME_BYTES];
            snprintf(name, sizeof(name), "%s/%u", folder, version);
            mos_status tried_status = has && mos_file_read(root, name, MOS_KEY_OBJECT_LIMIT_BYTES, &object, NULL) == MOS_OK
                                          ? mos_key_unwrap(keyring, version, binding, object.data, object.size_bytes, out_key, &unwrapping)
                                          : MOS_CORRUPT;
            opened = tried_status == MOS_OK;
            // What a KMS refuses or cannot do now says nothing about the object.
            refused = tried_status == MOS_OK || tried_status == MOS_CORRUPT ? refused : tried_status;
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
    if (!opened && refused != MOS_OK) {
        // Not to be taken for an object that is missing.
        refused = refused == MOS_NOT_FOUND ? MOS_FAILED_PRECONDITION : refused;
        return mos_fail(error, refused, "the key of %s cannot be unwrapped: %.500s", folder, unwrapping.message);
    }
    return opened ? MOS_OK : mos_fail(error, MOS_CORRUPT, "no key in %s opens: it is damaged or was made with another keyring", folder);
}
