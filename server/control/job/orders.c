// From what is asked for to a row and an entry.
#include <stdio.h>
#include <string.h>

#include "common/arena.h"
#include "common/clock.h"
#include "control/job/queue_internal.h"
#include "control/job/record.h"

typedef Mosaajii__Engine__V1__Request engine_request;

static mos_status enqueue_with(mos_queue *queue, const struct mos_job *job, const struct mos_backup *backup, const engine_request *request,
                               mos_catalog_change also, void *also_argument, struct mos_error *error) {
    struct mos_entry *entry = mos_entry_create(job, request);
    mos_status status = mos_queue_announce(queue, entry, error);
    if (status == MOS_OK) {
        status = mos_record_queued_with(queue->catalog, job, backup, also, also_argument, error);
        if (status != MOS_OK) {
            mos_queue_forget(queue, entry);
            return status;
        }
        mos_queue_release(queue, entry, false);
    }
    mos_entry_release(queue, entry);
    return status;
}

static mos_status enqueue(mos_queue *queue, const struct mos_job *job, const struct mos_backup *backup, const engine_request *request,
                          struct mos_error *error) {
    return enqueue_with(queue, job, backup, request, NULL, NULL, error);
}

static struct mos_job new_job(enum mos_job_kind kind, const char *backup_id, const char *created_by, char id[MOS_ID_TEXT_BYTES]) {
    mos_id_new(id);
    return (struct mos_job){.id = id,
                            .kind = kind,
                            .status = MOS_JOB_PENDING,
                            .backup_id = backup_id,
                            .created_at_unix_ns = mos_now_unix_ns(),
                            .created_by = created_by};
}

static ProtobufCBinaryData *byte_texts(mos_arena *arena, char *const *texts, const size_t *sizes, size_t count) {
    ProtobufCBinaryData *data = mos_arena_array(arena, ProtobufCBinaryData, count);
    for (size_t i = 0; i < count; i++) {
        data[i] = (ProtobufCBinaryData){.data = (uint8_t *)texts[i], .len = sizes ? sizes[i] : strlen(texts[i])};
    }
    return data;
}

mos_status mos_queue_backup(mos_queue *queue, const struct mos_backup_order *order, char out_backup_id[MOS_ID_TEXT_BYTES],
                            struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char job_id[MOS_ID_TEXT_BYTES];
    mos_id_new(out_backup_id);
    const struct mos_job job = new_job(MOS_JOB_BACKUP, out_backup_id, order->created_by, job_id);
    const struct mos_backup backup = {.id = out_backup_id,
                                      .name = order->name,
                                      .type = order->type,
                                      .status = MOS_BACKUP_PENDING,
                                      .created_at_unix_ns = job.created_at_unix_ns,
                                      .location = queue->engine.repository,
                                      .retention_days = order->retention_days,
                                      .tags = (const char *const *)order->tags,
                                      .tag_count = order->tag_count,
                                      .encryption_asked = order->encryption_asked,
                                      .compressed = order->compressed,
                                      .integrity_check = order->integrity_check,
                                      .local_only = order->local_only,
                                      .created_by = order->created_by};
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    info.id = out_backup_id;
    info.name = (char *)order->name;
    info.type = (char *)mos_backup_type_word(order->type);
    info.tags = (char **)order->tags;
    info.n_tags = order->tag_count;
    info.created_by = (char *)order->created_by;
    info.created_at_unix_ns = job.created_at_unix_ns;
    info.retention_days = order->retention_days;
    info.compressed = order->compressed;
    Mosaajii__Engine__V1__BackupRequest operation = MOSAAJII__ENGINE__V1__BACKUP_REQUEST__INIT;
    operation.info = &info;
    operation.paths = byte_texts(arena, order->paths, NULL, order->path_count);
    operation.n_paths = order->path_count;
    operation.databases = (char **)order->databases;
    operation.n_databases = order->database_count;
    operation.excludes = (char **)order->excludes;
    operation.n_excludes = order->exclude_count;
    operation.sentinel = (ProtobufCBinaryData){.data = (uint8_t *)order->sentinel, .len = order->sentinel ? strlen(order->sentinel) : 0};
    operation.read_all = order->read_all;
    operation.skip_caches = order->skip_caches;
    operation.one_file_system = order->one_file_system;
    operation.settle_ns = order->settle_seconds * MOS_NS_PER_SECOND;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_BACKUP;
    request.backup = &operation;
    return enqueue_with(queue, &job, &backup, &request, order->also, order->also_argument, error);
}

mos_status mos_queue_verify(mos_queue *queue, const char *backup_id, const char *created_by, char out_job_id[MOS_ID_TEXT_BYTES],
                            struct mos_error *error) {
    const struct mos_job job = new_job(MOS_JOB_VERIFY, backup_id, created_by, out_job_id);
    Mosaajii__Engine__V1__VerifyRequest operation = MOSAAJII__ENGINE__V1__VERIFY_REQUEST__INIT;
    operation.backup_id = (char *)backup_id;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_VERIFY;
    request.verify = &operation;
    return enqueue(queue, &job, NULL, &request, error);
}

mos_status mos_queue_restore(mos_queue *queue, const struct mos_restore_order *order, char out_job_id[MOS_ID_TEXT_BYTES],
                             struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_job job = new_job(MOS_JOB_RESTORE, order->backup_id, order->created_by, out_job_id);
    Mosaajii__Engine__V1__RestoreRequest operation = MOSAAJII__ENGINE__V1__RESTORE_REQUEST__INIT;
    operation.backup_id = (char *)order->backup_id;
    operation.target = (ProtobufCBinaryData){.data = (uint8_t *)order->target, .len = strlen(order->target)};
    if (order->root) {
        operation.root = (ProtobufCBinaryData){.data = (uint8_t *)order->root, .len = strlen(order->root)};
    }
    operation.include = byte_texts(arena, order->include, order->include_bytes, order->include_count);
    operation.n_include = order->include_count;
    operation.existing = (Mosaajii__Engine__V1__RestoreRequest__Existing)order->existing;
    operation.compare_content = order->compare_content;
    operation.skip_missing = order->skip_missing;
    operation.databases = (char **)order->databases;
    operation.n_databases = order->database_count;
    operation.in_place = order->in_place;
    operation.preview = order->preview;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_RESTORE;
    request.restore = &operation;
    return enqueue(queue, &job, NULL, &request, error);
}

mos_status mos_queue_delete(mos_queue *queue, const char *backup_id, const char *created_by, char out_job_id[MOS_ID_TEXT_BYTES],
                            struct mos_error *error) {
    const struct mos_job job = new_job(MOS_JOB_DELETE, backup_id, created_by, out_job_id);
    Mosaajii__Engine__V1__DeleteRequest operation = MOSAAJII__ENGINE__V1__DELETE_REQUEST__INIT;
    operation.backup_id = (char *)backup_id;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_DELETE;
    request.delete_ = &operation;
    return enqueue(queue, &job, NULL, &request, error);
}

mos_status mos_queue_rewrap(mos_queue *queue, const char *created_by, char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    const struct mos_job job = new_job(MOS_JOB_KEY_REWRAP, "", created_by, out_job_id);
    Mosaajii__Engine__V1__RewrapRequest operation = MOSAAJII__ENGINE__V1__REWRAP_REQUEST__INIT;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_REWRAP;
    request.rewrap = &operation;
    return enqueue(queue, &job, NULL, &request, error);
}

mos_status mos_queue_prune(mos_queue *queue, int64_t grace_seconds, bool dry_run, const char *created_by,
                           char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    const struct mos_job job = new_job(MOS_JOB_PRUNE, "", created_by, out_job_id);
    Mosaajii__Engine__V1__PruneRequest operation = MOSAAJII__ENGINE__V1__PRUNE_REQUEST__INIT;
    operation.grace_seconds = grace_seconds;
    operation.dry_run = dry_run;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_PRUNE;
    request.prune = &operation;
    return enqueue(queue, &job, NULL, &request, error);
}

mos_status mos_queue_check(mos_queue *queue, int32_t percent, int64_t bytes, bool repair, const char *created_by,
                           char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    const struct mos_job job = new_job(MOS_JOB_CHECK, "", created_by, out_job_id);
    Mosaajii__Engine__V1__CheckRequest operation = MOSAAJII__ENGINE__V1__CHECK_REQUEST__INIT;
    operation.sample_percent = percent;
    operation.sample_bytes = bytes;
    operation.repair = repair;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(queue->catalog, &session, error);
    status = status ? status : mos_catalog_absent_backups(session, arena, &operation.absent_backups, &operation.n_absent_backups, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_catalog_read_end(session);
    session = NULL;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_CHECK;
    request.check = &operation;
    return enqueue(queue, &job, NULL, &request, error);
}
