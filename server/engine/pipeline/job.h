// One piece of work of the engine: what is common to all operations. Cancellation, progress at most four times a second, warnings, and the
// events that carry them to whoever listens. Thread safe.
#ifndef MOS_ENGINE_PIPELINE_JOB_H
#define MOS_ENGINE_PIPELINE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/status.h"
#include "engine/repo/keyring.h"
#include "mosaajii/engine/v1/engine.pb-c.h"

typedef struct mos_job mos_job;

// `send` gets every event but the result, one at a time, and may block. `threads`: workers, 1 to 64; 0: one a processor, at most 8.
mos_job *mos_job_create(void (*send)(void *context, const Mosaajii__Engine__V1__Event *event), void *context, unsigned threads);
void mos_job_free(mos_job *job);
// Who reaches the keys of a KMS for this job; borrowed, NULL: nobody.
void mos_job_set_key_service(mos_job *job, const struct mos_key_service *service);
const struct mos_key_service *mos_job_key_service(const mos_job *job);
unsigned mos_job_threads(const mos_job *job);

// Async-signal-safe. The operation returns MOS_CANCELLED soon; nothing uncommitted becomes visible.
void mos_job_cancel(mos_job *job);
// `job` is a mos_job, so that this can be handed on as a callback.
bool mos_job_cancelled(void *job);
mos_status mos_job_check(mos_job *job, struct mos_error *error);

// `job` is a mos_job. Any bytes in path; the message may hold names of any bytes too, they are escaped.
void mos_job_warn(void *job, const char *path, size_t path_bytes, const char *message);
int64_t mos_job_warnings(const mos_job *job);
// `text` itself where it is UTF-8, otherwise escaped into the arena: what may stand in a message's string.
char *mos_job_text(mos_arena *arena, const char *text);

// A new phase begins, all counters at zero. `name` is a constant.
void mos_job_phase(mos_job *job, const char *name);
// 0: not known yet.
void mos_job_totals(mos_job *job, int64_t files, int64_t bytes);
// More is done; `path` (NULL: unchanged) is what is being worked on.
void mos_job_advance(mos_job *job, int64_t files, int64_t bytes, const char *path, size_t path_bytes);
// Sends the counters as they stand.
void mos_job_report(mos_job *job);
void mos_job_send(mos_job *job, const Mosaajii__Engine__V1__Event *event);

#endif
