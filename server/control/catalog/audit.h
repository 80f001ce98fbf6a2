// The audit trail in the catalog. Rows are added and never changed.
#ifndef MOS_CONTROL_CATALOG_AUDIT_H
#define MOS_CONTROL_CATALOG_AUDIT_H

#include <stddef.h>

#include "control/audit/chain.h"
#include "control/catalog/catalog.h"

// Puts the entry behind the newest one: sequence, time and hashes are filled in, the rest is the caller's. In the same transaction as what
// it tells of, so that neither is without the other. Details need not be in order; values that are no text are escaped, long ones cut.
mos_status mos_catalog_add_audit(mos_catalog_session *session, const struct mos_audit_entry *entry, struct mos_error *error);
// The newest entry as the writer knows it: 0 and zeros where there is none.
mos_status mos_catalog_audit_head(mos_catalog_session *session, int64_t *out_sequence, uint8_t out_hash[MOS_AUDIT_HASH_BYTES],
                                  struct mos_error *error);
// The next entry comes behind this one, whether it is still there or not: what was signed for once is never written again under the same
// number. Only from a change.
mos_status mos_catalog_set_audit_head(mos_catalog_session *session, int64_t sequence, const uint8_t hash[MOS_AUDIT_HASH_BYTES],
                                      struct mos_error *error);

struct mos_audit_filter {
    // NULL or "": any.
    const char *actor;
    const char *action;
    const char *resource;
    // RFC 3339 with milliseconds; NULL: no bound. `from` is in, `to` is not.
    const char *from;
    const char *to;
};
// Newest first.
mos_status mos_catalog_list_audit(mos_catalog_session *session, const struct mos_audit_filter *filter, const struct mos_page *page,
                                  mos_arena *arena, struct mos_audit_entry **out, size_t *out_count, const char **out_next_token,
                                  struct mos_error *error);
// Entries after this one, in order, `limit` at most. A row whose details are no JSON object has one detail "unreadable".
mos_status mos_catalog_next_audit(mos_catalog_session *session, int64_t after_sequence, int limit, mos_arena *arena,
                                  struct mos_audit_entry **out, size_t *out_count, struct mos_error *error);

// Does nothing where one of the same entry is there.
mos_status mos_catalog_add_checkpoint(mos_catalog_session *session, const struct mos_audit_checkpoint *checkpoint, struct mos_error *error);
// Checkpoints of entries after this one, in order, `limit` at most, in the arena. A damaged row has sequence only.
mos_status mos_catalog_next_checkpoints(mos_catalog_session *session, int64_t after_sequence, int limit, mos_arena *arena,
                                        struct mos_audit_checkpoint **out, size_t *out_count, struct mos_error *error);
// *out_found is false where there is none.
mos_status mos_catalog_last_checkpoint(mos_catalog_session *session, struct mos_audit_checkpoint *out, bool *out_found,
                                       struct mos_error *error);

#endif
