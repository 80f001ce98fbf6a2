#include "cli/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/follow.h"
#include "cli/table.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

#define DEFAULT_LIST_LIMIT 50
#define PAGE_SIZE 200

mos_status mos_backup_get(struct mos_cli *cli, const char *id, api_backup **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetBackupRequest) request = API_INIT(GET_BACKUP_REQUEST);
    request.backup_id = (char *)id;
    return api_backup_service(get_backup)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

// ---- create ----

static mos_status read_create_request(struct mos_cli *cli, API(CreateBackupRequest) * out, struct mos_error *error) {
    const struct mos_arguments *arguments = &cli->arguments;
    int type = 0;
    mos_status status = mos_arguments_enum(arguments, "type", API_TYPES, &type, error);
    if (status != MOS_OK) {
        return status;
    }
    if (type == 0) {
        return mos_fail_field(error, "type", "--type is missing; it is FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION");
    }
    out->type = (Mosaajii__Backup__V1__Backup__Type)type;
    const char *name = mos_arguments_value(arguments, "name");
    out->name = name ? (char *)name : out->name;
    out->tags = mos_arguments_values(arguments, "tag", cli->arena, &out->n_tags);
    int64_t days = 0;
    status = mos_arguments_number(arguments, "retention-days", 1, 36500, &days, error);
    if (days > 0) {
        out->_retention_days_case = API_WORD(CREATE_BACKUP_REQUEST___RETENTION_DAYS_RETENTION_DAYS);
        out->retention_days = (int32_t)days;
    }
    out->read_all = mos_arguments_flag(arguments, "read-all");
    if (mos_arguments_flag(arguments, "no-verify")) {
        out->_integrity_check_enabled_case = API_WORD(CREATE_BACKUP_REQUEST___INTEGRITY_CHECK_ENABLED_INTEGRITY_CHECK_ENABLED);
        out->integrity_check_enabled = false;
    }
    if (status == MOS_OK && mos_arguments_flag(arguments, "wait") && mos_arguments_flag(arguments, "no-wait")) {
        return mos_fail_field(error, "wait", "--wait and --no-wait exclude one another");
    }
    return status;
}

static const char *content_text(struct mos_cli *cli, const api_backup *backup) {
    const api_statistics *statistics = backup->statistics;
    if (!statistics) {
        return mos_cli_size(cli, backup->size);
    }
    const char *files = statistics->files > 0 || backup->n_databases == 0
                            ? mos_arena_printf(cli->arena, " in %s", mos_cli_plural(cli, statistics->files, "file", "files"))
                            : "";
    const char *databases = backup->n_databases > 0
                                ? mos_arena_printf(cli->arena, "%s%s", *files ? ", " : " in ",
                                                   mos_cli_plural(cli, (int64_t)backup->n_databases, "database", "databases"))
                                : "";
    const char *directories =
        statistics->directories > 0
            ? mos_arena_printf(cli->arena, ", %s", mos_cli_plural(cli, statistics->directories, "directory", "directories"))
            : "";
    const char *others =
        statistics->others > 0 ? mos_arena_printf(cli->arena, ", %s", mos_cli_plural(cli, statistics->others, "other", "others")) : "";
    return mos_arena_printf(cli->arena, "%s%s%s%s%s", mos_cli_size(cli, backup->size), files, databases, directories, others);
}

static const char *stored_text(struct mos_cli *cli, const api_backup *backup) {
    const char *size = mos_cli_size(cli, backup->encrypted_size);
    return backup->size > 0 ? mos_arena_printf(cli->arena, "%s encrypted, %.0f%% of the content", size,
                                               100.0 * (double)backup->encrypted_size / (double)backup->size)
                            : mos_arena_printf(cli->arena, "%s encrypted", size);
}

static const char *took_text(struct mos_cli *cli, const api_statistics *statistics) {
    const char *duration = mos_cli_duration(cli, statistics->duration_ms);
    if (statistics->duration_ms < 100 || statistics->bytes_read <= 0) {
        return duration;
    }
    return mos_arena_printf(cli->arena, "%s, %s/s", duration,
                            mos_cli_size(cli, (int64_t)((double)statistics->bytes_read * 1000 / (double)statistics->duration_ms)));
}

// The backup that another one was compared with, of whatever type; "" where it was with none.
static const char *compared_with(const api_backup *backup) {
    for (size_t i = 0; i < backup->n_metadata; i++) {
        if (strcmp(backup->metadata[i]->key, "comparedWith") == 0) {
            return backup->metadata[i]->value;
        }
    }
    return backup->parent_id;
}

static const char *change_text(struct mos_cli *cli, const api_backup *backup) {
    const api_statistics *statistics = backup->statistics;
    const char *base = compared_with(backup);
    if (!statistics || !*base) {
        return "";
    }
    return mos_arena_printf(cli->arena, "%s added, %s changed, %s removed since %s", mos_cli_count(cli, statistics->files_added),
                            mos_cli_count(cli, statistics->files_changed), mos_cli_count(cli, statistics->files_removed), base);
}

static void print_summary(struct mos_cli *cli, const api_backup *backup) {
    static const struct {
        Mosaajii__Backup__V1__Backup__Status status;
        const char *text;
    } ends[] = {{API_WORD(BACKUP__STATUS__VERIFIED), "is complete and verified"},
                {API_WORD(BACKUP__STATUS__COMPLETED), "is complete, not verified"},
                {API_WORD(BACKUP__STATUS__FAILED), "has failed"},
                {API_WORD(BACKUP__STATUS__CANCELLED), "was cancelled"}};
    const char *end = "is not finished";
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        end = ends[i].status == backup->status ? ends[i].text : end;
    }
    const char *status = mos_cli_word(cli, API_BACKUP_STATUSES, (int)backup->status);
    printf("\n%sBackup %s %s%s\n", mos_terminal_colour(&cli->out, mos_status_colour(status)), mos_terminal_escape(cli->arena, backup->id),
           end, mos_terminal_colour(&cli->out, MOS_COLOUR_NONE));
    mos_table *facts = mos_facts_create(cli->arena);
    mos_fact(facts, "  Name", backup->name);
    if (backup->size > 0 || backup->encrypted_size > 0) {
        mos_fact(facts, "  Content", content_text(cli, backup));
        mos_fact(facts, "  Stored", stored_text(cli, backup));
    }
    const api_statistics *statistics = backup->statistics;
    mos_fact(facts, "  Changes", change_text(cli, backup));
    if (statistics && backup->encrypted_size > 0) {
        mos_fact(facts, "  Written",
                 mos_arena_printf(cli->arena, "%s new to the repository", mos_cli_size(cli, statistics->bytes_written)));
        mos_fact(facts, "  Took", took_text(cli, statistics));
    }
    if (backup->warnings > 0) {
        mos_fact(facts, "  Warnings",
                 mos_arena_printf(cli->arena, "%s changed, vanished or could not be read",
                                  mos_cli_plural(cli, backup->warnings, "file", "files")));
    }
    mos_fact(facts, "  Why", backup->message);
    mos_facts_print(facts, &cli->out);
}

static int exit_of_backup(const api_backup *backup, const struct mos_followed *followed) {
    if (backup->status == API_WORD(BACKUP__STATUS__FAILED) || backup->status == API_WORD(BACKUP__STATUS__CANCELLED) || followed->failed) {
        return MOS_EXIT_FAILED;
    }
    return backup->warnings > 0 || followed->with_warnings ? MOS_EXIT_WARNINGS : MOS_EXIT_DONE;
}

static int wait_for_backup(struct mos_cli *cli, const char *id) {
    struct mos_error error = {0};
    struct mos_followed followed;
    mos_status status = mos_follow_events(cli, &(struct mos_follow){.backup_id = id, .terminal = cli->err}, &followed, &error);
    if (followed.interrupted) {
        fprintf(stderr,
                "\nThe backup goes on. Follow it: mosaajii backup watch %s\n"
                "                    Stop it:   mosaajii backup cancel %s\n",
                id, id);
        return MOS_EXIT_INTERRUPTED;
    }
    api_backup *backup = NULL;
    if (status == MOS_OK) {
        status = mos_backup_get(cli, id, &backup, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&backup->base);
    } else {
        print_summary(cli, backup);
    }
    return exit_of_backup(backup, &followed);
}

int mos_backup_create(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(CreateBackupRequest) request = API_INIT(CREATE_BACKUP_REQUEST);
    mos_status status = read_create_request(cli, &request, &error);
    api_backup *backup = NULL;
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        status = api_backup_service(create_backup)(mos_client_channel(cli->client), &options, &request, cli->arena, &backup, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    char id[MOS_ID_TEXT_BYTES];
    snprintf(id, sizeof(id), "%s", mos_terminal_escape(cli->arena, backup->id));
    bool wait = mos_arguments_flag(&cli->arguments, "wait") || (!mos_arguments_flag(&cli->arguments, "no-wait") && isatty(STDOUT_FILENO));
    if (wait) {
        fprintf(stderr, "Backup %s: %s\n", id, mos_terminal_escape(cli->arena, backup->name));
        return wait_for_backup(cli, id);
    }
    if (cli->json) {
        mos_cli_print_json(&backup->base);
    } else {
        printf("%s\n", id);
        fprintf(stderr, "The backup runs in the background. Follow it: mosaajii backup watch %s\n", id);
    }
    return MOS_EXIT_DONE;
}

// ---- list, show ----

static void print_list(struct mos_cli *cli, api_backup *const *backups, size_t count) {
    static const struct mos_column all[] = {{.title = "ID"},
                                            {.title = "TYPE"},
                                            {.title = "STATUS", .status = true},
                                            {.title = "CREATED"},
                                            {.title = "SIZE", .right = true},
                                            {.title = "STORED", .right = true},
                                            {.title = "WARN", .right = true},
                                            {.title = "NAME"}};
    enum { WARNINGS = 6, COLUMNS = 8 };
    const char **ids = mos_arena_array(cli->arena, const char *, count + 1);
    bool warnings = false;
    for (size_t i = 0; i < count; i++) {
        ids[i] = backups[i]->id;
        warnings = warnings || backups[i]->warnings > 0;
    }
    int id_columns = mos_cli_id_columns(cli, ids, count);
    struct mos_column columns[COLUMNS];
    memcpy(columns, all, sizeof(all));
    if (!warnings) {
        columns[WARNINGS] = columns[WARNINGS + 1];
    }
    mos_table *table = mos_table_create(cli->arena, columns, warnings ? COLUMNS : COLUMNS - 1);
    for (size_t i = 0; i < count; i++) {
        const api_backup *backup = backups[i];
        char created[MOS_SHORT_TEXT_BYTES];
        mos_minute_format(mos_cli_seconds(backup->created_at), created);
        bool sized = backup->size > 0 || backup->encrypted_size > 0;
        mos_table_cellf(table, "%.*s", id_columns, backup->id);
        mos_table_cell(table, mos_cli_word(cli, API_TYPES, (int)backup->type));
        mos_table_cell(table, mos_cli_word(cli, API_BACKUP_STATUSES, (int)backup->status));
        mos_table_cell(table, created);
        mos_table_cell(table, sized ? mos_cli_size(cli, backup->size) : "-");
        mos_table_cell(table, sized ? mos_cli_size(cli, backup->encrypted_size) : "-");
        if (warnings) {
            mos_table_cell(table, backup->warnings > 0 ? mos_cli_count(cli, backup->warnings) : "-");
        }
        mos_table_cell(table, backup->name);
    }
    mos_table_print(table, &cli->out);
}

int mos_backup_list(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(ListBackupsRequest) request = API_INIT(LIST_BACKUPS_REQUEST);
    int type = 0, wanted_status = 0;
    int64_t limit = DEFAULT_LIST_LIMIT;
    mos_status status = mos_arguments_enum(&cli->arguments, "type", API_TYPES, &type, &error);
    if (status == MOS_OK) {
        status = mos_arguments_enum(&cli->arguments, "status", API_BACKUP_STATUSES, &wanted_status, &error);
    }
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "limit", 1, 1000000, &limit, &error);
    }
    request.type = (Mosaajii__Backup__V1__Backup__Type)type;
    request.status = (Mosaajii__Backup__V1__Backup__Status)wanted_status;
    request.tags = mos_arguments_values(&cli->arguments, "tag", cli->arena, &request.n_tags);
    api_backup **all = mos_arena_array(cli->arena, api_backup *, (size_t)limit);
    size_t count = 0;
    while (status == MOS_OK && count < (size_t)limit) {
        size_t left = (size_t)limit - count;
        request.page_size = (int32_t)(left < PAGE_SIZE ? left : PAGE_SIZE);
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        API(ListBackupsResponse) * page;
        status = api_backup_service(list_backups)(mos_client_channel(cli->client), &options, &request, cli->arena, &page, &error);
        if (status != MOS_OK) {
            break;
        }
        for (size_t i = 0; i < page->n_backups && count < (size_t)limit; i++) {
            all[count++] = page->backups[i];
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
        bool filtered = type || wanted_status || request.n_tags;
        fprintf(stderr, "%s\n",
                filtered ? "No backup is like that." : "There is no backup yet. Take one: mosaajii backup create --type FILES");
    }
    if (*request.page_token) {
        fprintf(stderr, "There are more; --limit %" PRId64 " shows twice as many.\n", 2 * limit);
    }
    return MOS_EXIT_DONE;
}

static const char *database_text(struct mos_cli *cli, const api_database *database) {
    int64_t rows = 0;
    for (size_t i = 0; i < database->n_tables; i++) {
        rows += database->tables[i]->rows;
    }
    return mos_arena_printf(cli->arena, "%s (%s, %s): %s, %s", database->name, mos_cli_word(cli, API_ENGINES, (int)database->engine),
                            database->origin, mos_cli_plural(cli, (int64_t)database->n_tables, "table", "tables"),
                            mos_cli_plural(cli, rows, "row", "rows"));
}

static const char *join(struct mos_cli *cli, char *const *texts, size_t count) {
    const char *joined = "";
    for (size_t i = 0; i < count; i++) {
        joined = mos_arena_printf(cli->arena, "%s%s%s", joined, i ? ", " : "", texts[i]);
    }
    return joined;
}

static void print_backup(struct mos_cli *cli, const api_backup *backup) {
    mos_table *facts = mos_facts_create(cli->arena);
    const api_statistics *statistics = backup->statistics;
    mos_fact(facts, "Backup", backup->id);
    mos_fact(facts, "Name", backup->name);
    mos_fact(facts, "Type", mos_cli_word(cli, API_TYPES, (int)backup->type));
    mos_fact(facts, "Status", mos_cli_word(cli, API_BACKUP_STATUSES, (int)backup->status));
    mos_fact(facts, "Message", backup->message);
    if (backup->warnings > 0) {
        mos_fact(facts, "Warnings",
                 mos_arena_printf(cli->arena, "%s changed, vanished or could not be read",
                                  mos_cli_plural(cli, backup->warnings, "file", "files")));
    }
    mos_fact(facts, "Created",
             mos_arena_printf(cli->arena, "%s%s%s", mos_cli_moment(cli, backup->created_at), *backup->created_by ? " by " : "",
                              backup->created_by));
    if (backup->completed_at) {
        mos_fact(facts, "Completed", mos_cli_moment(cli, backup->completed_at));
    }
    if (backup->verified_at) {
        mos_fact(facts, "Verified", mos_cli_moment(cli, backup->verified_at));
    }
    if (backup->expires_at) {
        mos_fact(facts, "Expires",
                 mos_arena_printf(cli->arena, "%s (kept %s)", mos_cli_moment(cli, backup->expires_at),
                                  mos_cli_plural(cli, backup->retention_days, "day", "days")));
    }
    if (backup->locked_until) {
        mos_fact(facts, "Locked", mos_arena_printf(cli->arena, "until %s", mos_cli_moment(cli, backup->locked_until)));
    }
    mos_fact(facts, "Hold", backup->legal_hold ? "nobody may delete it" : "");
    mos_fact(facts, "Quarantine", backup->quarantined ? backup->quarantine_reason : "");
    if (backup->size > 0 || backup->encrypted_size > 0) {
        mos_fact(facts, "Content", content_text(cli, backup));
        mos_fact(facts, "Stored", stored_text(cli, backup));
    }
    if (statistics && backup->encrypted_size > 0) {
        mos_fact(facts, "Written", mos_arena_printf(cli->arena, "%s new to the repository", mos_cli_size(cli, statistics->bytes_written)));
        mos_fact(facts, "Took", took_text(cli, statistics));
    }
    mos_fact(facts, "Changes", change_text(cli, backup));
    for (size_t i = 0; i < backup->n_databases; i++) {
        mos_fact(facts, "Database", database_text(cli, backup->databases[i]));
    }
    mos_fact(facts, "Tags", join(cli, backup->tags, backup->n_tags));
    for (size_t i = 0; i < backup->n_metadata; i++) {
        char *key = mos_arena_strdup(cli->arena, backup->metadata[i]->key);
        key[0] = key[0] >= 'a' && key[0] <= 'z' ? (char)(key[0] - 'a' + 'A') : key[0];
        mos_fact(facts, key, backup->metadata[i]->value);
    }
    mos_fact(facts, "Key", backup->key_id);
    mos_fact(facts, "Checksum", backup->checksum);
    mos_fact(facts, "Manifest", backup->encrypted_location);
    mos_facts_print(facts, &cli->out);
}

// The id that the command's first word names.
static mos_status first_backup(struct mos_cli *cli, char out_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    return mos_cli_find_backup(cli, cli->arguments.words[0], false, out_id, error);
}

int mos_backup_show(struct mos_cli *cli) {
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES];
    api_backup *backup;
    mos_status status = first_backup(cli, id, &error);
    if (status == MOS_OK) {
        status = mos_backup_get(cli, id, &backup, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&backup->base);
    } else {
        print_backup(cli, backup);
    }
    return MOS_EXIT_DONE;
}

// ---- watch, cancel, delete ----

int mos_backup_watch(struct mos_cli *cli) {
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES];
    int64_t after = 0;
    api_backup *backup;
    mos_status status = mos_arguments_number(&cli->arguments, "after", 0, INT64_MAX, &after, &error);
    if (status == MOS_OK) {
        status = first_backup(cli, id, &error);
    }
    if (status == MOS_OK) {
        // So that a server that is not there is told at once, not after a minute of trying.
        status = mos_backup_get(cli, id, &backup, &error);
    }
    struct mos_followed followed = {0};
    if (status == MOS_OK) {
        struct mos_follow follow = {.backup_id = id, .after_sequence = after, .terminal = cli->out, .json = cli->json};
        status = mos_follow_events(cli, &follow, &followed, &error);
    }
    return status == MOS_OK ? mos_follow_exit(&followed) : mos_cli_fail(cli, &error);
}

int mos_backup_cancel(struct mos_cli *cli) {
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES];
    api_backup *backup;
    mos_status status = first_backup(cli, id, &error);
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        API(CancelBackupRequest) request = API_INIT(CANCEL_BACKUP_REQUEST);
        request.backup_id = id;
        status = api_backup_service(cancel_backup)(mos_client_channel(cli->client), &options, &request, cli->arena, &backup, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&backup->base);
    } else {
        printf("Backup %s is being stopped; what was already written is reused by the next one.\n", id);
    }
    return MOS_EXIT_DONE;
}

static bool agreed(struct mos_cli *cli, const api_backup *backup) {
    char created[MOS_SHORT_TEXT_BYTES];
    mos_minute_format(mos_cli_seconds(backup->created_at), created);
    printf("Delete the backup %s\n  \"%s\", %s, taken %s, %s?\nNobody can bring it back. [y/N] ", backup->id,
           mos_terminal_escape(cli->arena, backup->name), mos_cli_word(cli, API_TYPES, (int)backup->type), created,
           mos_cli_size(cli, backup->size));
    fflush(stdout);
    char answer[16];
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

int mos_backup_delete(struct mos_cli *cli) {
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES];
    bool yes = mos_arguments_flag(&cli->arguments, "yes");
    mos_status status = MOS_OK;
    if (strcmp(cli->arguments.words[0], "latest") == 0 && yes) {
        status = mos_fail_field(&error, "id", "with --yes a backup is deleted by its id, not as \"latest\"");
    } else if (!yes && !mos_cli_somebody_there()) {
        status = mos_fail_field(&error, "yes", "nobody is there to ask whether to delete the backup; --yes says so");
    } else {
        status = first_backup(cli, id, &error);
    }
    if (status == MOS_OK && !yes) {
        api_backup *backup;
        status = mos_backup_get(cli, id, &backup, &error);
        if (status == MOS_OK && !agreed(cli, backup)) {
            printf("Nothing was deleted.\n");
            return MOS_EXIT_FAILED;
        }
    }
    API(DeleteBackupResponse) * response;
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_patient(cli);
        API(DeleteBackupRequest) request = API_INIT(DELETE_BACKUP_REQUEST);
        request.backup_id = id;
        status = api_backup_service(delete_backup)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
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
