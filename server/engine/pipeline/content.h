// The content of an entry, from its chunks to wherever it is to be. Not thread safe per object.
#ifndef MOS_ENGINE_PIPELINE_CONTENT_H
#define MOS_ENGINE_PIPELINE_CONTENT_H

#include "engine/repo/reader.h"

// The chunk read last: neighbours often share one.
struct mos_content_cache {
    struct mos_chunk_id id;
    const struct mos_chunk *chunk;
};
void mos_content_cache_free(struct mos_content_cache *cache);

// Takes bytes that belong at `offset_bytes` of the file.
typedef mos_status (*mos_content_sink)(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error);

// Bytes of content that a file or database has: without holes.
uint64_t mos_content_bytes(const struct mos_entry *entry);
// Hands the content of these extents to the sink, where `content_offset_bytes` of the content is where the first begins. Failures are the
// sink's, and those of mos_reader_chunk.
mos_status mos_content_extents(mos_reader *reader, struct mos_content_cache *cache, const struct mos_entry *entry,
                               uint64_t content_offset_bytes, const struct mos_extent *extents, size_t count, mos_content_sink sink,
                               void *context, struct mos_error *error);
// All of it. `tree` is where the entry came from.
mos_status mos_content_all(mos_reader *reader, mos_tree_reader *tree, const struct mos_entry *entry, mos_content_sink sink, void *context,
                           struct mos_error *error);

#endif
