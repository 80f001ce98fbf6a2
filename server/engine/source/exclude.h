// Patterns of what a backup leaves out. Immutable once made; matching is thread safe.
//
// `*` stands for any bytes but a slash, `**` for any bytes, `?` for one character but a slash, `[a-z]` and `[!a-z]` for one of a set, `\`
// takes the next byte as it is. A pattern without a slash is compared with the last component of a path (so it hits at every depth), one
// that begins with a slash with the whole path, and one with a slash elsewhere with the end of the path from any component on. A pattern
// that ends with a slash hits directories only. What is hit is left out with all that lies below it.
#ifndef MOS_ENGINE_SOURCE_EXCLUDE_H
#define MOS_ENGINE_SOURCE_EXCLUDE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

#define MOS_EXCLUDE_LIMIT_BYTES 4096u

typedef struct mos_exclude mos_exclude;

// MOS_INVALID_ARGUMENT names a pattern that is empty, too long or has a `[` without its `]`. *out is the caller's.
mos_status mos_exclude_create(const char *const *patterns, size_t count, mos_exclude **out, struct mos_error *error);
void mos_exclude_free(mos_exclude *exclude);

// `path` is absolute and ends with a zero. NULL excludes nothing.
bool mos_exclude_matches(const mos_exclude *exclude, const char *path, bool directory);

// One pattern against one text, with all of the above but the rules about slashes.
bool mos_glob_matches(const char *pattern, const char *text);

#endif
