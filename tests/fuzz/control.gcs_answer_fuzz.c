// What Google Cloud Storage answers: the first byte says to what, the rest is the body.
#include <stdlib.h>
#include <string.h>

#include "control/offsite/gcs_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(64 << 20);
    struct mos_store_page page = {0};
    struct mos_store_object object = {0};
    struct mos_error error = {0};
    struct mos_store_http_response response = {.code = 403, .body = MOS_BUFFER_INIT(0)};
    char md5[MOS_STORE_BASE64_BYTES];
    const char *token;
    mos_buffer_append(&response.body, data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        if (mos_gcs_read_page(data + 1, size - 1, data[0] & 4 ? "shop/" : "", 1000, arena, &page, &error) == MOS_OK) {
            for (size_t i = 0; i < page.count; i++) {
                if (!mos_store_name_valid(page.objects[i].name) || page.objects[i].size_bytes < 0) {
                    abort();
                }
            }
        }
        break;
    case 1:
        if (mos_gcs_fail(&response, "it cannot be", &error) == MOS_OK) {
            abort();
        }
        break;
    case 2:
        mos_gcs_read_rewrite(data + 1, size - 1, arena, &token);
        break;
    default:
        if (mos_gcs_read_object(data + 1, size - 1, &object, md5) && (object.size_bytes < 0 || !memchr(md5, 0, sizeof(md5)))) {
            abort();
        }
    }
    mos_buffer_free(&response.body);
    return 0;
}
