// The footer of a pack: as the plaintext that a seal has let through, and as bytes on which the seal decides.
#include <stdlib.h>
#include <string.h>

#include "engine/repo/pack.h"

static void require(bool good) {
    if (!good) {
        abort();
    }
}

// Where the footer begins.
static uint64_t check_frames(const uint8_t *plain, size_t used_bytes, const struct mos_frame *frames, size_t count) {
    uint64_t offset = MOS_PACK_HEADER_BYTES;
    MOS_CLEANUP_BUFFER struct mos_buffer again = {0};
    for (size_t i = 0; i < count; i++) {
        require(frames[i].offset_bytes == offset && frames[i].plain_bytes > 0 && frames[i].plain_bytes <= MOS_CHUNK_LIMIT_BYTES);
        offset += frames[i].sealed_bytes;
    }
    require(offset <= MOS_PACK_LIMIT_BYTES);
    // There is one form only.
    mos_frames_encode(&again, frames, count);
    require(again.size_bytes == used_bytes && memcmp(again.data, plain, used_bytes) == 0);
    return offset;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mos_cursor cursor = {.next = data, .left_bytes = size};
    struct mos_frame *frames = NULL;
    size_t count = 0;
    bool decoded = mos_frames_decode(&cursor, &frames, &count);
    uint64_t end = MOS_PACK_HEADER_BYTES;
    if (decoded) {
        end = check_frames(data, size - cursor.left_bytes, frames, count);
        free(frames);
        frames = NULL;
    }
    // The same from a sealed footer, in a pack that it fits as far as any pack can.
    static const struct mos_key key = {{1, 2, 3}};
    struct mos_pack pack = {.id = {7}, .key = key, .footer_bytes = (uint32_t)(size + MOS_AEAD_TAG_BYTES), .frame_count = (uint32_t)count};
    mos_aead *aead = mos_aead_create(&key);
    uint8_t nonce[MOS_AEAD_NONCE_BYTES];
    uint8_t binding[MOS_PACK_ID_BYTES + 8];
    mos_aead_counter_nonce(UINT64_MAX, nonce);
    memcpy(binding, pack.id, MOS_PACK_ID_BYTES);
    memset(binding + MOS_PACK_ID_BYTES, 0xff, 8);
    MOS_CLEANUP_FREE uint8_t *sealed = mos_malloc(size + MOS_AEAD_TAG_BYTES);
    mos_aead_seal(aead, nonce, binding, sizeof(binding), data, size, sealed);
    for (size_t i = 0; i < 2; i++) {
        pack.size_bytes = end + pack.footer_bytes + MOS_PACK_TRAILER_BYTES + i;
        if (mos_pack_footer_open(&pack, aead, sealed, &frames, NULL) == MOS_OK) {
            require(decoded && cursor.left_bytes == 0 && i == 0);
            free(frames);
        }
    }
    if (size >= MOS_AEAD_TAG_BYTES) {
        pack.footer_bytes = (uint32_t)size;
        require(mos_pack_footer_open(&pack, aead, data, &frames, NULL) == MOS_CORRUPT);
    }
    mos_aead_destroy(aead);
    return 0;
}
