// Which backup a step works on, and which part of it.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/text.h"
#include "control/catalog/backups.h"
#include "control/dr/internal.h"
#include "control/job/facts.h"

typedef const Mosaajii__Engine__V1__BackupInfo *backup_info;

// ---- Parts ----

static char *without_slashes(mos_arena *arena, const void *path, size_t size_bytes) {
    const char *text = path;
    while (size_bytes > 1 && text[size_bytes - 1] == '/') {
        size_bytes--;
    }
    return mos_arena_printf(arena, "%.*s", (int)size_bytes, text);
}

static void include(struct backup_part *part, const char *path) {
    for (size_t i = 0; i < part->include_count; i++) {
        if (strcmp(part->include[i], path) == 0) {
            return;
        }
    }
    part->include_bytes[part->include_count] = strlen(path);
    part->include[part->include_count++] = (char *)path;
}

// What the settings name and the backup was made of, whichever of the two reaches further down.
static void take_paths(const char *setting, backup_info info, mos_arena *arena, struct backup_part *part) {
    size_t count;
    char **configured = mos_split(arena, setting, ':', &count);
    // Each may stand under a second name.
    part->include = mos_arena_array(arena, char *, 2 * count * info->n_source_paths + 1);
    part->include_bytes = mos_arena_array(arena, size_t, 2 * count * info->n_source_paths + 1);
    for (size_t i = 0; i < count; i++) {
        const char *wanted = without_slashes(arena, configured[i], strlen(configured[i]));
        for (size_t k = 0; k < info->n_source_paths; k++) {
            const char *source = without_slashes(arena, info->source_paths[k].data, info->source_paths[k].len);
            const char *both = mos_path_is_below(wanted, source) ? wanted : mos_path_is_below(source, wanted) ? source : NULL;
            char resolved[PATH_MAX];
            if (!both) {
                continue;
            }
            include(part, both);
            // Backups hold what a link leads to under its real name.
            if (realpath(both, resolved)) {
                include(part, mos_arena_strdup(arena, resolved));
            }
        }
    }
}

static void take_databases(backup_info info, mos_arena *arena, struct backup_part *part) {
    part->include = mos_arena_array(arena, char *, info->n_databases + 1);
    part->include_bytes = mos_arena_array(arena, size_t, info->n_databases + 1);
    for (size_t i = 0; i < info->n_databases; i++) {
        include(part, info->databases[i]->name);
    }
}

bool backup_part_of(const mos_recovery *recovery, const struct mos_backup *backup, enum mos_backup_type type, mos_arena *arena,
                    struct backup_part *out) {
    const mos_settings *settings = recovery->options.settings;
    *out = (struct backup_part){0};
    if (backup->type != type && (!mos_backup_type_of_all(backup->type) || mos_backup_type_of_all(type))) {
        return false;
    }
    backup_info info = mos_backup_info(&backup->facts, arena);
    if (info && (mos_backup_type_of_all(type) || type == MOS_BACKUP_DATABASE)) {
        out->databases = info->databases;
        out->database_count = info->n_databases;
    }
    if (backup->type == type) {
        return true;
    }
    if (info && type == MOS_BACKUP_DATABASE) {
        take_databases(info, arena, out);
    } else if (info) {
        take_paths(mos_setting_text(settings, type == MOS_BACKUP_FILES ? MOS_SETTING_BACKUP_FILES_PATHS : MOS_SETTING_BACKUP_CONFIG_PATHS),
                   info, arena, out);
    }
    return out->include_count > 0;
}

// ---- Choosing ----

struct choice {
    const mos_recovery *recovery;
    enum mos_backup_type type;
    bool verified;
    int64_t before_unix_ns;
    char id[MOS_ID_TEXT_BYTES];
};

static bool visit(const struct mos_backup *backup, void *argument) {
    struct choice *choice = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct backup_part part;
    if ((choice->verified && backup->status != MOS_BACKUP_VERIFIED) ||
        (choice->before_unix_ns && backup->created_at_unix_ns > choice->before_unix_ns) ||
        !backup_part_of(choice->recovery, backup, choice->type, arena, &part)) {
        return true;
    }
    snprintf(choice->id, sizeof(choice->id), "%s", backup->id);
    return false;
}

static const char *point_text(const struct choice *choice, mos_arena *arena) {
    char before[MOS_TIME_TEXT_BYTES];
    mos_time_format(choice->before_unix_ns, before);
    return mos_arena_printf(arena, "%s%s%s", choice->verified ? " that is verified" : "", choice->before_unix_ns ? " from before " : "",
                            before);
}

mos_status choose_backup(mos_recovery *recovery, const run_state *state, const struct mos_command *command, mos_arena *arena,
                         struct mos_backup *out, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    const char *word = mos_backup_type_word((int)command->type);
    mos_status status = mos_catalog_read_begin(recovery->options.catalog, &session, error);
    if (status != MOS_OK) {
        return status;
    }
    if (command->point == MOS_POINT_ID) {
        struct backup_part part;
        status = mos_catalog_get_backup(session, command->backup_id, arena, out, error);
        if (status == MOS_OK && !backup_part_of(recovery, out, command->type, arena, &part)) {
            bool all = mos_backup_type_of_all(out->type) && !mos_backup_type_of_all(command->type);
            status = mos_fail(error, MOS_FAILED_PRECONDITION, "the backup %s is %s%s%s", out->id, mos_backup_type_word((int)out->type),
                              all ? " and holds nothing of the type " : ", not ", word);
        }
        return status;
    }
    struct choice choice = {.recovery = recovery,
                            .type = command->type,
                            .verified = command->point == MOS_POINT_LATEST_VERIFIED,
                            .before_unix_ns = command->before_unix_ns};
    if (state->recover_to_unix_ns && (!choice.before_unix_ns || state->recover_to_unix_ns < choice.before_unix_ns)) {
        choice.before_unix_ns = state->recover_to_unix_ns;
    }
    status = mos_catalog_good_backups(session, mos_backup_type_of_all(command->type) ? command->type : 0, visit, &choice, error);
    if (status == MOS_OK && !choice.id[0]) {
        status = mos_fail(error, MOS_NOT_FOUND, "there is no good backup of the type %s%s%s", word, point_text(&choice, arena),
                          mos_backup_type_of_all(command->type) ? "" : ", nor one of everything that holds it");
    }
    return status == MOS_OK ? mos_catalog_get_backup(session, choice.id, arena, out, error) : status;
}

const char *backup_text(const struct mos_backup *backup, mos_arena *arena) {
    char created[MOS_TIME_TEXT_BYTES];
    mos_time_format(backup->created_at_unix_ns, created);
    return mos_arena_printf(arena, "the %s backup %s of %s", mos_backup_type_word((int)backup->type), backup->id, created);
}
