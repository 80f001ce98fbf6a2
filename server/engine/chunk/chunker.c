#include "engine/chunk/chunker.h"

// The hash at a place depends on this many bytes before it: each shift pushes one out.
#define WINDOW_BYTES 64u
// How much harder a cut is before the average length and easier behind it, in bits: keeps most chunks near the average.
#define NORMALISATION_BITS 2

bool mos_chunk_limits_valid(const struct mos_chunk_limits *limits) {
    return limits->min_bytes >= WINDOW_BYTES && limits->min_bytes < limits->average_bytes && limits->average_bytes < limits->max_bytes &&
           limits->max_bytes <= MOS_CHUNK_LIMIT_BYTES && limits->average_bytes >= 4096 &&
           (limits->average_bytes & (limits->average_bytes - 1)) == 0;
}

// The upper bits of a gear hash have seen the whole window, the lower ones only its end.
static uint64_t upper_bits(unsigned count) {
    return ~UINT64_C(0) << (64 - count);
}

void mos_chunker_init(struct mos_chunker *chunker, const struct mos_chunk_limits *limits, const uint64_t *gear) {
    unsigned bits = (unsigned)__builtin_ctz(limits->average_bytes);
    *chunker = (struct mos_chunker){
        .gear = gear,
        .limits = *limits,
        .mask_before_average = upper_bits(bits + NORMALISATION_BITS),
        .mask_after_average = upper_bits(bits - NORMALISATION_BITS),
    };
}

void mos_chunker_reset(struct mos_chunker *chunker) {
    chunker->hash = 0;
    chunker->length_bytes = 0;
}

// Hashes data[0..size) and returns how much of it belongs to the chunk: up to and with the byte at which the hash says cut, or all.
static size_t scan(const uint64_t *gear, uint64_t *hash, uint64_t mask, const uint8_t *data, size_t size_bytes, bool *out_cut) {
    uint64_t h = *hash;
    size_t i = 0;
    for (; i + 4 <= size_bytes; i += 4) {
        uint64_t h0 = (h << 1) + gear[data[i]];
        uint64_t h1 = (h0 << 1) + gear[data[i + 1]];
        uint64_t h2 = (h1 << 1) + gear[data[i + 2]];
        uint64_t h3 = (h2 << 1) + gear[data[i + 3]];
        bool any = !(h0 & mask) | !(h1 & mask) | !(h2 & mask) | !(h3 & mask);
        if (__builtin_expect(any, 0)) {
            *out_cut = true;
            return i + (!(h0 & mask) ? 1 : !(h1 & mask) ? 2 : !(h2 & mask) ? 3 : 4);
        }
        h = h3;
    }
    for (; i < size_bytes; i++) {
        h = (h << 1) + gear[data[i]];
        if (!(h & mask)) {
            *out_cut = true;
            return i + 1;
        }
    }
    *hash = h;
    return size_bytes;
}

size_t mos_chunker_feed(struct mos_chunker *chunker, const uint8_t *data, size_t size_bytes, bool *out_cut) {
    const struct mos_chunk_limits *limits = &chunker->limits;
    size_t used = 0;
    *out_cut = false;
    while (used < size_bytes && !*out_cut) {
        uint32_t length = chunker->length_bytes;
        // Bytes that cannot influence the first possible cut are not looked at.
        uint32_t silent = limits->min_bytes - WINDOW_BYTES;
        uint32_t bound = length < silent                  ? silent
                         : length < limits->min_bytes     ? limits->min_bytes
                         : length < limits->average_bytes ? limits->average_bytes
                                                          : limits->max_bytes;
        size_t step = size_bytes - used < bound - length ? size_bytes - used : bound - length;
        if (length < silent) {
            // Skipped.
        } else if (length < limits->min_bytes) {
            for (size_t i = 0; i < step; i++) {
                chunker->hash = (chunker->hash << 1) + chunker->gear[data[used + i]];
            }
        } else {
            uint64_t mask = length < limits->average_bytes ? chunker->mask_before_average : chunker->mask_after_average;
            step = scan(chunker->gear, &chunker->hash, mask, data + used, step, out_cut);
        }
        used += step;
        chunker->length_bytes += (uint32_t)step;
        if (chunker->length_bytes == limits->max_bytes) {
            *out_cut = true;
        }
    }
    if (*out_cut) {
        mos_chunker_reset(chunker);
    }
    return used;
}
