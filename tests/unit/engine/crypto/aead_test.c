#include "engine/crypto/aead.h"

#include <string.h>

#include "common/id.h"
#include "unit/test.h"

// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16.
MOS_TEST(the_published_vector_comes_out) {
    struct mos_key key;
    uint8_t nonce[MOS_AEAD_NONCE_BYTES];
    uint8_t additional[20];
    uint8_t plain[60];
    uint8_t expected[76];
    uint8_t sealed[76];
    CU_ASSERT_TRUE(mos_hex_decode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key.bytes, sizeof(key.bytes)));
    CU_ASSERT_TRUE(mos_hex_decode("cafebabefacedbaddecaf888", nonce, sizeof(nonce)));
    CU_ASSERT_TRUE(mos_hex_decode("feedfacedeadbeeffeedfacedeadbeefabaddad2", additional, sizeof(additional)));
    CU_ASSERT_TRUE(
        mos_hex_decode("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
                       "ba637b39",
                       plain, sizeof(plain)));
    CU_ASSERT_TRUE(
        mos_hex_decode("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
                       "bcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
                       expected, sizeof(expected)));
    mos_aead *aead = mos_aead_create(&key);
    mos_aead_seal(aead, nonce, additional, sizeof(additional), plain, sizeof(plain), sealed);
    CU_ASSERT_EQUAL(memcmp(sealed, expected, sizeof(expected)), 0);
    mos_aead_destroy(aead);
}

MOS_TEST(any_change_keeps_it_shut) {
    struct mos_key key = {{1}};
    uint8_t nonce[MOS_AEAD_NONCE_BYTES];
    uint8_t additional[3] = {1, 2, 3};
    uint8_t data[5 + MOS_AEAD_TAG_BYTES] = {5, 4, 3, 2, 1};
    uint8_t plain[5];
    mos_aead *aead = mos_aead_create(&key);
    mos_aead_counter_nonce(7, nonce);
    // In place.
    mos_aead_seal(aead, nonce, additional, sizeof(additional), data, 5, data);
    CU_ASSERT_TRUE(mos_aead_open(aead, nonce, additional, sizeof(additional), data, sizeof(data), plain));
    CU_ASSERT_EQUAL(memcmp(plain, "\5\4\3\2\1", 5), 0);
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] ^= 1;
        CU_ASSERT_FALSE(mos_aead_open(aead, nonce, additional, sizeof(additional), data, sizeof(data), plain));
        data[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof(additional); i++) {
        additional[i] ^= 1;
        CU_ASSERT_FALSE(mos_aead_open(aead, nonce, additional, sizeof(additional), data, sizeof(data), plain));
        additional[i] ^= 1;
    }
    for (size_t size = 0; size < sizeof(data); size++) {
        CU_ASSERT_FALSE(mos_aead_open(aead, nonce, additional, sizeof(additional), data, size, plain));
    }
    mos_aead_counter_nonce(8, nonce);
    CU_ASSERT_FALSE(mos_aead_open(aead, nonce, additional, sizeof(additional), data, sizeof(data), plain));
    mos_aead_destroy(aead);
}

MOS_TEST(counter_nonces_are_four_zeros_and_the_number) {
    uint8_t nonce[MOS_AEAD_NONCE_BYTES];
    mos_aead_counter_nonce(UINT64_C(0x0102030405060708), nonce);
    CU_ASSERT_EQUAL(memcmp(nonce, "\0\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01", sizeof(nonce)), 0);
}
