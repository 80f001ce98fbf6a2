#include "engine/pipeline/operation.h"
#include "unit/engine/repo/fixture.h"

struct answer {
    char text[4096];
    size_t events;
    bool more;
};

// "kind path before after" a line.
static void take_event(void *context, const Mosaajii__Engine__V1__Event *event) {
    struct answer *answer = context;
    if (event->event_case != MOSAAJII__ENGINE__V1__EVENT__EVENT_CHANGES) {
        return;
    }
    answer->events++;
    answer->more = event->changes->more;
    for (size_t i = 0; i < event->changes->n_changes; i++) {
        const Mosaajii__Engine__V1__Change *change = event->changes->changes[i];
        size_t used = strlen(answer->text);
        snprintf(answer->text + used, sizeof(answer->text) - used, "%c %.*s %lld %lld\n", "?ACRM"[change->kind], (int)change -> path.len,
                 (const char *)change->path.data, (long long)change->size_before, (long long)change->size_after);
    }
}

static mos_status diff(struct fixture *fixture, const char *base, const char *backup, const char *after, int limit, struct answer *out,
                       struct mos_error *error) {
    Mosaajii__Engine__V1__DiffRequest request = MOSAAJII__ENGINE__V1__DIFF_REQUEST__INIT;
    request.base_id = (char *)base;
    request.backup_id = (char *)backup;
    request.after = (ProtobufCBinaryData){.data = (uint8_t *)after, .len = strlen(after)};
    request.limit = limit;
    *out = (struct answer){0};
    mos_job *job = mos_job_create(take_event, out, 1);
    mos_status status = mos_operation_diff(job, fixture->repository, &request, error);
    mos_job_free(job);
    return status;
}

static void check_diff(struct fixture *fixture, const char *base, const char *backup, const char *expected) {
    struct answer answer;
    struct mos_error error = {0};
    MOS_ASSERT_OK(diff(fixture, base, backup, "", 1000, &answer, &error), &error);
    CU_ASSERT_STRING_EQUAL(answer.text, expected);
    if (strcmp(answer.text, expected) != 0) {
        fprintf(stderr, "%s", answer.text);
    }
    CU_ASSERT_FALSE(answer.more);
}

static mos_writer *begin(struct fixture *fixture, const char *id) {
    struct mos_error error = {0};
    struct mos_writer_options options = {.backup_id = id, .compression_level = 1, .workers = 1};
    mos_writer *writer = NULL;
    MOS_ASSERT_OK(mos_writer_begin(fixture->repository, &options, &writer, &error), &error);
    return writer;
}

static void finish(mos_writer *writer) {
    struct mos_error error = {0};
    struct mos_record record;
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
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

static struct mos_entry entry_of(const char *path, enum mos_entry_type type) {
    return (struct mos_entry){
        .path = path, .path_bytes = strlen(path), .type = type, .mode = 0644, .user = "", .group = "", .link_target = ""};
}

static void add(mos_writer *writer, struct mos_entry entry, const struct mos_extent *extent) {
    struct mos_error error = {0};
    if (extent) {
        entry.extents = extent;
        entry.extent_count = 1;
        entry.size_bytes = extent->length_bytes;
    }
    MOS_ASSERT_OK(mos_writer_add(writer, &entry, &error), &error);
}

static struct mos_entry link_to(const char *path, enum mos_entry_type type, const char *target) {
    struct mos_entry entry = entry_of(path, type);
    entry.link_target = target;
    entry.link_target_bytes = strlen(target);
    return entry;
}

MOS_TEST(every_kind_of_difference_is_told_in_order) {
    struct fixture fixture;
    fixture_open(&fixture);
    static const struct mos_xattr red = {"user.colour", (const uint8_t *)"red", 3}, blue = {"user.colour", (const uint8_t *)"blu", 3};
    for (int after = 0; after < 2; after++) {
        mos_writer *writer = begin(&fixture, after ? ID_B : ID_A);
        struct mos_extent one = put(writer, "one"), two = put(writer, "two"), both = put(writer, "onetwo");
        struct mos_extent second = {.chunk = both.chunk, .offset_bytes = 3, .length_bytes = 3};
        struct mos_entry device = entry_of("/device", MOS_ENTRY_CHARACTER_DEVICE), xattr = entry_of("/xattr", MOS_ENTRY_FILE);
        struct mos_entry times = entry_of("/times", MOS_ENTRY_FILE), seen = entry_of("/seen", MOS_ENTRY_FILE);
        device.device_minor = after ? 2 : 1;
        times.modified_unix_ns = after;
        // What only the file system counts is no difference.
        seen.changed_unix_ns = seen.inode = seen.device = (unsigned)after;
        xattr.xattrs = after ? &blue : &red;
        xattr.xattr_count = 1;
        if (after) {
            add(writer, entry_of("/added", MOS_ENTRY_FILE), &both);
        }
        add(writer, entry_of("/changed", MOS_ENTRY_FILE), after ? &two : &one);
        add(writer, device, NULL);
        if (!after) {
            add(writer, entry_of("/gone", MOS_ENTRY_DIRECTORY), NULL);
            add(writer, entry_of("/gone/file", MOS_ENTRY_FILE), &one);
        }
        add(writer, link_to("/hard", MOS_ENTRY_HARDLINK, after ? "/device" : "/changed"), NULL);
        add(writer, link_to("/link", MOS_ENTRY_SYMLINK, after ? "b" : "a"), NULL);
        // The same bytes from another chunk.
        add(writer, entry_of("/moved", MOS_ENTRY_FILE), after ? &second : &two);
        add(writer, entry_of("/same", MOS_ENTRY_FILE), &one);
        add(writer, seen, &one);
        add(writer, times, &one);
        add(writer, entry_of("/type", after ? MOS_ENTRY_FIFO : MOS_ENTRY_SOCKET), NULL);
        add(writer, xattr, &one);
        add(writer, entry_of("a.db", MOS_ENTRY_DATABASE), &one);
        add(writer, entry_of("b.db", MOS_ENTRY_DATABASE), after ? &both : &one);
        finish(writer);
    }
    check_diff(&fixture, ID_A, ID_B,
               "A /added 0 6\nC /changed 3 3\nC /device 0 0\nR /gone 0 0\nR /gone/file 3 0\nC /hard 0 0\nC /link 0 0\nM /times 3 3\n"
               "C /type 0 0\nM /xattr 3 3\nC b.db 3 6\n");
    check_diff(&fixture, ID_B, ID_A,
               "R /added 6 0\nC /changed 3 3\nC /device 0 0\nA /gone 0 0\nA /gone/file 0 3\nC /hard 0 0\nC /link 0 0\nM /times 3 3\n"
               "C /type 0 0\nM /xattr 3 3\nC b.db 6 3\n");
    check_diff(&fixture, ID_A, ID_A, "");
    fixture_close(&fixture);
}

MOS_TEST(an_answer_goes_on_where_it_stopped) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct answer answer;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 101, 3, &record, &error), &error);
    MOS_ASSERT_OK(diff(&fixture, ID_A, ID_B, "", 2, &answer, &error), &error);
    CU_ASSERT_STRING_EQUAL(answer.text, "C /data/0000 3000 3000\nC /data/0001 3000 3000\n");
    CU_ASSERT_TRUE(answer.more);
    MOS_ASSERT_OK(diff(&fixture, ID_A, ID_B, "/data/0001", 2, &answer, &error), &error);
    CU_ASSERT_STRING_EQUAL(answer.text, "C /data/0002 3000 3000\n");
    CU_ASSERT_FALSE(answer.more);
    MOS_ASSERT_OK(diff(&fixture, ID_A, ID_B, "", 3, &answer, &error), &error);
    CU_ASSERT_FALSE(answer.more);
    // More than one event holds.
    MOS_ASSERT_OK(make_backup(&fixture, ID_C, 1, 1200, &record, &error), &error);
    MOS_ASSERT_OK(diff(&fixture, ID_A, ID_C, "", 5000, &answer, &error), &error);
    CU_ASSERT_EQUAL(answer.events, 3);
    CU_ASSERT_FALSE(answer.more);
    fixture_close(&fixture);
}

static void damage(const char *path, void *context) {
    (void)context;
    flip_byte(path, 100);
}

MOS_TEST(a_damaged_backup_gives_no_half_answer) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    struct answer answer;
    char packs[4300];
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 1, 3, &record, &error), &error);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 2, 3, &record, &error), &error);
    CU_ASSERT_EQUAL(diff(&fixture, ID_A, ID_C, "", 10, &answer, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(diff(&fixture, ID_C, ID_A, "", 10, &answer, &error), MOS_NOT_FOUND);
    snprintf(packs, sizeof(packs), "%s/packs", fixture.path);
    each_file(packs, damage, NULL);
    CU_ASSERT_EQUAL(diff(&fixture, ID_A, ID_B, "", 10, &answer, &error), MOS_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "the backup " ID_A " is damaged"));
    CU_ASSERT_EQUAL(answer.events, 0);
    fixture_close(&fixture);
}
