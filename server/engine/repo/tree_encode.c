#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "engine/repo/chunk_map.h"
#include "engine/repo/tree_codec.h"
#include "engine/repo/tree_internal.h"

#define CUT_FROM_BYTES (64u << 10)
#define CUT_AT_BYTES (1u << 20)
#define CUT_MASK 2047u

// The extents of one tree chunk or list, with the table of the chunk ids they use.
struct extent_encoder {
    struct mos_buffer ids;
    struct mos_chunk_map numbers;
    bool has_previous;
    struct mos_chunk_id previous;
    uint64_t previous_end;
};

struct mos_tree_encoder {
    uint64_t cut_seed;
    mos_tree_put put;
    void *context;
    struct mos_buffer records;
    uint64_t record_count;
    struct extent_encoder extents;
    struct mos_buffer first_path;
    // In this chunk, empty at its beginning; and over all chunks, for the order.
    struct mos_buffer previous_path;
    struct mos_buffer last_path;
    uint32_t uid;
    uint32_t gid;
    char user[MOS_TREE_OWNER_LIMIT_BYTES + 1];
    char group[MOS_TREE_OWNER_LIMIT_BYTES + 1];
};

mos_tree_encoder *mos_tree_encoder_create(uint64_t cut_seed, mos_tree_put put, void *context) {
    mos_tree_encoder *encoder = mos_calloc(1, sizeof(*encoder));
    encoder->cut_seed = cut_seed;
    encoder->put = put;
    encoder->context = context;
    return encoder;
}

static void extent_encoder_reset(struct extent_encoder *extents) {
    mos_buffer_clear(&extents->ids);
    if (extents->numbers.count) {
        mos_chunk_map_clear(&extents->numbers);
    }
    extents->has_previous = false;
}

static void extent_encoder_free(struct extent_encoder *extents) {
    mos_buffer_free(&extents->ids);
    mos_chunk_map_free(&extents->numbers);
}

void mos_tree_encoder_destroy(mos_tree_encoder *encoder) {
    if (encoder) {
        mos_buffer_free(&encoder->records);
        extent_encoder_free(&encoder->extents);
        mos_buffer_free(&encoder->first_path);
        mos_buffer_free(&encoder->previous_path);
        mos_buffer_free(&encoder->last_path);
        free(encoder);
    }
}

// `rest_bytes`: what is left of the content with this extent; UINT64_MAX where that must not be said.
static void encode_extent(struct extent_encoder *extents, struct mos_buffer *out, const struct mos_extent *extent, uint64_t rest_bytes) {
    uint64_t chunk = CHUNK_SAME;
    uint64_t expected = extents->previous_end;
    if (!extents->has_previous || memcmp(extents->previous.bytes, extent->chunk.bytes, MOS_CHUNK_ID_BYTES) != 0) {
        const struct mos_chunk_place *known = mos_chunk_map_find(&extents->numbers, &extent->chunk);
        expected = 0;
        if (known) {
            chunk = CHUNK_NUMBERED + (uint64_t)known->value;
        } else {
            chunk = CHUNK_NEXT;
            mos_chunk_map_insert(&extents->numbers, &extent->chunk, 0, (uint32_t)extents->numbers.count);
            mos_buffer_append(&extents->ids, extent->chunk.bytes, MOS_CHUNK_ID_BYTES);
        }
    }
    bool follows = extent->offset_bytes == expected;
    bool rest = extent->length_bytes == rest_bytes;
    mos_append_varint(out, chunk << EXTENT_CHUNK_SHIFT | (follows ? EXTENT_OFFSET_FOLLOWS_ON : 0) | (rest ? EXTENT_REST : 0));
    if (!follows) {
        mos_append_varint(out, extent->offset_bytes);
    }
    if (!rest) {
        mos_append_varint(out, extent->length_bytes);
    }
    extents->has_previous = true;
    extents->previous = extent->chunk;
    extents->previous_end = (uint64_t)extent->offset_bytes + extent->length_bytes;
}

static mos_status put_chunk(mos_tree_encoder *encoder, uint8_t layout, const struct mos_buffer *ids, uint64_t count,
                            const struct mos_buffer *records, const struct mos_buffer *first_path, struct mos_chunk_id *out_id,
                            struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer chunk = {0};
    mos_buffer_reserve(&chunk, ids->size_bytes + records->size_bytes + 32);
    mos_buffer_append_byte(&chunk, layout);
    mos_append_varint(&chunk, ids->size_bytes / MOS_CHUNK_ID_BYTES);
    mos_buffer_append(&chunk, ids->data, ids->size_bytes);
    mos_append_varint(&chunk, count);
    mos_buffer_append(&chunk, records->data, records->size_bytes);
    return encoder->put(encoder->context, chunk.data, chunk.size_bytes, first_path ? (const char *)first_path->data : NULL,
                        first_path ? first_path->size_bytes : 0, out_id, error);
}

mos_status mos_tree_encoder_finish(mos_tree_encoder *encoder, struct mos_error *error) {
    if (encoder->record_count == 0) {
        return MOS_OK;
    }
    struct mos_chunk_id id;
    mos_status status = put_chunk(encoder, MOS_TREE_LAYOUT, &encoder->extents.ids, encoder->record_count, &encoder->records,
                                  &encoder->first_path, &id, error);
    mos_buffer_clear(&encoder->records);
    encoder->record_count = 0;
    extent_encoder_reset(&encoder->extents);
    mos_buffer_clear(&encoder->previous_path);
    return status;
}

static bool cut_before(const mos_tree_encoder *encoder, const struct mos_entry *entry) {
    size_t size = encoder->records.size_bytes + encoder->extents.ids.size_bytes;
    if (encoder->record_count == 0 || size < CUT_FROM_BYTES) {
        return false;
    }
    uint64_t hash = encoder->cut_seed;
    for (size_t i = 0; i < entry->path_bytes; i++) {
        hash = (hash ^ (uint8_t)entry->path[i]) * UINT64_C(0x100000001b3);
    }
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    hash ^= hash >> 33;
    return size >= CUT_AT_BYTES || (hash & CUT_MASK) == 0;
}

static uint64_t content_bytes(const struct mos_entry *entry) {
    uint64_t content = entry->size_bytes;
    if (entry->sparse) {
        content = 0;
        for (size_t i = 0; i < entry->range_count; i++) {
            content += entry->ranges[i].length_bytes;
        }
    }
    return content;
}

// A long list goes into chunks of its own; their ids are appended to `out_ids`.
static mos_status put_lists(mos_tree_encoder *encoder, const struct mos_entry *entry, struct mos_buffer *out_ids, struct mos_error *error) {
    struct extent_encoder extents = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer records = {0};
    mos_status status = MOS_OK;
    for (size_t begin = 0; begin < entry->extent_count && status == MOS_OK; begin += MOS_LIST_MAX_EXTENTS) {
        size_t count = entry->extent_count - begin < MOS_LIST_MAX_EXTENTS ? entry->extent_count - begin : MOS_LIST_MAX_EXTENTS;
        for (size_t i = begin; i < begin + count; i++) {
            encode_extent(&extents, &records, &entry->extents[i], UINT64_MAX);
        }
        struct mos_chunk_id id;
        status = put_chunk(encoder, MOS_LIST_LAYOUT, &extents.ids, count, &records, NULL, &id, error);
        mos_buffer_append(out_ids, id.bytes, sizeof(id.bytes));
        mos_buffer_clear(&records);
        extent_encoder_reset(&extents);
    }
    extent_encoder_free(&extents);
    return status;
}

static void encode_path(mos_tree_encoder *encoder, const struct mos_entry *entry) {
    size_t shared = 0;
    while (shared < encoder->previous_path.size_bytes && shared < entry->path_bytes &&
           encoder->previous_path.data[shared] == (uint8_t)entry->path[shared]) {
        shared++;
    }
    mos_append_varint(&encoder->records, shared);
    mos_append_string(&encoder->records, entry->path + shared, entry->path_bytes - shared);
    mos_buffer_clear(&encoder->previous_path);
    mos_buffer_append(&encoder->previous_path, entry->path, entry->path_bytes);
}

static void encode_owner(mos_tree_encoder *encoder, const struct mos_entry *entry) {
    mos_append_varint(&encoder->records, entry->uid);
    mos_append_varint(&encoder->records, entry->gid);
    mos_append_string(&encoder->records, entry->user, strlen(entry->user));
    mos_append_string(&encoder->records, entry->group, strlen(entry->group));
    encoder->uid = entry->uid;
    encoder->gid = entry->gid;
    strcpy(encoder->user, entry->user);
    strcpy(encoder->group, entry->group);
}

static void encode_time(struct mos_buffer *out, int64_t unix_ns) {
    int64_t seconds = unix_ns / MOS_NS_PER_SECOND - (unix_ns % MOS_NS_PER_SECOND < 0);
    mos_append_svarint(out, seconds);
    // Never below zero, also before 1970.
    mos_append_varint(out, (uint64_t)unix_ns - (uint64_t)seconds * (uint64_t)MOS_NS_PER_SECOND);
}

static void encode_content(mos_tree_encoder *encoder, const struct mos_entry *entry, const struct mos_buffer *lists) {
    struct mos_buffer *out = &encoder->records;
    mos_append_varint(out, entry->size_bytes);
    if (entry->sparse) {
        uint64_t end = 0;
        mos_append_varint(out, entry->range_count);
        for (size_t i = 0; i < entry->range_count; i++) {
            mos_append_varint(out, entry->ranges[i].offset_bytes - end);
            mos_append_varint(out, entry->ranges[i].length_bytes);
            end = entry->ranges[i].offset_bytes + entry->ranges[i].length_bytes;
        }
    }
    if (lists->size_bytes) {
        mos_append_varint(out, lists->size_bytes / MOS_CHUNK_ID_BYTES);
        mos_buffer_append(out, lists->data, lists->size_bytes);
        return;
    }
    uint64_t rest = content_bytes(entry);
    mos_append_varint(out, entry->extent_count);
    for (size_t i = 0; i < entry->extent_count; i++) {
        encode_extent(&encoder->extents, out, &entry->extents[i], rest);
        rest -= entry->extents[i].length_bytes;
    }
}

static void encode_record(mos_tree_encoder *encoder, const struct mos_entry *entry, const struct mos_buffer *lists) {
    struct mos_buffer *out = &encoder->records;
    bool same_owner = encoder->record_count > 0 && entry->uid == encoder->uid && entry->gid == encoder->gid &&
                      strcmp(entry->user, encoder->user) == 0 && strcmp(entry->group, encoder->group) == 0;
    encode_path(encoder, entry);
    mos_buffer_append_byte(out, (uint8_t)entry->type);
    mos_append_varint(out, (same_owner ? FLAG_SAME_OWNER : 0) | (entry->sparse ? FLAG_SPARSE : 0) | (entry->xattr_count ? FLAG_XATTRS : 0) |
                               (lists->size_bytes ? FLAG_LISTS : 0));
    mos_append_varint(out, entry->mode);
    if (!same_owner) {
        encode_owner(encoder, entry);
    }
    encode_time(out, entry->modified_unix_ns);
    encode_time(out, entry->changed_unix_ns);
    mos_append_varint(out, entry->inode);
    mos_append_varint(out, entry->device);
    switch (entry->type) {
    case MOS_ENTRY_FILE:
    case MOS_ENTRY_DATABASE:
        encode_content(encoder, entry, lists);
        break;
    case MOS_ENTRY_SYMLINK:
    case MOS_ENTRY_HARDLINK:
        mos_append_string(out, entry->link_target, entry->link_target_bytes);
        break;
    case MOS_ENTRY_CHARACTER_DEVICE:
    case MOS_ENTRY_BLOCK_DEVICE:
        mos_append_varint(out, entry->device_major);
        mos_append_varint(out, entry->device_minor);
        break;
    case MOS_ENTRY_DIRECTORY:
    case MOS_ENTRY_FIFO:
    case MOS_ENTRY_SOCKET:
        break;
    }
    if (entry->xattr_count) {
        mos_append_varint(out, entry->xattr_count);
        for (size_t i = 0; i < entry->xattr_count; i++) {
            mos_append_string(out, entry->xattrs[i].name, strlen(entry->xattrs[i].name));
            mos_append_string(out, entry->xattrs[i].value, entry->xattrs[i].value_bytes);
        }
    }
    encoder->record_count++;
}

mos_status mos_tree_encoder_add(mos_tree_encoder *encoder, const struct mos_entry *entry, struct mos_error *error) {
    mos_status status = mos_entry_check(entry, error);
    if (status != MOS_OK) {
        return status;
    }
    if (entry->list_count) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "an entry is added with its extents, not with lists of them");
    }
    if (encoder->last_path.size_bytes &&
        mos_path_compare((const char *)encoder->last_path.data, encoder->last_path.size_bytes, entry->path, entry->path_bytes) >= 0) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "entries are added in path order, each path once");
    }
    MOS_CLEANUP_BUFFER struct mos_buffer lists = {0};
    if (entry->extent_count > MOS_TREE_INLINE_EXTENTS) {
        status = put_lists(encoder, entry, &lists, error);
    }
    if (status == MOS_OK && cut_before(encoder, entry)) {
        status = mos_tree_encoder_finish(encoder, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    if (encoder->record_count == 0) {
        mos_buffer_clear(&encoder->first_path);
        mos_buffer_append(&encoder->first_path, entry->path, entry->path_bytes);
    }
    encode_record(encoder, entry, &lists);
    mos_buffer_clear(&encoder->last_path);
    mos_buffer_append(&encoder->last_path, entry->path, entry->path_bytes);
    return MOS_OK;
}

void mos_tree_make_copy(uint8_t *data) {
    data[0] = MOS_TREE_COPY_LAYOUT;
}
