#include "engine/crypto/hash.h"

#include <string.h>

#include "common/id.h"
#include "unit/test.h"

static void check(const uint8_t *bytes, size_t size_bytes, const char *expected) {
    char hex[256];
    mos_hex_encode(bytes, size_bytes, hex);
    CU_ASSERT_STRING_EQUAL(hex, expected);
}

MOS_TEST(sha256_of_abc) {
    uint8_t digest[MOS_HASH_BYTES];
    mos_sha256("abc", 3, digest);
    check(digest, sizeof(digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

MOS_TEST(in_pieces_it_is_the_same_and_starts_anew) {
    uint8_t digest[MOS_HASH_BYTES];
    mos_hasher *hasher = mos_hasher_create();
    for (int round = 0; round < 2; round++) {
        mos_hasher_update(hasher, "a", 1);
        mos_hasher_update(hasher, "bc", 2);
        mos_hasher_finish(hasher, digest);
        check(digest, sizeof(digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
    mos_hasher_destroy(hasher);
}

// RFC 4231, test case 2, has a short key; ours are 32 bytes with zeros behind, which HMAC pads to the same.
MOS_TEST(hmac_of_the_rfc) {
    struct mos_key key = {"Jefe"};
    uint8_t mac[MOS_HASH_BYTES];
    mos_hmac(&key, "what do ya want for nothing?", 28, mac);
    check(mac, sizeof(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

// RFC 5869, test case 3, has no salt and no info; a key of 22 bytes 0x0b cannot be ours, so the values come from another implementation
// (Python's hmac): key 00..1f, salt "salt", info "info", 40 bytes.
MOS_TEST(hkdf_as_others_compute_it) {
    struct mos_key key;
    uint8_t out[40];
    for (size_t i = 0; i < sizeof(key.bytes); i++) {
        key.bytes[i] = (uint8_t)i;
    }
    mos_derive(&key, "salt", 4, "info", out, sizeof(out));
    check(out, sizeof(out), "64cc2a23b7a1da4310420350405fdf5d632cb9bda3700d753e96cbcfeb81d4496259e7075d6da9d2");
}
