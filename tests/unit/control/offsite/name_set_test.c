#include "control/offsite/name_set.h"

#include <stdio.h>

#include "unit/test.h"

MOS_TEST(what_was_added_is_there_and_nothing_else) {
    struct mos_name_set set = {0};
    char name[64];
    CU_ASSERT_FALSE(mos_name_set_has(&set, "anything"));
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "packs/%02x/%030d", i & 255, i);
        CU_ASSERT(mos_name_set_add(&set, name));
    }
    CU_ASSERT_EQUAL(set.count, 5000);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "packs/%02x/%030d", i & 255, i);
        CU_ASSERT_FALSE(mos_name_set_add(&set, name));
        CU_ASSERT(mos_name_set_has(&set, name));
        snprintf(name, sizeof(name), "moved/%02x/%030d", i & 255, i);
        CU_ASSERT_FALSE(mos_name_set_has(&set, name));
    }
    CU_ASSERT_EQUAL(set.count, 5000);
    mos_name_set_free(&set);
    CU_ASSERT_EQUAL(set.count, 0);
    CU_ASSERT_FALSE(mos_name_set_has(&set, "packs/00/000000000000000000000000000000"));
}
