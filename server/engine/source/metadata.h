// Names of owners, and extended attributes. Not thread safe per object.
#ifndef MOS_ENGINE_SOURCE_METADATA_H
#define MOS_ENGINE_SOURCE_METADATA_H

#include <stdint.h>

#include <sys/stat.h>

#include "engine/repo/tree.h"

// Reads /etc/passwd and /etc/group themselves, so that no name service reaches for the network.
typedef struct mos_owners mos_owners;
mos_owners *mos_owners_load(void);
void mos_owners_free(mos_owners *owners);
// Borrowed; "" where the number has no name.
const char *mos_owners_user(const mos_owners *owners, uint32_t uid);
const char *mos_owners_group(const mos_owners *owners, uint32_t gid);

// Extended attributes of one path after another; the memory is used again.
typedef struct mos_xattrs mos_xattrs;
mos_xattrs *mos_xattrs_create(void);
void mos_xattrs_free(mos_xattrs *xattrs);
// From an open file or directory, or (descriptor -1) from `path`, whose last component is not followed. *out is borrowed until the next
// call, in order of name. On failure errno says why; what was read is there. A file system without attributes has none. *out_too_large:
// some were left out because the format cannot hold them.
bool mos_xattrs_read(mos_xattrs *xattrs, int descriptor, const char *path, const struct mos_xattr **out, size_t *out_count,
                     bool *out_too_large);

// The times and the type of an entry from what stat says. A time that the format cannot hold is the last one that it can.
int64_t mos_metadata_time(const struct timespec *time);
enum mos_entry_type mos_metadata_type(mode_t mode);

#endif
