#include "engine/crypto/secret.h"

#include <string.h>

#include "unit/test.h"

MOS_TEST(secret_memory_is_zeroed_and_writable) {
    for (size_t size = 0; size < 20000; size += 4999) {
        uint8_t *memory = mos_secret_alloc(size);
        for (size_t i = 0; i < size; i++) {
            CU_ASSERT_EQUAL_FATAL(memory[i], 0);
        }
        memset(memory, 7, size);
        mos_secret_free(memory, size);
    }
    mos_secret_free(NULL, 3);
}

MOS_TEST(wiped_is_zero_and_equal_compares_all) {
    struct mos_key a = {"secret"};
    struct mos_key b = a;
    CU_ASSERT_TRUE(mos_secret_equal(&a, &b, sizeof(a)));
    b.bytes[MOS_KEY_BYTES - 1] = 1;
    CU_ASSERT_FALSE(mos_secret_equal(&a, &b, sizeof(a)));
    mos_key_wipe(&a);
    mos_wipe(&b, sizeof(b));
    CU_ASSERT_TRUE(mos_secret_equal(&a, &b, sizeof(a)));
    CU_ASSERT_EQUAL(a.bytes[0], 0);
}
