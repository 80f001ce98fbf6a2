// The entry of a finished pack in the local index.
#include <stdlib.h>
#include <string.h>

#include "engine/repo/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mos_pack pack = {.id = {7}};
    struct mos_frame *frames = NULL;
    if (!mos_index_entry_decode(data, size, &pack, &frames)) {
        return 0;
    }
    uint64_t end = MOS_PACK_HEADER_BYTES;
    for (uint32_t i = 0; i < pack.frame_count; i++) {
        if (frames[i].offset_bytes != end) {
            abort();
        }
        end += frames[i].sealed_bytes;
    }
    if (pack.id[0] != 7 || end + pack.footer_bytes + MOS_PACK_TRAILER_BYTES != pack.size_bytes) {
        abort();
    }
    free(frames);
    return 0;
}
