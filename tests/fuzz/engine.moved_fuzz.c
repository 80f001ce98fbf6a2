// The list in a moved object, as it is once opened.
#include <stddef.h>
#include <stdint.h>

#include "engine/repo/moved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mos_pack *packs = NULL;
    size_t count = 0;
    if (mos_moved_decode(data, size, &packs, &count)) {
        mos_packs_free(packs, count);
    }
    return 0;
}
