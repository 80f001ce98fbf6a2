// What a server says of an error beside code and message, in grpc-status-details-bin.
#ifndef MOS_CLIENT_LIB_RPC_DETAILS_H
#define MOS_CLIENT_LIB_RPC_DETAILS_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

// Fills the field and makes the status more precise; leaves the error as it is where the bytes say nothing that is understood.
void mos_rpc_details_decode(const uint8_t *data, size_t size_bytes, struct mos_error *error);

#endif
