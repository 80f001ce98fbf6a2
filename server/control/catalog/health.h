// What the monitor asks of the catalog.
#ifndef MOS_CONTROL_CATALOG_HEALTH_H
#define MOS_CONTROL_CATALOG_HEALTH_H

#include <stddef.h>

#include "control/catalog/catalog.h"
#include "control/catalog/words.h"

struct mos_storage_sample {
    int64_t time_unix_ns;
    int64_t used_bytes;
    int64_t free_bytes;
};
// Replaces one of the same time, and forgets those before `keep_after_unix_ns`.
mos_status mos_catalog_add_storage_sample(mos_catalog_session *session, const struct mos_storage_sample *sample, int64_t keep_after_unix_ns,
                                          struct mos_error *error);
// Later than this, in order, `limit` at most.
mos_status mos_catalog_storage_samples(mos_catalog_session *session, int64_t after_unix_ns, int limit, mos_arena *arena,
                                       struct mos_storage_sample **out, size_t *out_count, struct mos_error *error);

// A good backup that was last verified, or taken, before this: the one unverified for the longest. "" where there is none.
mos_status mos_catalog_longest_unverified(mos_catalog_session *session, int64_t before_unix_ns, mos_arena *arena, const char **out_id,
                                          struct mos_error *error);

// What a committed backup must still be.
struct mos_kept {
    const char *id;
    int64_t created_at_unix_ns;
    const char *encrypted_location;
};
// Committed ones behind this place, oldest first, `limit` at most; 0 and "" begin.
mos_status mos_catalog_kept_backups(mos_catalog_session *session, int64_t after_created_at_unix_ns, const char *after_id, int limit,
                                    mos_arena *arena, struct mos_kept **out, size_t *out_count, struct mos_error *error);

#endif
