// A manifest: the message that a seal has let through, and the object around it.
#include <stdlib.h>
#include <string.h>

#include "engine/repo/manifest.h"

static void require(bool good) {
    if (!good) {
        abort();
    }
}

static void check_decoded(const Mosaajii__Engine__V1__Manifest *manifest) {
    static const struct mos_key key = {{4, 5, 6}};
    struct mos_pack pack;
    for (size_t i = 0; i < manifest->n_packs; i++) {
        mos_manifest_pack(manifest->packs[i], &pack);
        require(pack.frame_count <= MOS_PACK_MAX_FRAMES && pack.size_bytes > pack.footer_bytes);
    }
    for (size_t i = 0; i < manifest->n_tree; i++) {
        require(manifest->tree[i]->chunk_id.len == MOS_CHUNK_ID_BYTES && manifest->tree[i]->pack < manifest->n_packs);
    }
    // Sealed, it is whole, opens again under its own id, and under no other.
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Manifest *again = NULL;
    bool size_valid = false;
    bool checksum_valid = false;
    require(mos_manifest_seal(manifest, manifest->info->id, &key, &object, NULL) == MOS_OK);
    mos_manifest_examine(object.data, object.size_bytes, &size_valid, &checksum_valid);
    require(size_valid && checksum_valid);
    require(mos_manifest_open(object.data, object.size_bytes, manifest->info->id, &key, arena, &again, NULL) == MOS_OK);
    require(again->n_packs == manifest->n_packs && again->n_tree == manifest->n_tree);
    require(mos_manifest_open(object.data, object.size_bytes, "01890a5d-0000-774b-8cce-000000000000", &key, arena, &again, NULL) != MOS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct mos_key key = {{1, 2, 3}};
    // As the reader does: what a hostile manifest may take is bounded by its size.
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(24 * size + (1u << 20));
    Mosaajii__Engine__V1__Manifest *manifest = NULL;
    bool size_valid;
    bool checksum_valid;
    if (mos_manifest_decode(data, size, arena, &manifest, NULL) == MOS_OK) {
        check_decoded(manifest);
    }
    mos_manifest_examine(data, size, &size_valid, &checksum_valid);
    require(mos_manifest_open(data, size, "01890a5d-ac96-774b-bcce-b302099a8057", &key, arena, &manifest, NULL) == MOS_CORRUPT);
    return 0;
}
