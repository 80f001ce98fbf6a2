#include "engine/repo/manifest.h"

#include "fixture.h"

static const struct mos_key data_key = {{1, 2, 3}};

// A manifest that is whole, with two packs and two parts of a tree; the tests break it.
struct parts {
    Mosaajii__Engine__V1__Manifest manifest;
    Mosaajii__Engine__V1__BackupInfo info;
    Mosaajii__Engine__V1__Pack packs[2];
    Mosaajii__Engine__V1__Pack *pack_list[2];
    Mosaajii__Engine__V1__TreeChunk tree[2];
    Mosaajii__Engine__V1__TreeChunk *tree_list[2];
    uint8_t bytes[64];
    uint8_t digest[MOS_HASH_BYTES];
};

static void sum_up(struct parts *parts) {
    mos_hasher *hasher = mos_hasher_create();
    for (size_t i = 0; i < parts->manifest.n_tree; i++) {
        mos_hasher_update(hasher, parts->tree[i].chunk_id.data, parts->tree[i].chunk_id.len);
    }
    mos_hasher_finish(hasher, parts->digest);
    mos_hasher_destroy(hasher);
}

static void fill(struct parts *parts) {
    mosaajii__engine__v1__manifest__init(&parts->manifest);
    mosaajii__engine__v1__backup_info__init(&parts->info);
    memset(parts->bytes, 7, sizeof(parts->bytes));
    parts->info.id = (char *)ID_A;
    parts->info.name = (char *)"nightly";
    for (size_t i = 0; i < 2; i++) {
        mosaajii__engine__v1__pack__init(&parts->packs[i]);
        parts->packs[i].id = (ProtobufCBinaryData){MOS_PACK_ID_BYTES, parts->bytes};
        parts->packs[i].sha256 = (ProtobufCBinaryData){MOS_HASH_BYTES, parts->bytes};
        parts->packs[i].key = (ProtobufCBinaryData){MOS_KEY_BYTES, parts->bytes};
        parts->packs[i].size = 1000;
        parts->packs[i].frames = 3;
        parts->packs[i].footer_size = 100;
        parts->pack_list[i] = &parts->packs[i];
        mosaajii__engine__v1__tree_chunk__init(&parts->tree[i]);
        parts->tree[i].chunk_id = (ProtobufCBinaryData){MOS_CHUNK_ID_BYTES, parts->bytes + 8 * i};
        parts->tree[i].first_path = (ProtobufCBinaryData){2, (uint8_t *)(i ? "/b" : "/a")};
        parts->tree[i].pack = (uint32_t)i;
        parts->tree_list[i] = &parts->tree[i];
    }
    parts->manifest.info = &parts->info;
    parts->manifest.packs = parts->pack_list;
    parts->manifest.n_packs = 2;
    parts->manifest.tree = parts->tree_list;
    parts->manifest.n_tree = 2;
    parts->manifest.repository_id = (ProtobufCBinaryData){16, parts->bytes};
    parts->manifest.content_checksum = (ProtobufCBinaryData){MOS_HASH_BYTES, parts->digest};
    sum_up(parts);
}

static mos_status decode(const struct parts *parts, struct mos_error *error) {
    size_t size = mosaajii__engine__v1__manifest__get_packed_size(&parts->manifest);
    MOS_CLEANUP_FREE uint8_t *plain = mos_malloc(size);
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Manifest *out = NULL;
    mosaajii__engine__v1__manifest__pack(&parts->manifest, plain);
    mos_status status = mos_manifest_decode(plain, size, arena, &out, error);
    CU_ASSERT_EQUAL(status == MOS_OK, out != NULL);
    return status;
}

MOS_TEST(a_sealed_manifest_comes_back) {
    struct parts parts;
    struct mos_error error = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Manifest *out = NULL;
    bool size_valid = false, checksum_valid = false;
    fill(&parts);
    MOS_ASSERT_OK(mos_manifest_seal(&parts.manifest, ID_A, &data_key, &object, &error), &error);
    CU_ASSERT_EQUAL(object.size_bytes, 42 + mosaajii__engine__v1__manifest__get_packed_size(&parts.manifest) + 16 + 32);
    mos_manifest_examine(object.data, object.size_bytes, &size_valid, &checksum_valid);
    CU_ASSERT(size_valid && checksum_valid);
    MOS_ASSERT_OK(mos_manifest_open(object.data, object.size_bytes, ID_A, &data_key, arena, &out, &error), &error);
    CU_ASSERT_STRING_EQUAL(out->info->name, "nightly");
    CU_ASSERT(out->n_packs == 2 && out->n_tree == 2 && memcmp(out->tree[1]->first_path.data, "/b", 2) == 0);
    struct mos_pack pack;
    mos_manifest_pack(out->packs[1], &pack);
    CU_ASSERT(pack.size_bytes == 1000 && pack.frame_count == 3 && pack.footer_bytes == 100 && pack.id[15] == 7 && pack.key.bytes[31] == 7 &&
              pack.sha256[31] == 7);
    mos_manifest_wipe(out);
    CU_ASSERT(out->packs[0]->key.data[0] == 0 && out->packs[1]->key.data[31] == 0);
    // Under another id or key it does not open.
    CU_ASSERT_EQUAL(mos_manifest_open(object.data, object.size_bytes, ID_B, &data_key, arena, &out, &error), MOS_CORRUPT);
    struct mos_key other = data_key;
    other.bytes[31] = 1;
    CU_ASSERT_EQUAL(mos_manifest_open(object.data, object.size_bytes, ID_A, &other, arena, &out, &error), MOS_CORRUPT);
    // Sealed for one backup with the facts of another.
    mos_buffer_clear(&object);
    MOS_ASSERT_OK(mos_manifest_seal(&parts.manifest, ID_B, &data_key, &object, &error), &error);
    CU_ASSERT_EQUAL(mos_manifest_open(object.data, object.size_bytes, ID_B, &data_key, arena, &out, &error), MOS_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "another backup"));
}

MOS_TEST(each_changed_byte_of_a_manifest_is_found) {
    struct parts parts;
    struct mos_error error = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Manifest *out = NULL;
    bool size_valid, checksum_valid;
    fill(&parts);
    MOS_ASSERT_OK(mos_manifest_seal(&parts.manifest, ID_A, &data_key, &object, &error), &error);
    size_t size = object.size_bytes;
    for (size_t at = 0; at < size; at++) {
        object.data[at] ^= 1;
        mos_manifest_examine(object.data, size, &size_valid, &checksum_valid);
        CU_ASSERT_FALSE(checksum_valid);
        // Also where the changed byte is one of the size: the object is whole.
        CU_ASSERT_TRUE(size_valid);
        mos_status status = mos_manifest_open(object.data, size, ID_A, &data_key, arena, &out, &error);
        CU_ASSERT_EQUAL(status, at < size - MOS_HASH_BYTES ? MOS_CORRUPT : MOS_OK);
        object.data[at] ^= 1;
    }
    for (size_t cut = 0; cut < size; cut++) {
        mos_manifest_examine(object.data, cut, &size_valid, &checksum_valid);
        CU_ASSERT(!size_valid && !checksum_valid);
        CU_ASSERT_EQUAL(mos_manifest_open(object.data, cut, ID_A, &data_key, arena, &out, &error), MOS_CORRUPT);
    }
    mos_buffer_append_byte(&object, 0);
    mos_manifest_examine(object.data, size + 1, &size_valid, &checksum_valid);
    CU_ASSERT(!size_valid && !checksum_valid);
}

MOS_TEST(a_manifest_against_the_rules_is_refused) {
    struct parts parts;
    struct mos_error error = {0};
    fill(&parts);
    MOS_ASSERT_OK(decode(&parts, &error), &error);
#define REFUSED(...)                                                                                                                       \
    do {                                                                                                                                   \
        fill(&parts);                                                                                                                      \
        __VA_ARGS__;                                                                                                                       \
        sum_up(&parts);                                                                                                                    \
        CU_ASSERT_EQUAL(decode(&parts, &error), MOS_CORRUPT);                                                                              \
    } while (0)
    REFUSED(parts.manifest.info = NULL);
    REFUSED(parts.info.id = (char *)"1");
    REFUSED(parts.info.name = (char *)"\xff");
    REFUSED(parts.manifest.repository_id.len = 15);
    REFUSED(parts.packs[1].id.len = 15);
    REFUSED(parts.packs[1].id.len = 17);
    REFUSED(parts.packs[1].sha256.len = 31);
    REFUSED(parts.packs[1].key.len = 31);
    REFUSED(parts.packs[1].key.len = 0);
    REFUSED(parts.packs[1].frames = MOS_PACK_MAX_FRAMES + 1);
    REFUSED(parts.packs[1].footer_size = MOS_AEAD_TAG_BYTES);
    REFUSED(parts.packs[1].footer_size = MOS_PACK_FOOTER_LIMIT_BYTES + 1, parts.packs[1].size = MOS_PACK_LIMIT_BYTES);
    REFUSED(parts.packs[1].size = MOS_PACK_LIMIT_BYTES + 1);
    REFUSED(parts.packs[1].size = 125);
    REFUSED(parts.packs[1].size = UINT64_MAX);
    REFUSED(parts.tree[1].chunk_id.len = 31);
    REFUSED(parts.tree[1].pack = 2);
    REFUSED(parts.tree[1].first_path.data = (uint8_t *)"b/");
    REFUSED(parts.tree[1].first_path.len = 0);
    REFUSED(parts.tree[1].first_path.data = (uint8_t *)"/a");
    REFUSED(parts.tree[0].first_path.data = (uint8_t *)"/c");
    REFUSED(parts.manifest.content_checksum.len = 31);
    fill(&parts);
    parts.digest[0] ^= 1;
    CU_ASSERT_EQUAL(decode(&parts, &error), MOS_CORRUPT);
    // The least a pack can be, and an empty backup.
    fill(&parts);
    parts.packs[1].size = 126;
    MOS_ASSERT_OK(decode(&parts, &error), &error);
    fill(&parts);
    parts.manifest.n_packs = 0;
    parts.manifest.n_tree = 0;
    sum_up(&parts);
    MOS_ASSERT_OK(decode(&parts, &error), &error);
}

MOS_TEST(the_arena_bounds_what_a_manifest_takes) {
    struct parts parts;
    uint8_t plain[1024];
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(256);
    Mosaajii__Engine__V1__Manifest *out = NULL;
    struct mos_error error = {0};
    fill(&parts);
    size_t size = mosaajii__engine__v1__manifest__pack(&parts.manifest, plain);
    CU_ASSERT_EQUAL(mos_manifest_decode(plain, size, arena, &out, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(mos_manifest_decode((const uint8_t *)"\xff\xff", 2, arena, &out, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(mos_manifest_decode((const uint8_t *)"", 0, arena, &out, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(mos_manifest_decode(plain, (size_t)MOS_MANIFEST_LIMIT_BYTES + 1, arena, &out, &error), MOS_CORRUPT);
    CU_ASSERT_PTR_NULL(out);
}

MOS_TEST(objects_are_named_after_their_backup) {
    char name[MOS_OBJECT_NAME_BYTES];
    mos_manifest_name(ID_A, name);
    CU_ASSERT_STRING_EQUAL(name, "backups/" ID_A);
    mos_backup_keys_name(ID_A, name);
    CU_ASSERT_STRING_EQUAL(name, "keys/" ID_A);
}
