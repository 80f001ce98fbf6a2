// BackupService: what differs between two backups.
#include "common/text.h"
#include "control/service/internal.h"

_Static_assert((int)MOSAAJII__BACKUP__V1__FILE_CHANGE__KIND__METADATA == (int)MOSAAJII__ENGINE__V1__CHANGE__KIND__METADATA,
               "the API and the engine number kinds of changes alike");

static mos_status check_complete(struct mos_services *services, struct mos_call *call, const char *id) {
    struct mos_backup backup;
    mos_status status = mos_read_backup(services, call, id, &backup);
    return status == MOS_OK ? mos_check_readable(&backup, mos_call_error(call)) : status;
}

static mos_status check_diff(struct mos_services *services, struct mos_call *call,
                             const Mosaajii__Backup__V1__DiffBackupsRequest *request) {
    struct mos_error *error = mos_call_error(call);
    mos_status status = mos_check_number("pageSize", request->page_size, 0, 1000, error);
    if (status == MOS_OK) {
        status = mos_check_id("baseBackupId", request->base_backup_id, error);
    }
    if (status == MOS_OK) {
        status = check_complete(services, call, request->backup_id);
    }
    return status == MOS_OK ? check_complete(services, call, request->base_backup_id) : status;
}

BACKUP_HANDLER(diff_backups, DiffBackupsRequest, DiffBackupsResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    Mosaajii__Engine__V1__DiffRequest wanted = MOSAAJII__ENGINE__V1__DIFF_REQUEST__INIT;
    const char *const asked[] = {request->base_backup_id, request->backup_id};
    mos_status status = check_diff(services, call, request);
    if (status == MOS_OK) {
        status = mos_path_token_take(call, asked, 2, request->page_token, &wanted.after);
    }
    if (status != MOS_OK) {
        return status;
    }
    wanted.base_id = request->base_backup_id;
    wanted.backup_id = request->backup_id;
    wanted.limit = request->page_size ? request->page_size : 50;
    Mosaajii__Engine__V1__Change **changes;
    size_t count = 0;
    bool more = false;
    status = mos_queue_diff(services->queue, &wanted, mos_call_cancel_fd(call), arena, &changes, &count, &more, mos_call_error(call));
    if (mos_call_cancelled(call)) {
        return mos_call_fail_cancelled(call);
    }
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__FileChange *messages = mos_arena_array(arena, Mosaajii__Backup__V1__FileChange, count);
    response->changes = mos_arena_array(arena, Mosaajii__Backup__V1__FileChange *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->changes) {
            return mos_fail_memory(call);
        }
        mosaajii__backup__v1__file_change__init(&messages[i]);
        messages[i].path = mos_path_escape(arena, changes[i]->path.data, changes[i]->path.len);
        messages[i].kind = (Mosaajii__Backup__V1__FileChange__Kind)changes[i]->kind;
        messages[i].size_before = changes[i]->size_before;
        messages[i].size_after = changes[i]->size_after;
        if (!messages[i].path) {
            return mos_fail_memory(call);
        }
        response->changes[i] = &messages[i];
    }
    response->n_changes = count;
    if (more && count > 0) {
        response->next_page_token = mos_path_token_make(arena, asked, 2, changes[count - 1]->path);
    }
    return response->next_page_token ? MOS_OK : mos_fail_memory(call);
}
