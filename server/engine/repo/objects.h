// What must lie on other storage for a backup to be restored from there. Thread safe.
#ifndef MOS_ENGINE_REPO_OBJECTS_H
#define MOS_ENGINE_REPO_OBJECTS_H

#include "engine/repo/reader.h"

struct mos_object {
    char name[MOS_OBJECT_NAME_BYTES];
    int64_t size_bytes;
    uint8_t sha256[MOS_HASH_BYTES];
};

// All objects that the backup needs as the repository stands now, each once, in the order in which they must be written elsewhere: packs
// and what leads to them, then the repository's own objects and keys, at last the manifest. A pack that is neither there nor was moved is
// among them all the same: another place may have it. *out is the caller's (free).
mos_status mos_reader_objects(const mos_reader *reader, struct mos_object **out, size_t *out_count, struct mos_error *error);

#endif
