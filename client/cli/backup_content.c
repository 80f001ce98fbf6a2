#include "cli/backup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/follow.h"
#include "cli/table.h"
#include "cli/verify.h"
#include "common/text.h"
#include "lib/json.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

#define FILES_PAGE_SIZE 1000
#define CHANGES_PAGE_SIZE 1000
// A person reads no more; -o json has them all.
#define SHOWN_FAULTS 50

// ---- files ----

// "drwxr-xr-x"
static void mode_text(const api_file *file, char text[11]) {
    static const char types[] = "?-dl-cbps-";
    unsigned type = (unsigned)file->type;
    text[0] = types[type < sizeof(types) - 1 ? type : 0];
    for (int i = 0; i < 9; i++) {
        text[1 + i] = file->mode >> (8 - i) & 1 ? "rwxrwxrwx"[i] : '-';
    }
    static const struct {
        unsigned bit;
        int place;
        char with, without;
    } specials[] = {{04000, 3, 's', 'S'}, {02000, 6, 's', 'S'}, {01000, 9, 't', 'T'}};
    for (size_t i = 0; i < 3; i++) {
        if (file->mode & specials[i].bit) {
            text[specials[i].place] = text[specials[i].place] == 'x' ? specials[i].with : specials[i].without;
        }
    }
    text[10] = 0;
}

static const char *owner_text(mos_arena *arena, const char *name, uint32_t number) {
    return *name ? name : mos_arena_printf(arena, "%u", number);
}

static void print_files(struct mos_cli *cli, mos_arena *arena, const API(ListFilesResponse) * page, bool recursive, const char *path) {
    static const struct mos_column columns[] = {{0}, {0}, {0}, {.right = true}, {0}, {0}};
    mos_table *table = mos_table_create(arena, columns, 6);
    size_t path_length = strlen(path);
    for (size_t i = 0; i < page->n_files; i++) {
        const api_file *file = page->files[i];
        char mode[11], modified[MOS_SHORT_TEXT_BYTES];
        mode_text(file, mode);
        mos_minute_format(mos_cli_seconds(file->modified_at), modified);
        const char *slash = strrchr(file->path, '/');
        // Of a directory's own entries the names are enough.
        bool child = !recursive && path_length > 0 && strcmp(file->path, path) != 0 && slash && slash[1];
        const char *name = child ? slash + 1 : file->path;
        bool sized = file->type == API_WORD(FILE_ENTRY__TYPE__FILE) || file->type == API_WORD(FILE_ENTRY__TYPE__DATABASE) ||
                     file->type == API_WORD(FILE_ENTRY__TYPE__HARDLINK);
        mos_table_cell(table, mode);
        mos_table_cell(table, owner_text(arena, file->user, file->uid));
        mos_table_cell(table, owner_text(arena, file->group, file->gid));
        mos_table_cell(table, sized ? mos_cli_size(cli, file->size) : "-");
        mos_table_cell(table, modified);
        mos_table_cellf(table, "%s%s%s", name,
                        !*file->link_target                                  ? ""
                        : file->type == API_WORD(FILE_ENTRY__TYPE__HARDLINK) ? " = "
                                                                             : " -> ",
                        file->link_target);
    }
    // A path is of use only when it is whole.
    struct mos_terminal whole = cli->out;
    whole.interactive = false;
    mos_table_print(table, &whole);
}

// One array over all pages: each page's own brackets are left out.
static void print_page_json(const ProtobufCMessage *const *messages, size_t count, bool first) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    mos_json_append_list(&text, messages, count, true);
    printf("%s", first ? "[" : count > 0 ? "," : "");
    if (count > 0) {
        fwrite(text.data + 1, 1, text.size_bytes - 3, stdout);
    }
}

int mos_backup_files(struct mos_cli *cli) {
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES];
    mos_status status = mos_cli_find_backup(cli, cli->arguments.words[0], true, id, &error);
    API(ListFilesRequest) request = API_INIT(LIST_FILES_REQUEST);
    request.backup_id = id;
    request.path = cli->arguments.word_count > 1 ? mos_arena_strdup(cli->arena, cli->arguments.words[1]) : (char *)"";
    request.recursive = mos_arguments_flag(&cli->arguments, "recursive");
    request.page_size = FILES_PAGE_SIZE;
    char *next = mos_arena_strdup(cli->arena, "");
    int64_t count = 0;
    mos_arena *command_arena = cli->arena;
    for (bool first = true; status == MOS_OK; first = false) {
        // A backup may hold millions of files: a page at a time.
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        request.page_token = next;
        API(ListFilesResponse) * page;
        status = api_backup_service(list_files)(mos_client_channel(cli->client), &options, &request, arena, &page, &error);
        if (status != MOS_OK) {
            break;
        }
        count += (int64_t)page->n_files;
        cli->arena = arena;
        if (cli->json) {
            print_page_json((const ProtobufCMessage *const *)(const void *)page->files, page->n_files, first);
        } else {
            print_files(cli, arena, page, request.recursive, request.path);
        }
        cli->arena = command_arena;
        next = mos_arena_strdup(cli->arena, page->next_page_token);
        if (!*next || ferror(stdout)) {
            break;
        }
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        printf("%s]\n", count > 0 ? "\n" : "");
    } else if (count == 0) {
        fprintf(stderr, "Nothing lies there.\n");
    }
    return MOS_EXIT_DONE;
}

// ---- cat ----

static mos_status write_content(struct mos_cli *cli, const API(ReadFileRequest) * request, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    // As long as it takes to read.
    options.timeout_ms = 0;
    mos_rpc_stream *stream;
    mos_status status = api_backup_service(read_file_open)(mos_client_channel(cli->client), &options, request, &stream, error);
    if (status != MOS_OK) {
        return status;
    }
    const API(FileChunk) *chunk = NULL;
    while ((status = api_backup_service(read_file_receive)(stream, &chunk, error)) == MOS_OK && chunk) {
        if (fwrite(chunk->data.data, 1, chunk->data.len, stdout) != chunk->data.len) {
            status = mos_fail_errno(error, errno, "writing the content");
            mos_rpc_stream_cancel(stream);
            break;
        }
    }
    mos_status end = mos_rpc_stream_finish(stream, status == MOS_OK ? error : NULL);
    return status == MOS_OK ? end : status;
}

int mos_backup_cat(struct mos_cli *cli) {
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES];
    API(ReadFileRequest) request = API_INIT(READ_FILE_REQUEST);
    request.backup_id = id;
    request.path = mos_arena_strdup(cli->arena, cli->arguments.words[1]);
    mos_status status = mos_cli_find_backup(cli, cli->arguments.words[0], true, id, &error);
    status = status == MOS_OK ? write_content(cli, &request, &error) : status;
    return status == MOS_OK ? MOS_EXIT_DONE : mos_cli_fail(cli, &error);
}

// ---- diff ----

static void print_changes(struct mos_cli *cli, mos_arena *arena, const API(DiffBackupsResponse) * page) {
    static const struct mos_column columns[] = {{0}, {.right = true}, {0}};
    mos_table *table = mos_table_create(arena, columns, 3);
    for (size_t i = 0; i < page->n_changes; i++) {
        const api_change *change = page->changes[i];
        mos_table_cell(table, mos_cli_word(cli, API_CHANGE_KINDS, (int)change->kind));
        if (change->kind == API_WORD(FILE_CHANGE__KIND__CHANGED) && change->size_before != change->size_after) {
            mos_table_cellf(table, "%s -> %s", mos_cli_size(cli, change->size_before), mos_cli_size(cli, change->size_after));
        } else {
            mos_table_cell(
                table, mos_cli_size(cli, change->kind == API_WORD(FILE_CHANGE__KIND__REMOVED) ? change->size_before : change->size_after));
        }
        mos_table_cell(table, change->path);
    }
    // A path is of use only when it is whole.
    struct mos_terminal whole = cli->out;
    whole.interactive = false;
    mos_table_print(table, &whole);
}

int mos_backup_diff(struct mos_cli *cli) {
    struct mos_error error = {0};
    char base[MOS_ID_TEXT_BYTES], id[MOS_ID_TEXT_BYTES];
    mos_status status = mos_cli_find_backup(cli, cli->arguments.words[0], true, base, &error);
    if (status == MOS_OK) {
        status = mos_cli_find_backup(cli, cli->arguments.words[1], true, id, &error);
    }
    API(DiffBackupsRequest) request = API_INIT(DIFF_BACKUPS_REQUEST);
    request.backup_id = id;
    request.base_backup_id = base;
    request.page_size = CHANGES_PAGE_SIZE;
    char *next = mos_arena_strdup(cli->arena, "");
    int64_t count = 0;
    mos_arena *command_arena = cli->arena;
    for (bool first = true; status == MOS_OK; first = false) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        // Large backups take their time to compare.
        struct mos_rpc_call_options options = mos_cli_patient(cli);
        request.page_token = next;
        API(DiffBackupsResponse) * page;
        status = api_backup_service(diff_backups)(mos_client_channel(cli->client), &options, &request, arena, &page, &error);
        if (status != MOS_OK) {
            break;
        }
        count += (int64_t)page->n_changes;
        cli->arena = arena;
        if (cli->json) {
            print_page_json((const ProtobufCMessage *const *)(const void *)page->changes, page->n_changes, first);
        } else {
            print_changes(cli, arena, page);
        }
        cli->arena = command_arena;
        next = mos_arena_strdup(cli->arena, page->next_page_token);
        if (!*next || ferror(stdout)) {
            break;
        }
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (cli->json) {
        printf("%s]\n", count > 0 ? "\n" : "");
    } else if (count == 0) {
        fprintf(stderr, "Nothing differs.\n");
    }
    return MOS_EXIT_DONE;
}

// ---- verify ----

static void print_faults(struct mos_cli *cli, const char *title, char *const *texts, size_t count, int64_t all) {
    if (count == 0) {
        return;
    }
    printf("\n%s\n", title);
    for (size_t i = 0; i < count && i < SHOWN_FAULTS; i++) {
        printf("  %s\n", mos_terminal_escape(cli->arena, texts[i]));
    }
    int64_t shown = count < SHOWN_FAULTS ? (int64_t)count : SHOWN_FAULTS;
    if (all > shown) {
        printf("  and %s more%s\n", mos_cli_count(cli, all - shown), count > SHOWN_FAULTS ? "; -o json lists them" : "");
    }
}

static void print_answer(struct mos_cli *cli, const char *name, bool good, const char *text) {
    printf("  %-11s %s%-3s%s  %s\n", name, mos_terminal_colour(&cli->out, good ? MOS_COLOUR_GREEN : MOS_COLOUR_RED), good ? "ok" : "BAD",
           mos_terminal_colour(&cli->out, MOS_COLOUR_NONE), text);
}

static void print_verification(struct mos_cli *cli, const api_verification *found) {
    printf("Backup %s is %s%s%s\n", mos_terminal_escape(cli->arena, found->backup_id),
           mos_terminal_colour(&cli->out, found->valid ? MOS_COLOUR_GREEN : MOS_COLOUR_RED), found->valid ? "valid" : "DAMAGED",
           mos_terminal_colour(&cli->out, MOS_COLOUR_NONE));
    print_answer(cli, "Sizes", found->size_valid,
                 found->size_valid ? "every object is there, with its recorded size" : "an object is missing or has another size");
    print_answer(cli, "Checksums", found->checksum_valid,
                 found->checksum_valid ? "every object has its recorded SHA-256" : "an object's SHA-256 is not the recorded one");
    print_answer(cli, "Encryption", found->encryption_valid,
                 found->encryption_valid ? "everything decrypts to what was backed up"
                                         : "something does not decrypt to what was backed up");
    printf("  %s read in %s\n", mos_cli_size(cli, found->bytes_checked), mos_cli_plural(cli, found->objects_checked, "object", "objects"));
    print_faults(cli, "What is wrong:", found->errors, found->n_errors, (int64_t)found->n_errors);
    print_faults(cli, "Files that cannot be restored whole:", found->damaged_paths, found->n_damaged_paths, found->damaged_files);
}

int mos_backup_verify(struct mos_cli *cli) {
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES];
    api_verification *found = NULL;
    mos_status status = mos_cli_find_backup(cli, cli->arguments.words[0], true, id, &error);
    if (status == MOS_OK) {
        status = mos_verify_run(cli, id, &found, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    if (!found) {
        fprintf(stderr, "\nThe verification was stopped.\n");
        return MOS_EXIT_INTERRUPTED;
    }
    if (cli->json) {
        mos_cli_print_json(&found->base);
    } else {
        print_verification(cli, found);
    }
    return found->valid ? MOS_EXIT_DONE : MOS_EXIT_FAILED;
}

// ---- restore ----

// The server wants an absolute path; here people may name one as they do everywhere.
static mos_status absolute_target(struct mos_cli *cli, const char *target, char **out, struct mos_error *error) {
    if (target[0] == '/' || strstr(target, "://")) {
        *out = mos_arena_strdup(cli->arena, target);
        return MOS_OK;
    }
    if (!*target) {
        return mos_fail_field(error, "target", "--target is empty; it is a directory, or a database's URL");
    }
    *out = mos_path_absolute(cli->arena, target);
    return *out ? MOS_OK : mos_fail(error, MOS_IO, "the working directory cannot be read, so --target must be an absolute path");
}

static mos_status read_restore_request(struct mos_cli *cli, API(RestoreBackupRequest) * out, struct mos_error *error) {
    const struct mos_arguments *arguments = &cli->arguments;
    const char *target = mos_arguments_value(arguments, "target");
    out->in_place = mos_arguments_flag(arguments, "in-place");
    out->preview = mos_arguments_flag(arguments, "preview");
    bool overwrite = mos_arguments_flag(arguments, "overwrite"), resume = mos_arguments_flag(arguments, "resume");
    out->existing = overwrite ? API_WORD(RESTORE_BACKUP_REQUEST__EXISTING__REPLACE)
                    : resume  ? API_WORD(RESTORE_BACKUP_REQUEST__EXISTING__RESUME)
                              : API_WORD(RESTORE_BACKUP_REQUEST__EXISTING__KEEP);
    out->compare_content = mos_arguments_flag(arguments, "compare");
    out->include = mos_arguments_values(arguments, "include", cli->arena, &out->n_include);
    if (overwrite && resume) {
        return mos_fail_field(error, "resume", "--overwrite and --resume exclude one another");
    }
    if (out->compare_content && !resume) {
        return mos_fail_field(error, "compare", "--compare goes with --resume only");
    }
    if (out->in_place && target) {
        return mos_fail_field(error, "target", "--target and --in-place exclude one another");
    }
    return target ? absolute_target(cli, target, &out->target, error) : MOS_OK;
}

static void print_restore(struct mos_cli *cli, const api_job *job, bool preview) {
    const API(RestoreResult) *result = job->restore;
    const char *status = mos_cli_word(cli, API_JOB_STATUSES, (int)job->status);
    bool done = job->status == API_WORD(JOB__STATUS__SUCCEEDED) || job->status == API_WORD(JOB__STATUS__SUCCEEDED_WITH_WARNINGS);
    if (!done || !result) {
        printf("%sThe restore %s%s%s%s\n", mos_terminal_colour(&cli->out, mos_status_colour(status)),
               job->status == API_WORD(JOB__STATUS__CANCELLED) ? "was cancelled"
               : done                                          ? "is done"
                                                               : "has failed",
               mos_terminal_colour(&cli->out, MOS_COLOUR_NONE), *job->message ? ": " : "", mos_terminal_escape(cli->arena, job->message));
    }
    if (!result) {
        return;
    }
    if (preview) {
        for (size_t i = 0; i < result->n_preview; i++) {
            printf("%s\n", mos_terminal_escape(cli->arena, result->preview[i]));
        }
        fprintf(stderr, "%s would be written to %s%s; nothing was.\n",
                result->n_preview == 1000 ? "At least 1,000 entries" : mos_cli_plural(cli, (int64_t)result->n_preview, "entry", "entries"),
                mos_terminal_escape(cli->arena, result->target),
                result->files_skipped > 0 ? mos_arena_printf(cli->arena, ", %s left alone", mos_cli_count(cli, result->files_skipped))
                                          : "");
        return;
    }
    const char *skipped = result->files_skipped > 0 ? mos_arena_printf(cli->arena, ", %s left alone since they were there already",
                                                                       mos_cli_count(cli, result->files_skipped))
                                                    : "";
    const char *failed =
        result->files_failed > 0 ? mos_arena_printf(cli->arena, ", %s FAILED", mos_cli_count(cli, result->files_failed)) : "";
    printf("%sRestored %s (%s) to %s%s%s%s\n",
           mos_terminal_colour(&cli->out, result->files_failed > 0 || !done ? MOS_COLOUR_RED : MOS_COLOUR_GREEN),
           mos_cli_plural(cli, result->files_restored, "file", "files"), mos_cli_size(cli, result->bytes_written),
           mos_terminal_escape(cli->arena, result->target), mos_terminal_colour(&cli->out, MOS_COLOUR_NONE), skipped, failed);
    for (size_t i = 0; i < result->n_checks; i++) {
        const API(RestoreCheck) *check = result->checks[i];
        printf("  %s%s%s  %s%s%s\n", mos_terminal_colour(&cli->out, check->passed ? MOS_COLOUR_GREEN : MOS_COLOUR_RED),
               check->passed ? "ok " : "BAD", mos_terminal_colour(&cli->out, MOS_COLOUR_NONE), mos_terminal_escape(cli->arena, check->name),
               *check->message ? ": " : "", mos_terminal_escape(cli->arena, check->message));
    }
}

static int exit_of_restore(const api_job *job) {
    if (job->status == API_WORD(JOB__STATUS__SUCCEEDED_WITH_WARNINGS)) {
        return MOS_EXIT_WARNINGS;
    }
    return job->status == API_WORD(JOB__STATUS__SUCCEEDED) ? MOS_EXIT_DONE : MOS_EXIT_FAILED;
}

static int wait_for_restore(struct mos_cli *cli, const char *job_id, bool preview) {
    struct mos_error error = {0};
    struct mos_followed followed;
    mos_status status = mos_follow_events(cli, &(struct mos_follow){.job_id = job_id, .terminal = cli->err}, &followed, &error);
    if (followed.interrupted) {
        fprintf(stderr,
                "\nThe restore goes on. Follow it: mosaajii job watch %s\n"
                "                     Stop it:   mosaajii job cancel %s\n",
                job_id, job_id);
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
    } else {
        print_restore(cli, job, preview);
    }
    return exit_of_restore(job);
}

int mos_backup_restore(struct mos_cli *cli) {
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES];
    API(RestoreBackupRequest) request = API_INIT(RESTORE_BACKUP_REQUEST);
    request.backup_id = id;
    api_job *job;
    mos_status status = read_restore_request(cli, &request, &error);
    if (status == MOS_OK) {
        status = mos_cli_find_backup(cli, cli->arguments.words[0], true, id, &error);
    }
    if (status == MOS_OK) {
        struct mos_rpc_call_options options = mos_cli_quick(cli);
        status = api_backup_service(restore_backup)(mos_client_channel(cli->client), &options, &request, cli->arena, &job, &error);
    }
    if (status != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    const char *job_id = mos_terminal_escape(cli->arena, job->id);
    if (!mos_arguments_flag(&cli->arguments, "no-wait")) {
        return wait_for_restore(cli, job_id, request.preview);
    }
    if (cli->json) {
        mos_cli_print_json(&job->base);
    } else {
        printf("%s\n", job_id);
        fprintf(stderr, "The restore runs in the background. Follow it: mosaajii job watch %s\n", job_id);
    }
    return MOS_EXIT_DONE;
}
