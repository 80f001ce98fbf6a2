#include "control/schedule/store.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/catalog/retention.h"
#include "control/job/facts.h"

#define NS_PER_DAY (INT64_C(86400) * MOS_NS_PER_SECOND)

struct mos_schedule_store {
    mos_arena *arena;
    struct mos_retention_item *items;
    size_t count, capacity;
    struct mos_schedule *schedules;
    size_t schedule_count;
    mos_timing **timings;
    mos_zone *utc;
    struct mos_tag_rule *tag_rules;
    size_t tag_rule_count;
    struct mos_keep_rule *rules;
    size_t rule_count;
    const struct mos_trial *trial;
    // Of the trial: its own rule, behind all others; -1 for none.
    int32_t trial_rule;
};

static struct mos_retention_item *add_item(mos_schedule_store *store) {
    if (store->count == store->capacity) {
        store->capacity = store->capacity ? 2 * store->capacity : 256;
        store->items = mos_realloc(store->items, store->capacity * sizeof(*store->items));
    }
    store->items[store->count] = (struct mos_retention_item){.rule = -1};
    return &store->items[store->count++];
}

static bool has_tag(const char *tags, const char *tag) {
    size_t length = strlen(tag);
    while (*tags) {
        size_t part = strcspn(tags, ",");
        if (part == length && memcmp(tags, tag, length) == 0) {
            return true;
        }
        tags += part + (tags[part] == ',');
    }
    return false;
}

// 0: never. A repository that the catalog was rebuilt from may say anything of its times.
static int64_t expiry(int64_t created_at_unix_ns, int32_t days) {
    int64_t kept_ns, expires_ns;
    return created_at_unix_ns <= 0 || days <= 0 || __builtin_mul_overflow(days, NS_PER_DAY, &kept_ns) ||
                   __builtin_add_overflow(created_at_unix_ns, kept_ns, &expires_ns)
               ? 0
               : expires_ns;
}

static int32_t find_schedule(const mos_schedule_store *store, const char *id) {
    for (size_t i = 0; i < store->schedule_count && *id; i++) {
        if (strcmp(store->schedules[i].id, id) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

static bool is_tried(const struct mos_trial *trial, const char *schedule_id, const char *tags) {
    return trial && (!*trial->schedule_id || strcmp(trial->schedule_id, schedule_id) == 0) && (!*trial->tag || has_tag(tags, trial->tag));
}

// The rules and the days that hold for it.
static void govern(const mos_schedule_store *store, struct mos_retention_item *item, const char *schedule_id, const char *tags,
                   bool to_come) {
    int32_t schedule = find_schedule(store, schedule_id);
    bool tried = is_tried(store->trial, schedule_id, tags);
    item->rule = schedule >= 0 && store->schedules[schedule].has_keep ? schedule : -1;
    for (size_t i = 0; i < store->tag_rule_count; i++) {
        item->tag_rules |= has_tag(tags, store->tag_rules[i].tag) ? UINT64_C(1) << i : 0;
    }
    // A trial for a tag stands among the rules of tags.
    if (tried && store->trial->has_keep && !*store->trial->tag) {
        item->rule = store->trial_rule;
        item->tag_rules = *store->trial->schedule_id ? item->tag_rules : 0;
    }
    // A backup that is there keeps the days that it was taken with, whatever becomes of its schedule.
    item->retention_days = tried && to_come && store->trial->retention_days > 0 ? store->trial->retention_days : item->retention_days;
    item->expires_at_unix_ns = expiry(item->created_at_unix_ns, item->retention_days);
}

static mos_status take(const struct mos_retained *backup, void *argument, struct mos_error *error) {
    mos_schedule_store *store = argument;
    struct mos_retention_item *item = add_item(store);
    struct mos_backup_facts facts;
    (void)error;
    item->good = backup->committed && !backup->damaged && mos_backup_facts_of(backup->type, &backup->facts, &facts);
    item->id = mos_arena_strdup(store->arena, backup->id);
    item->label = mos_backup_type_word(backup->type);
    item->retention_days = backup->retention_days;
    item->created_at_unix_ns = backup->created_at_unix_ns;
    item->locked_until_unix_ns = backup->locked_until_unix_ns;
    item->held = backup->legal_hold;
    item->quarantined = backup->quarantined;
    // A status that says that a job is at work counts too, should the job be gone.
    item->busy = backup->busy || backup->status == MOS_BACKUP_PENDING || backup->status == MOS_BACKUP_IN_PROGRESS ||
                 backup->status == MOS_BACKUP_VERIFYING;
    item->going = backup->going;
    item->verified = item->good && backup->verified_at_unix_ns != 0;
    item->source = item->good ? facts.source : 0;
    item->bytes = item->good ? facts.bytes_written : 0;
    item->expired = backup->status == MOS_BACKUP_EXPIRED;
    govern(store, item, backup->schedule_id, backup->tags, false);
    return MOS_OK;
}

// In place of the tag's rule, or as one more.
static mos_status try_tag(mos_schedule_store *store, struct mos_error *error) {
    size_t index = 0;
    while (index < store->tag_rule_count && strcmp(store->tag_rules[index].tag, store->trial->tag) != 0) {
        index++;
    }
    if (index == MOS_TAG_RULES_MOST) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "BACKUP_KEEP_TAGS holds %d rules already, the most there may be",
                        MOS_TAG_RULES_MOST);
    }
    store->tag_rule_count += index == store->tag_rule_count;
    store->tag_rules[index] = (struct mos_tag_rule){store->trial->tag, store->trial->keep};
    return MOS_OK;
}

// One rule for each schedule, whether it has any or not; then those of tags; then that of the trial.
static mos_status make_rules(mos_schedule_store *store, const char *text_of_tag_rules, struct mos_error *error) {
    mos_status status =
        mos_tag_rules_parse(store->arena, "BACKUP_KEEP_TAGS", text_of_tag_rules, &store->tag_rules, &store->tag_rule_count, error);
    if (status == MOS_OK && store->trial && store->trial->has_keep && *store->trial->tag) {
        status = try_tag(store, error);
    }
    if (status == MOS_OK) {
        status = mos_zone_open(&store->utc, "", error);
    }
    store->timings = mos_calloc(store->schedule_count, sizeof(mos_timing *));
    store->rule_count = store->schedule_count + store->tag_rule_count + 1;
    store->rules = mos_calloc(store->rule_count, sizeof(*store->rules));
    for (size_t i = 0; i < store->schedule_count && status == MOS_OK; i++) {
        status = mos_timing_open(&store->timings[i], &store->schedules[i], error);
        if (status == MOS_OK) {
            store->rules[i] = (struct mos_keep_rule){store->schedules[i].keep, mos_timing_zone(store->timings[i])};
        }
    }
    for (size_t i = 0; i < store->tag_rule_count; i++) {
        store->rules[store->schedule_count + i] = (struct mos_keep_rule){store->tag_rules[i].keep, store->utc};
    }
    store->trial_rule = (int32_t)store->rule_count - 1;
    store->rules[store->trial_rule].zone = store->utc;
    if (store->trial && store->trial->has_keep) {
        int32_t schedule = find_schedule(store, store->trial->schedule_id);
        store->rules[store->trial_rule].keep = store->trial->keep;
        store->rules[store->trial_rule].zone = schedule >= 0 ? store->rules[schedule].zone : store->utc;
    }
    return status;
}

mos_status mos_schedule_store_open(mos_schedule_store **out, mos_catalog *catalog, const char *text_of_tag_rules,
                                   const struct mos_trial *trial, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_schedule_store *store = mos_calloc(1, sizeof(*store));
    store->arena = mos_arena_create(0);
    store->trial = trial;
    mos_status status = mos_catalog_read_begin(catalog, &session, error);
    if (status == MOS_OK && trial && *trial->schedule_id) {
        struct mos_schedule ignored;
        status = mos_catalog_get_schedule(session, trial->schedule_id, store->arena, &ignored, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_all_schedules(session, store->arena, &store->schedules, &store->schedule_count, error);
    }
    if (status == MOS_OK) {
        status = make_rules(store, text_of_tag_rules, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_visit_retained(session, take, store, error);
    }
    if (status != MOS_OK) {
        mos_schedule_store_close(store);
        return status;
    }
    *out = store;
    return MOS_OK;
}

void mos_schedule_store_close(mos_schedule_store *store) {
    if (!store) {
        return;
    }
    for (size_t i = 0; i < store->schedule_count && store->timings; i++) {
        mos_timing_close(store->timings[i]);
    }
    free(store->timings);
    free(store->rules);
    free(store->items);
    mos_zone_close(store->utc);
    mos_arena_destroy(store->arena);
    free(store);
}

struct mos_retention mos_schedule_store_retention(mos_schedule_store *store) {
    // The trial's rule is one of schedules where an item names it as its own, and no tag's.
    return (struct mos_retention){.items = store->items,
                                  .count = store->count,
                                  .rules = store->rules,
                                  .rule_count = store->rule_count,
                                  .first_tag_rule = store->schedule_count,
                                  .tag_rule_count = store->tag_rule_count};
}

struct mos_retention_item *mos_schedule_store_items(mos_schedule_store *store) {
    return store->items;
}

// ---- Runs to come ----

static uint64_t hash_of(const char *text) {
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++) {
        state = (state ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    }
    return state;
}

// A run will take what the newest good backup of its kind took.
static uint64_t source_of(const mos_schedule_store *store, size_t known, const struct mos_schedule *schedule) {
    const char *label = mos_backup_type_word(schedule->backup_type);
    bool all = schedule->backup_type == MOS_BACKUP_INCREMENTAL || schedule->backup_type == MOS_BACKUP_DIFFERENTIAL;
    for (size_t i = 0; i < known; i++) {
        const struct mos_retention_item *item = &store->items[i];
        if (item->good && (strcmp(item->label, label) == 0 || (all && strcmp(item->label, "FULL") == 0))) {
            return item->source;
        }
    }
    return hash_of(schedule->id);
}

static int newest_first(const void *left, const void *right) {
    const struct mos_retention_item *a = left, *b = right;
    return a->created_at_unix_ns != b->created_at_unix_ns ? (a->created_at_unix_ns < b->created_at_unix_ns ? 1 : -1) : strcmp(b->id, a->id);
}

static char *join_tags(mos_arena *arena, const struct mos_schedule *schedule) {
    char *joined = mos_arena_strdup(arena, "");
    for (size_t i = 0; i < schedule->tag_count; i++) {
        joined = mos_arena_printf(arena, "%s%s%s", joined, i > 0 ? "," : "", schedule->tags[i]);
    }
    return joined;
}

void mos_schedule_store_add_runs(mos_schedule_store *store, int64_t now_unix_ns, int64_t until_unix_ns, int32_t default_days, size_t most,
                                 bool *out_left_out) {
    size_t known = store->count;
    *out_left_out = false;
    for (size_t i = 0; i < store->schedule_count; i++) {
        const struct mos_schedule *schedule = &store->schedules[i];
        int64_t moment = now_unix_ns / MOS_NS_PER_SECOND, start;
        uint64_t source = source_of(store, known, schedule);
        const char *tags = join_tags(store->arena, schedule);
        size_t made = 0;
        while (!schedule->paused && mos_timing_next(store->timings[i], moment, &moment, &start) &&
               start <= until_unix_ns / MOS_NS_PER_SECOND) {
            if (made++ == most / store->schedule_count) {
                *out_left_out = true;
                break;
            }
            struct mos_retention_item *item = add_item(store);
            item->id = "";
            item->label = mos_backup_type_word(schedule->backup_type);
            item->created_at_unix_ns = start * MOS_NS_PER_SECOND;
            item->retention_days = schedule->retention_days ? schedule->retention_days : default_days;
            item->good = true;
            item->verified = schedule->integrity_check != MOS_CHOICE_NO;
            item->source = source;
            govern(store, item, schedule->id, tags, true);
        }
    }
    qsort(store->items, store->count, sizeof(*store->items), newest_first);
}
