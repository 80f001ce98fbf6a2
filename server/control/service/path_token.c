// Page tokens of lists in path order.
#include <string.h>

#include "common/text.h"
#include "control/service/internal.h"

static void mix(uint64_t *state, const void *data, size_t size_bytes) {
    for (size_t i = 0; i < size_bytes; i++) {
        *state = (*state ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
    }
}

static uint64_t seal(const char *const *asked, size_t asked_count, const void *path, size_t size_bytes) {
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < asked_count; i++) {
        mix(&state, asked[i], strlen(asked[i]) + 1);
    }
    mix(&state, path, size_bytes);
    return state;
}

char *mos_path_token_make(mos_arena *arena, const char *const *asked, size_t asked_count, ProtobufCBinaryData last) {
    uint64_t sealed = seal(asked, asked_count, last.data, last.len);
    char *text = mos_arena_alloc(arena, 2 * (sizeof(sealed) + last.len) + 1);
    if (text) {
        mos_hex_encode((const uint8_t *)&sealed, sizeof(sealed), text);
        mos_hex_encode(last.data, last.len, text + 2 * sizeof(sealed));
    }
    return text;
}

mos_status mos_path_token_take(struct mos_call *call, const char *const *asked, size_t asked_count, const char *token,
                               ProtobufCBinaryData *out) {
    size_t length = strlen(token);
    if (length == 0) {
        return MOS_OK;
    }
    uint64_t sealed;
    uint8_t *bytes = mos_arena_alloc(mos_call_arena(call), length / 2 + 1);
    if (!bytes) {
        return mos_fail_memory(call);
    }
    if (length % 2 != 0 || length < 2 * sizeof(sealed) || !mos_hex_decode(token, bytes, length / 2) ||
        (memcpy(&sealed, bytes, sizeof(sealed)), sealed != seal(asked, asked_count, bytes + sizeof(sealed), length / 2 - sizeof(sealed)))) {
        return mos_fail_field(mos_call_error(call), "pageToken",
                              "pageToken must be the nextPageToken of an earlier page of the same listing");
    }
    *out = (ProtobufCBinaryData){.data = bytes + sizeof(sealed), .len = length / 2 - sizeof(sealed)};
    return MOS_OK;
}
