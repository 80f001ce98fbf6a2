// AlertService.
#include <string.h>

#include "common/clock.h"
#include "control/alert/alert.h"
#include "control/service/internal.h"

// Events read at a time: what a watcher holds in memory, however slow it is.
enum { EVENTS_AT_ONCE = 256, LONGEST_NOTE = 2000, HEARTBEAT_SECONDS = 30 };

static const char severities[] = "INFO, WARNING, ERROR or CRITICAL";

typedef Mosaajii__Backup__V1__Alert alert_message;

static bool make_alert(mos_arena *arena, const struct mos_alert *alert, alert_message *out) {
    mosaajii__backup__v1__alert__init(out);
    out->id = (char *)alert->id;
    out->backup_id = (char *)alert->backup_id;
    out->severity = (Mosaajii__Backup__V1__Alert__Severity)alert->severity;
    out->type = (Mosaajii__Backup__V1__Alert__Type)alert->type;
    out->message = (char *)alert->message;
    out->acknowledged = alert->acknowledged_at_unix_ns != 0;
    out->acknowledged_by = (char *)alert->acknowledged_by;
    out->note = (char *)alert->note;
    out->count = alert->count;
    Mosaajii__Backup__V1__Alert__DetailsEntry *entries =
        mos_arena_array(arena, Mosaajii__Backup__V1__Alert__DetailsEntry, alert->detail_count);
    out->details = mos_arena_array(arena, Mosaajii__Backup__V1__Alert__DetailsEntry *, alert->detail_count);
    for (size_t i = 0; i < alert->detail_count; i++) {
        if (!entries || !out->details) {
            return false;
        }
        mosaajii__backup__v1__alert__details_entry__init(&entries[i]);
        entries[i].key = (char *)alert->details[i].name;
        entries[i].value = (char *)alert->details[i].value;
        out->details[i] = &entries[i];
    }
    out->n_details = alert->detail_count;
    return mos_make_time(arena, alert->created_at_unix_ns, &out->created_at) &&
           mos_make_time(arena, alert->acknowledged_at_unix_ns, &out->acknowledged_at) &&
           mos_make_time(arena, alert->last_seen_at_unix_ns, &out->last_seen_at) &&
           mos_make_time(arena, alert->resolved_at_unix_ns, &out->resolved_at);
}

ALERT_HANDLER(list_alerts, ListAlertsRequest, ListAlertsResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    mos_status status = mos_check_enum("severity", (int)request->severity, MOS_SEVERITY_CRITICAL, true, severities, error);
    if (status == MOS_OK) {
        status =
            mos_check_enum("type", (int)request->type, MOS_ALERT_CLOCK_SKEW, true, "BACKUP_FAILED and the other types of alerts", error);
    }
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    if (status == MOS_OK) {
        status = mos_catalog_read_begin(services->catalog, &session, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    bool asked = request->_acknowledged_case == MOSAAJII__BACKUP__V1__LIST_ALERTS_REQUEST___ACKNOWLEDGED_ACKNOWLEDGED;
    const struct mos_alert_filter filter = {.severity = (enum mos_alert_severity)request->severity,
                                            .type = (enum mos_alert_type)request->type,
                                            .acknowledged = asked ? request->acknowledged : -1,
                                            .backup_id = request->backup_id};
    const struct mos_page page = {request->page_size, request->page_token};
    struct mos_alert *alerts;
    size_t count = 0;
    const char *next;
    status = mos_catalog_list_alerts(session, &filter, &page, arena, &alerts, &count, &next, error);
    if (status != MOS_OK) {
        return status;
    }
    alert_message *messages = mos_arena_array(arena, alert_message, count);
    response->alerts = mos_arena_array(arena, alert_message *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->alerts || !make_alert(arena, &alerts[i], &messages[i])) {
            return mos_fail_memory(call);
        }
        response->alerts[i] = &messages[i];
    }
    response->n_alerts = count;
    response->next_page_token = (char *)next;
    return MOS_OK;
}

// No view of the catalog is held open while the receiver is slow.
static mos_status read_alert(struct mos_call *call, const char *id, mos_arena *arena, struct mos_alert *out) {
    struct mos_services *services = mos_call_user(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
    return status == MOS_OK ? mos_catalog_get_alert(session, id, arena, out, mos_call_error(call)) : status;
}

static mos_status answer_alert(struct mos_call *call, const char *id, alert_message *out) {
    struct mos_alert alert;
    mos_status status = read_alert(call, id, mos_call_arena(call), &alert);
    if (status != MOS_OK) {
        return status;
    }
    return make_alert(mos_call_arena(call), &alert, out) ? MOS_OK : mos_fail_memory(call);
}

ALERT_HANDLER(get_alert, GetAlertRequest, Alert) {
    mos_status status = mos_check_id("alertId", request->alert_id, mos_call_error(call));
    return status == MOS_OK ? answer_alert(call, request->alert_id, response) : status;
}

struct acknowledgement {
    const char *id;
    const char *who;
    const char *note;
};

static mos_status acknowledge(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct acknowledgement *change = argument;
    return mos_alert_acknowledge_in(session, change->id, change->who, change->note, error);
}

ALERT_HANDLER(acknowledge_alert, AcknowledgeAlertRequest, AcknowledgeAlertResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    mos_status status = mos_check_id("alertId", request->alert_id, error);
    if (status == MOS_OK) {
        status = mos_check_text("note", request->note, LONGEST_NOTE, error);
    }
    struct acknowledgement change = {request->alert_id, mos_call_caller_name(call), request->note};
    if (status == MOS_OK) {
        status = mos_catalog_write(services->catalog, acknowledge, &change, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    response->message = (char *)"Alert acknowledged";
    response->alert = mos_arena_alloc(arena, sizeof(*response->alert));
    return response->alert ? answer_alert(call, request->alert_id, response->alert) : mos_fail_memory(call);
}

// ---- Watching ----

// Without an alert: a sign of life.
static mos_status send_event(struct mos_call *call, const struct mos_alert_event *event) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Backup__V1__AlertEvent message = MOSAAJII__BACKUP__V1__ALERT_EVENT__INIT;
    alert_message alert_of_event;
    message.sequence = event->sequence;
    message.kind = (Mosaajii__Backup__V1__AlertEvent__Kind)event->kind;
    if (!mos_make_time(arena, event->time_unix_ns, &message.time)) {
        return mos_fail_memory(call);
    }
    if (event->alert_id) {
        struct mos_alert alert;
        mos_status status = read_alert(call, event->alert_id, arena, &alert);
        if (status != MOS_OK) {
            return status;
        }
        if (!make_alert(arena, &alert, &alert_of_event)) {
            return mos_fail_memory(call);
        }
        message.alert = &alert_of_event;
    }
    return mosaajii_backup_v1_alert_service_watch_alerts_send(call, &message);
}

static mos_status read_round(struct mos_call *call, int64_t after, mos_arena *arena, struct mos_alert_event **out, size_t *out_count) {
    struct mos_services *services = mos_call_user(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
    return status == MOS_OK ? mos_catalog_list_alert_events(session, after, EVENTS_AT_ONCE, arena, out, out_count, mos_call_error(call))
                            : status;
}

static mos_status send_round(struct mos_call *call, const Mosaajii__Backup__V1__WatchAlertsRequest *request, int64_t *after,
                             size_t *out_read, size_t *out_sent) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_alert_event *events;
    *out_read = *out_sent = 0;
    mos_status status = read_round(call, *after, arena, &events, out_read);
    for (size_t i = 0; i < *out_read && status == MOS_OK; i++) {
        *after = events[i].sequence;
        if ((int)events[i].severity >= (int)request->minimum_severity) {
            status = send_event(call, &events[i]);
            ++*out_sent;
        }
    }
    return status;
}

mos_status mos_alert_service_watch_alerts(struct mos_call *call, const Mosaajii__Backup__V1__WatchAlertsRequest *request) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    int64_t after = request->after_sequence;
    int64_t alive_ns = mos_now_monotonic_ns();
    mos_status status = mos_check_enum("minimumSeverity", (int)request->minimum_severity, MOS_SEVERITY_CRITICAL, true, severities, error);
    if (status == MOS_OK && after < 0) {
        status =
            mos_fail_field(error, "afterSequence", "afterSequence is %lld; allowed is 0 or the sequence of an event", (long long)after);
    }
    while (status == MOS_OK) {
        if (mos_call_cancelled(call)) {
            return mos_call_fail_cancelled(call);
        }
        int64_t seen = mos_catalog_last_event(services->catalog);
        size_t read, sent;
        status = send_round(call, request, &after, &read, &sent);
        int64_t now_ns = mos_now_monotonic_ns();
        if (status == MOS_OK && sent == 0 && now_ns - alive_ns >= HEARTBEAT_SECONDS * MOS_NS_PER_SECOND) {
            const struct mos_alert_event beat = {.sequence = after,
                                                 .time_unix_ns = mos_now_unix_ns(),
                                                 .kind = (enum mos_alert_event_kind)MOSAAJII__BACKUP__V1__ALERT_EVENT__KIND__HEARTBEAT};
            status = send_event(call, &beat);
            sent = 1;
        }
        alive_ns = sent > 0 ? now_ns : alive_ns;
        if (status == MOS_OK && read < EVENTS_AT_ONCE) {
            mos_call_wakes_catalog(call, services->catalog);
            mos_catalog_wait_events_for(services->catalog, seen, alive_ns + HEARTBEAT_SECONDS * MOS_NS_PER_SECOND - mos_now_monotonic_ns(),
                                        mos_call_is_over, call);
            mos_call_wakes_nobody(call);
        }
    }
    return status;
}

// ---- Testing ----

static bool try_receiver(struct mos_services *services, mos_arena *arena, const char *receiver,
                         Mosaajii__Backup__V1__TestAlertDeliveryResponse *response) {
    static const char body[] = "This is a test of the alerts of Mosaajii Backup. If you read this, they reach you.\n";
    static const char json[] = "{\"event\":\"TEST\",\"message\":\"This is a test of the alerts of Mosaajii Backup.\"}";
    Mosaajii__Backup__V1__AlertDelivery *delivery = mos_arena_alloc(arena, sizeof(*delivery));
    if (!delivery) {
        return false;
    }
    bool webhook = strcmp(receiver, "webhook") == 0;
    const struct mos_outgoing message = {
        .receiver = receiver, .subject = "[Mosaajii Backup] test", .body = webhook ? json : body, .reference = ""};
    struct mos_error said = {0};
    mosaajii__backup__v1__alert_delivery__init(delivery);
    delivery->receiver = (char *)receiver;
    delivery->delivered = mos_delivery_send(mos_watch_delivery(services->watch), &message, &said) == MOS_OK;
    delivery->message = delivery->delivered ? (char *)"" : mos_arena_strdup(arena, said.message);
    response->deliveries[response->n_deliveries++] = delivery;
    return delivery->message != NULL;
}

ALERT_HANDLER(test_alert_delivery, TestAlertDeliveryRequest, TestAlertDeliveryResponse) {
    (void)request;
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    const struct mos_notify_options *notify = mos_watch_notify(services->watch);
    size_t count = notify->email_count + notify->escalation_email_count + notify->webhook;
    if (count == 0) {
        return mos_fail(
            mos_call_error(call), MOS_FAILED_PRECONDITION,
            "nobody is told of alerts: set SMTP_HOST, FROM_EMAIL and ALERT_EMAILS, or ALERT_WEBHOOK_URL and ALERT_WEBHOOK_SECRET");
    }
    response->deliveries = mos_arena_array(arena, Mosaajii__Backup__V1__AlertDelivery *, count);
    bool good = response->deliveries != NULL;
    for (size_t i = 0; good && i < notify->email_count + notify->escalation_email_count && !mos_call_cancelled(call); i++) {
        const char *address = i < notify->email_count ? notify->emails[i] : notify->escalation_emails[i - notify->email_count];
        const char *receiver = mos_arena_printf(arena, "mail:%s", address);
        good = receiver && try_receiver(services, arena, receiver, response);
    }
    if (good && notify->webhook) {
        good = try_receiver(services, arena, "webhook", response);
    }
    return good ? MOS_OK : mos_fail_memory(call);
}
