#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "lib/rpc_details.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mos_error error = {.status = MOS_RESOURCE_EXHAUSTED, .message = "message"};
    mos_rpc_details_decode(data, size, &error);
    if (mos_status_grpc_code(error.status) != mos_status_grpc_code(MOS_RESOURCE_EXHAUSTED) || strcmp(error.message, "message") != 0) {
        abort();
    }
    return 0;
}
