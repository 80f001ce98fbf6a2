// Threads for handlers: one for each piece of work that is running, made when needed, gone after ten idle seconds. Thread safe.
#ifndef MOS_CONTROL_RPC_POOL_H
#define MOS_CONTROL_RPC_POOL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct mos_pool mos_pool;

// Embedded in what is to be done.
struct mos_pool_work {
    struct mos_pool_work *next;
    void (*run)(struct mos_pool_work *work);
};

// `max_threads`: at least 1. `nice` is added to the threads' own, 0 for none: what they do waits behind what others do.
mos_pool *mos_pool_create(size_t max_threads, int nice);
// Never blocks. false, and the work is not taken, when all threads are busy and no further one can be made.
bool mos_pool_submit(mos_pool *pool, struct mos_pool_work *work);
// After the last submit. Blocks until all work is done and the threads are gone.
void mos_pool_destroy(mos_pool *pool);

#endif
