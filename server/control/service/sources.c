// What the settings say: what each type of backup takes, and where a restore may write.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "common/database_url.h"
#include "common/text.h"
#include "control/service/internal.h"

// ---- Sources ----

// The file that backups of these paths are told apart by, where it lies below one of them.
static const char *sentinel_below(const mos_settings *settings, char *const *paths, size_t count, mos_arena *arena) {
    const char *sentinel = mos_setting_text(settings, MOS_SETTING_BACKUP_SENTINEL);
    for (size_t i = 0; i < count && *sentinel; i++) {
        const char *path = mos_path_absolute(arena, paths[i]);
        if (path && strcmp(sentinel, path) != 0 && mos_path_is_below(sentinel, path)) {
            return sentinel;
        }
    }
    return NULL;
}

mos_status mos_sources_check(const mos_settings *settings, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    size_t count;
    const char *const settings_of_paths[] = {mos_setting_text(settings, MOS_SETTING_BACKUP_FILES_PATHS),
                                             mos_setting_text(settings, MOS_SETTING_BACKUP_CONFIG_PATHS)};
    bool below = !mos_setting_is_set(settings, MOS_SETTING_BACKUP_SENTINEL);
    for (size_t i = 0; i < sizeof(settings_of_paths) / sizeof(settings_of_paths[0]); i++) {
        char **paths = mos_split(arena, settings_of_paths[i], ':', &count);
        below = below || sentinel_below(settings, paths, count, arena);
    }
    if (!below) {
        return mos_fail_field(error, "BACKUP_SENTINEL",
                              "BACKUP_SENTINEL must name a file below a path of BACKUP_FILES_PATHS or BACKUP_CONFIG_PATHS");
    }
    char **urls = mos_split(arena, mos_setting_text(settings, MOS_SETTING_DATABASE_URL), ',', &count);
    for (size_t i = 0; i < count; i++) {
        struct mos_database_url url;
        struct mos_error cause = {0};
        if (mos_database_url_parse("DATABASE_URL", urls[i], arena, &url, &cause) != MOS_OK) {
            return mos_fail_field(error, "DATABASE_URL", "DATABASE_URL (several URLs have commas between them): %s", cause.message);
        }
    }
    return MOS_OK;
}

// A pattern that means exactly this path.
static char *literal_pattern(mos_arena *arena, const char *path) {
    char *pattern = mos_arena_alloc(arena, 2 * strlen(path) + 1);
    char *out = pattern;
    while (out && *path) {
        if (strchr("*?[]\\", *path)) {
            *out++ = '\\';
        }
        *out++ = *path++;
    }
    return pattern;
}

// As the setting names it, and as a scan comes upon it: by a link, a double slash or a slash at the end the two differ.
static void exclude_place(mos_arena *arena, const char *path, struct mos_sources *out) {
    char resolved[PATH_MAX];
    out->excludes[out->exclude_count++] = literal_pattern(arena, path);
    if (realpath(path, resolved) && strcmp(resolved, path) != 0) {
        out->excludes[out->exclude_count++] = literal_pattern(arena, resolved);
    }
}

// A backup must not hold the repository that it is written to, nor the keys that open it.
static void take_excludes(const mos_settings *settings, mos_arena *arena, struct mos_sources *out) {
    enum { PLACES = 3 };
    char **given = mos_split(arena, mos_setting_text(settings, MOS_SETTING_BACKUP_EXCLUDE), ':', &out->exclude_count);
    const char *home = mos_setting_text(settings, MOS_SETTING_MOSAAJII_HOME);
    out->excludes = mos_arena_array(arena, char *, out->exclude_count + 2 * PLACES);
    memcpy(out->excludes, given, out->exclude_count * sizeof(*given));
    exclude_place(arena, mos_setting_text(settings, MOS_SETTING_MOSAAJII_REPOSITORY), out);
    exclude_place(arena, mos_arena_printf(arena, "%s/keys", home), out);
    exclude_place(arena, mos_arena_printf(arena, "%s/scratch", home), out);
}

static char **join(mos_arena *arena, char **first, size_t first_count, char **second, size_t second_count) {
    char **both = mos_arena_array(arena, char *, first_count + second_count);
    for (size_t i = 0; i < first_count; i++) {
        both[i] = first[i];
    }
    for (size_t i = 0; i < second_count; i++) {
        both[first_count + i] = second[i];
    }
    return both;
}

mos_status mos_sources_of(const mos_settings *settings, enum mos_backup_type type, mos_arena *arena, struct mos_sources *out,
                          struct mos_error *error) {
    // The call's arena is far larger than an environment can be.
    *out = (struct mos_sources){0};
    bool full = mos_backup_type_of_all(type);
    const char *missing = full ? "BACKUP_FILES_PATHS, BACKUP_CONFIG_PATHS nor DATABASE_URL" : NULL;
    size_t file_count = 0, config_count = 0;
    char **files = NULL, **config = NULL;
    if (full || type == MOS_BACKUP_FILES) {
        files = mos_split(arena, mos_setting_text(settings, MOS_SETTING_BACKUP_FILES_PATHS), ':', &file_count);
        missing = missing ? missing : "BACKUP_FILES_PATHS";
    }
    if (full || type == MOS_BACKUP_CONFIGURATION) {
        config = mos_split(arena, mos_setting_text(settings, MOS_SETTING_BACKUP_CONFIG_PATHS), ':', &config_count);
        missing = missing ? missing : "BACKUP_CONFIG_PATHS";
    }
    if (full || type == MOS_BACKUP_DATABASE) {
        out->databases = mos_split(arena, mos_setting_text(settings, MOS_SETTING_DATABASE_URL), ',', &out->database_count);
        missing = missing ? missing : "DATABASE_URL";
    }
    if (file_count + config_count + out->database_count == 0) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "nothing is configured for %s: %s%s is set", mos_backup_type_word(type),
                        full ? "neither " : "", full ? missing : mos_arena_printf(arena, "no %s", missing));
    }
    out->path_count = file_count + config_count;
    out->paths = join(arena, files, file_count, config, config_count);
    out->sentinel = sentinel_below(settings, out->paths, out->path_count, arena);
    take_excludes(settings, arena, out);
    return MOS_OK;
}

// ---- Targets ----

// The path with every link resolved as far as it exists; what does not exist yet is kept as it is. NULL where a part cannot be looked at.
static const char *resolve(mos_arena *arena, const char *path) {
    char *head = mos_arena_strdup(arena, path);
    const char *tail = "";
    for (;;) {
        char resolved[PATH_MAX];
        struct stat status;
        if (realpath(head, resolved)) {
            return *tail ? mos_arena_printf(arena, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, tail)
                         : mos_arena_strdup(arena, resolved);
        }
        // A link that leads nowhere would be followed as soon as its goal appears.
        if (errno != ENOENT || lstat(head, &status) == 0) {
            return NULL;
        }
        char *slash = strrchr(head, '/');
        if (!slash) {
            return NULL;
        }
        tail = *tail ? mos_arena_printf(arena, "%s/%s", slash + 1, tail) : mos_arena_strdup(arena, slash + 1);
        slash[slash == head] = 0;
    }
}

// Absolute, without empty parts, "." and a slash at the end. NULL for a relative path and for one with "..".
static char *normalise(mos_arena *arena, const char *path) {
    if (*path != '/') {
        return NULL;
    }
    size_t count;
    char **parts = mos_split(arena, path, '/', &count);
    char *out = mos_arena_alloc(arena, strlen(path) + 2);
    char *end = out;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parts[i], "..") == 0) {
            return NULL;
        }
        if (strcmp(parts[i], ".") != 0) {
            *end++ = '/';
            end = stpcpy(end, parts[i]);
        }
    }
    if (end == out) {
        *end++ = '/';
    }
    return out;
}

mos_status mos_restore_target(const mos_settings *settings, const char *target, const char *backup_id, mos_arena *arena, const char **out,
                              const char **out_root, struct mos_error *error) {
    const char *setting = mos_setting_text(settings, MOS_SETTING_MOSAAJII_RESTORE_ROOTS);
    size_t count;
    char **roots = mos_split(arena, setting, ':', &count);
    if (count == 0) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "nothing may be restored: MOSAAJII_RESTORE_ROOTS is empty");
    }
    if (!*target) {
        char now[32];
        time_t seconds = (time_t)(mos_now_unix_ns() / MOS_NS_PER_SECOND);
        struct tm parts;
        gmtime_r(&seconds, &parts);
        strftime(now, sizeof(now), "%Y%m%dT%H%M%SZ", &parts);
        target = mos_arena_printf(arena, "%s/%s-%s", roots[0], backup_id, now);
    }
    const char *path = normalise(arena, target);
    const char *resolved = path ? resolve(arena, path) : NULL;
    for (size_t i = 0; i < count && resolved; i++) {
        const char *root = normalise(arena, roots[i]);
        root = root ? resolve(arena, root) : NULL;
        if (root && mos_path_is_below(resolved, root)) {
            *out = resolved;
            *out_root = root;
            return MOS_OK;
        }
    }
    return mos_fail_field(error, "target", "target must be an absolute path, without \"..\", that lies under MOSAAJII_RESTORE_ROOTS (%s)",
                          setting);
}

mos_status mos_restore_database(const mos_settings *settings, const char *target, mos_arena *arena, const char **out,
                                struct mos_error *error) {
    struct mos_database_url url, known;
    size_t count;
    mos_status status = mos_database_url_parse("target", target, arena, &url, error);
    if (status != MOS_OK) {
        return status;
    }
    char **urls = mos_split(arena, mos_setting_text(settings, MOS_SETTING_DATABASE_URL), ',', &count);
    for (size_t i = 0; i < count && !url.password; i++) {
        if (mos_database_url_parse("DATABASE_URL", urls[i], arena, &known, NULL) == MOS_OK && mos_database_url_same_account(&known, &url)) {
            url.password = known.password;
            url.tls_mode = *url.tls_mode ? url.tls_mode : known.tls_mode;
            url.tls_authority = *url.tls_authority ? url.tls_authority : known.tls_authority;
        }
    }
    *out = mos_database_url_format(&url, true, arena);
    return MOS_OK;
}
