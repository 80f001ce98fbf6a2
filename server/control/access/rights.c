#include "control/access/rights.h"

#include <stddef.h>
#include <string.h>

#define BACKUP(method) "/mosaajii.backup.v1.BackupService/" #method
#define OFFSITE(method) "/mosaajii.backup.v1.OffsiteService/" #method
#define ALERT(method) "/mosaajii.backup.v1.AlertService/" #method
#define RECOVERY(method) "/mosaajii.backup.v1.DisasterRecoveryService/" #method
#define ADMIN(method) "/mosaajii.backup.v1.AdminService/" #method

#define READ MOS_CALL_READS
#define CHANGE MOS_CALL_CHANGES
#define SECRET MOS_CALL_READS_SECRETS
#define ANY (MOS_BY_TOKEN | MOS_BY_JWT | MOS_BY_CERTIFICATE)
// Not a session of the POS, which lives in somebody's browser.
#define LASTING (MOS_BY_TOKEN | MOS_BY_CERTIFICATE)

static const struct mos_right table[] = {
    {BACKUP(CreateBackup), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {BACKUP(ListBackups), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(GetBackup), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(UpdateBackup), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, true},
    {BACKUP(VerifyBackup), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {BACKUP(DeleteBackup), MOS_ROLE_ADMIN, "backup.delete", CHANGE, ANY, true},
    {BACKUP(CancelBackup), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {BACKUP(WatchBackup), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(RestoreBackup), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {BACKUP(ListFiles), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(ReadFile), MOS_ROLE_OPERATOR, NULL, SECRET, ANY, false},
    {BACKUP(DiffBackups), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(ListJobs), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(GetJob), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(CancelJob), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {BACKUP(WatchJob), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(PruneRepository), MOS_ROLE_ADMIN, "backup.delete", CHANGE, ANY, false},
    {BACKUP(CheckRepository), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {BACKUP(CreateSchedule), MOS_ROLE_ADMIN, NULL, CHANGE, ANY, false},
    {BACKUP(ListSchedules), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(GetSchedule), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(UpdateSchedule), MOS_ROLE_ADMIN, NULL, CHANGE, ANY, false},
    {BACKUP(DeleteSchedule), MOS_ROLE_ADMIN, NULL, CHANGE, ANY, false},
    {BACKUP(SuggestSchedules), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(PreviewRetention), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {BACKUP(GetAnalytics), MOS_ROLE_VIEWER, NULL, READ, ANY, false},

    {OFFSITE(UploadBackup), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {OFFSITE(ListOffsiteBackups), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {OFFSITE(GetOffsiteBackup), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {OFFSITE(VerifyOffsite), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {OFFSITE(FetchBackup), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {OFFSITE(DeleteOffsiteBackup), MOS_ROLE_ADMIN, "backup.delete", CHANGE, ANY, true},
    {OFFSITE(ListLocations), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {OFFSITE(ListOffsitePolicies), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {OFFSITE(UpdateOffsitePolicy), MOS_ROLE_ADMIN, NULL, CHANGE, ANY, false},

    {ALERT(ListAlerts), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {ALERT(GetAlert), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {ALERT(AcknowledgeAlert), MOS_ROLE_OPERATOR, NULL, CHANGE, ANY, false},
    {ALERT(WatchAlerts), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {ALERT(TestAlertDelivery), MOS_ROLE_ADMIN, NULL, CHANGE, ANY, false},

    {RECOVERY(CreatePlan), MOS_ROLE_ADMIN, "plan.edit", CHANGE, ANY, false},
    {RECOVERY(ListPlans), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {RECOVERY(GetPlan), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {RECOVERY(UpdatePlan), MOS_ROLE_ADMIN, "plan.edit", CHANGE, ANY, false},
    {RECOVERY(DeletePlan), MOS_ROLE_ADMIN, "plan.edit", CHANGE, ANY, false},
    {RECOVERY(ClonePlan), MOS_ROLE_ADMIN, "plan.edit", CHANGE, ANY, false},
    {RECOVERY(SuggestPlan), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {RECOVERY(ExecutePlan), MOS_ROLE_ADMIN, "plan.execute", CHANGE, ANY, true},
    {RECOVERY(TestPlan), MOS_ROLE_OPERATOR, "plan.test", CHANGE, ANY, false},
    {RECOVERY(ListTestResults), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {RECOVERY(GetTestResult), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {RECOVERY(ListExecutions), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {RECOVERY(GetExecution), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {RECOVERY(WatchExecution), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {RECOVERY(PauseExecution), MOS_ROLE_ADMIN, "plan.execute", CHANGE, ANY, false},
    {RECOVERY(ResumeExecution), MOS_ROLE_ADMIN, "plan.execute", CHANGE, ANY, false},
    {RECOVERY(CancelExecution), MOS_ROLE_ADMIN, "plan.execute", CHANGE, ANY, false},
    {RECOVERY(ApproveStep), MOS_ROLE_ADMIN, "step.approve", CHANGE, ANY, false},
    {RECOVERY(DeclineStep), MOS_ROLE_ADMIN, "step.approve", CHANGE, ANY, false},
    {RECOVERY(RetryStep), MOS_ROLE_ADMIN, "step.approve", CHANGE, ANY, false},
    {RECOVERY(SkipStep), MOS_ROLE_ADMIN, "step.approve", CHANGE, ANY, false},
    {RECOVERY(GetReport), MOS_ROLE_VIEWER, NULL, READ, ANY, false},

    {ADMIN(ListKeys), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {ADMIN(RotateKey), MOS_ROLE_ADMIN, "key.manage", CHANGE, ANY, false},
    {ADMIN(RetireKey), MOS_ROLE_ADMIN, "key.manage", CHANGE, ANY, true},
    {ADMIN(ExportKeys), MOS_ROLE_ADMIN, "key.manage", SECRET, LASTING, false},
    {ADMIN(ImportKeys), MOS_ROLE_ADMIN, "key.manage", CHANGE, LASTING, false},
    {ADMIN(CreateToken), MOS_ROLE_ADMIN, NULL, CHANGE, ANY, false},
    {ADMIN(ListTokens), MOS_ROLE_ADMIN, NULL, READ, ANY, false},
    {ADMIN(RevokeToken), MOS_ROLE_ADMIN, NULL, CHANGE, ANY, false},
    {ADMIN(ListAuditEntries), MOS_ROLE_ADMIN, NULL, READ, ANY, false},
    {ADMIN(ExportAudit), MOS_ROLE_ADMIN, NULL, SECRET, ANY, false},
    {ADMIN(VerifyAudit), MOS_ROLE_ADMIN, NULL, READ, ANY, false},
    {ADMIN(ListConfirmations), MOS_ROLE_ADMIN, NULL, READ, ANY, false},
    {ADMIN(Confirm), MOS_ROLE_ADMIN, NULL, CHANGE, ANY, false},
    {ADMIN(GetStatus), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
    {ADMIN(GetCaller), MOS_ROLE_VIEWER, NULL, READ, ANY, false},
};

const char mos_right_names[] = "plan.edit, plan.test, plan.execute, step.approve, backup.delete and key.manage";

const struct mos_right *mos_right_at(size_t index) {
    return index < sizeof(table) / sizeof(table[0]) ? &table[index] : NULL;
}

const struct mos_right *mos_right_find(const char *path) {
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].path, path) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static bool holds(const char *rights, const char *name) {
    size_t length = strlen(name);
    while (*rights) {
        size_t part = strcspn(rights, ",");
        if (part == length && memcmp(rights, name, length) == 0) {
            return true;
        }
        rights += part + (rights[part] == ',');
    }
    return false;
}

bool mos_right_allows(const struct mos_right *right, enum mos_caller_kind kind, enum mos_role role, const char *rights) {
    // A right adds to a role; without any role there is nothing to add to.
    return (right->kinds & kind) && role != MOS_ROLE_NONE && (role >= right->least || (right->right && holds(rights, right->right)));
}

bool mos_right_known(const char *name) {
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].right && strcmp(table[i].right, name) == 0) {
            return true;
        }
    }
    return false;
}
