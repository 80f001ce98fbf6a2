// What kind of file system something lies on.
#ifndef MOS_ENGINE_SOURCE_FILE_SYSTEM_H
#define MOS_ENGINE_SOURCE_FILE_SYSTEM_H

#include <stdbool.h>

// One whose content the kernel makes up: proc, sysfs and the like.
bool mos_file_system_is_kernels(int descriptor);

#endif
