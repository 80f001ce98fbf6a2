#include "engine/repo/key_object.h"

#include "engine/repo/files.h"
#include "fixture.h"

static const struct mos_key kek = {{1, 2, 3}};
static const struct mos_key key = {{9, 8, 7}};
static const struct mos_key_binding binding = {.repository_id = {4}, .backup_id = {5}};

MOS_TEST(a_sealed_key_opens_as_what_it_was_sealed_for) {
    uint8_t object[MOS_KEY_OBJECT_BYTES];
    struct mos_key opened = {{0}};
    mos_key_object_seal(&kek, 3, &binding, &key, object);
    CU_ASSERT_TRUE(mos_object_digest_fits(object, sizeof(object)));
    CU_ASSERT_TRUE(mos_key_object_open(&kek, 3, &binding, object, sizeof(object), &opened));
    CU_ASSERT_EQUAL(memcmp(&opened, &key, sizeof(key)), 0);
    CU_ASSERT_FALSE(mos_key_object_open(&key, 3, &binding, object, sizeof(object), &opened));
    CU_ASSERT_FALSE(mos_key_object_open(&kek, 2, &binding, object, sizeof(object), &opened));
    CU_ASSERT_FALSE(mos_key_object_open(&kek, 3, &binding, object, sizeof(object) - 1, &opened));
    struct mos_key_binding other = binding;
    other.repository_id[15] = 1;
    CU_ASSERT_FALSE(mos_key_object_open(&kek, 3, &other, object, sizeof(object), &opened));
    other = binding;
    other.backup_id[15] = 1;
    CU_ASSERT_FALSE(mos_key_object_open(&kek, 3, &other, object, sizeof(object), &opened));
    uint8_t hash[MOS_HASH_BYTES] = {6};
    other = binding;
    other.repository_hash = hash;
    CU_ASSERT_FALSE(mos_key_object_open(&kek, 3, &other, object, sizeof(object), &opened));
    mos_key_object_seal(&kek, 3, &other, &key, object);
    CU_ASSERT_TRUE(mos_key_object_open(&kek, 3, &other, object, sizeof(object), &opened));
    hash[31] = 1;
    CU_ASSERT_FALSE(mos_key_object_open(&kek, 3, &other, object, sizeof(object), &opened));
}

MOS_TEST(each_changed_byte_but_those_of_the_digest_keeps_it_shut) {
    uint8_t object[MOS_KEY_OBJECT_BYTES];
    struct mos_key opened;
    mos_key_object_seal(&kek, 3, &binding, &key, object);
    for (size_t at = 0; at < sizeof(object); at++) {
        object[at] ^= 0x10;
        CU_ASSERT_EQUAL(mos_key_object_open(&kek, 3, &binding, object, sizeof(object), &opened), at >= sizeof(object) - MOS_HASH_BYTES);
        CU_ASSERT_FALSE(mos_object_digest_fits(object, sizeof(object)));
        object[at] ^= 0x10;
    }
    CU_ASSERT_FALSE(mos_object_digest_fits(object, MOS_HASH_BYTES - 1));
    CU_ASSERT_FALSE(mos_object_digest_fits(object, 0));
}

MOS_TEST(two_seals_of_one_key_have_nothing_in_common) {
    uint8_t first[MOS_KEY_OBJECT_BYTES], second[MOS_KEY_OBJECT_BYTES];
    mos_key_object_seal(&kek, 3, &binding, &key, first);
    mos_key_object_seal(&kek, 3, &binding, &key, second);
    CU_ASSERT_NOT_EQUAL(memcmp(first + 6, second + 6, 12), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(first + 22, second + 22, 48), 0);
}

MOS_TEST(versions_have_one_form) {
    static const struct {
        const char *name;
        uint32_t version;
    } names[] = {{"1", 1},          {"4294967295", UINT32_MAX},
                 {"4294967297", 0}, {"18446744073709551617", 0},
                 {"0", 0},          {"01", 0},
                 {"", 0},           {"-1", 0},
                 {"+1", 0},         {" 1", 0},
                 {"1 ", 0},         {"1x", 0},
                 {"0x1", 0},        {"1e3", 0}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        CU_ASSERT_EQUAL(mos_key_version_parse(names[i].name), names[i].version);
    }
}

static const struct mos_key *versions_key(const mos_keyring *keyring, uint32_t version) {
    const struct mos_key *found = mos_keyring_key(keyring, version);
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    return found;
}

static void write_key(int root, uint32_t version, const struct mos_key *with) {
    uint8_t object[MOS_KEY_OBJECT_BYTES];
    struct mos_error error = {0};
    char name[64];
    struct mos_key content = {{(uint8_t)version}};
    mos_key_object_seal(with, version, &binding, &content, object);
    snprintf(name, sizeof(name), "keys/owner/%u", version);
    MOS_ASSERT_OK(mos_file_write(root, name, object, sizeof(object), &error), &error);
}

MOS_TEST(the_highest_version_that_opens_is_taken) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_key opened;
    uint32_t version = 0;
    fixture_open(&fixture);
    for (int i = 0; i < 2; i++) {
        MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    }
    int root = open(fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_EQUAL(mos_key_load(root, "keys/owner", fixture.keyring, &binding, &opened, &version, &error), MOS_NOT_FOUND);
    // Names that are no versions are not keys.
    MOS_ASSERT_OK(mos_file_write(root, "keys/owner/none", "x", 1, &error), &error);
    CU_ASSERT_EQUAL(mos_key_load(root, "keys/owner", fixture.keyring, &binding, &opened, &version, &error), MOS_NOT_FOUND);
    // The keyring does not hold this one.
    write_key(root, 10, &key);
    CU_ASSERT_EQUAL(mos_key_load(root, "keys/owner", fixture.keyring, &binding, &opened, &version, &error), MOS_FAILED_PRECONDITION);
    write_key(root, 1, versions_key(fixture.keyring, 1));
    MOS_ASSERT_OK(mos_key_load(root, "keys/owner", fixture.keyring, &binding, &opened, &version, &error), &error);
    CU_ASSERT(version == 1 && opened.bytes[0] == 1);
    write_key(root, 3, versions_key(fixture.keyring, 3));
    MOS_ASSERT_OK(mos_key_load(root, "keys/owner", fixture.keyring, &binding, &opened, &version, &error), &error);
    CU_ASSERT(version == 3 && opened.bytes[0] == 3);
    // Damaged, or moved to another version's name: the older one is still there.
    MOS_ASSERT_OK(mos_file_remove(root, "keys/owner/3", &error), &error);
    write_key(root, 3, versions_key(fixture.keyring, 2));
    MOS_ASSERT_OK(mos_key_load(root, "keys/owner", fixture.keyring, &binding, &opened, &version, &error), &error);
    CU_ASSERT(version == 1 && opened.bytes[0] == 1);
    MOS_ASSERT_OK(mos_file_remove(root, "keys/owner/1", &error), &error);
    CU_ASSERT_EQUAL(mos_key_load(root, "keys/owner", fixture.keyring, &binding, &opened, &version, &error), MOS_CORRUPT);
    close(root);
    fixture_close(&fixture);
}

MOS_TEST(a_key_of_the_largest_version_is_found) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_key opened;
    mos_keyring *keyring = NULL;
    uint32_t version = 0;
    fixture_open(&fixture);
    const char text[] =
        "mosaajii-keyring 1\n999999999 active 2026-01-31T12:00:00Z 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    MOS_ASSERT_OK(mos_keyring_parse(text, strlen(text), &keyring, &error), &error);
    int root = open(fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    write_key(root, 999999999, versions_key(keyring, 999999999));
    write_key(root, UINT32_MAX, &key);
    write_key(root, UINT32_MAX - 1, &key);
    MOS_ASSERT_OK(mos_key_load(root, "keys/owner", keyring, &binding, &opened, &version, &error), &error);
    CU_ASSERT_EQUAL(version, 999999999);
    close(root);
    mos_keyring_free(keyring);
    fixture_close(&fixture);
}
