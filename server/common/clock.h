// Time, and its text form. Thread safe.
#ifndef MOS_COMMON_CLOCK_H
#define MOS_COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define MOS_NS_PER_SECOND INT64_C(1000000000)
#define MOS_NS_PER_MS INT64_C(1000000)

int64_t mos_now_unix_ns(void);
// For durations and deadlines; never goes back.
int64_t mos_now_monotonic_ns(void);
// Tests only: from now on both clocks say what they are told; 0 gives them back to the system.
void mos_clock_fake(int64_t unix_ns);

// RFC 3339 in UTC with milliseconds, as 2026-01-31T12:00:00.000Z; empty for 0.
#define MOS_TIME_TEXT_BYTES 32
void mos_time_format(int64_t unix_ns, char text[MOS_TIME_TEXT_BYTES]);
// RFC 3339 with any offset. false when the text is none.
bool mos_time_parse(const char *text, int64_t *out_unix_ns);

#endif
