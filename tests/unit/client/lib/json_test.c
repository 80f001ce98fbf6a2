#include "lib/json.h"

#include <math.h>
#include <string.h>

#include "mosaajii/backup/v1/admin.pb-c.h"
#include "mosaajii/backup/v1/backup.pb-c.h"
#include "mosaajii/backup/v1/recovery.pb-c.h"
#include "unit/test.h"

#define API(name) Mosaajii__Backup__V1__##name
#define API_INIT(name) MOSAAJII__BACKUP__V1__##name##__INIT

static bool is_json(const void *message, bool pretty, const char *wanted) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    mos_json_append(&text, message, pretty);
    bool same = strcmp(mos_buffer_text(&text), wanted) == 0;
    if (!same) {
        printf("\n    is     %s\n    wanted %s\n", mos_buffer_text(&text), wanted);
    }
    return same;
}

static bool holds(const void *message, const char *part) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    mos_json_append(&text, message, false);
    bool found = strstr(mos_buffer_text(&text), part) != NULL;
    if (!found) {
        printf("\n    is     %s\n    wanted %s\n", mos_buffer_text(&text), part);
    }
    return found;
}

MOS_TEST(every_field_is_there_even_when_empty) {
    API(CreateBackupRequest) request = API_INIT(CREATE_BACKUP_REQUEST);
    CU_ASSERT(is_json(&request, false,
                      "{\"name\":\"\",\"type\":null,\"retentionDays\":null,\"encryptionEnabled\":null,\"compressionEnabled\":null,"
                      "\"integrityCheckEnabled\":null,\"offsiteEnabled\":null,\"tags\":[],\"readAll\":false}"));
    API(Verification) verification = API_INIT(VERIFICATION);
    CU_ASSERT(is_json(&verification, false,
                      "{\"backupId\":\"\",\"valid\":false,\"checksumValid\":false,\"encryptionValid\":false,\"sizeValid\":false,"
                      "\"errors\":[],\"verifiedAt\":null,\"damagedPaths\":[],\"damagedFiles\":0,\"objectsChecked\":0,\"bytesChecked\":0,"
                      "\"hurtBackups\":[]}"));
}

MOS_TEST(optional_fields_that_are_there_are_shown_even_as_zero) {
    API(CreateBackupRequest) request = API_INIT(CREATE_BACKUP_REQUEST);
    request._integrity_check_enabled_case = MOSAAJII__BACKUP__V1__CREATE_BACKUP_REQUEST___INTEGRITY_CHECK_ENABLED_INTEGRITY_CHECK_ENABLED;
    request._retention_days_case = MOSAAJII__BACKUP__V1__CREATE_BACKUP_REQUEST___RETENTION_DAYS_RETENTION_DAYS;
    request.retention_days = 7;
    CU_ASSERT(holds(&request, "\"retentionDays\":7,"));
    CU_ASSERT(holds(&request, "\"integrityCheckEnabled\":false,"));
    CU_ASSERT(holds(&request, "\"compressionEnabled\":null,"));
}

MOS_TEST(maps_are_objects_and_lists_are_arrays) {
    API(Backup__MetadataEntry) host = API_INIT(BACKUP__METADATA_ENTRY), odd = API_INIT(BACKUP__METADATA_ENTRY);
    API(Backup__MetadataEntry) * entries[] = {&host, &odd};
    host.key = "host";
    host.value = "shop";
    odd.key = "a\"b";
    char *tags[] = {"nightly", "shop"};
    API(Backup) backup = API_INIT(BACKUP);
    backup.n_metadata = 2;
    backup.metadata = entries;
    backup.n_tags = 2;
    backup.tags = tags;
    CU_ASSERT(holds(&backup, "\"tags\":[\"nightly\",\"shop\"],\"metadata\":{\"host\":\"shop\",\"a\\\"b\":\"\"},"));
    backup.n_metadata = 0;
    CU_ASSERT(holds(&backup, "\"metadata\":{},\"statistics\":null,"));
    // A list of messages whose type merely looks like a map's is none.
    API(AuditEntry) entry = API_INIT(AUDIT_ENTRY);
    API(AuditEntry) * audit[] = {&entry};
    API(ListAuditEntriesResponse) response = API_INIT(LIST_AUDIT_ENTRIES_RESPONSE);
    response.n_entries = 1;
    response.entries = audit;
    CU_ASSERT(holds(&response, "\"entries\":[{\"sequence\":0,"));
}

MOS_TEST(enums_are_words) {
    API(Backup) backup = API_INIT(BACKUP);
    CU_ASSERT(holds(&backup, "\"type\":null,\"status\":null,"));
    backup.type = MOSAAJII__BACKUP__V1__BACKUP__TYPE__INCREMENTAL;
    backup.status = (Mosaajii__Backup__V1__Backup__Status)99;
    CU_ASSERT(holds(&backup, "\"type\":\"INCREMENTAL\",\"status\":99,"));
    // A zero that is a word of its own is written as one.
    API(RestoreBackupRequest) restore = API_INIT(RESTORE_BACKUP_REQUEST);
    CU_ASSERT(holds(&restore, "\"existing\":\"KEEP\","));
    API(Plan) plan = API_INIT(PLAN);
    Mosaajii__Backup__V1__Backup__Type types[] = {MOSAAJII__BACKUP__V1__BACKUP__TYPE__FULL, MOSAAJII__BACKUP__V1__BACKUP__TYPE__FILES};
    plan.n_backup_types = 2;
    plan.backup_types = types;
    CU_ASSERT(holds(&plan, "\"backupTypes\":[\"FULL\",\"FILES\"],"));
}

MOS_TEST(numbers_are_numbers) {
    API(Backup) backup = API_INIT(BACKUP);
    backup.size = INT64_MAX;
    backup.encrypted_size = INT64_MIN;
    CU_ASSERT(holds(&backup, "\"size\":9223372036854775807,\"encryptedSize\":-9223372036854775808,"));
    API(FileEntry) file = API_INIT(FILE_ENTRY);
    file.uid = UINT32_MAX;
    CU_ASSERT(holds(&file, "\"uid\":4294967295,"));
    API(ExecutionMetrics) metrics = API_INIT(EXECUTION_METRICS);
    metrics.actual_rto = 0.1;
    metrics.actual_rpo = 1.0 / 3;
    metrics.success_rate = NAN;
    metrics.machine_minutes = 12;
    metrics.waiting_minutes = 1e300;
    CU_ASSERT(holds(&metrics, "\"actualRTO\":0.1,\"actualRPO\":0.3333333333333333,\"dataLoss\":0,\"successRate\":null,"
                              "\"machineMinutes\":12,\"waitingMinutes\":1e+300}"));
}

MOS_TEST(times_are_rfc_3339_in_utc) {
    static const struct {
        int64_t seconds;
        int32_t nanoseconds;
        const char *text;
    } times[] = {{0, 0, "\"1970-01-01T00:00:00.000Z\""},
                 {1769860800, 120000000, "\"2026-01-31T12:00:00.120Z\""},
                 {1769860800, 120450000, "\"2026-01-31T12:00:00.120450Z\""},
                 {1769860800, 1, "\"2026-01-31T12:00:00.000000001Z\""},
                 {-62135596800, 0, "\"0001-01-01T00:00:00.000Z\""},
                 {253402300799, 999999999, "\"9999-12-31T23:59:59.999999999Z\""},
                 {253402300800, 0, "null"},
                 {INT64_MIN, 0, "null"},
                 {0, -1, "null"},
                 {0, 1000000000, "null"}};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        time.seconds = times[i].seconds;
        time.nanos = times[i].nanoseconds;
        CU_ASSERT(is_json(&time, false, times[i].text));
    }
}

MOS_TEST(bytes_are_base64) {
    static const char *const texts[][2] = {{"", "\"data\":\"\""},
                                           {"f", "\"data\":\"Zg==\""},
                                           {"fo", "\"data\":\"Zm8=\""},
                                           {"foo", "\"data\":\"Zm9v\""},
                                           {"\xfb\xff\xfe!", "\"data\":\"+//+IQ==\""}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        API(FileChunk) chunk = API_INIT(FILE_CHUNK);
        chunk.data = (ProtobufCBinaryData){.len = strlen(texts[i][0]), .data = (uint8_t *)texts[i][0]};
        CU_ASSERT(holds(&chunk, texts[i][1]));
    }
}

MOS_TEST(text_cannot_command_a_terminal) {
    static const char *const texts[][2] = {
        {"caf\xc3\xa9 \xf0\x9f\x92\xbe", "\"caf\xc3\xa9 \xf0\x9f\x92\xbe\""},
        {"a\"b\\c\n\t\r", "\"a\\\"b\\\\c\\n\\t\\r\""},
        {"\x1b[2J\x07\x7f", "\"\\u001b[2J\\u0007\\u007f\""},
        {"\xc2\x9b", "\"\\u009b\""},
        {"\xc2\xa0", "\"\xc2\xa0\""},
        {"\xe2\x80\xae\xe2\x80\xa8\xe2\x81\xa6\xe2\x80\xa6", "\"\\u202e\\u2028\\u2066\xe2\x80\xa6\""},
        {"bad \xff\xc3", "\"bad \\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        API(TableCount) table = API_INIT(TABLE_COUNT);
        table.table = (char *)texts[i][0];
        CU_ASSERT(holds(&table, texts[i][1]));
    }
}

MOS_TEST(pretty_is_indented_by_two) {
    API(TableCount) sales = API_INIT(TABLE_COUNT);
    sales.table = "sales";
    sales.rows = 2;
    API(TableCount) * tables[] = {&sales};
    API(DatabaseSource) database = API_INIT(DATABASE_SOURCE);
    database.name = "shop.db";
    database.engine = MOSAAJII__BACKUP__V1__DATABASE_SOURCE__ENGINE__SQLITE;
    database.n_tables = 1;
    database.tables = tables;
    CU_ASSERT(is_json(&database, true,
                      "{\n  \"name\": \"shop.db\",\n  \"engine\": \"SQLITE\",\n  \"origin\": \"\",\n  \"tables\": [\n    {\n"
                      "      \"table\": \"sales\",\n      \"rows\": 2\n    }\n  ]\n}"));
    API(ListKeysRequest) nothing = API_INIT(LIST_KEYS_REQUEST);
    CU_ASSERT(is_json(&nothing, true, "{}"));
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    const ProtobufCMessage *list[] = {&nothing.base, &nothing.base};
    mos_json_append_list(&text, list, 2, true);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&text), "[\n  {},\n  {}\n]");
    mos_buffer_clear(&text);
    mos_json_append_list(&text, list, 0, true);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&text), "[]");
}
