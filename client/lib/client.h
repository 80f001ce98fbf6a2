// A connection to mosaajii-server for programs in C. Every RPC is called in one way, by its typed stub:
//
//     mos_client *client;
//     if (mos_client_connect(&client, settings, &error) != MOS_OK) …
//     struct mos_rpc_call_options options = mos_client_options(client, 30000);
//     Mosaajii__Backup__V1__GetBackupRequest request = MOSAAJII__BACKUP__V1__GET_BACKUP_REQUEST__INIT;
//     request.backup_id = id;
//     Mosaajii__Backup__V1__Backup *backup;
//     if (mosaajii_backup_v1_backup_service_client_get_backup(mos_client_channel(client), &options, &request, arena, &backup, &error) !=
//     MOS_OK) {
//         mos_client_explain(client, &error);
//         … error.status, error.field (the field of the request at fault, by its JSON name), error.message …
//     }
//     mos_client_close(client);
//
// Streams likewise, see lib/rpc.h.
#ifndef MOS_CLIENT_LIB_CLIENT_H
#define MOS_CLIENT_LIB_CLIENT_H

#include <stdint.h>

#include "common/settings.h"
#include "common/status.h"
#include "lib/rpc.h"

typedef struct mos_client mos_client;

// From MOSAAJII_SERVER, MOSAAJII_TOKEN or MOSAAJII_TOKEN_FILE, and, for TLS, MOSAAJII_TLS_CLIENT_CA (who signed the server's certificate)
// and MOSAAJII_TLS_CERT with MOSAAJII_TLS_KEY (who this client is, where the server asks). Does not wait for the server: the first call
// does. A token that cannot be read is no error yet, since the server is the one to refuse; mos_client_explain then says why there was
// none. MOS_INVALID_ARGUMENT, with the setting as its field: a token that cannot be one. On MOS_OK *out is the caller's. Thread safe.
mos_status mos_client_connect(mos_client **out, const mos_settings *settings, struct mos_error *error);
// After the last call. NULL is fine.
void mos_client_close(mos_client *client);

// Borrowed.
mos_rpc_channel *mos_client_channel(const mos_client *client);
const char *mos_client_address(const mos_client *client);
// With the token. `timeout_ms` 0: no limit. Valid while the client is.
struct mos_rpc_call_options mos_client_options(const mos_client *client, int64_t timeout_ms);
// Puts into a call's error what the server could not know: which server was not reachable, why no token was sent.
void mos_client_explain(const mos_client *client, struct mos_error *error);

// What the server's health service answers, as a message in the arena and as a word: SERVING and the like. Borrowed.
mos_status mos_client_health(const mos_client *client, const struct mos_rpc_call_options *options, mos_arena *arena, ProtobufCMessage **out,
                             const char **out_word, struct mos_error *error);

#endif
