// Reports: the bytes that were signed, and in a last line by whom.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/dr.h"
#include "common/buffer.h"
#include "common/json.h"
#include "control/audit/chain.h"
#include "mosaajii/backup/v1/recovery.grpc-client.h"

enum { LARGEST_REPORT = 64 << 20 };

#define COMMENT_BEGIN "<!-- "
#define COMMENT_END " -->"

// ---- Writing ----

static bool put_report(FILE *out, const API(Report) * report, bool html) {
    char signature[2 * MOS_AUDIT_SIGNATURE_BYTES + 1] = "", key[2 * MOS_AUDIT_PUBLIC_KEY_BYTES + 1] = "";
    if (report->signature.len == MOS_AUDIT_SIGNATURE_BYTES && report->public_key.len == MOS_AUDIT_PUBLIC_KEY_BYTES) {
        mos_hex_encode(report->signature.data, report->signature.len, signature);
        mos_hex_encode(report->public_key.data, report->public_key.len, key);
    }
    return fwrite(report->content.data, 1, report->content.len, out) == report->content.len &&
           fprintf(out, "\n%s{\"publicKey\":\"%s\",\"signature\":\"%s\"}%s\n", html ? COMMENT_BEGIN : "", key, signature,
                   html ? COMMENT_END : "") > 0;
}

static int write_report(struct mos_cli *cli, const char *run_id) {
    struct mos_error error = {0};
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetReportRequest) request = API_INIT(GET_REPORT_REQUEST);
    API(Report) *report = NULL;
    bool html = mos_arguments_flag(&cli->arguments, "html");
    const char *path = mos_arguments_value(&cli->arguments, "to");
    request.execution_id = (char *)run_id;
    request.format = html ? API_WORD(GET_REPORT_REQUEST__FORMAT__HTML) : API_WORD(GET_REPORT_REQUEST__FORMAT__JSON);
    if (api_recovery_service(get_report)(mos_client_channel(cli->client), &options, &request, cli->arena, &report, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        mos_cli_print_json(&report->base);
        return MOS_EXIT_DONE;
    }
    FILE *out = path ? fopen(path, "wxe") : stdout;
    if (!out) {
        mos_fail_errno(&error, errno, "%s cannot be made", path);
        return mos_cli_fail(cli, &error);
    }
    bool written = put_report(out, report, html);
    if ((path && fclose(out) != 0) || !written) {
        mos_fail_errno(&error, errno, "writing the report");
        return mos_cli_fail(cli, &error);
    }
    return MOS_EXIT_DONE;
}

// ---- Checking ----

static mos_status read_file(const char *path, struct mos_buffer *out, struct mos_error *error) {
    FILE *file = fopen(path, "re");
    char bytes[65536];
    size_t got;
    if (!file) {
        return mos_fail_errno(error, errno, "%s cannot be read", path);
    }
    while ((got = fread(bytes, 1, sizeof(bytes), file)) > 0 && out->size_bytes + got <= LARGEST_REPORT) {
        mos_buffer_append(out, bytes, got);
    }
    bool failed = ferror(file) || got > 0;
    fclose(file);
    return failed ? mos_fail(error, MOS_INVALID_ARGUMENT, "%s is no report", path) : MOS_OK;
}

static mos_status read_key(const char *text, char out[2 * MOS_AUDIT_PUBLIC_KEY_BYTES + 2], struct mos_error *error) {
    uint8_t bytes[MOS_AUDIT_PUBLIC_KEY_BYTES];
    snprintf(out, 2 * MOS_AUDIT_PUBLIC_KEY_BYTES + 2, "%s", text);
    if (!mos_hex_decode(text, bytes, sizeof(bytes))) {
        FILE *file = fopen(text, "re");
        if (!file) {
            return mos_fail_errno(error, errno, "--key %s is neither 64 hexadecimal digits nor a file", text);
        }
        out[fread(out, 1, 2 * MOS_AUDIT_PUBLIC_KEY_BYTES, file)] = 0;
        fclose(file);
    }
    return mos_hex_decode(out, bytes, sizeof(bytes))
               ? MOS_OK
               : mos_fail(error, MOS_INVALID_ARGUMENT, "%s holds no public key: 64 hexadecimal digits", text);
}

// The last line, and where what it signs ends.
static const struct mos_json *signature_line(struct mos_cli *cli, const struct mos_buffer *file, size_t *out_content_bytes) {
    const char *text = (const char *)file->data;
    size_t end = file->size_bytes;
    while (end > 0 && text[end - 1] == '\n') {
        end--;
    }
    size_t start = end;
    while (start > 0 && text[start - 1] != '\n') {
        start--;
    }
    *out_content_bytes = start > 0 ? start - 1 : 0;
    const char *line = text + start;
    size_t length = end - start, begin = strlen(COMMENT_BEGIN), comment = begin + strlen(COMMENT_END);
    if (length > comment && strncmp(line, COMMENT_BEGIN, begin) == 0) {
        line += begin;
        length -= comment;
    }
    return start > 0 ? mos_json_parse(cli->arena, line, length) : NULL;
}

static int verify_report(struct mos_cli *cli, const char *path) {
    struct mos_error error = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer file = MOS_BUFFER_INIT(0);
    char wanted[2 * MOS_AUDIT_PUBLIC_KEY_BYTES + 2] = "";
    const char *key_option = mos_arguments_value(&cli->arguments, "key");
    mos_status status = key_option ? read_key(key_option, wanted, &error) : MOS_OK;
    status = status ? status : read_file(path, &file, &error);
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    size_t content_bytes = 0;
    uint8_t key[MOS_AUDIT_PUBLIC_KEY_BYTES], signature[MOS_AUDIT_SIGNATURE_BYTES];
    const struct mos_json *line = signature_line(cli, &file, &content_bytes);
    const char *key_text = mos_json_text(line, "publicKey"), *signature_text = mos_json_text(line, "signature");
    const char *fault = NULL;
    if (!key_text || !signature_text || !mos_hex_decode(key_text, key, sizeof(key)) ||
        !mos_hex_decode(signature_text, signature, sizeof(signature))) {
        fault = "it is not signed: the last line is no signature";
    } else if (!mos_audit_bytes_signed(file.data, content_bytes, signature, key)) {
        fault = "it is not what was signed";
    } else if (*wanted && strcmp(wanted, key_text) != 0) {
        fault = "somebody else has signed it";
    }
    if (fault) {
        printf("The report is not good: %s.\n", fault);
        return MOS_EXIT_FAILED;
    }
    printf("The report is what was signed.\n");
    if (!*wanted) {
        fprintf(stderr, "Signed by %s; compare that with keys/audit.key.pub of the server, or give it with --key.\n", key_text);
    }
    return MOS_EXIT_DONE;
}

int mos_dr_report(struct mos_cli *cli) {
    const struct mos_arguments *arguments = &cli->arguments;
    if (strcmp(arguments->words[0], "verify") == 0 && arguments->word_count == 2) {
        return verify_report(cli, arguments->words[1]);
    }
    if (arguments->word_count == 2) {
        struct mos_error error = {0};
        mos_fail(&error, MOS_INVALID_ARGUMENT, "\"dr report\" takes the id of a run, or verify and a file");
        return mos_cli_fail(cli, &error);
    }
    return write_report(cli, arguments->words[0]);
}
