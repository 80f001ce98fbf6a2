// What every command gets, and what all of them do alike: calls, ids, errors and exit codes, JSON. Not thread safe.
#ifndef MOS_CLIENT_CLI_CLI_H
#define MOS_CLIENT_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "cli/api.h"
#include "cli/arguments.h"
#include "cli/terminal.h"
#include "common/arena.h"
#include "common/id.h"
#include "common/status.h"
#include "lib/client.h"

enum mos_exit {
    MOS_EXIT_DONE = 0,
    MOS_EXIT_FAILED = 1,
    MOS_EXIT_USAGE = 2,
    MOS_EXIT_WARNINGS = 3,
    MOS_EXIT_NOT_FOUND = 4,
    MOS_EXIT_NOT_ALLOWED = 5,
    MOS_EXIT_NOT_REACHABLE = 6,
    // The shell's own code for a program that Ctrl-C ended.
    MOS_EXIT_INTERRUPTED = 130,
};

struct mos_cli {
    mos_arena *arena;
    mos_client *client;
    struct mos_arguments arguments;
    // -o json
    bool json;
    // Standard output carries results, standard error progress, notes and errors.
    struct mos_terminal out, err;
};

enum mos_exit mos_exit_of(mos_status status);
// Says on standard error what went wrong, in one line, and answers the exit code. `cli` NULL: there is none yet.
int mos_cli_fail(const struct mos_cli *cli, struct mos_error *error);

// Options of a call that answers at once, and of one that takes as long as the work does.
struct mos_rpc_call_options mos_cli_quick(const struct mos_cli *cli);
struct mos_rpc_call_options mos_cli_patient(const struct mos_cli *cli);

// To standard output, with a newline behind it.
void mos_cli_print_json(const ProtobufCMessage *message);
void mos_cli_print_json_list(const ProtobufCMessage *const *messages, size_t count);

// The id of the backup that `text` names: an id, its unique beginning of four characters or more, or `latest`. With `complete`, `latest` is
// the newest backup that can be read, else the newest of all. MOS_NOT_FOUND; MOS_INVALID_ARGUMENT for a beginning that several share.
mos_status mos_cli_find_backup(struct mos_cli *cli, const char *text, bool complete, char out_id[MOS_ID_TEXT_BYTES],
                               struct mos_error *error);
mos_status mos_cli_find_job(struct mos_cli *cli, const char *text, char out_id[MOS_ID_TEXT_BYTES], struct mos_error *error);

// How many characters of the ids tell them apart, at least 13: for tables that somebody reads.
int mos_cli_id_columns(const struct mos_cli *cli, const char *const *ids, size_t count);

// "FILES"; "-" for none; the number where the word is not known.
const char *mos_cli_word(struct mos_cli *cli, const ProtobufCEnumDescriptor *descriptor, int value);
int64_t mos_cli_seconds(const Google__Protobuf__Timestamp *time);
// "3 warnings".
const char *mos_cli_plural(struct mos_cli *cli, int64_t count, const char *one, const char *many);
const char *mos_cli_size(struct mos_cli *cli, int64_t bytes);
const char *mos_cli_count(struct mos_cli *cli, int64_t count);
const char *mos_cli_duration(struct mos_cli *cli, int64_t duration_ms);
const char *mos_cli_moment(struct mos_cli *cli, const Google__Protobuf__Timestamp *time);

// Standard output and input are both a terminal: somebody can be asked.
bool mos_cli_somebody_there(void);

#endif
