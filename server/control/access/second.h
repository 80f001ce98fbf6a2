// Acts that need a second person: asked for by one caller, confirmed by another, then done by the first.
#ifndef MOS_CONTROL_ACCESS_SECOND_H
#define MOS_CONTROL_ACCESS_SECOND_H

#include "control/catalog/confirmations.h"

// MOS_OK where another caller has confirmed this act by this caller; that confirmation is used up. Else MOS_FAILED_PRECONDITION, naming the
// confirmation that waits: a new one, or the one of an earlier attempt.
mos_status mos_second_person(mos_catalog *catalog, const char *action, const char *resource, const char *caller, int64_t wait_ns,
                             struct mos_error *error);

#endif
