// Locations and limits of bandwidth, as people write them.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "control/offsite/wrappers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char *const environment[] = {
        "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=hidden", "AZURE_STORAGE_ACCOUNT=account", "AZURE_STORAGE_KEY=a2V5",
        "SFTP_USER=u",         "SFTP_PASSWORD=hidden",         "SFTP_KNOWN_HOSTS=/dev/null",    NULL};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    MOS_CLEANUP_FREE char *text = mos_malloc(size + 1);
    struct mos_store_limit *limit;
    struct mos_store_options options;
    struct mos_error error = {0};
    mos_settings *settings = NULL;
    if (size > 4096) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = 0;
    if (mos_store_limit_create(&limit, "OFFSITE_BANDWIDTH", text, &error) == MOS_OK) {
        if (mos_store_limit_at(limit, (int)size % 1440) < 0) {
            abort();
        }
        mos_store_limit_free(limit);
    }
    if (mos_settings_load(&settings, environment, &error) != MOS_OK) {
        abort();
    }
    if (mos_store_options_from_location(settings, text, arena, &options, &error) == MOS_OK) {
        mos_store *store = NULL;
        if (mos_store_open(&store, &options, &error) == MOS_OK && strstr(mos_store_location(store), "hidden") && !strstr(text, "hidden")) {
            abort();
        }
        mos_store_close(store);
    }
    mos_settings_free(settings);
    return 0;
}
