// Whether all keys still open: looked at once a day on a thread of its own, and what a rotation left undone is taken up again.
//
// What is found out stands in the audit trail and the log: Keys.Check, Alert.ENCRYPTION_FAILED where a key does not open,
// Alert.KEY_ROTATION_REQUIRED where the active version is older than it may be.
#ifndef MOS_CONTROL_JOB_READINESS_H
#define MOS_CONTROL_JOB_READINESS_H

#include "control/job/queue.h"

typedef struct mos_readiness mos_readiness;

// Looks at once, and then each day. Both must outlive it. On MOS_OK *out is the caller's, to be stopped before the queue is.
mos_status mos_readiness_start(mos_readiness **out, mos_queue *queue, mos_catalog *catalog, int64_t rotation_days, struct mos_error *error);
// NULL is fine.
void mos_readiness_stop(mos_readiness *readiness);

#endif
