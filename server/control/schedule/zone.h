// Time zones as the system's own database has them (TZif files, RFC 8536). Reading one touches neither TZ nor the C library's idea of local
// time, which all threads share. A zone is never changed once it is made, so any thread may use it.
//
// Times are whole seconds since 1970. A wall time is what a clock in the zone shows, counted as if the zone were UTC.
#ifndef MOS_CONTROL_SCHEDULE_ZONE_H
#define MOS_CONTROL_SCHEDULE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct mos_zone mos_zone;

// By its IANA name; "" and "UTC" need no database. MOS_INVALID_ARGUMENT, field timeZone, for a name that the database does not have. On
// MOS_OK *out is the caller's, to be closed.
mos_status mos_zone_open(mos_zone **out, const char *name, struct mos_error *error);
// From the content of a file. MOS_CORRUPT where it is none, or counts leap seconds.
mos_status mos_zone_parse(mos_zone **out, const uint8_t *data, size_t size_bytes, struct mos_error *error);
// NULL is fine.
void mos_zone_close(mos_zone *zone);

static inline void mos_zone_cleanup(mos_zone **zone) {
    mos_zone_close(*zone);
}
#define MOS_CLEANUP_ZONE __attribute__((cleanup(mos_zone_cleanup)))

// Bounds of what the functions below are asked; outside them they answer as at the bound.
#define MOS_ZONE_LEAST INT64_C(-9000000000)
#define MOS_ZONE_MOST INT64_C(9300000000)

// Seconds east of UTC.
int32_t mos_zone_offset(const mos_zone *zone, int64_t unix_seconds);
// The first moment after this one from which the offset is another. false where there is none any more.
bool mos_zone_next_change(const mos_zone *zone, int64_t unix_seconds, int64_t *out_unix_seconds);
// The moments at which the clock shows this wall time, in order: one as a rule, two where the clock was set back over it, none where it was
// set forward over it. In that case, *out_after_gap is the moment of the change.
int mos_zone_moments(const mos_zone *zone, int64_t wall_seconds, int64_t out[2], int64_t *out_after_gap);

// Days since 1970 and back, in the Gregorian calendar; month and day from 1.
int64_t mos_days_of(int64_t year, int month, int day);
void mos_date_of(int64_t days, int64_t *out_year, int *out_month, int *out_day);
// 0 is Sunday.
int mos_weekday_of(int64_t days);

#endif
