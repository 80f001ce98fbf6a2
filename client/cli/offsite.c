#include "cli/offsite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/follow.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"
#include "mosaajii/backup/v1/offsite.grpc-client.h"

#define DEFAULT_LIST_LIMIT 50
#define PAGE_SIZE 200
#define LEAST_PREFIX 4

typedef API(OffsiteBackup) api_copy;
typedef API(OffsiteLocation) api_location;
typedef API(OffsitePolicy) api_policy;

#define api_offsite_service(method) mosaajii_backup_v1_offsite_service_client_##method
#define API_PROVIDERS (&mosaajii__backup__v1__offsite_backup__provider__descriptor)
#define API_COPY_STATUSES (&mosaajii__backup__v1__offsite_backup__status__descriptor)
#define API_REPLICATION (&mosaajii__backup__v1__offsite_backup__replication_status__descriptor)
#define API_ACTIONS (&mosaajii__backup__v1__offsite_access__action__descriptor)
#define API_LOCATION_HEALTHS (&mosaajii__backup__v1__offsite_location__health__descriptor)

// ---- Finding ----

// Up to `limit` of them, newest first; *out_more where there are others.
static mos_status fetch_list(struct mos_cli *cli, API(ListOffsiteBackupsRequest) * request, size_t limit, api_copy ***out,
                             size_t *out_count, bool *out_more, struct mos_error *error) {
    api_copy **all = mos_arena_array(cli->arena, api_copy *, limit);
    size_t count = 0;
    mos_status status = MOS_OK;
    do {
        API(ListOffsiteBackupsResponse) * page;
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        request->page_size = (int32_t)(limit - count < PAGE_SIZE ? limit - count : PAGE_SIZE);
        status = api_offsite_service(list_offsite_backups)(mos_client_channel(cli->client), &options, request, cli->arena, &page, error);
        if (status != MOS_OK) {
            return status;
        }
        for (size_t i = 0; i < page->n_offsite_backups && count < limit; i++) {
            all[count++] = page->offsite_backups[i];
        }
        request->page_token = page->next_page_token;
    } while (*request->page_token && count < limit);
    *out = all;
    *out_count = count;
    *out_more = *request->page_token != 0;
    return MOS_OK;
}

static bool begins(const char *id, const char *text) {
    return strlen(text) >= LEAST_PREFIX && strncmp(id, text, strlen(text)) == 0;
}

// By its own id or its backup's, or the beginning of one: of several copies of one backup the one that is complete, the newest first.
static mos_status find_copy(struct mos_cli *cli, const char *text, api_copy **out, struct mos_error *error) {
    enum { MOST = 100000 };
    API(ListOffsiteBackupsRequest) request = API_INIT(LIST_OFFSITE_BACKUPS_REQUEST);
    api_copy **all, *best = NULL;
    size_t count = 0;
    bool more, latest = strcmp(text, "latest") == 0;
    mos_status status = fetch_list(cli, &request, MOST, &all, &count, &more, error);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        bool complete =
            all[i]->status == API_WORD(OFFSITE_BACKUP__STATUS__COMPLETED) || all[i]->status == API_WORD(OFFSITE_BACKUP__STATUS__ARCHIVED);
        if (begins(all[i]->id, text)) {
            if (best && strcmp(best->id, all[i]->id) != 0 && begins(best->id, text)) {
                return mos_fail_field(error, "id", "several offsite backups begin with \"%.64s\"; give more of it", text);
            }
            best = all[i];
        } else if ((begins(all[i]->backup_id, text) || (latest && complete)) &&
                   (!best || (complete && !begins(best->id, text) && !latest))) {
            if (best && strcmp(best->backup_id, all[i]->backup_id) != 0) {
                return mos_fail_field(error, "id", "several backups begin with \"%.64s\"; give more of it", text);
            }
            best = all[i];
        }
    }
    *out = best;
    return status != MOS_OK || best ? status : mos_fail(error, MOS_NOT_FOUND, "no offsite backup is called \"%.64s\"", text);
}

static mos_status get_copy(struct mos_cli *cli, const char *id, api_copy **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetOffsiteBackupRequest) request = API_INIT(GET_OFFSITE_BACKUP_REQUEST);
    request.offsite_backup_id = (char *)id;
    return api_offsite_service(get_offsite_backup)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

// ---- Printing ----

static void print_list(struct mos_cli *cli, api_copy *const *copies, size_t count) {
    static const struct mos_column columns[] = {{.title = "ID"},          {.title = "BACKUP"},   {.title = "STATUS", .status = true},
                                                {.title = "REPLICATION"}, {.title = "UPLOADED"}, {.title = "SIZE", .right = true},
                                                {.title = "LOCATION"},    {.title = "MESSAGE"}};
    const char **ids = mos_arena_array(cli->arena, const char *, 2 * count + 1);
    for (size_t i = 0; i < count; i++) {
        ids[2 * i] = copies[i]->id;
        ids[2 * i + 1] = copies[i]->backup_id;
    }
    int id_columns = mos_cli_id_columns(cli, ids, 2 * count);
    mos_table *table = mos_table_create(cli->arena, columns, 8);
    for (size_t i = 0; i < count; i++) {
        const api_copy *copy = copies[i];
        char uploaded[MOS_SHORT_TEXT_BYTES];
        mos_minute_format(mos_cli_seconds(copy->uploaded_at), uploaded);
        mos_table_cellf(table, "%.*s", id_columns, copy->id);
        mos_table_cellf(table, "%.*s", id_columns, copy->backup_id);
        mos_table_cell(table, mos_cli_word(cli, API_COPY_STATUSES, (int)copy->status));
        mos_table_cell(table, mos_cli_word(cli, API_REPLICATION, (int)copy->replication_status));
        mos_table_cell(table, copy->uploaded_at ? uploaded : "-");
        mos_table_cell(table, copy->size ? mos_cli_size(cli, copy->size) : "-");
        mos_table_cell(table, copy->location);
        mos_table_cell(table, copy->message);
    }
    mos_table_print(table, &cli->out);
}

static void print_copy(struct mos_cli *cli, const api_copy *copy) {
    mos_table *facts = mos_facts_create(cli->arena);
    mos_fact(facts, "ID", copy->id);
    mos_fact(facts, "Backup", copy->backup_id);
    mos_fact(facts, "Provider", mos_cli_word(cli, API_PROVIDERS, (int)copy->provider));
    mos_fact(facts, "Location", copy->location);
    mos_fact(facts, "Status", mos_cli_word(cli, API_COPY_STATUSES, (int)copy->status));
    mos_fact(facts, "Message", copy->message);
    mos_fact(facts, "Replication", mos_cli_word(cli, API_REPLICATION, (int)copy->replication_status));
    mos_fact(facts, "Uploaded", mos_cli_moment(cli, copy->uploaded_at));
    mos_fact(facts, "Expires", mos_cli_moment(cli, copy->expires_at));
    mos_fact(facts, "Locked until", mos_cli_moment(cli, copy->locked_until));
    mos_fact(facts, "Size", mos_cli_size(cli, copy->size));
    mos_fact(facts, "Objects",
             mos_arena_printf(cli->arena, "%s of %s", mos_cli_count(cli, copy->objects_done), mos_cli_count(cli, copy->objects_total)));
    mos_fact(facts, "Checksum", copy->checksum);
    for (size_t i = 0; i < copy->n_access_log; i++) {
        const API(OffsiteAccess) *entry = copy->access_log[i];
        mos_fact(facts, i == 0 ? "Access" : " ",
                 mos_arena_printf(cli->arena, "%s %s %s%s%s%s%s", mos_cli_moment(cli, entry->timestamp),
                                  mos_cli_word(cli, API_ACTIONS, (int)entry->action), entry->success ? "done" : "FAILED",
                                  *entry->user_id ? " by " : "", entry->user_id, *entry->details ? ": " : "", entry->details));
    }
    mos_facts_print(facts, &cli->out);
}

static int answer(struct mos_cli *cli, const api_copy *copy) {
    if (cli->json) {
        mos_cli_print_json(&copy->base);
    } else {
        print_copy(cli, copy);
    }
    return MOS_EXIT_DONE;
}

// ---- Commands ----

int mos_offsite_upload(struct mos_cli *cli) {
    struct mos_error error = {0};
    char backup_id[MOS_ID_TEXT_BYTES];
    int64_t days = 0;
    api_copy *copy;
    API(UploadBackupRequest) request = API_INIT(UPLOAD_BACKUP_REQUEST);
    mos_status status = mos_arguments_number(&cli->arguments, "retention-days", 1, 36500, &days, &error);
    if (status == MOS_OK) {
        status = mos_cli_find_backup(cli, cli->arguments.words[0], true, backup_id, &error);
    }
    request.backup_id = backup_id;
    if (days > 0) {
        request._retention_days_case = API_WORD(UPLOAD_BACKUP_REQUEST___RETENTION_DAYS_RETENTION_DAYS);
        request.retention_days = (int32_t)days;
    }
    if (mos_arguments_flag(&cli->arguments, "no-replication")) {
        request._replication_enabled_case = API_WORD(UPLOAD_BACKUP_REQUEST___REPLICATION_ENABLED_REPLICATION_ENABLED);
        request.replication_enabled = false;
    }
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        status = api_offsite_service(upload_backup)(mos_client_channel(cli->client), &options, &request, cli->arena, &copy, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&copy->base);
    } else {
        printf("%s\n", mos_terminal_escape(cli->arena, copy->id));
        fprintf(stderr, "The copy is made in the background. Look at it: mosaajii offsite show %s\n",
                mos_terminal_escape(cli->arena, copy->id));
    }
    return MOS_EXIT_DONE;
}

int mos_offsite_list(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(ListOffsiteBackupsRequest) request = API_INIT(LIST_OFFSITE_BACKUPS_REQUEST);
    int provider = 0, wanted = 0;
    int64_t limit = DEFAULT_LIST_LIMIT;
    char backup_id[MOS_ID_TEXT_BYTES];
    const char *backup = mos_arguments_value(&cli->arguments, "backup");
    api_copy **copies;
    size_t count = 0;
    bool more = false;
    mos_status status = mos_arguments_enum(&cli->arguments, "provider", API_PROVIDERS, &provider, &error);
    if (status == MOS_OK) {
        status = mos_arguments_enum(&cli->arguments, "status", API_COPY_STATUSES, &wanted, &error);
    }
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "limit", 1, 1000000, &limit, &error);
    }
    if (status == MOS_OK && backup && mos_id_valid(backup)) {
        // It may be gone here.
        snprintf(backup_id, sizeof(backup_id), "%s", backup);
        request.backup_id = backup_id;
    } else if (status == MOS_OK && backup) {
        status = mos_cli_find_backup(cli, backup, false, backup_id, &error);
        request.backup_id = backup_id;
    }
    request.provider = (Mosaajii__Backup__V1__OffsiteBackup__Provider)provider;
    request.status = (Mosaajii__Backup__V1__OffsiteBackup__Status)wanted;
    if (status == MOS_OK) {
        status = fetch_list(cli, &request, (size_t)limit, &copies, &count, &more, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)copies, count);
        return MOS_EXIT_DONE;
    }
    if (count > 0) {
        print_list(cli, copies, count);
    } else {
        fprintf(stderr, "%s\n", provider || wanted || backup ? "No offsite backup is like that." : "There is no offsite backup yet.");
    }
    if (more) {
        fprintf(stderr, "There are more; --limit %" PRId64 " shows twice as many.\n", 2 * limit);
    }
    return MOS_EXIT_DONE;
}

int mos_offsite_show(struct mos_cli *cli) {
    struct mos_error error = {0};
    api_copy *copy;
    mos_status status = find_copy(cli, cli->arguments.words[0], &copy, &error);
    if (status == MOS_OK) {
        status = get_copy(cli, copy->id, &copy, &error);
    }
    return status == MOS_OK ? answer(cli, copy) : mos_cli_fail(cli, &error);
}

int mos_offsite_verify(struct mos_cli *cli) {
    struct mos_error error = {0};
    int64_t percent = 0;
    api_copy *copy;
    api_verification *found;
    API(VerifyOffsiteRequest) request = API_INIT(VERIFY_OFFSITE_REQUEST);
    mos_status status = mos_arguments_number(&cli->arguments, "percent", 0, 100, &percent, &error);
    if (status == MOS_OK) {
        status = find_copy(cli, cli->arguments.words[0], &copy, &error);
    }
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_patient(cli);
        request.offsite_backup_id = copy->id;
        request.sample_percent = (int32_t)percent;
        status = api_offsite_service(verify_offsite)(mos_client_channel(cli->client), &options, &request, cli->arena, &found, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&found->base);
    } else {
        mos_table *facts = mos_facts_create(cli->arena);
        mos_fact(facts, "Valid", found->valid ? "yes" : "NO");
        mos_fact(facts, "Checked",
                 mos_arena_printf(cli->arena, "%s, %s read", mos_cli_plural(cli, found->objects_checked, "object", "objects"),
                                  mos_cli_size(cli, found->bytes_checked)));
        for (size_t i = 0; i < found->n_errors; i++) {
            mos_fact(facts, "Fault", found->errors[i]);
        }
        for (size_t i = 0; i < found->n_hurt_backups; i++) {
            mos_fact(facts, "Hurt backup", found->hurt_backups[i]);
        }
        mos_facts_print(facts, &cli->out);
    }
    return found->valid ? MOS_EXIT_DONE : MOS_EXIT_FAILED;
}

int mos_offsite_fetch(struct mos_cli *cli) {
    struct mos_error error = {0};
    api_copy *copy;
    api_job *job;
    API(FetchBackupRequest) request = API_INIT(FETCH_BACKUP_REQUEST);
    mos_status status = find_copy(cli, cli->arguments.words[0], &copy, &error);
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        request.offsite_backup_id = copy->id;
        status = api_offsite_service(fetch_backup)(mos_client_channel(cli->client), &options, &request, cli->arena, &job, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (mos_arguments_flag(&cli->arguments, "no-wait")) {
        if (cli->json) {
            mos_cli_print_json(&job->base);
        } else {
            printf("%s\n", mos_terminal_escape(cli->arena, job->id));
        }
        return MOS_EXIT_DONE;
    }
    struct mos_followed followed = {0};
    status = mos_follow_events(cli, &(struct mos_follow){.job_id = job->id, .terminal = cli->err}, &followed, &error);
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        API(GetJobRequest) again = API_INIT(GET_JOB_REQUEST);
        again.job_id = job->id;
        if (api_backup_service(get_job)(mos_client_channel(cli->client), &options, &again, cli->arena, &job, &error) != MOS_OK) {
            return mos_cli_fail(cli, &error);
        }
        mos_cli_print_json(&job->base);
    }
    return mos_follow_exit(&followed);
}

int mos_offsite_delete(struct mos_cli *cli) {
    struct mos_error error = {0};
    api_copy *copy;
    API(DeleteOffsiteBackupRequest) request = API_INIT(DELETE_OFFSITE_BACKUP_REQUEST);
    API(DeleteOffsiteBackupResponse) * response;
    if (!mos_arguments_flag(&cli->arguments, "yes")) {
        mos_fail_field(&error, "yes", "a deleted copy is gone for good; --yes says that this is meant");
        return mos_cli_fail(cli, &error);
    }
    mos_status status = find_copy(cli, cli->arguments.words[0], &copy, &error);
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_patient(cli);
        request.offsite_backup_id = copy->id;
        status =
            api_offsite_service(delete_offsite_backup)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&response->base);
    } else {
        printf("%s\n", mos_terminal_escape(cli->arena, response->message));
    }
    return MOS_EXIT_DONE;
}

int mos_offsite_locations(struct mos_cli *cli) {
    static const struct mos_column columns[] = {{.title = "NAME"},
                                                {.title = "HEALTH", .status = true},
                                                {.title = "OBJECTS", .right = true},
                                                {.title = "SIZE", .right = true},
                                                {.title = "BEHIND", .right = true},
                                                {.title = "LOCATION"},
                                                {.title = "MESSAGE"}};
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListLocationsRequest) request = API_INIT(LIST_LOCATIONS_REQUEST);
    API(ListLocationsResponse) * response;
    if (api_offsite_service(list_locations)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->locations, response->n_locations);
        return MOS_EXIT_DONE;
    }
    mos_table *table = mos_table_create(cli->arena, columns, 7);
    for (size_t i = 0; i < response->n_locations; i++) {
        const api_location *location = response->locations[i];
        mos_table_cell(table, location->name);
        mos_table_cell(table, mos_cli_word(cli, API_LOCATION_HEALTHS, (int)location->health));
        mos_table_cell(table, mos_cli_count(cli, location->objects));
        mos_table_cell(table, mos_cli_size(cli, location->bytes));
        mos_table_cell(table, location->lag_seconds ? mos_cli_duration(cli, location->lag_seconds * 1000) : "-");
        mos_table_cell(table, location->url);
        mos_table_cell(table, location->message);
    }
    if (response->n_locations > 0) {
        mos_table_print(table, &cli->out);
    } else {
        fprintf(stderr, "No offsite location is configured: OFFSITE_PROVIDER is not set.\n");
    }
    return MOS_EXIT_DONE;
}

// Without options: all policies. With: changes the one that is named.
int mos_offsite_policy(struct mos_cli *cli) {
    static const struct mos_column columns[] = {
        {.title = "NAME"}, {.title = "KEPT", .right = true}, {.title = "ARCHIVED AFTER", .right = true}};
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    int64_t days = -1, archive = -1;
    API(ListOffsitePoliciesRequest) request = API_INIT(LIST_OFFSITE_POLICIES_REQUEST);
    API(ListOffsitePoliciesResponse) * response;
    const char *name = cli->arguments.word_count > 0 ? cli->arguments.words[0] : NULL;
    mos_status status = mos_arguments_number(&cli->arguments, "retention-days", 1, 36500, &days, &error);
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "archive-after-days", 0, 36500, &archive, &error);
    }
    if (status == MOS_OK && (days >= 0 || archive >= 0) && !name) {
        status = mos_fail_field(&error, "name", "which policy is to change is missing; see mosaajii offsite policy --help");
    }
    if (status == MOS_OK) {
        status =
            api_offsite_service(list_offsite_policies)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
    }
    api_policy *chosen = NULL;
    for (size_t i = 0; status == MOS_OK && name && i < response->n_policies; i++) {
        chosen = strcmp(response->policies[i]->name, name) == 0 ? response->policies[i] : chosen;
    }
    if (status == MOS_OK && name && !chosen) {
        status = mos_fail(&error, MOS_NOT_FOUND, "no offsite policy has the name \"%.64s\"", name);
    }
    if (status == MOS_OK && (days >= 0 || archive >= 0)) {
        API(UpdateOffsitePolicyRequest) change = API_INIT(UPDATE_OFFSITE_POLICY_REQUEST);
        chosen->retention_days = days >= 0 ? (int32_t)days : chosen->retention_days;
        chosen->archive_after_days = archive >= 0 ? (int32_t)archive : chosen->archive_after_days;
        change.policy = chosen;
        status =
            api_offsite_service(update_offsite_policy)(mos_client_channel(cli->client), &options, &change, cli->arena, &chosen, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    api_policy *const *shown = chosen ? &chosen : response->policies;
    size_t count = chosen ? 1 : response->n_policies;
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)shown, count);
        return MOS_EXIT_DONE;
    }
    mos_table *table = mos_table_create(cli->arena, columns, 3);
    for (size_t i = 0; i < count; i++) {
        mos_table_cell(table, shown[i]->name);
        mos_table_cell(table, mos_cli_plural(cli, shown[i]->retention_days, "day", "days"));
        mos_table_cell(table, shown[i]->archive_after_days ? mos_cli_plural(cli, shown[i]->archive_after_days, "day", "days") : "-");
    }
    mos_table_print(table, &cli->out);
    return MOS_EXIT_DONE;
}
