// The evidence of a run: one report for machines and one for people, each signed, that say the same and need nothing else to be read.
#include <string.h>

#include <sodium.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/json.h"
#include "control/catalog/deliveries.h"
#include "control/dr/internal.h"

enum { DELIVERIES_SHOWN = 1000 };

// ---- JSON ----

static void name(struct mos_buffer *out, const char *text) {
    uint8_t last = out->size_bytes > 0 ? out->data[out->size_bytes - 1] : '{';
    if (last != '{' && last != '[') {
        mos_buffer_append_byte(out, ',');
    }
    if (text) {
        mos_json_append_text(out, text);
        mos_buffer_append_byte(out, ':');
    }
}

static void put_text(struct mos_buffer *out, const char *key, const char *text) {
    name(out, key);
    mos_json_append_text(out, text);
}

static void put_number(struct mos_buffer *out, const char *key, int64_t number) {
    name(out, key);
    mos_buffer_printf(out, "%lld", (long long)number);
}

static void put_minutes(struct mos_buffer *out, const char *key, double number) {
    name(out, key);
    mos_buffer_printf(out, "%.3f", number);
}

static void put_truth(struct mos_buffer *out, const char *key, bool truth) {
    name(out, key);
    mos_buffer_append_text(out, truth ? "true" : "false");
}

static void put_time(struct mos_buffer *out, const char *key, int64_t unix_ns) {
    char text[MOS_TIME_TEXT_BYTES];
    mos_time_format(unix_ns, text);
    name(out, key);
    if (*text) {
        mos_json_append_text(out, text);
    } else {
        mos_buffer_append_text(out, "null");
    }
}

static const char *word(const ProtobufCEnumDescriptor *descriptor, int value) {
    const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(descriptor, value);
    return found ? found->name : "";
}

static const char *status_word(const struct run *run) {
    return word(&mosaajii__backup__v1__execution__status__descriptor, (int)run->state->execution->status);
}

static const char *step_word(const step_run *step) {
    return word(&mosaajii__backup__v1__step_run__status__descriptor, (int)step->status);
}

static void put_criteria(struct mos_buffer *out, const step_state *state) {
    name(out, "criteria");
    mos_buffer_append_byte(out, '[');
    for (size_t i = 0; i < state->n_criteria; i++) {
        const criterion_result *criterion = state->criteria[i];
        name(out, NULL);
        mos_buffer_append_byte(out, '{');
        put_text(out, "text", criterion->text);
        put_truth(out, "checkedByMachine", criterion->checked);
        put_truth(out, "holds", criterion->passed);
        put_text(out, "confirmedBy", criterion->confirmed_by);
        put_text(out, "message", criterion->message);
        mos_buffer_append_byte(out, '}');
    }
    mos_buffer_append_byte(out, ']');
}

static void put_step(struct mos_buffer *out, const struct run *run, size_t index) {
    const step_run *step = run->state->execution->steps[index];
    const step_state *state = run->state->steps[index];
    const mos_plan_step *plan = run->state->plan->steps[index];
    name(out, NULL);
    mos_buffer_append_byte(out, '{');
    put_text(out, "id", step->step_id);
    put_text(out, "name", step->step_name);
    put_truth(out, "automated", plan->automated);
    put_text(out, "command", plan->command);
    put_text(out, "status", step_word(step));
    put_number(out, "attempts", step->attempt);
    put_time(out, "startedAt", mos_plan_time(step->started_at));
    put_time(out, "completedAt", mos_plan_time(step->completed_at));
    put_minutes(out, "machineMinutes", (double)state->worked_ns / 60e9);
    put_minutes(out, "waitingMinutes", (double)state->waited_ns / 60e9);
    put_text(out, "backupId", state->backup_id);
    put_text(out, "backupType", state->backup_type);
    put_time(out, "backupCreatedAt", state->backup_created_at_unix_ns);
    put_text(out, "decidedBy", step->decided_by);
    put_text(out, "note", step->note);
    put_text(out, "message", step->message);
    put_text(out, "output", step->output);
    put_criteria(out, state);
    mos_buffer_append_byte(out, '}');
}

static void put_texts(struct mos_buffer *out, const char *key, char *const *texts, size_t count) {
    name(out, key);
    mos_buffer_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        put_text(out, NULL, texts[i]);
    }
    mos_buffer_append_byte(out, ']');
}

static void put_plan(struct mos_buffer *out, const mos_plan *plan) {
    name(out, "plan");
    mos_buffer_append_byte(out, '{');
    put_text(out, "id", plan->id);
    put_text(out, "name", plan->name);
    put_number(out, "version", plan->version);
    put_text(out, "priority", word(&mosaajii__backup__v1__plan__priority__descriptor, (int)plan->priority));
    put_number(out, "recoveryTimeObjective", plan->recovery_time_objective);
    put_number(out, "recoveryPointObjective", plan->recovery_point_objective);
    mos_buffer_append_byte(out, '}');
}

static void put_measured(struct mos_buffer *out, const struct run *run) {
    const Mosaajii__Backup__V1__ExecutionMetrics *metrics = run->state->execution->metrics;
    const mos_plan *plan = run->state->plan;
    name(out, "measured");
    mos_buffer_append_byte(out, '{');
    put_minutes(out, "actualRTO", metrics->actual_rto);
    put_truth(out, "rtoMet", metrics->actual_rto <= plan->recovery_time_objective);
    put_minutes(out, "machineMinutes", metrics->machine_minutes);
    put_minutes(out, "waitingMinutes", metrics->waiting_minutes);
    put_minutes(out, "actualRPO", metrics->actual_rpo);
    put_truth(out, "rpoMet", metrics->actual_rpo <= plan->recovery_point_objective);
    put_number(out, "dataLossBytes", metrics->data_loss);
    put_number(out, "completedSteps", metrics->completed_steps);
    put_number(out, "failedSteps", metrics->failed_steps);
    put_number(out, "skippedSteps", metrics->skipped_steps);
    mos_buffer_append_byte(out, '}');
}

static void put_test(struct mos_buffer *out, const struct run *run) {
    const Mosaajii__Backup__V1__TestResult *test = run->state->test;
    name(out, "test");
    if (!test) {
        mos_buffer_append_text(out, "null");
        return;
    }
    mos_buffer_append_byte(out, '{');
    put_text(out, "environment", word(&mosaajii__backup__v1__test_result__environment__descriptor, (int)test->environment));
    put_text(out, "overallStatus", word(&mosaajii__backup__v1__test_result__status__descriptor, (int)test->overall_status));
    put_texts(out, "recommendations", test->recommendations, test->n_recommendations);
    put_text(out, "negativeControl", run->state->control_id);
    put_truth(out, "sandboxRemoved", run->state->sandbox_removed && !*run->state->left_behind);
    put_text(out, "leftBehind", run->state->left_behind);
    mos_buffer_append_byte(out, '}');
}

// What was sent to people so far, and whether it has arrived.
static void put_deliveries(mos_recovery *recovery, const struct run *run, struct mos_buffer *out) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_delivery_row *rows;
    size_t count = 0;
    if (mos_catalog_read_begin(recovery->options.catalog, &session, NULL) != MOS_OK ||
        mos_catalog_deliveries_of(session, run->id, DELIVERIES_SHOWN, arena, &rows, &count, NULL) != MOS_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        name(out, NULL);
        mos_buffer_append_byte(out, '{');
        put_text(out, "receiver", rows[i].receiver);
        put_text(out, "subject", rows[i].subject);
        put_time(out, "createdAt", rows[i].created_at_unix_ns);
        put_time(out, "deliveredAt", rows[i].delivered_at_unix_ns);
        put_number(out, "tries", rows[i].tries);
        put_text(out, "message", rows[i].message);
        mos_buffer_append_byte(out, '}');
    }
}

static void write_json(mos_recovery *recovery, const struct run *run, struct mos_buffer *out) {
    const execution *record = run->state->execution;
    mos_buffer_append_byte(out, '{');
    put_text(out, "report", "mosaajii-recovery/1");
    put_text(out, "executionId", run->id);
    put_text(out, "kind",
             run->state->test ? "TEST" : word(&mosaajii__backup__v1__execute_plan_request__kind__descriptor, (int)record->kind));
    put_text(out, "server", MOSAAJII_VERSION);
    put_plan(out, run->state->plan);
    put_text(out, "triggeredBy", record->triggered_by);
    put_text(out, "reason", record->reason);
    put_time(out, "incidentAt", run->state->incident_at_unix_ns);
    put_time(out, "startedAt", mos_plan_time(record->started_at));
    put_time(out, "completedAt", mos_plan_time(record->completed_at));
    put_text(out, "status", status_word(run));
    put_text(out, "message", record->message);
    put_measured(out, run);
    name(out, "preflight");
    mos_buffer_append_byte(out, '[');
    for (size_t i = 0; i < run->state->n_findings; i++) {
        name(out, NULL);
        mos_buffer_append_byte(out, '{');
        put_truth(out, "fatal", run->state->findings[i]->fatal);
        put_truth(out, "note", run->state->findings[i]->note);
        put_text(out, "text", run->state->findings[i]->text);
        mos_buffer_append_byte(out, '}');
    }
    mos_buffer_append_byte(out, ']');
    name(out, "steps");
    mos_buffer_append_byte(out, '[');
    for (size_t i = 0; i < run->state->n_steps; i++) {
        put_step(out, run, i);
    }
    mos_buffer_append_byte(out, ']');
    name(out, "notifications");
    mos_buffer_append_byte(out, '[');
    put_deliveries(recovery, run, out);
    mos_buffer_append_byte(out, ']');
    put_test(out, run);
    mos_buffer_append_byte(out, '}');
}

// ---- HTML ----

static void escape(struct mos_buffer *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '<':
            mos_buffer_append_text(out, "&lt;");
            break;
        case '>':
            mos_buffer_append_text(out, "&gt;");
            break;
        case '&':
            mos_buffer_append_text(out, "&amp;");
            break;
        case '"':
            mos_buffer_append_text(out, "&quot;");
            break;
        default:
            mos_buffer_append_byte(out, (uint8_t)*text);
        }
    }
}

static void row(struct mos_buffer *out, const char *what, const char *text) {
    mos_buffer_printf(out, "<tr><th>%s</th><td>", what);
    escape(out, text);
    mos_buffer_append_text(out, "</td></tr>\n");
}

static void row_minutes(struct mos_buffer *out, const char *what, double measured, int objective) {
    mos_buffer_printf(out, "<tr><th>%s</th><td class=\"%s\">%.1f minutes (objective: %d)</td></tr>\n", what,
                      measured <= objective ? "good" : "bad", measured, objective);
}

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Recovery report</title><style>"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid "
    "#d8dde3}"
    "pre{white-space:pre-wrap;margin:.3rem 0;font-size:13px}.good{color:#116329}.bad{color:#a40e26}h2{margin-top:2rem}"
    "</style></head><body>\n";

static void html_step(struct mos_buffer *out, const struct run *run, size_t index) {
    const step_run *step = run->state->execution->steps[index];
    const step_state *state = run->state->steps[index];
    bool bad = step->status == STEP_IS(FAILED);
    mos_buffer_printf(out, "<tr><td>%zu</td><td>", index + 1);
    escape(out, step->step_name);
    mos_buffer_printf(out, "</td><td class=\"%s\">%s</td><td>%.1f / %.1f</td><td>", bad ? "bad" : "good", step_word(step),
                      (double)state->worked_ns / 60e9, (double)state->waited_ns / 60e9);
    escape(out, step->message);
    if (*step->decided_by) {
        mos_buffer_append_text(out, " <em>");
        escape(out, step->decided_by);
        mos_buffer_append_text(out, *step->note ? ": " : "");
        escape(out, step->note);
        mos_buffer_append_text(out, "</em>");
    }
    for (size_t i = 0; i < state->n_criteria; i++) {
        const criterion_result *criterion = state->criteria[i];
        bool open = !criterion->checked && !*criterion->confirmed_by;
        mos_buffer_printf(out, "<div class=\"%s\">", criterion->passed ? "good" : open ? "" : "bad");
        escape(out, criterion->text);
        mos_buffer_append_text(out, open ? " (not checked) " : criterion->passed ? " (holds) " : " (does not hold) ");
        escape(out, *criterion->confirmed_by ? criterion->confirmed_by : criterion->message);
        mos_buffer_append_text(out, "</div>");
    }
    if (*step->output) {
        mos_buffer_append_text(out, "<pre>");
        escape(out, step->output);
        mos_buffer_append_text(out, "</pre>");
    }
    mos_buffer_append_text(out, "</td></tr>\n");
}

static void write_html(const struct run *run, struct mos_buffer *out) {
    const run_state *state = run->state;
    const execution *record = state->execution;
    char text[MOS_TIME_TEXT_BYTES];
    mos_buffer_append_text(out, head);
    mos_buffer_printf(out, "<h1>%s of the plan “", state->test ? "Test" : "Execution");
    escape(out, state->plan->name);
    mos_buffer_append_text(out, "”</h1>\n<table>\n");
    row(out, "Run", run->id);
    mos_buffer_printf(out, "<tr><th>Plan version</th><td>%d</td></tr>\n", state->plan->version);
    row(out, "Asked for by", record->triggered_by);
    row(out, "Reason", record->reason);
    mos_time_format(state->incident_at_unix_ns, text);
    row(out, "Incident", *text ? text : "when the run began");
    mos_time_format(mos_plan_time(record->started_at), text);
    row(out, "Started", text);
    mos_time_format(mos_plan_time(record->completed_at), text);
    row(out, "Completed", text);
    row(out, "Status", status_word(run));
    row(out, "Result", record->message);
    if (state->test) {
        row(out, "Environment", word(&mosaajii__backup__v1__test_result__environment__descriptor, (int)state->test->environment));
        row(out, "Test", word(&mosaajii__backup__v1__test_result__status__descriptor, (int)state->test->overall_status));
        row(out, "Left behind", *state->left_behind ? state->left_behind : "nothing");
    }
    row_minutes(out, "Recovery time", record->metrics->actual_rto, state->plan->recovery_time_objective);
    mos_buffer_printf(out, "<tr><th>of that</th><td>%.1f minutes of machines, %.1f of waiting</td></tr>\n",
                      record->metrics->machine_minutes, record->metrics->waiting_minutes);
    row_minutes(out, "Recovery point", record->metrics->actual_rpo, state->plan->recovery_point_objective);
    mos_buffer_printf(out, "<tr><th>Data lost, as far as known</th><td>%lld bytes</td></tr>\n</table>\n",
                      (long long)record->metrics->data_loss);
    if (state->n_findings > 0) {
        mos_buffer_append_text(out, "<h2>Preflight</h2>\n<ul>\n");
        for (size_t i = 0; i < state->n_findings; i++) {
            mos_buffer_printf(out, "<li class=\"%s\">", state->findings[i]->fatal ? "bad" : "");
            escape(out, state->findings[i]->text);
            mos_buffer_append_text(out, "</li>\n");
        }
        mos_buffer_append_text(out, "</ul>\n");
    }
    mos_buffer_append_text(out, "<h2>Steps</h2>\n<table>\n<tr><th></th><th>Step</th><th>Status</th><th>Minutes at work / waiting</th>"
                                "<th>What came of it</th></tr>\n");
    for (size_t i = 0; i < state->n_steps; i++) {
        html_step(out, run, i);
    }
    mos_buffer_append_text(out, "</table>\n");
    if (state->test && state->test->n_recommendations > 0) {
        mos_buffer_append_text(out, "<h2>Recommendations</h2>\n<ul>\n");
        for (size_t i = 0; i < state->test->n_recommendations; i++) {
            mos_buffer_append_text(out, "<li>");
            escape(out, state->test->recommendations[i]);
            mos_buffer_append_text(out, "</li>\n");
        }
        mos_buffer_append_text(out, "</ul>\n");
    }
    mos_buffer_append_text(out, "</body></html>");
}

// ---- Both, signed ----

void run_write_report(mos_recovery *recovery, struct run *run) {
    MOS_CLEANUP_BUFFER struct mos_buffer json = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_BUFFER struct mos_buffer html = MOS_BUFFER_INIT(0);
    uint8_t json_signature[64], html_signature[64], key[32], hash[crypto_hash_sha256_BYTES];
    write_json(recovery, run, &json);
    write_html(run, &html);
    const struct mos_recovery_options *options = &recovery->options;
    bool is_signed = options->sign(options->sign_context, json.data, json.size_bytes, json_signature, key) &&
                     options->sign(options->sign_context, html.data, html.size_bytes, html_signature, key);
    Mosaajii__Recovery__V1__Reports reports = MOSAAJII__RECOVERY__V1__REPORTS__INIT;
    reports.json = (ProtobufCBinaryData){json.size_bytes, json.data};
    reports.html = (ProtobufCBinaryData){html.size_bytes, html.data};
    if (is_signed) {
        reports.json_signature = (ProtobufCBinaryData){sizeof(json_signature), json_signature};
        reports.html_signature = (ProtobufCBinaryData){sizeof(html_signature), html_signature};
        reports.public_key = (ProtobufCBinaryData){sizeof(key), key};
    }
    size_t size = protobuf_c_message_get_packed_size(&reports.base);
    mos_buffer_clear(&run->report);
    mos_buffer_reserve(&run->report, size);
    protobuf_c_message_pack(&reports.base, run->report.data);
    run->report.size_bytes = size;
    crypto_hash_sha256(hash, json.data, json.size_bytes);
    mos_hex_encode(hash, sizeof(hash), run->report_hash);
}
