// A limit of bandwidth by time of day. Bytes are paid for when they have moved: who has moved more than the rate allows is held until the
// rate has caught up.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/offsite/wrapper.h"

enum { RULES = 16, MINUTES_A_DAY = 24 * 60, STEP_MS = 50 };

struct mos_store_limit {
    struct rule {
        int from_minute;
        int to_minute;
        int64_t bytes_a_second;
    } rules[RULES];
    int count;
    pthread_mutex_t mutex;
    // When all bytes that have moved so far are paid for.
    int64_t paid_monotonic_ns;
};

struct limited {
    struct mos_store_wrapper wrapper;
    struct mos_store_limit *limit;
};

static bool read_time(const char **text, int *out_minute) {
    const char *t = *text;
    for (int i = 0; i < 5; i++) {
        if (i == 2 ? t[i] != ':' : t[i] < '0' || t[i] > '9') {
            return false;
        }
    }
    int hour = (t[0] - '0') * 10 + t[1] - '0', minute = (t[3] - '0') * 10 + t[4] - '0';
    *out_minute = hour * 60 + minute;
    *text += 5;
    return hour < 24 && minute < 60;
}

static bool read_rate(const char **text, int64_t *out) {
    char *end;
    if (**text < '0' || **text > '9') {
        return false;
    }
    long long rate = strtoll(*text, &end, 10);
    int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    *text = end + (shift > 0 ? 1 : 0);
    *out = (int64_t)((uint64_t)rate << shift);
    return rate <= 1024 * 1024;
}

static bool read_rule(const char **text, struct rule *out) {
    const char *t = *text;
    *out = (struct rule){.to_minute = MINUTES_A_DAY};
    if (strlen(t) > 11 && t[2] == ':') {
        if (!read_time(&t, &out->from_minute) || *t++ != '-' || !read_time(&t, &out->to_minute) || *t++ != '=') {
            return false;
        }
    }
    if (!read_rate(&t, &out->bytes_a_second)) {
        return false;
    }
    *text = t;
    return true;
}

mos_status mos_store_limit_create(struct mos_store_limit **out, const char *setting, const char *text, struct mos_error *error) {
    struct mos_store_limit *limit = mos_calloc(1, sizeof(*limit));
    bool good = true;
    for (const char *t = text; good && *t;) {
        good = limit->count < RULES && read_rule(&t, &limit->rules[limit->count]) && (*t == 0 || (*t == ',' && t[1]));
        limit->count++;
        t += *t == ',' ? 1 : 0;
    }
    if (!good) {
        free(limit);
        return mos_fail_field(error, setting,
                              "%s is \"%.100s\"; allowed is a rate as 10M, or up to %d of HH:MM-HH:MM=RATE or RATE, comma separated, with "
                              "rates up to 1048576 and K, M or G",
                              setting, text, RULES);
    }
    pthread_mutex_init(&limit->mutex, NULL);
    *out = limit;
    return MOS_OK;
}

void mos_store_limit_free(struct mos_store_limit *limit) {
    if (limit) {
        pthread_mutex_destroy(&limit->mutex);
        free(limit);
    }
}

int64_t mos_store_limit_at(const struct mos_store_limit *limit, int minute) {
    for (int i = 0; i < limit->count; i++) {
        const struct rule *rule = &limit->rules[i];
        bool over_midnight = rule->from_minute > rule->to_minute;
        if (over_midnight ? minute >= rule->from_minute || minute < rule->to_minute
                          : minute >= rule->from_minute && minute < rule->to_minute) {
            return rule->bytes_a_second;
        }
    }
    return 0;
}

static int64_t rate_now(const struct mos_store_limit *limit) {
    time_t now = (time_t)(mos_now_unix_ns() / MOS_NS_PER_SECOND);
    struct tm parts;
    localtime_r(&now, &parts);
    return mos_store_limit_at(limit, parts.tm_hour * 60 + parts.tm_min);
}

struct paying {
    struct mos_store_limit *limit;
    const struct mos_store_call *call;
};

static bool pay_over(void *argument) {
    return mos_store_over(((struct paying *)argument)->call);
}

static void pay(void *argument, int64_t bytes) {
    const struct paying *paying = argument;
    struct mos_store_limit *limit = paying->limit;
    mos_store_moved(paying->call, bytes);
    int64_t rate = rate_now(limit);
    if (rate == 0) {
        return;
    }
    pthread_mutex_lock(&limit->mutex);
    int64_t now = mos_now_monotonic_ns();
    limit->paid_monotonic_ns = limit->paid_monotonic_ns > now ? limit->paid_monotonic_ns : now;
    limit->paid_monotonic_ns += (int64_t)((double)bytes / (double)rate * (double)MOS_NS_PER_SECOND);
    int64_t paid = limit->paid_monotonic_ns;
    pthread_mutex_unlock(&limit->mutex);
    while ((now = mos_now_monotonic_ns()) < paid && !mos_store_over(paying->call)) {
        int64_t left_ms = (paid - now) / MOS_NS_PER_MS + 1;
        const struct timespec step = {.tv_nsec = (left_ms < STEP_MS ? left_ms : STEP_MS) * MOS_NS_PER_MS};
        nanosleep(&step, NULL);
    }
}

static mos_status around(mos_store *store, const struct mos_store_any *any, const struct mos_store_call *call, struct mos_error *error) {
    struct paying paying = {.limit = ((struct limited *)store)->limit, .call = call};
    const struct mos_store_call inner = {.over = pay_over, .moved = pay, .argument = &paying};
    return mos_store_forward(store, any, &inner, error);
}

mos_store *mos_store_with_limit(mos_store *inner, struct mos_store_limit *limit) {
    struct limited *limited = mos_calloc(1, sizeof(*limited));
    limited->limit = limit;
    return mos_store_wrap(&limited->wrapper, inner, around, NULL);
}
