// Plans.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/dr.h"
#include "cli/table.h"
#include "common/buffer.h"
#include "lib/json.h"
#include "lib/json_read.h"
#include "mosaajii/backup/v1/recovery.grpc-client.h"

enum { LARGEST_FILE = 4 << 20 };

static mos_status read_whole(const char *path, struct mos_buffer *out, struct mos_error *error) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file) {
        return mos_fail_errno(error, errno, "%s cannot be read", path);
    }
    char bytes[4096];
    size_t got;
    bool fits = true;
    while (fits && (got = fread(bytes, 1, sizeof(bytes), file)) > 0) {
        fits = out->size_bytes + got <= LARGEST_FILE && mos_buffer_append(out, bytes, got);
    }
    bool failed = ferror(file);
    if (file != stdin) {
        fclose(file);
    }
    return failed ? mos_fail_errno(error, errno, "reading %s", path)
           : fits ? MOS_OK
                  : mos_fail(error, MOS_INVALID_ARGUMENT, "%s is larger than a plan can be", path);
}

static mos_status read_plan(struct mos_cli *cli, api_plan **out, struct mos_error *error) {
    const char *path = mos_arguments_value(&cli->arguments, "file");
    if (!path) {
        return mos_fail_field(error, "file", "--file is missing; see mosaajii dr plan --help");
    }
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    mos_status status = read_whole(path, &text, error);
    if (status != MOS_OK) {
        return status;
    }
    const struct mos_json *json = mos_json_parse(cli->arena, (const char *)text.data, text.size_bytes);
    if (!json) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "%s is no JSON", path);
    }
    *out = mos_arena_alloc(cli->arena, sizeof(**out));
    mosaajii__backup__v1__plan__init(*out);
    return mos_json_read(json, &(*out)->base, cli->arena, error);
}

// What the server gives to a plan, not what somebody has written.
static void strip(api_plan *plan) {
    plan->id = (char *)"";
    plan->created_at = plan->updated_at = plan->last_tested_at = plan->next_test_date = NULL;
    plan->version = 0;
    plan->verified = false;
    plan->status = API_WORD(PLAN__STATUS__ACTIVE);
}

static void print_plan(struct mos_cli *cli, const api_plan *plan) {
    static const struct mos_column columns[] = {
        {.title = "#", .right = true}, {.title = "STEP"}, {.title = "NAME"}, {.title = "WHAT"}, {.title = "AFTER"}};
    mos_table *facts = mos_facts_create(cli->arena);
    mos_fact(facts, "Plan", plan->id);
    mos_fact(facts, "Name", plan->name);
    mos_fact(facts, "Description", plan->description);
    mos_fact(facts, "Status", mos_cli_word(cli, API_PLAN_STATUSES, (int)plan->status));
    mos_fact(facts, "Version",
             mos_arena_printf(cli->arena, "%d, %s", plan->version, plan->verified ? "proved by a test" : "not proved yet"));
    mos_fact(facts, "Priority", mos_cli_word(cli, API_PLAN_PRIORITIES, (int)plan->priority));
    mos_fact(facts, "Objectives",
             mos_arena_printf(cli->arena, "back within %d minutes, losing at most %d", plan->recovery_time_objective,
                              plan->recovery_point_objective));
    mos_fact(facts, "Last test", plan->last_tested_at ? mos_cli_moment(cli, plan->last_tested_at) : "never");
    mos_fact(facts, "Next test", plan->next_test_date ? mos_cli_moment(cli, plan->next_test_date) : "");
    for (size_t i = 0; i < plan->n_contacts; i++) {
        const API(Contact) *contact = plan->contacts[i];
        mos_fact(facts, "Contact",
                 mos_arena_printf(cli->arena, "%s %s %s %s", contact->name, contact->role, contact->email, contact->phone));
    }
    mos_facts_print(facts, &cli->out);
    printf("\n");
    mos_table *table = mos_table_create(cli->arena, columns, 5);
    for (size_t i = 0; i < plan->n_steps; i++) {
        const API(PlanStep) *step = plan->steps[i];
        const char *after = "";
        for (size_t k = 0; k < step->n_dependencies; k++) {
            after = mos_arena_printf(cli->arena, "%s%s%s", after, k ? "," : "", step->dependencies[k]);
        }
        mos_table_cellf(table, "%d", step->order);
        mos_table_cell(table, step->id);
        mos_table_cell(table, step->name);
        mos_table_cell(table, step->automated ? step->command : *step->assignee ? step->assignee : "a person");
        mos_table_cell(table, after);
    }
    mos_table_print(table, &cli->out);
}

static int answer_plan(struct mos_cli *cli, const api_plan *plan) {
    if (cli->json) {
        mos_cli_print_json(&plan->base);
    } else {
        print_plan(cli, plan);
    }
    return MOS_EXIT_DONE;
}

static int list_plans(struct mos_cli *cli) {
    static const struct mos_column columns[] = {{.title = "ID"},
                                                {.title = "NAME"},
                                                {.title = "PRIORITY"},
                                                {.title = "STATUS", .status = true},
                                                {.title = "STEPS", .right = true},
                                                {.title = "PROVED"},
                                                {.title = "LAST TEST"}};
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListPlansRequest) request = API_INIT(LIST_PLANS_REQUEST);
    API(ListPlansResponse) *response = NULL;
    int priority = 0;
    request.page_size = 1000;
    mos_status status = mos_arguments_enum(&cli->arguments, "priority", API_PLAN_PRIORITIES, &priority, &error);
    request.priority = (Mosaajii__Backup__V1__Plan__Priority)priority;
    status = status ? status
                    : api_recovery_service(list_plans)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->plans, response->n_plans);
        return MOS_EXIT_DONE;
    }
    mos_table *table = mos_table_create(cli->arena, columns, 7);
    for (size_t i = 0; i < response->n_plans; i++) {
        const api_plan *plan = response->plans[i];
        mos_table_cell(table, plan->id);
        mos_table_cell(table, plan->name);
        mos_table_cell(table, mos_cli_word(cli, API_PLAN_PRIORITIES, (int)plan->priority));
        mos_table_cell(table, mos_cli_word(cli, API_PLAN_STATUSES, (int)plan->status));
        mos_table_cellf(table, "%zu", plan->n_steps);
        mos_table_cell(table, plan->verified ? "yes" : "no");
        mos_table_cell(table, plan->last_tested_at ? mos_cli_moment(cli, plan->last_tested_at) : "never");
    }
    if (response->n_plans == 0) {
        fprintf(stderr, "There is no plan yet; mosaajii dr plan suggest proposes one.\n");
    } else {
        mos_table_print(table, &cli->out);
    }
    return MOS_EXIT_DONE;
}

static mos_status get_plan(struct mos_cli *cli, const char *id, api_plan **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetPlanRequest) request = API_INIT(GET_PLAN_REQUEST);
    request.plan_id = (char *)id;
    return api_recovery_service(get_plan)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

static mos_status write_plan(struct mos_cli *cli, const char *id, api_plan **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    mos_rpc_channel *channel = mos_client_channel(cli->client);
    api_plan *plan = NULL;
    mos_status status = read_plan(cli, &plan, error);
    if (status != MOS_OK) {
        return status;
    }
    if (id) {
        API(UpdatePlanRequest) request = API_INIT(UPDATE_PLAN_REQUEST);
        request.plan_id = (char *)id;
        request.plan = plan;
        return api_recovery_service(update_plan)(channel, &options, &request, cli->arena, out, error);
    }
    strip(plan);
    API(CreatePlanRequest) request = API_INIT(CREATE_PLAN_REQUEST);
    request.plan = plan;
    return api_recovery_service(create_plan)(channel, &options, &request, cli->arena, out, error);
}

static int delete_plan(struct mos_cli *cli, const char *id) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(DeletePlanRequest) request = API_INIT(DELETE_PLAN_REQUEST);
    API(DeletePlanResponse) *response = NULL;
    request.plan_id = (char *)id;
    if (!mos_arguments_flag(&cli->arguments, "yes")) {
        mos_fail(&error, MOS_INVALID_ARGUMENT, "to delete the plan %s, say --yes", id);
        return mos_cli_fail(cli, &error);
    }
    if (api_recovery_service(delete_plan)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&response->base);
    } else {
        printf("%s.\n", mos_terminal_escape(cli->arena, response->message));
    }
    return MOS_EXIT_DONE;
}

static mos_status clone_plan(struct mos_cli *cli, const char *id, api_plan **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ClonePlanRequest) request = API_INIT(CLONE_PLAN_REQUEST);
    const char *name = mos_arguments_value(&cli->arguments, "name");
    request.plan_id = (char *)id;
    request.name = (char *)(name ? name : "");
    return api_recovery_service(clone_plan)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

static mos_status suggest_plan(struct mos_cli *cli, api_plan **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(SuggestPlanRequest) request = API_INIT(SUGGEST_PLAN_REQUEST);
    return api_recovery_service(suggest_plan)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

int mos_dr_plan(struct mos_cli *cli) {
    struct mos_error error = {0};
    const char *action = cli->arguments.words[0];
    const char *id = cli->arguments.word_count > 1 ? cli->arguments.words[1] : NULL;
    static const char *const with_id[] = {"show", "delete", "clone", "export", "update"};
    static const char *const without[] = {"create", "import", "list", "suggest"};
    bool needs = false, known = false;
    for (size_t i = 0; i < sizeof(with_id) / sizeof(with_id[0]); i++) {
        needs = needs || strcmp(with_id[i], action) == 0;
    }
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        known = known || strcmp(without[i], action) == 0;
    }
    if ((!needs && !known) || needs != (id != NULL)) {
        mos_fail(&error, MOS_INVALID_ARGUMENT,
                 needs   ? "\"dr plan %s\" needs the id of a plan"
                 : known ? "\"dr plan %s\" takes no id"
                         : "\"%.40s\" is nothing to do with plans: create, import, list, show, delete, clone, export, update or suggest",
                 action);
        return mos_cli_fail(cli, &error);
    }
    if (strcmp(action, "list") == 0) {
        return list_plans(cli);
    }
    if (strcmp(action, "delete") == 0) {
        return delete_plan(cli, id);
    }
    bool text = strcmp(action, "export") == 0 || strcmp(action, "suggest") == 0;
    api_plan *plan = NULL;
    mos_status status = strcmp(action, "suggest") == 0  ? suggest_plan(cli, &plan, &error)
                        : strcmp(action, "clone") == 0  ? clone_plan(cli, id, &plan, &error)
                        : strcmp(action, "update") == 0 ? write_plan(cli, id, &plan, &error)
                        : needs                         ? get_plan(cli, id, &plan, &error)
                                                        : write_plan(cli, NULL, &plan, &error);
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (text) {
        strip(plan);
        mos_cli_print_json(&plan->base);
        return MOS_EXIT_DONE;
    }
    return answer_plan(cli, plan);
}
