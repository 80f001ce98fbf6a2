#include "control/catalog/tokens.h"

#include "unit/control/catalog/fixture.h"

static void put(struct catalog_fixture *fixture, struct mos_token token) {
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, fixture_put_token_now, &token, &fixture->error), &fixture->error);
}

MOS_TEST(a_token_is_found_by_its_hash_and_by_its_id) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_token in = {.id = "t",
                           .name = "till 3",
                           .role = MOS_ROLE_OPERATOR,
                           .rights = "plan.edit,plan.test",
                           .created_at_unix_ns = 1,
                           .expires_at_unix_ns = 2,
                           .last_used_at_unix_ns = 3,
                           .revoked_at_unix_ns = 4};
    memset(in.hash, 0xab, sizeof(in.hash));
    in.hash[5] = 0;
    put(&fixture, in);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_token out;
    bool found = false;
    MOS_ASSERT_OK(mos_catalog_find_token(session, in.hash, fixture.arena, &out, &found, &fixture.error), &fixture.error);
    CU_ASSERT_FATAL(found);
    CU_ASSERT_STRING_EQUAL(out.name, "till 3");
    CU_ASSERT_EQUAL(out.role, MOS_ROLE_OPERATOR);
    CU_ASSERT_STRING_EQUAL(out.rights, "plan.edit,plan.test");
    CU_ASSERT(out.created_at_unix_ns == 1 && out.expires_at_unix_ns == 2 && out.last_used_at_unix_ns == 3 && out.revoked_at_unix_ns == 4);
    CU_ASSERT_EQUAL(memcmp(out.hash, in.hash, sizeof(in.hash)), 0);
    uint8_t other[MOS_TOKEN_HASH_BYTES];
    memcpy(other, in.hash, sizeof(other));
    other[31] ^= 1;
    MOS_ASSERT_OK(mos_catalog_find_token(session, other, fixture.arena, &out, &found, &fixture.error), &fixture.error);
    CU_ASSERT_FALSE(found);
    MOS_ASSERT_OK(mos_catalog_get_token(session, "t", fixture.arena, &out, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(mos_catalog_get_token(session, "u", fixture.arena, &out, &fixture.error), MOS_NOT_FOUND);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(tokens_are_listed_by_page_and_admins_counted) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    for (int i = 0; i < 10; i++) {
        struct mos_token token = {.id = fixture_id(&fixture, i),
                                  .role = i < 6 ? MOS_ROLE_ADMIN : MOS_ROLE_VIEWER,
                                  .created_at_unix_ns = 50 + i / 2,
                                  .expires_at_unix_ns = i == 0   ? 100
                                                        : i == 1 ? 101
                                                                 : 0,
                                  .revoked_at_unix_ns = i == 2 ? 60 : 0};
        memset(token.hash, i + 1, sizeof(token.hash));
        put(&fixture, token);
    }
    const char *next = "";
    int expected = 9;
    do {
        mos_catalog_session *session = fixture_read(&fixture);
        struct mos_token *tokens;
        size_t count = 0;
        const struct mos_page page = {3, next};
        MOS_ASSERT_OK(mos_catalog_list_tokens(session, &page, fixture.arena, &tokens, &count, &next, &fixture.error), &fixture.error);
        for (size_t i = 0; i < count; i++) {
            CU_ASSERT_STRING_EQUAL(tokens[i].id, fixture_id(&fixture, expected--));
        }
        mos_catalog_read_end(session);
    } while (*next);
    CU_ASSERT_EQUAL(expected, -1);
    mos_catalog_session *session = fixture_read(&fixture);
    int64_t admins = 0;
    // At the moment of its end a token has ended.
    MOS_ASSERT_OK(mos_catalog_count_admins(session, 99, &admins, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(admins, 5);
    MOS_ASSERT_OK(mos_catalog_count_admins(session, 100, &admins, &fixture.error), &fixture.error);
    CU_ASSERT_EQUAL(admins, 4);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}

MOS_TEST(no_two_tokens_have_one_hash) {
    struct catalog_fixture fixture;
    fixture_open(&fixture);
    struct mos_token token = {.id = "one"};
    put(&fixture, token);
    token.id = "two";
    // Of two with the same secret the later takes the place of the earlier: which of them is meant is never in doubt.
    put(&fixture, token);
    mos_catalog_session *session = fixture_read(&fixture);
    struct mos_token out;
    bool found = false;
    MOS_ASSERT_OK(mos_catalog_find_token(session, token.hash, fixture.arena, &out, &found, &fixture.error), &fixture.error);
    CU_ASSERT_STRING_EQUAL(out.id, "two");
    CU_ASSERT_EQUAL(mos_catalog_get_token(session, "one", fixture.arena, &out, &fixture.error), MOS_NOT_FOUND);
    mos_catalog_read_end(session);
    fixture_close(&fixture);
}
