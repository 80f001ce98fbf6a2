#include "engine/pipeline/sample.h"

#include <stdlib.h>

#include "common/buffer.h"
#include "common/id.h"

size_t mos_sample_choose(const int64_t *sizes, size_t count, int64_t wanted_bytes, bool *out_chosen) {
    MOS_CLEANUP_FREE size_t *order = mos_calloc(count + 1, sizeof(*order));
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
        out_chosen[i] = false;
    }
    size_t chosen = 0;
    for (int64_t bytes = 0; chosen < count && bytes < wanted_bytes; chosen++) {
        uint64_t random;
        mos_random(&random, sizeof(random));
        // The next of the order is one of those that are left. The bias of the remainder is far below what could be told.
        size_t other = chosen + (size_t)(random % (count - chosen));
        size_t number = order[other];
        order[other] = order[chosen];
        out_chosen[number] = true;
        bytes += sizes[number];
    }
    return chosen;
}

double mos_sample_unseen(size_t count, size_t chosen, size_t damaged) {
    double chance = 1;
    for (size_t i = 0; i < chosen && chance > 0; i++) {
        chance *= count - i > damaged ? (double)(count - damaged - i) / (double)(count - i) : 0;
    }
    return chance;
}

size_t mos_sample_bound(size_t count, size_t chosen, double certainty) {
    size_t low = 0;
    size_t high = count - chosen;
    // The chance only falls with more damage.
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mos_sample_unseen(count, chosen, middle + 1) > 1 - certainty) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

char *mos_sample_guarantee(mos_arena *arena, size_t count, size_t chosen, int64_t bytes, int64_t chosen_bytes) {
    if (chosen == count) {
        return mos_arena_printf(arena, "All of the data was read: every byte of the %zu packs is known to be good or named as damaged",
                                count);
    }
    if (chosen == 0) {
        return mos_arena_strdup(arena, "None of the data was read: every object is there and leads to the others, but damage inside of "
                                       "packs would go unseen");
    }
    size_t hundredth = (count + 99) / 100;
    return mos_arena_printf(arena,
                            "%zu of %zu packs (%.1f %% of the data), chosen at random, were read whole: were 1 %% of the packs (%zu) "
                            "damaged, it would have gone unseen with a chance of %.3g %%; if these are all good, then with a certainty of "
                            "95 %% at most %zu packs are damaged",
                            chosen, count, bytes > 0 ? 100.0 * (double)chosen_bytes / (double)bytes : 100.0, hundredth,
                            100 * mos_sample_unseen(count, chosen, hundredth), mos_sample_bound(count, chosen, 0.95));
}
