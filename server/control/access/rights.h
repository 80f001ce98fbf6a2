// Who may call what: one table for all methods of the public API.
#ifndef MOS_CONTROL_ACCESS_RIGHTS_H
#define MOS_CONTROL_ACCESS_RIGHTS_H

#include <stdbool.h>

#include "control/catalog/words.h"

struct mos_right {
    // As "/mosaajii.backup.v1.BackupService/GetBackup".
    const char *path;
    // The least role that may call it.
    enum mos_role least;
    // A right by which a token of a lesser role may; NULL: none.
    const char *right;
};

// NULL: the method has no row, and nobody may call it.
const struct mos_right *mos_right_find(const char *path);
// `rights`: names, comma separated.
bool mos_right_allows(const struct mos_right *right, enum mos_role role, const char *rights);
// The name of a right that some row knows.
bool mos_right_known(const char *name);
// "plan.edit, plan.test, …", for messages.
extern const char mos_right_names[];

#endif
