// The google.rpc.Status that goes with an error as grpc-status-details-bin.
#ifndef MOS_CONTROL_RPC_DETAILS_H
#define MOS_CONTROL_RPC_DETAILS_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/status.h"

// *out is NULL when code and message say all there is to say; else it lives in the arena.
void mos_details_encode(const struct mos_error *error, mos_arena *arena, const uint8_t **out, size_t *out_size_bytes);

#endif
