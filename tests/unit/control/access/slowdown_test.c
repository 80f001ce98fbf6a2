#include "control/access/slowdown.h"

#include <stdio.h>

#include "common/clock.h"
#include "unit/test.h"

static int64_t fail_times(mos_slowdown *slowdown, const char *address, int times, int64_t now_ns, int *out_firsts) {
    int64_t delay_ms = 0;
    for (int i = 0; i < times; i++) {
        bool first = false;
        delay_ms = mos_slowdown_failed(slowdown, address, now_ns, &first);
        *out_firsts += first;
    }
    return delay_ms;
}

MOS_TEST(an_address_that_fails_often_is_slowed_down_and_no_other) {
    mos_slowdown *slowdown = mos_slowdown_create();
    int firsts = 0;
    const int64_t now_ns = 1000 * MOS_NS_PER_SECOND;
    CU_ASSERT_EQUAL(fail_times(slowdown, "192.0.2.1", 20, now_ns, &firsts), 0);
    int64_t early_ms = fail_times(slowdown, "192.0.2.1", 1, now_ns, &firsts);
    CU_ASSERT(early_ms > 0);
    CU_ASSERT(fail_times(slowdown, "192.0.2.1", 20, now_ns, &firsts) > early_ms);
    CU_ASSERT_EQUAL(firsts, 1);
    CU_ASSERT_EQUAL(fail_times(slowdown, "192.0.2.1", 100000, now_ns, &firsts), 1000);
    CU_ASSERT_EQUAL(fail_times(slowdown, "192.0.2.2", 20, now_ns, &firsts), 0);
    mos_slowdown_destroy(slowdown);
}

MOS_TEST(failures_are_forgotten) {
    mos_slowdown *slowdown = mos_slowdown_create();
    int firsts = 0;
    fail_times(slowdown, "192.0.2.1", 30, 1000 * MOS_NS_PER_SECOND, &firsts);
    CU_ASSERT(fail_times(slowdown, "192.0.2.1", 1, 1001 * MOS_NS_PER_SECOND, &firsts) > 0);
    CU_ASSERT_EQUAL(fail_times(slowdown, "192.0.2.1", 1, 1040 * MOS_NS_PER_SECOND, &firsts), 0);
    mos_slowdown_destroy(slowdown);
}

MOS_TEST(many_addresses_do_not_grow_it) {
    mos_slowdown *slowdown = mos_slowdown_create();
    int firsts = 0;
    for (int i = 0; i < 5000; i++) {
        char address[32];
        snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
        CU_ASSERT_EQUAL(fail_times(slowdown, address, 1, (1000 + i) * MOS_NS_PER_SECOND, &firsts), 0);
    }
    mos_slowdown_destroy(slowdown);
}

MOS_TEST(few_are_held_at_a_time) {
    mos_slowdown *slowdown = mos_slowdown_create();
    int held = 0;
    while (held < 1000 && mos_slowdown_enter(slowdown)) {
        held++;
    }
    CU_ASSERT(held > 0 && held < 1000);
    mos_slowdown_leave(slowdown);
    CU_ASSERT(mos_slowdown_enter(slowdown));
    CU_ASSERT_FALSE(mos_slowdown_enter(slowdown));
    mos_slowdown_destroy(slowdown);
}
