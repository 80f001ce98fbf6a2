#include "engine/source/sqlite_vfs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char vfs_name[] = "mosaajii-descriptor";

struct file {
    sqlite3_file base;
    int descriptor;
};

static int descriptor_of(sqlite3_file *file) {
    return ((struct file *)file)->descriptor;
}

static int file_close(sqlite3_file *file) {
    (void)file;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *data, int size_bytes, sqlite3_int64 offset_bytes) {
    int done = 0;
    while (done < size_bytes) {
        ssize_t got = pread(descriptor_of(file), (char *)data + done, (size_t)(size_bytes - done), offset_bytes + done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return SQLITE_IOERR_READ;
        }
        if (got == 0) {
            memset((char *)data + done, 0, (size_t)(size_bytes - done));
            return SQLITE_IOERR_SHORT_READ;
        }
        done += (int)got;
    }
    return SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *data, int size_bytes, sqlite3_int64 offset_bytes) {
    int done = 0;
    while (done < size_bytes) {
        ssize_t put = pwrite(descriptor_of(file), (const char *)data + done, (size_t)(size_bytes - done), offset_bytes + done);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 && errno != ENOSPC && errno != EDQUOT ? SQLITE_IOERR_WRITE : SQLITE_FULL;
        }
        done += (int)put;
    }
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size_bytes) {
    return ftruncate(descriptor_of(file), size_bytes) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int file_sync(sqlite3_file *file, int flags) {
    (void)file;
    (void)flags;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out) {
    struct stat status;
    if (fstat(descriptor_of(file), &status) != 0) {
        return SQLITE_IOERR_FSTAT;
    }
    *out = status.st_size;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level) {
    (void)file;
    (void)level;
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *file, int *out) {
    (void)file;
    *out = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int operation, void *argument) {
    (void)file;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file) {
    (void)file;
    return 4096;
}

static int file_characteristics(sqlite3_file *file) {
    (void)file;
    return 0;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
};

// Names are "/<descriptor>"; anything else (a journal) does not exist and cannot be made.
static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
    (void)vfs;
    file->pMethods = NULL;
    char *end;
    long descriptor = name && name[0] == '/' ? strtol(name + 1, &end, 10) : -1;
    if (descriptor < 0 || *end || !(flags & SQLITE_OPEN_MAIN_DB)) {
        return SQLITE_CANTOPEN;
    }
    ((struct file *)file)->descriptor = (int)descriptor;
    file->pMethods = &methods;
    if (out_flags) {
        *out_flags = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory) {
    (void)vfs;
    (void)name;
    (void)sync_directory;
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    (void)vfs;
    (void)name;
    (void)flags;
    *out = 0;
    return SQLITE_OK;
}

static int vfs_full_name(sqlite3_vfs *vfs, const char *name, int room, char *out) {
    (void)vfs;
    return snprintf(out, (size_t)room, "%s", name) < room ? SQLITE_OK : SQLITE_CANTOPEN;
}

static sqlite3_vfs vfs_object;
static int registered;

static void register_vfs(void) {
    const sqlite3_vfs *base = sqlite3_vfs_find(NULL);
    vfs_object = *base;
    vfs_object.iVersion = 1;
    vfs_object.szOsFile = sizeof(struct file);
    vfs_object.pNext = NULL;
    vfs_object.zName = vfs_name;
    vfs_object.xOpen = vfs_open;
    vfs_object.xDelete = vfs_delete;
    vfs_object.xAccess = vfs_access;
    vfs_object.xFullPathname = vfs_full_name;
    registered = sqlite3_vfs_register(&vfs_object, 0);
}

mos_status mos_sqlite_open_descriptor(int descriptor, bool writable, sqlite3 **out, struct mos_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_vfs);
    char uri[64];
    snprintf(uri, sizeof(uri), "file:/%d%s", descriptor, writable ? "" : "?immutable=1");
    int flags = (writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_URI;
    int result = registered == SQLITE_OK ? sqlite3_open_v2(uri, out, flags, vfs_name) : registered;
    if (result == SQLITE_OK && writable) {
        result =
            sqlite3_exec(*out, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    }
    if (result != SQLITE_OK) {
        sqlite3_close(*out);
        *out = NULL;
        return mos_fail(error, MOS_IO, "the copy of the database cannot be opened: %s", sqlite3_errstr(result));
    }
    return MOS_OK;
}
