// What happens to a job, as changes of the catalog: the only place where states of jobs and backups change. Each is one transaction.
#ifndef MOS_CONTROL_JOB_RECORD_H
#define MOS_CONTROL_JOB_RECORD_H

#include <stddef.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/id.h"
#include "control/catalog/backups.h"
#include "control/catalog/jobs.h"

// Job pending, with its event; the backup too where `backup` is given. Checks what a job of the kind needs of its backup:
// MOS_FAILED_PRECONDITION, MOS_NOT_FOUND.
mos_status mos_record_queued(mos_catalog *catalog, const struct mos_job *job, const struct mos_backup *backup, struct mos_error *error);
// The same in one transaction with another change.
mos_status mos_record_queued_with(mos_catalog *catalog, const struct mos_job *job, const struct mos_backup *backup, mos_catalog_change also,
                                  void *also_argument, struct mos_error *error);

// Job running, and its backup in progress or verifying.
mos_status mos_record_started(mos_catalog *catalog, const char *job_id, struct mos_error *error);

// What an engine said meanwhile: warnings, and the newest progress (NULL: none).
mos_status mos_record_progress(mos_catalog *catalog, const char *job_id, const struct mos_progress *progress, const char *const *warnings,
                               size_t warning_count, struct mos_error *error);

// How a job ended.
struct mos_outcome {
    const char *job_id;
    enum mos_job_status status;
    // "" where there is nothing to say.
    const char *message;
    // NULL where the engine gave none.
    const Mosaajii__Engine__V1__Result *result;
    // Of a backup: what the repository holds of it now; NULL: it was not committed.
    const Mosaajii__Engine__V1__BackupRecord *committed;
    // Of a deletion: the repository holds nothing of the backup any more.
    bool deleted;
    const char *repository;
    // The id of a verification to be queued at once; "" for none. Only with `committed`, and only where the backup asks for it: then
    // *out_followed becomes true.
    const char *verification_id;
    bool *out_followed;
};
// Does nothing where the job has ended already.
mos_status mos_record_finished(mos_catalog *catalog, const struct mos_outcome *outcome, struct mos_error *error);

// The keys of these backups are wrapped under this version now.
mos_status mos_record_rewrapped(mos_catalog *catalog, const Mosaajii__Engine__V1__Rewrapped *change, struct mos_error *error);

// A backup of the repository that the catalog does not know; *out_added is false where it does.
mos_status mos_record_found(mos_catalog *catalog, const Mosaajii__Engine__V1__BackupRecord *record, const char *repository, bool *out_added,
                            struct mos_error *error);

// Backups whose status says that a job is at work while there is none are given the status that their facts say.
mos_status mos_record_orphans(mos_catalog *catalog, struct mos_error *error);

#endif
