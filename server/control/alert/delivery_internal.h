// Private to delivery: the ways out.
#ifndef MOS_CONTROL_ALERT_DELIVERY_INTERNAL_H
#define MOS_CONTROL_ALERT_DELIVERY_INTERNAL_H

#include <stdatomic.h>

#include "control/alert/delivery.h"

struct mos_letter {
    // Of the delivery: the same each time it is tried.
    const char *id;
    const char *address;
    const char *subject;
    const char *body;
    // Becomes true when the server stops: then a receiver that is slow is left after a short grace. NULL: it does not.
    const atomic_bool *stopping;
};
mos_status mos_mail_send(const struct mos_delivery_options *options, const struct mos_letter *letter, struct mos_error *error);
// `subject` is not sent.
mos_status mos_webhook_send(const struct mos_delivery_options *options, const struct mos_letter *letter, struct mos_error *error);
// A GET or, with a body, a POST to another program; MOS_OK where it answers 2xx. `headers` ends with NULL.
mos_status mos_http_send(const struct mos_delivery_options *options, const char *url, const char *const *headers, const char *body,
                         const atomic_bool *stopping, struct mos_error *error);
// Timeouts, and the end at a stop, of one transfer.
struct mos_transfer_guard {
    const atomic_bool *stopping;
    int64_t stopped_at_ns;
};
void mos_transfer_guard(void *curl, const struct mos_delivery_options *options, struct mos_transfer_guard *guard);
void mos_curl_start(void);
// "127.0.0.1", "::1", "localhost" and their like.
bool mos_host_is_loopback(const char *host, size_t length);

#endif
