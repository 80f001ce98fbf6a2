#include "engine/source/prefetch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

// How much of a file is asked for. The kernel reads ahead by itself in what is larger.
enum { PREFETCH_BYTES = 256 << 10 };
// A wait counts so much more than a read without one, from so much on it is cold, and it never counts more than the last: asking ahead
// makes reads quick, which must not end it at once, and files that are in memory after all must end it soon.
enum { ONE_WAIT = 8, COLD_FROM = 32, MOST = 512 };

void mos_prefetch_file(int directory, const char *name) {
    int descriptor = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_NOATIME | O_CLOEXEC);
    if (descriptor >= 0) {
        posix_fadvise(descriptor, 0, PREFETCH_BYTES, POSIX_FADV_WILLNEED);
        close(descriptor);
    }
}

ssize_t mos_coldness_read(struct mos_coldness *coldness, int descriptor, void *out, size_t size_bytes, off_t offset) {
    struct iovec place = {.iov_base = out, .iov_len = size_bytes};
    ssize_t got = preadv2(descriptor, &place, 1, offset, RWF_NOWAIT);
    if (got >= 0) {
        coldness->score -= coldness->score > 0;
        return got;
    }
    if (errno == EAGAIN) {
        coldness->score = coldness->score + ONE_WAIT < MOST ? coldness->score + ONE_WAIT : MOST;
    }
    // Also where a file system cannot tell.
    return pread(descriptor, out, size_bytes, offset);
}

bool mos_coldness_is_cold(const struct mos_coldness *coldness) {
    return coldness->score >= COLD_FROM;
}
