#include "engine/chunk/compress.h"

#include <string.h>
#include <zstd.h>

#include "common/buffer.h"
#include "common/log.h"
#include "engine/chunk/chunker.h"
#include <stdlib.h>

#define SAMPLES 4
#define SAMPLE_BYTES 4096

struct mos_compressor {
    ZSTD_CCtx *context;
    int level;
    uint8_t *data;
    size_t capacity_bytes;
};

struct mos_decompressor {
    ZSTD_DCtx *context;
};

static void out_of_memory(void) {
    mos_log_error("out of memory", MOS_TEXT("where", "compression"));
    abort();
}

mos_compressor *mos_compressor_create(int level) {
    mos_compressor *compressor = mos_calloc(1, sizeof(*compressor));
    compressor->level = level;
    compressor->context = ZSTD_createCCtx();
    if (!compressor->context) {
        out_of_memory();
    }
    return compressor;
}

void mos_compressor_destroy(mos_compressor *compressor) {
    if (compressor) {
        ZSTD_freeCCtx(compressor->context);
        free(compressor->data);
        free(compressor);
    }
}

static void reserve(mos_compressor *compressor, size_t size_bytes) {
    if (compressor->capacity_bytes < size_bytes) {
        compressor->data = mos_realloc(compressor->data, size_bytes);
        compressor->capacity_bytes = size_bytes;
    }
}

static bool pays(size_t packed_bytes, size_t plain_bytes) {
    return packed_bytes < plain_bytes - plain_bytes / 16;
}

// A few pages from all over the chunk, compressed together, tell enough: gathered files differ from one another.
static bool sample_pays(mos_compressor *compressor, const uint8_t *data, size_t size_bytes) {
    uint8_t sample[SAMPLES * SAMPLE_BYTES];
    size_t stride = size_bytes / SAMPLES;
    for (size_t i = 0; i < SAMPLES; i++) {
        memcpy(sample + i * SAMPLE_BYTES, data + i * stride, SAMPLE_BYTES);
    }
    size_t packed = ZSTD_compressCCtx(compressor->context, compressor->data, compressor->capacity_bytes, sample, sizeof(sample), 1);
    return !ZSTD_isError(packed) && packed < sizeof(sample) - sizeof(sample) / 32;
}

bool mos_compress(mos_compressor *compressor, const uint8_t *data, size_t size_bytes, const uint8_t **out_data, size_t *out_size_bytes) {
    if (compressor->level == 0 || size_bytes < 64) {
        return false;
    }
    reserve(compressor, ZSTD_compressBound(size_bytes < SAMPLES * SAMPLE_BYTES ? SAMPLES * SAMPLE_BYTES : size_bytes));
    if (size_bytes >= 8 * SAMPLES * SAMPLE_BYTES && !sample_pays(compressor, data, size_bytes)) {
        return false;
    }
    size_t packed =
        ZSTD_compressCCtx(compressor->context, compressor->data, compressor->capacity_bytes, data, size_bytes, compressor->level);
    if (ZSTD_isError(packed)) {
        out_of_memory();
    }
    *out_data = compressor->data;
    *out_size_bytes = packed;
    return pays(packed, size_bytes);
}

mos_decompressor *mos_decompressor_create(void) {
    mos_decompressor *decompressor = mos_calloc(1, sizeof(*decompressor));
    decompressor->context = ZSTD_createDCtx();
    if (!decompressor->context) {
        out_of_memory();
    }
    return decompressor;
}

void mos_decompressor_destroy(mos_decompressor *decompressor) {
    if (decompressor) {
        ZSTD_freeDCtx(decompressor->context);
        free(decompressor);
    }
}

bool mos_decompress(mos_decompressor *decompressor, const uint8_t *data, size_t size_bytes, uint8_t *out_plain, size_t plain_bytes) {
    // Two frames one behind the other would decompress as well, but no writer makes them.
    size_t frame = ZSTD_findFrameCompressedSize(data, size_bytes);
    if (ZSTD_isError(frame) || frame != size_bytes) {
        return false;
    }
    size_t got = ZSTD_decompressDCtx(decompressor->context, out_plain, plain_bytes, data, size_bytes);
    return !ZSTD_isError(got) && got == plain_bytes;
}
