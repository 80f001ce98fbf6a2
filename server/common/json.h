// A strict reader of small JSON (RFC 8259), as the objects of a JWT or a line of an audit export: no duplicate names, no invalid UTF-8, no
// zero in a string, no deep nesting.
#ifndef MOS_COMMON_JSON_H
#define MOS_COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/buffer.h"

enum mos_json_kind { MOS_JSON_NULL, MOS_JSON_TRUE, MOS_JSON_FALSE, MOS_JSON_NUMBER, MOS_JSON_STRING, MOS_JSON_ARRAY, MOS_JSON_OBJECT };

struct mos_json {
    enum mos_json_kind kind;
    // Of a member of an object.
    const char *name;
    const char *string;
    double number;
    // First member or element, and the next beside this one.
    struct mos_json *first;
    struct mos_json *next;
};

// NULL where the text is no JSON, or past the arena's ceiling. Lives in the arena.
const struct mos_json *mos_json_parse(mos_arena *arena, const char *text, size_t size_bytes);
// The member of an object; NULL where there is none, or `json` is NULL or no object.
const struct mos_json *mos_json_member(const struct mos_json *json, const char *name);
// The text of a member that is a string; NULL otherwise.
const char *mos_json_text(const struct mos_json *json, const char *name);

// A text as a JSON string, with its quotes. It must be UTF-8.
void mos_json_append_text(struct mos_buffer *out, const char *text);

#endif
