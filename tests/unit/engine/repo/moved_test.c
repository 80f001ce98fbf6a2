#include "engine/repo/moved.h"

#include "engine/repo/files.h"
#include "fixture.h"

static struct mos_pack some_pack(uint8_t seed) {
    struct mos_pack pack = {.size_bytes = 5000, .footer_bytes = 100, .frame_count = 3};
    memset(pack.id, seed, sizeof(pack.id));
    memset(pack.sha256, seed + 1, sizeof(pack.sha256));
    memset(pack.key.bytes, seed + 2, sizeof(pack.key.bytes));
    return pack;
}

static int open_root(const struct fixture *fixture) {
    int root = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_FATAL(root >= 0);
    return root;
}

static void put_pack(int root, const struct mos_pack *pack) {
    char name[MOS_OBJECT_NAME_BYTES];
    struct mos_error error = {0};
    mos_pack_name(pack->id, name);
    MOS_ASSERT_OK(mos_file_write(root, name, "x", 1, &error), &error);
}

MOS_TEST(a_moved_object_holds_what_was_written) {
    struct fixture fixture;
    struct mos_error error = {0};
    fixture_open(&fixture);
    int root = open_root(&fixture);
    struct mos_pack pack = some_pack(1), other = some_pack(9), targets[2] = {some_pack(2), some_pack(3)}, *found = NULL;
    size_t count = 0;
    CU_ASSERT_EQUAL(mos_moved_read(root, &pack, &found, &count, &error), MOS_NOT_FOUND);
    MOS_ASSERT_OK(mos_moved_write(root, &pack, targets, 2, &error), &error);
    MOS_ASSERT_OK(mos_moved_read(root, &pack, &found, &count, &error), &error);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(memcmp(found[i].id, targets[i].id, sizeof(found[i].id)), 0);
        CU_ASSERT_EQUAL(memcmp(found[i].sha256, targets[i].sha256, sizeof(found[i].sha256)), 0);
        CU_ASSERT_EQUAL(memcmp(found[i].key.bytes, targets[i].key.bytes, MOS_KEY_BYTES), 0);
        CU_ASSERT_EQUAL(found[i].size_bytes, 5000);
        CU_ASSERT_EQUAL(found[i].footer_bytes, 100);
        CU_ASSERT_EQUAL(found[i].frame_count, 3);
    }
    mos_packs_free(found, count);
    // Of nothing that was needed.
    MOS_ASSERT_OK(mos_moved_write(root, &other, NULL, 0, &error), &error);
    MOS_ASSERT_OK(mos_moved_read(root, &other, &found, &count, &error), &error);
    CU_ASSERT_EQUAL(count, 0);
    mos_packs_free(found, count);
    close(root);
    fixture_close(&fixture);
}

MOS_TEST(a_changed_moved_object_does_not_open) {
    struct fixture fixture;
    struct mos_error error = {0};
    char name[MOS_OBJECT_NAME_BYTES], path[4500], other_path[4500];
    fixture_open(&fixture);
    int root = open_root(&fixture);
    struct mos_pack pack = some_pack(1), other = some_pack(5), target = some_pack(2), *found = NULL;
    size_t count = 0;
    MOS_ASSERT_OK(mos_moved_write(root, &pack, &target, 1, &error), &error);
    mos_moved_name(pack.id, name);
    snprintf(path, sizeof(path), "%s/%s", fixture.path, name);
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    read_file(path, &object);
    for (size_t at = 0; at < object.size_bytes; at++) {
        flip_byte(path, at);
        CU_ASSERT_EQUAL(mos_moved_read(root, &pack, &found, &count, &error), MOS_CORRUPT);
        flip_byte(path, at);
        // The hash fits what was changed: the seal does not.
        if (at < object.size_bytes - MOS_HASH_BYTES) {
            object.data[at] ^= 0x40;
            mos_sha256(object.data, object.size_bytes - MOS_HASH_BYTES, object.data + object.size_bytes - MOS_HASH_BYTES);
            write_file(path, object.data, object.size_bytes);
            CU_ASSERT_EQUAL(mos_moved_read(root, &pack, &found, &count, &error), MOS_CORRUPT);
            object.data[at] ^= 0x40;
            mos_sha256(object.data, object.size_bytes - MOS_HASH_BYTES, object.data + object.size_bytes - MOS_HASH_BYTES);
            write_file(path, object.data, object.size_bytes);
        }
    }
    for (size_t size = 0; size < object.size_bytes; size++) {
        write_file(path, object.data, size);
        CU_ASSERT_EQUAL(mos_moved_read(root, &pack, &found, &count, &error), MOS_CORRUPT);
    }
    // In the place of another one.
    mos_moved_name(other.id, name);
    snprintf(other_path, sizeof(other_path), "%s/%s", fixture.path, name);
    write_file(other_path, object.data, object.size_bytes);
    CU_ASSERT_EQUAL(mos_moved_read(root, &other, &found, &count, &error), MOS_CORRUPT);
    // With another key.
    write_file(path, object.data, object.size_bytes);
    pack.key.bytes[0] ^= 1;
    CU_ASSERT_EQUAL(mos_moved_read(root, &pack, &found, &count, &error), MOS_CORRUPT);
    close(root);
    fixture_close(&fixture);
}

MOS_TEST(following_reads_the_pack_or_what_it_was_moved_to) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_pack_list list = {0};
    uint32_t first;
    fixture_open(&fixture);
    int root = open_root(&fixture);
    // 1 to 2 and 3; 2 to 4; 3 and 4 are there.
    struct mos_pack packs[5];
    for (uint8_t i = 0; i < 5; i++) {
        packs[i] = some_pack((uint8_t)(10 * i));
    }
    MOS_ASSERT_OK(mos_moved_write(root, &packs[1], &packs[2], 2, &error), &error);
    MOS_ASSERT_OK(mos_moved_write(root, &packs[2], &packs[4], 1, &error), &error);
    put_pack(root, &packs[3]);
    put_pack(root, &packs[4]);
    MOS_ASSERT_OK(mos_pack_list_follow(&list, root, &packs[1], false, &first, &error), &error);
    CU_ASSERT_EQUAL(list.count, 2);
    CU_ASSERT_EQUAL(first, 0);
    CU_ASSERT_NOT_EQUAL(mos_pack_list_find(&list, packs[3].id), MOS_NO_PACK);
    CU_ASSERT_NOT_EQUAL(mos_pack_list_find(&list, packs[4].id), MOS_NO_PACK);
    // One that is gone stands for itself, so that somebody notices.
    MOS_ASSERT_OK(mos_pack_list_follow(&list, root, &packs[0], false, &first, &error), &error);
    CU_ASSERT_EQUAL(first, 2);
    mos_pack_list_free(&list);
    MOS_ASSERT_OK(mos_pack_list_follow(&list, root, &packs[1], true, &first, &error), &error);
    CU_ASSERT_EQUAL(list.count, 4);
    mos_pack_list_free(&list);
    // While the pack itself is there, it is what is read.
    put_pack(root, &packs[1]);
    MOS_ASSERT_OK(mos_pack_list_follow(&list, root, &packs[1], false, &first, &error), &error);
    CU_ASSERT_EQUAL(list.count, 1);
    mos_pack_list_free(&list);
    close(root);
    fixture_close(&fixture);
}

MOS_TEST(following_a_circle_ends) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_pack_list list = {0};
    uint32_t first = 0;
    fixture_open(&fixture);
    int root = open_root(&fixture);
    struct mos_pack a = some_pack(1), b = some_pack(2);
    MOS_ASSERT_OK(mos_moved_write(root, &a, &b, 1, &error), &error);
    MOS_ASSERT_OK(mos_moved_write(root, &b, &a, 1, &error), &error);
    MOS_ASSERT_OK(mos_pack_list_follow(&list, root, &a, false, &first, &error), &error);
    CU_ASSERT_EQUAL(list.count, 0);
    CU_ASSERT_EQUAL(first, MOS_NO_PACK);
    MOS_ASSERT_OK(mos_pack_list_follow(&list, root, &a, true, &first, &error), &error);
    CU_ASSERT_EQUAL(list.count, 2);
    mos_pack_list_free(&list);
    close(root);
    fixture_close(&fixture);
}
