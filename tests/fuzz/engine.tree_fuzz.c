// Chunks of a tree, and lists of extents.
#include <stdlib.h>
#include <string.h>

#include "engine/repo/tree_codec.h"

static void require(bool good) {
    if (!good) {
        abort();
    }
}

static void check_list(const uint8_t *data, size_t size) {
    struct mos_extent *extents = NULL;
    size_t count = 0;
    if (mos_extent_list_decode(data, size, &extents, &count, NULL) == MOS_OK) {
        for (size_t i = 0; i < count; i++) {
            require(extents[i].length_bytes > 0 && (uint64_t)extents[i].offset_bytes + extents[i].length_bytes <= MOS_CHUNK_LIMIT_BYTES);
        }
        free(extents);
    }
}

// What the encoder makes of decoded entries has as many of them again.
static mos_status count_entries(void *context, const void *data, size_t size_bytes, const char *first_path, size_t first_path_bytes,
                                struct mos_chunk_id *out_id, struct mos_error *error) {
    size_t *count = context;
    mos_tree_decoder *decoder = NULL;
    const struct mos_entry *entry = NULL;
    (void)error;
    memset(out_id, 0, sizeof(*out_id));
    require(mos_tree_decoder_create(data, size_bytes, &decoder, NULL) == MOS_OK);
    require(mos_tree_decoder_next(decoder, &entry, NULL) == MOS_OK && entry);
    require(entry->path_bytes == first_path_bytes && memcmp(entry->path, first_path, first_path_bytes) == 0);
    while (entry) {
        (*count)++;
        require(mos_tree_decoder_next(decoder, &entry, NULL) == MOS_OK);
    }
    mos_tree_decoder_destroy(decoder);
    return MOS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mos_tree_decoder *decoder = NULL;
    check_list(data, size);
    if (mos_tree_decoder_create(data, size, &decoder, NULL) != MOS_OK) {
        return 0;
    }
    size_t count = 0;
    size_t again = 0;
    const struct mos_entry *entry = NULL;
    mos_tree_encoder *encoder = mos_tree_encoder_create(1, count_entries, &again);
    mos_status status = mos_tree_decoder_next(decoder, &entry, NULL);
    while (status == MOS_OK && entry) {
        require(entry->path[entry->path_bytes] == 0 && strlen(entry->path) == entry->path_bytes);
        // The encoder checks the rules and the order anew. Lists it makes itself.
        if (entry->list_count == 0) {
            require(mos_tree_encoder_add(encoder, entry, NULL) == MOS_OK);
            count++;
        }
        status = mos_tree_decoder_next(decoder, &entry, NULL);
    }
    require(status == MOS_OK || mos_tree_decoder_next(decoder, &entry, NULL) == MOS_CORRUPT);
    require(mos_tree_encoder_finish(encoder, NULL) == MOS_OK && again == count);
    mos_tree_encoder_destroy(encoder);
    mos_tree_decoder_destroy(decoder);
    return 0;
}
