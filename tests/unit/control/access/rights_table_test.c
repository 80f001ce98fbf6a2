#include "control/access/rights.h"

#include <stdio.h>
#include <string.h>

#include <mosaajii/backup/v1/admin.grpc-server.h>
#include <mosaajii/backup/v1/alert.grpc-server.h>
#include <mosaajii/backup/v1/backup.grpc-server.h>
#include <mosaajii/backup/v1/offsite.grpc-server.h>
#include <mosaajii/backup/v1/recovery.grpc-server.h>

#include "unit/test.h"

// Every method of the public API, from what the plugin made of the protos.
static const struct mos_service_descriptor *const services[] = {
    &mosaajii_backup_v1_backup_service_descriptor, &mosaajii_backup_v1_offsite_service_descriptor,
    &mosaajii_backup_v1_alert_service_descriptor,  &mosaajii_backup_v1_disaster_recovery_service_descriptor,
    &mosaajii_backup_v1_admin_service_descriptor,
};

static size_t each_method(void (*visit)(const char *path)) {
    size_t count = 0;
    for (size_t s = 0; s < sizeof(services) / sizeof(services[0]); s++) {
        for (size_t m = 0; m < services[s]->method_count; m++) {
            char path[256];
            snprintf(path, sizeof(path), "/%s/%s", services[s]->name, services[s]->methods[m].name);
            visit(path);
            count++;
        }
    }
    return count;
}

static void has_row(const char *path) {
    if (!mos_right_find(path)) {
        printf("\n    %s has no row in server/control/access/rights.c\n", path);
        CU_FAIL("a method without a row");
    }
}

MOS_TEST(every_method_has_one_row_and_no_row_is_without_a_method) {
    size_t methods = each_method(has_row);
    size_t rows = 0;
    for (; mos_right_at(rows); rows++) {
        for (size_t other = 0; other < rows; other++) {
            CU_ASSERT_STRING_NOT_EQUAL(mos_right_at(rows)->path, mos_right_at(other)->path);
        }
    }
    CU_ASSERT_EQUAL(methods, rows);
}

static void is_told(const char *path) {
    // What a method is called by says what it does; those that only look have these names.
    static const char *const looks[] = {"List", "Get", "Watch", "Diff", "Suggest", "Preview", "VerifyAudit"};
    const char *method = strrchr(path, '/') + 1;
    bool reads = false;
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        reads = reads || strncmp(method, looks[i], strlen(looks[i])) == 0;
    }
    const struct mos_right *right = mos_right_find(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(right);
    if (reads != (right->effect == MOS_CALL_READS)) {
        printf("\n    %s\n", path);
        CU_FAIL("what the method does is not what its row says");
    }
    // A viewer changes nothing.
    CU_ASSERT(right->effect == MOS_CALL_READS || right->least > MOS_ROLE_VIEWER);
}

MOS_TEST(whatever_changes_something_is_recorded_and_closed_to_viewers) {
    each_method(is_told);
}

MOS_TEST(rows_allow_what_they_say_and_nothing_else) {
    static const enum mos_caller_kind kinds[] = {MOS_BY_TOKEN, MOS_BY_JWT, MOS_BY_CERTIFICATE};
    for (size_t i = 0; mos_right_at(i); i++) {
        const struct mos_right *right = mos_right_at(i);
        for (size_t k = 0; k < 3; k++) {
            for (enum mos_role role = MOS_ROLE_NONE; role <= MOS_ROLE_ADMIN; role++) {
                bool kind = (right->kinds & kinds[k]) != 0;
                CU_ASSERT_EQUAL(mos_right_allows(right, kinds[k], role, ""), kind && role >= right->least);
                CU_ASSERT_EQUAL(mos_right_allows(right, kinds[k], role, right->right ? right->right : "plan.none"),
                                kind && role != MOS_ROLE_NONE && (role >= right->least || right->right));
                CU_ASSERT_EQUAL(mos_right_allows(right, kinds[k], role, "backup.deleted,xbackup.delete,plan"),
                                kind && role >= right->least);
            }
        }
    }
    CU_ASSERT_PTR_NULL(mos_right_find("/mosaajii.backup.v1.AdminService/Nothing"));
}

MOS_TEST(a_session_of_the_pos_gets_no_keys) {
    CU_ASSERT_FALSE(
        mos_right_allows(mos_right_find("/mosaajii.backup.v1.AdminService/ExportKeys"), MOS_BY_JWT, MOS_ROLE_ADMIN, "key.manage"));
    CU_ASSERT(mos_right_allows(mos_right_find("/mosaajii.backup.v1.AdminService/ExportKeys"), MOS_BY_TOKEN, MOS_ROLE_ADMIN, ""));
}
