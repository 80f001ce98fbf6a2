#include "cli/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/follow.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

#define DEFAULT_LIST_LIMIT 50
#define PAGE_SIZE 200

static int64_t duration_ms(const api_job *job) {
    if (!job->started_at || !job->completed_at) {
        return -1;
    }
    return (job->completed_at->seconds - job->started_at->seconds) * 1000 + (job->completed_at->nanos - job->started_at->nanos) / 1000000;
}

static bool is_running(const api_job *job) {
    return job->status == API_WORD(JOB__STATUS__RUNNING) && job->progress;
}

static void print_list(struct mos_cli *cli, api_job *const *jobs, size_t count) {
    static const struct mos_column columns[] = {{.title = "ID"},
                                                {.title = "KIND"},
                                                {.title = "STATUS", .status = true},
                                                {.title = "CREATED"},
                                                {.title = "TOOK", .right = true},
                                                {.title = "BACKUP"},
                                                {.title = "MESSAGE"}};
    const char **ids = mos_arena_array(cli->arena, const char *, 2 * count + 1);
    for (size_t i = 0; i < count; i++) {
        ids[i] = jobs[i]->id;
    }
    int id_columns = mos_cli_id_columns(cli, ids, count);
    mos_table *table = mos_table_create(cli->arena, columns, 7);
    for (size_t i = 0; i < count; i++) {
        const api_job *job = jobs[i];
        char created[MOS_SHORT_TEXT_BYTES];
        mos_minute_format(mos_cli_seconds(job->created_at), created);
        int64_t took = duration_ms(job);
        mos_table_cellf(table, "%.*s", id_columns, job->id);
        mos_table_cell(table, mos_cli_word(cli, API_JOB_KINDS, (int)job->kind));
        mos_table_cell(table, mos_cli_word(cli, API_JOB_STATUSES, (int)job->status));
        mos_table_cell(table, created);
        mos_table_cell(table, took >= 0 ? mos_cli_duration(cli, took) : "-");
        mos_table_cellf(table, "%.*s", id_columns, *job->backup_id ? job->backup_id : "-");
        mos_table_cell(table, is_running(job) ? mos_progress_line(cli->arena, "", job->progress) : job->message);
    }
    mos_table_print(table, &cli->out);
}

int mos_job_list(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(ListJobsRequest) request = API_INIT(LIST_JOBS_REQUEST);
    int kind = 0, wanted_status = 0;
    int64_t limit = DEFAULT_LIST_LIMIT;
    char backup_id[MOS_ID_TEXT_BYTES];
    const char *backup = mos_arguments_value(&cli->arguments, "backup");
    mos_status status = mos_arguments_enum(&cli->arguments, "kind", API_JOB_KINDS, &kind, &error);
    if (status == MOS_OK) {
        status = mos_arguments_enum(&cli->arguments, "status", API_JOB_STATUSES, &wanted_status, &error);
    }
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "limit", 1, 1000000, &limit, &error);
    }
    if (status == MOS_OK && backup) {
        status = mos_cli_find_backup(cli, backup, false, backup_id, &error);
        request.backup_id = backup_id;
    }
    request.kind = (Mosaajii__Backup__V1__Job__Kind)kind;
    request.status = (Mosaajii__Backup__V1__Job__Status)wanted_status;
    api_job **all = mos_arena_array(cli->arena, api_job *, (size_t)limit);
    size_t count = 0;
    while (status == MOS_OK && count < (size_t)limit) {
        size_t left = (size_t)limit - count;
        request.page_size = (int32_t)(left < PAGE_SIZE ? left : PAGE_SIZE);
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        API(ListJobsResponse) * page;
        status = api_backup_service(list_jobs)(mos_client_channel(cli->client), &options, &request, cli->arena, &page, &error);
        if (status != MOS_OK) {
            break;
        }
        for (size_t i = 0; i < page->n_jobs && count < (size_t)limit; i++) {
            all[count++] = page->jobs[i];
        }
        request.page_token = page->next_page_token;
        if (!*page->next_page_token) {
            break;
        }
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)all, count);
        return MOS_EXIT_DONE;
    }
    if (count > 0) {
        print_list(cli, all, count);
    } else {
        fprintf(stderr, "%s\n", kind || wanted_status || backup ? "No job is like that." : "There is no job yet.");
    }
    if (*request.page_token) {
        fprintf(stderr, "There are more; --limit %" PRId64 " shows twice as many.\n", 2 * limit);
    }
    return MOS_EXIT_DONE;
}

static mos_status get_job(struct mos_cli *cli, api_job **out, struct mos_error *error) {
    char id[MOS_ID_TEXT_BYTES];
    mos_status status = mos_cli_find_job(cli, cli->arguments.words[0], id, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetJobRequest) request = API_INIT(GET_JOB_REQUEST);
    request.job_id = id;
    return api_backup_service(get_job)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

static void print_job(struct mos_cli *cli, const api_job *job) {
    mos_table *facts = mos_facts_create(cli->arena);
    int64_t took = duration_ms(job);
    mos_fact(facts, "Job", job->id);
    mos_fact(facts, "Kind", mos_cli_word(cli, API_JOB_KINDS, (int)job->kind));
    mos_fact(facts, "Status", mos_cli_word(cli, API_JOB_STATUSES, (int)job->status));
    mos_fact(facts, "Message", job->message);
    mos_fact(facts, "Backup", job->backup_id);
    mos_fact(facts, "Warnings", job->warnings > 0 ? mos_cli_count(cli, job->warnings) : "");
    mos_fact(facts, "Created",
             mos_arena_printf(cli->arena, "%s%s%s", mos_cli_moment(cli, job->created_at), *job->created_by ? " by " : "", job->created_by));
    mos_fact(facts, "Started", job->started_at ? mos_cli_moment(cli, job->started_at) : "");
    mos_fact(facts, "Completed", job->completed_at ? mos_cli_moment(cli, job->completed_at) : "");
    mos_fact(facts, "Took", took >= 0 ? mos_cli_duration(cli, took) : "");
    mos_fact(facts, "Progress", is_running(job) ? mos_progress_line(cli->arena, "", job->progress) : "");
    if (job->restore) {
        mos_fact(facts, "Target", job->restore->target);
        mos_fact(facts, "Restored",
                 mos_arena_printf(cli->arena, "%s (%s), %s left alone, %s failed",
                                  mos_cli_plural(cli, job->restore->files_restored, "file", "files"),
                                  mos_cli_size(cli, job->restore->bytes_written), mos_cli_count(cli, job->restore->files_skipped),
                                  mos_cli_count(cli, job->restore->files_failed)));
        for (size_t i = 0; i < job->restore->n_checks; i++) {
            const API(RestoreCheck) *check = job->restore->checks[i];
            mos_fact(facts, "Check",
                     mos_arena_printf(cli->arena, "%s: %s%s%s", check->name, check->passed ? "ok" : "BAD", *check->message ? ", " : "",
                                      check->message));
        }
    }
    mos_facts_print(facts, &cli->out);
}

int mos_job_show(struct mos_cli *cli) {
    struct mos_error error = {0};
    api_job *job;
    if (get_job(cli, &job, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&job->base);
    } else {
        print_job(cli, job);
    }
    return MOS_EXIT_DONE;
}

int mos_job_watch(struct mos_cli *cli) {
    struct mos_error error = {0};
    int64_t after = 0;
    api_job *job;
    mos_status status = mos_arguments_number(&cli->arguments, "after", 0, INT64_MAX, &after, &error);
    if (status == MOS_OK) {
        // So that a server that is not there is told at once, not after a minute of trying.
        status = get_job(cli, &job, &error);
    }
    struct mos_followed followed = {0};
    if (status == MOS_OK) {
        struct mos_follow follow = {.job_id = job->id, .after_sequence = after, .terminal = cli->out, .json = cli->json};
        status = mos_follow_events(cli, &follow, &followed, &error);
    }
    return status == MOS_OK ? mos_follow_exit(&followed) : mos_cli_fail(cli, &error);
}

int mos_job_cancel(struct mos_cli *cli) {
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES];
    api_job *job;
    mos_status status = mos_cli_find_job(cli, cli->arguments.words[0], id, &error);
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        API(CancelJobRequest) request = API_INIT(CANCEL_JOB_REQUEST);
        request.job_id = id;
        status = api_backup_service(cancel_job)(mos_client_channel(cli->client), &options, &request, cli->arena, &job, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&job->base);
    } else {
        printf("Job %s is being stopped.\n", id);
    }
    return MOS_EXIT_DONE;
}
