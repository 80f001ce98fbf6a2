// A set of names of objects. Not thread safe. Zero initialised is empty.
#ifndef MOS_CONTROL_OFFSITE_NAME_SET_H
#define MOS_CONTROL_OFFSITE_NAME_SET_H

#include <stdbool.h>
#include <stddef.h>

struct mos_name_set {
    char **slots;
    size_t capacity;
    size_t count;
};

// false where it is there already. The name is copied.
bool mos_name_set_add(struct mos_name_set *set, const char *name);
bool mos_name_set_has(const struct mos_name_set *set, const char *name);
void mos_name_set_free(struct mos_name_set *set);
#define MOS_CLEANUP_NAMES __attribute__((cleanup(mos_name_set_free)))

#endif
