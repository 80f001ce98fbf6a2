// Looks at the names of a directory before they are asked for, on a thread of its own: what a scan of unchanged files waits for most is
// the kernel. One caller.
#ifndef MOS_ENGINE_SOURCE_AHEAD_H
#define MOS_ENGINE_SOURCE_AHEAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

typedef struct mos_ahead mos_ahead;

// NULL where no thread can be started.
mos_ahead *mos_ahead_create(void);
void mos_ahead_free(mos_ahead *ahead);

// Begins with names + order[0] to names + order[count - 1] in the directory. All is borrowed until mos_ahead_end.
void mos_ahead_begin(mos_ahead *ahead, int directory, const char *names, const uint32_t *order, size_t count);
// As fstatat of the next name, without following it: 0, or -1 and errno. At most `count` times.
int mos_ahead_next(mos_ahead *ahead, struct stat *out);
// Nothing borrowed is used any more. Names that were not asked for are forgotten.
void mos_ahead_end(mos_ahead *ahead);

#endif
