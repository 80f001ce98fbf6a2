// A repository: a folder of write-once, encrypted objects. docs/design/repository-format.md has the layouts.
//
// The writer (writer.h) makes a backup, the reader (reader.h) reads one, verify.h checks one.
#ifndef MOS_ENGINE_REPO_REPOSITORY_H
#define MOS_ENGINE_REPO_REPOSITORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/id.h"
#include "common/status.h"
#include "engine/chunk/chunker.h"
#include "engine/crypto/hash.h"
#include "engine/repo/keyring.h"

#define MOS_REPOSITORY_FORMAT 1
#define MOS_CHUNK_ID_BYTES MOS_HASH_BYTES
#define MOS_PACK_ID_BYTES 16
#define MOS_OBJECT_NAME_BYTES 128

struct mos_chunk_id {
    uint8_t bytes[MOS_CHUNK_ID_BYTES];
};

// Immutable after opening; all functions may be called from several threads.
typedef struct mos_repository mos_repository;

// Makes the folder and the repository in it; MOS_ALREADY_EXISTS where there is one, MOS_FAILED_PRECONDITION where the folder holds
// something else. `keyring` is borrowed until the repository is closed.
mos_status mos_repository_create(const char *path, const mos_keyring *keyring, mos_repository **out, struct mos_error *error);
// MOS_NOT_FOUND where there is none, MOS_CORRUPT when it is damaged, MOS_FAILED_PRECONDITION when no key of the keyring opens it.
// `keyring` NULL: only mos_reader_open_with_key, listing and checksums work.
mos_status mos_repository_open(const char *path, const mos_keyring *keyring, mos_repository **out, struct mos_error *error);
void mos_repository_close(mos_repository *repository);

// Borrowed.
const char *mos_repository_path(const mos_repository *repository);
const uint8_t *mos_repository_id(const mos_repository *repository);
const struct mos_chunk_limits *mos_repository_chunk_limits(const mos_repository *repository);
// For mos_chunker_init; NULL without a keyring.
const uint64_t *mos_repository_gear(const mos_repository *repository);
const mos_keyring *mos_repository_keyring(const mos_repository *repository);

// Whether backups can be made: MOS_OK, or why not (opened without a keyring, or the repository secret is lost or of another keyring; old
// backups can be read then all the same).
mos_status mos_repository_writable(const mos_repository *repository, struct mos_error *error);

// Calls `visit` for every committed backup, in order of id, until it returns something else than MOS_OK.
mos_status mos_repository_each_backup(const mos_repository *repository,
                                      mos_status (*visit)(void *context, const char *backup_id, struct mos_error *error), void *context,
                                      struct mos_error *error);
// Whether there is a manifest of the backup, readable or not.
mos_status mos_repository_has_backup(const mos_repository *repository, const char *backup_id, bool *out, struct mos_error *error);

struct mos_deletion {
    // Sizes of the removed manifest, keys and packs.
    int64_t bytes_freed;
    // Packs that nothing refers to any more and that could not be removed now: a backup runs, or `notice` says why.
    int64_t bytes_pending;
    // Object names, as packs/ab/ab01…; arrays and names belong to the caller: mos_deletion_free.
    char **packs_removed;
    size_t packs_removed_count;
    // Packs that other backups still need (or might need, when one of them cannot be read).
    char **packs_kept;
    size_t packs_kept_count;
    // One sentence, or empty.
    char notice[512];
};
// Also after a failed deletion.
void mos_deletion_free(struct mos_deletion *deletion);

// Removes the manifest and then the keys (this is the commit of the deletion), then the packs that no other backup refers to. Does not wait
// for running backups. MOS_NOT_FOUND when there is no such backup; calling it again after a crash finishes what it can.
mos_status mos_repository_delete(mos_repository *repository, const char *backup_id, struct mos_deletion *out, struct mos_error *error);

// Makes the local index anew from all manifests, for when index/ was lost. Backups that cannot be read are left out and counted.
mos_status mos_repository_rebuild_index(mos_repository *repository, int64_t *out_unreadable, struct mos_error *error);
// The same from nothing, for when the index is there and not to be trusted.
mos_status mos_repository_repair_index(mos_repository *repository, int64_t *out_unreadable, struct mos_error *error);
// Takes packs out of the local index, so that no later backup relies on them; their chunks are written again when next seen.
// `pack_ids`: count times MOS_PACK_ID_BYTES.
mos_status mos_repository_distrust_packs(mos_repository *repository, const uint8_t *pack_ids, size_t count, struct mos_error *error);

#endif
