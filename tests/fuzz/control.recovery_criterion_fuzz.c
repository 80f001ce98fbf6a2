// A criterion of a plan. What the machine takes for its own holds a table that goes into a statement, or a path that does not climb.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "control/dr/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_FREE char *text = mos_calloc(1, size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct mos_criterion criterion;
    struct mos_error error = {0};
    mos_status status = mos_criterion_parse("field", text, arena, &criterion, &error);
    if (status != MOS_OK) {
        if (status != MOS_INVALID_ARGUMENT || strcmp(error.field, "field") != 0) {
            abort();
        }
        return 0;
    }
    bool path = criterion.kind == MOS_CRITERION_FILE_EXISTS || criterion.kind == MOS_CRITERION_CHECKSUM;
    if ((criterion.kind == MOS_CRITERION_ROWS && strpbrk(criterion.subject, "\"`'; ()\\")) ||
        (path && (criterion.subject[0] != '/' || strstr(criterion.subject, "/../"))) ||
        (criterion.kind == MOS_CRITERION_CHECKSUM && strlen(criterion.checksum) != 64) ||
        (criterion.kind == MOS_CRITERION_HTTP && !mos_check_url_valid(criterion.subject)) || criterion.number < 0) {
        abort();
    }
    return 0;
}
