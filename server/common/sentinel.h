// A file among the sources that says which backup was begun last. It is written just before a backup, so the backup holds it with its own
// id: what a restore of that backup leaves behind must name that backup and no other. Ids are random, so nothing else can name it. Thread
// safe.
#ifndef MOS_COMMON_SENTINEL_H
#define MOS_COMMON_SENTINEL_H

#include "common/id.h"
#include "common/status.h"

// Replaces the file in one step. The folder must exist. MOS_ALREADY_EXISTS where something else than a sentinel is there: it is left alone.
mos_status mos_sentinel_write(const char *path, const char *backup_id, struct mos_error *error);
// MOS_NOT_FOUND; MOS_FAILED_PRECONDITION for what is no sentinel.
mos_status mos_sentinel_read(const char *path, char out_backup_id[MOS_ID_TEXT_BYTES], struct mos_error *error);

#endif
