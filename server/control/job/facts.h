// What the engine said of a backup when it was committed.
#ifndef MOS_CONTROL_JOB_FACTS_H
#define MOS_CONTROL_JOB_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "control/catalog/catalog.h"
#include "control/catalog/words.h"

// For those who may see the engine's messages. It lives in the arena; NULL where the backup was never committed, or its facts cannot be
// read.
struct Mosaajii__Engine__V1__BackupInfo *mos_backup_info(const struct mos_blob *facts, mos_arena *arena);

// For all others.
struct mos_backup_facts {
    // The same for backups of the same sources by the same kind of backup, and for no others as far as a hash can tell.
    uint64_t source;
    int64_t duration_ms;
    int64_t bytes_read;
    int64_t bytes_new;
    // Encrypted bytes that it added to the repository.
    int64_t bytes_written;
};

// false where the backup was never committed, or its facts cannot be read.
bool mos_backup_facts_of(enum mos_backup_type type, const struct mos_blob *facts, struct mos_backup_facts *out);

#endif
