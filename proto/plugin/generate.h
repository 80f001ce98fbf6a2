// Writes C for the services of proto files: typed tables for servers, typed stubs for clients. Knows no proto in particular.
#ifndef MOS_PROTO_PLUGIN_GENERATE_H
#define MOS_PROTO_PLUGIN_GENERATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/status.h"

// Answers a packed google.protobuf.compiler.CodeGeneratorRequest with a packed CodeGeneratorResponse, appended to `out`. Its parameter is
// `server` or `client`. What is wrong with a proto stands in the response; MOS_INVALID_ARGUMENT only for bytes that are no request.
mos_status mos_plugin_generate(const uint8_t *request, size_t size_bytes, struct mos_buffer *out, struct mos_error *error);

#endif
