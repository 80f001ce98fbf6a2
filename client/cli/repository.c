#include "cli/repository.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/follow.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

static void print_pruning(struct mos_cli *cli, const API(PruneResult) * done) {
    mos_table *facts = mos_facts_create(cli->arena);
    mos_fact(facts, done->dry_run ? "Would free" : "Freed", mos_cli_size(cli, done->bytes_freed));
    mos_fact(facts, "Packs",
             mos_arena_printf(cli->arena, "%s removed, %s rewritten", mos_cli_count(cli, done->packs_removed),
                              mos_cli_count(cli, done->packs_rewritten)));
    mos_fact(facts, "Left",
             done->bytes_pending > 0
                 ? mos_arena_printf(cli->arena, "%s that no backup needs, for a later prune", mos_cli_size(cli, done->bytes_pending))
                 : "");
    mos_facts_print(facts, &cli->out);
}

static void print_check(struct mos_cli *cli, const API(CheckResult) * found) {
    mos_table *facts = mos_facts_create(cli->arena);
    mos_fact(facts, "Valid", found->valid ? "yes" : "NO");
    mos_fact(facts, "Checked",
             mos_arena_printf(cli->arena, "%s, %s, %s read", mos_cli_plural(cli, found->backups_checked, "backup", "backups"),
                              mos_cli_plural(cli, found->objects_checked, "object", "objects"), mos_cli_size(cli, found->bytes_checked)));
    for (size_t i = 0; i < found->n_damaged_backups; i++) {
        mos_fact(facts, "Damaged backup", found->damaged_backups[i]);
    }
    for (size_t i = 0; i < found->n_errors; i++) {
        mos_fact(facts, "Fault", found->errors[i]);
    }
    mos_fact(facts, "Guarantee", found->guarantee);
    mos_facts_print(facts, &cli->out);
}

static int exit_of(const api_job *job) {
    return job->status == API_WORD(JOB__STATUS__SUCCEEDED)                 ? MOS_EXIT_DONE
           : job->status == API_WORD(JOB__STATUS__SUCCEEDED_WITH_WARNINGS) ? MOS_EXIT_WARNINGS
                                                                           : MOS_EXIT_FAILED;
}

static int wait_for(struct mos_cli *cli, const char *job_id, const char *what) {
    struct mos_error error = {0};
    struct mos_followed followed;
    mos_status status = mos_follow_events(cli, &(struct mos_follow){.job_id = job_id, .terminal = cli->err}, &followed, &error);
    if (followed.interrupted) {
        fprintf(stderr,
                "\nThe %s goes on. Follow it: mosaajii job watch %s\n"
                "                     Stop it:   mosaajii job cancel %s\n",
                what, job_id, job_id);
        return MOS_EXIT_INTERRUPTED;
    }
    api_job *job;
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        API(GetJobRequest) request = API_INIT(GET_JOB_REQUEST);
        request.job_id = (char *)job_id;
        status = api_backup_service(get_job)(mos_client_channel(cli->client), &options, &request, cli->arena, &job, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&job->base);
    } else if (job->prune) {
        print_pruning(cli, job->prune);
    } else if (job->check) {
        print_check(cli, job->check);
    }
    return exit_of(job);
}

static int follow_or_leave(struct mos_cli *cli, const api_job *job, const char *what) {
    const char *job_id = mos_terminal_escape(cli->arena, job->id);
    if (!mos_arguments_flag(&cli->arguments, "no-wait")) {
        return wait_for(cli, job_id, what);
    }
    if (cli->json) {
        mos_cli_print_json(&job->base);
    } else {
        printf("%s\n", job_id);
        fprintf(stderr, "The %s runs in the background. Follow it: mosaajii job watch %s\n", what, job_id);
    }
    return MOS_EXIT_DONE;
}

int mos_repository_prune(struct mos_cli *cli) {
    struct mos_error error = {0};
    int64_t grace = -1;
    api_job *job;
    API(PruneRepositoryRequest) request = API_INIT(PRUNE_REPOSITORY_REQUEST);
    mos_status status = mos_arguments_number(&cli->arguments, "grace-minutes", 0, 527040, &grace, &error);
    request.dry_run = mos_arguments_flag(&cli->arguments, "dry-run");
    if (grace >= 0) {
        request._grace_minutes_case = API_WORD(PRUNE_REPOSITORY_REQUEST___GRACE_MINUTES_GRACE_MINUTES);
        request.grace_minutes = (int32_t)grace;
    }
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        status = api_backup_service(prune_repository)(mos_client_channel(cli->client), &options, &request, cli->arena, &job, &error);
    }
    return status == MOS_OK ? follow_or_leave(cli, job, "prune") : mos_cli_fail(cli, &error);
}

int mos_repository_check(struct mos_cli *cli) {
    struct mos_error error = {0};
    int64_t percent = -1, bytes = -1;
    api_job *job;
    API(CheckRepositoryRequest) request = API_INIT(CHECK_REPOSITORY_REQUEST);
    mos_status status = mos_arguments_number(&cli->arguments, "percent", 0, 100, &percent, &error);
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "bytes", 1, INT64_MAX, &bytes, &error);
    }
    if (status == MOS_OK && percent >= 0 && bytes >= 0) {
        status = mos_fail(&error, MOS_INVALID_ARGUMENT, "--percent and --bytes are both given; allowed is one of them");
    }
    request.sample_percent = (int32_t)(percent >= 0 ? percent : bytes >= 0 ? 0 : 100);
    request.sample_bytes = bytes >= 0 ? bytes : 0;
    request.repair = mos_arguments_flag(&cli->arguments, "repair");
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        status = api_backup_service(check_repository)(mos_client_channel(cli->client), &options, &request, cli->arena, &job, &error);
    }
    return status == MOS_OK ? follow_or_leave(cli, job, "check") : mos_cli_fail(cli, &error);
}
