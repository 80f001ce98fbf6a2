#include "engine/source/file_system.h"

#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>

// Their content is made up by the kernel, has no end or no meaning elsewhere.
static const unsigned long kernel_file_systems[] = {
    PROC_SUPER_MAGIC,
    SYSFS_MAGIC,
    CGROUP_SUPER_MAGIC,
    CGROUP2_SUPER_MAGIC,
    DEBUGFS_MAGIC,
    TRACEFS_MAGIC,
    SECURITYFS_MAGIC,
    BPF_FS_MAGIC,
    SELINUX_MAGIC,
    SMACK_MAGIC,
    PSTOREFS_MAGIC,
    EFIVARFS_MAGIC,
    DEVPTS_SUPER_MAGIC,
    BINFMTFS_MAGIC,
    0x62656570 /* configfs */,
    0x19800202 /* mqueue */,
    NSFS_MAGIC,
    0x65735543 /* fusectl */,
    0x67596969 /* rpc_pipefs */,
};

bool mos_file_system_is_kernels(int descriptor) {
    struct statfs found;
    if (fstatfs(descriptor, &found) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(kernel_file_systems) / sizeof(kernel_file_systems[0]); i++) {
        if ((unsigned long)found.f_type == kernel_file_systems[i]) {
            return true;
        }
    }
    return false;
}
