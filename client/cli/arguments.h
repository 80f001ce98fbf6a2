// Commands as data: what words and options each takes, from which parsing, errors and --help are made. Not thread safe.
#ifndef MOS_CLIENT_CLI_ARGUMENTS_H
#define MOS_CLIENT_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <protobuf-c/protobuf-c.h>

#include "common/arena.h"
#include "common/status.h"

struct mos_cli;

struct mos_option {
    // Without the dashes; NULL ends an array.
    const char *name;
    // What --help calls the value; NULL: a flag.
    const char *value;
    bool repeated;
    const char *help;
    // As in -o; 0: none.
    char letter;
};

struct mos_command {
    // `backup` and `create`; `name` is NULL for a command of one word.
    const char *group, *name;
    // As `ID [PATH]`.
    const char *words;
    int least_words, most_words;
    // One line without a full stop.
    const char *summary;
    // What else --help says, whole lines; NULL: nothing.
    const char *description;
    // Whole lines.
    const char *example;
    const struct mos_option *options;
    // Answers the exit code.
    int (*run)(struct mos_cli *cli);
};

struct mos_option_value {
    const struct mos_option *option;
    const char *value;
};

struct mos_arguments {
    const struct mos_command *command;
    bool help;
    const char **words;
    int word_count;
    struct mos_option_value *options;
    int option_count;
};

// What follows the command's name. Every command also takes -o/--output and -h/--help; `--name value` and `--name=value` are the same, and
// `--` ends the options. MOS_INVALID_ARGUMENT with one sentence and a hint. With --help, words are not counted. The texts are borrowed from
// `argv`, the arrays from the arena.
mos_status mos_arguments_parse(struct mos_arguments *out, mos_arena *arena, const struct mos_command *command, int argc, char *const *argv,
                               struct mos_error *error);

bool mos_arguments_flag(const struct mos_arguments *arguments, const char *name);
// The option's value; NULL where it was not given.
const char *mos_arguments_value(const struct mos_arguments *arguments, const char *name);
// All values of a repeated option, in the arena; NULL and 0 for none.
char **mos_arguments_values(const struct mos_arguments *arguments, const char *name, mos_arena *arena, size_t *out_count);
// *out is untouched where the option was not given.
mos_status mos_arguments_number(const struct mos_arguments *arguments, const char *name, int64_t least, int64_t most, int64_t *out,
                                struct mos_error *error);
// A word of the enum in any case, with - for _; not its *_UNSPECIFIED. *out is untouched where the option was not given.
mos_status mos_arguments_enum(const struct mos_arguments *arguments, const char *name, const ProtobufCEnumDescriptor *descriptor, int *out,
                              struct mos_error *error);

// The one of `candidates` (ends with NULL) that a mistyped word was probably meant to be; NULL: none is near.
const char *mos_arguments_nearest(const char *word, const char *const *candidates);
// "mosaajii backup create"; in the arena.
char *mos_command_text(mos_arena *arena, const struct mos_command *command);
void mos_command_help(const struct mos_command *command, FILE *stream);

#endif
