// Which earlier backup a new one is compared with.
#ifndef MOS_CONTROL_JOB_PARENT_H
#define MOS_CONTROL_JOB_PARENT_H

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/arena.h"
#include "control/catalog/catalog.h"

// Fills in base_id: the newest committed, undamaged backup of the same sources, of type FULL for a DIFFERENTIAL; empty where there is none.
// For an INCREMENTAL and a DIFFERENTIAL it is the parent too, and a note says where there is none. The texts live in the arena. Sources are
// the same when the paths are, in any order, and both have databases or neither has.
mos_status mos_parent_choose(mos_catalog *catalog, Mosaajii__Engine__V1__BackupRequest *request, mos_arena *arena, struct mos_error *error);

#endif
