// Copies of backups at other places: taken, replicated, checked, brought back and taken away, by threads of its own whose whole state lies
// in the catalog, so that a server that was killed goes on where it was. docs/design/offsite.md says what lies there and in which order.
//
// Only ciphertext passes: objects go as they lie in the repository. Thread safe.
#ifndef MOS_CONTROL_OFFSITE_OFFSITE_H
#define MOS_CONTROL_OFFSITE_OFFSITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/id.h"
#include "common/settings.h"
#include "common/status.h"
#include "control/catalog/offsite.h"
#include "control/job/queue.h"

typedef struct mos_offsite mos_offsite;

struct mos_offsite_options {
    const mos_settings *settings;
    mos_catalog *catalog;
    mos_queue *queue;
    const char *repository;
    // Of the server's home.
    const char *scratch;
    // A location to bring backups back from beside those of the settings; NULL: none.
    const char *from;
};

// The settings of the locations fit together: MOS_INVALID_ARGUMENT naming one that does not.
mos_status mos_offsite_check(const mos_settings *settings, struct mos_error *error);
// Opens the locations that the settings name, none where they name none; talks to nobody. What the options point to must outlive it. On
// MOS_OK *out is the caller's, to be destroyed.
mos_status mos_offsite_create(mos_offsite **out, const struct mos_offsite_options *options, struct mos_error *error);
mos_status mos_offsite_start(mos_offsite *offsite, struct mos_error *error);
// What moves is broken off; the next server takes it up. Blocks until that is done. Before the queue is stopped. NULL is fine.
void mos_offsite_stop(mos_offsite *offsite);
// NULL is fine.
void mos_offsite_destroy(mos_offsite *offsite);

// Whether there is a primary location, and a secondary one.
bool mos_offsite_configured(const mos_offsite *offsite);
bool mos_offsite_replicated(const mos_offsite *offsite);

// Who asks, for the access log and the audit trail.
struct mos_offsite_caller {
    const char *name;
    const char *address;
};

struct mos_offsite_order {
    const char *backup_id;
    // 0: that of the primary location.
    int provider;
    bool replicate;
    // 0: by a policy that a tag of the backup names, or else as the backup's own.
    int32_t retention_days;
};
// A copy at the primary location, in the background, and at the secondary one where asked for. Where a copy is there already, or on its
// way, that one is answered. MOS_NOT_FOUND, MOS_FAILED_PRECONDITION with the reason.
mos_status mos_offsite_upload(mos_offsite *offsite, const struct mos_offsite_order *order, const struct mos_offsite_caller *caller,
                              char out_copy_id[MOS_ID_TEXT_BYTES], struct mos_error *error);
// Takes the copy away: first its manifest, then its keys, then what no other copy needs. Blocks. MOS_FAILED_PRECONDITION while a lock holds
// it. What could not be freed now, because something moves, the next cleanup frees: *out_pending.
mos_status mos_offsite_delete(mos_offsite *offsite, const char *copy_id, const struct mos_offsite_caller *caller, int64_t *out_freed_bytes,
                              bool *out_pending, struct mos_error *error);

struct mos_offsite_verification {
    bool size_valid;
    bool checksum_valid;
    // One sentence a fault, in the arena; at most 1000.
    char **errors;
    size_t error_count;
    // All of them.
    int64_t faults;
    int64_t objects_checked;
    int64_t bytes_checked;
    // Other backups that have lost something with it, in the arena.
    char **hurt_backups;
    size_t hurt_count;
    int64_t verified_at_unix_ns;
};
// Asks the provider for size and checksum of every object, and reads a share of them (percent; of those for which the provider vouches not,
// at least one). Blocks; `over` may end it. What is damaged or gone is sent again where the repository has it.
mos_status mos_offsite_verify(mos_offsite *offsite, const char *copy_id, int32_t percent, const struct mos_offsite_caller *caller,
                              bool (*over)(void *argument), void *argument, mos_arena *arena, struct mos_offsite_verification *out,
                              struct mos_error *error);
// Backups of the repository that need an object which one of the sentences begins with, as a verification's faults do; in the arena.
mos_status mos_offsite_hurt(mos_offsite *offsite, char *const *sentences, size_t count, mos_arena *arena, char ***out, size_t *out_count,
                            struct mos_error *error);
// Brings back what the repository lacks of the backup, as a job in the background, and puts the backup into the catalog where it is not.
mos_status mos_offsite_fetch(mos_offsite *offsite, const char *copy_id, const struct mos_offsite_caller *caller,
                             char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error);
// The same at once, and by the backup: blocks until its data is here. For those that are about to read it. `moved` is told of bytes.
mos_status mos_offsite_bring(mos_offsite *offsite, const char *backup_id, const char *job_id, bool (*over)(void *argument), void *argument,
                             struct mos_error *error);
// For mos_queue_set_prepare: where the backup's data lies offsite only, it is brought first.
mos_status mos_offsite_prepare(void *offsite, const char *backup_id, const char *job_id, bool (*over)(void *argument), void *over_argument,
                               struct mos_error *error);
// As mos_offsite_fetch, and what is here is read too and replaced where it is not what the copy has; the job ends well only where the
// backup is verified afterwards.
mos_status mos_offsite_heal(mos_offsite *offsite, const char *backup_id, const struct mos_offsite_caller *caller,
                            char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error);
// Where the data of a backup lies that is about to be needed.
struct mos_offsite_source_of {
    const char *copy_id;
    // Of the location.
    const char *name;
    const char *url;
};
struct mos_offsite_whereabouts {
    // All of it is here, by names and sizes.
    bool here;
    // Its manifest is here, and cannot be read: nothing but mos_offsite_heal replaces it.
    bool unreadable;
    int64_t missing_objects;
    int64_t missing_bytes;
    // Complete copies at locations of this server, the primary one first; in the arena.
    struct mos_offsite_source_of *copies;
    size_t copy_count;
};
mos_status mos_offsite_find_backup(mos_offsite *offsite, const char *backup_id, mos_arena *arena, struct mos_offsite_whereabouts *out,
                                   struct mos_error *error);
// Ends a running upload or fetch by its job. MOS_NOT_FOUND where none runs under that id.
mos_status mos_offsite_cancel(mos_offsite *offsite, const char *job_id, struct mos_error *error);

enum mos_offsite_health { MOS_OFFSITE_HEALTHY = 1, MOS_OFFSITE_DEGRADED, MOS_OFFSITE_UNHEALTHY };
struct mos_offsite_location {
    const char *name;
    int provider;
    const char *url;
    enum mos_offsite_health health;
    const char *message;
    int64_t checked_at_unix_ns;
    int64_t objects;
    int64_t bytes;
    int64_t lag_seconds;
};
// One try each, in the order of the settings; `over` may end it. *out lives in the arena.
struct mos_offsite_answer {
    const char *name;
    const char *url;
    // NULL where it answers, else why not.
    const char *failure;
    int64_t latency_ms;
};
void mos_offsite_ask(mos_offsite *offsite, bool (*over)(void *argument), void *argument, mos_arena *arena, struct mos_offsite_answer **out,
                     size_t *out_count);
// Asks each location whether it is there. *out lives in the arena.
mos_status mos_offsite_locations(mos_offsite *offsite, mos_arena *arena, struct mos_offsite_location **out, size_t *out_count,
                                 struct mos_error *error);
// NULL for a place that is no location of this server.
const char *mos_offsite_place_name(const mos_offsite *offsite, const char *place);
// The secondary location's URL; "" without one.
const char *mos_offsite_replica(const mos_offsite *offsite);

// ---- A server whose home is lost ----

// A catalog that is not there, from the newest of its sealed copies beside the data that opens. Where none does, *out_kept_at_unix_ns is 0
// and `out_reason` says why.
mos_status mos_offsite_open_kept(const struct mos_engine *engine, const char *catalog, int64_t *out_kept_at_unix_ns, char *out_reason,
                                 size_t reason_bytes, struct mos_error *error);

struct mos_offsite_lost {
    const mos_settings *settings;
    // As mos_store_options_from_location takes it; endpoint and region may be those of the settings.
    const char *from;
    const struct mos_engine *engine;
    // Where catalog.db is to be.
    const char *catalog;
};
struct mos_offsite_found {
    int64_t backups;
    int64_t objects;
    int64_t bytes;
    // The catalog came back from its sealed copy; else `reason` says why not, and it is made anew from the manifests.
    bool catalog;
    char reason[1024];
};
// Before the catalog is opened: brings back the repository's own objects, all keys and manifests and what leads to moved packs, and the
// newest copy of the catalog that opens, where there is none. MOS_FAILED_PRECONDITION where the repository here is another one.
mos_status mos_offsite_find(const struct mos_offsite_lost *lost, struct mos_offsite_found *out, struct mos_error *error);
// After the catalog has learnt the backups: notes what lies at the place, which backups have their data there only, and that this server
// writes there now.
mos_status mos_offsite_adopt(mos_offsite *offsite, const char *from, const mos_settings *settings, struct mos_error *error);

#endif
