#include "cli/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "common/clock.h"
#include "mosaajii/backup/v1/admin.grpc-client.h"

#define PAGE_SIZE 200

// ---- token ----

int mos_token_create(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(CreateTokenRequest) request = API_INIT(CREATE_TOKEN_REQUEST);
    Google__Protobuf__Timestamp expires = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    const char *name = mos_arguments_value(&cli->arguments, "name");
    int role = 0;
    int64_t days = 0;
    mos_status status = mos_arguments_enum(&cli->arguments, "role", API_ROLES, &role, &error);
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "days", 1, 36500, &days, &error);
    }
    if (status == MOS_OK && (!name || !role)) {
        status = mos_fail(&error, MOS_INVALID_ARGUMENT, "--%s is missing; see mosaajii token create --help", name ? "role" : "name");
    }
    request.name = (char *)(name ? name : "");
    request.role = (Mosaajii__Backup__V1__Token__Role)role;
    request.rights = mos_arguments_values(&cli->arguments, "right", cli->arena, &request.n_rights);
    if (days > 0) {
        expires.seconds = mos_now_unix_ns() / MOS_NS_PER_SECOND + days * 86400;
        request.expires_at = &expires;
    }
    API(CreateTokenResponse) * response;
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        status = api_admin_service(create_token)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&response->base);
    } else {
        printf("%s\n", mos_terminal_escape(cli->arena, response->secret));
        fprintf(stderr, "This is the only time the token is shown; whoever has it is \"%s\".\n", mos_terminal_escape(cli->arena, name));
    }
    return MOS_EXIT_DONE;
}

static void print_tokens(struct mos_cli *cli, api_token *const *tokens, size_t count) {
    static const struct mos_column columns[] = {{.title = "ID"},
                                                {.title = "NAME"},
                                                {.title = "ROLE"},
                                                {.title = "CREATED"},
                                                {.title = "EXPIRES"},
                                                {.title = "LAST USED"},
                                                {.title = "STATE", .status = true}};
    mos_table *table = mos_table_create(cli->arena, columns, 7);
    int64_t now = mos_now_unix_ns() / MOS_NS_PER_SECOND;
    for (size_t i = 0; i < count; i++) {
        const api_token *token = tokens[i];
        char created[MOS_SHORT_TEXT_BYTES], expires[MOS_SHORT_TEXT_BYTES], used[MOS_SHORT_TEXT_BYTES];
        mos_minute_format(mos_cli_seconds(token->created_at), created);
        mos_minute_format(mos_cli_seconds(token->expires_at), expires);
        mos_minute_format(mos_cli_seconds(token->last_used_at), used);
        const char *rights = "";
        for (size_t k = 0; k < token->n_rights; k++) {
            rights = mos_arena_printf(cli->arena, "%s+%s", rights, token->rights[k]);
        }
        mos_table_cell(table, token->id);
        mos_table_cell(table, token->name);
        mos_table_cellf(table, "%s%s", mos_cli_word(cli, API_ROLES, (int)token->role), rights);
        mos_table_cell(table, created);
        mos_table_cell(table, token->expires_at ? expires : "never");
        mos_table_cell(table, token->last_used_at ? used : "never");
        mos_table_cell(table, token->revoked_at                                        ? "REVOKED"
                              : token->expires_at && token->expires_at->seconds <= now ? "EXPIRED"
                                                                                       : "ACTIVE");
    }
    mos_table_print(table, &cli->out);
}

int mos_token_list(struct mos_cli *cli) {
    struct mos_error error = {0};
    API(ListTokensRequest) request = API_INIT(LIST_TOKENS_REQUEST);
    request.page_size = PAGE_SIZE;
    api_token **all = NULL;
    size_t count = 0;
    do {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        API(ListTokensResponse) * page;
        if (api_admin_service(list_tokens)(mos_client_channel(cli->client), &options, &request, cli->arena, &page, &error) != MOS_OK) {
            return mos_cli_fail(cli, &error);
        }
        api_token **more = mos_arena_array(cli->arena, api_token *, count + page->n_tokens + 1);
        for (size_t i = 0; i < count; i++) {
            more[i] = all[i];
        }
        for (size_t i = 0; i < page->n_tokens; i++) {
            more[count++] = page->tokens[i];
        }
        all = more;
        request.page_token = page->next_page_token;
    } while (*request.page_token);
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)all, count);
    } else {
        print_tokens(cli, all, count);
    }
    return MOS_EXIT_DONE;
}

int mos_token_revoke(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(RevokeTokenRequest) request = API_INIT(REVOKE_TOKEN_REQUEST);
    request.token_id = (char *)cli->arguments.words[0];
    api_token *token;
    if (api_admin_service(revoke_token)(mos_client_channel(cli->client), &options, &request, cli->arena, &token, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&token->base);
    } else {
        printf("The token \"%s\" is worth nothing any more.\n", mos_terminal_escape(cli->arena, token->name));
    }
    return MOS_EXIT_DONE;
}

// ---- key ----

int mos_key_list(struct mos_cli *cli) {
    static const struct mos_column columns[] = {{.title = "KEY"},
                                                {.title = "PROVIDER"},
                                                {.title = "CREATED"},
                                                {.title = "BACKUPS", .right = true},
                                                {.title = "STATE", .status = true}};
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListKeysRequest) request = API_INIT(LIST_KEYS_REQUEST);
    API(ListKeysResponse) * response;
    if (api_admin_service(list_keys)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->keys, response->n_keys);
        return MOS_EXIT_DONE;
    }
    mos_table *table = mos_table_create(cli->arena, columns, 5);
    for (size_t i = 0; i < response->n_keys; i++) {
        const api_key *key = response->keys[i];
        char created[MOS_SHORT_TEXT_BYTES];
        mos_minute_format(mos_cli_seconds(key->created_at), created);
        mos_table_cell(table, key->id);
        mos_table_cell(table, key->provider);
        mos_table_cell(table, created);
        mos_table_cell(table, mos_cli_count(cli, key->backups));
        mos_table_cell(table, mos_cli_word(cli, API_KEY_STATES, (int)key->state));
    }
    mos_table_print(table, &cli->out);
    return MOS_EXIT_DONE;
}

// ---- status ----

static void print_sources(struct mos_cli *cli, const api_server_status *state) {
    static const struct mos_column columns[] = {
        {.title = "TYPE"}, {.title = "STATE", .status = true}, {.title = "NEWEST GOOD BACKUP"}, {.title = "SOURCE"}};
    if (state->n_sources == 0) {
        return;
    }
    mos_table *table = mos_table_create(cli->arena, columns, 4);
    for (size_t i = 0; i < state->n_sources; i++) {
        const api_source_status *source = state->sources[i];
        char newest[MOS_SHORT_TEXT_BYTES];
        mos_minute_format(mos_cli_seconds(source->newest_good_backup_at), newest);
        mos_table_cell(table, mos_cli_word(cli, API_TYPES, (int)source->type));
        mos_table_cell(table, mos_cli_word(cli, API_HEALTHS, (int)source->health));
        mos_table_cell(table, source->newest_good_backup_at ? newest : "none");
        mos_table_cell(table, source->source);
    }
    printf("\n");
    mos_table_print(table, &cli->out);
}

int mos_status_show(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetStatusRequest) request = API_INIT(GET_STATUS_REQUEST);
    api_server_status *state;
    if (api_admin_service(get_status)(mos_client_channel(cli->client), &options, &request, cli->arena, &state, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&state->base);
        return MOS_EXIT_DONE;
    }
    int64_t up_seconds = mos_now_unix_ns() / MOS_NS_PER_SECOND - mos_cli_seconds(state->started_at);
    mos_table *facts = mos_facts_create(cli->arena);
    mos_fact(facts, "Server", mos_arena_printf(cli->arena, "%s, version %s", mos_client_address(cli->client), state->version));
    if (state->started_at) {
        mos_fact(facts, "Up for",
                 mos_arena_printf(cli->arena, "%s, since %s", mos_cli_duration(cli, up_seconds < 0 ? 0 : up_seconds * 1000),
                                  mos_cli_moment(cli, state->started_at)));
    }
    mos_fact(facts, "Repository",
             mos_arena_printf(cli->arena, "%s: %s used, %s free", state->repository, mos_cli_size(cli, state->repository_bytes),
                              mos_cli_size(cli, state->free_bytes)));
    if (state->full_at) {
        mos_fact(facts, "Full", mos_arena_printf(cli->arena, "%s at the present growth", mos_cli_moment(cli, state->full_at)));
    }
    mos_fact(facts, "Backups", mos_cli_count(cli, state->backups));
    mos_fact(facts, "Jobs", mos_arena_printf(cli->arena, "%d running, %d waiting", state->jobs_running, state->jobs_waiting));
    mos_fact(facts, "Alerts",
             state->open_alerts > 0 ? mos_arena_printf(cli->arena, "%s open", mos_cli_count(cli, state->open_alerts)) : "");
    mos_facts_print(facts, &cli->out);
    print_sources(cli, state);
    return MOS_EXIT_DONE;
}

// ---- health ----

int mos_health_show(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    // Everybody may ask, and a token that is no longer good must not turn the answer.
    options.token = NULL;
    ProtobufCMessage *answer;
    const char *word;
    if (mos_client_health(cli->client, &options, cli->arena, &answer, &word, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(answer);
    } else {
        printf("%s\n", word);
    }
    return strcmp(word, "SERVING") == 0 ? MOS_EXIT_DONE : MOS_EXIT_FAILED;
}
