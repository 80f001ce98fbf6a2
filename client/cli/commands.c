#include "cli/commands.h"

#include <string.h>

#include "cli/commands_internal.h"

const struct mos_group mos_groups[] = {
    {"backup", "take, look at, verify, restore and delete backups", mos_backup_commands},
    {"repository", "look after all backups at once", mos_repository_commands},
    {"schedule", "backups that are taken without anybody asking", mos_schedule_commands},
    {"retention", "how long backups are kept", mos_retention_commands},
    {"offsite", "copies of backups at another place", mos_offsite_commands},
    {"job", "the server's pieces of work", mos_job_commands},
    {"dr", "recovery plans: made, tested, executed, proved", mos_dr_commands},
    {"token", "who may call the server", mos_token_commands},
    {"key", "the keys that protect the backups' own keys", mos_key_commands},
    {"audit", "who did what, and whether that record is whole", mos_audit_commands},
    {"confirmation", "deletions and the like that wait for a second person", mos_confirmation_commands},
    {"alert", "what went wrong, or did not happen, and who looks after it", mos_alert_commands},
    {"analytics", "how backups went over time", mos_analytics_commands},
    {"status", "the server, its storage, and what is protected", mos_status_commands},
    {"health", "whether the server takes calls, for probes", mos_health_commands},
    {0},
};

static bool asks_for_help(const char *word) {
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static mos_status find_group(const char *word, const struct mos_group **out, struct mos_error *error) {
    const char *names[sizeof(mos_groups) / sizeof(mos_groups[0])];
    size_t count = 0;
    for (const struct mos_group *group = mos_groups; group->name; group++) {
        if (strcmp(group->name, word) == 0) {
            *out = group;
            return MOS_OK;
        }
        names[count++] = group->name;
    }
    names[count] = NULL;
    const char *nearest = word[0] == '-' ? NULL : mos_arguments_nearest(word, names);
    return nearest ? mos_fail(error, MOS_INVALID_ARGUMENT, "there is no command \"%s\"; did you mean mosaajii %s?", word, nearest)
                   : mos_fail(error, MOS_INVALID_ARGUMENT, "there is no %s \"%s\"; see mosaajii --help",
                              word[0] == '-' ? "option" : "command", word);
}

mos_status mos_commands_find(int argc, char *const *argv, const struct mos_command **out, const char **out_group, int *out_used,
                             struct mos_error *error) {
    const struct mos_group *group = NULL;
    *out = NULL;
    *out_group = NULL;
    *out_used = 0;
    if (argc == 0) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "what to do? See mosaajii --help");
    }
    if (asks_for_help(argv[0])) {
        // `mosaajii help backup create` is `mosaajii backup create --help`, but for the last word.
        mos_status status = argc > 1 && argv[0][0] == 'h' ? find_group(argv[1], &group, error) : MOS_OK;
        *out_group = group ? group->name : NULL;
        return status;
    }
    mos_status status = find_group(argv[0], &group, error);
    if (status != MOS_OK) {
        return status;
    }
    *out_group = group->name;
    const char *names[32];
    size_t count = 0;
    for (const struct mos_command *command = group->commands; command->group; command++) {
        bool one_word = !command->name;
        if (one_word || (argc > 1 && strcmp(command->name, argv[1]) == 0)) {
            *out = command;
            *out_used = one_word ? 1 : 2;
            return MOS_OK;
        }
        names[count++] = command->name;
    }
    names[count] = NULL;
    if (argc == 1) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "\"mosaajii %s\" needs one word more; see mosaajii %s --help", *out_group, *out_group);
    }
    if (asks_for_help(argv[1])) {
        return MOS_OK;
    }
    const char *nearest = mos_arguments_nearest(argv[1], names);
    return nearest ? mos_fail(error, MOS_INVALID_ARGUMENT, "there is no command \"%s %s\"; did you mean mosaajii %s %s?", *out_group,
                              argv[1], *out_group, nearest)
                   : mos_fail(error, MOS_INVALID_ARGUMENT, "there is no command \"%s %s\"; see mosaajii %s --help", *out_group, argv[1],
                              *out_group);
}

static void print_program_help(FILE *stream) {
    fprintf(stream, "Usage: mosaajii GROUP COMMAND [arguments] [options]\n\n"
                    "Backups of files and databases: encrypted, deduplicated, verified.\n\nGroups:\n");
    for (const struct mos_group *group = mos_groups; group->name; group++) {
        fprintf(stream, "  %-12s %s\n", group->name, group->summary);
    }
    fprintf(stream, "\nEvery group and command takes --help; every command takes -o json.\n\n"
                    "Settings, from the environment:\n"
                    "  MOSAAJII_SERVER         where the server is, host:port; default: 127.0.0.1:50051\n"
                    "  MOSAAJII_TOKEN          who you are\n"
                    "  MOSAAJII_TOKEN_FILE     or a file with that; default: $MOSAAJII_HOME/admin.token\n"
                    "  MOSAAJII_TLS_CLIENT_CA  who signed the server's certificate; with it, TLS is used\n\n"
                    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with warnings, 4 not found,\n"
                    "5 not allowed, 6 server not reachable.\n\n"
                    "Example:\n"
                    "  mosaajii backup create --type FILES\n"
                    "  mosaajii backup list\n"
                    "  mosaajii backup restore latest\n");
}

void mos_commands_help(const char *group, FILE *stream) {
    if (!group) {
        print_program_help(stream);
        return;
    }
    const struct mos_group *known = mos_groups;
    while (strcmp(known->name, group) != 0) {
        known++;
    }
    fprintf(stream, "mosaajii %s: %s.\n\nCommands:\n", group, known->summary);
    for (const struct mos_command *command = known->commands; command->group; command++) {
        char words[64];
        snprintf(words, sizeof(words), "%s%s%s", command->name ? command->name : "", command->words ? " " : "",
                 command->words ? command->words : "");
        fprintf(stream, "  %-16s %s\n", words, command->summary);
    }
    fprintf(stream, "\nmosaajii %s COMMAND --help tells more.\n\nExample:\n%s", group, known->commands->example);
}
