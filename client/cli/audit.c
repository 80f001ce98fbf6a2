#include "cli/audit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "common/id.h"
#include "control/audit/chain.h"
#include "mosaajii/backup/v1/admin.grpc-client.h"

// ---- list ----

static const char *details_text(struct mos_cli *cli, const API(AuditEntry) * entry) {
    char *text = (char *)"";
    for (size_t i = 0; i < entry->n_details; i++) {
        text = mos_arena_printf(cli->arena, "%s%s%s=%s", text, i > 0 ? " " : "", entry->details[i]->key, entry->details[i]->value);
    }
    return text;
}

static void print_entries(struct mos_cli *cli, API(AuditEntry) *const *entries, size_t count) {
    static const struct mos_column columns[] = {{.title = "ENTRY", .right = true},
                                                {.title = "TIME"},
                                                {.title = "ACTOR"},
                                                {.title = "ADDRESS"},
                                                {.title = "ACTION"},
                                                {.title = "RESULT"},
                                                {.title = "RESOURCE"},
                                                {.title = "DETAILS"}};
    mos_table *table = mos_table_create(cli->arena, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < count; i++) {
        mos_table_cell(table, mos_cli_count(cli, entries[i]->sequence));
        mos_table_cell(table, mos_cli_moment(cli, entries[i]->time));
        mos_table_cell(table, entries[i]->actor);
        mos_table_cell(table, entries[i]->ip_address);
        mos_table_cell(table, entries[i]->action);
        mos_table_cell(table, entries[i]->result);
        mos_table_cell(table, entries[i]->resource);
        mos_table_cell(table, details_text(cli, entries[i]));
    }
    mos_table_print(table, &cli->out);
}

int mos_audit_list(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListAuditEntriesRequest) request = API_INIT(LIST_AUDIT_ENTRIES_REQUEST);
    API(ListAuditEntriesResponse) * response;
    int64_t limit = 50;
    const char *actor = mos_arguments_value(&cli->arguments, "actor");
    const char *action = mos_arguments_value(&cli->arguments, "action");
    const char *resource = mos_arguments_value(&cli->arguments, "resource");
    mos_status status = mos_arguments_number(&cli->arguments, "limit", 1, 1000, &limit, &error);
    request.page_size = (int32_t)limit;
    request.actor = (char *)(actor ? actor : "");
    request.action = (char *)(action ? action : "");
    request.resource = (char *)(resource ? resource : "");
    if (status == MOS_OK) {
        status = api_admin_service(list_audit_entries)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->entries, response->n_entries);
    } else {
        print_entries(cli, response->entries, response->n_entries);
    }
    return MOS_EXIT_DONE;
}

// ---- export ----

static mos_status write_export(struct mos_cli *cli, FILE *out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_patient(cli);
    API(ExportAuditRequest) request = API_INIT(EXPORT_AUDIT_REQUEST);
    mos_rpc_stream *stream;
    mos_status status = mos_arguments_number(&cli->arguments, "after", 0, INT64_MAX, &request.after_sequence, error);
    if (status == MOS_OK) {
        status = api_admin_service(export_audit_open)(mos_client_channel(cli->client), &options, &request, &stream, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    const API(AuditChunk) *chunk = NULL;
    while ((status = api_admin_service(export_audit_receive)(stream, &chunk, error)) == MOS_OK && chunk) {
        if (fwrite(chunk->data.data, 1, chunk->data.len, out) != chunk->data.len) {
            status = mos_fail_errno(error, errno, "writing the export");
            break;
        }
    }
    mos_status end = mos_rpc_stream_finish(stream, status == MOS_OK ? error : NULL);
    return status == MOS_OK ? end : status;
}

int mos_audit_export(struct mos_cli *cli) {
    struct mos_error error = {0};
    const char *path = cli->arguments.word_count > 0 ? cli->arguments.words[0] : NULL;
    FILE *out = path ? fopen(path, "wxe") : stdout;
    if (!out) {
        mos_fail_errno(&error, errno, "%s cannot be made", path);
        return mos_cli_fail(cli, &error);
    }
    mos_status status = write_export(cli, out, &error);
    if (path && fclose(out) != 0 && status == MOS_OK) {
        status = mos_fail_errno(&error, errno, "writing %s", path);
    }
    if (status != MOS_OK) {
        if (path) {
            remove(path);
        }
        return mos_cli_fail(cli, &error);
    }
    return MOS_EXIT_DONE;
}

// ---- verify ----

static int answer(struct mos_cli *cli, bool valid, int64_t entries, int64_t checkpoints, int64_t first_bad, const char *message) {
    if (cli->json) {
        API(AuditVerification) verification = API_INIT(AUDIT_VERIFICATION);
        verification.valid = valid;
        verification.entries_checked = entries;
        verification.checkpoints_checked = checkpoints;
        verification.first_bad_sequence = first_bad;
        verification.message = (char *)message;
        mos_cli_print_json(&verification.base);
    } else if (valid) {
        printf("The trail is whole: %s, %s.\n", mos_cli_plural(cli, entries, "entry", "entries"),
               mos_cli_plural(cli, checkpoints, "signed checkpoint", "signed checkpoints"));
    } else {
        printf("The trail is not what was written: %s.\n", mos_terminal_escape(cli->arena, message));
    }
    return valid ? MOS_EXIT_DONE : MOS_EXIT_FAILED;
}

static int verify_at_server(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_patient(cli);
    API(VerifyAuditRequest) request = API_INIT(VERIFY_AUDIT_REQUEST);
    API(AuditVerification) * found;
    if (api_admin_service(verify_audit)(mos_client_channel(cli->client), &options, &request, cli->arena, &found, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    return answer(cli, found->valid, found->entries_checked, found->checkpoints_checked, found->first_bad_sequence, found->message);
}

// The key itself, or a file with it.
static mos_status read_key(const char *text, uint8_t out[MOS_AUDIT_PUBLIC_KEY_BYTES], struct mos_error *error) {
    char line[2 * MOS_AUDIT_PUBLIC_KEY_BYTES + 2] = "";
    if (mos_hex_decode(text, out, MOS_AUDIT_PUBLIC_KEY_BYTES)) {
        return MOS_OK;
    }
    FILE *file = fopen(text, "re");
    if (!file) {
        return mos_fail_errno(error, errno, "--key %s is neither 64 hexadecimal digits nor a file", text);
    }
    size_t length = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    line[strcspn(line, "\n")] = 0;
    return length > 0 && mos_hex_decode(line, out, MOS_AUDIT_PUBLIC_KEY_BYTES)
               ? MOS_OK
               : mos_fail(error, MOS_INVALID_ARGUMENT, "%s holds no public key: 64 hexadecimal digits", text);
}

// The newest checkpoint of the folder beside the backups.
static mos_status newest_checkpoint(const char *path, const struct mos_audit_verifier *verifier, struct mos_audit_checkpoint *out,
                                    struct mos_error *error) {
    DIR *folder = opendir(path);
    if (!folder) {
        return mos_fail_errno(error, errno, "--checkpoints %s cannot be read", path);
    }
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        uint8_t object[MOS_AUDIT_OBJECT_BYTES + 1];
        struct mos_audit_checkpoint found;
        char name[4500];
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(name, "re");
        size_t size_bytes = file ? fread(object, 1, sizeof(object), file) : 0;
        if (file) {
            fclose(file);
        }
        bool ours = mos_audit_decode_checkpoint(object, size_bytes, &found) && mos_audit_signed(&found) &&
                    (!verifier->has_key || memcmp(found.public_key, verifier->key, sizeof(verifier->key)) == 0);
        if (ours && found.sequence > out->sequence) {
            *out = found;
        }
    }
    closedir(folder);
    return MOS_OK;
}

static mos_status verify_lines(FILE *file, const char *path, struct mos_audit_verifier *verifier, const struct mos_audit_checkpoint *beside,
                               struct mos_error *error) {
    MOS_CLEANUP_FREE char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    bool empty = true;
    while ((length = getline(&line, &capacity, file)) > 0) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_audit_line parsed;
        bool good = line[length - 1] == '\n' && mos_audit_parse_line(line, (size_t)length - 1, arena, &parsed);
        empty = false;
        if (!good) {
            mos_audit_verify_nonsense(verifier);
        } else if (parsed.is_checkpoint) {
            mos_audit_verify_checkpoint(verifier, &parsed.checkpoint);
        } else {
            mos_audit_verify_entry(verifier, &parsed.entry);
            if (beside->sequence == parsed.entry.sequence) {
                mos_audit_verify_checkpoint(verifier, beside);
            }
        }
    }
    if (ferror(file)) {
        return mos_fail_errno(error, errno, "reading %s", path);
    }
    return !empty ? MOS_OK : mos_fail(error, MOS_INVALID_ARGUMENT, "%s is empty", path);
}

static int verify_file(struct mos_cli *cli, const char *path) {
    struct mos_error error = {0};
    struct mos_audit_verifier verifier = {0};
    struct mos_audit_checkpoint beside = {0};
    const char *key = mos_arguments_value(&cli->arguments, "key");
    const char *checkpoints = mos_arguments_value(&cli->arguments, "checkpoints");
    uint8_t wanted[MOS_AUDIT_PUBLIC_KEY_BYTES];
    int64_t after = 0;
    mos_status status = key ? read_key(key, wanted, &error) : MOS_OK;
    if (status == MOS_OK) {
        status = mos_arguments_number(&cli->arguments, "after", 0, INT64_MAX, &after, &error);
    }
    // What stands before the first entry of a part is taken as that says.
    mos_audit_verify_begin(&verifier, after, NULL, key ? wanted : NULL);
    if (status == MOS_OK && checkpoints) {
        status = newest_checkpoint(checkpoints, &verifier, &beside, &error);
    }
    FILE *file = status == MOS_OK ? fopen(path, "re") : NULL;
    if (status == MOS_OK && !file) {
        status = mos_fail_errno(&error, errno, "%s cannot be read", path);
    }
    if (status == MOS_OK) {
        status = verify_lines(file, path, &verifier, &beside, &error);
    }
    if (file) {
        fclose(file);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (beside.sequence > verifier.sequence) {
        mos_audit_verify_checkpoint(&verifier, &beside);
    }
    mos_audit_verify_end(&verifier, true);
    if (!cli->json && !key && verifier.has_key) {
        char text[2 * MOS_AUDIT_PUBLIC_KEY_BYTES + 1];
        mos_hex_encode(verifier.key, sizeof(verifier.key), text);
        fprintf(stderr, "Signed by %s; compare that with keys/audit.key.pub of the server, or give it with --key.\n", text);
    }
    return answer(cli, verifier.first_bad == 0, verifier.entries, verifier.checkpoints, verifier.first_bad,
                  verifier.first_bad ? verifier.message : "all entries fit");
}

int mos_audit_verify(struct mos_cli *cli) {
    return cli->arguments.word_count > 0 ? verify_file(cli, cli->arguments.words[0]) : verify_at_server(cli);
}
