// What stands in a compressed frame: the first three bytes are the size that the footer promises.
#include <stdlib.h>

#include "common/buffer.h"
#include "engine/chunk/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static mos_decompressor *decompressor;
    if (size < 3) {
        return 0;
    }
    if (!decompressor) {
        decompressor = mos_decompressor_create();
    }
    size_t plain_bytes = 1 + (size_t)data[0] + ((size_t)data[1] << 8) + ((size_t)(data[2] & 15) << 16);
    // No byte more than that, so that the sanitizer sees a write behind it.
    MOS_CLEANUP_FREE uint8_t *plain = mos_malloc(plain_bytes);
    if (mos_decompress(decompressor, data + 3, size - 3, plain, plain_bytes)) {
        uint8_t sum = 0;
        for (size_t i = 0; i < plain_bytes; i++) {
            sum ^= plain[i];
        }
        // All of it has been written: memory that was not would be told by MemorySanitizer or differ below.
        MOS_CLEANUP_FREE uint8_t *again = mos_malloc(plain_bytes);
        uint8_t other = 0;
        if (!mos_decompress(decompressor, data + 3, size - 3, again, plain_bytes)) {
            abort();
        }
        for (size_t i = 0; i < plain_bytes; i++) {
            other ^= again[i];
        }
        if (sum != other) {
            abort();
        }
    }
    return 0;
}
