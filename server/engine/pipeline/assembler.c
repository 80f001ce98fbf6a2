#include "engine/pipeline/assembler.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "engine/pipeline/pool.h"

// From this many waiting entries on, the shared stream is cut at a place that their paths choose, so that it is the same in the next run;
// at the limit it is cut in any case.
enum { WAITING_MANY = 8192, WAITING_LIMIT = 65536, WAITING_CUT_ONE_IN = 2048, WAITING_LIMIT_BYTES = 24 << 20 };

// A part of a piece.
struct part {
    struct mos_piece *piece;
    uint32_t offset_bytes;
    uint32_t length_bytes;
};

struct parts {
    struct part *list;
    size_t count;
    size_t capacity;
};

// An entry that waits for its chunks.
struct waiting {
    struct waiting *next;
    struct mos_entry *entry;
    struct parts parts;
    size_t memory_bytes;
};

struct stream {
    struct mos_chunker chunker;
    struct mos_piece *piece;
};

struct mos_assembler {
    mos_job *job;
    mos_writer *writer;
    mos_pool *pool;
    uint32_t small_bytes;
    struct stream shared;
    struct stream own;
    struct stream *stream;
    // Of the entry that is being read.
    struct parts parts;
    struct waiting *first;
    struct waiting **last;
    size_t waiting_count;
    size_t waiting_bytes;
    // Extents of the entry that is being added; used again.
    struct mos_extent *extents;
    size_t extent_capacity;
    // Whoever wants to see what is written; may be NULL.
    void (*written)(void *context, const struct mos_entry *entry);
    void *context;
};

unsigned mos_assembler_workers(const mos_job *job) {
    unsigned threads = mos_job_threads(job);
    return threads < 2 || threads == MOS_WRITER_MOST_WORKERS ? threads : threads + 1;
}

mos_assembler *mos_assembler_create(mos_job *job, const mos_repository *repository, mos_writer *writer) {
    mos_assembler *assembler = mos_calloc(1, sizeof(*assembler));
    const struct mos_chunk_limits *limits = mos_repository_chunk_limits(repository);
    assembler->job = job;
    assembler->writer = writer;
    assembler->pool = mos_pool_create(writer, mos_assembler_workers(job), limits->max_bytes);
    assembler->small_bytes = limits->min_bytes;
    mos_chunker_init(&assembler->shared.chunker, limits, mos_repository_gear(repository));
    mos_chunker_init(&assembler->own.chunker, limits, mos_repository_gear(repository));
    assembler->stream = &assembler->shared;
    assembler->last = &assembler->first;
    return assembler;
}

void mos_assembler_watch(mos_assembler *assembler, void (*written)(void *context, const struct mos_entry *entry), void *context) {
    assembler->written = written;
    assembler->context = context;
}

static void release(struct parts *parts) {
    for (size_t i = 0; i < parts->count; i++) {
        mos_piece_release(parts->list[i].piece);
    }
    free(parts->list);
    *parts = (struct parts){0};
}

static struct waiting *copy_entry(const struct mos_entry *entry) {
    struct waiting *waiting = mos_calloc(1, sizeof(*waiting));
    waiting->entry = mos_entry_copy(entry, &waiting->memory_bytes);
    waiting->memory_bytes += sizeof(*waiting);
    return waiting;
}

static void free_waiting(struct waiting *waiting) {
    release(&waiting->parts);
    free(waiting->entry);
    free(waiting);
}

void mos_assembler_free(mos_assembler *assembler) {
    if (!assembler) {
        return;
    }
    mos_pool_free(assembler->pool);
    while (assembler->first) {
        struct waiting *waiting = assembler->first;
        assembler->first = waiting->next;
        free_waiting(waiting);
    }
    release(&assembler->parts);
    mos_piece_release(assembler->shared.piece);
    mos_piece_release(assembler->own.piece);
    free(assembler->extents);
    free(assembler);
}

static void end_piece(mos_assembler *assembler, struct stream *stream) {
    if (stream->piece) {
        struct mos_piece *piece = stream->piece;
        stream->piece = NULL;
        mos_pool_submit(assembler->pool, piece);
        // Whoever refers to it keeps it: a piece in the queue has at least one extent.
        mos_piece_release(piece);
    }
    mos_chunker_reset(&stream->chunker);
}

void mos_assembler_begin(mos_assembler *assembler, uint64_t expected_bytes) {
    assembler->stream = expected_bytes < assembler->small_bytes ? &assembler->shared : &assembler->own;
}

static void add_part(struct parts *parts, struct mos_piece *piece, uint32_t length_bytes) {
    struct part *last = parts->count ? &parts->list[parts->count - 1] : NULL;
    if (last && last->piece == piece && last->offset_bytes + last->length_bytes == piece->size_bytes) {
        last->length_bytes += length_bytes;
        return;
    }
    if (!parts->list || parts->count == parts->capacity) {
        parts->capacity = parts->capacity ? parts->capacity * 2 : 1;
        parts->list = mos_realloc(parts->list, parts->capacity * sizeof(*parts->list));
    }
    piece->references++;
    parts->list[parts->count++] = (struct part){piece, (uint32_t)piece->size_bytes, length_bytes};
}

mos_status mos_assembler_content(mos_assembler *assembler, const void *data, size_t size_bytes, struct mos_error *error) {
    struct stream *stream = assembler->stream;
    for (size_t done = 0; done < size_bytes;) {
        mos_status status = mos_job_check(assembler->job, error);
        if (status == MOS_OK && !stream->piece) {
            status = mos_pool_acquire(assembler->pool, &stream->piece, error);
        }
        if (status) {
            return status;
        }
        bool cut;
        const uint8_t *at = (const uint8_t *)data + done;
        size_t taken = mos_chunker_feed(&stream->chunker, at, size_bytes - done, &cut);
        struct mos_piece *piece = stream->piece;
        memcpy(piece->data + piece->size_bytes, at, taken);
        add_part(&assembler->parts, piece, (uint32_t)taken);
        piece->size_bytes += taken;
        done += taken;
        if (cut) {
            end_piece(assembler, stream);
        }
    }
    return MOS_OK;
}

static bool ready(mos_assembler *assembler, const struct waiting *waiting) {
    for (size_t i = waiting->parts.count; i-- > 0;) {
        if (!mos_pool_done(assembler->pool, waiting->parts.list[i].piece)) {
            return false;
        }
    }
    return true;
}

static mos_status write_entry(mos_assembler *assembler, struct waiting *waiting, struct mos_error *error) {
    struct mos_entry *entry = waiting->entry;
    if (waiting->parts.count) {
        if (waiting->parts.count > assembler->extent_capacity) {
            assembler->extent_capacity = waiting->parts.capacity;
            assembler->extents = mos_realloc(assembler->extents, assembler->extent_capacity * sizeof(*assembler->extents));
        }
        for (size_t i = 0; i < waiting->parts.count; i++) {
            const struct part *part = &waiting->parts.list[i];
            assembler->extents[i] = (struct mos_extent){part->piece->id, part->offset_bytes, part->length_bytes};
        }
        entry->extents = assembler->extents;
        entry->extent_count = waiting->parts.count;
    }
    struct mos_error why = {0};
    mos_status status = mos_writer_add(assembler->writer, entry, &why);
    if (status == MOS_INVALID_ARGUMENT) {
        mos_job_warn(assembler->job, entry->path, entry->path_bytes, why.message);
        return MOS_OK;
    }
    if (status && error) {
        *error = why;
    }
    if (status == MOS_OK && assembler->written) {
        assembler->written(assembler->context, entry);
    }
    return status;
}

// Takes the entries at the head that are ready; with `all`, every one, waiting for its chunks.
static mos_status drain(mos_assembler *assembler, bool all, struct mos_error *error) {
    while (assembler->first) {
        struct waiting *waiting = assembler->first;
        for (size_t i = 0; all && i < waiting->parts.count; i++) {
            mos_status status = mos_job_check(assembler->job, error);
            status = status ? status : mos_pool_wait(assembler->pool, waiting->parts.list[i].piece, error);
            if (status) {
                return status;
            }
        }
        if (!all && !ready(assembler, waiting)) {
            return MOS_OK;
        }
        mos_status status = write_entry(assembler, waiting, error);
        if (status) {
            return status;
        }
        assembler->first = waiting->next;
        if (!assembler->first) {
            assembler->last = &assembler->first;
        }
        assembler->waiting_count--;
        assembler->waiting_bytes -= waiting->memory_bytes;
        free_waiting(waiting);
    }
    return MOS_OK;
}

// FNV-1a.
static bool chosen_for_cut(const struct mos_entry *entry) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < entry->path_bytes; i++) {
        hash = (hash ^ (uint8_t)entry->path[i]) * UINT64_C(0x100000001b3);
    }
    return (hash >> 32) % WAITING_CUT_ONE_IN == 0;
}

mos_status mos_assembler_add(mos_assembler *assembler, const struct mos_entry *entry, struct mos_error *error) {
    if (assembler->stream == &assembler->own) {
        end_piece(assembler, &assembler->own);
    }
    assembler->stream = &assembler->shared;
    if (!assembler->first && assembler->parts.count == 0) {
        // Nobody is before it, and it waits for nothing itself: most entries where little has changed.
        struct waiting at_once = {.entry = (struct mos_entry *)entry};
        return write_entry(assembler, &at_once, error);
    }
    struct waiting *waiting = copy_entry(entry);
    waiting->parts = assembler->parts;
    assembler->parts = (struct parts){0};
    waiting->memory_bytes += waiting->parts.capacity * sizeof(struct part);
    *assembler->last = waiting;
    assembler->last = &waiting->next;
    assembler->waiting_count++;
    assembler->waiting_bytes += waiting->memory_bytes;
    mos_status status = drain(assembler, false, error);
    if (status == MOS_OK && ((assembler->waiting_count >= WAITING_MANY && chosen_for_cut(entry)) ||
                             assembler->waiting_count >= WAITING_LIMIT || assembler->waiting_bytes >= WAITING_LIMIT_BYTES)) {
        end_piece(assembler, &assembler->shared);
        status = drain(assembler, true, error);
    }
    return status;
}

mos_status mos_assembler_finish(mos_assembler *assembler, struct mos_error *error) {
    end_piece(assembler, &assembler->shared);
    return drain(assembler, true, error);
}
