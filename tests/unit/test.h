// Unit tests in CUnit. A file of tests is a suite: MOS_TEST(name) { … } defines and registers a test, CU_ASSERT… checks. Fatal asserts
// only on the test's own thread.
#ifndef MOS_TESTS_UNIT_TEST_H
#define MOS_TESTS_UNIT_TEST_H

#include <stdbool.h>

#include <CUnit/CUnit.h>

void mos_test_register(const char *name, void (*function)(void));

#define MOS_TEST(name)                                                                                                                     \
    static void name(void);                                                                                                                \
    __attribute__((constructor)) static void register_##name(void) {                                                                       \
        mos_test_register(#name, name);                                                                                                    \
    }                                                                                                                                      \
    static void name(void)

// A call that must succeed; prints the error where it does not.
#define MOS_ASSERT_OK(call, error)                                                                                                         \
    do {                                                                                                                                   \
        if ((call) != 0) {                                                                                                                 \
            mos_test_complain(#call, (error)->message);                                                                                    \
            CU_FAIL_FATAL(#call);                                                                                                          \
        }                                                                                                                                  \
    } while (0)
void mos_test_complain(const char *call, const char *message);

// A new empty directory, removed at the end of the program. Borrowed.
const char *mos_test_directory(void);

#endif
