// BackupService: the content of one file.
#include "control/service/internal.h"

static mos_status send(void *call, int64_t offset, ProtobufCBinaryData data, struct mos_error *error) {
    (void)error;
    Mosaajii__Backup__V1__FileChunk chunk = MOSAAJII__BACKUP__V1__FILE_CHUNK__INIT;
    chunk.offset = offset;
    chunk.data = data;
    return mosaajii_backup_v1_backup_service_read_file_send(call, &chunk);
}

mos_status mos_backup_service_read_file(struct mos_call *call, const Mosaajii__Backup__V1__ReadFileRequest *request) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_backup backup;
    Mosaajii__Engine__V1__ReadRequest reading = MOSAAJII__ENGINE__V1__READ_REQUEST__INIT;
    char *path;
    size_t path_bytes;
    mos_status status = mos_read_backup(services, call, request->backup_id, &backup);
    if (status == MOS_OK && !*request->path) {
        status = mos_fail_field(error, "path", "path must not be empty");
    }
    if (status == MOS_OK) {
        status = mos_check_path("path", request->path, mos_call_arena(call), &path, &path_bytes, error);
    }
    if (status == MOS_OK) {
        status = mos_check_readable(&backup, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    reading.backup_id = request->backup_id;
    reading.path = (ProtobufCBinaryData){.data = (uint8_t *)path, .len = path_bytes};
    status = mos_queue_read_file(services->queue, &reading, mos_call_cancel_fd(call), send, call, error);
    return mos_call_cancelled(call) ? mos_call_fail_cancelled(call) : status;
}
