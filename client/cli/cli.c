#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "lib/json.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

#define QUICK_TIMEOUT_MS 30000
#define PREFIX_LEAST 4
// The first 13 characters of an id of version 7 hold its time to the millisecond.
#define SHORT_ID_LEAST 13

enum mos_exit mos_exit_of(mos_status status) {
    switch (status) {
    case MOS_OK:
        return MOS_EXIT_DONE;
    case MOS_INVALID_ARGUMENT:
        return MOS_EXIT_USAGE;
    case MOS_NOT_FOUND:
        return MOS_EXIT_NOT_FOUND;
    case MOS_PERMISSION_DENIED:
    case MOS_UNAUTHENTICATED:
        return MOS_EXIT_NOT_ALLOWED;
    case MOS_UNAVAILABLE:
    case MOS_DEADLINE_EXCEEDED:
        return MOS_EXIT_NOT_REACHABLE;
    default:
        return MOS_EXIT_FAILED;
    }
}

int mos_cli_fail(const struct mos_cli *cli, struct mos_error *error) {
    bool server_away = strcmp(error->field, MOS_RPC_NO_SERVER) == 0;
    if (cli && cli->client) {
        mos_client_explain(cli->client, error);
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *message = error->message[0] ? error->message : mos_status_phrase(error->status);
    fprintf(stderr, "mosaajii: %s\n", mos_terminal_escape(arena, message));
    // A server that says that something else is away was reached.
    return error->status == MOS_UNAVAILABLE && !server_away ? MOS_EXIT_FAILED : mos_exit_of(error->status);
}

struct mos_rpc_call_options mos_cli_quick(const struct mos_cli *cli) {
    return mos_client_options(cli->client, QUICK_TIMEOUT_MS);
}

struct mos_rpc_call_options mos_cli_patient(const struct mos_cli *cli) {
    return mos_client_options(cli->client, 0);
}

static void print_buffer(struct mos_buffer *buffer) {
    mos_buffer_append_byte(buffer, '\n');
    fwrite(buffer->data, 1, buffer->size_bytes, stdout);
}

void mos_cli_print_json(const ProtobufCMessage *message) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    mos_json_append(&text, message, true);
    print_buffer(&text);
}

void mos_cli_print_json_list(const ProtobufCMessage *const *messages, size_t count) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    mos_json_append_list(&text, messages, count, true);
    print_buffer(&text);
}

// One page of ids, newest first; `state` is the page's token and, at the end, empty.
struct id_page {
    const char **ids;
    size_t count;
    const char *next;
};

typedef mos_status list_ids(struct mos_cli *cli, const char *token, int page_size, bool complete, struct id_page *out,
                            struct mos_error *error);

static mos_status list_backup_ids(struct mos_cli *cli, const char *token, int page_size, bool complete, struct id_page *out,
                                  struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListBackupsRequest) request = API_INIT(LIST_BACKUPS_REQUEST);
    request.page_size = page_size;
    request.page_token = (char *)token;
    API(ListBackupsResponse) * response;
    mos_status status = api_backup_service(list_backups)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, error);
    if (status != MOS_OK) {
        return status;
    }
    *out = (struct id_page){.ids = mos_arena_array(cli->arena, const char *, response->n_backups), .next = response->next_page_token};
    for (size_t i = 0; i < response->n_backups; i++) {
        Mosaajii__Backup__V1__Backup__Status state = response->backups[i]->status;
        bool readable = state == API_WORD(BACKUP__STATUS__COMPLETED) || state == API_WORD(BACKUP__STATUS__VERIFIED) ||
                        state == API_WORD(BACKUP__STATUS__VERIFYING) || state == API_WORD(BACKUP__STATUS__EXPIRED);
        if (readable || !complete) {
            out->ids[out->count++] = response->backups[i]->id;
        }
    }
    return MOS_OK;
}

static mos_status list_job_ids(struct mos_cli *cli, const char *token, int page_size, bool complete, struct id_page *out,
                               struct mos_error *error) {
    (void)complete;
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListJobsRequest) request = API_INIT(LIST_JOBS_REQUEST);
    request.page_size = page_size;
    request.page_token = (char *)token;
    API(ListJobsResponse) * response;
    mos_status status = api_backup_service(list_jobs)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, error);
    if (status != MOS_OK) {
        return status;
    }
    *out = (struct id_page){.ids = mos_arena_array(cli->arena, const char *, response->n_jobs), .next = response->next_page_token};
    for (size_t i = 0; i < response->n_jobs; i++) {
        out->ids[out->count++] = response->jobs[i]->id;
    }
    return MOS_OK;
}

static mos_status find(struct mos_cli *cli, const char *what, list_ids *list, const char *text, bool complete,
                       char out_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    size_t length = strlen(text);
    bool latest = strcmp(text, "latest") == 0;
    if (!latest && mos_id_valid(text)) {
        memcpy(out_id, text, length + 1);
        return MOS_OK;
    }
    if (!latest && (length >= MOS_ID_TEXT_BYTES || strspn(text, "0123456789abcdef-") != length)) {
        return mos_fail(error, MOS_NOT_FOUND, "no %s has the id \"%.100s\"", what, text);
    }
    if (!latest && length < PREFIX_LEAST) {
        return mos_fail_field(error, "id", "\"%s\" is too short for an id; give at least %d characters of it, or latest", text,
                              PREFIX_LEAST);
    }
    const char *token = "";
    out_id[0] = 0;
    do {
        struct id_page page;
        mos_status status = list(cli, token, latest ? 20 : 500, complete, &page, error);
        if (status != MOS_OK) {
            return status;
        }
        for (size_t i = 0; i < page.count; i++) {
            if (!latest && strncmp(page.ids[i], text, length) != 0) {
                continue;
            }
            if (out_id[0]) {
                return mos_fail_field(error, "id", "several %ss have an id that begins with %s; give more of it", what, text);
            }
            snprintf(out_id, MOS_ID_TEXT_BYTES, "%s", page.ids[i]);
            if (latest) {
                return MOS_OK;
            }
        }
        token = page.next;
    } while (*token);
    if (out_id[0]) {
        return MOS_OK;
    }
    return latest ? mos_fail(error, MOS_NOT_FOUND, "there is no %s%s yet", complete ? "complete " : "", what)
                  : mos_fail(error, MOS_NOT_FOUND, "no %s has an id that begins with %s", what, text);
}

mos_status mos_cli_find_backup(struct mos_cli *cli, const char *text, bool complete, char out_id[MOS_ID_TEXT_BYTES],
                               struct mos_error *error) {
    return find(cli, "backup", list_backup_ids, text, complete, out_id, error);
}

mos_status mos_cli_find_job(struct mos_cli *cli, const char *text, char out_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    return find(cli, "job", list_job_ids, text, false, out_id, error);
}

int mos_cli_id_columns(const struct mos_cli *cli, const char *const *ids, size_t count) {
    if (!cli->out.interactive) {
        return MOS_ID_TEXT_BYTES - 1;
    }
    int columns = SHORT_ID_LEAST;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            while (columns < MOS_ID_TEXT_BYTES - 1 && strncmp(ids[i], ids[k], (size_t)columns) == 0) {
                columns++;
            }
        }
    }
    return columns;
}

const char *mos_cli_word(struct mos_cli *cli, const ProtobufCEnumDescriptor *descriptor, int value) {
    const ProtobufCEnumValue *word = value ? protobuf_c_enum_descriptor_get_value(descriptor, value) : NULL;
    return word ? word->name : value ? mos_arena_printf(cli->arena, "%d", value) : "-";
}

int64_t mos_cli_seconds(const Google__Protobuf__Timestamp *time) {
    return time ? time->seconds : 0;
}

const char *mos_cli_plural(struct mos_cli *cli, int64_t count, const char *one, const char *many) {
    return mos_arena_printf(cli->arena, "%s %s", mos_cli_count(cli, count), count == 1 ? one : many);
}

const char *mos_cli_size(struct mos_cli *cli, int64_t bytes) {
    char *text = mos_arena_alloc(cli->arena, MOS_SIZE_TEXT_BYTES);
    mos_size_format(bytes, text);
    return text;
}

const char *mos_cli_count(struct mos_cli *cli, int64_t count) {
    char *text = mos_arena_alloc(cli->arena, MOS_SHORT_TEXT_BYTES);
    mos_count_format(count, text);
    return text;
}

const char *mos_cli_duration(struct mos_cli *cli, int64_t duration_ms) {
    char *text = mos_arena_alloc(cli->arena, MOS_SHORT_TEXT_BYTES);
    mos_duration_format(duration_ms, text);
    return text;
}

const char *mos_cli_moment(struct mos_cli *cli, const Google__Protobuf__Timestamp *time) {
    char *text = mos_arena_alloc(cli->arena, MOS_SHORT_TEXT_BYTES);
    mos_moment_format(mos_cli_seconds(time), text);
    return text;
}

bool mos_cli_somebody_there(void) {
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}
