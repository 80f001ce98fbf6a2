#include "common/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

enum { DEEPEST = 16, LONGEST_NUMBER = 64 };

struct reader {
    mos_arena *arena;
    const char *next;
    const char *end;
    int depth;
};

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct reader *reader) {
    while (reader->next < reader->end && is_space(*reader->next)) {
        reader->next++;
    }
}

// The character comes next, behind any white space, and is passed.
static bool pass(struct reader *reader, char wanted) {
    skip_space(reader);
    if (reader->next == reader->end || *reader->next != wanted) {
        return false;
    }
    reader->next++;
    return true;
}

static bool pass_word(struct reader *reader, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->next) < length || memcmp(reader->next, word, length) != 0) {
        return false;
    }
    reader->next += length;
    return true;
}

// ---- Strings ----

static bool read_hex(struct reader *reader, uint32_t *out) {
    if (reader->end - reader->next < 4) {
        return false;
    }
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = *reader->next++;
        int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (value < 0) {
            return false;
        }
        *out = *out << 4 | (uint32_t)value;
    }
    return true;
}

static char *put_utf8(char *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *out++ = (char)((0xff00 >> (more + 1) & 0xff) | code >> (6 * more));
    while (more-- > 0) {
        *out++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    }
    return out;
}

// Behind \u.
static char *read_unicode(struct reader *reader, char *out) {
    uint32_t code;
    if (!read_hex(reader, &code) || code == 0 || (code >= 0xdc00 && code <= 0xdfff)) {
        return NULL;
    }
    if (code >= 0xd800 && code <= 0xdbff) {
        uint32_t low;
        if (!pass_word(reader, "\\u") || !read_hex(reader, &low) || low < 0xdc00 || low > 0xdfff) {
            return NULL;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_utf8(out, code);
}

static char *read_escape(struct reader *reader, char *out) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (reader->next == reader->end) {
        return NULL;
    }
    char c = *reader->next++;
    if (c == 'u') {
        return read_unicode(reader, out);
    }
    const char *known = c ? strchr(from, c) : NULL;
    if (!known) {
        return NULL;
    }
    *out++ = to[known - from];
    return out;
}

// Behind the opening quote.
static const char *read_string(struct reader *reader) {
    // No text is longer than what stands for it.
    const char *close = reader->next;
    while (close < reader->end && *close != '"') {
        close += *close == '\\' ? 2 : 1;
    }
    if (close >= reader->end) {
        return NULL;
    }
    char *text = mos_arena_alloc(reader->arena, (size_t)(close - reader->next) + 1);
    char *out = text;
    while (out && reader->next < close) {
        unsigned char c = (unsigned char)*reader->next++;
        if (c == '\\') {
            out = read_escape(reader, out);
        } else if (c < ' ') {
            return NULL;
        } else {
            *out++ = (char)c;
        }
    }
    // An escape that is cut off may have read past the quote.
    if (!out || reader->next != close || !mos_utf8_valid(text, (size_t)(out - text))) {
        return NULL;
    }
    reader->next++;
    *out = 0;
    return text;
}

// ---- Numbers ----

static size_t pass_digits(struct reader *reader) {
    size_t count = 0;
    while (reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9') {
        reader->next++;
        count++;
    }
    return count;
}

static bool read_number(struct reader *reader, double *out) {
    const char *start = reader->next;
    if (*reader->next == '-') {
        reader->next++;
    }
    const char *first = reader->next;
    size_t whole = pass_digits(reader);
    if (whole == 0 || (whole > 1 && *first == '0')) {
        return false;
    }
    if (reader->next < reader->end && *reader->next == '.') {
        reader->next++;
        if (pass_digits(reader) == 0) {
            return false;
        }
    }
    if (reader->next < reader->end && (*reader->next == 'e' || *reader->next == 'E')) {
        reader->next++;
        if (reader->next < reader->end && (*reader->next == '+' || *reader->next == '-')) {
            reader->next++;
        }
        if (pass_digits(reader) == 0) {
            return false;
        }
    }
    char text[LONGEST_NUMBER];
    size_t length = (size_t)(reader->next - start);
    if (length >= sizeof(text)) {
        return false;
    }
    memcpy(text, start, length);
    text[length] = 0;
    *out = strtod(text, NULL);
    return true;
}

// ---- Values ----

static struct mos_json *read_value(struct reader *reader);

static struct mos_json *read_members(struct reader *reader, struct mos_json *json, char close) {
    struct mos_json **end = &json->first;
    if (pass(reader, close)) {
        return json;
    }
    do {
        const char *name = NULL;
        if (json->kind == MOS_JSON_OBJECT) {
            name = pass(reader, '"') ? read_string(reader) : NULL;
            if (!name || mos_json_member(json, name) || !pass(reader, ':')) {
                return NULL;
            }
        }
        struct mos_json *value = read_value(reader);
        if (!value) {
            return NULL;
        }
        value->name = name;
        *end = value;
        end = &value->next;
    } while (pass(reader, ','));
    return pass(reader, close) ? json : NULL;
}

static struct mos_json *read_nested(struct reader *reader, struct mos_json *json, enum mos_json_kind kind, char close) {
    json->kind = kind;
    if (++reader->depth > DEEPEST) {
        return NULL;
    }
    json = read_members(reader, json, close);
    reader->depth--;
    return json;
}

static struct mos_json *read_value(struct reader *reader) {
    struct mos_json *json = mos_arena_alloc(reader->arena, sizeof(*json));
    skip_space(reader);
    if (!json || reader->next == reader->end) {
        return NULL;
    }
    switch (*reader->next) {
    case '{':
        reader->next++;
        return read_nested(reader, json, MOS_JSON_OBJECT, '}');
    case '[':
        reader->next++;
        return read_nested(reader, json, MOS_JSON_ARRAY, ']');
    case '"':
        reader->next++;
        json->kind = MOS_JSON_STRING;
        json->string = read_string(reader);
        return json->string ? json : NULL;
    case 't':
        json->kind = MOS_JSON_TRUE;
        return pass_word(reader, "true") ? json : NULL;
    case 'f':
        json->kind = MOS_JSON_FALSE;
        return pass_word(reader, "false") ? json : NULL;
    case 'n':
        json->kind = MOS_JSON_NULL;
        return pass_word(reader, "null") ? json : NULL;
    default:
        json->kind = MOS_JSON_NUMBER;
        return read_number(reader, &json->number) ? json : NULL;
    }
}

const struct mos_json *mos_json_parse(mos_arena *arena, const char *text, size_t size_bytes) {
    struct reader reader = {.arena = arena, .next = text, .end = text + size_bytes};
    struct mos_json *json = read_value(&reader);
    skip_space(&reader);
    return reader.next == reader.end ? json : NULL;
}

const struct mos_json *mos_json_member(const struct mos_json *json, const char *name) {
    if (!json || json->kind != MOS_JSON_OBJECT) {
        return NULL;
    }
    for (const struct mos_json *member = json->first; member; member = member->next) {
        if (strcmp(member->name, name) == 0) {
            return member;
        }
    }
    return NULL;
}

const char *mos_json_text(const struct mos_json *json, const char *name) {
    const struct mos_json *member = mos_json_member(json, name);
    return member && member->kind == MOS_JSON_STRING ? member->string : NULL;
}

void mos_json_append_text(struct mos_buffer *out, const char *text) {
    mos_buffer_append_byte(out, '"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            mos_buffer_printf(out, "\\%c", *c);
        } else if (*c < ' ' || *c == 0x7f) {
            mos_buffer_printf(out, "\\u%04x", *c);
        } else {
            mos_buffer_append_byte(out, *c);
        }
    }
    mos_buffer_append_byte(out, '"');
}
