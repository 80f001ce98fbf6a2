#include "common/pace.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "common/clock.h"

static int64_t disk_bytes_per_second;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int64_t disk_free_at_ns;

int64_t mos_pace_wait_ns(int64_t *free_at_ns, int64_t bytes_per_second, int64_t bytes, int64_t now_ns) {
    int64_t begin_ns = *free_at_ns > now_ns ? *free_at_ns : now_ns;
    *free_at_ns = begin_ns + (int64_t)((__extension__(__int128) bytes * MOS_NS_PER_SECOND) / bytes_per_second);
    return *free_at_ns - now_ns;
}

void mos_pace_set_disk(int64_t bytes_per_second) {
    disk_bytes_per_second = bytes_per_second;
}

void mos_pace_disk(int64_t bytes) {
    if (disk_bytes_per_second == 0) {
        return;
    }
    pthread_mutex_lock(&mutex);
    int64_t wait_ns = mos_pace_wait_ns(&disk_free_at_ns, disk_bytes_per_second, bytes, mos_now_monotonic_ns());
    pthread_mutex_unlock(&mutex);
    struct timespec left = {.tv_sec = wait_ns / MOS_NS_PER_SECOND, .tv_nsec = wait_ns % MOS_NS_PER_SECOND};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}
