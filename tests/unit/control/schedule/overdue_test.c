#include "control/schedule/overdue.h"

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/clock.h"
#include "control/catalog/retention.h"
#include "control/catalog/schedules.h"
#include "unit/control/catalog/fixture.h"

#define DAY_NS (INT64_C(86400) * MOS_NS_PER_SECOND)
#define NOW_NS (INT64_C(1800000000) * MOS_NS_PER_SECOND)

// A good, verified backup of /srv or another path, kept for ten days.
static struct mos_backup backup_at(struct catalog_fixture *fixture, int number, const char *path, int64_t days_ago) {
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    Mosaajii__Engine__V1__BackupRecord record = MOSAAJII__ENGINE__V1__BACKUP_RECORD__INIT;
    ProtobufCBinaryData source = {.data = (uint8_t *)path, .len = strlen(path)};
    info.source_paths = &source;
    info.n_source_paths = 1;
    record.info = &info;
    uint8_t *facts = mos_arena_alloc(fixture->arena, protobuf_c_message_get_packed_size(&record.base));
    return (struct mos_backup){.id = fixture_id(fixture, number),
                               .type = MOS_BACKUP_FILES,
                               .status = MOS_BACKUP_VERIFIED,
                               .created_at_unix_ns = NOW_NS - days_ago * DAY_NS,
                               .verified_at_unix_ns = NOW_NS - days_ago * DAY_NS + 1,
                               .encrypted_checksum = "x",
                               .retention_days = 10,
                               .facts = {facts, protobuf_c_message_pack(&record.base, facts)}};
}

static mos_status quarantine(mos_catalog_session *session, void *id, struct mos_error *error) {
    return mos_catalog_quarantine_backup(session, id, "files were missing", error);
}

static mos_status lift(mos_catalog_session *session, void *id, struct mos_error *error) {
    return mos_catalog_quarantine_backup(session, id, NULL, error);
}

// The numbers of those found, one after the other.
static const char *found_at(struct catalog_fixture *fixture, const char *tag_rules, int64_t unix_ns) {
    struct mos_overdue overdue = {fixture->catalog, tag_rules};
    const char **ids;
    size_t count = 0;
    char *text = mos_arena_strdup(fixture->arena, "");
    MOS_ASSERT_OK(mos_overdue_find(&overdue, unix_ns, fixture->arena, &ids, &count, &fixture->error), &fixture->error);
    for (size_t i = 0; i < count; i++) {
        text = mos_arena_printf(fixture->arena, "%s%ld ", text, strtol(ids[i], NULL, 16));
    }
    return text;
}

MOS_TEST(what_stays_on_purpose_is_not_overdue) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    CU_ASSERT_STRING_EQUAL(found_at(&fixture, "", NOW_NS), "");
    struct mos_backup backups[8];
    for (int i = 0; i < 8; i++) {
        backups[i] = backup_at(&fixture, i + 1, "/srv", 40 - i);
    }
    static const char *const tags[] = {"long"};
    backups[1].legal_hold = true;
    backups[2].locked_until_unix_ns = NOW_NS + DAY_NS;
    backups[3].tags = tags;
    backups[3].tag_count = 1;
    // The newest good one is not the newest verified one, which stays; and one that failed is none of both.
    backups[6].verified_at_unix_ns = 0;
    backups[7].damaged = true;
    for (int i = 0; i < 8; i++) {
        fixture_put_backup(&fixture, backups[i]);
    }
    // The only one of its source.
    fixture_put_backup(&fixture, backup_at(&fixture, 9, "/home", 60));
    CU_ASSERT_STRING_EQUAL(found_at(&fixture, "long:last=1", NOW_NS), "1 5 7 8 ");
    CU_ASSERT_STRING_EQUAL(found_at(&fixture, "", NOW_NS), "1 4 5 7 8 ");
    // What was taken since did not count then.
    fixture_put_backup(&fixture, backup_at(&fixture, 10, "/srv", 1));
    CU_ASSERT_STRING_EQUAL(found_at(&fixture, "long:last=1", NOW_NS - 2 * DAY_NS), "1 5 7 8 ");
    CU_ASSERT_STRING_EQUAL(found_at(&fixture, "long:last=1", NOW_NS), "1 5 6 7 8 ");
    // A quarantine keeps what was before it, until it is lifted.
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, quarantine, (void *)backups[5].id, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(found_at(&fixture, "", NOW_NS), "7 8 ");
    MOS_ASSERT_OK(mos_catalog_write(fixture.catalog, lift, (void *)backups[5].id, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(found_at(&fixture, "", NOW_NS), "1 4 5 6 7 8 ");
    fixture_close(&fixture);
}

MOS_TEST(what_is_in_use_is_not_overdue_but_what_is_being_deleted_is) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    for (int i = 1; i <= 3; i++) {
        fixture_put_backup(&fixture, backup_at(&fixture, i, "/srv", 40 - i));
    }
    fixture_put_job(&fixture, (struct mos_job){.id = fixture_id(&fixture, 11),
                                               .kind = MOS_JOB_RESTORE,
                                               .status = MOS_JOB_RUNNING,
                                               .backup_id = fixture_id(&fixture, 1)});
    fixture_put_job(&fixture, (struct mos_job){.id = fixture_id(&fixture, 12),
                                               .kind = MOS_JOB_DELETE,
                                               .status = MOS_JOB_RUNNING,
                                               .backup_id = fixture_id(&fixture, 2)});
    CU_ASSERT_STRING_EQUAL(found_at(&fixture, "", NOW_NS), "2 ");
    fixture_close(&fixture);
}

MOS_TEST(rules_that_cannot_be_read_are_an_error) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_overdue overdue = {fixture.catalog, "long:dayly=1"};
    const char **ids;
    size_t count = 0;
    CU_ASSERT_EQUAL(mos_overdue_find(&overdue, NOW_NS, fixture.arena, &ids, &count, &fixture.error), MOS_INVALID_ARGUMENT);
    fixture_close(&fixture);
}
