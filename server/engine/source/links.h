// Files that have several names: which name of each came first. Not thread safe.
#ifndef MOS_ENGINE_SOURCE_LINKS_H
#define MOS_ENGINE_SOURCE_LINKS_H

#include <stddef.h>
#include <stdint.h>

typedef struct mos_links mos_links;

mos_links *mos_links_create(void);
void mos_links_free(mos_links *links);

// The first name, borrowed until the next call; NULL where none was added.
const char *mos_links_find(mos_links *links, uint64_t device, uint64_t inode, size_t *out_bytes);
// `others`: how many more names there are; after as many calls of mos_links_seen the file is forgotten.
void mos_links_add(mos_links *links, uint64_t device, uint64_t inode, uint64_t others, const char *path, size_t path_bytes);
void mos_links_seen(mos_links *links, uint64_t device, uint64_t inode);
size_t mos_links_count(const mos_links *links);

#endif
