#include "control/access/second.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "control/access/access.h"

enum { FORGET_DAYS = 30 };

struct act {
    const char *action;
    const char *resource;
    const char *caller;
    int64_t wait_ns;
    // What came of it.
    char id[MOS_ID_TEXT_BYTES];
    int64_t expires_at_unix_ns;
    bool confirmed;
};

static mos_status ask_or_use(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct act *act = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_confirmation found;
    bool known = false;
    int64_t now_ns = mos_now_unix_ns();
    mos_status status =
        mos_catalog_find_confirmation(session, act->action, act->resource, act->caller, now_ns, arena, &found, &known, error);
    if (status != MOS_OK) {
        return status;
    }
    if (!known) {
        status = mos_catalog_forget_confirmations(session, now_ns - FORGET_DAYS * INT64_C(86400) * MOS_NS_PER_SECOND, error);
        mos_id_new(act->id);
        found = (struct mos_confirmation){.id = act->id,
                                          .action = act->action,
                                          .resource = act->resource,
                                          .requested_by = act->caller,
                                          .requested_at_unix_ns = now_ns,
                                          .expires_at_unix_ns = now_ns + act->wait_ns,
                                          .confirmed_by = ""};
    } else {
        snprintf(act->id, sizeof(act->id), "%s", found.id);
    }
    act->expires_at_unix_ns = found.expires_at_unix_ns;
    act->confirmed = *found.confirmed_by != 0;
    found.used_at_unix_ns = act->confirmed ? now_ns : 0;
    return status == MOS_OK ? mos_catalog_put_confirmation(session, &found, error) : status;
}

mos_status mos_second_person(mos_catalog *catalog, const char *action, const char *resource, const char *caller, int64_t wait_ns,
                             struct mos_error *error) {
    struct act act = {.action = action, .resource = resource, .caller = caller, .wait_ns = wait_ns};
    mos_status status = mos_catalog_write(catalog, ask_or_use, &act, error);
    if (status != MOS_OK || act.confirmed) {
        return status;
    }
    char until[MOS_TIME_TEXT_BYTES];
    mos_time_format(act.expires_at_unix_ns, until);
    return mos_fail(error, MOS_FAILED_PRECONDITION,
                    "a second person must confirm this: another administrator confirms %s before %s, then repeat the request", act.id,
                    until);
}

struct agreement {
    const char *id;
    const struct mos_identity *caller;
    mos_arena *arena;
    struct mos_confirmation *out;
};

static mos_status agree(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct agreement *agreement = argument;
    struct mos_confirmation *found = agreement->out;
    mos_status status = mos_catalog_get_confirmation(session, agreement->id, agreement->arena, found, error);
    if (status != MOS_OK) {
        return status;
    }
    if (found->used_at_unix_ns || *found->confirmed_by) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "it was confirmed already, by %s", found->confirmed_by);
    }
    if (found->expires_at_unix_ns <= mos_now_unix_ns()) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the time to confirm it is over; it must be asked for again");
    }
    if (strcmp(found->requested_by, agreement->caller->name) == 0) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "%s asked for it and cannot confirm it too", agreement->caller->name);
    }
    if (agreement->caller->made_at_unix_ns > found->requested_at_unix_ns) {
        return mos_fail(error, MOS_PERMISSION_DENIED,
                        "the token %s was made after it was asked for; one that was there before must confirm it", agreement->caller->name);
    }
    found->confirmed_by = agreement->caller->name;
    return mos_catalog_put_confirmation(session, found, error);
}

mos_status mos_access_confirm(mos_access *access, const char *id, const struct mos_identity *caller, mos_arena *arena,
                              struct mos_confirmation *out, struct mos_error *error) {
    struct agreement agreement = {id, caller, arena, out};
    return mos_catalog_write(mos_access_catalog(access), agree, &agreement, error);
}
