// Whether a file holds what the backup does.
#ifndef MOS_ENGINE_PIPELINE_COMPARE_H
#define MOS_ENGINE_PIPELINE_COMPARE_H

#include "engine/repo/reader.h"

// Reads both to the first difference; a hole is as good as zeros. false also where either cannot be read. Blocks. `tree` is where the entry
// came from.
bool mos_compare_content(mos_reader *reader, mos_tree_reader *tree, const struct mos_entry *entry, int descriptor);

#endif
