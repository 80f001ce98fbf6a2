// What backups need of other storage, as an operation.
#include "engine/repo/objects.h"

#include <stdlib.h>

#include "engine/pipeline/operation.h"

// Objects in one event: far below the limit of a message.
enum { EVENT_OBJECTS = 10000 };

struct listing {
    mos_job *job;
    mos_repository *repository;
};

static void send_some(mos_job *job, const char *backup_id, const struct mos_object *objects, size_t count, bool more) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__BackupObjects message = MOSAAJII__ENGINE__V1__BACKUP_OBJECTS__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    message.backup_id = (char *)backup_id;
    message.more = more;
    message.objects = mos_arena_array(arena, Mosaajii__Engine__V1__StoredObject *, count);
    message.n_objects = count;
    for (size_t i = 0; i < count; i++) {
        Mosaajii__Engine__V1__StoredObject *object =
            MOS_NEW(arena, Mosaajii__Engine__V1__StoredObject, mosaajii__engine__v1__stored_object__init);
        object->name = (char *)objects[i].name;
        object->size = objects[i].size_bytes;
        object->sha256 = (ProtobufCBinaryData){.data = (uint8_t *)objects[i].sha256, .len = MOS_HASH_BYTES};
        message.objects[i] = object;
    }
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_OBJECTS;
    event.objects = &message;
    mos_job_send(job, &event);
}

static void send_failure(mos_job *job, const char *backup_id, const char *text) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__BackupObjects message = MOSAAJII__ENGINE__V1__BACKUP_OBJECTS__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    message.backup_id = (char *)backup_id;
    message.error = mos_job_text(arena, text);
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_OBJECTS;
    event.objects = &message;
    mos_job_send(job, &event);
}

static mos_status send_backup(void *context, const char *backup_id, struct mos_error *error) {
    struct listing *listing = context;
    mos_reader *reader = NULL;
    struct mos_object *objects = NULL;
    size_t count = 0;
    struct mos_error cause = {0};
    mos_status status = mos_reader_open(listing->repository, backup_id, &reader, &cause);
    if (status == MOS_OK) {
        status = mos_reader_objects(reader, &objects, &count, &cause);
    }
    if (status != MOS_OK) {
        send_failure(listing->job, backup_id, cause.message);
    }
    for (size_t sent = 0; sent < count; sent += EVENT_OBJECTS) {
        size_t part = count - sent < EVENT_OBJECTS ? count - sent : EVENT_OBJECTS;
        send_some(listing->job, backup_id, objects + sent, part, sent + part < count);
    }
    free(objects);
    mos_reader_close(reader);
    return mos_job_check(listing->job, error);
}

mos_status mos_operation_objects(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__ObjectsRequest *request,
                                 struct mos_error *error) {
    struct listing listing = {job, repository};
    mos_status status = MOS_OK;
    if (request->n_backup_ids == 0) {
        return mos_repository_each_backup(repository, send_backup, &listing, error);
    }
    for (size_t i = 0; i < request->n_backup_ids && status == MOS_OK; i++) {
        status = send_backup(&listing, request->backup_ids[i], error);
    }
    return status;
}
