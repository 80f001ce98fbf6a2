// The two parts of a JWT that somebody sends: any bytes, in an allocation of exactly their size.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/json.h"
#include "common/text.h"

// All that was let through is whole: text without invalid UTF-8, members with names that are found again, and no deeper than it may be.
static void check(const struct mos_json *json, int depth) {
    if (depth > 17 || (json->kind == MOS_JSON_STRING && !mos_utf8_valid(json->string, strlen(json->string)))) {
        abort();
    }
    for (const struct mos_json *one = json->first; one; one = one->next) {
        if (json->kind == MOS_JSON_OBJECT ? mos_json_member(json, one->name) != one : one->name != NULL) {
            abort();
        }
        check(one, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    MOS_CLEANUP_FREE char *text = mos_malloc(size);
    if (size > 0) {
        memcpy(text, data, size);
    }
    const struct mos_json *json = mos_json_parse(arena, text, size);
    if (json) {
        check(json, 0);
    }
    return 0;
}
