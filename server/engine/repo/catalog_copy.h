// The server's catalog, sealed beside the data: catalog/<20 digits>. Whoever has a key of the keyring gets history, tokens, locks and plans
// back with the backups. docs/design/repository-format.md has the layout. Thread safe.
#ifndef MOS_ENGINE_REPO_CATALOG_COPY_H
#define MOS_ENGINE_REPO_CATALOG_COPY_H

#include "engine/repo/repository.h"

// Seals the file into the object, which is written whole and flushed. MOS_INVALID_ARGUMENT for a name of another form.
mos_status mos_catalog_seal(const mos_repository *repository, const char *path, const char *name, struct mos_error *error);
// Makes the file (mode 0600; MOS_ALREADY_EXISTS where it is there). MOS_CORRUPT for an object that does not open: then no file is left.
mos_status mos_catalog_unseal(const mos_repository *repository, const char *name, const char *path, struct mos_error *error);

#endif
