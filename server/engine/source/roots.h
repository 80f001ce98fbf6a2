// The roots of a scan: canonical, in path order, none below another.
#ifndef MOS_ENGINE_SOURCE_ROOTS_H
#define MOS_ENGINE_SOURCE_ROOTS_H

#include "engine/source/scan.h"

struct mos_roots {
    char **paths;
    size_t count;
};

// As mos_scan_open says.
mos_status mos_roots_resolve(const struct mos_scan_options *options, struct mos_roots *out, struct mos_error *error);
void mos_roots_free(struct mos_roots *roots);
// `path` (without a slash at its end; "" for the top) is a directory above all roots from *low to *high - 1: the name of the next directory
// on the way to roots[low], and in *out_end behind the last root that has the same way. Borrowed, *out_bytes long.
const char *mos_roots_step(const struct mos_roots *roots, size_t path_bytes, size_t low, size_t high, size_t *out_bytes, size_t *out_end);

#endif
