// Key objects: the input as an object, as a version, and as changes to a good object (place and bits, two bytes each).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "engine/repo/key_object.h"

enum { DIGEST_AT = MOS_KEY_OBJECT_BYTES - MOS_HASH_BYTES };

static void require(bool good) {
    if (!good) {
        abort();
    }
}

static void check_version(const uint8_t *data, size_t size) {
    MOS_CLEANUP_FREE char *text = mos_calloc(1, size + 1);
    memcpy(text, data, size);
    uint32_t version = mos_key_version_parse(text);
    if (version) {
        char again[16];
        snprintf(again, sizeof(again), "%u", version);
        require(strcmp(again, text) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct mos_key kek = {{1, 2, 3}};
    static const struct mos_key key = {{9, 8, 7}};
    const struct mos_key_binding binding = {.repository_id = {1}, .backup_id = {2}};
    struct mos_key opened;
    uint8_t object[MOS_KEY_OBJECT_BYTES];
    uint8_t changed[MOS_KEY_OBJECT_BYTES];
    check_version(data, size);
    require(!mos_key_object_open(&kek, 1, &binding, data, size, &opened));
    mos_key_object_seal(&kek, 3, &binding, &key, object);
    memcpy(changed, object, sizeof(object));
    for (size_t i = 0; i + 1 < size; i += 2) {
        changed[data[i] % sizeof(changed)] ^= data[i + 1];
    }
    // All but the digest is bound by the seal.
    bool same = memcmp(changed, object, DIGEST_AT) == 0;
    require(mos_key_object_open(&kek, 3, &binding, changed, sizeof(changed), &opened) == same);
    require(!same || memcmp(opened.bytes, key.bytes, sizeof(key.bytes)) == 0);
    require(mos_object_digest_fits(changed, sizeof(changed)) == (memcmp(changed, object, sizeof(object)) == 0));
    return 0;
}
