#include "engine/chunk/chunker.h"

// The hash at a place depends on this many bytes before it: each shift pushes one out.
#define WINDOW_BYTES 64u
// How much harder a cut is before the average length and easier behind it, in bits: keeps most chunks near the average.
#define NORMALISATION_BITS 2
// A scan in lanes: shorter ones cost too much to begin, longer ones are in vain where an early lane cuts.
#define LANES 4u
#define LANE_LEAST_BYTES 512u
#define LANE_MOST_BYTES 4096u

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

// One byte after the other, for what is left over. Returns how much of data[0..size) belongs to the chunk: up to and with the byte at which
// the hash says cut, or all.
static size_t scan_bytes(const uint64_t *gear, uint64_t *hash, uint64_t mask, const uint8_t *data, size_t size_bytes, bool *out_cut) {
    uint64_t h = *hash;
    for (size_t i = 0; i < size_bytes; i++) {
        h = (h << 1) + gear[data[i]];
        if (!(h & mask)) {
            *out_cut = true;
            return i + 1;
        }
    }
    *hash = h;
    return size_bytes;
}

static uint64_t warm_up(const uint64_t *gear, const uint8_t *data) {
    uint64_t h = 0;
    for (size_t i = 0; i < WINDOW_BYTES; i++) {
        h = (h << 1) + gear[data[i]];
    }
    return h;
}

// Whether any of the lanes says cut; *out_at: where the first one in the order of the bytes does. The lanes lie one behind the other: a
// hash depends on its window alone, so each can begin in the middle, and the processor works on all of them at once. *hash: before the
// first lane, and behind the last one.
static bool scan_lanes(const uint64_t *gear, uint64_t *hash, uint64_t mask, const uint8_t *data, size_t lane_bytes, size_t *out_at) {
    const uint8_t *b = data + lane_bytes, *c = b + lane_bytes, *d = c + lane_bytes;
    uint64_t ha = *hash, hb = warm_up(gear, b - WINDOW_BYTES), hc = warm_up(gear, c - WINDOW_BYTES), hd = warm_up(gear, d - WINDOW_BYTES);
    // Where a later lane cuts first; the lanes before may still cut and then count.
    size_t at_b = lane_bytes, at_c = lane_bytes, at_d = lane_bytes;
    for (size_t i = 0; i < lane_bytes; i++) {
        ha = (ha << 1) + gear[data[i]];
        hb = (hb << 1) + gear[b[i]];
        hc = (hc << 1) + gear[c[i]];
        hd = (hd << 1) + gear[d[i]];
        if (__builtin_expect(!(ha & mask) | !(hb & mask) | !(hc & mask) | !(hd & mask), 0)) {
            if (!(ha & mask)) {
                *out_at = i;
                return true;
            }
            at_b = !(hb & mask) && i < at_b ? i : at_b;
            at_c = !(hc & mask) && i < at_c ? i : at_c;
            at_d = !(hd & mask) && i < at_d ? i : at_d;
        }
    }
    *hash = hd;
    *out_at = at_b < lane_bytes ? lane_bytes + at_b : at_c < lane_bytes ? 2 * lane_bytes + at_c : 3 * lane_bytes + at_d;
    return at_b < lane_bytes || at_c < lane_bytes || at_d < lane_bytes;
}

// Hashes data[0..size) and returns how much of it belongs to the chunk, as scan_bytes does.
static size_t scan(const uint64_t *gear, uint64_t *hash, uint64_t mask, const uint8_t *data, size_t size_bytes, bool *out_cut) {
    size_t done = 0;
    while (size_bytes - done >= LANES * LANE_LEAST_BYTES) {
        size_t lane_bytes = (size_bytes - done) / LANES, at;
        lane_bytes = lane_bytes < LANE_MOST_BYTES ? lane_bytes : LANE_MOST_BYTES;
        if (scan_lanes(gear, hash, mask, data + done, lane_bytes, &at)) {
            *out_cut = true;
            return done + at + 1;
        }
        done += LANES * lane_bytes;
    }
    return done + scan_bytes(gear, hash, mask, data + done, size_bytes - done, out_cut);
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
