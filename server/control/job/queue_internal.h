// Private to the queue: its parts.
#ifndef MOS_CONTROL_JOB_QUEUE_INTERNAL_H
#define MOS_CONTROL_JOB_QUEUE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "control/job/queue.h"

enum { MOS_QUEUE_MOST_JOBS = 64, MOS_QUEUE_MOST_WAITING = 1000, MOS_QUEUE_INQUIRIES = 4, MOS_QUEUE_READINGS = 8 };

// A job in memory, from before its row is written until it is settled.
struct mos_entry {
    char job_id[MOS_ID_TEXT_BYTES];
    char backup_id[MOS_ID_TEXT_BYTES];
    enum mos_job_kind kind;
    // The packed request. Passwords stand in it: wiped when the engine has it.
    uint8_t *request;
    size_t request_bytes;
    // All below under the queue's mutex, but `process` under `process_mutex` too.
    bool waiting;
    // A worker has it.
    bool taken;
    // Asked for by somebody, and by the end of the server.
    bool cancelled;
    bool stopped;
    // Its engine has given its result: too late to cancel it.
    bool ended;
    int references;
    pthread_mutex_t process_mutex;
    mos_process *process;
    struct mos_entry *next;
};

struct mos_queue {
    mos_catalog *catalog;
    struct mos_engine engine;
    int max_jobs;
    mos_queue_prepare prepare;
    void *prepare_context;
    pthread_t workers[MOS_QUEUE_MOST_JOBS];
    int worker_count;

    pthread_mutex_t mutex;
    // Something waits, or the queue stops.
    pthread_cond_t work;
    // All entries, in the order in which they will run.
    struct mos_entry *entries;
    size_t waiting_count;
    bool stopping;
    // A deletion had to leave something behind: pruned when no backup runs any more. The catalog knows it too.
    bool prune_due;

    // Jobs of a server before that are not settled yet. Settling is for one at a time.
    pthread_mutex_t settling;
    char (*unsettled)[MOS_ID_TEXT_BYTES];
    size_t unsettled_count;

    // Turns of conversations that are no jobs.
    pthread_cond_t inquiry_free;
    int inquiries;
    int readings;
    // One that changes keys is under way.
    pthread_cond_t keys_free;
    bool keys_changing;
};

// A new entry with the request packed; one reference, not yet in the queue.
struct mos_entry *mos_entry_create(const struct mos_job *job, const Mosaajii__Engine__V1__Request *request);
void mos_entry_release(mos_queue *queue, struct mos_entry *entry);
// Puts it into the queue, where a cancel finds it, but no worker yet. MOS_UNAVAILABLE, MOS_RESOURCE_EXHAUSTED.
mos_status mos_queue_announce(mos_queue *queue, struct mos_entry *entry, struct mos_error *error);
// Its row is written: a worker may take it. `first`: before all others.
void mos_queue_release(mos_queue *queue, struct mos_entry *entry, bool first);
// Takes it out of the queue, and gives up the queue's reference and the caller's.
void mos_queue_forget(mos_queue *queue, struct mos_entry *entry);

// Runs the job of an entry from its start to its settlement, on the calling thread.
void mos_job_run(mos_queue *queue, struct mos_entry *entry);
// Settles a job that never began.
void mos_job_drop(mos_queue *queue, struct mos_entry *entry);

// Starts the prune that is due, unless a backup or another prune runs or waits; `ended` (may be NULL) does not count.
void mos_job_prune_when_quiet(mos_queue *queue, const struct mos_entry *ended);

// What the repository holds of a backup: *out is NULL where it was not committed.
mos_status mos_queue_find_committed(mos_queue *queue, const char *backup_id, mos_arena *arena,
                                    const Mosaajii__Engine__V1__BackupRecord **out, struct mos_error *error);

#endif
