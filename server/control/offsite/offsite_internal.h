// Private to the copies: their parts.
#ifndef MOS_CONTROL_OFFSITE_OFFSITE_INTERNAL_H
#define MOS_CONTROL_OFFSITE_OFFSITE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "control/offsite/object_store.h"
#include "control/offsite/offsite.h"
#include "control/offsite/wrappers.h"

typedef Mosaajii__Engine__V1__BackupObjects mos_object_list;
typedef Mosaajii__Engine__V1__StoredObject mos_stored_object;

// Who asks for the verification after a healing, which is followed by no other healing.
#define MOS_OFFSITE_ACTOR "offsite"

enum { MOS_OFFSITE_PLACES = 3, MOS_OFFSITE_FETCHES = 2, MOS_OFFSITE_MOST_PARALLEL = 32 };

struct mos_offsite_place {
    mos_offsite *offsite;
    // `primary` or `replica`.
    const char *name;
    int provider;
    char *url;
    // With what goes around it: limit, metrics, retry; and without the retry, for a look that is to be quick.
    mos_store *store;
    mos_store *bare;
    // Held by whoever writes or takes away at the place.
    pthread_mutex_t work;
    pthread_t thread;
    bool runs;
    // The rest under the mutex of all.
    bool catalog_due;
    bool keys_due;
    bool tidy_due;
    // Monotonic: a clock that was set ahead, and back, would otherwise put it off.
    int64_t next_tidy_ns;
    // Of the last exchange with it: since when it fails, why, how long the last probe took.
    int64_t checked_at_ns;
    int64_t failing_since_ns;
    int64_t probe_ns;
    char message[512];
};

struct upload;

// An upload or a fetch that moves now.
struct mos_offsite_work {
    char job_id[MOS_ID_TEXT_BYTES];
    mos_offsite *offsite;
    atomic_bool cancelled;
    // Of an upload.
    struct upload *upload;
    struct mos_offsite_work *next;
};

// A fetch that waits for its thread.
struct mos_offsite_errand {
    char job_id[MOS_ID_TEXT_BYTES];
    char backup_id[MOS_ID_TEXT_BYTES];
    char copy_id[MOS_ID_TEXT_BYTES];
    char actor[256];
    char address[64];
    // What is there is read, and replaced where it is damaged; a verification follows.
    bool heal;
    struct mos_offsite_errand *next;
};

struct mos_offsite {
    struct mos_offsite_options options;
    struct mos_offsite_place places[MOS_OFFSITE_PLACES];
    size_t place_count;
    // Of all places together.
    struct mos_store_limit *limit;
    int parallel;
    int64_t lock_ns;
    int64_t retry_ns;
    // Of this server, for the mark at each place.
    char server_id[MOS_ID_TEXT_BYTES];
    char repository_id[33];
    // The active key version when this server began.
    char key_id[64];

    pthread_t follower;
    bool follower_runs;
    pthread_t fetchers[MOS_OFFSITE_FETCHES];
    size_t fetcher_count;
    atomic_bool stopping;

    pthread_mutex_t mutex;
    // Something is to be done, or all ends.
    pthread_cond_t news;
    // Grows with each piece of news, so that none is slept through.
    uint64_t generation;
    struct mos_offsite_work *works;
    struct mos_offsite_errand *errands;
    // One backup is brought back by one at a time.
    bool bringing;
};

// ---- offsite.c ----

// A location as --from names it; an endpoint and a region that it does not say are those of OFFSITE_*, where that is the same provider.
mos_status mos_offsite_source(const mos_settings *settings, const char *from, mos_arena *arena, struct mos_store_options *out,
                              struct mos_error *error);

// ---- record.c: what happens to copies, each change one transaction ----

// Job running, copy uploading. MOS_FAILED_PRECONDITION where it was deleted meanwhile.
mos_status mos_offsite_record_begun(mos_offsite *offsite, struct mos_copy *copy, const char *job_id, struct mos_error *error);
struct mos_offsite_moved {
    const char *job_id;
    // NULL: of no copy.
    const char *copy_id;
    const char *place;
    const struct mos_place_object *objects;
    size_t object_count;
    const char *phase;
    int64_t objects_done;
    int64_t objects_total;
    int64_t bytes_done;
    int64_t bytes_total;
    int64_t bytes_per_second;
};
mos_status mos_offsite_record_moved(mos_offsite *offsite, const struct mos_offsite_moved *moved, struct mos_error *error);
struct mos_offsite_end {
    // All of it is put; NULL: the row stays.
    const struct mos_copy *copy;
    // "" where there was no job.
    const char *job_id;
    enum mos_job_status job_status;
    const char *message;
    // 0: nothing for the access log.
    enum mos_copy_action action;
    const char *copy_id;
    const char *backup_id;
    const struct mos_offsite_caller *caller;
    mos_status result;
    const char *details;
};
mos_status mos_offsite_record_end(mos_offsite *offsite, const struct mos_offsite_end *end, struct mos_error *error);
// The row as it is now takes over what has changed, but for what an order says; nothing changes and MOS_FAILED_PRECONDITION where its
// status is not `was` any more.
mos_status mos_offsite_record_change(mos_offsite *offsite, const struct mos_copy *copy, enum mos_copy_status was, struct mos_error *error);
// A new row, with its objects where they are known.
mos_status mos_offsite_record_new(mos_offsite *offsite, const struct mos_copy *copy, struct mos_blob objects, struct mos_error *error);
mos_status mos_offsite_record_job(mos_offsite *offsite, enum mos_job_kind kind, enum mos_job_status status, const char *job_id,
                                  const char *backup_id, const char *actor, struct mos_error *error);
mos_status mos_offsite_put_objects(mos_offsite *offsite, const char *copy_id, struct mos_blob objects, struct mos_error *error);
mos_status mos_offsite_forget_objects(mos_offsite *offsite, const char *place, char *const *names, size_t count, struct mos_error *error);
mos_status mos_offsite_put_place_object(struct mos_offsite_place *place, const struct mos_place_object *object, struct mos_error *error);
mos_status mos_offsite_put_fact(mos_offsite *offsite, const char *name, const char *value, struct mos_error *error);
mos_status mos_offsite_get_fact(mos_offsite *offsite, const char *name, mos_arena *arena, const char **out, struct mos_error *error);
mos_status mos_offsite_read_copy(mos_offsite *offsite, const char *copy_id, mos_arena *arena, struct mos_copy *out,
                                 struct mos_error *error);
// The objects of a copy; *out is NULL where they are not known yet.
mos_status mos_offsite_read_objects(mos_offsite *offsite, const char *copy_id, mos_arena *arena, const mos_object_list **out,
                                    struct mos_error *error);

// ---- place.c ----

struct mos_offsite_place *mos_offsite_place_of(mos_offsite *offsite, const char *url);
// The URL of the primary location, whose copies say whether the backup is to be at this place too; "" for itself.
const char *mos_offsite_before(const struct mos_offsite_place *place);
// Of a folder in which our mark lay once: MOS_FAILED_PRECONDITION where it does not any more, for then the folder is not the one that it
// was.
mos_status mos_offsite_check_disk(struct mos_offsite_place *place, const struct mos_store_call *call, struct mos_error *error);
// Nobody else writes there: puts our mark where there is none, and where none of ours was (see mos_offsite_check_disk).
// MOS_ALREADY_EXISTS, naming the other, where it is another's.
mos_status mos_offsite_claim(struct mos_offsite_place *place, const struct mos_store_call *call, struct mos_error *error);
// The mark is ours from now on, whoever's it was.
mos_status mos_offsite_take_over(mos_offsite *offsite, mos_store *store, struct mos_error *error);
// How an exchange with the place ended; raises and resolves its alert.
void mos_offsite_note_health(struct mos_offsite_place *place, mos_status status, const char *message);
// Talks to it, and notes what came of it.
void mos_offsite_probe(struct mos_offsite_place *place);

// ---- transfer.c: objects between the repository and the places ----

bool mos_offsite_over(void *offsite);
// SHA-256 of a file below the repository. MOS_NOT_FOUND.
mos_status mos_offsite_hash_local(mos_offsite *offsite, const char *name, int64_t *out_size_bytes, uint8_t out_sha256[32],
                                  struct mos_error *error);
// Is there with its size.
bool mos_offsite_has_local(mos_offsite *offsite, const mos_stored_object *object);
// Brings one object into the repository, in the place of what is there under its name: from the place first given (NULL: any), and then
// from every other. Whole, as its SHA-256 says, or not at all.
mos_status mos_offsite_bring_object(mos_offsite *offsite, struct mos_offsite_place *first, struct mos_offsite_place *except,
                                    const mos_stored_object *object, const struct mos_store_call *call, struct mos_error *error);
// From a store into a folder that is a repository, or becomes one.
mos_status mos_offsite_bring_from(mos_store *store, const char *repository, const char *name, const uint8_t *sha256,
                                  const struct mos_store_call *call, struct mos_error *error);
// Sends one object to the place, and makes sure that it is there whole.
mos_status mos_offsite_send_object(struct mos_offsite_place *place, const mos_stored_object *object, int64_t lock_until_ns,
                                   const struct mos_store_call *call, struct mos_error *error);
// flock on a file in the repository's lock/, shared; *out_descriptor is to be closed.
mos_status mos_offsite_lock(mos_offsite *offsite, const char *name, int *out_descriptor, struct mos_error *error);

// ---- upload.c, fetch.c, keep.c, catalog_keep.c, worker.c ----

void mos_offsite_work_begin(mos_offsite *offsite, struct mos_offsite_work *work, const char *job_id);
void mos_offsite_work_end(mos_offsite *offsite, struct mos_offsite_work *work);
bool mos_offsite_work_over(void *work);
// One attempt, to its end. With the place's work held. false where the catalog takes nothing down of it, so that another one at once is of
// no use.
bool mos_offsite_attempt(struct mos_offsite_place *place, struct mos_copy *copy);
// What the backup needs, by the engine; MOS_NOT_FOUND where the repository has no such backup.
mos_status mos_offsite_ask_objects(mos_offsite *offsite, const char *backup_id, mos_arena *arena, mos_object_list **out,
                                   struct mos_error *error);
// A copy that was complete once stays with its packs there, where each of them is there or comes from here, also after a prune has
// rewritten them here: `now` gets those of `old` in the place of its own. For what no list names any more, the cleanup takes away.
mos_status mos_offsite_keep_packs(struct mos_offsite_place *place, const mos_object_list *old, mos_object_list *now, mos_arena *arena,
                                  struct mos_error *error);
void mos_offsite_run_errand(mos_offsite *offsite, struct mos_offsite_errand *errand);
mos_status mos_offsite_add_errand(mos_offsite *offsite, const char *backup_id, const char *copy_id, const struct mos_offsite_caller *caller,
                                  bool heal, char out_job_id[MOS_ID_TEXT_BYTES], struct mos_error *error);
// Expiry, what nobody needs, locks, archive. With the place's work held.
void mos_offsite_tidy(struct mos_offsite_place *place);
// The keys of all copies as the repository has them now. With the place's work held.
void mos_offsite_sync_keys(struct mos_offsite_place *place);
// The place has all keys as of the active version.
mos_status mos_offsite_note_keys(struct mos_offsite_place *place, struct mos_error *error);
// The newest sealed copy of the catalog to the place. With the place's work held.
void mos_offsite_send_catalog(struct mos_offsite_place *place);
// Seals a copy of the catalog beside the data.
mos_status mos_offsite_keep_catalog(mos_offsite *offsite, struct mos_error *error);
// Objects that are archived at the place are made ready: asks the provider, and waits.
mos_status mos_offsite_thaw(struct mos_offsite_place *place, mos_stored_object *const *objects, size_t count,
                            const struct mos_store_call *call, struct mos_error *error);
// Backups in the repository that need something of these objects; in the arena.
mos_status mos_offsite_blast(mos_offsite *offsite, char *const *names, size_t count, mos_arena *arena, char ***out, size_t *out_count,
                             struct mos_error *error);
void mos_offsite_wake(mos_offsite *offsite);
// Blocks until there is news behind that generation, the time (0: none) has come, or all ends.
void mos_offsite_sleep(mos_offsite *offsite, uint64_t generation, int64_t until_unix_ns);
uint64_t mos_offsite_generation(mos_offsite *offsite);
// A URL without slashes at its end; the caller's.
char *mos_offsite_trimmed(const char *url);
// As part of a change: a copy of the backup at the place is to be, where there is none yet.
mos_status mos_offsite_want(mos_catalog_session *session, const struct mos_offsite_place *place, const struct mos_backup *backup,
                            const struct mos_offsite_order *order, const char *actor, char *out_copy_id, struct mos_error *error);
void *mos_offsite_place_main(void *place);
void *mos_offsite_follower_main(void *offsite);
void *mos_offsite_fetcher_main(void *offsite);
// A number of the catalog; 0 where it cannot be read.
int64_t mos_offsite_ask_catalog(mos_offsite *offsite, mos_status (*read)(mos_catalog_session *, int64_t *, struct mos_error *));
// Of the catalog, as mos_catalog_trusted_now; 0 also where it cannot be read.
int64_t mos_offsite_trusted_now(mos_offsite *offsite);
// Of its order or its policy, counted from the upload; 0: as long as its backup.
int64_t mos_offsite_own_days(mos_catalog_session *session, const struct mos_copy *copy);
int64_t mos_offsite_expiry(mos_offsite *offsite, const struct mos_copy *copy);

// Alerts of ours. `subject` tells two of a kind apart.
void mos_offsite_raise(mos_offsite *offsite, enum mos_alert_type type, const char *subject, const char *backup_id, const char *message,
                       char *const *hurt, size_t hurt_count);
void mos_offsite_resolve(mos_offsite *offsite, enum mos_alert_type type, const char *subject);
// The alert that says that a copy's lock cannot be extended.
void mos_offsite_resolve_lock(mos_offsite *offsite, const char *copy_id);

#endif
