// A part of the packs, chosen at random, and what it tells of all of them.
#ifndef MOS_ENGINE_PIPELINE_SAMPLE_H
#define MOS_ENGINE_PIPELINE_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"

// Chooses among `count` packs of these sizes, each order being as likely, until their sizes reach `wanted_bytes`. Returns how many.
size_t mos_sample_choose(const int64_t *sizes, size_t count, int64_t wanted_bytes, bool *out_chosen);

// The chance that none of `damaged` packs is among `chosen` of `count`.
double mos_sample_unseen(size_t count, size_t chosen, size_t damaged);
// With this certainty at most so many packs are damaged when the chosen ones were not.
size_t mos_sample_bound(size_t count, size_t chosen, double certainty);
// One sentence.
char *mos_sample_guarantee(mos_arena *arena, size_t count, size_t chosen, int64_t bytes, int64_t chosen_bytes);

#endif
