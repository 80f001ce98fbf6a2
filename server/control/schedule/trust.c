#include "control/schedule/trust.h"

// What a step of a look may count for, and how much faster than time itself trust grows.
#define LONGEST_STEP_NS (INT64_C(60) * 1000000000)
#define GROWTH 24
// Clocks are corrected by less than this without anybody having to know.
#define SLACK_NS (INT64_C(3600) * 1000000000)

enum mos_trust mos_trust_look(int64_t *known_unix_ns, int64_t now_unix_ns, int64_t elapsed_ns, int64_t newest_unix_ns) {
    int64_t step = elapsed_ns < 0 ? 0 : elapsed_ns > LONGEST_STEP_NS ? LONGEST_STEP_NS : elapsed_ns;
    if (now_unix_ns - *known_unix_ns > MOS_TRUST_AWAY_NS) {
        *known_unix_ns += step * GROWTH;
    }
    if (now_unix_ns - *known_unix_ns > MOS_TRUST_AWAY_NS) {
        return MOS_CLOCK_AHEAD;
    }
    // What was recorded by a clock that was not believed says nothing.
    if (newest_unix_ns > now_unix_ns + SLACK_NS && newest_unix_ns - *known_unix_ns <= MOS_TRUST_AWAY_NS) {
        return MOS_CLOCK_BEHIND;
    }
    *known_unix_ns = now_unix_ns;
    return MOS_CLOCK_GOOD;
}
