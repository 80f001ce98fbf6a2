// The text of a keyring; behind a zero byte that of another one whose versions it takes over. Whatever is taken can be written and read
// back.
#include <stdlib.h>
#include <string.h>

#include "engine/repo/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const mos_keyring *keyring, bool must) {
    struct mos_buffer text = {0};
    mos_keyring *again = NULL;
    struct mos_error error = {0};
    if (mos_keyring_text(keyring, &text, &error) == MOS_OK) {
        if (mos_keyring_parse((const char *)text.data, text.size_bytes, &again, &error) != MOS_OK ||
            mos_keyring_count(again) != mos_keyring_count(keyring) ||
            mos_keyring_active_version(again) != mos_keyring_active_version(keyring) ||
            !mos_keyring_origin(again) != !mos_keyring_origin(keyring)) {
            abort();
        }
        mos_keyring_free(again);
    } else if (must || error.status != MOS_RESOURCE_EXHAUSTED) {
        abort();
    }
    mos_buffer_free(&text);
}

static mos_keyring *take(const uint8_t *data, size_t size) {
    mos_keyring *keyring = NULL;
    struct mos_error error = {0};
    if (mos_keyring_parse((const char *)data, size, &keyring, &error) != MOS_OK) {
        if (keyring || error.status != MOS_CORRUPT) {
            abort();
        }
        return NULL;
    }
    uint32_t active = mos_keyring_active_version(keyring);
    if (mos_keyring_count(keyring) == 0 || active == 0 || !mos_keyring_has(keyring, active) || mos_keyring_key(keyring, 0)) {
        abort();
    }
    return keyring;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t first = zero ? (size_t)(zero - data) : size;
    mos_keyring *keyring = take(data, first);
    mos_keyring *other = zero ? take(zero + 1, size - first - 1) : NULL;
    mos_keyring *joined = NULL;
    size_t added = 0;
    struct mos_error error = {0};
    if (keyring) {
        // Below a tenth of the limit nothing that was read may be too large to be written.
        read_back(keyring, first < MOS_KEYRING_LIMIT_BYTES / 10);
    }
    if (keyring && other && mos_keyring_join(keyring, other, &joined, &added, &error) == MOS_OK) {
        if (mos_keyring_count(joined) != mos_keyring_count(keyring) + added || mos_keyring_count(joined) > MOS_KEYRING_MAX_VERSIONS) {
            abort();
        }
        read_back(joined, size < MOS_KEYRING_LIMIT_BYTES / 10);
        mos_keyring_free(joined);
    }
    mos_keyring_free(keyring);
    mos_keyring_free(other);
    return 0;
}
