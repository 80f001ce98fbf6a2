#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"

// The words before which only the form of the output may be named: `mosaajii -o json backup list`.
static int leading_options(int argc, char *const *argv) {
    int count = 0;
    while (count < argc) {
        const char *word = argv[count];
        bool alone = strcmp(word, "-o") == 0 || strcmp(word, "--output") == 0;
        if (!alone && strncmp(word, "-o", 2) != 0 && strncmp(word, "--output=", 9) != 0) {
            break;
        }
        count += alone ? 2 : 1;
    }
    return count < argc ? count : 0;
}

static int run(struct mos_cli *cli) {
    struct mos_error error = {0};
    mos_settings *settings = NULL;
    mos_status status = mos_settings_load(&settings, environ, &error);
    if (status == MOS_OK) {
        status = mos_client_connect(&cli->client, settings, &error);
    }
    mos_settings_free(settings);
    if (status != MOS_OK) {
        return mos_cli_fail(NULL, &error);
    }
    int code = cli->arguments.command->run(cli);
    mos_client_close(cli->client);
    return code;
}

// What was printed must have arrived: a full disk behind `> file` is a failure.
static int settle(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return code;
    }
    fprintf(stderr, "mosaajii: the output could not be written: %s\n", strerror(errno));
    return code == MOS_EXIT_DONE ? MOS_EXIT_FAILED : code;
}

int main(int argc, char **argv) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    int leading = leading_options(argc - 1, argv + 1);
    // What stands before the command is read as if it stood behind its name.
    char **words = mos_arena_array(arena, char *, (size_t)argc + 1);
    int count = 0;
    for (int i = 1 + leading; i < argc; i++) {
        words[count++] = argv[i];
    }
    if (count > 0 && (strcmp(words[0], "--version") == 0 || strcmp(words[0], "-V") == 0)) {
        printf("mosaajii %s\n", MOSAAJII_VERSION);
        return settle(MOS_EXIT_DONE);
    }
    const struct mos_command *command;
    const char *group;
    int used;
    if (mos_commands_find(count, words, &command, &group, &used, &error) != MOS_OK) {
        return mos_cli_fail(NULL, &error);
    }
    if (!command) {
        mos_commands_help(group, stdout);
        return settle(MOS_EXIT_DONE);
    }
    char **rest = mos_arena_array(arena, char *, (size_t)argc + 1);
    int rest_count = 0;
    for (int i = 1; i <= leading; i++) {
        rest[rest_count++] = argv[i];
    }
    for (int i = used; i < count; i++) {
        rest[rest_count++] = words[i];
    }
    struct mos_cli cli = {.arena = arena, .out = mos_terminal_open(stdout), .err = mos_terminal_open(stderr)};
    if (mos_arguments_parse(&cli.arguments, arena, command, rest_count, rest, &error) != MOS_OK) {
        return mos_cli_fail(NULL, &error);
    }
    if (cli.arguments.help) {
        mos_command_help(command, stdout);
        return settle(MOS_EXIT_DONE);
    }
    const char *output = mos_arguments_value(&cli.arguments, "output");
    cli.json = output && strcmp(output, "json") == 0;
    return settle(run(&cli));
}
