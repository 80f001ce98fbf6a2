#include "engine/alone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/text.h"
#include "engine/pipeline/operation.h"

enum { EXIT_WRONG = 2, EXIT_WARNINGS = 3, EXIT_NOT_FOUND = 4, LISTED_PATHS = 20 };

static const char help[] =
    "Usage: mosaajii-engine list    --repository DIR --keyring FILE\n"
    "       mosaajii-engine verify  --repository DIR --keyring FILE [--backup ID|latest]\n"
    "       mosaajii-engine restore --repository DIR --keyring FILE [--backup ID|latest] --target DIR [--include PATH]…\n"
    "                               [--overwrite | --resume [--compare]] [--preview]\n"
    "       mosaajii-engine cat     --repository DIR --keyring FILE [--backup ID|latest] PATH\n"
    "       mosaajii-engine prune   --repository DIR --keyring FILE [--dry-run] [--grace-seconds N]\n"
    "       mosaajii-engine check   --repository DIR --keyring FILE [--percent N | --bytes N] [--repair]\n"
    "       mosaajii-engine --version | --help\n"
    "\n"
    "Works on a repository of Mosaajii Backup without any server; prune and check say more with --help. A restored path lies below the "
    "target under its full name.\n"
    "\n"
    "  --repository DIR  the repository\n"
    "  --keyring FILE    the keyring that its backups were made with; one that is sealed, or an escrow copy,\n"
    "                    opens with the passphrase in MOSAAJII_KEYRING_PASSPHRASE\n"
    "  --backup ID       which backup; latest, if nothing is said: the newest one that can be read\n"
    "  --target DIR      where to restore to; made if it is not there\n"
    "  --include PATH    restore only this and what lies below it; may be given more than once\n"
    "  --overwrite       replace files that are there already; without it they are kept\n"
    "  --resume          go on with a restore that was broken off: keep what is there with the size, time and mode of\n"
    "                    the backup, and replace all else\n"
    "  --compare         with --resume: keep only what has the backup's content too\n"
    "  --preview         tell what would be written, and write nothing\n"
    "  PATH              the file or database that cat writes to standard output\n"
    "\n"
    "Exit codes: 0 done, 1 failed or not valid, 2 wrong usage, 3 done with warnings, 4 not found.\n";

struct options {
    const char *command;
    const char *repository;
    const char *keyring;
    const char *backup;
    const char *target;
    ProtobufCBinaryData *include;
    size_t include_count;
    bool overwrite;
    bool resume;
    bool compare;
    bool preview;
    const char *path;
};

void mos_alone_help(void) {
    fputs(help, stdout);
}

// ---- The command line ----

static int wrong(const char *before, const char *word, const char *after) {
    fprintf(stderr, "mosaajii-engine: %s%s%s\nTry 'mosaajii-engine --help'.\n", before, word, after);
    return EXIT_WRONG;
}

// `--name value` or `--name=value`. false: the word at hand is another one.
static bool take_value(int argc, char **argv, int *at, const char *name, const char **out) {
    size_t length = strlen(name);
    const char *word = argv[*at];
    if (strncmp(word, name, length) != 0 || (word[length] && word[length] != '=')) {
        return false;
    }
    *out = word[length] == '=' ? word + length + 1 : *at + 1 < argc ? argv[++*at] : "";
    return true;
}

static int parse(int argc, char **argv, struct options *out) {
    out->command = argv[1];
    if (strcmp(out->command, "list") != 0 && strcmp(out->command, "verify") != 0 && strcmp(out->command, "restore") != 0 &&
        strcmp(out->command, "cat") != 0) {
        return wrong(out->command[0] == '-' ? "there is no option " : "there is no command ", out->command, "");
    }
    for (int i = 2; i < argc; i++) {
        const char *word = argv[i], *include = NULL;
        if (strcmp(word, "--overwrite") == 0) {
            out->overwrite = true;
        } else if (strcmp(word, "--resume") == 0) {
            out->resume = true;
        } else if (strcmp(word, "--compare") == 0) {
            out->compare = true;
        } else if (strcmp(word, "--preview") == 0) {
            out->preview = true;
        } else if (strcmp(out->command, "cat") == 0 && word[0] != '-' && !out->path) {
            out->path = word;
        } else if (take_value(argc, argv, &i, "--include", &include)) {
            out->include[out->include_count++] = (ProtobufCBinaryData){.data = (uint8_t *)include, .len = strlen(include)};
        } else if (!take_value(argc, argv, &i, "--repository", &out->repository) &&
                   !take_value(argc, argv, &i, "--keyring", &out->keyring) && !take_value(argc, argv, &i, "--backup", &out->backup) &&
                   !take_value(argc, argv, &i, "--target", &out->target)) {
            return wrong("there is no option ", word, "");
        }
    }
    return !out->repository || !*out->repository                                     ? wrong("", out->command, " needs --repository DIR")
           : !out->keyring || !*out->keyring                                         ? wrong("", out->command, " needs --keyring FILE")
           : strcmp(out->command, "restore") == 0 && (!out->target || !*out->target) ? wrong("", out->command, " needs --target DIR")
           : strcmp(out->command, "cat") == 0 && !out->path ? wrong("", out->command, " needs the PATH of a file or database in the backup")
           : out->overwrite && out->resume                  ? wrong("--overwrite and --resume exclude one another", "", "")
           : out->compare && !out->resume                   ? wrong("--compare goes with --resume only", "", "")
                                                            : EXIT_SUCCESS;
}

// ---- What is told ----

// One backup found in the repository.
struct found {
    char id[MOS_ID_TEXT_BYTES];
    int64_t created_at_unix_ns;
};

struct console {
    // Progress in place, where somebody watches.
    bool live;
    bool drawn;
    // The newest readable backup; the inventory is printed when `print` is set.
    struct found newest;
    bool print;
};

static void erase(struct console *console) {
    if (console->drawn) {
        fputs("\r\033[K", stderr);
        console->drawn = false;
    }
}

static void show_progress(struct console *console, const Mosaajii__Engine__V1__Progress *progress) {
    char done[MOS_SIZE_TEXT_BYTES], total[MOS_SIZE_TEXT_BYTES];
    if (!console->live) {
        return;
    }
    mos_size_format(progress->bytes_done, done);
    mos_size_format(progress->bytes_total, total);
    erase(console);
    fprintf(stderr, "%s: %s of %s, %lld files", progress->phase, done, total, (long long)progress->files_done);
    console->drawn = true;
}

static void show_backup(struct console *console, const Mosaajii__Engine__V1__BackupRecord *record) {
    const Mosaajii__Engine__V1__BackupInfo *info = record->info;
    char time[MOS_TIME_TEXT_BYTES], size[MOS_SIZE_TEXT_BYTES];
    if (*record->error) {
        fprintf(stderr, "backup %s cannot be read: %s\n", info->id, record->error);
        return;
    }
    if (info->created_at_unix_ns >= console->newest.created_at_unix_ns) {
        console->newest.created_at_unix_ns = info->created_at_unix_ns;
        snprintf(console->newest.id, sizeof(console->newest.id), "%s", info->id);
    }
    if (console->print) {
        mos_time_format(info->created_at_unix_ns, time);
        mos_size_format(info->statistics ? info->statistics->size : 0, size);
        printf("%s  %s  %-13s  %10s  %s\n", info->id, time, info->type, size, info->name);
    }
}

static void write_content(const Mosaajii__Engine__V1__Content *content) {
    if (fwrite(content->data.data, 1, content->data.len, stdout) != content->data.len) {
        mos_job_cancel(mos_running_job);
    }
}

static void show_event(void *context, const Mosaajii__Engine__V1__Event *event) {
    struct console *console = context;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_PROGRESS) {
        show_progress(console, event->progress);
        return;
    }
    if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_CONTENT) {
        write_content(event->content);
        return;
    }
    erase(console);
    if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_WARNING) {
        const char *path = mos_path_escape(arena, event->warning->path.data, event->warning->path.len);
        fprintf(stderr, "warning: %s%s%s\n", path, *path ? ": " : "", event->warning->message);
    } else if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_BACKUP) {
        show_backup(console, event->backup);
    }
}

static int show_verification(const Mosaajii__Engine__V1__Verification *found) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    bool valid = found->checksum_valid && found->encryption_valid && found->size_valid;
    char bytes[MOS_SIZE_TEXT_BYTES];
    mos_size_format(found->bytes_checked, bytes);
    printf("%s: %lld objects, %s read; sizes %s, checksums %s, encryption %s\n", valid ? "valid" : "NOT VALID",
           (long long)found->objects_checked, bytes, found->size_valid ? "good" : "WRONG", found->checksum_valid ? "good" : "WRONG",
           found->encryption_valid ? "good" : "WRONG");
    for (size_t i = 0; i < found->n_errors && i < LISTED_PATHS; i++) {
        printf("  %s\n", found->errors[i]);
    }
    if (found->damaged_files) {
        printf("%lld damaged files:\n", (long long)found->damaged_files);
    }
    for (size_t i = 0; i < found->n_damaged_paths && i < LISTED_PATHS; i++) {
        printf("  %s\n", mos_path_escape(arena, found->damaged_paths[i].data, found->damaged_paths[i].len));
    }
    return valid ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int show_restoration(const Mosaajii__Engine__V1__Restoration *done, bool preview, int64_t warnings) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char bytes[MOS_SIZE_TEXT_BYTES];
    mos_size_format(done->bytes_written, bytes);
    for (size_t i = 0; i < done->n_preview; i++) {
        printf("  %s\n", mos_path_escape(arena, done->preview[i].data, done->preview[i].len));
    }
    printf(preview ? "would restore %lld files, %s, to %.*s" : "restored %lld files, %s, to %.*s", (long long)done->files_restored, bytes,
           (int)done->target.len, (const char *)done->target.data);
    if (done->files_skipped) {
        printf(preview ? "; %lld are there already and would be kept" : "; %lld were there already and were kept",
               (long long)done->files_skipped);
    }
    if (done->files_failed) {
        printf("; %lld FAILED", (long long)done->files_failed);
    }
    puts("");
    for (size_t i = 0; i < done->n_checks; i++) {
        printf("  %s: %s%s%s\n", done->checks[i]->name, done->checks[i]->passed ? "good" : "FAILED", *done->checks[i]->message ? ", " : "",
               done->checks[i]->message);
    }
    return warnings || done->files_failed ? EXIT_WARNINGS : EXIT_SUCCESS;
}

// ---- The commands ----

static mos_status ask(Mosaajii__Engine__V1__Request *request, struct console *console, mos_arena *arena,
                      Mosaajii__Engine__V1__Result *out) {
    mos_job *job = mos_job_create(show_event, console, 0);
    mos_running_job = job;
    mos_status status = mos_operation_run(job, request, arena, out);
    mos_running_job = NULL;
    mos_job_free(job);
    erase(console);
    if (status) {
        fprintf(stderr, "mosaajii-engine: %s\n", out->message);
    }
    return status;
}

static int exit_code(mos_status status) {
    return status == MOS_OK ? EXIT_SUCCESS : status == MOS_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILURE;
}

static char *absolute(mos_arena *arena, const char *path) {
    char *whole = mos_path_absolute(arena, path);
    // Where the working directory is gone, what comes next says so of the path as it was given.
    return whole ? whole : mos_arena_strdup(arena, path);
}

static int run(const struct options *options, mos_arena *arena) {
    Mosaajii__Engine__V1__Request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    Mosaajii__Engine__V1__InventoryRequest inventory = MOSAAJII__ENGINE__V1__INVENTORY_REQUEST__INIT;
    Mosaajii__Engine__V1__VerifyRequest verify = MOSAAJII__ENGINE__V1__VERIFY_REQUEST__INIT;
    Mosaajii__Engine__V1__RestoreRequest restore = MOSAAJII__ENGINE__V1__RESTORE_REQUEST__INIT;
    Mosaajii__Engine__V1__ReadRequest read = MOSAAJII__ENGINE__V1__READ_REQUEST__INIT;
    Mosaajii__Engine__V1__Result result;
    bool list = strcmp(options->command, "list") == 0;
    struct console console = {.live = isatty(STDERR_FILENO), .print = list};
    request.repository = absolute(arena, options->repository);
    request.keyring = (char *)options->keyring;
    const char *passphrase = getenv("MOSAAJII_KEYRING_PASSPHRASE");
    request.keyring_passphrase = (char *)(passphrase ? passphrase : "");
    const char *backup = options->backup;
    if (list || strcmp(backup, "latest") == 0) {
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INVENTORY;
        request.inventory = &inventory;
        mos_status status = ask(&request, &console, arena, &result);
        if (status || list) {
            return exit_code(status);
        }
        if (!*console.newest.id) {
            fprintf(stderr, "mosaajii-engine: the repository %s holds no backup that can be read\n", options->repository);
            return EXIT_NOT_FOUND;
        }
        backup = console.newest.id;
    }
    if (strcmp(options->command, "verify") == 0) {
        verify.backup_id = (char *)backup;
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_VERIFY;
        request.verify = &verify;
    } else if (strcmp(options->command, "cat") == 0) {
        read.backup_id = (char *)backup;
        read.path = (ProtobufCBinaryData){.data = (uint8_t *)options->path, .len = strlen(options->path)};
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_READ;
        request.read = &read;
    } else {
        char *target = absolute(arena, options->target);
        restore.backup_id = (char *)backup;
        restore.target = (ProtobufCBinaryData){.data = (uint8_t *)target, .len = strlen(target)};
        restore.include = options->include;
        restore.n_include = options->include_count;
        restore.existing = options->overwrite ? MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REPLACE
                           : options->resume  ? MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__RESUME
                                              : MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__KEEP;
        restore.compare_content = options->compare;
        restore.preview = options->preview;
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_RESTORE;
        request.restore = &restore;
    }
    mos_status status = ask(&request, &console, arena, &result);
    if (status) {
        return exit_code(status);
    }
    if (request.operation_case == MOSAAJII__ENGINE__V1__REQUEST__OPERATION_READ) {
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    printf("backup %s\n", backup);
    return result.result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_VERIFICATION
               ? show_verification(result.verification)
               : show_restoration(result.restoration, options->preview, result.warnings);
}

int mos_alone(int argc, char **argv) {
    if (mos_alone_is_repository(argv[1])) {
        return mos_alone_repository(argc, argv);
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct options options = {.backup = "latest"};
    options.include = mos_arena_array(arena, ProtobufCBinaryData, (size_t)argc);
    int code = parse(argc, argv, &options);
    return code ? code : run(&options, arena);
}
