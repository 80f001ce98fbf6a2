// Addresses from which many attempts fail. Thread safe.
#ifndef MOS_CONTROL_ACCESS_SLOWDOWN_H
#define MOS_CONTROL_ACCESS_SLOWDOWN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mos_slowdown mos_slowdown;

mos_slowdown *mos_slowdown_create(void);
void mos_slowdown_destroy(mos_slowdown *slowdown);

// One more failure from there. Answers for how long its refusal is to be held back, in ms: nothing for the first 20 within a minute or so,
// then ever longer, up to a second. *out_first: with this one the slowing down begins.
int64_t mos_slowdown_failed(mos_slowdown *slowdown, const char *address, int64_t now_monotonic_ns, bool *out_first);
// A place among the few that are held back at a time; false: there is none, and the caller is to be sent away. Give it back with leave.
bool mos_slowdown_enter(mos_slowdown *slowdown);
void mos_slowdown_leave(mos_slowdown *slowdown);

#endif
