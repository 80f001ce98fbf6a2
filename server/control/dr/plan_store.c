// Plans in the catalog, and the one that is proposed.
#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "control/alert/alert.h"
#include "control/catalog/words.h"
#include "control/dr/plan.h"

int64_t mos_plan_time(const Google__Protobuf__Timestamp *time) {
    return time ? time->seconds * MOS_NS_PER_SECOND + time->nanos : 0;
}

Google__Protobuf__Timestamp *mos_plan_timestamp(mos_arena *arena, int64_t unix_ns) {
    Google__Protobuf__Timestamp *time = unix_ns > 0 ? mos_arena_alloc(arena, sizeof(*time)) : NULL;
    if (time) {
        google__protobuf__timestamp__init(time);
        time->seconds = unix_ns / MOS_NS_PER_SECOND;
        time->nanos = (int32_t)(unix_ns % MOS_NS_PER_SECOND);
    }
    return time;
}

mos_status mos_plan_put(mos_catalog_session *session, const mos_plan *plan, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer packed = MOS_BUFFER_INIT(0);
    size_t size = protobuf_c_message_get_packed_size(&plan->base);
    mos_buffer_reserve(&packed, size);
    protobuf_c_message_pack(&plan->base, packed.data);
    const struct mos_recovery_plan row = {.id = plan->id,
                                          .priority = (int)plan->priority,
                                          .status = (int)plan->status,
                                          .created_at_unix_ns = mos_plan_time(plan->created_at),
                                          .content = {packed.data, size}};
    return mos_catalog_put_plan(session, &row, error);
}

mos_status mos_plan_unpack(const struct mos_recovery_plan *row, mos_arena *arena, mos_plan **out, struct mos_error *error) {
    *out = mosaajii__backup__v1__plan__unpack(mos_arena_allocator(arena), row->content.size_bytes, row->content.data);
    return *out ? MOS_OK : mos_fail(error, MOS_DATA_LOSS, "the recovery plan %s cannot be read from the catalog", row->id);
}

mos_status mos_plan_read(mos_catalog_session *session, const char *id, mos_arena *arena, mos_plan **out, struct mos_error *error) {
    struct mos_recovery_plan row;
    mos_status status = mos_catalog_get_plan(session, id, arena, &row, error);
    return status == MOS_OK ? mos_plan_unpack(&row, arena, out, error) : status;
}

struct edit {
    mos_plan *plan;
    mos_arena *arena;
};

static mos_status write_new(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_plan_put(session, ((struct edit *)argument)->plan, error);
}

mos_status mos_plan_create(mos_catalog *catalog, const mos_plan *given, const struct mos_plan_defaults *defaults, mos_arena *arena,
                           mos_plan **out, struct mos_error *error) {
    mos_status status = mos_plan_complete(given, defaults, arena, out, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_plan *plan = *out;
    int64_t now_ns = mos_now_unix_ns();
    plan->id = mos_arena_alloc(arena, MOS_ID_TEXT_BYTES);
    mos_id_new(plan->id);
    plan->created_at = mos_plan_timestamp(arena, now_ns);
    plan->updated_at = plan->created_at;
    plan->last_tested_at = NULL;
    plan->version = 1;
    plan->verified = false;
    plan->next_test_date = mos_plan_timestamp(arena, mos_plan_next_test(plan, now_ns));
    struct edit edit = {plan, arena};
    return mos_catalog_write(catalog, write_new, &edit, error);
}

static mos_status write_version(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct edit *edit = argument;
    mos_plan *plan = edit->plan, *before;
    mos_status status = mos_plan_read(session, plan->id, edit->arena, &before, error);
    if (status != MOS_OK) {
        return status;
    }
    int64_t now_ns = mos_now_unix_ns();
    plan->created_at = before->created_at;
    plan->updated_at = mos_plan_timestamp(edit->arena, now_ns);
    plan->last_tested_at = before->last_tested_at;
    plan->version = before->version + 1;
    plan->verified = false;
    plan->next_test_date = mos_plan_timestamp(edit->arena, mos_plan_next_test(plan, now_ns));
    return mos_plan_put(session, plan, error);
}

mos_status mos_plan_update(mos_catalog *catalog, const char *id, const mos_plan *given, const struct mos_plan_defaults *defaults,
                           mos_arena *arena, mos_plan **out, struct mos_error *error) {
    mos_status status = mos_plan_complete(given, defaults, arena, out, error);
    if (status != MOS_OK) {
        return status;
    }
    (*out)->id = mos_arena_strdup(arena, id);
    struct edit edit = {*out, arena};
    return mos_catalog_write(catalog, write_version, &edit, error);
}

static mos_status remove_row(mos_catalog_session *session, void *argument, struct mos_error *error) {
    char cause[160];
    mos_status status = mos_catalog_remove_plan(session, argument, error);
    // Nobody waits for a test of what is gone.
    snprintf(cause, sizeof(cause), "recovery-overdue:%.64s", (const char *)argument);
    return status == MOS_OK ? mos_alert_resolve_in(session, cause, error) : status;
}

mos_status mos_plan_remove(mos_catalog *catalog, const char *id, struct mos_error *error) {
    return mos_catalog_write(catalog, remove_row, (void *)id, error);
}

// ---- A proposal ----

struct draft {
    mos_plan *plan;
    mos_arena *arena;
};

// `after`: ids of steps, comma separated; "": it waits for none.
static mos_plan_step *add_step(const struct draft *draft, const char *id, const char *name, const char *command, int minutes,
                               const char *after) {
    mos_plan_step *step = mos_arena_alloc(draft->arena, sizeof(*step));
    mosaajii__backup__v1__plan_step__init(step);
    step->id = mos_arena_strdup(draft->arena, id);
    step->name = mos_arena_strdup(draft->arena, name);
    step->command = mos_arena_strdup(draft->arena, command);
    step->automated = *command != 0;
    step->estimated_duration = minutes;
    step->order = (int32_t)draft->plan->n_steps + 1;
    step->dependencies = mos_arena_array(draft->arena, char *, MOS_PLAN_MOST_STEPS);
    while (*after) {
        size_t length = strcspn(after, ",");
        step->dependencies[step->n_dependencies++] = mos_arena_printf(draft->arena, "%.*s", (int)length, after);
        after += length + (after[length] == ',');
    }
    draft->plan->steps[draft->plan->n_steps++] = step;
    return step;
}

static void add_type(const struct draft *draft, enum mos_backup_type type) {
    draft->plan->backup_types[draft->plan->n_backup_types++] = (Mosaajii__Backup__V1__Backup__Type)type;
}

mos_plan *mos_plan_suggest(const struct mos_plan_sources *sources, const struct mos_plan_defaults *defaults, mos_arena *arena) {
    mos_plan *plan = mos_arena_alloc(arena, sizeof(*plan));
    mosaajii__backup__v1__plan__init(plan);
    const struct draft draft = {plan, arena};
    plan->name = mos_arena_strdup(arena, "Recovery of everything that is backed up");
    plan->description =
        mos_arena_strdup(arena, "Proposed from the server's settings. Name the people to be told, and test it before it is needed.");
    plan->priority = MOSAAJII__BACKUP__V1__PLAN__PRIORITY__CRITICAL;
    plan->recovery_time_objective = defaults->rto_minutes;
    plan->recovery_point_objective = defaults->rpo_minutes;
    plan->status = MOSAAJII__BACKUP__V1__PLAN__STATUS__ACTIVE;
    plan->steps = mos_arena_array(arena, mos_plan_step *, MOS_PLAN_MOST_STEPS);
    plan->backup_types = mos_arena_array(arena, Mosaajii__Backup__V1__Backup__Type, MOS_BACKUP_CONFIGURATION);
    const char *restored = "";
    if (sources->configuration) {
        add_type(&draft, MOS_BACKUP_CONFIGURATION);
        add_step(&draft, "restore-configuration", "Restore the configuration", "restore_backup:CONFIGURATION", 5, "");
        restored = "restore-configuration";
    }
    if (sources->databases) {
        add_type(&draft, MOS_BACKUP_DATABASE);
        add_step(&draft, "restore-databases", "Restore the databases", "restore_backup:DATABASE", 20, "");
        add_step(&draft, "verify-databases", "Compare the databases with what was recorded", "verify_database", 5, "restore-databases");
        restored = mos_arena_printf(arena, "%s%sverify-databases", restored, *restored ? "," : "");
    }
    if (sources->files) {
        add_type(&draft, MOS_BACKUP_FILES);
        add_step(&draft, "restore-files", "Restore the files", "restore_backup:FILES", 20, "");
        restored = mos_arena_printf(arena, "%s%srestore-files", restored, *restored ? "," : "");
    }
    if (sources->restart_hook) {
        add_step(&draft, "restart", "Start the services again", "restart_services", 5, restored);
        restored = "restart";
    }
    add_step(&draft, "confirm", "Look whether the shop can work again", "", 10, restored)->description =
        mos_arena_strdup(arena, "Sign in, open the last sale, and make a test sale.");
    return plan;
}
