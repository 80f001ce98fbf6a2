// A program run beside the server for a step: in a process group of its own, with an environment made for it, its output caught.
#ifndef MOS_CONTROL_DR_CHILD_H
#define MOS_CONTROL_DR_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/status.h"

struct mos_child_order {
    // A path, not looked up anywhere; or, with `search`, a name that PATH leads to.
    const char *program;
    bool search;
    char *const *arguments;
    char *const *environment;
    const char *folder;
    // Ends it when it becomes readable.
    int stop_fd;
    // Monotonic; 0: none.
    int64_t deadline_ns;
    // Output past this is read and dropped; 0: nothing is kept.
    size_t output_most;
    // Standard error is caught too, into the same text, else dropped.
    bool errors_too;
};

struct mos_child_end {
    int exit_code;
    // 0: it ended by itself.
    int signal;
    bool stopped, timed_out, cut;
};

// Blocks until the program has ended. Its output is put behind what `output` holds, which must have no ceiling. MOS_OK however it ended;
// MOS_NOT_FOUND, MOS_PERMISSION_DENIED and the like where it could not be started.
mos_status mos_child_run(const struct mos_child_order *order, struct mos_buffer *output, struct mos_child_end *out,
                         struct mos_error *error);
// Kills what still runs of programs that were given this variable (NAME=value) by a server that is gone.
void mos_child_kill_left(const char *variable);

#endif
