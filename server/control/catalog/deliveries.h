// Messages to people and programs outside, kept until they are delivered.
#ifndef MOS_CONTROL_CATALOG_DELIVERIES_H
#define MOS_CONTROL_CATALOG_DELIVERIES_H

#include <stddef.h>

#include "control/catalog/catalog.h"

struct mos_delivery_row {
    const char *id;
    // `mail:someone@example.com`, or `webhook`.
    const char *receiver;
    // Of a webhook: the kind of message.
    const char *subject;
    // Of a mail its text, of a webhook a JSON object.
    const char *body;
    // What it tells of: the id of an alert, of a recovery run.
    const char *reference;
    int64_t created_at_unix_ns;
    int64_t next_try_at_unix_ns;
    int64_t tries;
    // 0: not yet.
    int64_t delivered_at_unix_ns;
    int64_t given_up_at_unix_ns;
    // What the receiver said last.
    const char *message;
};

// Inserts the row or replaces all of it.
mos_status mos_catalog_put_delivery(mos_catalog_session *session, const struct mos_delivery_row *row, struct mos_error *error);
struct mos_due_filter {
    // Mails, or webhooks.
    bool mail;
    // Those to be tried by now, and those put off beyond the farthest time, as by a clock that was ahead.
    int64_t now_unix_ns;
    int64_t farthest_unix_ns;
};
// Earliest first, `limit` at most.
mos_status mos_catalog_due_deliveries(mos_catalog_session *session, const struct mos_due_filter *filter, int limit, mos_arena *arena,
                                      struct mos_delivery_row **out, size_t *out_count, struct mos_error *error);
// When the next one is to be tried; 0 where none waits.
mos_status mos_catalog_next_delivery(mos_catalog_session *session, int64_t *out_unix_ns, struct mos_error *error);
// What was sent about something, oldest first, `limit` at most.
mos_status mos_catalog_deliveries_of(mos_catalog_session *session, const char *reference, int limit, mos_arena *arena,
                                     struct mos_delivery_row **out, size_t *out_count, struct mos_error *error);
// How many wait, and how many were given up.
mos_status mos_catalog_count_deliveries(mos_catalog_session *session, int64_t *out_waiting, int64_t *out_given_up, struct mos_error *error);
// Of what was delivered or given up before this time.
mos_status mos_catalog_remove_deliveries(mos_catalog_session *session, int64_t ended_before_unix_ns, struct mos_error *error);

#endif
