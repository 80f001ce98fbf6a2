#include "engine/source/file_system.h"

#include <fcntl.h>
#include <unistd.h>

#include "unit/test.h"

static bool is_kernels(const char *path) {
    int descriptor = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_FATAL(descriptor >= 0);
    bool kernels = mos_file_system_is_kernels(descriptor);
    close(descriptor);
    return kernels;
}

MOS_TEST(only_what_the_kernel_makes_up_is_its_own) {
    CU_ASSERT_TRUE(is_kernels("/proc"));
    CU_ASSERT_TRUE(is_kernels("/proc/self"));
    CU_ASSERT_FALSE(is_kernels(mos_test_directory()));
    CU_ASSERT_FALSE(mos_file_system_is_kernels(-1));
}
