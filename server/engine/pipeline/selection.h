// The entries of a backup below given paths, in path order, with the directories that lead there. One thread.
#ifndef MOS_ENGINE_PIPELINE_SELECTION_H
#define MOS_ENGINE_PIPELINE_SELECTION_H

#include "engine/repo/reader.h"

typedef struct mos_selection mos_selection;

// `paths`: absolute paths, or names of databases; each stands for itself and all that lies below it. None: everything. A slash at the end
// is ignored. MOS_INVALID_ARGUMENT, field include, for what is no such path; MOS_NOT_FOUND for one that the backup does not hold. `reader`
// is borrowed.
mos_status mos_selection_open(mos_reader *reader, const ProtobufCBinaryData *paths, size_t count, mos_selection **out,
                              struct mos_error *error);
void mos_selection_close(mos_selection *selection);

// *out is borrowed until the next call; NULL at the end. *out_leads: it is not selected itself but a directory on the way (may be NULL).
// MOS_CORRUPT as mos_tree_next; the next call goes on.
mos_status mos_selection_next(mos_selection *selection, const struct mos_entry **out, bool *out_leads, struct mos_error *error);
// For mos_tree_extents of the present entry.
mos_tree_reader *mos_selection_tree(mos_selection *selection);

#endif
