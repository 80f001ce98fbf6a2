#include "control/service/service.h"

#include <mosaajii/backup/v1/offsite.grpc-server.h>
#include <mosaajii/backup/v1/recovery.grpc-server.h>

#include "control/service/internal.h"

// What is left out answers UNIMPLEMENTED.
static const struct mosaajii_backup_v1_backup_service backup_service = {
    .create_backup = mos_backup_service_create_backup,
    .list_backups = mos_backup_service_list_backups,
    .get_backup = mos_backup_service_get_backup,
    .update_backup = mos_backup_service_update_backup,
    .verify_backup = mos_backup_service_verify_backup,
    .delete_backup = mos_backup_service_delete_backup,
    .cancel_backup = mos_backup_service_cancel_backup,
    .watch_backup = mos_backup_service_watch_backup,
    .restore_backup = mos_backup_service_restore_backup,
    .list_files = mos_backup_service_list_files,
    .read_file = mos_backup_service_read_file,
    .diff_backups = mos_backup_service_diff_backups,
    .prune_repository = mos_backup_service_prune_repository,
    .check_repository = mos_backup_service_check_repository,
    .create_schedule = mos_backup_service_create_schedule,
    .list_schedules = mos_backup_service_list_schedules,
    .get_schedule = mos_backup_service_get_schedule,
    .update_schedule = mos_backup_service_update_schedule,
    .delete_schedule = mos_backup_service_delete_schedule,
    .suggest_schedules = mos_backup_service_suggest_schedules,
    .preview_retention = mos_backup_service_preview_retention,
    .list_jobs = mos_backup_service_list_jobs,
    .get_job = mos_backup_service_get_job,
    .cancel_job = mos_backup_service_cancel_job,
    .watch_job = mos_backup_service_watch_job,
    .get_analytics = mos_backup_service_get_analytics,
};
static const struct mosaajii_backup_v1_admin_service admin_service = {
    .list_keys = mos_admin_service_list_keys,
    .rotate_key = mos_admin_service_rotate_key,
    .retire_key = mos_admin_service_retire_key,
    .export_keys = mos_admin_service_export_keys,
    .import_keys = mos_admin_service_import_keys,
    .create_token = mos_admin_service_create_token,
    .list_tokens = mos_admin_service_list_tokens,
    .revoke_token = mos_admin_service_revoke_token,
    .list_audit_entries = mos_admin_service_list_audit_entries,
    .export_audit = mos_admin_service_export_audit,
    .verify_audit = mos_admin_service_verify_audit,
    .list_confirmations = mos_admin_service_list_confirmations,
    .confirm = mos_admin_service_confirm,
    .get_status = mos_admin_service_get_status,
    .get_caller = mos_admin_service_get_caller,
};
static const struct mosaajii_backup_v1_offsite_service offsite_service = {
    .upload_backup = mos_offsite_service_upload_backup,
    .list_offsite_backups = mos_offsite_service_list_offsite_backups,
    .get_offsite_backup = mos_offsite_service_get_offsite_backup,
    .verify_offsite = mos_offsite_service_verify_offsite,
    .fetch_backup = mos_offsite_service_fetch_backup,
    .delete_offsite_backup = mos_offsite_service_delete_offsite_backup,
    .list_locations = mos_offsite_service_list_locations,
    .list_offsite_policies = mos_offsite_service_list_offsite_policies,
    .update_offsite_policy = mos_offsite_service_update_offsite_policy,
};
static const struct mosaajii_backup_v1_alert_service alert_service = {
    .list_alerts = mos_alert_service_list_alerts,
    .get_alert = mos_alert_service_get_alert,
    .acknowledge_alert = mos_alert_service_acknowledge_alert,
    .watch_alerts = mos_alert_service_watch_alerts,
    .test_alert_delivery = mos_alert_service_test_alert_delivery,
};
static const struct mosaajii_backup_v1_disaster_recovery_service recovery_service = {
    .create_plan = mos_recovery_service_create_plan,
    .list_plans = mos_recovery_service_list_plans,
    .get_plan = mos_recovery_service_get_plan,
    .update_plan = mos_recovery_service_update_plan,
    .delete_plan = mos_recovery_service_delete_plan,
    .clone_plan = mos_recovery_service_clone_plan,
    .suggest_plan = mos_recovery_service_suggest_plan,
    .execute_plan = mos_recovery_service_execute_plan,
    .test_plan = mos_recovery_service_test_plan,
    .list_test_results = mos_recovery_service_list_test_results,
    .get_test_result = mos_recovery_service_get_test_result,
    .list_executions = mos_recovery_service_list_executions,
    .get_execution = mos_recovery_service_get_execution,
    .watch_execution = mos_recovery_service_watch_execution,
    .pause_execution = mos_recovery_service_pause_execution,
    .resume_execution = mos_recovery_service_resume_execution,
    .cancel_execution = mos_recovery_service_cancel_execution,
    .approve_step = mos_recovery_service_approve_step,
    .decline_step = mos_recovery_service_decline_step,
    .retry_step = mos_recovery_service_retry_step,
    .skip_step = mos_recovery_service_skip_step,
    .get_report = mos_recovery_service_get_report,
};

mos_status mos_services_add(mos_rpc_server *server, struct mos_services *services, struct mos_error *error) {
    services->server = server;
    mos_status status = mosaajii_backup_v1_backup_service_add(server, &backup_service, services, error);
    if (status == MOS_OK) {
        status = mosaajii_backup_v1_admin_service_add(server, &admin_service, services, error);
    }
    if (status == MOS_OK) {
        status = mosaajii_backup_v1_offsite_service_add(server, &offsite_service, services, error);
    }
    if (status == MOS_OK) {
        status = mosaajii_backup_v1_alert_service_add(server, &alert_service, services, error);
    }
    if (status == MOS_OK) {
        status = mosaajii_backup_v1_disaster_recovery_service_add(server, &recovery_service, services, error);
    }
    return status;
}

// ---- Calls ----

bool mos_call_is_over(const void *call) {
    return mos_call_cancelled(call);
}

static void wake(void *catalog) {
    mos_catalog_wake_watchers(catalog);
}

void mos_call_wakes_catalog(struct mos_call *call, mos_catalog *catalog) {
    mos_call_on_cancel(call, wake, catalog);
}

void mos_call_wakes_nobody(struct mos_call *call) {
    mos_call_on_cancel(call, NULL, NULL);
}

mos_status mos_fail_memory(struct mos_call *call) {
    return mos_fail(mos_call_error(call), MOS_RESOURCE_EXHAUSTED, "the answer takes too much memory; ask for smaller pages");
}

mos_status mos_read_backup(struct mos_services *services, struct mos_call *call, const char *id, struct mos_backup *out) {
    struct mos_error *error = mos_call_error(call);
    mos_status status = mos_check_id("backupId", id, error);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    if (status == MOS_OK) {
        status = mos_catalog_read_begin(services->catalog, &session, error);
    }
    return status == MOS_OK ? mos_catalog_get_backup(session, id, mos_call_arena(call), out, error) : status;
}

mos_status mos_read_job(struct mos_services *services, struct mos_call *call, const char *id, struct mos_job *out) {
    struct mos_error *error = mos_call_error(call);
    mos_status status = mos_check_id("jobId", id, error);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    if (status == MOS_OK) {
        status = mos_catalog_read_begin(services->catalog, &session, error);
    }
    return status == MOS_OK ? mos_catalog_get_job(session, id, mos_call_arena(call), out, error) : status;
}
