// Page tokens: where a page ended, bound to the list and its filters, so that a token never silently continues another list.
#include <string.h>

#include "common/id.h"
#include "control/catalog/sql.h"

enum { LARGEST_PAGE = 1000, USUAL_PAGE = 50, PLACE_BYTES = 1 + 8 + 16 + 8 };

static const uint8_t format_version = 1;

// FNV-1a. What it guards against is mistakes, not forgery: a forged token shows its maker no more than the list does.
static uint64_t hash(uint64_t state, const void *data, size_t size_bytes) {
    const uint8_t *next = data;
    for (size_t i = 0; i < size_bytes; i++) {
        state = (state ^ next[i]) * UINT64_C(0x100000001b3);
    }
    return state;
}

static uint64_t seal(const char *list, const void *filters, size_t filters_bytes, const uint8_t *place) {
    uint64_t state = hash(UINT64_C(0xcbf29ce484222325), list, strlen(list) + 1);
    state = hash(state, filters, filters_bytes);
    return hash(state, place, PLACE_BYTES - 8);
}

static void put_number(uint8_t *out, uint64_t number) {
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(number >> (56 - 8 * i));
    }
}

static uint64_t take_number(const uint8_t *data) {
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number = number << 8 | data[i];
    }
    return number;
}

const char *mos_place_encode(const char *list, const void *filters, size_t filters_bytes, int64_t created_at_unix_ns, const char *id,
                             mos_arena *arena) {
    uint8_t bytes[PLACE_BYTES] = {format_version};
    put_number(bytes + 1, (uint64_t)created_at_unix_ns);
    if (!mos_id_parse(id, bytes + 9)) {
        memset(bytes + 9, 0, 16);
    }
    put_number(bytes + 25, seal(list, filters, filters_bytes, bytes));
    char text[2 * PLACE_BYTES + 1];
    mos_hex_encode(bytes, sizeof(bytes), text);
    return mos_arena_strdup(arena, text);
}

mos_status mos_place_decode(const char *list, const void *filters, size_t filters_bytes, const char *text, struct mos_place *out,
                            struct mos_error *error) {
    if (!text || !*text) {
        // Behind every id and every time.
        *out = (struct mos_place){.created_at_unix_ns = INT64_MAX, .id = "~"};
        return MOS_OK;
    }
    uint8_t bytes[PLACE_BYTES];
    if (strlen(text) != 2 * sizeof(bytes) || !mos_hex_decode(text, bytes, sizeof(bytes)) || bytes[0] != format_version ||
        take_number(bytes + 25) != seal(list, filters, filters_bytes, bytes)) {
        return mos_fail_field(error, "pageToken",
                              "pageToken must be the nextPageToken of an earlier page of this list with the same filters");
    }
    out->created_at_unix_ns = (int64_t)take_number(bytes + 1);
    mos_id_format(bytes + 9, out->id);
    return MOS_OK;
}

mos_status mos_page_size(const struct mos_page *page, int *out, struct mos_error *error) {
    if (page->size < 0 || page->size > LARGEST_PAGE) {
        return mos_fail_field(error, "pageSize", "pageSize is %d; allowed is 0 (for %d) to %d", page->size, USUAL_PAGE, LARGEST_PAGE);
    }
    *out = page->size ? page->size : USUAL_PAGE;
    return MOS_OK;
}
