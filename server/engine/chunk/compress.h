// zstd for chunks, left out where it does not pay. Not thread safe per object: one a worker.
#ifndef MOS_ENGINE_CHUNK_COMPRESS_H
#define MOS_ENGINE_CHUNK_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mos_compressor mos_compressor;

// `level`: 1 (fast) to 19; 0: never compress.
mos_compressor *mos_compressor_create(int level);
void mos_compressor_destroy(mos_compressor *compressor);

// true: *out_data (borrowed, until the next call) holds the compressed form. false: it would not be smaller by a sixteenth, or the level
// is 0, and the data is to be stored as it is. Samples first, so that data that is compressed already costs little.
bool mos_compress(mos_compressor *compressor, const uint8_t *data, size_t size_bytes, const uint8_t **out_data, size_t *out_size_bytes);

typedef struct mos_decompressor mos_decompressor;
mos_decompressor *mos_decompressor_create(void);
void mos_decompressor_destroy(mos_decompressor *decompressor);

// false unless `data` is one whole zstd frame of exactly `plain_bytes` bytes.
bool mos_decompress(mos_decompressor *decompressor, const uint8_t *data, size_t size_bytes, uint8_t *out_plain, size_t plain_bytes);

#endif
