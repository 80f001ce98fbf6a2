// Bytes that grow up to a ceiling. Not thread safe.
#ifndef MOS_COMMON_BUFFER_H
#define MOS_COMMON_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mos_buffer {
    uint8_t *data;
    size_t size_bytes;
    size_t capacity_bytes;
    // 0: none.
    size_t limit_bytes;
};

#define MOS_BUFFER_INIT(limit) ((struct mos_buffer){.limit_bytes = (limit)})

// false, and nothing changed, where the ceiling would be passed. Running out of system memory ends the program.
bool mos_buffer_reserve(struct mos_buffer *buffer, size_t more_bytes);
bool mos_buffer_append(struct mos_buffer *buffer, const void *data, size_t size_bytes);
bool mos_buffer_append_byte(struct mos_buffer *buffer, uint8_t byte);
bool mos_buffer_append_text(struct mos_buffer *buffer, const char *text);
bool mos_buffer_printf(struct mos_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool mos_buffer_vprintf(struct mos_buffer *buffer, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
// The content as a C string (a terminating zero is put behind it, outside size_bytes). Borrowed.
const char *mos_buffer_text(struct mos_buffer *buffer);
// Empties it and keeps the memory.
void mos_buffer_clear(struct mos_buffer *buffer);
void mos_buffer_free(struct mos_buffer *buffer);

#define MOS_CLEANUP_BUFFER __attribute__((cleanup(mos_buffer_free)))

// malloc family that ends the program with a log line when memory is out.
void *mos_malloc(size_t size_bytes);
void *mos_calloc(size_t count, size_t size_bytes);
void *mos_realloc(void *memory, size_t size_bytes);
char *mos_strdup(const char *text);

// Cleanup attributes.
void mos_free_cleanup(void *pointer_to_pointer);
void mos_close_cleanup(const int *descriptor);
#define MOS_CLEANUP_FREE __attribute__((cleanup(mos_free_cleanup)))
// Closes a descriptor that is not negative.
#define MOS_CLEANUP_FD __attribute__((cleanup(mos_close_cleanup)))

#endif
