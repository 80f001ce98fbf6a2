// What the parts of the repository know of it.
#ifndef MOS_ENGINE_REPO_REPOSITORY_INTERNAL_H
#define MOS_ENGINE_REPO_REPOSITORY_INTERNAL_H

#include "engine/repo/key_object.h"
#include "engine/repo/repository.h"

#define MOS_LOCK_RUNNING "running"
#define MOS_LOCK_INDEX "index"
// Exclusive while the keyring or the wrapping of keys changes.
#define MOS_LOCK_KEYS "keys"
// keys/repository: the repository secret.
#define MOS_SECRET_FOLDER "keys/repository"
#define MOS_LOCK_READING "reading"
#define MOS_LOCK_PRUNE "prune"

// Derived from the repository secret; in memory for keys.
struct mos_repository_keys {
    struct mos_key chunk_id;
    struct mos_key index;
    struct mos_key index_mac;
    struct mos_key catalog;
    struct mos_key escrow;
    uint64_t gear[MOS_GEAR_ENTRIES];
    uint64_t tree_cut;
};

struct mos_repository {
    char *path;
    int root;
    uint8_t id[16];
    uint8_t object_hash[MOS_HASH_BYTES];
    struct mos_chunk_limits limits;
    const mos_keyring *keyring;
    // NULL without a keyring and when the secret is lost: old backups can be read then, new ones not written; `keys_error` says why.
    struct mos_repository_keys *keys;
    struct mos_error keys_error;
};

void mos_chunk_id_of(const struct mos_repository_keys *keys, const void *data, size_t size_bytes, struct mos_chunk_id *out);
// Clears tmp/ and writes `repository` or its copy where one of them is missing: what killed processes left. With lock/running held
// exclusively. Adds the size of what it removed.
void mos_repository_tidy(const mos_repository *repository, int64_t *inout_bytes);
// Removes the objects in keys/<id> and the folder; MOS_OK too where there is none. Adds the size of what it removed.
mos_status mos_repository_remove_keys(mos_repository *repository, const char *backup_id, int64_t *inout_bytes, struct mos_error *error);
// MOS_NOT_FOUND naming the id when it is no id of a backup, which also keeps it out of file names.
mos_status mos_backup_id_check(const char *backup_id, struct mos_error *error);
struct mos_key_binding mos_secret_key_binding(const mos_repository *repository);
struct mos_key_binding mos_backup_key_binding(const mos_repository *repository, const char *backup_id);
mos_status mos_backup_key_load(const mos_repository *repository, const char *backup_id, struct mos_key *out_key, uint32_t *out_version,
                               struct mos_error *error);

#endif
