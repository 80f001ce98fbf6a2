// A run in memory: its transitions, and how they reach the catalog. All with the mutex held.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "common/text.h"
#include "control/catalog/audit.h"
#include "control/dr/internal.h"

enum { LONGEST_BACKOFF_SECONDS = 3600, USUAL_DELAY_SECONDS = 5 };

// ---- Making ----

struct run *run_create(mos_recovery *recovery, run_state *state, mos_arena *arena) {
    (void)recovery;
    struct run *run = mos_calloc(1, sizeof(*run));
    snprintf(run->id, sizeof(run->id), "%s", state->execution->id);
    run->arena = arena;
    run->state = state;
    run->attempt_count = state->n_steps + 1;
    run->attempts = mos_calloc(run->attempt_count, sizeof(*run->attempts));
    run->last = &run->pending;
    return run;
}

static void drop_pending(struct run *run) {
    while (run->pending) {
        struct pending *first = run->pending;
        run->pending = first->next;
        free(first->data);
        free(first);
    }
    run->last = &run->pending;
}

void run_destroy(struct run *run) {
    drop_pending(run);
    run_drop_tellings(run);
    mos_buffer_free(&run->report);
    mos_arena_destroy(run->arena);
    free(run->attempts);
    free(run);
}

bool run_is_test(const struct run *run) {
    return run->state->test != NULL;
}

const char *run_text(struct run *run, const char *format, ...) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    va_list arguments;
    va_start(arguments, format);
    mos_buffer_vprintf(&text, format, arguments);
    va_end(arguments);
    return mos_arena_strdup(run->arena, mos_buffer_text(&text));
}

// What a program prints may be anything; what is kept must be text.
const char *run_clean_text(struct run *run, const void *data, size_t size_bytes) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    const char *next = data, *end = next + size_bytes;
    while (next < end) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        const char *line_end = memchr(next, '\n', (size_t)(end - next));
        size_t length = (size_t)((line_end ? line_end : end) - next);
        mos_buffer_append_text(&text, mos_path_escape(arena, next, length));
        if (line_end) {
            mos_buffer_append_byte(&text, '\n');
        }
        next += length + (line_end != NULL);
    }
    return mos_arena_strdup(run->arena, mos_buffer_text(&text));
}

// ---- Progress ----

// What a step weighs: its estimate, or one minute.
static int64_t weight_of(const struct run *run, size_t index) {
    int32_t minutes = run->state->plan->steps[index]->estimated_duration;
    return minutes > 0 ? minutes : 1;
}

int run_percent(const struct run *run, int64_t *out_seconds_left) {
    int64_t all = 0, done = 0, estimated = 0;
    bool known = true;
    for (size_t i = 0; i < run->state->n_steps; i++) {
        const step_run *step = run->state->execution->steps[i];
        int64_t weight = weight_of(run, i);
        bool open = step->status == STEP_IS(PENDING) || step->status == STEP_IS(RUNNING) || step->status == STEP_IS(WAITING);
        int64_t share = open ? step->percent : 100;
        all += weight * 100;
        done += weight * share;
        estimated += open ? weight * 60 * (100 - share) / 100 : 0;
        known = known && (!open || run->state->plan->steps[i]->estimated_duration > 0);
    }
    int percent = all ? (int)(done * 100 / all) : 0;
    bool over = run->state->execution->completed_at != NULL;
    int64_t begun_ns = mos_plan_time(run->state->execution->started_at);
    int64_t elapsed = begun_ns ? (mos_now_unix_ns() - begun_ns) / MOS_NS_PER_SECOND : 0;
    *out_seconds_left = over ? 0 : percent > 10 && elapsed > 0 ? elapsed * (100 - percent) / percent : known ? estimated : -1;
    return over ? 100 : percent < 100 ? percent : 99;
}

// ---- Entries of the journal ----

static void add_pending(struct run *run, execution_event *event) {
    int64_t seconds_left;
    event->percent = run_percent(run, &seconds_left);
    event->seconds_left = seconds_left;
    event->status = run->state->execution->status;
    Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    int64_t now_ns = mos_now_unix_ns();
    now.seconds = now_ns / MOS_NS_PER_SECOND;
    now.nanos = (int32_t)(now_ns % MOS_NS_PER_SECOND);
    event->time = &now;
    struct pending *pending = mos_calloc(1, sizeof(*pending));
    pending->kind = (int)event->kind;
    pending->size_bytes = protobuf_c_message_get_packed_size(&event->base);
    pending->data = mos_malloc(pending->size_bytes + 1);
    protobuf_c_message_pack(&event->base, pending->data);
    event->time = NULL;
    *run->last = pending;
    run->last = &pending->next;
}

void run_event_status(struct run *run) {
    execution_event event = MOSAAJII__BACKUP__V1__EXECUTION_EVENT__INIT;
    event.kind = EVENT_IS(STATUS);
    add_pending(run, &event);
}

void run_event_step(struct run *run, size_t index) {
    execution_event event = MOSAAJII__BACKUP__V1__EXECUTION_EVENT__INIT;
    event.kind = EVENT_IS(STEP);
    event.step = run->state->execution->steps[index];
    add_pending(run, &event);
}

void run_event_progress(struct run *run, size_t index) {
    execution_event event = MOSAAJII__BACKUP__V1__EXECUTION_EVENT__INIT;
    event.kind = EVENT_IS(PROGRESS);
    event.step = run->state->execution->steps[index];
    add_pending(run, &event);
}

void run_log(struct run *run, int level, const char *step_id, const char *details, const char *format, ...) {
    MOS_CLEANUP_BUFFER struct mos_buffer message = MOS_BUFFER_INIT(0);
    va_list arguments;
    va_start(arguments, format);
    mos_buffer_vprintf(&message, format, arguments);
    va_end(arguments);
    char id[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    int64_t now_ns = mos_now_unix_ns();
    now.seconds = now_ns / MOS_NS_PER_SECOND;
    now.nanos = (int32_t)(now_ns % MOS_NS_PER_SECOND);
    Mosaajii__Backup__V1__ExecutionLog log = MOSAAJII__BACKUP__V1__EXECUTION_LOG__INIT;
    log.id = id;
    log.timestamp = &now;
    log.level = (Mosaajii__Backup__V1__ExecutionLog__Level)level;
    log.step = (char *)step_id;
    log.message = (char *)mos_buffer_text(&message);
    log.details = (char *)details;
    execution_event event = MOSAAJII__BACKUP__V1__EXECUTION_EVENT__INIT;
    event.kind = EVENT_IS(LOG);
    event.log = &log;
    add_pending(run, &event);
}

// ---- Into the catalog ----

struct save {
    const mos_recovery *recovery;
    struct run *run;
    struct mos_blob content;
};

// The plan as its tests have left it.
static mos_status save_test(mos_catalog_session *session, const struct run *run, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Backup__V1__TestResult *test = run->state->test;
    mos_plan *plan;
    struct mos_error gone;
    mos_status status = mos_plan_read(session, run->state->plan->id, arena, &plan, &gone);
    if (status == MOS_NOT_FOUND) {
        return MOS_OK;
    }
    if (status != MOS_OK) {
        *error = gone;
        return status;
    }
    bool same = plan->version == run->state->plan->version;
    bool failed = test->overall_status == TEST_IS(FAILED);
    plan->last_tested_at = run->state->execution->completed_at;
    plan->next_test_date = mos_plan_timestamp(arena, mos_plan_next_test(plan, mos_now_unix_ns()));
    if (same && test->environment != PLACE_IS(PRODUCTION)) {
        plan->verified = test->overall_status == TEST_IS(PASSED);
    }
    if (same && plan->status != MOSAAJII__BACKUP__V1__PLAN__STATUS__INACTIVE) {
        plan->status = failed ? MOSAAJII__BACKUP__V1__PLAN__STATUS__NEEDS_UPDATE : MOSAAJII__BACKUP__V1__PLAN__STATUS__ACTIVE;
    }
    return mos_plan_put(session, plan, error);
}

// That there is such a report, with its hash, stands in the audit trail.
static mos_status save_end(mos_catalog_session *session, const struct run *run, struct mos_error *error) {
    const run_state *state = run->state;
    char version[16];
    snprintf(version, sizeof(version), "%d", state->plan->version);
    const ProtobufCEnumValue *word =
        protobuf_c_enum_descriptor_get_value(&mosaajii__backup__v1__execution__status__descriptor, (int)state->execution->status);
    const struct mos_audit_detail details[] = {{"plan", state->plan->id},
                                               {"reportSha256", run->report_hash},
                                               {"status", word ? word->name : ""},
                                               {"test", run_is_test(run) ? "true" : "false"},
                                               {"version", version}};
    const struct mos_audit_entry entry = {.actor = "system",
                                          .ip_address = "",
                                          .action = "Recovery.Report",
                                          .resource = run->id,
                                          .result = "OK",
                                          .details = details,
                                          .detail_count = sizeof(details) / sizeof(details[0])};
    mos_status status = mos_catalog_add_audit(session, &entry, error);
    status = status ? status : mos_catalog_thin_journal(session, run->id, EVENT_IS(PROGRESS), error);
    // What a test does with a damaged copy is its own business.
    if (status != MOS_OK || *state->control_of) {
        return status;
    }
    status = run_save_alerts(session, run, error);
    return status == MOS_OK && run_is_test(run) ? save_test(session, run, error) : status;
}

static mos_status save(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct save *what = argument;
    const struct run *run = what->run;
    const execution *record = run->state->execution;
    const struct mos_recovery_run row = {.id = run->id,
                                         .plan_id = record->plan_id,
                                         .test = run_is_test(run),
                                         .hidden = *run->state->control_of != 0,
                                         .status = (int)record->status,
                                         .active = !run->ended,
                                         .created_at_unix_ns = mos_plan_time(record->triggered_at),
                                         .content = what->content,
                                         .report = {run->report.data, run->report.size_bytes}};
    mos_status status = mos_catalog_put_recovery_run(session, &row, error);
    for (const struct pending *pending = run->pending; pending && status == MOS_OK; pending = pending->next) {
        struct mos_journal_entry entry = {
            .run_id = run->id, .time_unix_ns = mos_now_unix_ns(), .kind = pending->kind, .content = {pending->data, pending->size_bytes}};
        status = mos_catalog_add_journal(session, &entry, error);
    }
    if (status == MOS_OK) {
        status = run_save_tellings(session, what->recovery, run, error);
    }
    return status == MOS_OK && run->ended ? save_end(session, run, error) : status;
}

mos_status run_save(mos_recovery *recovery, struct run *run, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer packed = MOS_BUFFER_INIT(0);
    size_t size = protobuf_c_message_get_packed_size(&run->state->base);
    mos_buffer_reserve(&packed, size);
    protobuf_c_message_pack(&run->state->base, packed.data);
    struct save what = {recovery, run, {packed.data, size}};
    mos_status status = mos_catalog_write(recovery->options.catalog, save, &what, error);
    if (status == MOS_OK) {
        drop_pending(run);
        run_drop_tellings(run);
    } else {
        mos_log_error("a recovery run could not be written", MOS_TEXT("run", run->id), MOS_TEXT("reason", error->message));
    }
    return status;
}

// ---- Time ----

void run_count_time(struct run *run, int64_t now_unix_ns) {
    run_state *state = run->state;
    bool works = run->attempts[state->n_steps] != NULL;
    for (size_t i = 0; i < state->n_steps; i++) {
        works = works || state->execution->steps[i]->status == STEP_IS(RUNNING);
    }
    int64_t passed_ns = now_unix_ns - state->counted_at_unix_ns;
    if (passed_ns > 0 && state->counted_at_unix_ns > 0) {
        *(works ? &state->machine_ns : &state->waiting_ns) += passed_ns;
    }
    state->counted_at_unix_ns = now_unix_ns;
}

// ---- Transitions ----

void run_set_status(struct run *run, int status, const char *message) {
    execution *record = run->state->execution;
    record->status = (Mosaajii__Backup__V1__Execution__Status)status;
    if (message) {
        record->message = (char *)run_text(run, "%s", message);
    }
    run_event_status(run);
}

static void add_id(struct run *run, char ***list, size_t *count, const char *id) {
    for (size_t i = 0; i < *count; i++) {
        if (strcmp((*list)[i], id) == 0) {
            return;
        }
    }
    char **grown = mos_arena_array(run->arena, char *, *count + 1);
    if (*count > 0) {
        memcpy(grown, *list, *count * sizeof(**list));
    }
    grown[(*count)++] = (char *)id;
    *list = grown;
}

static void remove_id(char **list, size_t *count, const char *id) {
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(list[i], id) == 0) {
            memmove(&list[i], &list[i + 1], (*count - i - 1) * sizeof(*list));
            (*count)--;
            return;
        }
    }
}

// The lists of ids that the API shows, after a step has changed.
static void list_step(struct run *run, size_t index) {
    execution *record = run->state->execution;
    const char *id = record->steps[index]->step_id;
    remove_id(record->completed_steps, &record->n_completed_steps, id);
    remove_id(record->failed_steps, &record->n_failed_steps, id);
    remove_id(record->skipped_steps, &record->n_skipped_steps, id);
    switch ((int)record->steps[index]->status) {
    case STEP_IS(SUCCEEDED):
        add_id(run, &record->completed_steps, &record->n_completed_steps, id);
        break;
    case STEP_IS(FAILED):
        add_id(run, &record->failed_steps, &record->n_failed_steps, id);
        break;
    case STEP_IS(SKIPPED):
        add_id(run, &record->skipped_steps, &record->n_skipped_steps, id);
        break;
    default:
        break;
    }
    const char *current = "";
    for (size_t i = 0; i < record->n_steps && !*current; i++) {
        bool open = record->steps[i]->status == STEP_IS(RUNNING) || record->steps[i]->status == STEP_IS(WAITING);
        current = open ? record->steps[i]->step_id : "";
    }
    record->current_step = (char *)current;
}

// A step has come to an end, of whatever kind.
void step_end(struct run *run, size_t index, int status) {
    step_run *step = run->state->execution->steps[index];
    step_state *state = run->state->steps[index];
    int64_t now_ns = mos_now_unix_ns();
    if (state->waiting_since_unix_ns) {
        state->waited_ns += now_ns - state->waiting_since_unix_ns;
        state->waiting_since_unix_ns = 0;
    }
    step->status = (Mosaajii__Backup__V1__StepRun__Status)status;
    step->completed_at = mos_plan_timestamp(run->arena, now_ns);
    step->percent = status == STEP_IS(SUCCEEDED) ? 100 : step->percent;
    if (status == STEP_IS(SUCCEEDED)) {
        run->state->recovered_at_unix_ns = now_ns;
    }
    list_step(run, index);
    run_event_step(run, index);
}

void step_succeeded(struct run *run, size_t index) {
    run->state->execution->steps[index]->message = (char *)"";
    step_end(run, index, STEP_IS(SUCCEEDED));
    run_log(run, LOG_IS(INFO), run->state->execution->steps[index]->step_id, "", "Done");
}

void step_wait_for_person(mos_recovery *recovery, struct run *run, size_t index, const char *why) {
    (void)recovery;
    step_run *step = run->state->execution->steps[index];
    step_state *state = run->state->steps[index];
    step->status = STEP_IS(WAITING);
    step->message = (char *)run_text(run, "%s", why);
    state->waiting_since_unix_ns = mos_now_unix_ns();
    state->reminders = 0;
    state->reminded_at_unix_ns = state->waiting_since_unix_ns;
    list_step(run, index);
    run_event_step(run, index);
    run_log(run, LOG_IS(WARNING), step->step_id, "", "Waiting for a person: %s", why);
    run_tell(run, "waiting for a person", run_text(run, "The step \"%s\" waits: %s", step->step_name, why));
}

static int64_t backoff_ns(const mos_plan_step *plan, int attempt) {
    int64_t seconds = plan->retry_delay_seconds ? plan->retry_delay_seconds : USUAL_DELAY_SECONDS;
    for (int i = 1; i < attempt && seconds < LONGEST_BACKOFF_SECONDS; i++) {
        seconds *= 2;
    }
    if (seconds > LONGEST_BACKOFF_SECONDS && seconds > plan->retry_delay_seconds) {
        seconds = plan->retry_delay_seconds > LONGEST_BACKOFF_SECONDS ? plan->retry_delay_seconds : LONGEST_BACKOFF_SECONDS;
    }
    return seconds * MOS_NS_PER_SECOND;
}

void step_failed(mos_recovery *recovery, struct run *run, size_t index, const char *message, bool again) {
    const mos_plan_step *plan = run->state->plan->steps[index];
    step_run *step = run->state->execution->steps[index];
    step_state *state = run->state->steps[index];
    step->message = (char *)run_text(run, "%s", message);
    run_log(run, LOG_IS(ERROR), step->step_id, step->output ? step->output : "", "Attempt %d failed: %s", step->attempt, message);
    if (again && step->attempt <= plan->retries && !run->state->cancel_asked && !*run->state->failure) {
        state->not_before_unix_ns = mos_now_unix_ns() + backoff_ns(plan, step->attempt);
        step->status = STEP_IS(PENDING);
        list_step(run, index);
        run_event_step(run, index);
        return;
    }
    // Nobody is asked by a test: what fails has failed.
    bool ask = plan->on_failure == MOSAAJII__BACKUP__V1__PLAN_STEP__ON_FAILURE__ASK && !run_is_test(run);
    if (ask && !run->state->cancel_asked && !*run->state->failure) {
        state->asked = true;
        step_wait_for_person(recovery, run, index, message);
        return;
    }
    step_end(run, index, STEP_IS(FAILED));
    if (plan->on_failure == MOSAAJII__BACKUP__V1__PLAN_STEP__ON_FAILURE__CONTINUE) {
        state->excused = true;
    } else if (!*run->state->failure) {
        run->state->failure = (char *)run_text(run, "The step \"%s\" failed: %s", plan->name, message);
    }
}

struct mos_place run_place(const struct run *run, mos_arena *arena) {
    struct mos_place place = {.folder = ""};
    if (run->state->test) {
        place.rehearsal = run->state->test->environment == PLACE_IS(PRODUCTION);
        place.sandbox = !place.rehearsal;
        place.damage = *run->state->control_of != 0;
        place.folder = place.sandbox ? mos_arena_strdup(arena, run->state->sandbox) : "";
    }
    return place;
}
