#include <string.h>

#include "control/schedule/keep.h"
#include "unit/test.h"

MOS_TEST(rules_are_read) {
    struct mos_keep keep;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_keep_parse(&keep, "keep", "weekly=4,last=3", &error), &error);
    CU_ASSERT(keep.last == 3 && keep.weekly == 4 && keep.daily == 0 && keep.yearly == 0);
    static const char *const wrong[] = {"",         "last",      "last=",  "last=0",          "last=-1",  "last=100001",      "daily=1,",
                                        ",daily=1", "daily=1;x", "days=3", "daily=1,daily=2", "daily =1", "daily=99999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(mos_keep_parse(&keep, "keep", wrong[i], &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "keep");
    }
}

MOS_TEST(rules_of_tags_are_read) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_tag_rule *rules;
    size_t count = 9;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_tag_rules_parse(arena, "f", "", &rules, &count, &error), &error);
    CU_ASSERT_EQUAL(count, 0);
    MOS_ASSERT_OK(mos_tag_rules_parse(arena, "f", "a b:last=1,hourly=2;long:yearly=10", &rules, &count, &error), &error);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_STRING_EQUAL(rules[0].tag, "a b");
    CU_ASSERT(rules[0].keep.hourly == 2 && rules[1].keep.yearly == 10 && strcmp(rules[1].tag, "long") == 0);
    static const char *const wrong[] = {":last=1", "a", "a:", "a:last=0", "a:last=1,b:last=1", "a:last=1;;", "a:last=1;b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(mos_tag_rules_parse(arena, "f", wrong[i], &rules, &count, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "f");
    }
}
