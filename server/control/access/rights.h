// Who may call what: one table for all methods of the public API.
#ifndef MOS_CONTROL_ACCESS_RIGHTS_H
#define MOS_CONTROL_ACCESS_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "control/catalog/words.h"

// By what a caller is known.
enum mos_caller_kind {
    MOS_BY_TOKEN = 1,
    MOS_BY_JWT = 2,
    MOS_BY_CERTIFICATE = 4,
};

enum mos_call_effect {
    // Stands in the audit trail when it is refused only.
    MOS_CALL_READS,
    MOS_CALL_CHANGES,
    MOS_CALL_READS_SECRETS,
};

// A row for every method of the API: a test fails for one without, and nobody may call it.
struct mos_right {
    // As "/mosaajii.backup.v1.BackupService/GetBackup".
    const char *path;
    // The least role that may call it.
    enum mos_role least;
    // A right by which a token of a lesser role may; NULL: none.
    const char *right;
    enum mos_call_effect effect;
    // Which kinds of callers may, as bits of mos_caller_kind.
    int kinds;
    // With MOSAAJII_SECOND_PERSON another caller must confirm it: its handler calls mos_access_need_second.
    bool second_person;
};

// NULL behind the last.
const struct mos_right *mos_right_at(size_t index);

// NULL: the method has no row, and nobody may call it.
const struct mos_right *mos_right_find(const char *path);
// `rights`: names, comma separated.
bool mos_right_allows(const struct mos_right *right, enum mos_caller_kind kind, enum mos_role role, const char *rights);
// The name of a right that some row knows.
bool mos_right_known(const char *name);
// "plan.edit, plan.test, …", for messages.
extern const char mos_right_names[];

#endif
