// Whether all keys still open: looked at once a day on a thread of its own, and what a rotation left undone is taken up again.
//
// What is found out stands in the audit trail and the log: Keys.Check, Alert.ENCRYPTION_FAILED where a key does not open,
// Alert.KEY_ROTATION_REQUIRED where the active version is older than it may be.
#ifndef MOS_CONTROL_JOB_READINESS_H
#define MOS_CONTROL_JOB_READINESS_H

#include "control/job/queue.h"

typedef struct mos_readiness mos_readiness;

// Told of each look, on the readiness's thread: the active key and its age, and how many keys do not open and why the first of them does
// not.
struct mos_readiness_report {
    const char *active_key;
    int64_t age_days;
    bool too_old;
    int64_t failures;
    const char *first_failure;
};
struct mos_readiness_listener {
    void (*told)(void *context, const struct mos_readiness_report *report);
    void *context;
};

// Looks at once, and then each day; while a KMS does not answer, every half a minute. When the keys open, what mos_queue_settle had to
// leave is settled. All must outlive it. On MOS_OK *out is the caller's, to be stopped before the queue is.
mos_status mos_readiness_start(mos_readiness **out, mos_queue *queue, mos_catalog *catalog, int64_t rotation_days,
                               const struct mos_readiness_listener *listener, struct mos_error *error);
// NULL is fine.
void mos_readiness_stop(mos_readiness *readiness);

#endif
