#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/service/internal.h"
#include "unit/test.h"

enum { MOST_VARIABLES = 8 };

static mos_settings *load(const char *const variables[MOST_VARIABLES]) {
    char *environment[MOST_VARIABLES + 1] = {0};
    for (int i = 0; i < MOST_VARIABLES && variables[i]; i++) {
        environment[i] = (char *)variables[i];
    }
    mos_settings *settings = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_settings_load(&settings, environment, &error), &error);
    return settings;
}
#define LOAD(...) load((const char *const[MOST_VARIABLES]){__VA_ARGS__})

MOS_TEST(each_type_takes_what_is_configured_for_it) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_settings *settings = LOAD("BACKUP_FILES_PATHS=/srv/a:/srv/b", "BACKUP_CONFIG_PATHS=/etc/pos",
                                  "DATABASE_URL=sqlite:///p.db,file:/q.db", "BACKUP_EXCLUDE=*.tmp:cache/", "MOSAAJII_HOME=/no/ho*me");
    struct mos_sources sources;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_sources_of(settings, MOS_BACKUP_FILES, arena, &sources, &error), &error);
    CU_ASSERT_EQUAL_FATAL(sources.path_count, 2);
    CU_ASSERT_STRING_EQUAL(sources.paths[1], "/srv/b");
    CU_ASSERT_EQUAL(sources.database_count, 0);
    CU_ASSERT_STRING_EQUAL(sources.excludes[0], "*.tmp");
    // The repository and the keys never, as they are, not as patterns.
    bool repository = false, keys = false;
    for (size_t i = 0; i < sources.exclude_count; i++) {
        repository = repository || strcmp(sources.excludes[i], "/no/ho\\*me/repo") == 0;
        keys = keys || strcmp(sources.excludes[i], "/no/ho\\*me/keys") == 0;
    }
    CU_ASSERT(repository && keys);
    MOS_ASSERT_OK(mos_sources_of(settings, MOS_BACKUP_CONFIGURATION, arena, &sources, &error), &error);
    CU_ASSERT_EQUAL(sources.path_count, 1);
    MOS_ASSERT_OK(mos_sources_of(settings, MOS_BACKUP_DATABASE, arena, &sources, &error), &error);
    CU_ASSERT_EQUAL(sources.path_count, 0);
    CU_ASSERT_EQUAL(sources.database_count, 2);
    MOS_ASSERT_OK(mos_sources_of(settings, MOS_BACKUP_FULL, arena, &sources, &error), &error);
    CU_ASSERT_EQUAL(sources.path_count, 3);
    CU_ASSERT_EQUAL(sources.database_count, 2);
    mos_settings_free(settings);
}

MOS_TEST(what_is_not_configured_is_named) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_settings *settings = LOAD("PATH=/bin");
    static const struct {
        enum mos_backup_type type;
        const char *setting;
    } cases[] = {{MOS_BACKUP_FILES, "BACKUP_FILES_PATHS"},
                 {MOS_BACKUP_CONFIGURATION, "BACKUP_CONFIG_PATHS"},
                 {MOS_BACKUP_DATABASE, "DATABASE_URL"},
                 {MOS_BACKUP_FULL, "neither BACKUP_FILES_PATHS"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mos_sources sources;
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(mos_sources_of(settings, cases[i].type, arena, &sources, &error), MOS_FAILED_PRECONDITION);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, cases[i].setting));
    }
    mos_settings_free(settings);
}

MOS_TEST(databases_of_servers_are_taken_and_others_refused_without_their_passwords) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const char *const urls[] = {"DATABASE_URL=postgresql://u:hidden@h/d", "DATABASE_URL=sqlite:///a.db,mysql://u:hidden@h/d"};
    for (size_t i = 0; i < 2; i++) {
        mos_settings *settings = LOAD(urls[i]);
        struct mos_sources sources;
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(mos_sources_check(settings, &error), MOS_OK);
        MOS_ASSERT_OK(mos_sources_of(settings, MOS_BACKUP_DATABASE, arena, &sources, &error), &error);
        CU_ASSERT_EQUAL(sources.database_count, i + 1);
        CU_ASSERT_STRING_EQUAL(sources.databases[i], i ? "mysql://u:hidden@h/d" : "postgresql://u:hidden@h/d");
        mos_settings_free(settings);
    }
    mos_settings *settings = LOAD("DATABASE_URL=sqlite:///a.db,oracle://u:hidden@h/d");
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_sources_check(settings, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "DATABASE_URL");
    CU_ASSERT_PTR_NULL(strstr(error.message, "hidden"));
    mos_settings_free(settings);
}

static bool excludes(const struct mos_sources *sources, const char *path) {
    for (size_t i = 0; i < sources->exclude_count; i++) {
        if (strcmp(sources->excludes[i], path) == 0) {
            return true;
        }
    }
    return false;
}

// However the setting writes it: with a link on the way, a part too much, or a slash at its end.
MOS_TEST(the_repository_is_left_out_under_its_own_name_too) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char real[4096];
    CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(mos_test_directory(), real));
    const char *repository = mos_arena_printf(arena, "%s/repo", real), *keys = mos_arena_printf(arena, "%s/keys", real);
    CU_ASSERT_EQUAL(mkdir(repository, 0700), 0);
    CU_ASSERT_EQUAL(mkdir(keys, 0700), 0);
    CU_ASSERT_EQUAL(symlink(real, mos_arena_printf(arena, "%s/link", real)), 0);
    static const char *const ways[] = {"link/repo", "/repo", "repo/", "./repo", "keys/../repo"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        mos_settings *settings = LOAD("BACKUP_FILES_PATHS=/srv", mos_arena_printf(arena, "MOSAAJII_REPOSITORY=%s/%s", real, ways[i]),
                                      mos_arena_printf(arena, "MOSAAJII_HOME=%s/link", real));
        struct mos_sources sources;
        struct mos_error error = {0};
        MOS_ASSERT_OK(mos_sources_of(settings, MOS_BACKUP_FILES, arena, &sources, &error), &error);
        CU_ASSERT(excludes(&sources, repository));
        CU_ASSERT(excludes(&sources, keys));
        mos_settings_free(settings);
    }
}

// ---- Targets ----

MOS_TEST(a_restore_stays_under_its_roots) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char real[4096];
    CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(mos_test_directory(), real));
    const char *root = mos_arena_printf(arena, "%s/root", real);
    CU_ASSERT_EQUAL(mkdir(root, 0700), 0);
    CU_ASSERT_EQUAL(mkdir(mos_arena_printf(arena, "%s-beside", root), 0700), 0);
    CU_ASSERT_EQUAL(symlink(real, mos_arena_printf(arena, "%s/out", root)), 0);
    CU_ASSERT_EQUAL(symlink(mos_arena_printf(arena, "%s/not-yet", real), mos_arena_printf(arena, "%s/dangling", root)), 0);
    CU_ASSERT_EQUAL(symlink("loop", mos_arena_printf(arena, "%s/loop", root)), 0);
    CU_ASSERT_EQUAL(symlink(root, mos_arena_printf(arena, "%s/in", real)), 0);
    mos_settings *settings = LOAD(mos_arena_printf(arena, "MOSAAJII_RESTORE_ROOTS=/no/such/root:%s", root));
    struct mos_error error = {0};
    const char *out = NULL;
    static const char *const good[] = {"root", "root/new", "root//new/./deeper/", "in/new", "root/..."};
    static const char *const goals[] = {"root", "root/new", "root/new/deeper", "root/new", "root/..."};
    const char *root_of = NULL;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        MOS_ASSERT_OK(mos_restore_target(settings, mos_arena_printf(arena, "%s/%s", real, good[i]), "b", arena, &out, &root_of, &error),
                      &error);
        CU_ASSERT_STRING_EQUAL(out, mos_arena_printf(arena, "%s/%s", real, goals[i]));
        CU_ASSERT_STRING_EQUAL(root_of, mos_arena_printf(arena, "%s/root", real));
    }
    static const char *const wrong[] = {"",           "other",    "root-beside",          "root-beside/x", "root/../other",
                                        "root/..",    "root/out", "root/out/root-beside", "root/dangling", "root/dangling/x",
                                        "root/loop/x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(mos_restore_target(settings, mos_arena_printf(arena, "%s/%s", real, wrong[i]), "b", arena, &out, &root_of, &error),
                        MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "target");
    }
    CU_ASSERT_EQUAL(mos_restore_target(settings, "relative", "b", arena, &out, &root_of, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(mos_restore_target(settings, "/", "b", arena, &out, &root_of, &error), MOS_INVALID_ARGUMENT);
    mos_settings_free(settings);
}

MOS_TEST(without_a_target_a_new_one_is_named) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_settings *settings = LOAD("MOSAAJII_RESTORE_ROOTS=/no/such/root:/other");
    struct mos_error error = {0};
    const char *out = NULL, *root_of = NULL;
    MOS_ASSERT_OK(mos_restore_target(settings, "", "the-backup", arena, &out, &root_of, &error), &error);
    CU_ASSERT_EQUAL(strncmp(out, "/no/such/root/the-backup-2", 26), 0);
    mos_settings_free(settings);
    settings = LOAD("MOSAAJII_RESTORE_ROOTS=:");
    CU_ASSERT_EQUAL(mos_restore_target(settings, "/x", "b", arena, &out, &root_of, &error), MOS_FAILED_PRECONDITION);
    mos_settings_free(settings);
    settings = LOAD("MOSAAJII_RESTORE_ROOTS=/");
    MOS_ASSERT_OK(mos_restore_target(settings, "/no/such/place", "b", arena, &out, &root_of, &error), &error);
    CU_ASSERT_STRING_EQUAL(out, "/no/such/place");
    mos_settings_free(settings);
}
