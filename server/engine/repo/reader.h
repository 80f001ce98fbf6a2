// Reads one backup: its facts, its tree, its chunks.
#ifndef MOS_ENGINE_REPO_READER_H
#define MOS_ENGINE_REPO_READER_H

#include "common/status.h"
#include "engine/repo/repository.h"
#include "engine/repo/tree.h"
#include "engine/repo/writer.h"
#include "mosaajii/engine/v1/engine.pb-c.h"

// Chunks may be read by several threads at once.
typedef struct mos_reader mos_reader;

// MOS_NOT_FOUND: no such backup. MOS_CORRUPT: manifest or key object is damaged. MOS_FAILED_PRECONDITION: the keyring lacks the key.
mos_status mos_reader_open(mos_repository *repository, const char *backup_id, mos_reader **out, struct mos_error *error);
// The same with the backup's own data key instead of a keyring.
mos_status mos_reader_open_with_key(mos_repository *repository, const char *backup_id, const struct mos_key *data_key, mos_reader **out,
                                    struct mos_error *error);
void mos_reader_close(mos_reader *reader);

// Borrowed, as long as the reader is open.
const Mosaajii__Engine__V1__BackupInfo *mos_reader_info(const mos_reader *reader);
const struct mos_record *mos_reader_record(const mos_reader *reader);

struct mos_pack_list;
// Adds the packs in which the backup's chunks lie.
void mos_reader_add_packs(const mos_reader *reader, struct mos_pack_list *list);

// A chunk's plaintext, shared and never changed.
struct mos_chunk {
    const uint8_t *data;
    size_t size_bytes;
};
// Blocks on disk; recently read chunks are kept (32 MiB). MOS_CORRUPT (or MOS_NOT_FOUND where the pack is gone) names the object. On MOS_OK
// the caller gives *out back with mos_chunk_release.
mos_status mos_reader_chunk(mos_reader *reader, const struct mos_chunk_id *id, const struct mos_chunk **out, struct mos_error *error);
void mos_chunk_release(const struct mos_chunk *chunk);

// Walks over the tree in path order; memory is bounded. Not thread safe per object, several may be open.
typedef struct mos_tree_reader mos_tree_reader;
// From the first path at or after `from` (NULL or empty: from the beginning).
mos_status mos_tree_open(mos_reader *reader, const void *from, size_t from_bytes, mos_tree_reader **out, struct mos_error *error);
// *out is borrowed until the next call; NULL at the end. MOS_CORRUPT: a part of the tree is lost, and the message says from which path to
// which; the next call goes on behind it.
mos_status mos_tree_next(mos_tree_reader *tree, const struct mos_entry **out, struct mos_error *error);
// Goes forward to the first path at or after `from`.
mos_status mos_tree_seek(mos_tree_reader *tree, const void *from, size_t from_bytes, struct mos_error *error);
void mos_tree_close(mos_tree_reader *tree);

// The extents of an entry, part by part (a file has one part for each few gigabytes): part 0 to mos_entry_parts(entry) - 1. Borrowed until
// the next call on this tree.
size_t mos_entry_parts(const struct mos_entry *entry);
mos_status mos_tree_extents(mos_tree_reader *tree, const struct mos_entry *entry, size_t part, const struct mos_extent **out,
                            size_t *out_count, struct mos_error *error);

#endif
