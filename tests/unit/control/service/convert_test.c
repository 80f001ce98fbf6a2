#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/service/internal.h"
#include "unit/test.h"

// As the catalog gives it: no text is NULL.
static struct mos_backup row(void) {
    return (struct mos_backup){.id = "b",
                               .name = "n",
                               .type = MOS_BACKUP_FILES,
                               .status = MOS_BACKUP_VERIFIED,
                               .created_at_unix_ns = INT64_C(1700000000123456789),
                               .key_id = "local/1",
                               .checksum = "aa",
                               .encrypted_checksum = "bb",
                               .location = "/r",
                               .encrypted_location = "/r/b",
                               .retention_days = 30,
                               .message = "",
                               .parent_id = "",
                               .created_by = "me"};
}

MOS_TEST(a_backup_is_told_in_all_its_parts) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const char *const tags[] = {"a", "b"};
    struct mos_backup backup = row();
    backup.tags = tags;
    backup.tag_count = 2;
    backup.size_bytes = 9;
    backup.verified_at_unix_ns = 5;
    Mosaajii__Backup__V1__Backup message;
    CU_ASSERT_FATAL(mos_make_backup(arena, &backup, &message));
    CU_ASSERT_STRING_EQUAL(message.id, "b");
    CU_ASSERT_EQUAL(message.type, MOSAAJII__BACKUP__V1__BACKUP__TYPE__FILES);
    CU_ASSERT_EQUAL(message.status, MOSAAJII__BACKUP__V1__BACKUP__STATUS__VERIFIED);
    CU_ASSERT_EQUAL(message.created_at->seconds, 1700000000);
    CU_ASSERT_EQUAL(message.created_at->nanos, 123456789);
    CU_ASSERT_EQUAL(message.expires_at->seconds, 1700000000 + 30 * 86400);
    CU_ASSERT_PTR_NULL(message.completed_at);
    CU_ASSERT_EQUAL(message.verified_at->nanos, 5);
    CU_ASSERT_EQUAL(message.n_tags, 2);
    CU_ASSERT_EQUAL(message.size, 9);
    CU_ASSERT_EQUAL(message.n_metadata, 0);
    // It can be sent.
    CU_ASSERT(protobuf_c_message_get_packed_size(&message.base) > 0);
}

// A repository may say anything.
MOS_TEST(times_out_of_all_bounds_are_no_times) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const struct {
        int64_t created;
        int32_t days;
    } cases[] = {{INT64_MAX, 1}, {1700000000000000000, INT32_MAX}, {INT64_MIN, 30}, {-5, 30}, {INT64_MIN, INT32_MIN}, {0, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mos_backup backup = row();
        backup.created_at_unix_ns = cases[i].created;
        backup.retention_days = cases[i].days;
        Mosaajii__Backup__V1__Backup message;
        CU_ASSERT_FATAL(mos_make_backup(arena, &backup, &message));
        CU_ASSERT(!message.created_at || (message.created_at->seconds >= 0 && message.created_at->nanos >= 0));
        CU_ASSERT_EQUAL(message.created_at != NULL, cases[i].created > 0);
        CU_ASSERT_PTR_NULL(message.expires_at);
    }
    struct mos_backup kept = row();
    kept.retention_days = 0;
    Mosaajii__Backup__V1__Backup message;
    CU_ASSERT_FATAL(mos_make_backup(arena, &kept, &message));
    CU_ASSERT_PTR_NULL(message.expires_at);
}

static struct mos_blob pack(mos_arena *arena, const ProtobufCMessage *message) {
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *data = mos_arena_alloc(arena, size_bytes);
    protobuf_c_message_pack(message, data);
    return (struct mos_blob){data, size_bytes};
}

static struct mos_blob pack_facts(mos_arena *arena) {
    Mosaajii__Engine__V1__Table table = MOSAAJII__ENGINE__V1__TABLE__INIT, *tables[] = {&table};
    Mosaajii__Engine__V1__Database database = MOSAAJII__ENGINE__V1__DATABASE__INIT, *databases[] = {&database};
    Mosaajii__Engine__V1__Statistics statistics = MOSAAJII__ENGINE__V1__STATISTICS__INIT;
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    Mosaajii__Engine__V1__BackupRecord record = MOSAAJII__ENGINE__V1__BACKUP_RECORD__INIT;
    ProtobufCBinaryData paths[] = {{6, (uint8_t *)"/srv/\xff"}, {2, (uint8_t *)"/b"}};
    table.name = (char *)"orders";
    table.rows = 12;
    database.name = (char *)"pos";
    database.engine = (char *)"sqlite";
    database.origin = (char *)"sqlite:///pos.db";
    database.tables = tables;
    database.n_tables = 1;
    statistics.files = 3;
    info.host = (char *)"till";
    info.source_paths = paths;
    info.n_source_paths = 2;
    info.databases = databases;
    info.n_databases = 1;
    info.statistics = &statistics;
    record.info = &info;
    return pack(arena, &record.base);
}

MOS_TEST(facts_of_the_engine_are_told) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup = row();
    backup.facts = pack_facts(arena);
    Mosaajii__Backup__V1__Backup message;
    CU_ASSERT_FATAL(mos_make_backup(arena, &backup, &message));
    CU_ASSERT_EQUAL_FATAL(message.n_metadata, 3);
    CU_ASSERT_STRING_EQUAL(message.metadata[0]->value, "till");
    CU_ASSERT_STRING_EQUAL(message.metadata[1]->value, "/srv/\\xff:/b:sqlite:///pos.db");
    CU_ASSERT_EQUAL(message.statistics->files, 3);
    CU_ASSERT_EQUAL_FATAL(message.n_databases, 1);
    CU_ASSERT_EQUAL(message.databases[0]->engine, MOSAAJII__BACKUP__V1__DATABASE_SOURCE__ENGINE__SQLITE);
    CU_ASSERT_EQUAL(message.databases[0]->tables[0]->rows, 12);
}

MOS_TEST(an_arena_that_is_full_is_told) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup = row();
    backup.facts = pack_facts(arena);
    bool made = false;
    for (size_t limit = 16; limit < 8000 && !made; limit += 16) {
        MOS_CLEANUP_ARENA mos_arena *small = mos_arena_create(limit);
        Mosaajii__Backup__V1__Backup message;
        made = mos_make_backup(small, &backup, &message);
        CU_ASSERT(limit > 200 || !made);
    }
    CU_ASSERT(made);
}

MOS_TEST(facts_that_are_damaged_are_told) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup = row();
    backup.facts = (struct mos_blob){(const uint8_t *)"\xff\xff", 2};
    Mosaajii__Backup__V1__Backup message;
    CU_ASSERT_FALSE(mos_make_backup(arena, &backup, &message));
}

MOS_TEST(a_job_is_told_with_its_restoration) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Restoration restoration = MOSAAJII__ENGINE__V1__RESTORATION__INIT;
    Mosaajii__Engine__V1__Result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    ProtobufCBinaryData preview[] = {{2, (uint8_t *)"\x01z"}};
    restoration.target = (ProtobufCBinaryData){2, (uint8_t *)"/t"};
    restoration.files_restored = 4;
    restoration.preview = preview;
    restoration.n_preview = 1;
    result.status = (char *)"OK";
    result.result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_RESTORATION;
    result.restoration = &restoration;
    struct mos_job job = {.id = "j",
                          .kind = MOS_JOB_RESTORE,
                          .status = MOS_JOB_SUCCEEDED,
                          .backup_id = "b",
                          .created_by = "me",
                          .progress = {.phase = "", .current = ""},
                          .message = "",
                          .result = pack(arena, &result.base)};
    Mosaajii__Backup__V1__Job message;
    CU_ASSERT_FATAL(mos_make_job(arena, &job, &message));
    CU_ASSERT_PTR_NULL(message.progress);
    CU_ASSERT_EQUAL(message.restore->files_restored, 4);
    CU_ASSERT_STRING_EQUAL(message.restore->target, "/t");
    CU_ASSERT_STRING_EQUAL(message.restore->preview[0], "\\x01z");
    job.progress = (struct mos_progress){.phase = "writing", .current = "/a", .seconds_left = -1};
    job.result = (struct mos_blob){0};
    CU_ASSERT_FATAL(mos_make_job(arena, &job, &message));
    CU_ASSERT_STRING_EQUAL(message.progress->phase, "writing");
    CU_ASSERT_PTR_NULL(message.restore);
    CU_ASSERT_PTR_NULL(mos_job_result(arena, &job));
}

MOS_TEST(an_event_is_told) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_event event = {.sequence = 12,
                                    .time_unix_ns = 1,
                                    .kind = MOS_EVENT_WARNING,
                                    .job_id = "j",
                                    .job_kind = MOS_JOB_BACKUP,
                                    .job_status = MOS_JOB_RUNNING,
                                    .backup_id = "b",
                                    .backup_status = MOS_BACKUP_IN_PROGRESS,
                                    .progress = {.phase = "", .current = ""},
                                    .message = "/a: gone"};
    Mosaajii__Backup__V1__JobEvent message;
    CU_ASSERT_FATAL(mos_make_event(arena, &event, &message));
    CU_ASSERT_EQUAL(message.sequence, 12);
    CU_ASSERT_EQUAL(message.kind, MOSAAJII__BACKUP__V1__JOB_EVENT__KIND__WARNING);
    CU_ASSERT_STRING_EQUAL(message.message, "/a: gone");
    CU_ASSERT_PTR_NULL(message.progress);
}
