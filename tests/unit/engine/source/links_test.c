#include "engine/source/links.h"

#include <stdio.h>
#include <string.h>

#include "unit/test.h"

MOS_TEST(the_first_name_is_remembered_until_all_others_were_seen) {
    mos_links *links = mos_links_create();
    enum { FILES = 5000 };
    for (int i = 0; i < FILES; i++) {
        char path[32];
        int size = snprintf(path, sizeof(path), "/file/%d", i);
        mos_links_add(links, (uint64_t)(i % 3), (uint64_t)i, 2, path, (size_t)size);
        // A second first name changes nothing.
        mos_links_add(links, (uint64_t)(i % 3), (uint64_t)i, 2, "/other", 6);
    }
    CU_ASSERT_EQUAL(mos_links_count(links), FILES);
    for (int i = 0; i < FILES; i++) {
        char path[32];
        size_t expected = (size_t)snprintf(path, sizeof(path), "/file/%d", i), found_bytes = 0;
        const char *found = mos_links_find(links, (uint64_t)(i % 3), (uint64_t)i, &found_bytes);
        CU_ASSERT_PTR_NOT_NULL_FATAL(found);
        CU_ASSERT_STRING_EQUAL(found, path);
        CU_ASSERT_EQUAL(found_bytes, expected);
        CU_ASSERT_PTR_NULL(mos_links_find(links, (uint64_t)(i % 3) + 1, (uint64_t)i, &found_bytes));
        mos_links_seen(links, (uint64_t)(i % 3), (uint64_t)i);
        mos_links_seen(links, (uint64_t)(i % 3), (uint64_t)i);
        CU_ASSERT_PTR_NULL(mos_links_find(links, (uint64_t)(i % 3), (uint64_t)i, &found_bytes));
    }
    CU_ASSERT_EQUAL(mos_links_count(links), 0);
    mos_links_seen(links, 1, 1);
    mos_links_free(links);
}
