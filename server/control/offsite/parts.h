// The parts of a large object, several at a time.
#ifndef MOS_CONTROL_OFFSITE_PARTS_H
#define MOS_CONTROL_OFFSITE_PARTS_H

#include "control/offsite/hash.h"
#include "control/offsite/store_internal.h"

struct mos_store_parts {
    int64_t size_bytes;
    int64_t part_bytes;
    int parallel;
    // Called from several threads, once for each part in the order of their numbers, from 0 on. `call` is over also when another part
    // failed.
    mos_status (*work)(void *argument, int number, int64_t offset_bytes, int64_t size_bytes, const struct mos_store_call *call,
                       struct mos_error *error);
    void *argument;
};

// As large as asked for, or as large as it must be for at most `most_parts` parts.
int64_t mos_store_part_bytes(int64_t size_bytes, int64_t part_bytes, int most_parts);
int mos_store_part_count(int64_t size_bytes, int64_t part_bytes);
// Returns when none is at work any more; the first failure is told.
mos_status mos_store_parts_run(const struct mos_store_parts *parts, const struct mos_store_call *call, struct mos_error *error);

// The SHA-256 of each part of a source into `out` (32 bytes a part), and of the whole, which must be the source's: MOS_CORRUPT otherwise.
mos_status mos_store_parts_hash(const char *name, const struct mos_store_source *source, int64_t part_bytes, int parallel, uint8_t *out,
                                const struct mos_store_call *call, struct mos_error *error);

// The MD5 of a source in base64. Its SHA-256 must be what it should be: MOS_CORRUPT otherwise.
mos_status mos_store_source_md5(const char *name, const struct mos_store_source *source, char base64[MOS_STORE_BASE64_BYTES],
                                const struct mos_store_call *call, struct mos_error *error);

// The MD5 of a part, which has no SHA-256.
mos_status mos_store_part_md5(const struct mos_store_source *part, char base64[MOS_STORE_BASE64_BYTES], const struct mos_store_call *call,
                              struct mos_error *error);

#endif
