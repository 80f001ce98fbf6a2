// Recovery plans, their runs and the runs' journal in the catalog. What a plan or a run is made of the catalog does not look into.
#ifndef MOS_CONTROL_CATALOG_RECOVERY_H
#define MOS_CONTROL_CATALOG_RECOVERY_H

#include <stddef.h>

#include "control/catalog/catalog.h"

struct mos_recovery_plan {
    const char *id;
    // Numbers of the public API.
    int priority;
    int status;
    int64_t created_at_unix_ns;
    struct mos_blob content;
    // A test of it has not ended. Read only.
    bool testing;
};

// The status of a plan while it is tested; it is never written.
enum { MOS_PLAN_STATUS_TESTING = 3 };

// Inserts it or replaces all of it.
mos_status mos_catalog_put_plan(mos_catalog_session *session, const struct mos_recovery_plan *plan, struct mos_error *error);
// MOS_NOT_FOUND, with a message that names the id.
mos_status mos_catalog_get_plan(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_recovery_plan *out,
                                struct mos_error *error);
// Its runs stay. MOS_NOT_FOUND likewise.
mos_status mos_catalog_remove_plan(mos_catalog_session *session, const char *id, struct mos_error *error);
// `priority` and `status` 0: any. A plan that is being tested is in no other status.
mos_status mos_catalog_list_plans(mos_catalog_session *session, int priority, int status, const struct mos_page *page, mos_arena *arena,
                                  struct mos_recovery_plan **out, size_t *out_count, const char **out_next_token, struct mos_error *error);

struct mos_recovery_run {
    const char *id;
    const char *plan_id;
    // A test, not the real thing. One that another test has made for itself is hidden from lists.
    bool test;
    bool hidden;
    // Of the execution, a number of the public API.
    int status;
    // It has not ended.
    bool active;
    int64_t created_at_unix_ns;
    struct mos_blob content;
    // Of one that has ended.
    struct mos_blob report;
};

// Inserts it or replaces all of it, but for the report where it has none.
mos_status mos_catalog_put_recovery_run(mos_catalog_session *session, const struct mos_recovery_run *run, struct mos_error *error);
mos_status mos_catalog_get_recovery_run(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_recovery_run *out,
                                        struct mos_error *error);
struct mos_recovery_filter {
    // NULL or "": of any plan.
    const char *plan_id;
    bool tests;
    // 0: any.
    int status;
};
mos_status mos_catalog_list_recovery_runs(mos_catalog_session *session, const struct mos_recovery_filter *filter,
                                          const struct mos_page *page, mos_arena *arena, struct mos_recovery_run **out, size_t *out_count,
                                          const char **out_next_token, struct mos_error *error);
// All that have not ended, hidden ones too, oldest first.
mos_status mos_catalog_active_recovery_runs(mos_catalog_session *session, mos_arena *arena, struct mos_recovery_run **out,
                                            size_t *out_count, struct mos_error *error);

struct mos_journal_entry {
    // Given by mos_catalog_add_journal, of the row of numbers that jobs' events are from.
    int64_t sequence;
    const char *run_id;
    int64_t time_unix_ns;
    // A number of the public API.
    int kind;
    struct mos_blob content;
};
mos_status mos_catalog_add_journal(mos_catalog_session *session, struct mos_journal_entry *entry, struct mos_error *error);
// Those of a run after `after_sequence`, in order, `limit` at most; `kind` 0: any.
mos_status mos_catalog_next_journal(mos_catalog_session *session, const char *run_id, int kind, int64_t after_sequence, int limit,
                                    mos_arena *arena, struct mos_journal_entry **out, size_t *out_count, struct mos_error *error);
// Of a run that has ended: its entries of a kind that only show the way, but for the last.
mos_status mos_catalog_thin_journal(mos_catalog_session *session, const char *run_id, int kind, struct mos_error *error);

#endif
