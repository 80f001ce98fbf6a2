#include "engine/pipeline/selection.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/text.h"

// A path to look for: with all below it, or alone.
struct wanted {
    char *path;
    size_t path_bytes;
    bool with_content;
};

struct mos_selection {
    mos_tree_reader *tree;
    struct wanted *list;
    size_t count;
    // The one that is being looked for, and whether the tree stands in it already.
    size_t at;
    bool inside;
};

static int by_path(const void *a, const void *b) {
    const struct wanted *left = a, *right = b;
    int order = mos_path_compare(left->path, left->path_bytes, right->path, right->path_bytes);
    return order ? order : (int)right->with_content - (int)left->with_content;
}

static bool is_below(const struct wanted *wanted, const char *path, size_t path_bytes) {
    if (wanted->path_bytes == 0) {
        return true;
    }
    if (wanted->path_bytes == 1 && wanted->path[0] == '/') {
        return path_bytes > 0 && path[0] == '/';
    }
    return path_bytes >= wanted->path_bytes && memcmp(path, wanted->path, wanted->path_bytes) == 0 &&
           (path_bytes == wanted->path_bytes || path[wanted->path_bytes] == '/');
}

static void add(mos_selection *selection, const char *path, size_t path_bytes, bool with_content) {
    char *copy = mos_calloc(path_bytes + 1, 1);
    if (path_bytes) {
        memcpy(copy, path, path_bytes);
    }
    selection->list = mos_realloc(selection->list, (selection->count + 1) * sizeof(*selection->list));
    selection->list[selection->count++] = (struct wanted){.path = copy, .path_bytes = path_bytes, .with_content = with_content};
}

static mos_status add_path(mos_selection *selection, const ProtobufCBinaryData *path, struct mos_error *error) {
    const char *text = (const char *)path->data;
    size_t size_bytes = path->len;
    while (size_bytes > 1 && text[size_bytes - 1] == '/') {
        size_bytes--;
    }
    if (!mos_path_valid(text, size_bytes)) {
        return mos_fail_field(error, "include",
                              "a path to restore must be absolute, without empty, \".\" and \"..\" components, or a database's name");
    }
    add(selection, text, size_bytes, true);
    if (text[0] == '/') {
        add(selection, "/", 1, false);
        for (size_t i = 1; i < size_bytes; i++) {
            if (text[i] == '/') {
                add(selection, text, i, false);
            }
        }
    }
    return MOS_OK;
}

// Sorted, each once, and nothing that lies in another.
static void tidy(mos_selection *selection) {
    qsort(selection->list, selection->count, sizeof(*selection->list), by_path);
    size_t kept = 0;
    const struct wanted *around = NULL;
    for (size_t i = 0; i < selection->count; i++) {
        struct wanted *wanted = &selection->list[i];
        bool doubled = kept > 0 && by_path(&selection->list[kept - 1], wanted) == 0;
        // The directory itself, asked for with its content just before.
        bool same = kept > 0 && selection->list[kept - 1].path_bytes == wanted->path_bytes &&
                    memcmp(selection->list[kept - 1].path, wanted->path, wanted->path_bytes) == 0;
        if (doubled || same || (around && is_below(around, wanted->path, wanted->path_bytes))) {
            free(wanted->path);
            continue;
        }
        selection->list[kept] = *wanted;
        if (wanted->with_content) {
            around = &selection->list[kept];
        }
        kept++;
    }
    selection->count = kept;
}

// Each path names something in the backup, as far as its tree can be read.
static mos_status check_found(const mos_selection *selection, mos_reader *reader, struct mos_error *error) {
    mos_status status = MOS_OK;
    for (size_t i = 0; i < selection->count && status == MOS_OK; i++) {
        const struct wanted *wanted = &selection->list[i];
        const struct mos_entry *entry = NULL;
        if (!wanted->with_content || wanted->path_bytes == 0) {
            continue;
        }
        mos_tree_reader *tree = NULL;
        status = mos_tree_open(reader, wanted->path, wanted->path_bytes, &tree, error);
        if (status == MOS_OK && mos_tree_next(tree, &entry, NULL) == MOS_OK &&
            (!entry || !is_below(wanted, entry->path, entry->path_bytes))) {
            MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
            status = mos_fail(error, MOS_NOT_FOUND, "the backup holds nothing at %.400s",
                              mos_path_escape(arena, wanted->path, wanted->path_bytes));
        }
        mos_tree_close(tree);
    }
    return status;
}

mos_status mos_selection_open(mos_reader *reader, const ProtobufCBinaryData *paths, size_t count, mos_selection **out,
                              struct mos_error *error) {
    mos_selection *selection = mos_calloc(1, sizeof(*selection));
    mos_status status = MOS_OK;
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = add_path(selection, &paths[i], error);
    }
    if (count == 0) {
        add(selection, NULL, 0, true);
    } else if (status == MOS_OK) {
        tidy(selection);
    }
    status = status ? status : check_found(selection, reader, error);
    status = status ? status : mos_tree_open(reader, NULL, 0, &selection->tree, error);
    if (status) {
        mos_selection_close(selection);
        return status;
    }
    *out = selection;
    return MOS_OK;
}

void mos_selection_close(mos_selection *selection) {
    if (selection) {
        for (size_t i = 0; i < selection->count; i++) {
            free(selection->list[i].path);
        }
        free(selection->list);
        mos_tree_close(selection->tree);
        free(selection);
    }
}

mos_status mos_selection_next(mos_selection *selection, const struct mos_entry **out, bool *out_leads, struct mos_error *error) {
    const struct mos_entry *entry = NULL;
    *out = NULL;
    while (selection->at < selection->count) {
        struct wanted *wanted = &selection->list[selection->at];
        if (!selection->inside) {
            // The entry at hand may be what this one looks for; only then the tree must not go on.
            if (!entry || mos_path_compare(entry->path, entry->path_bytes, wanted->path, wanted->path_bytes) < 0) {
                mos_status status = mos_tree_seek(selection->tree, wanted->path, wanted->path_bytes, error);
                if (status) {
                    return status;
                }
                entry = NULL;
            }
            selection->inside = true;
        }
        if (!entry) {
            mos_status status = mos_tree_next(selection->tree, &entry, error);
            if (status) {
                return status;
            }
        }
        if (!entry) {
            return MOS_OK;
        }
        bool exact = entry->path_bytes == wanted->path_bytes && memcmp(entry->path, wanted->path, wanted->path_bytes) == 0;
        if (wanted->with_content ? is_below(wanted, entry->path, entry->path_bytes) : exact) {
            if (!wanted->with_content) {
                selection->at++;
                selection->inside = false;
            }
            if (out_leads) {
                *out_leads = !wanted->with_content;
            }
            *out = entry;
            return MOS_OK;
        }
        selection->at++;
        selection->inside = false;
    }
    return MOS_OK;
}

mos_tree_reader *mos_selection_tree(mos_selection *selection) {
    return selection->tree;
}
