#include "control/schedule/suggest.h"

#include <stdlib.h>
#include <string.h>

#include "control/schedule/cron.h"

enum {
    HOURS_A_DAY = 24,
    // Of a full memory: an hour of the week has this many samples after four weeks.
    FULL_SAMPLES = 16,
    // The usual quiet hours, while nothing is known.
    USUAL_HOUR = 2,
    USUAL_WEEKLY_HOUR = 3,
    // A time is moved where it lowers the load by this much, percent.
    LEAST_GAIN = 20,
};
#define CONFIDENCE_WITHOUT_LOAD 0.2
#define LEAST_CONFIDENCE 0.5

static const char *const weekdays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static int compare(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

int64_t mos_quantile(int64_t *values, size_t count, int percent) {
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof(*values), compare);
    return values[(count - 1) * (size_t)percent / 100];
}

// ---- The load of a window ----

// Hour of the week in UTC for one on the zone's clock.
static int utc_hour(const struct mos_suggest_input *input, int wall_hour) {
    int hours = (int)(mos_zone_offset(input->zone, input->now) / 3600);
    return ((wall_hour - hours) % MOS_HOURS_A_WEEK + MOS_HOURS_A_WEEK) % MOS_HOURS_A_WEEK;
}

// Mean load of the hours from this one on, on each day of the week or (weekly) on one.
static int64_t cost_of(const struct mos_suggest_input *input, int start, int length, bool weekly) {
    int64_t sum = 0, count = 0;
    for (int day = 0; day < (weekly ? 1 : 7); day++) {
        for (int i = 0; i < length; i++) {
            int hour = utc_hour(input, start + day * HOURS_A_DAY + i);
            sum += input->load.samples[hour] ? input->load.mean_milli[hour] : 0;
            count += input->load.samples[hour] != 0;
        }
    }
    return count ? sum / count : INT64_MAX;
}

// How much of what could be known is known, 0 to 1.
static double coverage(const struct mos_load *load) {
    double known = 0;
    for (int hour = 0; hour < MOS_HOURS_A_WEEK; hour++) {
        known += load->samples[hour] >= FULL_SAMPLES ? 1 : (double)load->samples[hour] / FULL_SAMPLES;
    }
    return known / MOS_HOURS_A_WEEK;
}

struct window {
    int start;
    int64_t cost, median_cost;
    double confidence;
    bool known;
};

static struct window find_window(const struct mos_suggest_input *input, int64_t duration_seconds, bool weekly) {
    int hours = weekly ? MOS_HOURS_A_WEEK : HOURS_A_DAY;
    int length = (int)(duration_seconds / 3600) + 1;
    int64_t costs[MOS_HOURS_A_WEEK], sorted[MOS_HOURS_A_WEEK];
    struct window best = {.start = weekly ? USUAL_WEEKLY_HOUR : USUAL_HOUR, .confidence = CONFIDENCE_WITHOUT_LOAD};
    length = length < hours ? length : hours;
    for (int hour = 0; hour < hours; hour++) {
        costs[hour] = cost_of(input, hour, length, weekly);
        sorted[hour] = costs[hour];
    }
    best.median_cost = mos_quantile(sorted, (size_t)hours, 50);
    best.cost = costs[best.start];
    best.known = best.median_cost < INT64_MAX;
    if (!best.known) {
        return best;
    }
    // Of equals the usual one, else the earliest.
    for (int hour = 0; hour < hours; hour++) {
        if (costs[hour] < best.cost) {
            best.cost = costs[hour];
            best.start = hour;
        }
    }
    double gain = best.median_cost > 0 ? (double)(best.median_cost - best.cost) / (double)best.median_cost : 0;
    best.confidence = CONFIDENCE_WITHOUT_LOAD + (1 - CONFIDENCE_WITHOUT_LOAD) * coverage(&input->load) * gain;
    return best;
}

// ---- Sentences ----

static const char *duration_text(mos_arena *arena, const struct mos_durations *durations) {
    if (durations->count == 0) {
        return "no such backup was taken yet";
    }
    return durations->median_seconds < 120
               ? mos_arena_printf(arena, "such a backup takes %lld s as a rule", (long long)durations->median_seconds)
               : mos_arena_printf(arena, "such a backup takes %lld min as a rule", (long long)(durations->median_seconds + 30) / 60);
}

static const char *window_text(mos_arena *arena, const struct window *window, bool weekly) {
    const char *day = weekly ? mos_arena_printf(arena, "%s ", weekdays[window->start / HOURS_A_DAY]) : "";
    if (!window->known) {
        return mos_arena_printf(arena, "from %s%02d:00 on it is quiet in most places, and the load of this machine is not known yet", day,
                                window->start % HOURS_A_DAY);
    }
    return mos_arena_printf(arena, "from %s%02d:00 on the machine is least busy (load %.2f, against %.2f at an hour in the middle)", day,
                            window->start % HOURS_A_DAY, (double)window->cost / 1000, (double)window->median_cost / 1000);
}

static const char *sentence(mos_arena *arena, const char *first, const char *second) {
    char *text = mos_arena_printf(arena, "%s, and %s", first, second);
    if (text && text[0] >= 'a' && text[0] <= 'z') {
        text[0] = (char)(text[0] - 'a' + 'A');
    }
    return text;
}

static const char *cron_of(mos_arena *arena, const struct window *window, int minute, bool weekly) {
    return weekly ? mos_arena_printf(arena, "%d %d * * %d", minute, window->start % HOURS_A_DAY, window->start / HOURS_A_DAY)
                  : mos_arena_printf(arena, "%d %d * * *", minute, window->start);
}

// ---- A policy ----

bool mos_suggest_rhythm(int64_t objective_minutes, int64_t duration_seconds, mos_arena *arena, const char **out) {
    static const int minutes[] = {30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1};
    static const int hours[] = {24, 12, 8, 6, 4, 3, 2, 1};
    // What a backup holds is as old as its start; it protects from its end on.
    int64_t most = objective_minutes - (duration_seconds + 59) / 60;
    for (size_t i = 0; i < sizeof(hours) / sizeof(hours[0]); i++) {
        if (hours[i] * 60 <= most) {
            *out = hours[i] == 24 ? "0 4 * * *" : hours[i] == 1 ? "0 * * * *" : mos_arena_printf(arena, "0 */%d * * *", hours[i]);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
        if (minutes[i] <= most) {
            *out = minutes[i] == 1 ? "* * * * *" : mos_arena_printf(arena, "*/%d * * * *", minutes[i]);
            return true;
        }
    }
    *out = "* * * * *";
    return false;
}

static bool is_taken(const struct mos_schedule *schedules, size_t count, enum mos_backup_type type) {
    for (size_t i = 0; i < count; i++) {
        if (schedules[i].backup_type == type) {
            return true;
        }
    }
    return false;
}

static struct mos_suggestion *add(const struct mos_suggest_input *input, struct mos_suggestion *out, size_t *count, const char *name,
                                  enum mos_backup_type type, struct mos_keep keep) {
    struct mos_suggestion *suggestion = &out[(*count)++];
    *suggestion = (struct mos_suggestion){.schedule = {.id = "",
                                                       .name = name,
                                                       .time_zone = input->time_zone,
                                                       .backup_type = type,
                                                       .backup_name = "",
                                                       .encryption = MOS_CHOICE_OPEN,
                                                       .compression = MOS_CHOICE_OPEN,
                                                       .integrity_check = MOS_CHOICE_OPEN,
                                                       .offsite = MOS_CHOICE_OPEN,
                                                       .overlap = MOS_OVERLAP_SKIP,
                                                       .catch_up = true,
                                                       .timing_note = "",
                                                       .has_keep = true,
                                                       .keep = keep}};
    return suggestion;
}

static void add_incremental(const struct mos_suggest_input *input, mos_arena *arena, struct mos_suggestion *out, size_t *count) {
    const struct mos_durations *durations = &input->durations[MOS_BACKUP_INCREMENTAL];
    struct mos_suggestion *suggestion =
        add(input, out, count, "incremental", MOS_BACKUP_INCREMENTAL, (struct mos_keep){.hourly = 24, .daily = 7});
    bool met = mos_suggest_rhythm(input->objective_minutes, durations->p95_seconds, arena, &suggestion->schedule.cron);
    const char *changes = durations->count
                              ? mos_arena_printf(arena, "; %lld.%lld %% of the content is new each time",
                                                 (long long)durations->change_permille / 10, (long long)durations->change_permille % 10)
                              : "";
    suggestion->reason = met ? mos_arena_printf(arena, "No more than %lld min of work may be lost, and %s%s",
                                                (long long)input->objective_minutes, duration_text(arena, durations), changes)
                             : mos_arena_printf(arena, "No more than %lld min of work may be lost, which cannot be kept: %s",
                                                (long long)input->objective_minutes, duration_text(arena, durations));
    suggestion->confidence = !met ? 0.1 : durations->count >= 10 ? 0.9 : 0.6;
}

void mos_suggest_policy(const struct mos_suggest_input *input, const struct mos_schedule *schedules, size_t count, mos_arena *arena,
                        struct mos_suggestion out[MOS_SUGGESTIONS_MOST], size_t *out_count) {
    *out_count = 0;
    if (input->databases && !is_taken(schedules, count, MOS_BACKUP_DATABASE)) {
        const struct mos_durations *durations = &input->durations[MOS_BACKUP_DATABASE];
        struct window window = find_window(input, durations->median_seconds, false);
        struct mos_suggestion *suggestion =
            add(input, out, out_count, "daily-database", MOS_BACKUP_DATABASE, (struct mos_keep){.daily = 14, .weekly = 8, .monthly = 12});
        suggestion->schedule.cron = cron_of(arena, &window, 0, false);
        suggestion->reason = sentence(arena, window_text(arena, &window, false), duration_text(arena, durations));
        suggestion->confidence = window.confidence;
    }
    if (!input->databases && !input->files && !input->configuration) {
        return;
    }
    if (!is_taken(schedules, count, MOS_BACKUP_FULL)) {
        const struct mos_durations *durations = &input->durations[MOS_BACKUP_FULL];
        struct window window = find_window(input, durations->median_seconds, true);
        struct mos_suggestion *suggestion =
            add(input, out, out_count, "weekly-full", MOS_BACKUP_FULL, (struct mos_keep){.weekly = 5, .monthly = 12, .yearly = 3});
        suggestion->schedule.cron = cron_of(arena, &window, 30, true);
        suggestion->reason = sentence(arena, window_text(arena, &window, true), duration_text(arena, durations));
        suggestion->confidence = window.confidence;
    }
    if (!is_taken(schedules, count, MOS_BACKUP_INCREMENTAL)) {
        add_incremental(input, arena, out, out_count);
    }
}

// ---- A better time ----

// Once a day, or once a week, at one minute.
static bool is_fixed(const struct mos_cron *cron, int *out_minute, int *out_start, bool *out_weekly) {
    *out_weekly = !cron->any_weekday;
    if (__builtin_popcountll(cron->minutes) != 1 || __builtin_popcount(cron->hours) != 1 || !cron->any_day || cron->months != 0x1ffe ||
        (*out_weekly && __builtin_popcount(cron->weekdays) != 1)) {
        return false;
    }
    *out_minute = __builtin_ctzll(cron->minutes);
    *out_start = __builtin_ctz(cron->hours) + (*out_weekly ? HOURS_A_DAY * __builtin_ctz(cron->weekdays) : 0);
    return true;
}

// The time from the last backup to the first at the new time, in minutes.
static int64_t gap_of(const struct mos_suggest_input *input, const char *cron_text) {
    struct mos_cron cron;
    int64_t next;
    return mos_cron_parse(&cron, "cron", cron_text, NULL) == MOS_OK && mos_cron_next(&cron, input->zone, input->now, &next)
               ? (next - input->last_backup + 59) / 60
               : INT64_MAX;
}

// The smallest objective that such a schedule can keep; the others are kept by other ones. Where there is none, what the monitor takes for
// one: twice the distance between runs.
static int64_t objective_of(const struct mos_suggest_input *input, int64_t period) {
    const int64_t objectives[] = {input->objective_minutes, input->monitor_minutes};
    int64_t least = 2 * period;
    for (size_t i = 0; i < sizeof(objectives) / sizeof(objectives[0]); i++) {
        least = objectives[i] >= period && objectives[i] < least ? objectives[i] : least;
    }
    return least;
}

bool mos_suggest_timing(const struct mos_suggest_input *input, const struct mos_schedule *schedule, mos_arena *arena,
                        struct mos_suggestion *out, bool *out_apply) {
    struct mos_cron cron;
    int minute, start;
    bool weekly;
    *out_apply = false;
    if (mos_cron_parse(&cron, "cron", schedule->cron, NULL) != MOS_OK || !is_fixed(&cron, &minute, &start, &weekly)) {
        return false;
    }
    const struct mos_durations *durations = &input->durations[schedule->backup_type];
    struct window window = find_window(input, durations->median_seconds, weekly);
    int length = (int)(durations->median_seconds / 3600) + 1;
    int64_t now_cost = cost_of(input, start, length, weekly);
    bool better = window.known && now_cost < INT64_MAX && window.cost < now_cost - now_cost * LEAST_GAIN / 100;
    *out = (struct mos_suggestion){.schedule = *schedule, .confidence = window.confidence};
    if (!better) {
        out->reason = window.known
                          ? mos_arena_printf(arena, "It stays: at no other hour is the machine less busy by %d %% or more (load %.2f)",
                                             LEAST_GAIN, (double)now_cost / 1000)
                          : "It stays: the load of this machine is not known yet";
        return true;
    }
    out->schedule.cron = cron_of(arena, &window, minute, weekly);
    out->reason = sentence(arena, window_text(arena, &window, weekly), duration_text(arena, durations));
    if (input->last_backup == 0 || input->last_backup <= schedule->updated_at_unix_ns / 1000000000) {
        out->reason = mos_arena_printf(arena, "%s; it stays until it has taken a backup at the time that it has now", out->reason);
        return true;
    }
    int64_t period = weekly ? INT64_C(7) * 1440 : 1440, objective = objective_of(input, period);
    int64_t gap = gap_of(input, out->schedule.cron);
    if (gap > objective) {
        out->reason =
            mos_arena_printf(arena, "%s; it stays for now, for set now it would leave %lld min between two backups, and %lld is the most",
                             out->reason, (long long)gap, (long long)objective);
        return true;
    }
    *out_apply = window.confidence >= LEAST_CONFIDENCE;
    out->reason = *out_apply ? out->reason : mos_arena_printf(arena, "%s; it stays, for that is not known well enough yet", out->reason);
    return true;
}
