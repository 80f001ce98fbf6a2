#include "cli/protect.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "common/clock.h"
#include "mosaajii/backup/v1/admin.grpc-client.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

static int update(struct mos_cli *cli, API(UpdateBackupRequest) * request, const char *done) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    char *id = mos_arena_alloc(cli->arena, MOS_ID_TEXT_BYTES);
    api_backup *backup;
    mos_status status = mos_cli_find_backup(cli, cli->arguments.words[0], true, id, &error);
    request->backup_id = id;
    if (status == MOS_OK) {
        status = api_backup_service(update_backup)(mos_client_channel(cli->client), &options, request, cli->arena, &backup, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&backup->base);
    } else {
        printf("Backup %s %s.\n", backup->id, done);
    }
    return MOS_EXIT_DONE;
}

int mos_backup_lock(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(UpdateBackupRequest) request = API_INIT(UPDATE_BACKUP_REQUEST);
    Google__Protobuf__Timestamp until = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    int64_t days = 0;
    mos_status status = mos_arguments_number(&cli->arguments, "days", 1, 36500, &days, &error);
    if (status == MOS_OK && days == 0) {
        status = mos_fail(&error, MOS_INVALID_ARGUMENT, "--days is missing; see mosaajii backup lock --help");
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    until.seconds = mos_now_unix_ns() / MOS_NS_PER_SECOND + days * 86400;
    request.locked_until = &until;
    return update(cli, &request, mos_arena_printf(cli->arena, "is locked until %s", mos_cli_moment(cli, &until)));
}

int mos_backup_hold(struct mos_cli *cli) {
    API(UpdateBackupRequest) request = API_INIT(UPDATE_BACKUP_REQUEST);
    request._legal_hold_case = API_WORD(UPDATE_BACKUP_REQUEST___LEGAL_HOLD_LEGAL_HOLD);
    request.legal_hold = !mos_arguments_flag(&cli->arguments, "off");
    return update(cli, &request, request.legal_hold ? "is held" : "is not held any more");
}

int mos_backup_quarantine(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(UpdateBackupRequest) request = API_INIT(UPDATE_BACKUP_REQUEST);
    const char *reason = mos_arguments_value(&cli->arguments, "reason");
    bool lift = mos_arguments_flag(&cli->arguments, "lift");
    if (lift == (reason != NULL)) {
        mos_fail(&error, MOS_INVALID_ARGUMENT, "one of --reason and --lift is needed; see mosaajii backup quarantine --help");
        return mos_cli_fail(cli, &error);
    }
    request._quarantined_case = API_WORD(UPDATE_BACKUP_REQUEST___QUARANTINED_QUARANTINED);
    request.quarantined = !lift;
    request.quarantine_reason = (char *)(lift ? "" : reason);
    return update(cli, &request, lift ? "is not in quarantine any more" : "is in quarantine");
}

int mos_confirmation_list(struct mos_cli *cli) {
    static const struct mos_column columns[] = {
        {.title = "ID"},    {.title = "STATE", .status = true}, {.title = "ACTION"}, {.title = "RESOURCE"}, {.title = "ASKED BY"},
        {.title = "UNTIL"}, {.title = "CONFIRMED BY"}};
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListConfirmationsRequest) request = API_INIT(LIST_CONFIRMATIONS_REQUEST);
    API(ListConfirmationsResponse) * response;
    if (api_admin_service(list_confirmations)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) !=
        MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->confirmations, response->n_confirmations);
        return MOS_EXIT_DONE;
    }
    mos_table *table = mos_table_create(cli->arena, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < response->n_confirmations; i++) {
        const API(Confirmation) *confirmation = response->confirmations[i];
        mos_table_cell(table, confirmation->id);
        mos_table_cell(table, mos_cli_word(cli, API_CONFIRMATION_STATUSES, (int)confirmation->status));
        mos_table_cell(table, confirmation->action);
        mos_table_cell(table, confirmation->resource);
        mos_table_cell(table, confirmation->requested_by);
        mos_table_cell(table, mos_cli_moment(cli, confirmation->expires_at));
        mos_table_cell(table, confirmation->confirmed_by);
    }
    mos_table_print(table, &cli->out);
    return MOS_EXIT_DONE;
}

int mos_confirmation_give(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ConfirmRequest) request = API_INIT(CONFIRM_REQUEST);
    API(Confirmation) * confirmation;
    request.confirmation_id = (char *)cli->arguments.words[0];
    if (api_admin_service(confirm)(mos_client_channel(cli->client), &options, &request, cli->arena, &confirmation, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&confirmation->base);
    } else {
        printf("Confirmed; %s may now repeat the request.\n", mos_terminal_escape(cli->arena, confirmation->requested_by));
    }
    return MOS_EXIT_DONE;
}
