// A strict reader of small JSON (RFC 8259), for the two objects of a JWT: no duplicate names, no invalid UTF-8, no zero in a string, no
// deep nesting.
#ifndef MOS_CONTROL_ACCESS_JSON_H
#define MOS_CONTROL_ACCESS_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"

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

#endif
