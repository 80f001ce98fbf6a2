// The POS's access tokens: JWT, signed with HMAC-SHA-256 and a shared secret.
#ifndef MOS_CONTROL_ACCESS_JWT_H
#define MOS_CONTROL_ACCESS_JWT_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/status.h"
#include "control/catalog/words.h"

struct mos_jwt {
    const char *user_id;
    // MOS_ROLE_NONE: may do nothing.
    enum mos_role role;
};

// Accepts only alg HS256, issuer mosaajii-pos, audience mosaajii-pos-client, and a time before exp. MOS_UNAUTHENTICATED with the reason
// otherwise. ADMIN, MANAGER and VIEWER with status ACTIVE become ADMIN, OPERATOR and VIEWER; everybody else has no role. What *out points
// to lives in the arena.
mos_status mos_jwt_verify(const char *token, size_t size_bytes, const char *secret, int64_t now_unix_ns, mos_arena *arena,
                          struct mos_jwt *out, struct mos_error *error);

#endif
