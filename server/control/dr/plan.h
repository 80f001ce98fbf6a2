// Recovery plans: what may stand in one, and how they are kept. Thread safe.
#ifndef MOS_CONTROL_DR_PLAN_H
#define MOS_CONTROL_DR_PLAN_H

#include <mosaajii/backup/v1/recovery.pb-c.h>

#include "common/arena.h"
#include "common/status.h"
#include "control/catalog/catalog.h"
#include "control/catalog/recovery.h"

typedef Mosaajii__Backup__V1__Plan mos_plan;
typedef Mosaajii__Backup__V1__PlanStep mos_plan_step;

enum { MOS_PLAN_MOST_STEPS = 200, MOS_PLAN_PARALLEL = 4, MOS_PLAN_TEST_DAYS = 90 };

// Minutes, of a plan that names neither priority nor objectives.
struct mos_plan_defaults {
    int32_t rto_minutes;
    int32_t rpo_minutes;
};

// MOS_INVALID_ARGUMENT, naming the field and the culprit.
mos_status mos_plan_check(const mos_plan *plan, struct mos_error *error);
// Checks and fills in what was left out: ids and orders of steps, objectives, priority. Copies into the arena.
mos_status mos_plan_complete(const mos_plan *given, const struct mos_plan_defaults *defaults, mos_arena *arena, mos_plan **out,
                             struct mos_error *error);

// Each completes the plan and writes it. *out lives in the arena.
mos_status mos_plan_create(mos_catalog *catalog, const mos_plan *given, const struct mos_plan_defaults *defaults, mos_arena *arena,
                           mos_plan **out, struct mos_error *error);
// A new version, which is not verified. MOS_NOT_FOUND.
mos_status mos_plan_update(mos_catalog *catalog, const char *id, const mos_plan *given, const struct mos_plan_defaults *defaults,
                           mos_arena *arena, mos_plan **out, struct mos_error *error);
mos_status mos_plan_remove(mos_catalog *catalog, const char *id, struct mos_error *error);

mos_status mos_plan_read(mos_catalog_session *session, const char *id, mos_arena *arena, mos_plan **out, struct mos_error *error);
mos_status mos_plan_unpack(const struct mos_recovery_plan *row, mos_arena *arena, mos_plan **out, struct mos_error *error);
// Writes a plan that is complete, as a change of the catalog.
mos_status mos_plan_put(mos_catalog_session *session, const mos_plan *plan, struct mos_error *error);

// The index of the step of this id; -1: none has it.
int mos_plan_find(const mos_plan *plan, const char *id);
// The step waits for step `other`: by its dependencies or, in a plan that names none at all, by the order.
bool mos_plan_waits(const mos_plan *plan, size_t step, size_t other);
// When its tests are due: by its schedule, else so many days after the last one or its creation.
int64_t mos_plan_next_test(const mos_plan *plan, int64_t after_unix_ns);

// What the settings hold of each type of backup, for a plan that is proposed.
struct mos_plan_sources {
    bool files;
    bool configuration;
    bool databases;
    bool restart_hook;
};
mos_plan *mos_plan_suggest(const struct mos_plan_sources *sources, const struct mos_plan_defaults *defaults, mos_arena *arena);

int64_t mos_plan_time(const Google__Protobuf__Timestamp *time);
Google__Protobuf__Timestamp *mos_plan_timestamp(mos_arena *arena, int64_t unix_ns);

#endif
