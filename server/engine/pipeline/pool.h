// Worker threads that store chunks: hashing, compressing, sealing and writing happen here, in any order; whoever fills the chunks gets
// their ids when they are done. Filling is one thread's business.
#ifndef MOS_ENGINE_PIPELINE_POOL_H
#define MOS_ENGINE_PIPELINE_POOL_H

#include <stdbool.h>

#include "engine/repo/writer.h"

typedef struct mos_pool mos_pool;

// A chunk on its way.
struct mos_piece {
    // Room for the repository's largest chunk; NULL once it is stored.
    uint8_t *data;
    size_t size_bytes;
    // Valid when mos_pool_done says so.
    struct mos_chunk_id id;
    bool done;
    // Only the filling thread counts them: whoever waits for the id, and the filler.
    unsigned references;
    struct mos_piece *next;
};

// There are never more than `threads` + 2 chunks in memory.
mos_pool *mos_pool_create(mos_writer *writer, unsigned threads, size_t chunk_limit_bytes);
// Waits for the chunks being stored; those that still wait are given up. Pieces that are still referred to are released afterwards.
void mos_pool_free(mos_pool *pool);

// A new empty piece with one reference. Blocks until one of the chunks in memory is stored. Fails with the first failure of any worker.
mos_status mos_pool_acquire(mos_pool *pool, struct mos_piece **out, struct mos_error *error);
// Hands a filled piece (1 byte at least) to the workers; the filler's reference stays.
void mos_pool_submit(mos_pool *pool, struct mos_piece *piece);
bool mos_pool_done(mos_pool *pool, const struct mos_piece *piece);
// Blocks until it is stored.
mos_status mos_pool_wait(mos_pool *pool, const struct mos_piece *piece, struct mos_error *error);
// One reference less; with the last one the piece is gone. A piece that is not stored may lose its last reference only when the pool is
// freed.
void mos_piece_release(struct mos_piece *piece);

#endif
