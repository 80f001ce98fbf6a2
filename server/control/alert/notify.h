// Who is told of an alert, and how often: each raised alert of enough severity once to every receiver, again as long as nobody acknowledges
// it, to further people when that takes too long, and once more when it is over.
#ifndef MOS_CONTROL_ALERT_NOTIFY_H
#define MOS_CONTROL_ALERT_NOTIFY_H

#include "control/alert/alert.h"
#include "control/alert/delivery.h"

// All borrowed.
struct mos_notify_options {
    // Mail addresses; none where no mail server is configured.
    char **emails;
    size_t email_count;
    char **escalation_emails;
    size_t escalation_email_count;
    bool webhook;
    enum mos_alert_severity least;
    int64_t reminder_ns;
    int64_t escalation_ns;
};

// A comma separated list, without blanks around its parts. MOS_INVALID_ARGUMENT naming the setting. In the arena.
mos_status mos_notify_addresses(const char *setting, const char *text, mos_arena *arena, char ***out, size_t *out_count,
                                struct mos_error *error);

// Puts into the outbox what is due by now: what happened to alerts since the last time (kept in the catalog, so that nothing is told twice
// or not at all over a restart), reminders and escalations.
mos_status mos_notify_step(mos_catalog *catalog, const struct mos_notify_options *options, struct mos_error *error);

#endif
