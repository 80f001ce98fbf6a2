// The manifest: the object whose existence is a backup's commit. Thread safe.
#ifndef MOS_ENGINE_REPO_MANIFEST_H
#define MOS_ENGINE_REPO_MANIFEST_H

#include "common/arena.h"
#include "common/buffer.h"
#include "engine/repo/pack.h"
#include "mosaajii/engine/v1/repository.pb-c.h"

#define MOS_MANIFEST_LIMIT_BYTES (1u << 30)
#define MOS_MANIFEST_HEADER_BYTES 42u

// backups/<id>; keys/<id>.
void mos_manifest_name(const char *backup_id, char out_name[MOS_OBJECT_NAME_BYTES]);
void mos_backup_keys_name(const char *backup_id, char out_name[MOS_OBJECT_NAME_BYTES]);

// The whole object, appended to `out`. MOS_RESOURCE_EXHAUSTED when it would be larger than the format allows.
mos_status mos_manifest_seal(const Mosaajii__Engine__V1__Manifest *manifest, const char *backup_id, const struct mos_key *data_key,
                             struct mos_buffer *out, struct mos_error *error);
// What can be seen without a key.
void mos_manifest_examine(const uint8_t *object, size_t size_bytes, bool *out_size_valid, bool *out_checksum_valid);
// MOS_CORRUPT when it does not open or does not hold what it should. The plaintext is not kept.
mos_status mos_manifest_open(const uint8_t *object, size_t size_bytes, const char *backup_id, const struct mos_key *data_key,
                             mos_arena *arena, Mosaajii__Engine__V1__Manifest **out, struct mos_error *error);
// The message alone: unpacked, and every rule checked. What mos_manifest_open does with the plaintext, and the fuzzer. An arena with a
// ceiling bounds what a hostile message can take.
mos_status mos_manifest_decode(const uint8_t *plain, size_t size_bytes, mos_arena *arena, Mosaajii__Engine__V1__Manifest **out,
                               struct mos_error *error);
// A pack as a checked manifest names it.
void mos_manifest_pack(const Mosaajii__Engine__V1__Pack *from, struct mos_pack *out);
// Wipes the pack keys in an unpacked manifest.
void mos_manifest_wipe(Mosaajii__Engine__V1__Manifest *manifest);

#endif
