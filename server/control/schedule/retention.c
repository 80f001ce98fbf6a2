#include "control/schedule/retention.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"

enum { LAST, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY, KINDS };

static int64_t floor_of(int64_t number, int64_t divisor) {
    return number / divisor - (number % divisor < 0);
}

// Two moments that share the number lie in the same hour, day and so on of the zone's clock.
static int64_t period_of(int kind, const mos_zone *zone, int64_t unix_ns) {
    int64_t moment = floor_of(unix_ns, MOS_NS_PER_SECOND), year;
    int64_t wall = moment + mos_zone_offset(zone, moment), days = floor_of(wall, 86400);
    int month, day;
    switch (kind) {
    case HOURLY:
        return floor_of(wall, 3600);
    case DAILY:
        return days;
    case WEEKLY:
        // Day 4 was a Monday.
        return floor_of(days - 4, 7);
    default:
        mos_date_of(days, &year, &month, &day);
        return kind == MONTHLY ? year * 12 + month : year;
    }
}

static bool is_for(const struct mos_retention *retention, size_t rule, const struct mos_retention_item *item) {
    bool of_tag = rule >= retention->first_tag_rule && rule < retention->first_tag_rule + retention->tag_rule_count;
    return of_tag ? item->tag_rules >> (rule - retention->first_tag_rule) & 1 : item->rule == (int32_t)rule;
}

static bool counts(const struct mos_retention_item *item, int64_t now_unix_ns) {
    return item->good && !item->going && item->created_at_unix_ns <= now_unix_ns + MOS_FUTURE_NS;
}

static void apply_rule(const struct mos_retention *retention, size_t index, int64_t now_unix_ns, enum mos_verdict *out) {
    const struct mos_keep_rule *rule = &retention->rules[index];
    const int32_t most[KINDS] = {rule->keep.last,   rule->keep.hourly,  rule->keep.daily,
                                 rule->keep.weekly, rule->keep.monthly, rule->keep.yearly};
    int32_t kept[KINDS] = {0};
    int64_t newest[KINDS] = {0};
    for (size_t i = 0; i < retention->count; i++) {
        const struct mos_retention_item *item = &retention->items[i];
        if (!is_for(retention, index, item) || !counts(item, now_unix_ns)) {
            continue;
        }
        for (int kind = 0; kind < KINDS; kind++) {
            if (kept[kind] >= most[kind]) {
                continue;
            }
            int64_t period = kind == LAST ? 0 : period_of(kind, rule->zone, item->created_at_unix_ns);
            if (kind == LAST || kept[kind] == 0 || period != newest[kind]) {
                newest[kind] = period;
                kept[kind]++;
                out[i] = out[i] == MOS_GOES ? MOS_STAYS_BY_RULE : out[i];
            }
        }
    }
}

// ---- What is said of each source ----

struct source {
    bool used;
    uint64_t key;
    // An index and one more; 0: none.
    size_t newest_verified, newest_good;
    size_t newest_quarantined;
};

struct sources {
    struct source *slots;
    size_t size;
};

static struct source *find(const struct sources *sources, uint64_t key) {
    size_t slot = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) % sources->size;
    while (sources->slots[slot].used && sources->slots[slot].key != key) {
        slot = (slot + 1) % sources->size;
    }
    return &sources->slots[slot];
}

static void note(const struct sources *sources, const struct mos_retention_item *item, size_t index) {
    struct source *source = find(sources, item->source);
    source->used = true;
    source->key = item->source;
    if (item->quarantined) {
        source->newest_quarantined = source->newest_quarantined ? source->newest_quarantined : index + 1;
        return;
    }
    source->newest_good = source->newest_good ? source->newest_good : index + 1;
    if (item->verified && !source->newest_verified) {
        source->newest_verified = index + 1;
    }
}

static enum mos_verdict protection(const struct sources *sources, const struct mos_retention_item *item, size_t index,
                                   int64_t now_unix_ns) {
    if (item->held) {
        return MOS_STAYS_HELD;
    }
    if (item->locked_until_unix_ns > now_unix_ns) {
        return MOS_STAYS_LOCKED;
    }
    if (item->quarantined) {
        return MOS_STAYS_QUARANTINED;
    }
    if (item->busy) {
        return MOS_STAYS_IN_USE;
    }
    if (item->created_at_unix_ns > now_unix_ns + MOS_FUTURE_NS) {
        return MOS_STAYS_IN_FUTURE;
    }
    if (!item->good) {
        return MOS_GOES;
    }
    const struct source *source = find(sources, item->source);
    if (index + 1 == (source->newest_verified ? source->newest_verified : source->newest_good)) {
        return MOS_STAYS_LAST_GOOD;
    }
    return source->newest_quarantined && index + 1 > source->newest_quarantined ? MOS_STAYS_QUARANTINED : MOS_GOES;
}

void mos_retention_judge(const struct mos_retention *retention, int64_t now_unix_ns, enum mos_verdict *out) {
    struct sources sources = {.size = 2 * retention->count + 1};
    sources.slots = mos_calloc(sources.size, sizeof(*sources.slots));
    for (size_t i = 0; i < retention->count; i++) {
        const struct mos_retention_item *item = &retention->items[i];
        bool in_days = item->expires_at_unix_ns == 0 || item->expires_at_unix_ns > now_unix_ns;
        out[i] = in_days ? MOS_STAYS_IN_DAYS : MOS_GOES;
        if (counts(item, now_unix_ns)) {
            note(&sources, item, i);
        }
    }
    for (size_t i = 0; i < retention->rule_count; i++) {
        apply_rule(retention, i, now_unix_ns, out);
    }
    for (size_t i = 0; i < retention->count; i++) {
        if (out[i] == MOS_GOES) {
            out[i] = protection(&sources, &retention->items[i], i, now_unix_ns);
        }
    }
    free(sources.slots);
}
