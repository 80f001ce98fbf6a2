#include "common/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

static void out_of_memory(size_t size_bytes) {
    mos_log_error("out of memory", MOS_NUMBER("wanted_bytes", size_bytes));
    abort();
}

void *mos_malloc(size_t size_bytes) {
    void *memory = malloc(size_bytes ? size_bytes : 1);
    if (!memory) {
        out_of_memory(size_bytes);
    }
    return memory;
}

void *mos_calloc(size_t count, size_t size_bytes) {
    void *memory = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
    if (!memory) {
        out_of_memory(count * size_bytes);
    }
    return memory;
}

void *mos_realloc(void *memory, size_t size_bytes) {
    void *grown = realloc(memory, size_bytes ? size_bytes : 1);
    if (!grown) {
        out_of_memory(size_bytes);
    }
    return grown;
}

char *mos_strdup(const char *text) {
    size_t size_bytes = strlen(text) + 1;
    return memcpy(mos_malloc(size_bytes), text, size_bytes);
}

void mos_free_cleanup(void *pointer_to_pointer) {
    free(*(void **)pointer_to_pointer);
}

void mos_close_cleanup(const int *descriptor) {
    if (*descriptor >= 0) {
        close(*descriptor);
    }
}

// One byte more than asked, for the zero that mos_buffer_text puts behind the content.
bool mos_buffer_reserve(struct mos_buffer *buffer, size_t more_bytes) {
    size_t wanted;
    if (__builtin_add_overflow(buffer->size_bytes, more_bytes, &wanted) || (buffer->limit_bytes && wanted > buffer->limit_bytes)) {
        return false;
    }
    if (wanted + 1 > buffer->capacity_bytes) {
        size_t capacity = buffer->capacity_bytes ? buffer->capacity_bytes : 64;
        while (capacity < wanted + 1) {
            capacity *= 2;
        }
        buffer->data = mos_realloc(buffer->data, capacity);
        buffer->capacity_bytes = capacity;
    }
    return true;
}

bool mos_buffer_append(struct mos_buffer *buffer, const void *data, size_t size_bytes) {
    if (!mos_buffer_reserve(buffer, size_bytes)) {
        return false;
    }
    if (size_bytes) {
        memcpy(buffer->data + buffer->size_bytes, data, size_bytes);
    }
    buffer->size_bytes += size_bytes;
    return true;
}

bool mos_buffer_append_byte(struct mos_buffer *buffer, uint8_t byte) {
    return mos_buffer_append(buffer, &byte, 1);
}

bool mos_buffer_append_text(struct mos_buffer *buffer, const char *text) {
    return mos_buffer_append(buffer, text, strlen(text));
}

bool mos_buffer_vprintf(struct mos_buffer *buffer, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0 || !mos_buffer_reserve(buffer, (size_t)length)) {
        return false;
    }
    vsnprintf((char *)buffer->data + buffer->size_bytes, (size_t)length + 1, format, arguments);
    buffer->size_bytes += (size_t)length;
    return true;
}

bool mos_buffer_printf(struct mos_buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool fits = mos_buffer_vprintf(buffer, format, arguments);
    va_end(arguments);
    return fits;
}

const char *mos_buffer_text(struct mos_buffer *buffer) {
    if (!buffer->data) {
        return "";
    }
    buffer->data[buffer->size_bytes] = 0;
    return (const char *)buffer->data;
}

void mos_buffer_clear(struct mos_buffer *buffer) {
    buffer->size_bytes = 0;
}

void mos_buffer_free(struct mos_buffer *buffer) {
    free(buffer->data);
    buffer->data = NULL;
    buffer->size_bytes = 0;
    buffer->capacity_bytes = 0;
}
