// The text of a keyring.
#include <stdlib.h>
#include <string.h>

#include "engine/repo/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    if (mos_keyring_parse((const char *)data, size, &keyring, &error) != MOS_OK) {
        if (keyring || error.status != MOS_CORRUPT) {
            abort();
        }
        return 0;
    }
    uint32_t active = mos_keyring_active_version(keyring);
    if (mos_keyring_count(keyring) == 0 || active == 0 || !mos_keyring_key(keyring, active) || mos_keyring_key(keyring, 0)) {
        abort();
    }
    mos_keyring_free(keyring);
    return 0;
}
