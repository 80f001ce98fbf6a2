// Where tests restore to: a folder of each one's own under $MOSAAJII_HOME/sandbox, and databases whose names say what they are.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/dr/internal.h"

enum { DEEPEST = 64 };

static mos_status make(const char *path, struct mos_error *error) {
    return mkdir(path, 0700) == 0 || errno == EEXIST ? MOS_OK : mos_fail_errno(error, errno, "making the sandbox %s", path);
}

mos_status sandbox_make(const mos_recovery *recovery, const char *folder, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer parent = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&parent, "%s/sandbox", recovery->home);
    mos_status status = make(mos_buffer_text(&parent), error);
    return status ? status : make(folder, error);
}

mos_status sandbox_guard(const mos_recovery *recovery, const char *folder, struct mos_error *error) {
    char home[PATH_MAX], real[PATH_MAX], wanted[2 * PATH_MAX];
    const char *name = strrchr(folder, '/');
    struct stat facts;
    if (!name || lstat(folder, &facts) != 0 || !realpath(folder, real) || !realpath(recovery->home, home)) {
        return mos_fail_errno(error, errno, "looking at the sandbox %s", folder);
    }
    snprintf(wanted, sizeof(wanted), "%s/sandbox%s", home, name);
    if (!S_ISDIR(facts.st_mode) || strcmp(real, wanted) != 0) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "the sandbox %s leads to %s, which is not the test's own", folder, real);
    }
    return MOS_OK;
}

bool sandbox_database_name(const char *name) {
    static const char begin[] = "mosaajii_test_";
    size_t length = strlen(begin);
    return strncmp(name, begin, length) == 0 && strlen(name) == length + 12 && strspn(name + length, "0123456789abcdef") == 12;
}

// ---- Removing ----

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place) {
    (void)place;
    if (kind == FTW_DNR || kind == FTW_D) {
        chmod(path, 0700);
    }
    if (S_ISDIR(facts->st_mode) ? rmdir(path) : unlink(path)) {
        // The rest goes all the same.
        return 0;
    }
    return 0;
}

static int open_folder(const char *path, const struct stat *facts, int kind, struct FTW *place) {
    (void)place, (void)kind;
    if (S_ISDIR(facts->st_mode)) {
        chmod(path, 0700);
    }
    return 0;
}

void sandbox_remove(const mos_recovery *recovery, const char *folder, mos_arena *arena, const char **out_left) {
    struct stat facts;
    struct mos_error error;
    *out_left = NULL;
    if (lstat(folder, &facts) != 0) {
        *out_left = errno == ENOENT ? NULL : mos_arena_printf(arena, "%s (%s)", folder, strerror(errno));
        return;
    }
    if (sandbox_guard(recovery, folder, &error) != MOS_OK) {
        // Only the link goes, never what it leads to.
        if (S_ISDIR(facts.st_mode) || unlink(folder) != 0) {
            *out_left = mos_arena_printf(arena, "%s (%s)", folder, error.message);
        }
        return;
    }
    // Neither links nor other file systems are followed.
    nftw(folder, open_folder, DEEPEST, FTW_PHYS | FTW_MOUNT);
    nftw(folder, remove_one, DEEPEST, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
    if (lstat(folder, &facts) == 0) {
        *out_left = mos_arena_strdup(arena, folder);
    }
}

// ---- Damaging ----

static _Thread_local int64_t damaged_files;

// Half of it is lost, and the rest begins with another byte; what was empty is gone.
static int damage_one(const char *path, const struct stat *facts, int kind, struct FTW *place) {
    (void)place;
    if (kind != FTW_F || !S_ISREG(facts->st_mode)) {
        return 0;
    }
    damaged_files++;
    if (facts->st_size == 0) {
        unlink(path);
        return 0;
    }
    MOS_CLEANUP_FD int descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    uint8_t byte = 0;
    if (descriptor < 0 || pread(descriptor, &byte, 1, 0) != 1) {
        return errno ? errno : EIO;
    }
    byte = (uint8_t)~byte;
    return pwrite(descriptor, &byte, 1, 0) == 1 && ftruncate(descriptor, facts->st_size / 2 + 1) == 0 ? 0 : errno;
}

mos_status sandbox_damage(const mos_recovery *recovery, const char *folder, int64_t *out_files, struct mos_error *error) {
    mos_status status = sandbox_guard(recovery, folder, error);
    if (status != MOS_OK) {
        return status;
    }
    damaged_files = 0;
    int code = nftw(folder, damage_one, DEEPEST, FTW_PHYS | FTW_MOUNT);
    *out_files = damaged_files;
    return code ? mos_fail_errno(error, code > 0 ? code : errno, "damaging the copy in %s", folder) : MOS_OK;
}
