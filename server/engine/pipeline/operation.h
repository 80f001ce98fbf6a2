// The engine's operations: a request in, events and a result out. The command line, the server's jobs and the tests all come in here.
#ifndef MOS_ENGINE_PIPELINE_OPERATION_H
#define MOS_ENGINE_PIPELINE_OPERATION_H

#include "engine/pipeline/job.h"
#include "engine/repo/repository.h"
#include "engine/repo/writer.h"

// Runs the request and fills in *out, whose texts live in the arena: status, message and warnings always, and what belongs to the
// operation. Blocks until it is done or cancelled. Returns the status that stands in the result.
mos_status mos_operation_run(mos_job *job, const Mosaajii__Engine__V1__Request *request, mos_arena *arena,
                             Mosaajii__Engine__V1__Result *out);

// Each fills in the result's own part.
mos_status mos_operation_backup(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__Request *request, mos_arena *arena,
                                Mosaajii__Engine__V1__Result *out, struct mos_error *error);
mos_status mos_operation_verify(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__VerifyRequest *request,
                                mos_arena *arena, Mosaajii__Engine__V1__Result *out, struct mos_error *error);
mos_status mos_operation_restore(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__Request *request, mos_arena *arena,
                                 Mosaajii__Engine__V1__Result *out, struct mos_error *error);
mos_status mos_operation_list(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__ListRequest *request,
                              struct mos_error *error);
mos_status mos_operation_read(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__ReadRequest *request,
                              struct mos_error *error);
mos_status mos_operation_diff(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__DiffRequest *request,
                              struct mos_error *error);
mos_status mos_operation_prune(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__PruneRequest *request,
                               mos_arena *arena, Mosaajii__Engine__V1__Result *out, struct mos_error *error);
mos_status mos_operation_check(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__CheckRequest *request,
                               mos_arena *arena, Mosaajii__Engine__V1__Result *out, struct mos_error *error);
mos_status mos_operation_objects(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__ObjectsRequest *request,
                                 struct mos_error *error);
mos_status mos_operation_inventory(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__InventoryRequest *request,
                                   struct mos_error *error);

// The message borrows from both.
void mos_record_fill(const struct mos_record *record, const Mosaajii__Engine__V1__BackupInfo *info,
                     Mosaajii__Engine__V1__BackupRecord *out);

void mos_deletion_fill(const struct mos_deletion *deletion, mos_arena *arena, Mosaajii__Engine__V1__Deletion *out);

// A message in the arena: MOS_NEW(arena, Mosaajii__Engine__V1__Table, mosaajii__engine__v1__table__init).
#define MOS_NEW(arena, type, init)                                                                                                         \
    ({                                                                                                                                     \
        type *fresh_message = mos_arena_alloc((arena), sizeof(type));                                                                      \
        init(fresh_message);                                                                                                               \
        fresh_message;                                                                                                                     \
    })

#endif
