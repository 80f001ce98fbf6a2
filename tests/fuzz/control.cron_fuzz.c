// A cron expression that somebody sends. Of one that is taken, every next moment lies behind the one before, on a minute, and is due.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "control/schedule/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static mos_zone *zones[3];
    if (!zones[0] && (mos_zone_open(&zones[0], "UTC", NULL) != MOS_OK || mos_zone_open(&zones[1], "Europe/Berlin", NULL) != MOS_OK ||
                      mos_zone_open(&zones[2], "Australia/Lord_Howe", NULL) != MOS_OK)) {
        abort();
    }
    MOS_CLEANUP_FREE char *text = mos_calloc(1, size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct mos_cron cron;
    struct mos_error error = {0};
    if (mos_cron_parse(&cron, "cron", text, &error) != MOS_OK) {
        if (strcmp(error.field, "cron") != 0) {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < 3; i++) {
        int64_t moment = 1774000000, next;
        for (int n = 0; n < 20; n++, moment = next) {
            if (!mos_cron_next(&cron, zones[i], moment, &next) || next <= moment || next % 60 != 0) {
                abort();
            }
        }
    }
    return 0;
}
