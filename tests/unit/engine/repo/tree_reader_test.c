#include "engine/repo/reader.h"

#include "engine/repo/reader_internal.h"
#include "engine/repo/tree_codec.h"
#include "fixture.h"

// Enough entries for a tree of several parts.
enum { COUNT = 30000 };

static void name_entry(char path[64], size_t number) {
    snprintf(path, 64, "/srv/shop/receipts/%06zu", number);
}

static void make_tree(struct fixture *fixture, const char *id) {
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_writer_options options = {.backup_id = id, .workers = 1};
    mos_writer *writer = NULL;
    MOS_ASSERT_OK(mos_writer_begin(fixture->repository, &options, &writer, &error), &error);
    for (size_t i = 0; i < COUNT; i++) {
        char path[64];
        name_entry(path, i);
        struct mos_entry entry = {
            .path = path, .path_bytes = strlen(path), .type = MOS_ENTRY_FIFO, .user = "", .group = "", .link_target = "", .inode = i};
        MOS_ASSERT_OK(mos_writer_add(writer, &entry, &error), &error);
    }
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
}

static void open_tree(struct fixture *fixture, mos_reader **out_reader) {
    struct mos_error error = {0};
    fixture_open(fixture);
    make_tree(fixture, ID_A);
    MOS_ASSERT_OK(mos_reader_open(fixture->repository, ID_A, out_reader, &error), &error);
    CU_ASSERT_FATAL((*out_reader)->manifest->n_tree > 2);
}

static mos_tree_reader *tree_from(mos_reader *reader, const char *from) {
    struct mos_error error = {0};
    mos_tree_reader *tree = NULL;
    MOS_ASSERT_OK(mos_tree_open(reader, from, strlen(from), &tree, &error), &error);
    return tree;
}

// The number of the next entry, COUNT at the end.
static size_t next_number(mos_tree_reader *tree) {
    struct mos_error error = {0};
    const struct mos_entry *entry = NULL;
    MOS_ASSERT_OK(mos_tree_next(tree, &entry, &error), &error);
    return entry ? entry->inode : COUNT;
}

MOS_TEST(all_entries_come_in_order_over_all_parts) {
    struct fixture fixture;
    mos_reader *reader = NULL;
    open_tree(&fixture, &reader);
    mos_tree_reader *tree = tree_from(reader, "");
    size_t wrong = 0;
    for (size_t i = 0; i <= COUNT; i++) {
        wrong += next_number(tree) != i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(next_number(tree), COUNT);
    mos_tree_close(tree);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(a_tree_can_be_entered_and_gone_forward_in_anywhere) {
    struct fixture fixture;
    mos_reader *reader = NULL;
    struct mos_error error = {0};
    open_tree(&fixture, &reader);
    static const struct {
        const char *from;
        size_t number;
    } starts[] = {{"/", 0},
                  {"/srv/shop/receipts/000000", 0},
                  {"/srv/shop/receipts/000000x", 1},
                  {"/srv/shop/receipts/012345", 12345},
                  {"/srv/shop/receipts/012345/", 12346},
                  {"/srv/shop/receipts/029999", 29999},
                  {"/srv/shop/receipts/029999/x", COUNT},
                  {"pos.db", COUNT}};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        mos_tree_reader *tree = tree_from(reader, starts[i].from);
        CU_ASSERT_EQUAL(next_number(tree), starts[i].number);
        mos_tree_close(tree);
    }
    mos_tree_reader *tree = tree_from(reader, "");
    CU_ASSERT_EQUAL(next_number(tree), 0);
    static const size_t stops[] = {3, 5, 9000, 9002, 29000};
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        char path[64];
        name_entry(path, stops[i]);
        MOS_ASSERT_OK(mos_tree_seek(tree, path, strlen(path), &error), &error);
        CU_ASSERT_EQUAL(next_number(tree), stops[i]);
        CU_ASSERT_EQUAL(next_number(tree), stops[i] + 1);
    }
    // Never back.
    MOS_ASSERT_OK(mos_tree_seek(tree, "/", 1, &error), &error);
    CU_ASSERT_EQUAL(next_number(tree), 29002);
    MOS_CLEANUP_FREE char *longest = mos_calloc(1, MOS_TREE_PATH_LIMIT_BYTES + 1);
    memset(longest, '/', MOS_TREE_PATH_LIMIT_BYTES + 1);
    CU_ASSERT_EQUAL(mos_tree_seek(tree, longest, MOS_TREE_PATH_LIMIT_BYTES + 1, &error), MOS_INVALID_ARGUMENT);
    mos_tree_close(tree);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

static void damage_chunk(const struct fixture *fixture, mos_reader *reader, const ProtobufCBinaryData *bytes, uint32_t pack) {
    struct mos_chunk_id id;
    struct mos_chunk_place place;
    char name[MOS_OBJECT_NAME_BYTES];
    char path[4500];
    memcpy(id.bytes, bytes->data, sizeof(id.bytes));
    CU_ASSERT_TRUE_FATAL(mos_reader_locate(reader, &id, pack, &place));
    mos_pack_name(reader->packs[place.pack].id, name);
    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    flip_byte(path, reader->frames[place.pack][place.value].offset_bytes + 20);
}

// Damages the frames in which a part of the tree and its copy lie.
static void damage_part(const struct fixture *fixture, mos_reader *reader, size_t part) {
    const Mosaajii__Engine__V1__TreeChunk *chunk = reader->manifest->tree[part];
    damage_chunk(fixture, reader, &chunk->chunk_id, chunk->pack);
    damage_chunk(fixture, reader, &chunk->copy_id, chunk->copy_pack);
}

static size_t count_entries(mos_reader *reader) {
    mos_tree_reader *tree = tree_from(reader, "");
    const struct mos_entry *entry = NULL;
    size_t count = 0;
    while (mos_tree_next(tree, &entry, NULL) == MOS_OK && entry) {
        count++;
    }
    mos_tree_close(tree);
    return count;
}

MOS_TEST(the_copy_of_a_part_stands_in_for_it) {
    struct fixture fixture;
    mos_reader *reader = NULL;
    open_tree(&fixture, &reader);
    size_t parts = reader->manifest->n_tree;
    CU_ASSERT_FATAL(parts > 2);
    for (size_t i = 0; i < parts; i++) {
        const Mosaajii__Engine__V1__TreeChunk *chunk = reader->manifest->tree[i];
        CU_ASSERT_NOT_EQUAL(chunk->pack, chunk->copy_pack);
        // Of one part the first, of the next one the second.
        damage_chunk(&fixture, reader, i % 2 ? &chunk->copy_id : &chunk->chunk_id, i % 2 ? chunk->copy_pack : chunk->pack);
    }
    CU_ASSERT_EQUAL(count_entries(reader), COUNT);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(a_lost_part_is_told_and_passed_over) {
    struct fixture fixture;
    mos_reader *reader = NULL;
    struct mos_error error = {0};
    open_tree(&fixture, &reader);
    size_t last = reader->manifest->n_tree - 1;
    damage_part(&fixture, reader, 1);
    damage_part(&fixture, reader, last);
    mos_tree_reader *tree = tree_from(reader, "");
    size_t lost = 0, entries = 0, before = 0;
    for (;;) {
        const struct mos_entry *entry = NULL;
        mos_status status = mos_tree_next(tree, &entry, &error);
        if (status == MOS_OK && !entry) {
            break;
        }
        if (status == MOS_OK) {
            CU_ASSERT(entries == 0 || entry->inode > before);
            before = entry->inode;
            entries++;
            continue;
        }
        CU_ASSERT_EQUAL(status, MOS_CORRUPT);
        const Mosaajii__Engine__V1__TreeChunk *part = reader->manifest->tree[lost ? last : 1];
        char first[64];
        snprintf(first, sizeof(first), "%.*s", (int)part->first_path.len, (const char *)part->first_path.data);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, first));
        CU_ASSERT_EQUAL(strstr(error.message, "to before") != NULL, lost == 0);
        lost++;
    }
    CU_ASSERT_EQUAL(lost, 2);
    CU_ASSERT(entries > 0 && entries < COUNT);
    mos_tree_close(tree);
    // Without anybody to tell, too.
    tree = tree_from(reader, "/srv/shop/receipts/029999");
    const struct mos_entry *entry = NULL;
    CU_ASSERT_EQUAL(mos_tree_next(tree, &entry, NULL), MOS_CORRUPT);
    CU_ASSERT_EQUAL(mos_tree_next(tree, &entry, NULL), MOS_OK);
    CU_ASSERT_PTR_NULL(entry);
    mos_tree_close(tree);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(entries_outside_of_their_part_are_refused) {
    struct fixture fixture;
    mos_reader *reader = NULL;
    struct mos_error error = {0};
    open_tree(&fixture, &reader);
    // As a manifest would have it that gives the second part's chunk to the first one.
    Mosaajii__Engine__V1__TreeChunk *first = reader->manifest->tree[0];
    const Mosaajii__Engine__V1__TreeChunk *second = reader->manifest->tree[1];
    memcpy(first->chunk_id.data, second->chunk_id.data, MOS_CHUNK_ID_BYTES);
    mos_tree_reader *tree = tree_from(reader, "");
    const struct mos_entry *entry = NULL;
    CU_ASSERT_EQUAL(mos_tree_next(tree, &entry, &error), MOS_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "outside of its part"));
    // In its own place it is good.
    MOS_ASSERT_OK(mos_tree_next(tree, &entry, &error), &error);
    CU_ASSERT(entry && entry->path_bytes == second->first_path.len && memcmp(entry->path, second->first_path.data, entry->path_bytes) == 0);
    mos_tree_close(tree);
    mos_reader_close(reader);
    fixture_close(&fixture);
}

MOS_TEST(long_lists_of_extents_are_read_part_by_part) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct mos_writer_options options = {.backup_id = ID_A, .workers = 1};
    mos_writer *writer = NULL;
    mos_reader *reader = NULL;
    enum { EXTENTS = 20000 };
    fixture_open(&fixture);
    MOS_ASSERT_OK(mos_writer_begin(fixture.repository, &options, &writer, &error), &error);
    struct mos_chunk_id id;
    bool was_new;
    MOS_ASSERT_OK(mos_writer_put(writer, 0, "0123456789", 10, &id, &was_new, &error), &error);
    struct mos_extent *extents = mos_calloc(EXTENTS, sizeof(*extents));
    for (size_t i = 0; i < EXTENTS; i++) {
        extents[i] = (struct mos_extent){.chunk = id, .offset_bytes = (uint32_t)(i % 8), .length_bytes = 2};
    }
    struct mos_entry entry = {.path = "/a",
                              .path_bytes = 2,
                              .type = MOS_ENTRY_FILE,
                              .user = "",
                              .group = "",
                              .link_target = "",
                              .size_bytes = 2 * EXTENTS,
                              .extents = extents,
                              .extent_count = EXTENTS};
    MOS_ASSERT_OK(mos_writer_add(writer, &entry, &error), &error);
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
    MOS_ASSERT_OK(mos_reader_open(fixture.repository, ID_A, &reader, &error), &error);
    mos_tree_reader *tree = tree_from(reader, "");
    const struct mos_entry *found = NULL;
    MOS_ASSERT_OK(mos_tree_next(tree, &found, &error), &error);
    size_t parts = mos_entry_parts(found);
    CU_ASSERT_EQUAL(parts, 2);
    const struct mos_extent *list = NULL;
    size_t count = 0, at = 0;
    for (size_t i = 0; i < parts; i++) {
        MOS_ASSERT_OK(mos_tree_extents(tree, found, i, &list, &count, &error), &error);
        CU_ASSERT_FATAL(at + count <= EXTENTS);
        CU_ASSERT_EQUAL(memcmp(list, extents + at, count * sizeof(*list)), 0);
        at += count;
    }
    CU_ASSERT_EQUAL(at, EXTENTS);
    CU_ASSERT_EQUAL(mos_tree_extents(tree, found, 2, &list, &count, &error), MOS_OUT_OF_RANGE);
    // Lists that hold less or more than the entry says.
    for (int i = -1; i <= 1; i += 2) {
        struct mos_entry wrong = *found;
        wrong.size_bytes += (uint64_t)(int64_t)i;
        MOS_ASSERT_OK(mos_tree_extents(tree, &wrong, 0, &list, &count, &error), &error);
        CU_ASSERT_EQUAL(mos_tree_extents(tree, &wrong, 1, &list, &count, &error), MOS_CORRUPT);
    }
    struct mos_entry wrong = *found;
    wrong.size_bytes = 5;
    CU_ASSERT_EQUAL(mos_tree_extents(tree, &wrong, 0, &list, &count, &error), MOS_CORRUPT);
    // A list that is none.
    wrong.lists = &id;
    wrong.list_count = 1;
    CU_ASSERT_EQUAL(mos_tree_extents(tree, &wrong, 0, &list, &count, &error), MOS_CORRUPT);
    mos_tree_close(tree);
    mos_reader_close(reader);
    free(extents);
    fixture_close(&fixture);
}
