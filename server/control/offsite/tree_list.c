// Pages of names in their order, out of folders.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/offsite/store_internal.h"

struct walk {
    const struct mos_store_tree *tree;
    const char *prefix;
    const char *after;
    size_t limit;
    struct mos_store_page *page;
    const struct mos_store_call *call;
};

// As their paths sort: everything in the folder "a" comes after "a.b" and before "a0", for '/' stands between '.' and '0'.
static int by_path(const void *left, const void *right) {
    const struct mos_store_entry *a = left, *b = right;
    size_t length_a = strlen(a->name), length_b = strlen(b->name);
    size_t common = length_a < length_b ? length_a : length_b;
    int order = memcmp(a->name, b->name, common);
    if (order != 0) {
        return order;
    }
    int next_a = length_a > common ? (unsigned char)a->name[common] : a->folder ? '/' : 0;
    int next_b = length_b > common ? (unsigned char)b->name[common] : b->folder ? '/' : 0;
    return next_a - next_b;
}

static bool wanted(const struct walk *walk, const char *path, bool folder) {
    size_t length = strlen(path), prefix = strlen(walk->prefix);
    if (strncmp(path, walk->prefix, length < prefix ? length : prefix) != 0 || (!folder && length < prefix)) {
        return false;
    }
    if (!walk->after || strcmp(path, walk->after) > 0) {
        return true;
    }
    return folder && strncmp(path, walk->after, length) == 0;
}

// `path` is "" or ends with '/'. *out_full: the page was full and there is more.
static mos_status walk_folder(struct walk *walk, const char *path, bool *out_full, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_store_entry *entries;
    size_t count;
    if (mos_store_over(walk->call)) {
        return mos_store_fail_cancelled(error);
    }
    mos_status status = walk->tree->read(walk->tree->argument, path, arena, &entries, &count, error);
    if (status != MOS_OK) {
        return status;
    }
    if (count > 1) {
        qsort(entries, count, sizeof(*entries), by_path);
    }
    for (size_t i = 0; i < count && !*out_full; i++) {
        const struct mos_store_entry *entry = &entries[i];
        char below[MOS_STORE_NAME_LIMIT + 2];
        int length = snprintf(below, sizeof(below), "%s%s", path, entry->name);
        if (length > MOS_STORE_NAME_LIMIT || !mos_store_name_valid(below)) {
            continue;
        }
        if (entry->folder) {
            strcat(below, "/");
        }
        if (!wanted(walk, below, entry->folder)) {
            continue;
        }
        if (entry->folder) {
            status = walk_folder(walk, below, out_full, error);
            if (status != MOS_OK) {
                return status;
            }
        } else if (walk->page->count == walk->limit) {
            *out_full = true;
        } else {
            struct mos_store_object *object = &walk->page->objects[walk->page->count++];
            strcpy(object->name, below);
            object->size_bytes = entry->size_bytes;
            object->modified_unix_ns = entry->modified_unix_ns;
        }
    }
    return MOS_OK;
}

mos_status mos_store_tree_list(const struct mos_store_tree *tree, const char *prefix, const char *after, int limit, mos_arena *arena,
                               struct mos_store_page *out, const struct mos_store_call *call, struct mos_error *error) {
    struct walk walk = {.tree = tree, .prefix = prefix, .after = after, .limit = (size_t)limit, .page = out, .call = call};
    bool full = false;
    out->objects = mos_arena_array(arena, struct mos_store_object, (size_t)limit);
    mos_status status = walk_folder(&walk, "", &full, error);
    if (status == MOS_OK && full) {
        out->next = out->objects[out->count - 1].name;
    }
    return status;
}
