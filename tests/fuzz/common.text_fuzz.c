// Text at the border: paths of any bytes, times, identifiers, UTF-8.
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/text.h"

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
    // Any path without zero bytes comes back, through text that a terminal and JSON can take.
    size_t text_bytes = strlen(text);
    char *back = NULL;
    size_t back_bytes = 0;
    const char *escaped = mos_path_escape(arena, text, text_bytes);
    require(mos_utf8_valid(escaped, strlen(escaped)));
    require(mos_path_unescape(arena, escaped, &back, &back_bytes) && back_bytes == text_bytes && memcmp(back, text, text_bytes) == 0);
    if (mos_path_unescape(arena, text, &back, &back_bytes)) {
        require(back_bytes <= text_bytes && strlen(back) == back_bytes);
    }
    int64_t unix_ns = 0;
    if (mos_time_parse(text, &unix_ns) && unix_ns != 0) {
        char again[MOS_TIME_TEXT_BYTES];
        int64_t second = 0;
        mos_time_format(unix_ns, again);
        require(strlen(again) < sizeof(again));
        // With an offset, a time may lie a day outside of the years that are taken.
        require(!mos_time_parse(again, &second) ? unix_ns < -9214560000 * MOS_NS_PER_SECOND || unix_ns >= 9214646400 * MOS_NS_PER_SECOND
                                                : unix_ns - second >= 0 && unix_ns - second < MOS_NS_PER_MS);
    }
    uint8_t bytes[16];
    if (mos_id_parse(text, bytes)) {
        char id[MOS_ID_TEXT_BYTES];
        mos_id_format(bytes, id);
        require(mos_id_valid(text) && strcmp(id, text) == 0);
    }
    return 0;
}
