// Follows the events of a backup or a job to the end, over restarts of the server too, and shows them.
#ifndef MOS_CLIENT_CLI_FOLLOW_H
#define MOS_CLIENT_CLI_FOLLOW_H

#include "cli/cli.h"

struct mos_follow {
    // One of them.
    const char *backup_id, *job_id;
    // The first event shown is the one after this.
    int64_t after_sequence;
    // Where bars and lines go.
    struct mos_terminal terminal;
    // Instead: each event as one line of JSON to standard output.
    bool json;
};

struct mos_followed {
    // Ctrl-C ended it, not the job.
    bool interrupted;
    // Jobs that ended as such, and the warnings seen.
    int failed, cancelled, with_warnings;
    int64_t warnings;
    // Of the last job that failed; may be empty. In the command's arena.
    const char *message;
};

// MOS_OK where the watch came to its end or was interrupted. A watch that breaks is taken up again from the last event seen, for a minute.
mos_status mos_follow_events(struct mos_cli *cli, const struct mos_follow *follow, struct mos_followed *out, struct mos_error *error);
// What the jobs' ends mean for the exit code.
int mos_follow_exit(const struct mos_followed *followed);

#endif
