// What Azure answers: the first byte says to what, the rest is body and headers alike.
#include <stdlib.h>
#include <string.h>

#include "control/offsite/azure_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(64 << 20);
    struct mos_store_page page = {0};
    struct mos_store_object object = {0};
    struct mos_error error = {0};
    struct mos_store_http_response response = {.code = 409, .body = MOS_BUFFER_INIT(0), .headers = MOS_BUFFER_INIT(0)};
    mos_buffer_append(&response.body, data + 1, size - 1);
    mos_buffer_append(&response.headers, data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        if (mos_azure_read_page(data + 1, size - 1, data[0] & 4 ? "shop/" : "", 1000, arena, &page, &error) == MOS_OK) {
            for (size_t i = 0; i < page.count; i++) {
                if (!mos_store_name_valid(page.objects[i].name) || page.objects[i].size_bytes < 0) {
                    abort();
                }
            }
        }
        break;
    case 1:
        if (mos_azure_fail(&response, "it cannot be", &error) == MOS_OK) {
            abort();
        }
        break;
    default:
        mos_azure_read_object(&response, &object);
        if (object.size_bytes < 0 || memchr(object.storage_class, 0, sizeof(object.storage_class)) == NULL) {
            abort();
        }
    }
    mos_store_http_response_free(&response);
    return 0;
}
