#include "control/schedule/preview.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"

#define NS_PER_HOUR (INT64_C(3600) * MOS_NS_PER_SECOND)

enum {
    // Runs to come that are looked at, and verdicts that are worked out in all.
    MOST_RUNS = 20000,
    MOST_VERDICTS = 200000000,
    MOST_GAPS = 1000,
};

struct walk {
    mos_schedule_store *store;
    mos_arena *arena;
    struct mos_retention retention;
    struct mos_retention_item *items;
    // Of each item: when it goes; 0 while it stays.
    int64_t *gone_at;
    enum mos_verdict *verdicts;
    struct mos_removal *removals;
    size_t removal_count;
};

static int by_time(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

// The moments at which a verdict can change.
static size_t list_moments(const struct walk *walk, int64_t now, int64_t until, int64_t *out) {
    size_t count = 0;
    for (size_t i = 0; i < walk->retention.count; i++) {
        const int64_t moments[] = {walk->items[i].created_at_unix_ns, walk->items[i].expires_at_unix_ns,
                                   walk->items[i].locked_until_unix_ns};
        for (size_t j = 0; j < sizeof(moments) / sizeof(moments[0]); j++) {
            if (moments[j] > now && moments[j] <= until) {
                out[count++] = moments[j];
            }
        }
    }
    if (count > 0) {
        qsort(out, count, sizeof(*out), by_time);
    }
    return count;
}

static void remove_item(struct walk *walk, size_t index, int64_t moment) {
    struct mos_retention_item *item = &walk->items[index];
    char ended[MOS_TIME_TEXT_BYTES];
    walk->gone_at[index] = moment;
    item->going = true;
    item->busy = true;
    if (!*item->id) {
        return;
    }
    mos_time_format(item->expires_at_unix_ns, ended);
    walk->removals[walk->removal_count++] = (struct mos_removal){
        .backup_id = mos_arena_strdup(walk->arena, item->id),
        .removed_at_unix_ns = moment,
        .bytes = item->bytes,
        .reason = mos_arena_printf(walk->arena, "%s backup, kept for %d %s, until %s; no keep rule holds it", item->label,
                                   item->retention_days, item->retention_days == 1 ? "day" : "days", ended)};
}

static void judge_at(struct walk *walk, int64_t moment) {
    struct mos_retention there = walk->retention;
    // What is not taken yet is not there.
    while (there.count > 0 && there.items->created_at_unix_ns > moment) {
        there.items++;
        there.count--;
    }
    size_t first = (size_t)(there.items - walk->retention.items);
    mos_retention_judge(&there, moment, walk->verdicts);
    for (size_t i = there.count; i > 0; i--) {
        if (walk->verdicts[i - 1] == MOS_GOES) {
            remove_item(walk, first + i - 1, moment);
        }
    }
}

// How far apart the looks are: an hour, as those of the server, or more where that would take too long.
static int64_t step_of(size_t count, int64_t span) {
    int64_t looks = MOST_VERDICTS / (int64_t)(count + 1);
    int64_t step = span / (looks > 0 ? looks : 1);
    return (step / NS_PER_HOUR + 1) * NS_PER_HOUR;
}

static void walk_through(struct walk *walk, int64_t now, int64_t until, int64_t step) {
    int64_t *moments = mos_calloc(3 * walk->retention.count + 1, sizeof(*moments));
    size_t count = list_moments(walk, now, until, moments), next = 0;
    judge_at(walk, now);
    while (next < count) {
        // The first look that comes to know of it.
        int64_t look = now + (moments[next] - now + step - 1) / step * step;
        if (look > until) {
            break;
        }
        while (next < count && moments[next] <= look) {
            next++;
        }
        judge_at(walk, look);
    }
    free(moments);
}

// ---- Gaps ----

static void add_gap(struct walk *walk, const struct mos_retention_item *before, const struct mos_retention_item *after,
                    struct mos_preview *out, const char **gaps) {
    char from[MOS_TIME_TEXT_BYTES], to[MOS_TIME_TEXT_BYTES];
    mos_time_format(before->created_at_unix_ns, from);
    mos_time_format(after->created_at_unix_ns, to);
    int64_t minutes = (after->created_at_unix_ns - before->created_at_unix_ns) / (60 * MOS_NS_PER_SECOND);
    gaps[out->gap_count++] =
        mos_arena_printf(walk->arena, "%s: no recovery point between %s and %s (%lld d %lld h %lld min)", after->label, from, to,
                         (long long)(minutes / 1440), (long long)(minutes / 60 % 24), (long long)(minutes % 60));
}

static int by_source(const void *left, const void *right) {
    const struct mos_retention_item *a = *(const struct mos_retention_item *const *)left;
    const struct mos_retention_item *b = *(const struct mos_retention_item *const *)right;
    return a->source != b->source ? (a->source < b->source ? -1 : 1)
                                  : (a->created_at_unix_ns > b->created_at_unix_ns) - (a->created_at_unix_ns < b->created_at_unix_ns);
}

// Between two that stay, all that was there goes, and something was.
static void find_gaps(struct walk *walk, int64_t objective_ns, int64_t until, struct mos_preview *out) {
    const struct mos_retention_item **points = mos_calloc(walk->retention.count, sizeof(*points));
    const char **gaps = mos_arena_array(walk->arena, const char *, MOST_GAPS);
    size_t count = 0;
    for (size_t i = 0; i < walk->retention.count; i++) {
        if (walk->items[i].good && walk->items[i].created_at_unix_ns <= until) {
            points[count++] = &walk->items[i];
        }
    }
    if (count > 0) {
        qsort(points, count, sizeof(struct mos_retention_item *), by_source);
    }
    const struct mos_retention_item *before = NULL;
    bool lost = false;
    for (size_t i = 0; i < count && out->gap_count < MOST_GAPS; i++) {
        if (before && before->source != points[i]->source) {
            before = NULL;
            lost = false;
        }
        if (walk->gone_at[points[i] - walk->items]) {
            lost = lost || *points[i]->id;
            continue;
        }
        if (before && lost && points[i]->created_at_unix_ns - before->created_at_unix_ns > objective_ns) {
            add_gap(walk, before, points[i], out, gaps);
        }
        before = points[i];
        lost = false;
    }
    free(points);
    out->gaps = gaps;
}

static void add_notes(struct walk *walk, const struct mos_trial *trial, int64_t step, bool left_out, struct mos_preview *out) {
    const char **notes = mos_arena_array(walk->arena, const char *, 5);
    notes[out->note_count++] = "Every scheduled run is taken to succeed, and the server to run all the time";
    notes[out->note_count++] =
        "Bytes are what each backup added when it was taken: what later ones share stays, and what earlier ones left to it "
        "goes too, so that the space that becomes free may be less or more";
    if (trial && trial->retention_days > 0) {
        notes[out->note_count++] = "Other days are those of backups that are still to be taken: the ones that are there keep their own";
    }
    if (step > NS_PER_HOUR) {
        notes[out->note_count++] =
            mos_arena_printf(walk->arena, "Times of removal are exact to %lld hours, because of the number of backups and days",
                             (long long)(step / NS_PER_HOUR));
    }
    if (left_out) {
        notes[out->note_count++] = "There are too many runs to come: later ones were left out, so that more may go than is listed";
    }
    out->notes = notes;
}

mos_status mos_preview_make(mos_catalog *catalog, const struct mos_preview_order *order, int64_t now_unix_ns, mos_arena *arena,
                            struct mos_preview *out, struct mos_error *error) {
    MOS_CLEANUP_STORE mos_schedule_store *store = NULL;
    int64_t until = now_unix_ns + order->days * INT64_C(24) * NS_PER_HOUR;
    bool left_out = false;
    *out = (struct mos_preview){0};
    mos_status status = mos_schedule_store_open(&store, catalog, order->tag_rules, order->trial, error);
    if (status != MOS_OK) {
        return status;
    }
    size_t known = mos_schedule_store_retention(store).count;
    mos_schedule_store_add_runs(store, now_unix_ns, until, order->default_retention_days, MOST_RUNS, &left_out);
    struct walk walk = {
        .store = store, .arena = arena, .retention = mos_schedule_store_retention(store), .items = mos_schedule_store_items(store)};
    walk.gone_at = mos_calloc(walk.retention.count, sizeof(*walk.gone_at));
    walk.verdicts = mos_calloc(walk.retention.count, sizeof(*walk.verdicts));
    walk.removals = mos_arena_array(arena, struct mos_removal, known);
    int64_t step = step_of(walk.retention.count, until - now_unix_ns);
    if (walk.removals || known == 0) {
        walk_through(&walk, now_unix_ns, until, step);
        find_gaps(&walk, order->objective_ns, until, out);
        add_notes(&walk, order->trial, step, left_out, out);
    } else {
        status = mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the preview takes too much memory");
    }
    for (size_t i = 0; i < walk.removal_count; i++) {
        out->bytes += walk.removals[i].bytes;
    }
    out->removals = walk.removals;
    out->removal_count = walk.removal_count;
    free(walk.gone_at);
    free(walk.verdicts);
    return status;
}
