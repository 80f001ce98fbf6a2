// Telling people: what becomes of a run reaches its contacts and, where it went wrong, the alerts, in one transaction with what it tells
// of.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "control/alert/alert.h"
#include "control/alert/delivery.h"
#include "control/dr/internal.h"

typedef Mosaajii__Backup__V1__Contact contact;

// ---- Contacts ----

static int by_priority(const void *a, const void *b) {
    int32_t left = (*(contact *const *)a)->priority, right = (*(contact *const *)b)->priority;
    // Those without one come last.
    left = left ? left : INT32_MAX;
    right = right ? right : INT32_MAX;
    return left < right ? -1 : left > right;
}

// In the order in which they are told.
static contact **sort_contacts(const mos_plan *plan) {
    contact **contacts = mos_calloc(plan->n_contacts + 1, sizeof(contact *));
    if (plan->n_contacts > 0) {
        memcpy(contacts, plan->contacts, plan->n_contacts * sizeof(contact *));
        qsort(contacts, plan->n_contacts, sizeof(contact *), by_priority);
    }
    return contacts;
}

static mos_status tell_by_mail(mos_catalog_session *session, const struct run *run, const struct telling *telling,
                               struct mos_error *error) {
    const mos_plan *plan = run->state->plan;
    MOS_CLEANUP_FREE contact **contacts = sort_contacts(plan);
    mos_status status = MOS_OK;
    for (size_t i = 0; i < plan->n_contacts && status == MOS_OK; i++) {
        if (!*contacts[i]->email || (telling->contact && telling->contact != contacts[i])) {
            continue;
        }
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        const struct mos_outgoing message = {
            .receiver = mos_arena_printf(arena, "mail:%s", contacts[i]->email),
            .subject = mos_arena_printf(arena, "Recovery of \"%.150s\": %s", plan->name, telling->occasion),
            .body = mos_arena_printf(arena, "%s\n\nPlan: %s (version %d)\nRun: %s\nAsked for by: %s%s%s\n", telling->text, plan->name,
                                     plan->version, run->id, run->state->execution->triggered_by,
                                     *run->state->execution->reason ? "\nReason: " : "", run->state->execution->reason),
            .reference = run->id};
        status = mos_delivery_add_in(session, &message, error);
    }
    return status;
}

static mos_status tell_by_webhook(mos_catalog_session *session, const struct run *run, const struct telling *telling,
                                  struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer body = MOS_BUFFER_INIT(0);
    const char *const pairs[][2] = {{"event", "RECOVERY"},
                                    {"occasion", telling->occasion},
                                    {"executionId", run->id},
                                    {"planId", run->state->plan->id},
                                    {"plan", run->state->plan->name},
                                    {"message", telling->text},
                                    {"contact", telling->contact ? telling->contact->name : ""},
                                    {"phone", telling->contact ? telling->contact->phone : ""}};
    // Whom it is for only where it is not for all.
    size_t count = sizeof(pairs) / sizeof(pairs[0]) - (telling->contact ? 0 : 2);
    for (size_t i = 0; i < count; i++) {
        mos_buffer_append_byte(&body, i == 0 ? '{' : ',');
        mos_json_append_text(&body, pairs[i][0]);
        mos_buffer_append_byte(&body, ':');
        mos_json_append_text(&body, pairs[i][1]);
    }
    mos_buffer_append_byte(&body, '}');
    const struct mos_outgoing message = {
        .receiver = "webhook", .subject = "recovery", .body = mos_buffer_text(&body), .reference = run->id};
    return mos_delivery_add_in(session, &message, error);
}

static void tell(struct run *run, const char *occasion, const char *text, const contact *whom) {
    if (run_is_test(run)) {
        // Nobody is called for an exercise; where it fails there is an alert.
        return;
    }
    struct telling *telling = mos_calloc(1, sizeof(*telling));
    telling->occasion = mos_strdup(occasion);
    telling->text = mos_strdup(text);
    telling->contact = whom;
    struct telling **last = &run->tellings;
    while (*last) {
        last = &(*last)->next;
    }
    *last = telling;
}

void run_tell(struct run *run, const char *occasion, const char *text) {
    tell(run, occasion, text, NULL);
}

// Whose the step is, where a contact is named for it; else the first of all.
static size_t first_contact(const mos_plan_step *step, contact *const *contacts, size_t count) {
    for (size_t i = 0; i < count && *step->assignee; i++) {
        if (strcmp(contacts[i]->name, step->assignee) == 0 || strcmp(contacts[i]->email, step->assignee) == 0) {
            return i;
        }
    }
    return 0;
}

void run_remind(mos_recovery *recovery, struct run *run, size_t index, int64_t now_unix_ns) {
    const mos_plan *plan = run->state->plan;
    const mos_plan_step *step = plan->steps[index];
    step_state *state = run->state->steps[index];
    int64_t every_ns = mos_setting_number(recovery->options.settings, MOS_SETTING_DR_ESCALATION_MINUTES) * 60 * MOS_NS_PER_SECOND;
    // Before the time is over, everybody has had his turn.
    int64_t most_ns = (int64_t)step->timeout_seconds * MOS_NS_PER_SECOND / ((int64_t)plan->n_contacts + 2);
    every_ns = most_ns > 0 && most_ns < every_ns ? most_ns : every_ns;
    if (now_unix_ns - state->reminded_at_unix_ns < every_ns) {
        return;
    }
    MOS_CLEANUP_FREE contact **contacts = sort_contacts(plan);
    bool again = state->reminders > 0;
    size_t turn = first_contact(step, contacts, plan->n_contacts) + (size_t)state->reminders;
    const contact *whom = plan->n_contacts > 0 ? contacts[turn % plan->n_contacts] : NULL;
    state->reminders++;
    state->reminded_at_unix_ns = now_unix_ns;
    const char *text = run_text(run, "The step \"%s\" still waits for %s%s%s", step->name, *step->assignee ? step->assignee : "a person",
                                whom ? "; this goes to " : "", whom ? whom->name : "");
    run_log(run, LOG_IS(WARNING), step->id,
            whom && !*whom->email ? run_text(run, "No mail reaches this contact; phone: %s", whom->phone) : "", "%s: %s",
            again ? "Escalation" : "Reminder", text);
    tell(run, again ? "escalation" : "reminder", text, whom);
}

void run_drop_tellings(struct run *run) {
    while (run->tellings) {
        struct telling *first = run->tellings;
        run->tellings = first->next;
        free(first->occasion);
        free(first->text);
        free(first);
    }
}

mos_status run_save_tellings(mos_catalog_session *session, const mos_recovery *recovery, const struct run *run, struct mos_error *error) {
    const mos_settings *settings = recovery->options.settings;
    bool mail = mos_setting_is_set(settings, MOS_SETTING_SMTP_HOST), webhook = mos_setting_is_set(settings, MOS_SETTING_ALERT_WEBHOOK_URL);
    mos_status status = MOS_OK;
    for (const struct telling *telling = run->tellings; telling && status == MOS_OK; telling = telling->next) {
        status = mail ? tell_by_mail(session, run, telling, error) : MOS_OK;
        if (status == MOS_OK && webhook) {
            status = tell_by_webhook(session, run, telling, error);
        }
    }
    return status;
}

// ---- Alerts ----

struct alarm {
    const char *what;
    bool wrong;
    enum mos_alert_type type;
    enum mos_alert_severity severity;
    const char *message;
};

// Raised where it is wrong, resolved where it is well again.
static mos_status settle_alarm(mos_catalog_session *session, const struct run *run, const struct alarm *alarm, struct mos_error *error) {
    char cause[160];
    snprintf(cause, sizeof(cause), "recovery-%s:%.64s", alarm->what, run->state->plan->id);
    if (!alarm->wrong) {
        return mos_alert_resolve_in(session, cause, error);
    }
    const struct mos_alert_detail details[] = {{"executionId", run->id}, {"planId", run->state->plan->id}};
    return mos_alert_raise_in(session,
                              &(struct mos_alert_cause){.type = alarm->type,
                                                        .severity = alarm->severity,
                                                        .cause = cause,
                                                        .message = alarm->message,
                                                        .details = details,
                                                        .detail_count = sizeof(details) / sizeof(details[0])},
                              error);
}

mos_status run_save_alerts(mos_catalog_session *session, const struct run *run, struct mos_error *error) {
    const execution *record = run->state->execution;
    const mos_plan *plan = run->state->plan;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    bool test = run_is_test(run);
    bool failed = test ? run->state->test->overall_status == TEST_IS(FAILED) : record->status == RUN_IS(FAILED);
    if (record->status == RUN_IS(CANCELLED)) {
        return MOS_OK;
    }
    const struct alarm alarms[] = {
        {test ? "test" : "run", failed, MOS_ALERT_RECOVERY_FAILED, test ? MOS_SEVERITY_ERROR : MOS_SEVERITY_CRITICAL,
         mos_arena_printf(arena, "The %s of the plan \"%s\" failed: %s", test ? "test" : "execution", plan->name, record->message)},
        {"time", !failed && record->metrics->actual_rto > plan->recovery_time_objective, MOS_ALERT_RECOVERY_FAILED, MOS_SEVERITY_WARNING,
         mos_arena_printf(arena, "The plan \"%s\" took %.1f minutes; its objective is %d", plan->name, record->metrics->actual_rto,
                          plan->recovery_time_objective)},
        {"point", !failed && record->metrics->actual_rpo > plan->recovery_point_objective, MOS_ALERT_RPO_EXCEEDED, MOS_SEVERITY_WARNING,
         mos_arena_printf(arena, "The plan \"%s\" restored a point that was %.1f minutes old; its objective is %d", plan->name,
                          record->metrics->actual_rpo, plan->recovery_point_objective)},
        {"overdue", false, MOS_ALERT_RECOVERY_TEST_OVERDUE, MOS_SEVERITY_WARNING, ""},
    };
    mos_status status = MOS_OK;
    // Only a test proves a plan.
    for (size_t i = 0; i < sizeof(alarms) / sizeof(alarms[0]) - !test && status == MOS_OK; i++) {
        status = settle_alarm(session, run, &alarms[i], error);
    }
    return status;
}

void recovery_raise_overdue(mos_recovery *recovery, const mos_plan *plan, int64_t days) {
    char cause[160], message[400];
    const struct mos_alert_detail details[] = {{"planId", plan->id}};
    snprintf(cause, sizeof(cause), "recovery-overdue:%.64s", plan->id);
    snprintf(message, sizeof(message), "The plan \"%.200s\" has not been tested for %lld days", plan->name, (long long)days);
    mos_alert_raise(recovery->options.catalog, &(struct mos_alert_cause){.type = MOS_ALERT_RECOVERY_TEST_OVERDUE,
                                                                         .severity = MOS_SEVERITY_WARNING,
                                                                         .cause = cause,
                                                                         .message = message,
                                                                         .details = details,
                                                                         .detail_count = 1});
}
