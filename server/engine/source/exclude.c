#include "engine/source/exclude.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

struct pattern {
    char *text;
    bool component;
    bool directory_only;
};

struct mos_exclude {
    struct pattern *patterns;
    size_t count;
};

// Behind the set that begins at `pattern` (a '['), or NULL where it has no end. A ']' that stands first is an ordinary member.
static const char *set_end(const char *pattern) {
    const char *at = pattern + 1;
    if (*at == '!' || *at == '^') {
        at++;
    }
    for (bool first = true; *at && (*at != ']' || first); first = false) {
        at += *at == '\\' && at[1] ? 2 : 1;
    }
    return *at ? at + 1 : NULL;
}

static bool set_has(const char *pattern, unsigned char byte) {
    const char *end = set_end(pattern) - 1;
    const char *at = pattern + 1;
    bool negated = *at == '!' || *at == '^';
    bool found = false;
    for (at += negated; at < end;) {
        at += *at == '\\';
        unsigned char low = (unsigned char)*at++;
        unsigned char high = low;
        if (*at == '-' && at + 1 < end) {
            at++;
            at += *at == '\\';
            high = (unsigned char)*at++;
        }
        found = found || (byte >= low && byte <= high);
    }
    return found != negated;
}

// Bytes of the character at `text`, so that ? takes a whole one.
static size_t character_bytes(const char *text) {
    size_t size = 1;
    while (((unsigned char)text[0] & 0xc0) == 0xc0 && size < 4 && ((unsigned char)text[size] & 0xc0) == 0x80) {
        size++;
    }
    return size;
}

// Only the last star of each kind is ever taken up again. And where the first star behind a deep one led to nothing, it would lead to
// nothing from any later byte of the same component: so the time grows with the lengths of pattern and text multiplied, not more.
bool mos_glob_matches(const char *pattern, const char *text) {
    const char *start = pattern, *star = NULL, *star_text = NULL, *deep = NULL, *deep_text = NULL;
    // The text at the first star of this attempt; and where such a star is known to lead to nothing.
    const char *first = NULL, *barred = NULL, *barred_end = NULL;
    bool deep_components = false;
    for (;;) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            bool at_component = pattern == start || pattern[-1] == '/';
            pattern += strspn(pattern, "*");
            // "**/" at the beginning of a component stands for any number of whole components, none included.
            deep_components = at_component && *pattern == '/';
            pattern += deep_components;
            deep = pattern;
            deep_text = text;
            star = first = barred = NULL;
            continue;
        }
        bool hopeless = pattern[0] == '*' && !first && barred && text >= barred && text <= barred_end;
        if (pattern[0] == '*' && !hopeless) {
            star = ++pattern;
            star_text = text;
            first = first ? first : text;
            continue;
        }
        size_t taken = 0;
        const char *next = pattern + 1;
        if (!hopeless && *text && *pattern) {
            if (*pattern == '?') {
                taken = *text != '/' ? character_bytes(text) : 0;
            } else if (*pattern == '[' && set_end(pattern)) {
                taken = *text != '/' && set_has(pattern, (unsigned char)*text);
                next = set_end(pattern);
            } else {
                bool escaped = *pattern == '\\' && pattern[1];
                taken = pattern[escaped] == *text;
                next = pattern + escaped + 1;
            }
        } else if (!*text && !*pattern) {
            return true;
        }
        if (taken) {
            pattern = next;
            text += taken;
        } else if (star && *star_text && *star_text != '/') {
            pattern = star;
            text = ++star_text;
        } else if (deep) {
            const char *further = deep_components ? strchr(deep_text, '/') : deep_text;
            if (!further || !*further) {
                return false;
            }
            if (first) {
                barred = first;
                barred_end = first + strcspn(first, "/");
            }
            pattern = deep;
            text = deep_text = further + 1;
            star = first = NULL;
        } else {
            return false;
        }
    }
}

static mos_status check(const char *text, struct mos_error *error) {
    size_t size_bytes = strlen(text);
    if (size_bytes == 0 || strspn(text, "/") == size_bytes) {
        return mos_fail_field(error, "excludes", "a pattern of what to leave out is empty");
    }
    if (size_bytes > MOS_EXCLUDE_LIMIT_BYTES) {
        return mos_fail_field(error, "excludes", "the pattern that begins with %.40s is longer than %u bytes", text,
                              MOS_EXCLUDE_LIMIT_BYTES);
    }
    for (const char *at = text; *at; at++) {
        if (*at == '\\' && at[1]) {
            at++;
        } else if (*at == '[') {
            const char *end = set_end(at);
            if (!end) {
                return mos_fail_field(error, "excludes", "the pattern %.200s has a [ without its ]", text);
            }
            at = end - 1;
        }
    }
    return MOS_OK;
}

mos_status mos_exclude_create(const char *const *patterns, size_t count, mos_exclude **out, struct mos_error *error) {
    mos_exclude *exclude = mos_calloc(1, sizeof(*exclude));
    exclude->patterns = mos_calloc(count, sizeof(*exclude->patterns));
    for (size_t i = 0; i < count; i++) {
        mos_status status = check(patterns[i], error);
        if (status) {
            mos_exclude_free(exclude);
            return status;
        }
        size_t size_bytes = strlen(patterns[i]);
        struct pattern *pattern = &exclude->patterns[exclude->count++];
        while (patterns[i][size_bytes - 1] == '/') {
            size_bytes--;
            pattern->directory_only = true;
        }
        bool slash = memchr(patterns[i], '/', size_bytes) != NULL;
        bool anywhere = slash && patterns[i][0] != '/' && strncmp(patterns[i], "**/", 3) != 0;
        pattern->component = !slash && strstr(patterns[i], "**") == NULL;
        pattern->text = mos_calloc(1, size_bytes + 4);
        memcpy(pattern->text, "**/", anywhere ? 3 : 0);
        memcpy(pattern->text + (anywhere ? 3 : 0), patterns[i], size_bytes);
    }
    *out = exclude;
    return MOS_OK;
}

void mos_exclude_free(mos_exclude *exclude) {
    for (size_t i = 0; exclude && i < exclude->count; i++) {
        free(exclude->patterns[i].text);
    }
    if (exclude) {
        free(exclude->patterns);
    }
    free(exclude);
}

bool mos_exclude_matches(const mos_exclude *exclude, const char *path, bool directory) {
    if (!exclude || exclude->count == 0) {
        return false;
    }
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    for (size_t i = 0; i < exclude->count; i++) {
        const struct pattern *pattern = &exclude->patterns[i];
        if ((directory || !pattern->directory_only) && mos_glob_matches(pattern->text, pattern->component ? name : path)) {
            return true;
        }
    }
    return false;
}
