// Packs set aside: about to be removed, and in no index that is opened from now on. docs/design/repository-format.md, "Prune". The marks
// are local to the machine and need not survive a crash. Thread safe.
#ifndef MOS_ENGINE_REPO_ASIDE_H
#define MOS_ENGINE_REPO_ASIDE_H

#include "engine/repo/files.h"
#include "engine/repo/repository.h"

mos_status mos_aside_add(int root, const uint8_t id[MOS_PACK_ID_BYTES], struct mos_error *error);
mos_status mos_aside_remove(int root, const uint8_t id[MOS_PACK_ID_BYTES], struct mos_error *error);

// The marks as they were when read, in order.
struct mos_aside {
    // MOS_PACK_ID_BYTES each.
    uint8_t *ids;
    size_t count;
};
mos_status mos_aside_list(int root, struct mos_aside *out, struct mos_error *error);
bool mos_aside_has(const struct mos_aside *aside, const uint8_t id[MOS_PACK_ID_BYTES]);
void mos_aside_free(struct mos_aside *aside);

#endif
