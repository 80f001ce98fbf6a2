// Whose call it is where a gateway stands between: for logs and records, never for a decision about rights.
#ifndef MOS_CONTROL_RPC_CLIENT_ADDRESS_H
#define MOS_CONTROL_RPC_CLIENT_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "common/status.h"

struct mos_client_address {
    char text[INET6_ADDRSTRLEN];
};

// `networks`: addresses and networks, comma separated, as 10.0.0.0/8; NULL or "" for none. MOS_INVALID_ARGUMENT, with the setting and the
// item, where one is neither.
mos_status mos_networks_check(const char *networks, struct mos_error *error);
// The address that `told` is, where `peer` (as mos_call_peer) is this machine or in `networks`; else the peer's own, without its port;
// empty for a unix socket without anything told. `told` may be NULL or anything a stranger wrote.
struct mos_client_address mos_client_address_of(const char *peer, const char *told, const char *networks);

#endif
