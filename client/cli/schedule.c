#include "cli/schedule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"
#include "cli/table.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

enum { PAGE_SIZE = 1000, SHORTEST_PREFIX = 4 };

typedef API(Schedule) api_schedule;

// ---- Finding ----

// All of them, newest first.
static mos_status list_all(struct mos_cli *cli, api_schedule ***out, size_t *out_count, struct mos_error *error) {
    API(ListSchedulesRequest) request = API_INIT(LIST_SCHEDULES_REQUEST);
    api_schedule **all = NULL;
    size_t count = 0;
    mos_status status = MOS_OK;
    request.page_size = PAGE_SIZE;
    do {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        API(ListSchedulesResponse) * page;
        status = api_backup_service(list_schedules)(mos_client_channel(cli->client), &options, &request, cli->arena, &page, error);
        if (status != MOS_OK) {
            return status;
        }
        api_schedule **more = mos_arena_array(cli->arena, api_schedule *, count + page->n_schedules + 1);
        for (size_t i = 0; i < count; i++) {
            more[i] = all[i];
        }
        for (size_t i = 0; i < page->n_schedules; i++) {
            more[count++] = page->schedules[i];
        }
        all = more;
        request.page_token = page->next_page_token;
    } while (*request.page_token);
    *out = all;
    *out_count = count;
    return MOS_OK;
}

static mos_status get(struct mos_cli *cli, const char *id, api_schedule **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetScheduleRequest) request = API_INIT(GET_SCHEDULE_REQUEST);
    request.schedule_id = (char *)id;
    return api_backup_service(get_schedule)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

mos_status mos_cli_find_schedule(struct mos_cli *cli, const char *text, api_schedule **out, struct mos_error *error) {
    api_schedule **all;
    size_t count = 0, found = 0, index = 0;
    mos_status status = list_all(cli, &all, &count, error);
    if (status != MOS_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i]->name, text) == 0 || strcmp(all[i]->id, text) == 0) {
            return get(cli, all[i]->id, out, error);
        }
        if (strlen(text) >= SHORTEST_PREFIX && strncmp(all[i]->id, text, strlen(text)) == 0) {
            index = i;
            found++;
        }
    }
    if (found > 1) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "%zu schedules have ids that begin with %s", found, text);
    }
    return found == 1 ? get(cli, all[index]->id, out, error)
                      : mos_fail(error, MOS_NOT_FOUND, "no schedule is called %s, nor has that id", text);
}

// ---- Options ----

mos_status mos_cli_read_keep(struct mos_cli *cli, const API(KeepRules) * before, API(KeepRules) * *out, struct mos_error *error) {
    static const char *const names[] = {"keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly"};
    API(KeepRules) *keep = mos_arena_alloc(cli->arena, sizeof(*keep));
    bool any = false;
    mosaajii__backup__v1__keep_rules__init(keep);
    if (before) {
        *keep = *before;
    }
    int32_t *const numbers[] = {&keep->last, &keep->hourly, &keep->daily, &keep->weekly, &keep->monthly, &keep->yearly};
    mos_status status = MOS_OK;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && status == MOS_OK; i++) {
        int64_t number = *numbers[i];
        any = any || mos_arguments_value(&cli->arguments, names[i]);
        status = mos_arguments_number(&cli->arguments, names[i], 0, 100000, &number, error);
        *numbers[i] = (int32_t)number;
    }
    *out = any ? keep : (API(KeepRules) *)before;
    return status;
}

// MINUTES CRON, as "120 0 9 * * MON-FRI".
static mos_status read_blackouts(struct mos_cli *cli, api_schedule *schedule, struct mos_error *error) {
    size_t count = 0;
    char **texts = mos_arguments_values(&cli->arguments, "blackout", cli->arena, &count);
    if (count == 0) {
        return MOS_OK;
    }
    schedule->blackouts = mos_arena_array(cli->arena, API(BlackoutWindow) *, count);
    for (size_t i = 0; i < count; i++) {
        char *end;
        long minutes = strtol(texts[i], &end, 10);
        API(BlackoutWindow) *window = mos_arena_alloc(cli->arena, sizeof(*window));
        if (end == texts[i] || *end != ' ' || minutes < 1 || minutes > 10080) {
            return mos_fail(error, MOS_INVALID_ARGUMENT,
                            "--blackout is \"%s\"; it is minutes (1 to 10080) and a cron expression, as \"120 0 9 * * MON-FRI\"", texts[i]);
        }
        mosaajii__backup__v1__blackout_window__init(window);
        window->duration_minutes = (int32_t)minutes;
        window->cron = end + strspn(end, " ");
        schedule->blackouts[i] = window;
    }
    schedule->n_blackouts = count;
    return MOS_OK;
}

static void read_text(struct mos_cli *cli, const char *name, char **out) {
    const char *value = mos_arguments_value(&cli->arguments, name);
    *out = value ? (char *)value : *out;
}

static mos_status read_flag(struct mos_cli *cli, const char *yes, const char *no, protobuf_c_boolean *out, struct mos_error *error) {
    bool on = mos_arguments_flag(&cli->arguments, yes), off = mos_arguments_flag(&cli->arguments, no);
    *out = on || (*out && !off);
    return on && off ? mos_fail(error, MOS_INVALID_ARGUMENT, "--%s and --%s exclude one another", yes, no) : MOS_OK;
}

static mos_status read_request(struct mos_cli *cli, API(CreateBackupRequest) * request, struct mos_error *error) {
    int type = (int)request->type;
    int64_t days = 0;
    size_t count = 0;
    mos_status status = mos_arguments_enum(&cli->arguments, "type", API_TYPES, &type, error);
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "retention-days", 1, 36500, &days, error);
    }
    request->type = (Mosaajii__Backup__V1__Backup__Type)type;
    read_text(cli, "backup-name", &request->name);
    char **tags = mos_arguments_values(&cli->arguments, "tag", cli->arena, &count);
    if (count > 0) {
        request->tags = tags;
        request->n_tags = count;
    }
    if (days > 0) {
        request->_retention_days_case = API_WORD(CREATE_BACKUP_REQUEST___RETENTION_DAYS_RETENTION_DAYS);
        request->retention_days = (int32_t)days;
    }
    request->read_all = request->read_all || mos_arguments_flag(&cli->arguments, "read-all");
    if (mos_arguments_flag(&cli->arguments, "no-verify")) {
        request->_integrity_check_enabled_case = API_WORD(CREATE_BACKUP_REQUEST___INTEGRITY_CHECK_ENABLED_INTEGRITY_CHECK_ENABLED);
        request->integrity_check_enabled = false;
    }
    return status;
}

// What is given changes the schedule; the rest stays.
static mos_status read_schedule(struct mos_cli *cli, api_schedule *schedule, struct mos_error *error) {
    int overlap = (int)schedule->overlap;
    int64_t jitter = schedule->jitter_seconds;
    read_text(cli, "name", &schedule->name);
    read_text(cli, "cron", &schedule->cron);
    read_text(cli, "time-zone", &schedule->time_zone);
    mos_status status = read_request(cli, schedule->backup, error);
    if (status == MOS_OK) {
        status = mos_arguments_enum(&cli->arguments, "overlap", API_OVERLAPS, &overlap, error);
    }
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "jitter-seconds", 0, 86400, &jitter, error);
    }
    schedule->overlap = (Mosaajii__Backup__V1__Schedule__Overlap)overlap;
    schedule->jitter_seconds = (int32_t)jitter;
    if (status == MOS_OK) {
        status = read_flag(cli, "catch-up", "no-catch-up", &schedule->catch_up, error);
    }
    if (status == MOS_OK) {
        status = read_flag(cli, "learn-timing", "no-learn-timing", &schedule->learn_timing, error);
    }
    if (status == MOS_OK) {
        status = read_blackouts(cli, schedule, error);
    }
    return status == MOS_OK ? mos_cli_read_keep(cli, schedule->keep, &schedule->keep, error) : status;
}

// ---- Printing ----

static const char *keep_text(struct mos_cli *cli, const API(KeepRules) * keep) {
    const struct {
        const char *name;
        int32_t number;
    } rules[] = {{"last", keep->last},     {"hourly", keep->hourly},   {"daily", keep->daily},
                 {"weekly", keep->weekly}, {"monthly", keep->monthly}, {"yearly", keep->yearly}};
    const char *text = "";
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].number > 0) {
            text = mos_arena_printf(cli->arena, "%s%s%s=%d", text, *text ? ", " : "", rules[i].name, rules[i].number);
        }
    }
    return text;
}

static const char *yes(bool is) {
    return is ? "yes" : "";
}

static void print_runs(struct mos_cli *cli, const api_schedule *schedule) {
    static const struct mos_column columns[] = {
        {.title = "DUE"}, {.title = "RUNS", .right = true}, {.title = "STATE", .status = true}, {.title = "BACKUP"}, {.title = "REASON"}};
    mos_table *table = mos_table_create(cli->arena, columns, 5);
    for (size_t i = 0; i < schedule->n_recent_runs; i++) {
        const API(ScheduleRun) *run = schedule->recent_runs[i];
        mos_table_cell(table, mos_cli_moment(cli, run->due_at));
        mos_table_cell(table, mos_cli_count(cli, run->count));
        mos_table_cell(table, mos_cli_word(cli, API_RUN_STATES, (int)run->state));
        mos_table_cell(table, *run->backup_id ? run->backup_id : "-");
        mos_table_cell(table, run->reason);
    }
    printf("\n");
    mos_table_print(table, &cli->out);
}

static void print_schedule(struct mos_cli *cli, const api_schedule *schedule) {
    mos_table *facts = mos_facts_create(cli->arena);
    const API(CreateBackupRequest) *backup = schedule->backup;
    mos_fact(facts, "Id", schedule->id);
    mos_fact(facts, "Name", schedule->name);
    mos_fact(facts, "Cron", schedule->cron);
    mos_fact(facts, "Time zone", *schedule->time_zone ? schedule->time_zone : "UTC");
    mos_fact(facts, "Paused", yes(schedule->paused));
    mos_fact(facts, "Takes", mos_cli_word(cli, API_TYPES, (int)backup->type));
    for (size_t i = 0; i < backup->n_tags; i++) {
        mos_fact(facts, "Tag", backup->tags[i]);
    }
    mos_fact(facts, "Retention",
             backup->_retention_days_case ? mos_cli_plural(cli, backup->retention_days, "day", "days") : "as the server is set");
    mos_fact(facts, "Keeps", schedule->keep ? keep_text(cli, schedule->keep) : "");
    mos_fact(facts, "Jitter", schedule->jitter_seconds ? mos_cli_duration(cli, (int64_t)schedule->jitter_seconds * 1000) : "");
    for (size_t i = 0; i < schedule->n_blackouts; i++) {
        mos_fact(facts, "Blackout",
                 mos_arena_printf(cli->arena, "%d min from %s on", schedule->blackouts[i]->duration_minutes, schedule->blackouts[i]->cron));
    }
    mos_fact(facts, "Overlap", mos_cli_word(cli, API_OVERLAPS, (int)schedule->overlap));
    mos_fact(facts, "Catches up", yes(schedule->catch_up));
    mos_fact(facts, "Learns timing", yes(schedule->learn_timing));
    mos_fact(facts, "Timing", schedule->timing_note);
    mos_fact(facts, "Last run", schedule->last_run_at ? mos_cli_moment(cli, schedule->last_run_at) : "");
    mos_fact(facts, "Last backup", schedule->last_backup_id);
    for (size_t i = 0; i < schedule->n_next_runs; i++) {
        mos_fact(facts, i == 0 ? "Next run" : "Then", mos_cli_moment(cli, schedule->next_runs[i]));
    }
    mos_facts_print(facts, &cli->out);
    if (schedule->n_recent_runs > 0) {
        print_runs(cli, schedule);
    }
}

static int show(struct mos_cli *cli, const api_schedule *schedule) {
    if (cli->json) {
        mos_cli_print_json(&schedule->base);
    } else {
        print_schedule(cli, schedule);
    }
    return MOS_EXIT_DONE;
}

// ---- Commands ----

int mos_schedule_create(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(CreateScheduleRequest) request = API_INIT(CREATE_SCHEDULE_REQUEST);
    api_schedule schedule = API_INIT(SCHEDULE), *made;
    API(CreateBackupRequest) backup = API_INIT(CREATE_BACKUP_REQUEST);
    schedule.backup = &backup;
    request.schedule = &schedule;
    mos_status status = MOS_OK;
    static const char *const needed[] = {"name", "cron", "type"};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && status == MOS_OK; i++) {
        if (!mos_arguments_value(&cli->arguments, needed[i])) {
            status = mos_fail(&error, MOS_INVALID_ARGUMENT, "--%s is missing; see mosaajii schedule create --help", needed[i]);
        }
    }
    if (status == MOS_OK) {
        status = read_schedule(cli, &schedule, &error);
    }
    schedule.paused = mos_arguments_flag(&cli->arguments, "paused");
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        status = api_backup_service(create_schedule)(mos_client_channel(cli->client), &options, &request, cli->arena, &made, &error);
    }
    return status == MOS_OK ? show(cli, made) : mos_cli_fail(cli, &error);
}

int mos_schedule_list(struct mos_cli *cli) {
    static const struct mos_column columns[] = {{.title = "ID"},   {.title = "NAME"},     {.title = "CRON"},    {.title = "ZONE"},
                                                {.title = "TYPE"}, {.title = "NEXT RUN"}, {.title = "LAST RUN"}};
    struct mos_error error = {0};
    api_schedule **all;
    size_t count = 0;
    if (list_all(cli, &all, &count, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)all, count);
        return MOS_EXIT_DONE;
    }
    if (count == 0) {
        fprintf(stderr, "There is no schedule yet; mosaajii schedule suggest proposes some.\n");
        return MOS_EXIT_DONE;
    }
    const char **ids = mos_arena_array(cli->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        ids[i] = all[i]->id;
    }
    int id_columns = mos_cli_id_columns(cli, ids, count);
    mos_table *table = mos_table_create(cli->arena, columns, 7);
    for (size_t i = 0; i < count; i++) {
        mos_table_cellf(table, "%.*s", id_columns, all[i]->id);
        mos_table_cell(table, all[i]->name);
        mos_table_cell(table, all[i]->cron);
        mos_table_cell(table, *all[i]->time_zone ? all[i]->time_zone : "UTC");
        mos_table_cell(table, mos_cli_word(cli, API_TYPES, (int)all[i]->backup->type));
        mos_table_cell(table, all[i]->paused ? "paused" : all[i]->n_next_runs ? mos_cli_moment(cli, all[i]->next_runs[0]) : "-");
        mos_table_cell(table, all[i]->last_run_at ? mos_cli_moment(cli, all[i]->last_run_at) : "-");
    }
    mos_table_print(table, &cli->out);
    return MOS_EXIT_DONE;
}

int mos_schedule_show(struct mos_cli *cli) {
    struct mos_error error = {0};
    api_schedule *schedule;
    return mos_cli_find_schedule(cli, cli->arguments.words[0], &schedule, &error) == MOS_OK ? show(cli, schedule)
                                                                                            : mos_cli_fail(cli, &error);
}

static mos_status put(struct mos_cli *cli, api_schedule *schedule, api_schedule **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(UpdateScheduleRequest) request = API_INIT(UPDATE_SCHEDULE_REQUEST);
    request.schedule_id = schedule->id;
    request.schedule = schedule;
    return api_backup_service(update_schedule)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

int mos_schedule_update(struct mos_cli *cli) {
    struct mos_error error = {0};
    api_schedule *schedule;
    mos_status status = mos_cli_find_schedule(cli, cli->arguments.words[0], &schedule, &error);
    if (status == MOS_OK) {
        status = read_schedule(cli, schedule, &error);
    }
    if (status == MOS_OK) {
        status = put(cli, schedule, &schedule, &error);
    }
    return status == MOS_OK ? show(cli, schedule) : mos_cli_fail(cli, &error);
}

static int set_paused(struct mos_cli *cli, bool paused) {
    struct mos_error error = {0};
    api_schedule *schedule;
    mos_status status = mos_cli_find_schedule(cli, cli->arguments.words[0], &schedule, &error);
    if (status == MOS_OK) {
        schedule->paused = paused;
        status = put(cli, schedule, &schedule, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&schedule->base);
    } else if (paused) {
        printf("Schedule %s is paused.\n", mos_terminal_escape(cli->arena, schedule->name));
    } else {
        printf("Schedule %s runs again, next at %s.\n", mos_terminal_escape(cli->arena, schedule->name),
               schedule->n_next_runs ? mos_cli_moment(cli, schedule->next_runs[0]) : "-");
    }
    return MOS_EXIT_DONE;
}

int mos_schedule_pause(struct mos_cli *cli) {
    return set_paused(cli, true);
}

int mos_schedule_resume(struct mos_cli *cli) {
    return set_paused(cli, false);
}

int mos_schedule_delete(struct mos_cli *cli) {
    struct mos_error error = {0};
    api_schedule *schedule;
    API(DeleteScheduleRequest) request = API_INIT(DELETE_SCHEDULE_REQUEST);
    API(DeleteScheduleResponse) * response;
    mos_status status = mos_cli_find_schedule(cli, cli->arguments.words[0], &schedule, &error);
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        request.schedule_id = schedule->id;
        status = api_backup_service(delete_schedule)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&response->base);
    } else {
        printf("%s.\n", mos_terminal_escape(cli->arena, response->message));
    }
    return MOS_EXIT_DONE;
}

int mos_schedule_suggest(struct mos_cli *cli) {
    static const struct mos_column columns[] = {{.title = "SCHEDULE"}, {.title = "TYPE"},  {.title = "CRON"},
                                                {.title = "ZONE"},     {.title = "KEEPS"}, {.title = "SURE", .right = true},
                                                {.title = "REASON"}};
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(SuggestSchedulesRequest) request = API_INIT(SUGGEST_SCHEDULES_REQUEST);
    API(SuggestSchedulesResponse) * response;
    if (api_backup_service(suggest_schedules)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) !=
        MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->suggestions, response->n_suggestions);
        return MOS_EXIT_DONE;
    }
    mos_table *table = mos_table_create(cli->arena, columns, 7);
    for (size_t i = 0; i < response->n_suggestions; i++) {
        const API(ScheduleSuggestion) *suggestion = response->suggestions[i];
        const api_schedule *schedule = suggestion->schedule;
        mos_table_cellf(table, "%s%s", schedule->name, *suggestion->schedule_id ? "" : " (new)");
        mos_table_cell(table, mos_cli_word(cli, API_TYPES, (int)schedule->backup->type));
        mos_table_cell(table, schedule->cron);
        mos_table_cell(table, *schedule->time_zone ? schedule->time_zone : "UTC");
        mos_table_cell(table, schedule->keep ? keep_text(cli, schedule->keep) : "-");
        mos_table_cellf(table, "%.0f%%", suggestion->confidence * 100);
        mos_table_cell(table, suggestion->reason);
    }
    if (response->n_suggestions > 0) {
        mos_table_print(table, &cli->out);
    } else {
        fprintf(stderr, "There is nothing to suggest: nothing is configured to be backed up, or all is scheduled.\n");
    }
    return MOS_EXIT_DONE;
}
