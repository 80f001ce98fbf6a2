// A program of a database server (pg_dump, mariadb, …) as a child process: in a process group of its own, with an environment of its own,
// killed with its whole group when it is not needed any more or when this process dies. One thread, the one that stays: the kernel kills
// the child with the thread that started it.
#ifndef MOS_ENGINE_SOURCE_CHILD_H
#define MOS_ENGINE_SOURCE_CHILD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/status.h"

typedef struct mos_child mos_child;

struct mos_child_options {
    // Ends with NULL; the program is looked for in PATH. Everybody may read it.
    const char *const *arguments;
    // Descriptor 3 of the child, which it may read as /proc/self/fd/3; -1: none. Borrowed.
    int secret;
    // Whether it is written to, and read from; otherwise it has /dev/null there.
    bool input;
    bool output;
    // For how long it may say nothing before it counts as hung; 0: for ever.
    int quiet_ms;
    // NULL: is not asked.
    bool (*cancelled)(void *context);
    void *context;
    // Does not appear in any error; NULL: nothing to hide. Borrowed.
    const char *hidden;
};

// MOS_FAILED_PRECONDITION where the program is not installed.
mos_status mos_child_start(const struct mos_child_options *options, mos_child **out, struct mos_error *error);
// Blocks until there is something; 0 bytes at the end of its output. MOS_CANCELLED; MOS_UNAVAILABLE when it said nothing for too long.
mos_status mos_child_read(mos_child *child, void *buffer, size_t size_bytes, size_t *out_bytes, struct mos_error *error);
// Blocks until all is taken. When the child reads no more, the failure is what it ended with.
mos_status mos_child_write(mos_child *child, const void *data, size_t size_bytes, struct mos_error *error);
// The end of its input.
void mos_child_close_input(mos_child *child);
// Waits for its end. A failure is what it said about it: the status that fits, and one line of its words.
mos_status mos_child_finish(mos_child *child, struct mos_error *error);
// What it said on its error output last, up to 8 KiB. Borrowed.
const char *mos_child_said(const mos_child *child);
// Kills what still runs of it. NULL is fine.
void mos_child_free(mos_child *child);

// An anonymous file that holds `text`, which only this user may read; the caller's, to be closed. -1 on failure.
int mos_secret_file(const char *text, struct mos_error *error);

#endif
