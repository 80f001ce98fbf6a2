#include "engine/source/roots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/text.h"

static int by_path(const void *a, const void *b) {
    const char *left = *(char *const *)a, *right = *(char *const *)b;
    return mos_path_compare(left, strlen(left), right, strlen(right));
}

mos_status mos_roots_resolve(const struct mos_scan_options *options, struct mos_roots *out, struct mos_error *error) {
    struct mos_roots roots = {.paths = mos_calloc(options->root_count, sizeof(char *))};
    char missing[512] = "";
    int reason = 0;
    for (size_t i = 0; i < options->root_count; i++) {
        const ProtobufCBinaryData *root = &options->roots[i];
        if (root->len == 0 || root->data[0] != '/' || memchr(root->data, 0, root->len)) {
            mos_roots_free(&roots);
            return mos_fail_field(error, "paths", "a path to back up must be absolute");
        }
        MOS_CLEANUP_FREE char *path = mos_calloc(1, root->len + 1);
        memcpy(path, root->data, root->len);
        char *canonical = realpath(path, NULL);
        if (canonical) {
            roots.paths[roots.count++] = canonical;
            continue;
        }
        reason = errno;
        strncpy(missing, path, sizeof(missing) - 1);
        if (options->warn) {
            struct mos_error why;
            mos_fail_errno(&why, reason, "cannot be read, nothing of it is in the backup");
            options->warn(options->context, path, root->len, why.message);
        }
    }
    if (roots.count == 0) {
        mos_roots_free(&roots);
        if (options->root_count == 0) {
            return mos_fail_field(error, "paths", "there is no path to back up");
        }
        return mos_fail_errno(error, reason, "no path to back up can be read: %s", missing);
    }
    qsort(roots.paths, roots.count, sizeof(char *), by_path);
    size_t kept = 1;
    for (size_t i = 1; i < roots.count; i++) {
        if (mos_path_is_below(roots.paths[i], roots.paths[kept - 1])) {
            free(roots.paths[i]);
        } else {
            roots.paths[kept++] = roots.paths[i];
        }
    }
    roots.count = kept;
    *out = roots;
    return MOS_OK;
}

void mos_roots_free(struct mos_roots *roots) {
    for (size_t i = 0; i < roots->count; i++) {
        free(roots->paths[i]);
    }
    free(roots->paths);
    *roots = (struct mos_roots){0};
}

const char *mos_roots_step(const struct mos_roots *roots, size_t path_bytes, size_t low, size_t high, size_t *out_bytes, size_t *out_end) {
    const char *name = roots->paths[low] + path_bytes + 1;
    *out_bytes = strcspn(name, "/");
    size_t end = low + 1;
    while (end < high && strncmp(roots->paths[end] + path_bytes + 1, name, *out_bytes) == 0 &&
           (roots->paths[end][path_bytes + 1 + *out_bytes] == '/' || roots->paths[end][path_bytes + 1 + *out_bytes] == 0)) {
        end++;
    }
    *out_end = end;
    return name;
}
