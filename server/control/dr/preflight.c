// What is looked at before the first step, and what is removed after the last.
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/clock.h"
#include "control/catalog/backups.h"
#include "control/dr/internal.h"

enum { MOST_FINDINGS = 4 * MOS_PLAN_MOST_STEPS + 32 };

void attempt_find(struct attempt *attempt, enum finding_weight weight, const char *format, ...) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    va_list arguments;
    va_start(arguments, format);
    mos_buffer_vprintf(&text, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < attempt->finding_count; i++) {
        if (strcmp(attempt->findings[i].text, mos_buffer_text(&text)) == 0) {
            return;
        }
    }
    if (!attempt->findings) {
        attempt->findings = mos_arena_array(attempt->arena, struct attempt_finding, MOST_FINDINGS);
    }
    if (attempt->finding_count < MOST_FINDINGS) {
        attempt->findings[attempt->finding_count++] =
            (struct attempt_finding){weight, mos_arena_strdup(attempt->arena, mos_buffer_text(&text))};
    }
}

static void find(struct attempt *attempt, bool fatal, const char *text) {
    attempt_find(attempt, fatal ? FINDING_FATAL : FINDING_WARNING, "%s", text);
}

static bool runs_here(const struct attempt *attempt, const mos_plan_step *step) {
    bool test = attempt->run->state->test != NULL, named = false;
    for (size_t i = 0; i < step->n_run_kinds; i++) {
        named = named || (step->run_kinds[i] == MOSAAJII__BACKUP__V1__PLAN_STEP__RUN_KIND__TEST) == test;
    }
    return step->automated && (named || step->n_run_kinds == 0);
}

static int64_t free_bytes(const char *path) {
    struct statvfs facts;
    return statvfs(path, &facts) == 0 ? (int64_t)(facts.f_bavail * facts.f_frsize) : INT64_MAX;
}

// What the plan is about to need. Of each backup once, as several steps may take a part of one: those to restore, and all that are read.
struct needs {
    int64_t bytes;
    struct mos_backup *backups;
    size_t backup_count;
    const char *restored[MOS_PLAN_MOST_STEPS];
    size_t restored_count;
};

static void need(struct needs *needs, const struct mos_backup *backup, bool restores) {
    bool known = false;
    for (size_t i = 0; i < needs->backup_count && !known; i++) {
        known = strcmp(needs->backups[i].id, backup->id) == 0;
    }
    if (!known) {
        needs->backups[needs->backup_count++] = *backup;
    }
    known = false;
    for (size_t i = 0; i < needs->restored_count && !known; i++) {
        known = strcmp(needs->restored[i], backup->id) == 0;
    }
    if (restores && !known) {
        needs->restored[needs->restored_count++] = backup->id;
        needs->bytes += backup->size_bytes;
    }
}

// Whether a test can keep its databases apart from the real ones by an account of their own.
static void look_at_accounts(struct attempt *attempt, const struct mos_backup *backup, enum mos_backup_type type) {
    struct backup_part part;
    backup_part_of(attempt->recovery, backup, type, attempt->arena, &part);
    for (size_t i = 0; i < part.database_count; i++) {
        struct mos_database_url url;
        struct mos_error error;
        if (strcmp(part.databases[i]->engine, "sqlite") != 0 &&
            database_open_url(attempt->recovery, part.databases[i]->origin, attempt->arena, &url, &error) == MOS_OK &&
            sandbox_database_may_have_role(attempt, &url, &error) != MOS_OK) {
            find(attempt, false,
                 mos_arena_printf(
                     attempt->arena,
                     "the test's copy of the database %s is used by the server's own account, which reaches the real one too: %s",
                     part.databases[i]->name, error.message));
        }
    }
}

static void look_at_backup(struct attempt *attempt, const mos_plan_step *step, const struct mos_command *command, struct needs *needs) {
    mos_arena *arena = attempt->arena;
    const run_state *state = attempt->run->state;
    struct mos_backup backup;
    struct mos_error error;
    if (choose_backup(attempt->recovery, state, command, arena, &backup, &error) != MOS_OK) {
        find(attempt, true, mos_arena_printf(arena, "the step \"%s\" has nothing to work on: %s", step->id, error.message));
        return;
    }
    bool restores = command->kind == MOS_COMMAND_RESTORE_BACKUP;
    attempt_find(attempt, FINDING_NOTE, "the step \"%s\" %s %s", step->id, restores ? "restores from" : "verifies",
                 backup_text(&backup, arena));
    need(needs, &backup, restores);
    if (!restores) {
        return;
    }
    if (attempt->place.sandbox) {
        look_at_accounts(attempt, &backup, command->type);
    }
    int64_t incident_ns = state->incident_at_unix_ns ? state->incident_at_unix_ns : mos_plan_time(state->execution->started_at);
    int64_t minutes = (incident_ns - backup.created_at_unix_ns) / MOS_NS_PER_SECOND / 60;
    if (minutes > state->plan->recovery_point_objective) {
        // It is all there is: a reason to know it, not to do nothing.
        find(attempt, false,
             mos_arena_printf(arena, "the %s backup %s is %lld minutes older than the incident; the objective is %d",
                              mos_backup_type_word((int)backup.type), backup.id, (long long)minutes,
                              state->plan->recovery_point_objective));
    }
}

// Whether what the criteria look for can be there.
static void look_at_criteria(struct attempt *attempt, const mos_plan_step *step) {
    const char *sentinel = mos_setting_text(attempt->recovery->options.settings, MOS_SETTING_BACKUP_SENTINEL);
    for (size_t i = 0; i < step->n_validation_criteria; i++) {
        struct mos_criterion criterion;
        if (mos_criterion_parse("criterion", step->validation_criteria[i], attempt->arena, &criterion, NULL) == MOS_OK &&
            criterion.kind == MOS_CRITERION_SENTINEL && strcmp(criterion.subject, sentinel) != 0) {
            find(attempt, false,
                 mos_arena_printf(attempt->arena,
                                  "the step \"%s\" looks for the sentinel %s, and backups do not write it: BACKUP_SENTINEL is %s", step->id,
                                  criterion.subject, *sentinel ? sentinel : "not set"));
        }
    }
}

static void look_at_step(struct attempt *attempt, const mos_plan_step *step, struct needs *needs) {
    mos_arena *arena = attempt->arena;
    struct mos_command command;
    struct mos_error error;
    const char *path;
    if (!runs_here(attempt, step) || mos_command_parse("command", step->command, arena, &command, &error) != MOS_OK) {
        return;
    }
    bool hook = command.kind == MOS_COMMAND_HOOK || command.kind == MOS_COMMAND_RESTART_SERVICES;
    bool skipped = hook && attempt->place.sandbox && step->n_run_kinds == 0;
    if (command.kind == MOS_COMMAND_RESTORE_BACKUP || command.kind == MOS_COMMAND_VERIFY_BACKUP) {
        look_at_backup(attempt, step, &command, needs);
    } else if (hook && !skipped) {
        const char *name = command.kind == MOS_COMMAND_HOOK ? command.text : recovery_restart_hook(attempt->recovery);
        if (hook_check(attempt->recovery, name, arena, &path, &error) != MOS_OK) {
            find(attempt, true, mos_arena_printf(arena, "the step \"%s\" cannot run: %s", step->id, error.message));
        }
    }
}

static void look_at_keys(struct attempt *attempt) {
    Mosaajii__Engine__V1__Request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    Mosaajii__Engine__V1__ListKeysRequest listing = MOSAAJII__ENGINE__V1__LIST_KEYS_REQUEST__INIT;
    listing.check = true;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_LIST_KEYS;
    request.list_keys = &listing;
    const Mosaajii__Engine__V1__KeyReport *report = NULL;
    struct mos_error error;
    if (mos_queue_keys(attempt->recovery->options.queue, &request, attempt->arena, &report, &error) != MOS_OK) {
        find(attempt, true, mos_arena_printf(attempt->arena, "the keys of the backups cannot be looked at: %s", error.message));
        return;
    }
    for (size_t i = 0; i < report->n_failures && i < 5; i++) {
        find(attempt, true, mos_arena_printf(attempt->arena, "a key does not open: %s", report->failures[i]));
    }
}

static void look_at_space(struct attempt *attempt, int64_t needed_bytes) {
    const char *place = attempt->place.sandbox ? attempt->recovery->home : "/";
    int64_t there = free_bytes(place);
    if (there < needed_bytes) {
        find(attempt, attempt->place.sandbox,
             mos_arena_printf(attempt->arena, "%lld bytes are free below %s, and %lld are to be restored", (long long)there, place,
                              (long long)needed_bytes));
    }
}

static void look_at_people(struct attempt *attempt) {
    const mos_plan *plan = attempt->run->state->plan;
    bool mail = false;
    for (size_t i = 0; i < plan->n_contacts; i++) {
        mail = mail || *plan->contacts[i]->email;
    }
    const mos_settings *settings = attempt->recovery->options.settings;
    if (plan->n_contacts == 0) {
        find(attempt, false, "the plan names nobody to be told");
    } else if (mail && !mos_setting_is_set(settings, MOS_SETTING_SMTP_HOST)) {
        find(attempt, false, "nobody can be told by mail: SMTP_HOST is not set");
    }
}

mos_status act_preflight(struct attempt *attempt, struct mos_error *error) {
    const mos_plan *plan = attempt->run->state->plan;
    const char *repository = mos_setting_text(attempt->recovery->options.settings, MOS_SETTING_MOSAAJII_REPOSITORY);
    struct needs needs = {.backups = mos_arena_array(attempt->arena, struct mos_backup, plan->n_steps)};
    if (access(repository, R_OK | X_OK) != 0) {
        find(attempt, true, mos_arena_printf(attempt->arena, "the repository %s cannot be read: %s", repository, strerror(errno)));
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        look_at_step(attempt, plan->steps[i], &needs);
        look_at_criteria(attempt, plan->steps[i]);
    }
    look_offsite(attempt, needs.backups, needs.backup_count);
    look_at_keys(attempt);
    look_at_space(attempt, needs.bytes);
    if (!attempt->run->state->test) {
        look_at_people(attempt);
    }
    return attempt_check(attempt, error);
}

// ---- Afterwards ----

mos_status act_clean_up(struct attempt *attempt, struct mos_error *error) {
    (void)error;
    const run_state *state = attempt->run->state;
    const char *left = "";
    for (size_t i = 0; i < state->n_databases; i++) {
        const char *why;
        if (!sandbox_database_drop(attempt, state->databases[i], &why)) {
            left = mos_arena_printf(attempt->arena, "%s%sthe database %s (%s)", left, *left ? ", " : "", state->databases[i]->url, why);
        }
    }
    const char *folder;
    sandbox_remove(attempt->recovery, attempt->place.folder, attempt->arena, &folder);
    if (folder) {
        left = mos_arena_printf(attempt->arena, "%s%s%s", left, *left ? ", " : "", folder);
    }
    attempt->left_behind = left;
    return MOS_OK;
}
