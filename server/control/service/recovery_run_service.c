// DisasterRecoveryService: executions and tests.
#include <string.h>

#include "common/clock.h"
#include "control/dr/recovery.h"
#include "control/service/internal.h"

#define EXECUTION_WORDS "PENDING, IN_PROGRESS, COMPLETED, FAILED, PAUSED or CANCELLED"

enum { ENTRIES_AT_ONCE = 500 };

typedef Mosaajii__Backup__V1__Execution execution;
typedef Mosaajii__Backup__V1__TestResult test_result;
typedef Mosaajii__Backup__V1__ExecutionEvent execution_event;

static mos_status read_run(struct mos_call *call, const char *field, const char *id, execution **out, test_result **test) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_check_id(field, id, error);
    status = status ? status : mos_catalog_read_begin(services->catalog, &session, error);
    return status ? status : mos_recovery_read(session, id, mos_call_arena(call), out, test, error);
}

static mos_status answer_execution(struct mos_call *call, const char *id, execution *response) {
    execution *record = NULL;
    mos_status status = read_run(call, "executionId", id, &record, NULL);
    if (status == MOS_OK) {
        *response = *record;
    }
    return status;
}

static mos_status answer_test(struct mos_call *call, const char *id, test_result *response) {
    execution *record = NULL;
    test_result *test = NULL;
    mos_status status = read_run(call, "testId", id, &record, &test);
    if (status == MOS_OK && !test) {
        status = mos_fail(mos_call_error(call), MOS_NOT_FOUND, "no recovery test has the id \"%.64s\"", id);
    }
    if (status == MOS_OK) {
        *response = *test;
    }
    return status;
}

// ---- Beginning ----

static mos_status check_plan(struct mos_call *call, const char *plan_id) {
    struct mos_services *services = mos_call_user(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_recovery_plan plan;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
    return status ? status : mos_catalog_get_plan(session, plan_id, mos_call_arena(call), &plan, mos_call_error(call));
}

// The second person agrees to this plan, run in this way, to this point, and to nothing else.
static mos_status need_second(struct mos_call *call, const Mosaajii__Backup__V1__ExecutePlanRequest *request, int64_t recover_to_unix_ns) {
    struct mos_services *services = mos_call_user(call);
    char until[MOS_TIME_TEXT_BYTES] = "the newest backup";
    if (recover_to_unix_ns) {
        mos_time_format(recover_to_unix_ns, until);
    }
    const char *kind = request->kind == MOSAAJII__BACKUP__V1__EXECUTE_PLAN_REQUEST__KIND__EMERGENCY ? "EMERGENCY" : "PLANNED";
    return mos_access_need_second(services->access, call,
                                  mos_arena_printf(mos_call_arena(call), "%s, %s, to %s", request->plan_id, kind, until));
}

RECOVERY_HANDLER(execute_plan, ExecutePlanRequest, Execution) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    char id[MOS_ID_TEXT_BYTES];
    int64_t ignored, recover_to_unix_ns = 0;
    mos_status status = mos_check_id("planId", request->plan_id, error);
    status = status ? status : mos_check_time("incidentAt", request->incident_at, &ignored, error);
    status = status ? status : mos_check_time("recoverTo", request->recover_to, &recover_to_unix_ns, error);
    status = status ? status : check_plan(call, request->plan_id);
    status = status ? status : need_second(call, request, recover_to_unix_ns);
    status = status ? status : mos_recovery_execute(services->recovery, request, mos_call_caller_name(call), id, error);
    status = status ? status : answer_execution(call, id, response);
    if (status == MOS_OK) {
        // It may have begun meanwhile; the answer is the record in its first state.
        response->status = MOSAAJII__BACKUP__V1__EXECUTION__STATUS__PENDING;
    }
    return status;
}

RECOVERY_HANDLER(test_plan, TestPlanRequest, TestResult) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    char id[MOS_ID_TEXT_BYTES];
    mos_status status = mos_check_id("planId", request->plan_id, error);
    status = status ? status : mos_recovery_test(services->recovery, request, mos_call_caller_name(call), id, error);
    status = status ? status : answer_test(call, id, response);
    if (status == MOS_OK) {
        response->overall_status = MOSAAJII__BACKUP__V1__TEST_RESULT__STATUS__RUNNING;
    }
    return status;
}

// ---- Reading ----

RECOVERY_HANDLER(get_execution, GetExecutionRequest, Execution) {
    return answer_execution(call, request->execution_id, response);
}

RECOVERY_HANDLER(get_test_result, GetTestResultRequest, TestResult) {
    return answer_test(call, request->test_id, response);
}

static mos_status list_runs(struct mos_call *call, const struct mos_recovery_filter *filter, const struct mos_page *page,
                            struct mos_recovery_run **out, size_t *out_count, char **out_next) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    const char *next = "";
    mos_status status = mos_catalog_read_begin(services->catalog, &session, error);
    status = status ? status : mos_catalog_list_recovery_runs(session, filter, page, mos_call_arena(call), out, out_count, &next, error);
    *out_next = (char *)next;
    return status;
}

RECOVERY_HANDLER(list_executions, ListExecutionsRequest, ListExecutionsResponse) {
    mos_arena *arena = mos_call_arena(call);
    struct mos_recovery_run *rows = NULL;
    size_t count = 0;
    const struct mos_recovery_filter filter = {request->plan_id, false, (int)request->status};
    const struct mos_page page = {request->page_size, request->page_token};
    mos_status status = mos_check_enum("status", (int)request->status, MOSAAJII__BACKUP__V1__EXECUTION__STATUS__CANCELLED, true,
                                       EXECUTION_WORDS, mos_call_error(call));
    status = status ? status : list_runs(call, &filter, &page, &rows, &count, &response->next_page_token);
    response->executions = status ? NULL : mos_arena_array(arena, execution *, count);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = response->executions ? mos_recovery_unpack(&rows[i], arena, &response->executions[i], NULL, mos_call_error(call))
                                      : mos_fail_memory(call);
        response->n_executions += status == MOS_OK;
    }
    return status;
}

RECOVERY_HANDLER(list_test_results, ListTestResultsRequest, ListTestResultsResponse) {
    mos_arena *arena = mos_call_arena(call);
    struct mos_recovery_run *rows = NULL;
    size_t count = 0;
    const struct mos_recovery_filter filter = {request->plan_id, true, 0};
    const struct mos_page page = {request->page_size, request->page_token};
    mos_status status = list_runs(call, &filter, &page, &rows, &count, &response->next_page_token);
    response->tests = status ? NULL : mos_arena_array(arena, test_result *, count);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        execution *record = NULL;
        status = response->tests ? mos_recovery_unpack(&rows[i], arena, &record, &response->tests[i], mos_call_error(call))
                                 : mos_fail_memory(call);
        response->n_tests += status == MOS_OK;
    }
    return status;
}

RECOVERY_HANDLER(get_report, GetReportRequest, Report) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    bool html = request->format == MOSAAJII__BACKUP__V1__GET_REPORT_REQUEST__FORMAT__HTML;
    mos_status status = mos_check_id("executionId", request->execution_id, error);
    status = status ? status
                    : mos_check_enum("format", (int)request->format, MOSAAJII__BACKUP__V1__GET_REPORT_REQUEST__FORMAT__HTML, true,
                                     "JSON or HTML", error);
    status = status ? status : mos_catalog_read_begin(services->catalog, &session, error);
    return status ? status : mos_recovery_report(session, request->execution_id, html, mos_call_arena(call), response, error);
}

// ---- Orders ----

static mos_status order(struct mos_call *call, enum mos_run_order what, const char *run_id, const char *step_id, const char *note,
                        execution *response) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    mos_status status = mos_check_id("executionId", run_id, error);
    if (status == MOS_OK && what >= MOS_STEP_APPROVE) {
        status = mos_check_id("stepId", step_id, error);
    }
    status = status ? status : mos_recovery_order(services->recovery, what, run_id, step_id, note, mos_call_caller_name(call), error);
    return status ? status : answer_execution(call, run_id, response);
}

RECOVERY_HANDLER(pause_execution, PauseExecutionRequest, Execution) {
    return order(call, MOS_RUN_PAUSE, request->execution_id, "", request->note, response);
}

RECOVERY_HANDLER(resume_execution, ResumeExecutionRequest, Execution) {
    return order(call, MOS_RUN_RESUME, request->execution_id, "", request->note, response);
}

RECOVERY_HANDLER(cancel_execution, CancelExecutionRequest, Execution) {
    return order(call, MOS_RUN_CANCEL, request->execution_id, "", request->note, response);
}

RECOVERY_HANDLER(approve_step, ApproveStepRequest, Execution) {
    return order(call, MOS_STEP_APPROVE, request->execution_id, request->step_id, request->note, response);
}

RECOVERY_HANDLER(decline_step, DeclineStepRequest, Execution) {
    return order(call, MOS_STEP_DECLINE, request->execution_id, request->step_id, request->note, response);
}

RECOVERY_HANDLER(retry_step, RetryStepRequest, Execution) {
    return order(call, MOS_STEP_RETRY, request->execution_id, request->step_id, request->note, response);
}

RECOVERY_HANDLER(skip_step, SkipStepRequest, Execution) {
    return order(call, MOS_STEP_SKIP, request->execution_id, request->step_id, request->note, response);
}

// ---- Watching ----

// One round: what is written after *after, and whether more may come, from one view of the catalog.
static mos_status send_round(struct mos_call *call, const char *run_id, int64_t *after, size_t *out_count, bool *out_active,
                             execution_event *last) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_catalog_session *session = NULL;
    int run_status = 0;
    struct mos_journal_entry *entries = NULL;
    *out_active = false;
    mos_status status = mos_catalog_read_begin_in_crowd(services->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_glance_at_recovery_run(session, run_id, &run_status, out_active, error);
        status = status ? status : mos_catalog_next_journal(session, run_id, 0, *after, ENTRIES_AT_ONCE, arena, &entries, out_count, error);
        // A slow reader must not hold it.
        mos_catalog_read_end(session);
    }
    if (status == MOS_OK && *out_count == 0) {
        // What it was when it was last heard of, for the signs of life of a watcher that came back.
        last->status = (Mosaajii__Backup__V1__Execution__Status)run_status;
    }
    for (size_t i = 0; i < *out_count && status == MOS_OK; i++) {
        execution_event *event = mosaajii__backup__v1__execution_event__unpack(mos_arena_allocator(arena), entries[i].content.size_bytes,
                                                                               entries[i].content.data);
        if (!event) {
            return mos_fail(error, MOS_DATA_LOSS, "an entry of the journal cannot be read from the catalog");
        }
        event->sequence = entries[i].sequence;
        status = mosaajii_backup_v1_disaster_recovery_service_watch_execution_send(call, event);
        *after = event->sequence;
        last->status = event->status;
        last->percent = event->percent;
        last->seconds_left = event->seconds_left;
    }
    return status;
}

static mos_status send_beat(struct mos_call *call, int64_t after, execution_event *last) {
    Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    now.seconds = mos_now_unix_ns() / MOS_NS_PER_SECOND;
    last->kind = MOSAAJII__BACKUP__V1__EXECUTION_EVENT__KIND__HEARTBEAT;
    last->sequence = after;
    last->time = &now;
    mos_status status = mosaajii_backup_v1_disaster_recovery_service_watch_execution_send(call, last);
    last->time = NULL;
    return status;
}

mos_status mos_recovery_service_watch_execution(struct mos_call *call, const Mosaajii__Backup__V1__WatchExecutionRequest *request) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    int64_t after = request->after_sequence;
    execution_event last = MOSAAJII__BACKUP__V1__EXECUTION_EVENT__INIT;
    last.seconds_left = -1;
    mos_status status = mos_check_id("executionId", request->execution_id, error);
    if (status == MOS_OK && after < 0) {
        status =
            mos_fail_field(error, "afterSequence", "afterSequence is %lld; allowed is 0 or the sequence of an event", (long long)after);
    }
    const int64_t beat_ns = MOS_RECOVERY_HEARTBEAT_SECONDS * MOS_NS_PER_SECOND;
    int64_t beat_at_ns = mos_now_monotonic_ns() + beat_ns;
    while (status == MOS_OK) {
        if (mos_call_cancelled(call)) {
            return mos_call_fail_cancelled(call);
        }
        int64_t seen = mos_catalog_last_event(services->catalog);
        size_t count = 0;
        bool active = false;
        status = send_round(call, request->execution_id, &after, &count, &active, &last);
        if (status != MOS_OK || count == ENTRIES_AT_ONCE) {
            continue;
        }
        if (!active) {
            return MOS_OK;
        }
        if (count > 0) {
            beat_at_ns = mos_now_monotonic_ns() + beat_ns;
        } else if (mos_now_monotonic_ns() >= beat_at_ns) {
            status = send_beat(call, after, &last);
            beat_at_ns = mos_now_monotonic_ns() + beat_ns;
            continue;
        }
        struct mos_broadcast_run posted = {0};
        mos_broadcast_follow_run(services->broadcast, call, request->execution_id, seen, beat_at_ns, &after, &posted);
        if (posted.posted_at_monotonic_ns) {
            last.status = (Mosaajii__Backup__V1__Execution__Status)posted.status;
            last.percent = posted.percent;
            last.seconds_left = posted.seconds_left;
            beat_at_ns = posted.posted_at_monotonic_ns + beat_ns;
        }
    }
    return status;
}
