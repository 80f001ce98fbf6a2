#include "engine/pipeline/content.h"

#include <string.h>

void mos_content_cache_free(struct mos_content_cache *cache) {
    mos_chunk_release(cache->chunk);
    cache->chunk = NULL;
}

uint64_t mos_content_bytes(const struct mos_entry *entry) {
    uint64_t bytes = entry->sparse ? 0 : entry->size_bytes;
    for (size_t i = 0; entry->sparse && i < entry->range_count; i++) {
        bytes += entry->ranges[i].length_bytes;
    }
    return bytes;
}

// Where a place in the content lies in the file.
struct cursor {
    const struct mos_entry *entry;
    size_t range;
    uint64_t range_offset_bytes;
    uint64_t plain_offset_bytes;
};

static struct cursor cursor_at(const struct mos_entry *entry, uint64_t content_offset_bytes) {
    struct cursor cursor = {.entry = entry, .plain_offset_bytes = content_offset_bytes};
    if (entry->sparse) {
        while (cursor.range < entry->range_count && content_offset_bytes >= entry->ranges[cursor.range].length_bytes) {
            content_offset_bytes -= entry->ranges[cursor.range++].length_bytes;
        }
        cursor.range_offset_bytes = content_offset_bytes;
    }
    return cursor;
}

// Gives the next piece to the sink; *out_taken: how much of it lies in one place.
static mos_status put(struct cursor *cursor, const void *data, size_t size_bytes, size_t *out_taken, mos_content_sink sink, void *context,
                      struct mos_error *error) {
    const struct mos_entry *entry = cursor->entry;
    uint64_t offset = cursor->plain_offset_bytes;
    *out_taken = size_bytes;
    if (entry->sparse) {
        if (cursor->range == entry->range_count) {
            return mos_fail(error, MOS_CORRUPT, "there is more content than the file has room for");
        }
        const struct mos_range *range = &entry->ranges[cursor->range];
        uint64_t left = range->length_bytes - cursor->range_offset_bytes;
        *out_taken = left < size_bytes ? (size_t)left : size_bytes;
        offset = range->offset_bytes + cursor->range_offset_bytes;
        cursor->range_offset_bytes += *out_taken;
        if (cursor->range_offset_bytes == range->length_bytes) {
            cursor->range++;
            cursor->range_offset_bytes = 0;
        }
    }
    if (offset + *out_taken > entry->size_bytes) {
        return mos_fail(error, MOS_CORRUPT, "there is more content than the file has room for");
    }
    cursor->plain_offset_bytes += *out_taken;
    return sink(context, data, *out_taken, offset, error);
}

static mos_status fetch(mos_reader *reader, struct mos_content_cache *cache, const struct mos_chunk_id *id, struct mos_error *error) {
    if (cache->chunk && memcmp(&cache->id, id, sizeof(*id)) == 0) {
        return MOS_OK;
    }
    mos_content_cache_free(cache);
    cache->id = *id;
    return mos_reader_chunk(reader, id, &cache->chunk, error);
}

mos_status mos_content_extents(mos_reader *reader, struct mos_content_cache *cache, const struct mos_entry *entry,
                               uint64_t content_offset_bytes, const struct mos_extent *extents, size_t count, mos_content_sink sink,
                               void *context, struct mos_error *error) {
    struct cursor cursor = cursor_at(entry, content_offset_bytes);
    for (size_t i = 0; i < count; i++) {
        const struct mos_extent *extent = &extents[i];
        mos_status status = fetch(reader, cache, &extent->chunk, error);
        if (status) {
            return status;
        }
        if ((uint64_t)extent->offset_bytes + extent->length_bytes > cache->chunk->size_bytes) {
            return mos_fail(error, MOS_CORRUPT, "its content lies outside of the chunk that should hold it");
        }
        for (size_t done = 0, taken; done < extent->length_bytes; done += taken) {
            status =
                put(&cursor, cache->chunk->data + extent->offset_bytes + done, extent->length_bytes - done, &taken, sink, context, error);
            if (status) {
                return status;
            }
        }
    }
    return MOS_OK;
}

mos_status mos_content_all(mos_reader *reader, mos_tree_reader *tree, const struct mos_entry *entry, mos_content_sink sink, void *context,
                           struct mos_error *error) {
    struct mos_content_cache cache = {0};
    uint64_t offset = 0;
    mos_status status = MOS_OK;
    for (size_t part = 0; part < mos_entry_parts(entry) && status == MOS_OK; part++) {
        const struct mos_extent *extents;
        size_t count;
        status = mos_tree_extents(tree, entry, part, &extents, &count, error);
        if (status == MOS_OK) {
            status = mos_content_extents(reader, &cache, entry, offset, extents, count, sink, context, error);
            for (size_t i = 0; i < count; i++) {
                offset += extents[i].length_bytes;
            }
        }
    }
    mos_content_cache_free(&cache);
    return status;
}
