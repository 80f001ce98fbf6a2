#include "control/alert/watch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/database_url.h"
#include "common/text.h"
#include "control/alert/delivery_internal.h"

enum { TRY_TIMEOUT_MS = 30000, GIVE_UP_SECONDS = 7 * 86400, KINDS = 3, IMPLICIT_TLS_PORT = 465 };

struct mos_watch {
    mos_catalog *catalog;
    mos_arena *arena;
    struct mos_delivery_options delivery_options;
    struct mos_notify_options notify;
    struct mos_monitor_source sources[KINDS];
    size_t source_count;
    struct mos_monitor_options monitor_options;
    struct mos_readiness_listener readiness;
    mos_delivery *delivery;
    mos_monitor *monitor;
    // Whether the alert may be open: known to be when a key failed, and after a start.
    atomic_bool encryption_doubted;
};

// ---- From the settings ----

static struct mos_delivery_options delivery_options_of(const mos_settings *settings) {
    const char *tls = mos_setting_text(settings, MOS_SETTING_SMTP_TLS);
    int64_t port = mos_setting_number(settings, MOS_SETTING_SMTP_PORT);
    return (struct mos_delivery_options){.smtp_host = mos_setting_text(settings, MOS_SETTING_SMTP_HOST),
                                         .smtp_port = (int)port,
                                         .smtp_user = mos_setting_text(settings, MOS_SETTING_SMTP_USER),
                                         .smtp_password = mos_setting_text(settings, MOS_SETTING_SMTP_PASS),
                                         .smtp_tls = *tls                        ? tls
                                                     : port == IMPLICIT_TLS_PORT ? "TLS"
                                                                                 : "STARTTLS",
                                         .from = mos_setting_text(settings, MOS_SETTING_FROM_EMAIL),
                                         .webhook_url = mos_setting_text(settings, MOS_SETTING_ALERT_WEBHOOK_URL),
                                         .webhook_secret = mos_setting_text(settings, MOS_SETTING_ALERT_WEBHOOK_SECRET),
                                         .ca_file = mos_setting_text(settings, MOS_SETTING_ALERT_CA_FILE),
                                         .timeout_ms = TRY_TIMEOUT_MS,
                                         .retry_seconds = mos_setting_number(settings, MOS_SETTING_ALERT_RETRY_SECONDS),
                                         .give_up_seconds = GIVE_UP_SECONDS};
}

static mos_status notify_options_of(const mos_settings *settings, mos_arena *arena, struct mos_notify_options *out,
                                    struct mos_error *error) {
    const struct mos_delivery_options delivery = delivery_options_of(settings);
    *out = (struct mos_notify_options){
        .webhook = *delivery.webhook_url != 0,
        .least = mos_alert_severity_from_word(mos_setting_text(settings, MOS_SETTING_ALERT_MINIMUM_SEVERITY)),
        .reminder_ns = mos_setting_number(settings, MOS_SETTING_ALERT_REMINDER_MINUTES) * 60 * MOS_NS_PER_SECOND,
        .escalation_ns = mos_setting_number(settings, MOS_SETTING_ALERT_ESCALATION_MINUTES) * 60 * MOS_NS_PER_SECOND};
    mos_status status = mos_notify_addresses("ALERT_EMAILS", mos_setting_text(settings, MOS_SETTING_ALERT_EMAILS), arena, &out->emails,
                                             &out->email_count, error);
    if (status == MOS_OK) {
        status = mos_notify_addresses("ALERT_ESCALATION_EMAILS", mos_setting_text(settings, MOS_SETTING_ALERT_ESCALATION_EMAILS), arena,
                                      &out->escalation_emails, &out->escalation_email_count, error);
    }
    if (status == MOS_OK && out->email_count + out->escalation_email_count > 0 && !*delivery.smtp_host) {
        status = mos_fail_field(error, "SMTP_HOST", "SMTP_HOST is not set, but %s is: mails need a mail server",
                                out->email_count > 0 ? "ALERT_EMAILS" : "ALERT_ESCALATION_EMAILS");
    }
    return status;
}

static void add_databases(mos_watch *watch, const mos_settings *settings) {
    size_t count;
    char **urls = mos_split(watch->arena, mos_setting_text(settings, MOS_SETTING_DATABASE_URL), ',', &count);
    char **files = mos_arena_array(watch->arena, char *, count + 1);
    const char *name = "";
    size_t file_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct mos_database_url url;
        // Looked at when the server started.
        if (mos_database_url_parse("DATABASE_URL", urls[i], watch->arena, &url, NULL) != MOS_OK) {
            continue;
        }
        name = mos_arena_printf(watch->arena, "%s%s%s", name, *name ? "," : "", mos_database_url_format(&url, false, watch->arena));
        if (url.kind == MOS_DATABASE_SQLITE) {
            files[file_count++] = (char *)url.path;
        }
    }
    if (*name) {
        watch->sources[watch->source_count++] = (struct mos_monitor_source){MOS_BACKUP_DATABASE, name, files, file_count};
    }
}

static void add_paths(mos_watch *watch, enum mos_backup_type type, const char *text) {
    if (*text) {
        size_t count;
        char **paths = mos_split(watch->arena, text, ':', &count);
        watch->sources[watch->source_count++] = (struct mos_monitor_source){type, text, paths, count};
    }
}

mos_status mos_watch_check(const mos_settings *settings, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const struct {
        enum mos_setting setting;
        const char *name;
    } positive[] = {{MOS_SETTING_ALERT_RETRY_SECONDS, "ALERT_RETRY_SECONDS"},
                    {MOS_SETTING_ALERT_HEARTBEAT_SECONDS, "ALERT_HEARTBEAT_SECONDS"},
                    {MOS_SETTING_MONITOR_INTERVAL_SECONDS, "MONITOR_INTERVAL_SECONDS"}};
    const struct mos_delivery_options delivery = delivery_options_of(settings);
    struct mos_notify_options notify;
    const char *heartbeat = mos_setting_text(settings, MOS_SETTING_ALERT_HEARTBEAT_URL);
    mos_status status = mos_delivery_check(&delivery, error);
    if (status == MOS_OK) {
        status = notify_options_of(settings, arena, &notify, error);
    }
    for (size_t i = 0; i < sizeof(positive) / sizeof(positive[0]) && status == MOS_OK; i++) {
        if (mos_setting_number(settings, positive[i].setting) < 1) {
            status = mos_fail_field(error, positive[i].name, "%s is 0; allowed is 1 to 100000", positive[i].name);
        }
    }
    if (status == MOS_OK && mos_setting_number(settings, MOS_SETTING_MONITOR_FREE_PERCENT) > 99) {
        status = mos_fail_field(error, "MONITOR_FREE_PERCENT", "MONITOR_FREE_PERCENT is %lld; allowed is 0 to 99",
                                (long long)mos_setting_number(settings, MOS_SETTING_MONITOR_FREE_PERCENT));
    }
    if (status == MOS_OK && *heartbeat && strncmp(heartbeat, "https://", 8) != 0 && strncmp(heartbeat, "http://", 7) != 0) {
        status = mos_fail_field(error, "ALERT_HEARTBEAT_URL", "ALERT_HEARTBEAT_URL must begin with https:// or http://");
    }
    return status;
}

mos_status mos_watch_create(mos_watch **out, mos_catalog *catalog, const mos_settings *settings, struct mos_error *error) {
    mos_watch *watch = mos_calloc(1, sizeof(*watch));
    watch->catalog = catalog;
    watch->arena = mos_arena_create(0);
    atomic_init(&watch->encryption_doubted, true);
    watch->delivery_options = delivery_options_of(settings);
    mos_status status = notify_options_of(settings, watch->arena, &watch->notify, error);
    if (status != MOS_OK) {
        mos_watch_destroy(watch);
        return status;
    }
    add_databases(watch, settings);
    add_paths(watch, MOS_BACKUP_FILES, mos_setting_text(settings, MOS_SETTING_BACKUP_FILES_PATHS));
    add_paths(watch, MOS_BACKUP_CONFIGURATION, mos_setting_text(settings, MOS_SETTING_BACKUP_CONFIG_PATHS));
    watch->delivery = mos_delivery_create(catalog, &watch->delivery_options);
    watch->monitor_options = (struct mos_monitor_options){
        .repository = mos_setting_text(settings, MOS_SETTING_MOSAAJII_REPOSITORY),
        .notify = &watch->notify,
        .sources = watch->sources,
        .source_count = watch->source_count,
        .interval_ns = mos_setting_number(settings, MOS_SETTING_MONITOR_INTERVAL_SECONDS) * MOS_NS_PER_SECOND,
        .verify_all = mos_setting_flag(settings, MOS_SETTING_MONITOR_VERIFY_ALL),
        .verify_older_ns = mos_setting_number(settings, MOS_SETTING_MONITOR_VERIFY_DAYS) * 86400 * MOS_NS_PER_SECOND,
        .verify_a_day = mos_setting_number(settings, MOS_SETTING_MONITOR_VERIFY_A_DAY),
        .free_percent = mos_setting_number(settings, MOS_SETTING_MONITOR_FREE_PERCENT),
        .full_days = mos_setting_number(settings, MOS_SETTING_MONITOR_FULL_DAYS),
        .rpo_minutes = mos_setting_number(settings, MOS_SETTING_MONITOR_RPO_MINUTES),
        .heartbeat_url = mos_setting_text(settings, MOS_SETTING_ALERT_HEARTBEAT_URL),
        .heartbeat_ns = mos_setting_number(settings, MOS_SETTING_ALERT_HEARTBEAT_SECONDS) * MOS_NS_PER_SECOND,
        .delivery = &watch->delivery_options};
    *out = watch;
    return MOS_OK;
}

mos_status mos_watch_start(mos_watch *watch, mos_queue *queue, struct mos_error *error) {
    watch->monitor = mos_monitor_create(watch->catalog, queue, &watch->monitor_options);
    mos_status status = mos_delivery_start(watch->delivery, error);
    return status == MOS_OK ? mos_monitor_start(watch->monitor, error) : status;
}

void mos_watch_stop(mos_watch *watch) {
    if (watch) {
        mos_monitor_stop(watch->monitor);
        mos_delivery_stop(watch->delivery);
    }
}

void mos_watch_destroy(mos_watch *watch) {
    if (!watch) {
        return;
    }
    mos_watch_stop(watch);
    mos_monitor_destroy(watch->monitor);
    mos_delivery_destroy(watch->delivery);
    mos_arena_destroy(watch->arena);
    free(watch);
}

mos_delivery *mos_watch_delivery(const mos_watch *watch) {
    return watch->delivery;
}

const struct mos_notify_options *mos_watch_notify(const mos_watch *watch) {
    return &watch->notify;
}

mos_monitor *mos_watch_monitor(const mos_watch *watch) {
    return watch->monitor;
}

const struct mos_monitor_source *mos_watch_sources(const mos_watch *watch, size_t *out_count) {
    *out_count = watch->source_count;
    return watch->sources;
}

// ---- Keys ----

void mos_watch_encryption(mos_watch *watch, const char *reference, const struct mos_error *error) {
    static const char cause[] = "kms";
    if (!error) {
        if (atomic_exchange(&watch->encryption_doubted, false)) {
            mos_alert_resolve(watch->catalog, cause);
        }
        return;
    }
    atomic_store(&watch->encryption_doubted, true);
    const struct mos_alert_detail details[] = {{"key", reference}, {"reason", error->message}};
    MOS_CLEANUP_BUFFER struct mos_buffer message = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&message, "the key %s cannot be used, and without it nothing is backed up: %s", reference, error->message);
    mos_alert_raise(watch->catalog, &(struct mos_alert_cause){.type = MOS_ALERT_ENCRYPTION_FAILED,
                                                              .severity = MOS_SEVERITY_CRITICAL,
                                                              .cause = cause,
                                                              .message = mos_buffer_text(&message),
                                                              .details = details,
                                                              .detail_count = 2});
}

static void told_of_keys(void *context, const struct mos_readiness_report *report) {
    static const char age_cause[] = "key-age", keys_cause[] = "keys";
    mos_watch *watch = context;
    MOS_CLEANUP_BUFFER struct mos_buffer message = MOS_BUFFER_INIT(0);
    if (report->too_old) {
        const struct mos_alert_detail detail = {"key", report->active_key};
        mos_buffer_printf(&message, "the key %s is %lld days old; rotate it", report->active_key, (long long)report->age_days);
        mos_alert_raise(watch->catalog, &(struct mos_alert_cause){.type = MOS_ALERT_KEY_ROTATION_REQUIRED,
                                                                  .severity = MOS_SEVERITY_WARNING,
                                                                  .cause = age_cause,
                                                                  .message = mos_buffer_text(&message),
                                                                  .details = &detail,
                                                                  .detail_count = 1});
    } else {
        mos_alert_resolve(watch->catalog, age_cause);
    }
    if (report->failures == 0) {
        mos_alert_resolve(watch->catalog, keys_cause);
        return;
    }
    mos_buffer_clear(&message);
    mos_buffer_printf(&message, "%lld keys of backups do not open, as: %s", (long long)report->failures, report->first_failure);
    mos_alert_raise(watch->catalog, &(struct mos_alert_cause){.type = MOS_ALERT_ENCRYPTION_FAILED,
                                                              .severity = MOS_SEVERITY_CRITICAL,
                                                              .cause = keys_cause,
                                                              .message = mos_buffer_text(&message)});
}

const struct mos_readiness_listener *mos_watch_readiness(mos_watch *watch) {
    watch->readiness = (struct mos_readiness_listener){told_of_keys, watch};
    return &watch->readiness;
}
