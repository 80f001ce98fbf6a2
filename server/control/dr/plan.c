// What may stand in a plan, and what is filled in.
#include "control/dr/plan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/text.h"
#include "control/dr/command.h"
#include "control/schedule/cron.h"

enum {
    LONGEST_NAME = 200,
    LONGEST_TEXT = 4000,
    LONGEST_ID = 100,
    MOST_MINUTES = 525600,
    MOST_CRITERIA = 50,
    MOST_CONTACTS = 50,
    MOST_ORDER = 100000,
    MOST_TIMEOUT_SECONDS = 7 * 86400,
    MOST_RETRIES = 20,
    MOST_DELAY_SECONDS = 86400,
    MOST_PARALLEL = 64,
    FIELD_BYTES = 96,
};

#define PRIORITY_WORDS "CRITICAL, HIGH, MEDIUM or LOW"

// ---- Single fields ----

static size_t characters(const char *text) {
    size_t count = 0;
    for (; *text; text++) {
        count += (*text & 0xc0) != 0x80;
    }
    return count;
}

// Without control characters; a description may have several lines.
static mos_status check_text(const char *field, const char *text, size_t least, size_t most, bool lines, struct mos_error *error) {
    size_t count = characters(text);
    if (count < least) {
        return mos_fail_field(error, field, "%s must not be empty", field);
    }
    if (count > most) {
        return mos_fail_field(error, field, "%s has %zu characters; allowed are %zu", field, count, most);
    }
    for (const char *c = text; *c; c++) {
        if (((unsigned char)*c < 0x20 || *c == 0x7f) && !(lines && (*c == '\n' || *c == '\t' || *c == '\r'))) {
            return mos_fail_field(error, field, "%s must not hold control characters", field);
        }
    }
    return MOS_OK;
}

static mos_status check_number(const char *field, int64_t number, int64_t least, int64_t most, struct mos_error *error) {
    return number >= least && number <= most ? MOS_OK
                                             : mos_fail_field(error, field, "%s is %lld; allowed is %lld to %lld", field, (long long)number,
                                                              (long long)least, (long long)most);
}

// Ids of steps stand in paths of the REST API.
static bool is_id(const char *id) {
    size_t length = strlen(id);
    if (length == 0 || length > LONGEST_ID || *id == '.') {
        return false;
    }
    for (; *id; id++) {
        if (!isalnum((unsigned char)*id) && !strchr("._-", *id)) {
            return false;
        }
    }
    return true;
}

// ---- Steps ----

static void name_field(char field[FIELD_BYTES], size_t step, const char *name) {
    snprintf(field, FIELD_BYTES, "steps[%zu].%s", step, name);
}

static mos_status check_criteria(const mos_plan *plan, size_t index, struct mos_error *error) {
    const mos_plan_step *step = plan->steps[index];
    char field[FIELD_BYTES];
    if (step->n_validation_criteria > MOST_CRITERIA) {
        name_field(field, index, "validationCriteria");
        return mos_fail_field(error, field, "%s holds %zu criteria; allowed are %d", field, step->n_validation_criteria, MOST_CRITERIA);
    }
    mos_status status = MOS_OK;
    for (size_t i = 0; i < step->n_validation_criteria && status == MOS_OK; i++) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_criterion criterion;
        snprintf(field, sizeof(field), "steps[%zu].validationCriteria[%zu]", index, i);
        status = mos_criterion_parse(field, step->validation_criteria[i], arena, &criterion, error);
    }
    return status;
}

static mos_status check_command(const mos_plan_step *step, size_t index, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_command command;
    char field[FIELD_BYTES];
    name_field(field, index, "command");
    if (!step->automated) {
        // A note for whoever does it.
        return check_text(field, step->command, 0, LONGEST_TEXT, true, error);
    }
    return mos_command_parse(field, step->command, arena, &command, error);
}

static mos_status check_step_numbers(const mos_plan_step *step, size_t index, struct mos_error *error) {
    const struct {
        const char *name;
        int64_t number;
        int64_t most;
    } numbers[] = {
        {"order", step->order, MOST_ORDER},
        {"estimatedDuration", step->estimated_duration, MOST_MINUTES},
        {"timeoutSeconds", step->timeout_seconds, MOST_TIMEOUT_SECONDS},
        {"retries", step->retries, MOST_RETRIES},
        {"retryDelaySeconds", step->retry_delay_seconds, MOST_DELAY_SECONDS},
    };
    mos_status status = MOS_OK;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && status == MOS_OK; i++) {
        char field[FIELD_BYTES];
        name_field(field, index, numbers[i].name);
        status = check_number(field, numbers[i].number, 0, numbers[i].most, error);
    }
    return status;
}

static mos_status check_step(const mos_plan *plan, size_t index, struct mos_error *error) {
    const mos_plan_step *step = plan->steps[index];
    char field[FIELD_BYTES];
    name_field(field, index, "id");
    if (*step->id && !is_id(step->id)) {
        return mos_fail_field(error, field, "%s must be 1 to %d letters, digits, '.', '_' and '-', not beginning with '.'", field,
                              LONGEST_ID);
    }
    name_field(field, index, "name");
    mos_status status = check_text(field, step->name, 1, LONGEST_NAME, false, error);
    name_field(field, index, "description");
    status = status ? status : check_text(field, step->description, 0, LONGEST_TEXT, true, error);
    name_field(field, index, "assignee");
    status = status ? status : check_text(field, step->assignee, 0, LONGEST_NAME, false, error);
    status = status ? status : check_step_numbers(step, index, error);
    status = status ? status : check_command(step, index, error);
    status = status ? status : check_criteria(plan, index, error);
    name_field(field, index, "onFailure");
    if (status == MOS_OK && (step->on_failure < 0 || step->on_failure > MOSAAJII__BACKUP__V1__PLAN_STEP__ON_FAILURE__ASK)) {
        status = mos_fail_field(error, field, "%s is %d; allowed is STOP, CONTINUE or ASK", field, (int)step->on_failure);
    }
    name_field(field, index, "runKinds");
    for (size_t i = 0; i < step->n_run_kinds && status == MOS_OK; i++) {
        if (step->run_kinds[i] < 1 || step->run_kinds[i] > MOSAAJII__BACKUP__V1__PLAN_STEP__RUN_KIND__TEST) {
            status = mos_fail_field(error, field, "%s holds %d; allowed is EXECUTION and TEST", field, (int)step->run_kinds[i]);
        }
    }
    return status;
}

static mos_status check_unique(const mos_plan *plan, struct mos_error *error) {
    char field[FIELD_BYTES];
    bool ordered = false;
    for (size_t i = 0; i < plan->n_steps; i++) {
        ordered = ordered || plan->steps[i]->order > 0;
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        const mos_plan_step *step = plan->steps[i];
        if (ordered && step->order == 0) {
            name_field(field, i, "order");
            return mos_fail_field(error, field, "%s is missing, while other steps have one; allowed is 1 to %d", field, MOST_ORDER);
        }
        for (size_t k = 0; k < i; k++) {
            if (*step->id && strcmp(step->id, plan->steps[k]->id) == 0) {
                name_field(field, i, "id");
                return mos_fail_field(error, field, "%s is \"%s\", which steps[%zu] has already", field, step->id, k);
            }
            if (ordered && step->order == plan->steps[k]->order) {
                name_field(field, i, "order");
                return mos_fail_field(error, field, "%s is %d, which the step \"%s\" has already", field, (int)step->order,
                                      plan->steps[k]->id);
            }
        }
    }
    return MOS_OK;
}

// ---- The graph ----

int mos_plan_find(const mos_plan *plan, const char *id) {
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (strcmp(plan->steps[i]->id, id) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static mos_status check_dependencies(const mos_plan *plan, struct mos_error *error) {
    char field[FIELD_BYTES];
    for (size_t i = 0; i < plan->n_steps; i++) {
        const mos_plan_step *step = plan->steps[i];
        name_field(field, i, "dependencies");
        for (size_t k = 0; k < step->n_dependencies; k++) {
            if (!*step->dependencies[k] || mos_plan_find(plan, step->dependencies[k]) < 0) {
                return mos_fail_field(error, field, "%s names \"%.100s\", but no step has that id", field, step->dependencies[k]);
            }
            for (size_t m = 0; m < k; m++) {
                if (strcmp(step->dependencies[k], step->dependencies[m]) == 0) {
                    return mos_fail_field(error, field, "%s names \"%s\" twice", field, step->dependencies[k]);
                }
            }
        }
    }
    return MOS_OK;
}

// A way from step to step that comes back to where it began, or nothing. `way` holds the steps that lead to `at`; `known` those from which
// no way comes back.
static bool find_cycle(const mos_plan *plan, size_t at, size_t *way, size_t length, bool *known, struct mos_buffer *out) {
    for (size_t i = 0; i < length; i++) {
        if (way[i] == at) {
            for (; i < length; i++) {
                mos_buffer_printf(out, "%s -> ", plan->steps[way[i]]->id);
            }
            mos_buffer_append_text(out, plan->steps[at]->id);
            return true;
        }
    }
    if (known[at]) {
        return false;
    }
    way[length] = at;
    for (size_t i = 0; i < plan->steps[at]->n_dependencies; i++) {
        int next = mos_plan_find(plan, plan->steps[at]->dependencies[i]);
        if (next >= 0 && find_cycle(plan, (size_t)next, way, length + 1, known, out)) {
            return true;
        }
    }
    known[at] = true;
    return false;
}

static mos_status check_cycles(const mos_plan *plan, struct mos_error *error) {
    size_t way[MOS_PLAN_MOST_STEPS + 1];
    bool known[MOS_PLAN_MOST_STEPS] = {0};
    for (size_t i = 0; i < plan->n_steps; i++) {
        MOS_CLEANUP_BUFFER struct mos_buffer cycle = MOS_BUFFER_INIT(0);
        if (find_cycle(plan, i, way, 0, known, &cycle)) {
            char field[FIELD_BYTES];
            name_field(field, i, "dependencies");
            return mos_fail_field(error, field, "%s leads in a circle: %.400s", field, mos_buffer_text(&cycle));
        }
    }
    return MOS_OK;
}

bool mos_plan_waits(const mos_plan *plan, size_t step, size_t other) {
    bool graph = false;
    for (size_t i = 0; i < plan->n_steps; i++) {
        graph = graph || plan->steps[i]->n_dependencies > 0;
    }
    if (!graph) {
        return plan->steps[other]->order < plan->steps[step]->order;
    }
    for (size_t i = 0; i < plan->steps[step]->n_dependencies; i++) {
        if (strcmp(plan->steps[step]->dependencies[i], plan->steps[other]->id) == 0) {
            return true;
        }
    }
    return false;
}

// ---- The whole ----

static mos_status check_email(const char *field, const char *email, struct mos_error *error) {
    const char *at = strchr(email, '@');
    bool good = at && at > email && at[1] && !strchr(at + 1, '@') && strlen(email) <= 254 && !strpbrk(email, " <>\",;:()[]\\");
    for (const char *c = email; *c; c++) {
        good = good && (unsigned char)*c > 0x20 && (unsigned char)*c < 0x7f;
    }
    return !*email || good ? MOS_OK : mos_fail_field(error, field, "%s is no address of mail", field);
}

static mos_status check_contacts(const mos_plan *plan, struct mos_error *error) {
    char field[FIELD_BYTES];
    if (plan->n_contacts > MOST_CONTACTS) {
        return mos_fail_field(error, "contacts", "contacts holds %zu contacts; allowed are %d", plan->n_contacts, MOST_CONTACTS);
    }
    for (size_t i = 0; i < plan->n_contacts; i++) {
        const Mosaajii__Backup__V1__Contact *contact = plan->contacts[i];
        snprintf(field, sizeof(field), "contacts[%zu].name", i);
        mos_status status = check_text(field, contact->name, 1, LONGEST_NAME, false, error);
        snprintf(field, sizeof(field), "contacts[%zu].role", i);
        status = status ? status : check_text(field, contact->role, 0, LONGEST_NAME, false, error);
        snprintf(field, sizeof(field), "contacts[%zu].email", i);
        status = status ? status : check_email(field, contact->email, error);
        snprintf(field, sizeof(field), "contacts[%zu].phone", i);
        status = status ? status : check_text(field, contact->phone, 0, 50, false, error);
        snprintf(field, sizeof(field), "contacts[%zu].priority", i);
        status = status ? status : check_number(field, contact->priority, 0, 1000, error);
        if (status != MOS_OK) {
            return status;
        }
    }
    return MOS_OK;
}

static mos_status check_head(const mos_plan *plan, struct mos_error *error) {
    mos_status status = check_text("name", plan->name, 1, LONGEST_NAME, false, error);
    status = status ? status : check_text("description", plan->description, 0, LONGEST_TEXT, true, error);
    status = status ? status : check_number("recoveryTimeObjective", plan->recovery_time_objective, 0, MOST_MINUTES, error);
    status = status ? status : check_number("recoveryPointObjective", plan->recovery_point_objective, 0, MOST_MINUTES, error);
    status = status ? status : check_number("maxParallelSteps", plan->max_parallel_steps, 0, MOST_PARALLEL, error);
    if (status != MOS_OK) {
        return status;
    }
    if (plan->priority < 0 || plan->priority > MOSAAJII__BACKUP__V1__PLAN__PRIORITY__LOW) {
        return mos_fail_field(error, "priority", "priority is %d; allowed is " PRIORITY_WORDS, (int)plan->priority);
    }
    if (plan->status < 0 || plan->status > MOSAAJII__BACKUP__V1__PLAN__STATUS__NEEDS_UPDATE) {
        return mos_fail_field(error, "status", "status is %d; allowed is ACTIVE, INACTIVE, TESTING or NEEDS_UPDATE", (int)plan->status);
    }
    for (size_t i = 0; i < plan->n_backup_types; i++) {
        if (!*mos_backup_type_word((int)plan->backup_types[i])) {
            return mos_fail_field(error, "backupTypes", "backupTypes holds %d, which is no type of backup", (int)plan->backup_types[i]);
        }
    }
    struct mos_cron cron;
    status = *plan->test_schedule ? mos_cron_parse(&cron, "testSchedule", plan->test_schedule, error) : MOS_OK;
    if (status != MOS_OK) {
        return status;
    }
    if (plan->n_steps == 0 || plan->n_steps > MOS_PLAN_MOST_STEPS) {
        return mos_fail_field(error, "steps", "steps holds %zu steps; allowed are 1 to %d", plan->n_steps, MOS_PLAN_MOST_STEPS);
    }
    return MOS_OK;
}

mos_status mos_plan_check(const mos_plan *plan, struct mos_error *error) {
    mos_status status = check_head(plan, error);
    status = status ? status : check_contacts(plan, error);
    for (size_t i = 0; i < plan->n_steps && status == MOS_OK; i++) {
        status = check_step(plan, i, error);
    }
    status = status ? status : check_unique(plan, error);
    status = status ? status : check_dependencies(plan, error);
    return status ? status : check_cycles(plan, error);
}

// ---- Filling in ----

static void fill_objectives(mos_plan *plan, const struct mos_plan_defaults *defaults) {
    // CRITICAL to LOW, as operators know them.
    static const int32_t rto[] = {0, 60, 240, 1440, 4320}, rpo[] = {0, 15, 60, 240, 1440};
    int priority = (int)plan->priority;
    if (plan->recovery_time_objective == 0) {
        plan->recovery_time_objective = priority ? rto[priority] : defaults->rto_minutes;
    }
    if (plan->recovery_point_objective == 0) {
        plan->recovery_point_objective = priority ? rpo[priority] : defaults->rpo_minutes;
    }
    if (!priority) {
        plan->priority = MOSAAJII__BACKUP__V1__PLAN__PRIORITY__MEDIUM;
    }
}

static int by_order(const void *a, const void *b) {
    int32_t left = (*(mos_plan_step *const *)a)->order, right = (*(mos_plan_step *const *)b)->order;
    return left < right ? -1 : left > right;
}

static void fill_steps(mos_plan *plan, mos_arena *arena) {
    for (size_t i = 0; i < plan->n_steps; i++) {
        mos_plan_step *step = plan->steps[i];
        step->order = step->order ? step->order : (int32_t)i + 1;
    }
    qsort(plan->steps, plan->n_steps, sizeof(plan->steps[0]), by_order);
    for (size_t i = 0; i < plan->n_steps; i++) {
        mos_plan_step *step = plan->steps[i];
        for (int suffix = (int)step->order; !*step->id; suffix++) {
            char *id = mos_arena_printf(arena, "step-%d", suffix);
            step->id = mos_plan_find(plan, id) < 0 ? id : step->id;
        }
    }
}

mos_status mos_plan_complete(const mos_plan *given, const struct mos_plan_defaults *defaults, mos_arena *arena, mos_plan **out,
                             struct mos_error *error) {
    mos_status status = mos_plan_check(given, error);
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer packed = MOS_BUFFER_INIT(0);
    size_t size = protobuf_c_message_get_packed_size(&given->base);
    mos_buffer_reserve(&packed, size);
    protobuf_c_message_pack(&given->base, packed.data);
    *out = mosaajii__backup__v1__plan__unpack(mos_arena_allocator(arena), size, packed.data);
    if (!*out) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the plan takes too much memory");
    }
    fill_objectives(*out, defaults);
    fill_steps(*out, arena);
    bool inactive = given->status == MOSAAJII__BACKUP__V1__PLAN__STATUS__INACTIVE;
    (*out)->status = inactive ? MOSAAJII__BACKUP__V1__PLAN__STATUS__INACTIVE : MOSAAJII__BACKUP__V1__PLAN__STATUS__ACTIVE;
    return MOS_OK;
}

int64_t mos_plan_next_test(const mos_plan *plan, int64_t after_unix_ns) {
    struct mos_cron cron;
    if (*plan->test_schedule) {
        // In UTC.
        MOS_CLEANUP_ZONE mos_zone *zone = NULL;
        int64_t next = 0;
        bool found = mos_zone_open(&zone, "", NULL) == MOS_OK &&
                     mos_cron_parse(&cron, "testSchedule", plan->test_schedule, NULL) == MOS_OK &&
                     mos_cron_next(&cron, zone, after_unix_ns / MOS_NS_PER_SECOND, &next);
        return found ? next * MOS_NS_PER_SECOND : 0;
    }
    int64_t last = mos_plan_time(plan->last_tested_at ? plan->last_tested_at : plan->created_at);
    return last + (int64_t)MOS_PLAN_TEST_DAYS * 86400 * MOS_NS_PER_SECOND;
}
