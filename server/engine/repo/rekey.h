// Key versions and what needs them: rewrapping, counting, retiring. Packs and manifests are never touched.
#ifndef MOS_ENGINE_REPO_REKEY_H
#define MOS_ENGINE_REPO_REKEY_H

#include "engine/repo/repository.h"

// Held by whoever changes the keyring or the wrapping of keys of this repository, from before the repository is opened for it: several
// keyrings may share one. Does not block: MOS_UNAVAILABLE while another process holds it. Closing the descriptor gives it back.
mos_status mos_repository_lock_keys(const mos_repository *repository, int *out_descriptor, struct mos_error *error);
// The highest number that any wrapped key stands under, up to `most`; 0: none.
mos_status mos_repository_highest_key(mos_repository *repository, uint32_t most, uint32_t *out, struct mos_error *error);

// Says of an escrow copy where it comes from: the secret of this repository over the copy's digest. false: the secret is lost.
bool mos_repository_escrow_origin(const mos_repository *repository, const mos_keyring *copy, uint8_t out_origin[MOS_HASH_BYTES]);
// Whether an escrow copy belongs here: its origin says so, or, where it has none, it shares a key with the keyring or opens something in
// the repository. MOS_INVALID_ARGUMENT: it does not.
mos_status mos_repository_check_escrow(mos_repository *repository, mos_keyring *copy, struct mos_error *error);

// What a rewrapping tells as it goes on.
struct mos_rewrap_progress {
    // This backup's key, or the repository secret ("repository"), is now under the active version: it was made so just now, or it was
    // before.
    void (*done)(void *context, const char *owner, bool now);
    // One that cannot be: its key does not open.
    void (*failed)(void *context, const char *owner, const char *reason);
    // MOS_OK to go on.
    mos_status (*check)(void *context, struct mos_error *error);
    void *context;
};

// With the keys locked: wraps the repository secret and every backup's key under the active version, and then removes the objects of other
// versions, each only when the key that the keyring's file holds by then has opened the new one. An object of the active version that is
// whole and does not open was made with another key of that number: it is left as it is, and its owner counts as failed. What has its
// object already is left alone, so that a run that was interrupted is simply begun again. Backups may begin, end and be deleted
// meanwhile. A KMS that fails ends it with its status.
mos_status mos_repository_rewrap(mos_repository *repository, const struct mos_rewrap_progress *progress, struct mos_error *error);

// Calls `visit` for every wrapped key with the version under which it opens first, until it returns something else than MOS_OK. With
// `unwrap` each is opened, and `failure` says why one does not; without, the newest version there is counts. NULL: it is well. A KMS that
// does not answer ends it with its status: MOS_UNAVAILABLE, MOS_RESOURCE_EXHAUSTED.
mos_status mos_repository_each_key(mos_repository *repository, bool unwrap,
                                   mos_status (*visit)(void *context, const char *owner, uint32_t version, const char *failure,
                                                       struct mos_error *error),
                                   void *context, struct mos_error *error);

// With the keys locked. MOS_FAILED_PRECONDITION: something needs the version, or a backup runs. Else the keyring no longer holds it.
mos_status mos_repository_retire_key(mos_repository *repository, mos_keyring *keyring, const char *keyring_path, uint32_t version,
                                     struct mos_error *error);

#endif
