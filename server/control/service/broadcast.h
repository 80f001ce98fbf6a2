// Events of jobs and of recovery runs for all who watch. A watcher's handler reads from the catalog what was before; once it has caught up
// it follows: one thread reads each new event once, packs it once and posts it on every call that follows, and no handler is woken for it.
// Thread safe.
//
// A follower lives on its handler's stack, and its call as long as the handler runs. The thread touches both only while the follower is in
// its list, with its lock held; the handler takes it out with the same lock before it goes on. What was posted and is still on its way
// is the call's own affair (mos_call_post).
#ifndef MOS_CONTROL_SERVICE_BROADCAST_H
#define MOS_CONTROL_SERVICE_BROADCAST_H

#include <stdint.h>

#include "control/catalog/catalog.h"
#include "control/rpc/rpc.h"

typedef struct mos_broadcast mos_broadcast;

// The catalog must outlive it. MOS_RESOURCE_EXHAUSTED where there is no thread to be had. On MOS_OK *out is the caller's.
mos_status mos_broadcast_start(mos_broadcast **out, mos_catalog *catalog, struct mos_error *error);
// When nobody follows any more: after the server has stopped. NULL is fine.
void mos_broadcast_stop(mos_broadcast *broadcast);

// Posts every event of the job (of the backup where job_id is NULL) with a number above *after on the call, which streams JobEvent. The
// caller has sent all up to *after, and all that the catalog held when `seen` was its last event (mos_catalog_last_event).
//
// Blocks until the catalog must be looked at again: the call is over; an event has come that ends a job; or the client is too slow, or has
// come a moment too late. *after is then the number up to which everything was posted.
void mos_broadcast_follow(mos_broadcast *broadcast, struct mos_call *call, const char *job_id, const char *backup_id, int64_t seen,
                          int64_t *after);

// What the newest entry that was posted says of its run, and when that was.
struct mos_broadcast_run {
    int status;
    int percent;
    int64_t seconds_left;
    int64_t posted_at_monotonic_ns;
};
// The same of a recovery run's journal, on a call that streams ExecutionEvent; no longer than until that time. *after and *last change
// where something was posted.
void mos_broadcast_follow_run(mos_broadcast *broadcast, struct mos_call *call, const char *run_id, int64_t seen, int64_t until_monotonic_ns,
                              int64_t *after, struct mos_broadcast_run *last);

#endif
