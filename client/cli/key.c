#include "cli/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/follow.h"
#include "common/buffer.h"
#include "mosaajii/backup/v1/admin.grpc-client.h"

enum { LONGEST_PASSPHRASE = 1024, LARGEST_ESCROW = 4 << 20 };

int mos_key_rotate(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_patient(cli);
    API(RotateKeyRequest) request = API_INIT(ROTATE_KEY_REQUEST);
    API(RotateKeyResponse) * response;
    if (api_admin_service(rotate_key)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&response->base);
        return MOS_EXIT_DONE;
    }
    printf("The key %s wraps new backups; job %s rewraps the others.\n", response->key->id, response->job->id);
    if (mos_arguments_flag(&cli->arguments, "no-wait")) {
        return MOS_EXIT_DONE;
    }
    struct mos_followed followed = {0};
    const struct mos_follow follow = {.job_id = response->job->id, .terminal = cli->err};
    mos_status status = mos_follow_events(cli, &follow, &followed, &error);
    return status == MOS_OK ? mos_follow_exit(&followed) : mos_cli_fail(cli, &error);
}

int mos_key_retire(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_patient(cli);
    API(RetireKeyRequest) request = API_INIT(RETIRE_KEY_REQUEST);
    api_key *key;
    if (!mos_arguments_flag(&cli->arguments, "yes")) {
        mos_fail_field(&error, "yes", "a retired key is gone for good; --yes says that this is meant");
        return mos_cli_fail(cli, &error);
    }
    request.key_id = (char *)cli->arguments.words[0];
    if (api_admin_service(retire_key)(mos_client_channel(cli->client), &options, &request, cli->arena, &key, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&key->base);
    } else {
        printf("The key %s is destroyed.\n", mos_terminal_escape(cli->arena, key->id));
    }
    return MOS_EXIT_DONE;
}

// The first line of the file, or of standard input. Wipe it after use.
static mos_status read_passphrase(struct mos_cli *cli, char out[LONGEST_PASSPHRASE + 2], struct mos_error *error) {
    const char *path = mos_arguments_value(&cli->arguments, "passphrase-file");
    FILE *file = path ? fopen(path, "re") : stdin;
    if (!file) {
        return mos_fail_errno(error, errno, "%s cannot be read", path);
    }
    // Unbuffered: no copy stays in memory that is not ours.
    setvbuf(file, NULL, _IONBF, 0);
    bool got = fgets(out, LONGEST_PASSPHRASE + 2, file) != NULL;
    if (path) {
        fclose(file);
    }
    if (!got) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "there is no passphrase in %s", path ? path : "standard input");
    }
    out[strcspn(out, "\r\n")] = 0;
    return MOS_OK;
}

static mos_status write_escrow(const char *path, const ProtobufCBinaryData *content, struct mos_error *error) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "%s cannot be made", path);
    }
    bool written = write(descriptor, content->data, content->len) == (ssize_t)content->len && fsync(descriptor) == 0;
    int reason = errno;
    close(descriptor);
    if (!written) {
        unlink(path);
        return mos_fail_errno(error, reason, "writing %s", path);
    }
    return MOS_OK;
}

int mos_key_export(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_patient(cli);
    char passphrase[LONGEST_PASSPHRASE + 2] = "";
    API(ExportKeysRequest) request = API_INIT(EXPORT_KEYS_REQUEST);
    API(KeyEscrow) * escrow;
    mos_status status = read_passphrase(cli, passphrase, &error);
    request.passphrase = passphrase;
    if (status == MOS_OK) {
        status = api_admin_service(export_keys)(mos_client_channel(cli->client), &options, &request, cli->arena, &escrow, &error);
    }
    explicit_bzero(passphrase, sizeof(passphrase));
    if (status == MOS_OK) {
        status = write_escrow(cli->arguments.words[0], &escrow->content, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    fprintf(stderr, "Keep it away from the backups, and the passphrase away from it.\n");
    return MOS_EXIT_DONE;
}

static void show_import(struct mos_cli *cli, const API(ImportKeysResponse) * response) {
    const char *holds = mos_cli_plural(cli, (int64_t)response->n_keys, "key version", "key versions");
    if (response->n_added == 0) {
        printf("Nothing was added: the keyring had all versions of the copy. It holds %s.\n", holds);
        return;
    }
    printf("Added %s: ", mos_cli_plural(cli, (int64_t)response->n_added, "key version", "key versions"));
    for (size_t i = 0; i < response->n_added; i++) {
        printf("%s%s", i ? ", " : "", mos_terminal_escape(cli->arena, response->added[i]));
    }
    printf(". The keyring holds %s.\n", holds);
}

int mos_key_import(struct mos_cli *cli) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_patient(cli);
    char passphrase[LONGEST_PASSPHRASE + 2] = "";
    const char *path = cli->arguments.words[0];
    API(ImportKeysRequest) request = API_INIT(IMPORT_KEYS_REQUEST);
    API(ImportKeysResponse) * response;
    MOS_CLEANUP_FREE uint8_t *content = mos_malloc(LARGEST_ESCROW);
    FILE *file = fopen(path, "re");
    mos_status status = file ? read_passphrase(cli, passphrase, &error) : mos_fail_errno(&error, errno, "%s cannot be read", path);
    if (file) {
        request.content = (ProtobufCBinaryData){.data = content, .len = fread(content, 1, LARGEST_ESCROW, file)};
        fclose(file);
    }
    request.passphrase = passphrase;
    if (status == MOS_OK) {
        status = api_admin_service(import_keys)(mos_client_channel(cli->client), &options, &request, cli->arena, &response, &error);
    }
    explicit_bzero(passphrase, sizeof(passphrase));
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json_list((const ProtobufCMessage *const *)(const void *)response->keys, response->n_keys);
    } else {
        show_import(cli, response);
    }
    return MOS_EXIT_DONE;
}
