// Asking the server to wrap or unwrap a key under a key of a KMS: a request up the job's socket, an answer down.
#ifndef MOS_ENGINE_ASKING_H
#define MOS_ENGINE_ASKING_H

#include <stdbool.h>

#include "engine/pipeline/job.h"

// The job asks in this way from now on.
void mos_asking_begin(mos_job *job);
// Blocks for the next answer and hands it to whoever asked. false at the end of the socket.
bool mos_asking_take(int descriptor);
// No answer will come any more.
void mos_asking_over(void);

#endif
