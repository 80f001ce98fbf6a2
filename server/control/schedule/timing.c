#include "control/schedule/timing.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

enum {
    LONGEST_BLACKOUT_MINUTES = 7 * 1440,
    LARGEST_JITTER_SECONDS = 86400,
    // Blackouts that follow one another without a break for longer leave no time.
    MOST_MOVES = 64,
    // Runs that are looked at for their distance.
    SAMPLE = 64,
    // What the distance is measured from: the same whenever the schedule is looked at.
    SAMPLE_FROM = 1767225600,
};

struct blackout {
    struct mos_cron cron;
    int64_t seconds;
};

struct mos_timing {
    struct mos_cron cron;
    mos_zone *zone;
    struct blackout *blackouts;
    size_t blackout_count;
    int64_t jitter_seconds;
    uint64_t seed;
};

// FNV-1a with a last stir: neighbours in time get jitters that have nothing to do with one another.
static uint64_t stir(uint64_t state, const void *data, size_t size_bytes) {
    const uint8_t *next = data;
    for (size_t i = 0; i < size_bytes; i++) {
        state = (state ^ next[i]) * UINT64_C(0x100000001b3);
    }
    state ^= state >> 32;
    state *= UINT64_C(0xd6e8feb86659fd93);
    return state ^ state >> 32;
}

static int64_t jitter_of(const mos_timing *timing, int64_t due) {
    return (int64_t)(stir(timing->seed, &due, sizeof(due)) % (uint64_t)(timing->jitter_seconds + 1));
}

// When the window that this moment lies in ends; 0 where it lies in none.
static int64_t window_end(const mos_timing *timing, const struct blackout *blackout, int64_t moment) {
    int64_t begins = moment - blackout->seconds, end = 0;
    while (mos_cron_next(&blackout->cron, timing->zone, begins, &begins) && begins <= moment) {
        end = begins + blackout->seconds;
    }
    return end;
}

static bool find_free(const mos_timing *timing, int64_t moment, int64_t *out) {
    for (int move = 0; move < MOST_MOVES; move++) {
        int64_t end = 0;
        for (size_t i = 0; i < timing->blackout_count; i++) {
            int64_t one = window_end(timing, &timing->blackouts[i], moment);
            end = one > end ? one : end;
        }
        *out = moment;
        if (end == 0) {
            return true;
        }
        moment = end;
    }
    return false;
}

int64_t mos_timing_free_from(const mos_timing *timing, int64_t unix_seconds) {
    int64_t moment = unix_seconds;
    find_free(timing, unix_seconds, &moment);
    return moment;
}

const mos_zone *mos_timing_zone(const mos_timing *timing) {
    return timing->zone;
}

bool mos_timing_next(const mos_timing *timing, int64_t after_unix_seconds, int64_t *out_due, int64_t *out_start) {
    if (!mos_cron_next(&timing->cron, timing->zone, after_unix_seconds, out_due)) {
        return false;
    }
    *out_start = mos_timing_free_from(timing, *out_due + jitter_of(timing, *out_due));
    return true;
}

static mos_status check_jitter(const mos_timing *timing, struct mos_error *error) {
    int64_t moment = SAMPLE_FROM, next, least = INT64_MAX;
    if (timing->jitter_seconds < 0 || timing->jitter_seconds > LARGEST_JITTER_SECONDS) {
        return mos_fail_field(error, "jitterSeconds", "jitterSeconds is %lld; allowed is 0 to %d", (long long)timing->jitter_seconds,
                              LARGEST_JITTER_SECONDS);
    }
    for (int i = 0; i < SAMPLE && mos_cron_next(&timing->cron, timing->zone, moment, &next); i++, moment = next) {
        least = i > 0 && next - moment < least ? next - moment : least;
    }
    return timing->jitter_seconds < least
               ? MOS_OK
               : mos_fail_field(error, "jitterSeconds",
                                "jitterSeconds is %lld, but the next run may be due %lld seconds after the one before; "
                                "it must be less than that",
                                (long long)timing->jitter_seconds, (long long)least);
}

static mos_status check_blackouts(const mos_timing *timing, struct mos_error *error) {
    int64_t moment = SAMPLE_FROM, ignored;
    for (int i = 0; i < SAMPLE && mos_cron_next(&timing->cron, timing->zone, moment, &moment); i++) {
        if (!find_free(timing, moment, &ignored)) {
            return mos_fail_field(error, "blackouts", "blackouts follow one another without a break, so that no run could ever start");
        }
    }
    return MOS_OK;
}

static mos_status read_blackouts(mos_timing *timing, const struct mos_schedule *schedule, struct mos_error *error) {
    timing->blackouts = mos_calloc(schedule->blackout_count, sizeof(*timing->blackouts));
    for (size_t i = 0; i < schedule->blackout_count; i++) {
        const struct mos_blackout *from = &schedule->blackouts[i];
        mos_status status = mos_cron_parse(&timing->blackouts[i].cron, "blackouts", from->cron, error);
        if (status != MOS_OK) {
            return status;
        }
        if (from->minutes < 1 || from->minutes > LONGEST_BLACKOUT_MINUTES) {
            return mos_fail_field(error, "blackouts", "blackouts holds a window of %d minutes; allowed is 1 to %d", from->minutes,
                                  LONGEST_BLACKOUT_MINUTES);
        }
        timing->blackouts[i].seconds = (int64_t)from->minutes * 60;
        timing->blackout_count++;
    }
    return MOS_OK;
}

mos_status mos_timing_open(mos_timing **out, const struct mos_schedule *schedule, struct mos_error *error) {
    mos_timing *timing = mos_calloc(1, sizeof(*timing));
    timing->jitter_seconds = schedule->jitter_seconds;
    timing->seed = stir(UINT64_C(0xcbf29ce484222325), schedule->id, strlen(schedule->id));
    mos_status status = mos_cron_parse(&timing->cron, "cron", schedule->cron, error);
    if (status == MOS_OK) {
        status = mos_zone_open(&timing->zone, schedule->time_zone, error);
    }
    if (status == MOS_OK) {
        status = read_blackouts(timing, schedule, error);
    }
    if (status != MOS_OK) {
        mos_timing_close(timing);
        return status;
    }
    *out = timing;
    return MOS_OK;
}

mos_status mos_timing_check(const mos_timing *timing, struct mos_error *error) {
    mos_status status = check_jitter(timing, error);
    return status == MOS_OK ? check_blackouts(timing, error) : status;
}

void mos_timing_close(mos_timing *timing) {
    if (timing) {
        mos_zone_close(timing->zone);
        free(timing->blackouts);
        free(timing);
    }
}
