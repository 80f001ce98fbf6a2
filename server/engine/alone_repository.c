// prune and check, without any server.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/text.h"
#include "engine/alone.h"
#include "engine/pipeline/operation.h"
#include "engine/repo/prune.h"

enum { EXIT_WRONG = 2, EXIT_WARNINGS = 3, EXIT_NOT_FOUND = 4, LISTED_ERRORS = 100 };

static const char help[] =
    "Usage: mosaajii-engine prune --repository DIR --keyring FILE [--dry-run] [--grace-seconds N]\n"
    "       mosaajii-engine check --repository DIR --keyring FILE [--percent N | --bytes N] [--repair]\n"
    "\n"
    "prune removes what no backup needs; beside backups and restores too. check proves that all that the backups need is there and opens.\n"
    "\n"
    "  --dry-run          say what would be freed, change nothing\n"
    "  --grace-seconds N  keep what a broken-off backup left and is younger; default: a day\n"
    "  --percent N        read only this share of the data, chosen at random; 0: none of it; default: 100\n"
    "  --bytes N          read only so much of the data, chosen at random\n"
    "  --repair           make the local index anew from manifests and packs\n"
    "\n"
    "Exit codes: 0 done, 1 failed or not valid, 2 wrong usage, 3 done with warnings, 4 not found.\n";

struct options {
    const char *repository;
    const char *keyring;
    bool dry_run;
    bool repair;
    // -1: not given.
    int64_t grace_seconds;
    int64_t percent;
    int64_t bytes;
};

static int wrong(const char *command, const char *message) {
    fprintf(stderr, "mosaajii-engine: %s\nTry 'mosaajii-engine %s --help'.\n", message, command);
    return EXIT_WRONG;
}

// `--name value` or `--name=value`.
static bool take_value(int argc, char **argv, int *at, const char *name, const char **out) {
    size_t length = strlen(name);
    const char *word = argv[*at];
    if (strncmp(word, name, length) != 0 || (word[length] && word[length] != '=')) {
        return false;
    }
    *out = word[length] == '=' ? word + length + 1 : *at + 1 < argc ? argv[++*at] : "";
    return true;
}

static bool take_number(const char *text, int64_t most, int64_t *out) {
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *out = number;
    return *text >= '0' && *text <= '9' && !*end && errno == 0 && number <= most;
}

static int parse(int argc, char **argv, bool prune, struct options *out, mos_arena *arena) {
    for (int i = 2; i < argc; i++) {
        const char *word = argv[i], *value = NULL;
        bool good = true;
        if (prune && strcmp(word, "--dry-run") == 0) {
            out->dry_run = true;
        } else if (!prune && strcmp(word, "--repair") == 0) {
            out->repair = true;
        } else if (prune && take_value(argc, argv, &i, "--grace-seconds", &value)) {
            good = take_number(value, INT32_MAX, &out->grace_seconds);
        } else if (!prune && take_value(argc, argv, &i, "--percent", &value)) {
            good = take_number(value, 100, &out->percent);
        } else if (!prune && take_value(argc, argv, &i, "--bytes", &value)) {
            good = take_number(value, INT64_MAX, &out->bytes);
        } else if (!take_value(argc, argv, &i, "--repository", &out->repository) &&
                   !take_value(argc, argv, &i, "--keyring", &out->keyring)) {
            return wrong(argv[1], mos_arena_printf(arena, "there is no option %s", word));
        }
        if (!good) {
            return wrong(argv[1], mos_arena_printf(arena, "%s is %s; allowed is a number from 0%s", word, value,
                                                   strncmp(word, "--percent", 9) == 0 ? " to 100" : ""));
        }
    }
    if (!out->repository || !*out->repository || !out->keyring || !*out->keyring) {
        return wrong(argv[1], mos_arena_printf(arena, "%s needs --repository DIR and --keyring FILE", argv[1]));
    }
    return out->percent >= 0 && out->bytes >= 0
               ? wrong(argv[1], "the part to read is given as a share and in bytes; allowed is one of both")
               : EXIT_SUCCESS;
}

static void show_event(void *context, const Mosaajii__Engine__V1__Event *event) {
    (void)context;
    if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_WARNING) {
        fprintf(stderr, "warning: %s\n", event->warning->message);
    }
}

static int show_pruning(const Mosaajii__Engine__V1__PruneResult *done, int64_t warnings) {
    char freed[MOS_SIZE_TEXT_BYTES], pending[MOS_SIZE_TEXT_BYTES];
    mos_size_format(done->bytes_freed, freed);
    mos_size_format(done->bytes_pending, pending);
    printf("%s%s; packs: %" PRId64 " removed, %" PRId64 " rewritten\n", done->dry_run ? "would free " : "freed ", freed,
           done->packs_removed, done->packs_rewritten);
    if (done->bytes_pending) {
        printf("%s that no backup needs %s for now\n", pending, done->dry_run ? "would stay" : "stay");
    }
    return warnings ? EXIT_WARNINGS : EXIT_SUCCESS;
}

static int show_check(const Mosaajii__Engine__V1__CheckResult *found) {
    char bytes[MOS_SIZE_TEXT_BYTES];
    mos_size_format(found->bytes_checked, bytes);
    printf("%s: %" PRId64 " backups, %" PRId64 " objects, %s read\n", found->valid ? "valid" : "NOT VALID", found->backups_checked,
           found->objects_checked, bytes);
    for (size_t i = 0; i < found->n_errors && i < LISTED_ERRORS; i++) {
        printf("  %s\n", found->errors[i]);
    }
    for (size_t i = 0; i < found->n_damaged_backups; i++) {
        printf("damaged backup: %s\n", found->damaged_backups[i]);
    }
    printf("%s.\n", found->guarantee);
    return found->valid ? EXIT_SUCCESS : EXIT_FAILURE;
}

bool mos_alone_is_repository(const char *command) {
    return strcmp(command, "prune") == 0 || strcmp(command, "check") == 0;
}

int mos_alone_repository(int argc, char **argv) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct options options = {.grace_seconds = -1, .percent = -1, .bytes = -1};
    bool prune = strcmp(argv[1], "prune") == 0;
    if (argc == 3 && strcmp(argv[2], "--help") == 0) {
        fputs(help, stdout);
        return EXIT_SUCCESS;
    }
    int code = parse(argc, argv, prune, &options, arena);
    if (code) {
        return code;
    }
    Mosaajii__Engine__V1__Request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    Mosaajii__Engine__V1__PruneRequest pruning = MOSAAJII__ENGINE__V1__PRUNE_REQUEST__INIT;
    Mosaajii__Engine__V1__CheckRequest check = MOSAAJII__ENGINE__V1__CHECK_REQUEST__INIT;
    Mosaajii__Engine__V1__Result result;
    request.repository = (char *)options.repository;
    request.keyring = (char *)options.keyring;
    if (prune) {
        pruning.dry_run = options.dry_run;
        pruning.grace_seconds = options.grace_seconds >= 0 ? options.grace_seconds : MOS_PRUNE_GRACE_SECONDS;
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_PRUNE;
        request.prune = &pruning;
    } else {
        check.sample_percent = (int32_t)(options.percent >= 0 ? options.percent : options.bytes >= 0 ? 0 : 100);
        check.sample_bytes = options.bytes >= 0 ? options.bytes : 0;
        check.repair = options.repair;
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_CHECK;
        request.check = &check;
    }
    mos_job *job = mos_job_create(show_event, NULL, 0);
    mos_running_job = job;
    mos_status status = mos_operation_run(job, &request, arena, &result);
    mos_running_job = NULL;
    mos_job_free(job);
    if (status) {
        fprintf(stderr, "mosaajii-engine: %s\n", result.message);
        return status == MOS_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILURE;
    }
    return prune ? show_pruning(result.prune, result.warnings) : show_check(result.check);
}
