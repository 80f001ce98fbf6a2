// Tokens in the catalog. The secret itself is never here, only its SHA-256.
#ifndef MOS_CONTROL_CATALOG_TOKENS_H
#define MOS_CONTROL_CATALOG_TOKENS_H

#include <stddef.h>

#include "control/catalog/catalog.h"
#include "control/catalog/words.h"

enum { MOS_TOKEN_HASH_BYTES = 32 };

struct mos_token {
    const char *id;
    const char *name;
    enum mos_role role;
    // Names beside the role, comma separated.
    const char *rights;
    uint8_t hash[MOS_TOKEN_HASH_BYTES];
    int64_t created_at_unix_ns;
    // 0: never, not yet.
    int64_t expires_at_unix_ns;
    int64_t last_used_at_unix_ns;
    int64_t revoked_at_unix_ns;
};

// Inserts the token or replaces all of it.
mos_status mos_catalog_put_token(mos_catalog_session *session, const struct mos_token *token, struct mos_error *error);
// MOS_NOT_FOUND, with a message that names the id.
mos_status mos_catalog_get_token(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_token *out,
                                 struct mos_error *error);
// *out_found is false where none has this hash. Revoked and expired ones are found too.
mos_status mos_catalog_find_token(mos_catalog_session *session, const uint8_t hash[MOS_TOKEN_HASH_BYTES], mos_arena *arena,
                                  struct mos_token *out, bool *out_found, struct mos_error *error);
mos_status mos_catalog_list_tokens(mos_catalog_session *session, const struct mos_page *page, mos_arena *arena, struct mos_token **out,
                                   size_t *out_count, const char **out_next_token, struct mos_error *error);
// Whether one that is neither revoked nor expired at the given time has this name.
mos_status mos_catalog_has_token_named(mos_catalog_session *session, const char *name, int64_t now_unix_ns, bool *out,
                                       struct mos_error *error);
// Admin tokens that are neither revoked nor expired at the given time.
mos_status mos_catalog_count_admins(mos_catalog_session *session, int64_t now_unix_ns, int64_t *out_count, struct mos_error *error);

#endif
