#include "control/dr/command.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/clock.h"
#include "unit/test.h"

static bool parses(const char *text, struct mos_command *out, mos_arena *arena) {
    struct mos_error error = {0};
    mos_status status = mos_command_parse("command", text, arena, out, &error);
    CU_ASSERT(status == MOS_OK || (status == MOS_INVALID_ARGUMENT && strcmp(error.field, "command") == 0));
    return status == MOS_OK;
}

MOS_TEST(commands_are_read) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_command command;
    CU_ASSERT_FATAL(parses("restore_backup:FULL", &command, arena));
    CU_ASSERT(command.kind == MOS_COMMAND_RESTORE_BACKUP && command.type == MOS_BACKUP_FULL && command.point == MOS_POINT_LATEST);
    CU_ASSERT_FATAL(parses("restore_backup:DATABASE@verified", &command, arena));
    CU_ASSERT(command.type == MOS_BACKUP_DATABASE && command.point == MOS_POINT_LATEST_VERIFIED);
    CU_ASSERT_FATAL(parses("restore_backup:FILES@before=1970-01-01T00:00:05+00:00", &command, arena));
    CU_ASSERT(command.point == MOS_POINT_BEFORE && command.before_unix_ns == 5 * MOS_NS_PER_SECOND);
    CU_ASSERT_FATAL(parses("verify_backup:FILES@id=01890000-0000-7000-8000-000000000000", &command, arena));
    CU_ASSERT(command.kind == MOS_COMMAND_VERIFY_BACKUP && command.point == MOS_POINT_ID);
    CU_ASSERT_STRING_EQUAL(command.backup_id, "01890000-0000-7000-8000-000000000000");
    CU_ASSERT_FATAL(parses("tcp_check:[::1]:5432", &command, arena));
    CU_ASSERT_STRING_EQUAL(command.text, "::1");
    CU_ASSERT_EQUAL(command.port, 5432);
    CU_ASSERT_FATAL(parses("wait:90m", &command, arena));
    CU_ASSERT_EQUAL(command.wait_ns, 90 * 60 * MOS_NS_PER_SECOND);
    CU_ASSERT_FATAL(parses("sql_check:select count(*) from sales", &command, arena));
    CU_ASSERT_STRING_EQUAL(command.text, "select count(*) from sales");
}

MOS_TEST(what_changes_something_is_known) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const struct {
        const char *text;
        bool changes;
    } cases[] = {{"restore_backup:FULL", true}, {"restart_services", true},    {"hook:a", true},
                 {"verify_backup:FULL", false}, {"verify_database", false},    {"http_check:http://a/", false},
                 {"tcp_check:a:1", false},      {"sql_check:SELECT 1", false}, {"wait:1s", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mos_command command;
        CU_ASSERT_FATAL(parses(cases[i].text, &command, arena));
        CU_ASSERT_EQUAL(mos_command_changes(command.kind), cases[i].changes);
    }
}

MOS_TEST(what_is_no_command_is_refused) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const char *const wrong[] = {"",
                                        "restore_backup",
                                        "restore_backup:",
                                        "restore_backup:full",
                                        "restore_backup:FULL@",
                                        "restore_backup:FULL@id=7",
                                        "verify_database:x",
                                        "restart_services:now",
                                        "hook:",
                                        "hook:.hidden",
                                        "hook:-rf",
                                        "hook:a b",
                                        "http_check:",
                                        "http_check:http://",
                                        "http_check:http:///path",
                                        "http_check:ftp://a/",
                                        "http_check:http://a:0/",
                                        "http_check:http://a/ b",
                                        "http_check:http://[fe80::1]/",
                                        "http_check:http://[::ffff:169.254.1.1]/",
                                        "tcp_check:a",
                                        "tcp_check::80",
                                        "tcp_check:a:b",
                                        "tcp_check:a:80:90",
                                        "sql_check:",
                                        "sql_check:SELECT",
                                        "sql_check:PRAGMA user_version",
                                        "sql_check:SELECT 1\nDELETE",
                                        "wait:",
                                        "wait:-1s",
                                        "wait:25h",
                                        "wait:1d",
                                        "Wait:1s"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct mos_command command;
        if (parses(wrong[i], &command, arena)) {
            mos_test_complain(wrong[i], "was taken");
            CU_FAIL("a command that is none was taken");
        }
    }
}

MOS_TEST(criteria_are_read) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_criterion criterion;
    struct mos_error error;
    MOS_ASSERT_OK(mos_criterion_parse("c", "rows(public.sales) >= 12", arena, &criterion, &error), &error);
    CU_ASSERT(criterion.kind == MOS_CRITERION_ROWS && criterion.comparison == MOS_MORE_OR_EQUAL && criterion.number == 12);
    CU_ASSERT_STRING_EQUAL(criterion.subject, "public.sales");
    MOS_ASSERT_OK(mos_criterion_parse("c", "rows(a)=0", arena, &criterion, &error), &error);
    CU_ASSERT(criterion.comparison == MOS_EQUAL && criterion.number == 0);
    MOS_ASSERT_OK(mos_criterion_parse("c", "file exists /srv/a file", arena, &criterion, &error), &error);
    CU_ASSERT_STRING_EQUAL(criterion.subject, "/srv/a file");
    MOS_ASSERT_OK(mos_criterion_parse("c", "sentinel /srv/.sentinel", arena, &criterion, &error), &error);
    CU_ASSERT(criterion.kind == MOS_CRITERION_SENTINEL);
    CU_ASSERT_STRING_EQUAL(criterion.subject, "/srv/.sentinel");
    MOS_ASSERT_OK(mos_criterion_parse("c", "duration < 90s", arena, &criterion, &error), &error);
    CU_ASSERT(criterion.kind == MOS_CRITERION_DURATION && criterion.number == 90 * MOS_NS_PER_SECOND);
    MOS_ASSERT_OK(mos_criterion_parse("c", "http 204 https://shop.example/health", arena, &criterion, &error), &error);
    CU_ASSERT(criterion.kind == MOS_CRITERION_HTTP && criterion.number == 204);
}

MOS_TEST(sentences_stay_sentences) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const char *const sentences[] = {"Database is accessible", "file exists on the server", "duration is short", "checksum matches",
                                            "http answers",           "Rows(sales) are there"};
    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
        struct mos_criterion criterion;
        CU_ASSERT_EQUAL(mos_criterion_parse("c", sentences[i], arena, &criterion, NULL), MOS_OK);
        CU_ASSERT_EQUAL(criterion.kind, MOS_CRITERION_SENTENCE);
    }
    static const char *const wrong[] = {"",
                                        "  ",
                                        "rows()",
                                        "rows(a) 1",
                                        "rows(a) >= -1",
                                        "rows(a.b.c) > 1",
                                        "rows(a) >= 1 or so",
                                        "file exists /a/..",
                                        "checksum /a",
                                        "sentinel /a/../b",
                                        "http 99 http://a/",
                                        "http 200 nowhere",
                                        "duration <= soon",
                                        "two\nlines"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct mos_criterion criterion;
        CU_ASSERT_EQUAL(mos_criterion_parse("c", wrong[i], arena, &criterion, NULL), MOS_INVALID_ARGUMENT);
    }
}

MOS_TEST(comparisons) {
    static const struct {
        enum mos_comparison comparison;
        bool less, equal, more;
    } cases[] = {{MOS_LESS, true, false, false},     {MOS_LESS_OR_EQUAL, true, true, false}, {MOS_EQUAL, false, true, false},
                 {MOS_NOT_EQUAL, true, false, true}, {MOS_MORE_OR_EQUAL, false, true, true}, {MOS_MORE, false, false, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(mos_compare(1, cases[i].comparison, 2), cases[i].less);
        CU_ASSERT_EQUAL(mos_compare(2, cases[i].comparison, 2), cases[i].equal);
        CU_ASSERT_EQUAL(mos_compare(3, cases[i].comparison, 2), cases[i].more);
    }
}

static bool forbidden(const char *text) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        return mos_address_forbidden(&v4);
    }
    CU_ASSERT_EQUAL(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return mos_address_forbidden(&v6);
}

MOS_TEST(addresses_that_are_not_asked) {
    CU_ASSERT(forbidden("169.254.169.254") && forbidden("::ffff:169.254.169.254") && forbidden("fe80::1") && forbidden("ff02::1"));
    CU_ASSERT(forbidden("224.0.0.1") && forbidden("255.255.255.255"));
    CU_ASSERT(!forbidden("127.0.0.1") && !forbidden("10.0.0.1") && !forbidden("::1") && !forbidden("169.253.255.255"));
}
