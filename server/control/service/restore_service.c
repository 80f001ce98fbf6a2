// BackupService: restoring, and looking into backups.
#include <string.h>

#include "common/database_url.h"
#include "common/text.h"
#include "control/service/internal.h"

enum { INCLUDES_MOST = 10000 };

_Static_assert((int)MOSAAJII__BACKUP__V1__RESTORE_BACKUP_REQUEST__EXISTING__REFUSE ==
                       (int)MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REFUSE &&
                   (int)MOSAAJII__BACKUP__V1__RESTORE_BACKUP_REQUEST__EXISTING__REPLACE ==
                       (int)MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REPLACE &&
                   (int)MOSAAJII__BACKUP__V1__RESTORE_BACKUP_REQUEST__EXISTING__RESUME ==
                       (int)MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__RESUME,
               "the API and the engine number what becomes of existing files alike");

// ---- Restore ----

static mos_status take_includes(struct mos_call *call, const Mosaajii__Backup__V1__RestoreBackupRequest *request,
                                struct mos_restore_order *order) {
    struct mos_error *error = mos_call_error(call);
    mos_arena *arena = mos_call_arena(call);
    if (request->n_include > INCLUDES_MOST) {
        return mos_fail_field(error, "include", "include holds %zu paths; allowed are %d", request->n_include, INCLUDES_MOST);
    }
    char **paths = mos_arena_array(arena, char *, request->n_include);
    size_t *sizes = mos_arena_array(arena, size_t, request->n_include);
    if (!paths || !sizes) {
        return mos_fail_memory(call);
    }
    for (size_t i = 0; i < request->n_include; i++) {
        mos_status status = mos_check_path("include", request->include[i], arena, &paths[i], &sizes[i], error);
        if (status != MOS_OK) {
            return status;
        }
        if (sizes[i] == 0) {
            return mos_fail_field(error, "include", "include holds an empty path");
        }
    }
    order->include = paths;
    order->include_bytes = sizes;
    order->include_count = request->n_include;
    return MOS_OK;
}

static mos_status take_target(struct mos_services *services, struct mos_call *call,
                              const Mosaajii__Backup__V1__RestoreBackupRequest *request, struct mos_restore_order *order) {
    struct mos_error *error = mos_call_error(call);
    if (request->in_place) {
        order->target = "/";
        order->databases =
            mos_split(mos_call_arena(call), mos_setting_text(services->settings, MOS_SETTING_DATABASE_URL), ',', &order->database_count);
        return *request->target ? mos_fail_field(error, "target", "target must be empty where inPlace is true") : MOS_OK;
    }
    if (mos_database_url_is_server(request->target)) {
        return mos_restore_database(services->settings, request->target, mos_call_arena(call), &order->target, error);
    }
    char *target;
    size_t size_bytes;
    mos_status status = mos_check_path("target", request->target, mos_call_arena(call), &target, &size_bytes, error);
    return status == MOS_OK ? mos_restore_target(services->settings, target, request->backup_id, mos_call_arena(call), &order->target,
                                                 &order->root, error)
                            : status;
}

BACKUP_HANDLER(restore_backup, RestoreBackupRequest, Job) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    const struct mos_identity *caller = mos_call_caller(call);
    bool into_server = mos_database_url_is_server(request->target);
    if ((request->in_place || into_server) && (!caller || caller->role != MOS_ROLE_ADMIN)) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "only an admin may restore %s", into_server ? "into a database server" : "in place");
    }
    struct mos_restore_order order = {.backup_id = request->backup_id,
                                      .created_by = mos_call_caller_name(call),
                                      .existing = (int)request->existing,
                                      .compare_content = request->compare_content,
                                      .in_place = request->in_place,
                                      .preview = request->preview};
    struct mos_backup backup;
    mos_status status = mos_read_backup(services, call, request->backup_id, &backup);
    if (status == MOS_OK) {
        status = mos_check_enum("existing", (int)request->existing, MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__RESUME, true,
                                "KEEP, REPLACE, REFUSE or RESUME", error);
    }
    if (status == MOS_OK && request->compare_content && order.existing != MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__RESUME) {
        status = mos_fail_field(error, "compareContent", "compareContent goes with existing RESUME only");
    }
    if (status == MOS_OK) {
        status = take_includes(call, request, &order);
    }
    if (status == MOS_OK) {
        status = take_target(services, call, request, &order);
    }
    char job_id[MOS_ID_TEXT_BYTES];
    if (status == MOS_OK) {
        status = mos_queue_restore(services->queue, &order, job_id, error);
    }
    struct mos_job job;
    if (status == MOS_OK) {
        status = mos_read_job(services, call, job_id, &job);
    }
    if (status != MOS_OK) {
        return status;
    }
    return mos_make_job(mos_call_arena(call), &job, response) ? MOS_OK : mos_fail_memory(call);
}

// ---- Files of a backup ----

static bool make_entry(mos_arena *arena, const Mosaajii__Engine__V1__Entry *from, Mosaajii__Backup__V1__FileEntry *out) {
    mosaajii__backup__v1__file_entry__init(out);
    out->path = mos_path_escape(arena, from->path.data, from->path.len);
    out->type = (Mosaajii__Backup__V1__FileEntry__Type)from->type;
    out->size = from->size;
    out->mode = from->mode;
    out->uid = from->uid;
    out->gid = from->gid;
    out->user = from->user;
    out->group = from->group;
    out->link_target = mos_path_escape(arena, from->link_target.data, from->link_target.len);
    return out->path && out->link_target && mos_make_time(arena, from->modified_at_unix_ns, &out->modified_at);
}

_Static_assert((int)MOSAAJII__BACKUP__V1__FILE_ENTRY__TYPE__DATABASE == (int)MOSAAJII__ENGINE__V1__ENTRY__TYPE__DATABASE,
               "the API and the engine number kinds of files alike");

BACKUP_HANDLER(list_files, ListFilesRequest, ListFilesResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_backup backup;
    Mosaajii__Engine__V1__ListRequest listing = MOSAAJII__ENGINE__V1__LIST_REQUEST__INIT;
    char *path;
    size_t path_bytes;
    const char *const asked[] = {request->backup_id, request->path, request->recursive ? "r" : "d"};
    mos_status status = mos_read_backup(services, call, request->backup_id, &backup);
    if (status == MOS_OK) {
        status = mos_check_number("pageSize", request->page_size, 0, 1000, error);
    }
    if (status == MOS_OK) {
        status = mos_check_path("path", request->path, arena, &path, &path_bytes, error);
    }
    if (status == MOS_OK) {
        status = mos_path_token_take(call, asked, 3, request->page_token, &listing.after);
    }
    if (status != MOS_OK) {
        return status;
    }
    status = mos_check_readable(&backup, error);
    if (status != MOS_OK) {
        return status;
    }
    listing.backup_id = request->backup_id;
    listing.path = (ProtobufCBinaryData){.data = (uint8_t *)path, .len = path_bytes};
    listing.recursive = request->recursive;
    listing.limit = request->page_size ? request->page_size : 50;
    Mosaajii__Engine__V1__Entry **entries;
    size_t count = 0;
    bool more = false;
    status = mos_queue_list_files(services->queue, &listing, mos_call_cancel_fd(call), arena, &entries, &count, &more, error);
    if (mos_call_cancelled(call)) {
        return mos_call_fail_cancelled(call);
    }
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__FileEntry *messages = mos_arena_array(arena, Mosaajii__Backup__V1__FileEntry, count);
    response->files = mos_arena_array(arena, Mosaajii__Backup__V1__FileEntry *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->files || !make_entry(arena, entries[i], &messages[i])) {
            return mos_fail_memory(call);
        }
        response->files[i] = &messages[i];
    }
    response->n_files = count;
    if (more && count > 0) {
        response->next_page_token = mos_path_token_make(arena, asked, 3, entries[count - 1]->path);
    }
    return response->next_page_token ? MOS_OK : mos_fail_memory(call);
}
