#include "control/alert/alert.h"

#include <string.h>

#include "common/arena.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"

static mos_status add_event(mos_catalog_session *session, enum mos_alert_event_kind kind, const struct mos_alert *alert,
                            struct mos_error *error) {
    struct mos_alert_event event = {.time_unix_ns = mos_now_unix_ns(), .kind = kind, .severity = alert->severity, .alert_id = alert->id};
    return mos_catalog_add_alert_event(session, &event, error);
}

static mos_status put(mos_catalog_session *session, enum mos_alert_event_kind kind, const struct mos_alert *alert,
                      struct mos_error *error) {
    mos_status status = mos_catalog_put_alert(session, alert, error);
    return status == MOS_OK ? add_event(session, kind, alert, error) : status;
}

// What is said of a cause that is seen, for the first time or again.
static void take(const struct mos_alert_cause *cause, int64_t now_unix_ns, struct mos_alert *out) {
    out->backup_id = cause->backup_id ? cause->backup_id : "";
    out->message = cause->message;
    out->details = cause->details;
    out->detail_count = cause->detail_count;
    out->last_seen_at_unix_ns = now_unix_ns;
    out->count++;
}

static struct mos_alert make(const struct mos_alert_cause *cause, const char *id, int64_t now_unix_ns) {
    struct mos_alert alert = {.id = id,
                              .cause = cause->cause,
                              .type = cause->type,
                              .severity = cause->severity,
                              .created_at_unix_ns = now_unix_ns,
                              .reminded_at_unix_ns = now_unix_ns};
    take(cause, now_unix_ns, &alert);
    return alert;
}

mos_status mos_alert_raise_in(mos_catalog_session *session, const struct mos_alert_cause *cause, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_alert alert;
    bool found = false;
    int64_t now = mos_now_unix_ns();
    mos_status status = mos_catalog_find_alert(session, cause->cause, arena, &alert, &found, error);
    if (status != MOS_OK) {
        return status;
    }
    if (!found) {
        char id[MOS_ID_TEXT_BYTES];
        mos_id_new(id);
        alert = make(cause, id, now);
        return put(session, MOS_ALERT_RAISED, &alert, error);
    }
    take(cause, now, &alert);
    if (cause->severity <= alert.severity) {
        return put(session, MOS_ALERT_REPEATED, &alert, error);
    }
    // Whoever acknowledged it knew of something less grave.
    alert.severity = cause->severity;
    alert.acknowledged_at_unix_ns = 0;
    alert.acknowledged_by = "";
    alert.note = "";
    alert.reminded_at_unix_ns = now;
    alert.reminders = 0;
    alert.escalated_at_unix_ns = 0;
    return put(session, MOS_ALERT_RAISED, &alert, error);
}

mos_status mos_alert_tell_in(mos_catalog_session *session, const struct mos_alert_cause *cause, struct mos_error *error) {
    char id[MOS_ID_TEXT_BYTES];
    int64_t now = mos_now_unix_ns();
    mos_id_new(id);
    struct mos_alert alert = make(cause, id, now);
    alert.resolved_at_unix_ns = now;
    return put(session, MOS_ALERT_RAISED, &alert, error);
}

mos_status mos_alert_resolve_in(mos_catalog_session *session, const char *cause, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_alert alert;
    bool found = false;
    mos_status status = mos_catalog_find_alert(session, cause, arena, &alert, &found, error);
    if (status != MOS_OK || !found) {
        return status;
    }
    alert.resolved_at_unix_ns = mos_now_unix_ns();
    return put(session, MOS_ALERT_RESOLVED, &alert, error);
}

mos_status mos_alert_acknowledge_in(mos_catalog_session *session, const char *id, const char *who, const char *note,
                                    struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_alert alert;
    mos_status status = mos_catalog_get_alert(session, id, arena, &alert, error);
    if (status != MOS_OK) {
        return status;
    }
    alert.acknowledged_at_unix_ns = mos_now_unix_ns();
    alert.acknowledged_by = who;
    alert.note = note;
    return put(session, MOS_ALERT_ACKNOWLEDGED, &alert, error);
}

// ---- As changes of their own ----

static mos_status raise_change(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_alert_raise_in(session, argument, error);
}

static mos_status resolve_change(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_alert_resolve_in(session, argument, error);
}

void mos_alert_raise(mos_catalog *catalog, const struct mos_alert_cause *cause) {
    struct mos_error error;
    if (mos_catalog_write(catalog, raise_change, (void *)(uintptr_t)cause, &error) != MOS_OK) {
        mos_log_error("an alert was lost", MOS_TEXT("cause", cause->cause), MOS_TEXT("reason", error.message));
    }
}

void mos_alert_resolve(mos_catalog *catalog, const char *cause) {
    struct mos_error error;
    if (mos_catalog_write(catalog, resolve_change, (void *)(uintptr_t)cause, &error) != MOS_OK) {
        mos_log_error("an alert could not be resolved", MOS_TEXT("cause", cause), MOS_TEXT("reason", error.message));
    }
}
