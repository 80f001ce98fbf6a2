#include "control/access/access.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "unit/control/access/token.h"
#include "unit/test.h"

struct fixture {
    const char *folder;
    mos_arena *arena;
    mos_catalog *catalog;
    mos_access *access;
    struct mos_error error;
};

static void fixture_open(struct fixture *fixture, const char *jwt_secret) {
    *fixture = (struct fixture){.folder = mos_test_directory(), .arena = mos_arena_create(0)};
    mos_clock_fake(POS_NOW_NS);
    const char *path = mos_arena_printf(fixture->arena, "%s/catalog.db", fixture->folder);
    MOS_ASSERT_OK(mos_catalog_open(&fixture->catalog, path, &fixture->error), &fixture->error);
    MOS_ASSERT_OK(mos_access_create(&fixture->access, fixture->catalog,
                                    &(struct mos_access_options){.jwt_secret = jwt_secret, .client_roles = ""}, &fixture->error),
                  &fixture->error);
}

static void fixture_close(struct fixture *fixture) {
    mos_access_destroy(fixture->access);
    mos_catalog_close(fixture->catalog);
    mos_arena_destroy(fixture->arena);
    mos_clock_fake(0);
}

static mos_status identify(struct fixture *fixture, const char *scheme, const char *token, struct mos_identity *out) {
    return mos_access_identify(fixture->access, mos_arena_printf(fixture->arena, "%s%s", scheme, token), fixture->arena, out,
                               &fixture->error);
}

static const char *new_token(struct fixture *fixture, struct mos_token *token) {
    const char *secret = NULL;
    MOS_ASSERT_OK(mos_access_create_token(fixture->access, token, fixture->arena, &secret, &fixture->error), &fixture->error);
    return secret;
}

MOS_TEST(a_token_opens_the_door_until_it_is_revoked) {
    struct fixture fixture;
    fixture_open(&fixture, "");
    struct mos_token token = {.name = "till 3", .role = MOS_ROLE_OPERATOR, .rights = "plan.edit"}, row;
    const char *secret = new_token(&fixture, &token);
    CU_ASSERT_EQUAL(strlen(secret), 47);
    CU_ASSERT_EQUAL(strncmp(secret, "mos_", 4), 0);
    struct mos_identity who;
    MOS_ASSERT_OK(identify(&fixture, "Bearer ", secret, &who), &fixture.error);
    CU_ASSERT_STRING_EQUAL(who.name, "till 3");
    CU_ASSERT_EQUAL(who.role, MOS_ROLE_OPERATOR);
    CU_ASSERT_STRING_EQUAL(who.rights, "plan.edit");
    MOS_ASSERT_OK(identify(&fixture, "bearer   ", secret, &who), &fixture.error);
    MOS_ASSERT_OK(mos_access_revoke_token(fixture.access, token.id, fixture.arena, &row, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(row.revoked_at_unix_ns, POS_NOW_NS);
    CU_ASSERT_EQUAL(identify(&fixture, "Bearer ", secret, &who), MOS_UNAUTHENTICATED);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "revoked"));
    // Revoked once more, it keeps its first time; one that never was is not found.
    mos_clock_fake(POS_NOW_NS + MOS_NS_PER_SECOND);
    MOS_ASSERT_OK(mos_access_revoke_token(fixture.access, token.id, fixture.arena, &row, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(row.revoked_at_unix_ns, POS_NOW_NS);
    CU_ASSERT_EQUAL(mos_access_revoke_token(fixture.access, "never", fixture.arena, &row, &fixture.error), MOS_NOT_FOUND);
    fixture_close(&fixture);
}

MOS_TEST(a_token_ends_at_its_time) {
    struct fixture fixture;
    fixture_open(&fixture, "");
    struct mos_token token = {.name = "short", .role = MOS_ROLE_VIEWER, .rights = "", .expires_at_unix_ns = POS_NOW_NS + 5};
    const char *secret = new_token(&fixture, &token);
    struct mos_identity who;
    mos_clock_fake(POS_NOW_NS + 4);
    CU_ASSERT_EQUAL(identify(&fixture, "Bearer ", secret, &who), MOS_OK);
    mos_clock_fake(POS_NOW_NS + 5);
    CU_ASSERT_EQUAL(identify(&fixture, "Bearer ", secret, &who), MOS_UNAUTHENTICATED);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "expired"));
    fixture_close(&fixture);
}

MOS_TEST(nobody_else_comes_in) {
    struct fixture fixture;
    fixture_open(&fixture, POS_SECRET);
    struct mos_token token = {.name = "till 3", .role = MOS_ROLE_ADMIN, .rights = ""};
    const char *secret = new_token(&fixture, &token);
    struct mos_identity who;
    static const char *const wrong[] = {"",         "Bearer",          "Bearer ",       "Basic YTpi",
                                        "Token x",  "Bearer mos_",     "Bearer a.b.c",  "Bearer \xff\xfe",
                                        "Bearer x", "BearerX mos_abc", " Bearer mos_a", "Bearer ' OR 1=1 --"};
    CU_ASSERT_EQUAL(mos_access_identify(fixture.access, NULL, fixture.arena, &who, &fixture.error), MOS_UNAUTHENTICATED);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "authorization: Bearer"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(identify(&fixture, "", wrong[i], &who), MOS_UNAUTHENTICATED);
        CU_ASSERT(*fixture.error.message);
    }
    CU_ASSERT_EQUAL(identify(&fixture, "", secret, &who), MOS_UNAUTHENTICATED);
    CU_ASSERT_EQUAL(identify(&fixture, "Bearer ", mos_arena_printf(fixture.arena, "%sx", secret), &who), MOS_UNAUTHENTICATED);
    CU_ASSERT_EQUAL(identify(&fixture, "Bearer ", mos_arena_printf(fixture.arena, "%.46s", secret), &who), MOS_UNAUTHENTICATED);
    char *changed = mos_arena_strdup(fixture.arena, secret);
    changed[20] = changed[20] == 'A' ? 'B' : 'A';
    CU_ASSERT_EQUAL(identify(&fixture, "Bearer ", changed, &who), MOS_UNAUTHENTICATED);
    // No answer says again what was shown.
    CU_ASSERT_PTR_NULL(strstr(fixture.error.message, changed));
    fixture_close(&fixture);
}

MOS_TEST(tokens_of_the_pos_count_where_a_secret_is_shared) {
    struct fixture fixture;
    struct mos_identity who;
    fixture_open(&fixture, POS_SECRET);
    const char *token = jwt_sign(fixture.arena, POS_SECRET, POS_HEADER, POS_CLAIMS("MANAGER", "ACTIVE"));
    MOS_ASSERT_OK(identify(&fixture, "Bearer ", token, &who), &fixture.error);
    CU_ASSERT_STRING_EQUAL(who.name, "u-1");
    CU_ASSERT_EQUAL(who.role, MOS_ROLE_OPERATOR);
    CU_ASSERT_STRING_EQUAL(who.rights, "");
    // Known, and without any right: that is another answer than not to be known.
    const char *cashier = jwt_sign(fixture.arena, POS_SECRET, POS_HEADER, POS_CLAIMS("CASHIER", "ACTIVE"));
    MOS_ASSERT_OK(identify(&fixture, "Bearer ", cashier, &who), &fixture.error);
    CU_ASSERT_EQUAL(who.role, MOS_ROLE_NONE);
    mos_clock_fake(POS_NOW_NS + 3600 * MOS_NS_PER_SECOND);
    CU_ASSERT_EQUAL(identify(&fixture, "Bearer ", token, &who), MOS_UNAUTHENTICATED);
    fixture_close(&fixture);

    fixture_open(&fixture, "");
    token = jwt_sign(fixture.arena, "", POS_HEADER, POS_CLAIMS("ADMIN", "ACTIVE"));
    CU_ASSERT_EQUAL(identify(&fixture, "Bearer ", token, &who), MOS_UNAUTHENTICATED);
    fixture_close(&fixture);
}

// ---- Its last use ----

static int64_t last_used(struct fixture *fixture, const char *id) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_token row;
    MOS_ASSERT_OK(mos_catalog_read_begin(fixture->catalog, &session, &fixture->error), &fixture->error);
    MOS_ASSERT_OK(mos_catalog_get_token(session, id, fixture->arena, &row, &fixture->error), &fixture->error);
    return row.last_used_at_unix_ns;
}

static mos_status nothing(mos_catalog_session *session, void *argument, struct mos_error *error) {
    (void)session;
    (void)argument;
    (void)error;
    return MOS_OK;
}

// Writes go in order: when this is done, so is what was given before.
static void until_written(struct fixture *fixture) {
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, nothing, NULL, &fixture->error), &fixture->error);
}

MOS_TEST(the_last_use_is_noted_once_a_minute) {
    struct fixture fixture;
    fixture_open(&fixture, "");
    struct mos_token token = {.name = "t", .role = MOS_ROLE_VIEWER, .rights = ""};
    const char *secret = new_token(&fixture, &token);
    struct mos_identity who;
    static const int64_t seconds[] = {0, 1, 59, 60, 61, 121}, noted[] = {0, 0, 0, 60, 60, 121};
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        mos_clock_fake(POS_NOW_NS + seconds[i] * MOS_NS_PER_SECOND);
        MOS_ASSERT_OK(identify(&fixture, "Bearer ", secret, &who), &fixture.error);
        until_written(&fixture);
        CU_ASSERT_EQUAL(last_used(&fixture, token.id), POS_NOW_NS + noted[i] * MOS_NS_PER_SECOND);
    }
    fixture_close(&fixture);
}

// ---- The first token ----

static char *read_text(struct fixture *fixture, const char *path) {
    char text[256] = "";
    FILE *file = fopen(path, "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT(fread(text, 1, sizeof(text) - 1, file) > 0);
    fclose(file);
    text[strcspn(text, "\n")] = 0;
    return mos_arena_strdup(fixture->arena, text);
}

MOS_TEST(the_first_admin_token_is_written_for_its_owner_only) {
    struct fixture fixture;
    fixture_open(&fixture, "");
    const char *path = mos_arena_printf(fixture.arena, "%s/admin.token", fixture.folder);
    bool made = false;
    mode_t before = umask(0);
    MOS_ASSERT_OK(mos_access_ensure_admin(fixture.access, path, &made, &fixture.error), &fixture.error);
    umask(before);
    CU_ASSERT(made);
    struct stat status;
    CU_ASSERT_EQUAL_FATAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
    struct mos_identity who;
    MOS_ASSERT_OK(identify(&fixture, "Bearer ", read_text(&fixture, path), &who), &fixture.error);
    CU_ASSERT_EQUAL(who.role, MOS_ROLE_ADMIN);
    MOS_ASSERT_OK(mos_access_ensure_admin(fixture.access, path, &made, &fixture.error), &fixture.error);
    CU_ASSERT_FALSE(made);
    fixture_close(&fixture);
}

MOS_TEST(another_is_made_when_none_is_valid_any_more) {
    struct fixture fixture;
    fixture_open(&fixture, "");
    const char *path = mos_arena_printf(fixture.arena, "%s/admin.token", fixture.folder);
    struct mos_token viewer = {.name = "v", .role = MOS_ROLE_VIEWER, .rights = "backup.delete"},
                     ends = {.name = "a", .role = MOS_ROLE_ADMIN, .rights = "", .expires_at_unix_ns = POS_NOW_NS + 10};
    new_token(&fixture, &viewer);
    new_token(&fixture, &ends);
    bool made = true;
    MOS_ASSERT_OK(mos_access_ensure_admin(fixture.access, path, &made, &fixture.error), &fixture.error);
    CU_ASSERT_FALSE(made);
    // What stands in the way is replaced, and a link is not followed.
    const char *elsewhere = mos_arena_printf(fixture.arena, "%s/elsewhere", fixture.folder);
    CU_ASSERT_EQUAL(symlink(elsewhere, path), 0);
    CU_ASSERT_EQUAL(symlink(elsewhere, mos_arena_printf(fixture.arena, "%s.new", path)), 0);
    mos_clock_fake(POS_NOW_NS + 10);
    MOS_ASSERT_OK(mos_access_ensure_admin(fixture.access, path, &made, &fixture.error), &fixture.error);
    CU_ASSERT(made);
    CU_ASSERT_NOT_EQUAL(access(elsewhere, F_OK), 0);
    struct mos_identity who;
    MOS_ASSERT_OK(identify(&fixture, "Bearer ", read_text(&fixture, path), &who), &fixture.error);
    fixture_close(&fixture);
}

MOS_TEST(a_token_that_could_not_be_written_does_not_count) {
    struct fixture fixture;
    fixture_open(&fixture, "");
    bool made = true;
    CU_ASSERT_EQUAL(mos_access_ensure_admin(fixture.access, "/no/such/folder/admin.token", &made, &fixture.error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.message, "/no/such/folder/admin.token"));
    CU_ASSERT_FALSE(made);
    const char *path = mos_arena_printf(fixture.arena, "%s/admin.token", fixture.folder);
    MOS_ASSERT_OK(mos_access_ensure_admin(fixture.access, path, &made, &fixture.error), &fixture.error);
    CU_ASSERT(made);
    fixture_close(&fixture);
}

MOS_TEST(destroying_nothing_is_fine) {
    mos_access_destroy(NULL);
}
