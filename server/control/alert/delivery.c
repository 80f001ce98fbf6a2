#include "control/alert/delivery.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "control/alert/delivery_internal.h"
#include "control/catalog/audit.h"
#include "control/catalog/deliveries.h"
#include "control/catalog/jobs.h"
#include "control/catalog/retention.h"

// The clock may be set meanwhile, so nobody waits longer than that without looking at it.
enum { AT_ONCE = 8, LONGEST_BACKOFF_SECONDS = 900, LONGEST_WAIT_SECONDS = 60, FAILED_WAIT_SECONDS = 5 };

static const char mail_scheme[] = "mail:";

struct tried {
    struct mos_delivery_row row;
    mos_status result;
    // An act that ended this way or the other stands in the audit trail; tries in between do not.
    bool ended;
};

struct mos_delivery {
    mos_catalog *catalog;
    struct mos_delivery_options options;
    // How the last try ended, where the catalog could not take it, and what it lies in; NULL: it could. Nothing else is sent before it can,
    // for what is not recorded is sent again.
    struct tried unrecorded;
    mos_arena *unrecorded_arena;
    pthread_t thread;
    bool runs;
    atomic_bool stopping;
};

mos_status mos_delivery_check(const struct mos_delivery_options *options, struct mos_error *error) {
    if (*options->smtp_host && !mos_mail_address_valid(options->from)) {
        return mos_fail_field(error, "FROM_EMAIL", "FROM_EMAIL is \"%s\"; with SMTP_HOST it must be one mail address", options->from);
    }
    if (*options->smtp_host && strcmp(options->smtp_tls, "NONE") == 0 &&
        !mos_host_is_loopback(options->smtp_host, strlen(options->smtp_host))) {
        return mos_fail_field(error, "SMTP_TLS",
                              "SMTP_TLS is NONE; that is allowed for a mail server on this machine only, and SMTP_HOST is %s",
                              options->smtp_host);
    }
    if (!*options->webhook_url) {
        return MOS_OK;
    }
    if (strncmp(options->webhook_url, "https://", 8) != 0 && strncmp(options->webhook_url, "http://", 7) != 0) {
        return mos_fail_field(error, "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_URL must begin with https:// or http://");
    }
    return *options->webhook_secret
               ? MOS_OK
               : mos_fail_field(error, "ALERT_WEBHOOK_SECRET",
                                "ALERT_WEBHOOK_SECRET is not set, but ALERT_WEBHOOK_URL is: webhooks are always signed");
}

mos_delivery *mos_delivery_create(mos_catalog *catalog, const struct mos_delivery_options *options) {
    mos_delivery *delivery = mos_calloc(1, sizeof(*delivery));
    delivery->catalog = catalog;
    delivery->options = *options;
    atomic_init(&delivery->stopping, false);
    return delivery;
}

void mos_delivery_destroy(mos_delivery *delivery) {
    if (delivery && delivery->unrecorded_arena) {
        mos_arena_destroy(delivery->unrecorded_arena);
    }
    free(delivery);
}

bool mos_delivery_has_mail(const mos_delivery *delivery) {
    return *delivery->options.smtp_host != 0;
}

bool mos_delivery_has_webhook(const mos_delivery *delivery) {
    return *delivery->options.webhook_url != 0;
}

static bool is_mail(const char *receiver) {
    return strncmp(receiver, mail_scheme, sizeof(mail_scheme) - 1) == 0;
}

static mos_status check_receiver(const char *receiver, struct mos_error *error) {
    bool good = strcmp(receiver, "webhook") == 0 || (is_mail(receiver) && mos_mail_address_valid(receiver + sizeof(mail_scheme) - 1));
    return good ? MOS_OK
                : mos_fail(error, MOS_INVALID_ARGUMENT, "\"%.300s\" is no receiver; allowed is mail:<one address> or webhook", receiver);
}

static mos_status send_with_id(mos_delivery *delivery, const char *id, const char *receiver, const char *subject, const char *body,
                               struct mos_error *error) {
    mos_status status = check_receiver(receiver, error);
    if (status != MOS_OK) {
        return status;
    }
    const struct mos_letter letter = {.id = id,
                                      .address = is_mail(receiver) ? receiver + sizeof(mail_scheme) - 1 : "",
                                      .subject = subject,
                                      .body = body,
                                      .stopping = &delivery->stopping};
    return (is_mail(receiver) ? mos_mail_send : mos_webhook_send)(&delivery->options, &letter, error);
}

// ---- The outbox ----

mos_status mos_delivery_add_in(mos_catalog_session *session, const struct mos_outgoing *message, struct mos_error *error) {
    char id[MOS_ID_TEXT_BYTES];
    int64_t now = mos_now_unix_ns();
    // Taken for nothing but to wake the thread that sends.
    int64_t sequence;
    mos_status status = check_receiver(message->receiver, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_id_new(id);
    const struct mos_delivery_row row = {.id = id,
                                         .receiver = message->receiver,
                                         .subject = message->subject,
                                         .body = message->body,
                                         .reference = message->reference,
                                         .created_at_unix_ns = now,
                                         .next_try_at_unix_ns = now};
    status = mos_catalog_put_delivery(session, &row, error);
    return status == MOS_OK ? mos_catalog_take_sequence(session, &sequence, error) : status;
}

static mos_status record(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct tried *tried = argument;
    const struct mos_delivery_row *row = &tried->row;
    mos_status status = mos_catalog_put_delivery(session, row, error);
    if (status != MOS_OK || !tried->ended) {
        return status;
    }
    char tries[24];
    snprintf(tries, sizeof(tries), "%lld", (long long)row->tries);
    const struct mos_audit_detail details[] = {
        {"receiver", row->receiver}, {"deliveryId", row->id}, {"tries", tries}, {"message", row->message}};
    const struct mos_audit_entry entry = {.actor = "system",
                                          .action = "Alert.Deliver",
                                          .resource = row->reference,
                                          .result = mos_status_name(tried->result),
                                          .details = details,
                                          .detail_count = *row->message ? 4 : 3};
    return mos_catalog_add_audit(session, &entry, error);
}

static int64_t backoff_ns(const mos_delivery *delivery, int64_t tries) {
    int64_t seconds = delivery->options.retry_seconds;
    for (int64_t i = 1; i < tries && seconds < LONGEST_BACKOFF_SECONDS; i++) {
        seconds *= 2;
    }
    return (seconds < LONGEST_BACKOFF_SECONDS ? seconds : LONGEST_BACKOFF_SECONDS) * MOS_NS_PER_SECOND;
}

static void keep_unrecorded(mos_delivery *delivery, const struct tried *tried) {
    mos_arena *arena = delivery->unrecorded_arena = mos_arena_create(0);
    const struct mos_delivery_row *row = &tried->row;
    delivery->unrecorded = *tried;
    delivery->unrecorded.row.id = mos_arena_strdup(arena, row->id);
    delivery->unrecorded.row.receiver = mos_arena_strdup(arena, row->receiver);
    delivery->unrecorded.row.subject = mos_arena_strdup(arena, row->subject);
    delivery->unrecorded.row.body = mos_arena_strdup(arena, row->body);
    delivery->unrecorded.row.reference = mos_arena_strdup(arena, row->reference);
    delivery->unrecorded.row.message = mos_arena_strdup(arena, row->message);
}

static mos_status record_unrecorded(mos_delivery *delivery, struct mos_error *error) {
    if (!delivery->unrecorded_arena) {
        return MOS_OK;
    }
    mos_status status = mos_catalog_write(delivery->catalog, record, &delivery->unrecorded, error);
    if (status == MOS_OK) {
        mos_arena_destroy(delivery->unrecorded_arena);
        delivery->unrecorded_arena = NULL;
    }
    return status;
}

static mos_status try_one(mos_delivery *delivery, struct mos_delivery_row *row, struct mos_error *error) {
    struct mos_error said = {0};
    mos_status result = send_with_id(delivery, row->id, row->receiver, row->subject, row->body, &said);
    int64_t now = mos_now_unix_ns();
    // The week until it is given up begins now for what comes from a time that is still to come.
    row->created_at_unix_ns = row->created_at_unix_ns < now ? row->created_at_unix_ns : now;
    row->tries++;
    row->message = result == MOS_OK ? "" : said.message;
    row->next_try_at_unix_ns = now + backoff_ns(delivery, row->tries);
    if (result == MOS_OK) {
        row->delivered_at_unix_ns = now;
    } else if (now - row->created_at_unix_ns >= delivery->options.give_up_seconds * MOS_NS_PER_SECOND &&
               !mos_catalog_clock_is_ahead(delivery->catalog)) {
        row->given_up_at_unix_ns = now;
        mos_log_error("a message was given up", MOS_TEXT("receiver", row->receiver), MOS_TEXT("delivery", row->id),
                      MOS_TEXT("reason", said.message));
    } else {
        mos_log_warning("a message was not delivered and will be tried again", MOS_TEXT("receiver", row->receiver),
                        MOS_TEXT("delivery", row->id), MOS_NUMBER("tries", row->tries), MOS_TEXT("reason", said.message));
    }
    struct tried tried = {*row, result, row->delivered_at_unix_ns || row->given_up_at_unix_ns};
    mos_status status = mos_catalog_write(delivery->catalog, record, &tried, error);
    if (status != MOS_OK) {
        keep_unrecorded(delivery, &tried);
    }
    return status;
}

static mos_status read_due(mos_delivery *delivery, bool mail, mos_arena *arena, struct mos_delivery_row **out, size_t *out_count,
                           struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(delivery->catalog, &session, error);
    int64_t now = mos_now_unix_ns();
    // No try is put off for longer: one that is was put off by a clock that was ahead, and would be forgotten until then.
    const struct mos_due_filter due = {mail, now, now + LONGEST_BACKOFF_SECONDS * MOS_NS_PER_SECOND};
    return status == MOS_OK ? mos_catalog_due_deliveries(session, &due, AT_ONCE, arena, out, out_count, error) : status;
}

static mos_status send_some(mos_delivery *delivery, bool mail, int64_t *tried, bool *more, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_delivery_row *rows;
    size_t count = 0;
    mos_status status = record_unrecorded(delivery, error);
    if (status == MOS_OK) {
        status = read_due(delivery, mail, arena, &rows, &count, error);
    }
    for (size_t i = 0; i < count && status == MOS_OK && !atomic_load(&delivery->stopping); i++) {
        status = try_one(delivery, &rows[i], error);
        ++*tried;
    }
    *more = *more || count == AT_ONCE;
    return status;
}

// Some of one kind and some of the other in turn: a mail server that answers late does not hold up the webhook for long, nor the other way
// round.
mos_status mos_delivery_run_due(mos_delivery *delivery, int64_t *out_tried, struct mos_error *error) {
    mos_status status = MOS_OK;
    bool more = true;
    *out_tried = 0;
    while (status == MOS_OK && more && !atomic_load(&delivery->stopping)) {
        more = false;
        status = send_some(delivery, false, out_tried, &more, error);
        if (status == MOS_OK) {
            status = send_some(delivery, true, out_tried, &more, error);
        }
    }
    return status;
}

mos_status mos_delivery_send(mos_delivery *delivery, const struct mos_outgoing *message, struct mos_error *error) {
    char id[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    return send_with_id(delivery, id, message->receiver, message->subject, message->body, error);
}

// ---- The thread ----

static bool is_stopping(const void *argument) {
    return atomic_load(&((const mos_delivery *)argument)->stopping);
}

static int64_t wait_ns(mos_delivery *delivery, bool failed) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    int64_t next = 0;
    int64_t longest = LONGEST_WAIT_SECONDS * MOS_NS_PER_SECOND;
    if (failed) {
        return FAILED_WAIT_SECONDS * MOS_NS_PER_SECOND;
    }
    if (mos_catalog_read_begin(delivery->catalog, &session, NULL) == MOS_OK) {
        mos_catalog_next_delivery(session, &next, NULL);
    }
    int64_t wait = next ? next - mos_now_unix_ns() : longest;
    return wait < MOS_NS_PER_SECOND / 10 ? MOS_NS_PER_SECOND / 10 : wait < longest ? wait : longest;
}

static void *thread_main(void *argument) {
    mos_delivery *delivery = argument;
    while (!atomic_load(&delivery->stopping)) {
        int64_t seen = mos_catalog_last_event(delivery->catalog);
        int64_t tried;
        struct mos_error error;
        bool failed = mos_delivery_run_due(delivery, &tried, &error) != MOS_OK;
        if (failed) {
            mos_log_error("messages could not be sent", MOS_TEXT("reason", error.message));
        }
        mos_catalog_wait_events_for(delivery->catalog, seen, wait_ns(delivery, failed), is_stopping, delivery);
    }
    return NULL;
}

mos_status mos_delivery_start(mos_delivery *delivery, struct mos_error *error) {
    int code = pthread_create(&delivery->thread, NULL, thread_main, delivery);
    if (code != 0) {
        return mos_fail_errno(error, code, "starting a thread for messages");
    }
    delivery->runs = true;
    return MOS_OK;
}

void mos_delivery_stop(mos_delivery *delivery) {
    if (!delivery || !delivery->runs) {
        return;
    }
    atomic_store(&delivery->stopping, true);
    mos_catalog_wake_watchers(delivery->catalog);
    pthread_join(delivery->thread, NULL);
    delivery->runs = false;
}
