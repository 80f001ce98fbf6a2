#include "engine/pipeline/operation.h"

#include <string.h>

#include "common/buffer.h"
#include "engine/pipeline/keys.h"
#include "engine/repo/catalog_copy.h"
#include "engine/repo/key_object.h"
#include "engine/repo/reader.h"

typedef Mosaajii__Engine__V1__Result result_message;

// A repository without its keyring holds nothing but noise, and a new keyring beside it would hide that: only where there is neither, both
// are made.
static mos_status make_keyring(mos_job *job, const Mosaajii__Engine__V1__Request *request, mos_keyring **out, struct mos_error *error) {
    mos_repository *repository;
    struct mos_error cause = {0};
    mos_status status = mos_repository_open(request->repository, NULL, &repository, &cause);
    if (status == MOS_OK) {
        mos_repository_close(repository);
        return mos_fail(error, MOS_FAILED_PRECONDITION,
                        "the repository %s exists, but its keyring %s does not: put the keyring back, or choose another repository",
                        request->repository, request->keyring);
    }
    if (status != MOS_NOT_FOUND) {
        *error = cause;
        return status;
    }
    // A service that does not answer, or a key that it does not know, must not be what stands in the keyring from now on.
    status = *request->key_reference ? mos_key_service_try(mos_job_key_service(job), request->key_reference, error) : MOS_OK;
    return status != MOS_OK ? status : mos_keyring_make(request->keyring, request->keyring_passphrase, request->key_reference, out, error);
}

static mos_status init(mos_job *job, const Mosaajii__Engine__V1__Request *request, mos_arena *arena, result_message *out,
                       struct mos_error *error) {
    mos_keyring *keyring = NULL;
    MOS_CLEANUP_FD int lock = -1;
    mos_status status = mos_keyring_load_sealed(request->keyring, request->keyring_passphrase, &keyring, error);
    if (status == MOS_NOT_FOUND || (status == MOS_OK && mos_keyring_should_be_sealed(keyring))) {
        mos_keyring_free(keyring);
        keyring = NULL;
        status = mos_operation_lock_keyring(job, request->keyring, &lock, error);
        // Again, now that nobody else can be writing it.
        status = status == MOS_OK ? mos_keyring_load_sealed(request->keyring, request->keyring_passphrase, &keyring, error) : status;
        if (status == MOS_NOT_FOUND) {
            status = make_keyring(job, request, &keyring, error);
        } else if (status == MOS_OK && mos_keyring_should_be_sealed(keyring)) {
            status = mos_keyring_save(keyring, request->keyring, error);
        }
    }
    if (status) {
        mos_keyring_free(keyring);
        return status;
    }
    mos_keyring_set_service(keyring, mos_job_key_service(job));
    mos_repository *repository = NULL;
    bool created = false;
    status = mos_repository_open(request->repository, keyring, &repository, error);
    const char *away = "";
    if (status == MOS_UNAVAILABLE || status == MOS_RESOURCE_EXHAUSTED) {
        // Which repository it is can be told all the same.
        away = mos_arena_strdup(arena, mos_job_text(arena, error->message));
        status = mos_repository_open(request->repository, NULL, &repository, error);
    } else if (status == MOS_NOT_FOUND) {
        status = mos_repository_create(request->repository, keyring, &repository, error);
        created = status == MOS_OK;
    }
    if (status == MOS_OK) {
        Mosaajii__Engine__V1__Repository *message =
            MOS_NEW(arena, Mosaajii__Engine__V1__Repository, mosaajii__engine__v1__repository__init);
        message->id = mos_arena_alloc(arena, 2 * 16 + 1);
        mos_hex_encode(mos_repository_id(repository), 16, message->id);
        message->format_version = MOS_REPOSITORY_FORMAT;
        message->created = created;
        message->away = (char *)away;
        message->key_version = (int32_t)mos_keyring_active_version(keyring);
        char key_id[32];
        mos_keyring_key_id(keyring, mos_keyring_active_version(keyring), key_id);
        message->key_id = mos_arena_strdup(arena, key_id);
        out->result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_REPOSITORY;
        out->repository = message;
    }
    mos_repository_close(repository);
    mos_keyring_free(keyring);
    return status;
}

// ---- Inventory ----

struct inventory {
    mos_job *job;
    mos_repository *repository;
};

static mos_status send_backup(void *context, const char *backup_id, struct mos_error *error) {
    struct inventory *inventory = context;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__BackupInfo unknown = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    Mosaajii__Engine__V1__BackupRecord record = MOSAAJII__ENGINE__V1__BACKUP_RECORD__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_BACKUP;
    event.backup = &record;
    mos_reader *reader = NULL;
    struct mos_error cause = {0};
    if (mos_reader_open(inventory->repository, backup_id, &reader, &cause) == MOS_OK) {
        mos_record_fill(mos_reader_record(reader), mos_reader_info(reader), &record);
    } else {
        unknown.id = (char *)backup_id;
        record.info = &unknown;
        record.error = mos_job_text(arena, cause.message);
    }
    mos_job_send(inventory->job, &event);
    mos_reader_close(reader);
    return mos_job_check(inventory->job, error);
}

void mos_record_fill(const struct mos_record *record, const Mosaajii__Engine__V1__BackupInfo *info,
                     Mosaajii__Engine__V1__BackupRecord *out) {
    out->info = (Mosaajii__Engine__V1__BackupInfo *)info;
    out->key_id = (char *)record->key_id;
    out->checksum = (char *)record->checksum;
    out->encrypted_checksum = (char *)record->encrypted_checksum;
    out->manifest = (char *)record->manifest;
}

mos_status mos_operation_inventory(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__InventoryRequest *request,
                                   struct mos_error *error) {
    struct inventory inventory = {job, repository};
    if (!*request->backup_id) {
        return mos_repository_each_backup(repository, send_backup, &inventory, error);
    }
    bool there = false;
    mos_status status = mos_repository_has_backup(repository, request->backup_id, &there, error);
    return status == MOS_OK && there ? send_backup(&inventory, request->backup_id, error) : status;
}

// ---- Deletion ----

// As many as fit in an answer, and in the audit trail, with room to spare.
enum { LISTED_PACKS = 5000 };

// The ids alone, from packs/ab/ab01….
static char **pack_ids(mos_arena *arena, char *const *names, size_t count, size_t *out_count) {
    *out_count = count < LISTED_PACKS ? count : LISTED_PACKS;
    char **copies = mos_arena_array(arena, char *, *out_count);
    for (size_t i = 0; i < *out_count; i++) {
        copies[i] = mos_arena_strdup(arena, strrchr(names[i], '/') + 1);
    }
    return copies;
}

void mos_deletion_fill(const struct mos_deletion *deletion, mos_arena *arena, Mosaajii__Engine__V1__Deletion *out) {
    out->bytes_freed = deletion->bytes_freed;
    out->bytes_pending = deletion->bytes_pending;
    out->packs_removed = pack_ids(arena, deletion->packs_removed, deletion->packs_removed_count, &out->n_packs_removed);
    out->packs_removed_count = (int64_t)deletion->packs_removed_count;
    out->packs_kept = pack_ids(arena, deletion->packs_kept, deletion->packs_kept_count, &out->n_packs_kept);
    out->packs_kept_count = (int64_t)deletion->packs_kept_count;
}

static mos_status delete_backup(mos_job *job, mos_repository *repository, const char *backup_id, mos_arena *arena, result_message *out,
                                struct mos_error *error) {
    mos_job_phase(job, "deleting");
    struct mos_deletion deletion;
    mos_status status = mos_repository_delete(repository, backup_id, &deletion, error);
    if (status == MOS_OK) {
        Mosaajii__Engine__V1__Deletion *message = MOS_NEW(arena, Mosaajii__Engine__V1__Deletion, mosaajii__engine__v1__deletion__init);
        mos_deletion_fill(&deletion, arena, message);
        out->result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_DELETION;
        out->deletion = message;
        if (*deletion.notice) {
            mos_job_warn(job, "", 0, deletion.notice);
        }
    }
    mos_deletion_free(&deletion);
    return status;
}

// ---- All of them ----

static mos_status run(mos_job *job, const Mosaajii__Engine__V1__Request *request, mos_arena *arena, result_message *out,
                      struct mos_error *error) {
    if (request->operation_case == MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INIT) {
        return init(job, request, arena, out, error);
    }
    if (mos_operation_is_keys(request)) {
        return mos_operation_keys(job, request, arena, out, error);
    }
    mos_keyring *keyring = NULL;
    mos_repository *repository = NULL;
    mos_status status = mos_keyring_load_sealed(request->keyring, request->keyring_passphrase, &keyring, error);
    if (status == MOS_OK) {
        mos_keyring_set_service(keyring, mos_job_key_service(job));
        status = mos_repository_open(request->repository, keyring, &repository, error);
    }
    if (status == MOS_OK) {
        switch (request->operation_case) {
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_BACKUP:
            status = mos_operation_backup(job, repository, request, arena, out, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_VERIFY:
            status = mos_operation_verify(job, repository, request->verify, arena, out, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_RESTORE:
            status = mos_operation_restore(job, repository, request, arena, out, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_DELETE:
            status = delete_backup(job, repository, request->delete_->backup_id, arena, out, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_LIST:
            status = mos_operation_list(job, repository, request->list, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_DIFF:
            status = mos_operation_diff(job, repository, request->diff, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_READ:
            status = mos_operation_read(job, repository, request->read, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INVENTORY:
            status = mos_operation_inventory(job, repository, request->inventory, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_PRUNE:
            status = mos_operation_prune(job, repository, request->prune, arena, out, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_CHECK:
            status = mos_operation_check(job, repository, request->check, arena, out, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_OBJECTS:
            status = mos_operation_objects(job, repository, request->objects, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_SEAL:
            status = mos_catalog_seal(repository, request->seal->path, request->seal->name, error);
            break;
        case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_UNSEAL:
            status = mos_catalog_unseal(repository, request->unseal->name, request->unseal->path, error);
            break;
        default:
            status = mos_fail(error, MOS_UNIMPLEMENTED, "this engine does not know the operation it was asked for");
        }
    }
    mos_repository_close(repository);
    mos_keyring_free(keyring);
    return status;
}

mos_status mos_operation_run(mos_job *job, const Mosaajii__Engine__V1__Request *request, mos_arena *arena, result_message *out) {
    struct mos_error error = {0};
    mosaajii__engine__v1__result__init(out);
    mos_status status = run(job, request, arena, out, &error);
    out->status = (char *)mos_status_name(status);
    out->message = status ? mos_arena_strdup(arena, mos_job_text(arena, error.message)) : "";
    out->warnings = mos_job_warnings(job);
    return status;
}
