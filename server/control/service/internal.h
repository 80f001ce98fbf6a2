// Private to the services: handlers, and what they share.
#ifndef MOS_CONTROL_SERVICE_INTERNAL_H
#define MOS_CONTROL_SERVICE_INTERNAL_H

#include <google/protobuf/timestamp.pb-c.h>
#include <mosaajii/backup/v1/admin.grpc-server.h>
#include <mosaajii/backup/v1/alert.grpc-server.h>
#include <mosaajii/backup/v1/backup.grpc-server.h>
#include <mosaajii/backup/v1/offsite.grpc-server.h>
#include <mosaajii/backup/v1/recovery.grpc-server.h>

#include "control/catalog/backups.h"
#include "control/catalog/jobs.h"
#include "control/service/service.h"

// ---- Checks: each is MOS_INVALID_ARGUMENT with the field by its JSON name ----

// The backup is complete, and its data is here to be read: MOS_FAILED_PRECONDITION, with what to do about it.
mos_status mos_check_readable(const struct mos_backup *backup, struct mos_error *error);
mos_status mos_check_id(const char *field, const char *id, struct mos_error *error);
// At most so many characters.
mos_status mos_check_text(const char *field, const char *text, size_t most, struct mos_error *error);
mos_status mos_check_number(const char *field, int64_t number, int64_t least, int64_t most, struct mos_error *error);
mos_status mos_check_tags(const char *field, char *const *tags, size_t count, struct mos_error *error);
// A value that the enum names; 0 too where `optional`. `words` are for the message.
mos_status mos_check_enum(const char *field, int value, int most, bool optional, const char *words, struct mos_error *error);
// 0 for NULL.
mos_status mos_check_time(const char *field, const Google__Protobuf__Timestamp *time, int64_t *out_unix_ns, struct mos_error *error);
// The text form of a path, with \xHH.
mos_status mos_check_path(const char *field, const char *text, mos_arena *arena, char **out, size_t *out_bytes, struct mos_error *error);

enum { MOS_NAME_MOST = 200, MOS_TAGS_MOST = 50, MOS_TAG_MOST = 100, MOS_RETENTION_MOST = 36500 };

// ---- From rows to messages; false past the arena's ceiling ----

// NULL for 0, and for a time before 1970.
bool mos_make_time(mos_arena *arena, int64_t unix_ns, Google__Protobuf__Timestamp **out);
bool mos_make_backup(mos_arena *arena, const struct mos_backup *backup, Mosaajii__Backup__V1__Backup *out);
bool mos_make_job(mos_arena *arena, const struct mos_job *job, Mosaajii__Backup__V1__Job *out);
bool mos_make_event(mos_arena *arena, const struct mos_event *event, Mosaajii__Backup__V1__JobEvent *out);
mos_status mos_fail_memory(struct mos_call *call);
// The engine's answer that a job's row keeps; NULL where there is none.
const Mosaajii__Engine__V1__Result *mos_job_result(mos_arena *arena, const struct mos_job *job);

// ---- Pages of paths ----

// A page token is the last path of the page, sealed with the texts that say what was asked for, so that it continues no other list. NULL
// past the arena's ceiling.
char *mos_path_token_make(mos_arena *arena, const char *const *asked, size_t asked_count, ProtobufCBinaryData last);
// *out stays empty for an empty token. MOS_INVALID_ARGUMENT, field pageToken.
mos_status mos_path_token_take(struct mos_call *call, const char *const *asked, size_t asked_count, const char *token,
                               ProtobufCBinaryData *out);

// ---- What the settings mean ----

// What a backup of a type takes. MOS_FAILED_PRECONDITION, naming the setting, where nothing is configured for it.
struct mos_sources {
    char **paths;
    size_t path_count;
    char **databases;
    size_t database_count;
    char **excludes;
    size_t exclude_count;
    // NULL where there is none below the paths.
    const char *sentinel;
};
mos_status mos_sources_of(const mos_settings *settings, enum mos_backup_type type, mos_arena *arena, struct mos_sources *out,
                          struct mos_error *error);
// What is asked for, as the queue takes it: with what the settings say where the request leaves it open, and the sources of its type. Texts
// are borrowed from the request, or live in the arena. Checks the request: MOS_INVALID_ARGUMENT, MOS_FAILED_PRECONDITION.
mos_status mos_backup_order_of(const mos_settings *settings, const Mosaajii__Backup__V1__CreateBackupRequest *request,
                               const char *created_by, mos_arena *arena, struct mos_backup_order *out, struct mos_error *error);
mos_status mos_check_create(const mos_settings *settings, const Mosaajii__Backup__V1__CreateBackupRequest *request,
                            struct mos_error *error);
// Where a restore may write: the target with all links resolved, and the root that it lies under. MOS_INVALID_ARGUMENT, field target. An
// empty target becomes a new name under the first root.
mos_status mos_restore_target(const mos_settings *settings, const char *target, const char *backup_id, mos_arena *arena, const char **out,
                              const char **out_root, struct mos_error *error);
// The URL of a database on a server that a restore may go to, as the engine gets it. A password that it lacks is that of DATABASE_URL for
// the same account. MOS_INVALID_ARGUMENT, field target.
mos_status mos_restore_database(const mos_settings *settings, const char *target, mos_arena *arena, const char **out,
                                struct mos_error *error);

// ---- Calls ----

// For waits: mos_call_cancelled on a call.
bool mos_call_is_over(const void *call);
// While it waits for events of the catalog, a call that ends is woken.
void mos_call_wakes_catalog(struct mos_call *call, mos_catalog *catalog);
void mos_call_wakes_nobody(struct mos_call *call);
mos_status mos_read_backup(struct mos_services *services, struct mos_call *call, const char *id, struct mos_backup *out);
mos_status mos_read_job(struct mos_services *services, struct mos_call *call, const char *id, struct mos_job *out);

// ---- Handlers ----

#define BACKUP_HANDLER(name, request_type, response_type)                                                                                  \
    mos_status mos_backup_service_##name(struct mos_call *call, const Mosaajii__Backup__V1__##request_type *request,                       \
                                         Mosaajii__Backup__V1__##response_type *response)
#define ADMIN_HANDLER(name, request_type, response_type)                                                                                   \
    mos_status mos_admin_service_##name(struct mos_call *call, const Mosaajii__Backup__V1__##request_type *request,                        \
                                        Mosaajii__Backup__V1__##response_type *response)
#define ALERT_HANDLER(name, request_type, response_type)                                                                                   \
    mos_status mos_alert_service_##name(struct mos_call *call, const Mosaajii__Backup__V1__##request_type *request,                        \
                                        Mosaajii__Backup__V1__##response_type *response)

#define OFFSITE_HANDLER(name, request_type, response_type)                                                                                 \
    mos_status mos_offsite_service_##name(struct mos_call *call, const Mosaajii__Backup__V1__##request_type *request,                      \
                                          Mosaajii__Backup__V1__##response_type *response)

OFFSITE_HANDLER(upload_backup, UploadBackupRequest, OffsiteBackup);
OFFSITE_HANDLER(list_offsite_backups, ListOffsiteBackupsRequest, ListOffsiteBackupsResponse);
OFFSITE_HANDLER(get_offsite_backup, GetOffsiteBackupRequest, OffsiteBackup);
OFFSITE_HANDLER(verify_offsite, VerifyOffsiteRequest, Verification);
OFFSITE_HANDLER(fetch_backup, FetchBackupRequest, Job);
OFFSITE_HANDLER(delete_offsite_backup, DeleteOffsiteBackupRequest, DeleteOffsiteBackupResponse);
OFFSITE_HANDLER(list_locations, ListLocationsRequest, ListLocationsResponse);
OFFSITE_HANDLER(list_offsite_policies, ListOffsitePoliciesRequest, ListOffsitePoliciesResponse);
OFFSITE_HANDLER(update_offsite_policy, UpdateOffsitePolicyRequest, OffsitePolicy);

BACKUP_HANDLER(create_backup, CreateBackupRequest, Backup);
BACKUP_HANDLER(list_backups, ListBackupsRequest, ListBackupsResponse);
BACKUP_HANDLER(get_backup, GetBackupRequest, Backup);
BACKUP_HANDLER(update_backup, UpdateBackupRequest, Backup);
BACKUP_HANDLER(verify_backup, VerifyBackupRequest, Verification);
BACKUP_HANDLER(delete_backup, DeleteBackupRequest, DeleteBackupResponse);
BACKUP_HANDLER(cancel_backup, CancelBackupRequest, Backup);
BACKUP_HANDLER(restore_backup, RestoreBackupRequest, Job);
BACKUP_HANDLER(list_files, ListFilesRequest, ListFilesResponse);
BACKUP_HANDLER(diff_backups, DiffBackupsRequest, DiffBackupsResponse);
BACKUP_HANDLER(prune_repository, PruneRepositoryRequest, Job);
BACKUP_HANDLER(check_repository, CheckRepositoryRequest, Job);
BACKUP_HANDLER(create_schedule, CreateScheduleRequest, Schedule);
BACKUP_HANDLER(list_schedules, ListSchedulesRequest, ListSchedulesResponse);
BACKUP_HANDLER(get_schedule, GetScheduleRequest, Schedule);
BACKUP_HANDLER(update_schedule, UpdateScheduleRequest, Schedule);
BACKUP_HANDLER(delete_schedule, DeleteScheduleRequest, DeleteScheduleResponse);
BACKUP_HANDLER(suggest_schedules, SuggestSchedulesRequest, SuggestSchedulesResponse);
BACKUP_HANDLER(preview_retention, PreviewRetentionRequest, PreviewRetentionResponse);
BACKUP_HANDLER(list_jobs, ListJobsRequest, ListJobsResponse);
BACKUP_HANDLER(get_job, GetJobRequest, Job);
BACKUP_HANDLER(cancel_job, CancelJobRequest, Job);
BACKUP_HANDLER(get_analytics, GetAnalyticsRequest, Analytics);
mos_status mos_backup_service_watch_backup(struct mos_call *call, const Mosaajii__Backup__V1__WatchBackupRequest *request);
mos_status mos_backup_service_read_file(struct mos_call *call, const Mosaajii__Backup__V1__ReadFileRequest *request);
mos_status mos_backup_service_watch_job(struct mos_call *call, const Mosaajii__Backup__V1__WatchJobRequest *request);

ADMIN_HANDLER(list_keys, ListKeysRequest, ListKeysResponse);
ADMIN_HANDLER(rotate_key, RotateKeyRequest, RotateKeyResponse);
ADMIN_HANDLER(retire_key, RetireKeyRequest, KeyVersion);
ADMIN_HANDLER(export_keys, ExportKeysRequest, KeyEscrow);
ADMIN_HANDLER(import_keys, ImportKeysRequest, ImportKeysResponse);
ADMIN_HANDLER(create_token, CreateTokenRequest, CreateTokenResponse);
ADMIN_HANDLER(list_tokens, ListTokensRequest, ListTokensResponse);
ADMIN_HANDLER(revoke_token, RevokeTokenRequest, Token);
ADMIN_HANDLER(list_audit_entries, ListAuditEntriesRequest, ListAuditEntriesResponse);
mos_status mos_admin_service_export_audit(struct mos_call *call, const Mosaajii__Backup__V1__ExportAuditRequest *request);
ADMIN_HANDLER(verify_audit, VerifyAuditRequest, AuditVerification);
ADMIN_HANDLER(list_confirmations, ListConfirmationsRequest, ListConfirmationsResponse);
ADMIN_HANDLER(confirm, ConfirmRequest, Confirmation);
ADMIN_HANDLER(get_status, GetStatusRequest, ServerStatus);
ADMIN_HANDLER(get_caller, GetCallerRequest, Caller);

ALERT_HANDLER(list_alerts, ListAlertsRequest, ListAlertsResponse);
ALERT_HANDLER(get_alert, GetAlertRequest, Alert);
ALERT_HANDLER(acknowledge_alert, AcknowledgeAlertRequest, AcknowledgeAlertResponse);
ALERT_HANDLER(test_alert_delivery, TestAlertDeliveryRequest, TestAlertDeliveryResponse);
mos_status mos_alert_service_watch_alerts(struct mos_call *call, const Mosaajii__Backup__V1__WatchAlertsRequest *request);

#define RECOVERY_HANDLER(name, request_type, response_type)                                                                                \
    mos_status mos_recovery_service_##name(struct mos_call *call, const Mosaajii__Backup__V1__##request_type *request,                     \
                                           Mosaajii__Backup__V1__##response_type *response)

RECOVERY_HANDLER(create_plan, CreatePlanRequest, Plan);
RECOVERY_HANDLER(list_plans, ListPlansRequest, ListPlansResponse);
RECOVERY_HANDLER(get_plan, GetPlanRequest, Plan);
RECOVERY_HANDLER(update_plan, UpdatePlanRequest, Plan);
RECOVERY_HANDLER(delete_plan, DeletePlanRequest, DeletePlanResponse);
RECOVERY_HANDLER(clone_plan, ClonePlanRequest, Plan);
RECOVERY_HANDLER(suggest_plan, SuggestPlanRequest, Plan);
RECOVERY_HANDLER(execute_plan, ExecutePlanRequest, Execution);
RECOVERY_HANDLER(test_plan, TestPlanRequest, TestResult);
RECOVERY_HANDLER(list_test_results, ListTestResultsRequest, ListTestResultsResponse);
RECOVERY_HANDLER(get_test_result, GetTestResultRequest, TestResult);
RECOVERY_HANDLER(list_executions, ListExecutionsRequest, ListExecutionsResponse);
RECOVERY_HANDLER(get_execution, GetExecutionRequest, Execution);
mos_status mos_recovery_service_watch_execution(struct mos_call *call, const Mosaajii__Backup__V1__WatchExecutionRequest *request);
RECOVERY_HANDLER(pause_execution, PauseExecutionRequest, Execution);
RECOVERY_HANDLER(resume_execution, ResumeExecutionRequest, Execution);
RECOVERY_HANDLER(cancel_execution, CancelExecutionRequest, Execution);
RECOVERY_HANDLER(approve_step, ApproveStepRequest, Execution);
RECOVERY_HANDLER(decline_step, DeclineStepRequest, Execution);
RECOVERY_HANDLER(retry_step, RetryStepRequest, Execution);
RECOVERY_HANDLER(skip_step, SkipStepRequest, Execution);
RECOVERY_HANDLER(get_report, GetReportRequest, Report);

#endif
