#include "control/offsite/parts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

enum { THREADS_LIMIT = 32, HASH_PIECE_BYTES = 256 * 1024 };

struct run {
    const struct mos_store_parts *parts;
    const struct mos_store_call *call;
    struct mos_store_call inner;
    int count;
    atomic_int next;
    atomic_bool failed;
    pthread_mutex_t mutex;
    mos_status status;
    struct mos_error error;
};

int64_t mos_store_part_bytes(int64_t size_bytes, int64_t part_bytes, int most_parts) {
    const int64_t step = 1024 * 1024;
    int64_t least = size_bytes / most_parts + 1;
    return part_bytes >= least ? part_bytes : (least + step - 1) / step * step;
}

int mos_store_part_count(int64_t size_bytes, int64_t part_bytes) {
    return size_bytes == 0 ? 1 : (int)((size_bytes + part_bytes - 1) / part_bytes);
}

static bool run_over(void *argument) {
    struct run *run = argument;
    return atomic_load(&run->failed) || mos_store_over(run->call);
}

static void run_moved(void *argument, int64_t bytes) {
    struct run *run = argument;
    mos_store_moved(run->call, bytes);
}

static void *work(void *argument) {
    struct run *run = argument;
    const struct mos_store_parts *parts = run->parts;
    for (int number = atomic_fetch_add(&run->next, 1); number < run->count; number = atomic_fetch_add(&run->next, 1)) {
        struct mos_error error = {0};
        int64_t offset = number * parts->part_bytes, left = parts->size_bytes - offset;
        mos_status status = run_over(run) ? mos_store_fail_cancelled(&error)
                                          : parts->work(parts->argument, number, offset,
                                                        left < parts->part_bytes ? left : parts->part_bytes, &run->inner, &error);
        if (status == MOS_OK) {
            continue;
        }
        pthread_mutex_lock(&run->mutex);
        if (run->status == MOS_OK) {
            run->status = status;
            run->error = error;
        }
        pthread_mutex_unlock(&run->mutex);
        atomic_store(&run->failed, true);
        break;
    }
    return NULL;
}

mos_status mos_store_parts_run(const struct mos_store_parts *parts, const struct mos_store_call *call, struct mos_error *error) {
    pthread_t threads[THREADS_LIMIT];
    struct run run = {.parts = parts, .call = call, .count = mos_store_part_count(parts->size_bytes, parts->part_bytes)};
    int wanted = parts->parallel < run.count ? parts->parallel : run.count, started = 0;
    run.inner = (struct mos_store_call){.over = run_over, .moved = run_moved, .argument = &run};
    pthread_mutex_init(&run.mutex, NULL);
    // This thread works too.
    while (started + 1 < wanted && started < THREADS_LIMIT && pthread_create(&threads[started], NULL, work, &run) == 0) {
        started++;
    }
    work(&run);
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&run.mutex);
    if (run.status != MOS_OK && error) {
        *error = run.error;
    }
    return run.status;
}

struct hashing {
    const struct mos_store_source *source;
    const struct mos_store_call *call;
    uint8_t *out;
    mos_status status;
    struct mos_error error;
    uint8_t whole[MOS_STORE_HASH_BYTES];
};

static mos_status hash_range(const struct mos_store_source *source, int64_t offset_bytes, int64_t size_bytes, uint8_t *out,
                             const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_HASH mos_store_hash *hash = mos_store_hash_new(MOS_STORE_SHA256);
    MOS_CLEANUP_FREE uint8_t *piece = mos_malloc(HASH_PIECE_BYTES);
    for (int64_t done = 0; done < size_bytes;) {
        size_t size = size_bytes - done < HASH_PIECE_BYTES ? (size_t)(size_bytes - done) : HASH_PIECE_BYTES;
        mos_status status =
            mos_store_over(call) ? mos_store_fail_cancelled(error) : mos_store_source_read(source, offset_bytes + done, piece, size, error);
        if (status != MOS_OK) {
            return status;
        }
        mos_store_hash_update(hash, piece, size);
        done += (int64_t)size;
    }
    mos_store_hash_take(hash, out);
    return MOS_OK;
}

static mos_status hash_part(void *argument, int number, int64_t offset_bytes, int64_t size_bytes, const struct mos_store_call *call,
                            struct mos_error *error) {
    const struct hashing *hashing = argument;
    return hash_range(hashing->source, offset_bytes, size_bytes, hashing->out + (size_t)number * MOS_STORE_HASH_BYTES, call, error);
}

static void *hash_whole(void *argument) {
    struct hashing *hashing = argument;
    hashing->status = hash_range(hashing->source, 0, hashing->source->size_bytes, hashing->whole, hashing->call, &hashing->error);
    return NULL;
}

mos_status mos_store_parts_hash(const char *name, const struct mos_store_source *source, int64_t part_bytes, int parallel, uint8_t *out,
                                const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_call silent = {.over = call->over, .argument = call->argument};
    struct hashing hashing = {.source = source, .call = &silent, .out = out};
    const struct mos_store_parts parts = {
        .size_bytes = source->size_bytes, .part_bytes = part_bytes, .parallel = parallel, .work = hash_part, .argument = &hashing};
    pthread_t thread;
    bool beside = pthread_create(&thread, NULL, hash_whole, &hashing) == 0;
    mos_status status = mos_store_parts_run(&parts, &silent, error);
    if (beside) {
        pthread_join(thread, NULL);
    } else {
        hash_whole(&hashing);
    }
    if (status == MOS_OK && hashing.status != MOS_OK) {
        status = hashing.status;
        if (error) {
            *error = hashing.error;
        }
    }
    if (status == MOS_OK && memcmp(hashing.whole, source->sha256, sizeof(hashing.whole)) != 0) {
        return mos_fail(error, MOS_CORRUPT, "%s does not have the SHA-256 that it should have", name);
    }
    return status;
}

// Either digest may be NULL.
static mos_status hash_both(const struct mos_store_source *source, mos_store_hash *sha256, mos_store_hash *md5,
                            const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_FREE uint8_t *piece = mos_malloc(HASH_PIECE_BYTES);
    for (int64_t done = 0; done < source->size_bytes;) {
        size_t size = source->size_bytes - done < HASH_PIECE_BYTES ? (size_t)(source->size_bytes - done) : HASH_PIECE_BYTES;
        mos_status status =
            mos_store_over(call) ? mos_store_fail_cancelled(error) : mos_store_source_read(source, done, piece, size, error);
        if (status != MOS_OK) {
            return status;
        }
        if (sha256) {
            mos_store_hash_update(sha256, piece, size);
        }
        mos_store_hash_update(md5, piece, size);
        done += (int64_t)size;
    }
    return MOS_OK;
}

mos_status mos_store_source_md5(const char *name, const struct mos_store_source *source, char base64[MOS_STORE_BASE64_BYTES],
                                const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_HASH mos_store_hash *sha256 = mos_store_hash_new(MOS_STORE_SHA256);
    MOS_CLEANUP_HASH mos_store_hash *md5 = mos_store_hash_new(MOS_STORE_MD5);
    uint8_t found[MOS_STORE_HASH_BYTES], found_md5[MOS_STORE_MD5_BYTES];
    mos_status status = hash_both(source, sha256, md5, call, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_store_hash_take(sha256, found);
    mos_store_hash_take(md5, found_md5);
    mos_store_base64(found_md5, sizeof(found_md5), base64);
    return memcmp(found, source->sha256, sizeof(found)) == 0
               ? MOS_OK
               : mos_fail(error, MOS_CORRUPT, "%s does not have the SHA-256 that it should have", name);
}

mos_status mos_store_part_md5(const struct mos_store_source *part, char base64[MOS_STORE_BASE64_BYTES], const struct mos_store_call *call,
                              struct mos_error *error) {
    MOS_CLEANUP_HASH mos_store_hash *md5 = mos_store_hash_new(MOS_STORE_MD5);
    uint8_t found[MOS_STORE_MD5_BYTES];
    mos_status status = hash_both(part, NULL, md5, call, error);
    mos_store_hash_take(md5, found);
    mos_store_base64(found, sizeof(found), base64);
    return status;
}
