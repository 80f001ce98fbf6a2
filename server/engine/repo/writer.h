// Writes one backup: content goes in as chunks (each stored once in the whole repository), entries in path order; finish commits.
//
//     mos_writer_begin(repository, &options, &writer, error);
//     workers, in parallel:  mos_writer_put(writer, worker, data, size, &id, &was_new, error);
//     one thread:            mos_writer_add(writer, &entry, error);
//     mos_writer_finish(writer, info, &record, error);   or nothing at all: it was never there
//     mos_writer_free(writer);
#ifndef MOS_ENGINE_REPO_WRITER_H
#define MOS_ENGINE_REPO_WRITER_H

#include "common/status.h"
#include "engine/repo/repository.h"
#include "engine/repo/tree.h"
#include "mosaajii/engine/v1/engine.pb-c.h"

#define MOS_WRITER_MOST_WORKERS 64u

typedef struct mos_writer mos_writer;

struct mos_writer_options {
    // A canonical UUID. MOS_ALREADY_EXISTS when the repository has such a backup.
    const char *backup_id;
    // zstd level 1 to 19; 0: do not compress.
    int compression_level;
    // Threads that will call mos_writer_put: 1 to MOS_WRITER_MOST_WORKERS.
    unsigned workers;
};

// Waits for a running deletion; holds the repository's shared lock until it is freed.
mos_status mos_writer_begin(mos_repository *repository, const struct mos_writer_options *options, mos_writer **out,
                            struct mos_error *error);
// Whatever was not finished is given up: chunks in finished packs stay for the next run. NULL is allowed.
void mos_writer_free(mos_writer *writer);

// Stores a chunk (1 byte to the repository's max_bytes) unless the repository has it. Blocks on disk. `worker`: 0 to workers - 1; calls
// with different workers may run at once. `data` is the caller's again on return. After a failure every later call fails with the same
// error.
mos_status mos_writer_put(mos_writer *writer, unsigned worker, const void *data, size_t size_bytes, struct mos_chunk_id *out_id,
                          bool *out_was_new, struct mos_error *error);
// For content known from a parent: whether the repository still has the chunk; if so, this backup refers to it. Thread safe.
mos_status mos_writer_reuse(mos_writer *writer, const struct mos_chunk_id *id, bool *out_found, struct mos_error *error);
// The next entry; paths ascend. MOS_INVALID_ARGUMENT for one that the format cannot hold (the writer goes on without it). One thread;
// may run beside mos_writer_put. All chunks of its extents have been put or reused.
mos_status mos_writer_add(mos_writer *writer, const struct mos_entry *entry, struct mos_error *error);

struct mos_writer_totals {
    // Sealed size of all distinct chunks that the backup needs so far.
    int64_t encrypted_bytes;
    // Plain size of the chunks that were new.
    int64_t new_bytes;
    // What the new chunks took on disk.
    int64_t written_bytes;
};
// Thread safe.
void mos_writer_totals(const mos_writer *writer, struct mos_writer_totals *out);

struct mos_record {
    // "local/1"
    char key_id[32];
    // SHA-256, hexadecimal: of the content (the tree's chunk ids), and of the manifest object.
    char checksum[2 * MOS_HASH_BYTES + 1];
    char encrypted_checksum[2 * MOS_HASH_BYTES + 1];
    // Name of the manifest object: backups/<id>.
    char manifest[MOS_OBJECT_NAME_BYTES];
};

// Flushes everything, then commits the manifest; on MOS_OK the backup exists and survives a crash. Fills encrypted_size, bytes_new and
// bytes_written of info->statistics (where there is one); the rest of `info` is stored as given, with the backup's id. Blocks on disk. Once
// only, with no other call running.
mos_status mos_writer_finish(mos_writer *writer, Mosaajii__Engine__V1__BackupInfo *info, struct mos_record *out, struct mos_error *error);

#endif
