// Keep rules that somebody writes. What is taken can be written again from what it means, and means the same.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "control/schedule/keep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_FREE char *text = mos_calloc(1, size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct mos_keep keep, again;
    struct mos_error error = {0};
    if (mos_keep_parse(&keep, "keep", text, &error) == MOS_OK) {
        char written[200];
        snprintf(written, sizeof(written), "last=%d,hourly=%d,daily=%d,weekly=%d,monthly=%d,yearly=%d", keep.last, keep.hourly, keep.daily,
                 keep.weekly, keep.monthly, keep.yearly);
        if (mos_keep_parse(&again, "keep", written, &error) != MOS_OK || memcmp(&keep, &again, sizeof(keep)) != 0) {
            abort();
        }
    } else if (strcmp(error.field, "keep") != 0) {
        abort();
    }
    struct mos_tag_rule *rules;
    size_t count = 0;
    if (mos_tag_rules_parse(arena, "rules", text, &rules, &count, &error) == MOS_OK) {
        for (size_t i = 0; i < count; i++) {
            if (!*rules[i].tag || mos_keep_check(&rules[i].keep, "keep", &error) != MOS_OK) {
                abort();
            }
        }
        if (count > MOS_TAG_RULES_MOST || (count == 0 && *text)) {
            abort();
        }
    }
    return 0;
}
