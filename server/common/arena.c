#include "common/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

enum { FIRST_BLOCK_BYTES = 4096, LARGEST_BLOCK_BYTES = 1 << 20 };

struct block {
    struct block *next;
    size_t size_bytes;
    size_t used_bytes;
    alignas(max_align_t) unsigned char data[];
};

struct mos_arena {
    struct block *newest;
    size_t limit_bytes;
    size_t used_bytes;
    ProtobufCAllocator allocator;
};

static void *allocator_alloc(void *arena, size_t size_bytes) {
    return mos_arena_alloc(arena, size_bytes);
}

static void allocator_free(void *arena, void *memory) {
    (void)arena;
    (void)memory;
}

mos_arena *mos_arena_create(size_t limit_bytes) {
    mos_arena *arena = mos_calloc(1, sizeof(*arena));
    arena->limit_bytes = limit_bytes;
    arena->allocator = (ProtobufCAllocator){.alloc = allocator_alloc, .free = allocator_free, .allocator_data = arena};
    return arena;
}

void mos_arena_destroy(mos_arena *arena) {
    if (!arena) {
        return;
    }
    for (struct block *block = arena->newest; block;) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(arena);
}

void *mos_arena_alloc(mos_arena *arena, size_t size_bytes) {
    size_t size;
    if (__builtin_add_overflow(size_bytes ? size_bytes : 1, alignof(max_align_t) - 1, &size)) {
        return NULL;
    }
    size &= ~(alignof(max_align_t) - 1);
    if (arena->limit_bytes && size > arena->limit_bytes - arena->used_bytes) {
        return NULL;
    }
    struct block *block = arena->newest;
    if (!block || block->size_bytes - block->used_bytes < size) {
        size_t block_size = block ? block->size_bytes * 2 : FIRST_BLOCK_BYTES;
        block_size = block_size > LARGEST_BLOCK_BYTES ? LARGEST_BLOCK_BYTES : block_size;
        block_size = block_size < size ? size : block_size;
        block = mos_calloc(1, sizeof(*block) + block_size);
        block->size_bytes = block_size;
        block->next = arena->newest;
        arena->newest = block;
    }
    void *memory = block->data + block->used_bytes;
    block->used_bytes += size;
    arena->used_bytes += size;
    return memory;
}

void *mos_arena_calloc(mos_arena *arena, size_t count, size_t size_bytes) {
    size_t total;
    return __builtin_mul_overflow(count, size_bytes, &total) ? NULL : mos_arena_alloc(arena, total);
}

void *mos_arena_memdup(mos_arena *arena, const void *data, size_t size_bytes) {
    void *copy = mos_arena_alloc(arena, size_bytes);
    return copy && size_bytes ? memcpy(copy, data, size_bytes) : copy;
}

char *mos_arena_strdup(mos_arena *arena, const char *text) {
    return mos_arena_memdup(arena, text, strlen(text) + 1);
}

char *mos_arena_printf(mos_arena *arena, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : mos_arena_alloc(arena, (size_t)length + 1);
    if (text) {
        va_start(arguments, format);
        vsnprintf(text, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    return text;
}

ProtobufCAllocator *mos_arena_allocator(mos_arena *arena) {
    return &arena->allocator;
}

size_t mos_arena_used_bytes(const mos_arena *arena) {
    return arena->used_bytes;
}
