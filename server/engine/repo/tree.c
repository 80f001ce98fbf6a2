#include "engine/repo/tree.h"

#include <string.h>

#include "common/buffer.h"
#include "engine/repo/reader.h"
#include "engine/repo/tree_internal.h"

static int order_of(char c) {
    return c == '/' ? 0 : (unsigned char)c;
}

int mos_path_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    size_t common = a_bytes < b_bytes ? a_bytes : b_bytes;
    for (size_t i = 0; i < common; i++) {
        if (a[i] != b[i]) {
            return order_of(a[i]) - order_of(b[i]);
        }
    }
    return a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static bool name_valid(const char *name, size_t size_bytes) {
    return size_bytes >= 1 && size_bytes <= MOS_TREE_NAME_LIMIT_BYTES && !(size_bytes == 1 && name[0] == '.') &&
           !(size_bytes == 2 && name[0] == '.' && name[1] == '.');
}

bool mos_path_valid(const char *path, size_t path_bytes) {
    if (path_bytes == 0 || path_bytes > MOS_TREE_PATH_LIMIT_BYTES || memchr(path, 0, path_bytes)) {
        return false;
    }
    if (path[0] != '/') {
        return !memchr(path, '/', path_bytes) && name_valid(path, path_bytes);
    }
    if (path_bytes == 1) {
        return true;
    }
    size_t begin = 1;
    for (size_t i = 1; i <= path_bytes; i++) {
        if (i == path_bytes || path[i] == '/') {
            if (!name_valid(path + begin, i - begin)) {
                return false;
            }
            begin = i + 1;
        }
    }
    return true;
}

static bool has_content(const struct mos_entry *entry) {
    return entry->type == MOS_ENTRY_FILE || entry->type == MOS_ENTRY_DATABASE;
}

static const char *check_content(const struct mos_entry *entry) {
    uint64_t content = entry->size_bytes;
    if (!has_content(entry)) {
        return entry->size_bytes || entry->sparse || entry->extent_count || entry->list_count ? "only a file or database has content"
                                                                                              : NULL;
    }
    if (entry->size_bytes > INT64_MAX) {
        return "the size is too large";
    }
    if (entry->sparse) {
        uint64_t end = 0;
        content = 0;
        if (entry->range_count > MOS_TREE_RANGES_LIMIT) {
            return "a sparse file has at most 65536 ranges of data";
        }
        for (size_t i = 0; i < entry->range_count; i++) {
            const struct mos_range *range = &entry->ranges[i];
            if (range->length_bytes == 0 || range->offset_bytes > entry->size_bytes ||
                range->length_bytes > entry->size_bytes - range->offset_bytes || (i > 0 && range->offset_bytes <= end)) {
                return "the ranges of a sparse file ascend, do not touch, and lie within its size";
            }
            end = range->offset_bytes + range->length_bytes;
            content += range->length_bytes;
        }
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < entry->extent_count; i++) {
        const struct mos_extent *extent = &entry->extents[i];
        if (extent->length_bytes == 0 || extent->offset_bytes > MOS_CHUNK_LIMIT_BYTES ||
            extent->length_bytes > MOS_CHUNK_LIMIT_BYTES - extent->offset_bytes) {
            return "an extent lies outside of its chunk";
        }
        sum += extent->length_bytes;
    }
    return entry->list_count == 0 && sum != content ? "the extents do not add up to the content" : NULL;
}

static const char *check_owner_and_xattrs(const struct mos_entry *entry) {
    if (strlen(entry->user) > MOS_TREE_OWNER_LIMIT_BYTES || strlen(entry->group) > MOS_TREE_OWNER_LIMIT_BYTES) {
        return "the names of owner and group have at most 255 bytes";
    }
    if (entry->xattr_count > MOS_TREE_MAX_XATTRS) {
        return "an entry has at most 4096 extended attributes";
    }
    size_t total = 0;
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const struct mos_xattr *xattr = &entry->xattrs[i];
        size_t name = strlen(xattr->name);
        if (name == 0 || name > MOS_TREE_NAME_LIMIT_BYTES || xattr->value_bytes > MOS_TREE_XATTR_VALUE_LIMIT_BYTES) {
            return "the name of an extended attribute has 1 to 255 bytes, its value at most 64 KiB";
        }
        if (i > 0 && strcmp(entry->xattrs[i - 1].name, xattr->name) >= 0) {
            return "extended attributes are in order of their names";
        }
        total += name + xattr->value_bytes;
    }
    return total > MOS_TREE_XATTRS_LIMIT_BYTES ? "the extended attributes of an entry have at most 1 MiB together" : NULL;
}

static const char *check_link(const struct mos_entry *entry) {
    if (entry->type == MOS_ENTRY_SYMLINK) {
        return entry->link_target_bytes == 0 || entry->link_target_bytes > MOS_TREE_PATH_LIMIT_BYTES ||
                       memchr(entry->link_target, 0, entry->link_target_bytes)
                   ? "a symbolic link holds 1 to 65536 bytes, none of them zero"
                   : NULL;
    }
    if (entry->type == MOS_ENTRY_HARDLINK) {
        return !mos_path_valid(entry->link_target, entry->link_target_bytes) || entry->link_target[0] != '/' ||
                       mos_path_compare(entry->link_target, entry->link_target_bytes, entry->path, entry->path_bytes) >= 0
                   ? "a hard link's target is a path that stands earlier in the tree"
                   : NULL;
    }
    return entry->link_target_bytes ? "only links have a target" : NULL;
}

mos_status mos_entry_check(const struct mos_entry *entry, struct mos_error *error) {
    const char *fault = NULL;
    if (!mos_path_valid(entry->path, entry->path_bytes)) {
        fault = "the path is not absolute and normal, nor the name of a database, or is too long";
    } else if (entry->type < MOS_ENTRY_FILE || entry->type > MOS_ENTRY_DATABASE ||
               (entry->type == MOS_ENTRY_DATABASE) == (entry->path[0] == '/')) {
        fault = "the type does not fit the path";
    } else if (entry->mode & ~07777u) {
        fault = "the mode has bits other than permissions";
    } else if (entry->path_bytes == 1 && entry->path[0] == '/' && entry->type != MOS_ENTRY_DIRECTORY) {
        fault = "the root is a directory";
    }
    fault = fault ? fault : check_content(entry);
    fault = fault ? fault : check_link(entry);
    fault = fault ? fault : check_owner_and_xattrs(entry);
    return fault ? mos_fail(error, MOS_INVALID_ARGUMENT, "an entry breaks the format: %s", fault) : MOS_OK;
}

size_t mos_entry_parts(const struct mos_entry *entry) {
    return entry->list_count ? entry->list_count : entry->extent_count ? 1 : 0;
}

static size_t aligned(size_t size_bytes) {
    return (size_bytes + 15) & ~(size_t)15;
}

static void *copy_into(uint8_t **at, const void *data, size_t size_bytes) {
    void *copy = *at;
    if (size_bytes) {
        memcpy(copy, data, size_bytes);
    }
    *at += aligned(size_bytes);
    return copy;
}

static const char *copy_text(uint8_t **at, const char *text) {
    return text ? copy_into(at, text, strlen(text) + 1) : NULL;
}

static size_t text_bytes(const char *text) {
    return text ? aligned(strlen(text) + 1) : 0;
}

struct mos_entry *mos_entry_copy(const struct mos_entry *entry, size_t *out_bytes) {
    size_t ranges_bytes = entry->range_count * sizeof(*entry->ranges);
    size_t extents_bytes = entry->extent_count * sizeof(*entry->extents);
    size_t lists_bytes = entry->list_count * sizeof(*entry->lists);
    size_t xattrs_bytes = entry->xattr_count * sizeof(*entry->xattrs);
    size_t total = aligned(sizeof(*entry)) + aligned(entry->path_bytes + 1) + text_bytes(entry->user) + text_bytes(entry->group) +
                   (entry->link_target ? aligned(entry->link_target_bytes + 1) : 0) + aligned(ranges_bytes) + aligned(extents_bytes) +
                   aligned(lists_bytes) + aligned(xattrs_bytes);
    for (size_t i = 0; i < entry->xattr_count; i++) {
        total += text_bytes(entry->xattrs[i].name) + aligned(entry->xattrs[i].value_bytes);
    }
    struct mos_entry *copy = mos_malloc(total);
    uint8_t *at = (uint8_t *)copy + aligned(sizeof(*copy));
    *copy = *entry;
    copy->path = copy_into(&at, entry->path, entry->path_bytes + 1);
    copy->user = copy_text(&at, entry->user);
    copy->group = copy_text(&at, entry->group);
    copy->link_target = entry->link_target ? copy_into(&at, entry->link_target, entry->link_target_bytes + 1) : NULL;
    copy->ranges = copy_into(&at, entry->ranges, ranges_bytes);
    copy->extents = copy_into(&at, entry->extents, extents_bytes);
    copy->lists = copy_into(&at, entry->lists, lists_bytes);
    struct mos_xattr *xattrs = copy_into(&at, entry->xattrs, xattrs_bytes);
    for (size_t i = 0; i < entry->xattr_count; i++) {
        xattrs[i].name = copy_text(&at, entry->xattrs[i].name);
        xattrs[i].value = copy_into(&at, entry->xattrs[i].value, entry->xattrs[i].value_bytes);
    }
    copy->xattrs = xattrs;
    if (out_bytes) {
        *out_bytes = total;
    }
    return copy;
}
