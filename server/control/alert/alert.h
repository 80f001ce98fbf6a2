// Raising and resolving alerts: one open alert a cause. Whoever finds something wrong raises it each time it is seen, and resolves it when
// it is gone; who is told, how and how often is settled elsewhere (notify.h).
#ifndef MOS_CONTROL_ALERT_ALERT_H
#define MOS_CONTROL_ALERT_ALERT_H

#include <stddef.h>

#include "common/status.h"
#include "control/catalog/alerts.h"
#include "control/catalog/catalog.h"

struct mos_alert_cause {
    enum mos_alert_type type;
    enum mos_alert_severity severity;
    // What is wrong with what, as "storage" or "rpo:DATABASE": the same each time it is seen, another for anything else.
    const char *cause;
    // NULL or "": no single backup is meant.
    const char *backup_id;
    // One sentence for people. No secret, nor in the details.
    const char *message;
    const struct mos_alert_detail *details;
    size_t detail_count;
};

// As part of a change of the catalog. Where the cause has an open alert, that one is counted up and takes over message, details and time;
// its severity only grows, and growing takes an acknowledgement back.
mos_status mos_alert_raise_in(mos_catalog_session *session, const struct mos_alert_cause *cause, struct mos_error *error);
// Of something that happened and is over, as a completed backup: raised and resolved at once.
mos_status mos_alert_tell_in(mos_catalog_session *session, const struct mos_alert_cause *cause, struct mos_error *error);
// Does nothing where the cause has no open alert.
mos_status mos_alert_resolve_in(mos_catalog_session *session, const char *cause, struct mos_error *error);
// MOS_NOT_FOUND. Acknowledging again replaces who, when and note. One that is resolved may be acknowledged too: that somebody saw it
// counts.
mos_status mos_alert_acknowledge_in(mos_catalog_session *session, const char *id, const char *who, const char *note,
                                    struct mos_error *error);

// The same as changes of their own. They block until the change is on disk, so never call them from within one. A failure is logged.
void mos_alert_raise(mos_catalog *catalog, const struct mos_alert_cause *cause);
void mos_alert_resolve(mos_catalog *catalog, const char *cause);

#endif
