#include "cli/alert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/table.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "lib/json.h"
#include "mosaajii/backup/v1/alert.grpc-client.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

typedef API(Alert) api_alert;

#define api_alert_service(method) mosaajii_backup_v1_alert_service_client_##method
#define API_SEVERITIES (&mosaajii__backup__v1__alert__severity__descriptor)
#define API_ALERT_TYPES (&mosaajii__backup__v1__alert__type__descriptor)
#define API_ALERT_EVENT_KINDS (&mosaajii__backup__v1__alert_event__kind__descriptor)

static const char *state_of(const api_alert *alert) {
    return alert->resolved_at ? "RESOLVED" : alert->acknowledged ? "ACKNOWLEDGED" : "OPEN";
}

// ---- list ----

static void print_alerts(struct mos_cli *cli, api_alert *const *alerts, size_t count) {
    static const struct mos_column columns[] = {{.title = "ID"},     {.title = "SEVERITY", .status = true}, {.title = "TYPE"},
                                                {.title = "SINCE"},  {.title = "COUNT", .right = true},     {.title = "STATE"},
                                                {.title = "MESSAGE"}};
    mos_table *table = mos_table_create(cli->arena, columns, 7);
    for (size_t i = 0; i < count; i++) {
        char since[MOS_SHORT_TEXT_BYTES];
        mos_minute_format(mos_cli_seconds(alerts[i]->created_at), since);
        mos_table_cell(table, alerts[i]->id);
        mos_table_cell(table, mos_cli_word(cli, API_SEVERITIES, (int)alerts[i]->severity));
        mos_table_cell(table, mos_cli_word(cli, API_ALERT_TYPES, (int)alerts[i]->type));
        mos_table_cell(table, since);
        mos_table_cell(table, mos_cli_count(cli, alerts[i]->count));
        mos_table_cell(table, state_of(alerts[i]));
        mos_table_cell(table, alerts[i]->message);
    }
    mos_table_print(table, &cli->out);
}

int mos_alert_list(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListAlertsRequest) request = API_INIT(LIST_ALERTS_REQUEST);
    API(ListAlertsResponse) * response;
    int64_t limit = 50;
    int severity = 0, type = 0;
    const char *backup = mos_arguments_value(&cli->arguments, "backup");
    mos_status status = mos_arguments_number(&cli->arguments, "limit", 1, 1000, &limit, &error);
    if (status == MOS_OK) {
        status = mos_arguments_enum(&cli->arguments, "severity", API_SEVERITIES, &severity, &error);
    }
    if (status == MOS_OK) {
        status = mos_arguments_enum(&cli->arguments, "type", API_ALERT_TYPES, &type, &error);
    }
    request.page_size = (int32_t)limit;
    request.severity = (API(Alert__Severity))severity;
    request.type = (API(Alert__Type))type;
    request.backup_id = (char *)(backup ? backup : "");
    if (mos_arguments_flag(&cli->arguments, "unacknowledged")) {
        request._acknowledged_case = API_WORD(LIST_ALERTS_REQUEST___ACKNOWLEDGED_ACKNOWLEDGED);
        request.acknowledged = false;
    }
    if (status == MOS_OK) {
        status = api_alert_service(list_alerts)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->alerts, response->n_alerts);
    } else if (response->n_alerts == 0) {
        printf("No alerts.\n");
    } else {
        print_alerts(cli, response->alerts, response->n_alerts);
    }
    return MOS_EXIT_DONE;
}

// ---- show and ack ----

static void print_alert(struct mos_cli *cli, const api_alert *alert) {
    mos_table *facts = mos_facts_create(cli->arena);
    mos_fact(facts, "Alert", alert->id);
    mos_fact(facts, "Severity", mos_cli_word(cli, API_SEVERITIES, (int)alert->severity));
    mos_fact(facts, "Type", mos_cli_word(cli, API_ALERT_TYPES, (int)alert->type));
    mos_fact(facts, "Message", alert->message);
    mos_fact(facts, "Backup", alert->backup_id);
    mos_fact(facts, "State", state_of(alert));
    mos_fact(facts, "Since", mos_cli_moment(cli, alert->created_at));
    mos_fact(facts, "Last seen",
             mos_arena_printf(cli->arena, "%s, %s", mos_cli_moment(cli, alert->last_seen_at),
                              mos_cli_plural(cli, alert->count, "time", "times")));
    if (alert->acknowledged) {
        mos_fact(facts, "Acknowledged",
                 mos_arena_printf(cli->arena, "%s by %s%s%s", mos_cli_moment(cli, alert->acknowledged_at), alert->acknowledged_by,
                                  *alert->note ? ": " : "", alert->note));
    }
    if (alert->resolved_at) {
        mos_fact(facts, "Resolved", mos_cli_moment(cli, alert->resolved_at));
    }
    for (size_t i = 0; i < alert->n_details; i++) {
        mos_fact(facts, alert->details[i]->key, alert->details[i]->value);
    }
    mos_facts_print(facts, &cli->out);
}

int mos_alert_show(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetAlertRequest) request = API_INIT(GET_ALERT_REQUEST);
    api_alert *alert;
    request.alert_id = (char *)cli->arguments.words[0];
    if (api_alert_service(get_alert)(mos_client_channel(cli->client), &options, &request, cli->arena, &alert, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&alert->base);
    } else {
        print_alert(cli, alert);
    }
    return MOS_EXIT_DONE;
}

int mos_alert_ack(struct mos_cli *cli) {
    struct mos_error error = {0};
    const char *note = mos_arguments_value(&cli->arguments, "note");
    for (int i = 0; i < cli->arguments.word_count; i++) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        API(AcknowledgeAlertRequest) request = API_INIT(ACKNOWLEDGE_ALERT_REQUEST);
        API(AcknowledgeAlertResponse) * response;
        request.alert_id = (char *)cli->arguments.words[i];
        request.note = (char *)(note ? note : "");
        if (api_alert_service(acknowledge_alert)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) !=
            MOS_OK) {
            return mos_cli_fail(cli, &error);
        }
        if (cli->json) {
            mos_cli_print_json(&response->alert->base);
        } else {
            printf("Acknowledged: %s\n", mos_terminal_escape(cli->arena, response->alert->message));
        }
    }
    return MOS_EXIT_DONE;
}

// ---- watch ----

static void print_event(struct mos_cli *cli, const API(AlertEvent) * event) {
    if (cli->json) {
        MOS_CLEANUP_BUFFER struct mos_buffer line = MOS_BUFFER_INIT(0);
        mos_json_append(&line, &event->base, false);
        mos_buffer_append_byte(&line, '\n');
        fwrite(line.data, 1, line.size_bytes, stdout);
    } else if (event->alert) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        printf("%" PRId64 "  %s  %s  %s  %s  %s\n", event->sequence, mos_cli_moment(cli, event->time),
               mos_cli_word(cli, API_ALERT_EVENT_KINDS, (int)event->kind), mos_cli_word(cli, API_SEVERITIES, (int)event->alert->severity),
               mos_cli_word(cli, API_ALERT_TYPES, (int)event->alert->type), mos_terminal_escape(arena, event->alert->message));
    }
    fflush(stdout);
}

// Until Ctrl-C, or the server ends it.
int mos_alert_watch(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_patient(cli);
    API(WatchAlertsRequest) request = API_INIT(WATCH_ALERTS_REQUEST);
    int severity = 0;
    mos_status status = mos_arguments_number(&cli->arguments, "after", 0, INT64_MAX, &request.after_sequence, &error);
    if (status == MOS_OK) {
        status = mos_arguments_enum(&cli->arguments, "severity", API_SEVERITIES, &severity, &error);
    }
    request.minimum_severity = (API(Alert__Severity))severity;
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    mos_interrupt *interrupt = mos_interrupt_begin();
    mos_rpc_stream *stream;
    options.canceller = mos_interrupt_canceller(interrupt);
    status = api_alert_service(watch_alerts_open)(mos_client_channel(cli->client), &options, &request, &stream, &error);
    if (status == MOS_OK) {
        const API(AlertEvent) *event = NULL;
        while ((status = api_alert_service(watch_alerts_receive)(stream, &event, &error)) == MOS_OK && event) {
            if (event->kind != API_WORD(ALERT_EVENT__KIND__HEARTBEAT)) {
                print_event(cli, event);
            }
        }
        mos_status end = mos_rpc_stream_finish(stream, status == MOS_OK ? &error : NULL);
        status = status == MOS_OK ? end : status;
    }
    bool interrupted = mos_interrupt_happened(interrupt);
    mos_interrupt_end(interrupt);
    return interrupted ? MOS_EXIT_INTERRUPTED : status == MOS_OK ? MOS_EXIT_DONE : mos_cli_fail(cli, &error);
}

// ---- test ----

int mos_alert_test(struct mos_cli *cli) {
    static const struct mos_column columns[] = {{.title = "RECEIVER"}, {.title = "RESULT", .status = true}, {.title = "MESSAGE"}};
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_patient(cli);
    API(TestAlertDeliveryRequest) request = API_INIT(TEST_ALERT_DELIVERY_REQUEST);
    API(TestAlertDeliveryResponse) * response;
    if (api_alert_service(test_alert_delivery)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) !=
        MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    bool all = true;
    mos_table *table = mos_table_create(cli->arena, columns, 3);
    for (size_t i = 0; i < response->n_deliveries; i++) {
        const API(AlertDelivery) *delivery = response->deliveries[i];
        all = all && delivery->delivered;
        mos_table_cell(table, delivery->receiver);
        mos_table_cell(table, delivery->delivered ? "DELIVERED" : "FAILED");
        mos_table_cell(table, delivery->message);
    }
    if (cli->json) {
        mos_cli_print_json(&response->base);
    } else {
        mos_table_print(table, &cli->out);
    }
    return all ? MOS_EXIT_DONE : MOS_EXIT_FAILED;
}

// ---- analytics ----

static void print_analytics_of_sources(struct mos_cli *cli, const API(Analytics) * analytics) {
    static const struct mos_column columns[] = {{.title = "SOURCE"},
                                                {.title = "BACKUPS", .right = true},
                                                {.title = "SUCCESS", .right = true},
                                                {.title = "PROTECTED", .right = true},
                                                {.title = "NEWEST GOOD BACKUP"}};
    mos_table *table = mos_table_create(cli->arena, columns, 5);
    for (size_t i = 0; i < analytics->n_sources; i++) {
        const API(SourceAnalytics) *source = analytics->sources[i];
        char newest[MOS_SHORT_TEXT_BYTES];
        mos_minute_format(mos_cli_seconds(source->newest_good_backup_at), newest);
        mos_table_cell(table, source->source);
        mos_table_cell(table, mos_cli_count(cli, source->backups));
        mos_table_cellf(table, "%.1f%%", source->success_rate);
        mos_table_cell(table, mos_cli_size(cli, source->bytes_protected));
        mos_table_cell(table, source->newest_good_backup_at ? newest : "none");
    }
    printf("\n");
    mos_table_print(table, &cli->out);
}

int mos_analytics_show(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetAnalyticsRequest) request = API_INIT(GET_ANALYTICS_REQUEST);
    Google__Protobuf__Timestamp from = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    API(Analytics) * analytics;
    int64_t days = 30;
    int type = 0;
    mos_status status = mos_arguments_number(&cli->arguments, "days", 1, 3650, &days, &error);
    if (status == MOS_OK) {
        status = mos_arguments_enum(&cli->arguments, "type", API_TYPES, &type, &error);
    }
    from.seconds = mos_now_unix_ns() / MOS_NS_PER_SECOND - days * 86400;
    request.from = &from;
    request.type = (API(Backup__Type))type;
    if (status == MOS_OK) {
        status = api_backup_service(get_analytics)(mos_client_channel(cli->client), &options, &request, cli->arena, &analytics, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&analytics->base);
        return MOS_EXIT_DONE;
    }
    mos_table *facts = mos_facts_create(cli->arena);
    mos_fact(facts, "Days", mos_cli_count(cli, days));
    mos_fact(facts, "Backups",
             mos_arena_printf(cli->arena, "%s, %.1f%% of them good", mos_cli_count(cli, analytics->backups), analytics->success_rate));
    mos_fact(facts, "Protected",
             mos_arena_printf(cli->arena, "%s, written: %s", mos_cli_size(cli, analytics->bytes_protected),
                              mos_cli_size(cli, analytics->bytes_stored)));
    mos_fact(facts, "Deduplication", mos_arena_printf(cli->arena, "%.1f to 1", analytics->dedup_ratio));
    mos_fact(facts, "Compression", mos_arena_printf(cli->arena, "%.1f to 1", analytics->compression_ratio));
    mos_fact(facts, "Duration",
             mos_arena_printf(cli->arena, "%s on average, %+.2f s a day",
                              mos_cli_duration(cli, (int64_t)(analytics->average_duration_seconds * 1000)), analytics->duration_trend));
    mos_facts_print(facts, &cli->out);
    print_analytics_of_sources(cli, analytics);
    return MOS_EXIT_DONE;
}
