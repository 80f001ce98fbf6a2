// DisasterRecoveryService: plans.
#include <string.h>

#include "control/dr/plan.h"
#include "control/service/internal.h"

#define PRIORITY_WORDS "CRITICAL, HIGH, MEDIUM or LOW"
#define PLAN_STATUS_WORDS "ACTIVE, INACTIVE, TESTING or NEEDS_UPDATE"

// Both lie in the call's arena.
static mos_status answer_plan(mos_plan *plan, bool testing, mos_plan *response) {
    *response = *plan;
    if (testing) {
        response->status = MOSAAJII__BACKUP__V1__PLAN__STATUS__TESTING;
    }
    return MOS_OK;
}

static mos_status read_plan(struct mos_call *call, const char *id, mos_plan **out, bool *out_testing) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_recovery_plan row = {.id = ""};
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_check_id("planId", id, error);
    status = status ? status : mos_catalog_read_begin(services->catalog, &session, error);
    status = status ? status : mos_catalog_get_plan(session, id, mos_call_arena(call), &row, error);
    *out_testing = row.testing;
    return status ? status : mos_plan_unpack(&row, mos_call_arena(call), out, error);
}

static mos_status create(struct mos_call *call, const mos_plan *given, mos_plan *response) {
    struct mos_services *services = mos_call_user(call);
    const struct mos_plan_defaults defaults = mos_recovery_defaults(services->recovery);
    mos_plan *plan = NULL;
    mos_status status = mos_plan_create(services->catalog, given, &defaults, mos_call_arena(call), &plan, mos_call_error(call));
    return status ? status : answer_plan(plan, false, response);
}

RECOVERY_HANDLER(create_plan, CreatePlanRequest, Plan) {
    return request->plan ? create(call, request->plan, response) : mos_fail_field(mos_call_error(call), "plan", "plan is missing");
}

RECOVERY_HANDLER(get_plan, GetPlanRequest, Plan) {
    mos_plan *plan = NULL;
    bool testing;
    mos_status status = read_plan(call, request->plan_id, &plan, &testing);
    return status ? status : answer_plan(plan, testing, response);
}

RECOVERY_HANDLER(update_plan, UpdatePlanRequest, Plan) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    const struct mos_plan_defaults defaults = mos_recovery_defaults(services->recovery);
    mos_plan *plan = NULL;
    bool testing;
    // Whether there is such a plan comes before what it would be.
    mos_status status = read_plan(call, request->plan_id, &plan, &testing);
    if (status == MOS_OK && !request->plan) {
        status = mos_fail_field(error, "plan", "plan is missing");
    }
    if (status == MOS_OK) {
        status = mos_plan_update(services->catalog, request->plan_id, request->plan, &defaults, mos_call_arena(call), &plan, error);
    }
    return status ? status : answer_plan(plan, testing, response);
}

RECOVERY_HANDLER(delete_plan, DeletePlanRequest, DeletePlanResponse) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    mos_status status = mos_check_id("planId", request->plan_id, error);
    status = status ? status : mos_plan_remove(services->catalog, request->plan_id, error);
    if (status == MOS_OK) {
        response->message =
            mos_arena_printf(mos_call_arena(call), "The plan %s is deleted; its executions and tests are kept", request->plan_id);
    }
    return status;
}

RECOVERY_HANDLER(clone_plan, ClonePlanRequest, Plan) {
    mos_plan *plan = NULL;
    bool testing;
    mos_status status = read_plan(call, request->plan_id, &plan, &testing);
    if (status != MOS_OK) {
        return status;
    }
    plan->name = *request->name ? request->name : mos_arena_printf(mos_call_arena(call), "Copy of %.190s", plan->name);
    return create(call, plan, response);
}

RECOVERY_HANDLER(suggest_plan, SuggestPlanRequest, Plan) {
    (void)request;
    struct mos_services *services = mos_call_user(call);
    const struct mos_plan_sources sources = mos_recovery_sources(services->recovery);
    const struct mos_plan_defaults defaults = mos_recovery_defaults(services->recovery);
    if (!sources.files && !sources.configuration && !sources.databases) {
        return mos_fail(
            mos_call_error(call), MOS_FAILED_PRECONDITION,
            "nothing is configured that a plan could bring back: neither BACKUP_FILES_PATHS, BACKUP_CONFIG_PATHS nor DATABASE_URL "
            "is set");
    }
    return answer_plan(mos_plan_suggest(&sources, &defaults, mos_call_arena(call)), false, response);
}

RECOVERY_HANDLER(list_plans, ListPlansRequest, ListPlansResponse) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    mos_arena *arena = mos_call_arena(call);
    mos_status status =
        mos_check_enum("priority", (int)request->priority, MOSAAJII__BACKUP__V1__PLAN__PRIORITY__LOW, true, PRIORITY_WORDS, error);
    if (status == MOS_OK) {
        status = mos_check_enum("status", (int)request->status, MOSAAJII__BACKUP__V1__PLAN__STATUS__NEEDS_UPDATE, true, PLAN_STATUS_WORDS,
                                error);
    }
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    status = status ? status : mos_catalog_read_begin(services->catalog, &session, error);
    const struct mos_page page = {request->page_size, request->page_token};
    struct mos_recovery_plan *rows = NULL;
    size_t count = 0;
    const char *next = "";
    if (status == MOS_OK) {
        status = mos_catalog_list_plans(session, (int)request->priority, (int)request->status, &page, arena, &rows, &count, &next, error);
    }
    response->plans = status ? NULL : mos_arena_array(arena, mos_plan *, count);
    if (status == MOS_OK && !response->plans) {
        return mos_fail_memory(call);
    }
    for (size_t i = 0; i < count && status == MOS_OK && response->plans; i++) {
        mos_plan *plan = NULL;
        status = mos_plan_unpack(&rows[i], arena, &plan, error);
        if (status == MOS_OK && plan) {
            answer_plan(plan, rows[i].testing, plan);
            response->plans[response->n_plans++] = plan;
        }
    }
    response->next_page_token = (char *)next;
    return status;
}
