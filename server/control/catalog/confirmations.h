// Acts that wait for a second person.
#ifndef MOS_CONTROL_CATALOG_CONFIRMATIONS_H
#define MOS_CONTROL_CATALOG_CONFIRMATIONS_H

#include <stddef.h>

#include "control/catalog/catalog.h"

struct mos_confirmation {
    const char *id;
    // Path of the method.
    const char *action;
    const char *resource;
    const char *requested_by;
    int64_t requested_at_unix_ns;
    // When it ends: waiting for the confirmation, and then for the act.
    int64_t expires_at_unix_ns;
    // "" until then.
    const char *confirmed_by;
    // 0 until the act that it allowed.
    int64_t used_at_unix_ns;
};

// Inserts it or replaces all of it.
mos_status mos_catalog_put_confirmation(mos_catalog_session *session, const struct mos_confirmation *confirmation, struct mos_error *error);
// MOS_NOT_FOUND, with a message that names the id.
mos_status mos_catalog_get_confirmation(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_confirmation *out,
                                        struct mos_error *error);
// The newest of this act by this caller that is neither used nor over; *out_found is false where there is none.
mos_status mos_catalog_find_confirmation(mos_catalog_session *session, const char *action, const char *resource, const char *requested_by,
                                         int64_t now_unix_ns, mos_arena *arena, struct mos_confirmation *out, bool *out_found,
                                         struct mos_error *error);
// Removes those that were over at that time, used or not: the trail has them.
mos_status mos_catalog_forget_confirmations(mos_catalog_session *session, int64_t before_unix_ns, struct mos_error *error);
// Newest first, `limit` at most.
mos_status mos_catalog_list_confirmations(mos_catalog_session *session, int limit, mos_arena *arena, struct mos_confirmation **out,
                                          size_t *out_count, struct mos_error *error);

#endif
