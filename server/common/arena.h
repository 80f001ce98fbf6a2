// Memory that is released at once: one arena a call or a job. Not thread safe. Running out of system memory ends the program with a
// log line; running into the arena's own ceiling returns NULL.
#ifndef MOS_COMMON_ARENA_H
#define MOS_COMMON_ARENA_H

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

typedef struct mos_arena mos_arena;

// `limit_bytes`: ceiling over all allocations, 0 for none. Never NULL.
mos_arena *mos_arena_create(size_t limit_bytes);
void mos_arena_destroy(mos_arena *arena);

// Zeroed and aligned for any type; NULL only past the ceiling.
void *mos_arena_alloc(mos_arena *arena, size_t size_bytes);
void *mos_arena_memdup(mos_arena *arena, const void *data, size_t size_bytes);
char *mos_arena_strdup(mos_arena *arena, const char *text);
char *mos_arena_printf(mos_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A zeroed array of `count` pointers or structs.
#define mos_arena_array(arena, type, count) ((type *)mos_arena_calloc((arena), (count), sizeof(type)))
void *mos_arena_calloc(mos_arena *arena, size_t count, size_t size_bytes);
// For protobuf-c's unpack: what it makes lives as long as the arena, and its free does nothing. Borrowed; valid while the arena is.
ProtobufCAllocator *mos_arena_allocator(mos_arena *arena);
size_t mos_arena_used_bytes(const mos_arena *arena);

static inline void mos_arena_cleanup(mos_arena **arena) {
    mos_arena_destroy(*arena);
}
#define MOS_CLEANUP_ARENA __attribute__((cleanup(mos_arena_cleanup)))

#endif
