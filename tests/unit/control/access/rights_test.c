#include "control/access/rights.h"

#include <stdio.h>
#include <string.h>

#include <google/protobuf/descriptor.pb-c.h>

#include "common/arena.h"
#include "control/rpc/rpc.h"
#include "unit/test.h"

static bool may(const char *service, const char *method, enum mos_role role, const char *rights) {
    char path[256];
    snprintf(path, sizeof(path), "/mosaajii.backup.v1.%s/%s", service, method);
    const struct mos_right *right = mos_right_find(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(right);
    return mos_right_allows(right, MOS_BY_TOKEN, role, rights);
}

MOS_TEST(the_roles_may_what_the_contract_says) {
    static const struct {
        const char *service;
        const char *method;
        enum mos_role least;
    } cases[] = {
        {"BackupService", "GetBackup", MOS_ROLE_VIEWER},
        {"BackupService", "ListBackups", MOS_ROLE_VIEWER},
        {"BackupService", "WatchBackup", MOS_ROLE_VIEWER},
        {"BackupService", "CreateBackup", MOS_ROLE_OPERATOR},
        {"BackupService", "VerifyBackup", MOS_ROLE_OPERATOR},
        {"BackupService", "DeleteBackup", MOS_ROLE_ADMIN},
        {"AlertService", "ListAlerts", MOS_ROLE_VIEWER},
        {"AlertService", "AcknowledgeAlert", MOS_ROLE_OPERATOR},
        {"DisasterRecoveryService", "TestPlan", MOS_ROLE_OPERATOR},
        {"DisasterRecoveryService", "ExecutePlan", MOS_ROLE_ADMIN},
        {"OffsiteService", "UploadBackup", MOS_ROLE_OPERATOR},
        {"AdminService", "CreateToken", MOS_ROLE_ADMIN},
        {"AdminService", "ListTokens", MOS_ROLE_ADMIN},
        {"AdminService", "GetStatus", MOS_ROLE_VIEWER},
        {"AdminService", "GetCaller", MOS_ROLE_VIEWER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (enum mos_role role = MOS_ROLE_NONE; role <= MOS_ROLE_ADMIN; role++) {
            CU_ASSERT_EQUAL(may(cases[i].service, cases[i].method, role, ""), role >= cases[i].least);
        }
    }
}

MOS_TEST(a_right_adds_to_a_role_and_to_nothing_else) {
    CU_ASSERT(may("BackupService", "DeleteBackup", MOS_ROLE_VIEWER, "backup.delete"));
    CU_ASSERT(may("BackupService", "DeleteBackup", MOS_ROLE_VIEWER, "plan.edit,backup.delete,key.manage"));
    CU_ASSERT_FALSE(may("BackupService", "DeleteBackup", MOS_ROLE_NONE, "backup.delete"));
    CU_ASSERT_FALSE(may("BackupService", "DeleteBackup", MOS_ROLE_OPERATOR, "plan.edit"));
    CU_ASSERT_FALSE(may("BackupService", "DeleteBackup", MOS_ROLE_OPERATOR, "backup.deletes"));
    CU_ASSERT_FALSE(may("BackupService", "DeleteBackup", MOS_ROLE_OPERATOR, "backup.delet"));
    CU_ASSERT_FALSE(may("BackupService", "DeleteBackup", MOS_ROLE_OPERATOR, "xbackup.delete"));
    CU_ASSERT_FALSE(may("BackupService", "DeleteBackup", MOS_ROLE_OPERATOR, ",,,"));
    CU_ASSERT_FALSE(may("AdminService", "CreateToken", MOS_ROLE_OPERATOR, "backup.delete"));
}

MOS_TEST(what_is_not_in_the_table_nobody_may) {
    CU_ASSERT_PTR_NULL(mos_right_find("/mosaajii.backup.v1.BackupService/Nothing"));
    CU_ASSERT_PTR_NULL(mos_right_find("/mosaajii.backup.v1.BackupService/getbackup"));
    CU_ASSERT_PTR_NULL(mos_right_find("/mosaajii.backup.v1.BackupService/"));
    CU_ASSERT_PTR_NULL(mos_right_find(""));
}

// A method that were left out could be called by nobody.
MOS_TEST(every_method_of_the_api_has_its_row) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Google__Protobuf__FileDescriptorSet *set =
        google__protobuf__file_descriptor_set__unpack(mos_arena_allocator(arena), mos_descriptor_set_bytes, mos_descriptor_set);
    CU_ASSERT_PTR_NOT_NULL_FATAL(set);
    int count = 0;
    for (size_t f = 0; f < set->n_file; f++) {
        const Google__Protobuf__FileDescriptorProto *file = set->file[f];
        for (size_t s = 0; s < file->n_service && strcmp(file->package, "mosaajii.backup.v1") == 0; s++) {
            for (size_t m = 0; m < file->service[s]->n_method; m++) {
                const char *path =
                    mos_arena_printf(arena, "/%s.%s/%s", file->package, file->service[s]->name, file->service[s]->method[m]->name);
                CU_ASSERT_PTR_NOT_NULL(mos_right_find(path));
                if (!mos_right_find(path)) {
                    mos_test_complain("mos_right_find", path);
                }
                count++;
            }
        }
    }
    CU_ASSERT(count > 60);
}

MOS_TEST(the_names_of_rights_are_known) {
    char names[256];
    snprintf(names, sizeof(names), "%s", mos_right_names);
    int count = 0;
    for (char *name = strtok(names, ", "); name; name = strtok(NULL, ", ")) {
        if (strcmp(name, "and") != 0) {
            CU_ASSERT(mos_right_known(name));
            count++;
        }
    }
    CU_ASSERT_EQUAL(count, 6);
    CU_ASSERT_FALSE(mos_right_known(""));
    CU_ASSERT_FALSE(mos_right_known("backup"));
    CU_ASSERT_FALSE(mos_right_known("ADMIN"));
}
