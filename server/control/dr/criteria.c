// Whether what a step promises is so, in the place that it worked on.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/sentinel.h"
#include "common/text.h"
#include "control/dr/internal.h"

// The path as the place has it.
static const char *place_path(const struct attempt *attempt, const char *path) {
    return attempt->place.sandbox ? mos_arena_printf(attempt->arena, "%s%s", attempt->place.folder, path) : path;
}

static mos_status check_rows(struct attempt *attempt, const struct mos_criterion *criterion, int64_t *out, struct mos_error *error) {
    struct place_database *databases;
    size_t count;
    mos_status status = place_databases(attempt, &databases, &count, error);
    // The first that has such a table.
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = database_count_rows(attempt, &databases[i].url, criterion->subject, out, error);
        if (status != MOS_FAILED_PRECONDITION || i + 1 == count) {
            return status;
        }
        status = MOS_OK;
    }
    return status;
}

static mos_status hash_file(struct attempt *attempt, const char *path, char out[2 * crypto_hash_sha256_BYTES + 1],
                            struct mos_error *error) {
    MOS_CLEANUP_FD int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat facts;
    if (descriptor < 0 || fstat(descriptor, &facts) != 0) {
        return mos_fail_errno(error, errno, "reading %s", path);
    }
    if (!S_ISREG(facts.st_mode)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s is no file", path);
    }
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    uint8_t bytes[65536], hash[crypto_hash_sha256_BYTES];
    ssize_t got;
    mos_status status = MOS_OK;
    while (status == MOS_OK && (got = read(descriptor, bytes, sizeof(bytes))) != 0) {
        if (got < 0) {
            return mos_fail_errno(error, errno, "reading %s", path);
        }
        crypto_hash_sha256_update(&state, bytes, (size_t)got);
        status = attempt_check(attempt, error);
    }
    crypto_hash_sha256_final(&state, hash);
    mos_hex_encode(hash, sizeof(hash), out);
    return status;
}

// Backups of the type hold what lies at the path.
static bool holds(const struct attempt *attempt, enum mos_backup_type type, const char *path) {
    const mos_settings *settings = attempt->recovery->options.settings;
    bool files = type == MOS_BACKUP_FILES;
    size_t count;
    if (!files && type != MOS_BACKUP_CONFIGURATION) {
        return mos_backup_type_of_all(type);
    }
    char **paths = mos_split(
        attempt->arena, mos_setting_text(settings, files ? MOS_SETTING_BACKUP_FILES_PATHS : MOS_SETTING_BACKUP_CONFIG_PATHS), ':', &count);
    for (size_t i = 0; i < count; i++) {
        const char *above = mos_path_absolute(attempt->arena, paths[i]);
        if (above && mos_path_is_below(path, above)) {
            return true;
        }
    }
    return false;
}

// The backup from which this run has restored the path last; "": none.
static const char *restored_from(struct attempt *attempt, const char *path) {
    const char *id = "";
    pthread_mutex_lock(&attempt->recovery->mutex);
    const run_state *state = attempt->run->state;
    for (size_t i = 0; i < state->n_steps; i++) {
        struct mos_command command;
        const mos_plan_step *step = state->plan->steps[i];
        if (*state->steps[i]->backup_id && step->automated &&
            mos_command_parse("command", step->command, attempt->arena, &command, NULL) == MOS_OK &&
            command.kind == MOS_COMMAND_RESTORE_BACKUP && holds(attempt, command.type, path)) {
            id = mos_arena_strdup(attempt->arena, state->steps[i]->backup_id);
        }
    }
    pthread_mutex_unlock(&attempt->recovery->mutex);
    return id;
}

// What stands there is what the restored backup held: neither an older state nor what was there before.
static mos_status check_sentinel(struct attempt *attempt, const char *path, bool *out_passed, const char **out_message,
                                 struct mos_error *error) {
    char found[MOS_ID_TEXT_BYTES];
    const char *wanted = restored_from(attempt, path);
    if (!*wanted) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "no step of this run has restored %s", path);
    }
    mos_status status = mos_sentinel_read(place_path(attempt, path), found, error);
    *out_passed = status == MOS_OK && strcmp(found, wanted) == 0;
    *out_message = status != MOS_OK ? ""
                   : *out_passed    ? mos_arena_printf(attempt->arena, "it is that of the backup %s", found)
                                    : mos_arena_printf(attempt->arena, "it is that of the backup %s; restored was %s", found, wanted);
    return status;
}

// MOS_OK where it could be found out; *out_passed says what came of it.
static mos_status check_one(struct attempt *attempt, const struct mos_criterion *criterion, bool *out_passed, const char **out_message,
                            struct mos_error *error) {
    mos_arena *arena = attempt->arena;
    int64_t number = 0;
    mos_status status = MOS_OK;
    char hash[2 * crypto_hash_sha256_BYTES + 1];
    struct stat facts;
    switch (criterion->kind) {
    case MOS_CRITERION_ROWS:
        status = check_rows(attempt, criterion, &number, error);
        *out_passed = mos_compare(number, criterion->comparison, criterion->number);
        *out_message = mos_arena_printf(arena, "%lld rows", (long long)number);
        return status;
    case MOS_CRITERION_FILE_EXISTS:
        *out_passed = lstat(place_path(attempt, criterion->subject), &facts) == 0;
        *out_message = *out_passed ? "it is there" : strerror(errno);
        return MOS_OK;
    case MOS_CRITERION_CHECKSUM:
        status = hash_file(attempt, place_path(attempt, criterion->subject), hash, error);
        *out_passed = status == MOS_OK && strcmp(hash, criterion->checksum) == 0;
        *out_message = status == MOS_OK ? mos_arena_printf(arena, "its SHA-256 is %s", hash) : "";
        return status;
    case MOS_CRITERION_SENTINEL:
        return check_sentinel(attempt, criterion->subject, out_passed, out_message, error);
    case MOS_CRITERION_HTTP:
        status = act_http(attempt, criterion->subject, &number, error);
        *out_passed = number == criterion->number;
        *out_message = mos_arena_printf(arena, "the answer was %lld", (long long)number);
        return status;
    default:
        *out_passed = mos_compare(attempt->worked_ns, criterion->comparison, criterion->number);
        *out_message = mos_arena_printf(arena, "it took %.1f seconds", (double)attempt->worked_ns / (double)MOS_NS_PER_SECOND);
        return MOS_OK;
    }
}

mos_status check_criteria(struct attempt *attempt, struct mos_error *error) {
    const mos_plan_step *step = attempt->step;
    attempt->criteria = mos_arena_alloc(attempt->arena, (step->n_validation_criteria + 1) * sizeof(*attempt->criteria));
    mos_status result = MOS_OK;
    for (size_t i = 0; i < step->n_validation_criteria; i++) {
        struct criterion_outcome *outcome = &attempt->criteria[i];
        struct mos_criterion criterion;
        struct mos_error cause;
        mos_status status = mos_criterion_parse("criterion", step->validation_criteria[i], attempt->arena, &criterion, &cause);
        if (status == MOS_OK && criterion.kind == MOS_CRITERION_SENTENCE) {
            continue;
        }
        outcome->checked = true;
        outcome->message = "";
        status = status ? status : check_one(attempt, &criterion, &outcome->passed, &outcome->message, &cause);
        if (status == MOS_CANCELLED || status == MOS_DEADLINE_EXCEEDED) {
            *error = cause;
            return status;
        }
        if (status != MOS_OK) {
            outcome->passed = false;
            outcome->message = mos_arena_strdup(attempt->arena, cause.message);
        }
        attempt_print(attempt, "%s: %s (%s)\n", step->validation_criteria[i], outcome->passed ? "holds" : "DOES NOT HOLD",
                      outcome->message);
        if (!outcome->passed && result == MOS_OK) {
            result = mos_fail(error, MOS_FAILED_PRECONDITION, "\"%.200s\" does not hold: %.400s", step->validation_criteria[i],
                              outcome->message);
        }
    }
    return result;
}
