#include "engine/repo/pack.h"

#include "engine/repo/files.h"
#include "fixture.h"

static struct mos_frame frame_of(uint8_t first, uint32_t sealed, uint32_t plain, uint8_t flags) {
    return (struct mos_frame){.id = {{first}}, .sealed_bytes = sealed, .plain_bytes = plain, .flags = flags};
}

static bool decodes(const struct mos_frame *frames, size_t count) {
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    struct mos_frame *out = NULL;
    size_t out_count = 0;
    mos_frames_encode(&bytes, frames, count);
    struct mos_cursor cursor = {.next = bytes.data, .left_bytes = bytes.size_bytes};
    bool decoded = mos_frames_decode(&cursor, &out, &out_count) && out_count == count && cursor.left_bytes == 0;
    free(out);
    return decoded;
}

MOS_TEST(frames_come_back_with_their_places) {
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    struct mos_frame *out = NULL;
    size_t count = 0;
    const struct mos_frame frames[] = {frame_of(1, 116, 100, 0), frame_of(2, 30, 100, MOS_FRAME_COMPRESSED),
                                       frame_of(3, 17, 1, MOS_FRAME_TREE)};
    mos_frames_encode(&bytes, frames, 3);
    struct mos_cursor cursor = {.next = bytes.data, .left_bytes = bytes.size_bytes};
    CU_ASSERT_TRUE_FATAL(mos_frames_decode(&cursor, &out, &count));
    CU_ASSERT_EQUAL(count, 3);
    CU_ASSERT_EQUAL(out[0].offset_bytes, 22);
    CU_ASSERT_EQUAL(out[1].offset_bytes, 138);
    CU_ASSERT_EQUAL(out[2].offset_bytes, 168);
    CU_ASSERT_EQUAL(out[2].flags, MOS_FRAME_TREE);
    CU_ASSERT_EQUAL(out[1].id.bytes[0], 2);
    free(out);
    // Cut anywhere, it is refused.
    for (size_t size = 0; size < bytes.size_bytes; size++) {
        cursor = (struct mos_cursor){.next = bytes.data, .left_bytes = size};
        out = NULL;
        CU_ASSERT_FALSE(mos_frames_decode(&cursor, &out, &count));
    }
}

MOS_TEST(impossible_frames_are_refused) {
    const struct mos_frame good = frame_of(1, 116, 100, 0);
    CU_ASSERT_TRUE(decodes(&good, 1));
    CU_ASSERT_TRUE(decodes(&good, 0));
    const struct mos_frame wrong[] = {
        frame_of(1, 115, 100, 0),
        frame_of(1, 16, 0, 0),
        frame_of(1, 16, 10, MOS_FRAME_COMPRESSED),
        frame_of(1, 116, 100, MOS_FRAME_COMPRESSED),
        frame_of(1, 116, 100, 8),
        frame_of(1, MOS_CHUNK_LIMIT_BYTES + 17, MOS_CHUNK_LIMIT_BYTES + 1, 0),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_FALSE(decodes(&wrong[i], 1));
    }
}

// A pack with two frames, and everything that is needed to read it.
struct written {
    struct fixture fixture;
    int root;
    struct mos_pack pack;
    mos_aead *aead;
    char path[4500];
};

static void write_pack(struct written *written) {
    struct mos_error error = {0};
    mos_pack_writer *writer = NULL;
    struct mos_chunk_id id = {{9}};
    fixture_open(&written->fixture);
    written->root = open(written->fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MOS_ASSERT_OK(mos_pack_writer_begin(written->root, &writer, &error), &error);
    MOS_ASSERT_OK(mos_pack_writer_append(writer, &id, 0, "hello", 5, 5, &error), &error);
    id.bytes[0] = 8;
    MOS_ASSERT_OK(mos_pack_writer_append(writer, &id, 0, "world!", 6, 6, &error), &error);
    MOS_ASSERT_OK(mos_pack_writer_finish(writer, &written->pack, &error), &error);
    mos_pack_writer_destroy(writer);
    written->aead = mos_aead_create(&written->pack.key);
    char name[MOS_OBJECT_NAME_BYTES];
    mos_pack_name(written->pack.id, name);
    snprintf(written->path, sizeof(written->path), "%s/%s", written->fixture.path, name);
}

static void close_pack(struct written *written) {
    mos_aead_destroy(written->aead);
    close(written->root);
    fixture_close(&written->fixture);
}

MOS_TEST(a_pack_is_as_long_and_hashes_as_it_says) {
    struct written written;
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    uint8_t digest[MOS_HASH_BYTES];
    write_pack(&written);
    read_file(written.path, &bytes);
    CU_ASSERT_EQUAL(bytes.size_bytes, written.pack.size_bytes);
    mos_sha256(bytes.data, bytes.size_bytes, digest);
    CU_ASSERT_EQUAL(memcmp(digest, written.pack.sha256, sizeof(digest)), 0);
    CU_ASSERT_EQUAL(memcmp(bytes.data, "MPAK\1\0", 6), 0);
    CU_ASSERT_EQUAL(memcmp(bytes.data + 6, written.pack.id, MOS_PACK_ID_BYTES), 0);
    CU_ASSERT_EQUAL(mos_get_u32(bytes.data + bytes.size_bytes - 4), written.pack.footer_bytes);
    CU_ASSERT_EQUAL(written.pack.frame_count, 2);
    close_pack(&written);
}

MOS_TEST(a_frame_opens_in_its_place_only) {
    struct written written;
    struct mos_error error = {0};
    struct mos_frame *frames = NULL;
    MOS_CLEANUP_BUFFER struct mos_buffer bytes = {0};
    uint8_t sealed[64];
    uint8_t plain[64];
    mos_decompressor *decompressor = mos_decompressor_create();
    write_pack(&written);
    read_file(written.path, &bytes);
    MOS_ASSERT_OK(mos_pack_footer_read(written.root, &written.pack, written.aead, &frames, &error), &error);
    CU_ASSERT_EQUAL(frames[1].id.bytes[0], 8);
    memcpy(sealed, bytes.data + frames[1].offset_bytes, frames[1].sealed_bytes);
    CU_ASSERT_TRUE(mos_frame_open(&written.pack, written.aead, 1, &frames[1], sealed, decompressor, plain));
    CU_ASSERT_EQUAL(memcmp(plain, "world!", 6), 0);
    // Replayed under another number, or in another pack with the same key.
    memcpy(sealed, bytes.data + frames[1].offset_bytes, frames[1].sealed_bytes);
    CU_ASSERT_FALSE(mos_frame_open(&written.pack, written.aead, 0, &frames[1], sealed, decompressor, plain));
    struct mos_pack other = written.pack;
    other.id[0] ^= 1;
    memcpy(sealed, bytes.data + frames[1].offset_bytes, frames[1].sealed_bytes);
    CU_ASSERT_FALSE(mos_frame_open(&other, written.aead, 1, &frames[1], sealed, decompressor, plain));
    free(frames);
    mos_decompressor_destroy(decompressor);
    close_pack(&written);
}

MOS_TEST(each_changed_byte_of_a_footer_keeps_it_shut) {
    struct written written;
    struct mos_frame *frames = NULL;
    write_pack(&written);
    size_t begin = written.pack.size_bytes - MOS_PACK_TRAILER_BYTES - written.pack.footer_bytes;
    for (size_t at = begin; at < begin + written.pack.footer_bytes; at++) {
        flip_byte(written.path, at);
        CU_ASSERT_EQUAL(mos_pack_footer_read(written.root, &written.pack, written.aead, &frames, NULL), MOS_CORRUPT);
        flip_byte(written.path, at);
    }
    // A footer that is sealed rightly but tells of another pack's size.
    written.pack.frame_count = 3;
    CU_ASSERT_EQUAL(mos_pack_footer_read(written.root, &written.pack, written.aead, &frames, NULL), MOS_CORRUPT);
    close_pack(&written);
}

MOS_TEST(an_abandoned_pack_leaves_nothing) {
    struct fixture fixture;
    struct mos_error error = {0};
    mos_pack_writer *writer = NULL;
    struct mos_chunk_id id = {{9}};
    char tmp[4400];
    fixture_open(&fixture);
    int root = open(fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MOS_ASSERT_OK(mos_pack_writer_begin(root, &writer, &error), &error);
    MOS_ASSERT_OK(mos_pack_writer_append(writer, &id, 0, "hello", 5, 5, &error), &error);
    mos_pack_writer_destroy(writer);
    snprintf(tmp, sizeof(tmp), "%s/tmp", fixture.path);
    CU_ASSERT_EQUAL(rmdir(tmp), 0);
    // Without tmp/ a pack fails with a sentence, and does no harm.
    CU_ASSERT_EQUAL(mos_pack_writer_begin(root, &writer, &error), MOS_NOT_FOUND);
    close(root);
    fixture_close(&fixture);
}
