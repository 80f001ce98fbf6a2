// Alerts and what happens to them in the catalog. Rules about them stand in control/alert.
#ifndef MOS_CONTROL_CATALOG_ALERTS_H
#define MOS_CONTROL_CATALOG_ALERTS_H

#include <stddef.h>

#include "control/catalog/catalog.h"
#include "control/catalog/words.h"

struct mos_alert_detail {
    const char *name;
    const char *value;
};

struct mos_alert {
    const char *id;
    // What it is about, by which it is found again: of all alerts that are open, none has the same.
    const char *cause;
    enum mos_alert_type type;
    enum mos_alert_severity severity;
    // "" where no single backup is meant.
    const char *backup_id;
    const char *message;
    const struct mos_alert_detail *details;
    size_t detail_count;
    int64_t created_at_unix_ns;
    // When the cause was last seen, and how often.
    int64_t last_seen_at_unix_ns;
    int64_t count;
    // 0 and "" while nobody has.
    int64_t acknowledged_at_unix_ns;
    const char *acknowledged_by;
    const char *note;
    // 0 while the cause persists.
    int64_t resolved_at_unix_ns;
    // When people were last told of it, and how often they were reminded.
    int64_t reminded_at_unix_ns;
    int64_t reminders;
    // 0: not yet.
    int64_t escalated_at_unix_ns;
};

// Inserts the alert or replaces all of it. MOS_ALREADY_EXISTS where another of the same cause is open.
mos_status mos_catalog_put_alert(mos_catalog_session *session, const struct mos_alert *alert, struct mos_error *error);
// MOS_NOT_FOUND, with a message that names the id.
mos_status mos_catalog_get_alert(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_alert *out,
                                 struct mos_error *error);
// The open alert of a cause. *out_found is false where there is none.
mos_status mos_catalog_find_alert(mos_catalog_session *session, const char *cause, mos_arena *arena, struct mos_alert *out, bool *out_found,
                                  struct mos_error *error);

struct mos_alert_filter {
    // 0, and "" or NULL: any.
    enum mos_alert_severity severity;
    enum mos_alert_type type;
    // -1: any; 0: not acknowledged; 1: acknowledged.
    int acknowledged;
    const char *backup_id;
};
// *out_next_token is "" on the last page.
mos_status mos_catalog_list_alerts(mos_catalog_session *session, const struct mos_alert_filter *filter, const struct mos_page *page,
                                   mos_arena *arena, struct mos_alert **out, size_t *out_count, const char **out_next_token,
                                   struct mos_error *error);
// Open ones whose cause begins so, `limit` at most.
mos_status mos_catalog_open_alerts(mos_catalog_session *session, const char *cause_prefix, int limit, mos_arena *arena,
                                   struct mos_alert **out, size_t *out_count, struct mos_error *error);
mos_status mos_catalog_count_open_alerts(mos_catalog_session *session, int64_t *out_count, struct mos_error *error);
struct mos_reminder_filter {
    enum mos_alert_severity least;
    // People were last told of it before this, or after that: then the clock was ahead.
    int64_t told_before_unix_ns;
    int64_t told_after_unix_ns;
    // It was not escalated and is older than this; 0: none is.
    int64_t escalate_before_unix_ns;
};
// Open ones that nobody has acknowledged and of which people must hear again for one reason or the other, oldest first.
mos_status mos_catalog_alerts_to_remind(mos_catalog_session *session, const struct mos_reminder_filter *filter, int limit, mos_arena *arena,
                                        struct mos_alert **out, size_t *out_count, struct mos_error *error);

struct mos_alert_event {
    // Given when it is added: grows with every event of jobs, alerts and recovery runs, never used twice.
    int64_t sequence;
    int64_t time_unix_ns;
    enum mos_alert_event_kind kind;
    enum mos_alert_severity severity;
    const char *alert_id;
};
// Of repetitions of one alert only the newest stays. Only from a change.
mos_status mos_catalog_add_alert_event(mos_catalog_session *session, struct mos_alert_event *event, struct mos_error *error);
// Events after `after_sequence` in order, `limit` at most.
mos_status mos_catalog_list_alert_events(mos_catalog_session *session, int64_t after_sequence, int limit, mos_arena *arena,
                                         struct mos_alert_event **out, size_t *out_count, struct mos_error *error);
// Of events before this time. The alerts themselves stay.
mos_status mos_catalog_remove_alert_events(mos_catalog_session *session, int64_t before_unix_ns, struct mos_error *error);

#endif
