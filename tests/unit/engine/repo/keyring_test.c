#include "engine/repo/keyring.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

MOS_TEST(one_at_a_time_holds_the_lock) {
    char path[4200];
    struct mos_error error = {0};
    int first = -1, second = -1;
    snprintf(path, sizeof(path), "%s/keyring", mos_test_directory());
    MOS_ASSERT_OK(mos_keyring_lock(path, &first, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_lock(path, &second, &error), MOS_UNAVAILABLE);
    CU_ASSERT_EQUAL(close(first), 0);
    MOS_ASSERT_OK(mos_keyring_lock(path, &second, &error), &error);
    CU_ASSERT_EQUAL(close(second), 0);
    CU_ASSERT_EQUAL(mos_keyring_lock("/nowhere/keyring", &second, &error), MOS_NOT_FOUND);
}

MOS_TEST(a_remote_version_has_a_reference_and_no_key) {
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    char id[32];
    const char text[] =
        HEADER "1 decrypt-only " TIME " " KEY_1 "\n2 decrypt-only " TIME " vault:backup\n5 active " TIME " aws:alias/shop\n";
    MOS_ASSERT_OK(mos_keyring_parse(text, strlen(text), &keyring, &error), &error);
    CU_ASSERT_PTR_NULL(mos_keyring_key(keyring, 5));
    CU_ASSERT_STRING_EQUAL(mos_keyring_reference(keyring, 5), "aws:alias/shop");
    CU_ASSERT_PTR_NULL(mos_keyring_reference(keyring, 1));
    mos_keyring_key_id(keyring, 5, id);
    CU_ASSERT_STRING_EQUAL(id, "aws/5");
    mos_keyring_key_id(keyring, 2, id);
    CU_ASSERT_STRING_EQUAL(id, "vault/2");
    mos_keyring_key_id(keyring, 1, id);
    CU_ASSERT_STRING_EQUAL(id, "local/1");
    mos_keyring_free(keyring);
    static const char *const wrong[] = {"aws:", "gcp:key", "vault:a b", "aws", ""};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char line[256];
        snprintf(line, sizeof(line), HEADER "1 active " TIME " %s\n", wrong[i]);
        CU_ASSERT_EQUAL(mos_keyring_parse(line, strlen(line), &keyring, NULL), MOS_CORRUPT);
    }
}

MOS_TEST(a_sealed_keyring_opens_with_its_passphrase_alone) {
    char path[4200];
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    snprintf(path, sizeof(path), "%s/keyring", mos_test_directory());
    MOS_ASSERT_OK(mos_keyring_make(path, "correct horse", NULL, &keyring, &error), &error);
    struct mos_key key = *mos_keyring_key(keyring, 1);
    mos_keyring_free(keyring);
    CU_ASSERT_EQUAL(mos_keyring_load(path, &keyring, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "MOSAAJII_KEYRING_PASSPHRASE"));
    CU_ASSERT_EQUAL(mos_keyring_load_sealed(path, "wrong", &keyring, &error), MOS_PERMISSION_DENIED);
    MOS_ASSERT_OK(mos_keyring_load_sealed(path, "correct horse", &keyring, &error), &error);
    CU_ASSERT_FALSE(mos_keyring_should_be_sealed(keyring));
    CU_ASSERT_EQUAL(memcmp(mos_keyring_key(keyring, 1)->bytes, key.bytes, sizeof(key.bytes)), 0);
    // It stays sealed when it is written anew.
    MOS_ASSERT_OK(mos_keyring_rotate(keyring, path, &error), &error);
    mos_keyring_free(keyring);
    CU_ASSERT_EQUAL(mos_keyring_load(path, &keyring, &error), MOS_FAILED_PRECONDITION);
    MOS_ASSERT_OK(mos_keyring_load_sealed(path, "correct horse", &keyring, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_count(keyring), 2);
    mos_keyring_free(keyring);
}

MOS_TEST(an_escrow_copy_brings_lost_versions_back) {
    char path[4200];
    mos_keyring *keyring = NULL;
    mos_keyring *copy = NULL;
    mos_keyring *other = NULL;
    struct mos_error error = {0};
    size_t added = 0;
    MOS_CLEANUP_BUFFER struct mos_buffer escrow = {0};
    snprintf(path, sizeof(path), "%s/keyring", mos_test_directory());
    MOS_ASSERT_OK(mos_keyring_create(path, &keyring, &error), &error);
    struct mos_key lost = *mos_keyring_key(keyring, 1);
    MOS_ASSERT_OK(mos_keyring_seal(keyring, "escrow pass", NULL, &escrow, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(keyring, path, &error), &error);
    MOS_ASSERT_OK(mos_keyring_retire(keyring, path, 1, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_unseal(escrow.data, escrow.size_bytes, "wrong", &copy, &error), MOS_PERMISSION_DENIED);
    MOS_ASSERT_OK(mos_keyring_unseal(escrow.data, escrow.size_bytes, "escrow pass", &copy, &error), &error);
    MOS_ASSERT_OK(mos_keyring_merge(keyring, copy, path, &added, &error), &error);
    CU_ASSERT_EQUAL(added, 1);
    CU_ASSERT_EQUAL(mos_keyring_active_version(keyring), 2);
    CU_ASSERT_EQUAL(memcmp(mos_keyring_key(keyring, 1)->bytes, lost.bytes, sizeof(lost.bytes)), 0);
    MOS_ASSERT_OK(mos_keyring_merge(keyring, copy, path, &added, &error), &error);
    CU_ASSERT_EQUAL(added, 0);
    // Somebody else's keys under the same numbers.
    char elsewhere[4300];
    snprintf(elsewhere, sizeof(elsewhere), "%s.other", path);
    MOS_ASSERT_OK(mos_keyring_create(elsewhere, &other, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_merge(keyring, other, path, &added, &error), MOS_ALREADY_EXISTS);
    mos_keyring_free(keyring);
    mos_keyring_free(copy);
    mos_keyring_free(other);
}

static mos_keyring *parsed(const char *text) {
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_keyring_parse(text, strlen(text), &keyring, &error), &error);
    return keyring;
}

MOS_TEST(nothing_is_taken_over_that_cannot_be_read_back) {
    char path[4200];
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    size_t added = 0;
    snprintf(path, sizeof(path), "%s/keyring", mos_test_directory());
    MOS_ASSERT_OK(mos_keyring_create(path, &keyring, &error), &error);
    // A number after which none could be given.
    mos_keyring *far = parsed(HEADER "999999999 active " TIME " " KEY_1 "\n");
    CU_ASSERT_EQUAL(mos_keyring_merge(keyring, far, path, &added, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "999999999"));
    mos_keyring_free(far);
    // The largest that is allowed: it is read back, and no rotation goes beyond it.
    far = parsed(HEADER "1000000 active " TIME " " KEY_1 "\n");
    MOS_ASSERT_OK(mos_keyring_merge(keyring, far, path, &added, &error), &error);
    mos_keyring_free(far);
    CU_ASSERT_EQUAL(mos_keyring_rotate(keyring, path, &error), MOS_RESOURCE_EXHAUSTED);
    mos_keyring_free(keyring);
    MOS_ASSERT_OK(mos_keyring_load(path, &keyring, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_count(keyring), 2);
    CU_ASSERT_EQUAL(mos_keyring_active_version(keyring), 1);
    // Its number would be given again.
    CU_ASSERT_EQUAL(mos_keyring_retire(keyring, path, 1000000, &error), MOS_FAILED_PRECONDITION);
    // A number that only an old file can hold does not keep it from being retired.
    mos_keyring_free(keyring);
    FILE *file = fopen(path, "we");
    fputs(HEADER "1 active " TIME " " KEY_1 "\n999999999 decrypt-only " TIME " " KEY_2 "\n", file);
    fclose(file);
    MOS_ASSERT_OK(mos_keyring_load(path, &keyring, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_rotate(keyring, path, &error), MOS_RESOURCE_EXHAUSTED);
    MOS_ASSERT_OK(mos_keyring_retire(keyring, path, 999999999, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(keyring, path, &error), &error);
    mos_keyring_free(keyring);
}

static mos_keyring *many(uint32_t first, uint32_t count, const char *reference) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = {0};
    mos_buffer_append_text(&text, HEADER);
    for (uint32_t i = 0; i < count; i++) {
        mos_buffer_printf(&text, "%u %s " TIME " %s\n", first + i, i + 1 == count ? "active" : "decrypt-only", reference);
    }
    return parsed(mos_buffer_text(&text));
}

MOS_TEST(a_keyring_takes_over_no_more_than_it_can_hold) {
    char path[4200], reference[MOS_KEY_REFERENCE_BYTES];
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    size_t added = 0;
    snprintf(path, sizeof(path), "%s/keyring", mos_test_directory());
    MOS_ASSERT_OK(mos_keyring_create(path, &keyring, &error), &error);
    mos_keyring *copy = many(2, MOS_KEYRING_MAX_VERSIONS, KEY_2);
    CU_ASSERT_EQUAL(mos_keyring_merge(keyring, copy, path, &added, &error), MOS_RESOURCE_EXHAUSTED);
    mos_keyring_free(copy);
    copy = many(2, MOS_KEYRING_MAX_VERSIONS - 1, KEY_2);
    MOS_ASSERT_OK(mos_keyring_merge(keyring, copy, path, &added, &error), &error);
    CU_ASSERT_EQUAL(added, MOS_KEYRING_MAX_VERSIONS - 1);
    mos_keyring_free(copy);
    mos_keyring_free(keyring);
    MOS_ASSERT_OK(mos_keyring_load(path, &keyring, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_count(keyring), MOS_KEYRING_MAX_VERSIONS);
    mos_keyring_free(keyring);
    // Few enough, and too large together.
    CU_ASSERT_EQUAL(unlink(path), 0);
    MOS_ASSERT_OK(mos_keyring_create(path, &keyring, &error), &error);
    memset(reference, 'k', sizeof(reference));
    memcpy(reference, "aws:", 4);
    reference[sizeof(reference) - 1] = 0;
    for (uint32_t first = 2; first < 2000; first += 1500) {
        copy = many(first, 1500, reference);
        mos_status status = mos_keyring_merge(keyring, copy, path, &added, &error);
        CU_ASSERT_EQUAL(status, first == 2 ? MOS_OK : MOS_RESOURCE_EXHAUSTED);
        mos_keyring_free(copy);
    }
    mos_keyring_free(keyring);
    MOS_ASSERT_OK(mos_keyring_load(path, &keyring, &error), &error);
    CU_ASSERT_EQUAL(mos_keyring_count(keyring), 1501);
    mos_keyring_free(keyring);
}

MOS_TEST(a_copy_says_where_it_comes_from) {
    struct mos_error error = {0};
    uint8_t origin[MOS_HASH_BYTES], one[MOS_HASH_BYTES], other[MOS_HASH_BYTES];
    MOS_CLEANUP_BUFFER struct mos_buffer sealed = {0};
    mos_keyring *keyring = parsed(HEADER "1 active " TIME " " KEY_1 "\n");
    mos_keyring *copy = NULL;
    CU_ASSERT_PTR_NULL(mos_keyring_origin(keyring));
    memset(origin, 7, sizeof(origin));
    MOS_ASSERT_OK(mos_keyring_seal(keyring, "a passphrase", origin, &sealed, &error), &error);
    MOS_ASSERT_OK(mos_keyring_unseal(sealed.data, sealed.size_bytes, "a passphrase", &copy, &error), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mos_keyring_origin(copy));
    CU_ASSERT_EQUAL(memcmp(mos_keyring_origin(copy), origin, sizeof(origin)), 0);
    CU_ASSERT(mos_keyring_shares(keyring, copy));
    mos_keyring_digest(keyring, one);
    mos_keyring_digest(copy, other);
    CU_ASSERT_EQUAL(memcmp(one, other, sizeof(one)), 0);
    mos_keyring_free(copy);
    copy = parsed(HEADER "1 active " TIME " " KEY_2 "\n");
    CU_ASSERT_FALSE(mos_keyring_shares(keyring, copy));
    mos_keyring_digest(copy, other);
    CU_ASSERT_NOT_EQUAL(memcmp(one, other, sizeof(one)), 0);
    mos_keyring_free(copy);
    mos_keyring_free(keyring);
}
