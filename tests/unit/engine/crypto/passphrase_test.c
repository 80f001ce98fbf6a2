#include "engine/crypto/passphrase.h"

#include <string.h>

#include "engine/crypto/secret.h"
#include "unit/test.h"

static const char secret[] = "what nobody else may read";

static void seal(struct mos_buffer *out) {
    struct mos_error error = {0};
    mos_buffer_clear(out);
    MOS_ASSERT_OK(mos_passphrase_seal("correct horse", secret, sizeof(secret), out, &error), &error);
}

static mos_status open_it(const struct mos_buffer *sealed, size_t size_bytes, const char *passphrase) {
    uint8_t *plain = NULL;
    size_t plain_bytes = 0;
    mos_status status = mos_passphrase_open(passphrase, sealed->data, size_bytes, &plain, &plain_bytes, NULL);
    if (status == MOS_OK) {
        CU_ASSERT_EQUAL(plain_bytes, sizeof(secret));
        CU_ASSERT_EQUAL(memcmp(plain, secret, sizeof(secret)), 0);
        mos_secret_free(plain, plain_bytes);
    }
    return status;
}

MOS_TEST(what_was_sealed_opens_with_its_passphrase_alone) {
    MOS_CLEANUP_BUFFER struct mos_buffer sealed = {0};
    seal(&sealed);
    CU_ASSERT(mos_passphrase_sealed(sealed.data, sealed.size_bytes));
    CU_ASSERT_PTR_NULL(memmem(sealed.data, sealed.size_bytes, secret, 8));
    CU_ASSERT_EQUAL(open_it(&sealed, sealed.size_bytes, "correct horse"), MOS_OK);
    CU_ASSERT_EQUAL(open_it(&sealed, sealed.size_bytes, "correct horsf"), MOS_PERMISSION_DENIED);
    CU_ASSERT_EQUAL(open_it(&sealed, sealed.size_bytes, ""), MOS_PERMISSION_DENIED);
}

MOS_TEST(no_changed_and_no_cut_copy_opens) {
    MOS_CLEANUP_BUFFER struct mos_buffer sealed = {0};
    seal(&sealed);
    for (size_t i = 0; i < sealed.size_bytes; i++) {
        CU_ASSERT_EQUAL(open_it(&sealed, i, "correct horse"), MOS_CORRUPT);
        sealed.data[i] ^= 1;
        CU_ASSERT_EQUAL(open_it(&sealed, sealed.size_bytes, "correct horse"), MOS_CORRUPT);
        sealed.data[i] ^= 1;
    }
}

MOS_TEST(the_same_is_never_sealed_alike) {
    MOS_CLEANUP_BUFFER struct mos_buffer one = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer two = {0};
    seal(&one);
    seal(&two);
    CU_ASSERT_NOT_EQUAL(memcmp(one.data + 7, two.data + 7, one.size_bytes - 7), 0);
}
