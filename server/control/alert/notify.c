#include "control/alert/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"

enum { AT_ONCE = 256, SUBJECT_BYTES = 160 };

static const char cursor_name[] = "alerts.notified";

mos_status mos_notify_addresses(const char *setting, const char *text, mos_arena *arena, char ***out, size_t *out_count,
                                struct mos_error *error) {
    size_t count = 1;
    for (const char *c = text; *c; c++) {
        count += *c == ',';
    }
    *out = mos_arena_array(arena, char *, count);
    *out_count = 0;
    while (*text) {
        size_t length = strcspn(text, ",");
        const char *start = text + strspn(text, " \t");
        size_t inner = start < text + length ? (size_t)(text + length - start) : 0;
        while (inner > 0 && (start[inner - 1] == ' ' || start[inner - 1] == '\t')) {
            inner--;
        }
        if (inner > 0) {
            char *address = mos_arena_printf(arena, "%.*s", (int)inner, start);
            if (!mos_mail_address_valid(address)) {
                return mos_fail_field(error, setting, "%s holds \"%.200s\"; allowed are mail addresses, comma separated", setting, address);
            }
            (*out)[(*out_count)++] = address;
        }
        text += length + (text[length] == ',');
    }
    return MOS_OK;
}

// ---- What is said ----

static void append_time(struct mos_buffer *out, const char *name, int64_t unix_ns) {
    char text[MOS_TIME_TEXT_BYTES];
    mos_time_format(unix_ns, text);
    if (unix_ns) {
        mos_buffer_printf(out, ",\"%s\":\"%s\"", name, text);
    } else {
        mos_buffer_printf(out, ",\"%s\":null", name);
    }
}

// As a webhook gets it.
static void append_json(struct mos_buffer *out, const char *event, const struct mos_alert *alert) {
    char now[MOS_TIME_TEXT_BYTES];
    mos_time_format(mos_now_unix_ns(), now);
    mos_buffer_printf(out, "{\"event\":\"%s\",\"time\":\"%s\",\"alert\":{\"id\":", event, now);
    mos_json_append_text(out, alert->id);
    mos_buffer_append_text(out, ",\"backupId\":");
    mos_json_append_text(out, alert->backup_id);
    mos_buffer_printf(out, ",\"severity\":\"%s\",\"type\":\"%s\",\"message\":", mos_alert_severity_word(alert->severity),
                      mos_alert_type_word(alert->type));
    mos_json_append_text(out, alert->message);
    mos_buffer_append_text(out, ",\"details\":{");
    for (size_t i = 0; i < alert->detail_count; i++) {
        mos_buffer_append_text(out, i > 0 ? "," : "");
        mos_json_append_text(out, alert->details[i].name);
        mos_buffer_append_text(out, ":");
        mos_json_append_text(out, alert->details[i].value);
    }
    mos_buffer_append_text(out, "}");
    append_time(out, "createdAt", alert->created_at_unix_ns);
    append_time(out, "lastSeenAt", alert->last_seen_at_unix_ns);
    append_time(out, "resolvedAt", alert->resolved_at_unix_ns);
    mos_buffer_printf(out, ",\"count\":%lld,\"acknowledged\":%s}}", (long long)alert->count,
                      alert->acknowledged_at_unix_ns ? "true" : "false");
}

static void write_mail(struct mos_buffer *out, const char *event, const struct mos_alert *alert) {
    char created[MOS_TIME_TEXT_BYTES], seen[MOS_TIME_TEXT_BYTES];
    mos_time_format(alert->created_at_unix_ns, created);
    mos_time_format(alert->last_seen_at_unix_ns, seen);
    mos_buffer_printf(out, "%s\n\n%s %s, %s\nSince %s", alert->message, mos_alert_severity_word(alert->severity),
                      mos_alert_type_word(alert->type), event, created);
    if (alert->count > 1) {
        mos_buffer_printf(out, ", seen %lld times, last at %s", (long long)alert->count, seen);
    }
    mos_buffer_append_text(out, "\n");
    if (*alert->backup_id) {
        mos_buffer_printf(out, "Backup %s\n", alert->backup_id);
    }
    for (size_t i = 0; i < alert->detail_count; i++) {
        mos_buffer_printf(out, "%s: %s\n", alert->details[i].name, alert->details[i].value);
    }
    if (!alert->resolved_at_unix_ns) {
        mos_buffer_printf(out, "\nTo say that somebody looks after it, and stop reminders:\n    mosaajii alert ack %s\n", alert->id);
    }
}

static mos_status add_mails(mos_catalog_session *session, char *const *emails, size_t count, const char *event,
                            const struct mos_alert *alert, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    char subject[SUBJECT_BYTES];
    bool raised = strcmp(event, "RAISED") == 0;
    snprintf(subject, sizeof(subject), "[Mosaajii Backup] %s%s%s: %s", raised ? "" : event, raised ? "" : " ",
             mos_alert_severity_word(alert->severity), alert->message);
    // Cut between characters.
    for (size_t end = strlen(subject); end == SUBJECT_BYTES - 1 && end > 0; end--) {
        if ((subject[end - 1] & 0xc0) != 0x80) {
            subject[(subject[end - 1] & 0x80) ? end - 1 : end] = 0;
            break;
        }
    }
    write_mail(&text, event, alert);
    mos_status status = MOS_OK;
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        MOS_CLEANUP_BUFFER struct mos_buffer receiver = MOS_BUFFER_INIT(0);
        mos_buffer_printf(&receiver, "mail:%s", emails[i]);
        const struct mos_outgoing message = {
            .receiver = mos_buffer_text(&receiver), .subject = subject, .body = mos_buffer_text(&text), .reference = alert->id};
        status = mos_delivery_add_in(session, &message, error);
    }
    return status;
}

static mos_status tell(mos_catalog_session *session, const struct mos_notify_options *options, const char *event,
                       const struct mos_alert *alert, struct mos_error *error) {
    mos_status status = add_mails(session, options->emails, options->email_count, event, alert, error);
    if (status != MOS_OK || !options->webhook) {
        return status;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer json = MOS_BUFFER_INIT(0);
    append_json(&json, event, alert);
    const struct mos_outgoing message = {.receiver = "webhook", .subject = event, .body = mos_buffer_text(&json), .reference = alert->id};
    return mos_delivery_add_in(session, &message, error);
}

// ---- When ----

struct step {
    const struct mos_notify_options *options;
    bool more;
};

static void log_event(const struct mos_alert_event *event, const struct mos_alert *alert) {
    mos_log_write(event->kind == MOS_ALERT_RESOLVED || alert->severity == MOS_SEVERITY_INFO ? MOS_LOG_INFO : MOS_LOG_WARNING,
                  event->kind == MOS_ALERT_RESOLVED ? "alert resolved" : "alert raised",
                  (struct mos_log_field[]){MOS_TEXT("type", mos_alert_type_word(alert->type)),
                                           MOS_TEXT("severity", mos_alert_severity_word(alert->severity)),
                                           MOS_TEXT("alert", alert->id),
                                           MOS_TEXT("message", alert->message),
                                           {0}});
}

static mos_status follow(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct step *step = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *text;
    struct mos_alert_event *events;
    size_t count = 0;
    mos_status status = mos_catalog_get_fact(session, cursor_name, arena, &text, error);
    if (status == MOS_OK) {
        status = mos_catalog_list_alert_events(session, strtoll(text, NULL, 10), AT_ONCE, arena, &events, &count, error);
    }
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        struct mos_alert alert;
        bool told = events[i].kind == MOS_ALERT_RAISED || events[i].kind == MOS_ALERT_RESOLVED;
        if (!told) {
            continue;
        }
        status = mos_catalog_get_alert(session, events[i].alert_id, arena, &alert, error);
        if (status == MOS_OK) {
            log_event(&events[i], &alert);
        }
        if (status == MOS_OK && events[i].severity >= step->options->least) {
            status = tell(session, step->options, mos_alert_event_kind_word(events[i].kind), &alert, error);
        }
    }
    if (status != MOS_OK || count == 0) {
        return status;
    }
    char cursor[24];
    snprintf(cursor, sizeof(cursor), "%lld", (long long)events[count - 1].sequence);
    step->more = count == AT_ONCE;
    return mos_catalog_put_fact(session, cursor_name, cursor, error);
}

static mos_status remind_one(mos_catalog_session *session, const struct mos_notify_options *options, struct mos_alert *alert, int64_t now,
                             struct mos_error *error) {
    mos_status status = MOS_OK;
    if (alert->reminded_at_unix_ns <= now - options->reminder_ns || alert->reminded_at_unix_ns > now + options->reminder_ns) {
        alert->reminded_at_unix_ns = now;
        alert->reminders++;
        status = tell(session, options, "REMINDER", alert, error);
    }
    if (status == MOS_OK && options->escalation_email_count > 0 &&
        (alert->escalated_at_unix_ns || alert->created_at_unix_ns <= now - options->escalation_ns) &&
        (!alert->escalated_at_unix_ns || alert->reminded_at_unix_ns == now)) {
        alert->escalated_at_unix_ns = now;
        status = add_mails(session, options->escalation_emails, options->escalation_email_count, "ESCALATED", alert, error);
    }
    return status == MOS_OK ? mos_catalog_put_alert(session, alert, error) : status;
}

static mos_status remind(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct step *step = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_notify_options *options = step->options;
    int64_t now = mos_now_unix_ns();
    // One more than the bound: the time itself counts as over.
    const struct mos_reminder_filter filter = {.least = options->least,
                                               .told_before_unix_ns = now - options->reminder_ns + 1,
                                               .told_after_unix_ns = now + options->reminder_ns,
                                               .escalate_before_unix_ns =
                                                   options->escalation_email_count > 0 ? now - options->escalation_ns + 1 : 0};
    struct mos_alert *alerts;
    size_t count = 0;
    mos_status status = mos_catalog_alerts_to_remind(session, &filter, AT_ONCE, arena, &alerts, &count, error);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = remind_one(session, options, &alerts[i], now, error);
    }
    step->more = count == AT_ONCE;
    return status;
}

mos_status mos_notify_step(mos_catalog *catalog, const struct mos_notify_options *options, struct mos_error *error) {
    static const mos_catalog_change changes[] = {follow, remind};
    mos_status status = MOS_OK;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]) && status == MOS_OK; i++) {
        struct step step = {options, true};
        while (status == MOS_OK && step.more) {
            step.more = false;
            status = mos_catalog_write(catalog, changes[i], &step, error);
        }
    }
    return status;
}
