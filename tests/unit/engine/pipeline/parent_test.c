#include "engine/pipeline/parent.h"

#include "engine/repo/reader_internal.h"
#include "unit/engine/repo/fixture.h"

// Enough for a tree of several parts.
enum { MANY = 30000 };
#define SECOND INT64_C(1000000000)
#define SCANNED (1000 * SECOND)
#define COMPLETED (1100 * SECOND)
#define OLD (900 * SECOND)

// A file of the earlier backup; all of them share one chunk.
static struct mos_entry file_entry(const char *path) {
    return (struct mos_entry){
        .path = path,
        .path_bytes = strlen(path),
        .type = MOS_ENTRY_FILE,
        .mode = 0644,
        .user = "",
        .group = "",
        .link_target = "",
        .modified_unix_ns = OLD,
        .changed_unix_ns = OLD,
        .inode = 7,
        .device = 1,
        .size_bytes = 10,
    };
}

static mos_writer *begin(struct fixture *fixture, const char *id) {
    struct mos_error error = {0};
    struct mos_writer_options options = {.backup_id = id, .compression_level = 1, .workers = 1};
    mos_writer *writer = NULL;
    MOS_ASSERT_OK(mos_writer_begin(fixture->repository, &options, &writer, &error), &error);
    return writer;
}

static void finish(mos_writer *writer, int64_t scanned_ns) {
    struct mos_error error = {0};
    struct mos_record record;
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    info.scanned_at_unix_ns = scanned_ns;
    info.completed_at_unix_ns = COMPLETED;
    MOS_ASSERT_OK(mos_writer_finish(writer, &info, &record, &error), &error);
    mos_writer_free(writer);
}

static struct mos_extent put(mos_writer *writer, const char *content) {
    struct mos_error error = {0};
    struct mos_extent extent = {.length_bytes = (uint32_t)strlen(content)};
    bool was_new;
    MOS_ASSERT_OK(mos_writer_put(writer, 0, content, strlen(content), &extent.chunk, &was_new, &error), &error);
    return extent;
}

static void add(mos_writer *writer, const struct mos_entry *entry) {
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_writer_add(writer, entry, &error), &error);
}

// The earlier backup, as most tests want it: a folder, files, links, a device and databases.
static void make_parent(struct fixture *fixture, int64_t scanned_ns) {
    fixture_open(fixture);
    mos_writer *writer = begin(fixture, ID_A);
    struct mos_extent extent = put(writer, "0123456789");
    struct mos_extent twice[] = {{extent.chunk, 0, 4}, {extent.chunk, 6, 4}};
    struct mos_entry folder = file_entry("/d"), attributes = file_entry("/d/attributes"), hard = file_entry("/d/hard"),
                     link = file_entry("/d/link"), plain = file_entry("/d/plain"), sparse = file_entry("/d/sparse");
    folder.type = MOS_ENTRY_DIRECTORY;
    folder.size_bytes = 0;
    static const struct mos_xattr xattr = {"user.colour", (const uint8_t *)"red", 3};
    attributes.xattrs = &xattr;
    attributes.xattr_count = 1;
    attributes.extents = plain.extents = &extent;
    attributes.extent_count = plain.extent_count = 1;
    hard.type = MOS_ENTRY_HARDLINK;
    hard.size_bytes = 0;
    hard.link_target = "/d/attributes";
    hard.link_target_bytes = strlen(hard.link_target);
    link.type = MOS_ENTRY_SYMLINK;
    link.size_bytes = 0;
    link.link_target = "elsewhere";
    link.link_target_bytes = strlen(link.link_target);
    static const struct mos_range ranges[] = {{0, 4}, {96, 4}};
    sparse.size_bytes = 100;
    sparse.sparse = true;
    sparse.ranges = ranges;
    sparse.range_count = 2;
    sparse.extents = twice;
    sparse.extent_count = 2;
    struct mos_entry database = file_entry("shop.db");
    database.type = MOS_ENTRY_DATABASE;
    database.extents = &extent;
    database.extent_count = 1;
    struct mos_entry other = database;
    other.path = "stock.db";
    other.path_bytes = strlen(other.path);
    const struct mos_entry *all[] = {&folder, &attributes, &hard, &link, &plain, &sparse, &database, &other};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        add(writer, all[i]);
    }
    finish(writer, scanned_ns);
}

struct beside {
    struct fixture fixture;
    mos_writer *writer;
    mos_parent *parent;
};

static void open_beside(struct beside *beside, bool read_all, int64_t settle_ns) {
    struct mos_error error = {0};
    const struct mos_parent_options options = {.backup_id = ID_A, .read_all = read_all, .settle_ns = settle_ns};
    beside->writer = begin(&beside->fixture, ID_B);
    MOS_ASSERT_OK(mos_parent_open(beside->fixture.repository, beside->writer, &options, &beside->parent, &error), &error);
}

static void close_beside(struct beside *beside) {
    mos_parent_close(beside->parent);
    mos_writer_free(beside->writer);
    fixture_close(&beside->fixture);
}

static bool find(struct beside *beside, struct mos_entry *entry) {
    struct mos_error error = {0};
    bool unchanged = false;
    MOS_ASSERT_OK(mos_parent_find(beside->parent, entry, &unchanged, &error), &error);
    return unchanged;
}

static void check_changes(struct beside *beside, int64_t added, int64_t changed, int64_t removed) {
    struct mos_parent_changes changes;
    mos_parent_end_files(beside->parent);
    mos_parent_changes(beside->parent, &changes);
    CU_ASSERT_EQUAL(changes.added, added);
    CU_ASSERT_EQUAL(changes.changed, changed);
    CU_ASSERT_EQUAL(changes.removed, removed);
}

MOS_TEST(what_is_unchanged_is_filled_in) {
    struct beside beside;
    make_parent(&beside.fixture, SCANNED);
    open_beside(&beside, false, 0);
    struct mos_entry folder = file_entry("/d");
    folder.type = MOS_ENTRY_DIRECTORY;
    folder.size_bytes = 0;
    CU_ASSERT_TRUE(find(&beside, &folder));
    struct mos_entry attributes = file_entry("/d/attributes");
    CU_ASSERT_TRUE(find(&beside, &attributes));
    CU_ASSERT_EQUAL_FATAL(attributes.xattr_count, 1);
    CU_ASSERT_STRING_EQUAL(attributes.xattrs[0].name, "user.colour");
    CU_ASSERT_EQUAL(attributes.extent_count, 1);
    CU_ASSERT_EQUAL(mos_entry_check(&attributes, NULL), MOS_OK);
    struct mos_entry hard = file_entry("/d/hard");
    hard.type = MOS_ENTRY_HARDLINK;
    hard.size_bytes = 0;
    hard.link_target = "/d/attributes";
    hard.link_target_bytes = strlen(hard.link_target);
    CU_ASSERT_TRUE(find(&beside, &hard));
    struct mos_entry link = file_entry("/d/link");
    link.type = MOS_ENTRY_SYMLINK;
    link.size_bytes = 0;
    CU_ASSERT_TRUE(find(&beside, &link));
    CU_ASSERT_STRING_EQUAL(link.link_target, "elsewhere");
    struct mos_entry plain = file_entry("/d/plain");
    CU_ASSERT_TRUE(find(&beside, &plain));
    struct mos_entry sparse = file_entry("/d/sparse");
    sparse.size_bytes = 100;
    CU_ASSERT_TRUE(find(&beside, &sparse));
    CU_ASSERT_TRUE(sparse.sparse);
    CU_ASSERT_EQUAL_FATAL(sparse.range_count, 2);
    CU_ASSERT_EQUAL(sparse.ranges[1].offset_bytes, 96);
    CU_ASSERT_EQUAL(sparse.extents[1].offset_bytes, 6);
    // The two databases did not come.
    check_changes(&beside, 0, 0, 2);
    close_beside(&beside);
}

MOS_TEST(any_difference_that_a_stat_tells_is_a_change) {
    struct beside beside;
    make_parent(&beside.fixture, SCANNED);
    for (int what = 0; what < 11; what++) {
        open_beside(&beside, false, 0);
        struct mos_entry entry = file_entry("/d/plain");
        entry.size_bytes += what == 0;
        entry.modified_unix_ns += what == 1;
        entry.changed_unix_ns += what == 2;
        entry.inode += what == 3;
        entry.device += what == 4;
        entry.mode ^= what == 5 ? 0100 : 0;
        entry.uid += what == 6;
        entry.gid += what == 7;
        entry.type = what == 8 ? MOS_ENTRY_FIFO : entry.type;
        if (what == 9) {
            // Another name of a file whose first name has come to stand before.
            entry.type = MOS_ENTRY_HARDLINK;
            entry.link_target = "/a";
            entry.link_target_bytes = 2;
        }
        CU_ASSERT_EQUAL(find(&beside, &entry), what == 10);
        struct mos_parent_changes changes;
        mos_parent_end_files(beside.parent);
        mos_parent_changes(beside.parent, &changes);
        CU_ASSERT_EQUAL(changes.changed, what != 10);
        mos_parent_close(beside.parent);
        mos_writer_free(beside.writer);
    }
    fixture_close(&beside.fixture);
}

MOS_TEST(a_hard_link_to_another_name_is_a_change) {
    struct beside beside;
    make_parent(&beside.fixture, SCANNED);
    open_beside(&beside, false, 0);
    struct mos_entry hard = file_entry("/d/hard");
    hard.type = MOS_ENTRY_HARDLINK;
    hard.size_bytes = 0;
    hard.link_target = "/c/attributes";
    hard.link_target_bytes = strlen(hard.link_target);
    CU_ASSERT_FALSE(find(&beside, &hard));
    close_beside(&beside);
}

MOS_TEST(times_too_near_to_the_earlier_backup_are_not_trusted) {
    static const struct {
        int64_t modified_ns, changed_ns, scanned_ns, settle_ns;
        bool trusted;
    } cases[] = {
        {OLD, OLD, SCANNED, 60 * SECOND, true},
        {OLD, SCANNED - 61 * SECOND, SCANNED, 60 * SECOND, true},
        {OLD, SCANNED - 60 * SECOND, SCANNED, 60 * SECOND, false},
        {OLD, SCANNED, SCANNED, 0, false},
        {OLD, COMPLETED + SECOND, SCANNED, 0, false},
        {SCANNED - SECOND, OLD, SCANNED, 60 * SECOND, false},
        {COMPLETED, OLD, SCANNED, 0, false},
        // Set by hand to a time that had not come.
        {COMPLETED + 61 * SECOND, OLD, SCANNED, 60 * SECOND, true},
        {OLD, OLD, SCANNED, 100 * SECOND, false},
        // An engine that did not say when it looked.
        {OLD, OLD, 0, 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct beside beside;
        fixture_open(&beside.fixture);
        mos_writer *writer = begin(&beside.fixture, ID_A);
        struct mos_extent extent = put(writer, "0123456789");
        struct mos_entry entry = file_entry("/file");
        entry.modified_unix_ns = cases[i].modified_ns;
        entry.changed_unix_ns = cases[i].changed_ns;
        entry.extents = &extent;
        entry.extent_count = 1;
        add(writer, &entry);
        finish(writer, cases[i].scanned_ns);
        open_beside(&beside, false, cases[i].settle_ns);
        CU_ASSERT_EQUAL(find(&beside, &entry), cases[i].trusted);
        check_changes(&beside, 0, 0, 0);
        close_beside(&beside);
    }
}

MOS_TEST(reading_everything_counts_changes_all_the_same) {
    struct beside beside;
    make_parent(&beside.fixture, SCANNED);
    open_beside(&beside, true, 0);
    struct mos_entry added = file_entry("/d/a"), plain = file_entry("/d/plain"), sparse = file_entry("/d/sparse");
    CU_ASSERT_FALSE(find(&beside, &added));
    CU_ASSERT_FALSE(find(&beside, &plain));
    CU_ASSERT_FALSE(find(&beside, &sparse));
    check_changes(&beside, 1, 1, 5);
    close_beside(&beside);
}

MOS_TEST(what_cannot_be_taken_in_the_end_was_not_there) {
    struct beside beside;
    make_parent(&beside.fixture, SCANNED);
    open_beside(&beside, true, 0);
    struct mos_entry added = file_entry("/d/a"), plain = file_entry("/d/plain"), sparse = file_entry("/d/sparse");
    find(&beside, &added);
    mos_parent_left_out(beside.parent);
    find(&beside, &plain);
    mos_parent_left_out(beside.parent);
    find(&beside, &sparse);
    mos_parent_left_out(beside.parent);
    mos_parent_left_out(beside.parent);
    check_changes(&beside, 0, 0, 7);
    close_beside(&beside);
}

MOS_TEST(databases_are_compared_by_their_content) {
    struct beside beside;
    make_parent(&beside.fixture, SCANNED);
    open_beside(&beside, false, 0);
    struct mos_extent same = put(beside.writer, "0123456789"), another = put(beside.writer, "9876543210");
    struct mos_entry database = file_entry("accounts.db");
    database.type = MOS_ENTRY_DATABASE;
    database.extents = &same;
    database.extent_count = 1;
    mos_parent_database(beside.parent, &database);
    // A new time alone is no change.
    database.path = "shop.db";
    database.path_bytes = strlen(database.path);
    database.modified_unix_ns++;
    mos_parent_database(beside.parent, &database);
    database.path = "stock.db";
    database.path_bytes = strlen(database.path);
    database.extents = &another;
    mos_parent_database(beside.parent, &database);
    check_changes(&beside, 1, 1, 5);
    close_beside(&beside);
}

// The file of the pack in which a chunk lies, and the place of its frame.
static size_t locate(const struct fixture *fixture, const struct mos_chunk_id *id, char out_path[4500]) {
    struct mos_error error = {0};
    mos_reader *reader = NULL;
    struct mos_chunk_place place;
    char name[MOS_OBJECT_NAME_BYTES];
    MOS_ASSERT_OK(mos_reader_open(fixture->repository, ID_A, &reader, &error), &error);
    CU_ASSERT_TRUE_FATAL(mos_reader_locate(reader, id, MOS_NO_PACK, &place));
    mos_pack_name(reader->packs[place.pack].id, name);
    snprintf(out_path, 4500, "%s/%s", fixture->path, name);
    size_t offset = reader->frames[place.pack][place.value].offset_bytes;
    mos_reader_close(reader);
    return offset;
}

MOS_TEST(content_that_the_repository_has_lost_is_read_again) {
    struct beside beside;
    char pack[4500];
    make_parent(&beside.fixture, SCANNED);
    open_beside(&beside, false, 0);
    struct mos_entry plain = file_entry("/d/plain");
    CU_ASSERT_TRUE(find(&beside, &plain));
    locate(&beside.fixture, &plain.extents[0].chunk, pack);
    mos_parent_close(beside.parent);
    mos_writer_free(beside.writer);
    CU_ASSERT_EQUAL(unlink(pack), 0);
    open_beside(&beside, false, 0);
    struct mos_entry folder = file_entry("/d"), link = file_entry("/d/link"), again = file_entry("/d/plain");
    folder.type = MOS_ENTRY_DIRECTORY;
    link.type = MOS_ENTRY_SYMLINK;
    folder.size_bytes = link.size_bytes = 0;
    CU_ASSERT_TRUE(find(&beside, &folder));
    CU_ASSERT_TRUE(find(&beside, &link));
    CU_ASSERT_FALSE(find(&beside, &again));
    // So is the neighbour that lies in the same chunk.
    struct mos_entry sparse = file_entry("/d/sparse");
    sparse.size_bytes = 100;
    CU_ASSERT_FALSE(find(&beside, &sparse));
    // It has not changed, and the tree is whole.
    struct mos_parent_changes changes;
    mos_parent_changes(beside.parent, &changes);
    CU_ASSERT_EQUAL(changes.changed, 0);
    CU_ASSERT_FALSE(changes.lost);
    close_beside(&beside);
}

// /many/000000 and so on.
static void name_many(char path[32], size_t number) {
    snprintf(path, 32, "/many/%06zu", number);
}

MOS_TEST(a_lost_part_of_the_tree_is_read_and_the_rest_is_not) {
    struct beside beside;
    struct mos_error error = {0};
    char path[32];
    fixture_open(&beside.fixture);
    mos_writer *writer = begin(&beside.fixture, ID_A);
    struct mos_extent extent = put(writer, "0123456789");
    for (size_t i = 0; i < MANY; i++) {
        name_many(path, i);
        struct mos_entry entry = file_entry(path);
        entry.extents = &extent;
        entry.extent_count = 1;
        // So that the parts are not the same.
        entry.inode = i * UINT64_C(0x9e3779b97f4a7c15);
        add(writer, &entry);
    }
    finish(writer, SCANNED);
    mos_reader *reader = NULL;
    MOS_ASSERT_OK(mos_reader_open(beside.fixture.repository, ID_A, &reader, &error), &error);
    CU_ASSERT_FATAL(reader->manifest->n_tree > 2);
    const Mosaajii__Engine__V1__TreeChunk *part = reader->manifest->tree[1], *behind = reader->manifest->tree[2];
    struct mos_chunk_id id;
    char pack[4500];
    memcpy(id.bytes, part->chunk_id.data, sizeof(id.bytes));
    size_t offset = locate(&beside.fixture, &id, pack);
    flip_byte(pack, offset + 20);
    memcpy(id.bytes, part->copy_id.data, sizeof(id.bytes));
    offset = locate(&beside.fixture, &id, pack);
    flip_byte(pack, offset + 20);
    open_beside(&beside, false, 0);
    size_t wrong = 0, read = 0;
    for (size_t i = 0; i < MANY; i++) {
        name_many(path, i);
        struct mos_entry entry = file_entry(path);
        entry.inode = i * UINT64_C(0x9e3779b97f4a7c15);
        bool lost = mos_path_compare(path, strlen(path), (const char *)part->first_path.data, part->first_path.len) >= 0 &&
                    mos_path_compare(path, strlen(path), (const char *)behind->first_path.data, behind->first_path.len) < 0;
        wrong += find(&beside, &entry) == lost;
        read += lost;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(read > 0 && read < MANY);
    // A new file behind the gap is new again.
    struct mos_entry last = file_entry("/many/999999");
    CU_ASSERT_FALSE(find(&beside, &last));
    check_changes(&beside, 1, 0, 0);
    struct mos_parent_changes changes;
    mos_parent_changes(beside.parent, &changes);
    CU_ASSERT_TRUE(changes.lost);
    mos_reader_close(reader);
    close_beside(&beside);
}

MOS_TEST(a_file_with_a_long_list_of_extents_is_taken_over_whole) {
    enum { EXTENTS = 20000 };
    struct beside beside;
    fixture_open(&beside.fixture);
    mos_writer *writer = begin(&beside.fixture, ID_A);
    struct mos_extent first = put(writer, "0123456789"), second = put(writer, "9876543210");
    struct mos_extent *extents = mos_calloc(EXTENTS, sizeof(*extents));
    for (size_t i = 0; i < EXTENTS; i++) {
        extents[i] = (struct mos_extent){i % 3 ? first.chunk : second.chunk, (uint32_t)(i % 8), 2};
    }
    struct mos_entry entry = file_entry("/long");
    entry.size_bytes = 2 * EXTENTS;
    entry.extents = extents;
    entry.extent_count = EXTENTS;
    add(writer, &entry);
    finish(writer, SCANNED);
    open_beside(&beside, false, 0);
    struct mos_entry found = file_entry("/long");
    found.size_bytes = 2 * EXTENTS;
    CU_ASSERT_TRUE_FATAL(find(&beside, &found));
    CU_ASSERT_EQUAL_FATAL(found.extent_count, EXTENTS);
    CU_ASSERT_EQUAL(memcmp(found.extents, extents, EXTENTS * sizeof(*extents)), 0);
    add(beside.writer, &found);
    check_changes(&beside, 0, 0, 0);
    mos_parent_close(beside.parent);
    beside.parent = NULL;
    finish(beside.writer, SCANNED);
    beside.writer = NULL;
    // What the new backup says of it is all there.
    struct mos_verify_result result;
    verify_all(&beside.fixture, ID_B, NULL, NULL, &result);
    CU_ASSERT(result.size_valid && result.checksum_valid && result.encryption_valid);
    free(extents);
    close_beside(&beside);
}

MOS_TEST(a_backup_that_is_not_there_is_no_parent) {
    struct beside beside;
    struct mos_error error = {0};
    fixture_open(&beside.fixture);
    beside.writer = begin(&beside.fixture, ID_B);
    const struct mos_parent_options options = {.backup_id = ID_A};
    beside.parent = NULL;
    CU_ASSERT_EQUAL(mos_parent_open(beside.fixture.repository, beside.writer, &options, &beside.parent, &error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NULL(beside.parent);
    close_beside(&beside);
}
