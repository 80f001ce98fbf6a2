#include "common/sentinel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"

static const char mark[] = "mosaajii-sentinel ";

mos_status mos_sentinel_read(const char *path, char out_backup_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    enum { WANTED = sizeof(mark) - 1 + MOS_ID_TEXT_BYTES };
    char content[WANTED + 1] = {0};
    struct stat found;
    MOS_CLEANUP_FD int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0 && errno != ELOOP) {
        return mos_fail_errno(error, errno, "reading the sentinel %s", path);
    }
    ssize_t got = descriptor >= 0 && fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode) ? pread(descriptor, content, WANTED, 0) : -1;
    // The mark, an id and a line's end, and nothing more.
    if (got == WANTED && found.st_size == WANTED && memcmp(content, mark, sizeof(mark) - 1) == 0 && content[WANTED - 1] == '\n') {
        content[WANTED - 1] = 0;
        memcpy(out_backup_id, content + sizeof(mark) - 1, MOS_ID_TEXT_BYTES);
        if (mos_id_valid(out_backup_id)) {
            return MOS_OK;
        }
    }
    return mos_fail(error, MOS_FAILED_PRECONDITION, "%s is no sentinel of a backup", path);
}

mos_status mos_sentinel_write(const char *path, const char *backup_id, struct mos_error *error) {
    char before[MOS_ID_TEXT_BYTES];
    mos_status status = mos_sentinel_read(path, before, error);
    if (status == MOS_FAILED_PRECONDITION) {
        return mos_fail(error, MOS_ALREADY_EXISTS, "%s is there and is no sentinel of a backup: it is left as it is", path);
    }
    if (status != MOS_OK && status != MOS_NOT_FOUND) {
        return status;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer temporary = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&temporary, "%s.%s", path, backup_id);
    const char *name = mos_buffer_text(&temporary);
    MOS_CLEANUP_FD int descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "making the sentinel %s", path);
    }
    if (dprintf(descriptor, "%s%s\n", mark, backup_id) < 0 || fsync(descriptor) != 0 || rename(name, path) != 0) {
        int reason = errno;
        unlink(name);
        return mos_fail_errno(error, reason, "writing the sentinel %s", path);
    }
    return MOS_OK;
}
