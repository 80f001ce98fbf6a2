#include "common/database_url.h"

#include <string.h>

#include "unit/test.h"

static struct mos_database_url parsed(const char *text, mos_arena *arena) {
    struct mos_database_url url = {0};
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_database_url_parse("databases", text, arena, &url, &error), &error);
    return url;
}

MOS_TEST(a_url_is_taken_apart) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_database_url url = parsed("postgresql://pos:p%40s%3As%2f%25@db.example:6543/my%20shop?schema=public&sslmode=verify-full"
                                         "&sslrootcert=/etc/ca.pem#x",
                                         arena);
    CU_ASSERT_EQUAL(url.kind, MOS_DATABASE_POSTGRESQL);
    CU_ASSERT_STRING_EQUAL(url.host, "db.example");
    CU_ASSERT_EQUAL(url.port, 6543);
    CU_ASSERT_STRING_EQUAL(url.user, "pos");
    CU_ASSERT_STRING_EQUAL(url.password, "p@s:s/%");
    CU_ASSERT_STRING_EQUAL(url.name, "my shop");
    CU_ASSERT_STRING_EQUAL(url.tls_mode, "verify-full");
    CU_ASSERT_STRING_EQUAL(url.tls_authority, "/etc/ca.pem");
    url = parsed("mariadb://root@[::1]:3307/shop", arena);
    CU_ASSERT_EQUAL(url.kind, MOS_DATABASE_MYSQL);
    CU_ASSERT_STRING_EQUAL(url.host, "::1");
    CU_ASSERT_PTR_NULL(url.password);
    url = parsed("postgres://%2frun%2fpostgresql/shop", arena);
    CU_ASSERT_STRING_EQUAL(url.host, "/run/postgresql");
    CU_ASSERT_STRING_EQUAL(url.user, "");
    url = parsed("mysql:///shop?socket=/run/my.sock", arena);
    CU_ASSERT_STRING_EQUAL(url.host, "/run/my.sock");
    // An @ in a password is understood as it was meant.
    url = parsed("mysql://u:a@b@h/d", arena);
    CU_ASSERT_STRING_EQUAL(url.password, "a@b");
    CU_ASSERT_STRING_EQUAL(url.host, "h");
    CU_ASSERT_STRING_EQUAL(parsed("sqlite:///srv/a%20b%3f.db?mode=ro", arena).path, "/srv/a b?.db");
    CU_ASSERT_STRING_EQUAL(parsed("file:/x", arena).path, "/x");
    CU_ASSERT_STRING_EQUAL(parsed("file:///x", arena).path, "/x");
}

MOS_TEST(without_its_password_a_url_may_be_shown) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_database_url url = parsed("postgres://p%40s:geheim@h/my%20shop?sslmode=require", arena);
    CU_ASSERT_STRING_EQUAL(mos_database_url_format(&url, false, arena), "postgresql://p%40s@h/my%20shop?sslmode=require");
    CU_ASSERT_STRING_EQUAL(mos_database_url_format(&url, true, arena), "postgresql://p%40s:geheim@h/my%20shop?sslmode=require");
    url = parsed("mysql://root@[::1]:3307/shop", arena);
    CU_ASSERT_STRING_EQUAL(mos_database_url_format(&url, false, arena), "mysql://root@[::1]:3307/shop");
    url = parsed("file:/srv/a%20b.db", arena);
    CU_ASSERT_STRING_EQUAL(mos_database_url_format(&url, false, arena), "sqlite:///srv/a%20b.db");
}

MOS_TEST(what_is_no_url_is_refused_and_not_repeated) {
    static const char *const bad[] = {"",
                                      "shop.db",
                                      "file:shop.db",
                                      "sqlite://shop.db",
                                      "file:/%0",
                                      "file:/%00",
                                      "file:/",
                                      "sqlite:///",
                                      "oracle://u:geheim@h/d",
                                      "postgresql://u:geheim@h",
                                      "postgresql://u:geheim@h/",
                                      "postgresql://u:geheim@h:x/d",
                                      "postgresql://u:geheim@h:0/d",
                                      "postgresql://u:geheim@h:65536/d",
                                      "postgresql://u:geheim@h:123456789012/d",
                                      "postgresql://u:geh/eim@h/d",
                                      "postgresql://u:1/geheim@h/d",
                                      "postgresql://u:geh%zzeim@h/d",
                                      "postgresql://u:geh%00eim@h/d",
                                      "postgresql://u:geheim%0a@h/d",
                                      "postgresql://[::1/d",
                                      "mysql://u@h/d?password=geheim",
                                      "mysql://u:geheim@h/d?sslmode=geheim",
                                      "mysql://u:geheim@h/d?socket=%1"};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mos_database_url url;
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(mos_database_url_parse("databases", bad[i], arena, &url, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "databases");
        CU_ASSERT_PTR_NULL(strstr(error.message, "geh"));
    }
}

MOS_TEST(the_same_account_is_known_in_other_words) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_database_url a = parsed("postgres://u:x@h/one", arena), b = parsed("postgresql://u@h:5432/two", arena);
    CU_ASSERT_TRUE(mos_database_url_same_account(&a, &b));
    b = parsed("postgresql://v@h/two", arena);
    CU_ASSERT_FALSE(mos_database_url_same_account(&a, &b));
    b = parsed("mysql://u@h/one", arena);
    CU_ASSERT_FALSE(mos_database_url_same_account(&a, &b));
    CU_ASSERT_TRUE(mos_database_url_is_server("mysql://"));
    CU_ASSERT_FALSE(mos_database_url_is_server("/srv/postgresql://"));
    CU_ASSERT_FALSE(mos_database_url_is_server("sqlite:///x"));
}

// What comes back from its canonical form, in which each byte may take three.
MOS_TEST(a_part_has_at_most_4096_bytes) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char name[4098];
    struct mos_database_url url, again;
    struct mos_error error = {0};
    memset(name, '&', sizeof(name) - 1);
    name[4097] = 0;
    CU_ASSERT_EQUAL(mos_database_url_parse("target", mos_arena_printf(arena, "mysql://h/%s", name), arena, &url, &error),
                    MOS_INVALID_ARGUMENT);
    name[4096] = 0;
    MOS_ASSERT_OK(mos_database_url_parse("target", mos_arena_printf(arena, "mysql://h/%s", name), arena, &url, &error), &error);
    MOS_ASSERT_OK(mos_database_url_parse("target", mos_database_url_format(&url, true, arena), arena, &again, &error), &error);
    CU_ASSERT_STRING_EQUAL(again.name, name);
}
