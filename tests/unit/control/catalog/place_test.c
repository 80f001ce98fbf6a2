#include <string.h>

#include "control/catalog/sql.h"
#include "unit/test.h"

static const char id[] = "11111111-2222-4333-8444-555555555555";

MOS_TEST(a_place_comes_back_as_it_went) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    static const int64_t times[] = {0, 1, 1700000000000000000, INT64_MAX, -1, INT64_MIN};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct mos_place place;
        const char *token = mos_place_encode("backups", "filters", 7, times[i], id, arena);
        CU_ASSERT_EQUAL(mos_place_decode("backups", "filters", 7, token, &place, NULL), MOS_OK);
        CU_ASSERT_EQUAL(place.created_at_unix_ns, times[i]);
        CU_ASSERT_STRING_EQUAL(place.id, id);
    }
}

MOS_TEST(no_token_is_the_start_of_the_list) {
    struct mos_place place;
    CU_ASSERT_EQUAL(mos_place_decode("backups", NULL, 0, "", &place, NULL), MOS_OK);
    CU_ASSERT_EQUAL(place.created_at_unix_ns, INT64_MAX);
    CU_ASSERT(strcmp(place.id, "ffffffff-ffff-ffff-ffff-ffffffffffff") > 0);
    CU_ASSERT_EQUAL(mos_place_decode("backups", NULL, 0, NULL, &place, NULL), MOS_OK);
    CU_ASSERT_EQUAL(place.created_at_unix_ns, INT64_MAX);
}

static void refused(const char *list, const char *filters, const char *token) {
    struct mos_place place;
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_place_decode(list, filters, strlen(filters), token, &place, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "pageToken");
}

MOS_TEST(a_token_continues_its_own_list_only) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *token = mos_place_encode("backups", "filters", 7, 5, id, arena);
    refused("jobs", "filters", token);
    refused("backups", "filter", token);
    refused("backups", "", token);
    refused("backup", "sfilters", token);
}

MOS_TEST(a_token_that_was_changed_is_refused) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *token = mos_place_encode("backups", "filters", 7, 5, id, arena);
    for (size_t i = 0; i < strlen(token); i++) {
        char *changed = mos_arena_strdup(arena, token);
        changed[i] = changed[i] == '0' ? '1' : '0';
        refused("backups", "filters", changed);
        changed[i] = 'G';
        refused("backups", "filters", changed);
        changed[i] = 0;
        if (i > 0) {
            refused("backups", "filters", changed);
        }
    }
    refused("backups", "filters", mos_arena_printf(arena, "%s0", token));
    refused("backups", "filters", mos_arena_printf(arena, "%s00", token));
    refused("backups", "filters", "1");
    refused("backups", "filters", "\xff\xfe");
}

MOS_TEST(a_token_fits_in_the_arena_or_there_is_none) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(16);
    CU_ASSERT_PTR_NULL(mos_place_encode("backups", "", 0, 5, id, arena));
}

MOS_TEST(page_sizes_have_bounds) {
    static const struct {
        int asked;
        int given;
    } good[] = {{0, 50}, {1, 1}, {1000, 1000}};
    int size = -1;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const struct mos_page page = {.size = good[i].asked};
        CU_ASSERT_EQUAL(mos_page_size(&page, &size, NULL), MOS_OK);
        CU_ASSERT_EQUAL(size, good[i].given);
    }
    static const int bad[] = {-1, 1001, -2147483647 - 1, 2147483647};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct mos_page page = {.size = bad[i]};
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(mos_page_size(&page, &size, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "pageSize");
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "1000"));
    }
}
