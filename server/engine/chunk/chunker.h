// Where to cut a stream of bytes into chunks, so that an insertion moves the cuts near it only (FastCDC: gear hash, normalised).
//
//     mos_chunker_init(&chunker, &limits, gear);
//     while (there is data) {
//         bool cut;
//         size_t taken = mos_chunker_feed(&chunker, data, size, &cut);
//         append data[0..taken) to the present chunk; if (cut) the chunk ends here;
//         data += taken; size -= taken;
//     }
//     what is left in the present chunk is the last one; mos_chunker_reset(&chunker) before another stream
//
// The cuts depend on the bytes of the stream alone, never on how they were handed over. Plain data, no allocation, not thread safe per
// object.
#ifndef MOS_ENGINE_CHUNK_CHUNKER_H
#define MOS_ENGINE_CHUNK_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOS_CHUNK_MIN_BYTES (256u << 10)
#define MOS_CHUNK_AVERAGE_BYTES (512u << 10)
#define MOS_CHUNK_MAX_BYTES (4u << 20)
// No repository may ask for more.
#define MOS_CHUNK_LIMIT_BYTES (16u << 20)
#define MOS_GEAR_ENTRIES 256

struct mos_chunk_limits {
    uint32_t min_bytes;
    // A power of two.
    uint32_t average_bytes;
    uint32_t max_bytes;
};

struct mos_chunker {
    const uint64_t *gear;
    uint64_t hash;
    uint64_t mask_before_average;
    uint64_t mask_after_average;
    uint32_t length_bytes;
    struct mos_chunk_limits limits;
};

// 64 <= min < average < max <= MOS_CHUNK_LIMIT_BYTES, average a power of two and at least 4096.
bool mos_chunk_limits_valid(const struct mos_chunk_limits *limits);
// `gear`: MOS_GEAR_ENTRIES random numbers, kept by the caller as long as the chunker is used. `limits` are valid.
void mos_chunker_init(struct mos_chunker *chunker, const struct mos_chunk_limits *limits, const uint64_t *gear);
// Bytes taken (all of them unless a cut comes before the end); *out_cut: the present chunk ends behind them.
size_t mos_chunker_feed(struct mos_chunker *chunker, const uint8_t *data, size_t size_bytes, bool *out_cut);
// Begins a new chunk.
void mos_chunker_reset(struct mos_chunker *chunker);

#endif
