#include "control/access/rights.h"

#include <stddef.h>
#include <string.h>

#define BACKUP(method) "/mosaajii.backup.v1.BackupService/" #method
#define OFFSITE(method) "/mosaajii.backup.v1.OffsiteService/" #method
#define ALERT(method) "/mosaajii.backup.v1.AlertService/" #method
#define RECOVERY(method) "/mosaajii.backup.v1.DisasterRecoveryService/" #method
#define ADMIN(method) "/mosaajii.backup.v1.AdminService/" #method

static const struct mos_right table[] = {
    {BACKUP(CreateBackup), MOS_ROLE_OPERATOR, NULL},
    {BACKUP(ListBackups), MOS_ROLE_VIEWER, NULL},
    {BACKUP(GetBackup), MOS_ROLE_VIEWER, NULL},
    {BACKUP(UpdateBackup), MOS_ROLE_OPERATOR, NULL},
    {BACKUP(VerifyBackup), MOS_ROLE_OPERATOR, NULL},
    {BACKUP(DeleteBackup), MOS_ROLE_ADMIN, "backup.delete"},
    {BACKUP(CancelBackup), MOS_ROLE_OPERATOR, NULL},
    {BACKUP(WatchBackup), MOS_ROLE_VIEWER, NULL},
    {BACKUP(RestoreBackup), MOS_ROLE_OPERATOR, NULL},
    {BACKUP(ListFiles), MOS_ROLE_VIEWER, NULL},
    {BACKUP(ReadFile), MOS_ROLE_OPERATOR, NULL},
    {BACKUP(DiffBackups), MOS_ROLE_VIEWER, NULL},
    {BACKUP(ListJobs), MOS_ROLE_VIEWER, NULL},
    {BACKUP(GetJob), MOS_ROLE_VIEWER, NULL},
    {BACKUP(CancelJob), MOS_ROLE_OPERATOR, NULL},
    {BACKUP(WatchJob), MOS_ROLE_VIEWER, NULL},
    {BACKUP(PruneRepository), MOS_ROLE_ADMIN, "backup.delete"},
    {BACKUP(CheckRepository), MOS_ROLE_OPERATOR, NULL},
    {BACKUP(CreateSchedule), MOS_ROLE_ADMIN, NULL},
    {BACKUP(ListSchedules), MOS_ROLE_VIEWER, NULL},
    {BACKUP(GetSchedule), MOS_ROLE_VIEWER, NULL},
    {BACKUP(UpdateSchedule), MOS_ROLE_ADMIN, NULL},
    {BACKUP(DeleteSchedule), MOS_ROLE_ADMIN, NULL},
    {BACKUP(SuggestSchedules), MOS_ROLE_VIEWER, NULL},
    {BACKUP(PreviewRetention), MOS_ROLE_VIEWER, NULL},
    {BACKUP(GetAnalytics), MOS_ROLE_VIEWER, NULL},

    {OFFSITE(UploadBackup), MOS_ROLE_OPERATOR, NULL},
    {OFFSITE(ListOffsiteBackups), MOS_ROLE_VIEWER, NULL},
    {OFFSITE(GetOffsiteBackup), MOS_ROLE_VIEWER, NULL},
    {OFFSITE(VerifyOffsite), MOS_ROLE_OPERATOR, NULL},
    {OFFSITE(FetchBackup), MOS_ROLE_OPERATOR, NULL},
    {OFFSITE(DeleteOffsiteBackup), MOS_ROLE_ADMIN, "backup.delete"},
    {OFFSITE(ListLocations), MOS_ROLE_VIEWER, NULL},
    {OFFSITE(ListOffsitePolicies), MOS_ROLE_VIEWER, NULL},
    {OFFSITE(UpdateOffsitePolicy), MOS_ROLE_ADMIN, NULL},

    {ALERT(ListAlerts), MOS_ROLE_VIEWER, NULL},
    {ALERT(GetAlert), MOS_ROLE_VIEWER, NULL},
    {ALERT(AcknowledgeAlert), MOS_ROLE_OPERATOR, NULL},
    {ALERT(WatchAlerts), MOS_ROLE_VIEWER, NULL},
    {ALERT(TestAlertDelivery), MOS_ROLE_ADMIN, NULL},

    {RECOVERY(CreatePlan), MOS_ROLE_ADMIN, "plan.edit"},
    {RECOVERY(ListPlans), MOS_ROLE_VIEWER, NULL},
    {RECOVERY(GetPlan), MOS_ROLE_VIEWER, NULL},
    {RECOVERY(UpdatePlan), MOS_ROLE_ADMIN, "plan.edit"},
    {RECOVERY(DeletePlan), MOS_ROLE_ADMIN, "plan.edit"},
    {RECOVERY(ClonePlan), MOS_ROLE_ADMIN, "plan.edit"},
    {RECOVERY(SuggestPlan), MOS_ROLE_VIEWER, NULL},
    {RECOVERY(ExecutePlan), MOS_ROLE_ADMIN, "plan.execute"},
    {RECOVERY(TestPlan), MOS_ROLE_OPERATOR, "plan.test"},
    {RECOVERY(ListTestResults), MOS_ROLE_VIEWER, NULL},
    {RECOVERY(GetTestResult), MOS_ROLE_VIEWER, NULL},
    {RECOVERY(ListExecutions), MOS_ROLE_VIEWER, NULL},
    {RECOVERY(GetExecution), MOS_ROLE_VIEWER, NULL},
    {RECOVERY(WatchExecution), MOS_ROLE_VIEWER, NULL},
    {RECOVERY(PauseExecution), MOS_ROLE_ADMIN, "plan.execute"},
    {RECOVERY(ResumeExecution), MOS_ROLE_ADMIN, "plan.execute"},
    {RECOVERY(CancelExecution), MOS_ROLE_ADMIN, "plan.execute"},
    {RECOVERY(ApproveStep), MOS_ROLE_ADMIN, "step.approve"},
    {RECOVERY(DeclineStep), MOS_ROLE_ADMIN, "step.approve"},
    {RECOVERY(RetryStep), MOS_ROLE_ADMIN, "step.approve"},
    {RECOVERY(SkipStep), MOS_ROLE_ADMIN, "step.approve"},
    {RECOVERY(GetReport), MOS_ROLE_VIEWER, NULL},

    {ADMIN(ListKeys), MOS_ROLE_VIEWER, NULL},
    {ADMIN(RotateKey), MOS_ROLE_ADMIN, "key.manage"},
    {ADMIN(RetireKey), MOS_ROLE_ADMIN, "key.manage"},
    {ADMIN(ExportKeys), MOS_ROLE_ADMIN, "key.manage"},
    {ADMIN(ImportKeys), MOS_ROLE_ADMIN, "key.manage"},
    {ADMIN(CreateToken), MOS_ROLE_ADMIN, NULL},
    {ADMIN(ListTokens), MOS_ROLE_ADMIN, NULL},
    {ADMIN(RevokeToken), MOS_ROLE_ADMIN, NULL},
    {ADMIN(ListAuditEntries), MOS_ROLE_ADMIN, NULL},
    {ADMIN(ExportAudit), MOS_ROLE_ADMIN, NULL},
    {ADMIN(VerifyAudit), MOS_ROLE_ADMIN, NULL},
    {ADMIN(ListConfirmations), MOS_ROLE_ADMIN, NULL},
    {ADMIN(Confirm), MOS_ROLE_ADMIN, NULL},
    {ADMIN(GetStatus), MOS_ROLE_VIEWER, NULL},
};

const char mos_right_names[] = "plan.edit, plan.test, plan.execute, step.approve, backup.delete and key.manage";

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

bool mos_right_allows(const struct mos_right *right, enum mos_role role, const char *rights) {
    // A right adds to a role; without any role there is nothing to add to.
    return role != MOS_ROLE_NONE && (role >= right->least || (right->right && holds(rights, right->right)));
}

bool mos_right_known(const char *name) {
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].right && strcmp(table[i].right, name) == 0) {
            return true;
        }
    }
    return false;
}
