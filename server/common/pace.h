// Keeps what a program moves below a rate: whoever is ahead of it waits.
#ifndef MOS_COMMON_PACE_H
#define MOS_COMMON_PACE_H

#include <stdint.h>

// How long to wait, from `now_ns` on, once `bytes` more are moved at `bytes_per_second` (1 at least). *free_at_ns: when all that was moved
// before is paid for, 0 at the beginning. Time in which nothing was moved is not saved up.
int64_t mos_pace_wait_ns(int64_t *free_at_ns, int64_t bytes_per_second, int64_t bytes, int64_t now_ns);

// The rate of this process's disk, reading and writing together. Once, before any thread is started; 0: no limit.
void mos_pace_set_disk(int64_t bytes_per_second);
// So much was read or written; blocks as long as the rate wants. Thread safe.
void mos_pace_disk(int64_t bytes);

#endif
