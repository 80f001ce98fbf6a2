// What a URL of a database is taken apart into is put together again, and its password is shown nowhere.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/database_url.h"

static void require(bool good) {
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char *text = mos_arena_alloc(arena, size + 1);
    if (size) {
        memcpy(text, data, size);
    }
    struct mos_database_url url, again, shown;
    struct mos_error error = {0};
    if (mos_database_url_parse("target", text, arena, &url, &error) != MOS_OK) {
        require(strcmp(error.field, "target") == 0 && *error.message);
        return 0;
    }
    const char *whole = mos_database_url_format(&url, true, arena);
    require(mos_database_url_parse("target", whole, arena, &again, &error) == MOS_OK);
    require(strcmp(whole, mos_database_url_format(&again, true, arena)) == 0);
    require(url.kind == again.kind && url.port == again.port && strcmp(url.path, again.path) == 0 && strcmp(url.host, again.host) == 0 &&
            strcmp(url.user, again.user) == 0 && strcmp(url.name, again.name) == 0 && !url.password == !again.password &&
            (!url.password || strcmp(url.password, again.password) == 0) && strcmp(url.tls_mode, again.tls_mode) == 0 &&
            strcmp(url.tls_authority, again.tls_authority) == 0);
    require(mos_database_url_same_account(&url, &again));
    require(mos_database_url_parse("target", mos_database_url_format(&url, false, arena), arena, &shown, &error) == MOS_OK);
    require(!shown.password && strcmp(shown.name, url.name) == 0);
    return 0;
}
