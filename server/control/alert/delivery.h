// Messages to people and programs outside: mail over SMTP and a signed webhook. What is to be sent is a row of the catalog until the
// receiver has taken it, so that neither a restart nor a receiver that is away for hours loses it. Thread safe.
//
// A webhook is posted as JSON with these headers:
//     X-Mosaajii-Delivery: <id>                the same each time one message is tried again: drop what came before
//     X-Mosaajii-Timestamp: <seconds>          when this try was signed: refuse what is older than a few minutes
//     X-Mosaajii-Signature: sha256=<hex>       HMAC-SHA256 over "<timestamp>.<delivery id>.<body>" with ALERT_WEBHOOK_SECRET
#ifndef MOS_CONTROL_ALERT_DELIVERY_H
#define MOS_CONTROL_ALERT_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "control/catalog/catalog.h"

// All borrowed, and must outlive it. "": not set.
struct mos_delivery_options {
    const char *smtp_host;
    int smtp_port;
    const char *smtp_user;
    const char *smtp_password;
    // "STARTTLS" (demanded, never fallen back from), "TLS" or, to a loopback address only, "NONE".
    const char *smtp_tls;
    const char *from;
    const char *webhook_url;
    const char *webhook_secret;
    // Authorities that certificates are checked against, PEM; "": those of the system.
    const char *ca_file;
    // Of one try.
    int timeout_ms;
    // Before the second try; doubled for each further one up to fifteen minutes.
    int64_t retry_seconds;
    // Given up after this.
    int64_t give_up_seconds;
};

typedef struct mos_delivery mos_delivery;

// MOS_INVALID_ARGUMENT naming the setting where the options contradict themselves.
mos_status mos_delivery_check(const struct mos_delivery_options *options, struct mos_error *error);
// Starts nothing. Never NULL; the caller's, to be destroyed.
mos_delivery *mos_delivery_create(mos_catalog *catalog, const struct mos_delivery_options *options);
// From now on what is due is sent, on a thread of its own.
mos_status mos_delivery_start(mos_delivery *delivery, struct mos_error *error);
// Waits for the try under way, which may take the time of one try. What is left is sent by the next server. NULL is fine, as for destroy.
void mos_delivery_stop(mos_delivery *delivery);
void mos_delivery_destroy(mos_delivery *delivery);

bool mos_delivery_has_mail(const mos_delivery *delivery);
bool mos_delivery_has_webhook(const mos_delivery *delivery);

struct mos_outgoing {
    // "mail:<address>" or "webhook".
    const char *receiver;
    // Of a mail, one line.
    const char *subject;
    // Of a mail its text, of a webhook a JSON object. No secret.
    const char *body;
    // What it tells of, as the id of an alert or a recovery run: by this the deliveries are found again (catalog/deliveries.h).
    const char *reference;
};
// To be sent as soon as the change is committed. Only from a change. MOS_INVALID_ARGUMENT for a receiver of no known kind.
mos_status mos_delivery_add_in(mos_catalog_session *session, const struct mos_outgoing *message, struct mos_error *error);
// Sends now and waits for the receiver's answer; nothing is kept or tried again. MOS_FAILED_PRECONDITION where mail or webhook is not
// configured, MOS_UNAVAILABLE where the receiver is away, MOS_PERMISSION_DENIED or MOS_INVALID_ARGUMENT where it refuses; the message is
// what it said.
mos_status mos_delivery_send(mos_delivery *delivery, const struct mos_outgoing *message, struct mos_error *error);

// Sends what is due by the clock, once each; *out_sent is how many were tried. What the thread does; for tests with a clock of their own.
mos_status mos_delivery_run_due(mos_delivery *delivery, int64_t *out_tried, struct mos_error *error);

// An address that a mail can be sent to: one @, no space, control character, comma or angle bracket.
bool mos_mail_address_valid(const char *address);

#endif
