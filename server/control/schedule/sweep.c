#include "control/schedule/sweep.h"

#include <stdlib.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/alert/alert.h"
#include "control/catalog/audit.h"
#include "control/catalog/retention.h"
#include "control/schedule/store.h"

// Deletions at a time: the queue has room for other work, and an error in the rules can be seen before all is gone.
enum { MOST_REMOVALS = 100 };

struct expiry {
    const struct mos_retention_item *item;
    int64_t now_unix_ns;
    bool done;
};

static mos_status audit(mos_catalog_session *session, const char *action, const char *id, const char *reason, struct mos_error *error) {
    const struct mos_audit_detail detail = {"reason", reason};
    const struct mos_audit_entry entry = {
        .actor = "system", .action = action, .resource = id, .result = mos_status_name(MOS_OK), .details = &detail, .detail_count = 1};
    return mos_catalog_add_audit(session, &entry, error);
}

static mos_status expire(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct expiry *change = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char ended[MOS_TIME_TEXT_BYTES];
    mos_status status = mos_catalog_expire_backup(session, change->item->id, change->now_unix_ns, &change->done, error);
    if (status != MOS_OK || !change->done) {
        return status;
    }
    mos_time_format(change->item->expires_at_unix_ns, ended);
    return audit(session, "Retention.Expire", change->item->id,
                 mos_arena_printf(arena, "It was kept for %d %s, until %s, and no keep rule holds it", change->item->retention_days,
                                  change->item->retention_days == 1 ? "day" : "days", ended),
                 error);
}

static mos_status unexpire(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct mos_retention_item *item = argument;
    mos_status status = mos_catalog_unexpire_backup(session, item->id, error);
    return status == MOS_OK ? audit(session, "Retention.Keep", item->id, "It was marked as expired, but may stay after all", error)
                            : status;
}

static mos_status tell(mos_catalog_session *session, void *argument, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    int count = *(const int *)argument;
    const struct mos_alert_cause cause = {.type = MOS_ALERT_RETENTION_EXPIRED,
                                          .severity = MOS_SEVERITY_INFO,
                                          .cause = "retention",
                                          .message = mos_arena_printf(arena, "%d %s past retention and %s being deleted", count,
                                                                      count == 1 ? "backup is" : "backups are", count == 1 ? "is" : "are")};
    return mos_alert_tell_in(session, &cause, error);
}

// Marks it, and queues its deletion. One that was marked before and is still there is tried again.
static mos_status let_go(mos_catalog *catalog, const struct mos_schedule_acts *acts, const struct mos_retention_item *item,
                         int64_t now_unix_ns, int *removed, struct mos_error *error) {
    struct expiry change = {.item = item, .now_unix_ns = now_unix_ns};
    mos_status status = item->expired ? MOS_OK : mos_catalog_write(catalog, expire, &change, error);
    if (status != MOS_OK || (!item->expired && !change.done)) {
        return status;
    }
    struct mos_error refusal = {0};
    status = acts->remove(acts->context, item->id, &refusal);
    if (status == MOS_UNAVAILABLE) {
        return mos_fail(error, status, "%s", refusal.message);
    }
    // Something uses it since we looked: the next sweep comes back to it.
    if (status != MOS_OK) {
        mos_log_warning("a backup past its retention could not be deleted", MOS_TEXT("backup", item->id),
                        MOS_TEXT("reason", refusal.message));
    } else {
        mos_log_info("a backup is past its retention and is being deleted", MOS_TEXT("backup", item->id));
        (*removed)++;
    }
    return MOS_OK;
}

// ---- Held back ----

static const char held_cause[] = "retention:held";

static mos_status read_hold(mos_catalog *catalog, mos_arena *arena, const char **out_why, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(catalog, &session, error);
    return status == MOS_OK ? mos_catalog_get_retention_hold(session, arena, out_why, error) : status;
}

static void tell_hold(mos_catalog *catalog, const char *why) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const struct mos_alert_cause cause = {
        .type = MOS_ALERT_RETENTION_VIOLATION,
        .severity = MOS_SEVERITY_ERROR,
        .cause = held_cause,
        .message =
            mos_arena_printf(arena,
                             "Retention removes nothing: %s. Look at holds, locks, schedules and keep rules; then stop the server, run "
                             "mosaajii-server --release-retention, and start it",
                             why)};
    mos_alert_raise(catalog, &cause);
}

struct hold {
    const char *why;
    bool was;
};

static mos_status put_hold(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct hold *hold = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *held = "";
    mos_status status = mos_catalog_get_retention_hold(session, arena, &held, error);
    hold->was = status == MOS_OK && *held;
    if (status == MOS_OK && *hold->why && !hold->was) {
        status = mos_catalog_put_retention_hold(session, hold->why, error);
    }
    if (status != MOS_OK || *hold->why || !hold->was) {
        return status;
    }
    status = mos_catalog_put_retention_hold(session, "", error);
    if (status == MOS_OK) {
        status = mos_alert_resolve_in(session, held_cause, error);
    }
    return status == MOS_OK ? audit(session, "Retention.Release", "", held, error) : status;
}

mos_status mos_retention_hold_back(mos_catalog *catalog, const char *why, bool *out_was, struct mos_error *error) {
    struct hold hold = {.why = why};
    mos_status status = mos_catalog_write(catalog, put_hold, &hold, error);
    *out_was = hold.was;
    return status;
}

mos_status mos_retention_release(mos_catalog *catalog, bool *out_was, struct mos_error *error) {
    return mos_retention_hold_back(catalog, "", out_was, error);
}

mos_status mos_sweep(mos_catalog *catalog, const struct mos_schedule_acts *acts, const char *tag_rules, int64_t now_unix_ns, bool *out_more,
                     struct mos_error *error) {
    MOS_CLEANUP_STORE mos_schedule_store *store = NULL;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *held = "";
    int removed = 0;
    bool judged = false;
    *out_more = false;
    mos_status status = read_hold(catalog, arena, &held, error);
    if (status != MOS_OK) {
        return status;
    }
    if (*held) {
        tell_hold(catalog, held);
        return MOS_OK;
    }
    status = acts->all_judged(acts->context, &judged, error);
    *out_more = !judged;
    if (status != MOS_OK || !judged) {
        return status;
    }
    // What ends between the question and this is younger than all that goes.
    status = mos_schedule_store_open(&store, catalog, tag_rules, NULL, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_retention retention = mos_schedule_store_retention(store);
    enum mos_verdict *verdicts = mos_calloc(retention.count, sizeof(*verdicts));
    mos_retention_judge(&retention, now_unix_ns, verdicts);
    for (size_t i = retention.count; i > 0 && status == MOS_OK; i--) {
        const struct mos_retention_item *item = &retention.items[i - 1];
        if (verdicts[i - 1] == MOS_GOES && removed == MOST_REMOVALS) {
            *out_more = true;
        } else if (verdicts[i - 1] == MOS_GOES) {
            status = let_go(catalog, acts, item, now_unix_ns, &removed, error);
        } else if (item->expired && !item->busy) {
            status = mos_catalog_write(catalog, unexpire, (void *)item, error);
        }
    }
    free(verdicts);
    struct mos_error refusal = {0};
    if (removed > 0) {
        mos_catalog_write(catalog, tell, &removed, NULL);
        // Where another prune waits already, that one does it.
        if (acts->prune(acts->context, &refusal) != MOS_OK && refusal.status != MOS_FAILED_PRECONDITION) {
            mos_log_warning("what expired backups leave behind could not be pruned", MOS_TEXT("reason", refusal.message));
        }
    }
    return status;
}
