#include "control/job/parent.h"

#include "fixture.h"

typedef Mosaajii__Engine__V1__BackupRequest backup_request;
typedef Mosaajii__Engine__V1__BackupInfo backup_info;

enum { MOST_PATHS = 4 };

static size_t split(const char *paths, ProtobufCBinaryData out[MOST_PATHS]) {
    size_t count = 0;
    while (*paths) {
        size_t length = strcspn(paths, ":");
        out[count++] = (ProtobufCBinaryData){.data = (uint8_t *)paths, .len = length};
        paths += length + (paths[length] == ':');
    }
    return count;
}

static mos_status put(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_put_backup(session, argument, error);
}

// A committed backup of these paths, colon separated, and with so many databases.
static void put_backup(struct jobs_fixture *fixture, const char *id, enum mos_backup_type type, const char *paths, size_t databases,
                       bool damaged) {
    static int64_t now = 1000;
    ProtobufCBinaryData sources[MOST_PATHS];
    Mosaajii__Engine__V1__Database database = MOSAAJII__ENGINE__V1__DATABASE__INIT;
    Mosaajii__Engine__V1__Database *list[] = {&database, &database};
    backup_info info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    Mosaajii__Engine__V1__BackupRecord record = MOSAAJII__ENGINE__V1__BACKUP_RECORD__INIT;
    info.id = (char *)id;
    info.n_source_paths = split(paths, sources);
    info.source_paths = sources;
    info.databases = list;
    info.n_databases = databases;
    record.info = &info;
    uint8_t facts[4096];
    size_t size_bytes = protobuf_c_message_pack(&record.base, facts);
    const struct mos_backup backup = {.id = id,
                                      .name = "",
                                      .type = type,
                                      .status = damaged ? MOS_BACKUP_FAILED : MOS_BACKUP_COMPLETED,
                                      .created_at_unix_ns = now++,
                                      .key_id = "local/1",
                                      .checksum = "",
                                      .encrypted_checksum = "cc",
                                      .location = "",
                                      .encrypted_location = "",
                                      .message = "",
                                      .parent_id = "",
                                      .created_by = "",
                                      .damaged = damaged,
                                      .facts = {facts, size_bytes}};
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, put, (void *)&backup, &fixture->error), &fixture->error);
}

static void check_choice(struct jobs_fixture *fixture, enum mos_backup_type type, const char *paths, size_t databases,
                         const char *expected) {
    ProtobufCBinaryData sources[MOST_PATHS];
    static char *urls[] = {(char *)"sqlite:///a", (char *)"sqlite:///b"};
    backup_info info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    backup_request request = MOSAAJII__ENGINE__V1__BACKUP_REQUEST__INIT;
    info.type = (char *)mos_backup_type_word(type);
    request.info = &info;
    request.n_paths = split(paths, sources);
    request.paths = sources;
    request.databases = urls;
    request.n_databases = databases;
    MOS_ASSERT_OK(mos_parent_choose(fixture->catalog, &request, fixture->arena, &fixture->error), &fixture->error);
    CU_ASSERT_STRING_EQUAL(request.base_id, expected);
    bool has_parent = type == MOS_BACKUP_INCREMENTAL || type == MOS_BACKUP_DIFFERENTIAL;
    CU_ASSERT_STRING_EQUAL(info.parent_id, has_parent ? expected : "");
    CU_ASSERT_EQUAL(*info.note != 0, has_parent && !*expected);
}

MOS_TEST(the_newest_good_backup_of_the_same_sources_is_chosen) {
    struct jobs_fixture fixture;
    fixture_create(&fixture, 1);
    check_choice(&fixture, MOS_BACKUP_INCREMENTAL, "/a", 0, "");
    check_choice(&fixture, MOS_BACKUP_FILES, "/a", 0, "");
    put_backup(&fixture, "full", MOS_BACKUP_FULL, "/a:/b", 0, false);
    put_backup(&fixture, "increment", MOS_BACKUP_INCREMENTAL, "/b:/a:/a", 0, false);
    put_backup(&fixture, "damaged", MOS_BACKUP_FULL, "/a:/b", 0, true);
    put_backup(&fixture, "less", MOS_BACKUP_FULL, "/a", 0, false);
    put_backup(&fixture, "more", MOS_BACKUP_FULL, "/a:/b:/c", 0, false);
    put_backup(&fixture, "database", MOS_BACKUP_DATABASE, "", 1, false);
    check_choice(&fixture, MOS_BACKUP_INCREMENTAL, "/a:/b", 0, "increment");
    check_choice(&fixture, MOS_BACKUP_INCREMENTAL, "/b:/a", 0, "increment");
    check_choice(&fixture, MOS_BACKUP_DIFFERENTIAL, "/a:/b", 0, "full");
    check_choice(&fixture, MOS_BACKUP_FULL, "/a:/b", 0, "increment");
    check_choice(&fixture, MOS_BACKUP_FILES, "/a", 0, "less");
    check_choice(&fixture, MOS_BACKUP_CONFIGURATION, "/c:/b:/a", 0, "more");
    check_choice(&fixture, MOS_BACKUP_INCREMENTAL, "/a:/b", 1, "");
    check_choice(&fixture, MOS_BACKUP_INCREMENTAL, "/aa", 0, "");
    check_choice(&fixture, MOS_BACKUP_DATABASE, "", 2, "database");
    check_choice(&fixture, MOS_BACKUP_DIFFERENTIAL, "", 1, "");
    fixture_end(&fixture);
}
