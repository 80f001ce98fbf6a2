// OffsiteService: copies of backups at other places.
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "control/service/internal.h"

#define PROVIDER_WORDS "LOCAL_REMOTE, S3, AZURE_BLOB, GOOGLE_CLOUD or SFTP"
#define STATUS_WORDS "PENDING, UPLOADING, COMPLETED, FAILED, ARCHIVED, DELETED or RETRYING"

enum { ACCESS_SHOWN = 100, POLICY_NAME_MOST = 64 };

typedef Mosaajii__Backup__V1__OffsiteBackup copy_message;
typedef Mosaajii__Backup__V1__OffsiteAccess access_message;

// The catalog's numbers are those of the API.
#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), "the catalog and the API number " #ours " differently")
SAME(MOS_COPY_PENDING, MOSAAJII__BACKUP__V1__OFFSITE_BACKUP__STATUS__PENDING);
SAME(MOS_COPY_RETRYING, MOSAAJII__BACKUP__V1__OFFSITE_BACKUP__STATUS__RETRYING);
SAME(MOS_COPY_UPLOAD, MOSAAJII__BACKUP__V1__OFFSITE_ACCESS__ACTION__UPLOAD);
SAME(MOS_COPY_REPLICATE, MOSAAJII__BACKUP__V1__OFFSITE_ACCESS__ACTION__REPLICATE);
SAME(MOS_OFFSITE_HEALTHY, MOSAAJII__BACKUP__V1__OFFSITE_LOCATION__HEALTH__HEALTHY);
SAME(MOS_OFFSITE_UNHEALTHY, MOSAAJII__BACKUP__V1__OFFSITE_LOCATION__HEALTH__UNHEALTHY);

static struct mos_offsite_caller caller_of(struct mos_call *call) {
    return (struct mos_offsite_caller){mos_call_caller_name(call), mos_call_client(call)};
}

// ---- Records ----

static bool make_access(mos_arena *arena, const struct mos_copy_access *from, access_message *out) {
    mosaajii__backup__v1__offsite_access__init(out);
    out->id = (char *)from->id;
    out->user_id = (char *)from->actor;
    out->action = (Mosaajii__Backup__V1__OffsiteAccess__Action)from->action;
    out->ip_address = (char *)from->ip_address;
    out->success = from->success;
    out->details = (char *)from->details;
    return mos_make_time(arena, from->time_unix_ns, &out->timestamp);
}

static mos_status add_access(struct mos_call *call, mos_catalog_session *session, const struct mos_copy *copy, copy_message *out) {
    mos_arena *arena = mos_call_arena(call);
    struct mos_copy_access *entries;
    size_t count = 0;
    mos_status status = mos_catalog_list_access(session, copy->id, ACCESS_SHOWN, arena, &entries, &count, mos_call_error(call));
    access_message *messages = mos_arena_array(arena, access_message, count);
    out->access_log = mos_arena_array(arena, access_message *, count);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        if (!messages || !out->access_log || !make_access(arena, &entries[i], &messages[i])) {
            return mos_fail_memory(call);
        }
        out->access_log[out->n_access_log++] = &messages[i];
    }
    return status;
}

// How the backup fares at the secondary location.
static mos_status add_replication(struct mos_call *call, mos_catalog_session *session, const struct mos_copy *copy, copy_message *out) {
    struct mos_services *services = mos_call_user(call);
    const char *replica = mos_offsite_replica(services->offsite);
    struct mos_copy other;
    bool found = false;
    out->replication_status = MOSAAJII__BACKUP__V1__OFFSITE_BACKUP__REPLICATION_STATUS__NOT_REPLICATED;
    if (!*replica || strcmp(replica, copy->place) == 0) {
        return MOS_OK;
    }
    mos_status status =
        mos_catalog_find_copy(session, copy->backup_id, replica, mos_call_arena(call), &other, &found, mos_call_error(call));
    if (status == MOS_OK && found && other.status != MOS_COPY_DELETED) {
        out->replication_status = other.status == MOS_COPY_COMPLETED || other.status == MOS_COPY_ARCHIVED
                                      ? MOSAAJII__BACKUP__V1__OFFSITE_BACKUP__REPLICATION_STATUS__REPLICATED
                                  : other.status == MOS_COPY_FAILED
                                      ? MOSAAJII__BACKUP__V1__OFFSITE_BACKUP__REPLICATION_STATUS__REPLICATION_FAILED
                                      : MOSAAJII__BACKUP__V1__OFFSITE_BACKUP__REPLICATION_STATUS__REPLICATING;
    }
    return status;
}

static mos_status make_copy(struct mos_call *call, mos_catalog_session *session, const struct mos_copy *copy, copy_message *out) {
    mos_arena *arena = mos_call_arena(call);
    mosaajii__backup__v1__offsite_backup__init(out);
    out->id = (char *)copy->id;
    out->backup_id = (char *)copy->backup_id;
    out->provider = (Mosaajii__Backup__V1__OffsiteBackup__Provider)copy->provider;
    out->location = (char *)copy->place;
    out->size = copy->size_bytes;
    out->checksum = (char *)copy->checksum;
    out->status = (Mosaajii__Backup__V1__OffsiteBackup__Status)copy->status;
    out->retention_days = copy->retention_days;
    out->message = (char *)copy->message;
    out->objects_total = copy->objects_total;
    out->objects_done = copy->objects_done;
    if (!mos_make_time(arena, copy->uploaded_at_unix_ns, &out->uploaded_at) ||
        !mos_make_time(arena, copy->expires_at_unix_ns, &out->expires_at) ||
        !mos_make_time(arena, copy->locked_until_unix_ns, &out->locked_until)) {
        return mos_fail_memory(call);
    }
    mos_status status = add_replication(call, session, copy, out);
    return status == MOS_OK ? add_access(call, session, copy, out) : status;
}

static mos_status answer_copy(struct mos_call *call, const char *id, copy_message *response) {
    struct mos_services *services = mos_call_user(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_copy copy;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
    if (status == MOS_OK) {
        status = mos_catalog_get_copy(session, id, mos_call_arena(call), &copy, mos_call_error(call));
    }
    return status == MOS_OK ? make_copy(call, session, &copy, response) : status;
}

// ---- Upload, list, get ----

OFFSITE_HANDLER(upload_backup, UploadBackupRequest, OffsiteBackup) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    const struct mos_offsite_caller caller = caller_of(call);
    char id[MOS_ID_TEXT_BYTES];
    mos_status status = mos_check_id("backupId", request->backup_id, error);
    if (status == MOS_OK) {
        status = mos_check_enum("provider", (int)request->provider, MOSAAJII__BACKUP__V1__OFFSITE_BACKUP__PROVIDER__SFTP, true,
                                PROVIDER_WORDS, error);
    }
    if (status == MOS_OK && request->_retention_days_case) {
        status = mos_check_number("retentionDays", request->retention_days, 1, MOS_RETENTION_MOST, error);
    }
    const struct mos_offsite_order order = {
        .backup_id = request->backup_id,
        .provider = (int)request->provider,
        .replicate = request->_replication_enabled_case ? request->replication_enabled : mos_offsite_replicated(services->offsite),
        .retention_days = request->_retention_days_case ? request->retention_days : 0,
    };
    if (status == MOS_OK) {
        status = mos_offsite_upload(services->offsite, &order, &caller, id, error);
    }
    return status == MOS_OK ? answer_copy(call, id, response) : status;
}

OFFSITE_HANDLER(list_offsite_backups, ListOffsiteBackupsRequest, ListOffsiteBackupsResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_copy_filter filter = {
        .provider = (int)request->provider, .status = (enum mos_copy_status)request->status, .backup_id = request->backup_id};
    mos_status status =
        mos_check_enum("provider", filter.provider, MOSAAJII__BACKUP__V1__OFFSITE_BACKUP__PROVIDER__SFTP, true, PROVIDER_WORDS, error);
    if (status == MOS_OK) {
        status = mos_check_enum("status", (int)request->status, MOS_COPY_RETRYING, true, STATUS_WORDS, error);
    }
    if (status == MOS_OK && request->backup_id[0]) {
        status = mos_check_id("backupId", request->backup_id, error);
    }
    if (status == MOS_OK) {
        status = mos_check_time("uploadedAfter", request->uploaded_after, &filter.uploaded_after_unix_ns, error);
    }
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    if (status == MOS_OK) {
        status = mos_catalog_read_begin(services->catalog, &session, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    const struct mos_page page = {request->page_size, request->page_token};
    struct mos_copy *copies;
    size_t count = 0;
    const char *next;
    status = mos_catalog_list_copies(session, &filter, &page, arena, &copies, &count, &next, error);
    if (status != MOS_OK) {
        return status;
    }
    copy_message *messages = mos_arena_array(arena, copy_message, count);
    response->offsite_backups = mos_arena_array(arena, copy_message *, count);
    if (!messages || !response->offsite_backups) {
        return mos_fail_memory(call);
    }
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = make_copy(call, session, &copies[i], &messages[i]);
        response->offsite_backups[response->n_offsite_backups++] = &messages[i];
    }
    response->next_page_token = (char *)next;
    return status;
}

OFFSITE_HANDLER(get_offsite_backup, GetOffsiteBackupRequest, OffsiteBackup) {
    mos_status status = mos_check_id("offsiteBackupId", request->offsite_backup_id, mos_call_error(call));
    return status == MOS_OK ? answer_copy(call, request->offsite_backup_id, response) : status;
}

// ---- Verify, fetch, delete ----

static bool is_over(void *call) {
    return mos_call_cancelled(call);
}

OFFSITE_HANDLER(verify_offsite, VerifyOffsiteRequest, Verification) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    const struct mos_offsite_caller caller = caller_of(call);
    struct mos_offsite_verification found;
    struct mos_copy copy;
    mos_status status = mos_check_id("offsiteBackupId", request->offsite_backup_id, error);
    if (status == MOS_OK) {
        status = mos_check_number("samplePercent", request->sample_percent, 0, 100, error);
    }
    if (status == MOS_OK) {
        MOS_CLEANUP_READ mos_catalog_session *session = NULL;
        status = mos_catalog_read_begin(services->catalog, &session, error);
        status = status == MOS_OK ? mos_catalog_get_copy(session, request->offsite_backup_id, arena, &copy, error) : status;
    }
    if (status == MOS_OK) {
        status = mos_offsite_verify(services->offsite, request->offsite_backup_id, request->sample_percent, &caller, is_over, call, arena,
                                    &found, error);
    }
    if (status != MOS_OK) {
        return status == MOS_CANCELLED ? mos_call_fail_cancelled(call) : status;
    }
    response->backup_id = (char *)copy.backup_id;
    response->checksum_valid = found.checksum_valid;
    response->size_valid = found.size_valid;
    // The bytes are those that were sealed here, or they are not.
    response->encryption_valid = found.checksum_valid;
    response->valid = found.faults == 0;
    response->errors = found.errors;
    response->n_errors = found.error_count;
    response->objects_checked = found.objects_checked;
    response->bytes_checked = found.bytes_checked;
    response->hurt_backups = found.hurt_backups;
    response->n_hurt_backups = found.hurt_count;
    return mos_make_time(arena, found.verified_at_unix_ns, &response->verified_at) ? MOS_OK : mos_fail_memory(call);
}

OFFSITE_HANDLER(fetch_backup, FetchBackupRequest, Job) {
    struct mos_services *services = mos_call_user(call);
    const struct mos_offsite_caller caller = caller_of(call);
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_job job;
    mos_status status = mos_check_id("offsiteBackupId", request->offsite_backup_id, mos_call_error(call));
    if (status == MOS_OK) {
        status = mos_offsite_fetch(services->offsite, request->offsite_backup_id, &caller, job_id, mos_call_error(call));
    }
    if (status == MOS_OK) {
        status = mos_read_job(services, call, job_id, &job);
    }
    if (status != MOS_OK) {
        return status;
    }
    return mos_make_job(mos_call_arena(call), &job, response) ? MOS_OK : mos_fail_memory(call);
}

static mos_status check_copy(struct mos_call *call, const char *id) {
    struct mos_services *services = mos_call_user(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_copy copy;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
    return status == MOS_OK ? mos_catalog_get_copy(session, id, mos_call_arena(call), &copy, mos_call_error(call)) : status;
}

OFFSITE_HANDLER(delete_offsite_backup, DeleteOffsiteBackupRequest, DeleteOffsiteBackupResponse) {
    struct mos_services *services = mos_call_user(call);
    const struct mos_offsite_caller caller = caller_of(call);
    int64_t freed = 0;
    bool pending = false;
    mos_status status = mos_check_id("offsiteBackupId", request->offsite_backup_id, mos_call_error(call));
    if (status == MOS_OK) {
        status = check_copy(call, request->offsite_backup_id);
    }
    if (status == MOS_OK) {
        status = mos_access_need_second(services->access, call, request->offsite_backup_id);
    }
    if (status == MOS_OK) {
        status = mos_offsite_delete(services->offsite, request->offsite_backup_id, &caller, &freed, &pending, mos_call_error(call));
    }
    if (status != MOS_OK) {
        return status;
    }
    char size[MOS_SIZE_TEXT_BYTES];
    mos_size_format(freed, size);
    response->bytes_freed = freed;
    response->message = mos_arena_printf(mos_call_arena(call), "Offsite backup %s was deleted: %s freed%s", request->offsite_backup_id,
                                         size, pending ? ", the rest when the running copy has ended" : "");
    return response->message ? MOS_OK : mos_fail_memory(call);
}

// ---- Locations and policies ----

OFFSITE_HANDLER(list_locations, ListLocationsRequest, ListLocationsResponse) {
    (void)request;
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_offsite_location *locations;
    size_t count = 0;
    mos_status status = mos_offsite_locations(services->offsite, arena, &locations, &count, mos_call_error(call));
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__OffsiteLocation *messages = mos_arena_array(arena, Mosaajii__Backup__V1__OffsiteLocation, count);
    response->locations = mos_arena_array(arena, Mosaajii__Backup__V1__OffsiteLocation *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->locations) {
            return mos_fail_memory(call);
        }
        mosaajii__backup__v1__offsite_location__init(&messages[i]);
        messages[i].name = (char *)locations[i].name;
        messages[i].provider = (Mosaajii__Backup__V1__OffsiteBackup__Provider)locations[i].provider;
        messages[i].url = (char *)locations[i].url;
        messages[i].health = (Mosaajii__Backup__V1__OffsiteLocation__Health)locations[i].health;
        messages[i].message = (char *)locations[i].message;
        messages[i].objects = locations[i].objects;
        messages[i].bytes = locations[i].bytes;
        messages[i].lag_seconds = locations[i].lag_seconds;
        if (!mos_make_time(arena, locations[i].checked_at_unix_ns, &messages[i].checked_at)) {
            return mos_fail_memory(call);
        }
        response->locations[response->n_locations++] = &messages[i];
    }
    return MOS_OK;
}

OFFSITE_HANDLER(list_offsite_policies, ListOffsitePoliciesRequest, ListOffsitePoliciesResponse) {
    (void)request;
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_offsite_policy *policies;
    size_t count = 0;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
    if (status == MOS_OK) {
        status = mos_catalog_list_policies(session, arena, &policies, &count, mos_call_error(call));
    }
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__OffsitePolicy *messages = mos_arena_array(arena, Mosaajii__Backup__V1__OffsitePolicy, count);
    response->policies = mos_arena_array(arena, Mosaajii__Backup__V1__OffsitePolicy *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->policies) {
            return mos_fail_memory(call);
        }
        mosaajii__backup__v1__offsite_policy__init(&messages[i]);
        messages[i].name = (char *)policies[i].name;
        messages[i].retention_days = policies[i].retention_days;
        messages[i].archive_after_days = policies[i].archive_after_days;
        response->policies[response->n_policies++] = &messages[i];
    }
    return MOS_OK;
}

static mos_status update_policy(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_update_policy(session, argument, error);
}

OFFSITE_HANDLER(update_offsite_policy, UpdateOffsitePolicyRequest, OffsitePolicy) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    const Mosaajii__Backup__V1__OffsitePolicy *asked = request->policy;
    if (!asked) {
        return mos_fail_field(error, "policy", "policy must be given");
    }
    mos_status status = mos_check_text("policy.name", asked->name, POLICY_NAME_MOST, error);
    if (status == MOS_OK) {
        status = mos_check_number("policy.retentionDays", asked->retention_days, 1, MOS_RETENTION_MOST, error);
    }
    if (status == MOS_OK) {
        status = mos_check_number("policy.archiveAfterDays", asked->archive_after_days, 0, MOS_RETENTION_MOST, error);
    }
    struct mos_offsite_policy policy = {asked->name, asked->retention_days, asked->archive_after_days};
    if (status == MOS_OK) {
        status = mos_catalog_write(services->catalog, update_policy, &policy, error);
    }
    if (status == MOS_OK) {
        response->name = asked->name;
        response->retention_days = asked->retention_days;
        response->archive_after_days = asked->archive_after_days;
    }
    return status;
}
