// The driver for PostgreSQL (database.h), and what its tests see of it.
#ifndef MOS_ENGINE_SOURCE_POSTGRES_H
#define MOS_ENGINE_SOURCE_POSTGRES_H

#include "common/buffer.h"
#include "engine/source/database.h"

// The statements of pg_dumpall's `globals` that make roles which are not `known` (one a line, quoted as SQL wants it), and give these what
// they had. Roles that are known are left as they are: their passwords and rights may be newer.
void mos_postgres_pick_roles(const char *globals, const char *known, struct mos_buffer *out);

#endif
