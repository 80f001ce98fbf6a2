#include "engine/repo/keyring.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "unit/test.h"

#define KEY_1 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_2 "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"
#define HEADER "mosaajii-keyring 1\n"
#define TIME "2026-01-31T12:00:00.000Z"

MOS_TEST(versions_are_found) {
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    const char text[] = HEADER "1 decrypt-only " TIME " " KEY_1 "\n5 active " TIME " " KEY_2 "\n";
    MOS_ASSERT_OK(mos_keyring_parse(text, strlen(text), &keyring, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_count(keyring), 2);
    CU_ASSERT_EQUAL(mos_keyring_active_version(keyring), 5);
    CU_ASSERT_EQUAL(mos_keyring_key(keyring, 1)->bytes[31], 0x1f);
    CU_ASSERT_EQUAL(mos_keyring_key(keyring, 5)->bytes[0], 0xff);
    CU_ASSERT_PTR_NULL(mos_keyring_key(keyring, 2));
    mos_keyring_free(keyring);
}

MOS_TEST(what_is_no_keyring_is_refused) {
    static const char *const wrong[] = {
        "",
        HEADER,
        "mosaajii-keyring 2\n1 active " TIME " " KEY_1 "\n",
        HEADER "1 decrypt-only " TIME " " KEY_1 "\n",
        HEADER "1 active " TIME " " KEY_1,
        HEADER "1 active " TIME " " KEY_1 "\n2 active " TIME " " KEY_2 "\n",
        HEADER "2 active " TIME " " KEY_1 "\n1 decrypt-only " TIME " " KEY_2 "\n",
        HEADER "1 active " TIME " " KEY_1 "\n1 decrypt-only " TIME " " KEY_2 "\n",
        HEADER "0 active " TIME " " KEY_1 "\n",
        HEADER "-1 active " TIME " " KEY_1 "\n",
        HEADER "99999999999 active " TIME " " KEY_1 "\n",
        HEADER "1 retired " TIME " " KEY_1 "\n",
        HEADER "1 active yesterday " KEY_1 "\n",
        HEADER "1 active " TIME " " KEY_1 "00\n",
        HEADER "1 active " TIME " 00\n",
        HEADER "1 active " TIME " " KEY_1 " more\n",
        HEADER "1 active " TIME " " KEY_1 "\n\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        mos_keyring *keyring = NULL;
        if (mos_keyring_parse(wrong[i], strlen(wrong[i]), &keyring, NULL) != MOS_CORRUPT) {
            printf("%s\n", wrong[i]);
            CU_FAIL("a wrong keyring was taken");
        }
    }
}

MOS_TEST(a_new_keyring_is_private_and_never_overwritten) {
    char path[4200];
    mos_keyring *keyring = NULL;
    mos_keyring *again = NULL;
    struct mos_error error = {0};
    struct stat status;
    snprintf(path, sizeof(path), "%s/keyring", mos_test_directory());
    CU_ASSERT_EQUAL(mos_keyring_load(path, &keyring, &error), MOS_NOT_FOUND);
    MOS_ASSERT_OK(mos_keyring_create(path, &keyring, &error), &error);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
    CU_ASSERT_EQUAL(status.st_nlink, 1);
    CU_ASSERT_EQUAL(mos_keyring_create(path, &again, &error), MOS_ALREADY_EXISTS);
    MOS_ASSERT_OK(mos_keyring_load(path, &again, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_active_version(again), 1);
    CU_ASSERT_TRUE(mos_secret_equal(mos_keyring_key(keyring, 1), mos_keyring_key(again, 1), MOS_KEY_BYTES));
    mos_keyring_free(again);
    mos_keyring_free(keyring);
}

MOS_TEST(a_keyring_that_others_can_read_is_refused) {
    static const mode_t modes[] = {0640, 0604, 0610, 0660, 0777};
    char path[4200];
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    snprintf(path, sizeof(path), "%s/keyring", mos_test_directory());
    MOS_ASSERT_OK(mos_keyring_create(path, &keyring, &error), &error);
    mos_keyring_free(keyring);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        CU_ASSERT_EQUAL(chmod(path, modes[i]), 0);
        CU_ASSERT_EQUAL(mos_keyring_load(path, &keyring, &error), MOS_FAILED_PRECONDITION);
    }
    CU_ASSERT_EQUAL(chmod(path, 0400), 0);
    MOS_ASSERT_OK(mos_keyring_load(path, &keyring, &error), &error);
    mos_keyring_free(keyring);
}

MOS_TEST(rotation_adds_a_version_and_keeps_the_old) {
    char path[4200];
    mos_keyring *keyring = NULL;
    mos_keyring *loaded = NULL;
    struct mos_error error = {0};
    snprintf(path, sizeof(path), "%s/keyring", mos_test_directory());
    MOS_ASSERT_OK(mos_keyring_create(path, &keyring, &error), &error);
    struct mos_key first = *mos_keyring_key(keyring, 1);
    MOS_ASSERT_OK(mos_keyring_rotate(keyring, path, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(keyring, path, &error), &error);
    MOS_ASSERT_OK(mos_keyring_load(path, &loaded, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_count(loaded), 3);
    CU_ASSERT_EQUAL(mos_keyring_active_version(loaded), 3);
    CU_ASSERT_EQUAL(mos_keyring_active_version(keyring), 3);
    CU_ASSERT_TRUE(mos_secret_equal(mos_keyring_key(loaded, 1), &first, sizeof(first)));
    CU_ASSERT_FALSE(mos_secret_equal(mos_keyring_key(loaded, 2), &first, sizeof(first)));
    mos_keyring_free(keyring);
    mos_keyring_free(loaded);
}
