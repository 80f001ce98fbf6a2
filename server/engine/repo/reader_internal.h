// What verifying needs of a reader.
#ifndef MOS_ENGINE_REPO_READER_INTERNAL_H
#define MOS_ENGINE_REPO_READER_INTERNAL_H

#include <pthread.h>

#include "common/arena.h"
#include "engine/repo/chunk_map.h"
#include "engine/repo/manifest.h"
#include "engine/repo/moved.h"
#include "engine/repo/reader.h"
#include "engine/repo/repository_internal.h"

struct mos_cached_chunk;

struct mos_reader {
    mos_repository *repository;
    char backup_id[MOS_ID_TEXT_BYTES];
    mos_arena *arena;
    Mosaajii__Engine__V1__Manifest *manifest;
    struct mos_record record;
    // Where the chunks lie, each pack once: those of the manifest, and in the place of those that were rewritten the packs they were moved
    // to. The keys are wiped when the reader closes.
    struct mos_pack_list list;
    // The list's.
    const struct mos_pack *packs;
    mos_aead **aeads;
    size_t pack_count;
    // As the manifest names them, and where each of them begins in `packs`; MOS_NO_PACK for one of which nothing is needed.
    struct mos_pack *named;
    uint32_t *first;
    size_t named_count;
    // Shared, so that no pack vanishes meanwhile; -1 where it cannot be taken, as on a medium that is read only.
    int lock;
    // Guards what follows.
    pthread_mutex_t mutex;
    // Footers: NULL until read; `tried` also where that failed.
    struct mos_frame **frames;
    bool *tried;
    bool all_tried;
    // From chunk to pack and frame number, for the footers read so far.
    struct mos_chunk_map chunks;
    // Most recently used first.
    struct mos_cached_chunk *newest;
    struct mos_cached_chunk *oldest;
    size_t cached_bytes;
    // Not in use at present.
    struct mos_frame_room *rooms;
};

// Reads the footer of a pack, once.
mos_status mos_reader_load_pack(mos_reader *reader, size_t number, struct mos_error *error);
// Where a chunk lies, after reading as many footers as it takes: the pack of the hint, by its position in the manifest, first (MOS_NO_PACK:
// none), then all. false: in no pack whose footer could be read.
bool mos_reader_locate(mos_reader *reader, const struct mos_chunk_id *id, uint32_t hint, struct mos_chunk_place *out);
// Reads a part of the tree, or its copy where it cannot be read.
mos_status mos_reader_part(mos_reader *reader, const Mosaajii__Engine__V1__TreeChunk *part, const struct mos_chunk **out,
                           struct mos_error *error);
// Reads a chunk whose pack the manifest names.
mos_status mos_reader_chunk_in(mos_reader *reader, const struct mos_chunk_id *id, uint32_t hint, const struct mos_chunk **out,
                               struct mos_error *error);

#endif
