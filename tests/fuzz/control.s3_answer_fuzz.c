// What S3 answers: the first byte says to what, the rest is body and headers alike.
#include <stdlib.h>
#include <string.h>

#include "control/offsite/s3_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(64 << 20);
    const uint8_t *text = data + 1;
    size_t text_bytes = size - 1;
    struct mos_store_page page = {0};
    struct mos_store_object object = {0};
    struct mos_s3_upload *uploads;
    size_t count;
    const char *next_key, *next_id;
    struct mos_error error = {0};
    struct mos_store_http_response response = {.code = 403, .body = MOS_BUFFER_INIT(0), .headers = MOS_BUFFER_INIT(0)};
    mos_buffer_append(&response.body, text, text_bytes);
    mos_buffer_append(&response.headers, text, text_bytes);
    switch (data[0] % 4) {
    case 0:
        if (mos_s3_read_page(text, text_bytes, data[0] & 4 ? "shop/" : "", 1000, arena, &page, &error) == MOS_OK) {
            for (size_t i = 0; i < page.count; i++) {
                if (!mos_store_name_valid(page.objects[i].name) || page.objects[i].size_bytes < 0) {
                    abort();
                }
            }
        }
        break;
    case 1:
        if (mos_s3_read_uploads(text, text_bytes, arena, &uploads, &count, &next_key, &next_id, &error) == MOS_OK) {
            for (size_t i = 0; i < count; i++) {
                if (!uploads[i].key || !uploads[i].id) {
                    abort();
                }
            }
        }
        break;
    case 2:
        if (!mos_s3_read_upload_id(text, text_bytes, arena) || mos_s3_fail(&response, "it cannot be", &error) == MOS_OK) {
            abort();
        }
        break;
    default:
        mos_s3_read_object(&response, &object);
        if (object.size_bytes < 0 || memchr(object.storage_class, 0, sizeof(object.storage_class)) == NULL) {
            abort();
        }
    }
    mos_store_http_response_free(&response);
    return 0;
}
