// Operations on keys: the keyring, rewrapping, escrow.
#ifndef MOS_ENGINE_PIPELINE_KEYS_H
#define MOS_ENGINE_PIPELINE_KEYS_H

#include "engine/pipeline/job.h"
#include "engine/repo/repository.h"

// The request's operation is one of these.
bool mos_operation_is_keys(const Mosaajii__Engine__V1__Request *request);
// Opens keyring and repository by itself: what changes one of them does so under the locks of both, taken before they are read. A process
// that waits for those of another one gives up after a while (MOS_FAILED_PRECONDITION), but for a rewrapping, which waits until it is
// cancelled.
mos_status mos_operation_keys(mos_job *job, const Mosaajii__Engine__V1__Request *request, mos_arena *arena,
                              Mosaajii__Engine__V1__Result *out, struct mos_error *error);
// The keyring's lock, waited for in the same way.
mos_status mos_operation_lock_keyring(mos_job *job, const char *path, int *out_descriptor, struct mos_error *error);

#endif
