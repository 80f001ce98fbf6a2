#include "control/offsite/name_set.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

enum { LEAST_CAPACITY = 64 };

// FNV-1a: most names are random digits anyhow.
static uint64_t hash(const char *name) {
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++) {
        state = (state ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    }
    return state;
}

// Where the name is, or would be.
static char **slot_of(char **slots, size_t capacity, const char *name) {
    size_t at = (size_t)hash(name) & (capacity - 1);
    while (slots[at] && strcmp(slots[at], name) != 0) {
        at = (at + 1) & (capacity - 1);
    }
    return &slots[at];
}

static void grow(struct mos_name_set *set) {
    size_t capacity = set->capacity ? 2 * set->capacity : LEAST_CAPACITY;
    char **slots = mos_calloc(capacity, sizeof(char *));
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->slots[i]) {
            *slot_of(slots, capacity, set->slots[i]) = set->slots[i];
        }
    }
    free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
}

bool mos_name_set_add(struct mos_name_set *set, const char *name) {
    if (2 * set->count >= set->capacity) {
        grow(set);
    }
    char **slot = slot_of(set->slots, set->capacity, name);
    if (*slot) {
        return false;
    }
    *slot = mos_strdup(name);
    set->count++;
    return true;
}

bool mos_name_set_has(const struct mos_name_set *set, const char *name) {
    return set->count > 0 && *slot_of(set->slots, set->capacity, name) != NULL;
}

void mos_name_set_free(struct mos_name_set *set) {
    for (size_t i = 0; i < set->capacity; i++) {
        free(set->slots[i]);
    }
    free(set->slots);
    *set = (struct mos_name_set){0};
}
