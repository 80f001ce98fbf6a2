#include "control/access/jwt.h"

#include "unit/control/access/token.h"
#include "unit/test.h"

static mos_status verify(mos_arena *arena, const char *token, struct mos_jwt *out, struct mos_error *error) {
    return mos_jwt_verify(token, strlen(token), POS_SECRET, POS_NOW_NS, arena, out, error);
}

static mos_status verify_claims(const char *claims, struct mos_jwt *out) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    mos_status status = verify(arena, jwt_sign(arena, POS_SECRET, POS_HEADER, claims), out, &error);
    CU_ASSERT(status == MOS_OK || (status == MOS_UNAUTHENTICATED && *error.message));
    out->user_id = NULL;
    return status;
}

static void refused(const char *token, const char *reason) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_jwt jwt;
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(verify(arena, token, &jwt, &error), MOS_UNAUTHENTICATED);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, reason));
    if (!strstr(error.message, reason)) {
        mos_test_complain(token, error.message);
    }
}

MOS_TEST(a_token_of_the_pos_is_good) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_jwt jwt;
    struct mos_error error = {0};
    MOS_ASSERT_OK(verify(arena, jwt_sign(arena, POS_SECRET, POS_HEADER, POS_CLAIMS("ADMIN", "ACTIVE")), &jwt, &error), &error);
    CU_ASSERT_STRING_EQUAL(jwt.user_id, "u-1");
    CU_ASSERT_EQUAL(jwt.role, MOS_ROLE_ADMIN);
}

MOS_TEST(roles_and_statuses_are_those_of_the_contract) {
    static const struct {
        const char *claims;
        enum mos_role role;
    } cases[] = {
        {POS_CLAIMS("ADMIN", "ACTIVE"), MOS_ROLE_ADMIN},   {POS_CLAIMS("MANAGER", "ACTIVE"), MOS_ROLE_OPERATOR},
        {POS_CLAIMS("VIEWER", "ACTIVE"), MOS_ROLE_VIEWER}, {POS_CLAIMS("CASHIER", "ACTIVE"), MOS_ROLE_NONE},
        {POS_CLAIMS("ADMIN", "PENDING"), MOS_ROLE_NONE},   {POS_CLAIMS("ADMIN", "SUSPENDED"), MOS_ROLE_NONE},
        {POS_CLAIMS("ADMIN", "INACTIVE"), MOS_ROLE_NONE},  {POS_CLAIMS("MANAGER", "SUSPENDED"), MOS_ROLE_NONE},
        {POS_CLAIMS("VIEWER", "INACTIVE"), MOS_ROLE_NONE}, {POS_CLAIMS("CASHIER", "PENDING"), MOS_ROLE_NONE},
        {POS_CLAIMS("admin", "ACTIVE"), MOS_ROLE_NONE},    {POS_CLAIMS("ADMIN", "active"), MOS_ROLE_NONE},
        {POS_CLAIMS("ADMIN ", "ACTIVE"), MOS_ROLE_NONE},   {POS_CLAIMS("", ""), MOS_ROLE_NONE},
        {POS_CLAIMS("OPERATOR", "ACTIVE"), MOS_ROLE_NONE}, // a word of ours, not of the POS
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mos_jwt jwt = {.role = MOS_ROLE_ADMIN};
        CU_ASSERT_EQUAL(verify_claims(cases[i].claims, &jwt), MOS_OK);
        CU_ASSERT_EQUAL(jwt.role, cases[i].role);
    }
}

#define WHO "\"userId\":\"u\",\"role\":\"ADMIN\",\"status\":\"ACTIVE\""
#define FOR_US "\"iss\":\"mosaajii-pos\",\"aud\":\"mosaajii-pos-client\""
#define LATER "\"exp\":1767229200"

MOS_TEST(claims_that_are_missing_or_odd_are_refused) {
    static const char *const wrong[] = {
        // Whose it is.
        "{\"role\":\"ADMIN\",\"status\":\"ACTIVE\"," FOR_US "," LATER "}",
        "{\"userId\":\"\"," FOR_US "," LATER "}",
        "{\"userId\":7," FOR_US "," LATER "}",
        "{\"userId\":null," FOR_US "," LATER "}",
        "{\"userId\":[\"u\"]," FOR_US "," LATER "}",
        // By whom and for whom it was made.
        "{" WHO ",\"aud\":\"mosaajii-pos-client\"," LATER "}",
        "{" WHO ",\"iss\":\"mosaajii-pos\"," LATER "}",
        "{" WHO ",\"iss\":\"other\",\"aud\":\"mosaajii-pos-client\"," LATER "}",
        "{" WHO ",\"iss\":\"mosaajii-pos \",\"aud\":\"mosaajii-pos-client\"," LATER "}",
        "{" WHO ",\"iss\":[\"mosaajii-pos\"],\"aud\":\"mosaajii-pos-client\"," LATER "}",
        "{" WHO ",\"iss\":\"mosaajii-pos\",\"aud\":\"other\"," LATER "}",
        "{" WHO ",\"iss\":\"mosaajii-pos\",\"aud\":[]," LATER "}",
        "{" WHO ",\"iss\":\"mosaajii-pos\",\"aud\":[\"other\",1,null]," LATER "}",
        "{" WHO ",\"iss\":\"mosaajii-pos\",\"aud\":{\"mosaajii-pos-client\":1}," LATER "}",
        "{" WHO ",\"iss\":\"mosaajii-pos-client\",\"aud\":\"mosaajii-pos\"," LATER "}",
        // Until when.
        "{" WHO "," FOR_US "}",
        "{" WHO "," FOR_US ",\"exp\":1767225600}",
        "{" WHO "," FOR_US ",\"exp\":1767225599.9}",
        "{" WHO "," FOR_US ",\"exp\":0}",
        "{" WHO "," FOR_US ",\"exp\":-1}",
        "{" WHO "," FOR_US ",\"exp\":-1e400}",
        "{" WHO "," FOR_US ",\"exp\":\"1767229200\"}",
        "{" WHO "," FOR_US ",\"exp\":true}",
        "{" WHO "," FOR_US ",\"exp\":null}",
        "{" WHO "," FOR_US ",\"exp\":[1767229200]}",
        "{" WHO "," FOR_US ",\"exp\":1e400}",
        // From when.
        "{" WHO "," FOR_US "," LATER ",\"nbf\":1767225601}",
        "{" WHO "," FOR_US "," LATER ",\"nbf\":\"0\"}",
        // When it was made.
        "{" WHO "," FOR_US "," LATER ",\"iat\":\"1767225000\"}",
        "{" WHO "," FOR_US "," LATER ",\"iat\":null}",
        "{" WHO "," FOR_US "," LATER ",\"iat\":{}}",
        // No object.
        "[]",
        "\"u\"",
        "7",
        "",
        "{" WHO "," FOR_US "," LATER ",}",
        "{" WHO "," FOR_US "," LATER "," LATER "}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct mos_jwt jwt;
        mos_status status = verify_claims(wrong[i], &jwt);
        CU_ASSERT_EQUAL(status, MOS_UNAUTHENTICATED);
        if (status != MOS_UNAUTHENTICATED) {
            mos_test_complain("accepted", wrong[i]);
        }
    }
}

MOS_TEST(claims_that_are_unusual_but_right_are_taken) {
    static const char *const good[] = {
        "{" WHO "," FOR_US ",\"exp\":1767225600.5}",
        "{" WHO "," FOR_US ",\"exp\":1.7672292e9}",
        "{" WHO "," FOR_US "," LATER ",\"nbf\":1767225600,\"extra\":{\"deep\":[1]}}",
        "{" WHO "," FOR_US "," LATER ",\"iat\":1767225000.25}",
        "{" WHO ",\"iss\":\"mosaajii-pos\",\"aud\":[\"other\",\"mosaajii-pos-client\"]," LATER "}",
        "{" WHO ",\"iss\":\"mosaajii\\u002dpos\",\"aud\":\"mosaajii-pos-client\"," LATER "}",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct mos_jwt jwt = {0};
        CU_ASSERT_EQUAL(verify_claims(good[i], &jwt), MOS_OK);
        CU_ASSERT_EQUAL(jwt.role, MOS_ROLE_ADMIN);
    }
}

MOS_TEST(only_hs256_by_the_right_secret_counts) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const char claims[] = POS_CLAIMS("ADMIN", "ACTIVE");
    refused(jwt_sign(arena, "another secret", POS_HEADER, claims), "signature");
    refused(jwt_sign(arena, "", POS_HEADER, claims), "signature");
    static const char *const headers[] = {"{\"alg\":\"none\"}",
                                          "{\"alg\":\"None\"}",
                                          "{\"alg\":\"hs256\"}",
                                          "{\"alg\":\"HS384\"}",
                                          "{\"alg\":\"HS512\"}",
                                          "{\"alg\":\"RS256\"}",
                                          "{\"alg\":\"ES256\"}",
                                          "{\"alg\":\"HS256 \"}",
                                          "{\"alg\":[\"HS256\"]}",
                                          "{\"alg\":null}",
                                          "{\"typ\":\"JWT\"}",
                                          "{\"alg\":\"HS256\",\"alg\":\"none\"}",
                                          "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}",
                                          "{\"alg\":\"HS256\",\"crit\":null}",
                                          "[]",
                                          "HS256",
                                          ""};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        refused(jwt_sign(arena, POS_SECRET, headers[i], claims), "HS256");
    }
    // Unsigned, as alg none has it, and with a header that claims a signature which is not there.
    const char *body = jwt_part(arena, claims, sizeof(claims) - 1);
    refused(mos_arena_printf(arena, "%s.%s.", jwt_part(arena, "{\"alg\":\"none\"}", 14), body), "HS256");
    refused(mos_arena_printf(arena, "%s.%s.", jwt_part(arena, POS_HEADER, strlen(POS_HEADER)), body), "signature");
    // Without a secret nothing is ever good, an empty key least of all.
    struct mos_jwt jwt;
    const char *token = jwt_sign(arena, "", POS_HEADER, claims);
    CU_ASSERT_EQUAL(mos_jwt_verify(token, strlen(token), "", POS_NOW_NS, arena, &jwt, NULL), MOS_UNAUTHENTICATED);
}

MOS_TEST(no_character_of_a_token_may_be_changed) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *token = jwt_sign(arena, POS_SECRET, POS_HEADER, POS_CLAIMS("VIEWER", "ACTIVE"));
    size_t length = strlen(token);
    char *changed = mos_arena_strdup(arena, token);
    struct mos_jwt jwt;
    for (size_t i = 0; i < length; i++) {
        static const char others[] = "AB._=+/ \n\xff";
        for (size_t k = 0; k < sizeof(others) - 1; k++) {
            changed[i] = others[k];
            CU_ASSERT(changed[i] == token[i] || verify(arena, changed, &jwt, NULL) == MOS_UNAUTHENTICATED);
        }
        changed[i] = token[i];
        CU_ASSERT_EQUAL(mos_jwt_verify(token, i, POS_SECRET, POS_NOW_NS, arena, &jwt, NULL), MOS_UNAUTHENTICATED);
    }
}

MOS_TEST(what_is_no_token_is_refused) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *token = jwt_sign(arena, POS_SECRET, POS_HEADER, POS_CLAIMS("ADMIN", "ACTIVE"));
    static const char *const wrong[] = {"", ".", "..", "...", "a.b", "a.b.c", "....", "e30.e30.e30", "=.=.=", "e30..", ".e30.", "..e30"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        refused(wrong[i], "the access token");
    }
    refused(mos_arena_printf(arena, "%s.", token), "well formed");
    refused(mos_arena_printf(arena, "%s.e30", token), "well formed");
    refused(mos_arena_printf(arena, ".%s", token), "well formed");
    refused(mos_arena_printf(arena, "%s=", token), "well formed");
    refused(mos_arena_printf(arena, " %s", token), "well formed");
}

MOS_TEST(a_huge_token_is_not_looked_at) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char *padding = mos_arena_alloc(arena, 7001);
    memset(padding, 'x', 7000);
    // Genuine, and too long.
    const char *claims = mos_arena_printf(arena, "{" WHO "," FOR_US "," LATER ",\"padding\":\"%s\"}", padding);
    refused(jwt_sign(arena, POS_SECRET, POS_HEADER, claims), "well formed");
    char *dots = mos_arena_alloc(arena, 1000001);
    memset(dots, '.', 1000000);
    refused(dots, "well formed");
    // As long as it may be.
    padding[3000] = 0;
    struct mos_jwt jwt;
    CU_ASSERT_EQUAL(verify_claims(mos_arena_printf(arena, "{" WHO "," FOR_US "," LATER ",\"padding\":\"%s\"}", padding), &jwt), MOS_OK);
}

MOS_TEST(an_arena_that_is_full_lets_nobody_in) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *token = jwt_sign(arena, POS_SECRET, POS_HEADER, POS_CLAIMS("ADMIN", "ACTIVE"));
    for (size_t limit = 16; limit < 1200; limit += 48) {
        MOS_CLEANUP_ARENA mos_arena *small = mos_arena_create(limit);
        struct mos_jwt jwt;
        CU_ASSERT_EQUAL(verify(small, token, &jwt, NULL), MOS_UNAUTHENTICATED);
    }
}
