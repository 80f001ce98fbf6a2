// All commands of the program, and finding the one that is meant.
#ifndef MOS_CLIENT_CLI_COMMANDS_H
#define MOS_CLIENT_CLI_COMMANDS_H

#include <stdio.h>

#include "cli/arguments.h"

struct mos_group {
    const char *name;
    const char *summary;
    // Ends with one whose group is NULL.
    const struct mos_command *commands;
};

// Ends with a NULL name.
extern const struct mos_group mos_groups[];

// The command that the first words of `argv` (without the program's name) name; *out_used: how many of them. With *out NULL, help is asked
// for: of the group *out_group, or of the program where that is NULL too. MOS_INVALID_ARGUMENT with one sentence and a hint.
mos_status mos_commands_find(int argc, char *const *argv, const struct mos_command **out, const char **out_group, int *out_used,
                             struct mos_error *error);
// `group`: the name of one; NULL: of the program.
void mos_commands_help(const char *group, FILE *stream);

#endif
