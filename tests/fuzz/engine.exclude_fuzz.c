// Patterns of what is left out: the input is a pattern, a zero byte, and a path.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "engine/source/exclude.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Stars, slashes and bytes alone, and every way tried: what the quick way must agree with.
static bool reference(const char *pattern, const char *text, bool at_component) {
    if (pattern[0] == '*' && pattern[1] == '*') {
        const char *rest = pattern + strspn(pattern, "*");
        bool components = at_component && *rest == '/';
        rest += components;
        if (reference(rest, text, components)) {
            return true;
        }
        for (; *text; text++) {
            if ((!components || *text == '/') && reference(rest, text + 1, components)) {
                return true;
            }
        }
        return false;
    }
    if (pattern[0] == '*') {
        do {
            if (reference(pattern + 1, text, false)) {
                return true;
            }
        } while (*text && *text++ != '/');
        return false;
    }
    if (!*pattern || !*text || *pattern != *text) {
        return !*pattern && !*text;
    }
    return reference(pattern + 1, text + 1, *pattern == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_FREE char *pattern = mos_calloc(1, size + 1);
    memcpy(pattern, data, size);
    size_t pattern_bytes = strlen(pattern);
    MOS_CLEANUP_FREE char *path = mos_calloc(1, size - pattern_bytes + 2);
    path[0] = '/';
    if (pattern_bytes < size) {
        memcpy(path + 1, data + pattern_bytes + 1, size - pattern_bytes - 1);
    }
    mos_exclude *exclude = NULL;
    const char *patterns[] = {pattern};
    if (mos_exclude_create(patterns, 1, &exclude, NULL) != MOS_OK) {
        return 0;
    }
    mos_exclude_matches(exclude, path, true);
    mos_exclude_matches(exclude, path, false);
    mos_exclude_free(exclude);
    bool matches = mos_glob_matches(pattern, path);
    // The reference needs time that grows with every star.
    if (size <= 24 && !strpbrk(pattern, "?[\\") && matches != reference(pattern, path, true)) {
        abort();
    }
    return 0;
}
