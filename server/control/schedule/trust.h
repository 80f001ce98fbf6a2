// Whether the clock can be believed, before something is removed because it says so. Plain numbers, without a clock.
//
// What was known to be the time is carried along. A clock that is suddenly far ahead of it is not believed; it is again when it has been
// set right, or when it has gone on steadily for so long that it must be: each hour counts for a day.
#ifndef MOS_CONTROL_SCHEDULE_TRUST_H
#define MOS_CONTROL_SCHEDULE_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "control/catalog/retention.h"

enum mos_trust { MOS_CLOCK_GOOD, MOS_CLOCK_AHEAD, MOS_CLOCK_BEHIND };

// *known: the newest time that was believed, brought up to date. `elapsed`: what passed since the last look by a clock that nobody sets;
// one look counts for a minute at most. `newest`: the newest time that the catalog bears.
enum mos_trust mos_trust_look(int64_t *known_unix_ns, int64_t now_unix_ns, int64_t elapsed_ns, int64_t newest_unix_ns);

#endif
