// The audit trail of this server: who called what, every refusal, and what the server did by itself. Thread safe.
//
// Entries are chained (control/audit/chain.h). From time to time the newest one is signed for, with a key that lies in the home; the
// checkpoints stand in the catalog and, written once, in the folder audit/ beside the backups, where whoever changes the catalog cannot
// reach them.
#ifndef MOS_CONTROL_ACCESS_TRAIL_H
#define MOS_CONTROL_ACCESS_TRAIL_H

#include "control/audit/chain.h"
#include "control/catalog/audit.h"
#include "control/rpc/rpc.h"

typedef struct mos_trail mos_trail;

// Reads the signing key, or makes it (mode 0600) and its public half beside it as <key_path>.pub. `folder`: where checkpoints are written,
// made when the first is. Looks at the newest checkpoint: where the catalog does not have what was signed for, that is logged and
// recorded, and the trail goes on behind it. Signs nothing yet. On MOS_OK *out is the caller's, to be destroyed.
mos_status mos_trail_create(mos_trail **out, mos_catalog *catalog, const char *key_path, const char *folder, struct mos_error *error);
// The repository is there: from now on what was added is signed for, each half minute, on a thread of its own. Before, nothing is.
mos_status mos_trail_start(mos_trail *trail, struct mos_error *error);
// Signs for the last. NULL is fine.
void mos_trail_destroy(mos_trail *trail);

// What the server does by itself; the details may be NULL. A failure is logged.
void mos_trail_note(mos_trail *trail, const char *action, const char *resource, mos_status result, const struct mos_audit_detail *details,
                    size_t detail_count);
// Signs for the newest entry. MOS_DATA_LOSS where what follows the last checkpoint does not hang together: then nothing is signed.
mos_status mos_trail_checkpoint(mos_trail *trail, struct mos_error *error);
// All entries, all checkpoints of the catalog and of the folder.
mos_status mos_trail_verify(mos_trail *trail, struct mos_audit_verifier *out, struct mos_error *error);

// Signs any bytes with the key of the trail. For whoever is given it as a function; `trail` is the mos_trail.
bool mos_trail_sign(void *trail, const uint8_t *data, size_t size_bytes, uint8_t out_signature[MOS_AUDIT_SIGNATURE_BYTES],
                    uint8_t out_public_key[MOS_AUDIT_PUBLIC_KEY_BYTES]);

mos_catalog *mos_trail_catalog(mos_trail *trail);

// The user is the mos_trail. Records every call that changes something or reads secrets, and every refusal; what reads secrets before it
// begins too, and MOS_UNAVAILABLE where that cannot be written. Add it before the one that refuses.
extern const struct mos_rpc_interceptor mos_trail_interceptor;

// The id that the request names, or else the one of what the call made; "" where there is none. `request` may be NULL.
const char *mos_call_resource(struct mos_call *call, const ProtobufCMessage *request);

#endif
