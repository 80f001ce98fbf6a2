// The queue of jobs: each is a row in the catalog before it is an engine process, and every state is committed before it is acted on.
//
// So many jobs run at a time as was asked for, each on a thread of its own that reads its engine's events, writes them to the catalog
// (which wakes those who watch) and settles the job and its backup when it ends, however it ends. Thread safe.
#ifndef MOS_CONTROL_JOB_QUEUE_H
#define MOS_CONTROL_JOB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/id.h"
#include "common/status.h"
#include "control/catalog/backups.h"
#include "control/catalog/catalog.h"
#include "control/catalog/jobs.h"
#include "control/job/process.h"

typedef struct mos_queue mos_queue;

// Neither starts threads nor touches the catalog. `catalog` and the texts of `engine` must outlive the queue. Never NULL.
mos_queue *mos_queue_create(mos_catalog *catalog, const struct mos_engine *engine, int max_jobs);
// Called on the job's thread before a backup is read by a verification or a restore: may block, and fails the job where it fails. Before
// start. `over` becomes true when the job is to end.
typedef mos_status (*mos_queue_prepare)(void *context, const char *backup_id, const char *job_id, bool (*over)(void *argument),
                                        void *argument, struct mos_error *error);
void mos_queue_set_prepare(mos_queue *queue, mos_queue_prepare prepare, void *context);
// Settles what a server that is gone left unfinished, by what the repository says was committed. Before start.
mos_status mos_queue_settle(mos_queue *queue, struct mos_error *error);
// The same while the repository cannot be asked: jobs of which it alone knows what became of them are left for mos_queue_settle_rest, which
// may be called at any time, and leaves what it cannot settle for the next call.
mos_status mos_queue_settle_later(mos_queue *queue, struct mos_error *error);
mos_status mos_queue_settle_rest(mos_queue *queue, struct mos_error *error);
mos_status mos_queue_start(mos_queue *queue, struct mos_error *error);
// Takes no more jobs, stops those that run, and settles all. Blocks until that is done.
void mos_queue_stop(mos_queue *queue);
// After stop. NULL is fine.
void mos_queue_destroy(mos_queue *queue);

// What a backup is to be. All is copied.
struct mos_backup_order {
    const char *name;
    enum mos_backup_type type;
    int32_t retention_days;
    bool encryption_asked;
    bool compressed;
    bool integrity_check;
    bool read_all;
    int64_t settle_seconds;
    bool skip_caches;
    bool one_file_system;
    // No copy offsite.
    bool local_only;
    char *const *tags;
    size_t tag_count;
    const char *created_by;
    // What to take.
    char *const *paths;
    size_t path_count;
    char *const *databases;
    size_t database_count;
    char *const *excludes;
    size_t exclude_count;
    // A file that is to name the backup; NULL: none.
    const char *sentinel;
    // Committed together with the job, or neither is; NULL: nothing. By then the backup's id is written out. What it fails with, the order
    // does.
    mos_catalog_change also;
    void *also_argument;
};
// All that queue a job answer as soon as it is committed to the catalog: MOS_UNAVAILABLE when the server is stopping,
// MOS_RESOURCE_EXHAUSTED when too many jobs wait.
mos_status mos_queue_backup(mos_queue *queue, const struct mos_backup_order *order, char out_backup_id[MOS_ID_TEXT_BYTES],
                            struct mos_error *error);

// Each of these needs a committed backup: MOS_NOT_FOUND, MOS_FAILED_PRECONDITION with the reason.
mos_status mos_queue_verify(mos_queue *queue, const char *backup_id, const char *created_by, char out_job_id[MOS_ID_TEXT_BYTES],
                            struct mos_error *error);
struct mos_restore_order {
    const char *backup_id;
    const char *created_by;
    // Paths are bytes. A database's URL may hold a password, as those of `databases` do, by which databases get back in place.
    const char *target;
    char *const *databases;
    size_t database_count;
    // A directory above the target, from which on no link is followed; NULL in place.
    const char *root;
    char *const *include;
    const size_t *include_bytes;
    size_t include_count;
    // By the engine's protocol.
    int existing;
    bool compare_content;
    // Of `include`, what the backup does not hold is told of and left out, as long as it holds any of it.
    bool skip_missing;
    bool in_place;
    bool preview;
};
mos_status mos_queue_restore(mos_queue *queue, const struct mos_restore_order *order, char out_job_id[MOS_ID_TEXT_BYTES],
                             struct mos_error *error);
// Also for a backup that was never committed. MOS_FAILED_PRECONDITION while a job is using it.
mos_status mos_queue_delete(mos_queue *queue, const char *backup_id, const char *created_by, char out_job_id[MOS_ID_TEXT_BYTES],
                            struct mos_error *error);

// Wraps every backup's key under the active version, in the background; one such job runs at a time, and others wait for their turn.
mos_status mos_queue_rewrap(mos_queue *queue, const char *created_by, char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error);
// Work on the whole repository, one of its kind at a time: MOS_FAILED_PRECONDITION while another is waiting or running.
// What nobody needs and is younger than the grace time stays for a backup that was broken off.
mos_status mos_queue_prune(mos_queue *queue, int64_t grace_seconds, bool dry_run, const char *created_by,
                           char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error);
// `percent` 0 and `bytes` 0: only that every object is there.
mos_status mos_queue_check(mos_queue *queue, int32_t percent, int64_t bytes, bool repair, const char *created_by,
                           char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error);
enum { MOS_PRUNE_GRACE_DEFAULT_SECONDS = 24 * 3600 };

// Jobs that end without a result from here on do so because the server ends.
bool mos_queue_is_stopping(mos_queue *queue);

// Returns when the job's process is gone, or killed; it is settled soon after. MOS_NOT_FOUND, MOS_FAILED_PRECONDITION for one that has
// ended.
mos_status mos_queue_cancel(mos_queue *queue, const char *job_id, struct mos_error *error);
// The backup's jobs, all of them. MOS_FAILED_PRECONDITION where there is none.
mos_status mos_queue_cancel_backup(mos_queue *queue, const char *backup_id, struct mos_error *error);
// Blocks until the job has ended and is settled, or over(argument) is true (see mos_catalog_wait_events): MOS_CANCELLED. The job's row is
// made in the arena.
mos_status mos_queue_wait(mos_queue *queue, const char *job_id, bool (*over)(const void *argument), const void *argument, mos_arena *arena,
                          struct mos_job *out, struct mos_error *error);

// Conversations with the engine that are no jobs. They wait for their turn among themselves. `cancel_fd`: see mos_engine_ask.
mos_status mos_queue_list_files(mos_queue *queue, const Mosaajii__Engine__V1__ListRequest *request, int cancel_fd, mos_arena *arena,
                                Mosaajii__Engine__V1__Entry ***out, size_t *out_count, bool *out_more, struct mos_error *error);
mos_status mos_queue_diff(mos_queue *queue, const Mosaajii__Engine__V1__DiffRequest *request, int cancel_fd, mos_arena *arena,
                          Mosaajii__Engine__V1__Change ***out, size_t *out_count, bool *out_more, struct mos_error *error);
// The content of one file, piece by piece, to `take`, whose failure ends it and is returned. MOS_RESOURCE_EXHAUSTED while several are being
// read already: how long one takes is up to whoever reads it.
mos_status mos_queue_read_file(mos_queue *queue, const Mosaajii__Engine__V1__ReadRequest *request, int cancel_fd,
                               mos_status (*take)(void *context, int64_t offset, ProtobufCBinaryData data, struct mos_error *error),
                               void *context, struct mos_error *error);
// Makes the repository and the keyring where they do not exist; `away` in the answer says why the keys of one that does cannot be used. The
// answer lives in the arena.
mos_status mos_queue_init(mos_queue *queue, mos_arena *arena, const Mosaajii__Engine__V1__Repository **out, struct mos_error *error);
// A conversation about keys: the request holds one of its operations. Those that change keys come one after another, and where they find a
// rewrapping at work they fail after a while: MOS_FAILED_PRECONDITION. The answer lives in the arena.
mos_status mos_queue_keys(mos_queue *queue, const Mosaajii__Engine__V1__Request *request, mos_arena *arena,
                          const Mosaajii__Engine__V1__KeyReport **out, struct mos_error *error);
// The objects that backups need elsewhere (no ids: all backups), to `each`, whose false stops early; a backup with many of them comes in
// several parts. What it is given lives in the arena.
mos_status mos_queue_objects(mos_queue *queue, char *const *backup_ids, size_t count, mos_arena *arena,
                             bool (*each)(const Mosaajii__Engine__V1__BackupObjects *objects, void *argument), void *argument,
                             struct mos_error *error);
// Seals the file at `path` into the repository's object `name` (catalog/<20 digits>), and makes the file of it again.
mos_status mos_queue_seal(mos_queue *queue, const char *path, const char *name, struct mos_error *error);
mos_status mos_queue_unseal(mos_queue *queue, const char *name, const char *path, struct mos_error *error);
// What the repository holds of a backup, for the catalog that does not know it; MOS_NOT_FOUND where it holds nothing, MOS_CORRUPT where
// that cannot be read.
mos_status mos_queue_learn(mos_queue *queue, const char *backup_id, struct mos_error *error);
// Adds to the catalog every backup of the repository that it does not know. Before start.
mos_status mos_queue_rebuild(mos_queue *queue, int64_t *out_added, struct mos_error *error);

#endif
