// Cold small files are bound by the disk's latency where each is waited for; asked for ahead, many of them are on their way at once.
#ifndef MOS_ENGINE_SOURCE_PREFETCH_H
#define MOS_ENGINE_SOURCE_PREFETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Has the beginning of a regular file of the directory read into memory; its content is not waited for. What goes wrong is left to whoever
// reads it in earnest.
void mos_prefetch_file(int directory, const char *name);

// Whether files that are read now lie in memory already: then asking ahead would only cost time.
struct mos_coldness {
    unsigned score;
};
// As pread, and notes whether it had to wait for the disk.
ssize_t mos_coldness_read(struct mos_coldness *coldness, int descriptor, void *out, size_t size_bytes, off_t offset);
bool mos_coldness_is_cold(const struct mos_coldness *coldness);

#endif
