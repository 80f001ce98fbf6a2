#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "engine/repo/reader_internal.h"
#include "engine/repo/tree_codec.h"

struct mos_tree_reader {
    mos_reader *reader;
    // The next chunk of the tree to open.
    size_t next;
    const struct mos_chunk *chunk;
    mos_tree_decoder *decoder;
    // Entries before this path are passed over; empty: none.
    struct mos_buffer from;
    // One list of extents.
    struct mos_extent *extents;
    // Bytes of content in the lists so far, while they are asked for in order.
    uint64_t list_bytes;
    size_t list_next;
};

static const Mosaajii__Engine__V1__TreeChunk *part_at(const mos_reader *reader, size_t number) {
    return reader->manifest->tree[number];
}

static int compare_first(const mos_reader *reader, size_t number, const void *path, size_t path_bytes) {
    const Mosaajii__Engine__V1__TreeChunk *part = part_at(reader, number);
    return mos_path_compare((const char *)part->first_path.data, part->first_path.len, path, path_bytes);
}

// The last part that begins at or before the path: it is the first that can hold it.
static size_t part_of(const mos_reader *reader, const void *path, size_t path_bytes) {
    size_t low = 0;
    size_t high = reader->manifest->n_tree;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_first(reader, middle, path, path_bytes) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? low - 1 : 0;
}

static void leave_part(mos_tree_reader *tree) {
    mos_tree_decoder_destroy(tree->decoder);
    mos_chunk_release(tree->chunk);
    tree->decoder = NULL;
    tree->chunk = NULL;
}

mos_status mos_tree_open(mos_reader *reader, const void *from, size_t from_bytes, mos_tree_reader **out, struct mos_error *error) {
    mos_tree_reader *tree = mos_calloc(1, sizeof(*tree));
    tree->reader = reader;
    mos_status status = mos_tree_seek(tree, from, from_bytes, error);
    if (status != MOS_OK) {
        mos_tree_close(tree);
        return status;
    }
    *out = tree;
    return MOS_OK;
}

mos_status mos_tree_seek(mos_tree_reader *tree, const void *from, size_t from_bytes, struct mos_error *error) {
    if (from_bytes > MOS_TREE_PATH_LIMIT_BYTES) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "a path has at most %u bytes", MOS_TREE_PATH_LIMIT_BYTES);
    }
    mos_buffer_clear(&tree->from);
    if (from_bytes) {
        mos_buffer_append(&tree->from, from, from_bytes);
    }
    size_t part = from_bytes ? part_of(tree->reader, from, from_bytes) : 0;
    // A part that is being read stays where it is; only parts that lie between are passed over.
    if (part > tree->next || (part == tree->next && !tree->decoder)) {
        leave_part(tree);
        tree->next = part;
    }
    return MOS_OK;
}

void mos_tree_close(mos_tree_reader *tree) {
    if (tree) {
        leave_part(tree);
        mos_buffer_free(&tree->from);
        free(tree->extents);
        free(tree);
    }
}

static mos_status lost_part(mos_tree_reader *tree, size_t number, struct mos_error *error) {
    const mos_reader *reader = tree->reader;
    mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__TreeChunk *part = part_at(reader, number);
    const char *first = mos_path_escape(arena, part->first_path.data, part->first_path.len);
    struct mos_error cause = error ? *error : (struct mos_error){0};
    mos_status status;
    if (number + 1 < reader->manifest->n_tree) {
        const Mosaajii__Engine__V1__TreeChunk *behind = part_at(reader, number + 1);
        const char *end = mos_path_escape(arena, behind->first_path.data, behind->first_path.len);
        status = mos_fail(error, MOS_CORRUPT, "the tree from %.200s to before %.200s is lost: %.200s", first, end, cause.message);
    } else {
        status = mos_fail(error, MOS_CORRUPT, "the tree from %.200s on is lost: %.200s", first, cause.message);
    }
    mos_arena_destroy(arena);
    return status;
}

static mos_status enter_part(mos_tree_reader *tree, struct mos_error *error) {
    const Mosaajii__Engine__V1__TreeChunk *part = part_at(tree->reader, tree->next++);
    mos_status status = mos_reader_part(tree->reader, part, &tree->chunk, error);
    return status == MOS_OK ? mos_tree_decoder_create(tree->chunk->data, tree->chunk->size_bytes, &tree->decoder, error) : status;
}

// An entry lies in the range that the manifest gives its part, so that parts cannot overlap or go back.
static bool in_part(const mos_tree_reader *tree, const struct mos_entry *entry) {
    const mos_reader *reader = tree->reader;
    return compare_first(reader, tree->next - 1, entry->path, entry->path_bytes) <= 0 &&
           (tree->next == reader->manifest->n_tree || compare_first(reader, tree->next, entry->path, entry->path_bytes) > 0);
}

mos_status mos_tree_next(mos_tree_reader *tree, const struct mos_entry **out, struct mos_error *error) {
    *out = NULL;
    while (tree->decoder || tree->next < tree->reader->manifest->n_tree) {
        struct mos_error cause = {0};
        mos_status status = tree->decoder ? MOS_OK : enter_part(tree, &cause);
        const struct mos_entry *entry = NULL;
        if (status == MOS_OK) {
            status = mos_tree_decoder_next(tree->decoder, &entry, &cause);
        }
        if (status == MOS_OK && entry && !in_part(tree, entry)) {
            status = mos_fail(&cause, MOS_CORRUPT, "an entry lies outside of its part of the tree");
        }
        if (status != MOS_OK) {
            leave_part(tree);
            lost_part(tree, tree->next - 1, &cause);
            if (error) {
                *error = cause;
            }
            return MOS_CORRUPT;
        }
        if (!entry) {
            leave_part(tree);
        } else if (tree->from.size_bytes == 0 ||
                   mos_path_compare(entry->path, entry->path_bytes, (const char *)tree->from.data, tree->from.size_bytes) >= 0) {
            mos_buffer_clear(&tree->from);
            *out = entry;
            return MOS_OK;
        }
    }
    return MOS_OK;
}

static uint64_t content_of(const struct mos_entry *entry) {
    uint64_t content = entry->size_bytes;
    if (entry->sparse) {
        content = 0;
        for (size_t i = 0; i < entry->range_count; i++) {
            content += entry->ranges[i].length_bytes;
        }
    }
    return content;
}

mos_status mos_tree_extents(mos_tree_reader *tree, const struct mos_entry *entry, size_t part, const struct mos_extent **out,
                            size_t *out_count, struct mos_error *error) {
    if (part >= mos_entry_parts(entry)) {
        return mos_fail(error, MOS_OUT_OF_RANGE, "the entry has no part %zu", part);
    }
    if (entry->list_count == 0) {
        *out = entry->extents;
        *out_count = entry->extent_count;
        return MOS_OK;
    }
    const struct mos_chunk *chunk = NULL;
    mos_status status = mos_reader_chunk(tree->reader, &entry->lists[part], &chunk, error);
    if (status != MOS_OK) {
        return status;
    }
    free(tree->extents);
    tree->extents = NULL;
    size_t count = 0;
    status = mos_extent_list_decode(chunk->data, chunk->size_bytes, &tree->extents, &count, error);
    mos_chunk_release(chunk);
    if (status != MOS_OK) {
        return status;
    }
    // Asked for one after the other, as usual, the lists must not hold more than the content nor, at the end, less.
    tree->list_bytes = part == 0 ? 0 : tree->list_bytes;
    bool in_order = part == 0 || part == tree->list_next;
    for (size_t i = 0; i < count; i++) {
        tree->list_bytes += tree->extents[i].length_bytes;
    }
    tree->list_next = part + 1;
    uint64_t content = content_of(entry);
    if (in_order && (tree->list_bytes > content || (part + 1 == entry->list_count && tree->list_bytes != content))) {
        return mos_fail(error, MOS_CORRUPT, "the lists of a file's extents do not add up to its content");
    }
    *out = tree->extents;
    *out_count = count;
    return MOS_OK;
}
