#include "engine/crypto/passphrase.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/id.h"
#include "engine/crypto/aead.h"
#include "engine/crypto/hash.h"

enum { LOG_N_AT = 6, SALT_AT = 7, SALT_BYTES = 16, NONCE_AT = 23, SIZE_AT = 35, LOG_N = 15, LEAST_LOG_N = 10, MOST_LOG_N = 20 };
#define MAGIC "MESC\1\0"
#define PLAIN_LIMIT_BYTES (4u << 20)

static bool derive(const char *passphrase, const uint8_t *salt, unsigned log_n, struct mos_key *out) {
    // 128 * r * N and some: what the parameters may cost, whoever chose them.
    size_t memory_bytes = ((size_t)128 * 8 << log_n) + (1u << 20);
    bool derived = EVP_PBE_scrypt(passphrase, strlen(passphrase), salt, SALT_BYTES, UINT64_C(1) << log_n, 8, 1, memory_bytes, out->bytes,
                                  sizeof(out->bytes)) == 1;
    if (!derived) {
        ERR_clear_error();
    }
    return derived;
}

bool mos_passphrase_sealed(const uint8_t *data, size_t size_bytes) {
    return size_bytes >= 4 && memcmp(data, MAGIC, 4) == 0;
}

static void put_size(uint8_t out[4], size_t size) {
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(size >> (8 * i));
    }
}

mos_status mos_passphrase_seal(const char *passphrase, const void *plain, size_t plain_bytes, struct mos_buffer *out,
                               struct mos_error *error) {
    uint8_t head[MOS_PASSPHRASE_HEAD_BYTES];
    uint8_t digest[MOS_HASH_BYTES];
    MOS_CLEANUP_KEY struct mos_key key;
    memcpy(head, MAGIC, 6);
    head[LOG_N_AT] = LOG_N;
    mos_random(head + SALT_AT, SALT_BYTES);
    mos_random(head + NONCE_AT, MOS_AEAD_NONCE_BYTES);
    put_size(head + SIZE_AT, plain_bytes + MOS_AEAD_TAG_BYTES);
    if (plain_bytes > PLAIN_LIMIT_BYTES || !derive(passphrase, head + SALT_AT, LOG_N, &key)) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the passphrase could not be turned into a key");
    }
    size_t begin = out->size_bytes;
    mos_buffer_reserve(out, sizeof(head) + plain_bytes + MOS_AEAD_TAG_BYTES + sizeof(digest));
    mos_buffer_append(out, head, sizeof(head));
    mos_aead *aead = mos_aead_create(&key);
    mos_aead_seal(aead, head + NONCE_AT, head, sizeof(head), plain, plain_bytes, out->data + out->size_bytes);
    mos_aead_destroy(aead);
    out->size_bytes += plain_bytes + MOS_AEAD_TAG_BYTES;
    mos_sha256(out->data + begin, out->size_bytes - begin, digest);
    mos_buffer_append(out, digest, sizeof(digest));
    return MOS_OK;
}

mos_status mos_passphrase_open(const char *passphrase, const uint8_t *data, size_t size_bytes, uint8_t **out, size_t *out_bytes,
                               struct mos_error *error) {
    const size_t least = MOS_PASSPHRASE_HEAD_BYTES + MOS_AEAD_TAG_BYTES + MOS_HASH_BYTES;
    uint8_t digest[MOS_HASH_BYTES];
    if (size_bytes < least || size_bytes > PLAIN_LIMIT_BYTES || memcmp(data, MAGIC, 6) != 0) {
        return mos_fail(error, MOS_CORRUPT, "this is nothing that was sealed with a passphrase");
    }
    size_t sealed_bytes = size_bytes - MOS_PASSPHRASE_HEAD_BYTES - MOS_HASH_BYTES;
    uint8_t expected[4];
    put_size(expected, sealed_bytes);
    mos_sha256(data, size_bytes - MOS_HASH_BYTES, digest);
    if (memcmp(digest, data + size_bytes - MOS_HASH_BYTES, sizeof(digest)) != 0 || memcmp(expected, data + SIZE_AT, 4) != 0 ||
        data[LOG_N_AT] < LEAST_LOG_N || data[LOG_N_AT] > MOST_LOG_N) {
        return mos_fail(error, MOS_CORRUPT, "what was sealed with a passphrase is damaged");
    }
    MOS_CLEANUP_KEY struct mos_key key;
    if (!derive(passphrase, data + SALT_AT, data[LOG_N_AT], &key)) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the passphrase could not be turned into a key");
    }
    size_t plain_bytes = sealed_bytes - MOS_AEAD_TAG_BYTES;
    uint8_t *plain = mos_secret_alloc(plain_bytes);
    mos_aead *aead = mos_aead_create(&key);
    bool opened =
        mos_aead_open(aead, data + NONCE_AT, data, MOS_PASSPHRASE_HEAD_BYTES, data + MOS_PASSPHRASE_HEAD_BYTES, sealed_bytes, plain);
    mos_aead_destroy(aead);
    if (!opened) {
        mos_secret_free(plain, plain_bytes);
        return mos_fail(error, MOS_PERMISSION_DENIED, "the passphrase is not the one it was sealed with");
    }
    *out = plain;
    *out_bytes = plain_bytes;
    return MOS_OK;
}
