// Executions and tests.
#include "cli/dr.h"

#include <stdio.h>
#include <string.h>

#include "cli/table.h"
#include "common/clock.h"
#include "mosaajii/backup/v1/recovery.grpc-client.h"

static mos_status read_time(struct mos_cli *cli, const char *option, Google__Protobuf__Timestamp **out, struct mos_error *error) {
    const char *text = mos_arguments_value(&cli->arguments, option);
    int64_t unix_ns;
    if (!text) {
        return MOS_OK;
    }
    if (!mos_time_parse(text, &unix_ns)) {
        return mos_fail_field(error, option, "--%s must be a time, as 2026-01-31T12:00:00Z", option);
    }
    *out = mos_arena_alloc(cli->arena, sizeof(**out));
    google__protobuf__timestamp__init(*out);
    (*out)->seconds = unix_ns / MOS_NS_PER_SECOND;
    (*out)->nanos = (int32_t)(unix_ns % MOS_NS_PER_SECOND);
    return MOS_OK;
}

// ---- Beginning ----

// What was begun is followed, unless somebody wants no more than its id.
static int begun(struct mos_cli *cli, const ProtobufCMessage *record, const char *run_id) {
    if (!mos_arguments_flag(&cli->arguments, "no-wait")) {
        return mos_dr_follow(cli, run_id);
    }
    if (cli->json) {
        mos_cli_print_json(record);
    } else {
        printf("%s\n", run_id);
    }
    return MOS_EXIT_DONE;
}

int mos_dr_execute(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ExecutePlanRequest) request = API_INIT(EXECUTE_PLAN_REQUEST);
    api_execution *run = NULL;
    const char *reason = mos_arguments_value(&cli->arguments, "reason");
    request.plan_id = (char *)cli->arguments.words[0];
    request.reason = (char *)(reason ? reason : "");
    request.kind = mos_arguments_flag(&cli->arguments, "emergency") ? API_WORD(EXECUTE_PLAN_REQUEST__KIND__EMERGENCY)
                                                                    : API_WORD(EXECUTE_PLAN_REQUEST__KIND__PLANNED);
    mos_status status = reason ? MOS_OK : mos_fail(&error, MOS_INVALID_ARGUMENT, "--reason is missing; see mosaajii dr execute --help");
    status = status ? status : read_time(cli, "incident", &request.incident_at, &error);
    status = status ? status : read_time(cli, "recover-to", &request.recover_to, &error);
    status =
        status ? status : api_recovery_service(execute_plan)(mos_client_channel(cli->client), &options, &request, cli->arena, &run, &error);
    return status == MOS_OK ? begun(cli, &run->base, run->id) : mos_cli_fail(cli, &error);
}

int mos_dr_test(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(TestPlanRequest) request = API_INIT(TEST_PLAN_REQUEST);
    api_test *test = NULL;
    int environment = API_WORD(TEST_RESULT__ENVIRONMENT__ISOLATED);
    request.plan_id = (char *)cli->arguments.words[0];
    request.negative_control = mos_arguments_flag(&cli->arguments, "negative-control");
    mos_status status = mos_arguments_enum(&cli->arguments, "environment", API_ENVIRONMENTS, &environment, &error);
    request.environment = (Mosaajii__Backup__V1__TestResult__Environment)environment;
    status =
        status ? status : api_recovery_service(test_plan)(mos_client_channel(cli->client), &options, &request, cli->arena, &test, &error);
    return status == MOS_OK ? begun(cli, &test->base, test->execution_id) : mos_cli_fail(cli, &error);
}

int mos_dr_watch(struct mos_cli *cli) {
    return mos_dr_follow(cli, cli->arguments.words[0]);
}

// ---- Reading ----

static int list_tests(struct mos_cli *cli, const char *plan) {
    static const struct mos_column columns[] = {{.title = "ID"},          {.title = "RESULT", .status = true},
                                                {.title = "ENVIRONMENT"}, {.title = "WHEN"},
                                                {.title = "BY"},          {.title = "MESSAGE"}};
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListTestResultsRequest) request = API_INIT(LIST_TEST_RESULTS_REQUEST);
    API(ListTestResultsResponse) *response = NULL;
    request.plan_id = (char *)(plan ? plan : "");
    if (api_recovery_service(list_test_results)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) !=
        MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->tests, response->n_tests);
        return MOS_EXIT_DONE;
    }
    mos_table *table = mos_table_create(cli->arena, columns, 6);
    for (size_t i = 0; i < response->n_tests; i++) {
        const api_test *test = response->tests[i];
        mos_table_cell(table, test->id);
        mos_table_cell(table, mos_cli_word(cli, API_TEST_STATUSES, (int)test->overall_status));
        mos_table_cell(table, mos_cli_word(cli, API_ENVIRONMENTS, (int)test->environment));
        mos_table_cell(table, mos_cli_moment(cli, test->tested_at));
        mos_table_cell(table, test->tested_by);
        mos_table_cell(table, test->message);
    }
    mos_table_print(table, &cli->out);
    return MOS_EXIT_DONE;
}

int mos_dr_list(struct mos_cli *cli) {
    static const struct mos_column columns[] = {{.title = "ID"},    {.title = "STATUS", .status = true},
                                                {.title = "BEGAN"}, {.title = "MINUTES", .right = true},
                                                {.title = "BY"},    {.title = "REASON"}};
    const char *plan = mos_arguments_value(&cli->arguments, "plan");
    if (mos_arguments_flag(&cli->arguments, "tests")) {
        return list_tests(cli, plan);
    }
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListExecutionsRequest) request = API_INIT(LIST_EXECUTIONS_REQUEST);
    API(ListExecutionsResponse) *response = NULL;
    request.plan_id = (char *)(plan ? plan : "");
    if (api_recovery_service(list_executions)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) !=
        MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->executions, response->n_executions);
        return MOS_EXIT_DONE;
    }
    mos_table *table = mos_table_create(cli->arena, columns, 6);
    for (size_t i = 0; i < response->n_executions; i++) {
        const api_execution *run = response->executions[i];
        mos_table_cell(table, run->id);
        mos_table_cell(table, mos_cli_word(cli, API_RUN_STATUSES, (int)run->status));
        mos_table_cell(table, mos_cli_moment(cli, run->started_at));
        mos_table_cellf(table, "%.1f", run->duration);
        mos_table_cell(table, run->triggered_by);
        mos_table_cell(table, run->reason);
    }
    mos_table_print(table, &cli->out);
    return MOS_EXIT_DONE;
}

static mos_status get_run(struct mos_cli *cli, const char *id, api_execution **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetExecutionRequest) request = API_INIT(GET_EXECUTION_REQUEST);
    request.execution_id = (char *)id;
    return api_recovery_service(get_execution)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

static void print_run(struct mos_cli *cli, const api_execution *run) {
    static const struct mos_column columns[] = {
        {.title = "STEP"}, {.title = "STATUS", .status = true}, {.title = "TRIES", .right = true}, {.title = "MESSAGE"}};
    mos_table *facts = mos_facts_create(cli->arena);
    mos_fact(facts, "Run", run->id);
    mos_fact(facts, "Plan", mos_arena_printf(cli->arena, "%s, version %d", run->plan_id, run->plan_version));
    mos_fact(facts, "Status", mos_cli_word(cli, API_RUN_STATUSES, (int)run->status));
    mos_fact(facts, "Message", run->message);
    mos_fact(facts, "Began", mos_cli_moment(cli, run->started_at));
    mos_fact(facts, "Asked for by", mos_arena_printf(cli->arena, "%s%s%s", run->triggered_by, *run->reason ? ": " : "", run->reason));
    if (run->completed_at && run->metrics) {
        const API(ExecutionMetrics) *metrics = run->metrics;
        mos_fact(facts, "Ended", mos_cli_moment(cli, run->completed_at));
        mos_fact(facts, "Recovery time",
                 mos_arena_printf(cli->arena, "%.1f minutes, %.1f of machines and %.1f of waiting", metrics->actual_rto,
                                  metrics->machine_minutes, metrics->waiting_minutes));
        mos_fact(facts, "Recovery point", mos_arena_printf(cli->arena, "%.1f minutes old", metrics->actual_rpo));
        mos_fact(facts, "Data lost", mos_arena_printf(cli->arena, "%s, as far as known", mos_cli_size(cli, metrics->data_loss)));
    }
    mos_facts_print(facts, &cli->out);
    printf("\n");
    mos_table *table = mos_table_create(cli->arena, columns, 4);
    for (size_t i = 0; i < run->n_steps; i++) {
        const api_step_run *step = run->steps[i];
        mos_table_cell(table, step->step_id);
        mos_table_cell(table, mos_cli_word(cli, API_STEP_STATUSES, (int)step->status));
        mos_table_cellf(table, "%d", step->attempt);
        mos_table_cell(table, step->message);
    }
    mos_table_print(table, &cli->out);
}

int mos_dr_show(struct mos_cli *cli) {
    struct mos_error error = {0};
    api_execution *run = NULL;
    if (get_run(cli, cli->arguments.words[0], &run, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&run->base);
    } else {
        print_run(cli, run);
    }
    return MOS_EXIT_DONE;
}

// ---- Orders ----

static int answer_order(struct mos_cli *cli, mos_status status, const api_execution *run, struct mos_error *error) {
    if (status != MOS_OK) {
        return mos_cli_fail(cli, error);
    }
    if (cli->json) {
        mos_cli_print_json(&run->base);
    } else {
        print_run(cli, run);
    }
    return MOS_EXIT_DONE;
}

static char *note_of(const struct mos_cli *cli) {
    const char *note = mos_arguments_value(&cli->arguments, "note");
    return (char *)(note ? note : "");
}

// The three messages have the same fields, and so have the four below; the compiler sees to that.
#define ORDER_RUN(function, request_type, init)                                                                                            \
    do {                                                                                                                                   \
        API(request_type) request = API_INIT(init);                                                                                        \
        request.execution_id = (char *)cli->arguments.words[0];                                                                            \
        request.note = note_of(cli);                                                                                                       \
        status = api_recovery_service(function)(channel, &options, &request, cli->arena, &run, &error);                                    \
    } while (0)
#define ORDER_STEP(function, request_type, init)                                                                                           \
    do {                                                                                                                                   \
        API(request_type) request = API_INIT(init);                                                                                        \
        request.execution_id = (char *)cli->arguments.words[0];                                                                            \
        request.step_id = (char *)cli->arguments.words[1];                                                                                 \
        request.note = note_of(cli);                                                                                                       \
        status = api_recovery_service(function)(channel, &options, &request, cli->arena, &run, &error);                                    \
    } while (0)

int mos_dr_order_run(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    mos_rpc_channel *channel = mos_client_channel(cli->client);
    const char *what = cli->arguments.command->name;
    api_execution *run = NULL;
    mos_status status;
    if (strcmp(what, "pause") == 0) {
        ORDER_RUN(pause_execution, PauseExecutionRequest, PAUSE_EXECUTION_REQUEST);
    } else if (strcmp(what, "resume") == 0) {
        ORDER_RUN(resume_execution, ResumeExecutionRequest, RESUME_EXECUTION_REQUEST);
    } else {
        ORDER_RUN(cancel_execution, CancelExecutionRequest, CANCEL_EXECUTION_REQUEST);
    }
    return answer_order(cli, status, run, &error);
}

int mos_dr_order_step(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    mos_rpc_channel *channel = mos_client_channel(cli->client);
    const char *what = cli->arguments.command->name;
    api_execution *run = NULL;
    mos_status status;
    if (strcmp(what, "approve") == 0) {
        ORDER_STEP(approve_step, ApproveStepRequest, APPROVE_STEP_REQUEST);
    } else if (strcmp(what, "decline") == 0) {
        ORDER_STEP(decline_step, DeclineStepRequest, DECLINE_STEP_REQUEST);
    } else if (strcmp(what, "retry") == 0) {
        ORDER_STEP(retry_step, RetryStepRequest, RETRY_STEP_REQUEST);
    } else {
        ORDER_STEP(skip_step, SkipStepRequest, SKIP_STEP_REQUEST);
    }
    return answer_order(cli, status, run, &error);
}
