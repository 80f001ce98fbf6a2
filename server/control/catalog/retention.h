// What retention and timing ask of the catalog, and leave in it.
#ifndef MOS_CONTROL_CATALOG_RETENTION_H
#define MOS_CONTROL_CATALOG_RETENTION_H

#include <stddef.h>

#include "control/catalog/catalog.h"
#include "control/catalog/words.h"

// A backup as far as retention cares.
struct mos_retained {
    const char *id;
    enum mos_backup_type type;
    enum mos_backup_status status;
    int64_t created_at_unix_ns;
    int64_t completed_at_unix_ns;
    int32_t retention_days;
    int64_t locked_until_unix_ns;
    bool legal_hold, quarantined;
    bool committed, damaged;
    int64_t verified_at_unix_ns;
    // With a comma between them.
    const char *tags;
    // Of the run that it came from; "" where nobody's schedule took it.
    const char *schedule_id;
    // A job is waiting for it or running on it; and that job deletes it.
    bool busy, going;
    struct mos_blob facts;
};
// Calls `visit` for every backup, newest first, until it fails. What it is given lives until it returns.
mos_status mos_catalog_visit_retained(mos_catalog_session *session,
                                      mos_status (*visit)(const struct mos_retained *backup, void *argument, struct mos_error *error),
                                      void *argument, struct mos_error *error);

// Marks a backup that rests as EXPIRED. *out_done is false, and nothing changed, where it is gone, at work, held, locked beyond `now`, or
// quarantined meanwhile.
mos_status mos_catalog_expire_backup(mos_catalog_session *session, const char *id, int64_t now_unix_ns, bool *out_done,
                                     struct mos_error *error);
// Gives an EXPIRED backup the status back that its facts say.
mos_status mos_catalog_unexpire_backup(mos_catalog_session *session, const char *id, struct mos_error *error);
// Puts a backup into quarantine: retention leaves it, and what came before it, alone. NULL takes it out. No error where there is none.
mos_status mos_catalog_quarantine_backup(mos_catalog_session *session, const char *id, const char *reason, struct mos_error *error);

// ---- The clock, as far as it is believed ----

// A server may be away for so long.
#define MOS_TRUST_AWAY_NS (INT64_C(7) * 86400 * 1000000000)

// The newest time that was believed (control/schedule/trust.h), brought up to date about once an hour; 0: none was yet.
mos_status mos_catalog_get_known_time(mos_catalog_session *session, int64_t *out_unix_ns, struct mos_error *error);
mos_status mos_catalog_put_known_time(mos_catalog_session *session, int64_t unix_ns, struct mos_error *error);
// By what time something may end that must not end too soon, a lock or the days of a copy: what the clock says, or where that is further
// ahead of the newest time that was believed than a server may be away, that time. 0, so that nothing ends, where none was believed yet.
mos_status mos_catalog_trusted_now(mos_catalog_session *session, int64_t *out_unix_ns, struct mos_error *error);
// The clock is further ahead than a server may be away: nothing is to be forgotten or given up by it. false where none was believed yet,
// and where it cannot be told.
bool mos_catalog_clock_is_ahead(mos_catalog *catalog);

// Why nothing is removed by itself until an administrator has looked; "" where nothing holds that back. "" to put lets it go on.
mos_status mos_catalog_get_retention_hold(mos_catalog_session *session, mos_arena *arena, const char **out_why, struct mos_error *error);
mos_status mos_catalog_put_retention_hold(mos_catalog_session *session, const char *why, struct mos_error *error);

// The newest time that any backup, job or event bears; 0 where there is none.
mos_status mos_catalog_newest_time(mos_catalog_session *session, int64_t *out_unix_ns, struct mos_error *error);

enum { MOS_HOURS_A_WEEK = 168 };
// How busy the machine was, in thousandths of a processor, by hour of the week in UTC from Sunday 0:00 on.
struct mos_load {
    int64_t samples[MOS_HOURS_A_WEEK];
    int64_t mean_milli[MOS_HOURS_A_WEEK];
};
mos_status mos_catalog_get_load(mos_catalog_session *session, struct mos_load *out, struct mos_error *error);
// The newest samples count most: with four an hour, an hour of the week remembers four weeks.
mos_status mos_catalog_add_load(mos_catalog_session *session, int hour, int64_t milli, struct mos_error *error);

// A backup job that was done, for what can be learned from it.
struct mos_past_job {
    enum mos_backup_type type;
    int64_t started_at_unix_ns;
    int64_t duration_ns;
    int64_t size_bytes;
    struct mos_blob facts;
};
// Newest first, `limit` at most. What `visit` is given lives until it returns.
mos_status mos_catalog_visit_past_jobs(mos_catalog_session *session, int64_t after_unix_ns, int limit,
                                       void (*visit)(const struct mos_past_job *job, void *argument), void *argument,
                                       struct mos_error *error);

#endif
