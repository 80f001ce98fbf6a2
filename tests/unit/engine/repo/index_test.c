#include "engine/repo/index.h"

#include "engine/repo/files.h"
#include "engine/repo/repository_internal.h"
#include "fixture.h"

// A pack of `count` frames of 100 bytes, whose chunk ids begin with first, first + 1, …
struct made {
    struct mos_pack pack;
    struct mos_frame frames[8];
};

static void make_pack(struct fixture *fixture, uint8_t first, size_t count, struct made *out) {
    struct mos_error error = {0};
    mos_pack_writer *writer = NULL;
    uint8_t content[100];
    MOS_ASSERT_OK(mos_pack_writer_begin(fixture->repository->root, &writer, &error), &error);
    for (size_t i = 0; i < count; i++) {
        struct mos_chunk_id id = {{(uint8_t)(first + i), 5}};
        noise(content, sizeof(content), first + i);
        MOS_ASSERT_OK(mos_pack_writer_append(writer, &id, 0, content, sizeof(content), sizeof(content), &error), &error);
    }
    MOS_ASSERT_OK(mos_pack_writer_finish(writer, &out->pack, &error), &error);
    size_t frame_count;
    memcpy(out->frames, mos_pack_writer_frames(writer, &frame_count), count * sizeof(out->frames[0]));
    mos_pack_writer_destroy(writer);
    MOS_ASSERT_OK(mos_index_add(fixture->repository, &out->pack, out->frames, &error), &error);
}

static mos_index *open_index(struct fixture *fixture, bool *out_missing) {
    struct mos_error error = {0};
    mos_index *index = NULL;
    MOS_ASSERT_OK(mos_index_open(fixture->repository, &index, out_missing, &error), &error);
    return index;
}

// The pack that the index names for a chunk, compared with the one that was made.
static bool finds(const mos_index *index, uint8_t first, const struct made *made) {
    struct mos_chunk_id id = {{first, 5}};
    struct mos_index_hit hit;
    struct mos_pack pack;
    return mos_index_find(index, &id, &hit) && hit.sealed_bytes == 116 && hit.pack < mos_index_pack_count(index) &&
           mos_index_pack(index, hit.pack, &pack, NULL) == MOS_OK && memcmp(pack.id, made->pack.id, sizeof(pack.id)) == 0;
}

static size_t count_entries(const struct fixture *fixture) {
    struct mos_names names;
    struct mos_error error = {0};
    size_t count = 0;
    MOS_ASSERT_OK(mos_folder_list(fixture->repository->root, "index", &names, &error), &error);
    for (size_t i = 0; i < names.count; i++) {
        count += strcmp(names.names[i], "main") != 0;
    }
    mos_names_free(&names);
    return count;
}

MOS_TEST(entries_are_merged_into_main) {
    struct fixture fixture;
    struct made first, second;
    bool missing = false;
    fixture_open(&fixture);
    make_pack(&fixture, 10, 3, &first);
    CU_ASSERT_EQUAL(count_entries(&fixture), 1);
    mos_index *index = open_index(&fixture, &missing);
    CU_ASSERT_TRUE(missing);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 1);
    CU_ASSERT_EQUAL(mos_index_chunk_count(index), 3);
    CU_ASSERT_EQUAL(count_entries(&fixture), 0);
    mos_index_close(index);
    // The second one goes beside it: what main knew stays known.
    make_pack(&fixture, 200, 2, &second);
    index = open_index(&fixture, &missing);
    CU_ASSERT_FALSE(missing);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 2);
    CU_ASSERT_EQUAL(mos_index_chunk_count(index), 5);
    for (uint8_t i = 0; i < 3; i++) {
        CU_ASSERT_TRUE(finds(index, 10 + i, &first));
    }
    CU_ASSERT_TRUE(finds(index, 200, &second));
    CU_ASSERT_TRUE(finds(index, 201, &second));
    struct mos_index_hit hit;
    CU_ASSERT_FALSE(mos_index_find(index, &(struct mos_chunk_id){{11, 6}}, &hit));
    CU_ASSERT_FALSE(mos_index_find(index, &(struct mos_chunk_id){{0}}, &hit));
    CU_ASSERT_FALSE(mos_index_find(index, &(struct mos_chunk_id){{255, 255}}, &hit));
    CU_ASSERT_TRUE(mos_index_has_pack(index, first.pack.id));
    CU_ASSERT_FALSE(mos_index_has_pack(index, (const uint8_t[MOS_PACK_ID_BYTES]){1}));
    mos_index_close(index);
    fixture_close(&fixture);
}

MOS_TEST(a_pack_comes_back_with_all_that_is_known_of_it) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct made made;
    struct mos_pack pack;
    bool missing;
    fixture_open(&fixture);
    make_pack(&fixture, 1, 4, &made);
    mos_index *index = open_index(&fixture, &missing);
    MOS_ASSERT_OK(mos_index_pack(index, 0, &pack, &error), &error);
    CU_ASSERT_EQUAL(memcmp(pack.id, made.pack.id, sizeof(pack.id)), 0);
    CU_ASSERT_EQUAL(memcmp(pack.sha256, made.pack.sha256, sizeof(pack.sha256)), 0);
    CU_ASSERT_TRUE(mos_secret_equal(&pack.key, &made.pack.key, sizeof(pack.key)));
    CU_ASSERT_EQUAL(pack.size_bytes, made.pack.size_bytes);
    CU_ASSERT_EQUAL(pack.footer_bytes, made.pack.footer_bytes);
    CU_ASSERT_EQUAL(pack.frame_count, 4);
    mos_index_close(index);
    fixture_close(&fixture);
}

MOS_TEST(a_chunk_in_two_packs_has_one_place) {
    struct fixture fixture;
    struct made first, second;
    bool missing;
    fixture_open(&fixture);
    make_pack(&fixture, 1, 3, &first);
    make_pack(&fixture, 2, 3, &second);
    mos_index *index = open_index(&fixture, &missing);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 2);
    CU_ASSERT_EQUAL(mos_index_chunk_count(index), 4);
    CU_ASSERT_TRUE(finds(index, 2, &first) || finds(index, 2, &second));
    CU_ASSERT_TRUE(finds(index, 4, &second));
    mos_index_close(index);
    fixture_close(&fixture);
}

static void pack_path(const struct fixture *fixture, const struct made *made, char out[4500]) {
    char name[MOS_OBJECT_NAME_BYTES];
    mos_pack_name(made->pack.id, name);
    snprintf(out, 4500, "%s/%s", fixture->path, name);
}

MOS_TEST(packs_that_are_gone_cut_or_unwanted_are_dropped) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct made made[4];
    char path[4500];
    bool missing;
    fixture_open(&fixture);
    for (size_t i = 0; i < 4; i++) {
        make_pack(&fixture, (uint8_t)(10 * i + 1), 3, &made[i]);
    }
    mos_index_close(open_index(&fixture, &missing));
    pack_path(&fixture, &made[0], path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    pack_path(&fixture, &made[1], path);
    CU_ASSERT_EQUAL(truncate(path, (off_t)made[1].pack.size_bytes - 1), 0);
    mos_index *index = open_index(&fixture, &missing);
    CU_ASSERT_FALSE(missing);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 2);
    CU_ASSERT_EQUAL(mos_index_chunk_count(index), 6);
    CU_ASSERT_FALSE(mos_index_has_pack(index, made[0].pack.id));
    CU_ASSERT_FALSE(finds(index, 1, &made[0]));
    CU_ASSERT_FALSE(finds(index, 11, &made[1]));
    CU_ASSERT_TRUE(finds(index, 21, &made[2]));
    CU_ASSERT_TRUE(finds(index, 33, &made[3]));
    mos_index_close(index);
    MOS_ASSERT_OK(mos_index_remove(fixture.repository, made[2].pack.id, 1, &error), &error);
    index = open_index(&fixture, &missing);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 1);
    CU_ASSERT_EQUAL(mos_index_chunk_count(index), 3);
    CU_ASSERT_TRUE(finds(index, 31, &made[3]));
    mos_index_close(index);
    // An entry of a pack that went before it was merged says nothing either.
    struct made late;
    make_pack(&fixture, 50, 2, &late);
    pack_path(&fixture, &late, path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    index = open_index(&fixture, &missing);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 1);
    CU_ASSERT_EQUAL(count_entries(&fixture), 0);
    mos_index_close(index);
    fixture_close(&fixture);
}

MOS_TEST(a_damaged_main_is_as_none_and_is_rebuilt) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    char path[4500];
    bool missing;
    int64_t unreadable = -1;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    mos_index *index = open_index(&fixture, &missing);
    size_t packs = mos_index_pack_count(index);
    size_t chunks = mos_index_chunk_count(index);
    CU_ASSERT(packs == 3 && chunks == 5);
    mos_index_close(index);
    snprintf(path, sizeof(path), "%s/index/main", fixture.path);
    read_file(path, &bytes);
    for (size_t at = 0; at < bytes.size_bytes; at += 7) {
        write_file(path, bytes.data, bytes.size_bytes);
        flip_byte(path, at);
        index = open_index(&fixture, &missing);
        CU_ASSERT_TRUE(missing);
        CU_ASSERT_EQUAL(mos_index_pack_count(index), 0);
        mos_index_close(index);
    }
    for (size_t size = 0; size < bytes.size_bytes; size += 13) {
        write_file(path, bytes.data, size);
        index = open_index(&fixture, &missing);
        CU_ASSERT_TRUE(missing);
        CU_ASSERT_EQUAL(mos_index_chunk_count(index), 0);
        mos_index_close(index);
    }
    MOS_ASSERT_OK(mos_repository_rebuild_index(fixture.repository, &unreadable, &error), &error);
    CU_ASSERT_EQUAL(unreadable, 0);
    index = open_index(&fixture, &missing);
    CU_ASSERT_FALSE(missing);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), packs);
    CU_ASSERT_EQUAL(mos_index_chunk_count(index), chunks);
    mos_index_close(index);
    // A link in its place is not followed: it counts as damage.
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(symlink(fixture.keyring_path, path), 0);
    index = open_index(&fixture, &missing);
    CU_ASSERT_TRUE(missing);
    mos_index_close(index);
    fixture_close(&fixture);
}

// Authenticated anew after the change, as only this program could have written it.
static void write_main(const struct fixture *fixture, const char *path, struct mos_buffer *bytes) {
    uint8_t *mac = bytes->data + bytes->size_bytes - MOS_HASH_BYTES;
    mos_hmac(&fixture->repository->keys->index_mac, bytes->data, bytes->size_bytes - MOS_HASH_BYTES, mac);
    write_file(path, bytes->data, bytes->size_bytes);
}

MOS_TEST(no_chunk_is_found_in_a_pack_that_main_does_not_list) {
    struct fixture fixture;
    struct made made;
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    char path[4500];
    bool missing;
    fixture_open(&fixture);
    make_pack(&fixture, 1, 3, &made);
    mos_index_close(open_index(&fixture, &missing));
    snprintf(path, sizeof(path), "%s/index/main", fixture.path);
    read_file(path, &bytes);
    mos_put_u32(bytes.data + bytes.size_bytes - MOS_HASH_BYTES - 8, 7);
    write_main(&fixture, path, &bytes);
    mos_index *index = open_index(&fixture, &missing);
    CU_ASSERT_FALSE(missing);
    CU_ASSERT_EQUAL(mos_index_chunk_count(index), 2);
    CU_ASSERT_TRUE(finds(index, 1, &made));
    struct mos_index_hit hit;
    CU_ASSERT_FALSE(mos_index_find(index, &(struct mos_chunk_id){{3, 5}}, &hit));
    mos_index_close(index);
    fixture_close(&fixture);
}

MOS_TEST(a_changed_or_swapped_entry_is_left_out) {
    struct fixture fixture;
    struct made first, second;
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    char path[4500], other[4500];
    char hex[2 * MOS_PACK_ID_BYTES + 1];
    bool missing;
    fixture_open(&fixture);
    make_pack(&fixture, 1, 2, &first);
    make_pack(&fixture, 9, 2, &second);
    mos_hex_encode(first.pack.id, MOS_PACK_ID_BYTES, hex);
    snprintf(path, sizeof(path), "%s/index/%s", fixture.path, hex);
    mos_hex_encode(second.pack.id, MOS_PACK_ID_BYTES, hex);
    snprintf(other, sizeof(other), "%s/index/%s", fixture.path, hex);
    read_file(path, &bytes);
    write_file(other, bytes.data, bytes.size_bytes);
    flip_byte(path, bytes.size_bytes - 20);
    mos_index *index = open_index(&fixture, &missing);
    CU_ASSERT_EQUAL(mos_index_pack_count(index), 0);
    CU_ASSERT_EQUAL(count_entries(&fixture), 0);
    mos_index_close(index);
    fixture_close(&fixture);
}

MOS_TEST(entries_decode_only_whole_and_fitting) {
    MOS_CLEANUP_BUFFER struct mos_buffer entry = {0};
    const struct mos_frame frame = {.id = {{3}}, .sealed_bytes = 116, .plain_bytes = 100};
    uint8_t secret[MOS_HASH_BYTES + MOS_KEY_BYTES] = {1};
    uint64_t size = MOS_PACK_HEADER_BYTES + 116 + 50 + MOS_PACK_TRAILER_BYTES;
    mos_append_varint(&entry, size);
    mos_buffer_append(&entry, secret, sizeof(secret));
    mos_append_varint(&entry, 50);
    mos_frames_encode(&entry, &frame, 1);
    struct mos_pack pack = {.id = {9}};
    struct mos_frame *frames = NULL;
    CU_ASSERT_TRUE_FATAL(mos_index_entry_decode(entry.data, entry.size_bytes, &pack, &frames));
    CU_ASSERT(pack.id[0] == 9 && pack.size_bytes == size && pack.frame_count == 1 && pack.footer_bytes == 50 && pack.sha256[0] == 1);
    free(frames);
    frames = NULL;
    for (size_t cut = 0; cut < entry.size_bytes; cut++) {
        CU_ASSERT_FALSE(mos_index_entry_decode(entry.data, cut, &pack, &frames));
    }
    mos_buffer_append_byte(&entry, 0);
    CU_ASSERT_FALSE(mos_index_entry_decode(entry.data, entry.size_bytes, &pack, &frames));
    // The frames would not reach to the footer.
    entry.size_bytes--;
    entry.data[0]++;
    CU_ASSERT_FALSE(mos_index_entry_decode(entry.data, entry.size_bytes, &pack, &frames));
    CU_ASSERT_PTR_NULL(frames);
}
