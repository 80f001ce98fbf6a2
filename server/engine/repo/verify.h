// Checks one backup: its objects are there with their sizes, their ciphertext hashes match, every frame opens and every chunk has its id.
//
//     mos_verify_begin(repository, id, report, context, &verify, error);      the repository's, key and manifest objects
//     for each i below mos_verify_packs(verify), in parallel if wanted: mos_verify_pack(verify, i, error);
//     walk mos_verify_reader's tree: mos_verify_chunk_damaged for each extent says which files are hurt
//     mos_verify_result(verify, &result); mos_verify_free(verify);
#ifndef MOS_ENGINE_REPO_VERIFY_H
#define MOS_ENGINE_REPO_VERIFY_H

#include "engine/repo/reader.h"

struct mos_verify_result {
    bool size_valid;
    bool checksum_valid;
    bool encryption_valid;
    int64_t error_count;
    int64_t objects_checked;
    int64_t bytes_checked;
};

typedef struct mos_verify mos_verify;

// `report` is called with one sentence that names the object for each fault, one call at a time, from the thread that found it.
// MOS_NOT_FOUND when there is no such backup; damage is not a failure of the call but of the result.
mos_status mos_verify_begin(mos_repository *repository, const char *backup_id, void (*report)(void *context, const char *message),
                            void *context, mos_verify **out, struct mos_error *error);
// The same without the repository's own objects, for checking many backups; and those alone, added to *out.
mos_status mos_verify_begin_backup(mos_repository *repository, const char *backup_id, void (*report)(void *context, const char *message),
                                   void *context, mos_verify **out, struct mos_error *error);
void mos_verify_shared(mos_repository *repository, void (*report)(void *context, const char *message), void *context,
                       struct mos_verify_result *out);
// Borrowed; NULL when the manifest cannot be read (every file is hurt then, and there are no packs to check).
mos_reader *mos_verify_reader(mos_verify *verify);
size_t mos_verify_packs(const mos_verify *verify);
int64_t mos_verify_pack_bytes(const mos_verify *verify, size_t index);
// Borrowed, MOS_PACK_ID_BYTES.
const uint8_t *mos_verify_pack_id(const mos_verify *verify, size_t index);
// Without reading what is in it: the pack is there with its size, and its footer opens. Thread safe.
mos_status mos_verify_pack_presence(mos_verify *verify, size_t index, struct mos_error *error);
// The chunks of a pack that was checked and is damaged. Thread safe for different packs.
void mos_verify_bad_chunks(const mos_verify *verify, size_t index, void (*visit)(void *context, const struct mos_chunk_id *id),
                           void *context);
// Reads the pack once. Fails only when the check could not be made at all (no memory of a pack's fault). Thread safe.
mos_status mos_verify_pack(mos_verify *verify, size_t index, struct mos_error *error);
// After all packs: the chunk is missing or damaged, or shorter than the extent. Thread safe.
bool mos_verify_extent_damaged(const mos_verify *verify, const struct mos_extent *extent);
// Whether a pack says that it holds the chunk, as long as the extent needs it; whether the pack was checked does not matter. Thread safe.
bool mos_verify_extent_found(const mos_verify *verify, const struct mos_extent *extent);
// After all packs: each part of the tree and each copy is in one of them. What is not is a fault.
void mos_verify_tree(mos_verify *verify);
// For faults found by the caller while it walks the tree: counted and reported as encryption faults.
void mos_verify_fault(mos_verify *verify, const char *message);
void mos_verify_result(const mos_verify *verify, struct mos_verify_result *out);
// Pack ids (MOS_PACK_ID_BYTES each) that had a fault, for mos_repository_distrust_packs. Borrowed.
const uint8_t *mos_verify_damaged_packs(const mos_verify *verify, size_t *out_count);
void mos_verify_free(mos_verify *verify);

#endif
