// A page token that somebody sends. One that is taken is one that was given: made again from what it says, it is the same.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/id.h"
#include "control/catalog/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_FREE char *text = mos_calloc(1, size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct mos_place place;
    struct mos_error error = {0};
    mos_status status = mos_place_decode("backups", "filters", 7, text, &place, &error);
    if (status == MOS_OK && *text) {
        const char *again = mos_place_encode("backups", "filters", 7, place.created_at_unix_ns, place.id, arena);
        if (strcmp(again, text) != 0) {
            abort();
        }
    } else if (status != MOS_OK && (status != MOS_INVALID_ARGUMENT || strcmp(error.field, "pageToken") != 0)) {
        abort();
    }
    // Bytes as a place of their own: given, it is taken, and says what was put in.
    if (size >= 24) {
        int64_t created_at_unix_ns;
        char id[MOS_ID_TEXT_BYTES];
        memcpy(&created_at_unix_ns, data, 8);
        mos_id_format(data + 8, id);
        const char *token = mos_place_encode("jobs", data + 24, size - 24, created_at_unix_ns, id, arena);
        if (mos_place_decode("jobs", data + 24, size - 24, token, &place, NULL) != MOS_OK ||
            place.created_at_unix_ns != created_at_unix_ns || strcmp(place.id, id) != 0) {
            abort();
        }
    }
    return 0;
}
