// A time zone file. Of one that is taken, offsets, changes and wall times fit one another at all times.
#include <stdlib.h>

#include "control/schedule/zone.h"

static void look(const mos_zone *zone, int64_t moment) {
    int64_t change, moments[2], after_gap = 0;
    int32_t offset = mos_zone_offset(zone, moment);
    if (offset < -26 * 3600 || offset > 26 * 3600) {
        abort();
    }
    if (mos_zone_next_change(zone, moment, &change) &&
        (change <= moment || mos_zone_offset(zone, change) == mos_zone_offset(zone, change - 1) ||
         mos_zone_offset(zone, change - 1) != offset)) {
        abort();
    }
    int count = mos_zone_moments(zone, moment + offset, moments, &after_gap);
    if (count < 1 || (count == 2 && moments[0] >= moments[1]) || (count == 1 && moments[0] != moment)) {
        abort();
    }
    for (int i = 0; i < count; i++) {
        if (moments[i] + mos_zone_offset(zone, moments[i]) != moment + offset) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mos_zone *zone;
    if (mos_zone_parse(&zone, data, size, NULL) != MOS_OK) {
        return 0;
    }
    for (int64_t moment = -2000000000; moment < 8000000000; moment += 997000001) {
        look(zone, moment);
    }
    int64_t change = 0;
    for (int i = 0; i < 20 && mos_zone_next_change(zone, change, &change); i++) {
        look(zone, change - 1);
        look(zone, change);
    }
    mos_zone_close(zone);
    return 0;
}
