// What retention would remove.
#include <stdio.h>

#include "cli/schedule.h"
#include "cli/table.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

static mos_status read_preview(struct mos_cli *cli, API(PreviewRetentionRequest) * out, struct mos_error *error) {
    int64_t days = 30, retention_days = 0;
    const char *name = mos_arguments_value(&cli->arguments, "schedule"), *tag = mos_arguments_value(&cli->arguments, "tag");
    API(Schedule) * schedule;
    mos_status status = mos_arguments_number(&cli->arguments, "days", 1, 3650, &days, error);
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "retention-days", 1, 36500, &retention_days, error);
    }
    if (status == MOS_OK) {
        status = mos_cli_read_keep(cli, NULL, &out->keep, error);
    }
    if (status == MOS_OK && name) {
        status = mos_cli_find_schedule(cli, name, &schedule, error);
        out->schedule_id = status == MOS_OK ? schedule->id : out->schedule_id;
    }
    out->days = (int32_t)days;
    out->tag = tag ? (char *)tag : out->tag;
    if (retention_days > 0) {
        out->_retention_days_case = API_WORD(PREVIEW_RETENTION_REQUEST___RETENTION_DAYS_RETENTION_DAYS);
        out->retention_days = (int32_t)retention_days;
    }
    return status;
}

static void print_preview(struct mos_cli *cli, const API(PreviewRetentionResponse) * response, int32_t days) {
    static const struct mos_column columns[] = {
        {.title = "BACKUP"}, {.title = "GOES"}, {.title = "ADDED", .right = true}, {.title = "REASON"}};
    if (response->n_removals == 0) {
        printf("Nothing goes within %s.\n", mos_cli_plural(cli, days, "day", "days"));
    } else {
        mos_table *table = mos_table_create(cli->arena, columns, 4);
        for (size_t i = 0; i < response->n_removals; i++) {
            const API(RetentionRemoval) *removal = response->removals[i];
            mos_table_cell(table, removal->backup_id);
            mos_table_cell(table, mos_cli_moment(cli, removal->removed_at));
            mos_table_cell(table, mos_cli_size(cli, removal->bytes_freed));
            mos_table_cell(table, removal->reason);
        }
        mos_table_print(table, &cli->out);
        printf("\n%s within %s, which added %s.\n", mos_cli_plural(cli, (int64_t)response->n_removals, "backup goes", "backups go"),
               mos_cli_plural(cli, days, "day", "days"), mos_cli_size(cli, response->bytes_freed));
    }
    for (size_t i = 0; i < response->n_gaps; i++) {
        printf("Gap: %s\n", mos_terminal_escape(cli->arena, response->gaps[i]));
    }
    for (size_t i = 0; i < response->n_notes; i++) {
        fprintf(stderr, "%s.\n", mos_terminal_escape(cli->arena, response->notes[i]));
    }
}

int mos_retention_preview(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(PreviewRetentionRequest) request = API_INIT(PREVIEW_RETENTION_REQUEST);
    API(PreviewRetentionResponse) * response;
    mos_status status = read_preview(cli, &request, &error);
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_patient(cli);
        status = api_backup_service(preview_retention)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&response->base);
    } else {
        print_preview(cli, response, request.days);
    }
    return MOS_EXIT_DONE;
}
