// The tree's bytes: entries to tree chunks, and tree chunks to entries. docs/design/repository-format.md has the layout.
#ifndef MOS_ENGINE_REPO_TREE_CODEC_H
#define MOS_ENGINE_REPO_TREE_CODEC_H

#include "engine/repo/bytes.h"
#include "engine/repo/tree.h"

// Stores a chunk and gives its id. `first_path` is NULL for a list of extents, and the path of the first entry for a chunk of the tree.
typedef mos_status (*mos_tree_put)(void *context, const void *data, size_t size_bytes, const char *first_path, size_t first_path_bytes,
                                   struct mos_chunk_id *out_id, struct mos_error *error);

typedef struct mos_tree_encoder mos_tree_encoder;
// `cut_seed`: the repository's, so that sizes of tree chunks tell nothing about names.
mos_tree_encoder *mos_tree_encoder_create(uint64_t cut_seed, mos_tree_put put, void *context);
// MOS_INVALID_ARGUMENT: the entry breaks a rule or the order, nothing happened. Other failures are those of `put`.
mos_status mos_tree_encoder_add(mos_tree_encoder *encoder, const struct mos_entry *entry, struct mos_error *error);
// Puts the last chunk.
mos_status mos_tree_encoder_finish(mos_tree_encoder *encoder, struct mos_error *error);
void mos_tree_encoder_destroy(mos_tree_encoder *encoder);

// Makes the copy of a tree chunk of it, in place.
void mos_tree_make_copy(uint8_t *data);

typedef struct mos_tree_decoder mos_tree_decoder;
// One chunk of a tree, or the copy of one; `data` is borrowed as long as the decoder lives. MOS_CORRUPT when it is none.
mos_status mos_tree_decoder_create(const void *data, size_t size_bytes, mos_tree_decoder **out, struct mos_error *error);
// *out is borrowed until the next call; NULL at the end. MOS_CORRUPT for bytes that break a rule, also in every later call.
mos_status mos_tree_decoder_next(mos_tree_decoder *decoder, const struct mos_entry **out, struct mos_error *error);
void mos_tree_decoder_destroy(mos_tree_decoder *decoder);

// A list of extents. *out is the caller's (free).
mos_status mos_extent_list_decode(const void *data, size_t size_bytes, struct mos_extent **out, size_t *out_count, struct mos_error *error);

#endif
