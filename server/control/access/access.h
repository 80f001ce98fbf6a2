// Who is calling: our own tokens, the POS's tokens, and the interceptor that lets a call through or not. Thread safe.
#ifndef MOS_CONTROL_ACCESS_ACCESS_H
#define MOS_CONTROL_ACCESS_ACCESS_H

#include <stdint.h>

#include "common/arena.h"
#include "common/status.h"
#include "control/access/rights.h"
#include "control/access/trail.h"
#include "control/catalog/catalog.h"
#include "control/catalog/confirmations.h"
#include "control/catalog/tokens.h"
#include "control/rpc/rpc.h"

typedef struct mos_access mos_access;

// What the interceptor gives to mos_call_set_caller.
struct mos_identity {
    enum mos_caller_kind kind;
    // User id, token name, or subject of a certificate.
    const char *name;
    enum mos_role role;
    // Rights beside the role, comma separated.
    const char *rights;
    // Of a token of ours: its id ("" for others), and when it was made (0).
    const char *token_id;
    int64_t made_at_unix_ns;
};

mos_catalog *mos_access_catalog(mos_access *access);

// "token", "jwt" or "certificate".
const char *mos_caller_kind_word(enum mos_caller_kind kind);

struct mos_access_options {
    // "" refuses the POS's tokens.
    const char *jwt_secret;
    // As MOSAAJII_CLIENT_ROLES; "": every caller needs a token.
    const char *client_roles;
    // Acts that the table of rights.h marks wait for a second person, so long; 0: they do not.
    int64_t second_person_ns;
};

// `catalog` must outlive it; the options are copied. MOS_INVALID_ARGUMENT, field MOSAAJII_CLIENT_ROLES; MOS_INTERNAL where libsodium does
// not start. On MOS_OK *out is the caller's, to be destroyed.
mos_status mos_access_create(mos_access **out, mos_catalog *catalog, const struct mos_access_options *options, struct mos_error *error);
// Where slowing down an address is noted; NULL: nowhere. Borrowed.
void mos_access_set_trail(mos_access *access, mos_trail *trail);
// NULL is fine.
void mos_access_destroy(mos_access *access);

// Where no admin token is valid: makes one and writes it to the file (mode 0600, replaced at once). *out_made says whether it did.
mos_status mos_access_ensure_admin(mos_access *access, const char *token_file, bool *out_made, struct mos_error *error);
// The same where nobody on this machine has a token, though the catalog knows some: for a catalog that came back to a new machine.
mos_status mos_access_recover_admin(mos_access *access, const char *token_file, bool *out_made, struct mos_error *error);

// A new token of this name, role and rights; its id, times and hash are filled in. *out_secret, in the arena, is never to be had again.
// MOS_ALREADY_EXISTS where a token that is valid has the name, MOS_INVALID_ARGUMENT, field name, where the server calls itself so in the
// trail: one name there is one caller.
mos_status mos_access_create_token(mos_access *access, struct mos_token *token, mos_arena *arena, const char **out_secret,
                                   struct mos_error *error);
// No error where it is revoked already. The row is made in the arena.
mos_status mos_access_revoke_token(mos_access *access, const char *id, mos_arena *arena, struct mos_token *out, struct mos_error *error);

// Who shows this value of the metadata `authorization` (NULL: none was sent). MOS_UNAUTHENTICATED with the reason. What *out points to
// lives in the arena.
mos_status mos_access_identify(mos_access *access, const char *authorization, mos_arena *arena, struct mos_identity *out,
                               struct mos_error *error);

// Confirms what another caller asked for. MOS_PERMISSION_DENIED: the same caller's own, or by a token younger than the request, which who
// asked may have made for it; MOS_FAILED_PRECONDITION: too late or done already.
mos_status mos_access_confirm(mos_access *access, const char *id, const struct mos_identity *caller, mos_arena *arena,
                              struct mos_confirmation *out, struct mos_error *error);

// Whether the caller of this call may call the other method too: for handlers that do by another way what that does.
bool mos_access_may(struct mos_call *call, const char *path);
// For handlers of methods that the table of rights.h marks: as the last thing before they act, when they know that it can be done, so that
// nobody is asked to confirm what cannot. MOS_FAILED_PRECONDITION until another caller has confirmed exactly this `resource`; MOS_OK
// where this server needs no second person.
mos_status mos_access_need_second(mos_access *access, struct mos_call *call, const char *resource);

// The user is the mos_access. Health and reflection pass without a token; of everything else UNAUTHENTICATED without a valid one, and
// PERMISSION_DENIED without the right, by the table of rights.h. An address from which many attempts fail gets its refusals ever later.
extern const struct mos_rpc_interceptor mos_access_interceptor;

#endif
