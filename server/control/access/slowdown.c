#include "control/access/slowdown.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"

enum { ADDRESSES = 1024, ADDRESS_BYTES = 64, FREE_FAILURES = 20, FIRST_DELAY_MS = 50, LONGEST_DELAY_MS = 1000, HELD_AT_ONCE = 32 };
// One failure is forgotten each so often.
static const int64_t forget_ns = 3 * MOS_NS_PER_SECOND;

struct address {
    char name[ADDRESS_BYTES];
    int64_t failures;
    int64_t counted_ns;
};

struct mos_slowdown {
    pthread_mutex_t mutex;
    struct address addresses[ADDRESSES];
    int held;
};

mos_slowdown *mos_slowdown_create(void) {
    mos_slowdown *slowdown = mos_calloc(1, sizeof(*slowdown));
    pthread_mutex_init(&slowdown->mutex, NULL);
    return slowdown;
}

void mos_slowdown_destroy(mos_slowdown *slowdown) {
    if (slowdown) {
        pthread_mutex_destroy(&slowdown->mutex);
        free(slowdown);
    }
}

// Its place, or that of the address which was quiet the longest.
static struct address *find(mos_slowdown *slowdown, const char *name) {
    struct address *oldest = &slowdown->addresses[0];
    for (size_t i = 0; i < ADDRESSES; i++) {
        struct address *address = &slowdown->addresses[i];
        if (strncmp(address->name, name, ADDRESS_BYTES - 1) == 0 && address->name[0]) {
            return address;
        }
        oldest = address->counted_ns < oldest->counted_ns ? address : oldest;
    }
    *oldest = (struct address){0};
    strncpy(oldest->name, name, ADDRESS_BYTES - 1);
    return oldest;
}

int64_t mos_slowdown_failed(mos_slowdown *slowdown, const char *address, int64_t now_monotonic_ns, bool *out_first) {
    pthread_mutex_lock(&slowdown->mutex);
    struct address *found = find(slowdown, *address ? address : "unknown");
    int64_t forgotten = found->counted_ns ? (now_monotonic_ns - found->counted_ns) / forget_ns : 0;
    found->failures = found->failures > forgotten ? found->failures - forgotten : 0;
    // What was not forgotten yet of the last interval is kept.
    found->counted_ns = found->failures ? found->counted_ns + forgotten * forget_ns : now_monotonic_ns;
    found->failures++;
    int64_t above = found->failures - FREE_FAILURES;
    pthread_mutex_unlock(&slowdown->mutex);
    *out_first = above == 1;
    int64_t doublings = above / 4;
    int64_t delay_ms = above <= 0 ? 0 : doublings > 10 ? LONGEST_DELAY_MS : FIRST_DELAY_MS << doublings;
    return delay_ms > LONGEST_DELAY_MS ? LONGEST_DELAY_MS : delay_ms;
}

bool mos_slowdown_enter(mos_slowdown *slowdown) {
    pthread_mutex_lock(&slowdown->mutex);
    bool room = slowdown->held < HELD_AT_ONCE;
    slowdown->held += room;
    pthread_mutex_unlock(&slowdown->mutex);
    return room;
}

void mos_slowdown_leave(mos_slowdown *slowdown) {
    pthread_mutex_lock(&slowdown->mutex);
    slowdown->held--;
    pthread_mutex_unlock(&slowdown->mutex);
}
