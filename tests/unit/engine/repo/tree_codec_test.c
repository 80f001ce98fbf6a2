#include "engine/repo/tree_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/repo/tree_internal.h"
#include "unit/test.h"

// What an encoder stored, in order. Chunk number n has the id n, n, …
struct stored {
    struct mos_buffer chunks[64];
    struct mos_buffer first_paths[64];
    bool list[64];
    size_t count;
    mos_status answer;
};

static mos_status store(void *context, const void *data, size_t size_bytes, const char *first_path, size_t first_path_bytes,
                        struct mos_chunk_id *out_id, struct mos_error *error) {
    struct stored *stored = context;
    if (stored->answer != MOS_OK) {
        return mos_fail(error, stored->answer, "the store is closed");
    }
    CU_ASSERT_FATAL(stored->count < 64);
    CU_ASSERT(size_bytes <= MOS_CHUNK_LIMIT_BYTES);
    memset(out_id->bytes, (int)stored->count, sizeof(out_id->bytes));
    stored->list[stored->count] = first_path == NULL;
    mos_buffer_append(&stored->first_paths[stored->count], first_path, first_path_bytes);
    mos_buffer_append(&stored->chunks[stored->count++], data, size_bytes);
    return MOS_OK;
}

static void free_stored(struct stored *stored) {
    for (size_t i = 0; i < stored->count; i++) {
        mos_buffer_free(&stored->chunks[i]);
        mos_buffer_free(&stored->first_paths[i]);
    }
}

static struct mos_entry entry_at(const char *path, enum mos_entry_type type) {
    return (struct mos_entry){.path = path,
                              .path_bytes = strlen(path),
                              .type = type,
                              .mode = 0640,
                              .uid = 1000,
                              .gid = 1000,
                              .user = "pos",
                              .group = "pos",
                              .modified_unix_ns = INT64_C(1700000000123456789),
                              .changed_unix_ns = INT64_C(1700000001000000000),
                              .inode = 42,
                              .device = 64769,
                              .link_target = ""};
}

static void encode(struct stored *stored, const struct mos_entry *entries, size_t count) {
    struct mos_error error = {0};
    mos_tree_encoder *encoder = mos_tree_encoder_create(7, store, stored);
    for (size_t i = 0; i < count; i++) {
        MOS_ASSERT_OK(mos_tree_encoder_add(encoder, &entries[i], &error), &error);
    }
    MOS_ASSERT_OK(mos_tree_encoder_finish(encoder, &error), &error);
    mos_tree_encoder_destroy(encoder);
}

static void check_same(const struct mos_entry *a, const struct mos_entry *b) {
    CU_ASSERT(a->path_bytes == b->path_bytes && strcmp(a->path, b->path) == 0);
    CU_ASSERT(a->type == b->type && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid);
    CU_ASSERT(strcmp(a->user, b->user) == 0 && strcmp(a->group, b->group) == 0);
    CU_ASSERT(a->modified_unix_ns == b->modified_unix_ns && a->changed_unix_ns == b->changed_unix_ns);
    CU_ASSERT(a->inode == b->inode && a->device == b->device && a->size_bytes == b->size_bytes && a->sparse == b->sparse);
    CU_ASSERT(a->device_major == b->device_major && a->device_minor == b->device_minor);
    CU_ASSERT(a->link_target_bytes == b->link_target_bytes && memcmp(a->link_target, b->link_target, a->link_target_bytes) == 0);
    CU_ASSERT_FATAL(a->extent_count == b->extent_count && a->range_count == b->range_count && a->xattr_count == b->xattr_count);
    for (size_t i = 0; i < a->extent_count; i++) {
        CU_ASSERT_EQUAL(memcmp(&a->extents[i], &b->extents[i], sizeof(a->extents[i])), 0);
    }
    for (size_t i = 0; i < a->range_count; i++) {
        CU_ASSERT_EQUAL(memcmp(&a->ranges[i], &b->ranges[i], sizeof(a->ranges[i])), 0);
    }
    for (size_t i = 0; i < a->xattr_count; i++) {
        CU_ASSERT_STRING_EQUAL(a->xattrs[i].name, b->xattrs[i].name);
        CU_ASSERT_FATAL(a->xattrs[i].value_bytes == b->xattrs[i].value_bytes);
        CU_ASSERT_EQUAL(memcmp(a->xattrs[i].value, b->xattrs[i].value, a->xattrs[i].value_bytes), 0);
    }
}

// All kinds, with every field at a value of its own.
static const struct mos_extent two_extents[] = {{.chunk = {{1}}, .length_bytes = 100},
                                                {.chunk = {{2}}, .offset_bytes = 7, .length_bytes = 50}};
static const struct mos_extent back_again[] = {{.chunk = {{2}}, .offset_bytes = 57, .length_bytes = 1},
                                               {.chunk = {{1}}, .offset_bytes = 3, .length_bytes = 8},
                                               {.chunk = {{1}}, .offset_bytes = 11, .length_bytes = 2},
                                               {.chunk = {{3}}, .offset_bytes = 0, .length_bytes = MOS_CHUNK_LIMIT_BYTES}};
static const struct mos_range two_ranges[] = {{4096, 100}, {UINT64_C(1) << 40, 50}};
static const struct mos_xattr two_xattrs[] = {{"system.posix_acl_access", (const uint8_t *)"\2\0\0", 3},
                                              {"user.empty", (const uint8_t *)"", 0}};

static size_t every_kind(struct mos_entry entries[16]) {
    size_t n = 0;
    entries[n++] = entry_at("/", MOS_ENTRY_DIRECTORY);
    entries[n] = entry_at("/srv", MOS_ENTRY_DIRECTORY);
    entries[n].xattrs = two_xattrs;
    entries[n++].xattr_count = 2;
    entries[n] = entry_at("/srv/a", MOS_ENTRY_FILE);
    entries[n].size_bytes = 150;
    entries[n].extents = two_extents;
    entries[n++].extent_count = 2;
    entries[n] = entry_at("/srv/b", MOS_ENTRY_HARDLINK);
    entries[n].link_target = "/srv/a";
    entries[n++].link_target_bytes = 6;
    entries[n] = entry_at("/srv/b-is-long", MOS_ENTRY_SYMLINK);
    entries[n].link_target = "../\xff";
    entries[n].mode = 0777;
    entries[n++].link_target_bytes = 4;
    entries[n] = entry_at("/srv/c", MOS_ENTRY_CHARACTER_DEVICE);
    entries[n].device_major = UINT32_MAX;
    entries[n++].device_minor = 3;
    entries[n] = entry_at("/srv/d", MOS_ENTRY_BLOCK_DEVICE);
    entries[n].device_major = 8;
    entries[n++].device_minor = UINT32_MAX;
    entries[n] = entry_at("/srv/e", MOS_ENTRY_FIFO);
    entries[n].uid = UINT32_MAX;
    entries[n].user = "";
    entries[n++].gid = UINT32_MAX;
    entries[n] = entry_at("/srv/f", MOS_ENTRY_SOCKET);
    entries[n++].mode = 07777;
    entries[n] = entry_at("/srv/g", MOS_ENTRY_FILE);
    entries[n].size_bytes = UINT64_C(1) << 41;
    entries[n].sparse = true;
    entries[n].ranges = two_ranges;
    entries[n].range_count = 2;
    entries[n].extents = two_extents;
    entries[n++].extent_count = 2;
    entries[n] = entry_at("/srv/h", MOS_ENTRY_FILE);
    entries[n].size_bytes = INT64_MAX;
    entries[n++].sparse = true;
    entries[n] = entry_at("/srv/i", MOS_ENTRY_FILE);
    entries[n].modified_unix_ns = INT64_MIN;
    entries[n].changed_unix_ns = -1;
    entries[n].inode = UINT64_MAX;
    entries[n++].device = UINT64_MAX;
    entries[n] = entry_at("/srv/j", MOS_ENTRY_FILE);
    entries[n].modified_unix_ns = INT64_MAX;
    entries[n].changed_unix_ns = -1000000000;
    entries[n].size_bytes = 11 + (UINT64_C(16) << 20);
    entries[n].extents = back_again;
    entries[n++].extent_count = 4;
    entries[n] = entry_at("pos.db", MOS_ENTRY_DATABASE);
    entries[n].size_bytes = 150;
    entries[n].extents = two_extents;
    entries[n++].extent_count = 2;
    return n;
}

MOS_TEST(entries_of_every_kind_come_back) {
    struct stored stored = {0};
    struct mos_error error = {0};
    struct mos_entry entries[16];
    size_t count = every_kind(entries);
    encode(&stored, entries, count);
    CU_ASSERT_EQUAL_FATAL(stored.count, 1);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&stored.first_paths[0]), "/");
    mos_tree_decoder *decoder = NULL;
    const struct mos_entry *entry = NULL;
    MOS_ASSERT_OK(mos_tree_decoder_create(stored.chunks[0].data, stored.chunks[0].size_bytes, &decoder, &error), &error);
    for (size_t i = 0; i < count; i++) {
        MOS_ASSERT_OK(mos_tree_decoder_next(decoder, &entry, &error), &error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
        check_same(entry, &entries[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        MOS_ASSERT_OK(mos_tree_decoder_next(decoder, &entry, &error), &error);
        CU_ASSERT_PTR_NULL(entry);
    }
    mos_tree_decoder_destroy(decoder);
    free_stored(&stored);
}

// Decodes to the end. *out_count: entries before the end or the fault.
static mos_status decode(const void *data, size_t size_bytes, size_t *out_count) {
    mos_tree_decoder *decoder = NULL;
    const struct mos_entry *entry = NULL;
    *out_count = 0;
    mos_status status = mos_tree_decoder_create(data, size_bytes, &decoder, NULL);
    if (status != MOS_OK) {
        return status;
    }
    while ((status = mos_tree_decoder_next(decoder, &entry, NULL)) == MOS_OK && entry) {
        (*out_count)++;
    }
    if (status != MOS_OK) {
        // It stays so.
        CU_ASSERT_EQUAL(mos_tree_decoder_next(decoder, &entry, NULL), status);
        CU_ASSERT_PTR_NULL(entry);
    }
    mos_tree_decoder_destroy(decoder);
    return status;
}

MOS_TEST(a_chunk_cut_anywhere_or_longer_is_refused) {
    struct stored stored = {0};
    struct mos_entry entries[16];
    size_t decoded;
    size_t count = every_kind(entries);
    encode(&stored, entries, count);
    struct mos_buffer *chunk = &stored.chunks[0];
    CU_ASSERT_EQUAL(decode(chunk->data, chunk->size_bytes, &decoded), MOS_OK);
    CU_ASSERT_EQUAL(decoded, count);
    for (size_t size = 0; size < chunk->size_bytes; size++) {
        // A copy of its own, so that the sanitizer sees a read behind it.
        MOS_CLEANUP_FREE uint8_t *cut = mos_malloc(size);
        memcpy(cut, chunk->data, size);
        CU_ASSERT_EQUAL(decode(cut, size, &decoded), MOS_CORRUPT);
    }
    mos_buffer_append_byte(chunk, 0);
    CU_ASSERT_EQUAL(decode(chunk->data, chunk->size_bytes, &decoded), MOS_CORRUPT);
    free_stored(&stored);
}

MOS_TEST(any_changed_byte_is_refused_or_gives_entries_within_the_rules) {
    struct stored stored = {0};
    struct mos_entry entries[16];
    size_t count = every_kind(entries);
    size_t refused = 0;
    encode(&stored, entries, count);
    struct mos_buffer *chunk = &stored.chunks[0];
    for (size_t at = 0; at < chunk->size_bytes; at++) {
        uint8_t original = chunk->data[at];
        for (unsigned value = 0; value < 256; value += 5) {
            mos_tree_decoder *decoder = NULL;
            const struct mos_entry *entry = NULL;
            chunk->data[at] = (uint8_t)value;
            mos_status status = mos_tree_decoder_create(chunk->data, chunk->size_bytes, &decoder, NULL);
            while (status == MOS_OK && (status = mos_tree_decoder_next(decoder, &entry, NULL)) == MOS_OK && entry) {
                CU_ASSERT_EQUAL(mos_entry_check(entry, NULL), MOS_OK);
            }
            refused += status != MOS_OK;
            mos_tree_decoder_destroy(decoder);
        }
        chunk->data[at] = original;
    }
    CU_ASSERT(refused > 1000);
    free_stored(&stored);
}

// A chunk by hand: no chunk ids, `count` entries, and the records as they stand.
static mos_status decode_records(uint64_t count, const char *records, size_t size_bytes) {
    MOS_CLEANUP_BUFFER struct mos_buffer chunk = {0};
    size_t decoded;
    mos_buffer_append_byte(&chunk, MOS_TREE_LAYOUT);
    mos_append_varint(&chunk, 0);
    mos_append_varint(&chunk, count);
    mos_buffer_append(&chunk, records, size_bytes);
    return decode(chunk.data, chunk.size_bytes, &decoded);
}
#define RECORDS(count, text) decode_records((count), (text), sizeof(text) - 1)

MOS_TEST(records_against_the_rules_are_refused) {
    // Shared and rest of the path, type, flags, mode, owner; the two times; inode and device.
#define OWNER "\0\0\0\0"
#define TIMES "\0\0\0\0"
#define PLACE "\0\0"
    // A directory /a, and a pipe /a/b behind it that has the same owner.
    static const char first[] = "\0\2/a\2\0\0" OWNER TIMES PLACE;
    CU_ASSERT_EQUAL(decode_records(1, first, sizeof(first) - 1), MOS_OK);
    CU_ASSERT_EQUAL(RECORDS(2, "\0\2/a\2\0\0" OWNER TIMES PLACE "\2\2/b\7\1\0" TIMES PLACE), MOS_OK);
    // No entries at all, more than there are, more than any chunk can have.
    CU_ASSERT_EQUAL(RECORDS(0, ""), MOS_CORRUPT);
    CU_ASSERT_EQUAL(decode_records(2, first, sizeof(first) - 1), MOS_CORRUPT);
    CU_ASSERT_EQUAL(decode_records(UINT64_MAX, first, sizeof(first) - 1), MOS_CORRUPT);
    // The same path again, one that goes back, more shared than there was, nothing behind what is shared.
    CU_ASSERT_EQUAL(RECORDS(2, "\0\2/b\2\0\0" OWNER TIMES PLACE "\0\2/b\7\1\0" TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(2, "\0\2/b\2\0\0" OWNER TIMES PLACE "\1\1a\7\1\0" TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(2, "\0\2/b\2\0\0" OWNER TIMES PLACE "\3\1x\7\1\0" TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(2, "\0\2/b\2\0\0" OWNER TIMES PLACE "\2\0\7\1\0" TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\1\1a\7\0\0" OWNER TIMES PLACE), MOS_CORRUPT);
    // Paths that would leave the target.
    CU_ASSERT_EQUAL(RECORDS(1, "\0\5/a/..\2\0\0" OWNER TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2..\11\0\0" OWNER TIMES PLACE "\0\0"), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\4a\0/b\2\0\0" OWNER TIMES PLACE), MOS_CORRUPT);
    // The owner of an entry before the first; types, flags and modes that are none.
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\1\0" TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\0\0\0" OWNER TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\12\0\0" OWNER TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\20\0" OWNER TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\2\0" OWNER TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\0\x80\x20" OWNER TIMES PLACE), MOS_CORRUPT);
    // A number that is longer than it need be, and 10^9 nanoseconds.
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\0\x80\0" OWNER TIMES PLACE), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\0\0" OWNER "\0\x80\x94\xeb\xdc\3"
                               "\0\0" PLACE),
                    MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\0\0" OWNER "\0\xff\x93\xeb\xdc\3"
                               "\0\0" PLACE),
                    MOS_OK);
    // Seconds that 64 bits of nanoseconds cannot hold.
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\0\0" OWNER "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\0"
                               "\0\0" PLACE),
                    MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\0\0" OWNER "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0"
                               "\0\0" PLACE),
                    MOS_CORRUPT);
    // An owner's name with a zero byte, a symlink that is empty, a hard link to a later name.
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\0\0"
                               "\0\0\2x\0\0" TIMES PLACE),
                    MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\3\0\0" OWNER TIMES PLACE "\1x"), MOS_OK);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\3\0\0" OWNER TIMES PLACE "\0"), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/b\4\0\0" OWNER TIMES PLACE "\2/a"), MOS_OK);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/b\4\0\0" OWNER TIMES PLACE "\2/c"), MOS_CORRUPT);
    // An extent of the chunk before where none was, of an id that is not there; attributes out of order; more of them than bytes.
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\1\0\0" OWNER TIMES PLACE "\5\1\3"), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\1\0\0" OWNER TIMES PLACE "\5\1\7"), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\4\0" OWNER TIMES PLACE "\2\1a\0\1b\0"), MOS_OK);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\4\0" OWNER TIMES PLACE "\2\1b\0\1a\0"), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\2\4\0" OWNER TIMES PLACE "\x80\x20\1a\0"), MOS_CORRUPT);
    // Extents, lists and ranges whose numbers no chunk could hold.
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\1\0\0" OWNER TIMES PLACE "\5\x80\x20"), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\1\10\0" OWNER TIMES PLACE "\5\0"), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\1\10\0" OWNER TIMES PLACE "\5\xff\xff\x1f"), MOS_CORRUPT);
    CU_ASSERT_EQUAL(RECORDS(1, "\0\2/a\1\2\0" OWNER TIMES PLACE "\5\xff\xff\3"), MOS_CORRUPT);
}

MOS_TEST(chunk_ids_are_introduced_in_order_and_all_used) {
    static const char records[] = "\0\2/a\1\0\0" OWNER TIMES PLACE "\5\1\7";
    for (uint64_t ids = 0; ids < 3; ids++) {
        MOS_CLEANUP_BUFFER struct mos_buffer chunk = {0};
        uint8_t id[MOS_CHUNK_ID_BYTES] = {1};
        size_t decoded;
        mos_buffer_append_byte(&chunk, MOS_TREE_LAYOUT);
        mos_append_varint(&chunk, ids);
        for (uint64_t i = 0; i < ids; i++) {
            mos_buffer_append(&chunk, id, sizeof(id));
        }
        mos_append_varint(&chunk, 1);
        size_t head = chunk.size_bytes;
        mos_buffer_append(&chunk, records, sizeof(records) - 1);
        CU_ASSERT_EQUAL(decode(chunk.data, chunk.size_bytes, &decoded), ids == 1 ? MOS_OK : MOS_CORRUPT);
        // By its number, an id can be named only after it was introduced.
        static const char early[] = "\0\2/a\1\0\0" OWNER TIMES PLACE "\5\2\11\3\7";
        chunk.size_bytes = head;
        mos_buffer_append(&chunk, early, sizeof(early) - 1);
        CU_ASSERT_EQUAL(decode(chunk.data, chunk.size_bytes, &decoded), MOS_CORRUPT);
        static const char late[] = "\0\2/a\1\0\0" OWNER TIMES PLACE "\5\2\5\3\13";
        chunk.size_bytes = head;
        mos_buffer_append(&chunk, late, sizeof(late) - 1);
        CU_ASSERT_EQUAL(decode(chunk.data, chunk.size_bytes, &decoded), ids == 1 ? MOS_OK : MOS_CORRUPT);
    }
}

MOS_TEST(what_breaks_a_rule_or_the_order_is_not_added) {
    struct stored stored = {0};
    struct mos_error error = {0};
    size_t decoded;
    mos_tree_encoder *encoder = mos_tree_encoder_create(7, store, &stored);
    struct mos_entry entry = entry_at("/b", MOS_ENTRY_DIRECTORY);
    MOS_ASSERT_OK(mos_tree_encoder_add(encoder, &entry, &error), &error);
    CU_ASSERT_EQUAL(mos_tree_encoder_add(encoder, &entry, &error), MOS_INVALID_ARGUMENT);
    entry = entry_at("/a", MOS_ENTRY_DIRECTORY);
    CU_ASSERT_EQUAL(mos_tree_encoder_add(encoder, &entry, &error), MOS_INVALID_ARGUMENT);
    entry = entry_at("/c/..", MOS_ENTRY_DIRECTORY);
    CU_ASSERT_EQUAL(mos_tree_encoder_add(encoder, &entry, &error), MOS_INVALID_ARGUMENT);
    entry = entry_at("/c", MOS_ENTRY_FILE);
    entry.list_count = 1;
    CU_ASSERT_EQUAL(mos_tree_encoder_add(encoder, &entry, &error), MOS_INVALID_ARGUMENT);
    entry = entry_at("/b/c", MOS_ENTRY_FIFO);
    MOS_ASSERT_OK(mos_tree_encoder_add(encoder, &entry, &error), &error);
    MOS_ASSERT_OK(mos_tree_encoder_finish(encoder, &error), &error);
    // Also over the end of a chunk.
    entry = entry_at("/b/b", MOS_ENTRY_FIFO);
    CU_ASSERT_EQUAL(mos_tree_encoder_add(encoder, &entry, &error), MOS_INVALID_ARGUMENT);
    MOS_ASSERT_OK(mos_tree_encoder_finish(encoder, &error), &error);
    mos_tree_encoder_destroy(encoder);
    CU_ASSERT_EQUAL_FATAL(stored.count, 1);
    CU_ASSERT_EQUAL(decode(stored.chunks[0].data, stored.chunks[0].size_bytes, &decoded), MOS_OK);
    CU_ASSERT_EQUAL(decoded, 2);
    free_stored(&stored);
}

MOS_TEST(a_failing_store_is_told) {
    struct stored stored = {.answer = MOS_NO_SPACE};
    struct mos_error error = {0};
    mos_tree_encoder *encoder = mos_tree_encoder_create(7, store, &stored);
    struct mos_entry entry = entry_at("/b", MOS_ENTRY_DIRECTORY);
    MOS_ASSERT_OK(mos_tree_encoder_add(encoder, &entry, &error), &error);
    CU_ASSERT_EQUAL(mos_tree_encoder_finish(encoder, &error), MOS_NO_SPACE);
    CU_ASSERT_STRING_EQUAL(error.message, "the store is closed");
    mos_tree_encoder_destroy(encoder);
}

MOS_TEST(long_trees_are_cut_into_chunks_that_stand_alone) {
    struct stored stored = {0};
    struct stored again = {0};
    struct mos_error error = {0};
    enum { COUNT = 30000 };
    for (size_t skip = 0; skip < 2; skip++) {
        mos_tree_encoder *encoder = mos_tree_encoder_create(99, store, skip ? &again : &stored);
        for (size_t i = skip; i < COUNT; i++) {
            char path[64];
            snprintf(path, sizeof(path), "/srv/shop/receipts/%06zu", i);
            struct mos_entry entry = entry_at(path, MOS_ENTRY_FIFO);
            entry.inode = i * 1000003;
            MOS_ASSERT_OK(mos_tree_encoder_add(encoder, &entry, &error), &error);
        }
        MOS_ASSERT_OK(mos_tree_encoder_finish(encoder, &error), &error);
        mos_tree_encoder_destroy(encoder);
    }
    CU_ASSERT(stored.count > 2);
    size_t total = 0;
    size_t size_bytes = 0;
    for (size_t i = 0; i < stored.count; i++) {
        size_t decoded;
        CU_ASSERT_EQUAL(decode(stored.chunks[i].data, stored.chunks[i].size_bytes, &decoded), MOS_OK);
        CU_ASSERT(i == 0 || strcmp(mos_buffer_text(&stored.first_paths[i - 1]), mos_buffer_text(&stored.first_paths[i])) < 0);
        total += decoded;
        size_bytes += stored.chunks[i].size_bytes;
    }
    CU_ASSERT_EQUAL(total, COUNT);
    // What a path shares with the one before is not written again: 25 bytes of path would not fit in here.
    CU_ASSERT(size_bytes < 40 * COUNT);
    // Without the first entry, only the first chunk differs: the cuts hang on the paths.
    CU_ASSERT_EQUAL_FATAL(again.count, stored.count);
    for (size_t i = 1; i < stored.count; i++) {
        CU_ASSERT_EQUAL(stored.chunks[i].size_bytes, again.chunks[i].size_bytes);
        CU_ASSERT_EQUAL(memcmp(stored.chunks[i].data, again.chunks[i].data, stored.chunks[i].size_bytes), 0);
    }
    free_stored(&stored);
    free_stored(&again);
}

static bool list_decodes(const struct mos_buffer *list) {
    struct mos_extent *extents = NULL;
    size_t count = 0;
    bool valid = mos_extent_list_decode(list->data, list->size_bytes, &extents, &count, NULL) == MOS_OK;
    CU_ASSERT_EQUAL(valid, extents != NULL);
    free(extents);
    return valid;
}

MOS_TEST(long_lists_of_extents_stand_apart) {
    struct stored stored = {0};
    struct mos_error error = {0};
    enum { COUNT = 20000 };
    struct mos_extent *extents = mos_calloc(COUNT, sizeof(*extents));
    for (size_t i = 0; i < COUNT; i++) {
        extents[i] =
            (struct mos_extent){.chunk = {{(uint8_t)(i % 5), (uint8_t)(i / 1000)}}, .offset_bytes = (uint32_t)i, .length_bytes = 3};
    }
    struct mos_entry entry = entry_at("pos.db", MOS_ENTRY_DATABASE);
    entry.extents = extents;
    entry.extent_count = MOS_TREE_INLINE_EXTENTS;
    entry.size_bytes = 3 * entry.extent_count;
    encode(&stored, &entry, 1);
    CU_ASSERT_EQUAL(stored.count, 1);
    free_stored(&stored);
    stored = (struct stored){0};
    entry.extent_count = COUNT;
    entry.size_bytes = 3 * entry.extent_count;
    encode(&stored, &entry, 1);
    CU_ASSERT_EQUAL_FATAL(stored.count, 3);
    CU_ASSERT(stored.list[0] && stored.list[1] && !stored.list[2]);
    mos_tree_decoder *decoder = NULL;
    const struct mos_entry *found = NULL;
    MOS_ASSERT_OK(mos_tree_decoder_create(stored.chunks[2].data, stored.chunks[2].size_bytes, &decoder, &error), &error);
    MOS_ASSERT_OK(mos_tree_decoder_next(decoder, &found, &error), &error);
    CU_ASSERT(found->extent_count == 0 && found->list_count == 2 && found->size_bytes == 3 * COUNT);
    CU_ASSERT(found->lists[0].bytes[0] == 0 && found->lists[1].bytes[31] == 1);
    mos_tree_decoder_destroy(decoder);
    size_t at = 0;
    for (size_t i = 0; i < 2; i++) {
        struct mos_extent *list = NULL;
        size_t count = 0;
        MOS_ASSERT_OK(mos_extent_list_decode(stored.chunks[i].data, stored.chunks[i].size_bytes, &list, &count, &error), &error);
        CU_ASSERT_FATAL(at + count <= COUNT);
        CU_ASSERT_EQUAL(memcmp(list, extents + at, count * sizeof(*list)), 0);
        at += count;
        free(list);
    }
    CU_ASSERT_EQUAL(at, COUNT);
    // Cut, continued, or taken for a part of the tree and the other way round.
    struct mos_buffer *list = &stored.chunks[1];
    size_t whole = list->size_bytes;
    for (list->size_bytes = 0; list->size_bytes < whole; list->size_bytes += list->size_bytes < 900 ? 1 : 97) {
        CU_ASSERT_FALSE(list_decodes(list));
    }
    list->size_bytes = whole;
    CU_ASSERT_TRUE(list_decodes(list));
    CU_ASSERT_FALSE(list_decodes(&stored.chunks[2]));
    CU_ASSERT_EQUAL(mos_tree_decoder_create(list->data, list->size_bytes, &decoder, &error), MOS_CORRUPT);
    mos_buffer_append_byte(list, 0);
    CU_ASSERT_FALSE(list_decodes(list));
    free(extents);
    free_stored(&stored);
}

MOS_TEST(lists_have_their_rules) {
    static const struct {
        const char *bytes;
        size_t size_bytes;
        bool good;
    } lists[] = {
#define LIST(text, good) {text, sizeof(text) - 1, good}
#define ID "0123456789abcdef0123456789abcdef"
        LIST("\2\1" ID "\1\5\3", true),               // the next id, offset 0, 3 bytes
        LIST("\2\1" ID "\2\5\3\1\4", true),           // and where it ended, 4 more
        LIST("\2\1" ID "\0", false),                  // none
        LIST("\2\1" ID "\1\5\0", false),              // no bytes
        LIST("\2\1" ID "\1\7", false),                // "the rest" of nothing known
        LIST("\2\2" ID ID "\1\5\3", false),           // an id that nothing uses
        LIST("\2\1" ID "\1\1\3", false),              // the same chunk as before the first
        LIST("\2\1" ID "\1\4\xff\xff\xff\7\1", true), // the last byte of the largest chunk
        LIST("\2\1" ID "\1\4\xff\xff\xff\7\2", false),
        LIST("\2\1" ID "\x81\x80\1\5\3", false), // more than a list may hold
        LIST("\2\xff\xff\xff\xff\7", false),
        LIST("\1\1" ID "\1\5\3", false),
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct mos_buffer list = {.data = (uint8_t *)lists[i].bytes, .size_bytes = lists[i].size_bytes};
        if (list_decodes(&list) != lists[i].good) {
            printf("list %zu\n", i);
            CU_FAIL("a list is judged wrongly");
        }
    }
}
