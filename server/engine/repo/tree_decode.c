#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "engine/repo/tree_codec.h"
#include "engine/repo/tree_internal.h"

// The extents of one tree chunk or list.
struct extent_decoder {
    const uint8_t *ids;
    size_t id_count;
    size_t next_unused;
    bool has_previous;
    struct mos_chunk_id previous;
    uint64_t previous_end;
};

struct mos_tree_decoder {
    struct mos_cursor cursor;
    struct extent_decoder extents;
    uint64_t records_left;
    bool failed;
    struct mos_entry entry;
    char *path;
    bool has_owner;
    char user[MOS_TREE_OWNER_LIMIT_BYTES + 1];
    char group[MOS_TREE_OWNER_LIMIT_BYTES + 1];
    // Texts of the present entry, each with its terminating zero. Every text has a length of at least one byte before it in the chunk, so
    // as many bytes as the chunk has are always enough.
    char *text;
    size_t text_used;
    struct mos_extent *extent_list;
    struct mos_range *range_list;
    struct mos_xattr *xattr_list;
    struct mos_chunk_id *id_list;
};

static mos_status corrupt(struct mos_error *error) {
    return mos_fail(error, MOS_CORRUPT, "a part of the tree breaks the format");
}

static bool begin_extents(struct mos_cursor *cursor, uint8_t layout, struct extent_decoder *extents) {
    if (mos_cursor_byte(cursor) != layout) {
        return false;
    }
    size_t count = (size_t)mos_cursor_varint_max(cursor, MOS_CHUNK_LIMIT_BYTES / MOS_CHUNK_ID_BYTES);
    *extents = (struct extent_decoder){.id_count = count, .ids = mos_cursor_bytes(cursor, count * MOS_CHUNK_ID_BYTES)};
    return !cursor->failed;
}

// `rest_bytes` as in the encoder. false: the bytes break a rule.
static bool decode_extent(struct mos_cursor *cursor, struct extent_decoder *extents, uint64_t rest_bytes, struct mos_extent *out) {
    uint64_t tag = mos_cursor_varint(cursor);
    uint64_t chunk = tag >> EXTENT_CHUNK_SHIFT;
    uint64_t expected = chunk == CHUNK_SAME ? extents->previous_end : 0;
    if (chunk == CHUNK_SAME) {
        if (!extents->has_previous) {
            return false;
        }
        out->chunk = extents->previous;
    } else {
        // Ids behind next_unused have not been introduced yet.
        uint64_t number = chunk == CHUNK_NEXT ? extents->next_unused : chunk - CHUNK_NUMBERED;
        if (number >= extents->id_count || (chunk != CHUNK_NEXT && number >= extents->next_unused)) {
            return false;
        }
        extents->next_unused += chunk == CHUNK_NEXT;
        memcpy(out->chunk.bytes, extents->ids + number * MOS_CHUNK_ID_BYTES, MOS_CHUNK_ID_BYTES);
    }
    uint64_t offset = tag & EXTENT_OFFSET_FOLLOWS_ON ? expected : mos_cursor_varint(cursor);
    if ((tag & EXTENT_REST) && rest_bytes == UINT64_MAX) {
        return false;
    }
    uint64_t length = tag & EXTENT_REST ? rest_bytes : mos_cursor_varint(cursor);
    if (cursor->failed || length == 0 || offset > MOS_CHUNK_LIMIT_BYTES || length > MOS_CHUNK_LIMIT_BYTES - offset) {
        return false;
    }
    out->offset_bytes = (uint32_t)offset;
    out->length_bytes = (uint32_t)length;
    extents->has_previous = true;
    extents->previous = out->chunk;
    extents->previous_end = offset + length;
    return true;
}

mos_status mos_extent_list_decode(const void *data, size_t size_bytes, struct mos_extent **out, size_t *out_count,
                                  struct mos_error *error) {
    struct mos_cursor cursor = {.next = data, .left_bytes = size_bytes};
    struct extent_decoder extents;
    bool valid = begin_extents(&cursor, MOS_LIST_LAYOUT, &extents);
    size_t count = valid ? (size_t)mos_cursor_varint_max(&cursor, MOS_LIST_MAX_EXTENTS) : 0;
    if (!valid || cursor.failed || count == 0) {
        return corrupt(error);
    }
    struct mos_extent *list = mos_calloc(count, sizeof(*list));
    for (size_t i = 0; i < count && valid; i++) {
        valid = decode_extent(&cursor, &extents, UINT64_MAX, &list[i]);
    }
    if (!valid || cursor.left_bytes != 0 || extents.next_unused != extents.id_count) {
        free(list);
        return corrupt(error);
    }
    *out = list;
    *out_count = count;
    return MOS_OK;
}

mos_status mos_tree_decoder_create(const void *data, size_t size_bytes, mos_tree_decoder **out, struct mos_error *error) {
    struct mos_cursor cursor = {.next = data, .left_bytes = size_bytes};
    struct extent_decoder extents;
    uint8_t layout = size_bytes > 0 && *(const uint8_t *)data == MOS_TREE_COPY_LAYOUT ? MOS_TREE_COPY_LAYOUT : MOS_TREE_LAYOUT;
    if (size_bytes > MOS_CHUNK_LIMIT_BYTES || !begin_extents(&cursor, layout, &extents)) {
        return corrupt(error);
    }
    uint64_t records = mos_cursor_varint(&cursor);
    if (cursor.failed || records == 0) {
        return corrupt(error);
    }
    mos_tree_decoder *decoder = mos_calloc(1, sizeof(*decoder));
    decoder->cursor = cursor;
    decoder->extents = extents;
    decoder->records_left = records;
    decoder->path = mos_calloc(1, MOS_TREE_PATH_LIMIT_BYTES + 1);
    decoder->text = mos_malloc(cursor.left_bytes + 1);
    *out = decoder;
    return MOS_OK;
}

void mos_tree_decoder_destroy(mos_tree_decoder *decoder) {
    if (decoder) {
        free(decoder->path);
        free(decoder->text);
        free(decoder->extent_list);
        free(decoder->range_list);
        free(decoder->xattr_list);
        free(decoder->id_list);
        free(decoder);
    }
}

// A string with a zero behind it; `forbid_zero`: none within.
static const char *decode_text(mos_tree_decoder *decoder, size_t limit, size_t *out_size_bytes, bool forbid_zero) {
    const uint8_t *bytes = mos_cursor_string(&decoder->cursor, limit, out_size_bytes);
    if (!bytes || (forbid_zero && memchr(bytes, 0, *out_size_bytes))) {
        decoder->cursor.failed = true;
        *out_size_bytes = 0;
        return "";
    }
    char *text = decoder->text + decoder->text_used;
    memcpy(text, bytes, *out_size_bytes);
    text[*out_size_bytes] = 0;
    decoder->text_used += *out_size_bytes + 1;
    return text;
}

static void decode_path(mos_tree_decoder *decoder) {
    struct mos_entry *entry = &decoder->entry;
    size_t shared = (size_t)mos_cursor_varint_max(&decoder->cursor, entry->path_bytes);
    size_t size = 0;
    const uint8_t *rest = mos_cursor_string(&decoder->cursor, MOS_TREE_PATH_LIMIT_BYTES - shared, &size);
    // The new path differs from the old one first at `shared` (or is longer), which is enough to see that it comes later.
    bool ascends = rest && size > 0 && mos_path_compare(decoder->path + shared, entry->path_bytes - shared, (const char *)rest, size) < 0;
    if (!ascends) {
        decoder->cursor.failed = true;
        return;
    }
    memcpy(decoder->path + shared, rest, size);
    decoder->path[shared + size] = 0;
    entry->path = decoder->path;
    entry->path_bytes = shared + size;
}

static void decode_owner(mos_tree_decoder *decoder) {
    struct mos_entry *entry = &decoder->entry;
    entry->uid = (uint32_t)mos_cursor_varint_max(&decoder->cursor, UINT32_MAX);
    entry->gid = (uint32_t)mos_cursor_varint_max(&decoder->cursor, UINT32_MAX);
    size_t size = 0;
    strcpy(decoder->user, decode_text(decoder, MOS_TREE_OWNER_LIMIT_BYTES, &size, true));
    strcpy(decoder->group, decode_text(decoder, MOS_TREE_OWNER_LIMIT_BYTES, &size, true));
    entry->user = decoder->user;
    entry->group = decoder->group;
    decoder->has_owner = true;
}

static int64_t decode_time(struct mos_cursor *cursor) {
    int64_t seconds = mos_cursor_svarint(cursor);
    int64_t nanoseconds = (int64_t)mos_cursor_varint_max(cursor, MOS_NS_PER_SECOND - 1);
    int64_t result = 0;
    if (seconds < 0) {
        // The smallest time needs one second more than the largest multiple that fits.
        seconds++;
        nanoseconds -= MOS_NS_PER_SECOND;
    }
    if (__builtin_mul_overflow(seconds, MOS_NS_PER_SECOND, &result) || __builtin_add_overflow(result, nanoseconds, &result)) {
        cursor->failed = true;
        return 0;
    }
    return result;
}

static uint64_t decode_ranges(mos_tree_decoder *decoder) {
    struct mos_entry *entry = &decoder->entry;
    struct mos_cursor *cursor = &decoder->cursor;
    size_t count = (size_t)mos_cursor_varint_max(cursor, MOS_TREE_RANGES_LIMIT);
    if (cursor->failed || count > cursor->left_bytes / 2) {
        cursor->failed = true;
        return 0;
    }
    decoder->range_list = mos_realloc(decoder->range_list, (count + 1) * sizeof(*decoder->range_list));
    uint64_t end = 0;
    uint64_t content = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t gap = mos_cursor_varint_max(cursor, entry->size_bytes - end);
        uint64_t length = mos_cursor_varint_max(cursor, entry->size_bytes - end - gap);
        decoder->range_list[i] = (struct mos_range){.offset_bytes = end + gap, .length_bytes = length};
        end += gap + length;
        content += length;
    }
    entry->sparse = true;
    entry->ranges = decoder->range_list;
    entry->range_count = count;
    return content;
}

static void decode_content(mos_tree_decoder *decoder, uint64_t flags) {
    struct mos_entry *entry = &decoder->entry;
    struct mos_cursor *cursor = &decoder->cursor;
    entry->size_bytes = mos_cursor_varint_max(cursor, INT64_MAX);
    uint64_t rest = flags & FLAG_SPARSE ? decode_ranges(decoder) : entry->size_bytes;
    if (flags & FLAG_LISTS) {
        size_t count = (size_t)mos_cursor_varint_max(cursor, MOS_CHUNK_LIMIT_BYTES / MOS_CHUNK_ID_BYTES);
        const uint8_t *ids = mos_cursor_bytes(cursor, count * MOS_CHUNK_ID_BYTES);
        if (!ids || count == 0) {
            cursor->failed = true;
            return;
        }
        decoder->id_list = mos_realloc(decoder->id_list, count * sizeof(*decoder->id_list));
        memcpy(decoder->id_list, ids, count * sizeof(*decoder->id_list));
        entry->lists = decoder->id_list;
        entry->list_count = count;
        return;
    }
    size_t count = (size_t)mos_cursor_varint_max(cursor, MOS_TREE_INLINE_EXTENTS);
    if (cursor->failed || count > cursor->left_bytes) {
        cursor->failed = true;
        return;
    }
    decoder->extent_list = mos_realloc(decoder->extent_list, (count + 1) * sizeof(*decoder->extent_list));
    for (size_t i = 0; i < count; i++) {
        if (!decode_extent(cursor, &decoder->extents, rest, &decoder->extent_list[i]) || decoder->extent_list[i].length_bytes > rest) {
            cursor->failed = true;
            return;
        }
        rest -= decoder->extent_list[i].length_bytes;
    }
    entry->extents = decoder->extent_list;
    entry->extent_count = count;
}

static void decode_xattrs(mos_tree_decoder *decoder) {
    struct mos_entry *entry = &decoder->entry;
    struct mos_cursor *cursor = &decoder->cursor;
    size_t count = (size_t)mos_cursor_varint_max(cursor, MOS_TREE_MAX_XATTRS);
    decoder->xattr_list = mos_realloc(decoder->xattr_list, (count + 1) * sizeof(*decoder->xattr_list));
    for (size_t i = 0; i < count && !cursor->failed; i++) {
        struct mos_xattr *xattr = &decoder->xattr_list[i];
        size_t size = 0;
        xattr->name = decode_text(decoder, MOS_TREE_NAME_LIMIT_BYTES, &size, true);
        xattr->value = mos_cursor_string(cursor, MOS_TREE_XATTR_VALUE_LIMIT_BYTES, &xattr->value_bytes);
    }
    entry->xattrs = decoder->xattr_list;
    entry->xattr_count = count;
}

static void decode_record(mos_tree_decoder *decoder) {
    struct mos_cursor *cursor = &decoder->cursor;
    struct mos_entry *entry = &decoder->entry;
    // What an entry keeps from the one before: path and owner.
    *entry = (struct mos_entry){.path = decoder->path,
                                .path_bytes = entry->path_bytes,
                                .uid = entry->uid,
                                .gid = entry->gid,
                                .user = decoder->user,
                                .group = decoder->group,
                                .link_target = ""};
    decoder->text_used = 0;
    decode_path(decoder);
    entry->type = (enum mos_entry_type)mos_cursor_byte(cursor);
    uint64_t flags = mos_cursor_varint_max(cursor, FLAGS_ALL);
    entry->mode = (uint32_t)mos_cursor_varint_max(cursor, 07777);
    if (!(flags & FLAG_SAME_OWNER)) {
        decode_owner(decoder);
    }
    entry->modified_unix_ns = decode_time(cursor);
    entry->changed_unix_ns = decode_time(cursor);
    entry->inode = mos_cursor_varint(cursor);
    entry->device = mos_cursor_varint(cursor);
    bool content = entry->type == MOS_ENTRY_FILE || entry->type == MOS_ENTRY_DATABASE;
    if (cursor->failed || !decoder->has_owner || (!content && (flags & (FLAG_SPARSE | FLAG_LISTS)))) {
        cursor->failed = true;
        return;
    }
    if (content) {
        decode_content(decoder, flags);
    } else if (entry->type == MOS_ENTRY_SYMLINK || entry->type == MOS_ENTRY_HARDLINK) {
        entry->link_target = decode_text(decoder, MOS_TREE_PATH_LIMIT_BYTES, &entry->link_target_bytes, true);
    } else if (entry->type == MOS_ENTRY_CHARACTER_DEVICE || entry->type == MOS_ENTRY_BLOCK_DEVICE) {
        entry->device_major = (uint32_t)mos_cursor_varint_max(cursor, UINT32_MAX);
        entry->device_minor = (uint32_t)mos_cursor_varint_max(cursor, UINT32_MAX);
    }
    if (flags & FLAG_XATTRS) {
        decode_xattrs(decoder);
    }
}

mos_status mos_tree_decoder_next(mos_tree_decoder *decoder, const struct mos_entry **out, struct mos_error *error) {
    *out = NULL;
    if (!decoder->failed && decoder->records_left > 0) {
        decode_record(decoder);
        decoder->failed = decoder->cursor.failed || mos_entry_check(&decoder->entry, NULL) != MOS_OK;
        decoder->records_left--;
        *out = decoder->failed ? NULL : &decoder->entry;
    } else if (!decoder->failed) {
        decoder->failed = decoder->cursor.left_bytes != 0 || decoder->extents.next_unused != decoder->extents.id_count;
    }
    return decoder->failed ? corrupt(error) : MOS_OK;
}
