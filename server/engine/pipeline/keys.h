// Operations on keys: the keyring, rewrapping, escrow.
#ifndef MOS_ENGINE_PIPELINE_KEYS_H
#define MOS_ENGINE_PIPELINE_KEYS_H

#include "engine/pipeline/job.h"
#include "engine/repo/repository.h"

// The request's operation is one of these.
bool mos_operation_is_keys(const Mosaajii__Engine__V1__Request *request);
// `keyring` is changed by a rotation, an import and a retirement; the file first.
mos_status mos_operation_keys(mos_job *job, mos_repository *repository, mos_keyring *keyring, const Mosaajii__Engine__V1__Request *request,
                              mos_arena *arena, Mosaajii__Engine__V1__Result *out, struct mos_error *error);

#endif
