#include "control/schedule/overdue.h"

#include <stdlib.h>

#include "common/buffer.h"
#include "control/schedule/store.h"

static mos_status take(const struct mos_retention *retention, const enum mos_verdict *verdicts, mos_arena *arena, const char ***out_ids,
                       size_t *out_count, struct mos_error *error) {
    const char **ids = mos_arena_array(arena, const char *, retention->count);
    *out_count = 0;
    for (size_t i = retention->count; ids && i > 0; i--) {
        const char *id = verdicts[i - 1] == MOS_GOES ? mos_arena_strdup(arena, retention->items[i - 1].id) : "";
        if (!id) {
            ids = NULL;
        } else if (*id) {
            ids[(*out_count)++] = id;
        }
    }
    *out_ids = ids;
    return ids ? MOS_OK : mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the list of overdue backups takes too much memory");
}

mos_status mos_overdue_find(void *context, int64_t unix_ns, mos_arena *arena, const char ***out_ids, size_t *out_count,
                            struct mos_error *error) {
    const struct mos_overdue *overdue = context;
    MOS_CLEANUP_STORE mos_schedule_store *store = NULL;
    mos_status status = mos_schedule_store_open(&store, overdue->catalog, overdue->tag_rules, NULL, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_retention retention = mos_schedule_store_retention(store);
    struct mos_retention_item *items = mos_schedule_store_items(store);
    // Its own deletion is no use that keeps it: that may fail every hour.
    for (size_t i = 0; i < retention.count; i++) {
        items[i].busy = items[i].busy && !items[i].going;
    }
    enum mos_verdict *verdicts = mos_calloc(retention.count, sizeof(*verdicts));
    mos_retention_judge(&retention, unix_ns, verdicts);
    status = take(&retention, verdicts, arena, out_ids, out_count, error);
    free(verdicts);
    return status;
}
